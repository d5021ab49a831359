//! Called as sendmail: every flag, and what arrives.

use std::io::Write;
use std::process::Command;

use super::rewriting::{on_host, user};
use crate::exchange::Exchange;
use crate::machine::{Machine, end, finish, start};

const NOTE: &str = "To: Ann <ann@example.com>\nSubject: hello\n\nhello\n.\n..\nbye";

#[test]
fn a_message_arrives_with_a_completed_header() {
    let machine = Machine::new();
    let arrived = machine.sendmail("bob@example.com", NOTE);
    assert_eq!(arrived.from, "robot@contoso.com");
    assert_eq!(arrived.to, ["bob@example.com"]);
    let size = format!("SIZE={}", arrived.length);
    assert_eq!(arrived.parameters, [size.as_str(), "BODY=8BITMIME"]);
    let (head, body) = arrived
        .text()
        .split_once("\r\n\r\n")
        .map(|(h, b)| (h.to_owned(), b.to_owned()))
        .unwrap();
    let fields: Vec<_> = head.split("\r\n").collect();
    assert_eq!(
        fields[..3],
        [
            "To: Ann <ann@example.com>",
            "Subject: hello",
            &format!("From: {} <robot@contoso.com>", on_host(&user()))
        ]
    );
    assert!(fields[3].starts_with("Date: ") && fields[3].ends_with(" +0000"));
    assert!(fields[4].starts_with("Message-ID: <") && fields[4].ends_with("@contoso.com>"));
    assert_eq!(fields.len(), 5);
    assert_eq!(body, "hello\r\n.\r\n..\r\nbye\r\n");
}

#[test]
fn a_complete_header_stays_as_it_is() {
    let machine = Machine::new();
    let message = b"Return-Path: <x@example.org>\r\nReceived: from a\r\n\tby b\r\nFrom: robot@contoso.com\r\n\
                   Date: Tue, 24 Nov 2026 12:00:00 +0100\r\nMessage-ID: <1@x>\r\nSubject: =?utf-8?q?=C3=A9?=\r\nContent-Type: text/plain\r\n\r\n\xff\r\n";
    let arrived = machine.sendmail("bob@example.com", message);
    assert_eq!(arrived.data, message);
}

#[test]
fn recipients_from_the_message() {
    let machine = Machine::new();
    let message = "From: robot@contoso.com\nTo: \"Other, Ann\" <ann@example.com>,\n  bob@example.com (Bob)\n\
                   Cc: Friends: cid@example.com, dan@example.com;\nBcc: eve@example.com\nSubject: x\n\nhello\n";
    let arrived = machine.sendmail("-t -i fay@example.com ann@example.com", message);
    let expected =
        ["fay", "ann", "bob", "cid", "dan", "eve"].map(|name| format!("{name}@example.com"));
    assert_eq!(arrived.to, expected);
    assert!(!arrived.text().contains("eve") && arrived.text().contains("\"Other, Ann\""));
}

#[test]
fn a_blind_copy_stays_blind_without_t_too() {
    let machine = Machine::new();
    let arrived = machine.sendmail(
        "ann@example.com",
        "Bcc: eve@example.com\nbcc: eve@example.com\n\nx\n",
    );
    assert!(!arrived.text().contains("eve"));
    assert_eq!(arrived.to, ["ann@example.com"]);
}

/// Each from the manual or the source of a program.
#[test]
fn flags_that_callers_use() {
    let machine = Machine::new();
    for flags in [
        "-t",
        "-ti",
        "-t -i",
        "-i -t",
        "-oi -t",
        "-t -oi -oem",
        "-oem -oi -t --",
        "-bm -t",
        "-v -t",
        // Debian's cron, cronie
        "-FCronDaemon -i -B8BITMIME -oem root@example.com",
        "-FCronDaemon -i -odi -oem -oi -t -f root",
        // mutt, with its DSN options
        "-oem -oi -f ann@example.org -N delay,failure -R full -t --",
        "-oem -oi -t -B8BITMIME",
        // Postfix, sendmail
        "-Am -t",
        "-Ac -t",
        "-B 8BITMIME -t",
        "-C /etc/postfix -t",
        "-t -D /dev/null",
        "-d0.1 -t",
        "-t -d",
        "-em -t",
        "-F Robot -t",
        "-f ann@example.org -t",
        "-fann@example.org -t",
        "-r ann@example.org -t",
        "-f <> -t",
        "-G -t",
        "-h 3 -t",
        "-i -n -m -s -x -c -U -T -t",
        "-L exosend -t",
        "-N never -t",
        "-n -t",
        "-oA/etc/aliases -t",
        "-o7 -o8 -om -t",
        "-O DeliveryMode=b -t",
        "-p smtp:host -t",
        "-QReason -t",
        "-R hdrs -t",
        "-V abc123 -t",
        "-X /dev/null -t",
        // sSMTP, busybox, msmtp
        "-4 -6 -E -t",
        "-t -auUSER -apPASS -amLOGIN",
        "-S mail.example.org -t",
        "-a default --read-recipients",
        "--read-envelope-from --from ann@example.org -t",
        "-t --quiet",
    ] {
        let run = machine.call(&format!("sendmail {flags}"), NOTE);
        assert_eq!(run.code, 0, "{flags}: {}", run.stderr);
        run.out("");
        let arrived = machine.last();
        assert!(
            arrived
                .text()
                .ends_with("\r\n\r\nhello\r\n.\r\n..\r\nbye\r\n"),
            "{flags:?}"
        );
        assert_eq!(
            run.stderr.contains("C: RCPT TO:<"),
            flags.contains("-v"),
            "{flags}"
        );
        machine.exchange.settle();
    }
    assert_eq!(
        machine.exchange.token_requests().len(),
        1,
        "the token is kept"
    );
}

#[test]
fn f_and_capital_f_make_the_from_of_a_message_that_has_none() {
    let machine = Machine::with(Exchange::builder().send_as("ops@contoso.com").start());
    machine.configure("send_as = ops@contoso.com");
    let of = |user: &str| format!("{} <robot@contoso.com>", on_host(user));
    for (flags, expected, reply_to) in [
        (
            &["-F", "J\u{f6}rg \"x\""][..],
            "=?utf-8?b?SsO2cmcgIngi?= <robot@contoso.com>",
            None,
        ),
        (
            &["-F", "Night, Job"],
            "\"Night, Job\" <robot@contoso.com>",
            None,
        ),
        (&["-f", "ops@contoso.com"], "ops@contoso.com", None),
        (
            &["-r", "ops@contoso.com", "-F", "Ops"],
            "Ops <ops@contoso.com>",
            None,
        ),
        (
            &["-f", "ann@example.org", "-F", "Ann"],
            "Ann <robot@contoso.com>",
            Some("Ann <ann@example.org>"),
        ),
        (
            &["-f", "Ann <ann@example.org>"],
            &of("ann"),
            Some("ann@example.org"),
        ),
        (&["-f", "root"], &of("root"), None),
        (&["-f", "<>"], &of(&user()), None),
        (&["-f", ""], &of(&user()), None),
    ] {
        let arrived =
            machine.sendmail(&[flags, &["ann@example.com"]].concat(), "Subject: x\n\nx\n");
        assert_eq!(
            arrived.header("From").as_deref(),
            Some(expected),
            "{flags:?}"
        );
        assert_eq!(arrived.header("Reply-To").as_deref(), reply_to, "{flags:?}");
        assert_eq!(arrived.from, "robot@contoso.com");
    }
    // A From that is there is not replaced, and one line at debug says so.
    let run = machine.run(
        "-v -f ann@example.org bob@example.com",
        "From: robot@contoso.com\n\nx\n",
    );
    assert_eq!(
        machine.last().header("From").as_deref(),
        Some("robot@contoso.com")
    );
    assert_eq!(
        run.stderr.matches("-f ann@example.org: ignored").count(),
        1,
        "{}",
        run.stderr
    );
}

#[test]
fn there_is_no_daemon_and_an_empty_queue() {
    let machine = Machine::new();
    for name in ["mailq", "newaliases"] {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_exosend"), machine.path(name)).unwrap();
    }
    for row in [
        "exosend -bp => 0 Mail queue is empty\n",
        "mailq => 0 Mail queue is empty\n",
        "newaliases => 0 ",
        "sendmail -bi => 0 ",
        "sendmail -I => 0 ",
        "sendmail -q => 0 ",
        "sendmail -q30m => 0 ",
        "sendmail -qRexample.com => 0 ",
        "sendmail -bd => 64 ",
        "sendmail -bd -q1h => 64 ",
        "sendmail -bv ann@example.com => 64 ",
        "sendmail -bx => 64 ",
        // A message that came with them would be lost.
        "sendmail -bp ann@example.com => 64 ",
        "sendmail -t -q => 64 ",
        "mailq ann@example.com => 64 ",
        "sendmail -bs ann@example.com => 64 ",
    ] {
        let (line, end) = row.split_once(" => ").unwrap();
        let run = machine.call(line, "");
        let ended = format!("{} {}", run.code, run.stdout);
        assert_eq!(ended, end, "{row}: {}", run.stderr);
    }
    machine.nobody_called();
}

#[test]
fn under_the_name_sendmail_there_are_no_subcommands() {
    let machine = Machine::new();
    machine.configure("local_recipient = ops@example.com");
    assert_eq!(
        machine.sendmail("send", "x: y\n\nz\n").to,
        ["ops@example.com"]
    );
    assert_eq!(machine.run("-- token", "x: y\n\nz\n").code, 0);
    assert_eq!(machine.last().to, ["ops@example.com"]);
}

#[test]
fn nothing_connects_before_the_message_has_been_read() {
    let machine = Machine::new();
    let mut child = start(machine.command("exosend").arg("-t"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"To: ann@example.com\n\nfirst\n").unwrap();
    // Another message is sent meanwhile, and for it the first token is fetched.
    machine.sendmail("bob@example.com", NOTE);
    let exchange = machine.exchange.settle();
    let tokens = exchange.token_requests().len();
    assert_eq!((exchange.said("S: 220 AM0"), tokens), (1, 1));
    stdin.write_all(b"second\n").unwrap();
    drop(stdin);
    let run = end(child);
    run.exits(0);
    assert!(machine.last().text().ends_with("first\r\nsecond\r\n"));
}

#[test]
fn a_long_message_goes_through_a_deleted_temporary_file() {
    const LINES: usize = 600_000;
    let machine = Machine::with(Exchange::builder().discard_bodies().start());
    let temporary = machine.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let line = "x".repeat(76);
    let body = format!("{line}\n").repeat(LINES);
    // 46 MB through a program with an address space of 30 MiB, its code and the threads' stacks included.
    let mut command = Command::new("sh");
    let limited = "ulimit -v 30720 && exec \"$0\" ann@example.com";
    command
        .args(["-c", limited, env!("CARGO_BIN_EXE_exosend")])
        .env_clear()
        .env("HOME", machine.path("home"))
        .env("XDG_CACHE_HOME", machine.path("home/.cache"))
        .env("TMPDIR", &temporary);
    let run = finish(
        &mut command,
        format!("From: robot@contoso.com\nDate: x\nMessage-ID: <x@y>\n\n{body}"),
    );
    run.exits(0);
    let arrived = machine.last();
    assert_eq!(arrived.parameters[0], format!("SIZE={}", arrived.length));
    assert_eq!(arrived.length, 78 * LINES as u64 + 55);
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
}

/// A name that could not be looked up is no name that does not exist.
#[test]
fn running_out_of_descriptors_is_a_transient_failure() {
    let machine = Machine::new();
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            "ulimit -n 4 && exec \"$0\" ann@example.com",
            env!("CARGO_BIN_EXE_exosend"),
        ])
        .env_clear()
        .env("HOME", machine.path("home"));
    let run = finish(&mut command, "Subject: x\n\nx\n");
    run.exits(75);
    run.err_has("too many open files");
}

#[test]
fn a_message_beyond_the_servers_size_is_not_sent() {
    let machine = Machine::with(Exchange::builder().extension("SIZE 2000000").start());
    let run = machine.run(
        "ann@example.com",
        format!("Subject: x\n\n{}", "x\n".repeat(1_000_000)),
    );
    run.exits(65);
    run.err_begins("exosend: message size: 3000");
    assert!(machine.exchange.settle().delivered().is_empty());
}

#[test]
fn corrections_of_the_header() {
    let machine = Machine::new();
    for row in [
        "From root Tue Nov 24 12:00:00 2026\nSubject: x\n\nhello\n => Subject: x\r\n|hello\r\n",
        "Subject: x\nhello\n => Subject: x\r\n|hello\r\n",
        "Subject : x\n   \nhello\n => Subject: x\r\n|hello\r\n",
        "hello\nthere => |hello\r\nthere\r\n",
        "\nhello => |hello\r\n",
        // Nothing is corrected but what the manual names.
        "Subject: x\nSubject: y\n\nhello\n => Subject: x\r\nSubject: y\r\n|hello\r\n",
        "Subject: x\r\rhello\r => Subject: x\r\n|hello\r\n",
    ] {
        let (input, expected) = row.split_once(" => ").unwrap();
        let text = machine.sendmail("ann@example.com", input).text();
        let made = |line: &&str| {
            !["From:", "Date:", "Message-ID:"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let head: Vec<_> = head
            .split("\r\n")
            .filter(made)
            .map(|line| format!("{line}\r\n"))
            .collect();
        assert_eq!(format!("{}|{body}", head.concat()), expected, "{input:?}");
    }
}

#[test]
fn a_wrong_f_or_capital_f_stops_no_message() {
    let machine = Machine::new();
    let nameless = format!("{} <robot@contoso.com>", on_host(&user()));
    for (words, from, warning) in [
        ("-f '\"x@y'", &*nameless, "-f \"x@y: no address, left out"),
        (
            "-f 'a@b\nBcc: x'",
            &*nameless,
            "-f a@b?Bcc: x: no address, left out",
        ),
        ("-F 'ann\u{200b}\u{202e}'", "ann <robot@contoso.com>", ""),
    ] {
        let run = machine.call(
            &format!("sendmail {words} ann@example.com"),
            "Subject: x\n\nx\n",
        );
        let expected = match warning {
            "" => String::new(),
            warning => format!("exosend: warning: {warning}\n"),
        };
        assert_eq!((run.code, run.stderr), (0, expected), "{words}");
        let arrived = machine.last();
        assert_eq!(arrived.header("From").as_deref(), Some(from), "{words}");
        assert!(arrived.header("Date").is_some() && arrived.header("Message-ID").is_some());
    }
    let latin = std::os::unix::ffi::OsStrExt::from_bytes(b"-FJ\xf6rg");
    let latin: &std::ffi::OsStr = latin;
    let mut command = machine.command("sendmail");
    let run = finish(
        command.arg(latin).arg("ann@example.com"),
        "Subject: x\n\nx\n",
    );
    run.exits(0);
    let warning = "exosend: warning: -F: not UTF-8; what is not is sent as U+FFFD\n";
    assert_eq!(run.stderr, warning);
    let latin: &std::ffi::OsStr =
        std::os::unix::ffi::OsStrExt::from_bytes(b"-fj\xf6rg@example.org");
    let mut command = machine.command("sendmail");
    let run = finish(
        command.arg(latin).arg("ann@example.com"),
        "Subject: x\n\nx\n",
    );
    assert!(
        run.code == 0 && run.stderr.contains("no address, left out"),
        "{}",
        run.stderr
    );
    assert_eq!(machine.last().header("Reply-To"), None);
}

#[test]
fn several_recipients_in_one_argument() {
    let machine = Machine::new();
    for argument in [
        "ann@example.com bob@example.com",
        "ann@example.com, bob@example.com",
    ] {
        let to = machine.sendmail(&[argument], NOTE).to;
        assert_eq!(to, ["ann@example.com", "bob@example.com"], "{argument}");
    }
}

#[test]
fn an_empty_stdin_with_recipients_is_an_empty_message() {
    let machine = Machine::new();
    let run = machine.run("ann@example.com", "");
    let warning = "exosend: warning: stdin: empty, so the message is\n";
    run.exits(0).err(warning);
    let arrived = machine.last();
    assert!(arrived.header("From").is_some() && arrived.text().ends_with("\r\n\r\n"));
}

#[test]
fn modes_that_send_nothing_do_not_read_stdin() {
    let machine = Machine::new();
    for words in ["-bv root", "-bd", "--nonsense", "", "-bp", "-q"] {
        let mut child = start(
            machine
                .command("sendmail")
                .args(crate::machine::words(words)),
        );
        let stdin = child.stdin.take();
        let run = end(child);
        assert!([0, 64].contains(&run.code), "{words}: {}", run.stderr);
        drop(stdin);
    }
}

/// If SIGXFSZ killed the program after the delivery, the caller would send again.
#[test]
fn a_limit_on_files_costs_a_line_of_the_log_and_no_message() {
    let machine = Machine::new();
    let log = machine.write("mail.log", &"x".repeat(1000));
    machine.configure(&format!("log = {}", log.display()));
    let limited = |input: String| {
        let mut command = machine.command("sh");
        command.args(["-c", "ulimit -f 2 && exec \"$0\" ann@example.com"]);
        finish(command.arg(env!("CARGO_BIN_EXE_exosend")), input)
    };
    let run = limited(NOTE.into());
    run.exits(0);
    let warning = "longer than this process may make a file";
    run.err_has(warning);
    machine.last();
    let run = limited(format!("{NOTE}{}", "x\n".repeat(600_000)));
    run.exits(75);
}

#[test]
fn a_process_leaves_no_core() {
    let machine = Machine::new();
    let child = start(machine.command("exosend").arg("-t"));
    let limits = format!("/proc/{}/limits", child.id());
    // The shell's limit, which the program lowers.
    let none = || {
        std::fs::read_to_string(&limits)
            .unwrap()
            .lines()
            .any(|line| {
                let mut words = line.split_whitespace().skip(4);
                line.starts_with("Max core file size") && words.next() == Some("0")
            })
    };
    while !none() {
        std::thread::yield_now();
    }
    assert_eq!(end(child).code, 66);
}

#[test]
fn at_a_terminal_it_says_what_it_reads() {
    let machine = Machine::new();
    let at_a_terminal = |arguments: &str, typed: &str| {
        // Without an echo between the lines of output.
        let line = format!("stty -echo; {} {arguments}", env!("CARGO_BIN_EXE_exosend"));
        let script = r#"PATH=/usr/bin:/bin exec script -qec "$0" /dev/null"#;
        finish(machine.command("sh").args(["-c", script, &line]), typed)
    };
    let run = at_a_terminal("-t", "To: ann@example.com\n\nhello\n\x04");
    let said = "exosend: reading the message from the terminal, end with Ctrl-D\r\n";
    assert!(run.code == 0 && run.stdout.contains(said), "{run:?}");
    assert!(machine.last().text().ends_with("\r\nhello\r\n"));
    let run = at_a_terminal("docter", "");
    let said = "exosend: no subcommand `docter`, did you mean `doctor`?\r\n";
    assert!(run.code == 64 && run.stdout.contains(said), "{run:?}");
}
