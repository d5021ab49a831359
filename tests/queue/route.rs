//! Whether a message is sent at once, queued, or queued after a failure.

use super::office::{NOTE, Office};
use crate::exchange::Exchange;

#[test]
fn with_queue_off_or_v_a_message_is_sent_at_once() {
    let office = Office::new();
    let run = office.call("sendmail -v ann@example.com", NOTE);
    assert_eq!(
        (run.code, office.arrived().len(), office.waiting()),
        (0, 1, 0)
    );
    office.configure("queue = off");
    office.submit("ann@example.com", NOTE);
    assert_eq!((office.arrived().len(), office.waiting()), (2, 0));
    // `send` without `--queue` sends at once, and prints the reply.
    office.configure("");
    let run = office.exosend("send --to ann@example.com --subject x --text x", "");
    run.out_begins("250 ");
    assert_eq!((office.arrived().len(), office.waiting()), (3, 0));
}

#[test]
fn without_a_queue() {
    let machine = crate::machine::Machine::new();
    for name in ["exosend", "sendmail"] {
        let run = machine.call(&format!("{name} -bp"), "");
        run.exits(0).out("Mail queue is empty\n");
        machine.call(&format!("{name} -q"), "").exits(0);
    }
    assert_eq!(machine.run("queue run", "").code, 0);
    let run = machine.run("send --queue --to ann@example.com --subject x --text x", "");
    run.exits(75);
    machine.nobody_called();
}

#[test]
fn fallback_queues_a_message_if_the_mailbox_is_the_reason() {
    for row in [
        "Greeting hangs up => 0 1",
        "AuthBlob 535 5.7.3 Authentication unsuccessful => 0 1",
        "Accept 451 4.7.500 Server busy => 0 1",
        "Accept 550 5.2.251 Sender throttled => 0 1",
        "Accept 554 5.2.0 SubmissionQuotaExceededException => 0 1",
        "Ehlo 250 no STARTTLS here => 0 1",
        "Accept 554 5.6.0 Corrupt message content => 69 0",
        "Rcpt 550 5.1.10 Recipient not found => 67 0",
        // In doubt it is not queued, because it might arrive twice: the caller decides.
        "Accept hangs up => 74 0",
    ] {
        let (fault, end) = row.split_once(" => ").unwrap();
        let office = Office::new();
        office.configure("queue = fallback");
        office.exchange.says(fault);
        let run = office.call("sendmail ann@example.com", NOTE);
        let ended = format!("{} {}", run.code, office.waiting());
        assert_eq!(ended, end, "{row}: {}", run.stderr);
        assert_eq!(
            run.stderr.is_empty(),
            run.code == 0,
            "{row}: {}",
            run.stderr
        );
    }
    let office = Office::with(Exchange::builder().discard_bodies().start());
    office.configure("queue = fallback");
    let long = format!("Subject: x\n\n{}", "x\n".repeat(1_000_000));
    office.exchange.says_nth(1, "Greeting hangs up");
    office.submit("ann@example.com", &long);
    assert_eq!((office.arrived().len(), office.waiting()), (0, 1));
    assert_eq!(office.run(), 0);
    assert_eq!(office.arrived().len(), 1);
    office.submit("ann@example.com", &long);
    assert_eq!(
        (office.arrived().len(), office.waiting()),
        (2, 0),
        "straight"
    );
    let body = |n: usize| office.arrived()[n].length / 1000;
    assert_eq!(body(0), body(1), "all of it, both times");
}

#[test]
fn an_account_without_spool_does_not_use_the_machines() {
    let office = Office::new();
    office.machine.configure("");
    // The account is the user's own, so the machine's folder is not used.
    std::fs::create_dir_all(office.path("drop")).unwrap();
    office.submit("ann@example.com", NOTE);
    assert_eq!((office.arrived().len(), office.waiting()), (1, 0));
}

#[test]
fn wrong_values_of_the_queues_keys() {
    let office = Office::new();
    for row in [
        "queue = maybe => takes first, fallback or off",
        "queue_lifetime = soon => takes a time as 90s, 15m, 36h or 7d",
        "queue_lifetime = 0 => takes a time as 90s, 15m, 36h or 7d",
        "connections = 21 => takes a number from 0 to 20",
        "rate = -1 => takes a number from 0 to 1000",
    ] {
        let (line, what) = row.split_once(" => ").unwrap();
        office.configure(line);
        let run = office.call("sendmail ann@example.com", NOTE);
        assert_eq!(run.code, 78, "{line}");
        run.err_has(what);
    }
    office.machine.configure("spool = relative");
    assert_eq!(office.call("sendmail ann@example.com", NOTE).code, 78);
}
