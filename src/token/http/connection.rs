//! A connection that speaks HTTP: a request that is written, piece by piece if it is a message, and its answer.
//!
//! The protocol is ureq-proto's. Not ureq: it makes the connection itself, and reads a body from a reader, while a message is
//! made by writing it.

use std::io;
use std::time::Duration;
#[cfg(feature = "graph")]
use std::time::Instant;

use ureq_proto::BodyMode;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http::HeaderValue;
use ureq_proto::http::request::Builder;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;
use crate::tls::{Stream, write_now};
use crate::token::http::{Answer, USER_AGENT};

/// How long the header of an answer may be, and its body: a token is some 2 KB, an error of Entra under 1 KB.
const MOST: usize = 64 * 1024;
/// How long a connection may rest. Firewalls and address translators forget one that is idle for some minutes and say nothing,
/// and a message that goes into it is in doubt.
#[cfg(feature = "graph")]
const REST: Duration = Duration::from_secs(60);

/// A connection that may serve more than one request.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    /// What is asked for, a token or a message: for errors.
    stage: Stage,
    /// What has come and is not read yet, perhaps a token.
    input: Zeroizing<Vec<u8>>,
    /// Waits for an answer.
    call: Option<Box<Call<RecvResponse>>>,
    /// When something came last.
    #[cfg(feature = "graph")]
    used: Instant,
}

impl Connection {
    pub(crate) fn over(stream: Box<dyn Stream>, stage: Stage) -> Self {
        Self {
            stream,
            stage,
            // Room for a whole answer, as a rule: a vector that grows leaves copies behind.
            input: Vec::with_capacity(16 * 1024).into(),
            call: None,
            #[cfg(feature = "graph")]
            used: Instant::now(),
        }
    }

    /// The connection, if it may serve another request: the server has neither ended it nor said anything.
    #[cfg(feature = "graph")]
    pub(crate) fn if_idle(mut self) -> Option<Self> {
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

    /// The header of a request, whose body, if any, has `length` bytes.
    pub(crate) fn begin(
        &mut self,
        request: Builder,
        length: Option<u64>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let begin = || {
            let mut request = request
                .header("user-agent", USER_AGENT)
                .header("accept", "*/*");
            if let Some(length) = length {
                request = request.header("content-length", length);
            }
            let request = request.body(()).ok()?;
            let values = request.headers().values().map(HeaderValue::len);
            let room = values.sum::<usize>() + request.uri().path().len() + 4096;
            let mut head = Zeroizing::new(vec![0; room]);
            let mut call = Call::new(request).ok()?.proceed();
            let n = call.write(&mut head).ok()?;
            head.truncate(n);
            let call = match call.proceed().ok()?? {
                SendRequestResult::SendBody(mut call) => {
                    // The body is only counted here: it is written past ureq-proto.
                    let length = usize::try_from(length?).unwrap_or(usize::MAX);
                    call.consume_direct_write(length).ok()?;
                    call.proceed()?
                }
                SendRequestResult::RecvResponse(call) => call,
                SendRequestResult::Await100(_) => return None,
            };
            Some((head, call))
        };
        let made = begin();
        let (head, call) =
            made.ok_or_else(|| self.error("no header can be made for this request"))?;
        self.call = Some(Box::new(call));
        Ok(head)
    }

    pub(crate) fn write(&mut self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.stream.set_deadline(deadline);
        write_now(&mut self.stream, bytes)
    }

    /// The answer, any that has a whole header; and either whether the connection may serve the next request, or why the rest
    /// of the answer is not there. That may take `rest` once the header has come.
    pub(crate) fn answer(
        &mut self,
        deadline: Deadline,
        rest: Duration,
    ) -> Result<(Answer, Result<bool, Error>), Error> {
        self.stream.set_deadline(deadline);
        let call = self.call.take();
        let mut call = call.ok_or_else(|| self.error("no request"))?;
        let response = loop {
            // The parser's words are left out: they may repeat the token.
            let read = call.try_response(&self.input, false);
            let read = read.map_err(|_| self.error("no answer of HTTP"))?;
            self.input.drain(..read.0);
            match read {
                (_, Some(response)) => break response,
                // An interim answer, 1xx (RFC 9110 15.2).
                (1.., None) => {}
                (0, None) if self.input.len() > MOST => {
                    return Err(self.error(format!(
                        "the header of the answer is longer than {MOST} bytes"
                    )));
                }
                (0, None) => self.fill().map_err(|e| Error::io(self.stage, e))?,
            }
        };
        self.stream.set_deadline(deadline.step(rest, "accept"));
        let mut body = Zeroizing::new(Vec::new());
        let end = match call.proceed() {
            Some(RecvResponseResult::RecvBody(call)) => self.body(call, &mut body),
            Some(RecvResponseResult::Cleanup(call)) => Ok(!call.must_close_connection()),
            _ => Ok(false),
        };
        #[cfg(feature = "graph")]
        {
            self.used = Instant::now();
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        Ok((Answer::of(response.status().as_u16(), header, body), end))
    }

    /// As much of a body as comes and is of use; and whether the connection goes on, or why there is not all of it.
    fn body(&mut self, mut call: Call<RecvBody>, body: &mut Vec<u8>) -> Result<bool, Error> {
        // As much room as can be needed: a vector that grows leaves copies of a token behind.
        body.resize(MOST + 1, 0);
        let mut length = 0;
        let end = loop {
            let Some(room) = body.get_mut(length..).filter(|room| !room.is_empty()) else {
                break Err(self.error(format!("the answer is longer than {MOST} bytes")));
            };
            let Ok((read, made)) = call.read(&self.input, room) else {
                break Err(self.error("no answer of HTTP"));
            };
            self.input.drain(..read);
            length += made;
            if read + made > 0 {
                continue;
            }
            let is_open = call.body_mode() == BodyMode::CloseDelimited;
            if call.can_proceed() && !is_open {
                let end = call.proceed();
                break Ok(
                    matches!(end, Some(RecvBodyResult::Cleanup(call)) if !call.must_close_connection()),
                );
            }
            if let Err(error) = self.fill() {
                use io::ErrorKind::{ConnectionReset, UnexpectedEof};
                // What has no length ends with the connection, and some servers leave out the line after the last chunk.
                let has_ended = matches!(error.kind(), UnexpectedEof | ConnectionReset);
                break match has_ended && (is_open || call.is_ended_chunked()) {
                    true => Ok(false),
                    false => Err(Error::io(self.stage, error)),
                };
            }
        };
        body.truncate(length);
        end
    }

    /// Reads more, even after a failed write: the server's last words may be there.
    fn fill(&mut self) -> io::Result<()> {
        let before = self.input.len();
        self.input.resize(before + 4096, 0);
        let read = self
            .stream
            .read_late(self.input.get_mut(before..).unwrap_or_default());
        self.input.truncate(before + *read.as_ref().unwrap_or(&0));
        match read? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    fn error(&self, what: impl Into<String>) -> Error {
        let kind = match self.stage {
            Stage::Token => ErrorKind::Token,
            _ => ErrorKind::Protocol,
        };
        Error::new(kind, self.stage, what)
    }
}

#[cfg(all(test, feature = "graph"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;
    use crate::tls::Socket;

    #[test]
    fn a_connection_that_was_idle_for_long_is_not_used() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let socket = Socket::new(tcp, Deadline::after(REST, "connect")).unwrap();
        let mut idle = Connection::over(Box::new(socket), Stage::Graph)
            .if_idle()
            .unwrap();
        idle.used -= REST;
        assert!(idle.if_idle().is_none());
    }
}
