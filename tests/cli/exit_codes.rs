//! What a caller acts on: the exit code, one line for the error, one for the hint; the log and the result object.

use std::time::Duration;

use mail_parser::MessageParser;

use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::{Machine, finish};

const NOTE: &str = "Subject: x\n\nhello\n";

/// The first line of stderr and the exit code of a send through a stand-in that is not well.
fn outcome(exchange: Exchange, more: &str) -> (i32, String) {
    let machine = Machine::with(exchange);
    machine.configure(more);
    let run = machine.run(&["ann@example.com"], NOTE);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(
        lines.len() <= 2
            && lines
                .iter()
                .skip(1)
                .all(|line| line.starts_with("exosend: hint: ")),
        "{lines:?}"
    );
    (
        run.code,
        lines.first().copied().unwrap_or_default().to_owned(),
    )
}

#[test]
fn every_exit_code() {
    let builder = Exchange::builder;
    for (exchange, more, code, error) in [
        (builder(), "", 0, ""),
        (
            builder().on(Step::Accept, Fault::disconnect()),
            "",
            74,
            "accept: ",
        ),
        (
            builder().on(Step::Accept, Fault::disconnect()),
            "in_doubt = retry",
            75,
            "accept: ",
        ),
        (
            builder().on(Step::Accept, Fault::disconnect()),
            "in_doubt = fail",
            74,
            "accept: ",
        ),
        (
            builder().on(Step::Accept, Fault::reply("451 4.7.0 later")),
            "",
            75,
            "accept: 451 4.7.0 later",
        ),
        (
            builder().on(Step::Greeting, Fault::disconnect()),
            "",
            75,
            "greeting: ",
        ),
        (
            builder().on(Step::Ehlo, Fault::silent()),
            "timeout = 3",
            75,
            "ehlo: ",
        ),
        (
            builder().refuse("ann@example.com", "451 4.2.1 busy"),
            "",
            75,
            "recipient <ann@example.com>: 451 4.2.1 busy",
        ),
        (
            builder().refuse("ann@example.com", "550 5.1.10 no"),
            "",
            67,
            "recipient <ann@example.com>: 550 5.1.10 no",
        ),
        (
            builder().on(Step::Mail, Fault::reply("550 5.7.60 no")),
            "",
            69,
            "sender: 550 5.7.60 no",
        ),
        (
            builder().on(Step::Accept, Fault::reply("554 5.2.0 no")),
            "",
            69,
            "accept: 554 5.2.0 no",
        ),
        (
            builder().on(Step::Ehlo, Fault::reply("250 hello")),
            "",
            76,
            "starttls: ",
        ),
        (
            builder().on(Step::Greeting, Fault::raw("SSH-2.0\r\n")),
            "",
            76,
            "greeting: ",
        ),
        (builder().auth("LOGIN"), "", 76, "auth: "),
        (
            builder().on(
                Step::AuthBlob,
                Fault::reply("535 5.7.3 Authentication unsuccessful"),
            ),
            "",
            77,
            "auth robot@contoso.com: 535 5.7.3",
        ),
        (
            builder().token(Answer::aadsts(
                401,
                "invalid_client",
                7_000_215,
                "Invalid client secret",
            )),
            "",
            77,
            "token contoso.onmicrosoft.com: invalid_client: AADSTS7000215",
        ),
    ] {
        let (got, line) = outcome(exchange.start(), more);
        assert_eq!(got, code, "{line}");
        let expected = match error {
            "" => String::new(),
            error => format!("exosend: {error}"),
        };
        assert!(
            line.starts_with(&expected) && line.is_empty() == error.is_empty(),
            "{expected}: {line}"
        );
    }
}

#[test]
fn certificates_are_76() {
    let exchange = Exchange::builder().smtp_certificate(crate::exchange::Certificate::Expired);
    let (code, line) = outcome(exchange.start(), "");
    assert_eq!(code, 76, "{line}");
}

#[test]
fn nothing_and_nonsense_have_codes_of_their_own() {
    let machine = Machine::new();
    for (arguments, input, code, error) in [
        (&["--bogus"][..], NOTE, 64, "invalid option '--bogus'"),
        (&["-Z", "ann@example.com"], NOTE, 64, "invalid option '-Z'"),
        (
            &["send", "--set", "timeout"],
            "",
            64,
            "--set takes key=value",
        ),
        (
            &["send", "--config"],
            "",
            64,
            "missing argument for option '--config'",
        ),
        (
            &[],
            NOTE,
            64,
            "no recipient: name one, or -t to read them from the message",
        ),
        (&["ann@example.com"], "", 66, "stdin: empty, no message"),
        (
            &["send", "--to", "ann@example.com", "--set", "timeout=soon"],
            "",
            78,
            "--set timeout: takes seconds, more than 0",
        ),
        (
            &["send", "--to", "ann@example.com", "--set", "log=sylog"],
            "",
            78,
            "--set log: takes syslog, none, or a file with its path",
        ),
        (
            &["send", "--to", "ann@example.com", "--set", "send_us=x"],
            "",
            78,
            "--set send_us: unknown key, did you mean `send_as`?",
        ),
    ] {
        let run = machine.run(arguments, input);
        let expected = format!("exosend: {error}\n");
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(
            run.stderr.starts_with(&expected),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    // A folder can be opened, and not read.
    let mut command = machine.command("exosend");
    let folder = std::fs::File::open("/").unwrap();
    let output = command
        .arg("ann@example.com")
        .stdin(folder)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(66));
    machine.nobody_called();
}

#[test]
fn a_header_without_end_is_no_message() {
    let machine = Machine::new();
    let run = machine.run(
        &["ann@example.com"],
        format!("Subject: {}", "x".repeat(2 * 1024 * 1024)),
    );
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (65, "exosend: the header is longer than 1 MiB\n")
    );
    machine.nobody_called();
}

#[test]
fn a_host_that_is_not_there() {
    let machine = Machine::new();
    machine.configure("");
    let run = machine.run(
        &[
            "send",
            "--to",
            "ann@example.com",
            "--set",
            "server=no-such-host.invalid",
        ],
        NOTE,
    );
    // Where the machine has no name server to ask, it may be there all the same.
    let expected = match run.stderr.contains("Temporary failure") {
        true => 75,
        false => 68,
    };
    assert_eq!(run.code, expected, "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("exosend: resolve no-such-host.invalid: "),
        "{}",
        run.stderr
    );
}

#[test]
fn the_result_object() {
    let machine = Machine::with(
        Exchange::builder()
            .refuse("bob@example.com", "550 5.1.10 \"no\"")
            .start(),
    );
    let object = |arguments: &[&str]| {
        let run = machine.run(&[&["send", "--json"], arguments].concat(), "hello");
        assert_eq!(run.stdout.lines().count(), 1, "{}", run.stdout);
        let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(object["exit"], run.code);
        (object, run.stderr)
    };
    let (sent, stderr) = object(&["--to", "ann@example.com"]);
    assert_eq!(stderr, "");
    let arrived = machine.last();
    assert_eq!(
        (&sent["sent"], &sent["in_doubt"], &sent["transient"]),
        (&true.into(), &false.into(), &false.into())
    );
    assert_eq!(
        (&sent["from"], &sent["to"][0]),
        (&"robot@contoso.com".into(), &"ann@example.com".into())
    );
    assert_eq!(sent["size"], serde_json::Value::Null);
    assert_eq!(sent["message_id"], arrived.header("Message-ID").unwrap());
    assert_eq!(
        (&sent["reply"]["code"], &sent["reply"]["enhanced"]),
        (&250.into(), &"2.0.0".into())
    );
    assert_eq!(
        (&sent["error"], &sent["refused"]),
        (&serde_json::Value::Null, &serde_json::json!([]))
    );

    let (refused, stderr) = object(&["--to", "bob@example.com"]);
    assert!(stderr.starts_with("exosend: recipient <bob@example.com>: 550 5.1.10 \"no\"\n"));
    assert_eq!(
        (&refused["sent"], &refused["kind"], &refused["stage"]),
        (&false.into(), &"refused".into(), &"recipient".into())
    );
    assert_eq!(
        refused["error"],
        "recipient <bob@example.com>: 550 5.1.10 \"no\""
    );
    let refusal = serde_json::json!({ "address": "bob@example.com", "reply": { "code": 550, "enhanced": "5.1.10", "text": "550 5.1.10 \"no\"" } });
    assert_eq!(refused["refused"][0], refusal);

    let (partial, _) = object(&[
        "--set",
        "partial=true",
        "--to",
        "ann@example.com,bob@example.com",
    ]);
    assert_eq!(
        (&partial["sent"], &partial["exit"], &partial["refused"][0]),
        (&true.into(), &67.into(), &refusal)
    );

    let keys = |object: &serde_json::Value| {
        object
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    let (usage, _) = object(&["--bogus"]);
    assert_eq!(keys(&usage), keys(&sent), "always the same fields");
    assert_eq!(usage["error"], "invalid option '--bogus'");

    let checked = machine.exchange.delivered().len();
    let (dry, _) = object(&["--dry-run", "--to", "ann@example.com"]);
    assert_eq!((&dry["sent"], &dry["exit"]), (&false.into(), &0.into()));
    assert_eq!(machine.exchange.settle().delivered().len(), checked);
}

#[test]
fn a_dry_run_ends_before_data() {
    let machine = Machine::with(
        Exchange::builder()
            .refuse("bob@example.com", "550 5.1.10 no")
            .start(),
    );
    let run = |to: &str| machine.run(&["send", "--dry-run", "--to", to], "hello");
    let accepted = run("ann@example.com");
    assert_eq!(
        (accepted.code, accepted.stdout.as_str()),
        (0, "dry run: accepted up to DATA, nothing sent\n")
    );
    assert_eq!(run("bob@example.com").code, 67);
    let transcript = machine.exchange.settle().transcript();
    assert_eq!(
        transcript
            .iter()
            .filter(|line| line.starts_with("C: MAIL "))
            .count(),
        2
    );
    assert!(!transcript.iter().any(|line| line.starts_with("C: DATA")));
    assert_eq!(machine.exchange.violations(), [""; 0]);
}

#[test]
fn a_line_in_the_log_for_each_message() {
    let machine = Machine::with(
        Exchange::builder()
            .refuse("bob@example.com", "550 5.1.10 no")
            .start(),
    );
    let log = machine.path("mail.log");
    machine.configure(&format!("log = {}", log.display()));
    machine.sendmail(&["ann@example.com", "cid@example.com"], NOTE);
    machine.run(&["bob@example.com"], NOTE);
    machine.run(&["-t"], NOTE);
    machine.run(
        &["send", "--to", "ann@example.com", "--subject", "x"],
        "hello",
    );
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let time = |line: &str| line.split_once(' ').unwrap().0.len();
    assert!(
        lines
            .iter()
            .all(|line| time(line) == "2026-11-24T12:00:00Z".len()),
        "{text}"
    );
    assert!(
        lines[0].contains(" from=robot@contoso.com to=ann@example.com,cid@example.com size=1"),
        "{text}"
    );
    assert!(
        lines[0].contains(" message_id=<")
            && lines[0].contains(" exit=0 stage=- code=250 text=\"250 2.0.0 OK "),
        "{text}"
    );
    assert!(
        lines[1].ends_with(
            " exit=67 stage=recipient code=550 text=\"recipient <bob@example.com>: 550 5.1.10 no\""
        ),
        "{text}"
    );
    assert!(lines[2].contains(" to=- size=- message_id=- exit=65 stage=- code=- text=\"no recipient in To, Cc or Bcc\""), "{text}");
    assert!(
        lines[3].contains(" to=ann@example.com size=- message_id=<"),
        "{text}"
    );
    assert_eq!(lines.len(), 4);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // The same line goes to stderr at info, and a log that cannot be written stops no mail.
    machine.configure("log = /nonexistent/mail.log");
    let run = finish(
        machine
            .command("exosend")
            .env("RUST_LOG", "info")
            .arg("ann@example.com"),
        NOTE,
    );
    assert_eq!(run.code, 0);
    assert!(
        run.stderr
            .contains("exosend: from=robot@contoso.com to=ann@example.com "),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr
            .contains("exosend: warning: log: /nonexistent/mail.log: "),
        "{}",
        run.stderr
    );
    assert_eq!(
        machine.run(&["--quiet", "ann@example.com"], NOTE).stderr,
        ""
    );
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
    assert_eq!(run.code, 0);
    assert!(
        run.stderr.contains("C: RCPT TO:<ann@example.com>\n")
            && run.stderr.contains("S: 235 2.7.0")
    );
    let token = machine.run(&["token"], "").stdout;
    // A few letters of it are enough: at trace, ureq_proto dumps what it reads sixteen bytes a line.
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
fn what_arrives_can_be_parsed() {
    let machine = Machine::new();
    let arrived = machine.sendmail(
        &["-t", "-F", "J\u{f6}rg"],
        "To: Ann <ann@example.com>\nSubject: x\n\nhello\n",
    );
    let message = MessageParser::default().parse(&arrived.data).unwrap();
    let from = message.from().unwrap().first().unwrap();
    assert_eq!(
        (from.name(), from.address()),
        (Some("J\u{f6}rg"), Some("robot@contoso.com"))
    );
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let date = Duration::from_secs(message.date().unwrap().to_timestamp().try_into().unwrap());
    assert!(now.abs_diff(date) < Duration::from_secs(60));
}

#[test]
fn a_configuration_that_is_wrong_kills_no_writer() {
    let machine = Machine::new();
    machine.configure("tiemout = 3");
    let mut child = crate::machine::start(machine.command("exosend").arg("ann@example.com"));
    // More than a pipe holds: whoever does not read it to its end breaks the pipe.
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, &vec![b'x'; 1024 * 1024]).unwrap();
    drop(stdin);
    let run = crate::machine::end(child);
    assert_eq!(run.code, 78);
}

#[test]
fn where_nobody_reads_stderr_the_exit_code_is_still_told() {
    let machine = Machine::new();
    let mut command = machine.command("exosend");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = command
        .arg("root")
        .stdin(std::process::Stdio::null())
        .stderr(full)
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(66), "an empty message");
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let status = machine.command("exosend").arg("-Z").stderr(full).status();
    assert_eq!(status.unwrap().code(), Some(64));
}

#[test]
fn a_writer_is_heard_out_whatever_is_wrong() {
    let machine = Machine::new();
    let long = "x\n".repeat(300_000);
    for (arguments, code) in [
        (&["-Z"][..], 64),
        (&["send", "--config", "/nonexistent", "--to", "x"], 78),
        (&["send", "--to", "root"], 67),
        (
            &["send", "--to", "ann@example.com", "--html", "/nonexistent"],
            66,
        ),
    ] {
        let mut child = crate::machine::start(machine.command("exosend").args(arguments));
        let mut stdin = child.stdin.take().unwrap();
        let written = std::io::Write::write_all(&mut stdin, long.as_bytes());
        drop(stdin);
        let run = crate::machine::end(child);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(written.is_ok(), "{arguments:?}: {written:?}");
    }
    machine.nobody_called();
}

#[test]
fn a_disk_that_takes_no_long_message_is_a_passing_trouble() {
    let machine = Machine::new();
    let message = format!("To: ann@example.com\n\n{}", "x\n".repeat(600_000));
    let mut command = machine.command("exosend");
    let run = finish(command.arg("-t").env("TMPDIR", "/nonexistent"), message);
    assert_eq!(run.code, 75, "{}", run.stderr);
    assert!(
        run.stderr.starts_with("exosend: /nonexistent: "),
        "{}",
        run.stderr
    );
}

#[test]
fn a_filter_of_somebody_else_silences_nothing() {
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
