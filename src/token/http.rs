//! HTTP as a token request needs it: one question, one answer, within the time that is left.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use ureq::Agent;
use ureq::config::ConfigBuilder;
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use zeroize::Zeroizing;

use crate::background::{self, Inbox};
use crate::crypto;
use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::Deadline;
use crate::token::{Failure, proxy};

/// A token is some 2 KB, an error of Entra under 1 KB.
const MAX_ANSWER: u64 = 64 * 1024;
/// What is asked on this machine is there at once, or not at all.
const LOCAL_CONNECT: Duration = Duration::from_secs(3);

/// What came back.
pub(crate) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<Duration>,
    /// `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    /// When it was sent, by the clock of who sent it.
    pub(super) date: Option<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// What is asked.
pub(super) struct Question {
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, Secret)>,
    /// Makes it a POST.
    pub(super) form: Option<Zeroizing<String>>,
}

/// Who asks, and how errors call the way there.
pub(super) struct Client {
    agent: Agent,
    way: String,
}

impl Client {
    /// Asks, and reads the answer, whatever its status.
    ///
    /// In a thread of its own, whose connection is shut down at the deadline: ureq would start one for the name that
    /// panics where none can be had, and gives each read of a proxy's answer the whole time again. Where no thread can be
    /// had the caller's does.
    pub(super) fn ask(self, question: Question, deadline: Deadline) -> Result<Answer, Failure> {
        let left = deadline
            .remaining()
            .map_err(|e| Error::io(Stage::Token, e))?;
        let (question, inbox) = (Arc::new(question), Inbox::default());
        let (asked, agent, answered) = (question.clone(), self.agent.clone(), inbox.clone());
        let thread = thread::Builder::new().name("exosend http".into());
        let work = Box::new(move || answered.put(asked.put(&agent)));
        let answer = match background::spawn(thread, work) {
            Err(_) => question.put(&self.agent),
            Ok(()) => inbox.take(left).unwrap_or_else(|| {
                self.agent.shutdown();
                Err(ureq::Error::Timeout(ureq::Timeout::Global))
            }),
        };
        let answer = answer.map_err(|error| unanswered(error, deadline).about(&self.way))?;
        let (status, length) = (answer.status, answer.body.len());
        log::debug!("token answer: HTTP {status}, {length} bytes");
        Ok(answer)
    }
}

impl Question {
    fn put(&self, agent: &Agent) -> Result<Answer, ureq::Error> {
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
        Answer::read(response?)
    }
}

impl Answer {
    pub(crate) fn read(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        // As much room as there can be need of: one that grows leaves copies of a token behind.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER as usize + 1));
        let content = response.body_mut().with_config().limit(MAX_ANSWER);
        content.reader().read_to_end(&mut body)?;
        let header = |name| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(printable)
        };
        Ok(Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            location: header("location"),
            retry_after: header("retry-after")
                .map(|s| s.trim().parse().map_or(Duration::MAX, Duration::from_secs)),
            challenge: header("www-authenticate"),
            date: header("date"),
            body,
        })
    }
}

/// To Entra: by TLS, the certificate verified against the given roots or the built-in ones.
pub(super) fn secure(
    endpoint: &str,
    roots: Option<&[CertificateDer<'static>]>,
    left: Duration,
) -> Result<Client, Error> {
    let roots = match roots {
        None => RootCerts::WebPki,
        Some(roots) => RootCerts::Specific(Arc::new(
            roots
                .iter()
                .map(|root| Certificate::from_der(root).to_owned())
                .collect(),
        )),
    };
    let to: Uri = endpoint
        .parse()
        .map_err(|_| Error::input(Stage::Account, "authority", "not a URL"))?;
    let host = to.host().unwrap_or_default();
    let mut way = format!("{host}:{}", to.port_u16().unwrap_or(443));
    let proxy = proxy::to(host, &|name| std::env::var(name).ok())?;
    let proxy = proxy.map(|(proxy, shown)| {
        way.extend([" via ", &shown]);
        proxy
    });
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(crypto::provider())
        .build();
    let agent = config(left, left)
        .https_only(true)
        .proxy(proxy)
        .tls_config(tls)
        .build()
        .new_agent();
    Ok(Client { agent, way })
}

/// To this machine: in the clear, and by no proxy.
pub(super) fn local(name: &str, left: Duration) -> Client {
    Client {
        agent: config(LOCAL_CONNECT.min(left), left)
            .proxy(None)
            .build()
            .new_agent(),
        way: name.to_owned(),
    }
}

/// No time for all of it, which would make ureq start a thread: only for each part.
fn config(connect: Duration, left: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // 128 KiB each by default, and zeroed, for an answer of 2 KB.
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .timeout_connect(Some(connect))
        .timeout_send_request(Some(left))
        .timeout_send_body(Some(left))
        .timeout_recv_response(Some(left))
        .timeout_recv_body(Some(left))
        .user_agent(concat!("exosend/", env!("CARGO_PKG_VERSION")))
}

/// `application/x-www-form-urlencoded`, wiped when dropped.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    /// What a URL never gives a meaning of its own (RFC 3986 2.3).
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    // Room for all, were each byte to take three: a string that grows leaves copies behind.
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

/// No answer, or none that is HTTP.
fn unanswered(error: ureq::Error, deadline: Deadline) -> Failure {
    use ureq::Error as Http;
    let made = |kind, what: String| Error::new(kind, Stage::Token, what);
    let network = |what| {
        let made = made(ErrorKind::Network, what).transient();
        made.with_condition(Condition::EntraUnreachable)
    };
    let again = |passed| Failure {
        error: Error::io(Stage::Token, passed),
        pause: Some(Duration::ZERO),
    };
    let error = match error {
        Http::Timeout(ureq::Timeout::Connect) if deadline.remaining().is_ok() => {
            let what = format!("no connection after {LOCAL_CONNECT:?}");
            return again(io::Error::new(io::ErrorKind::TimedOut, what));
        }
        Http::Timeout(_) => return again(deadline.passed()),
        Http::Io(error) => Error::io(Stage::Token, error),
        Http::Rustls(error) => Error::tls(Stage::Token, error),
        Http::HostNotFound => network("the authority's name was not found".into()),
        Http::ConnectionFailed | Http::ConnectProxyFailed(_) => {
            network(printable(&error.to_string())).with_source(error)
        }
        Http::BodyExceedsLimit(limit) => made(
            ErrorKind::Token,
            format!("the answer is longer than {limit} bytes"),
        ),
        _ => made(ErrorKind::Token, printable(&error.to_string())),
    };
    error.into()
}
