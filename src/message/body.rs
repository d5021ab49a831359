//! The text of a message, in the transfer encoding that suits it.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// RFC 5322 2.1.1.
const LONGEST_LINE: usize = 998;

/// A text and how it travels.
pub(super) enum Text<'m> {
    /// ASCII in lines that any relay takes.
    SevenBit(&'m str),
    /// Anything else. Not 8bit: a later relay may not take it.
    Base64(&'m str),
}

impl<'m> Text<'m> {
    pub(super) fn new(text: &'m str) -> Self {
        let plain = |b: u8| b.is_ascii() && b != 0;
        let lines = text.split(['\r', '\n']);
        if text.bytes().all(plain) && lines.into_iter().all(|line| line.len() <= LONGEST_LINE) {
            Text::SevenBit(text)
        } else {
            Text::Base64(text)
        }
    }

    /// The part's own header fields, a blank line, the text.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let (encoding, text) = match self {
            Text::SevenBit(text) => ("7bit", text),
            Text::Base64(text) => ("base64", text),
        };
        let head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ";
        out.write_all(head.as_bytes())?;
        out.write_all(encoding.as_bytes())?;
        out.write_all(b"\r\n\r\n")?;
        let canonical = canonical(text);
        match self {
            Text::SevenBit(_) => out.write_all(canonical.as_bytes()),
            Text::Base64(_) => canonical.as_bytes().chunks(57).try_for_each(|line| {
                let mut encoded = STANDARD.encode(line);
                encoded.push_str("\r\n");
                out.write_all(encoded.as_bytes())
            }),
        }
    }
}

/// Lines end in CRLF (RFC 2046 4.1.1), the last one too.
fn canonical(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                let _ = chars.next_if_eq(&'\n');
                out.push_str("\r\n");
            }
            '\n' => out.push_str("\r\n"),
            c => out.push(c),
        }
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push_str("\r\n");
    }
    out
}
