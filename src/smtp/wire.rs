//! A command out, a reply in, over any [`Stream`]. Bounds what is read, writes the transcript, and keeps secrets out of it.

use std::io::{self, BufRead, BufReader, Read};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::repeats::Secrets;
use crate::reply::{MAX_LINE, Malformed, Parser, Reply, WITHHELD};
use crate::secret::Secret;
use crate::stage::Stage;
use crate::text::excerpt;
use crate::timeouts::{Deadline, Timeouts, patience_after};
use crate::tls::{Stream, write_now};

/// The transcript goes to `log` under this target, level debug: `C:` what we said, `S:` what the server said. Login and
/// message are shown by their lengths only.
const TARGET: &str = "exosend::wire";

/// A line is cut at [`MAX_LINE`] and the rest of it skipped; after this much it is given up.
const MAX_SKIPPED: usize = 1024 * 1024;

/// One side of an SMTP conversation.
///
/// The stream is boxed: with a type parameter the whole conversation would be compiled for TCP and again for TLS.
pub(crate) struct Wire {
    io: BufReader<Box<dyn Stream>>,
    /// How many replies the server owes; a 3yz settles none, for it asks for more. At 0 the server waits for a command.
    owed: usize,
    /// Nothing may be said any more, not even QUIT.
    closed: bool,
    /// Whose connection it is: the child of a fork has a copy.
    process: u32,
    /// Commands that leave together at the next [`send`](Self::send).
    flight: Vec<u8>,
    timeouts: Timeouts,
    total: Deadline,
    /// What no line of the server's may repeat into a log or an error.
    secrets: Secrets,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, timeouts: Timeouts, total: Deadline) -> Self {
        // 4 KiB holds every reply of a usual conversation; a longer one takes more reads.
        let io = BufReader::with_capacity(4 * 1024, stream);
        Self {
            io,
            owed: 0,
            closed: false,
            process: std::process::id(),
            flight: Vec::new(),
            timeouts,
            total,
            secrets: Secrets::default(),
        }
    }

    /// Sets the deadline that covers everything from now on.
    pub(crate) fn set_total(&mut self, total: Deadline) {
        self.total = total;
    }

    /// Begins a step, which ends at this bound of its own or with the total.
    fn start(&mut self, bound: Duration, name: &'static str) {
        let deadline = self.total.step(bound, name);
        self.io.get_mut().set_deadline(deadline);
    }

    /// One question, one answer.
    pub(crate) fn command(&mut self, stage: Stage, line: &str) -> Result<Reply, Error> {
        self.say(stage, line)?;
        self.send(stage)?;
        self.reply(stage)
    }

    /// Puts a command into the flight.
    pub(crate) fn say(&mut self, stage: Stage, line: &str) -> Result<(), Error> {
        // Addresses and names have been checked; this is the last place where one command could become two.
        if line.contains(['\r', '\n', '\0']) {
            return Err(Error::input(stage, "command", "a line break or NUL in it"));
        }
        log::debug!(target: TARGET, "C: {line}");
        self.flight.extend_from_slice(line.as_bytes());
        self.flight.extend_from_slice(b"\r\n");
        Ok(())
    }

    /// Puts a login into the flight. The transcript shows `verb`, and the length of `blob`.
    pub(crate) fn say_secret(&mut self, verb: &str, blob: &Secret) {
        let space = if verb.is_empty() { "" } else { " " };
        // A vector that grows leaves copies of its content behind.
        self.flight.reserve(verb.len() + blob.expose().len() + 3);
        log::debug!(target: TARGET, "C: {verb}{space}[{} bytes of login]", blob.expose().len());
        for part in [verb, space, blob.expose(), "\r\n"] {
            self.flight.extend_from_slice(part.as_bytes());
        }
    }

    /// Withholds every line of a reply that repeats this text, from now on.
    pub(crate) fn keep_secret(&mut self, secret: &Secret) {
        self.secrets.add(secret.expose());
    }

    /// Sends the flight in one write.
    pub(crate) fn send(&mut self, stage: Stage) -> Result<(), Error> {
        // Taken first: a login that does not go out is wiped as well.
        let flight = Zeroizing::new(std::mem::take(&mut self.flight));
        self.expect_silence(stage)?;
        self.start(self.timeouts.command, "command");
        if self.owed == 0 {
            self.owed = flight.iter().filter(|&&b| b == b'\n').count();
        }
        write_now(self.io.get_mut(), &flight).map_err(|e| {
            self.last_words(stage, &e)
                .unwrap_or_else(|| Error::io(stage, e))
        })
    }

    /// Sends a block of a message in one write.
    pub(crate) fn send_block(&mut self, block: &[u8]) -> io::Result<()> {
        self.start(self.timeouts.block, "block");
        write_now(self.io.get_mut(), block)
    }

    /// Notes in the transcript how long a message was.
    pub(crate) fn sent_message(&self, length: u64) {
        log::debug!(target: TARGET, "C: [{length} bytes of message]");
        log::debug!(target: TARGET, "C: .");
    }

    /// Reads one reply.
    pub(crate) fn reply(&mut self, stage: Stage) -> Result<Reply, Error> {
        let reply = self.read_reply(stage);
        match &reply {
            Ok(reply) if reply.class() == 3 => {}
            Ok(reply) if reply.code() != 421 => self.owed = self.owed.saturating_sub(1),
            _ => self.closed = true,
        }
        reply
    }

    fn read_reply(&mut self, stage: Stage) -> Result<Reply, Error> {
        let (bound, name) = match stage {
            Stage::Accept => (self.timeouts.accept, "accept"),
            _ => (self.timeouts.command, "command"),
        };
        self.start(bound, name);
        let mut parser = Parser::default();
        loop {
            let line = read_line(&mut self.io).map_err(|e| self.no_line(stage, e))?;
            let reply = match parser.push(&line.text, line.cut) {
                Err(Malformed::Code(_)) => Err(Malformed::Code(self.quoted(&line.text))),
                result => result,
            };
            if let Some(reply) = reply.map_err(|e| Error::malformed(stage, &e))? {
                return Ok(self.logged(reply));
            }
        }
    }

    /// The refusal that the server sent before a write failed, if there is one.
    pub(crate) fn last_words(&mut self, stage: Stage, failure: &io::Error) -> Option<Error> {
        self.start(patience_after(failure), "last words");
        let mut late = BufReader::new(Late(self.io.get_mut().as_mut()));
        let mut parser = Parser::default();
        loop {
            let line = read_line(&mut late).ok()?;
            if let Some(reply) = parser.push(&line.text, line.cut).ok()? {
                let no = reply.is_transient() || reply.is_permanent();
                return Some(self.logged(reply))
                    .filter(|_| no)
                    .map(|reply| Error::reply_to(stage, reply));
            }
        }
    }

    /// Gives the stream back for TLS, unless the server spoke out of turn: bytes that came in the clear would be read as if
    /// they had come through TLS.
    pub(crate) fn into_inner(mut self, stage: Stage) -> Result<Box<dyn Stream>, Error> {
        match self.io.buffer() {
            [] => {
                self.closed = true;
                Ok(std::mem::replace(self.io.get_mut(), Box::new(io::empty())))
            }
            early => Err(Error::protocol(
                stage,
                format!("the server spoke out of turn: {}", excerpt(early)),
            )),
        }
    }

    fn no_line(&self, stage: Stage, why: NoLine) -> Error {
        match why {
            NoLine::Endless => Error::malformed(stage, &Malformed::Endless),
            NoLine::Failed(error, text) if text.is_empty() => Error::io(stage, error),
            NoLine::Failed(error, text) => {
                let text = self.quoted(&text);
                Error::io(stage, error).with(&format!(" in the middle of a reply: {text}"))
            }
        }
    }

    /// Quotes bytes that are not a reply. All of them are searched for secrets, since the excerpt may end within one.
    fn quoted(&self, text: &[u8]) -> String {
        if self.secrets.are_in(text) {
            WITHHELD.into()
        } else {
            excerpt(text)
        }
    }

    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.io.get_mut().close();
    }

    pub(crate) fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    pub(crate) fn total(&self) -> Deadline {
        self.total
    }

    /// Whether nothing was read that was not asked for. The socket is not looked at: what comes from there may be the answer.
    pub(crate) fn is_silent(&self) -> bool {
        self.io.buffer().is_empty()
    }

    /// Fails if a reply is there that nobody has asked for. A 421 may come at any time (RFC 5321 3.8); anything else would be
    /// taken for the next command's reply, and shift every later one.
    pub(crate) fn expect_silence(&mut self, stage: Stage) -> Result<(), Error> {
        if self.is_silent() {
            return Ok(());
        }
        let reply = self.reply(stage)?;
        self.closed = true;
        Err(match reply.class() {
            4 | 5 => Error::reply_to(stage, reply),
            _ => Error::protocol(stage, format!("the server spoke out of turn: {reply}")),
        })
    }

    /// Fails if the server has spoken, or is gone, before it was asked. Looks at the socket, and waits for nothing.
    pub(crate) fn look_for_silence(&mut self, stage: Stage) -> Result<(), Error> {
        self.io
            .get_mut()
            .set_deadline(Deadline::after(Duration::ZERO, "look"));
        match self.io.fill_buf() {
            Ok([]) => Err(Error::io(stage, io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => self.expect_silence(stage),
            Err(nothing) if nothing.kind() == io::ErrorKind::TimedOut => Ok(()),
            Err(error) => Err(Error::io(stage, error)),
        }
    }

    /// What has come with the last reply and was not asked for, except a 421, which the next command reports.
    pub(crate) fn surplus(&self) -> Option<String> {
        let more = self.io.buffer();
        let hangs_up = more.iter().zip(b"421").all(|(said, code)| said == code);
        (!hangs_up).then(|| self.quoted(more.trim_ascii_end()))
    }

    /// Withholds the secrets that a server may repeat in a reply, and writes it to the transcript.
    fn logged(&self, reply: Reply) -> Reply {
        let repeats = |reply: &Reply| self.secrets.are_in(reply.to_string().as_bytes());
        let reply = match repeats(&reply) {
            false => reply,
            true => {
                // A secret may be cut into lines, so each line with a long word is withheld; if that is not enough, all are.
                let long = |line: &str| line.split(' ').any(|word| word.len() > 16);
                let reply =
                    reply.withhold(|line| long(line) || self.secrets.are_in(line.as_bytes()));
                let strewn = repeats(&reply);
                reply.withhold(|_| strewn)
            }
        };
        let mut lines = reply.lines().peekable();
        while let Some(line) = lines.next() {
            let mark = if lines.peek().is_some() { '-' } else { ' ' };
            log::debug!(target: TARGET, "S: {}{mark}{line}", reply.code());
        }
        drop(lines);
        reply
    }
}

/// "The sender-SMTP MUST NOT intentionally close the transmission channel until it sends a QUIT command" (RFC 5321 4.1.1.10).
/// "Waiting for the QUIT response is just too ridiculous" (qmail-remote): every message has had its own reply.
impl Drop for Wire {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(2);
        let mine = self.process == std::process::id();
        if self.closed || self.owed > 0 || !self.is_silent() || !mine {
            return;
        }
        // The total is that of the last call, which may be long over.
        self.total = match self.total.remaining() {
            Ok(_) => self.total.step(PATIENCE, "quit"),
            Err(_) => Deadline::after(PATIENCE, "quit"),
        };
        self.flight.clear();
        let _ = self
            .say(Stage::Reset, "QUIT")
            .and_then(|()| self.send(Stage::Reset));
    }
}

/// Replaces a stream that was handed over to TLS.
impl Stream for io::Empty {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_deadline(&mut self, _: Deadline) {}

    fn read_late(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn close(&mut self) {}
}

/// The base64 of what a login says.
pub(crate) fn blob(text: &[&str]) -> Secret {
    let text = Secret::new(text.concat());
    Secret::new(STANDARD.encode(text.expose()))
}

/// Reads, and never sends first.
struct Late<'a>(&'a mut dyn Stream);

impl Read for Late<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_late(buffer)
    }
}

/// A line without its line end.
#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    cut: bool,
}

/// No line came.
#[derive(Debug)]
enum NoLine {
    /// Reading failed, and what had come by then.
    Failed(io::Error, Vec<u8>),
    /// More than [`MAX_SKIPPED`] bytes without an end.
    Endless,
}

/// Reads to the next LF. CRLF ends a line, and so does the bare LF that some gateways make of it. A CR elsewhere is text
/// and shown as `?`: as a line end, which it is not (RFC 5321 2.3.8), it would make two replies of one.
fn read_line(io: &mut dyn BufRead) -> Result<Line, NoLine> {
    let (mut text, mut skipped) = (Vec::new(), 0);
    loop {
        let buffer = match io.fill_buf() {
            Ok([]) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result,
        };
        let buffer = match buffer {
            Ok(buffer) => buffer,
            Err(error) => return Err(NoLine::Failed(error, text)),
        };
        let end = buffer.iter().position(|&b| b == b'\n');
        let piece = buffer
            .get(..end.unwrap_or(buffer.len()))
            .unwrap_or_default();
        let room = MAX_LINE - text.len();
        skipped += piece.len().saturating_sub(room);
        text.extend_from_slice(piece.get(..room).unwrap_or(piece));
        let used = piece.len() + usize::from(end.is_some());
        io.consume(used);
        if end.is_some() {
            let cut = skipped > 0;
            if !cut && text.last() == Some(&b'\r') {
                text.pop();
            }
            return Ok(Line { text, cut });
        }
        if skipped > MAX_SKIPPED {
            return Err(NoLine::Endless);
        }
    }
}

impl Reply {
    /// Goes on if the first digit is the expected one, else it is the step's error.
    pub(crate) fn expect(self, stage: Stage, class: u16) -> Result<Reply, Error> {
        if self.class() == class {
            Ok(self)
        } else {
            Err(Error::reply_to(stage, self))
        }
    }
}
