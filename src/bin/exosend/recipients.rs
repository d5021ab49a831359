//! Resolves recipients that are users of this machine, such as `root`, to addresses that Exchange can reach.

use crate::config::Config;
use crate::exit::{self, Failure};
use crate::files;
use crate::list;
use crate::local::Here;

/// How many aliases in a row may lead to each other; sendmail's limit is 10, too.
const MOST_STEPS: usize = 10;

/// How many names may be looked up for one recipient; Exchange takes no more recipients (facts.md, "Limits").
const MOST_NAMES: usize = 1000;

pub(crate) struct Recipients<'c> {
    config: &'c Config,
    here: &'c Here,
    /// Read when it is first needed.
    aliases: Option<Vec<Alias>>,
}

/// What a name leads to.
#[derive(Default)]
struct Reached {
    addresses: Vec<String>,
    /// The names that have been looked up.
    seen: Vec<String>,
    /// The names that led to the one that is looked up now.
    path: Vec<String>,
    /// An alias leads back to the user, whose mail goes to `local_recipient`.
    itself: bool,
    /// An alias leads to /dev/null.
    nobody: bool,
}

impl<'c> Recipients<'c> {
    pub(crate) fn new(config: &'c Config, here: &'c Here) -> Self {
        Self {
            config,
            here,
            aliases: None,
        }
    }

    /// The addresses for all recipients; none if the aliases lead to /dev/null only.
    pub(crate) fn resolve(&mut self, written: &[String]) -> Result<Vec<String>, Failure> {
        let mut all = Vec::new();
        for address in written {
            match self.here.user(address) {
                None => all.push(address.clone()),
                Some(user) => all.extend(self.reached(address, user)?),
            }
        }
        Ok(all)
    }

    /// The same with partial delivery: the addresses, and why there are none for some recipients. Fails if there are none
    /// for any.
    pub(crate) fn resolve_some(
        &mut self,
        written: &[String],
    ) -> Result<(Vec<String>, Vec<String>), Failure> {
        let (mut to, mut nowhere, mut first) = (Vec::new(), Vec::new(), None);
        for address in written {
            match self.resolve(std::slice::from_ref(address)) {
                Ok(addresses) => to.extend(addresses),
                Err(why) if why.code() == exit::NO_USER => {
                    nowhere.push(why.what().to_owned());
                    first = first.or(Some(why));
                }
                Err(why) => return Err(why),
            }
        }
        match first.filter(|_| to.is_empty()) {
            Some(why) => Err(why),
            None => Ok((to, nowhere)),
        }
    }

    fn reached(&mut self, written: &str, user: &str) -> Result<Vec<String>, Failure> {
        if !list::is_user(user) {
            return Err(no_user(written, "no name of a user"));
        }
        let mut reached = Reached::default();
        self.look_up(written, user, &mut reached)?;
        if reached.itself {
            reached.addresses.extend(self.local());
        }
        match reached.addresses.is_empty() && !reached.nobody {
            true => Err(no_user(written, UNSET)),
            false => Ok(reached.addresses),
        }
    }

    fn look_up(&mut self, written: &str, name: &str, reached: &mut Reached) -> Result<(), Failure> {
        // Case does not matter, as in sendmail.
        let name = name.to_ascii_lowercase();
        if reached.path.contains(&name) {
            reached.itself = true;
        }
        if reached.seen.contains(&name) {
            return Ok(());
        }
        let Some(members) = self.members(&name)? else {
            reached.addresses.extend(self.local());
            return match self.config.settings.local_recipient.is_empty() {
                true => Err(no_user(written, UNSET)),
                false => Ok(()),
            };
        };
        if reached.path.len() == MOST_STEPS || reached.seen.len() == MOST_NAMES {
            let what = format!("its aliases lead over {MOST_STEPS} steps or {MOST_NAMES} names");
            return Err(no_user(written, &what));
        }
        reached.seen.push(name.clone());
        reached.path.push(name);
        for member in members {
            match member {
                Member::Nobody => reached.nobody = true,
                Member::Itself => reached.itself = true,
                Member::Address(address) => match self.here.user(&address) {
                    None => reached.addresses.push(address),
                    Some(user) => self.look_up(written, user, reached)?,
                },
            }
        }
        reached.path.pop();
        Ok(())
    }

    fn local(&self) -> impl Iterator<Item = String> {
        let mailboxes = self.config.settings.local_recipient.iter();
        mailboxes.map(|mailbox| mailbox.spec.clone())
    }

    /// Whether the aliases have been read.
    pub(crate) fn have_aliases(&self) -> bool {
        self.aliases.is_some()
    }

    /// The members of the alias of that name, or of the one for all other names.
    fn members(&mut self, name: &str) -> Result<Option<Vec<Member>>, Failure> {
        let Some(path) = &self.config.settings.aliases else {
            return Ok(None);
        };
        if self.aliases.is_none() {
            let wrong = |what| {
                let set_by = self.config.set_by("aliases");
                Failure::config(format!("{set_by}: {}", exit::file(path, what)))
            };
            let (text, _) = files::read_trusted(path).map_err(|why| wrong(why.what))?;
            self.aliases = Some(parse(&String::from_utf8_lossy(&text)));
        }
        let find = |name| {
            let mut aliases = self.aliases.iter().flatten();
            aliases.find(|alias| alias.name.eq_ignore_ascii_case(name))
        };
        let Some(alias) = find(name).or_else(|| find("*")).or_else(|| find("default")) else {
            return Ok(None);
        };
        let members = alias.members().map_err(|what| {
            Failure::config(format!(
                "{}:{}: {}: {what}",
                path.display(),
                alias.line,
                alias.name
            ))
        })?;
        Ok(Some(members))
    }
}

const UNSET: &str = "a name without a domain: set `local_recipient` to where its mail goes";

fn no_user(name: &str, what: &str) -> Failure {
    Failure::new(exit::NO_USER, format!("recipient <{name}>: {what}"))
}

/// One entry of aliases(5).
struct Alias {
    name: String,
    members: String,
    line: usize,
}

enum Member {
    /// `/dev/null`
    Nobody,
    /// `\root`: the user, whatever the aliases say.
    Itself,
    Address(String),
}

impl Alias {
    fn members(&self) -> Result<Vec<Member>, String> {
        let (mut members, mut addresses) = (Vec::new(), Vec::new());
        let mut quoted = false;
        let pieces = self.members.split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        for piece in pieces.map(str::trim) {
            // As in "|/usr/bin/procmail -a x".
            let plain = piece.trim_matches('"');
            if plain == "/dev/null" {
                members.push(Member::Nobody);
            } else if plain.starts_with('\\') {
                members.push(Member::Itself);
            } else if plain.starts_with(['|', '/']) || plain.starts_with(":include:") {
                let what = "only addresses and other aliases are possible here";
                return Err(format!("`{piece}`: {what}"));
            } else if is_quoted_address(piece) {
                addresses.push(plain);
            } else {
                addresses.push(piece);
            }
        }
        // Parsed together, because `Smith, John <john@example.com>` is one.
        let mailboxes = list::parse(&addresses.join(", "))?.into_iter();
        members.extend(mailboxes.map(|mailbox| Member::Address(mailbox.spec)));
        Ok(members)
    }
}

/// `"ann@example.com"`: these quotes are the file's, and not part of the address.
fn is_quoted_address(piece: &str) -> bool {
    let inside = piece.strip_prefix('"').and_then(|p| p.strip_suffix('"'));
    inside.is_some_and(|inside| inside.contains('@') && !inside.contains(['"', '\\']))
}

/// Joins lines that begin with a blank to the one before. A name without members is no alias.
fn parse(text: &str) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some(last) = aliases.last_mut() {
                last.members.push_str(line);
            }
            continue;
        }
        if let Some((name, members)) = line.split_once(':') {
            aliases.push(Alias {
                name: name.trim().trim_matches('"').to_owned(),
                members: members.trim().to_owned(),
                line: number + 1,
            });
        }
    }
    aliases.retain(|alias| !alias.members.trim_matches([',', ' ', '\t']).is_empty());
    aliases
}
