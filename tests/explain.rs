//! Lines as people quote them, and what they mean. That no code is missing: tests/codes.rs and the table's own tests.

use exosend::advice::{Condition, Explanation, conditions, explain, general_page};
use proptest::prelude::*;

/// `lines.txt`: conditions on a line of their own, and indented below them the lines that mean them.
#[test]
fn lines_that_people_quote() {
    let known: Vec<Condition> = conditions().map(|(condition, _)| condition).collect();
    let of_name = |name: &str| {
        let of = known.iter().find(|known| format!("{known:?}") == name);
        *of.unwrap_or_else(|| panic!("no condition {name}"))
    };
    let mut expected = Vec::new();
    let mut count = 0;
    for line in include_str!("explain/lines.txt").lines() {
        match line.strip_prefix("    ") {
            None if line.is_empty() || line.starts_with('#') => {}
            None if line == "nothing" => expected.clear(),
            None => expected = line.split(' ').map(of_name).collect(),
            Some(line) => {
                let found = explain(line);
                let told: Vec<_> = found.iter().map(Explanation::condition).collect();
                assert_eq!(told, expected, "{line}\n{found:#?}");
                for found in &found {
                    let whole = format!("{}: {}", found.meaning(), found.advice());
                    assert_eq!(found.hint(), whole);
                    assert!(found.documented().starts_with("https://"), "{line}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
    for nothing in ["", " \n", "\u{feff}\u{e9}535\u{e9}5.7.3\u{e9}"] {
        assert_eq!(explain(nothing), []);
    }
}

/// Longer numbers, other classes, and a reply that tells of a network.
#[test]
fn near_misses_are_told_apart() {
    let first = |line: &str| explain(line).first().map(|e| e.recognised().to_owned());
    for row in [
        "AADSTS70011: scope => AADSTS70011",
        "AADSTS700112: subject => ",
        "AADSTS700021: iss => AADSTS700021",
        "AADSTS70002: credentials => ",
        "AADSTS7000215 and AADSTS7000222 => AADSTS7000215",
        "535 5.7.3 x => 535 5.7.3",
        "535 5.7.31 x => ",
        "451 5.7.3 STARTTLS is required to send mail => starttls is required to send mail",
        "554 5.2.252 SendAsDenied => 554 5.2.252",
        "550 5.2.252 Sender throttled => 550 5.2.252",
        "554 5.2.25 x => ",
        "421 4.4.2 smtp connection timed out => 421 4.4.2",
    ] {
        let (line, expected) = row.split_once(" => ").unwrap();
        assert_eq!(first(line).unwrap_or_default(), expected, "{line}");
    }
}

#[test]
fn several_matches_in_order_of_the_line() {
    let text = "token contoso.onmicrosoft.com: invalid_client: AADSTS7000222: expired\n\
                retried: 535 5.7.3 Authentication unsuccessful\n\
                retried: 554 5.2.252 SendAsDenied";
    let found: Vec<_> = explain(text)
        .iter()
        .map(|e| e.recognised().to_owned())
        .collect();
    assert_eq!(found, ["AADSTS7000222", "535 5.7.3", "554 5.2.252"]);
}

#[test]
fn an_unknown_line_has_a_page_all_the_same() {
    assert_eq!(
        general_page("AADSTS1234567: something new"),
        "https://login.microsoftonline.com/error?code=1234567"
    );
    assert!(general_page("550 5.9.9 new").contains("authenticated-client-smtp-submission"));
}

proptest! {
    /// Whatever is pasted: no panic, and nothing of it is repeated but numbers and words that exosend knows.
    #[test]
    fn any_text_at_all(
        pieces in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                "[ .:,'\"(#b-]{0,4}",
                "[245][0-9]{2}",
                "[245]\\.[0-9]{1,3}\\.[0-9]{1,3}",
                "(AADSTS|error_codes\":\\[)[0-9]{0,25}",
                Just("s3cret".to_owned()),
            ],
            0..12,
        )
    ) {
        let text = pieces.concat();
        for found in explain(&text) {
            prop_assert!(!found.recognised().contains("s3cret"));
            prop_assert!(!found.advice().is_empty());
        }
        prop_assert!(general_page(&text).starts_with("https://"));
    }
}
