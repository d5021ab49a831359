//! [`Account`] to [`Token`]. The only file that knows ureq and JSON.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::Zeroizing;

use crate::background::{self, Inbox};
use crate::credential::Secret;
use crate::reply::printable;
use crate::timeouts::Deadline;
use crate::{Account, Error, ErrorKind, Stage, hint};

/// A token is some 2 KB, an error of Entra under 1 KB.
const MAX_ANSWER: u64 = 64 * 1024;
/// A token this close to its end is not used: MSAL's figure (F§2.1), and time enough for a slow send.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Entra issues tokens for 60 to 90 minutes; a longer promise is not believed.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// An access token for Exchange Online.
///
/// [`send_mail`](crate::send_mail) gets its own; this is for programs that need the token for something else, IMAP for
/// example. It is wiped when dropped, and `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    expires: SystemTime,
}

impl Token {
    /// Asks Entra for a new token, by the client credentials flow (RFC 6749 4.4).
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input) if the account is incomplete; [`Token`](ErrorKind::Token) if Entra says no or
    /// answers with something else; [`Network`](ErrorKind::Network) and [`Tls`](ErrorKind::Tls) if it cannot be
    /// reached.
    ///
    /// ```no_run
    /// # let account = exosend::Account::new("robot@contoso.com");
    /// let token = exosend::Token::fetch(&account)?;
    /// println!("good for {} s", token.expires_in().as_secs());
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn fetch(account: &Account) -> Result<Self, Error> {
        account.check_application()?;
        fetch(account, Deadline::total(account.limits()))
    }

    /// The token itself. Whoever asks answers for where it goes.
    pub fn secret(&self) -> &str {
        self.secret.expose()
    }

    #[cfg(test)]
    pub(crate) fn of_length(length: usize) -> Self {
        let text: String = (0..length)
            .map(|n| char::from(b'A' + (n * n % 26) as u8))
            .collect();
        Self {
            secret: Secret::new(text),
            expires: SystemTime::now(),
        }
    }

    pub(crate) fn as_secret(&self) -> &Secret {
        &self.secret
    }

    /// How long it is still good for; zero when it has expired or when Entra did not say.
    pub fn expires_in(&self) -> Duration {
        self.expires
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    /// The token in memory, if it is good for a while.
    fn kept(account: &Account) -> Option<Self> {
        let kept = account
            .kept_token()
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        kept.clone().filter(|token| token.expires_in() > MARGIN)
    }
}

/// A token that is there, or on its way in a thread of its own.
pub(crate) enum Pending {
    Kept(Token),
    Fetching(Inbox<Result<Token, Error>>),
}

impl Pending {
    /// Starts the request unless there is a token. `failed` is called if it ends without one.
    pub(crate) fn start(
        account: &Account,
        total: Deadline,
        failed: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Error> {
        if let Some(token) = Token::kept(account) {
            return Ok(Pending::Kept(token));
        }
        let inbox = Inbox::default();
        let (account, answered) = (account.clone(), inbox.clone());
        let request = move || {
            // A panic must not leave anybody waiting until the total time is over.
            let result =
                catch_unwind(AssertUnwindSafe(|| fetch(&account, total))).unwrap_or_else(|_| {
                    Err(Error::protocol(
                        Stage::Token,
                        "the request ended without a result",
                    ))
                });
            let none = result.is_err();
            // Nobody reads it if the connection failed first; a token is then in memory for the next call.
            answered.put(result);
            if none {
                failed();
            }
        };
        let thread = std::thread::Builder::new().name("exosend token".into());
        background::spawn(thread, Box::new(request)).map_err(|e| Error::io(Stage::Token, e))?;
        Ok(Pending::Fetching(inbox))
    }

    /// The request's failure, if it is known by now.
    pub(crate) fn failure(&self) -> Option<Error> {
        match self {
            Pending::Kept(_) => None,
            Pending::Fetching(inbox) => inbox.take(Duration::ZERO).and_then(Result::err),
        }
    }

    pub(crate) fn wait(self, total: Deadline) -> Result<Token, Error> {
        let inbox = match self {
            Pending::Kept(token) => return Ok(token),
            Pending::Fetching(inbox) => inbox,
        };
        let left = total.remaining().map_err(|e| Error::io(Stage::Token, e))?;
        inbox
            .take(left)
            .unwrap_or_else(|| Err(Error::io(Stage::Token, total.passed())))
    }
}

/// Asks, and once more where that may help: after a timeout, a 5xx, or a 429 whose `Retry-After` is short. A 4xx is an
/// answer, and asking again gets an application throttled (AADSTS50196).
fn fetch(account: &Account, total: Deadline) -> Result<Token, Error> {
    let token = match attempt(account, total) {
        Err(Failure {
            error,
            pause: Some(pause),
        }) if total.remaining().is_ok_and(|left| pause < left) => {
            log::info!("{error}; asking again in {} s", pause.as_secs());
            std::thread::sleep(pause);
            attempt(account, total)
        }
        result => result,
    };
    let token = token.map_err(|failure| failure.error.about(account.tenant_id()))?;
    *account
        .kept_token()
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
    Ok(token)
}

/// An error, and after which pause asking again may help.
struct Failure {
    error: Error,
    pause: Option<Duration>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, pause: None }
    }
}

fn attempt(account: &Account, total: Deadline) -> Result<Token, Failure> {
    let deadline = total.step(account.limits().token, "token");
    let left = deadline
        .remaining()
        .map_err(|e| Error::io(Stage::Token, e))?;
    let Some(credential) = account.credential() else {
        return Err(Error::input(Stage::Account, "client_secret", "missing").into());
    };
    let secret = credential.secret()?;
    let form = form(&[
        ("grant_type", "client_credentials"),
        ("client_id", account.application()),
        ("scope", account.resource_scope()),
        ("client_secret", secret.expose()),
    ]);
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
        .and_then(Answer::read)
        .map_err(|e| unanswered(e, deadline))?;
    log::debug!(
        "token answer: HTTP {}, {} bytes",
        answer.status,
        answer.body.len()
    );
    let pause = answer.pause();
    answer
        .token(asked, &secret)
        .map_err(|error| Failure { error, pause })
}

/// `application/x-www-form-urlencoded`, wiped when dropped.
fn form(fields: &[(&str, &str)]) -> Zeroizing<String> {
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
    let config = ureq::Agent::config_builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        // 128 KiB each by default, zeroed: 2.75 million instructions for an answer of 2 KB.
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .timeout_global(Some(left))
        .user_agent(concat!("exosend/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    Ok(config.new_agent())
}

/// No answer, or none that is HTTP.
fn unanswered(error: ureq::Error, deadline: Deadline) -> Failure {
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

/// What came back over HTTP.
struct Answer {
    status: u16,
    content_type: String,
    location: Option<String>,
    retry_after: Option<Duration>,
    body: Zeroizing<Vec<u8>>,
}

impl Answer {
    fn read(mut response: Response<ureq::Body>) -> Result<Self, ureq::Error> {
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|v| v.to_str().ok())
                .map(printable)
        };
        Ok(Self {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            location: header("location"),
            retry_after: header("retry-after")
                .map(|s| s.trim().parse().map_or(Duration::MAX, Duration::from_secs)),
            body: response
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER)
                .read_to_vec()?
                .into(),
        })
    }

    /// The pause after which this answer may be another one.
    fn pause(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(10);
        let pause = match self.status {
            429 => self.retry_after?,
            // MSAL waits a second (F§2.1).
            500..=599 => self.retry_after.unwrap_or(Duration::from_secs(1)),
            _ => return None,
        };
        (pause <= LONGEST).then_some(pause)
    }

    fn token(&self, asked: SystemTime, secret: &Secret) -> Result<Token, Error> {
        let json: Value = match serde_json::from_slice(&self.body) {
            Ok(json @ Value::Object(_)) => json,
            _ => return Err(self.error(self.what_instead_of_json())),
        };
        if json.get("error").is_some() {
            return Err(self.refusal(&json, secret));
        }
        if self.status != 200 {
            return Err(self.error(format!("HTTP {} without an error code", self.status)));
        }
        let mut json = json;
        let Some(Value::String(token)) = json.get_mut("access_token").map(Value::take) else {
            return Err(self.error("HTTP 200 without an access_token".into()));
        };
        let secret = Secret::new(token);
        // RFC 6749 A.12: printable ASCII. Anything else could act in the SASL message that carries it.
        if secret.expose().is_empty() || !secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(
                self.error("the access_token is empty or has characters that no token has".into())
            );
        }
        let lifetime = lifetime(json.get("expires_in"));
        Ok(Token {
            secret,
            expires: asked + lifetime,
        })
    }

    /// `invalid_client: AADSTS7000215: Invalid client secret provided. ...`
    fn refusal(&self, json: &Value, secret: &Secret) -> Error {
        // What a server says verbatim may be what it was told.
        let text = |field: &str| match json.get(field) {
            Some(Value::String(text)) => {
                let text = text.replace(secret.expose(), "[client secret]");
                printable(&text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            }
            _ => String::new(),
        };
        let mut what = match text("error").as_str() {
            "" => format!("HTTP {}", self.status),
            error => error.to_owned(),
        };
        let description = text("error_description");
        if !description.is_empty() {
            what = format!("{what}: {description}");
        }
        // Entra's descriptions name both ids, those of its relatives do not. Support asks for them.
        for (field, name) in [
            ("trace_id", "Trace ID"),
            ("correlation_id", "Correlation ID"),
        ] {
            let id = text(field);
            if !id.is_empty() && !description.contains(&id) {
                what = format!("{what} {name}: {id}");
            }
        }
        let codes: Vec<u64> = match json.get("error_codes") {
            Some(Value::Array(codes)) => codes.iter().filter_map(Value::as_u64).collect(),
            _ => Vec::new(),
        };
        self.error(what).with_hint(hint::entra(&codes))
    }

    fn error(&self, what: String) -> Error {
        let error = Error::new(ErrorKind::Token, Stage::Token, what);
        if matches!(self.status, 429 | 500..=599) {
            error.transient()
        } else {
            error
        }
    }

    /// A portal, a proxy or a broken server answered. Its text is not quoted beyond an HTML title: a truncated answer
    /// holds most of a token.
    fn what_instead_of_json(&self) -> String {
        let Self {
            status,
            content_type,
            ..
        } = self;
        if let (300..=399, Some(location)) = (status, &self.location) {
            return format!("HTTP {status}, a redirect to {location}, which is not followed");
        }
        let body = String::from_utf8_lossy(&self.body);
        if body.trim().is_empty() {
            return format!("HTTP {status} with an empty body");
        }
        let title = || {
            let (_, rest) = body.split_once("<title>")?;
            Some(printable(rest.split_once("</title>")?.0.trim()))
        };
        let length = body.len();
        match (title(), content_type.as_str()) {
            (Some(title), _) => {
                format!("HTTP {status} with a page titled \"{title}\" instead of JSON")
            }
            (None, json) if json.contains("json") => {
                format!("HTTP {status} with {length} bytes of broken JSON")
            }
            (None, "") => format!("HTTP {status} with {length} bytes that are not JSON"),
            (None, other) => {
                format!("HTTP {status} with {length} bytes of {other} instead of JSON")
            }
        }
    }
}

/// Seconds, as a number or, from older endpoints, in a string. What is missing or makes no sense counts as no time at
/// all: such a token is used once and not kept.
fn lifetime(expires_in: Option<&Value>) -> Duration {
    let seconds = match expires_in {
        Some(Value::Number(n)) => n
            .as_u64()
            .or_else(|| n.as_f64().filter(|f| *f > 0.0).map(|f| f as u64)),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    Duration::from_secs(seconds.unwrap_or(0)).min(MAX_LIFETIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        Answer {
            status,
            content_type: content_type.into(),
            location: None,
            retry_after: None,
            body: body.as_bytes().to_vec().into(),
        }
    }

    fn token(status: u16, body: &str) -> Result<Token, Error> {
        answer(status, "application/json", body)
            .token(SystemTime::now(), &Secret::new("hush/+=".into()))
    }

    fn text(status: u16, content_type: &str, body: &str) -> String {
        answer(status, content_type, body)
            .token(SystemTime::now(), &Secret::new("x".into()))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_token() {
        let token = token(
            200,
            r#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey.J0"}"#,
        )
        .unwrap();
        assert_eq!(token.secret(), "ey.J0");
        assert!((3500..3600).contains(&token.expires_in().as_secs()));
        assert!(!format!("{token:?}").contains("ey"));
    }

    #[test]
    fn lifetimes_that_make_no_sense_are_none() {
        let lifetime = |json: &str| lifetime(Some(&json.parse().unwrap())).as_secs();
        assert_eq!(lifetime("3599"), 3599);
        assert_eq!(lifetime("\"3599\""), 3599);
        assert_eq!(lifetime("3599.5"), 3599);
        for nothing in ["-1", "-1.5", "\"soon\"", "null", "[]", "\"-5\""] {
            assert_eq!(lifetime(nothing), 0, "{nothing}");
        }
        for huge in ["1e300", "18446744073709551615"] {
            assert_eq!(lifetime(huge), MAX_LIFETIME.as_secs(), "{huge}");
        }
        assert_eq!(super::lifetime(None), Duration::ZERO);
    }

    #[test]
    fn a_refusal_is_told_in_entras_words() {
        let error = token(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret hush/+= provided.\r\nTrace ID: t-1","error_codes":[7000215],"trace_id":"t-1","correlation_id":"c-1"}"#,
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "token: invalid_client: AADSTS7000215: Invalid client secret [client secret] provided. Trace ID: t-1 \
             Correlation ID: c-1"
        );
        assert_eq!(
            (error.kind(), error.is_permanent()),
            (ErrorKind::Token, true)
        );
        assert!(error.hint().unwrap().contains("Value"));
    }

    #[test]
    fn what_is_not_json_is_named() {
        let portal = "<html><head><title> Log\x07 in </title>";
        assert_eq!(
            text(200, "text/html", portal),
            "token: HTTP 200 with a page titled \"Log? in\" instead of JSON"
        );
        assert_eq!(text(502, "", ""), "token: HTTP 502 with an empty body");
        let cut = r#"{"access_token":"ey"#;
        assert_eq!(
            text(200, "application/json", cut),
            "token: HTTP 200 with 19 bytes of broken JSON"
        );
        assert_eq!(
            text(200, "application/json", "[1]"),
            "token: HTTP 200 with 3 bytes of broken JSON"
        );
        assert_eq!(
            text(200, "application/json", "{}"),
            "token: HTTP 200 without an access_token"
        );
        assert_eq!(
            text(403, "application/json", "{}"),
            "token: HTTP 403 without an error code"
        );
        let redirect = Answer {
            location: Some("https://portal".into()),
            ..answer(302, "", "")
        };
        let error = redirect
            .token(SystemTime::now(), &Secret::new("x".into()))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "token: HTTP 302, a redirect to https://portal, which is not followed"
        );
    }

    #[test]
    fn a_token_that_could_act_is_none() {
        for text in ["", "a b", "a\\r\\nb", "a\\u0001b", "\u{fc}"] {
            let error = token(200, &format!(r#"{{"access_token":"{text}"}}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Token, "{text:?}");
        }
    }

    #[test]
    fn when_asking_again_may_help() {
        let pause = |status, after: Option<u64>| {
            Answer {
                retry_after: after.map(Duration::from_secs),
                ..answer(status, "", "")
            }
            .pause()
            .map(|p| p.as_secs())
        };
        assert_eq!(pause(503, None), Some(1));
        assert_eq!(pause(503, Some(7)), Some(7));
        assert_eq!(pause(503, Some(11)), None);
        assert_eq!(pause(429, Some(10)), Some(10));
        assert_eq!(pause(429, Some(11)), None);
        assert_eq!(pause(429, None), None);
        assert_eq!(pause(400, Some(1)), None);
        assert_eq!(pause(200, None), None);
    }
}
