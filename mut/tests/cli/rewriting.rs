//! From, as Exchange takes it: the stand-in refuses the others after the whole body, as Exchange does.

use crate::exchange::Exchange;
use crate::machine::Machine;

#[test]
fn a_strange_from_becomes_the_mailbox_and_an_info_line_says_so() {
    let machine = Machine::new();
    let message = "From: \"Other, Ann\" <ann@example.org>\nSender: root@web1\nDKIM-Signature: v=1; b=abc\nTo: x@example.com\n\nhello\n";
    let mut command = machine.command("exosend");
    let run = crate::machine::finish(command.env("RUST_LOG", "info").arg("-t"), message);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.starts_with(
        "exosend: From ann@example.org: not the mailbox, sent as robot@contoso.com\n"
    ));
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
fn what_the_mailbox_may_send_as_stays() {
    let machine = Machine::with(Exchange::builder().send_as("ops@contoso.com").start());
    machine.configure("send_as = it@contoso.com, OPS@contoso.com");
    let arrived = machine.sendmail(
        &["ann@example.com"],
        "From: Ops <ops@contoso.com>\nDKIM-Signature: x\n\nhello\n",
    );
    assert_eq!(arrived.header("From").unwrap(), "Ops <ops@contoso.com>");
    assert_eq!(arrived.header("DKIM-Signature").unwrap(), "x");
    assert_eq!(arrived.from, "robot@contoso.com");
}

#[test]
fn whoever_turns_it_off_is_refused_by_exchange() {
    let machine = Machine::new();
    machine.configure("rewrite_from = no");
    let run = machine.run(&["ann@example.com"], "From: ops@contoso.com\n\nhello\n");
    assert_eq!(run.code, 69, "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("exosend: accept: 554 5.2.252 SendAsDenied;"),
        "{}",
        run.stderr
    );
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

#[test]
fn the_machines_own_addresses_are_nobodys_reply_to() {
    let machine = Machine::new();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let host = host.trim();
    for address in [
        format!("www-data@{host}"),
        format!("www-data@{host}.example.com"),
        "root".into(),
        "root@localhost".into(),
        "root@localhost.localdomain".into(),
        "root@web1.local".into(),
    ] {
        let message = format!("From: Web <{address}>\n\nhello\n");
        let arrived = machine.sendmail(&["ann@example.com"], message);
        assert_eq!(arrived.header("From").unwrap(), "Web <robot@contoso.com>");
        assert_eq!(arrived.header("Reply-To"), None, "{address}");
    }
}
