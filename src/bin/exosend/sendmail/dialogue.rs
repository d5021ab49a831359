//! The server's side of SMTP for `-bs`, on any streams and for any backend (RFC 5321, 2920, 1870, 6152, 2034, 6531).
//!
//! No AUTH and no TLS: whoever can start this program, or reach the machine's loopback, can call sendmail as well. Only
//! CRLF ends a line of a message: if LF did, too, a second message could be hidden in one (SMTP smuggling). But where the
//! client's greeting ends in LF alone, it is a text in a script, as in `sendmail -bs <<END`, and LF ends all its lines; a
//! server that passes another's message on does not say EHLO like that. Exim does the same.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};

use super::client::{DataReader, LineEnd};
use crate::addressing::{Addressing, check_address};
use crate::list;
use crate::queue::file::LARGEST;

/// RFC 5321 4.5.3.1.4 asks for 512; more for parameters and long addresses.
const LONGEST_LINE: u64 = 4096;
/// RFC 5321 4.5.3.1.8 asks for 100.
const MOST_RECIPIENTS: usize = 1000;
const MOST_ERRORS: u32 = 20;

/// What takes the messages.
pub(crate) trait Backend {
    /// Why no message can be taken now.
    fn unavailable(&self) -> Option<&str>;

    /// Takes a message. Returns the words of its 250 reply, or the whole reply that refuses it.
    fn take(&mut self, addressing: Addressing, text: impl Read) -> Result<String, String>;
}

/// What MAIL and RCPT have said.
#[derive(Default)]
struct Envelope {
    addressing: Addressing,
    international: bool,
}

pub(crate) struct Dialogue<R, W: Write> {
    input: BufReader<R>,
    out: BufWriter<W>,
    host: String,
    /// A reply that could not be written; `line` returns it.
    write_error: Option<io::Error>,
    greeted: bool,
    /// As the client's greeting ended.
    line_end: LineEnd,
    envelope: Option<Envelope>,
    errors: u32,
}

impl<R: Read, W: Write> Dialogue<R, W> {
    pub(crate) fn new(input: R, out: W, host: String) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            out: BufWriter::new(out),
            host,
            write_error: None,
            greeted: false,
            line_end: LineEnd::default(),
            envelope: None,
            errors: 0,
        }
    }

    /// Serves until QUIT, the end of input, or too many errors.
    pub(crate) fn serve(&mut self, backend: &mut impl Backend) -> io::Result<()> {
        self.say(&format!("220 {} ESMTP exosend", self.host));
        loop {
            let Some(line) = self.line()? else {
                return Ok(());
            };
            let Some(line) = line else {
                self.wrong("500 5.5.2 the line is too long");
                continue;
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "QUIT" => {
                    self.say("221 2.0.0 bye");
                    return Ok(());
                }
                "EHLO" => self.ehlo(rest, true),
                "HELO" => self.ehlo(rest, false),
                "MAIL" => self.mail(rest, backend),
                "RCPT" => self.rcpt(rest),
                "DATA" => self.data(backend)?,
                "RSET" => {
                    self.envelope = None;
                    self.say("250 2.0.0 ok");
                }
                "NOOP" => self.say("250 2.0.0 ok"),
                "HELP" => {
                    self.say("214 2.0.0 EHLO MAIL RCPT DATA RSET NOOP VRFY QUIT; see man exosend");
                }
                "VRFY" => self.say("252 2.1.5 send it, and it will show"),
                "AUTH" | "STARTTLS" | "EXPN" | "BDAT" | "ETRN" | "TURN" => {
                    self.wrong("502 5.5.1 not here");
                }
                // Such as HTTP: a web page can make a browser connect to this port.
                _ if !self.greeted => {
                    self.say("421 4.7.0 this is SMTP");
                    return Ok(());
                }
                _ => self.wrong("500 5.5.2 no such command"),
            }
            if self.errors > MOST_ERRORS {
                self.say("421 4.7.0 too many errors");
                return Ok(());
            }
        }
    }

    /// The next command; `None` at the end of input, `Some(None)` for one that is too long.
    fn line(&mut self) -> io::Result<Option<Option<String>>> {
        if let Some(error) = self.write_error.take() {
            return Err(error);
        }
        // RFC 2920 3.2: replies to a group of commands go out together.
        if self.input.buffer().is_empty() {
            self.out.flush()?;
        }
        let mut line = Vec::new();
        (&mut self.input)
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        if !line.ends_with(b"\n") {
            if (line.len() as u64) < LONGEST_LINE {
                // The input ended in the middle of a command.
                return Ok(None);
            }
            loop {
                let buffer = self.input.fill_buf()?;
                let end = memchr::memchr(b'\n', buffer);
                let (length, last) = (buffer.len(), buffer.is_empty());
                self.input.consume(end.map_or(length, |end| end + 1));
                if end.is_some() || last {
                    return Ok(Some(None));
                }
            }
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let before_cr = line.strip_suffix(b"\r");
        if !self.greeted {
            self.line_end = before_cr.map_or(LineEnd::Lf, |_| LineEnd::CrLf);
        }
        let line = before_cr.unwrap_or(line);
        Ok(Some(Some(String::from_utf8_lossy(line).into_owned())))
    }

    pub(crate) fn say(&mut self, reply: &str) {
        if let Err(error) = write!(self.out, "{reply}\r\n") {
            self.write_error = Some(error);
        }
    }

    fn wrong(&mut self, reply: &str) {
        self.errors += 1;
        self.say(reply);
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn ehlo(&mut self, name: &str, extended: bool) {
        if name.trim().is_empty() {
            return self.wrong("501 5.5.4 EHLO takes a name");
        }
        (self.greeted, self.envelope) = (true, None);
        let host = self.host.clone();
        match extended {
            true => self.say(&format!(
                "250-{host}\r\n250-PIPELINING\r\n250-SIZE {LARGEST}\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                 250 ENHANCEDSTATUSCODES"
            )),
            false => self.say(&format!("250 {host}")),
        }
    }

    fn mail(&mut self, rest: &str, backend: &impl Backend) {
        if !self.greeted || self.envelope.is_some() {
            return self.wrong("503 5.5.1 not now");
        }
        let (sender, parameters) = match path(rest, "FROM:") {
            Ok(path) => path,
            Err(reply) => return self.wrong(&reply),
        };
        let mut envelope = Envelope::default();
        for parameter in parameters.split_ascii_whitespace() {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (
                name.to_ascii_uppercase().as_str(),
                value.to_ascii_uppercase().as_str(),
            ) {
                ("SIZE", value) => match value.parse::<u64>() {
                    Ok(size) if size <= LARGEST => {}
                    Ok(_) => return self.wrong("552 5.3.4 the message is too long"),
                    Err(_) => return self.wrong("501 5.5.4 SIZE takes a number"),
                },
                ("BODY", "7BIT" | "8BITMIME") => {}
                ("SMTPUTF8", "") => envelope.international = true,
                _ => return self.wrong("555 5.5.4 no such parameter"),
            }
        }
        if !envelope.international && !sender.is_ascii() {
            return self.wrong("553 5.6.7 not without SMTPUTF8");
        }
        if let (false, Err(reply)) = (sender.is_empty(), check(&sender)) {
            return self.wrong(&reply);
        }
        if let Some(why) = backend.unavailable() {
            return self.say(&format!("451 4.3.0 {}", clean(why)));
        }
        envelope.addressing.sender = Some(sender).filter(|sender| !sender.is_empty());
        self.envelope = Some(envelope);
        self.say("250 2.1.0 ok");
    }

    fn rcpt(&mut self, rest: &str) {
        let Some(envelope) = &mut self.envelope else {
            return self.wrong("503 5.5.1 MAIL first");
        };
        let verdict = match path(rest, "TO:") {
            Err(reply) => Err(reply),
            Ok((_, parameters)) if !parameters.trim().is_empty() => {
                Err("555 5.5.4 no such parameter".into())
            }
            Ok((address, _)) if address.is_empty() => Err("553 5.1.3 no address".into()),
            Ok((address, _)) if !address.is_ascii() && !envelope.international => {
                Err("553 5.6.7 not without SMTPUTF8".into())
            }
            Ok(_) if envelope.addressing.to.len() >= MOST_RECIPIENTS => {
                Err("452 4.5.3 too many recipients".into())
            }
            Ok((address, _)) => check(&address).map(|()| address),
        };
        match verdict {
            Ok(address) => {
                envelope.addressing.to.push(address);
                self.say("250 2.1.5 ok");
            }
            // Not counted as an error: the client sends the rest with another MAIL (RFC 5321 4.5.3.1.10).
            Err(reply) if reply.starts_with("452") => self.say(&reply),
            Err(reply) => self.wrong(&reply),
        }
    }

    fn data(&mut self, backend: &mut impl Backend) -> io::Result<()> {
        match &self.envelope {
            None => {
                self.wrong("503 5.5.1 MAIL first");
                return Ok(());
            }
            Some(envelope) if envelope.addressing.to.is_empty() => {
                self.wrong("554 5.5.1 no recipient");
                return Ok(());
            }
            Some(_) => {}
        }
        let addressing = self.envelope.take().unwrap_or_default().addressing;
        self.say("354 end with a dot on a line of its own");
        self.out.flush()?;
        let mut text = DataReader::new(&mut self.input, self.line_end);
        let taken = backend.take(addressing, &mut text);
        // If the backend has not read it to the end: the next line has to be a command.
        io::copy(&mut text, &mut io::sink())?;
        let reply = match (taken, text.too_long) {
            (_, true) => "552 5.3.4 the message is too long".into(),
            (Ok(words), _) => format!("250 2.0.0 {}", clean(&words)),
            (Err(reply), _) => clean(&reply),
        };
        self.say(&reply);
        Ok(())
    }
}

/// Refuses what can be no address. A name without a domain can be a user of this machine.
fn check(address: &str) -> Result<(), String> {
    match check_address(address) {
        Err(error) if address.contains('@') => {
            Err(format!("553 5.1.3 {}", clean(&error.to_string())))
        }
        _ => Ok(()),
    }
}

/// The path after `FROM:` or `TO:`, and the parameters after it. Spaces before it are common, and ignored.
fn path<'l>(rest: &'l str, word: &str) -> Result<(String, &'l str), String> {
    let syntax = || format!("501 5.5.4 {word}<address>");
    let behind = match rest.get(..word.len()) {
        Some(start) if start.eq_ignore_ascii_case(word) => rest.get(word.len()..),
        _ => None,
    };
    let behind = behind.map(str::trim_start).ok_or_else(syntax)?;
    let end = match behind.starts_with('<') {
        true => end_of_brackets(behind).ok_or_else(syntax)?,
        // RFC 5321 requires the brackets; Postfix takes a path without them, too.
        false => behind.find(' ').unwrap_or(behind.len()),
    };
    let (path, parameters) = behind.split_at_checked(end).ok_or_else(syntax)?;
    if path.contains(char::is_control) {
        return Err(syntax());
    }
    if path == "<>" {
        return Ok((String::new(), parameters));
    }
    let mut mailboxes = list::parse(path).map_err(|_| syntax())?;
    match (mailboxes.pop(), mailboxes.is_empty()) {
        (Some(mailbox), true) => Ok((mailbox.spec, parameters)),
        _ => Err(syntax()),
    }
}

fn end_of_brackets(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.find(|c| {
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        c == '>' && !quoted
    });
    end.map(|at| at + 1)
}

/// One line of printable ASCII.
fn clean(words: &str) -> String {
    const LONGEST: usize = 400;
    let printable = |c: char| match c {
        ' '..='~' => c,
        _ => '?',
    };
    words.chars().take(LONGEST).map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_and_a_malformed_one_refused() {
        for (rest, expected) in [
            ("TO:<ann@example.com>", Some(("ann@example.com", ""))),
            (
                "to: <ann@example.com> X=1",
                Some(("ann@example.com", " X=1")),
            ),
            ("TO:<root>", Some(("root", ""))),
            ("TO:<>", Some(("", ""))),
            ("TO:<\"a>b\"@x.org> Y", Some(("\"a>b\"@x.org", " Y"))),
            ("TO:<\"a\\\\\"@x.org> Y", Some(("\"a\\\\\"@x.org", " Y"))),
            ("TO:<@a,@b:ann@x.org>", Some(("ann@x.org", ""))),
            ("TO: ann@example.com X=1", Some(("ann@example.com", " X=1"))),
            ("TO:root", Some(("root", ""))),
            ("TO:ann@example.com,bob@example.com", None),
            ("TO:ann@example.com>", None),
            ("TO:", None),
            ("TO:<ann@example.com", None),
            ("TO:<a\tb@x>", None),
            ("FROM:<a@x>", None),
            ("", None),
        ] {
            let path = path(rest, "TO:").ok();
            let path = path
                .as_ref()
                .map(|(address, rest)| (address.as_str(), *rest));
            assert_eq!(path, expected, "{rest}");
        }
    }
}
