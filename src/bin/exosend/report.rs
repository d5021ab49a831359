//! The result of a sending: as a line for the log, and as JSON.

use exosend::{Receipt, Refusal, Reply};
use serde_json::Value;

use crate::exit::{self, Failure};
use crate::out;
use crate::process;
use crate::text::printable;

/// What is known of the message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// The user who sent it, if it is not this process's.
    pub(crate) uid: Option<u32>,
    pub(crate) from: String,
    /// The address in From before the mailbox replaced it.
    pub(crate) original_from: Option<String>,
    pub(crate) to: Vec<String>,
    pub(crate) size: Option<u64>,
    pub(crate) message_id: Option<String>,
    /// What was given as a recipient and is no address.
    pub(crate) wrong: Vec<String>,
    /// Its id in the queue.
    pub(crate) queued: Option<String>,
    /// A warning that the client secret expires soon.
    pub(crate) note: Option<String>,
}

/// How a sending without a failure ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Sent(Receipt),
    /// `--dry-run`: the recipients that would have been refused.
    Checked(Vec<Refusal>),
    /// The aliases lead to /dev/null.
    ThrownAway,
}

impl Outcome {
    pub(crate) fn refused(&self) -> &[Refusal] {
        match self {
            Outcome::Sent(receipt) => receipt.refused(),
            Outcome::Checked(refused) => refused,
            Outcome::ThrownAway => &[],
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Outcome::Sent(receipt) => receipt.to_string(),
            Outcome::Checked(_) => "dry run: accepted up to DATA, nothing sent".into(),
            Outcome::ThrownAway => "thrown away: the aliases lead to /dev/null only".into(),
        }
    }
}

/// `exit=0 stage=- code=250 from=robot@contoso.com to=ann@example.com size=1234 ... text="..." hint=-`: always the same
/// fields, `-` for what is not known. Each is cut at a length, because syslog bounds the line; the text of others comes last.
pub(crate) fn line(facts: &Facts, outcome: Option<&Outcome>, failure: Option<&Failure>) -> String {
    const SHOWN: usize = 20;
    let mut to: Vec<_> = facts.to.iter().take(SHOWN).map(|to| address(to)).collect();
    if facts.to.len() > SHOWN {
        to.push(format!("+{}", facts.to.len() - SHOWN));
    }
    let text = match (failure, outcome) {
        (Some(failure), _) => failure.what().to_owned(),
        (None, Some(outcome)) => outcome.text(),
        (None, None) => String::new(),
    };
    let or_nothing = |value: Option<String>| value.unwrap_or_default();
    let code = reply_of(outcome, failure).map(|reply| reply.code().to_string());
    let hint = failure.and_then(Failure::hint).or(facts.note.as_deref());
    let fields = [
        ("exit", failure.map_or(0, Failure::code).to_string(), 3),
        ("stage", or_nothing(stage(failure)), 20),
        ("code", or_nothing(code), 3),
        (
            "uid",
            facts.uid.unwrap_or_else(process::uid).to_string(),
            10,
        ),
        ("from", address(&facts.from), 320),
        (
            "original_from",
            or_nothing(facts.original_from.as_deref().map(address)),
            320,
        ),
        ("to", to.join(","), 1000),
        (
            "size",
            or_nothing(facts.size.map(|size| size.to_string())),
            20,
        ),
        ("message_id", or_nothing(facts.message_id.clone()), 250),
        ("text", text, 1000),
        ("hint", or_nothing(hint.map(str::to_owned)), 600),
    ];
    let fields = fields.map(|(name, value, most)| format!("{name}={}", quoted(&value, most)));
    fields.join(" ")
}

fn quoted(value: &str, most: usize) -> String {
    let mut value = printable(value);
    if let Some((end, _)) = value.char_indices().nth(most) {
        value.truncate(end);
        value.push_str(" [cut]");
    }
    match value.contains([' ', '"', '=']) {
        true => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        false if value.is_empty() => "-".into(),
        false => value,
    }
}

/// Text that is no address, such as code from a web form, is not put into the log.
fn address(text: &str) -> String {
    // All that is not ASCII may stand in an address (RFC 6531 3.3).
    let allowed = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.@[]:\"".contains(c)
    };
    match text.chars().all(allowed) {
        true => text.to_owned(),
        false => "?".into(),
    }
}

fn reply_of<'a>(outcome: Option<&'a Outcome>, failure: Option<&'a Failure>) -> Option<&'a Reply> {
    match outcome {
        Some(Outcome::Sent(receipt)) => Some(receipt.reply()),
        _ => failure.and_then(Failure::error)?.reply(),
    }
}

/// Where it failed: a stage of the library's, or the configuration.
fn stage(failure: Option<&Failure>) -> Option<String> {
    let failure = failure?;
    match failure.error() {
        Some(error) => Some(error.stage().to_string()),
        None => (failure.code() == exit::CONFIG).then(|| "configuration".into()),
    }
}

/// The result object of `--json`: always the same fields, `null` for what is not known.
pub(crate) fn object(facts: &Facts, outcome: Option<&Outcome>, failure: Option<&Failure>) -> Value {
    let error = failure.and_then(Failure::error);
    let refused = match outcome {
        Some(outcome) => outcome.refused(),
        None => error.map(exosend::Error::refused).unwrap_or_default(),
    };
    let in_doubt = error.is_some_and(exosend::Error::in_doubt);
    let transient = error.is_some_and(exosend::Error::is_transient);
    let from = Some(facts.from.as_str()).filter(|from| !from.is_empty());
    out::object(vec![
        ("exit", failure.map_or(0, Failure::code).into()),
        ("sent", matches!(outcome, Some(Outcome::Sent(_))).into()),
        ("queued", facts.queued.as_deref().into()),
        ("in_doubt", in_doubt.into()),
        ("transient", transient.into()),
        ("from", from.into()),
        ("to", facts.to.as_slice().into()),
        ("size", facts.size.into()),
        ("message_id", facts.message_id.as_deref().into()),
        ("reply", reply_of(outcome, failure).map(reply).into()),
        ("refused", refused.iter().map(refusal).collect()),
        ("kind", error.map(|error| error.kind().to_string()).into()),
        ("stage", stage(failure).into()),
        ("error", failure.map(Failure::what).into()),
        ("hint", failure.and_then(Failure::hint).into()),
    ])
}

fn reply(reply: &Reply) -> Value {
    out::object(vec![
        ("code", reply.code().into()),
        ("enhanced", reply.enhanced().into()),
        ("text", reply.to_string().into()),
    ])
}

fn refusal(refusal: &Refusal) -> Value {
    out::object(vec![
        ("address", refusal.address().into()),
        ("reply", reply(refusal.reply())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_quotes_and_cuts_its_fields() {
        let facts = Facts {
            from: "robot@contoso.com".into(),
            original_from: Some("root@web1".into()),
            to: (1..=22).map(|n| format!("{n}@x.org")).collect(),
            size: Some(5),
            ..Facts::default()
        };
        let failure = Failure::data("a \"b\"\n c");
        let line = line(&facts, None, Some(&failure));
        let begin = "exit=65 stage=- code=- uid=";
        let middle = " from=robot@contoso.com original_from=root@web1 to=1@x.org,2@x.org,";
        let end = ",20@x.org,+2 size=5 message_id=- text=\"a \\\"b\\\"? c\" hint=-";
        assert!(
            line.starts_with(begin) && line.contains(middle) && line.ends_with(end),
            "{line}"
        );
        assert_eq!(quoted("\u{e9}x y", 2), "\"\u{e9}x [cut]\"");
        for (text, shown) in [("a.b@[192.0.2.7]", true), ("<?=`id`?>@x", false)] {
            assert_eq!(address(text) == text, shown, "{text}");
        }
    }
}
