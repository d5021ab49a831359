//! The other forms of the report: JSON, and the lines for support.

use serde_json::Value;

use super::{doctor, says};
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::Machine;

#[test]
fn json_holds_every_check() {
    let refusal = "535 5.7.3 Authentication unsuccessful [AM0 2026 08D]";
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::AuthBlob, Fault::reply(refusal))
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
    assert_eq!(login["error"]["reply"], refusal);
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
    let refusal = "535 5.7.3 Authentication unsuccessful for [203.0.113.7] [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM \
                   2026-11-24T09:00:00.000Z 08DE2B0123]";
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::AuthBlob, Fault::reply(refusal))
            .start(),
    );
    let run = doctor(&machine, &["-v"]);
    let bundle = super::flat(&run);
    let bundle = bundle.split_once("For Microsoft's support").unwrap().1;
    assert!(
        bundle.contains("AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z"),
        "{bundle}"
    );
    assert!(
        bundle.contains("08DE2B0123") && bundle.contains("[masked]"),
        "{bundle}"
    );
    assert!(!bundle.contains("203.0.113.7"), "{bundle}");
    assert!(bundle.contains("message-id"));

    machine.exchange.token(Answer::aadsts(
        401,
        "invalid_client",
        7_000_222,
        "The keys are expired.",
    ));
    let run = doctor(&machine, &["-v"]);
    says(&run, &["correlation id", "trace id", "timestamp"]);

    let well = doctor(&Machine::new(), &["-v"]);
    assert!(!well.stdout.contains("support"));
}

#[test]
fn no_colour_but_on_a_terminal() {
    assert!(!doctor(&Machine::new(), &[]).stdout.contains('\x1b'));
}

/// The library's side: what it returns holds no secret, however it is printed.
#[test]
fn checks_can_be_printed() {
    let exchange = Exchange::start();
    let checks = exosend::diagnose(&exchange.account(), Some("ann@example.com"));
    let printed = format!("{checks:?}");
    assert!(!printed.contains("eyJ") && !printed.contains(exchange.client_secret()));
    assert!(
        checks
            .iter()
            .all(|check| check.state() != exosend::CheckState::Failed),
        "{printed}"
    );
    assert_eq!(exchange.settle().delivered().len(), 0);
}
