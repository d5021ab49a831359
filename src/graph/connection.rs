//! A connection to Graph: a request written piece by piece, since a message is made while it is sent, and its answer.
//!
//! ureq reads a body from a reader, while ours is written; so HTTP is spoken by ureq-proto here, as ureq does it.

use std::io;
use std::time::{Duration, Instant};

use ureq::http::Response;
use ureq::http::request::Builder;
use ureq_proto::client::state::{RecvBody, RecvResponse};
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
    /// Waits for an answer.
    call: Option<Box<Call<RecvResponse>>>,
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
            match error.condition() {
                Some(Condition::NoNameServer) => error,
                // What is said of a mail server's name and port is not true of this one.
                _ if error.kind() == ErrorKind::Network => {
                    error.with_condition(Condition::GraphUnreachable)
                }
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
            call: None,
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

    /// The header of a request whose body has `length` bytes.
    pub(super) fn begin(
        &mut self,
        request: Builder,
        length: u64,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let begin = || {
            let request = request.header("content-length", length.to_string().as_str());
            let request = request.body(()).ok()?;
            let room: usize = request.headers().iter().map(|(_, value)| value.len()).sum();
            let mut head = Zeroizing::new(vec![0; room + 4096]);
            let mut call = Call::new(request).ok()?.proceed();
            let n = call.write(&mut head).ok()?;
            head.truncate(n);
            let SendRequestResult::SendBody(mut call) = call.proceed().ok()?? else {
                return None;
            };
            // The body is only counted here: it is written past ureq-proto.
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            call.consume_direct_write(length).ok()?;
            Some((head, call.proceed()?))
        };
        let (head, call) = begin().ok_or_else(|| {
            Error::protocol(Stage::Graph, "no header can be made for this request")
        })?;
        self.call = Some(Box::new(call));
        Ok(head)
    }

    pub(super) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.stream.set_deadline(deadline);
        write_now(&mut self.stream, bytes)
    }

    /// The answer, any that has a whole header, even if the rest of it never comes; and whether the connection may serve
    /// the next request.
    pub(super) fn answer(&mut self, deadline: Deadline) -> Result<(Answer, bool), Error> {
        self.stream.set_deadline(deadline);
        let call = self.call.take();
        let mut call = call.ok_or_else(|| Error::protocol(Stage::Graph, "no request"))?;
        let response = loop {
            // The parser's words are left out: they may repeat the token.
            let no_answer = |_| Error::protocol(Stage::Graph, "no answer of HTTP");
            let read = call.try_response(&self.input, false).map_err(no_answer)?;
            self.input.drain(..read.0);
            match read {
                (_, Some(response)) => break response,
                // An interim answer, 1xx (RFC 9110 15.2).
                (1.., None) => {}
                (0, None) if self.input.len() > MOST => {
                    let what = format!("the header of the answer is longer than {MOST} bytes");
                    return Err(Error::protocol(Stage::Graph, what));
                }
                (0, None) => self.fill().map_err(|e| Error::io(Stage::Graph, e))?,
            }
        };
        self.stream.set_deadline(deadline.step(LONGEST, "accept"));
        let (body, is_idle) = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => self.body(call),
            Some(RecvResponseResult::Cleanup(call)) => (Vec::new(), !call.must_close_connection()),
            _ => (Vec::new(), false),
        };
        self.used = Instant::now();
        Ok((answer(&response, body), is_idle))
    }

    /// As much of a body as comes and is of use, and whether that was all of it and the connection goes on.
    fn body(&mut self, mut call: Call<RecvBody>) -> (Vec<u8>, bool) {
        let (mut body, mut piece) = (Vec::new(), [0; 4096]);
        while body.len() < MOST {
            let Ok((read, made)) = call.read(&self.input, &mut piece) else {
                return (body, false);
            };
            self.input.drain(..read);
            body.extend(piece.get(..made).unwrap_or_default());
            if read + made > 0 {
                continue;
            }
            let goes_on =
                |end| matches!(end, RecvBodyResult::Cleanup(call) if !call.must_close_connection());
            if call.can_proceed() && call.body_mode() != ureq_proto::BodyMode::CloseDelimited {
                return (body, call.proceed().is_some_and(goes_on));
            }
            if self.fill().is_err() {
                return (body, false);
            }
        }
        (body, false)
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

fn answer(response: &Response<()>, body: Vec<u8>) -> Answer {
    let (status, length) = (response.status().as_u16(), body.len());
    log::debug!("graph answer: HTTP {status}, {length} bytes");
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    Answer::of(status, header, Zeroizing::new(body))
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
