//! What fails on the way to the server, what depends on what, and that all is well where it is.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::examine;
use crate::exchange::Certificate as Cert;
use crate::exchange::{Answer, Builder, Exchange, Fault, Step};
use crate::machine::Machine;

fn machine(builder: Builder) -> Machine {
    Machine::with(builder.start())
}

#[test]
fn all_is_well() {
    let machine = Machine::new();
    let verdict = examine(&machine, Some("ann@example.com"));
    verdict.assert(0, "", &[], &[]);
    for check in [
        "configuration",
        "name",
        "greeting",
        "clock",
        "starttls",
        "certificate",
        "token",
        "claims",
        "login",
        "sender",
        "recipient",
        "end",
    ] {
        assert_eq!(verdict.state(check), "ok", "{check}");
    }
    let transcript = machine.exchange.transcript();
    assert!(
        !transcript.iter().any(|line| line.starts_with("C: DATA")),
        "{transcript:?}"
    );
    assert!(
        transcript.iter().any(|line| line == "C: RSET"),
        "{transcript:?}"
    );
    assert!(
        transcript.iter().any(|line| line == "C: QUIT"),
        "{transcript:?}"
    );
    assert_eq!(machine.exchange.violations(), [""; 0]);
}

/// A token that is kept says nothing of the credential.
#[test]
fn the_token_is_always_fetched_afresh() {
    let machine = Machine::new();
    assert_eq!(machine.run(&["token"], "").code, 0);
    examine(&machine, None); // twice, for people and for programs
    assert_eq!(machine.exchange.token_requests().len(), 3);
}

#[test]
fn a_failure_stops_only_what_depends_on_it() {
    let refused = Answer::aadsts(401, "invalid_client", 7_000_222, "expired");
    let verdict = examine(&machine(Exchange::builder().token(refused)), None);
    assert_eq!(
        (verdict.state("certificate"), verdict.state("login")),
        ("ok", "skip")
    );

    let verdict = examine(
        &machine(Exchange::builder().on(Step::Greeting, Fault::reply("554 5.7.1 no"))),
        None,
    );
    verdict.assert(69, "greeting", &["server = "], &["New-ServicePrincipal"]);
    assert_eq!(
        (
            verdict.state("token"),
            verdict.state("claims"),
            verdict.state("starttls")
        ),
        ("ok", "ok", "skip")
    );

    let verdict = examine(
        &machine(Exchange::builder().on(Step::Mail, Fault::reply("550 5.1.8 no"))),
        Some("ann@example.com"),
    );
    assert_eq!(
        (verdict.state("recipient"), verdict.state("end")),
        ("skip", "ok")
    );
}

#[test]
fn a_port_where_nothing_listens() {
    let machine = Machine::new();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let run = machine.run(
        &["doctor", "--set", &format!("server=127.0.0.1:{closed}")],
        "",
    );
    assert_eq!(run.code, 75, "{run:?}");
    assert!(
        run.stdout.contains("FAIL") && run.stdout.contains("firewall"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_name_that_does_not_exist() {
    let machine = Machine::new();
    let run = machine.run(&["doctor", "--set", "server=smtp.invalid:587"], "");
    assert!(matches!(run.code, 68 | 75), "{run:?}");
    assert!(
        run.stdout.contains("spelling of `server`"),
        "{}",
        run.stdout
    );
}

#[test]
fn each_certificate_that_is_not_right() {
    for (certificate, includes) in [
        (Cert::WrongName, &["another name"][..]),
        (Cert::Expired, &["clock", "-showcerts"]),
        (Cert::NotYetValid, &["clock"]),
        (Cert::SelfSigned, &["ca_file"]),
        (Cert::UnknownIssuer, &["ca_file"]),
    ] {
        let verdict = examine(
            &machine(Exchange::builder().smtp_certificate(certificate)),
            None,
        );
        verdict.assert(76, "certificate", includes, &["New-ServicePrincipal"]);
        assert_eq!(
            (
                verdict.state("starttls"),
                verdict.state("token"),
                verdict.state("login")
            ),
            ("ok", "ok", "skip")
        );
    }
    for certificate in [Cert::WrongName, Cert::Expired, Cert::UnknownIssuer] {
        let verdict = examine(
            &machine(Exchange::builder().entra_certificate(certificate)),
            None,
        );
        verdict.assert(
            76,
            "token",
            &[],
            &["New-ServicePrincipal", "Set-CASMailbox"],
        );
        assert!(!verdict.says.is_empty(), "{verdict:#?}");
        assert_eq!(verdict.state("certificate"), "ok");
    }
}

/// Both servers say that it is another time: then the certificate is not blamed for it.
#[test]
fn a_clock_that_is_wrong_is_named_before_the_certificate() {
    let greeting = "220 AM0PR01CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2020 09:00:00 +0000 [abc==]";
    let builder = Exchange::builder()
        .on(Step::Greeting, Fault::reply(greeting))
        .smtp_certificate(Cert::NotYetValid)
        .token(Answer::aadsts(
            401,
            "invalid_client",
            700_024,
            "Client assertion is not within its valid time range.",
        ));
    let verdict = examine(&machine(builder), None);
    verdict.assert(verdict.code, "clock", &["date -u"], &["-showcerts"]);
    assert!(verdict.detail.contains("ahead"), "{verdict:#?}");
    // What a wrong clock explains is sent back to it.
    let checks = verdict.all["checks"].as_array().unwrap();
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| check["state"] == "fail")
        .collect();
    assert_eq!(failed.len(), 3, "{:#}", verdict.all);
    for check in &failed {
        assert_eq!(check["advice"], failed[0]["advice"], "{check:#}");
    }
}

#[test]
fn no_starttls() {
    let verdict = examine(&machine(Exchange::builder().without("STARTTLS")), None);
    verdict.assert(76, "starttls", &["in the clear"], &["New-ServicePrincipal"]);
    let verdict = examine(
        &machine(
            Exchange::builder().on(Step::StartTls, Fault::reply("454 4.7.0 TLS not available")),
        ),
        None,
    );
    assert_eq!(
        (verdict.code, verdict.check.as_str()),
        (75, "starttls"),
        "{verdict:#?}"
    );
}

#[test]
fn no_xoauth2() {
    let verdict = examine(&machine(Exchange::builder().auth("LOGIN PLAIN")), None);
    assert_eq!(
        (verdict.code, verdict.check.as_str()),
        (76, "login"),
        "{verdict:#?}"
    );
    assert!(!verdict.says.is_empty(), "{verdict:#?}");
}

#[test]
fn what_is_no_answer_of_entra() {
    for answer in [
        Answer::html(),
        Answer::redirect("https://login.example.com/"),
        Answer::status(404),
    ] {
        let verdict = examine(&machine(Exchange::builder().token(answer)), None);
        assert_eq!(verdict.check, "token");
        assert!(!verdict.says.is_empty(), "{verdict:#?}");
    }
}

#[test]
fn configurations_that_cannot_be_right() {
    let machine = Machine::new();
    let doctor = |set: &str| machine.run(&["doctor", "--set", set], "");
    for set in ["mailbox=not an address", "tenant=a/b", "server=a b"] {
        let run = doctor(set);
        assert_eq!(run.code, 78, "{set} {run:?}");
    }
    // It need not be wrong, so it is said and stops nothing.
    let run = doctor("tenant=contoso");
    assert!(
        run.stdout.contains("neither a GUID nor a domain"),
        "{}",
        run.stdout
    );
    // A path that everybody can read, and one that nobody can.
    let path = machine.write("secret", machine.exchange.client_secret());
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    let run = machine.run(
        &[
            "doctor",
            "--set",
            &format!("client_secret_file={}", path.display()),
        ],
        "",
    );
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.contains("chmod o-rwx"), "{}", run.stdout);
}

#[test]
fn a_recipient_that_is_no_address() {
    let machine = Machine::new();
    let run = machine.run(&["doctor", "--to", "not an address"], "");
    assert_ne!(run.code, 0, "{run:?}");
    assert!(
        machine
            .exchange
            .settle()
            .transcript()
            .iter()
            .all(|line| !line.contains("RCPT"))
    );
}

#[test]
fn the_bundle_for_microsoft() {
    let text = "535 5.7.3 Authentication unsuccessful [AM0PR01CA0098.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T12:00:00.000Z 08DE2B5A]";
    let machine = machine(Exchange::builder().on(Step::AuthBlob, Fault::reply(text)));
    let run = machine.run(&["doctor", "-v"], "");
    for part in [
        "AM0PR01CA0098.EURPRD01.PROD.OUTLOOK.COM",
        "2026-11-24T12:00:00.000Z",
        "08DE2B5A",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let refused = Answer::aadsts(401, "invalid_client", 7_000_222, "expired");
    let machine = Machine::with(Exchange::builder().token(refused).start());
    let run = machine.run(&["doctor", "-v"], "");
    for part in ["correlation id", "trace id", "timestamp"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    // Without -v there is none, and what EHLO echoes of this machine is nowhere.
    assert!(
        !machine
            .run(&["doctor"], "")
            .stdout
            .contains("correlation id")
    );
    for output in [&run.stdout, &run.stderr] {
        assert!(!output.contains("Hello [127.0.0.1]"), "{output}");
    }
}
