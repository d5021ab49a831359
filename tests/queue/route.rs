//! Whether a message is sent at once, queued, or queued after a failure.

use super::harness::{NOTE, Queue};
use crate::exchange::Exchange;

#[test]
fn with_queue_off_or_v_a_message_is_sent_at_once() {
    let queue = Queue::new();
    let run = queue.call("sendmail -v ann@example.com", NOTE);
    assert_eq!(
        (run.code, queue.arrived().len(), queue.waiting()),
        (0, 1, 0)
    );
    queue.configure("queue = off");
    queue.submit("ann@example.com", NOTE);
    assert_eq!((queue.arrived().len(), queue.waiting()), (2, 0));
    // `send` without `--queue` sends at once, and prints the reply.
    queue.configure("");
    let run = queue.exosend("send --to ann@example.com --subject x --text x", "");
    run.out_begins("250 ");
    assert_eq!((queue.arrived().len(), queue.waiting()), (3, 0));
}

#[test]
fn commands_on_a_machine_without_a_queue() {
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
fn fallback_queues_a_message_that_fails_for_the_mailboxs_sake() {
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
        let queue = Queue::new();
        queue.configure("queue = fallback");
        queue.exchange.says(fault);
        let run = queue.call("sendmail ann@example.com", NOTE);
        let ended = format!("{} {}", run.code, queue.waiting());
        assert_eq!(ended, end, "{row}: {}", run.stderr);
        assert_eq!(
            run.stderr.is_empty(),
            run.code == 0,
            "{row}: {}",
            run.stderr
        );
    }
    let queue = Queue::with(Exchange::builder().discard_bodies().start());
    queue.configure("queue = fallback");
    let long = format!("Subject: x\n\n{}", "x\n".repeat(1_000_000));
    queue.exchange.says_nth(1, "Greeting hangs up");
    queue.submit("ann@example.com", &long);
    assert_eq!((queue.arrived().len(), queue.waiting()), (0, 1));
    assert_eq!(queue.run(), 0);
    assert_eq!(queue.arrived().len(), 1);
    queue.submit("ann@example.com", &long);
    assert_eq!(
        (queue.arrived().len(), queue.waiting()),
        (2, 0),
        "sent at once"
    );
    let body = |n: usize| queue.arrived()[n].length / 1000;
    assert_eq!(body(0), body(1), "all of it, both times");
}

#[test]
fn a_users_account_without_spool_does_not_use_the_machines() {
    let queue = Queue::new();
    queue.machine.configure("");
    std::fs::create_dir_all(queue.path("drop")).unwrap();
    queue.submit("ann@example.com", NOTE);
    assert_eq!((queue.arrived().len(), queue.waiting()), (1, 0));
}

#[test]
fn wrong_values_of_the_queues_keys_are_named() {
    let queue = Queue::new();
    for row in [
        "queue = maybe => takes first, fallback or off",
        "queue_lifetime = soon => takes a time as 90s, 15m, 36h or 7d",
        "queue_lifetime = 0 => takes a time as 90s, 15m, 36h or 7d",
        "connections = 21 => takes a number from 0 to 20",
        "rate = -1 => takes a number from 0 to 1000",
    ] {
        let (line, what) = row.split_once(" => ").unwrap();
        queue.configure(line);
        let run = queue.call("sendmail ann@example.com", NOTE);
        assert_eq!(run.code, 78, "{line}");
        run.err_has(what);
    }
    queue.machine.configure("spool = relative");
    assert_eq!(queue.call("sendmail ann@example.com", NOTE).code, 78);
}
