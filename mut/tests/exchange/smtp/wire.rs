//! Lines and octets of the SMTP dialogue, counted, noted, and cut where a test wants them cut.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rustls::ServerConfig;

use super::super::channel::Channel;
use super::super::fault::{Ends, Fault, Pace, crlf};
use super::super::shared::Shared;
use super::super::tcp::End;

/// The dialogue is over: the client went, or a fault ended it.
#[derive(Debug)]
pub(super) struct Over;

pub(super) type Flow<T> = Result<T, Over>;

pub(super) struct Wire<'a> {
    channel: Channel,
    shared: &'a Shared,
    /// Received and not handled yet.
    input: Vec<u8>,
    /// Said and not sent yet: replies to a group leave together, as RFC 2920 3.2 recommends.
    output: Vec<u8>,
    sent: u64,
    received: u64,
    ends: Ends,
}

impl<'a> Wire<'a> {
    pub(super) fn new(mut channel: Channel, shared: &'a Shared) -> Self {
        let ends = shared.orders().ends;
        channel.tcp.end_at(ends.tcp);
        Self {
            channel,
            shared,
            input: Vec::new(),
            output: Vec::new(),
            sent: 0,
            received: 0,
            ends,
        }
    }

    /// The address that EHLO's reply repeats.
    pub(super) fn peer(&self) -> String {
        self.channel
            .tcp
            .peer()
            .map_or_else(|| "unknown".to_owned(), |peer| peer.ip().to_string())
    }

    /// The next line without its CRLF, or `None` for one that breaks the rules.
    pub(super) fn line(&mut self) -> Flow<Option<String>> {
        let end = loop {
            match self.input.iter().position(|&byte| byte == b'\n') {
                Some(end) => break end,
                None if self.input.len() > 1 << 20 => {
                    self.shared.violation("a line of more than 1 MiB");
                    return Err(self.end(End::Disconnect));
                }
                None => self.fill()?,
            }
        };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        self.count_turns();
        let Some(text) = line.strip_suffix(b"\r\n") else {
            self.shared.violation(format!(
                "a line ends in a bare LF (RFC 5321 2.3.8): {}",
                visible(&line)
            ));
            return Ok(None);
        };
        if text.iter().any(|byte| b"\r\0".contains(byte)) {
            self.shared.violation(format!(
                "CR or NUL inside a line (RFC 5321 2.3.8): {}",
                visible(&line)
            ));
            return Ok(None);
        }
        let text = String::from_utf8(text.to_vec());
        if text.is_err() {
            self.shared.violation("a line is not UTF-8 (RFC 6531 3.3)");
        }
        Ok(text.ok())
    }

    /// Some octets of a message: what is there, at most `limit`.
    pub(super) fn octets(&mut self, limit: u64) -> Flow<Vec<u8>> {
        if self.input.is_empty() {
            self.fill()?;
        }
        self.count_turns();
        let n = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(self.input.len());
        let rest = self.input.split_off(n);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Gives back what was read beyond the end of the message.
    pub(super) fn unread(&mut self, rest: &[u8]) {
        self.input.splice(..0, rest.iter().copied());
    }

    /// Whether the client has already sent more than what was handled.
    pub(super) fn has_input(&self) -> bool {
        !self.input.is_empty()
    }

    /// Says a reply and gives its code. It is sent before the next wait for the client.
    pub(super) fn say(&mut self, reply: &str) -> u16 {
        let bytes = crlf(reply);
        self.note(&bytes);
        self.output.extend_from_slice(&bytes);
        code(&bytes)
    }

    /// Does what a fault says, `usual` being the reply it may fall back to. Gives the code that was said.
    pub(super) fn perform(&mut self, fault: &Fault, usual: &str) -> Flow<u16> {
        self.flush()?;
        if !self.channel.tcp.pause(fault.after) {
            return Err(Over);
        }
        let bytes = fault.bytes.clone().unwrap_or_else(|| crlf(usual));
        self.note(&bytes);
        self.transmit(&bytes, fault.pace)?;
        match (fault.end, code(&bytes)) {
            (Some(end), _) => Err(self.end(end)),
            (None, 421) => Err(self.end(End::Disconnect)),
            (None, code) => Ok(code),
        }
    }

    /// Waits for the first octets of the `ClientHello`, and forgets them.
    pub(super) fn swallow_client_hello(&mut self) -> Flow<()> {
        self.flush()?;
        match self.channel.read(&mut [0; 4096]) {
            Ok(1..) => Ok(()),
            _ => Err(Over),
        }
    }

    /// The TLS handshake. Nothing that came in the clear behind STARTTLS survives it (RFC 3207 4.2).
    pub(super) fn start_tls(&mut self, config: &Arc<ServerConfig>) -> Flow<()> {
        self.flush()?;
        self.input.clear();
        if let Err(failure) = self.channel.handshake(config) {
            let cause = failure.get_ref().and_then(|cause| cause.downcast_ref());
            if let Some(rustls::Error::InvalidMessage(_)) = cause {
                self.shared
                    .violation("plaintext after STARTTLS (RFC 3207 4)");
            }
            self.shared.handshake_failure("smtp", &failure);
            return Err(self.end(End::Disconnect));
        }
        self.shared.note(format!("-- {}", self.channel.version()));
        Ok(())
    }

    /// The orderly end after QUIT.
    pub(super) fn close(&mut self) -> Over {
        if self.flush().is_ok() {
            self.channel.close();
        }
        Over
    }

    /// Any other end.
    pub(super) fn end(&mut self, how: End) -> Over {
        self.shared.note(format!("-- {how:?}"));
        self.channel.tcp.end(how);
        Over
    }

    fn flush(&mut self) -> Flow<()> {
        let output = std::mem::take(&mut self.output);
        self.transmit(&output, Pace::default())
    }

    /// Sends, but not past the octet where a test ends what the server says.
    fn transmit(&mut self, bytes: &[u8], pace: Pace) -> Flow<()> {
        let (room, end) = match self.ends.server {
            Some((at, end)) => (
                usize::try_from(at - self.sent).unwrap_or(usize::MAX),
                Some(end),
            ),
            None => (usize::MAX, None),
        };
        let n = bytes.len().min(room);
        self.channel.send(&bytes[..n], pace).map_err(|_| Over)?;
        self.sent += n as u64;
        self.shared.server_bytes.fetch_add(n as u64, Relaxed);
        match end {
            Some(end) if n < bytes.len() => Err(self.end(end)),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> Flow<()> {
        self.flush()?;
        let room = self.ends.client.map_or(u64::MAX, |at| at - self.received);
        if room == 0 {
            return Err(self.end(End::StopReading));
        }
        let mut chunk = vec![0; usize::try_from(room).unwrap_or(usize::MAX).min(64 * 1024)];
        let Ok(n @ 1..) = self.channel.read(&mut chunk) else {
            return Err(Over);
        };
        self.input.extend_from_slice(&chunk[..n]);
        self.received += n as u64;
        self.shared.client_bytes.fetch_add(n as u64, Relaxed);
        Ok(())
    }

    /// Turns count when the server has what it waited for; so a `close_notify` alone is none.
    fn count_turns(&mut self) {
        self.shared.count_smtp_turns(&mut self.channel.tcp);
    }

    fn note(&self, reply: &[u8]) {
        for line in reply.split_inclusive(|&byte| byte == b'\n') {
            self.shared.note(format!("S: {}", visible(line)));
        }
    }
}

/// The code of a reply, 0 if it has none.
pub(super) fn code(reply: &[u8]) -> u16 {
    let digits = reply
        .get(..3)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A line for the transcript: its CRLF left out, anything unusual escaped.
pub(super) fn visible(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r\n").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    text.chars()
        .map(|c| {
            if c.is_control() {
                c.escape_default().to_string()
            } else {
                c.to_string()
            }
        })
        .collect()
}
