//! `exosend explain`.

use serde_json::Value;

use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::Machine;

#[test]
fn a_line_of_a_log_is_explained() {
    let machine = Machine::new();
    let line = "msmtp: server message: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let from_argument = machine.run(&["explain", line], "");
    from_argument.exits(0).err("");
    from_argument.out_has("Set-CASMailbox");
    assert_eq!(machine.run("explain", line).stdout, from_argument.stdout);
    let words: Vec<_> = std::iter::once("explain").chain(line.split(' ')).collect();
    assert_eq!(machine.run(&words, "").stdout, from_argument.stdout);
    let json: Value =
        serde_json::from_str(&machine.run(&["explain", "--json", line], "").stdout).unwrap();
    assert_eq!(json["explanations"][0]["recognised"], "535 5.7.139");
    machine.nobody_called();
}

#[test]
fn an_unknown_line_says_so() {
    let machine = Machine::new();
    let run = machine.run("explain 'queue file write error'", "");
    run.exits(65).out("");
    run.err_has("nothing is known of this line");
    run.err_has("https://learn.microsoft.com/");
    let run = machine.run("explain 'AADSTS1234567: news'", "");
    run.err_has("https://login.microsoftonline.com/error?code=1234567");
    assert_eq!(machine.run("explain", "\n").code, 64);
}

/// Every error that the command writes, and its exit code alone as cron and systemd show it.
#[test]
fn every_line_of_our_own() {
    let says = |row: &str| Machine::with(Exchange::builder().says(row).start());
    let ssh = Exchange::builder().on(Step::Greeting, Fault::raw("SSH-2.0\r\n"));
    let ssh = Machine::with(ssh.start());
    let answers = |answer| Machine::with(Exchange::builder().token(answer).start());
    let note = "Subject: x\n\nhello\n";
    let well = Machine::new;
    let (to, send) = ("ann@example.com", "send --to a@b.c");
    let mut codes = Vec::new();
    for (machine, arguments, input) in [
        (well(), "send --nonsense", note),
        (well(), "send --to", note),
        (well(), "-t --json", note),
        (well(), "-t -bp", note),
        (well(), "-t", ""),
        (well(), "docter", ""),
        (well(), &format!("{send} --set client_secret=x"), note),
        (well(), "send --to root --set aliases=/", note),
        (well(), "send --subject x", note),
        (well(), "send --to 'not an address'", note),
        (well(), &format!("{send} --header 'Bcc: x'"), note),
        (well(), &format!("{send} --attach /nonexistent"), note),
        (well(), &format!("{send} --config /nonexistent"), note),
        (well(), &format!("{send} --set timeout=soon"), note),
        (well(), &format!("{send} --set mailbox="), note),
        (
            well(),
            &format!("{send} --set server=no-such-host.invalid"),
            note,
        ),
        (well(), &format!("{send} --set server=127.0.0.1:1"), note),
        (well(), "root", note),
        (answers(Answer::html()), to, note),
        (answers(Answer::status(503)), to, note),
        (answers(Answer::disconnect()), to, note),
        (
            answers(Answer::aadsts(400, "invalid_request", 90_002, "No.")),
            to,
            note,
        ),
        (ssh, to, note),
        (says("Greeting hangs up"), to, note),
        (says("Ehlo 250 hello"), to, note),
        (
            says("AuthBlob 535 5.7.3 Authentication unsuccessful"),
            to,
            note,
        ),
        (says("AuthBlob 535 5.7.8 words of another server"), to, note),
        (says("Mail 550 5.7.1 words of another server"), to, note),
        (says("Rcpt 550 5.7.1 words of another server"), to, note),
        (says("Data 451 4.3.0 words of another server"), to, note),
        (says("Accept 554 5.6.0 words of another server"), to, note),
        (says("Accept hangs up"), to, note),
    ] {
        let run = machine.run(arguments, input);
        assert_ne!(run.code, 0, "{arguments} {run:?}");
        let line = run
            .stderr
            .lines()
            .find(|line| !line.starts_with("exosend: hint"));
        let line = line.unwrap_or_else(|| panic!("{arguments} {run:?}"));
        let told = machine.run(&["explain", line], "");
        assert_eq!(told.code, 0, "{arguments}: {line}\n{}", told.stderr);
        codes.push(run.code);
    }
    // Those of the queue, and those that need root.
    for (line, words) in [
        (
            "exosend: not queued: /var/spool/exosend/drop: Permission denied (os error 13)",
            "not queued",
        ),
        (
            "exosend: the queue is exosend's: sudo exosend queue",
            "the queue is exosend's",
        ),
        (
            "exosend: warning: queued, but nobody has sent from /x for a day: exosend doctor",
            "nobody has sent from",
        ),
        (
            "exosend: /x: root does not send what others may write here",
            "others may write here",
        ),
        (
            "exosend: --queue: no queue takes this account's mail here",
            "no queue takes",
        ),
        (
            "exosend: warning: the client secret expires on 2027-05-01, in 9 days: make a new one; its Value goes to x",
            "the client secret expire",
        ),
        (
            "exosend: robot@contoso.com: not before 5 s from now: rate",
            "s from now",
        ),
        (
            "exosend: capabilities of its own: refused",
            "capabilities of its own",
        ),
        (
            "event=failed text=\"more recipients than a mailbox may have in a day\"",
            "more recipients than a mailbox",
        ),
        (
            "event=failed text=\"longer than Exchange takes\"",
            "longer than exchange takes",
        ),
        (
            "event=failed text=\"damaged: its check sum is another\"",
            "its check sum is another",
        ),
        (
            "event=failed text=\"not a file that exosend made for the service\"",
            "not a file that exosend made",
        ),
        (
            "event=failed text=\"may have been delivered: each attempt ended without a reply to the final dot\"",
            "without a reply to the final dot",
        ),
        (
            "event=failed text=\"too old (queue_lifetime); last error: body: gone\"",
            "too old (queue_lifetime)",
        ),
    ] {
        let told = well().run(&["explain", line], "");
        assert!(told.stdout.starts_with(words), "{line}: {told:?}");
    }
    codes.sort_unstable();
    codes.dedup();
    // 68 if the machine has a name server, else 75.
    let codes: Vec<_> = codes.into_iter().filter(|code| *code != 68).collect();
    assert_eq!(codes, [64, 65, 66, 67, 69, 74, 75, 76, 77, 78]);
    let machine = Machine::new();
    for code in codes.into_iter().chain([68]) {
        for line in [
            format!("{code}"),
            format!("but got status 0x{code:04x}"),
            format!("failed with exit status {code}"),
        ] {
            let told = machine.run(&["explain", &line], "");
            let expected = format!("exit code {code}: ");
            assert!(told.stdout.starts_with(&expected), "{line} {told:?}");
        }
    }
}
