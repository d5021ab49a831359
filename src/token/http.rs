//! HTTP as a token request needs it: one question, one answer, within the time that is left.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls::pki_types::CertificateDer;
use ureq::config::ConfigBuilder;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::{Agent, AsSendBody};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::hint::table::Condition;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::Deadline;
use crate::token::Failure;

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

/// Asks, and reads the answer, whatever its status.
pub(super) fn ask(
    agent: &Agent,
    request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    deadline: Deadline,
) -> Result<Answer, Failure> {
    let response = request
        .map_err(ureq::Error::from)
        .and_then(|request| agent.run(request));
    // A function of its own, so that it is compiled once and not for each kind of body.
    read(response, deadline)
}

fn read(
    response: Result<Response<ureq::Body>, ureq::Error>,
    deadline: Deadline,
) -> Result<Answer, Failure> {
    let answer = response
        .and_then(Answer::read)
        .map_err(|error| unanswered(error, deadline))?;
    let (status, length) = (answer.status, answer.body.len());
    log::debug!("token answer: HTTP {status}, {length} bytes");
    Ok(answer)
}

impl Answer {
    pub(crate) fn read(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
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
            body: response
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER)
                .read_to_vec()?
                .into(),
        })
    }
}

/// Asks Entra: by TLS, the certificate verified against the given roots or the built-in ones.
pub(super) fn secure(roots: Option<&[CertificateDer<'static>]>, left: Duration) -> Agent {
    let roots = match roots {
        None => RootCerts::WebPki,
        Some(roots) => RootCerts::Specific(Arc::new(
            roots
                .iter()
                .map(|root| Certificate::from_der(root).to_owned())
                .collect(),
        )),
    };
    config(left)
        .https_only(true)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build()
        .new_agent()
}

/// Asks this machine: in the clear, and by no proxy.
pub(super) fn local(left: Duration) -> Agent {
    config(left)
        .proxy(None)
        .timeout_connect(Some(LOCAL_CONNECT.min(left)))
        .build()
        .new_agent()
}

fn config(left: Duration) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // 128 KiB each by default, and zeroed, for an answer of 2 KB.
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .timeout_global(Some(left))
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
        Http::Timeout(ureq::Timeout::Connect) => {
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
