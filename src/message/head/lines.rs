//! The lines of a header, and which of them may name a Bcc.

/// The lines of a text, without their ends.
#[derive(Clone, Copy)]
pub(super) struct Lines<'t> {
    text: &'t [u8],
    pub(super) at: usize,
    /// The number of the line that came last, from 1 on.
    pub(super) number: usize,
    pub(super) end_in_cr: bool,
}

impl<'t> Lines<'t> {
    pub(super) fn of(text: &'t [u8]) -> Self {
        let mark = b"\xef\xbb\xbf";
        let first = text.split(|&byte| byte == b'\n').next();
        let first = first.unwrap_or_default();
        let ends_in_cr = || {
            let begin = first.iter().position(u8::is_ascii_alphanumeric)?;
            let rest = first.get(begin..)?;
            let end = rest.windows(2).position(|pair| pair == b"\r\r")?;
            rest.iter().skip(end).find(|&&byte| byte != b'\r')
        };
        Self {
            text,
            at: if text.starts_with(mark) {
                mark.len()
            } else {
                0
            },
            number: 0,
            end_in_cr: first.len() == text.len() || ends_in_cr().is_some(),
        }
    }

    pub(super) fn next(&mut self) -> Option<&'t [u8]> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = |&byte: &u8| byte == b'\n' || byte == b'\r' && self.end_in_cr;
        let (mut line, rest) = rest.split_at(rest.iter().position(end).unwrap_or(rest.len()));
        self.at += line.len()
            + match rest {
                [b'\r', b'\n', ..] => 2,
                [] => 0,
                _ => 1,
            };
        while let (Some((b'\r', before)), false) = (line.split_last(), self.end_in_cr) {
            line = before;
        }
        self.number += 1;
        Some(line)
    }

    /// Whether the line that came last is empty if only LF ends lines.
    pub(super) fn last_is_empty_by_lf(&self) -> bool {
        let read = self.text.get(..self.at).unwrap_or_default();
        let mut ends = read.iter().rev().filter(|&&byte| byte != b'\r');
        read.ends_with(b"\n") && ends.nth(1) == Some(&b'\n')
    }

    pub(super) fn in_doubt(&self) -> String {
        let what = "begin each field in the first column, and end the header with an empty line";
        format!("line {}: a Bcc, or not? {what}", self.number)
    }
}

const BCC: [&[u8]; 2] = [b"bcc", b"resentbcc"];

/// The beginning of a field's name, if a line break has cut it in two.
#[derive(Default)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// Whether the next line names a Bcc, even a damaged one: cut in two, with a CR within or before it, with other
    /// characters between its letters, without a colon.
    pub(super) fn is_bcc(&mut self, line: &[u8]) -> bool {
        // The line as we would write it is examined, too.
        let written: Vec<u8> = match name_and_value(line) {
            Some((name, value)) => name
                .iter()
                .copied()
                .chain([b':'])
                .chain(spaced(value))
                .collect(),
            None => spaced(line).collect(),
        };
        let is_folded = self.0.first().is_some_and(u8::is_ascii_whitespace);
        let joined = match is_folded && name_and_value(line).is_some() {
            // The line before belongs to another field. Its end may be the beginning of this one's name, but no address of it follows here.
            true => names_field,
            false => names_bcc,
        };
        let mut is_bcc = names_bcc(&written) || joined(&[&self.0, &*written].concat());
        for piece in line.split(|&byte| byte == b'\r') {
            let whole = [&self.0, piece].concat();
            let begins = |text: &&[u8]| {
                let letters = letters(text);
                text.len() < 64
                    && !letters.is_empty()
                    && !text.contains(&b':')
                    && BCC.iter().any(|name| name.starts_with(&letters))
            };
            is_bcc |= joined(&whole) || names_bcc(piece);
            self.0 = [&whole, piece]
                .into_iter()
                .find(begins)
                .unwrap_or_default()
                .to_vec();
        }
        is_bcc
    }
}

/// Whether the letters before a colon are a Bcc.
fn names_field(line: &[u8]) -> bool {
    let mut name = Vec::new();
    for byte in line.iter().map(u8::to_ascii_lowercase) {
        match byte {
            b':' if BCC.contains(&&*name) => return true,
            b'a'..=b'z' if name.len() < 16 => name.push(byte),
            b'a'..=b'z' => break,
            _ => {}
        }
    }
    false
}

fn names_bcc(line: &[u8]) -> bool {
    if names_field(line) {
        return true;
    }
    // Without a colon, or with one from another keyboard: `Bcc ann@example.com`, `Bcc=ann@example.com`.
    let line = line.trim_ascii_start();
    let word = line.split(u8::is_ascii_whitespace).next();
    // Not `bcc@example.com`, the address of some programs that keep copies.
    let begin = line.split(|byte| !byte.is_ascii_alphabetic() && *byte != b'-');
    let begin = begin
        .take(1)
        .find(|begin| line.get(begin.len()) != Some(&b'@'));
    let mut first = [word, begin].into_iter().flatten();
    line.contains(&b'@') && first.any(|word| BCC.contains(&&*letters(word)))
}

/// Whether a line of a list begins with a name, which is no Bcc: `BCC Research <info@bcc.example>`.
pub(super) fn names_somebody(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let before = line.split(|&byte| byte == b'<').next().unwrap_or_default();
    let mut words = before.split(u8::is_ascii_whitespace);
    let is_word = |word: &[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_alphabetic);
    before.len() < line.len()
        && words.next().is_some_and(is_word)
        && words.next().is_some_and(is_word)
        && !line.contains(&b':')
        && !before.contains(&b'@')
}

/// The letters in lower case, as many as can matter.
fn letters(text: &[u8]) -> Vec<u8> {
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic());
    letters.take(16).map(u8::to_ascii_lowercase).collect()
}

/// The two parts of a field (RFC 5322 2.2, 4.5): a name of printable characters, perhaps space and a colon; then the value.
pub(super) fn name_and_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    let is_name = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    Some((name, line.get(colon + 1..)?)).filter(|_| is_name)
}

pub(super) fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The line with a space for each CR.
pub(super) fn spaced(line: &[u8]) -> impl Iterator<Item = u8> {
    line.iter()
        .map(|&byte| if byte == b'\r' { b' ' } else { byte })
}
