//! SMTP replies in a line of a log: `535 5.7.3`, `(535, b'5.7.3 ...')`, `535: 5.7.3`, `535-5.7.3`, or the words alone.

use crate::hint::exchange::{Seen, of_reply, status};
use crate::hint::table::Condition;
use crate::reply::enhanced;

/// Words that only Exchange uses, with the status that the table needs for them. Some programs, .NET's for one, drop the code.
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
pub(super) fn explain(text: &str) -> Vec<(String, Condition)> {
    let look_up = |code, told: &str, text| {
        of_reply(&Seen {
            stage: None,
            code,
            status: status(told),
            text,
        })
    };
    let mut found: Vec<_> = replies(text)
        .filter_map(|(code, status)| {
            Some((format!("{code} {status}"), look_up(code, status, text)?))
        })
        .collect();
    for (words, status) in WORDS.iter().filter(|(words, _)| text.contains(words)) {
        found.extend(look_up(0, status, words).map(|condition| ((*words).into(), condition)));
    }
    // Some libraries keep these two words only. The more frequent cause first.
    let cut = "authentication unsuccessful";
    let server = ["535", ".outlook.", "office365"];
    if found.is_empty() && text.contains(cut) && server.iter().any(|mark| text.contains(mark)) {
        found.push((cut.into(), Condition::LoginRefused));
        found.push((cut.into(), Condition::SmtpAuthOff));
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
        let code = code(before, status.get(..1)?)?;
        Some((code, enhanced(code, status)?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_found_in_each_form() {
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
