//! For a server without an envelope, To, Cc and Bcc are rewritten to name the envelope's recipients, as other parsers read
//! them.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use exosend::Message;
use mail_parser::{HeaderName, HeaderValue, MessageParser};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use super::head::split;

/// The header for these recipients.
fn named(text: &str, to: &[&str]) -> Result<String, String> {
    let to: Vec<_> = to.iter().map(|&to| to.to_owned()).collect();
    let (mut head, _) = split(text.as_bytes(), true)?;
    head.name_only(&to)?;
    let (found, wrong) = head.recipients();
    let found: BTreeSet<_> = found.into_iter().map(|mailbox| mailbox.spec).collect();
    assert_eq!(
        (found, wrong),
        (to.into_iter().collect(), vec![]),
        "{text:?}"
    );
    Ok(String::from_utf8(head.text()).unwrap())
}

#[test]
fn the_header_names_the_envelope() {
    // `|` for line ends.
    for row in [
        "To: ann@x.org => ann@x.org => To: ann@x.org",
        // A recipient whom no field names is added to Bcc.
        "To: ann@x.org|Subject: x => ann@x.org eve@x.org => To: ann@x.org|Subject: x|Bcc: eve@x.org",
        // Anybody else is moved to where no server looks; Bcc disappears.
        "To: Ann <ann@x.org>, Bob <bob@x.org>|Cc: root|Bcc: carl@x.org => ann@x.org => \
         To: Ann <ann@x.org>|X-Exosend-To: Bob <bob@x.org>,| root",
        "To: root => ann@x.org => Bcc: ann@x.org|X-Exosend-To: root",
        "To: undisclosed-recipients:; => ann@x.org => Bcc: ann@x.org",
        "Subject: x => ann@x.org => Subject: x|Bcc: ann@x.org",
        // Spelt as the envelope has it.
        "To: ANN@X.org. => ann@x.org => To: ann@x.org",
        "To: a..b@x.org => \"a..b\"@x.org => To: <\"a..b\"@x.org>",
        // One field of each.
        "To: ann@x.org|X: y|to: bob@x.org|Cc: a: carl@x.org; => ann@x.org bob@x.org carl@x.org => \
         To: ann@x.org,| bob@x.org|X: y|Cc: carl@x.org",
        // The fields of a message that was passed on are removed.
        "Resent-To: eve@x.org|Resent-From: a@x.org|To: ann@x.org => eve@x.org => \
         Bcc: eve@x.org|X-Exosend-To: ann@x.org",
        // A name that looks like an address, for which Graph would refuse an author.
        "From: \"a@x.org\" <a@x.org>|To: \"eve@x.org\" <ann@x.org> => ann@x.org => \
         From: \"a at x.org\" <a@x.org>|To: \"eve at x.org\" <ann@x.org>",
        "To: \"eve@x.org\" =?utf-8?q?J=C3=B6rg?= <ann@x.org> => ann@x.org => \
         To: \"eve at x.org\" =?utf-8?q?J=C3=B6rg?= <ann@x.org>",
        // The same in an encoded word, for readers that decode first. In quotes it is safe.
        "From: =?utf-8?q?a=40x.org?= <a@x.org>|To: =?utf-8?b?PGV2ZUB4Lm9yZz4s?= <ann@x.org> => ann@x.org => \
         From: =?utf-8?B?YSBhdCB4Lm9yZw==?= <a@x.org>|To: =?utf-8?B?IGV2ZSBhdCB4Lm9yZyAg?= <ann@x.org>",
        "To: \"Schmidt, J\u{f6}rg\" <ann@x.org>|Cc: \"Other, Bob\" <bob@x.org> => ann@x.org bob@x.org => \
         To: =?utf-8?b?U2NobWlkdCAgSsO2cmc=?= <ann@x.org>|Cc: \"Other, Bob\" <bob@x.org>",
        "To: \"=?utf-8?q?=22=2C_eve=40x.org=2C_=22?=\" <ann@x.org> => ann@x.org => \
         To: \"= ?utf-8?q?=22=2C_eve=40x.org=2C_=22?=\" <ann@x.org>",
        // In a character set that hides ASCII, no name.
        "To: =?utf-7?q?eve+AEA-x.org+ACw-?= <ann@x.org> => ann@x.org => To: ann@x.org",
    ] {
        let [text, to, expected] = row.split(" => ").collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let to: Vec<_> = to.split(' ').collect();
        let becomes = named(&format!("{}\n", text.replace('|', "\n")), &to).unwrap();
        assert_eq!(
            becomes,
            format!("{expected}||").replace('|', "\r\n"),
            "{row}"
        );
    }
}

#[test]
fn a_name_that_is_too_long_for_quotes_has_no_meaning_in_a_list() {
    // Each `@` makes it longer.
    let to = format!("To: \"{}, <root>, (x)\" <ann@x.org>\n", "@".repeat(200));
    let text = named(&to, &["ann@x.org"]).unwrap();
    let message = MessageParser::new().parse(text.as_bytes()).unwrap();
    let name = message.to().and_then(|to| to.first()?.name()).unwrap();
    assert!(!name.contains([',', '<', '(']), "{name}");
}

#[test]
fn a_recipient_that_a_header_cannot_name_is_an_error() {
    let error = |text: &str, to| named(text, &[to]).unwrap_err();
    assert_eq!(
        error("To: Ann Other\n", "ann@x.org"),
        "To: `Ann Other` is no address"
    );
    assert!(error("Cc: \"ann\n", "ann@x.org").starts_with("Cc: a quote is not closed"));
    let word = "\"=?utf-8?q?=22=2C_eve=40x.org=2C_=22?=\"@x.org";
    for to in [word, "j\u{f6}rg@x.org"] {
        let what = "no header field can name an address with `=?`, or that is not ASCII";
        assert_eq!(error("", to), format!("`{to}`: {what}"));
    }
}

proptest! {
    /// The header that was written is not read again, so any address that an envelope takes has to be readable in it.
    #[test]
    fn any_recipient_is_named(
        local in r#""([ -;=?-\[\]-~]|\\[ -;=?-~])+"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,20}"#,
        domain in "x[.]org|\\[192[.]0[.]2[.]1\\]|\\[IPv6:2001:db8::1\\]",
    ) {
        let to = format!("{local}@{domain}");
        let message = Message::new().to(format!("<{to}>")).text("x");
        prop_assume!(message.check().is_ok() && !to.contains("=?"));
        named("To: Ann <ann@x.org>\n", &[&to]).unwrap();
    }
}

/// A header of fields that are well-formed, odd or broken, and an envelope.
fn heads() -> impl Strategy<Value = (String, Vec<&'static str>)> {
    let addresses = [
        "ann@x.org",
        "bob@x.org",
        "\"c c\"@x.org",
        "d+d@[192.0.2.1]",
        "Eve@X.org",
        "o'f@x.org",
    ];
    let piece = prop::sample::select(vec![
        "ann@x.org",
        "ANN@x.ORG",
        "bob@x.org",
        "Bob (x) <bob@x.org>",
        "\"c c\"@x.org",
        "\"C, C\" <\"c c\"@x.org>",
        "<d+d@[192.0.2.1]>",
        "=?utf-8?q?E=2C_<x@y.org>?= <eve@x.org>",
        "=?utf-8?b?PHhAeS5vcmc+LA==?= <ann@x.org>",
        "\"=?iso-8859-1?q?=22=2C_x=40y.org=2C_=22?=\" <bob@x.org>",
        "=?utf-7?q?x+AEA-y.org+ACw-?= =?iso-2022-jp?b?GyhCeEB5Lm9yZyw=?= <ann@x.org>",
        "\"x@y.org, \u{f6}\" <bob@x.org>",
        "\"eve@x.org, f\" <ann@x.org>",
        "Friends: ann@x.org, o'f@x.org;",
        "J\u{f6}rg <bob@x.org>",
        "<@a.org,@b.org:eve@x.org>",
        "root",
        "undisclosed-recipients:;",
        "(ann@x.org) mallory@y.org",
        "mallory@y.org",
        "<>",
        "",
        "\"",
        "Ann Other",
    ]);
    let list = prop::collection::vec(piece, 0..5).prop_map(|list| list.join(", "));
    let name = prop::sample::select(vec![
        "To",
        "TO",
        "Cc",
        "Bcc",
        "bcc ",
        "Resent-To",
        "Resent-Bcc",
        "Reply-To",
        "Subject",
        "X-Exosend-To",
        "From",
    ]);
    let end = prop::sample::select(vec!["\n", "\r\n", "\n ", "\r\n\t\r\n", "\n \n"]);
    let field = (name, list, end).prop_map(|(name, list, end)| format!("{name}: {list}{end}"));
    let fields =
        prop::collection::vec(field, 0..7).prop_map(|fields| fields.concat() + "\n\nbody\n");
    (fields, prop::sample::subsequence(addresses.to_vec(), 1..=6))
}

/// Random headers, the same rewritten, and the envelopes.
fn cases(n: usize) -> Vec<(String, String, BTreeSet<String>)> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let all = (0..n).filter_map(|_| {
        let (text, to) = heads().new_tree(&mut runner).unwrap().current();
        let becomes = named(&text, &to).ok()?;
        Some((text, becomes, to.iter().map(|&to| to.to_owned()).collect()))
    });
    let all: Vec<_> = all.collect();
    assert!(all.len() > n / 4, "{} of {n} can be named", all.len());
    all
}

#[test]
fn any_header_names_the_envelope() {
    for (text, becomes, to) in cases(10_000) {
        let message = MessageParser::default().parse(becomes.as_bytes()).unwrap();
        let mut found = BTreeSet::new();
        for header in message.headers() {
            if !matches!(
                header.name,
                HeaderName::To | HeaderName::Cc | HeaderName::Bcc
            ) {
                continue;
            }
            if let HeaderValue::Address(list) = &header.value {
                found.extend(list.iter().map(|a| a.address().unwrap_or("?").to_owned()));
            }
        }
        assert_eq!(found, to, "{text:?}\n{becomes}");
    }
}

#[test]
#[ignore = "needs python3"]
fn python_finds_the_envelope_in_any_header() {
    let script = "import email, email.header, email.policy, email.utils\n\
                  for text in open(0, newline='').read().split('\\0')[:-1]:\n\
                  \x20   for policy in email.policy.compat32, email.policy.default:\n\
                  \x20       m = email.message_from_string(text, policy=policy)\n\
                  \x20       fields = [str(v) for n in ('To', 'Cc', 'Bcc') for v in m.get_all(n, [])]\n\
                  \x20       decoded = [str(email.header.make_header(email.header.decode_header(v))) for v in fields]\n\
                  \x20       for fields in fields, decoded:\n\
                  \x20           print(*sorted({a for _, a in email.utils.getaddresses(fields)}), sep='|')";
    let cases = cases(3_000);
    let mut python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = python.stdin.take().unwrap();
    let texts: String = cases
        .iter()
        .map(|(_, text, _)| text.clone() + "\0")
        .collect();
    let writer = std::thread::spawn(move || stdin.write_all(texts.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let mut lines = output.lines();
    for (text, becomes, to) in cases {
        let to: Vec<_> = to.into_iter().collect();
        for _ in 0..4 {
            assert_eq!(lines.next(), Some(&*to.join("|")), "{text:?}\n{becomes}");
        }
    }
}
