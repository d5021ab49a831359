//! The checks from the configuration to the certificate.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use exosend::advice::CheckState::{Ok, Skipped};
use exosend::{Account, ErrorKind, Timeouts};

use super::{both_paths, examine, examine_with};
use crate::exchange::{Certificate, ClientCertificate, Exchange, Fault, Step};

const ALL: [&str; 13] = [
    "configuration",
    "name",
    "tcp IPv4",
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
];

#[test]
fn each_check_is_ok_in_both_paths() {
    for (_, exchange) in both_paths(&Exchange::builder()) {
        let diagnosis = examine(&exchange);
        diagnosis.is(Ok, &ALL);
        let certificate = diagnosis.check("certificate").detail();
        assert!(
            certificate.starts_with("localhost, by Stand-in Root, "),
            "{certificate}"
        );
        let commands: Vec<_> = exchange
            .transcript()
            .into_iter()
            .filter_map(|line| Some(line.strip_prefix("C: ")?.split(' ').next()?.to_owned()))
            .collect();
        assert!(
            commands.ends_with(&["MAIL", "RCPT", "RSET", "QUIT"].map(String::from)),
            "{commands:?}"
        );
    }
}

#[test]
fn ipv4_and_ipv6_both_answer() {
    examine(&Exchange::builder().ipv6().start()).is(Ok, &ALL);
}

#[test]
fn without_a_recipient_that_check_is_skipped() {
    let exchange = Exchange::start();
    let diagnosis = examine_with(&exchange, &exchange.account(), None);
    diagnosis
        .is(Skipped, &["recipient"])
        .is(Ok, &["sender", "end"]);
}

/// A kept token would not show that the credential works.
#[test]
fn the_token_is_always_fetched_afresh() {
    let exchange = Exchange::start();
    let account = exchange.account();
    exosend::Token::get(&account).unwrap();
    examine_with(&exchange, &account, None);
    assert_eq!(exchange.token_requests().len(), 2);
}

#[test]
fn a_malformed_recipient_is_not_sent_to_the_server() {
    let exchange = Exchange::start();
    let hostile = Some("ann@example.com>\r\nDATA");
    let diagnosis = examine_with(&exchange, &exchange.account(), hostile);
    diagnosis.fails("recipient", &[], &[]);
    diagnosis.is(Ok, &["sender", "end"]);
    assert_eq!(exchange.said("C: RCPT"), 0);
}

#[test]
fn a_wrong_setting_stops_only_the_checks_that_need_it() {
    let exchange = Exchange::start();
    for mailbox in ["", "not an address"] {
        let account = Account::new(mailbox)
            .tenant(exchange.tenant())
            .client_id(exchange.client_id())
            .client_secret(exchange.client_secret())
            .server(exchange.host(), exchange.port())
            .authority(exchange.authority())
            .root_certificates(exchange.ca_pem());
        let diagnosis = examine_with(&exchange, &account, None);
        diagnosis.fails("configuration", &["mailbox = ..."], &[]);
        diagnosis
            .is(Ok, &["token", "certificate"])
            .is(Skipped, &["login"]);
    }
    let account = exchange.account().server("a b", 587);
    let diagnosis = examine_with(&exchange, &account, None);
    diagnosis.fails("configuration", &["server = ..."], &[]);
    diagnosis
        .is(Skipped, &["name", "greeting"])
        .is(Ok, &["token"]);
}

#[test]
fn a_doubtful_setting_is_remarked_on_and_stops_nothing() {
    let exchange = Exchange::start();
    let remark = |account: &Account| {
        let diagnosis = examine_with(&exchange, account, None);
        diagnosis.is(Ok, &["configuration"]);
        diagnosis.of("configuration")
    };
    let tenant = remark(&exchange.account().tenant("contoso"));
    assert!(
        tenant.contains("neither a GUID nor a domain: contoso"),
        "{tenant}"
    );

    let file = std::env::temp_dir().join(format!("exosend-doctor-{}", std::process::id()));
    std::fs::write(&file, exchange.client_secret()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let mut account = exchange.account();
    account
        .set("client_secret_file", file.to_str().unwrap())
        .unwrap();
    let secret = remark(&account);
    std::fs::remove_file(&file).unwrap();
    assert!(
        secret.contains("(mode 0644)") && secret.contains("chmod o-rwx"),
        "{secret}"
    );

    let certificate = ClientCertificate::ends_in_days(10);
    let registered = Exchange::builder().certificate(&certificate).start();
    let account = registered.account().client_certificate(certificate.pem());
    let diagnosis = examine_with(&registered, &account, None);
    diagnosis.is(Ok, &ALL[..11]);
    let near = diagnosis.of("configuration");
    assert!(
        near.contains("ends in 9 days") || near.contains("ends in 10 days"),
        "{near}"
    );
    assert!(near.contains("--cert @certificate.pem --append"), "{near}");
}

#[test]
fn a_closed_port_is_reported_with_a_command() {
    let exchange = Exchange::start();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let account = exchange.account().server("127.0.0.1", closed.port());
    let diagnosis = examine_with(&exchange, &account, None);
    diagnosis.fails(
        "tcp IPv4",
        &[
            "refused",
            "firewall, or set transport = graph",
            "/dev/tcp/$0/$1' 127.0.0.1 ",
        ],
        &[],
    );
    assert!(
        diagnosis
            .check("tcp IPv6")
            .detail()
            .contains("no IPv6 address")
    );
    diagnosis
        .is(Ok, &["token"])
        .is(Skipped, &["greeting", "login"]);
}

#[test]
fn an_unknown_name_is_reported_with_a_command() {
    let exchange = Exchange::start();
    let account = exchange.account().server("no-such-host.invalid", 587);
    let diagnosis = examine_with(&exchange, &account, None);
    diagnosis.fails("name", &["getent ahosts no-such-host.invalid"], &[]);
    diagnosis
        .is(Ok, &["token"])
        .is(Skipped, &["tcp IPv4", "greeting"]);
}

#[test]
fn a_wrong_greeting_is_reported_with_its_kind() {
    for (fault, kind) in [
        (Fault::reply("554 5.7.1 Go away"), ErrorKind::Refused),
        (Fault::reply("421 4.3.2 Busy"), ErrorKind::Deferred),
        (Fault::disconnect(), ErrorKind::Network),
        (Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"), ErrorKind::Protocol),
    ] {
        let diagnosis = examine(&Exchange::builder().on(Step::Greeting, fault).start());
        diagnosis.fails("greeting", &["server = "], &["New-ServicePrincipal"]);
        assert_eq!(diagnosis.check("greeting").error().unwrap().kind(), kind);
        diagnosis.is(Skipped, &["starttls", "certificate", "login"]);
        diagnosis.is(Ok, &["token", "claims"]);
    }
}

#[test]
fn a_silent_server_ends_at_the_total() {
    let exchange = Exchange::builder()
        .on(Step::Greeting, Fault::silent())
        .start();
    let total = Timeouts::default().total(Duration::from_secs(2));
    let start = Instant::now();
    let diagnosis = examine_with(&exchange, &exchange.account().timeouts(total), None);
    diagnosis.fails("greeting", &["timed out"], &[]);
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[test]
fn missing_starttls_is_reported() {
    let diagnosis = examine(&Exchange::builder().without("STARTTLS").start());
    let says = [
        "does not offer STARTTLS",
        "in the clear",
        "openssl s_client -starttls smtp",
    ];
    diagnosis.fails("starttls", &says, &["New-ServicePrincipal"]);
    let later = Exchange::builder().says("StartTls 454 4.7.0 TLS not available");
    let diagnosis = examine(&later.start());
    diagnosis.fails("starttls", &["454 4.7.0"], &[]);
    diagnosis.is(Skipped, &["certificate", "login"]);
}

#[test]
fn a_bad_certificate_is_reported_with_its_fault() {
    for (certificate, says) in [
        (
            Certificate::WrongName,
            ["by Stand-in Root", "for another name"],
        ),
        (Certificate::UnknownIssuer, ["by Nobody's Root", "ca_file"]),
        (Certificate::Expired, ["Expired", "ended 20"]),
        (
            Certificate::SelfSigned,
            ["localhost, by localhost", "ca_file"],
        ),
    ] {
        let diagnosis = examine(&Exchange::builder().smtp_certificate(certificate).start());
        let says = [says[0], says[1], "openssl s_client"];
        diagnosis.fails("certificate", &says, &["New-ServicePrincipal"]);
        diagnosis
            .is(Ok, &["clock", "starttls", "token"])
            .is(Skipped, &["login"]);
    }
}
