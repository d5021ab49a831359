//! Headers that others wrote: Bcc is taken off, From is rewritten, what is not ASCII is encoded.

use proptest::prelude::*;

use super::head::{Author, Head, split};
use super::list::Mailbox;

/// The header as it would be sent, `|` for its line ends, and the body.
fn read(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    match split(text, true) {
        Ok((head, body)) => {
            let head = String::from_utf8_lossy(&head.text()).replace("\r\n", "|");
            head + &String::from_utf8_lossy(&text[body..])
        }
        Err(what) => format!("! {what}"),
    }
}

#[test]
fn a_header_ends_at_an_empty_line_or_where_no_field_follows() {
    for row in [
        "To: a\nSubject: b\n\nhello\n => To: a|Subject: b||hello\n",
        "To: a\r\nSubject: b\r\n c\r\n\r\nhello => To: a|Subject: b| c||hello",
        "From root Tue Nov 24\nTo: a\n\n => To: a||",
        ">From root Tue Nov 24\nTo: a\n\n => To: a||",
        "\u{feff}To: a\n\nx => To: a||x",
        "\u{feff}From root Tue\nTo: a\n\nx => To: a||x",
        "To: a\nhello there\n => To: a||hello there\n",
        "To: a => To: a||",
        "To : a\n  \nCc: b\n\nx => To: a|Cc: b||x",
        "hello\n => |hello\n",
        // Not an mbox file's first line, but text that has to be kept.
        "From now on, see /srv.\nBye\n => |From now on, see /srv.\nBye\n",
        "From now on.\n\nBye: x\n => |From now on.\n\nBye: x\n",
        "\u{feff}>From here => |>From here",
        "\nTo: a\n => |To: a\n",
        "  hello\n => |  hello\n",
        " => |",
        "To: a\n\u{e9}t\u{e9}: b\n => To: a||\u{e9}t\u{e9}: b\n",
        // Any CR before an LF belongs to the line's end.
        "To: a\r\r\nBcc: b\r\r\n\r\r\nx\r\r\n => To: a|Bcc: b||x\r\r\n",
        "To: a\n\r\r\nx => To: a||x",
        // CR alone is a space, but where there is nothing else to end a line.
        "Subject: a\rb\n\nx\ry => Subject: a b||x\ry",
        "To: a\rCc: b\r\rx => To: a|Cc: b||x",
        "To: a\rCc: b\r\rx\ny => To: a|Cc: b||x\ny",
    ] {
        let (text, expected) = row.split_once(" => ").unwrap();
        assert_eq!(read(text), expected, "{text:?}");
    }
}

#[test]
fn a_header_whose_end_has_not_come_is_incomplete() {
    let message = "From x\nTo: a\r\nCc: b\r\n\r\nhello";
    let end = message.find("hello").unwrap();
    for cut in 0..=message.len() {
        let split = split(&message.as_bytes()[..cut], false);
        // It could be that a CR is to come whose LF is not there.
        assert_eq!(split.is_ok(), cut == 0 || cut > end, "{cut}");
    }
    let error = split("To: a\n".repeat(174_762).as_bytes(), false).unwrap_err();
    assert_eq!(error, "the header is longer than 1 MiB");
}

#[test]
fn a_damaged_line_that_may_be_a_bcc_is_an_error() {
    for (text, line) in [
        ("Subject: s\nhello\nBcc: h@x\n\nx", 3),
        ("hello\nBcc: h@x\n\nx", 2),
        ("\n\nTo: a\nBcc: h@x\n\nx", 4),
        (" To: a\n Bcc: h@x\n\nx", 2),
        ("Subject: s\n Bcc: h@x\n\nx", 2),
        ("Subject: s\rBcc: h@x\n\nx", 1),
        ("Subject: s\r\rBcc: h@x\n\nx", 3),
        ("hello\r\rhello\rBcc: h@x\n\nx", 4),
        ("Subject: s\n\rBcc: h@x\n\nx", 2),
        // Where nothing but CR ends lines, an empty one may have been meant for space.
        ("To: a\r\rBcc: h@x\r\rx", 3),
        ("Bcc:\r\rh@x", 3),
        ("Bcc: a@x,\r\rh@x\n\nx", 3),
        ("To: a\nB\0cc: h@x\n\nx", 2),
        ("To: a\nBc\n c: h@x\n\nx", 3),
        ("To: a\nB\nc\nc: h@x\n\nx", 4),
        ("To: a\nBcc\n: h@x\n\nx", 3),
        ("To: a\nResent-\n\tBcc: h@x\n\nx", 3),
        ("To: a\nB cc: h@x\n\nx", 2),
        ("To: a\nBcc h@x\n\nx", 2),
        ("To: a\nB:cc: h@x\n\nx", 2),
        ("To: a\n\u{feff}Bcc: h@x\n\nx", 2),
        ("To: a\nFrom x Tue 12:00\nBCC: h@x\n\nx", 3),
        ("Bcc: a@x,\nh@x\n\nx", 2),
        // Some programs, and people, read these as fields.
        ("To: a\n>Bcc: h@x\n\nx", 2),
        ("To: a\n\"Bcc\": h@x\n\nx", 2),
        ("To: a\nBcc=h@x\n\nx", 2),
        ("To: a\nBcc\u{ff1a}h@x\n\nx", 2),
        // These are a Bcc once we have written them.
        ("Bcc<x\r: h@x\n\nx", 1),
        ("< :Bcc h@x\n\nx", 1),
        ("To: \r<\n Bcc\n h@x\n\nx", 3),
        ("To: a\n Bcc\n From\rh@x\n\nx", 3),
        ("To: a\n B\ncc: h@x\n\nx", 3),
    ] {
        let expected = format!("! line {line}: a Bcc, or not? ");
        assert!(
            read(text).starts_with(&expected),
            "{text:?}: {}",
            read(text)
        );
    }
    for text in [
        "To: a\nBcc : h@x\n\nx",
        "To: a\nBcc: a@x,\n  \n\th@x\n\nx",
        "To: a\nBcc: a@x\rBcc: h@x\n\nx",
        "Resent-Bcc: h@x\nTo: a\n\nx",
        "To: a\rBcc: h@x\r\rAsk ann@x.\r",
        "To: a\n\n\nBcc: b@x\n",
        "hello\n\nBcc: b@x\n",
        "To: a@x,\n bcc@x\n\nx",
        "To: Ann <a@x>,\r\n BCC Research <info@bcc.example>\n\nx",
        "Subject: s\n Bcc \nTo: a@x\n\nx",
        "X: \n Bcc<\nTo: a@x\n\nx",
        "To: a\nThe bcc was lost.\nMr. Bcc: a note\n",
    ] {
        let (mut head, _) = split(text.as_bytes(), true).unwrap();
        head.remove_bcc();
        let head = String::from_utf8(head.text()).unwrap();
        assert!(!head.contains("h@x"), "{text:?}: {head}");
    }
}

/// Headers, some of them damaged. `hidden` stands in no other field than a Bcc.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let field = prop::sample::select(vec![
        "To: a@x.org",
        "Subject: s",
        "Subject: a\u{e9} b",
        "X: a,\n b",
        "To: a@x.org,\r\n\tb@x.org",
        "From: root",
        "Bcc: hidden@x.org",
        "bcc : hidden@x.org, hidden",
        "BCC: a@x.org,\n  hidden@x.org",
        "Resent-Bcc: hidden@x.org",
        "Bcc:\n hidden@x.org",
        "Bcc: \"a\n\t\" <hidden@x.org>",
        "no field",
        "From x Tue 12:00",
        " ",
        "",
    ]);
    let end = prop::sample::select(vec![
        "\n", "\n", "\r\n", "\r\n", "\r\r\n", "\r", "\n\r", "\n\n",
    ]);
    let damage = prop::sample::select(vec![
        "", "", "", "", "\0", " ", "\t", "\u{feff}", "\r", "\n ", "\n", "\u{e9}", "-",
    ]);
    let line = (field, end, damage, 0..16usize).prop_map(|(field, end, damage, at)| {
        // In the name, or before it.
        let at = at.min(field.find(':').unwrap_or(0)).min(field.len());
        [&field[..at], damage, &field[at..], end].concat()
    });
    let start = prop::sample::select(vec![
        "",
        "",
        "",
        "\u{feff}",
        "From x Tue\n",
        "\n",
        "\r\n\r\n",
        " ",
        "\0",
    ]);
    let lines = prop::collection::vec(line, 1..8);
    (start, lines).prop_map(|(start, lines)| {
        // Up to the first empty line, behind which is the body.
        let lines = lines.concat();
        let begin = lines.find(|c: char| c.is_ascii_graphic()).unwrap_or(0);
        let empty = |at: &usize| {
            let rest = &lines.as_bytes()[*at..];
            let end = rest.iter().skip(1).position(|byte| *byte != b'\r');
            rest[0] == b'\n' && end.is_some_and(|end| rest[end + 1] == b'\n')
        };
        let end = (begin..lines.len()).find(empty).unwrap_or(lines.len());
        [start.as_bytes(), &lines.as_bytes()[..end]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_line_that_names_a_bcc_reaches_another_recipient(header in header()) {
        let text = [header.as_slice(), b"\r\n\r\nbody\n"].concat();
        if let Ok((mut head, body)) = split(&text, true) {
            head.remove_bcc();
            let sent = [head.text().as_slice(), &text[body..]].concat();
            prop_assert!(!String::from_utf8_lossy(&sent).contains("hidden"), "{}", sent.escape_ascii());
        }
    }
}

#[test]
fn recipients_are_those_of_to_cc_and_bcc_or_of_resent_fields() {
    let read = |text: &[u8]| {
        let (mailboxes, wrong) = split(text, true).unwrap().0.recipients();
        let specs: Vec<_> = mailboxes.into_iter().map(|m| m.spec).collect();
        (specs.join(" "), wrong.join(" "))
    };
    let text = "To: Ann <ann@x.org>,\n bob@x.org\nBcc: eve@x.org, <>\nCC: G: cid@x.org;\n";
    let all = "ann@x.org bob@x.org eve@x.org cid@x.org";
    assert_eq!(
        read(format!("{text}\n").as_bytes()),
        (all.into(), String::new())
    );
    let resent = format!("{text}Resent-To: dan@x.org\n\n");
    assert_eq!(read(resent.as_bytes()).0, "dan@x.org");
    for (text, specs, wrong) in [
        (
            &b"To: \"ann\nCc: a@x\n\n"[..],
            "a@x",
            "To: a quote is not closed",
        ),
        (
            b"To: a@x, b@@x, c d, e@x\n\n",
            "a@x e@x",
            "To: `b@@x` is no address To: `c d` is no address",
        ),
        (
            b"To: J\xf6rg <j\xf6rg@x>, J\xf6rg <j@x>\n\n",
            "j@x",
            "To: `j\u{f6}rg@x` is not UTF-8",
        ),
    ] {
        assert_eq!(read(text), (specs.into(), wrong.into()));
    }
}

#[test]
fn text_that_is_not_ascii_is_encoded() {
    for (text, expected) in [
        (
            &b"Subject: Gr\xc3\xbc\xc3\x9fe\n\n"[..],
            "Subject: =?utf-8?b?R3LDvMOfZQ==?=||",
        ),
        (
            b"Subject: Gr\xfc\xdfe\x80\n\n",
            "Subject: =?utf-8?b?R3LDvMOfZeKCrA==?=||",
        ),
        (b"Subject: a\n \xe9\n\n", "Subject: =?utf-8?b?YSDDqQ==?=||"),
        (
            b"From: J\xf6rg <root@box>\n\n",
            "From: =?utf-8?b?SsO2cmc=?= <root@box>||",
        ),
        (
            b"To: a@x,\n (\xe9) b@x\n\n",
            "To: a@x,| (=?utf-8?b?w6k=?=) b@x||",
        ),
    ] {
        assert_eq!(read(text), expected);
    }
    // RFC 2231, in pieces that fit a line; nothing else of the field changes.
    for (parameters, expected) in [
        (
            " text/plain; name=\u{e9}",
            " text/plain;\r\n name*0*=utf-8''%C3%A9",
        ),
        (
            " a/b;\r\n filename=\"a;\u{e9}=\\\"b.pdf\"; size=1",
            " a/b;\r\n filename*0*=utf-8''%61%3B%C3%A9%3D%22%62%2E%70%64%66; size=1",
        ),
        (
            " a/b; name=\"\u{e9}12345678901234567\"",
            " a/b;\r\n name*0*=utf-8''%C3%A9%31%32%33%34%35%36%37%38%39%30%31%32%33%34;\r\n name*1*=%35%36%37",
        ),
        (" a/b; name=\"x", " a/b; name=\"x"),
    ] {
        let text = format!("Content-Type:{parameters}\r\n\r\n");
        let encoded = split(text.as_bytes(), true).unwrap().0.text();
        let expected = format!("Content-Type:{expected}\r\n\r\n");
        assert_eq!(String::from_utf8(encoded).unwrap(), expected);
    }
    // A field of another structure stays as it is.
    let text = b"Received: from \xe9\r\n\r\n";
    assert_eq!(split(text, true).unwrap().0.text(), text);
}

#[test]
fn a_body_that_is_not_ascii_is_declared_once() {
    let declared = |text: &str| {
        let mut head = split(text.as_bytes(), true).unwrap().0;
        head.declare("utf-8");
        String::from_utf8(head.text()).unwrap().replace("\r\n", "|")
    };
    assert_eq!(
        declared("To: a\n\n"),
        "To: a|MIME-Version: 1.0|Content-Type: text/plain; charset=utf-8|Content-Transfer-Encoding: 8bit||"
    );
    for said in [
        "MIME-version: 1.0",
        "content-type: text/html",
        "Content-Transfer-Encoding: base64",
    ] {
        assert_eq!(declared(&format!("{said}\n\n")), format!("{said}||"));
    }
}

/// The header with From rewritten, and the address that stood there.
fn rewritten(message: &str) -> (String, Option<String>) {
    let author = Author {
        mailbox: "robot@contoso.com",
        send_as: &["Ops@contoso.com".into()],
        is_unreachable: &|domain| domain == "vm.internal",
        name: &|user| format!("{user} on web1"),
    };
    let mut head = split(message.as_bytes(), true).unwrap().0;
    let was = head.rewrite_from(&author);
    (
        String::from_utf8(head.text()).unwrap().replace("\r\n", "|"),
        was,
    )
}

#[test]
fn from_becomes_what_exchange_takes() {
    // `|` for line ends, `-` where From is not replaced.
    for row in [
        // What it takes stays, byte for byte.
        "From: Robot <ROBOT@contoso.com>|Sender: robot@contoso.com|DKIM-Signature: x => \
         From: Robot <ROBOT@contoso.com>|Sender: robot@contoso.com|DKIM-Signature: x => -",
        "From: ops@contoso.com|Sender: root@web1 => From: ops@contoso.com => -",
        "From: robot@contoso.com, ann@x.org => From: robot@contoso.com => -",
        "From: robot@contoso.com|From: ann@x.org => From: robot@contoso.com => -",
        // A comment and a user, to whoever reads a list.
        "From: (Ann <robot@contoso.com>)root => From: \"(Ann\" <robot@contoso.com> => -",
        // The name stays, the address becomes Reply-To.
        "From: =?utf-8?q?J=C3=B6rg?= <j@x.org>|Sender: a@b|DKIM-Signature: v=1;| b=x|To: a => \
         From: =?utf-8?q?J=C3=B6rg?= <robot@contoso.com>|To: a|Reply-To: =?utf-8?q?J=C3=B6rg?= <j@x.org> => \
         j@x.org",
        "From: \"Other,| Ann\" <ann@x.org>, bob@x.org|Reply-To: c@x.org => \
         From: \"Other, Ann\" <robot@contoso.com>|Reply-To: c@x.org => ann@x.org",
        "From: Smith, John <john@x.org>|Reply-To: => \
         From: \"Smith, John\" <robot@contoso.com>|Reply-To: \"Smith, John\" <john@x.org> => john@x.org",
        "From: J\u{f6}rg <j@x.org> => \
         From: =?utf-8?b?SsO2cmc=?= <robot@contoso.com>|Reply-To: =?utf-8?b?SsO2cmc=?= <j@x.org> => j@x.org",
        // Addresses of this machine, to which nobody can reply.
        "From: root (Cron Daemon) => From: Cron Daemon <robot@contoso.com> => root",
        "From: www-data <www-data@web1> => From: www-data <robot@contoso.com> => www-data@web1",
        "From: Vm <r@vm.internal> => From: Vm <robot@contoso.com> => r@vm.internal",
        // No name, or no address.
        "From: root@web1 => From: root on web1 <robot@contoso.com> => root@web1",
        "From: \"a b\"@web1 => From: a b on web1 <robot@contoso.com> => \"a b\"@web1",
        "From: Nightly Backup => From: Nightly Backup <robot@contoso.com> => ",
        "From: \"Ann <ann@x> => From: Ann <robot@contoso.com> => ann@x",
    ] {
        let [message, expected, was] = row.split(" => ").collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let (head, address) = rewritten(&format!("{}\n\n", message.replace('|', "\n")));
        assert_eq!(head, format!("{expected}||"), "{row}");
        assert_eq!(address.as_deref(), (was != "-").then_some(was), "{row}");
    }
}

#[test]
fn local_users_in_to_and_cc_are_replaced() {
    let mut head = split(
        b"To: root, Ann <ann@x.org>\nCc: nobody, \"You\" <root>\nBcc: root\nX: root\n\n",
        true,
    )
    .unwrap()
    .0;
    head.rewrite_recipients(&mut |mailbox: &Mailbox| {
        let ops = |spec: &str| Mailbox {
            name: mailbox.name.clone(),
            spec: spec.into(),
        };
        (mailbox.spec == "root").then(|| vec![ops("ops@x.org"), ops("it@x.org")])
    });
    assert_eq!(
        String::from_utf8(head.text()).unwrap(),
        "To: ops@x.org,\r\n it@x.org,\r\n Ann <ann@x.org>\r\nCc: nobody,\r\n You <ops@x.org>,\r\n You <it@x.org>\r\n\
         Bcc: root\r\nX: root\r\n\r\n"
    );
}

/// A header is written as whole lines, and read again it is the same.
fn check(text: &[u8]) {
    let Ok((mut head, body)) = split(text, true) else {
        return;
    };
    assert!(body <= text.len());
    let _ = head.recipients();
    head.remove_bcc();
    head.declare("utf-8");
    let written = head.text();
    let plain = String::from_utf8_lossy(&written).replace("\r\n", "");
    assert!(!plain.contains(['\r', '\n']), "{plain:?}");
    let (again, end) = split(&written, true).unwrap();
    assert_eq!(
        (again.text(), end),
        (written.clone(), written.len()),
        "{}",
        text.escape_ascii()
    );
    let _: Head = again;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_header_is_written_as_it_is_read_again(header in header()) {
        check(&header);
    }
}
