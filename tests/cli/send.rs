//! `exosend send`.

use mail_parser::{MessageParser, MimeHeaders};

use crate::machine::Machine;

#[test]
fn everything_at_once() {
    let machine = Machine::new();
    machine.configure("local_recipient = ops@example.com");
    machine.write("page.html", "<p>h\u{e9}llo</p>");
    machine.write("a.csv", "disk,percent\n");
    machine.write("b.txt", "b\n");
    let arguments = "send --to 'Ann <ann@example.com>, \"B, Bob\" <bob@example.com>' --to root \
        --cc cid@example.com --bcc eve@example.com --from 'Night Job <robot@contoso.com>' \
        --reply-to help@contoso.com --subject b\u{e4}ckup --text 'hello\n' --html page.html \
        --attach a.csv --attach b.txt --header 'Importance: high'";
    let run = machine.run(arguments, "");
    run.exits(0).err("");
    assert!(
        run.stdout.starts_with("250 2.0.0 OK ") && run.stdout.lines().count() == 1,
        "{}",
        run.stdout
    );
    let arrived = machine.last();
    let everybody =
        "ann@example.com bob@example.com ops@example.com cid@example.com eve@example.com";
    assert_eq!(arrived.to.join(" "), everybody);
    let message = MessageParser::default().parse(&arrived.data).unwrap();
    assert_eq!(message.subject(), Some("b\u{e4}ckup"));
    let names: Vec<_> = message
        .to()
        .unwrap()
        .iter()
        .map(|a| (a.name(), a.address().unwrap()))
        .collect();
    assert_eq!(
        names,
        [
            (Some("Ann"), "ann@example.com"),
            (Some("B, Bob"), "bob@example.com"),
            (None, "ops@example.com")
        ]
    );
    assert_eq!(
        message.from().unwrap().first().unwrap().name(),
        Some("Night Job")
    );
    assert_eq!(
        message.reply_to().unwrap().first().unwrap().address(),
        Some("help@contoso.com")
    );
    assert_eq!(message.body_text(0).unwrap(), "hello\r\n");
    assert_eq!(message.body_html(0).unwrap().trim(), "<p>h\u{e9}llo</p>");
    let attached: Vec<_> = message
        .attachments()
        .map(|a| a.attachment_name().unwrap().to_owned())
        .collect();
    assert_eq!(attached, ["a.csv", "b.txt"]);
    assert_eq!(arrived.header("Importance").as_deref(), Some("high"));
    assert!(!arrived.text().contains("eve@"));
}

#[test]
fn the_text_is_stdin() {
    let machine = Machine::new();
    let send = |arguments: &[&str], input: &[u8]| {
        let run = machine.run(
            &[&["send", "--to", "ann@example.com"], arguments].concat(),
            input,
        );
        run.exits(0);
        let arrived = machine.last();
        let message = MessageParser::default().parse(&arrived.data).unwrap();
        (
            message.body_text(0).map(std::borrow::Cow::into_owned),
            run.stderr,
        )
    };
    assert_eq!(
        send(&["--subject", "x"], b"from: stdin\n\n.\n")
            .0
            .as_deref(),
        Some("from: stdin\r\n\r\n.\r\n")
    );
    assert_eq!(
        send(&[], b"no subject").0.as_deref(),
        Some("no subject\r\n")
    );
    // A report is sent even if a byte of it is not UTF-8.
    let (text, stderr) = send(&["--subject", "x"], b"caf\xe9\n");
    assert_eq!(text.as_deref(), Some("caf\u{fffd}\r\n"));
    assert_eq!(
        stderr,
        "exosend: warning: stdin: not UTF-8; what is not is sent as U+FFFD\n"
    );
}

#[test]
fn options_of_all_subcommands() {
    let machine = Machine::new();
    let send = ["send", "--to", "ann@example.com", "--subject", "x"];
    let run = machine.run(
        &[&send[..], &["--quiet", "--set", "timeout=9"]].concat(),
        "x",
    );
    run.exits(0).out("").err("");
    let run = machine.run(&[&send[..], &["-v"]].concat(), "x");
    run.err_has("C: MAIL FROM:<robot@contoso.com>");
}

#[test]
fn a_message_that_cannot_be_sent_is_refused_before_anything_connects() {
    let machine = Machine::new();
    machine.ends(
        "",
        &[
            "send --subject x => 64 no recipient: --to, --cc or --bcc",
            "send --to ann@example.com --bogus => 64 invalid option '--bogus'",
            "send --to ann@example.com stray => 64 unexpected argument \"stray\"",
            "send --to '\"ann@example.com' --text x => 65 --to: a quote is not closed",
            "send --to ann@example.com --header x => 64 --header takes 'Name: value'",
            "send --to ann@example.com --header 'Subject: x' --text x => 65 message ",
            "send --to ann@example.com --subject 'a\nBcc: eve@example.com' --text x => 65 message subject: ",
            "send --to 'ann@exa mple.com' --text x => 65 --to: `ann@exa mple.com` is no address",
            "send --to ann --text x => 67 recipient <ann>: a name without a domain",
            "send --to ann@example.com --text x --attach none => 66 none: No such file",
            "send --to ann@example.com --text x --html none => 66 none: No such file",
        ],
    );
}

#[test]
fn help_and_version() {
    let machine = Machine::new();
    for (arguments, begin) in [
        (&["--help"][..], "exosend [flags]"),
        (&["-h"], "exosend [flags]"),
        (&["send", "--help"], "exosend send:"),
        (&["send", "-h"], "exosend send:"),
        (&["token", "--help"], "exosend token:"),
        (
            &["--version"],
            concat!("exosend ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
        (
            &["send", "--version"],
            concat!("exosend ", env!("CARGO_PKG_VERSION"), "\n"),
        ),
    ] {
        let run = machine.run(arguments, "");
        run.exits(0).err("");
        run.out_begins(begin);
    }
    let run = machine.call("sendmail --help", "");
    run.out_begins("exosend [flags]");
}
