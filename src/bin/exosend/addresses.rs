//! A list of addresses, as people and programs write them (RFC 5322 3.4, obsolete forms too). Pure.
//!
//! Lenient where the meaning is clear, and an error where it is not: no recipient is guessed. Names are left alone,
//! encoded words and bytes of any character set included. Whether an address is one is for the library to judge.

use std::ops::Range;

/// One mailbox of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    /// The address, without comments and spaces. Empty for `<>`.
    pub(crate) spec: String,
    /// Where the address stands in the list.
    pub(crate) address: Range<usize>,
    /// Where the mailbox stands, its name and comments included.
    pub(crate) whole: Range<usize>,
}

/// The mailboxes of a list, groups dissolved. A semicolon separates as a comma does: so writes Outlook.
pub(crate) fn parse(list: &[u8]) -> Result<Vec<Mailbox>, String> {
    let mut found = Vec::new();
    let mut element = Element::default();
    let mut at = 0;
    while let Some(&byte) = list.get(at) {
        let end = match byte {
            b'"' => past(list, at, b'"', "a quote")?,
            b'(' => past(list, at, b')', "a comment")?,
            b'[' => past(list, at, b']', "a `[`")?,
            b'<' => past(list, at, b'>', "a `<`")?,
            _ => at + 1,
        };
        let token = list.get(at..end).unwrap_or_default();
        match byte {
            b',' | b';' => found.extend(std::mem::take(&mut element).finish()?),
            // The name of a group. Behind an address it is what the library will refuse.
            b':' if element.angle.is_none() => element = Element::default(),
            b' ' | b'\t' | b'\r' | b'\n' => element.gap = true,
            b'(' => element.comment(at..end),
            b'<' => element.angle(token, at..end)?,
            _ => element.word(token, at..end)?,
        }
        at = end;
    }
    found.extend(element.finish()?);
    Ok(found)
}

/// The address of a mailbox as somebody writes it; the text itself where it is not just one.
pub(crate) fn spec_of(written: &str) -> String {
    match parse(written.as_bytes()).as_deref() {
        Ok([mailbox]) => mailbox.spec.clone(),
        _ => written.to_owned(),
    }
}

/// The end of what begins at `at`: a quoted string, a comment, which may hold comments, a domain literal, or an address
/// in angle brackets, which may hold quoted strings and comments.
fn past(list: &[u8], at: usize, close: u8, what: &str) -> Result<usize, String> {
    let mut open = vec![close];
    let mut bytes = list.iter().enumerate().skip(at + 1);
    while let (Some(&close), Some((here, &byte))) = (open.last(), bytes.next()) {
        match byte {
            b'\\' if close != b'>' => drop(bytes.next()),
            byte if byte == close => {
                open.pop();
                if open.is_empty() {
                    return Ok(here + 1);
                }
            }
            b'(' if close == b')' || close == b'>' => open.push(b')'),
            b'"' if close == b'>' => open.push(b'"'),
            _ => {}
        }
    }
    Err(format!("{what} is not closed"))
}

const TWO: &str = "two addresses without a comma between them";

/// What stands between two commas.
#[derive(Default)]
struct Element {
    /// The words, one space where there was space or a comment, but none beside `@` and `.` (obsolete, but written).
    text: Vec<u8>,
    gap: bool,
    words: Option<Range<usize>>,
    angle: Option<(Vec<u8>, Range<usize>)>,
    whole: Option<Range<usize>>,
}

impl Element {
    fn word(&mut self, token: &[u8], at: Range<usize>) -> Result<(), String> {
        if self.angle.is_some() && token == b"@" {
            return Err(TWO.into());
        }
        let joins = |byte: Option<&u8>| matches!(byte, Some(b'@' | b'.'));
        if self.gap && !self.text.is_empty() && !joins(self.text.last()) && !joins(token.first()) {
            self.text.push(b' ');
        }
        self.text.extend(token);
        self.gap = false;
        extend(&mut self.words, &at);
        extend(&mut self.whole, &at);
        Ok(())
    }

    fn comment(&mut self, at: Range<usize>) {
        self.gap = true;
        extend(&mut self.whole, &at);
    }

    fn angle(&mut self, token: &[u8], at: Range<usize>) -> Result<(), String> {
        let inside = at.start + 1..at.end - 1;
        let spec = plain(token.get(1..token.len() - 1).unwrap_or_default())?;
        // A route, `<@a,@b:ann@example.com>`, has meant nothing since 2001 (RFC 5322 4.4).
        let route = spec.iter().position(|&byte| byte == b':');
        let spec = match (spec.first(), route) {
            (Some(b'@'), Some(end)) => spec.get(end + 1..).unwrap_or_default().to_vec(),
            _ => spec,
        };
        if self.angle.replace((spec, inside)).is_some() {
            return Err(TWO.into());
        }
        extend(&mut self.whole, &at);
        Ok(())
    }

    fn finish(self) -> Result<Option<Mailbox>, String> {
        let (spec, address) = match (self.angle, self.words) {
            (Some(angle), _) => angle,
            (None, Some(words)) => (self.text, words),
            (None, None) => return Ok(None),
        };
        let mut spec = String::from_utf8(spec).map_err(|_| "an address that is not UTF-8")?;
        // A line may be folded within quotes too; the break means nothing (RFC 5322 3.2.4).
        spec.retain(|c| !matches!(c, '\r' | '\n'));
        let whole = self.whole.unwrap_or_else(|| address.clone());
        Ok(Some(Mailbox {
            spec,
            address,
            whole,
        }))
    }
}

fn extend(range: &mut Option<Range<usize>>, by: &Range<usize>) {
    let start = range.as_ref().map_or(by.start, |range| range.start);
    *range = Some(start..by.end);
}

/// What stands in angle brackets, without comments and without space outside quotes.
fn plain(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut plain = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let end = match byte {
            b'"' => past(text, at, b'"', "a quote")?,
            b'(' => past(text, at, b')', "a comment")?,
            _ => at + 1,
        };
        if !matches!(byte, b'(' | b' ' | b'\t' | b'\r' | b'\n') {
            plain.extend(text.get(at..end).unwrap_or_default());
        }
        at = end;
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(list: &str) -> Vec<String> {
        let mailboxes = parse(list.as_bytes()).unwrap_or_else(|e| panic!("{list}: {e}"));
        mailboxes.into_iter().map(|m| m.spec).collect()
    }

    #[test]
    fn what_people_and_programs_write() {
        for (list, expected) in [
            ("", &[][..]),
            (" , ;", &[]),
            ("ann@example.com", &["ann@example.com"]),
            ("root", &["root"]),
            ("\"an\r\n n\"@x.org", &["\"an n\"@x.org"]),
            (
                "ann@x.org,bob@x.org; <cid@x.org>",
                &["ann@x.org", "bob@x.org", "cid@x.org"],
            ),
            ("Ann Other <ann@x.org>", &["ann@x.org"]),
            ("\"Other, Ann <not@this>\" <ann@x.org>", &["ann@x.org"]),
            (
                "\"a \\\" b\" <ann@x.org>, bob@x.org",
                &["ann@x.org", "bob@x.org"],
            ),
            ("ann@x.org (Ann, (really) \\) Other)", &["ann@x.org"]),
            ("(c) ann (c) @ (c) x . org (c)", &["ann@x.org"]),
            (
                "Ann\r\n <ann@x.org>,\r\n\tbob@x.org",
                &["ann@x.org", "bob@x.org"],
            ),
            ("=?utf-8?q?J=C3=B6rg=2C?= <j@x.org>", &["j@x.org"]),
            (
                "Friends: ann@x.org, Bob <bob@x.org>; cid@x.org",
                &["ann@x.org", "bob@x.org", "cid@x.org"],
            ),
            ("undisclosed-recipients:;", &[]),
            ("\"a b@c,\"@x.org", &["\"a b@c,\"@x.org"]),
            (
                "ann@[IPv6:2001:db8::1], b@[192.0.2.7]",
                &["ann@[IPv6:2001:db8::1]", "b@[192.0.2.7]"],
            ),
            ("<@a.org,@b.org:ann@x.org>", &["ann@x.org"]),
            ("Ann < ann (her) @x.org >", &["ann@x.org"]),
            ("<>", &[""]),
            (
                "j\u{f6}rg@b\u{fc}cher.example",
                &["j\u{f6}rg@b\u{fc}cher.example"],
            ),
            // No address, and left to be refused as that.
            ("ann bob", &["ann bob"]),
        ] {
            assert_eq!(specs(list), expected, "{list}");
        }
        assert_eq!(parse(b"J\xf6rg <j@x.org>").unwrap()[0].spec, "j@x.org");
    }

    #[test]
    fn what_could_mean_somebody_else_is_an_error() {
        for list in [
            "\"ann <ann@x.org>, bob@x.org",
            "ann@x.org (bob@x.org",
            "Ann <ann@x.org, bob@x.org",
            "Ann <\"ann@x.org>",
            "ann@[192.0.2.7",
            "<ann@x.org> <bob@x.org>",
        ] {
            assert!(parse(list.as_bytes()).is_err(), "{list}");
        }
        assert!(parse(b"j\xf6rg@x.org").is_err());
    }

    #[test]
    fn a_mailbox_knows_where_it_stands() {
        let list = b" Ann <ann@x.org> (hers) , bob@x.org (Bob)";
        let mailboxes = parse(list).unwrap();
        let texts = |m: &Mailbox| [m.address.clone(), m.whole.clone()].map(|r| &list[r]);
        assert_eq!(
            texts(&mailboxes[0]),
            [&b"ann@x.org"[..], b"Ann <ann@x.org> (hers)"]
        );
        assert_eq!(
            texts(&mailboxes[1]),
            [&b"bob@x.org"[..], b"bob@x.org (Bob)"]
        );
    }

    /// Every text of up to six of the bytes that mean something.
    #[test]
    fn no_text_is_too_strange() {
        let bytes = *b"<>(\"\\, :a@";
        let mut texts = vec![Vec::new()];
        for _ in 0..5 {
            texts = texts
                .iter()
                .flat_map(|text: &Vec<u8>| bytes.map(|byte| [text.as_slice(), &[byte]].concat()))
                .collect();
            for text in &texts {
                for mailbox in parse(text).unwrap_or_default() {
                    assert!(mailbox.whole.end <= text.len());
                    assert!(mailbox.whole.start <= mailbox.address.start);
                    assert!(mailbox.address.end <= mailbox.whole.end);
                }
            }
        }
    }
}
