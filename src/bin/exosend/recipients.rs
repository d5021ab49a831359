//! Where mail for names without a domain goes: `root` means something to the machine and nothing to Exchange.

use crate::addresses;
use crate::config::Settings;
use crate::exit::{self, Failure};
use crate::files;

/// How many names may stand for each other in a row; sendmail's figure is 10.
const MOST_STEPS: usize = 10;

/// Every address as Exchange can reach it.
pub(crate) fn resolve<'s>(
    written: &'s [String],
    settings: &'s Settings,
) -> Result<Vec<String>, Failure> {
    let mut local = Local {
        settings,
        written: "",
        aliases: None,
    };
    let mut reached = Vec::new();
    for address in written {
        local.written = address;
        local.resolve(address, MOST_STEPS, &mut reached)?;
    }
    Ok(reached)
}

struct Local<'s> {
    settings: &'s Settings,
    /// What the caller wrote, for errors.
    written: &'s str,
    /// Read when it is first needed.
    aliases: Option<Vec<Alias>>,
}

impl Local<'_> {
    fn resolve(
        &mut self,
        address: &str,
        steps: usize,
        reached: &mut Vec<String>,
    ) -> Result<(), Failure> {
        let Some(name) = local_name(address) else {
            reached.push(address.to_owned());
            return Ok(());
        };
        let steps = steps
            .checked_sub(1)
            .ok_or_else(|| no_user(self.written, "its aliases go round in a circle"))?;
        if let Some(members) = self.alias(name)? {
            for member in members {
                self.resolve(&member, steps, reached)?;
            }
            return Ok(());
        }
        match &self.settings.local_recipient {
            Some(there) if local_name(there).is_none() => reached.push(there.clone()),
            Some(there) => {
                let what = format!("local_recipient: {there}: needs a domain");
                return Err(Failure::config(what));
            }
            None => {
                let what = "a name without a domain: set `local_recipient` to where its mail goes";
                return Err(no_user(self.written, what));
            }
        }
        Ok(())
    }

    /// The members of an alias.
    fn alias(&mut self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(path) = &self.settings.aliases else {
            return Ok(None);
        };
        let wrong = |what: String| Failure::config(exit::file(path, what));
        if self.aliases.is_none() {
            let (text, _) = files::read_trusted(path).map_err(|why| wrong(why.what))?;
            self.aliases = Some(parse(&String::from_utf8_lossy(&text)));
        }
        let mut aliases = self.aliases.iter().flatten();
        // sendmail's names know no case.
        let Some(alias) = aliases.find(|alias| alias.name.eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        let line = |what: &str| {
            Failure::config(format!(
                "{}:{}: {}: {what}",
                path.display(),
                alias.line,
                alias.name
            ))
        };
        let impossible = |what: &str| {
            line(&format!(
                "`{what}`: only addresses and other aliases are possible here"
            ))
        };
        if alias.members.contains(":include:") {
            return Err(impossible(":include:"));
        }
        let members = addresses::parse(alias.members.as_bytes()).map_err(|what| line(&what))?;
        let mut specs = Vec::new();
        for member in members {
            let text = alias.members.get(member.whole).unwrap_or_default();
            // In quotes too: "|/usr/bin/procmail -a x".
            if text.trim_start_matches('"').starts_with(['|', '/', '\\']) {
                return Err(impossible(text));
            }
            specs.push(member.spec);
        }
        Ok(Some(specs))
    }
}

/// What the machine would call its own: no domain, or one that is `localhost` everywhere.
fn local_name(address: &str) -> Option<&str> {
    match address.rsplit_once('@') {
        None => Some(address),
        Some((name, domain)) => {
            let local = ["localhost", "localhost.localdomain"];
            local
                .iter()
                .any(|local| domain.eq_ignore_ascii_case(local))
                .then_some(name)
        }
    }
}

fn no_user(name: &str, what: &str) -> Failure {
    Failure::new(exit::NO_USER, format!("recipient <{name}>: {what}"))
}

/// One entry of aliases(5).
struct Alias {
    name: String,
    members: String,
    line: usize,
}

/// Names and what stands behind their colons, with lines that begin with space joined to the one before.
fn parse(text: &str) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = Vec::new();
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
    aliases
}
