//! The header of a message that somebody else wrote: taken apart, mended, and put together again. Pure.
//!
//! Where lines, fields and the header end is decided here and nowhere else:
//! - A line ends in LF; any CR before it belongs to its end. A CR within a line is a space. Only where no LF stands before
//!   the first empty line does a CR end lines.
//! - A field is a name of printable characters, perhaps space, and a colon. It goes on in lines that begin with space,
//!   those of nothing but space included.
//! - The header ends at an empty line. If a line that is no field comes first, the header ends before that.
//! - A byte order mark at the beginning is skipped, and so is the `From ` line of an mbox file if a field follows it: the
//!   text of a message without a header may begin with that word, too.
//!
//! Nobody must see a Bcc. So a line that names a Bcc and is not a field by these rules is an error wherever it may still
//! belong to the header: as text it would be shown to everybody, as a field it might send to somebody.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

// By path: tests include this file in another folder.
#[path = "head/lines.rs"]
mod lines;

use std::borrow::Cow;

use super::list::{self, Mailbox};
use lines::{Lines, Name, is_blank, name_and_value, names_somebody, spaced};

/// The fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    fields: Vec<Field>,
}

/// Splits the header off a text, and says where the body begins. `whole`: there is no more of the text.
pub fn split(text: &[u8], whole: bool) -> Result<(Head, usize), String> {
    read(text, whole, false)
}

/// The header of a message of our own: nothing of it is in doubt.
pub(crate) fn own(text: &str) -> Result<(Head, usize), String> {
    read(text.as_bytes(), true, true)
}

fn read(text: &[u8], whole: bool, is_own: bool) -> Result<(Head, usize), String> {
    let mut fields: Vec<Field> = Vec::new();
    let mut lines = Lines::of(text);
    let (begin, mut begins_as_mbox) = (lines.at, false);
    let mut name = Name::default();
    let is_certain = loop {
        let before = lines;
        let Some(line) = lines.next() else {
            break true;
        };
        if lines.at == text.len() && !whole {
            let length = text.len().div_ceil(1024 * 1024);
            return Err(format!("the header is longer than {length} MiB"));
        }
        if line.is_empty() {
            // After an empty first line the header may still follow.
            break !fields.is_empty();
        }
        let is_mbox =
            lines.number == 1 && (line.starts_with(b"From ") || line.starts_with(b">From "));
        begins_as_mbox |= is_mbox;
        let goes_on = line.starts_with(b" ") || line.starts_with(b"\t") || is_blank(line);
        if let Some(last) = fields.last_mut().filter(|_| goes_on) {
            if !is_blank(line) {
                last.value.extend(b"\r\n");
                last.value.extend(spaced(line));
            }
        } else if let Some(field) = Field::of(line).filter(|_| !is_mbox) {
            fields.push(field);
        } else if !is_mbox {
            // Perhaps more addresses of that Bcc.
            if line.contains(&b'@') && fields.last().is_some_and(Field::is_bcc) {
                return Err(lines.in_doubt());
            }
            lines = before;
            break false;
        }
        let within = fields.last().filter(|_| goes_on);
        let is_somebody = within.is_some_and(Field::is_of_addresses) && names_somebody(line);
        if !is_own && name.is_bcc(line) && !is_somebody && !fields.last().is_some_and(Field::is_bcc)
        {
            return Err(lines.in_doubt());
        }
    };
    let body = match begins_as_mbox && fields.is_empty() {
        true => begin,
        false => lines.at,
    };
    // The lines up to the next empty one may belong to the header, too. Where CR ends lines, that line is one which is empty
    // without its CRs, for other readers take these for space.
    let may_go_on = fields.last().filter(|_| lines.end_in_cr);
    let may_go_on = may_go_on.is_some_and(|last| last.is_bcc() && last.awaits_more());
    let mut begun = false;
    while let Some(line) = lines.next() {
        let is_empty = match lines.end_in_cr {
            true => lines.last_is_empty_by_lf(),
            false => line.is_empty(),
        };
        if is_certain && !lines.end_in_cr || is_empty && begun {
            break;
        }
        let is_more = may_go_on && !begun && line.contains(&b'@');
        begun |= line.iter().any(u8::is_ascii_alphanumeric);
        if name.is_bcc(line) || is_more {
            return Err(lines.in_doubt());
        }
    }
    Ok((Head { fields }, body))
}

/// Whether two texts are the same address, whatever their case, with a dot at the end or in quotes that it does not need.
fn is_same(one: &str, other: &str) -> bool {
    fn bare(spec: &str) -> impl Iterator<Item = u8> {
        let bytes = spec.strip_suffix('.').unwrap_or(spec).bytes();
        let bytes = bytes.filter(|byte| !matches!(byte, b'"' | b'\\'));
        bytes.map(|byte| byte.to_ascii_lowercase())
    }
    bare(one).eq(bare(other))
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// The text after the colon; the lines of a folded value are joined by CRLF.
    value: Vec<u8>,
}

impl Field {
    fn of(line: &[u8]) -> Option<Self> {
        let (name, value) = name_and_value(line)?;
        Some(Self {
            name: String::from_utf8_lossy(name).into_owned(),
            value: spaced(value).collect(),
        })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn begins(&self, name: &str) -> bool {
        list::begins(&self.name, name)
    }

    /// Whether it holds addresses, and is not a Bcc.
    fn is_of_addresses(&self) -> bool {
        const ALL: &str = "from sender reply-to to cc resent-from resent-sender resent-reply-to resent-to resent-cc \
             errors-to return-receipt-to disposition-notification-to mail-followup-to";
        ALL.split_whitespace().any(|name| self.is(name))
    }

    fn is_bcc(&self) -> bool {
        self.is("Bcc") || self.is("Resent-Bcc")
    }

    /// Whether its list is empty so far, or ends in a comma.
    fn awaits_more(&self) -> bool {
        let value = self.value.trim_ascii();
        value.is_empty() || value.ends_with(b",")
    }

    /// Text that is not UTF-8 is read as Windows-1252, as browsers do.
    fn text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.value) {
            Ok(text) => text.into(),
            Err(_) => self.value.iter().map(|&byte| windows_1252(byte)).collect(),
        }
    }

    /// Adds the mailboxes, and an error for each element that is none.
    fn read(&self, all: &mut Vec<Mailbox>, all_wrong: &mut Vec<String>) {
        let (mailboxes, mut wrong) = list::read(&self.text());
        let is_utf8 = std::str::from_utf8(&self.value).is_ok();
        for mailbox in mailboxes {
            // The character set of a name may be guessed, but not that of an address.
            if is_utf8 || mailbox.spec.is_ascii() {
                all.push(mailbox);
            } else {
                wrong.push(format!("`{}` is not UTF-8", mailbox.spec));
            }
        }
        for what in wrong {
            all_wrong.push(format!("{}: {what}", self.name));
        }
    }

    /// The value, encoded as ASCII, except for addresses and for fields whose structure is not known here.
    fn encoded(&self) -> Cow<'_, [u8]> {
        const OTHERS: &str = "received return-path date message-id in-reply-to references resent-date resent-message-id \
             mime-version content-transfer-encoding content-id dkim-signature authentication-results";
        const OF_PARAMETERS: &str = "content-type content-disposition";
        let is_any = |names: &str| names.split_whitespace().any(|name| self.is(name));
        let column = self.name.len() + 1;
        if self.value.is_ascii() || is_any(OTHERS) {
            Cow::from(&self.value)
        } else if is_any(OF_PARAMETERS) {
            encoded_parameters(&self.text()).into_bytes().into()
        } else if self.is_of_addresses() {
            list::encoded_list(&self.text(), column).into_bytes().into()
        } else {
            list::encoded_text(&self.text(), column).into_bytes().into()
        }
    }
}

/// A list as it stands behind the name of its field.
fn value_of(mailboxes: &[Mailbox]) -> Vec<u8> {
    let written: Vec<_> = mailboxes.iter().map(Mailbox::written).collect();
    format!(" {}", written.join(",\r\n ")).into_bytes()
}

/// `name="Übersicht.pdf"` by RFC 2231, in pieces that fit a line; what is ASCII stays as it is.
fn encoded_parameters(text: &str) -> String {
    let (mut in_quotes, mut escaped) = (false, false);
    let parameters = text.split(|c| {
        let quote = c == '"' && !escaped;
        in_quotes ^= quote;
        escaped = c == '\\' && in_quotes && !escaped;
        c == ';' && !in_quotes
    });
    let encoded = parameters.map(|parameter| {
        let Some((name, value)) = parameter.split_once('=').filter(|_| !parameter.is_ascii())
        else {
            return parameter.to_owned();
        };
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').unwrap_or(quoted),
            None => value,
        };
        let value = value.replace("\\\"", "\"").replace(['\r', '\n'], "");
        let pieces = value.as_bytes().chunks(16).enumerate().map(|(n, piece)| {
            let charset = if n == 0 { "utf-8''" } else { "" };
            let piece: String = piece.iter().map(|byte| format!("%{byte:02X}")).collect();
            format!("\r\n {}*{n}*={charset}{piece}", name.trim())
        });
        pieces.collect::<Vec<_>>().join(";")
    });
    encoded.collect::<Vec<_>>().join(";")
}

/// Five bytes stand for no character, and become U+FFFD.
fn windows_1252(byte: u8) -> char {
    const FROM_80: [char; 32] = [
        '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž',
        '\u{fffd}', '\u{fffd}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ',
        '\u{fffd}', 'ž', 'Ÿ',
    ];
    let special = usize::from(byte)
        .checked_sub(0x80)
        .and_then(|at| FROM_80.get(at));
    special.copied().unwrap_or(char::from(byte))
}

/// Which author Exchange takes, and how to change another.
#[derive(Clone, Copy)]
#[allow(missing_debug_implementations)] // of closures
pub struct Author<'a> {
    /// Whose login it is.
    pub mailbox: &'a str,
    /// The addresses that the mailbox has the right to send as.
    pub send_as: &'a [String],
    /// Whether no answer reaches a domain, because only this machine or its network knows it.
    pub is_unreachable: &'a dyn Fn(&str) -> bool,
    /// The name for an address without one, made from its local part.
    pub name: &'a dyn Fn(&str) -> String,
}

impl Author<'_> {
    fn may_send_as(&self, address: &str) -> bool {
        let others = self.send_as.iter().map(String::as_str);
        std::iter::once(self.mailbox)
            .chain(others)
            .any(|own| own.eq_ignore_ascii_case(address))
    }

    fn can_be_answered(&self, address: &str) -> bool {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain);
        domain.is_some_and(|domain| domain.contains('.') && !(self.is_unreachable)(domain))
    }
}

impl Head {
    /// Adds a field at the end, where it is below what servers on the way have added.
    pub fn add(&mut self, name: &str, value: &str) {
        self.fields.push(Field {
            name: name.to_owned(),
            value: format!(" {value}").into_bytes(),
        });
    }

    /// Adds a field, unless there is one with a value.
    pub fn add_missing(&mut self, name: &str, value: &str) {
        if self.get(name).is_none() {
            self.remove(name);
            self.add(name, value);
        }
    }

    /// Takes out every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.remove_all(&|field| field.is(name));
    }

    fn remove_all(&mut self, is_one: &dyn Fn(&Field) -> bool) {
        self.fields.retain(|field| !is_one(field));
    }

    /// The first field's value, if it has one.
    pub fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let field = self.fields.iter().find(|field| field.is(name))?;
        Some(field.text()).filter(|text| !text.trim().is_empty())
    }

    /// The mailboxes in To, Cc and Bcc, or in the Resent fields of a message that somebody passed on (RFC 5322 3.6.6),
    /// without `<>`; and an error for each element that is none.
    pub fn recipients(&self) -> (Vec<Mailbox>, Vec<String>) {
        const RESENT: &[&str] = &["Resent-To", "Resent-Cc", "Resent-Bcc"];
        let names = match RESENT.iter().any(|name| self.get(name).is_some()) {
            true => RESENT,
            false => &["To", "Cc", "Bcc"],
        };
        self.mailboxes(names)
    }

    /// The mailboxes in these fields, without `<>`, and an error for each element that is none.
    fn mailboxes(&self, names: &[&str]) -> (Vec<Mailbox>, Vec<String>) {
        let (mut mailboxes, mut wrong) = (Vec::new(), Vec::new());
        for field in &self.fields {
            if names.iter().any(|name| field.is(name)) {
                field.read(&mut mailboxes, &mut wrong);
            }
        }
        mailboxes.retain(|mailbox| !mailbox.spec.is_empty());
        (mailboxes, wrong)
    }

    /// Replaces mailboxes in To and Cc by those that `others` returns for them.
    pub fn rewrite_recipients(&mut self, others: &mut dyn FnMut(&Mailbox) -> Option<Vec<Mailbox>>) {
        let names = ["To", "Cc", "Resent-To", "Resent-Cc"];
        for field in &mut self.fields {
            let (mut mailboxes, mut wrong) = (Vec::new(), Vec::new());
            field.read(&mut mailboxes, &mut wrong);
            let is_to = names.iter().any(|name| field.is(name));
            if !is_to || !wrong.is_empty() || mailboxes.iter().all(|m| others(m).is_none()) {
                continue;
            }
            let mailboxes = mailboxes
                .into_iter()
                .flat_map(|m| others(&m).unwrap_or(vec![m]));
            field.value = value_of(&mailboxes.collect::<Vec<_>>());
        }
    }

    /// Removes Bcc and Resent-Bcc, which no recipient is to see.
    pub fn remove_bcc(&mut self) {
        self.remove_all(&Field::is_bcc);
    }

    /// Makes To, Cc and Bcc name these recipients and nobody else, for a server that has no envelope.
    ///
    /// Anybody else in To or Cc is moved to X-Exosend-To, which no server reads; a recipient in neither is added to Bcc. The
    /// Resent fields are removed, since a server might read recipients from them. Fails if a list cannot be read, or if a
    /// recipient cannot be named.
    pub(crate) fn name_only(&mut self, recipients: &[String]) -> Result<(), String> {
        // Without SMTPUTF8 a header is ASCII. And a reader that decodes encoded words before it splits the list could make `=?`
        // the beginning of another address.
        let is_odd = |to: &&String| !to.is_ascii() || to.contains("=?");
        if let Some(to) = recipients.iter().find(is_odd) {
            let what = "no header field can name an address with `=?`, or that is not ASCII";
            return Err(format!("`{to}`: {what}"));
        }
        self.remove_all(&|field| field.begins("Resent-"));
        let (mut named, mut gone) = (Vec::new(), Vec::new());
        for name in &["To", "Cc"] {
            let before = named.len();
            let (mailboxes, wrong) = self.mailboxes(&[name]);
            if !wrong.is_empty() {
                return Err(wrong.join("; "));
            }
            for mut mailbox in mailboxes {
                mailbox.make_unmistakable();
                match recipients.iter().find(|to| is_same(to, &mailbox.spec)) {
                    Some(to) => {
                        mailbox.spec.clone_from(to);
                        named.push(mailbox);
                    }
                    None => gone.push(mailbox),
                }
            }
            self.put(name, named.get(before..).unwrap_or_default());
        }
        let before = named.len();
        for to in recipients {
            if named.iter().all(|mailbox| mailbox.spec != *to) {
                let (name, spec) = (String::new(), to.clone());
                named.push(Mailbox { name, spec });
            }
        }
        self.put("Bcc", named.get(before..).unwrap_or_default());
        self.put("X-Exosend-To", &gone);
        let mut from = list::author(&self.get("From").unwrap_or_default());
        if from.make_unmistakable() {
            self.put("From", &[from]);
        }
        Ok(())
    }

    /// Replaces the first field of that name by a list, and removes the others; an empty list removes all.
    fn put(&mut self, name: &str, mailboxes: &[Mailbox]) {
        let first = self.fields.iter().position(|field| field.is(name));
        self.remove(name);
        if !mailboxes.is_empty() {
            let (name, value) = (name.to_owned(), value_of(mailboxes));
            let at = first.unwrap_or(self.fields.len());
            self.fields.insert(at, Field { name, value });
        }
    }

    /// Declares the character set of the body, unless the header has a MIME field.
    pub fn declare(&mut self, charset: &str) {
        let says = |field: &Field| field.is("MIME-Version") || field.begins("Content-");
        if !self.fields.iter().any(says) {
            self.add("MIME-Version", "1.0");
            self.add("Content-Type", &format!("text/plain; charset={charset}"));
            self.add("Content-Transfer-Encoding", "8bit");
        }
    }

    /// Makes From what Exchange takes (facts.md, "After DATA"), and returns the old address if it was replaced.
    ///
    /// The name stays; the old address goes into Reply-To if there is none and if it can be answered. Signatures over the old
    /// From are removed, and so is a Sender that Exchange would refuse.
    pub fn rewrite_from(&mut self, author: &Author<'_>) -> Option<String> {
        let sender = self.get("Sender").map(|text| list::author(&text).spec);
        if sender.is_none_or(|sender| !author.may_send_as(&sender)) {
            self.remove("Sender");
        }
        let text = self.get("From").unwrap_or_default();
        let from = list::author(&text);
        let is_own = author.may_send_as(&from.spec);
        // Its character set must not be guessed, as for a recipient.
        let is_known = matches!(text, Cow::Borrowed(_)) || from.spec.is_ascii();
        // Read as a list it must be one address, too: what precedes the last `<...>` may be a comment.
        let is_one =
            matches!(list::parse(&text).as_deref(), Ok([one]) if author.may_send_as(&one.spec));
        let mut froms = self.fields.iter().filter(|field| field.is("From"));
        if is_own && is_one && (froms.next(), froms.next()).1.is_none() {
            return None;
        }
        let mut becomes = from.clone();
        if !is_own {
            if is_known && author.can_be_answered(&from.spec) {
                self.add_missing("Reply-To", &from.written());
            }
            self.remove("Sender");
            becomes.spec = author.mailbox.to_owned();
            if from.name.is_empty() {
                let (local, _) = from.spec.rsplit_once('@').unwrap_or((&from.spec, ""));
                becomes.name = Mailbox::new(&(author.name)(local.trim_matches('"')), "").name;
            }
        }
        self.put("From", &[becomes]);
        self.remove("DKIM-Signature");
        (!is_own).then_some(from.spec)
    }

    /// The header and the blank line, lines ending in CRLF.
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for field in &self.fields {
            text.extend(field.name.bytes());
            text.push(b':');
            text.extend(&*field.encoded());
            text.extend(b"\r\n");
        }
        text.extend(b"\r\n");
        text
    }
}
