//! Messages that we write are read back by other parsers, byte for byte.

#[path = "../src/message/head.rs"]
mod head;
mod heads;
#[path = "../src/message/list.rs"]
mod list;
mod lists;
mod named;

use crate::exchange;

use std::path::Path;
use std::process::Command;

use exchange::Exchange;
use exosend::{Attachment, Envelope, Message, Session, send_mail};
use mail_parser::{MessageParser, MimeHeaders};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn written(message: &Message) -> Vec<u8> {
    let mut text = Vec::new();
    message.write_to(&mut text).unwrap();
    text
}

/// A message that is the same in each run.
fn message() -> Message {
    Message::new()
        .from("robot@contoso.com")
        .to("ann@example.com")
        .header("Date", "Tue, 24 Nov 2026 09:00:00 +0000")
        .header("Message-ID", "<1@contoso.com>")
}

fn everything() -> Message {
    message()
        .to("\"Schmidt, J\u{f6}rg\" <j@example.com>")
        .subject("\u{dc}bersicht M\u{e4}rz 2026: \u{5831}\u{544a}\u{66f8}")
        .text("Siehe Anhang.\n\nGr\u{fc}\u{df}e\n.\n")
        .html("<p>Siehe <b>Anhang</b>: <img src=\"cid:chart\"></p>\n")
        .attach(Attachment::bytes("chart.png", (0..=255).collect::<Vec<u8>>()).inline("chart"))
        .attach(Attachment::bytes(
            "\u{dc}bersicht M\u{e4}rz 2026.xlsx",
            vec![0; 1000],
        ))
        .attach(Attachment::bytes("odd \"name\"; x=1 '%41'.txt", "text\n"))
}

/// Each shape of a message as it is sent. `EXOSEND_GOLDEN=write cargo test --all-features --test library messages` writes
/// them anew.
#[test]
fn each_shape_of_a_message_is_its_golden_file() {
    let shapes = [
        (
            "text",
            message().subject("backup done").text("212 GiB in 41 min\n"),
        ),
        ("subject-only", message().subject("disk full")),
        (
            "accents",
            message()
                .subject("caf\u{e9}")
                .text("caf\u{e9} au lait = 3 \u{20ac}, bitte sehr\n"),
        ),
        ("html", message().html("<p>hello</p>\n")),
        (
            "text-and-html",
            message().text("hello\n").html("<p>hello</p>\n"),
        ),
        (
            "attachment",
            message()
                .text("see below\n")
                .attach(Attachment::bytes("a.log", "one\ntwo\n")),
        ),
        (
            "inline",
            message()
                .html("<img src=\"cid:c\">\n")
                .attach(Attachment::bytes("c.gif", "GIF89a").inline("c")),
        ),
        ("everything", everything()),
    ];
    for (name, message) in shapes {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/messages/{name}.eml"));
        let text =
            without_random(&String::from_utf8(written(&message)).unwrap()).replace("\r\n", "\n");
        if std::env::var_os("EXOSEND_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&path).unwrap(), "{name}");
    }
}

/// Writes `random` for the random part of a boundary.
fn without_random(text: &str) -> String {
    let mut pieces = text.split("=_");
    let mut out = pieces.next().unwrap().to_owned();
    for piece in pieces {
        out += &format!("=_{}random{}", &piece[..2], &piece[34..]);
    }
    out
}

#[test]
fn another_parser_finds_every_part_of_a_delivered_message() {
    let exchange = Exchange::start();
    send_mail(&exchange.account(), &everything()).unwrap();
    let arrived = exchange.settle().delivered()[0].data.clone();
    let parsed = MessageParser::default().parse(&arrived).unwrap();
    assert_eq!(
        parsed.subject(),
        Some("\u{dc}bersicht M\u{e4}rz 2026: \u{5831}\u{544a}\u{66f8}")
    );
    let to = parsed.to().unwrap().as_list().unwrap();
    assert_eq!(
        (to[1].name(), to[1].address()),
        (Some("Schmidt, J\u{f6}rg"), Some("j@example.com"))
    );
    assert_eq!(
        parsed.body_text(0).unwrap(),
        "Siehe Anhang.\r\n\r\nGr\u{fc}\u{df}e\r\n.\r\n"
    );
    assert_eq!(
        parsed.body_html(0).unwrap(),
        "<p>Siehe <b>Anhang</b>: <img src=\"cid:chart\"></p>\r\n"
    );
    let attachments: Vec<_> = parsed
        .attachments()
        .map(|part| (part.attachment_name().unwrap(), part.contents()))
        .collect();
    let chart: Vec<u8> = (0..=255).collect();
    assert_eq!(
        attachments,
        [
            ("chart.png", chart.as_slice()),
            ("\u{dc}bersicht M\u{e4}rz 2026.xlsx", &[0; 1000]),
            ("odd \"name\"; x=1 '%41'.txt", b"text\n"),
        ]
    );
    assert_eq!(
        exchange.delivered()[0].parameters,
        [format!("SIZE={}", arrived.len())]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_subject_name_and_text_is_read_back(subject in "[^\\p{C}\\p{Zl}\\p{Zp}]{0,120}", name in "[^\\p{C}\\p{Zl}\\p{Zp}\"\\\\]{1,60}", text in "(?s).{0,400}") {
        let subject = subject.trim_end().to_owned();
        let name = name.trim().to_owned();
        prop_assume!(!name.is_empty());
        let message = message().cc(format!("\"{name}\" <c@example.com>")).subject(&subject).text(&text);
        let bytes = written(&message);
        assert_lines(&bytes);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        prop_assert_eq!(parsed.subject().unwrap_or_default().trim(), subject.trim());
        prop_assert_eq!(parsed.cc().unwrap().first().unwrap().name(), Some(name.as_str()));
        prop_assert_eq!(parsed.body_text(0).unwrap_or_default().into_owned(), canonical(&text));
    }

    #[test]
    fn any_attachment_is_read_back(name in "[^\\p{C}\\p{Zl}\\p{Zp}/\\\\]{1,80}", content in proptest::collection::vec(any::<u8>(), 0..600)) {
        let message = message().text("x").attach(Attachment::bytes(name.clone(), content.clone()));
        let bytes = written(&message);
        assert_lines(&bytes);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        let part = parsed.attachments().next().unwrap();
        prop_assert_eq!(part.contents(), content.as_slice());
        prop_assert_eq!(part.attachment_name(), Some(name.as_str()));
    }
}

/// ASCII, lines of 998 bytes at most, CR and LF in pairs only.
fn assert_lines(bytes: &[u8]) {
    assert!(bytes.is_ascii() && bytes.ends_with(b"\r\n"));
    for line in bytes.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        assert!(line.len() <= 998 && !line.contains(&b'\r'));
    }
}

fn canonical(text: &str) -> String {
    let mut text = text
        .replace("\r\n", "\n")
        .replace('\r', "\n")
        .replace('\n', "\r\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str("\r\n");
    }
    text
}

/// Python's `email` with its strict policy raises for every defect.
#[test]
#[ignore = "needs python3"]
fn python_finds_no_defect() {
    let folder = std::env::temp_dir().join(format!("exosend-messages-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts = (
        "[^\\p{C}\\p{Zl}\\p{Zp}]{1,90}",
        "[^\\p{C}\\p{Zl}\\p{Zp}/\\\\]{1,60}",
        "(?s).{0,300}",
    );
    for n in 0..200 {
        let (subject, name, text) = texts.new_tree(&mut runner).unwrap().current();
        let subject = subject.trim();
        let message = match n {
            0 => everything().subject(subject),
            _ => message()
                .subject(subject)
                .text(&text)
                .attach(Attachment::bytes(name.clone(), text.clone())),
        };
        let name = if n == 0 {
            "\u{dc}bersicht M\u{e4}rz 2026.xlsx"
        } else {
            &name
        };
        std::fs::write(folder.join(format!("{n}.eml")), written(&message)).unwrap();
        std::fs::write(
            folder.join(format!("{n}.expected")),
            format!("{subject}\n{name}"),
        )
        .unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/messages/check.py");
    let output = Command::new("python3")
        .arg(script)
        .arg(&folder)
        .output()
        .unwrap();
    let _ = std::fs::remove_dir_all(&folder);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "200 messages, no defect"
    );
}

/// Not even what some servers take for the end.
#[test]
fn nothing_in_a_message_ends_it() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.account()).unwrap();
    let ends = [
        "\n.\n",
        "\r.\r",
        "\r\n.\r\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r\n.\r",
        "\r.\r\n",
        "\r\r\n.\r\r\n",
        "\n\n.\r\r\n",
    ];
    let forged = "MAIL FROM:<robot@contoso.com>\r\nRCPT TO:<eve@example.com>\r\nDATA\r\nforged\r\n";
    let text: String = ends.iter().flat_map(|end| [*end, forged]).collect();
    session
        .send_raw(
            &Envelope::new("robot@contoso.com").to("ann@example.com"),
            text.as_bytes(),
        )
        .unwrap();
    session.send(&message().text(&text)).unwrap();
    session.quit();
    let delivered = exchange.settle().delivered();
    assert_eq!(delivered.len(), 2);
    assert!(
        delivered
            .iter()
            .all(|message| message.to == ["ann@example.com"])
    );
    assert_eq!(delivered[0].text(), canonical(&text));
    assert_eq!(exchange.violations(), [""; 0]);
}
