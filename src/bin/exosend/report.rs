//! What became of a message: a line for logs, an object for programs.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use exosend::{Receipt, Refusal, Reply};
use serde_json::{Value, json};

use crate::date::rfc3339;
use crate::exit::Failure;

/// The message, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) size: Option<u64>,
    pub(crate) message_id: Option<String>,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Sent(Receipt),
    /// `--dry-run`: who would have been refused.
    Checked(Vec<Refusal>),
}

impl Outcome {
    pub(crate) fn refused(&self) -> &[Refusal] {
        match self {
            Outcome::Sent(receipt) => receipt.refused(),
            Outcome::Checked(refused) => refused,
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Outcome::Sent(receipt) => receipt.to_string(),
            Outcome::Checked(_) => "dry run: accepted up to DATA, nothing sent".into(),
        }
    }
}

/// `from=robot@contoso.com to=ann@example.com size=1234 message_id=<...> exit=0 stage=- code=250 text="..."`: the same
/// fields each time, `-` for what is not known.
pub(crate) fn line(facts: &Facts, outcome: Option<&Outcome>, failure: Option<&Failure>) -> String {
    const SHOWN: usize = 20;
    let mut to: Vec<String> = facts.to.iter().take(SHOWN).cloned().collect();
    if facts.to.len() > SHOWN {
        to.push(format!("+{}", facts.to.len() - SHOWN));
    }
    let error = failure.and_then(Failure::error);
    let reply = match outcome {
        Some(Outcome::Sent(receipt)) => Some(receipt.reply()),
        _ => error.and_then(exosend::Error::reply),
    };
    let text = match (failure, outcome) {
        (Some(failure), _) => failure.what().to_owned(),
        (None, Some(outcome)) => outcome.text(),
        (None, None) => String::new(),
    };
    let fields = [
        ("from", facts.from.clone()),
        ("to", to.join(",")),
        (
            "size",
            facts.size.map(|size| size.to_string()).unwrap_or_default(),
        ),
        ("message_id", facts.message_id.clone().unwrap_or_default()),
        ("exit", failure.map_or(0, Failure::code).to_string()),
        (
            "stage",
            error
                .map(|error| error.stage().to_string())
                .unwrap_or_default(),
        ),
        (
            "code",
            reply
                .map(|reply| reply.code().to_string())
                .unwrap_or_default(),
        ),
        ("text", text),
    ];
    let fields = fields.map(|(name, value)| format!("{name}={}", quoted(&value)));
    fields.join(" ")
}

fn quoted(value: &str) -> String {
    let value: String = value
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    match value.contains([' ', '"', '=']) {
        true => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        false if value.is_empty() => "-".into(),
        false => value,
    }
}

/// The result object of `--json`: the same fields each time, `null` for what is not known.
pub(crate) fn object(
    facts: &Facts,
    outcome: Option<&Outcome>,
    failure: Option<&Failure>,
) -> String {
    let error = failure.and_then(Failure::error);
    let refused = match outcome {
        Some(outcome) => outcome.refused(),
        None => error.map(exosend::Error::refused).unwrap_or_default(),
    };
    let reply = match outcome {
        Some(Outcome::Sent(receipt)) => Some(receipt.reply()),
        _ => error.and_then(exosend::Error::reply),
    };
    json!({
        "exit": failure.map_or(0, Failure::code),
        "sent": matches!(outcome, Some(Outcome::Sent(_))),
        "in_doubt": error.is_some_and(exosend::Error::in_doubt),
        "transient": error.is_some_and(exosend::Error::is_transient),
        "from": text(&facts.from),
        "to": facts.to,
        "size": facts.size,
        "message_id": facts.message_id,
        "reply": reply.map(self::reply),
        "refused": refused.iter().map(refusal).collect::<Vec<_>>(),
        "kind": error.map(|error| format!("{:?}", error.kind()).to_lowercase()),
        "stage": error.map(|error| error.stage().to_string()),
        "error": failure.map(Failure::what),
        "hint": failure.and_then(Failure::hint),
    })
    .to_string()
}

fn text(text: &str) -> Value {
    match text {
        "" => Value::Null,
        text => text.into(),
    }
}

fn reply(reply: &Reply) -> Value {
    json!({ "code": reply.code(), "enhanced": reply.enhanced(), "text": reply.to_string() })
}

fn refusal(refusal: &Refusal) -> Value {
    json!({ "address": refusal.address(), "reply": reply(refusal.reply()) })
}

/// Where the line about each message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    Nowhere,
    Syslog,
    File(PathBuf),
}

/// Writes the line where the configuration wants it. A log that is full or gone stops no mail.
pub(crate) fn write(log: &LogTo, line: &str, failed: bool) {
    let (name, written) = match log {
        LogTo::Nowhere => return,
        LogTo::Syslog => ("syslog", syslog(Path::new("/dev/log"), line, failed)),
        LogTo::File(path) => (path.to_str().unwrap_or("the log"), append(path, line)),
    };
    if let Err(error) = written {
        log::warn!("log: {name}: {error}");
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // Who writes to whom is nobody else's business.
    let mut file = options.append(true).create(true).mode(0o600).open(path)?;
    // One write, so that the lines of two processes do not mix.
    file.write_all(format!("{} {line}\n", rfc3339(SystemTime::now())).as_bytes())
}

/// RFC 3164 without a time, which every syslogd then adds itself. Facility mail, severity info or err.
fn syslog(socket: &Path, line: &str, failed: bool) -> std::io::Result<()> {
    let priority = 2 * 8 + if failed { 3 } else { 6 };
    let message = format!("<{priority}>exosend[{}]: {line}", std::process::id());
    let log = UnixDatagram::unbound()?;
    log.set_write_timeout(Some(Duration::from_secs(1)))?;
    log.send_to(message.as_bytes(), socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_fields() {
        let facts = Facts {
            from: "robot@contoso.com".into(),
            to: (1..=22).map(|n| format!("{n}@x.org")).collect(),
            size: Some(5),
            message_id: None,
        };
        let failure = Failure::data("a \"b\"\n c");
        let line = line(&facts, None, Some(&failure));
        assert!(
            line.starts_with("from=robot@contoso.com to=1@x.org,2@x.org,"),
            "{line}"
        );
        assert!(
            line.ends_with(
                ",20@x.org,+2 size=5 message_id=- exit=65 stage=- code=- text=\"a \\\"b\\\"? c\""
            ),
            "{line}"
        );
    }

    #[test]
    fn syslog_gets_one_datagram() {
        let path = std::env::temp_dir().join(format!("exosend-log-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path).unwrap();
        syslog(&path, "exit=0", false).unwrap();
        syslog(&path, "exit=75", true).unwrap();
        let mut buffer = [0; 100];
        for expected in ["<22>", "<19>"] {
            let length = socket.recv(&mut buffer).unwrap();
            let text = std::str::from_utf8(&buffer[..length]).unwrap();
            let id = std::process::id();
            let exit = if expected == "<22>" { 0 } else { 75 };
            assert_eq!(text, format!("{expected}exosend[{id}]: exit={exit}"));
        }
        std::fs::remove_file(path).unwrap();
    }
}
