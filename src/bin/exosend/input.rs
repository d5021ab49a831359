//! The message on stdin. It is read to its end before anything connects, because a cron job writes for as long as it runs.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Cursor, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::flow;
use crate::octets::{Charset, Length};
use crate::process;

/// The part of the message that is kept in memory; a header has to fit in.
const IN_MEMORY: usize = 1024 * 1024;

/// A text of any length, in constant memory.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// The beginning of the text; all of it if there is no rest.
    pub(crate) start: Vec<u8>,
    rest: Option<Rest>,
}

/// The rest of a text, in a temporary file.
#[derive(Debug)]
struct Rest {
    file: File,
    written: u64,
    length: Length,
    charset: Charset,
}

/// Why it cannot be read.
#[derive(Debug)]
pub(crate) enum NoInput {
    Stdin(io::Error),
    /// The temporary file.
    Disk(io::Error),
}

impl Input {
    pub(crate) fn read(from: &mut dyn flow::Source) -> Result<Self, NoInput> {
        let (mut input, mut block) = (Self::default(), vec![0; 64 * 1024]);
        loop {
            match from.read(&mut block) {
                Ok(0) => return Ok(input),
                Ok(length) => input
                    .add(block.get(..length).unwrap_or_default())
                    .map_err(NoInput::Disk)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NoInput::Stdin(error)),
            }
        }
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        let room = match self.rest {
            Some(_) => 0,
            None => IN_MEMORY - self.start.len(),
        };
        let (first, bytes) = bytes.split_at(room.min(bytes.len()));
        self.start.extend_from_slice(first);
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(rest) = &mut self.rest {
            return rest.add(bytes);
        }
        let file = nameless_file()?;
        // A character that is cut by the end of `start` goes into the file as a whole.
        let mut last = self.start.iter().rev().take(3);
        let begun = last.position(|&byte| byte >= 0xc0).map_or(0, |at| at + 1);
        let cut = self.start.split_off(self.start.len() - begun);
        let rest = self.rest.insert(Rest {
            file,
            written: 0,
            length: Length::behind(&self.start),
            charset: Charset::default(),
        });
        rest.add(&cut)?;
        rest.add(bytes)
    }

    /// Whether it is all in `start`.
    pub(crate) fn is_whole(&self) -> bool {
        self.rest.is_none()
    }

    /// The character set of the text from `body` on; `None` for ASCII. What is not UTF-8 counts as Windows-1252.
    pub(crate) fn charset(&self, body: usize) -> Option<&'static str> {
        let mut start = Charset::default();
        start.feed(self.start.get(body..).unwrap_or_default());
        let rest = self.rest.as_ref().map(|rest| rest.charset.end());
        start.end().max(rest.unwrap_or_default()).charset()
    }

    /// A header followed by the text from `body` on, and the length of both as RFC 1870 counts it.
    pub(crate) fn behind(&mut self, header: Vec<u8>, body: usize) -> (u64, Text<'_, &mut File>) {
        let start = self.start.get(body..).unwrap_or_default();
        let rest = self.rest.as_mut();
        behind(
            header,
            start,
            rest.map(|rest| (&mut rest.file, rest.length)),
        )
    }
}

/// The same for a text in two pieces.
pub(crate) fn behind<R: Read>(
    header: Vec<u8>,
    start: &[u8],
    rest: Option<(R, Length)>,
) -> (u64, Text<'_, R>) {
    let mut length = Length::default();
    length.feed(&header);
    length.feed(start);
    let total = length.with(rest.as_ref().map(|(_, rest)| rest));
    let text = Text {
        header: Cursor::new(header),
        start: Cursor::new(start),
        rest: rest.map(|(rest, _)| rest),
        broken: None,
    };
    (total, text)
}

/// A message in up to three pieces.
#[derive(Debug)]
pub(crate) struct Text<'t, R> {
    header: Cursor<Vec<u8>>,
    start: Cursor<&'t [u8]>,
    rest: Option<R>,
    broken: Option<io::Error>,
}

impl Text<'_, &mut File> {
    /// Begins again. If the file cannot be rewound, the next `read` fails.
    pub(crate) fn again(&mut self) -> &mut Self {
        self.header.set_position(0);
        self.start.set_position(0);
        self.broken = self.rest.as_mut().and_then(|rest| rest.rewind().err());
        self
    }
}

impl<R: Read> Read for Text<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        let length = match self.header.read(into)? {
            0 => self.start.read(into)?,
            length => length,
        };
        match &mut self.rest {
            Some(rest) if length == 0 => rest.read(into),
            _ => Ok(length),
        }
    }
}

impl Rest {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len() as u64;
        if self.written > process::longest_file() {
            return Err(io::Error::other("longer than this process may make a file"));
        }
        self.length.feed(bytes);
        self.charset.feed(bytes);
        self.file.write_all(bytes)
    }
}

/// For a message that is made here: [`Message::write_to`](exosend::Message::write_to) wants a writer.
impl Write for Input {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn nameless_file() -> io::Result<File> {
    let random = RandomState::new().build_hasher().finish();
    let path = std::env::temp_dir().join(format!("exosend-{}-{random:016x}", std::process::id()));
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_set_is_the_same_wherever_the_text_is_cut() {
        for (text, expected) in [
            (&b"abc"[..], None),
            ("a\u{e4}\u{20ac}\u{1f600}".as_bytes(), Some("utf-8")),
            (b"a\xe4b", Some("windows-1252")),
            (b"ab\xe4", Some("windows-1252")),
        ] {
            for room in 0..=text.len() {
                let text = [&b"x".repeat(IN_MEMORY - room), text].concat();
                let input = Input::read(&mut text.as_slice()).unwrap();
                assert_eq!(input.charset(1), expected, "{room}");
            }
        }
    }

    #[test]
    fn a_message_of_any_length_is_read_as_it_came() {
        for length in [
            0,
            10,
            IN_MEMORY - 1,
            IN_MEMORY,
            IN_MEMORY + 1,
            3 * IN_MEMORY + 7,
        ] {
            let text: Vec<u8> = (0..length)
                .map(|n| {
                    if n % 61 == 60 {
                        b'\n'
                    } else {
                        b'a' + (n % 26) as u8
                    }
                })
                .collect();
            // In pieces of odd sizes, as from a pipe.
            let mut pieces = text
                .chunks(8191)
                .fold(Box::new(io::empty()) as Box<dyn Read>, |before, piece| {
                    Box::new(before.chain(piece))
                });
            let mut input = Input::read(&mut pieces).unwrap();
            assert_eq!(input.is_whole(), length <= IN_MEMORY);
            let from = length.min(5);
            // It can be read again.
            let (size, mut read) = input.behind(b"To: a\r\n\r\n".to_vec(), from);
            for _ in 0..2 {
                let mut out = Vec::new();
                read.again().read_to_end(&mut out).unwrap();
                let expected = [b"To: a\r\n\r\n", &text[from..]].concat();
                assert!(out == expected);
                let mut whole = Length::default();
                whole.feed(&expected);
                assert_eq!(size, whole.with(None));
            }
        }
    }
}
