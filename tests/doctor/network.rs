//! From the configuration to the certificate.

use std::net::TcpListener;
use std::time::Duration;

use super::{doctor, is_silent_on, line, says};
use crate::exchange::{Certificate, Exchange, Fault, Step};
use crate::machine::Machine;

#[test]
fn all_is_well_in_both_paths() {
    for (_, machine) in super::both_paths(&Exchange::builder()) {
        let run = doctor(&machine, &["--to", "ann@example.com"]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
        for name in [
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
        ] {
            line(&run, "ok", name);
        }
        assert!(line(&run, "ok", "certificate").contains("localhost, by Stand-in Root, "));
        says(
            &run,
            &["All is well: mail from robot@contoso.com can be sent. Nothing was sent."],
        );
        is_silent_on(&run, &["FAIL"]);
        let commands: Vec<_> = machine
            .exchange
            .transcript()
            .into_iter()
            .filter(|l| l.starts_with("C: "))
            .map(|l| l[3..].split(' ').next().unwrap().to_owned())
            .collect();
        let end = ["MAIL", "RCPT", "RSET", "QUIT"];
        assert_eq!(commands[commands.len() - 4..], end, "{commands:?}");
    }
}

#[test]
fn without_a_recipient_none_is_asked_for() {
    let run = doctor(&Machine::new(), &[]);
    assert_eq!(run.code, 0);
    assert!(line(&run, "skip", "recipient").contains("none was given"));
}

#[test]
fn the_token_is_always_fetched_afresh() {
    let machine = Machine::new();
    for n in 1..=2 {
        assert_eq!(doctor(&machine, &[]).code, 0);
        assert_eq!(machine.exchange.token_requests().len(), n);
    }
}

#[test]
fn a_recipient_that_is_none() {
    let run = doctor(&Machine::new(), &["--to", "ann@example.com>\r\nDATA"]);
    assert_eq!(run.code, 65, "{}", run.stdout);
    line(&run, "FAIL", "recipient");
    line(&run, "ok", "sender");
}

#[test]
fn configurations() {
    let machine = Machine::new();
    let run = doctor(&machine, &["--set", "mailbox="]);
    assert_eq!(run.code, 78, "{}", run.stdout);
    line(&run, "FAIL", "configuration");
    says(&run, &["mailbox = ..."]);
    // What does not need the mailbox was looked at.
    line(&run, "ok", "token");
    line(&run, "ok", "certificate");
    line(&run, "skip", "login");

    let run = doctor(&machine, &["--set", "tenant=contoso"]);
    says(&run, &["tenant is neither a GUID nor a domain: contoso"]);

    let file = machine.path("secret");
    std::fs::write(&file, machine.exchange.client_secret()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let run = doctor(
        &machine,
        &["--set", &format!("client_secret_file={}", file.display())],
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    says(
        &run,
        &[
            "All is well",
            "note on configuration",
            "(mode 0644)",
            "chmod o-rwx",
        ],
    );
}

#[test]
fn a_certificate_near_its_end() {
    let mut params = rcgen::CertificateParams::new([]).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let days = |n: u64| i64::try_from(now / 86_400 + n).unwrap();
    // rcgen takes dates; a day is near enough.
    let date = |days: i64| {
        let (era, of_era) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        rcgen::date_time_ymd(
            i32::try_from(year).unwrap(),
            u8::try_from(month).unwrap(),
            u8::try_from(day).unwrap(),
        )
    };
    params.not_before = date(days(0) - 300);
    params.not_after = date(days(10));
    let pem = include_str!("../exchange/keys/rsa.pem");
    let key = rcgen::KeyPair::from_pem_and_sign_algo(pem, &rcgen::PKCS_RSA_SHA256).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let machine = Machine::with(Exchange::builder().certificate(certificate.pem()).start());
    let file = machine.write("app.pem", &format!("{}{pem}", certificate.pem()));
    let run = doctor(
        &machine,
        &[
            "--set",
            &format!("client_certificate_file={}", file.display()),
        ],
    );
    assert_eq!(run.code, 0, "{}", run.stdout);
    says(
        &run,
        &[
            "the client certificate ends in 9 days",
            "--cert @new.pem --append",
        ],
    );
}

#[test]
fn a_port_where_nobody_listens() {
    let machine = Machine::new();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let run = doctor(&machine, &["--set", &format!("server=127.0.0.1:{closed}")]);
    assert_eq!(run.code, 75, "{}", run.stdout);
    assert!(line(&run, "FAIL", "tcp IPv4").contains("refused"));
    assert!(line(&run, "skip", "tcp IPv6").contains("no IPv6 address"));
    says(&run, &["firewall", "/dev/tcp/127.0.0.1/"]);
    line(&run, "ok", "token");
}

#[test]
fn a_name_that_does_not_exist() {
    let run = doctor(&Machine::new(), &["--set", "server=no-such-host.invalid"]);
    line(&run, "FAIL", "name");
    line(&run, "skip", "greeting");
    line(&run, "ok", "token");
    assert_ne!(run.code, 0);
}

#[test]
fn both_families() {
    let run = doctor(&Machine::with(Exchange::builder().ipv6().start()), &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    line(&run, "ok", "tcp IPv4");
}

#[test]
fn greetings() {
    for (fault, code) in [
        (Fault::reply("554 5.7.1 Go away"), 69),
        (Fault::reply("421 4.3.2 Busy"), 75),
        (Fault::disconnect(), 75),
        (Fault::raw("SSH-2.0-OpenSSH_9.2\r\n"), 76),
    ] {
        let machine = Machine::with(Exchange::builder().on(Step::Greeting, fault).start());
        let run = doctor(&machine, &[]);
        assert_eq!(run.code, code, "{}", run.stdout);
        line(&run, "FAIL", "greeting");
        line(&run, "skip", "starttls");
        line(&run, "skip", "certificate");
        line(&run, "ok", "token");
        line(&run, "skip", "login");
    }
}

#[test]
fn no_starttls() {
    let run = doctor(
        &Machine::with(Exchange::builder().without("STARTTLS").start()),
        &[],
    );
    assert_eq!(run.code, 76, "{}", run.stdout);
    assert!(line(&run, "FAIL", "starttls").contains("does not offer STARTTLS"));
    says(&run, &["openssl s_client -starttls smtp"]);
}

#[test]
fn certificates() {
    for (certificate, words, verdict) in [
        (
            Certificate::WrongName,
            "by Stand-in Root",
            "for another name",
        ),
        (
            Certificate::UnknownIssuer,
            "by Nobody's Root",
            "`Nobody's Root` signed it",
        ),
        (Certificate::Expired, "ended", "clock"),
        (
            Certificate::SelfSigned,
            "localhost, by localhost",
            "not trusted",
        ),
    ] {
        let machine = Machine::with(Exchange::builder().smtp_certificate(certificate).start());
        let run = doctor(&machine, &[]);
        assert_eq!(run.code, 76, "{certificate:?} {}", run.stdout);
        line(&run, "ok", "starttls");
        let told = line(&run, "FAIL", "certificate");
        assert!(told.contains(words), "{told}");
        says(&run, &[verdict, "openssl s_client"]);
        line(&run, "ok", "clock");
    }
}

#[test]
fn a_wrong_clock_is_named_before_the_certificate() {
    let old = "220 AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2020 09:00:00 +0000";
    let builder = Exchange::builder()
        .smtp_certificate(Certificate::Expired)
        .on(Step::Greeting, Fault::reply(old));
    let run = doctor(&Machine::with(builder.start()), &[]);
    assert_eq!(run.code, 78, "{}", run.stdout);
    says(
        &run,
        &[
            "clock: With a wrong clock",
            "certificate: With a wrong clock",
        ],
    );
    is_silent_on(&run, &["openssl"]);
}

#[test]
fn a_server_that_does_not_speak_is_not_waited_for() {
    let machine = Machine::with(
        Exchange::builder()
            .on(Step::Greeting, Fault::silent())
            .start(),
    );
    let start = std::time::Instant::now();
    let run = doctor(&machine, &["--set", "timeout=2"]);
    assert_eq!(run.code, 75, "{}", run.stdout);
    assert!(line(&run, "FAIL", "greeting").contains("timed out"));
    assert!(start.elapsed() < Duration::from_secs(15));
}
