//! Answers of the token endpoint that a test puts in the place of the usual one.

use std::time::Duration;

use serde_json::Value;

use super::super::fault::Pace;
use super::super::tcp::End;
use super::refusal::Refusal;

/// What the token endpoint answers. Unless told otherwise the connection stays open after it.
#[derive(Clone, Debug)]
pub struct Answer {
    what: What,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    pub(in super::super) after: Duration,
    pub(in super::super) pace: Pace,
    pub(in super::super) end: Option<End>,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Usual,
    /// The usual answer, of which the last half never comes.
    HalfOfUsual,
    This,
    Nothing,
}

impl Answer {
    /// This status, with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            what: What::This,
            status,
            ..Self::usual()
        }
    }

    /// 503: not now, and again at once.
    pub fn unavailable() -> Self {
        Self::status(503).header("Retry-After", "0").body("{}")
    }

    /// An error of Entra's: Entra adds the trace and correlation identifiers and the time.
    ///
    /// ```ignore
    /// Answer::aadsts(401, "invalid_client", 7000222, "The provided client secret keys are expired.")
    /// ```
    pub fn aadsts(status: u16, error: &'static str, code: u32, text: &str) -> Self {
        let text = text.to_owned();
        Refusal {
            status,
            error,
            code,
            text,
        }
        .answer()
    }

    /// A page in HTML, as from a proxy or a captive portal.
    pub fn html() -> Self {
        let page = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Welcome</body></html>\n";
        Self::status(200)
            .header("Content-Type", "text/html; charset=utf-8")
            .body(page)
    }

    /// Sent elsewhere.
    pub fn redirect(location: &str) -> Self {
        Self::status(302).header("Location", location)
    }

    /// The connection ends without an answer.
    pub fn disconnect() -> Self {
        Self::ends(What::Nothing, End::Disconnect)
    }

    /// The connection is reset without an answer.
    pub fn reset() -> Self {
        Self::ends(What::Nothing, End::Reset)
    }

    /// No answer until the client goes.
    pub fn silent() -> Self {
        Self::ends(What::Nothing, End::Silent)
    }

    /// The usual answer, but the connection ends amid its body.
    pub fn cut_short() -> Self {
        Self::ends(What::HalfOfUsual, End::Disconnect)
    }

    fn ends(what: What, end: End) -> Self {
        let end = Some(end);
        Self {
            what,
            end,
            ..Self::usual()
        }
    }

    /// The usual answer, but late.
    pub fn delay(after: Duration) -> Self {
        Self {
            after,
            ..Self::usual()
        }
    }

    /// The usual answer, one octet at a time with `rest` before each.
    pub fn trickle(rest: Duration) -> Self {
        let pace = Pace { piece: 1, rest };
        Self {
            pace,
            ..Self::usual()
        }
    }

    /// With this header field. `Content-Length` is there already.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    pub fn body(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.body = text.into();
        self
    }

    pub(in super::super) fn usual() -> Self {
        Self {
            what: What::Usual,
            status: 200,
            headers: Vec::new(),
            body: Vec::new(),
            after: Duration::ZERO,
            pace: Pace::default(),
            end: None,
        }
    }

    pub fn json(value: &Value) -> Self {
        Self::status(200)
            .header("Content-Type", "application/json; charset=utf-8")
            .body(value.to_string())
    }

    /// Whether a server that answers so may have done what it was asked.
    pub(in super::super) fn may_have_taken(&self) -> bool {
        !matches!(
            (self.what, self.status),
            (What::This, 300..=499 | 503 | 509)
        )
    }

    pub(in super::super) fn with_status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The answer as it goes over the wire.
    pub(in super::super) fn bytes(&self, usual: &Self) -> Vec<u8> {
        let mut bytes = match self.what {
            What::Usual => return usual.http(),
            What::Nothing => return Vec::new(),
            What::This => return self.http(),
            What::HalfOfUsual => usual.http(),
        };
        let head = bytes
            .windows(4)
            .position(|end| end == b"\r\n\r\n")
            .map_or(0, |end| end + 4);
        bytes.truncate(head + (bytes.len() - head) / 2);
        bytes
    }

    fn http(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!(
            "Cache-Control: no-store, no-cache\r\nContent-Length: {}\r\n\r\n",
            self.body.len()
        ));
        [head.as_bytes(), &self.body].concat()
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        410 => "Gone",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
