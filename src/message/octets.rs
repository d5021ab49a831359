//! The length of a text as it is sent, and its character set, found piece by piece. Pure.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

use memchr::memchr2_iter;

/// What the bytes of a text are, the narrowest set first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bytes {
    #[default]
    Ascii,
    Utf8,
    Others,
}

impl Bytes {
    /// The name of the character set; Windows-1252 for what is not UTF-8, `None` for ASCII, which needs no name.
    pub fn charset(self) -> Option<&'static str> {
        match self {
            Self::Ascii => None,
            Self::Utf8 => Some("utf-8"),
            Self::Others => Some("windows-1252"),
        }
    }
}

/// Finds the `Bytes` of a text, piece by piece.
#[derive(Debug, Default)]
pub struct Charset {
    bytes: Bytes,
    /// The beginning of a character whose other bytes are still to come.
    begun: Vec<u8>,
}

impl Charset {
    /// Takes note of the next piece.
    pub fn feed(&mut self, text: &[u8]) {
        if self.begun.is_empty() && text.is_ascii() || self.bytes == Bytes::Others {
            return;
        }
        let text = [&self.begun, text].concat();
        self.bytes = Bytes::Utf8;
        self.begun.clear();
        match std::str::from_utf8(&text) {
            Ok(_) => {}
            Err(error) if error.error_len().is_none() => {
                self.begun
                    .extend(text.get(error.valid_up_to()..).unwrap_or_default());
            }
            Err(_) => self.bytes = Bytes::Others,
        }
    }

    /// What the bytes of the whole text are.
    pub fn end(&self) -> Bytes {
        if self.begun.is_empty() {
            self.bytes
        } else {
            Bytes::Others
        }
    }
}

/// Counts a text as it will be sent: CRLF for any line end, and one at the end of the last line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Length {
    bytes: u64,
    last: Option<u8>,
}

impl Length {
    /// A counter for what comes after a text, that text not counted.
    pub fn behind(text: &[u8]) -> Self {
        Self {
            bytes: 0,
            last: text.last().copied(),
        }
    }

    /// Counts the next piece.
    pub fn feed(&mut self, text: &[u8]) {
        let Some(&last) = text.last() else { return };
        let (mut marks, mut ends) = (0, 0);
        for at in memchr2_iter(b'\r', b'\n', text) {
            let before = match at {
                0 => self.last,
                _ => text.get(at - 1).copied(),
            };
            let second_half = text.get(at) == Some(&b'\n') && before == Some(b'\r');
            marks += 1;
            ends += u64::from(!second_half);
        }
        self.bytes += text.len() as u64 - marks + 2 * ends;
        self.last = Some(last);
    }

    /// The length of this text and of the one that follows it, if any.
    pub fn with(&self, rest: Option<&Self>) -> u64 {
        match rest {
            Some(rest) => self.bytes + rest.finish(),
            None => self.finish(),
        }
    }

    fn finish(&self) -> u64 {
        match self.last {
            None | Some(b'\r' | b'\n') => self.bytes,
            _ => self.bytes + 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library makes of a text, by the rule it documents.
    fn as_sent(text: &[u8]) -> usize {
        let text = String::from_utf8_lossy(text).replace("\r\n", "\n");
        let lines = text.split_terminator(['\r', '\n']);
        lines.map(|line| line.len() + 2).sum()
    }

    #[test]
    fn the_length_is_the_one_that_is_sent_wherever_the_text_is_cut() {
        let mut texts = vec![Vec::new()];
        for _ in 0..6 {
            texts = texts
                .iter()
                .flat_map(|text: &Vec<u8>| {
                    [b'a', b'\r', b'\n'].map(|b| [text.as_slice(), &[b]].concat())
                })
                .collect();
            for text in &texts {
                for cut in 0..=text.len() {
                    let mut length = Length::default();
                    length.feed(&text[..cut]);
                    let mut rest = Length::behind(&text[..cut]);
                    rest.feed(&text[cut..]);
                    let total = length.with(Some(&rest));
                    assert_eq!(total, as_sent(text) as u64, "{text:?} at {cut}");
                }
            }
        }
    }
}
