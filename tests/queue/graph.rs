//! The queue by Microsoft Graph, with no SMTP server at all.

use super::office::{NOTE, Office, minutes};
use crate::exchange::Answer;

fn office() -> Office {
    let office = Office::new();
    let endpoint = office.exchange.graph_endpoint();
    office.configure(&format!(
        "transport = graph\ngraph_endpoint = {endpoint}\nserver = localhost:9"
    ));
    office
}

#[test]
fn what_waits_is_sent() {
    let office = office();
    for to in ["ann@example.com", "bob@example.com"] {
        office.submit(&[to], NOTE);
    }
    assert_eq!(office.run(), 0);
    let arrived = office.arrived();
    assert_eq!(arrived[0].to, ["ann@example.com"]);
    assert_eq!((arrived.len(), office.waiting()), (2, 0));
    let sent = &office.log("sent")[0];
    assert!(
        sent.contains("202 accepted for processing (request-id "),
        "{sent}"
    );
}

/// As long as Graph says, and one message tells for all.
#[test]
fn a_throttle_holds_them_all() {
    for (status, asked, held) in [
        (429, "300", 300),
        (503, "120", 120),
        (429, "x", 60),
        (429, "9999999999", 86_400),
    ] {
        let office = office();
        for to in ["ann@example.com", "bob@example.com"] {
            office.submit(&[to], NOTE);
        }
        let exchange = &office.exchange;
        let answer = Answer::graph(status, "ApplicationThrottled", "x");
        exchange.on_nth_graph(1, answer.header("Retry-After", asked));
        assert_eq!(office.run(), 0);
        assert_eq!((exchange.graph_requests().len(), office.waiting()), (1, 2));
        let log = office.log("held");
        assert!(log[0].contains(&format!(" wait={held} ")), "{log:?}");
        office.pass(minutes(held / 60) - std::time::Duration::from_secs(1));
        assert_eq!(office.run(), 0);
        assert_eq!(exchange.graph_requests().len(), 1, "{held}");
        office.pass(std::time::Duration::from_secs(1));
        assert_eq!(office.run(), 0);
        assert_eq!(office.arrived().len(), 2);
    }
}

#[test]
fn one_messages_refusal_is_not_the_mailboxes() {
    let office = office();
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    let no = Answer::graph(403, "ErrorSendAsDenied", "x");
    office.exchange.on_nth_graph(1, no);
    office.run();
    assert_eq!((office.arrived().len(), office.waiting()), (1, 0));
    assert_eq!(office.log("failed").len(), 1);
}

#[test]
fn a_permission_that_is_missing_holds_them_all() {
    let office = office();
    office.submit("ann@example.com", NOTE);
    office.submit("bob@example.com", NOTE);
    office
        .exchange
        .on_graph(Answer::graph(403, "ErrorAccessDenied", "x"));
    assert_eq!(office.run(), 77);
    assert_eq!(
        (office.exchange.graph_requests().len(), office.waiting()),
        (1, 2)
    );
}

#[test]
fn what_may_have_been_taken_is_sent_again_twice_at_most() {
    let office = office();
    office.submit("ann@example.com", NOTE);
    office.exchange.on_graph(Answer::status(504));
    for _ in 0..5 {
        office.run();
        office.pass(minutes(15));
    }
    assert_eq!(office.arrived().len(), 3);
    assert_eq!(office.log("possible_duplicate").len(), 2);
    assert_eq!((office.waiting(), office.count("failed")), (0, 1));
}

/// The last block leaves when the file's name says that it may have.
#[test]
fn a_run_that_dies_loses_nothing_and_repeats_only_what_may_have_been_taken() {
    for (place, delivered) in [
        ("before mail", 1),
        ("mid data", 1),
        ("before dot", 1),
        ("after rename", 1),
        ("after 250", 2),
        ("after unlink", 1),
    ] {
        let office = office();
        office.submit("ann@example.com", NOTE);
        office.run_dying_at(place);
        office.run();
        office.pass(minutes(15));
        office.run();
        assert_eq!(
            (office.arrived().len(), office.waiting()),
            (delivered, 0),
            "{place}"
        );
    }
}

#[test]
fn what_is_too_large_or_names_nobody_is_told_of_and_not_sent() {
    let office = office();
    office.submit(
        "ann@example.com",
        format!("{NOTE}{}\n", "x".repeat(3_100_000)),
    );
    office.submit("ann@example.com", format!("Cc: Ann Other\n{NOTE}"));
    office.run();
    assert_eq!((office.waiting(), office.count("failed")), (0, 2));
    assert_eq!(office.exchange.graph_requests().len(), 0);
}
