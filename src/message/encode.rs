//! Transfer encodings (RFC 2045), streamed.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::flow::Sink;

/// RFC 5322 2.1.1.
const LONGEST_LINE: usize = 998;

/// Characters of one line of base64 (RFC 2045 6.8), and the bytes they stand for.
const ENCODED_LINE: usize = 76;
const LINE: usize = 57;

/// Lines that are encoded at once.
const LINES: usize = 128;

/// Encodes as base64 in lines, however the bytes are cut into writes.
pub(super) struct Base64Lines<'a> {
    out: &'a mut dyn Sink,
    /// Bytes that are not encoded yet: fewer than [`LINES`] lines.
    rest: Vec<u8>,
}

impl<'a> Base64Lines<'a> {
    pub(super) fn new(out: &'a mut dyn Sink) -> Self {
        Self {
            out,
            rest: Vec::with_capacity(LINES * LINE),
        }
    }

    /// The length of what comes out for this many bytes.
    pub(super) fn length(bytes: u64) -> u64 {
        let characters = bytes.div_ceil(3) * 4;
        characters + 2 * characters.div_ceil(ENCODED_LINE as u64)
    }

    pub(super) fn finish(self) -> io::Result<()> {
        lines_of(&self.rest, self.out)
    }
}

/// Encodes bytes that begin a line, and ends their last line.
fn lines_of(bytes: &[u8], out: &mut dyn Sink) -> io::Result<()> {
    // All at once, then cut: the encoder is quick only in long runs.
    let mut encoded = [0; LINES * ENCODED_LINE];
    let length = STANDARD
        .encode_slice(bytes, &mut encoded)
        .map_err(io::Error::other)?;
    let mut lines = Vec::with_capacity(length + 2 * LINES);
    for line in encoded
        .get(..length)
        .unwrap_or_default()
        .chunks(ENCODED_LINE)
    {
        lines.extend_from_slice(line);
        lines.extend_from_slice(b"\r\n");
    }
    out.write_all(&lines)
}

impl Sink for Base64Lines<'_> {
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let room = LINES * LINE - self.rest.len();
            let (piece, behind) = bytes.split_at(room.min(bytes.len()));
            self.rest.extend_from_slice(piece);
            if piece.len() < room {
                return Ok(());
            }
            lines_of(&self.rest, self.out)?;
            self.rest.clear();
            bytes = behind;
        }
    }
}

/// How a text is sent. Never as 8bit, which a later relay may not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextEncoding {
    SevenBit,
    QuotedPrintable,
    Base64,
}

impl TextEncoding {
    /// 7bit where the text allows it, else the shorter of the other two; at equal length the one a person can read.
    pub(super) fn of(text: &str) -> Self {
        if text.is_ascii()
            && !text.contains('\0')
            && lines(text).all(|line| line.len() <= LONGEST_LINE)
        {
            return TextEncoding::SevenBit;
        }
        let (mut printable, mut bytes) = (0, 0);
        for line in lines(text) {
            printable += quoted_printable(line).len() as u64;
            bytes += line.len() as u64 + 2;
        }
        if printable <= Base64Lines::length(bytes) {
            TextEncoding::QuotedPrintable
        } else {
            TextEncoding::Base64
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            TextEncoding::SevenBit => "7bit",
            TextEncoding::QuotedPrintable => "quoted-printable",
            TextEncoding::Base64 => "base64",
        }
    }

    /// Writes a text whose lines may end in anything; they leave ending in CRLF, the last one too (RFC 2046 4.1.1).
    pub(super) fn write(self, text: &str, out: &mut dyn Sink) -> io::Result<()> {
        match self {
            TextEncoding::SevenBit => lines(text).try_for_each(|line| {
                out.write_all(line.as_bytes())?;
                out.write_all(b"\r\n")
            }),
            TextEncoding::QuotedPrintable => {
                lines(text).try_for_each(|line| out.write_all(&quoted_printable(line)))
            }
            TextEncoding::Base64 => {
                let mut out = Base64Lines::new(out);
                lines(text).try_for_each(|line| {
                    out.write_all(line.as_bytes())?;
                    out.write_all(b"\r\n")
                })?;
                out.finish()
            }
        }
    }
}

/// One line and its end. In a text a line break always stays one (RFC 2045 6.7), so each line is encoded by itself.
fn quoted_printable(line: &str) -> Vec<u8> {
    let mut encoded = quoted_printable::encode(line);
    encoded.extend_from_slice(b"\r\n");
    encoded
}

/// The lines of a text that may end in LF, CR or CRLF. An end of line at the end begins no further line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        // Not `str::find`, which is slow at opt z: each text is gone through twice.
        let Some(end) = memchr::memchr2(b'\r', b'\n', rest.as_bytes()) else {
            return Some(std::mem::take(&mut rest));
        };
        let (line, behind) = rest.split_at(end);
        rest = behind
            .strip_prefix("\r\n")
            .or(behind.get(1..))
            .unwrap_or_default();
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base64(pieces: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut lines = Base64Lines::new(&mut out);
        for piece in pieces {
            lines.write_all(piece).unwrap();
        }
        lines.finish().unwrap();
        out
    }

    /// Every length around the ends of lines, cut at every place.
    #[test]
    fn base64_is_the_same_wherever_the_input_is_cut() {
        for length in (0..=3).chain(54..=60).chain(7290..=7300) {
            let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
            let whole = base64(&[&bytes]);
            assert_eq!(
                whole.len() as u64,
                Base64Lines::length(length as u64),
                "{length}"
            );
            let joined: Vec<u8> = whole
                .iter()
                .copied()
                .filter(|b| !b"\r\n".contains(b))
                .collect();
            assert_eq!(STANDARD.decode(joined).unwrap(), bytes);
            assert!(whole.split(|&b| b == b'\n').all(|line| line.len() <= 77));
            for cut in (0..=length).rev().take(120) {
                assert_eq!(
                    base64(&[&bytes[..cut], &bytes[cut..]]),
                    whole,
                    "{length} at {cut}"
                );
            }
        }
    }

    #[test]
    fn lines_end_in_lf_crlf_or_cr() {
        let list = |text| lines(text).collect::<Vec<_>>();
        assert_eq!(list("a\nb\r\nc\rd"), ["a", "b", "c", "d"]);
        assert_eq!(list("\n\r\n\r"), ["", "", ""]);
        assert_eq!(list("a\n"), ["a"]);
        assert!(list("").is_empty());
    }

    #[test]
    fn the_encoding_is_the_shortest_that_relays_take() {
        assert_eq!(TextEncoding::of("plain\n"), TextEncoding::SevenBit);
        assert_eq!(TextEncoding::of(&"x".repeat(998)), TextEncoding::SevenBit);
        assert_eq!(
            TextEncoding::of(&"x".repeat(999)),
            TextEncoding::QuotedPrintable
        );
        assert_eq!(
            TextEncoding::of("caf\u{e9} au lait, s'il vous pla\u{ee}t"),
            TextEncoding::QuotedPrintable
        );
        assert_eq!(
            TextEncoding::of("\u{5831}\u{544a}\u{66f8}"),
            TextEncoding::Base64
        );
        assert_eq!(TextEncoding::of("a\0b"), TextEncoding::QuotedPrintable);
    }

    #[test]
    fn quoted_printable_encodes_space_at_the_end_of_a_line() {
        let mut out = Vec::new();
        TextEncoding::QuotedPrintable
            .write("a \nb\t\n\u{e9}=\n", &mut out)
            .unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "a=20\r\nb=09\r\n=C3=A9=3D\r\n"
        );
    }
}
