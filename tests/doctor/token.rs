//! Every answer of Entra that facts.md knows, "AADSTS codes".

use super::{both_paths, doctor, is_silent_on, line, says};
use crate::exchange::{Answer, Certificate, Exchange, Fault, Step};
use crate::machine::Machine;

const ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";

/// AADSTS number, HTTP status, OAuth's error; a part of the verdict, and the command or setting that it names.
const CODES: &[(u32, u16, &str, &str, &str)] = &[
    (
        7_000_215,
        401,
        "invalid_client",
        "not its id",
        "az ad app credential reset --id {id} --append",
    ),
    (
        7_000_222,
        401,
        "invalid_client",
        "make a new secret",
        "az ad app credential reset --id {id} --append",
    ),
    (
        7_000_218,
        401,
        "invalid_client",
        "no credential went along",
        "client_secret = ...",
    ),
    (
        700_016,
        400,
        "unauthorized_client",
        "not in this tenant",
        "az ad app show --id {id}",
    ),
    (
        7_000_229,
        400,
        "invalid_request",
        "no service principal",
        "az ad sp create --id {id}",
    ),
    (
        7_000_112,
        400,
        "unauthorized_client",
        "disabled",
        "az ad sp update --id {id} --set accountEnabled=true",
    ),
    (
        700_025,
        401,
        "invalid_client",
        "public client",
        "--is-fallback-public-client false",
    ),
    (
        90_002,
        400,
        "invalid_request",
        "no such tenant",
        "az account show --query tenantId",
    ),
    (
        90_038,
        400,
        "invalid_request",
        "another of Microsoft's clouds",
        "cloud = gcc-high",
    ),
    (
        900_432,
        400,
        "invalid_request",
        "another of Microsoft's clouds",
        "cloud = gcc-high",
    ),
    (
        900_382,
        400,
        "invalid_request",
        "another of Microsoft's clouds",
        "cloud = gcc-high",
    ),
    (
        70_011,
        400,
        "invalid_scope",
        "one resource with /.default",
        "scope = https://outlook.office365.com/.default",
    ),
    (
        1_002_012,
        400,
        "invalid_scope",
        "one resource with /.default",
        "scope = https://outlook.office365.com/.default",
    ),
    (
        700_022,
        400,
        "invalid_scope",
        "one resource with /.default",
        "scope = https://outlook.office365.com/.default",
    ),
    (
        500_011,
        400,
        "invalid_resource",
        "does not know what the scope names",
        "scope = https://outlook.office365.com/.default",
    ),
    (
        65_001,
        400,
        "invalid_grant",
        "has not consented",
        "az ad app permission admin-consent --id {id}",
    ),
    (
        650_057,
        400,
        "invalid_resource",
        "has not consented",
        "az ad app permission admin-consent --id {id}",
    ),
    (
        700_027,
        401,
        "invalid_client",
        "certificate is not registered",
        "--cert @certificate.pem",
    ),
    (
        700_030,
        401,
        "invalid_client",
        "certificate is not registered",
        "--cert @certificate.pem",
    ),
    (
        700_024,
        401,
        "invalid_client",
        "too old or too new",
        "date -u",
    ),
    (
        70_021,
        400,
        "invalid_request",
        "letter by letter",
        "az ad app federated-credential list --id {id}",
    ),
    (
        700_211,
        400,
        "invalid_request",
        "letter by letter",
        "az ad app federated-credential list --id {id}",
    ),
    (
        700_213,
        400,
        "invalid_request",
        "letter by letter",
        "az ad app federated-credential list --id {id}",
    ),
    (
        50_034,
        400,
        "invalid_grant",
        "looked for a user",
        "az ad app show --id {id}",
    ),
    (
        53_003,
        400,
        "access_denied",
        "Conditional Access",
        "Protection > Conditional Access",
    ),
    (
        530_035,
        400,
        "access_denied",
        "Conditional Access",
        "Protection > Conditional Access",
    ),
    (
        50_105,
        400,
        "invalid_grant",
        "assignment",
        "--set appRoleAssignmentRequired=false",
    ),
    (
        900_144,
        400,
        "invalid_request",
        "misses a part",
        "client_secret = ...",
    ),
    (
        9_002_313,
        400,
        "invalid_request",
        "misses a part",
        "client_secret = ...",
    ),
    (
        50_196,
        400,
        "invalid_grant",
        "too many requests",
        "token_cache = ",
    ),
    (
        90_055,
        400,
        "invalid_request",
        "too many requests",
        "token_cache = ",
    ),
    (
        90_033,
        400,
        "temporarily_unavailable",
        "for the moment",
        "exosend doctor",
    ),
    (
        90_024,
        400,
        "temporarily_unavailable",
        "for the moment",
        "exosend doctor",
    ),
    (
        50_033,
        400,
        "temporarily_unavailable",
        "for the moment",
        "exosend doctor",
    ),
    (
        90_006,
        400,
        "temporarily_unavailable",
        "for the moment",
        "exosend doctor",
    ),
    (
        1_234_567,
        400,
        "invalid_request",
        "not among those met",
        "https://login.microsoftonline.com/error?code=1234567",
    ),
];

#[test]
fn every_code_has_its_verdict_and_its_command() {
    let machine = Machine::new();
    for (code, status, error, verdict, command) in CODES {
        machine.exchange.token(Answer::aadsts(
            *status,
            error,
            *code,
            "What Entra says of it.",
        ));
        let run = doctor(&machine, &[]);
        assert_eq!(run.code, 77, "{code}: {}", run.stdout);
        let token = line(&run, "FAIL", "token");
        assert!(
            token.contains(&format!("AADSTS{code}: What Entra says of it.")),
            "{token}"
        );
        says(&run, &[verdict, &command.replace("{id}", ID)]);
        // What does not need the token was looked at, what does was not.
        line(&run, "ok", "certificate");
        line(&run, "skip", "claims");
        line(&run, "skip", "login");
        line(&run, "skip", "sender");
    }
}

#[test]
fn a_secret_that_is_a_guid_is_named_first() {
    for (_, machine) in both_paths(&Exchange::builder()) {
        machine.configure("");
        let id = "0a4d7b1e-29d3-4ce1-9ab3-92e6c31c5d0e";
        let run = doctor(&machine, &["--set", &format!("client_secret={id}")]);
        assert_eq!(run.code, 77);
        assert!(line(&run, "FAIL", "token").contains("AADSTS7000215"));
        says(
            &run,
            &[
                "1. the client secret has the form of a GUID",
                "take the Value instead",
                "2. make a new secret",
            ],
        );
        is_silent_on(&run, &[id]);
    }
}

#[test]
fn what_is_not_entra() {
    for (answer, words, code) in [
        (
            Answer::html(),
            "a page titled \"Sign in\" instead of JSON",
            77,
        ),
        (
            Answer::redirect("https://portal.example/"),
            "a redirect to https://portal.example/",
            77,
        ),
        (Answer::disconnect(), "token", 75),
        (Answer::status(503), "HTTP 503 with an empty body", 75),
    ] {
        let machine = Machine::new();
        machine.exchange.token(answer);
        let run = doctor(&machine, &[]);
        assert_eq!(run.code, code, "{}", run.stdout);
        assert!(
            line(&run, "FAIL", "token").contains(words),
            "{}",
            run.stdout
        );
        says(&run, &["curl -sS", "/oauth2/v2.0/token"]);
    }
}

#[test]
fn entra_behind_somebody_elses_certificate() {
    let machine = Machine::with(
        Exchange::builder()
            .entra_certificate(Certificate::UnknownIssuer)
            .start(),
    );
    let run = doctor(&machine, &[]);
    assert_eq!(run.code, 76, "{}", run.stdout);
    line(&run, "FAIL", "token");
    says(&run, &["ca_file"]);
}

#[test]
fn a_wrong_clock_is_named_before_what_it_does_to_assertions() {
    let machine = Machine::new();
    let hours = "220 AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2020 09:00:00 +0000";
    machine.exchange.on(Step::Greeting, Fault::reply(hours));
    machine.exchange.token(Answer::aadsts(
        401,
        "invalid_client",
        700_024,
        "Client assertion is not within its valid time range.",
    ));
    let run = doctor(&machine, &[]);
    assert_eq!(run.code, 78, "{}", run.stdout);
    assert!(line(&run, "FAIL", "clock").contains("days ahead of the mail server's"));
    says(
        &run,
        &[
            "clock:",
            "token: With a wrong clock",
            "timedatectl set-ntp true",
        ],
    );
    is_silent_on(&run, &["the federated token's file is stale"]);
}

#[test]
fn entras_date_is_a_witness_too() {
    let machine = Machine::new();
    // A greeting without a date leaves Entra's.
    machine
        .exchange
        .on(Step::Greeting, Fault::reply("220 relay ESMTP"));
    machine.exchange.token(
        Answer::aadsts(
            401,
            "invalid_client",
            700_027,
            "The certificate is not valid.",
        )
        .header("Date", "Tue, 24 Nov 2099 09:00:00 GMT"),
    );
    let run = doctor(&machine, &[]);
    assert!(
        line(&run, "FAIL", "clock").contains("behind of Entra's"),
        "{}",
        run.stdout
    );
}
