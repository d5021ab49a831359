//! `exosend doctor`: its text, its JSON, the lines for support, and its exit code.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::Value;

use crate::exchange::{Answer, Exchange};
use crate::machine::{Machine, Run, finish};

const REFUSAL: &str = "535 5.7.3 Authentication unsuccessful for [203.0.113.7] [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM \
                       2026-11-24T09:00:00.000Z 08DE2B0123]";

/// Runs it, and asserts that nothing was delivered, no rule broken, no secret shown, no line longer than 80 columns and
/// none coloured.
fn doctor(machine: &Machine, arguments: &[&str]) -> Run {
    let arguments = [&["doctor"], arguments].concat();
    let run = machine.run(&arguments, "");
    let exchange = &machine.exchange;
    assert_eq!(exchange.settle().delivered().len(), 0);
    assert_eq!(exchange.violations(), [""; 0], "{}", run.stdout);
    for secret in [exchange.client_secret(), "eyJ", "\x1b"] {
        let told = run.stdout.contains(secret) || run.stderr.contains(secret);
        assert!(!told, "{}\n{}", run.stdout, run.stderr);
    }
    if !arguments.contains(&"--json") {
        // Commands and long words such as ids are not wrapped.
        let is_command = |line: &str| line.starts_with("   ") && line.contains(" -");
        for line in run.stdout.lines().filter(|line| !is_command(line)) {
            let long_word = line.split_whitespace().any(|word| word.len() > 45);
            assert!(line.chars().count() <= 80 || long_word, "{line}");
        }
    }
    run
}

fn refused() -> Machine {
    let exchange = Exchange::builder().says(&format!("AuthBlob {REFUSAL}"));
    Machine::with(exchange.start())
}

#[test]
fn a_diagnosis_without_failures_ends_with_all_is_well() {
    let run = doctor(&Machine::new(), &["-v", "--to", "ann@example.com"]);
    run.exits(0);
    let text = run.flat();
    for name in ["configuration", "tcp IPv4", "login", "recipient", "end"] {
        assert!(text.contains(&format!("ok {name} ")), "{text}");
    }
    assert!(
        text.contains("All is well: mail from robot@contoso.com can be sent. Nothing was sent.")
    );
    assert!(text.contains(
        "Not tested, since Exchange judges it with the message: another From, size, quota."
    ));
    assert!(
        !text.contains("FAIL") && !text.contains("support"),
        "{text}"
    );
}

/// A proxy is often a variable that somebody has forgotten.
#[test]
fn a_proxy_is_named_with_its_variable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut asked = BufReader::new(client.try_clone().unwrap()).lines();
        let connect = asked.next().unwrap().unwrap();
        asked.find(|line| line.as_ref().unwrap().is_empty());
        let mut server = TcpStream::connect(connect.split(' ').nth(1).unwrap()).unwrap();
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut server, &mut client)
    });
    let machine = Machine::new();
    let mut command = machine.command("exosend");
    command
        .arg("doctor")
        .env("HTTPS_PROXY", address.to_string());
    let run = finish(&mut command, "");
    let told = format!("fetched afresh by proxy {address} (HTTPS_PROXY), good for ");
    assert!(run.flat().contains(&told), "{run:?}");
}

#[test]
fn a_failure_is_printed_with_numbered_causes() {
    let machine = refused();
    let run = doctor(&machine, &[]);
    run.exits(77).err("");
    let text = run.flat();
    for part in [
        "FAIL login ",
        "skip sender it needs the login",
        "login: Entra issued the token, and Exchange does not let this application into this mailbox.",
        "In Exchange Online PowerShell: Connect-ExchangeOnline Get-ServicePrincipal",
        "1. Exchange does not know the application",
        "2. SMTP AUTH is switched off",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{}", run.stdout);
    }
}

#[test]
fn commands_that_only_look_come_first_and_the_likeliest_cause_last() {
    let machine = refused();
    let run = doctor(&machine, &[]);
    let (look, change) = run.stdout.split_once("\n1. ").unwrap();
    let (_, look) = look.split_once("To look, which changes nothing.").unwrap();
    for command in ["Get-ServicePrincipal", "Get-CASMailbox", "Get-Mailbox"] {
        let apart = look.contains(command) && !change.contains(command);
        assert!(apart, "{command} {}", run.stdout);
    }
    for command in ["Remove-ServicePrincipal", "Set-CASMailbox"] {
        let apart = change.contains(command) && !look.contains(command);
        assert!(apart, "{command} {}", run.stdout);
    }
    // Without -v a check that is ok has one line.
    let claims = |run: &Run| {
        run.stdout
            .contains("\n                              8a1f9c0e")
    };
    assert!(
        !claims(&run) && claims(&doctor(&machine, &["-v"])),
        "{}",
        run.stdout
    );
    let last = run.stdout.lines().last().unwrap();
    let likely = "Most likely (login): Exchange does not know the application, or by the ...";
    assert_eq!(last, likely);
}

#[test]
fn a_cause_of_several_failures_is_printed_once() {
    let old = "Greeting 220 AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2020 09:00:00 +0000";
    let answer = Answer::aadsts(401, "invalid_client", 700_024, "Not within its time.")
        .header("Date", "Tue, 24 Nov 2020 09:00:00 GMT");
    let exchange = Exchange::builder().says(old).token(answer);
    let text = doctor(&Machine::with(exchange.start()), &[]).flat();
    assert!(text.contains("clock, token: With a wrong clock"), "{text}");
    assert_eq!(text.matches(": With a wrong clock").count(), 1, "{text}");
}

#[test]
fn a_new_secret_is_to_be_put_where_the_old_one_is() {
    let expired = Answer::aadsts(401, "invalid_client", 7_000_222, "The keys are expired.");
    let machine = Machine::with(Exchange::builder().token(expired).start());
    let text = doctor(&machine, &[]).flat();
    let place = machine.path("home/.config/exosend.conf:4");
    let place = format!(
        "In the configuration ({}): client_secret = ...",
        place.display()
    );
    assert!(text.contains(&place), "no `{place}` in {text}");
}

/// A login that is refused after months has other reasons than one that never succeeded.
#[test]
fn the_last_success_in_the_log_is_printed() {
    let machine = refused();
    let log = machine.write(
        "log",
        "2026-11-20T10:00:00Z from=robot@contoso.com to=a@b.c exit=0 stage=-\n\
         2026-11-21T10:00:00Z from=robot@contoso.com to=a@b.c exit=77 stage=auth\n",
    );
    machine.configure(&format!("log = {}", log.display()));
    let text = doctor(&machine, &[]).flat();
    assert!(
        text.contains("It worked until 2026-11-20T10:00:00Z"),
        "{text}"
    );
    machine.configure("log = syslog");
    let text = doctor(&machine, &[]).flat();
    assert!(
        text.contains("journalctl -t exosend | grep exit=0"),
        "{text}"
    );
    machine.configure("log = none");
    let text = doctor(&machine, &[]).flat();
    assert!(!text.contains("worked"), "{text}");
}

#[test]
fn the_exit_code_is_that_of_a_message_that_would_fail_there() {
    for (reply, code) in [
        ("Greeting 421 4.3.2 Busy", 75),
        ("Mail 550 5.1.8 Access denied, bad outbound sender", 69),
        ("Rcpt 550 5.1.10 Recipient not found", 67),
    ] {
        let machine = Machine::with(Exchange::builder().says(reply).start());
        doctor(&machine, &["--to", "ann@example.com"]).exits(code);
    }
    let machine = Machine::new();
    assert_eq!(doctor(&machine, &["--set", "mailbox="]).code, 78);
    assert_eq!(doctor(&machine, &["--to", "ann@b.c>\r\nDATA"]).code, 65);
}

#[test]
fn json_holds_every_check() {
    let machine = refused();
    let run = doctor(&machine, &["--json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["exit"].as_i64()), (77, Some(77)));
    run.err("");
    let checks = report["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 14);
    let login = checks
        .iter()
        .find(|check| check["name"] == "login")
        .unwrap();
    assert_eq!(login["state"], "fail");
    assert_eq!(login["error"]["reply"], REFUSAL);
    assert_eq!(
        (&login["error"]["kind"], &login["error"]["enhanced"]),
        (&"auth".into(), &"5.7.3".into())
    );
    let causes = login["advice"]["causes"].as_array().unwrap();
    assert_eq!(causes[0]["place"], "exchange-powershell");
    assert!(causes[0]["commands"].as_array().unwrap().len() > 2);
    let end = checks.last().unwrap();
    assert_eq!(
        (&end["name"], &end["state"]),
        (&"end".into(), &"skip".into())
    );
}

#[test]
fn the_lines_for_support_hold_ids_and_no_address() {
    let machine = refused();
    let bundle = doctor(&machine, &["-v"]).flat();
    let (_, bundle) = bundle.split_once("For Microsoft's support").unwrap();
    for part in [
        "AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z",
        "08DE2B0123",
        "[masked]",
        "message-id",
    ] {
        assert!(bundle.contains(part), "no `{part}` in {bundle}");
    }
    assert!(!bundle.contains("203.0.113.7"), "{bundle}");

    let expired = Answer::aadsts(401, "invalid_client", 7_000_222, "The keys are expired.");
    machine.exchange.token(expired);
    let run = doctor(&machine, &["-v"]);
    for part in ["correlation id", "trace id", "timestamp"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stderr.contains("Hello [127.0.0.1]"), "{}", run.stderr);
    assert!(!doctor(&machine, &[]).stdout.contains("correlation id"));
}
