//! What Graph's answer means.

use serde_json::Value;

use crate::error::Error;
use crate::hint::graph::of_answer;
use crate::receipt::Receipt;
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::token::Token;
use crate::token::answer::Withheld;
use crate::token::http::Answer;

/// 202 and nothing else is success: with 200 messages were lost, with 504 delivered (facts.md, "Graph").
pub(super) fn judge(answer: &Answer, token: &Token) -> Result<Receipt, Error> {
    let said = Said::of(answer, token);
    if answer.status == 202 {
        return Ok(Receipt {
            reply: Reply::of(202, format!("accepted for processing{}", said.request())),
            message_id: None,
            refused: Vec::new(),
        });
    }
    let kind = match (answer.status, said.code.as_deref()) {
        // Something else than Graph has answered.
        (300..=499, None) if !answer.is_json() && !matches!(answer.status, 408 | 413 | 429) => {
            ErrorKind::Protocol
        }
        (401 | 404, _) => ErrorKind::Auth,
        (403, code) if code != Some("ErrorSendAsDenied") => ErrorKind::Auth,
        (408 | 429 | 500.., _) => ErrorKind::Deferred,
        (400..=499, _) => ErrorKind::Refused,
        _ => ErrorKind::Protocol,
    };
    let error = Error::new(
        kind,
        Stage::Graph,
        format!("{}{}", said.what, said.request()),
    );
    let error = match of_answer(answer.status, said.code.as_deref()) {
        Some(condition) => error.with_condition(condition),
        None => error,
    };
    Err(match answer.status {
        // Graph says that it did not take the message.
        408 | 429 | 503 | 509 => error.transient().with_retry_after(answer.retry_after),
        // Nobody knows whether the message was taken.
        ..=299 | 500.. => error.doubtful(),
        _ => error,
    })
}

/// `{"error": {"code": "ErrorAccessDenied", "message": "Access is denied.", "innerError": {"request-id": "..."}}}`
struct Said {
    code: Option<String>,
    what: String,
    request_id: Option<String>,
}

impl Said {
    fn of(answer: &Answer, token: &Token) -> Self {
        let withheld = Withheld {
            name: "[token]",
            secret: token.secret(),
        };
        let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |value: Option<&Value>| {
            let words = value.and_then(Value::as_str)?.split_ascii_whitespace();
            let text = withheld.cut_from(&words.collect::<Vec<_>>().join(" "));
            Some(printable(&text)).filter(|text| !text.is_empty())
        };
        let error = json.get("error");
        let part = |name: &str| error.and_then(|error| error.get(name));
        let code = text(part("code"));
        let what = match (&code, text(part("message"))) {
            (Some(code), Some(message)) => format!("{} {code}: {message}", answer.status),
            (Some(code), None) => format!("{} {code}", answer.status),
            (None, _) => withheld.cut_from(&answer.what_instead_of_json()),
        };
        let inner = part("innerError").or(part("innererror"));
        let inner = text(inner.and_then(|inner| inner.get("request-id")));
        let outer = answer.request_id.as_deref().map(|id| withheld.cut_from(id));
        Self {
            code,
            what,
            request_id: outer.or(inner),
        }
    }

    /// What Microsoft's support asks for.
    fn request(&self) -> String {
        let id = self.request_id.as_ref();
        id.map_or(String::new(), |id| format!(" (request-id {id})"))
    }
}
