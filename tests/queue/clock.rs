//! A machine whose clock is wrong.

use super::office::{NOTE, Office, minutes};

const YEAR_2026: u64 = 1_796_000_000;

#[test]
fn a_clock_that_jumps_to_1970_and_back_ages_no_message_and_stops_none() {
    let office = Office::new();
    office.set_clock("first", 100, 5);
    office.submit("ann@example.com", NOTE);
    office.exchange.says("Rcpt 450 4.2.1 later");
    assert_eq!(office.run(), 0);
    // NTP, within the same boot: the first pause is a minute.
    office.set_clock("first", 130, YEAR_2026);
    office.run();
    assert_eq!(office.log("deferred").len(), 1, "not due");
    office.set_clock("first", 170, YEAR_2026 + 40);
    office.run();
    assert_eq!(office.log("deferred").len(), 2);
    // Another boot, in 1970 again: a wait that began in the future counts as over.
    office.set_clock("second", 10, 7);
    office.run();
    assert_eq!(office.log("deferred").len(), 3);
    office.set_clock("second", 20, YEAR_2026 + 1_000_000_000);
    office.pass(minutes(60));
    office.run();
    assert_eq!(
        (office.waiting(), office.count("failed")),
        (1, 0),
        "not 30 years old"
    );
    office.exchange.says("Rcpt 250 2.1.5 ok");
    assert_eq!(office.run_now(), 0);
    assert_eq!(office.arrived().len(), 1);
}

#[test]
fn a_given_up_message_is_kept_for_a_month_by_any_clock() {
    let office = Office::new();
    office.set_clock("first", 100, YEAR_2026);
    office
        .exchange
        .says_nth(1, "Accept 554 5.6.0 Corrupt message content");
    office.submit(&["ann@example.com"], NOTE);
    assert_eq!(office.run(), 0);
    for (days, wall, kept) in [
        (2, YEAR_2026 + 1_000_000_000, 1),
        (29, 5, 1),
        (31, YEAR_2026, 0),
    ] {
        office.set_clock("first", 100 + days * 86_400, wall);
        // An idle run removes nothing.
        office.submit(&["ann@example.com"], NOTE);
        assert_eq!(office.run(), 0);
        assert_eq!(office.count("failed"), kept, "{days} days later");
    }
}

#[test]
fn a_lost_or_damaged_state_costs_an_attempt_and_no_message() {
    let office = Office::new();
    office.submit("ann@example.com", NOTE);
    office.exchange.says("Greeting hangs up");
    office.run();
    let state = office.path("state/mailbox");
    for damage in [
        &b""[..],
        &[0; 4096],
        b"mailbox robot@contoso.com\nwait 99999999999999999999\nwait x\nsent\nsent a b c\n",
        &[0xff; 300],
    ] {
        std::fs::write(&state, damage).unwrap();
        assert_eq!(office.run(), 0);
        assert_eq!(office.waiting(), 1);
    }
    assert_eq!(office.log("held").len(), 5, "{:?}", office.log("held"));
    office.exchange.says("Greeting 220 well");
    office.submit("bob@example.com", NOTE);
    assert_eq!(office.run_now(), 0);
    assert_eq!(office.arrived().len(), 2);
}
