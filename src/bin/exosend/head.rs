//! The header of a message that somebody else wrote: taken apart, mended, and put together again. Pure.

use crate::addresses::{self, Mailbox};

/// The fields, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: String,
    /// What stands behind the colon, lines of a folded value joined by CRLF.
    value: Vec<u8>,
}

impl Field {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// Takes the header off a text, and says where the body begins. `None` if the header goes on behind the text, of which
/// there is more unless it is `whole`.
///
/// Mended on the way: any line ends, the `From ` line of an mbox file, lines of nothing but space within the header, a
/// space before a colon, and the missing blank line: what is no field begins the body.
pub(crate) fn split(text: &[u8], whole: bool) -> Option<(Head, usize)> {
    let mut head = Head::default();
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        if rest.is_empty() {
            return whole.then_some((head, at));
        }
        let (line, next) = first_line(rest);
        if next == rest.len() && !whole {
            return None;
        }
        let folded = line.starts_with(b" ") || line.starts_with(b"\t");
        if line.is_empty() {
            return Some((head, at + next));
        } else if at == 0 && (line.starts_with(b"From ") || line.starts_with(b">From ")) {
            // mbox
        } else if line.iter().all(u8::is_ascii_whitespace) && !head.fields.is_empty() {
            // To end the header here would send the Bcc behind it to everybody.
        } else if let (true, Some(last)) = (folded, head.fields.last_mut()) {
            last.value.extend(b"\r\n");
            last.value.extend(line);
        } else if let Some(field) = field(line) {
            head.fields.push(field);
        } else {
            return Some((head, at));
        }
        at += next;
    }
}

/// A line without its end, and where the next one begins. CR alone ends a line too: the library sends it as one.
fn first_line(text: &[u8]) -> (&[u8], usize) {
    let end = text
        .iter()
        .position(|&byte| byte == b'\r' || byte == b'\n')
        .unwrap_or(text.len());
    let (line, rest) = text.split_at(end);
    let length = match rest {
        [b'\r', b'\n', ..] => 2,
        [] => 0,
        _ => 1,
    };
    (line, end + length)
}

/// RFC 5322 2.2 and 4.5: a name of printable characters, perhaps a space, a colon.
fn field(line: &[u8]) -> Option<Field> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    Some(Field {
        name: String::from_utf8_lossy(name).into_owned(),
        value: line.get(colon + 1..)?.to_vec(),
    })
}

/// Who may stand in From.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Author<'a> {
    pub(crate) mailbox: &'a str,
    /// The addresses that the mailbox has the right to send as.
    pub(crate) send_as: &'a [String],
    /// The machine's own name: nobody can answer to an address there.
    pub(crate) host: &'a str,
}

impl Author<'_> {
    fn may_send_as(&self, address: &str) -> bool {
        let others = self.send_as.iter().map(String::as_str);
        std::iter::once(self.mailbox)
            .chain(others)
            .any(|own| own.eq_ignore_ascii_case(address))
    }

    /// Whether an answer to this address can arrive.
    fn can_be_answered(&self, address: &str) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else {
            return false;
        };
        let domain = domain.to_ascii_lowercase();
        let host = self.host.to_ascii_lowercase();
        // `web1` is `web1.contoso.com` to programs that ask the resolver.
        let own = !host.is_empty() && (domain == host || domain.starts_with(&format!("{host}.")));
        let local = [".local", ".localdomain", ".internal", ".localhost"];
        domain.contains('.') && !own && !local.iter().any(|end| domain.ends_with(end))
    }
}

impl Head {
    /// Adds a field at the end, where it is below what servers on the way have added.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.fields.push(Field {
            name: name.to_owned(),
            value: value.into(),
        });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.fields.retain(|field| !field.is(name));
    }

    /// The first field's value.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        let field = self.fields.iter().find(|field| field.is(name))?;
        Some(field.value.trim_ascii())
    }

    /// Puts another address into the first mailbox of a field.
    pub(crate) fn replace_address(&mut self, name: &str, address: &str) {
        let Some(field) = self.fields.iter_mut().find(|field| field.is(name)) else {
            return;
        };
        if let Ok([first, ..]) = addresses::parse(&field.value).as_deref() {
            let renamed = renamed(&field.value, first, address);
            field.value = [b" ", renamed.as_slice()].concat();
        }
    }

    /// The addresses in To, Cc and Bcc; of a message that somebody passed on, those in the Resent fields instead (RFC
    /// 5322 3.6.6).
    pub(crate) fn recipients(&self) -> Result<Vec<String>, String> {
        let resent = ["Resent-To", "Resent-Cc", "Resent-Bcc"];
        let names = match resent.iter().any(|name| self.get(name).is_some()) {
            true => resent,
            false => ["To", "Cc", "Bcc"],
        };
        let mut recipients = Vec::new();
        for field in &self.fields {
            if names.iter().any(|name| field.is(name)) {
                let mailboxes = addresses::parse(&field.value)
                    .map_err(|what| format!("{}: {what}", field.name))?;
                // `<>` is nobody.
                let specs = mailboxes.into_iter().map(|mailbox| mailbox.spec);
                recipients.extend(specs.filter(|spec| !spec.is_empty()));
            }
        }
        Ok(recipients)
    }

    /// Takes out what no recipient is to see.
    pub(crate) fn remove_bcc(&mut self) {
        self.remove("Bcc");
        self.remove("Resent-Bcc");
    }

    /// Makes From what Exchange takes (facts.md, "After DATA"), and returns the address that stood there if it was
    /// another.
    ///
    /// The name stays, the address goes into Reply-To if there is none and if it can be answered. Signatures over the old
    /// From go with it, and so does a Sender that Exchange would refuse.
    pub(crate) fn rewrite_from(&mut self, author: &Author<'_>) -> Option<String> {
        let sender = self.get("Sender").map(addresses::parse);
        let strange = |sender: Result<Vec<Mailbox>, _>| match sender.as_deref() {
            Ok([sender]) => !author.may_send_as(&sender.spec),
            _ => true,
        };
        if sender.is_some_and(strange) {
            self.remove("Sender");
        }
        let value = self.get("From").unwrap_or_default().to_vec();
        let first = addresses::parse(&value).ok().and_then(|mut mailboxes| {
            let several = mailboxes.len() > 1;
            (!mailboxes.is_empty()).then(|| (mailboxes.swap_remove(0), several))
        });
        let piece = |range: std::ops::Range<usize>| value.get(range).unwrap_or_default();
        let (from, was) = match first {
            Some((first, several)) if author.may_send_as(&first.spec) => {
                let twice = self.fields.iter().filter(|field| field.is("From")).count() > 1;
                if !several && !twice {
                    return None;
                }
                (piece(first.whole).to_vec(), None)
            }
            Some((first, _)) => {
                let unset = self.get("Reply-To").is_none_or(<[u8]>::is_empty);
                if unset && author.can_be_answered(&first.spec) {
                    self.remove("Reply-To");
                    let reply_to = [b" ", piece(first.whole.clone())].concat();
                    self.add("Reply-To", reply_to);
                }
                (renamed(&value, &first, author.mailbox), Some(first.spec))
            }
            None => (author.mailbox.as_bytes().to_vec(), Some(String::new())),
        };
        let place = self.fields.iter().position(|field| field.is("From"));
        if let Some(field) = place.and_then(|place| self.fields.get_mut(place)) {
            field.value = [b" ", from.as_slice()].concat();
        }
        let mut seen = false;
        self.fields
            .retain(|field| !field.is("From") || !std::mem::replace(&mut seen, true));
        self.remove("DKIM-Signature");
        if was.is_some() {
            self.remove("Sender");
        }
        was
    }

    /// The header and the blank line, lines ending in CRLF.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for field in &self.fields {
            text.extend(field.name.bytes());
            text.push(b':');
            text.extend(&field.value);
            text.extend(b"\r\n");
        }
        text.extend(b"\r\n");
        text
    }
}

/// A mailbox with another address.
fn renamed(list: &[u8], mailbox: &Mailbox, address: &str) -> Vec<u8> {
    let piece = |range: std::ops::Range<usize>| list.get(range).unwrap_or_default();
    let before = piece(mailbox.whole.start..mailbox.address.start);
    let after = piece(mailbox.address.end..mailbox.whole.end);
    if after.first() == Some(&b'>') {
        return [before, address.as_bytes(), after].concat();
    }
    // Words without an address, as in `From: Nightly Backup`, are a name, and so is a comment, as in cron's
    // `root (Cron Daemon)`.
    let name = match mailbox.spec.contains(' ') && !mailbox.spec.contains(['@', '"']) {
        true => piece(mailbox.whole.clone()).to_vec(),
        false => comment(after)
            .or(comment(before))
            .map_or_else(Vec::new, phrase),
    };
    match name.is_empty() {
        true => address.as_bytes().to_vec(),
        false => [&name, &b" <"[..], address.as_bytes(), b">"].concat(),
    }
}

/// What stands in parentheses, all of it if there are several.
fn comment(text: &[u8]) -> Option<&[u8]> {
    let start = text.iter().position(|&byte| byte == b'(')? + 1;
    let end = text.iter().rposition(|&byte| byte == b')')?;
    text.get(start..end)
}

/// Words as a name: in quotes if a byte among them would mean something outside. Encoded words must have none.
fn phrase(words: &[u8]) -> Vec<u8> {
    let words = words.trim_ascii();
    let means_nothing = |byte: &u8| match byte {
        b' ' | b'\t' | b'\r' | b'\n' => true,
        byte => byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(byte),
    };
    if words.iter().all(means_nothing) {
        return words.to_vec();
    }
    let mut quoted = vec![b'"'];
    let mut escaped = false;
    for &byte in words {
        if byte == b'"' && !escaped {
            quoted.push(b'\\');
        }
        quoted.push(byte);
        escaped = byte == b'\\' && !escaped;
    }
    // The comment's last backslash escaped a space that is gone now; here it would escape the quote.
    if escaped {
        quoted.pop();
    }
    quoted.push(b'"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        split(text.as_bytes(), true).unwrap().0
    }

    fn text(head: &Head) -> String {
        String::from_utf8(head.text()).unwrap()
    }

    #[test]
    fn a_header_ends_where_it_ends() {
        for (message, header, body) in [
            (
                "To: a\nSubject: b\n\nhello\n",
                "To: a\r\nSubject: b\r\n\r\n",
                "hello\n",
            ),
            (
                "To: a\r\nSubject: b\r\n c\r\n\r\nhello",
                "To: a\r\nSubject: b\r\n c\r\n\r\n",
                "hello",
            ),
            ("From root Tue Nov 24\nTo: a\n\n", "To: a\r\n\r\n", ""),
            ("To: a\nhello there\n", "To: a\r\n\r\n", "hello there\n"),
            ("To: a", "To: a\r\n\r\n", ""),
            ("To : a\n  \nCc: b\n\nx", "To: a\r\nCc: b\r\n\r\n", "x"),
            // CR alone is a line end on the wire, so it is one here: nothing hides behind it.
            ("To: a\rBcc: b\r\rx", "To: a\r\nBcc: b\r\n\r\n", "x"),
            ("hello\n", "\r\n", "hello\n"),
            ("\nTo: a\n", "\r\n", "To: a\n"),
            ("  hello\n", "\r\n", "  hello\n"),
            ("", "\r\n", ""),
            (
                "To: a\n\u{e9}t\u{e9}: b\n",
                "To: a\r\n\r\n",
                "\u{e9}t\u{e9}: b\n",
            ),
        ] {
            let (head, at) = split(message.as_bytes(), true).unwrap();
            assert_eq!(
                (text(&head).as_str(), &message[at..]),
                (header, body),
                "{message:?}"
            );
        }
    }

    #[test]
    fn a_header_that_goes_on_is_none_yet() {
        let message = "From x\nTo: a\r\nCc: b\r\n\r\nhello";
        let end = message.find("hello").unwrap();
        for cut in 0..=message.len() {
            let split = split(&message.as_bytes()[..cut], false);
            // The blank line could be a CR whose LF is to come; then it is not known yet where the body begins.
            assert_eq!(split.is_some(), cut > end, "{cut}");
        }
    }

    #[test]
    fn recipients() {
        let mut head =
            head("To: Ann <ann@x.org>,\n bob@x.org\nBcc: eve@x.org\nCC: G: cid@x.org;\n\n");
        let expected = ["ann@x.org", "bob@x.org", "eve@x.org", "cid@x.org"];
        assert_eq!(head.recipients().unwrap(), expected);
        head.remove_bcc();
        assert!(!text(&head).contains("eve"));
        head.add("Resent-To", " dan@x.org");
        assert_eq!(head.recipients().unwrap(), ["dan@x.org"]);
        let error = self::head("To: \"ann\n\n").recipients().unwrap_err();
        assert_eq!(error, "To: a quote is not closed");
    }

    fn rewritten(message: &str) -> (String, Option<String>) {
        let author = Author {
            mailbox: "robot@contoso.com",
            send_as: &["Ops@contoso.com".into()],
            host: "web1",
        };
        let mut head = head(message);
        let was = head.rewrite_from(&author);
        (text(&head).replace("\r\n", "|"), was)
    }

    #[test]
    fn from_becomes_what_exchange_takes() {
        for (message, expected, was) in [
            // What it takes stays, byte for byte.
            (
                "From: Robot <ROBOT@contoso.com>\nSender: robot@contoso.com\nDKIM-Signature: x\n",
                "From: Robot <ROBOT@contoso.com>|Sender: robot@contoso.com|DKIM-Signature: x||",
                None,
            ),
            (
                "From: ops@contoso.com\nSender: root@web1\n",
                "From: ops@contoso.com||",
                None,
            ),
            (
                "From: robot@contoso.com, ann@x.org\n",
                "From: robot@contoso.com||",
                None,
            ),
            (
                "From: robot@contoso.com\nFrom: ann@x.org\n",
                "From: robot@contoso.com||",
                None,
            ),
            // The name stays, the address becomes Reply-To.
            (
                "From: =?utf-8?q?J=C3=B6rg?= <j@x.org>\nSender: a@b\nDKIM-Signature: v=1;\n b=x\nTo: a\n",
                "From: =?utf-8?q?J=C3=B6rg?= <robot@contoso.com>|To: a|Reply-To: =?utf-8?q?J=C3=B6rg?= <j@x.org>||",
                Some("j@x.org"),
            ),
            (
                "From: \"Other,\n Ann\" <ann@x.org>, bob@x.org\nReply-To: c@x.org\n",
                "From: \"Other,| Ann\" <robot@contoso.com>|Reply-To: c@x.org||",
                Some("ann@x.org"),
            ),
            (
                "From: ann@x.org (Ann)\n",
                "From: Ann <robot@contoso.com>|Reply-To: ann@x.org (Ann)||",
                Some("ann@x.org"),
            ),
            // Nobody can answer these.
            (
                "From: root (Cron Daemon)\n",
                "From: Cron Daemon <robot@contoso.com>||",
                Some("root"),
            ),
            (
                "From: \"(Cron Daemon)\" <root>\n",
                "From: \"(Cron Daemon)\" <robot@contoso.com>||",
                Some("root"),
            ),
            (
                "From: www-data <www-data@web1>\n",
                "From: www-data <robot@contoso.com>||",
                Some("www-data@web1"),
            ),
            (
                "From: w@WEB1.contoso.com\n",
                "From: robot@contoso.com||",
                Some("w@WEB1.contoso.com"),
            ),
            (
                "From: root@localhost\n",
                "From: robot@contoso.com||",
                Some("root@localhost"),
            ),
            (
                "From: r@a.local\n",
                "From: robot@contoso.com||",
                Some("r@a.local"),
            ),
            (
                "From: r@localhost.localdomain\n",
                "From: robot@contoso.com||",
                Some("r@localhost.localdomain"),
            ),
            (
                "From: r@vm.internal\n",
                "From: robot@contoso.com||",
                Some("r@vm.internal"),
            ),
            (
                "From: (a.b \"c\" \\) (d)) root\n",
                "From: \"a.b \\\"c\\\" \\) (d)\" <robot@contoso.com>||",
                Some("root"),
            ),
            (
                "From: root (=?utf-8?q?J=C3=B6rg?=)\n",
                "From: =?utf-8?q?J=C3=B6rg?= <robot@contoso.com>||",
                Some("root"),
            ),
            // No address at all.
            (
                "From: Nightly Backup\n",
                "From: Nightly Backup <robot@contoso.com>||",
                Some("Nightly Backup"),
            ),
            ("From:\n", "From: robot@contoso.com||", Some("")),
            ("From: <>\n", "From: <robot@contoso.com>||", Some("")),
            (
                "From: \"Ann <ann@x.org>\n",
                "From: robot@contoso.com||",
                Some(""),
            ),
        ] {
            let (head, address) = rewritten(&format!("{message}\n"));
            assert_eq!(
                (head.as_str(), address.as_deref()),
                (expected, was),
                "{message}"
            );
        }
    }
}
