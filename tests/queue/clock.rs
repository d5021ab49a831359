//! Waits and ages on a machine whose wall clock is wrong.

use super::harness::{NOTE, Queue, minutes};

const YEAR_2026: u64 = 1_796_000_000;

#[test]
fn a_clock_that_jumps_to_1970_and_back_ages_no_message_and_stops_none() {
    let queue = Queue::new();
    queue.set_clock("first", 100, 5);
    queue.submit("ann@example.com", NOTE);
    queue.exchange.says("Rcpt 450 4.2.1 later");
    assert_eq!(queue.run(), 0);
    // NTP, within the same boot: the first pause is a minute.
    queue.set_clock("first", 130, YEAR_2026);
    queue.run();
    assert_eq!(queue.log("deferred").len(), 1, "not due");
    queue.set_clock("first", 170, YEAR_2026 + 40);
    queue.run();
    assert_eq!(queue.log("deferred").len(), 2);
    // Another boot, in 1970 again: a wait that began in the future counts as over.
    queue.set_clock("second", 10, 7);
    queue.run();
    assert_eq!(queue.log("deferred").len(), 3);
    queue.set_clock("second", 20, YEAR_2026 + 1_000_000_000);
    queue.pass(minutes(60));
    queue.run();
    assert_eq!(
        (queue.waiting(), queue.count("failed")),
        (1, 0),
        "not 30 years old"
    );
    queue.exchange.says("Rcpt 250 2.1.5 ok");
    assert_eq!(queue.run_now(), 0);
    assert_eq!(queue.arrived().len(), 1);
}

#[test]
fn a_given_up_message_is_kept_for_a_month_by_any_clock() {
    let queue = Queue::new();
    queue.set_clock("first", 100, YEAR_2026);
    queue.give_up();
    for (days, wall, kept) in [
        (2, YEAR_2026 + 1_000_000_000, 1),
        (29, 5, 1),
        (31, YEAR_2026, 0),
    ] {
        queue.set_clock("first", 100 + days * 86_400, wall);
        // An idle run removes nothing.
        queue.submit(&["ann@example.com"], NOTE);
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.count("failed"), kept, "{days} days later");
    }
}

#[test]
fn a_lost_or_damaged_state_costs_an_attempt_and_no_message() {
    let queue = Queue::new();
    queue.submit("ann@example.com", NOTE);
    queue.exchange.says("Greeting hangs up");
    queue.run();
    let state = queue.path("state/mailbox");
    for damage in [
        &b""[..],
        &[0; 4096],
        b"mailbox robot@contoso.com\nwait 99999999999999999999\nwait x\nsent\nsent a b c\n",
        &[0xff; 300],
    ] {
        std::fs::write(&state, damage).unwrap();
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.waiting(), 1);
    }
    assert_eq!(queue.log("held").len(), 5, "{:?}", queue.log("held"));
    queue.exchange.says("Greeting 220 well");
    queue.submit("bob@example.com", NOTE);
    assert_eq!(queue.run_now(), 0);
    assert_eq!(queue.arrived().len(), 2);
}
