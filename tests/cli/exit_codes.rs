//! Exit codes, and the lines of an error.

use std::io::Write;
use std::process::Stdio;

use crate::exchange::{Answer, Certificate, Exchange, Fault, Step};
use crate::machine::{Machine, end, finish, start, words};

const NOTE: &str = "Subject: x\n\nhello\n";

/// The exit code and the first line of stderr of a send that fails. After that line there may be a hint, and a line that
/// names the doctor.
fn outcome(exchange: Exchange, more: &str) -> String {
    let machine = Machine::with(exchange);
    machine.configure(more);
    let run = machine.run("ann@example.com", NOTE);
    let doctor = run.stderr.ends_with("exosend: more: exosend doctor\n");
    assert_eq!(
        doctor,
        matches!(run.code, 68 | 69 | 75..=78),
        "{}",
        run.stderr
    );
    let more =
        |line: &&str| line.starts_with("exosend: hint: ") || line.starts_with("exosend: more: ");
    let mut lines = run.stderr.lines().filter(|line| !more(line));
    let error = lines
        .next()
        .map_or("", |line| line.trim_start_matches("exosend: "));
    assert_eq!(lines.next(), None);
    format!("{} {error}", run.code)
}

#[test]
fn every_exit_code() {
    // Started first, because it waits.
    let deaf = std::thread::spawn(|| {
        let deaf = Exchange::builder().on(Step::Ehlo, Fault::silent());
        outcome(deaf.start(), "timeout = 3")
    });
    let says = |row: &str| Exchange::builder().says(row);
    let raw = |step, text: &str| Exchange::builder().on(step, Fault::raw(text));
    let refuses = |reply: &str| Exchange::builder().refuse("ann@example.com", reply);
    let secret = Answer::aadsts(401, "invalid_client", 7_000_215, "Invalid client secret");
    let mistaken = Exchange::builder().smtp_certificate(Certificate::WrongName);
    let (recipient, unsuccessful) = ("recipient <ann@example.com>", "Authentication unsuccessful");
    for (exchange, expected) in [
        (Exchange::builder(), "0 "),
        (says("Accept hangs up"), "74 accept: "),
        (says("Accept 451 4.7.0 x"), "75 accept: 451 4.7.0 x"),
        (says("Greeting hangs up"), "75 greeting: "),
        (
            refuses("451 4.2.1 busy"),
            &format!("75 {recipient}: 451 4.2.1 busy"),
        ),
        (
            refuses("550 5.1.10 no"),
            &format!("67 {recipient}: 550 5.1.10 no"),
        ),
        (says("Mail 550 5.7.60 x"), "69 sender: 550 5.7.60 x"),
        (says("Accept 554 5.2.0 x"), "69 accept: 554 5.2.0 x"),
        (says("Ehlo 250 hello"), "76 starttls: "),
        (raw(Step::Greeting, "SSH-2.0\r\n"), "76 greeting: "),
        (Exchange::builder().auth("LOGIN"), "76 auth: "),
        // Not 67: no address is wrong.
        (raw(Step::Rcpt, "what?\r\n"), "76 recipient <"),
        (mistaken, "76 "),
        (
            says(&format!("AuthBlob 535 5.7.3 {unsuccessful}")),
            "77 auth robot@contoso.com: 535 5.7.3",
        ),
        (
            Exchange::builder().token(secret),
            "77 token contoso.onmicrosoft.com: invalid_client: AADSTS7000215",
        ),
    ] {
        let got = outcome(exchange.start(), "");
        assert!(got.starts_with(expected), "{expected}: {got}");
    }
    let lost = || says("Accept hangs up").start();
    assert!(outcome(lost(), "in_doubt = retry").starts_with("75 accept: "));
    assert!(outcome(lost(), "in_doubt = fail").starts_with("74 accept: "));
    assert!(deaf.join().unwrap().starts_with("75 ehlo: "));
}

#[test]
fn empty_and_invalid_input_have_codes_of_their_own() {
    let machine = Machine::new();
    machine.ends(
        NOTE,
        &[
            "--bogus => 64 invalid option '--bogus'",
            "-Z ann@example.com => 64 invalid option '-Z'",
            "send --set timeout => 64 --set takes key=value",
            "send --config => 64 missing argument for option '--config'",
            " => 64 no recipient: name one, or -t to read them from the message",
            "send --to a@b.c --set timeout=soon => 78 --set timeout: takes seconds, more than 0",
            "send --to a@b.c --set log=sylog => 78 --set log: takes syslog, none, or a file with its whole path",
            "send --to a@b.c --set log=./x => 78 --set log: takes syslog, none, or a file with its whole path",
            "send --to a@b.c --set token_cache=tokens => \
             78 --set token_cache: takes none, or a file with its whole path",
            "send --to a@b.c --set aliases=aliases => 78 --set aliases: takes a file with its whole path",
            "send --to a@b.c --set send_us=x => 78 --set send_us: unknown key, did you mean `send_as`?",
        ],
    );
    machine.ends(
        "",
        &[
            "-t => 66 stdin: empty, no message",
            "docter => 64 no subcommand `docter`, did you mean `doctor`?",
            "send --to a@b.c --set client_secret=x => 64 --set client_secret: others can read arguments",
            "token --set access_token=x => 64 --set access_token: others can read arguments",
        ],
    );
    // A folder can be opened, but not read.
    let folder = std::fs::File::open("/").unwrap();
    let mut command = machine.command("exosend");
    let output = command.arg("ann@example.com").stdin(folder).output();
    assert_eq!(output.unwrap().status.code(), Some(66));
}

#[test]
fn a_header_without_end_is_no_message() {
    let endless = format!("Subject: {}", "x".repeat(2 * 1024 * 1024));
    let row = "ann@example.com => 65 the header is longer than 1 MiB\n";
    Machine::new().ends(&endless, &[row]);
}

#[test]
fn a_host_that_does_not_exist() {
    let machine = Machine::new();
    let server = "server=no-such-host.invalid";
    let run = machine.run(&["send", "--to", "ann@example.com", "--set", server], NOTE);
    // Without a name server, nobody knows whether it exists: 75.
    let expected = match run.stderr.contains("Temporary failure") {
        true => 75,
        false => 68,
    };
    run.exits(expected);
    let error = "exosend: resolve no-such-host.invalid: ";
    run.err_begins(error);
}

/// A stdout or stderr that cannot be written.
fn full() -> std::fs::File {
    let full = std::fs::File::options().write(true).open("/dev/full");
    full.unwrap()
}

#[test]
fn the_exit_code_is_right_with_stderr_closed() {
    let machine = Machine::new();
    for (argument, code) in [("-t", 66), ("-Z", 64)] {
        let mut command = machine.command("exosend");
        command.arg(argument).stdin(Stdio::null()).stderr(full());
        assert_eq!(command.status().unwrap().code(), Some(code), "{argument}");
    }
    // Also if a warning comes before it.
    for filter in ["a/b/c", "exosend=loud", "a=b=c"] {
        let mut command = machine.command("exosend");
        command.env("RUST_LOG", filter).arg("-t").stderr(full());
        let status = command.stdin(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(66), "{filter}");
    }
}

#[test]
fn a_sent_message_exits_with_0_with_stdout_closed() {
    let machine = Machine::new();
    for json in [&[][..], &["--json"]] {
        let mut command = machine.command("exosend");
        command.args(["send", "--to", "ann@example.com", "--text", "x"]);
        let output = command.args(json).stdout(full()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        assert!(stderr.starts_with("exosend: warning: stdout: No space left"));
    }
    assert_eq!(machine.exchange.settle().delivered().len(), 2);
    let mut command = machine.command("exosend");
    let output = command.arg("token").stdout(full()).output();
    assert_eq!(output.unwrap().status.code(), Some(75));
}

/// A message longer than a pipe holds: if it were not read, the writer would die of SIGPIPE and not see the exit code.
#[test]
fn stdin_is_read_to_its_end_after_an_error() {
    let machine = Machine::new();
    machine.configure("tiemout = 3");
    for (arguments, code) in [
        ("-Z ann@example.com", 64),
        ("ann@example.com", 78),
        ("send --to root --config /dev/null", 78),
        ("send --to ann@example.com --config /nonexistent", 78),
    ] {
        let mut child = start(machine.command("exosend").args(words(arguments)));
        let mut stdin = child.stdin.take().unwrap();
        let written = stdin.write_all(&[b'x'; 1024 * 1024]);
        drop(stdin);
        let run = end(child);
        assert_eq!(run.code, code, "{arguments}: {}", run.stderr);
        assert!(written.is_ok(), "{arguments}: {written:?}");
    }
    machine.nobody_called();
}

#[test]
fn a_full_temporary_disk_is_a_transient_failure() {
    let machine = Machine::new();
    let message = format!("To: ann@example.com\n\n{}", "x\n".repeat(600_000));
    let mut command = machine.command("exosend");
    let run = finish(command.arg("-t").env("TMPDIR", "/nonexistent"), message);
    run.exits(75);
    let error = "exosend: /nonexistent: ";
    run.err_begins(error);
}

/// Because without a queue nobody else tries again.
#[test]
fn what_exchange_wants_waited_for_is_waited_for_once() {
    let busy = "Accept 432 4.3.2 Concurrent connections limit exceeded.";
    let fast =
        "Mail 421 4.4.2 Message submission rate for this client has exceeded the configured limit";
    let long = format!("{NOTE}{}", "x\n".repeat(600_000));
    let waits = |(reply, message): (&str, &str)| {
        let busy = Exchange::start();
        busy.says_nth(1, reply);
        let machine = Machine::with(busy);
        machine.configure("timeout = 6");
        let text = machine.sendmail("ann@example.com", message).text();
        let length = text.split_once("\r\n\r\n").unwrap().1.len();
        let head = "Subject: x\r\n\r\n".len();
        assert_eq!(length, message.replace('\n', "\r\n").len() - head);
        assert!(text.ends_with('\n'));
    };
    // All at the same time, because each waits.
    std::thread::scope(|scope| {
        for case in [(busy, NOTE), (busy, &long), (fast, NOTE)] {
            scope.spawn(move || waits(case));
        }
        let always = Exchange::builder().says(&busy.replace("Accept", "Mail"));
        assert!(outcome(always.start(), "timeout = 2").starts_with("75 sender: 432 "));
    });
}
