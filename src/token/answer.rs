//! What the answer to a token request means.

use std::time::{Duration, SystemTime};

use percent_encoding::{percent_decode, percent_decode_str};
use serde_json::Value;

use crate::error::Error;
use crate::hint::table::Condition;
use crate::repeats::Secrets;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::text::{is_word, printable};
use crate::token::Token;
use crate::token::http::{Answer, form};

/// Entra issues tokens for 60 to 90 minutes, to a managed identity for 24 hours; a longer promise is not believed.
pub(crate) const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl Answer {
    /// The pause after which the same request may be answered otherwise.
    pub(super) fn pause(&self) -> Option<Duration> {
        const LONGEST: Duration = Duration::from_secs(10);
        let pause = match self.status {
            429 => self.retry_after?,
            // MSAL waits a second (facts.md, "Token endpoint").
            500..=599 => self.retry_after.unwrap_or(Duration::from_secs(1)),
            _ => return None,
        };
        (pause <= LONGEST).then_some(pause)
    }

    /// The token, or why there is none. What is `withheld` was sent, and may not be repeated in an error.
    pub(crate) fn token(&self, asked: SystemTime, withheld: &Withheld<'_>) -> Result<Token, Error> {
        let mut json = self.json(withheld)?;
        self.take_token(&mut json, asked)
    }

    /// The JSON object of the body, unless it tells an error.
    pub(super) fn json(&self, withheld: &Withheld<'_>) -> Result<Value, Error> {
        let json: Value = match serde_json::from_slice(&self.body) {
            Ok(json @ Value::Object(_)) => json,
            _ => {
                let error = self.error(withheld.cut_from(&self.what_instead_of_json()));
                return Err(error.with_condition(Condition::NotEntra));
            }
        };
        if json.get("error").is_some() {
            return Err(self.refusal(&json, withheld));
        }
        if self.status != 200 {
            return Err(self.error(format!("HTTP {} without an error code", self.status)));
        }
        Ok(json)
    }

    pub(super) fn take_token(&self, json: &mut Value, asked: SystemTime) -> Result<Token, Error> {
        token(json, asked).map_err(|what| self.error(what.into()))
    }

    /// Whether it is JSON in which this field has this value, in any case.
    pub(super) fn says(&self, field: &str, value: &str) -> bool {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let found = json.get(field).and_then(Value::as_str);
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    /// `invalid_client: AADSTS7000215: Invalid client secret provided. ...`
    fn refusal(&self, json: &Value, withheld: &Withheld<'_>) -> Error {
        let text = |field: &str| withheld.said(json.get(field));
        let mut what = match text("error").as_str() {
            "" => format!("HTTP {}", self.status),
            error => error.to_owned(),
        };
        let description = text("error_description");
        if !description.is_empty() {
            what = format!("{what}: {description}");
        }
        // Support asks for both ids. Entra's descriptions name them, those of other endpoints do not.
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
        self.error(what).with_codes(codes)
    }

    pub(super) fn error(&self, what: String) -> Error {
        let error = Error::new(ErrorKind::Token, Stage::Token, what);
        if matches!(self.status, 408 | 429 | 500..=599) {
            error.transient()
        } else {
            error
        }
    }

    /// Whether it is declared as JSON, as all answers of Microsoft are.
    #[cfg(feature = "graph")]
    pub(crate) fn is_json(&self) -> bool {
        self.content_type.starts_with("application/json")
    }

    /// Describes the answer of a portal, a proxy or a broken server. Only an HTML title is quoted: a truncated answer holds
    /// most of a token.
    pub(crate) fn what_instead_of_json(&self) -> String {
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

fn token(json: &mut Value, asked: SystemTime) -> Result<Token, &'static str> {
    // RFC 6749 7.1: a token of a kind that one does not understand is not to be used.
    let is_bearer = |kind: &str| kind.eq_ignore_ascii_case("bearer");
    let kind = json.get("token_type");
    if kind.is_some_and(|kind| !kind.as_str().is_some_and(is_bearer)) {
        return Err("the token_type is not Bearer");
    }
    let secret = take(json, "access_token").ok_or("HTTP 200 without an access_token")?;
    // RFC 6749 A.12. Anything else could act in the SASL message that carries it.
    if !is_word(secret.expose()) {
        return Err("the access_token is empty or has characters that no token has");
    }
    Ok(Token::new(secret, asked, asked + lifetime(json, asked)))
}

/// Takes a text out of the JSON, to be wiped.
fn take(json: &mut Value, field: &str) -> Option<Secret> {
    match json.get_mut(field).map(Value::take) {
        Some(Value::String(text)) => Some(Secret::new(text)),
        _ => None,
    }
}

/// The same of one word.
#[cfg(feature = "login")]
pub(super) fn take_word(json: &mut Value, field: &str) -> Option<Secret> {
    take(json, field).filter(|text| is_word(text.expose()))
}

/// A secret that was part of the request, and its name in errors. The server may repeat it.
pub(crate) struct Withheld<'s> {
    pub(crate) name: &'static str,
    pub(crate) secret: &'s str,
}

impl Withheld<'_> {
    /// A text of the answer in one line, without the secret; empty where there is none.
    pub(crate) fn said(&self, text: Option<&Value>) -> String {
        let text = self.cut_from(text.and_then(Value::as_str).unwrap_or_default());
        printable(&text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// Replaces the secret by its name, as it is and as the form encoded it: a proxy's page may show the request. A text that
    /// has it in any other form is replaced as a whole.
    pub(crate) fn cut_from(&self, text: &str) -> String {
        let encoded = form(&[("", self.secret)]);
        let cut = match self.secret {
            "" => text.to_owned(),
            secret => text
                .replace(secret, self.name)
                .replace(encoded.trim_start_matches('='), self.name),
        };
        let mut secrets = Secrets::default();
        secrets.add(self.secret);
        let once: Vec<u8> = percent_decode_str(&cut).collect();
        let twice: Vec<u8> = percent_decode(&once).collect();
        match [cut.as_bytes(), &once, &twice]
            .iter()
            .any(|text| secrets.are_in(text))
        {
            true => self.name.to_owned(),
            false => cut,
        }
    }
}

/// How long a token lives; zero if that is missing or makes no sense: such a token is used once and not kept.
fn lifetime(json: &Value, asked: SystemTime) -> Duration {
    let lifetime = match json.get("expires_in") {
        // App Service says only this: a moment in seconds since 1970.
        None => seconds(json.get("expires_on"))
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds))
            .and_then(|end| end.duration_since(asked).ok()),
        told => seconds(told),
    };
    lifetime.unwrap_or_default().min(MAX_LIFETIME)
}

/// Seconds, as a number or, from older endpoints, in a string.
pub(super) fn seconds(value: Option<&Value>) -> Option<Duration> {
    let seconds = match value {
        Some(Value::Number(n)) => n
            .as_u64()
            .or_else(|| n.as_f64().filter(|f| *f > 0.0).map(|f| f as u64)),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    seconds.map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderValue;
    use ureq::http::header::CONTENT_TYPE;

    use super::*;

    fn answer(status: u16, content_type: &str, body: &str) -> Answer {
        let content_type = HeaderValue::from_str(content_type).unwrap();
        let headers = [(CONTENT_TYPE, content_type)].into_iter().collect();
        Answer::of(status, &headers, body.as_bytes().to_vec().into())
    }

    fn withheld(secret: &Secret) -> Withheld<'_> {
        Withheld {
            name: "[client secret]",
            secret: secret.expose(),
        }
    }

    fn token(status: u16, body: &str) -> Result<Token, Error> {
        answer(status, "application/json", body)
            .token(SystemTime::now(), &withheld(&Secret::new("hush/+=".into())))
    }

    fn text(status: u16, content_type: &str, body: &str) -> String {
        answer(status, content_type, body)
            .token(SystemTime::now(), &withheld(&Secret::new("x".into())))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn a_token_is_read_with_its_lifetime() {
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
    fn a_malformed_lifetime_is_zero() {
        let of = |json: &str| lifetime(&json.parse().unwrap(), SystemTime::now());
        let lifetime = |seconds: &str| of(&format!(r#"{{"expires_in":{seconds}}}"#)).as_secs();
        assert_eq!(lifetime("3599"), 3599);
        assert_eq!(lifetime("\"3599\""), 3599);
        assert_eq!(lifetime("3599.5"), 3599);
        for nothing in ["-1", "-1.5", "\"soon\"", "null", "[]", "\"-5\""] {
            assert_eq!(lifetime(nothing), 0, "{nothing}");
        }
        for huge in ["1e300", "18446744073709551615"] {
            assert_eq!(lifetime(huge), MAX_LIFETIME.as_secs(), "{huge}");
        }
        assert_eq!(of("{}"), Duration::ZERO);
    }

    #[test]
    fn a_refusal_is_reported_in_entras_words_without_the_secret() {
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
    fn an_answer_that_is_not_json_is_described() {
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
    }

    #[test]
    fn a_secret_that_comes_back_in_another_form_is_not_shown() {
        let secret = Secret::new("Ab8Q~in&secret+value=with%odd~letters-40".into());
        let percent = |text: &str| {
            text.replace('%', "%25")
                .replace('+', "%2b")
                .replace('&', "%26")
        };
        let split = secret.expose().replace("value", "va lu\r\ne");
        for form in [
            percent(secret.expose()),
            percent(&percent(secret.expose())),
            split,
        ] {
            let cut = withheld(&secret).cut_from(&format!("you sent {form}, which"));
            assert_eq!(cut, "[client secret]", "{form}");
        }
        assert_eq!(withheld(&secret).cut_from("nothing of it"), "nothing of it");
    }

    #[test]
    fn a_token_of_another_type_is_refused() {
        let answer = |kind: &str| {
            token(
                200,
                &format!(r#"{{"token_type":{kind},"access_token":"a"}}"#),
            )
        };
        assert!(answer("\"bearer\"").is_ok());
        for kind in ["\"pop\"", "\"\"", "null", "1"] {
            assert!(
                answer(kind)
                    .unwrap_err()
                    .to_string()
                    .ends_with("not Bearer"),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_token_with_characters_that_could_end_it_is_refused() {
        for text in ["", "a b", "a\\r\\nb", "a\\u0001b", "\u{fc}"] {
            let error = token(200, &format!(r#"{{"access_token":"{text}"}}"#)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Token, "{text:?}");
        }
    }

    #[test]
    fn a_503_and_a_short_429_are_worth_another_request() {
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
