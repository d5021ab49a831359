//! The reports about a message: the result object, the log line, the transcript.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::exchange::{Exchange, Fault, Step};
use crate::machine::{Machine, finish};

const NOTE: &str = "Subject: x\n\nhello\n";

/// A machine whose Exchange does not know bob.
fn machine() -> Machine {
    let refuses = Exchange::builder().refuse("bob@example.com", "550 5.1.10 \"no\"");
    Machine::with(refuses.start())
}

#[test]
fn the_result_object() {
    let machine = machine();
    let object = |arguments: &str| {
        let run = machine.run(&format!("send --json {arguments}"), "hello");
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
        let object: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(object["exit"], run.code);
        (object, run.stderr)
    };
    let (mut sent, stderr) = object("--to ann@example.com");
    assert_eq!(stderr, "");
    let message_id = machine.last().header("Message-ID").unwrap();
    let reply = sent["reply"]["text"].take();
    assert!(reply.as_str().unwrap().starts_with("250 2.0.0 OK "));
    let expected = json!({
        "exit": 0, "sent": true, "queued": null, "in_doubt": false, "transient": false, "from": "robot@contoso.com",
        "to": ["ann@example.com"], "size": null, "message_id": message_id,
        "reply": { "code": 250, "enhanced": "2.0.0", "text": null }, "refused": [],
        "kind": null, "stage": null, "error": null, "hint": null,
    });
    assert_eq!(sent, expected);

    let (mut refused, stderr) = object("--to bob@example.com");
    let error = "recipient <bob@example.com>: 550 5.1.10 \"no\"";
    let hint = refused["hint"].take();
    let lines = format!(
        "exosend: {error}\nexosend: hint: {}\n",
        hint.as_str().unwrap()
    );
    assert_eq!(stderr, lines);
    let reply = json!({ "code": 550, "enhanced": "5.1.10", "text": "550 5.1.10 \"no\"" });
    let refusal = json!({ "address": "bob@example.com", "reply": reply });
    let expected = json!({
        "exit": 67, "sent": false, "queued": null, "in_doubt": false, "transient": false, "from": "robot@contoso.com",
        "to": ["bob@example.com"], "size": null, "message_id": null, "reply": reply, "refused": [refusal],
        "kind": "refused", "stage": "recipient", "error": error, "hint": null,
    });
    assert_eq!(refused, expected);

    let (partial, _) = object("--set partial=true --to ann@example.com,bob@example.com");
    assert_eq!(
        (&partial["sent"], &partial["exit"]),
        (&true.into(), &67.into())
    );
    assert_eq!(partial["refused"], json!([refusal]));

    let fields = |object: &Value| {
        object
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let (usage, _) = object("--bogus");
    assert_eq!(fields(&usage), fields(&sent), "always the same fields");
    assert_eq!(usage["error"], "invalid option '--bogus'");
}

#[test]
fn a_dry_run_ends_before_data() {
    let machine = machine();
    let run = |more: &str| machine.run(&format!("send --dry-run --to {more}"), "hello");
    let accepted = run("ann@example.com");
    let said = "dry run: accepted up to DATA, nothing sent\n";
    accepted.exits(0).out(said);
    assert_eq!(run("bob@example.com").code, 67);
    let object = run("ann@example.com --json").stdout;
    let object: Value = serde_json::from_str(&object).unwrap();
    assert_eq!(
        (&object["sent"], &object["exit"]),
        (&false.into(), &0.into())
    );
    let exchange = machine.exchange.settle();
    assert_eq!(
        (exchange.said("C: MAIL "), exchange.said("C: DATA")),
        (3, 0)
    );
    assert_eq!(exchange.violations(), [""; 0]);
}

#[test]
fn a_line_in_the_log_for_each_message() {
    let machine = machine();
    let log = machine.path("mail.log");
    machine.configure(&format!("log = {}", log.display()));
    machine.sendmail("ann@example.com cid@example.com", NOTE);
    let strange = format!("From: ann@shop.example\n{NOTE}");
    machine.run("bob@example.com", strange);
    machine.run("-t", NOTE);
    machine.run("send --to ann@example.com", "hello");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .collect();
    assert!(
        lines
            .iter()
            .all(|(time, _)| time.len() == "2026-11-24T12:00:00Z".len())
    );
    let uid = std::fs::metadata(&log).unwrap().uid();
    let expected = [
        (
            "exit=0 stage=- code=250 uid=? from=robot@contoso.com original_from=- to=ann@example.com,cid@example.com size=1",
            "text=\"250 2.0.0 OK ",
        ),
        (
            "exit=67 stage=recipient code=550 uid=? from=robot@contoso.com original_from=ann@shop.example to=bob@example.com ",
            "> text=\"recipient <bob@example.com>: 550 5.1.10 \\\"no\\\"\" hint=\"",
        ),
        (
            "exit=65 stage=- code=- uid=? from=robot@contoso.com original_from=- to=- ",
            "size=- message_id=- text=\"no recipient in To, Cc or Bcc\" hint=-",
        ),
        (
            "exit=0 stage=- code=250 uid=? from=robot@contoso.com original_from=- to=ann@example.com ",
            " size=- message_id=<",
        ),
    ];
    assert_eq!(lines.len(), expected.len(), "{text}");
    for ((_, line), (begin, part)) in lines.iter().zip(expected) {
        let begin = begin.replace("uid=?", &format!("uid={uid}"));
        assert!(line.starts_with(&begin) && line.contains(part), "{line}");
    }
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_log_that_cannot_be_written_stops_no_mail() {
    let machine = machine();
    machine.configure("log = /nonexistent/mail.log");
    let mut command = machine.command("exosend");
    let run = finish(command.env("RUST_LOG", "info").arg("ann@example.com"), NOTE);
    // The same line goes to stderr at info.
    for expected in [
        "exosend: exit=0 stage=- code=250 uid=",
        "exosend: warning: log: /nonexistent/mail.log: ",
    ] {
        run.err_has(expected);
    }
    run.exits(0);
    assert_eq!(machine.run("--quiet ann@example.com", NOTE).stderr, "");
}

/// When mail does not work, cron cannot mail the error either: syslog has it.
#[test]
fn a_configuration_that_cannot_be_used_is_a_line_of_the_log_too() {
    let machine = Machine::new();
    for (config, text) in [
        ("client_secret = 'x", "exosend.conf:"),
        ("tiemout = 3", "did you mean"),
        ("in_doubt = always", "takes fail or retry"),
    ] {
        machine.configure(config);
        let mut command = machine.command("sendmail");
        let run = finish(command.env("RUST_LOG", "info").args(["-t"]), NOTE);
        let mut lines = run.stderr.lines();
        let line = lines.find(|line| line.starts_with("exosend: exit=78 stage=configuration "));
        assert!(line.is_some_and(|line| line.contains(text)), "{run:?}");
    }
}

#[test]
fn the_transcript_shows_no_secret() {
    let machine = Machine::new();
    let run = finish(
        machine
            .command("exosend")
            .env("RUST_LOG", "trace")
            .args(["-v", "ann@example.com"]),
        NOTE,
    );
    run.exits(0);
    run.err_has("C: RCPT TO:<ann@example.com>\n");
    run.err_has("S: 235 2.7.0");
    let token = machine.run("token", "").stdout;
    // Parts of the secret are searched for: at trace, ureq_proto would dump what it reads in lines of sixteen bytes.
    for secret in [
        token.trim(),
        &token[..12],
        machine.exchange.client_secret(),
        "hello",
    ] {
        assert!(!run.stderr.contains(secret), "{secret}");
    }
}

#[test]
fn a_log_filter_for_another_program_silences_no_warning() {
    let machine = Machine::new();
    for filter in ["", "myapp=debug", "off"] {
        let mut command = machine.command("exosend");
        let run = finish(
            command
                .args(["-v", "ann@example.com"])
                .env("RUST_LOG", filter),
            NOTE,
        );
        assert!(run.stderr.contains("C: QUIT"), "{filter}: {}", run.stderr);
    }
}

/// Text from a caller, a message or a token cannot send escape sequences to a terminal, nor begin a line of a log.
#[test]
fn no_control_characters_of_others_reach_a_terminal_or_a_log() {
    let machine = machine();
    let log = machine.path("mail.log");
    machine.configure(&format!("log = {}", log.display()));
    let hostile = "\u{1b}c\u{9b}31m\u{202e}\u{2028}\u{85}\u{ad}\u{e0041}";
    let id = format!("<1{}@x>", "\n 2\u{2028}3".repeat(300));
    let message = format!("Message-ID: {id}\nTo: a{hostile}b\nSubject: x\n\nx\n");
    for (arguments, input) in [
        ("-t".to_owned(), message.as_str()),
        ("bob@example.com".into(), &message),
        (
            format!("send --to ann@example.com --attach {hostile} --text x"),
            "",
        ),
        (format!("send --to {hostile} --text x --json"), ""),
        (
            format!("send --to ann@example.com --subject {hostile} --text x --json"),
            "",
        ),
        (format!("explain {hostile}"), ""),
        (format!("doctor --to {hostile}"), ""),
        (format!("doctor --set mailbox=a{hostile}@x.example"), ""),
        (format!("explain --json {hostile}"), ""),
    ] {
        let run = machine.run(&arguments, input);
        for text in [&run.stdout, &run.stderr] {
            let acts =
                |c: char| c != '\n' && (c.is_control() || hostile.contains(c) && !c.is_ascii());
            assert!(!text.chars().any(acts), "{arguments:?}: {text:?}");
        }
    }
    let text = std::fs::read_to_string(log).unwrap();
    assert!(
        !text
            .chars()
            .any(|c| c != '\n' && (c.is_control() || "\u{2028}\u{202e}".contains(c)))
    );
    for line in text.lines() {
        assert!(line.contains(" exit=") && line.len() < 4000, "{line}");
    }
    assert!(text.contains("[cut]"));
}

#[test]
fn in_doubt_the_message_id_is_named() {
    let lost = Exchange::builder().on(Step::Accept, Fault::disconnect());
    let machine = Machine::with(lost.start());
    let log = machine.path("mail.log");
    machine.configure(&format!("log = {}", log.display()));
    let run = machine.run("send --to ann@example.com --text x --json", "");
    let object: Value = serde_json::from_str(&run.stdout).unwrap();
    let of_send = object["message_id"].as_str().unwrap().to_owned();
    assert!(
        object["hint"]
            .as_str()
            .unwrap()
            .ends_with(&format!("; it is {of_send}"))
    );
    let note = format!("Message-ID: <1@x.example>\n{NOTE}");
    let run = machine.run("ann@example.com", note);
    run.exits(74);
    run.err_has("; it is <1@x.example>\n");
    let log = std::fs::read_to_string(log).unwrap();
    for id in [of_send.as_str(), "<1@x.example>"] {
        assert!(log.contains(&format!(" message_id={id} ")), "{log}");
    }
}
