//! The streams of `-bs`: standard input and output with timeouts, and the text of DATA.

use std::fs::File;
use std::io::{self, BufRead, Read, Write};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::queue::fault::minute;
use crate::queue::file::LARGEST;

/// How many minutes each read and write may take (RFC 5321 4.5.3.2.7).
const PATIENCE: u32 = 5;
/// How long all of them may take: it ends a client that sends a byte now and then.
const SESSION: Duration = Duration::from_secs(60 * 60);

/// Standard input or output, with a timeout.
pub(super) struct Timed {
    file: File,
    until: Instant,
    timed_out: bool,
}

impl Timed {
    pub(super) fn new(end: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self {
            file: end.try_clone_to_owned()?.into(),
            until: Instant::now() + SESSION,
            timed_out: false,
        })
    }

    fn wait(&mut self, until: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let patience = Timespec::try_from((PATIENCE * minute()).min(left)).ok();
        // After a timeout it fails at once: the buffer around it writes again when it is dropped.
        self.timed_out =
            self.timed_out || poll(&mut [PollFd::new(&self.file, until)], patience.as_ref())? == 0;
        match self.timed_out {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(()),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.wait(PollFlags::IN)?;
        self.file.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        /// A pipe or a socket that is ready takes so much without blocking (pipe(7)).
        const PIECE: usize = 4096;
        self.wait(PollFlags::OUT)?;
        self.file.write(bytes.get(..PIECE).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What ends a line of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum LineEnd {
    #[default]
    CrLf,
    /// LF, with or without a CR.
    Lf,
}

/// The text of DATA (RFC 5321 4.5.2). Only a line of one dot ends it, and only the first dot of a line is removed: where
/// CRLF ends the lines, an LF alone does neither.
pub(super) struct DataReader<'i, R> {
    input: &'i mut R,
    line_end: LineEnd,
    seen: Seen,
    length: u64,
    pub(super) too_long: bool,
}

/// The last bytes, as far as they may begin the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Text,
    Cr,
    /// Nothing of a new line yet.
    Line,
    Dot,
    DotCr,
    End,
}

impl<'i, R: BufRead> DataReader<'i, R> {
    pub(super) fn new(input: &'i mut R, line_end: LineEnd) -> Self {
        Self {
            input,
            line_end,
            seen: Seen::Line,
            length: 0,
            too_long: false,
        }
    }
}

impl<R: BufRead> Read for DataReader<'_, R> {
    /// Fails once if the message is too long. Its rest can be read after that, and be thrown away.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        // Nothing is read after the end: the client waits for its reply.
        while self.seen != Seen::End && filled == 0 && !into.is_empty() {
            let piece = self.input.fill_buf()?;
            if piece.is_empty() {
                let what = "the message has no end";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
            let mut used = 0;
            while let (Some(&byte), Some(place)) = (piece.get(used), into.get_mut(filled)) {
                let (seen, text) = match (self.seen, byte) {
                    (Seen::End, _) => break,
                    (Seen::Line, b'.') => (Seen::Dot, None),
                    (Seen::Dot, b'\r') => (Seen::DotCr, None),
                    (Seen::DotCr, b'\n') => (Seen::End, None),
                    (Seen::Dot, b'\n') if self.line_end == LineEnd::Lf => (Seen::End, None),
                    // The CR was no part of the end.
                    (Seen::DotCr, _) => (Seen::Cr, Some(b'\r')),
                    (_, b'\r') => (Seen::Cr, Some(byte)),
                    (Seen::Cr, b'\n') => (Seen::Line, Some(byte)),
                    (_, b'\n') if self.line_end == LineEnd::Lf => (Seen::Line, Some(byte)),
                    (_, _) => (Seen::Text, Some(byte)),
                };
                // This byte made the CR before it text; it is looked at again itself.
                let again = self.seen == Seen::DotCr && seen != Seen::End;
                used += usize::from(!again);
                self.seen = seen;
                if let Some(text) = text {
                    *place = text;
                    filled += 1;
                    self.length += 1;
                }
            }
            self.input.consume(used);
            if self.length > LARGEST && !self.too_long {
                self.too_long = true;
                return Err(io::Error::other("the message is too long"));
            }
        }
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn taken(wire: &[u8], end: LineEnd, piece: usize, block: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut input = BufReader::with_capacity(piece, wire);
        let mut text = Vec::new();
        let mut dotted = DataReader::new(&mut input, end);
        let mut buffer = vec![0; block];
        loop {
            match dotted.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => text.extend(&buffer[..n]),
                Err(_) => return None,
            }
        }
        let mut rest = Vec::new();
        input.read_to_end(&mut rest).unwrap();
        Some((text, rest))
    }

    /// What RFC 5321 4.5.2 says, word by word.
    fn expected(wire: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let framed = [b"\r\n", wire].concat();
        let end = framed.windows(5).position(|five| five == b"\r\n.\r\n")?;
        let text = framed[..end + 2].to_vec();
        let mut plain = Vec::new();
        for (at, &byte) in text.iter().enumerate() {
            if !(byte == b'.' && at >= 2 && &text[at - 2..at] == b"\r\n") {
                plain.push(byte);
            }
        }
        Some((plain[2..].to_vec(), framed[end + 5..].to_vec()))
    }

    /// The same for lines that end in LF.
    fn expected_of_lines(wire: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut plain, mut rest) = (Vec::new(), wire);
        loop {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            let (line, behind) = rest.split_at(end + 1);
            if matches!(line, b".\n" | b".\r\n") {
                return Some((plain, behind.to_vec()));
            }
            plain.extend(line.strip_prefix(b".").unwrap_or(line));
            rest = behind;
        }
    }

    /// Every text of up to seven of the bytes that matter, however it comes and is asked for.
    #[test]
    fn nothing_but_a_line_of_one_dot_ends_a_message() {
        let mut texts = vec![Vec::new()];
        for _ in 1..=7 {
            texts = texts
                .iter()
                .flat_map(|text: &Vec<u8>| {
                    [b'.', b'\r', b'\n', b'a'].map(|byte| [text.as_slice(), &[byte]].concat())
                })
                .collect();
            for text in &texts {
                let wire = [text.as_slice(), b"\r\n.\r\nRSET"].concat();
                for (end, expected) in [
                    (LineEnd::CrLf, expected(&wire)),
                    (LineEnd::Lf, expected_of_lines(&wire)),
                ] {
                    for (piece, block) in [(1, 1), (2, 3), (64, 1), (64, 64)] {
                        let taken = taken(&wire, end, piece, block);
                        assert_eq!(taken, expected, "{text:?} {end:?}");
                    }
                }
            }
        }
        let wire = b"a\n.\n";
        assert_eq!(taken(wire, LineEnd::CrLf, 64, 64), None, "no end at all");
    }
}
