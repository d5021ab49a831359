//! HTTP/1.1 as one request with a long body needs it: written piece by piece, since a message is made while it is sent,
//! and answered once (RFC 9112).

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::Error;
use crate::hint::table::Condition;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;
use crate::tls::Stream;
use crate::token::http::{Answer, Client};

/// What the header of an answer may take, and what of its body is read.
const MOST: usize = 64 * 1024;

/// A connection that may serve more than one request.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What has come and is not read yet.
    input: Vec<u8>,
}

impl Connection {
    pub(super) fn open(client: &Client, deadline: Deadline) -> Result<Self, Error> {
        let stream = client.connect(deadline).map_err(|error| {
            let error = error.at(Stage::Graph).about(client.way());
            match error.condition() {
                Some(Condition::NameUnknown | Condition::NoNameServer) => error,
                // What is said of a mail server's port is not true of this one.
                _ if error.kind() == ErrorKind::Network => {
                    error.with_condition(Condition::GraphUnreachable)
                }
                _ => error,
            }
        })?;
        let input = Vec::new();
        Ok(Self { stream, input })
    }

    /// One that is there already: for `tests/invariants`.
    #[cfg(any(test, fuzzing))]
    pub(super) fn over(stream: Box<dyn Stream>) -> Self {
        let input = Vec::new();
        Self { stream, input }
    }

    /// The same, if the server still listens: it has neither ended the connection nor said what nobody asked.
    pub(super) fn if_idle(mut self) -> Option<Self> {
        self.stream
            .set_deadline(Deadline::after(Duration::ZERO, "block"));
        let nothing = self.stream.read(&mut [0]);
        let waits = nothing.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut);
        (waits && self.input.is_empty()).then_some(self)
    }

    pub(super) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.stream.set_deadline(deadline);
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// The answer, any that has a whole header, even if the rest of it never comes; and whether the connection may serve
    /// the next request.
    pub(super) fn answer(&mut self, deadline: Deadline) -> Result<(Answer, bool), Error> {
        self.stream.set_deadline(deadline);
        let head = loop {
            let head = Head::of(&self.next_head()?)?;
            // Something is said before the answer (RFC 9110 15.2).
            if head.status >= 200 {
                break head;
            }
        };
        // What a server has to say about its no is short, and the status says most of it.
        self.stream.set_deadline(deadline.step(LONGEST, "accept"));
        let (body, is_whole) = match head.status {
            // Nothing in it would make it less true.
            202 => (Vec::new(), head.get("content-length") == Some("0")),
            204 | 304 => (Vec::new(), true),
            _ => self.body(&head),
        };
        let closes = head
            .get("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let answer = Answer::of(head.status, |name| head.get(name), Zeroizing::new(body));
        let (status, length) = (answer.status, answer.body.len());
        log::debug!("graph answer: HTTP {status}, {length} bytes");
        Ok((answer, is_whole && !closes && head.is_1_1))
    }

    /// The lines up to the next empty one.
    fn next_head(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            let end = self.input.windows(2).enumerate().find_map(|(at, pair)| {
                let rest = self.input.get(at..).unwrap_or_default();
                match pair {
                    b"\n\n" => Some(at + 2),
                    _ => rest.starts_with(b"\n\r\n").then_some(at + 3),
                }
            });
            if let Some(end) = end {
                let rest = self.input.split_off(end);
                return Ok(std::mem::replace(&mut self.input, rest));
            }
            if self.input.len() > MOST {
                let what = format!("the header of the answer is longer than {MOST} bytes");
                return Err(Error::protocol(Stage::Graph, what));
            }
            self.fill()
                .map_err(|error| Error::io(Stage::Graph, error))?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut piece = [0; 4096];
        match self.stream.read_late(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                self.input.extend(piece.get(..n).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// As much of a body as comes and is of use, and whether that was all.
    fn body(&mut self, head: &Head) -> (Vec<u8>, bool) {
        if let Some("chunked") = head.get("transfer-encoding") {
            return self.chunks();
        }
        let length = head
            .get("content-length")
            .and_then(|value| value.parse().ok());
        let mut body = Vec::new();
        let is_whole = self.take(length.unwrap_or(usize::MAX), &mut body);
        (body, is_whole && length.is_some())
    }

    fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let Some(line) = self.line() else {
                return (body, false);
            };
            let size = line.split(|&b| b == b';').next().unwrap_or_default();
            let size = std::str::from_utf8(size).unwrap_or_default().trim();
            match usize::from_str_radix(size, 16) {
                // A trailer, if there is one, is not read, and so the connection not used again.
                Ok(0) => return (body, self.line().is_some_and(|line| line.is_empty())),
                Ok(size) if self.take(size, &mut body) && self.line().is_some() => {}
                _ => return (body, false),
            }
        }
    }

    fn take(&mut self, mut length: usize, body: &mut Vec<u8>) -> bool {
        while length > 0 && body.len() < MOST {
            if self.input.is_empty() && self.fill().is_err() {
                return false;
            }
            let n = length.min(self.input.len());
            body.extend(self.input.drain(..n));
            length -= n;
        }
        length == 0
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.input) {
                let mut line: Vec<u8> = self.input.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Some(line);
            }
            if self.input.len() > 256 {
                return None;
            }
            self.fill().ok()?;
        }
    }
}

/// How long the rest of an answer may take once its status is known.
const LONGEST: Duration = Duration::from_secs(10);

/// The header of an answer.
struct Head {
    status: u16,
    is_1_1: bool,
    fields: Vec<(String, String)>,
}

impl Head {
    fn of(text: &[u8]) -> Result<Self, Error> {
        let whole = String::from_utf8_lossy(text);
        let mut lines = whole.lines();
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| {
            let (minor, rest) = rest.split_once(' ')?;
            let (code, _) = rest.split_at_checked(3)?;
            let is_code = code.bytes().all(|b| b.is_ascii_digit()) && code >= "100";
            Some((code.parse().ok().filter(|_| is_code)?, minor == "1"))
        });
        let Some((status, is_1_1)) = status else {
            // Not quoted: it may repeat the token.
            return Err(Error::protocol(Stage::Graph, "no answer of HTTP"));
        };
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields =
            fields.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        Ok(Self {
            status,
            is_1_1,
            fields: fields.collect(),
        })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.fields.iter();
        let found = fields.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}
