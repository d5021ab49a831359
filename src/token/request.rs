//! The token request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ureq::config::ConfigBuilder;
use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use zeroize::Zeroizing;

use crate::account::Account;
use crate::error::Error;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::Deadline;
use crate::token::answer::{Answer, Head, Withheld};
use crate::token::{Failure, Token};

/// What proves the application in a request.
pub(crate) enum Proof {
    /// The client secret (RFC 6749 2.3.1).
    Secret(Secret),
    /// A signed assertion, our own or another identity provider's (RFC 7523 2.2).
    Assertion(Secret),
}

/// Asks Entra by the client credentials flow, once.
pub(crate) fn request(
    account: &Account,
    proof: &Proof,
    attempt: u32,
    total: Deadline,
) -> Result<Token, Failure> {
    ask(account, proof, attempt, total).map_err(|failure| failure.about(account.tenant_id()))
}

fn ask(account: &Account, proof: &Proof, attempt: u32, total: Deadline) -> Result<Token, Failure> {
    let deadline = total.step(account.limits().token, "token");
    let left = deadline
        .remaining()
        .map_err(|e| Error::io(Stage::Token, e))?;
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", account.application()),
        ("scope", account.resource_scope()),
    ];
    let withheld = match proof {
        Proof::Secret(secret) => {
            fields.push(("client_secret", secret.expose()));
            Withheld {
                name: "[client secret]",
                secret,
            }
        }
        Proof::Assertion(secret) => {
            fields.push((
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ));
            fields.push(("client_assertion", secret.expose()));
            Withheld {
                name: "[client assertion]",
                secret,
            }
        }
    };
    let form = form(&fields);
    let endpoint = account.token_endpoint();
    log::debug!("token request to {endpoint} for {}", account.application());
    let asked = SystemTime::now();
    let agent = agent(account, left)?;
    // Not `agent.post(..).send_form(..)`: 10 KB, and a copy of the secret that nobody wipes.
    let answer = Request::post(&endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.as_str())
        .map_err(ureq::Error::from)
        .and_then(|request| agent.run(request))
        .inspect(|response| {
            if let Some(keep) = account.token_file() {
                keep.answered(Head(response));
            }
        })
        .and_then(Answer::read)
        .map_err(|e| unanswered(e, deadline))
        .map_err(|failure| failure.only_once(attempt))?;
    answer.told();
    let pause = answer.pause();
    answer
        .token(asked, &withheld)
        .map_err(|error| Failure { error, pause }.only_once(attempt))
}

/// `application/x-www-form-urlencoded`, wiped when dropped.
pub(super) fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
    // Room for all, were each byte to take three: a string that grows leaves copies behind.
    let room = fields
        .iter()
        .map(|(name, value)| name.len() + 3 * value.len() + 2);
    let mut form = Zeroizing::new(String::with_capacity(room.sum()));
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            match byte {
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                    form.push(char::from(byte));
                }
                b' ' => form.push('+'),
                _ => form.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    form
}

fn agent(account: &Account, left: Duration) -> Result<ureq::Agent, Error> {
    let roots = match account.roots()? {
        None => RootCerts::WebPki,
        Some(roots) => RootCerts::Specific(Arc::new(
            roots
                .iter()
                .map(|root| Certificate::from_der(root).to_owned())
                .collect(),
        )),
    };
    let config = config(left)
        .https_only(true)
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.new_agent())
}

/// What every agent here has in common: one request, answered within the time that is left, wherever it leads.
pub(super) fn config(left: Duration) -> ConfigBuilder<AgentScope> {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        // 128 KiB each by default, zeroed: 2.75 million instructions for an answer of 2 KB.
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .timeout_global(Some(left))
        .user_agent(concat!("exosend/", env!("CARGO_PKG_VERSION")))
}

/// No answer, or none that is HTTP.
pub(super) fn unanswered(error: ureq::Error, deadline: Deadline) -> Failure {
    use ureq::Error as Http;
    let made = |kind, what: String| Error::new(kind, Stage::Token, what);
    let (kind, what) = match error {
        Http::Timeout(_) => {
            let error = Error::io(Stage::Token, deadline.passed());
            return Failure {
                error,
                pause: Some(Duration::ZERO),
            };
        }
        Http::Io(error) => return Error::io(Stage::Token, error).into(),
        Http::Rustls(error) => return Error::tls(Stage::Token, error).into(),
        Http::HostNotFound => {
            return made(
                ErrorKind::Network,
                "the authority's name was not found".into(),
            )
            .transient()
            .into();
        }
        Http::ConnectionFailed | Http::ConnectProxyFailed(_) => {
            return made(ErrorKind::Network, printable(&error.to_string()))
                .transient()
                .with_source(error)
                .into();
        }
        Http::BodyExceedsLimit(limit) => (
            ErrorKind::Token,
            format!("the answer is longer than {limit} bytes"),
        ),
        _ => (ErrorKind::Token, printable(&error.to_string())),
    };
    made(kind, what).into()
}
