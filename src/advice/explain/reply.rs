//! SMTP replies in a line of a log: `535 5.7.3`, `(535, b'5.7.3 ...')`, `535: 5.7.3`, `535-5.7.3`, or the words alone.

use crate::advice::explain::{Explanation, SMTP_AUTH};
use crate::hint::exchange::{self, Seen};

/// Words that are Exchange's alone, with the status that the table wants for them. .NET, for one, drops the code.
const WORDS: &[(&str, &str)] = &[
    ("smtpclientauthentication is disabled", ""),
    ("did not meet the criteria to be authenticated", ""),
    ("your organization's security defaults policy", ""),
    ("basic authentication is disabled", ""),
    ("basic authentication is not supported", ""),
    ("the user credentials were incorrect", ""),
    ("client not authenticated to send", "5.7.57"),
    ("client was not authenticated to send", "5.7.57"),
    ("5.7.3 authentication unsuccessful", "5.7.3"),
    ("mapiexceptionlogonfailed", ""),
    ("sendasdenied", ""),
    ("permissions to send as this sender", "5.7.60"),
    ("submissionquotaexceeded", ""),
    ("bad outbound sender", ""),
];

/// For a text in lower case.
pub(super) fn explain(text: &str) -> Vec<Explanation> {
    let look_up = |code, status, text, recognised: String| {
        let stage = None;
        let seen = Seen {
            stage,
            code,
            status,
            text,
        };
        let hint = exchange::hint(&seen)?;
        Some(Explanation {
            recognised,
            hint,
            documented: page(code, status, text).into(),
        })
    };
    let mut found: Vec<Explanation> = replies(text)
        .filter_map(|(code, status)| look_up(code, status, text, format!("{code} {status}")))
        .collect();
    for (words, status) in WORDS.iter().filter(|(words, _)| text.contains(words)) {
        found.extend(look_up(0, status, words, (*words).into()));
    }
    // Cut down to two words by some library. The order is that of facts.md, "Replies".
    let cut = "authentication unsuccessful";
    let server = ["535", ".outlook.", "office365"];
    if found.is_empty() && text.contains(cut) && server.iter().any(|mark| text.contains(mark)) {
        found.extend(look_up(0, "5.7.3", cut, cut.into()));
        found.extend(look_up(
            0,
            "",
            "smtpclientauthentication is disabled",
            cut.into(),
        ));
    }
    found
}

/// Each enhanced status code with the reply code before it.
fn replies(text: &str) -> impl Iterator<Item = (u16, &str)> {
    text.match_indices(['4', '5']).filter_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        if before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.') {
            return None;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let status = rest.get(..end)?.trim_end_matches('.');
        let mut parts = status.split('.');
        let class = parts.next()?;
        let number = |part: Option<&str>| part.is_some_and(|p| (1..=3).contains(&p.len()));
        if class.len() != 1
            || !number(parts.next())
            || !number(parts.next())
            || parts.next().is_some()
        {
            return None;
        }
        Some((code(before, class)?, status))
    })
}

/// The reply code that ends `before`, of the same class (RFC 2034 4).
fn code(before: &str, class: &str) -> Option<u16> {
    const BETWEEN: [char; 10] = [' ', '-', ':', ',', '\'', '"', '(', ')', '#', '\\'];
    let mut rest = before.trim_end_matches(BETWEEN);
    // Python's `(535, b'5.7.3 ...')`
    if let Some(bytes) = rest.strip_suffix('b').filter(|r| r.ends_with(BETWEEN)) {
        rest = bytes.trim_end_matches(BETWEEN);
    }
    if before.len() - rest.len() > 8 {
        return None;
    }
    let (front, digits) = rest.split_at_checked(rest.len().checked_sub(3)?)?;
    let alone = !front.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
    (alone && digits.starts_with(class) && digits.bytes().all(|b| b.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}

/// Where Microsoft writes about it.
fn page(code: u16, status: &str, text: &str) -> &'static str {
    let says = |words: &str| text.contains(words);
    match (code, status) {
        _ if says("smtpclientauthentication is disabled") => "https://aka.ms/smtp_auth_disabled",
        (550, "5.2.251" | "5.2.252" | "5.2.253" | "5.2.254" | "5.2.255") => {
            "https://learn.microsoft.com/exchange/mail-flow-best-practices/continuous-error-throttling-smtp-auth-submissions"
        }
        (_, "5.7.142" | "5.7.143" | "5.7.144" | "5.7.240") => HIGH_VOLUME,
        (501, status) if status.starts_with("5.5.12") => HIGH_VOLUME,
        (_, "5.7.3" | "4.2.0" | "5.2.252" | "5.7.60") => OAUTH,
        _ if says("sendasdenied") || says("mapiexceptionlogonfailed") => OAUTH,
        (421 | 432 | 452 | 552, _) => LIMITS,
        _ if says("submissionquotaexceeded") => LIMITS,
        (_, "5.1.8" | "5.1.10" | "5.7.705" | "5.7.708") => REPORTS,
        _ if says("bad outbound sender") => REPORTS,
        _ => SMTP_AUTH,
    }
}

const HIGH_VOLUME: &str =
    "https://learn.microsoft.com/exchange/mail-flow-best-practices/oauth-high-volume-mails-m365";
const OAUTH: &str = "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth";
const LIMITS: &str = "https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits";
const REPORTS: &str = "https://learn.microsoft.com/exchange/mail-flow-best-practices/non-delivery-reports-in-exchange-online/non-delivery-reports-in-exchange-online";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_in_every_dress() {
        for line in [
            "535 5.7.3 no",
            "535-5.7.3 no",
            "535: 5.7.3 no",
            "(535, b'5.7.3 no')",
            "(535, '5.7.3 no')",
            "response: \"535 5.7.3 no\"",
            "<** 535 5.7.3",
            "said: 535 #5.7.3. no",
        ] {
            assert_eq!(
                replies(line).collect::<Vec<_>>(),
                [(535, "5.7.3")],
                "{line}"
            );
        }
        for line in [
            "5.7.3",
            "mysql 5.7.3",
            "1535 5.7.3",
            "535 5.7.3.1",
            "535 15.7.3",
            "535 v5.7.3",
            "435 5.7.3",
            "535 5.7.1234",
            "535 5.7",
            "535 5..3",
            "10.0.0.535 5.7.3",
            "5\u{e9}35 5.7.3",
        ] {
            assert_eq!(replies(line).count(), 0, "{line}");
        }
    }
}
