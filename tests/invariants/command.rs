//! What must hold whatever stands in a configuration file, or is piped in as a message. `tests/fuzz` looks for input that
//! breaks it; the tests below try the same on random input, with any toolchain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use crate::file::parse;
use crate::head::{Author, split};
use crate::list;

/// Each entry can be a setting, and means the same when it is written down again.
pub(crate) fn configuration(text: &[u8]) {
    let lines = text.split(|&byte| byte == b'\n').count();
    let entries = match parse(text) {
        Ok(entries) => entries,
        Err(wrong) => {
            assert!((1..=lines).contains(&wrong.line), "{wrong:?}");
            return;
        }
    };
    let mut again = String::new();
    for entry in &entries {
        let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        assert!(!entry.key.is_empty() && entry.key.bytes().all(letters));
        assert!(!entry.value.is_empty());
        assert!(!entry.value.contains(|c: char| c.is_control() && c != '\t'));
        assert!((1..=lines).contains(&entry.line));
        // With the prefix, which is taken off once.
        again.push_str(&format!("EXOSEND_{} = \"", entry.key));
        for c in entry.value.chars() {
            if matches!(c, '"' | '\\' | '$' | '`') {
                again.push('\\');
            }
            again.push(c);
        }
        again.push_str("\"\n");
    }
    let pairs = |text: &[u8]| -> Vec<_> {
        let entries = parse(text).expect("what was written down");
        entries.into_iter().map(|e| (e.key, e.value)).collect()
    };
    let expected: Vec<_> = entries.into_iter().map(|e| (e.key, e.value)).collect();
    assert_eq!(pairs(again.as_bytes()), expected);
}

/// The header is whole lines, holds no Bcc, and From is one that Exchange takes.
pub(crate) fn message(text: &[u8]) {
    const MAILBOX: &str = "robot@contoso.com";
    // A Bcc that is in doubt.
    let Ok((mut head, body)) = split(text, true) else {
        return;
    };
    assert!(body <= text.len());
    for recipient in head.recipients().0 {
        assert!(!recipient.spec.contains(['\r', '\n']), "{recipient:?}");
    }
    head.remove_bcc();
    head.rewrite_from(&Author {
        mailbox: MAILBOX,
        send_as: &["ops@contoso.com".to_owned()],
        is_unreachable: &|domain| domain == "web1",
        name: &|user| format!("{user} on web1"),
    });
    if let Some(from) = head.get("From") {
        let from = list::parse(&from).expect("one mailbox");
        assert_eq!(from.len(), 1);
        assert!(
            [MAILBOX, "ops@contoso.com"].contains(&&*from[0].spec.to_ascii_lowercase()),
            "{from:?}"
        );
    }
    let written = head.text();
    let mut before = b'\n';
    for (at, &byte) in written.iter().enumerate() {
        assert!(byte != b'\n' || before == b'\r', "a bare LF at {at}");
        assert!(before != b'\r' || byte == b'\n', "a bare CR before {at}");
        before = byte;
    }
    assert!(written.ends_with(b"\r\n"));
    let (again, end) = split(&written, true).expect("what was written down");
    assert_eq!(again.text(), written);
    assert_eq!(end, written.len(), "the header ends before its end");
    assert!(again.get("Bcc").is_none() && again.get("Resent-Bcc").is_none());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Random bytes would seldom be a line: these are put together of what matters.
    fn pieces(known: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            8 => proptest::sample::select(known).prop_map(|piece| piece.as_bytes().to_vec()),
            1 => proptest::collection::vec(any::<u8>(), 1..4),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_configuration_of_any_bytes(
            text in pieces(&[
                "mailbox", "EXOSEND_", "tenant", "=", " = ", "\n", "\r\n", "\"", "'", "\\", "$", "`", "#", ";", "\t", "x",
                "\u{feff}", "\u{e9}", " ",
            ]),
        ) {
            super::configuration(&text);
        }

        #[test]
        fn a_message_of_any_bytes(
            text in pieces(&[
                "From", "To", "Bcc", "Sender", "Reply-To", "Resent-Bcc", ": ", ":", " ", "\n", "\r\n", "\r", "\n ", "\n\t",
                "ann@x.org", "<robot@contoso.com>", "<", ">", "\"", "(", ")", "\\", ",", ";", "[", "]", "ops@contoso.com",
                "From root Tue\n", "Ann",
            ]),
        ) {
            super::message(&text);
        }
    }
}
