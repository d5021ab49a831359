//! A message as the body of a request: lines that end in CRLF, in base64, a block at a time.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::flow::Sink;
use crate::graph::connection::Connection;
use crate::stage::Stage;
use crate::timeouts::{Deadline, Timeouts, patience_after};
use crate::token::http::Answer;

/// In base64, 16 KiB: a TLS record.
const BLOCK: usize = 12 * 1024;
pub(super) const ENCODED_BLOCK: usize = BLOCK / 3 * 4;

/// Takes a text and sends it. The last block is kept back until the text has ended at its declared length: an unfinished
/// message is never a whole request (RFC 9112 8).
pub(super) struct Body<'t> {
    connection: &'t mut Connection,
    timeouts: &'t Timeouts,
    total: Deadline,
    /// What is written next: the header of the request, too, until it leaves with the first block. It has room for both.
    out: Zeroizing<String>,
    /// Bytes that are still to come.
    left: u64,
    ends: LineEnds,
    block: Vec<u8>,
    /// Why the connection failed. Nothing is written after that, and only a refusal ends the doubt about the outcome.
    failure: Option<io::Error>,
}

impl<'t> Body<'t> {
    pub(super) fn new(
        connection: &'t mut Connection,
        timeouts: &'t Timeouts,
        total: Deadline,
        head: Zeroizing<String>,
        length: u64,
    ) -> Self {
        Self {
            connection,
            timeouts,
            total,
            out: head,
            left: length,
            ends: LineEnds::default(),
            block: Vec::new(),
            failure: None,
        }
    }

    /// Sends the end, if all of the text was `written`, and waits for the answer. Tells, too, whether the connection may serve
    /// the next request.
    pub(super) fn finish(mut self, written: io::Result<()>) -> Result<(Answer, bool), Error> {
        let ended = written.and_then(|()| {
            self.total.remaining()?;
            if self.ends.are_missing_one() {
                self.write_all(b"\r\n")?;
            }
            match self.left {
                0 => self.send(0),
                _ => Err(of_another_length()),
            }
        });
        let (patience, name) = match &self.failure {
            // A server that does not want the rest may have said why.
            Some(failure) => (patience_after(failure), "last words"),
            None => {
                ended.map_err(|error| unread(error, self.total))?;
                (self.timeouts.accept, "accept")
            }
        };
        let answer = self.connection.answer(self.total.step(patience, name));
        match (self.failure, answer) {
            (None, answer) => answer.map_err(Error::doubtful),
            // Half a request is out, and nothing can follow it.
            (Some(_), Ok((answer, _))) if answer.status != 202 => Ok((answer, false)),
            (Some(failure), _) => Err(Error::io(Stage::Graph, failure).doubtful()),
        }
    }

    /// Sends blocks until no more than `most` bytes are left.
    fn send(&mut self, most: usize) -> io::Result<()> {
        while self.block.len() > most {
            let block = self.block.drain(..BLOCK.min(self.block.len()));
            self.out.push_str(&STANDARD.encode(block.as_slice()));
            drop(block);
            let deadline = self.total.step(self.timeouts.block, "block");
            if let Err(failure) = self.connection.write(self.out.as_bytes(), deadline) {
                self.failure = Some(failure);
                // Shown to nobody.
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.out.clear();
        }
        Ok(())
    }
}

/// The error of a text that was not read to its end, or not in time. It was no whole request, so nothing is in doubt.
pub(super) fn unread(error: io::Error, total: Deadline) -> Error {
    match total.remaining() {
        Ok(_) => Error::body(error),
        Err(late) => Error::io(Stage::Body, late),
    }
}

fn of_another_length() -> io::Error {
    io::Error::other("the message is not as long as its envelope says")
}

impl Sink for Body<'_> {
    /// Looks at the clock: a slow reader may take long to fill a block.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(BLOCK) {
            self.total.remaining()?;
            let before = self.block.len();
            self.ends.feed(piece, &mut self.block);
            let more = (self.block.len() - before) as u64;
            let left = self.left.checked_sub(more);
            self.left = left.ok_or_else(of_another_length)?;
            self.send(BLOCK)?;
        }
        Ok(())
    }
}

/// Any line end becomes CRLF, and a missing last one is added, as SMTP has it.
#[derive(Default)]
struct LineEnds {
    last: Option<u8>,
}

impl LineEnds {
    fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for &byte in text {
            match byte {
                b'\n' if self.last == Some(b'\r') => {}
                b'\r' | b'\n' => out.extend_from_slice(b"\r\n"),
                _ => out.push(byte),
            }
            self.last = Some(byte);
        }
    }

    /// Whether the last line is not ended.
    fn are_missing_one(&self) -> bool {
        self.last.is_some_and(|last| !matches!(last, b'\r' | b'\n'))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::tls::Stream;

    /// A server that reads one block of two, and has refused by then.
    struct Early(bool, &'static [u8]);

    impl Stream for Early {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1.read(into)
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match std::mem::replace(&mut self.0, true) {
                false => Ok(bytes.len()),
                true => Err(io::ErrorKind::TimedOut.into()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn set_deadline(&mut self, _: Deadline) {}

        fn read_late(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.read(into)
        }

        fn close(&mut self) {}
    }

    #[test]
    fn line_ends_are_the_same_wherever_the_text_is_cut() {
        let text = b"a\n\nb\r\n\r\nc\r\rd";
        for cut in 0..=text.len() {
            let (mut ends, mut out) = (LineEnds::default(), Vec::new());
            let (before, behind) = text.split_at(cut);
            ends.feed(before, &mut out);
            ends.feed(behind, &mut out);
            assert_eq!(out, b"a\r\n\r\nb\r\n\r\nc\r\n\r\nd", "{cut}");
            assert!(ends.are_missing_one());
        }
    }

    /// After half a request no other can follow.
    #[test]
    fn a_refusal_amid_the_message_ends_the_connection() {
        let timeouts = Timeouts::default();
        let total = Deadline::total(&timeouts);
        let length = 2 * BLOCK as u64;
        let send = |said| {
            let mut connection = Connection::over(Box::new(Early(false, said)));
            let head = Zeroizing::new("POST / HTTP/1.1\r\n\r\n".to_owned());
            let mut body = Body::new(&mut connection, &timeouts, total, head, length);
            let written = body.write_all("x\r\n".repeat(2 * BLOCK / 3).as_bytes());
            body.finish(written)
        };
        let (answer, is_idle) = send(b"HTTP/1.1 429 Later\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!((answer.status, is_idle), (429, false));
        for none in [
            &b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"[..],
            b"",
        ] {
            assert!(send(none).err().unwrap().in_doubt());
        }
    }
}
