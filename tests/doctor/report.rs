//! The command: its text, its JSON, the lines for support, and its exit code.

use serde_json::Value;

use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::{Machine, Run};

const REFUSAL: &str = "535 5.7.3 Authentication unsuccessful for [203.0.113.7] [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM \
                       2026-11-24T09:00:00.000Z 08DE2B0123]";

/// Whatever it finds: nothing is delivered, no rule is broken, no secret is told, lines have 80 columns, and none is
/// coloured but on a terminal.
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
        // Commands are copied, and words like ids are not cut.
        let is_command = |line: &str| line.starts_with("   ") && line.contains(" -");
        for line in run.stdout.lines().filter(|line| !is_command(line)) {
            let long_word = line.split_whitespace().any(|word| word.len() > 45);
            assert!(line.chars().count() <= 80 || long_word, "{line}");
        }
    }
    run
}

/// The output without its line breaks.
fn flat(run: &Run) -> String {
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn all_is_well() {
    let run = doctor(&Machine::new(), &["-v", "--to", "ann@example.com"]);
    assert_eq!(run.code, 0, "{run:?}");
    let text = flat(&run);
    for name in ["configuration", "tcp IPv4", "login", "recipient", "end"] {
        assert!(text.contains(&format!("ok {name} ")), "{text}");
    }
    assert!(
        text.ends_with("All is well: mail from robot@contoso.com can be sent. Nothing was sent.")
    );
    assert!(
        !text.contains("FAIL") && !text.contains("support"),
        "{text}"
    );
}

#[test]
fn a_failure_is_told_with_its_causes_numbered() {
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::AuthBlob, Fault::reply(REFUSAL))
            .start(),
    );
    let run = doctor(&machine, &[]);
    assert_eq!((run.code, run.stderr.as_str()), (77, ""), "{run:?}");
    let text = flat(&run);
    for part in [
        "FAIL login ",
        "skip sender it needs the login",
        "login: Entra issued the token, and Exchange does not let this application into this mailbox.",
        "1. Exchange does not know the application",
        "In Exchange Online PowerShell: Connect-ExchangeOnline Get-ServicePrincipal",
        "2. SMTP AUTH is switched off",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{}", run.stdout);
    }
}

/// The exit code is that of a message that would fail there.
#[test]
fn exit_codes() {
    for (step, reply, code) in [
        (Step::Greeting, "421 4.3.2 Busy", 75),
        (
            Step::Mail,
            "550 5.1.8 Access denied, bad outbound sender",
            69,
        ),
        (Step::Rcpt, "550 5.1.10 Recipient not found", 67),
    ] {
        let machine = Machine::with(Exchange::builder().on(step, Fault::reply(reply)).start());
        let run = doctor(&machine, &["--to", "ann@example.com"]);
        assert_eq!(run.code, code, "{reply} {run:?}");
    }
    let machine = Machine::new();
    assert_eq!(doctor(&machine, &["--set", "mailbox="]).code, 78);
    assert_eq!(doctor(&machine, &["--to", "ann@b.c>\r\nDATA"]).code, 65);
}

#[test]
fn json_holds_every_check() {
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::AuthBlob, Fault::reply(REFUSAL))
            .start(),
    );
    let run = doctor(&machine, &["--json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((run.code, report["exit"].as_i64()), (77, Some(77)));
    assert_eq!(run.stderr, "");
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
fn support_gets_its_lines_and_no_address() {
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::AuthBlob, Fault::reply(REFUSAL))
            .start(),
    );
    let bundle = flat(&doctor(&machine, &["-v"]));
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
