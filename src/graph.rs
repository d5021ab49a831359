//! Microsoft Graph: a message is one request, `sendMail` with the MIME text in base64 (facts.md, "Graph").
//!
//! Graph knows no envelope, and cannot be asked beforehand. It reads from the header who gets a message, so the header is
//! made to name the envelope's recipients. Only the status 202 is success; and from the first byte of the body until the
//! status of the answer nobody can know whether the message was taken.

mod answer;
mod body;
mod connection;

use std::fmt::Write;
use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::account::token::Pending;
use crate::account::transport::{MAX_MESSAGE, fits};
use crate::dial::Interrupt;
use crate::error::Error;
use crate::flow::{Sink, Source, copy};
use crate::graph::body::{Body, ENCODED_BLOCK, unread};
use crate::graph::connection::Connection;
use crate::message::head::{self, Head};
use crate::message::letter::Letter;
use crate::message::octets::Length;
use crate::receipt::Receipt;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;
#[cfg(any(test, fuzzing))]
use crate::timeouts::Timeouts;
#[cfg(any(test, fuzzing))]
use crate::tls::Stream;
use crate::token::Token;
use crate::token::http::{self, Client};

/// An application that may send: its token, and the way to Graph.
pub(crate) struct Graph {
    account: Box<Account>,
    /// The server may have ended it meanwhile.
    connection: Option<Connection>,
    token: Token,
    /// Why nothing more can be sent.
    over: Option<String>,
}

/// What comes of an answer of any bytes: for `tests/invariants`.
#[cfg(any(test, fuzzing))]
pub(crate) fn answered(stream: Box<dyn Stream>, token: &Token) -> Result<Receipt, Error> {
    let deadline = Deadline::total(&Timeouts::default());
    let mut connection = Connection::over(stream);
    let (answer, _) = connection.answer(deadline)?;
    answer::judge(&answer, token)
}

impl Graph {
    /// Gets a token, and connects meanwhile.
    pub(crate) fn open(account: &Account, total: Deadline) -> Result<Self, Error> {
        let interrupt = Interrupt::default();
        let pending = Pending::start(account, total, Token::kept(account), &interrupt)?;
        let connection = connect(account, total, &interrupt).map_err(|e| pending.failure(e))?;
        let token = pending.wait(total, &interrupt)?;
        Ok(Self {
            account: Box::new(account.clone()),
            connection: Some(connection),
            token,
            over: None,
        })
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Sends one message, and never repeats it: Graph would not notice a duplicate.
    pub(crate) fn send(&mut self, text: Text<'_>, total: Deadline) -> Result<Receipt, Error> {
        if let Some(earlier) = &self.over {
            return Err(Error::broken(Stage::Graph, earlier));
        }
        if self.token.is_worn() {
            self.token = Token::get_by(&self.account, total)?;
        }
        let idle = self.connection.take().and_then(Connection::if_idle);
        let connection = match idle {
            Some(idle) => Ok(idle),
            None => connect(&self.account, total, &Interrupt::default()),
        };
        let sent = connection.and_then(|connection| {
            let sent = self.request(connection, text, total);
            sent.map_err(|error| error.about(self.account.mailbox()))
        });
        let error = match sent {
            Ok(receipt) => return Ok(receipt),
            Err(error) => error,
        };
        let goes_on = matches!(
            error.kind(),
            ErrorKind::Refused | ErrorKind::Deferred | ErrorKind::Body
        );
        if !goes_on {
            self.over = Some(error.to_string());
        }
        if error.kind() != ErrorKind::Auth {
            return Err(error);
        }
        // What the token allows may have changed since it was issued: the next call asks for another.
        Token::forget(&self.account, &self.token);
        Err(match self.token.is_worn() {
            true => error.transient(),
            false => error,
        })
    }

    fn request(
        &mut self,
        mut connection: Connection,
        text: Text<'_>,
        total: Deadline,
    ) -> Result<Receipt, Error> {
        /// Characters that mean themselves in a path (RFC 3986 3.3) and in Graph's own syntax.
        const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'.')
            .remove(b'_')
            .remove(b'~')
            .remove(b'@');
        let mailbox = utf8_percent_encode(self.account.mailbox(), ENCODED);
        let (endpoint, length) = (self.account.graph(), text.length);
        log::debug!("graph request to {endpoint} for {mailbox}, {length} bytes of MIME");
        // No endpoint and no token has a space or a line end in it: both are refused where they come from.
        let (_, host) = endpoint.split_once("://").unwrap_or_default();
        let token = self.token.secret();
        // A string that grows leaves copies of the token behind, and the first block follows.
        let name = 3 * self.account.mailbox().len();
        let room = 256 + name + host.len() + token.len() + ENCODED_BLOCK;
        let mut head = Zeroizing::new(String::with_capacity(room));
        // A string takes whatever is written.
        let _ = write!(
            head,
            "POST /v1.0/users/{mailbox}/sendMail HTTP/1.1\r\nhost: {host}\r\nuser-agent: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            http::USER_AGENT,
            length.div_ceil(3) * 4,
        );
        let timeouts = &self.account.timeouts;
        let mut body = Body::new(&mut connection, timeouts, total, head, length);
        let written = text.write_to(&mut body);
        let (answer, is_idle) = body.finish(written)?;
        self.connection = is_idle.then_some(connection);
        answer::judge(&answer, &self.token)
    }
}

/// Connects to Graph, and returns the way there as errors show it. No request is made.
#[cfg(feature = "advice")]
pub(crate) fn reach(account: &Account, total: Deadline) -> Result<String, Error> {
    connect(account, total, &Interrupt::default())?;
    Ok(client(account)?.way().to_owned())
}

fn client(account: &Account) -> Result<Client, Error> {
    http::secure(&account.graph(), account.roots())
}

fn connect(account: &Account, total: Deadline, interrupt: &Interrupt) -> Result<Connection, Error> {
    let deadline = total.step(account.timeouts.connect, "connect");
    Connection::open(&client(account)?, deadline, interrupt)
}

/// A message as Graph takes it.
pub(crate) struct Text<'t> {
    /// The header, and what has been read beyond it.
    start: Vec<u8>,
    rest: Rest<'t>,
    /// The number of bytes of all of it, as they are sent.
    length: u64,
}

enum Rest<'t> {
    Made(&'t Letter<'t>),
    Read(&'t mut dyn Source),
}

impl<'t> Text<'t> {
    /// Of a message that this crate made.
    pub(crate) fn of(letter: &'t Letter<'t>) -> Result<Self, Error> {
        let (mut start, _) = named(head::own(&letter.head), &letter.route.to)?;
        // Without the empty line: the body begins with more fields.
        start.truncate(start.len() - 2);
        let length = start.len() as u64 + letter.body.size();
        fits(length)?;
        let rest = Rest::Made(letter);
        Ok(Self {
            start,
            rest,
            length,
        })
    }

    /// Of a message that somebody else wrote, for these recipients. Without a size the message is read first: Graph wants to
    /// know the size, and it is bounded.
    pub(crate) fn read(
        to: &[String],
        size: Option<u64>,
        message: &'t mut dyn Source,
        total: Deadline,
    ) -> Result<Self, Error> {
        let read = read_start(message, size.is_none(), total);
        let (start, is_whole) = read.map_err(|error| unread(error, total))?;
        let size = size.unwrap_or_else(|| length(&start));
        fits(size)?;
        let (mut head, body) = named(head::split(&start, is_whole), to)?;
        let (was, body) = start.split_at_checked(body).unwrap_or_default();
        // If no body follows, the header's last line gets its end. A byte order mark alone is no line.
        let mut length = Length::default();
        length.feed(was);
        let more = (!body.is_empty()).then(Length::default);
        let was = length.with(more.as_ref());
        let length = head.len() as u64 + size.saturating_sub(was);
        fits(length)?;
        head.extend_from_slice(body);
        let rest = Rest::Read(message);
        Ok(Self {
            start: head,
            rest,
            length,
        })
    }

    fn write_to(self, out: &mut dyn Sink) -> io::Result<()> {
        out.write_all(&self.start)?;
        match self.rest {
            Rest::Made(letter) => letter.body.write_to(out),
            Rest::Read(message) => copy(message, out),
        }
    }
}

/// As much of a message as its header may take, or all of it, if it is not too large; and whether it is all of it. The reader
/// may be slow: the deadline is checked before each read.
fn read_start(message: &mut dyn Source, all: bool, total: Deadline) -> io::Result<(Vec<u8>, bool)> {
    const LONGEST_HEAD: usize = 1024 * 1024;
    let enough = if all {
        MAX_MESSAGE as usize + 1
    } else {
        LONGEST_HEAD
    };
    let (mut start, mut piece, mut looked_at) = (Vec::new(), [0; 8 * 1024], 0);
    loop {
        total.remaining()?;
        match message.read(&mut piece) {
            Ok(0) => return Ok((start, true)),
            Ok(n) => start.extend(piece.iter().take(n)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
        if start.len() >= enough {
            return Ok((start, false));
        }
        // Each look reads all of it again, so they are few.
        if !all && start.len() >= 2 * looked_at + 32 * 1024 {
            if head::split(&start, false).is_ok() {
                return Ok((start, false));
            }
            looked_at = start.len();
        }
    }
}

/// How long a text is as it is sent.
fn length(text: &[u8]) -> u64 {
    let mut length = Length::default();
    length.feed(text);
    length.with(None)
}

/// A header that names these recipients and nobody else, from one that was read; and where the body begins.
fn named(read: Result<(Head, usize), String>, to: &[String]) -> Result<(Vec<u8>, usize), Error> {
    let named = read.and_then(|(mut head, body)| {
        head.name_only(to)?;
        Ok((head.text(), body))
    });
    named.map_err(|what| Error::input(Stage::Message, "to", what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_counts_for_neither_size_nor_header() {
        let to = ["ann@example.com".to_owned()];
        for (text, size) in [
            ("\u{feff}hello\r\n", 10),
            ("\u{feff}To: a@x.org\r\n\r\nhello\r\n", 25),
            ("To: a@x.org", 13),
        ] {
            let total = Deadline::total(&Timeouts::default());
            for size in [None, Some(size)] {
                let mut text = text.as_bytes();
                let text = Text::read(&to, size, &mut text, total).unwrap();
                assert_eq!(text.length, text.start.len() as u64);
            }
        }
    }
}
