//! Names without a domain, aliases, and partial delivery.

use super::rewriting::host;
use crate::exchange::Exchange;
use crate::machine::Machine;

const NOTE: &str = "To: root\nSubject: x\n\nhello\n";

#[test]
fn a_name_without_a_domain_needs_local_recipient() {
    let machine = Machine::new();
    let run = machine.run("-t", NOTE);
    run.exits(67).err("exosend: recipient <root>: a name without a domain: set `local_recipient` to where its mail goes\n");
    machine.nobody_called();
    machine.configure("local_recipient = ops@example.com");
    for arguments in [
        &["-t"][..],
        &["root"],
        &["www-data@localhost"],
        &["Root <root@LOCALHOST.localdomain>"],
        &["root@localhost6"],
        &["root@ip6-localhost"],
        &["root@[127.0.0.1]"],
        &["\"root\"@localhost"],
        &[&format!("root@{}", host())],
        &[&format!("root@{}.localdomain", host())],
    ] {
        assert_eq!(
            machine.sendmail(arguments, NOTE).to,
            ["ops@example.com"],
            "{arguments:?}"
        );
    }
    machine.configure(
        "local_domains = office.example.\nlocal_recipient = Ops <ops@example.com>, it@example.com",
    );
    let arrived = machine.sendmail("root@Office.Example", NOTE);
    assert_eq!(arrived.to, ["ops@example.com", "it@example.com"]);
    // An error at every start, and not only at root's first mail.
    for row in [
        "ops => `ops` needs a domain",
        "ops@example.com, not an address => `not an address` is no address",
        "ops@-x => message to: `ops@-x`: what follows the @ is not a domain",
    ] {
        let (value, error) = row.split_once(" => ").unwrap();
        machine.configure(&format!("local_recipient = {value}"));
        let run = machine.run("ann@example.com", NOTE);
        let file = machine.path("home/.config/exosend.conf");
        run.exits(78);
        run.err_begins(&format!(
            "exosend: {}:8: local_recipient: {error}\n",
            file.display()
        ));
    }
}

/// Lines as in real files of aliases.
#[test]
fn aliases() {
    let machine = Machine::new();
    let chain = |n: usize| {
        (0..n)
            .map(|n| format!("a{n}: a{}\n", n + 1))
            .collect::<String>()
    };
    let wide: String = (0..9)
        .map(|n| format!("w{n}:{}\n", format!(" w{},", n + 1).repeat(8)))
        .collect();
    let path = machine.write(
        "aliases",
        &format!(
            "\u{feff}postmaster:    root\n# comment\nroot: ann@example.com,\n  \"Bob, B\" <bob@example.com>, admin\nphrase: Ray, Ann <ann@example.com>\nadmin: Postmaster, cid@example.com\n\
             me: me, ann@example.com\nself: \\self, ann@example.com\nnobody: /dev/null\nsome: /dev/null, ann@example.com\n\
             procmail: \"|/usr/bin/procmail\"\nfile: /var/mail/x\nlist: :include:/etc/list\n\
             short: a2\na10: ann@example.com\nquoted: \"ann@example.com\"\nempty: ,\nlatin: j\u{fffd}rg@example.com\n{}{wide}w9: ann@example.com\n",
            chain(10)
        ),
    );
    let configure =
        |more: &str| machine.configure(&format!("aliases = {}\n{more}", path.display()));
    configure("local_recipient = ops@example.com");
    let (ann, ops) = ("ann@example.com", "ops@example.com");
    let roots = [ann, "bob@example.com", "cid@example.com", ops];
    for (name, expected) in [
        // A name that leads to itself goes to `local_recipient`.
        ("ROOT", &roots[..]),
        ("Postmaster@localhost", &roots[..]),
        ("me", &[ann, ops]),
        ("self", &[ann, ops]),
        ("some", &[ann]),
        ("unknown", &[ops]),
        ("phrase", &[ann]),
        ("short", &[ann]),
        ("quoted", &[ann]),
        ("empty", &[ops]),
        // Each name is looked up once: 8 to the 9th power would be too many.
        ("w0", &[ann]),
    ] {
        assert_eq!(machine.sendmail(&[name], NOTE).to, expected, "{name}");
    }
    let before = machine.exchange.settle().delivered().len();
    let run = machine.run("nobody", NOTE);
    run.exits(0).err("");
    assert_eq!(machine.exchange.settle().delivered().len(), before);
    for (name, line, member) in [
        ("procmail", 11, "\"|/usr/bin/procmail\""),
        ("file", 12, "/var/mail/x"),
        ("list", 13, ":include:/etc/list"),
    ] {
        let run = machine.run(&[name], NOTE);
        let expected = format!(
            "exosend: {}:{line}: {name}: `{member}`: only addresses and other aliases are possible here\n\
             exosend: more: exosend doctor\n",
            path.display()
        );
        run.exits(78).err(&expected);
    }
    // An address with a byte that is not UTF-8 may be anybody's.
    let run = machine.run(&["latin"], NOTE);
    let expected = "latin: `j\u{fffd}rg@example.com` is no address";
    run.exits(78);
    run.err_has(expected);
    configure("");
    assert_eq!(machine.sendmail("me", NOTE).to, [ann]);
    let unset = "exosend: recipient <unknown>: a name without a domain: set `local_recipient` to where its mail goes\n";
    let run = machine.run("unknown", NOTE);
    run.exits(67).err(unset);
    let run = machine.run("a0", NOTE);
    let deep = "exosend: recipient <a0>: its aliases lead over 10 steps or 1000 names\n";
    run.exits(67).err(deep);
    for all in ["default", "*"] {
        machine.write(
            "aliases",
            &format!("root: ann@example.com\n{all}: ops@example.com\nme: me\n"),
        );
        assert_eq!(machine.sendmail("root www-data", NOTE).to, [ann, ops]);
        assert_eq!(machine.run("me", NOTE).code, 67);
    }
    machine.configure("aliases = /nonexistent/aliases");
    let run = machine.run("root", NOTE);
    let expected = ".conf:8: aliases: /nonexistent/aliases: cannot be read: ";
    run.exits(78);
    run.err_has(expected);
    // The file of aliases is not needed for an address.
    machine.sendmail("ann@example.com", NOTE);
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
    run.exits(67);
    run.err_begins("exosend: recipient <bob@example.com>: 550 5.1.10 Recipient not found (and 1 more refused)\n");
    assert!(machine.exchange.settle().delivered().is_empty());

    machine.configure("partial = true");
    let run = machine.run(&everybody, NOTE);
    run.exits(67).err("exosend: recipient <bob@example.com>: 550 5.1.10 Recipient not found (and 1 more refused)\n\
              exosend: hint: the other recipients get the message (partial = true)\n");
    assert_eq!(machine.last().to, ["ann@example.com"]);
    // Not 75: to try again would deliver twice to ann.
    assert_eq!(
        machine.run("ann@example.com cid@example.com", NOTE).code,
        67
    );
    // If no recipient is left, the failure is the same as without partial delivery.
    assert_eq!(machine.run("cid@example.com", NOTE).code, 75);
}

#[test]
fn a_recipient_that_is_no_address_is_refused_before_anything_connects() {
    let machine = Machine::new();
    machine.ends(
        NOTE,
        &[
            "'ann@exa mple.com' => 65 recipient: `ann@exa mple.com` is no address",
            "ann@example.com\r\nDATA => 65 recipient: `ann@",
            "\"ann@x => 65 recipient: a quote is not closed",
            "ann@exa..mple => 65 message to: `ann@exa..mple`",
            "'<ann@example.com> bob@example.com' => 65 recipient: `<ann@example.com> bob@example.com`: two addresses",
            " => 64 no recipient: ",
        ],
    );
    for row in [
        "To: Undisclosed recipients => To: `Undisclosed recipients` is no address",
        "To: =?utf-8?q?ann=40example=2Ecom?= => To: `=?utf-8?q?ann=40example=2Ecom?=` is no address",
        "To: victim@example.com: eve@example.org => To: `victim@example.com:` is no name of a group",
        "To: Ann <ann@example.com => To: a `<` is not closed",
        "To: <> => no recipient in To, Cc or Bcc",
        "To: \"A\" <a@example.com> bob@example.com => To: `\"A\" <a@example.com> bob@example.com`: two addresses",
        "Subject: x => no recipient in To, Cc or Bcc",
    ] {
        let (header, error) = row.split_once(" => ").unwrap();
        machine.ends(&format!("{header}\n\nx"), &[&format!("-t => 65 {error}")]);
    }
}

#[test]
fn a_quoted_name_may_contain_separators() {
    let machine = Machine::new();
    let message = "To: Smith, John <john@example.com>, =?UTF-8?Q?M=C3=BCller;_J?= <j@example.com>,\n \
                   [Ticket 5 <t@example.com>\n\nx\n";
    let to = ["john", "j", "t"].map(|name| format!("{name}@example.com"));
    assert_eq!(machine.sendmail("-t", message).to, to);
}

#[test]
fn partial_delivery_skips_what_is_no_address() {
    let machine = Machine::new();
    let message = "To: ann@example.com, broken@@y, cid@example.com\nCc: bob@exa..mple\n\nx\n";
    assert_eq!(machine.run("-t", message).code, 65);
    machine.nobody_called();
    machine.configure("partial = true");
    let run = machine.run("-t", message);
    run.exits(67);
    run.err_begins("exosend: recipient To: `broken@@y` is no address (and 1 more refused)\n");
    assert_eq!(machine.last().to, ["ann@example.com", "cid@example.com"]);
    assert_eq!(machine.run("-t", "To: broken@@y\n\nx\n").code, 65);
    let to = "ann@example.com, broken@@y, bob@exa..mple";
    let run = machine.run(&["send", "--to", to, "--text", "x"], "");
    run.exits(67);
    assert_eq!(machine.last().to, ["ann@example.com"]);
}

#[test]
fn partial_delivery_skips_a_user_that_leads_nowhere() {
    let machine = Machine::new();
    let message = "To: ann@example.com, root\n\nx\n";
    assert_eq!(machine.run("-t", message).code, 67);
    machine.nobody_called();
    machine.configure("partial = true");
    let run = machine.run("-t", message);
    run.exits(67);
    run.err_begins("exosend: recipient <root>: a name without a domain");
    assert_eq!(machine.last().to, ["ann@example.com"]);
    assert_eq!(machine.run("-t", "To: root\n\nx\n").code, 67);
}

#[test]
fn an_empty_address_in_a_list_is_ignored() {
    let machine = Machine::new();
    let delivered = machine.sendmail("-t", "To: ann@example.com\nCc: <>\n\nx\n");
    assert_eq!(delivered.to, ["ann@example.com"]);
}

#[test]
fn after_two_dashes_there_are_recipients_only() {
    let machine = Machine::new();
    machine.configure("local_recipient = ops@example.com");
    let delivered = machine.sendmail("-- token", NOTE);
    assert_eq!(delivered.to, ["ops@example.com"]);
}
