//! What the doctor reports beside the steps of sending: sendmail's names and the queue.

use serde_json::Value;

use crate::out;
use crate::wrap::wrap;

/// One result, and the command that corrects it or shows more.
pub(crate) struct Finding {
    pub(crate) ok: bool,
    detail: String,
    command: Option<String>,
}

impl Finding {
    pub(crate) fn ok(detail: String) -> Self {
        Self {
            ok: true,
            detail,
            command: None,
        }
    }

    pub(crate) fn wrong(detail: impl Into<String>) -> Self {
        Self {
            ok: false,
            ..Self::ok(detail.into())
        }
    }

    pub(crate) fn with(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }
}

/// Lines below those of the steps of sending.
pub(crate) fn text(about: &str, findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        let word = match (finding.ok, &finding.command) {
            (false, _) => "FAIL",
            // Mail is sent all the same.
            (true, Some(_)) => "note",
            (true, None) => "ok",
        };
        let head = format!("{word:<4}  {about:<24}");
        wrap(&mut out, &finding.detail, &head, &" ".repeat(30));
        if let Some(command) = &finding.command {
            out.push_str(&format!("   {command}\n"));
        }
    }
    out
}

pub(crate) fn object(findings: &[Finding]) -> Value {
    let object = |finding: &Finding| {
        out::object(vec![
            ("ok", finding.ok.into()),
            ("detail", finding.detail.as_str().into()),
            ("commands", finding.command.iter().cloned().collect()),
        ])
    };
    findings.iter().map(object).collect()
}
