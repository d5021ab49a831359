//! From, as Exchange takes it: like Exchange, the stand-in refuses another one after the whole body.

use crate::exchange::Exchange;
use crate::machine::Machine;

#[test]
fn another_from_is_replaced_by_the_mailbox_and_logged() {
    let machine = Machine::new();
    let message = "From: \"Other, Ann\" <ann@example.org>\nSender: root@web1\nDKIM-Signature: v=1; b=abc\nTo: x@example.com\n\nhello\n";
    let mut command = machine.command("exosend");
    let run = crate::machine::finish(command.env("RUST_LOG", "info").arg("-t"), message);
    run.exits(0);
    run.err_begins("exosend: From ann@example.org: not the mailbox, sent as robot@contoso.com\n");
    let arrived = machine.last();
    assert_eq!(
        arrived.header("From").unwrap(),
        "\"Other, Ann\" <robot@contoso.com>"
    );
    assert_eq!(
        arrived.header("Reply-To").unwrap(),
        "\"Other, Ann\" <ann@example.org>"
    );
    assert_eq!(
        (arrived.header("Sender"), arrived.header("DKIM-Signature")),
        (None, None)
    );
}

#[test]
fn an_address_of_send_as_stays() {
    let machine = Machine::with(Exchange::builder().send_as("ops@contoso.com").start());
    machine.configure("send_as = it@contoso.com, OPS@contoso.com");
    let arrived = machine.sendmail(
        "ann@example.com",
        "From: Ops <ops@contoso.com>\nDKIM-Signature: x\n\nhello\n",
    );
    assert_eq!(arrived.header("From").unwrap(), "Ops <ops@contoso.com>");
    assert_eq!(arrived.header("DKIM-Signature").unwrap(), "x");
    assert_eq!(arrived.from, "robot@contoso.com");
}

#[test]
fn without_rewrite_from_exchange_refuses_another_from() {
    let machine = Machine::new();
    machine.configure("rewrite_from = no");
    let run = machine.run("ann@example.com", "From: ops@contoso.com\n\nhello\n");
    run.exits(69);
    run.err_begins("exosend: accept: 554 5.2.252 SendAsDenied;");
    assert!(
        run.stderr
            .lines()
            .nth(1)
            .unwrap()
            .starts_with("exosend: hint: "),
        "{}",
        run.stderr
    );
}

/// The machine's name, up to its first dot.
pub(super) fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    name.trim().split('.').next().unwrap().to_owned()
}

/// The user who runs the tests.
pub(super) fn user() -> String {
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn on_host(user: &str) -> String {
    format!("{user} on {}", host())
}

#[test]
fn a_local_from_becomes_no_reply_to() {
    let machine = Machine::new();
    let host = host();
    for address in [
        format!("www-data@{host}"),
        format!("www-data@{host}.example.com"),
        "root".into(),
        "root@localhost".into(),
        "root@localhost.localdomain".into(),
        "root@web1.local".into(),
    ] {
        let message = format!("From: Web <{address}>\n\nhello\n");
        let arrived = machine.sendmail("ann@example.com", message);
        assert_eq!(arrived.header("From").unwrap(), "Web <robot@contoso.com>");
        assert_eq!(arrived.header("Reply-To"), None, "{address}");
    }
}

#[test]
fn from_without_a_name_gets_the_users() {
    let machine = Machine::new();
    for (more, from, name) in [
        ("", "root@web1", on_host("root")),
        ("", "cron@localhost (Cron Daemon)", "Cron Daemon".into()),
        ("", "", on_host(&user())),
        ("from_name = %u: ops", "root", "\"root: ops\"".into()),
    ] {
        machine.configure(more);
        let arrived = machine.sendmail("ann@example.com", format!("From: {from}\n\nhello\n"));
        let expected = format!("{name} <robot@contoso.com>");
        assert_eq!(arrived.header("From").unwrap(), expected, "{from}");
    }
    machine.configure("from_name = none");
    let arrived = machine.sendmail("ann@example.com", "From: root\n\nhello\n");
    assert_eq!(arrived.header("From").unwrap(), "robot@contoso.com");
}

#[test]
fn raw_bytes_in_the_header_become_encoded_words() {
    let machine = Machine::new();
    let message = b"From: J\xf6rg <root@box>\nTo: ann@example.com\nSubject: Gr\xc3\xbc\xc3\x9fe\n\nSch\xc3\xb6n\n";
    let arrived = machine.sendmail("-t", message);
    let head = "From: =?utf-8?b?SsO2cmc=?= <robot@contoso.com>\r\nTo: ann@example.com\r\n\
                Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n";
    assert!(arrived.text().starts_with(head), "{}", arrived.text());
    let tail = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                Sch\u{f6}n\r\n";
    assert!(arrived.text().ends_with(tail), "{}", arrived.text());
    assert_eq!(arrived.parameters[0], format!("SIZE={}", arrived.length));
    let arrived = machine.sendmail("ann@example.com", b"Subject: x\n\nSch\xf6n\n");
    assert_eq!(
        arrived.header("Content-Type").unwrap(),
        "text/plain; charset=windows-1252"
    );
    assert!(arrived.data.ends_with(b"\r\n\r\nSch\xf6n\r\n"));
    // The character set of a name may be guessed, that of an address must not.
    let arrived = machine.sendmail(
        &["ann@example.com"],
        b"From: J\xf6rg <j\xf6rg@example.org>\n\nx\n",
    );
    assert_eq!(
        arrived.header("From").unwrap(),
        "=?utf-8?b?SsO2cmc=?= <robot@contoso.com>"
    );
    assert_eq!(arrived.header("Reply-To"), None);
}

#[test]
fn a_bcc_gets_its_copy_or_the_message_fails() {
    let machine = Machine::new();
    let arrived = machine.sendmail(
        "-t",
        "\u{feff}To: a@example.com\r\r\nSubject: s\r\r\nBcc: hidden@example.com\r\r\n\r\r\nbody",
    );
    assert_eq!(arrived.to, ["a@example.com", "hidden@example.com"]);
    assert!(!arrived.text().contains("hidden"));
    assert!(arrived.text().ends_with("\r\n\r\nbody\r\n"));
    let run = machine.run(
        "a@example.com",
        "Subject: s\nhello\nBcc: hidden@example.com\n",
    );
    run.exits(65);
    run.err_begins("exosend: line 3: a Bcc, or not? ");
}

#[test]
fn rewrite_to_replaces_users_in_to() {
    let machine = Machine::new();
    machine.configure("local_recipient = Ops <ops@example.com>, it@example.com\nrewrite_to = yes");
    let arrived = machine.sendmail("-t", "To: root, \"Ann O.\" <ann@example.com>\n\nhello\n");
    assert_eq!(
        arrived.to,
        ["ops@example.com", "it@example.com", "ann@example.com"]
    );
    assert_eq!(
        arrived.header("To").unwrap(),
        "root <ops@example.com>, root <it@example.com>, \"Ann O.\" <ann@example.com>"
    );
}
