//! A message as DATA transfers it: CRLF lines, doubled dots, and a lone dot at the end.

use std::collections::BTreeSet;
use std::io::BufRead;

use ring::digest::{Context, SHA256};

/// As much as is looked at for header fields.
const HEAD: usize = 256 * 1024;

/// Takes a message in, line by line.
pub(super) struct Body {
    keep: usize,
    /// The message without its transparency dots; only its beginning, if bodies are discarded.
    data: Vec<u8>,
    length: u64,
    hash: Context,
    line: Vec<u8>,
    /// The last line ended in CRLF, so that a dot here is special. After a bare LF it is not: that
    /// would be SMTP smuggling.
    at_start: bool,
    only_ascii: bool,
    violations: BTreeSet<&'static str>,
}

/// A message that was taken in.
pub(super) struct Taken {
    pub(super) data: Vec<u8>,
    pub(super) length: u64,
    pub(super) sha256: Vec<u8>,
    pub(super) only_ascii: bool,
    pub(super) violations: BTreeSet<&'static str>,
}

impl Body {
    pub(super) fn new(discard: bool) -> Self {
        Self {
            keep: if discard { HEAD } else { usize::MAX },
            data: Vec::new(),
            length: 0,
            hash: Context::new(&SHA256),
            line: Vec::new(),
            at_start: true,
            only_ascii: true,
            violations: BTreeSet::new(),
        }
    }

    /// Takes octets; when the final dot is among them, gives how many of them came up to it.
    pub(super) fn push(&mut self, octets: &[u8]) -> Option<usize> {
        let mut rest = octets;
        while !rest.is_empty() {
            // `read_until` and `contains` are memchr also in a debug build: 200 MB in a second.
            rest.read_until(b'\n', &mut self.line)
                .expect("memory cannot fail");
            if !self.line.ends_with(b"\n") {
                break;
            }
            if self.at_start && self.line == b".\r\n" {
                return Some(octets.len() - rest.len());
            }
            self.take_line();
        }
        None
    }

    pub(super) fn finish(self) -> Taken {
        Taken {
            data: self.data,
            length: self.length,
            sha256: self.hash.finish().as_ref().to_vec(),
            only_ascii: self.only_ascii,
            violations: self.violations,
        }
    }

    fn take_line(&mut self) {
        let text = self.line.strip_suffix(b"\n").expect("a whole line");
        let (text, crlf) = text
            .strip_suffix(b"\r")
            .map_or((text, false), |text| (text, true));
        if !crlf {
            self.violations
                .insert("a bare LF in the message (RFC 5321 2.3.8)");
        }
        if text.contains(&b'\r') {
            self.violations
                .insert("a bare CR in the message (RFC 5321 2.3.8)");
        }
        if text.contains(&0) {
            self.violations
                .insert("a NUL in the message (RFC 5322 2.2)");
        }
        let mut line = &self.line[..];
        if self.at_start && line.starts_with(b".") {
            line = &line[1..];
            if !line.starts_with(b".") {
                self.violations
                    .insert("a dot that begins a line is not doubled (RFC 5321 4.5.2)");
            }
        }
        self.only_ascii &= line.is_ascii();
        self.length += line.len() as u64;
        self.hash.update(line);
        let room = self.keep - self.data.len();
        self.data.extend_from_slice(&line[..line.len().min(room)]);
        self.at_start = crlf;
        self.line.clear();
    }
}
