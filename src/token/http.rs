//! HTTP as a token request needs it: one question, one answer, before a deadline. The connection for it, perhaps through a
//! proxy, serves Graph, too.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use ureq::config::Config;
use ureq::http::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use ureq::http::{HeaderMap, HeaderName, Method, Request, Response, Uri};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Proxy, ProxyProtocol};
use zeroize::Zeroizing;

use crate::dial::{self, Interrupt};
use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::Deadline;
use crate::tls::{self, Stream, write_now};
use crate::token::{Failure, proxy};

pub(crate) const USER_AGENT: &str = concat!("exosend/", env!("CARGO_PKG_VERSION"));
/// A token is some 2 KB, an error of Entra under 1 KB.
const MAX_ANSWER: u64 = 64 * 1024;
/// A service of this machine is reached at once, or not at all.
const LOCAL_CONNECT: Duration = Duration::from_secs(3);

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) location: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    /// When it was sent, by the sender's clock.
    pub(super) date: Option<String>,
    /// What support looks a request up by.
    #[cfg(feature = "graph")]
    pub(crate) request_id: Option<String>,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

/// What is asked.
pub(super) struct Question {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
    /// Makes it a POST.
    pub(super) form: Option<Zeroizing<String>>,
}

/// Who is asked, and how that server is reached.
pub(crate) struct Client {
    host: String,
    port: u16,
    /// `None` for a service of this machine.
    tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
    /// The server and the proxy, for errors.
    way: String,
}

impl Client {
    #[cfg(feature = "graph")]
    pub(crate) fn way(&self) -> &str {
        &self.way
    }

    /// Asks, and reads the answer, whatever its status. The deadline covers the connection, a proxy's answer and every byte.
    /// Boxed, since it passes through several hands.
    pub(super) fn ask(
        &self,
        question: &Question,
        deadline: Deadline,
    ) -> Result<Box<Answer>, Failure> {
        let answer = self
            .connect(deadline, &Interrupt::default())
            .and_then(|stream| {
                let answer = question.put(&agent(stream, self.tls.is_some()));
                answer.map_err(unanswered)
            });
        let answer = answer.map_err(|error| Failure {
            error: error.about(&self.way),
            pause: deadline.remaining().err().map(|_| Duration::ZERO),
        })?;
        let (status, length) = (answer.status, answer.body.len());
        log::debug!("token answer: HTTP {status}, {length} bytes");
        Ok(answer)
    }

    /// Connects. The stream keeps this deadline until it is moved.
    pub(crate) fn connect(
        &self,
        deadline: Deadline,
        interrupt: &Interrupt,
    ) -> Result<Box<dyn Stream>, Error> {
        let (host, port) = match &self.proxy {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.host.as_str(), self.port),
        };
        let patience = match self.tls {
            Some(_) => deadline,
            None => deadline.step(LOCAL_CONNECT, "this machine"),
        };
        let host = host.trim_matches(['[', ']']);
        let connected = dial::connect(host, port, patience, interrupt);
        let mut stream: Box<dyn Stream> = match (connected, &self.proxy) {
            (Ok(stream), _) => Box::new(stream),
            (Err(error), None) => return Err(unreached(error)),
            // A hint about names would point to the configuration, where the proxy's name is not.
            (Err(error), Some(_)) => {
                return Err(unreached(error).with_condition(Condition::EntraUnreachable));
            }
        };
        stream.set_deadline(deadline);
        if let Some(proxy) = &self.proxy {
            if proxy.protocol() == ProxyProtocol::Https {
                stream = tls::handshake(stream, host, tls::config(None)?).map_err(unreached)?;
            }
            proxy::tunnel(&mut stream, proxy, &authority(&self.host, self.port))?;
        }
        match &self.tls {
            Some(config) => tls::handshake(stream, &self.host, config.clone()).map_err(unreached),
            None => Ok(stream),
        }
    }
}

/// A connection that is there already, as a transport of ureq.
struct Line {
    /// In a mutex because ureq wants `Sync`.
    stream: Mutex<Box<dyn Stream>>,
    is_tls: bool,
    buffers: LazyBuffers,
}

struct Connected(Mutex<Option<Line>>);

fn agent(stream: Box<dyn Stream>, is_tls: bool) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(USER_AGENT)
        .build();
    let line = Line {
        stream: Mutex::new(stream),
        is_tls,
        // 128 KiB each by default, and zeroed, for an answer of 2 KB.
        buffers: LazyBuffers::new(16 * 1024, 16 * 1024),
    };
    Agent::with_parts(config, Connected(Mutex::new(Some(line))), Nowhere)
}

impl Connector for Connected {
    type Out = Line;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Line>, ureq::Error> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connected")
    }
}

/// ureq's timeouts are not used: the stream has its own deadline.
impl Transport for Line {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        let stream = self.stream.get_mut();
        let stream = stream.unwrap_or_else(PoisonError::into_inner);
        let bytes = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(write_now(stream, bytes)?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let stream = self.stream.get_mut();
        let stream = stream.unwrap_or_else(PoisonError::into_inner);
        let amount = stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        false
    }

    fn is_tls(&self) -> bool {
        self.is_tls
    }
}

/// ureq looks up no name: the connection is there.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

impl Question {
    fn put(&self, agent: &Agent) -> Result<Box<Answer>, ureq::Error> {
        let method = match self.form {
            Some(_) => Method::POST,
            None => Method::GET,
        };
        let mut request = Request::builder().method(method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(*name, value.expose());
        }
        // Not ureq's `send_form`, which makes a copy of the secret that nobody wipes.
        let response = match &self.form {
            Some(form) => agent.run(request.body(form.as_str())?),
            None => agent.run(request.body(())?),
        };
        Answer::read(response?).map(Box::new)
    }
}

impl Answer {
    pub(crate) fn read(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        // As much room as can be needed: a vector that grows leaves copies of a token behind.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER as usize + 1));
        let content = response.body_mut().with_config().limit(MAX_ANSWER);
        content.reader().read_to_end(&mut body)?;
        Ok(Self::of(
            response.status().as_u16(),
            response.headers(),
            body,
        ))
    }

    pub(crate) fn of(status: u16, headers: &HeaderMap, body: Zeroizing<Vec<u8>>) -> Self {
        let header = |name| {
            let text = headers.get::<HeaderName>(name)?.to_str();
            text.ok().map(printable)
        };
        Self {
            status,
            content_type: header(CONTENT_TYPE).unwrap_or_default(),
            location: header(LOCATION),
            retry_after: header(RETRY_AFTER)
                .map(|s| s.trim().parse().map_or(Duration::MAX, Duration::from_secs)),
            challenge: header(WWW_AUTHENTICATE),
            date: header(DATE),
            #[cfg(feature = "graph")]
            request_id: header(const { HeaderName::from_static("request-id") }),
            body,
        }
    }
}

/// To Entra, and to Graph: by TLS, the certificate verified against the given roots or the built-in ones.
pub(crate) fn secure(
    endpoint: &str,
    roots: Option<&[CertificateDer<'static>]>,
) -> Result<Client, Error> {
    let (host, port) = place(endpoint, 443)
        .ok_or_else(|| Error::input(Stage::Account, "authority", "not a URL"))?;
    let mut way = authority(&host, port);
    let proxy = proxy::to(&host, port, &|name| std::env::var(name).ok())?;
    let proxy = proxy.map(|(proxy, shown)| {
        way.extend([" via ", &shown]);
        proxy
    });
    let tls = Some(tls::config(roots)?);
    Ok(Client {
        host,
        port,
        tls,
        proxy,
        way,
    })
}

/// The proxy to an endpoint, as errors show it.
#[cfg(feature = "advice")]
pub(crate) fn proxy_to(endpoint: &str) -> Option<String> {
    let (host, port) = place(endpoint, 443)?;
    let proxy = proxy::to(&host, port, &|name| std::env::var(name).ok());
    proxy.ok()?.map(|(_, shown)| shown)
}

/// To this machine: in the clear, and by no proxy.
pub(super) fn local(name: &str, endpoint: &str) -> Client {
    let (host, port) = place(endpoint, 80).unwrap_or_default();
    Client {
        host,
        port,
        tls: None,
        proxy: None,
        way: name.to_owned(),
    }
}

/// Host and port of a URL.
pub(crate) fn place(url: &str, default_port: u16) -> Option<(String, u16)> {
    let url: Uri = url.parse().ok()?;
    let host = url.host()?;
    let port = match url.authority()?.as_str().strip_prefix(host)? {
        "" => default_port,
        port => port.strip_prefix(':')?.parse().ok()?,
    };
    Some((host.trim_matches(['[', ']']).to_owned(), port))
}

/// Both in one, an IPv6 address in brackets (RFC 3986 3.2.2).
fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// `application/x-www-form-urlencoded`, wiped when dropped.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    /// Encodes all but the unreserved characters (RFC 3986 2.3).
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    // Room for three characters a byte: a string that grows leaves copies of a secret behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut form = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.extend([name, "="]);
        form.extend(utf8_percent_encode(value, ENCODED));
    }
    form
}

/// The error of a connection that was not made. Hints about names are right here as well, those about port 587 are not.
fn unreached(error: Error) -> Error {
    let error = match (error.kind(), error.stage()) {
        // A name server may be wrong for the moment.
        (ErrorKind::Network, Stage::Resolve) => error.transient(),
        (ErrorKind::Network, _) => error.with_condition(Condition::EntraUnreachable),
        _ => error,
    };
    error.at(Stage::Token)
}

/// No answer, or none that is HTTP.
fn unanswered(error: ureq::Error) -> Error {
    let what = match error {
        ureq::Error::Io(error) => return Error::io(Stage::Token, error),
        ureq::Error::BodyExceedsLimit(limit) => format!("the answer is longer than {limit} bytes"),
        error => printable(&error.to_string()),
    };
    Error::new(ErrorKind::Token, Stage::Token, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_put_into_brackets() {
        for url in ["https://[2001:db8::1]/x", "https://login.example.com/x"] {
            let (host, port) = place(url, 443).unwrap();
            assert_eq!(
                format!("https://{}/x", authority(&host, port)),
                url.replace("/x", ":443/x")
            );
        }
    }
}
