//! What Graph's answer means.

use serde_json::Value;

use crate::error::Error;
use crate::hint::graph::of_answer;
use crate::hint::table::Condition;
use crate::receipt::Receipt;
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};
use crate::token::Token;
use crate::token::answer::Withheld;
use crate::token::http::Answer;

/// 202 and nothing else is success: with 200 messages were lost, with 504 delivered (facts.md, "Graph").
///
/// `{"error": {"code": "ErrorAccessDenied", "message": "Access is denied.", "innerError": {"request-id": "..."}}}`
pub(super) fn judge(answer: &Answer, token: &Token) -> Result<Receipt, Error> {
    let withheld = Withheld {
        name: "[token]",
        secret: token.secret(),
    };
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let error = json.get("error");
    let inner = error.and_then(|error| error.get("innerError"));
    let text = |object: Option<&Value>, name: &str| {
        withheld.said(object.and_then(|object| object.get(name)))
    };
    // What Microsoft's support asks for.
    let id = match &answer.request_id {
        Some(id) => withheld.cut_from(id),
        None => text(inner, "request-id"),
    };
    let id = match id.as_str() {
        "" => id,
        id => format!(" (request-id {id})"),
    };
    let status = answer.status;
    if status == 202 {
        return Ok(Receipt {
            reply: Reply::of(202, format!("accepted for processing{id}")),
            message_id: None,
            refused: Vec::new(),
        });
    }
    let (code, message) = (text(error, "code"), text(error, "message"));
    let what = match (code.as_str(), message.as_str()) {
        ("", _) => withheld.cut_from(&answer.what_instead_of_json()),
        (code, message) => {
            let colon = if message.is_empty() { "" } else { ": " };
            format!("{status} {code}{colon}{message}")
        }
    };
    let condition = of_answer(status, &code);
    let kind = match (status, code.as_str()) {
        // Something else than Graph has answered.
        (300..=499, "") if !answer.is_json() && !matches!(status, 408 | 413 | 429) => {
            ErrorKind::Protocol
        }
        (403, _) if condition == Some(Condition::SendAsDenied) => ErrorKind::Refused,
        (401 | 403 | 404, _) => ErrorKind::Auth,
        (408 | 429 | 500.., _) => ErrorKind::Deferred,
        (400..=499, _) => ErrorKind::Refused,
        _ => ErrorKind::Protocol,
    };
    let error = Error::new(kind, Stage::Graph, what + &id);
    let error = match condition {
        Some(condition) => error.with_condition(condition),
        None => error,
    };
    Err(match status {
        // Graph says that it did not take the message.
        408 | 429 | 503 | 509 => error.transient().with_retry_after(answer.retry_after),
        // Nobody knows whether the message was taken.
        ..=299 | 500.. => error.doubtful(),
        _ => error,
    })
}
