//! What a test tells the stand-in to do wrong, where, and how often.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::tcp::End;

/// A place in the SMTP dialogue where the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The 220 after the connection.
    Greeting,
    /// The reply to EHLO before TLS.
    Ehlo,
    /// The reply to STARTTLS.
    StartTls,
    /// In place of the TLS handshake, when the `ClientHello` has come.
    Handshake,
    /// The reply to EHLO after TLS.
    EhloTls,
    /// The reply to the AUTH line: 334, or the verdict if the blob came with it.
    Auth,
    /// The verdict on the blob, in one step or two. A 3yz here is a challenge: the client has to
    /// answer it with an empty line, and gets 535.
    AuthBlob,
    /// The reply to MAIL.
    Mail,
    /// The reply to RCPT.
    Rcpt,
    /// The 354.
    Data,
    /// Amid the message, after that many octets of it were read. It does not happen in a shorter one.
    Body(u64),
    /// The reply after the final dot. What is refused here with 4yz or 5yz was not delivered; what
    /// ends in any other way was.
    Accept,
    /// The reply to RSET.
    Rset,
    /// The reply to NOOP.
    Noop,
    /// The 221.
    Quit,
}

impl Step {
    /// What every message passes by and has to wait for, in this order; RSET if something was refused.
    pub const DIALOGUE: [Self; 12] = [
        Self::Greeting,
        Self::Ehlo,
        Self::StartTls,
        Self::Handshake,
        Self::EhloTls,
        Self::Auth,
        Self::AuthBlob,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Accept,
        Self::Rset,
    ];

    /// A line of a table: `Accept 451 4.7.500 Server busy`, or `Accept hangs up`.
    pub(super) fn says(row: &str) -> (Self, Fault) {
        let (name, reply) = row.split_once(' ').expect("a step and its reply");
        let mut steps = Self::DIALOGUE.into_iter().chain([Self::Noop, Self::Quit]);
        let step = steps.find(|step| format!("{step:?}") == name);
        let fault = match reply {
            "hangs up" => Fault::disconnect(),
            reply => Fault::reply(reply),
        };
        (step.expect("a step"), fault)
    }
}

/// What happens at a [`Step`] instead of the usual reply.
///
/// If the reply has the first digit of the usual one the dialogue goes on as if it were that one, else
/// as after a refusal. A 421 closes the connection, as RFC 5321 3.8 has it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) after: Duration,
    pub(super) pace: Pace,
    pub(super) end: Option<End>,
}

impl Fault {
    /// Another reply: one line or, with `\n` between them, several. Each carries its code.
    pub fn reply(text: &str) -> Self {
        Self::raw(crlf(text))
    }

    /// These bytes, in one write.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            bytes: Some(bytes.into()),
            ..Self::usual()
        }
    }

    /// The connection ends with FIN instead of a reply.
    pub fn disconnect() -> Self {
        Self::raw("").then(End::Disconnect)
    }

    /// The connection is reset instead of a reply.
    pub fn reset() -> Self {
        Self::raw("").then(End::Reset)
    }

    /// No reply, until the client goes.
    pub fn silent() -> Self {
        Self::raw("").then(End::Silent)
    }

    /// No reply, and nothing is read any more.
    pub fn stop_reading() -> Self {
        Self::raw("").then(End::StopReading)
    }

    /// The usual reply, but late.
    pub fn delay(time: Duration) -> Self {
        Self {
            after: time,
            ..Self::usual()
        }
    }

    /// The usual reply, `n` octets at a time in writes of their own. In plaintext the client's kernel may
    /// join them again, in TLS each is a record; with a rest they stay apart ([`Fault::paced`]).
    pub fn split(n: usize) -> Self {
        Self::usual().paced(n, Duration::ZERO)
    }

    /// The usual reply, one octet at a time with `rest` before each.
    pub fn trickle(rest: Duration) -> Self {
        Self::usual().paced(1, rest)
    }

    /// Sent `piece` octets at a time, with `rest` before each piece.
    pub fn paced(self, piece: usize, rest: Duration) -> Self {
        Self {
            pace: Pace { piece, rest },
            ..self
        }
    }

    /// And then the connection ends.
    pub fn then(self, end: End) -> Self {
        Self {
            end: Some(end),
            ..self
        }
    }

    /// And then FIN.
    pub fn then_disconnect(self) -> Self {
        self.then(End::Disconnect)
    }

    /// And then RST, also to a client that is still writing.
    pub fn then_reset(self) -> Self {
        self.then(End::Reset)
    }

    fn usual() -> Self {
        Self {
            bytes: None,
            after: Duration::ZERO,
            pace: Pace::default(),
            end: None,
        }
    }
}

/// The octets at which connections end, of those that begin from now on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Of SMTP, said by the server.
    pub(super) server: Option<(u64, End)>,
    /// Of SMTP, read from the client.
    pub(super) client: Option<u64>,
    /// Of TCP, sent by the SMTP side.
    pub(super) tcp: Option<(u64, End)>,
    /// Of TCP, sent by the token side.
    pub(super) entra: Option<(u64, End)>,
    /// Of TCP, sent by Graph.
    pub(super) graph: Option<(u64, End)>,
}

/// How bytes are written: so many at a time, with a rest before each piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) piece: usize,
    pub(super) rest: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            piece: usize::MAX,
            rest: Duration::ZERO,
        }
    }
}

/// What was told for each step.
#[derive(Clone, Default)]
pub(super) struct Faults(HashMap<Discriminant<Step>, Sequence<(Step, Fault)>>);

impl Faults {
    pub(super) fn tell(&mut self, step: Step, times: RangeInclusive<usize>, fault: Fault) {
        self.0
            .entry(discriminant(&step))
            .or_default()
            .tell(times, (step, fault));
    }

    /// The fault for this occurrence of `step`. `Body` stands for every position in the body.
    pub(super) fn next(&mut self, step: Step) -> Option<(Step, Fault)> {
        self.0.entry(discriminant(&step)).or_default().next()
    }
}

/// What to do at the nth time, counted from 1; the last one told wins.
#[derive(Clone)]
pub(super) struct Sequence<T> {
    told: Vec<(RangeInclusive<usize>, T)>,
    seen: usize,
}

impl<T: Clone> Sequence<T> {
    pub(super) fn tell(&mut self, times: RangeInclusive<usize>, what: T) {
        self.told.push((times, what));
    }

    pub(super) fn next(&mut self) -> Option<T> {
        self.seen += 1;
        let told = self
            .told
            .iter()
            .rev()
            .find(|(times, _)| times.contains(&self.seen));
        told.map(|(_, what)| what.clone())
    }
}

impl<T> Default for Sequence<T> {
    fn default() -> Self {
        Self {
            told: Vec::new(),
            seen: 0,
        }
    }
}

/// A reply as it goes over the wire, whatever line ends it was written with.
pub(super) fn crlf(text: &str) -> Vec<u8> {
    text.lines()
        .flat_map(|line| [line, "\r\n"])
        .collect::<String>()
        .into_bytes()
}
