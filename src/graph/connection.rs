//! A connection to Graph: a request written piece by piece, since a message is made while it is sent, and its answer.
//!
//! ureq reads a body from a reader, while ours is written; so HTTP is spoken by ureq-proto here, as ureq does it.

use std::io;
use std::time::{Duration, Instant};

use ureq::http::Request;
use ureq_proto::BodyMode;
use ureq_proto::client::state::{Cleanup, RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use zeroize::Zeroizing;

use crate::dial::Interrupt;
use crate::error::Error;
use crate::hint::table::Condition;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;
use crate::tls::{Stream, write_now};
use crate::token::http::{Answer, Client};

/// How long the header of an answer may be, and how much of its body is read.
const MOST: usize = 64 * 1024;
/// How long the rest of an answer may take once its status is known: the reason for a refusal is short.
const LONGEST: Duration = Duration::from_secs(10);
/// How long a connection may rest. Firewalls and address translators forget one that is idle for some minutes and say nothing,
/// and a message that goes into it is in doubt.
const REST: Duration = Duration::from_secs(60);

/// A connection that may serve more than one request.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// What has come and is not read yet.
    input: Vec<u8>,
    /// When something came last.
    used: Instant,
}

impl Connection {
    pub(super) fn open(
        client: &Client,
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let stream = client.connect(deadline, interrupt).map_err(|error| {
            let error = error.at(Stage::Graph).about(client.way());
            // What is said of a mail server's name and port is not true of this one.
            match (error.kind(), error.condition()) {
                (_, Some(Condition::NoNameServer)) => error,
                (ErrorKind::Network, _) => error.with_condition(Condition::GraphUnreachable),
                _ => error,
            }
        })?;
        Ok(Self::over(stream))
    }

    /// One that is there already.
    pub(super) fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            input: Vec::new(),
            used: Instant::now(),
        }
    }

    /// The connection, if it may serve another request: the server has neither ended it nor said anything.
    pub(super) fn if_idle(mut self) -> Option<Self> {
        let mut waits = || {
            let now = Deadline::after(Duration::ZERO, "block");
            self.stream.set_deadline(now);
            let nothing = self.stream.read(&mut [0]);
            nothing.is_err_and(|e| e.kind() == io::ErrorKind::TimedOut)
        };
        // The first look reads the tickets that TLS 1.3 sends after its handshake, and does not see an end that follows.
        let is_idle = waits() && waits();
        (is_idle && self.input.is_empty() && self.used.elapsed() < REST).then_some(self)
    }

    pub(super) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.stream.set_deadline(deadline);
        write_now(&mut self.stream, bytes)
    }

    /// The answer, any that has a whole header, even if the rest of it never comes; and whether the connection may serve
    /// the next request.
    pub(super) fn answer(&mut self, deadline: Deadline) -> Result<(Answer, bool), Error> {
        const TOO_LONG: &str = "the header of the answer is longer than 64 KiB";
        // The parser's words are left out: they may repeat the token.
        let no_answer = || Error::protocol(Stage::Graph, "no answer of HTTP");
        self.stream.set_deadline(deadline);
        let mut call = asked().ok_or_else(no_answer)?;
        let response = loop {
            let read = call.try_response(&self.input, false);
            let (read, response) = read.map_err(|_| no_answer())?;
            self.input.drain(..read);
            if let Some(response) = response {
                break response;
            }
            // After an interim answer, 1xx (RFC 9110 15.2), the next one may be there.
            if read == 0 {
                if self.input.len() > MOST {
                    return Err(Error::protocol(Stage::Graph, TOO_LONG));
                }
                self.fill().map_err(|e| Error::io(Stage::Graph, e))?;
            }
        };
        self.stream.set_deadline(deadline.step(LONGEST, "accept"));
        let mut body = Zeroizing::default();
        let end = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => self.body(call, &mut body),
            Some(RecvResponseResult::Cleanup(call)) => Some(call),
            _ => None,
        };
        let is_idle = end.is_some_and(|call| !call.must_close_connection());
        self.used = Instant::now();
        let status = response.status().as_u16();
        Ok((Answer::of(status, response.headers(), body), is_idle))
    }

    /// As much of a body as comes and is of use. `None` unless that was all of it.
    fn body(&mut self, mut call: Call<RecvBody>, body: &mut Vec<u8>) -> Option<Call<Cleanup>> {
        let mut piece = [0; 4096];
        while body.len() < MOST {
            let (read, made) = call.read(&self.input, &mut piece).ok()?;
            self.input.drain(..read);
            body.extend(piece.get(..made).unwrap_or_default());
            if read + made > 0 {
                continue;
            }
            if call.can_proceed() && call.body_mode() != BodyMode::CloseDelimited {
                return match call.proceed()? {
                    RecvBodyResult::Cleanup(call) => Some(call),
                    RecvBodyResult::Redirect(_) => None,
                };
            }
            self.fill().ok()?;
        }
        None
    }

    /// Reads more, even after a failed write: the server's last words may be there.
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
}

/// The state of a request that was written. ureq-proto reads no answer before it has written a request, and ours is written past
/// it: this one stands for it. Answers to GET and POST end alike (RFC 9112 6.3).
fn asked() -> Option<Call<RecvResponse>> {
    let mut call = Call::new(Request::new(())).ok()?.proceed();
    call.write(&mut [0; 64]).ok()?;
    match call.proceed().ok()?? {
        SendRequestResult::RecvResponse(call) => Some(call),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls::Socket;

    #[test]
    fn a_connection_that_was_idle_for_long_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::new(tcp, Deadline::after(REST, "connect")).unwrap();
        let mut idle = Connection::over(Box::new(socket)).if_idle().unwrap();
        idle.used -= REST;
        assert!(idle.if_idle().is_none());
    }
}
