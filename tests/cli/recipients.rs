//! Names without a domain, aliases, and delivery to some.

use crate::exchange::Exchange;
use crate::machine::Machine;

const NOTE: &str = "To: root\nSubject: x\n\nhello\n";

#[test]
fn a_name_needs_somewhere_to_go() {
    let machine = Machine::new();
    let run = machine.run(&["-t"], NOTE);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            67,
            "exosend: recipient <root>: a name without a domain: set `local_recipient` to where its mail goes\n"
        )
    );
    machine.nobody_called();
    machine.configure("local_recipient = ops@example.com");
    for arguments in [
        &["-t"][..],
        &["root"],
        &["www-data@localhost"],
        &["Root <root@LOCALHOST.localdomain>"],
    ] {
        assert_eq!(
            machine.sendmail(arguments, NOTE).to,
            ["ops@example.com"],
            "{arguments:?}"
        );
    }
    machine.configure("local_recipient = ops");
    let run = machine.run(&["-t"], NOTE);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            78,
            "exosend: local_recipient: ops: needs a domain\nexosend: more: exosend doctor\n"
        )
    );
}

#[test]
fn aliases() {
    let machine = Machine::new();
    let aliases = machine.write(
        "aliases",
        "# comment\npostmaster:    root\nroot: ann@example.com,\n  \"Bob B\" <bob@example.com>, admin\nadmin: Postmaster, cid@example.com\n\
         loop: pool\npool: loop\nprocmail: \"|/usr/bin/procmail\"\nfile: /var/mail/x\nlist: :include:/etc/list\nempty:\n",
    );
    machine.configure(&format!(
        "aliases = {}\nlocal_recipient = ops@example.com",
        aliases.display()
    ));
    let run = machine.run(&["ROOT"], NOTE);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            67,
            "exosend: recipient <ROOT>: its aliases go round in a circle\n"
        )
    );
    machine.write("aliases", "postmaster: root\nroot: ann@example.com,\n bob@example.com, nobody\n\nprocmail: \"|/usr/bin/procmail\"\nfile: /var/mail/x\nlist: :include:/etc/list\n");
    let arrived = machine.sendmail(&["Postmaster@localhost"], NOTE);
    assert_eq!(
        arrived.to,
        ["ann@example.com", "bob@example.com", "ops@example.com"]
    );
    assert_eq!(machine.sendmail(&["unknown"], NOTE).to, ["ops@example.com"]);
    for (name, line, member) in [
        ("procmail", 5, "\"|/usr/bin/procmail\""),
        ("file", 6, "/var/mail/x"),
        ("list", 7, ":include:"),
    ] {
        let run = machine.run(&[name], NOTE);
        let expected = format!(
            "exosend: {}:{line}: {name}: `{member}`: only addresses and other aliases are possible here\nexosend: more: exosend doctor\n",
            aliases.display()
        );
        assert_eq!((run.code, run.stderr), (78, expected));
    }
    machine.configure("aliases = /nonexistent/aliases");
    let run = machine.run(&["root"], NOTE);
    assert_eq!(run.code, 78);
    assert!(
        run.stderr
            .starts_with("exosend: /nonexistent/aliases: cannot be read: "),
        "{}",
        run.stderr
    );
    // Nobody needs it for an address.
    machine.sendmail(&["ann@example.com"], NOTE);
}

#[test]
fn one_refusal_stops_the_message_unless_partial_is_set() {
    let machine = Machine::with(
        Exchange::builder()
            .refuse("bob@example.com", "550 5.1.10 Recipient not found")
            .refuse("cid@example.com", "452 4.5.3 later")
            .start(),
    );
    let everybody = ["ann@example.com", "bob@example.com", "cid@example.com"];
    let run = machine.run(&everybody, NOTE);
    assert_eq!(run.code, 67);
    assert!(run.stderr.starts_with("exosend: recipient <bob@example.com>: 550 5.1.10 Recipient not found (and 1 more refused)\n"), "{}", run.stderr);
    assert!(machine.exchange.settle().delivered().is_empty());

    machine.configure("partial = true");
    let run = machine.run(&everybody, NOTE);
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            67,
            "exosend: recipient <bob@example.com>: 550 5.1.10 Recipient not found (and 1 more refused)\n\
              exosend: hint: the other recipients get the message (partial = true)\n"
        )
    );
    assert_eq!(machine.last().to, ["ann@example.com"]);
    // To try again would deliver twice to ann, so it is not 75.
    assert_eq!(
        machine
            .run(&["ann@example.com", "cid@example.com"], NOTE)
            .code,
        67
    );
    // With nobody left it is what it is without partial delivery.
    assert_eq!(machine.run(&["cid@example.com"], NOTE).code, 75);
}

#[test]
fn what_is_no_address_is_found_before_anything_connects() {
    let machine = Machine::new();
    for (arguments, message, code, error) in [
        (&["ann@exa mple.com"][..], NOTE, 65, "message to: "),
        (&["ann@example.com\r\nDATA"], NOTE, 65, "message to: "),
        (
            &["\"ann@example.com"],
            NOTE,
            64,
            "recipient \"ann@example.com: a quote is not closed",
        ),
        (
            &["-t"],
            "To: Ann <ann@example.com\n\nx",
            65,
            "To: a `<` is not closed",
        ),
        (&["-t"], "To: <>\n\nx", 65, "no recipient in To, Cc or Bcc"),
        (
            &["-t"],
            "To: \"Ann\" <ann@example.com> bob@example.com\n\nx",
            65,
            "To: two addresses without a comma",
        ),
        (
            &["<ann@example.com> bob@example.com"],
            NOTE,
            64,
            "recipient <ann@example.com> bob@example.com: two addresses",
        ),
        (
            &["-t"],
            "Subject: x\n\nx",
            65,
            "no recipient in To, Cc or Bcc",
        ),
        (&[], NOTE, 64, "no recipient: "),
    ] {
        let run = machine.run(arguments, message);
        assert_eq!(run.code, code, "{arguments:?}: {}", run.stderr);
        assert!(
            run.stderr.starts_with(&format!("exosend: {error}")),
            "{arguments:?}: {}",
            run.stderr
        );
    }
    machine.nobody_called();
}

#[test]
fn an_empty_address_in_a_list_is_nobody() {
    let machine = Machine::new();
    let delivered = machine.sendmail(&["-t"], "To: ann@example.com\nCc: <>\n\nx\n");
    assert_eq!(delivered.to, ["ann@example.com"]);
}

#[test]
fn behind_two_dashes_there_are_recipients_only() {
    let machine = Machine::new();
    machine.configure("local_recipient = ops@example.com");
    let delivered = machine.sendmail(&["--", "token"], NOTE);
    assert_eq!(delivered.to, ["ops@example.com"]);
}
