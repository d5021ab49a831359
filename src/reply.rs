//! Bytes to [`Reply`]. Pure: no I/O.

use std::fmt;

use crate::text::{excerpt, printable};

/// Most text kept of one line. Exchange's `554 5.2.252 ... [BeginDiagnosticData]` is one line of over 1,500 bytes,
/// three times what RFC 5321 4.5.3.1.5 allows.
pub(crate) const MAX_LINE: usize = 16 * 1024;
/// Most text kept of one reply.
const MAX_REPLY: usize = 64 * 1024;
/// Most lines in one reply. The longest reply of real servers, that to EHLO, has about fifteen.
const MAX_LINES: usize = 512;

/// Replaces a line that repeats a secret.
pub(crate) const WITHHELD: &str = "[withheld: it repeats the token]";

/// What the server answered to one command: a code and its text.
///
/// You get one from [`Receipt::reply`](crate::Receipt::reply), [`Error::reply`](crate::Error::reply) or
/// [`Refusal::reply`](crate::Refusal::reply). The text is the server's own, with one change: control characters
/// appear as `?`, so that a reply can be printed to a terminal or a log without acting on it.
///
/// `Display` is the reply on one line:
///
/// ```
/// # fn show(reply: &exosend::Reply) {
/// println!("{reply}");        // 550 5.1.10 Recipient not found
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    lines: Vec<String>,
}

impl Reply {
    /// The three digits (RFC 5321 4.2.1), from 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code (RFC 3463), `5.1.10`, if the text begins with one of the same class.
    pub fn enhanced(&self) -> Option<&str> {
        enhanced(self.code, self.lines.first()?)
    }

    /// The text of each line after its code, the enhanced status code included.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// 4yz: the server may say yes another time.
    pub fn is_transient(&self) -> bool {
        self.class() == 4
    }

    /// 5yz: the server will say no again.
    pub fn is_permanent(&self) -> bool {
        self.class() == 5
    }

    /// The answer of another protocol, HTTP, as a reply.
    #[cfg(feature = "graph")]
    pub(crate) fn of(code: u16, line: String) -> Self {
        let lines = vec![line];
        Self { code, lines }
    }

    /// The first digit. It alone decides what happens next: "clients [...] MUST be able to handle unlisted codes"
    /// by it (RFC 5321 4.3.2).
    pub(crate) fn class(&self) -> u16 {
        self.code / 100
    }

    /// The same reply with every line that `secret` picks withheld.
    pub(crate) fn withhold(mut self, secret: impl Fn(&str) -> bool) -> Self {
        for line in &mut self.lines {
            if secret(line) {
                WITHHELD.clone_into(line);
            }
        }
        self
    }
}

/// One line: the code, then the lines' texts. The enhanced code that servers repeat on every line is shown once.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        let repeated = self.enhanced();
        for (n, line) in self.lines.iter().enumerate() {
            let text = match repeated {
                Some(code) if n > 0 => line.strip_prefix(code).unwrap_or(line).trim_start(),
                _ => line.as_str(),
            };
            if !text.is_empty() {
                write!(f, " {text}")?;
            }
        }
        Ok(())
    }
}

/// The enhanced status code that begins the text of a reply with this code.
pub(crate) fn enhanced(code: u16, text: &str) -> Option<&str> {
    let word = text.split(' ').next()?;
    let mut parts = word.split('.');
    let number = |part: Option<&str>| {
        part.filter(|p| (1..=3).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<u16>()
            .ok()
    };
    let class = number(parts.next().filter(|class| class.len() == 1))?;
    number(parts.next())?;
    number(parts.next())?;
    (parts.next().is_none() && class == code / 100 && matches!(class, 2 | 4 | 5)).then_some(word)
}

/// Why a line cannot be part of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It does not begin with a code from 200 to 599 that a space, a hyphen or nothing follows.
    Code(String),
    /// The code changed between two lines (RFC 5321 4.2.1 wants the same on each).
    Mixed(u16, u16),
    /// More than [`MAX_LINES`] lines or [`MAX_REPLY`] bytes.
    Endless,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Code(line) => write!(f, "not a reply: {line}"),
            Malformed::Mixed(first, then) => {
                write!(f, "one reply with two codes, {first} and {then}")
            }
            Malformed::Endless => write!(
                f,
                "a reply without end (over {MAX_LINES} lines or {MAX_REPLY} bytes)"
            ),
        }
    }
}

/// Puts a reply together, line by line.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    code: Option<u16>,
    lines: Vec<String>,
    kept: usize,
}

impl Parser {
    /// Takes one line without its line end; returns the reply once its last line is there. `cut`: the line was longer than
    /// what is passed. Its code counts all the same.
    pub(crate) fn push(&mut self, line: &[u8], cut: bool) -> Result<Option<Reply>, Malformed> {
        let (code, last, text) = split(line).ok_or_else(|| Malformed::Code(excerpt(line)))?;
        if let Some(first) = self.code.filter(|&first| first != code) {
            return Err(Malformed::Mixed(first, code));
        }
        self.code = Some(code);
        self.kept += line.len();
        if self.lines.len() == MAX_LINES || self.kept > MAX_REPLY {
            return Err(Malformed::Endless);
        }
        // UTF-8 where a server speaks it (RFC 6531 3.7.4.2). No reply is refused for its text: the code decides.
        let mut text = printable(&String::from_utf8_lossy(text));
        if cut {
            text.push_str(" [cut]");
        }
        self.lines.push(text);
        Ok(last.then(|| Reply {
            code,
            lines: std::mem::take(&mut self.lines),
        }))
    }
}

/// Splits a line into its code, whether it is the last line of the reply, and its text.
///
/// A bare `250` is a reply: RFC 5321 4.2 asks clients to take one without text. 1yz is not: SMTP has none, and a
/// client that waited for the next reply after it could be kept waiting. Anything but a space or a hyphen after the
/// digits (`2500`, `250.`) is another protocol. An empty line or a leading space is not skipped either: a server that sends
/// one may have lost more of its replies.
fn split(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (code, rest) = line.split_at_checked(3)?;
    if !code.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = code
        .iter()
        .fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    if !(200..=599).contains(&code) {
        return None;
    }
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Reply>, Malformed> {
        let mut parser = Parser::default();
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let reply = parser.push(line.as_bytes(), false)?;
            if reply.is_some() {
                assert!(
                    lines.peek().is_none(),
                    "{text:?} went on after its last line"
                );
                return Ok(reply);
            }
        }
        Ok(None)
    }

    fn reply(text: &str) -> Reply {
        parse(text).unwrap().unwrap()
    }

    #[test]
    fn a_reply_of_one_line() {
        let reply = reply("550 5.1.10 Recipient not found");
        assert_eq!((reply.code(), reply.enhanced()), (550, Some("5.1.10")));
        assert!(reply.is_permanent() && !reply.is_transient());
        assert_eq!(reply.to_string(), "550 5.1.10 Recipient not found");
    }

    #[test]
    fn several_lines_are_shown_as_one_without_the_repeated_code() {
        let reply = reply("421-4.7.0 Try again\n421-4.7.0 later.\n421 4.7.0 Bye");
        assert_eq!(reply.to_string(), "421 4.7.0 Try again later. Bye");
        assert_eq!(reply.lines().nth(1), Some("4.7.0 later."));
    }

    #[test]
    fn a_reply_of_a_bare_code() {
        assert_eq!(reply("250").to_string(), "250");
        assert_eq!(reply("250-\n250 ").to_string(), "250");
        assert_eq!(reply("250").enhanced(), None);
    }

    #[test]
    fn an_enhanced_code_counts_only_with_the_class_of_its_reply() {
        assert_eq!(reply("250 5.1.1 odd").enhanced(), None);
        for text in [
            "550 5.1",
            "550 5.1.1.1 x",
            "550 5.1.1000 x",
            "550 5..1 x",
            "550 05.1.1 x",
            "550 x",
        ] {
            assert_eq!(reply(text).enhanced(), None, "{text}");
        }
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(
            reply("550 \x1b[2J\x07\u{9b}red\u{202e}x\0").to_string(),
            "550 ?[2J??red?x?"
        );
    }

    #[test]
    fn too_many_or_too_long_lines_are_malformed() {
        let many = vec!["250-x"; MAX_LINES + 1].join("\n");
        assert_eq!(parse(&many), Err(Malformed::Endless));
        let long = format!("250-{}\n", "x".repeat(MAX_LINE)).repeat(4) + "250 x";
        assert_eq!(parse(&long), Err(Malformed::Endless));
    }

    #[test]
    fn a_wrong_or_mixed_code_is_malformed() {
        for line in ["199 x", "\u{0662}50 x", "+50 x"] {
            assert!(matches!(parse(line), Err(Malformed::Code(_))), "{line:?}");
        }
        assert_eq!(parse("250-a\n251 b"), Err(Malformed::Mixed(250, 251)));
    }

    /// Every line of up to six bytes over an alphabet with each byte that matters: it parses exactly if it is three
    /// digits in range with a space, a hyphen or nothing after them.
    #[test]
    fn every_short_line_parses_if_it_is_well_formed() {
        const ALPHABET: &[u8] = b"0256- .x";
        let mut lines = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..6 {
            let to = lines.len();
            for n in from..to {
                for &byte in ALPHABET {
                    let mut line = lines[n].clone();
                    line.push(byte);
                    lines.push(line);
                }
            }
            from = to;
        }
        for line in &lines {
            let text = std::str::from_utf8(line).unwrap();
            let code = text
                .get(..3)
                .filter(|c| c.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|c| c.parse().ok());
            let well_formed = code.is_some_and(|c: u16| (200..600).contains(&c))
                && matches!(line.get(3), None | Some(b' ' | b'-'));
            match Parser::default().push(line, false) {
                Ok(Some(reply)) => {
                    assert!(well_formed && line.get(3) != Some(&b'-'), "{text:?}");
                    assert_eq!(
                        (Some(reply.code()), reply.lines().next().unwrap()),
                        (code, text.get(4..).unwrap_or(""))
                    );
                }
                Ok(None) => assert!(well_formed && line.get(3) == Some(&b'-'), "{text:?}"),
                Err(_) => assert!(!well_formed, "{text:?}"),
            }
        }
        assert_eq!(lines.len(), (0..=6).map(|n| 8usize.pow(n)).sum::<usize>());
    }
}
