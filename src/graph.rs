//! Microsoft Graph: a message is one request, `sendMail` with the MIME text in base64 (facts.md, "Graph").
//!
//! Graph knows no envelope, and cannot be asked beforehand. It reads from the header who gets a message, so the header is
//! made to name the envelope's recipients. Only the status 202 is success; and from the first byte of the body until the
//! status of the answer nobody can know whether the message was taken.

mod answer;
mod body;
mod connection;

use std::io;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Request;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::account::token::beside;
use crate::account::transport::{MAX_MESSAGE, fits};
use crate::dial::Interrupt;
use crate::error::Error;
use crate::flow::{Sink, Source, copy};
use crate::graph::body::{Body, unread};
use crate::graph::connection::Connection;
use crate::message::head;
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
    client: Client,
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
    connection.begin(Request::post("https://localhost/"), 1)?;
    let (answer, _) = connection.answer(deadline)?;
    answer::judge(&answer, token)
}

impl Graph {
    /// Gets a token, and connects meanwhile.
    pub(crate) fn open(account: &Account, total: Deadline) -> Result<Self, Error> {
        let client = http::secure(&account.graph(), account.roots())?;
        let connect = |interrupt: &Interrupt| connect(account, &client, total, interrupt);
        let (connection, token) = beside(account, total, Token::kept(account), connect)?;
        Ok(Self {
            account: Box::new(account.clone()),
            client,
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
            None => connect(&self.account, &self.client, total, &Interrupt::default()),
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
        let length = text.length();
        let url = format!("{}/v1.0/users/{mailbox}/sendMail", self.account.graph());
        log::debug!("graph request to {url}, {length} bytes of MIME");
        let token = Zeroizing::new(["Bearer ", self.token.secret()].concat());
        let request = Request::post(&url)
            .header("user-agent", http::USER_AGENT)
            .header("authorization", token.as_str())
            .header("content-type", "text/plain");
        let head = connection.begin(request, length.div_ceil(3) * 4)?;
        let timeouts = &self.account.timeouts;
        let mut body = Body::new(&mut connection, timeouts, total, head, length);
        let written = body
            .write_all(&text.head)
            .and_then(|()| (text.write)(&mut body));
        let (answer, is_idle) = body.finish(written)?;
        if is_idle {
            self.connection = Some(connection);
        }
        answer::judge(&answer, &self.token)
    }
}

/// Connects to Graph, and returns the way there as errors show it. No request is made.
#[cfg(feature = "advice")]
pub(crate) fn reach(account: &Account, total: Deadline) -> Result<String, Error> {
    let client = http::secure(&account.graph(), account.roots())?;
    connect(account, &client, total, &Interrupt::default())?;
    Ok(client.way().to_owned())
}

fn connect(
    account: &Account,
    client: &Client,
    total: Deadline,
    interrupt: &Interrupt,
) -> Result<Connection, Error> {
    let deadline = total.step(account.timeouts.connect, "connect");
    Connection::open(client, deadline, interrupt)
}

/// A message as Graph takes it.
pub(crate) struct Text<'t> {
    head: Vec<u8>,
    /// The number of bytes after the head, as they are sent.
    rest: u64,
    write: Box<Writer<'t>>,
}

type Writer<'t> = dyn FnOnce(&mut dyn Sink) -> io::Result<()> + 't;

impl<'t> Text<'t> {
    /// Of a message that this crate made.
    pub(crate) fn of(letter: &'t Letter<'_>) -> Result<Self, Error> {
        let mut head = head::own(&letter.head).map_err(unnamed)?;
        head.name_only(&letter.route.to).map_err(unnamed)?;
        let mut head = head.text();
        // Without the empty line: the body begins with more fields.
        head.truncate(head.len() - 2);
        let write = Box::new(|out: &mut dyn Sink| letter.body.write_to(out));
        let rest = letter.body.size();
        Self { head, rest, write }.checked()
    }

    /// Of a message that somebody else wrote, for these recipients. Without a size the message is read first: Graph wants to
    /// know the size, and it is bounded.
    pub(crate) fn read(
        to: &[String],
        size: Option<u64>,
        message: &'t mut dyn Source,
        total: Deadline,
    ) -> Result<Self, Error> {
        if let Some(size) = size {
            fits(size)?;
        }
        let read = read_start(message, size.is_none(), total);
        let (mut start, is_whole) = read.map_err(|error| unread(error, total))?;
        let size = size.unwrap_or_else(|| length(&start));
        fits(size)?;
        let (mut head, body) = head::split(&start, is_whole).map_err(unnamed)?;
        let mut was = Length::default();
        was.feed(start.get(..body).unwrap_or_default());
        // If no body follows, the header's last line gets its end. A byte order mark alone is no line.
        let more = (body < start.len()).then(Length::default);
        let was = was.with(more.as_ref());
        head.name_only(to).map_err(unnamed)?;
        let start = start.split_off(body);
        let write = Box::new(move |out: &mut dyn Sink| {
            out.write_all(&start)?;
            copy(message, out)
        });
        let rest = size.saturating_sub(was);
        Self {
            head: head.text(),
            rest,
            write,
        }
        .checked()
    }

    fn length(&self) -> u64 {
        self.head.len() as u64 + self.rest
    }

    fn checked(self) -> Result<Self, Error> {
        fits(self.length()).map(|()| self)
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

fn unnamed(what: String) -> Error {
    Error::input(Stage::Message, "to", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_counts_for_neither_size_nor_header() {
        let to = ["ann@example.com".to_owned()];
        for (text, size, rest) in [
            ("\u{feff}hello\r\n", 10, 7),
            ("\u{feff}To: a@x.org\r\n\r\nhello\r\n", 25, 7),
            ("To: a@x.org", 13, 0),
        ] {
            let total = Deadline::total(&Timeouts::default());
            for size in [None, Some(size)] {
                let mut text = text.as_bytes();
                let text = Text::read(&to, size, &mut text, total).unwrap();
                assert_eq!(text.rest, rest);
            }
        }
    }
}
