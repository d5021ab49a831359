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
fn a_queued_message_is_sent_by_graph() {
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

/// For as long as Graph says.
#[test]
fn a_throttle_holds_all_messages() {
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
fn a_refused_message_does_not_hold_the_others() {
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
fn a_missing_permission_holds_all_messages() {
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
fn a_message_in_doubt_is_sent_again_twice_at_most() {
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

/// The file is renamed before the last block of the request is sent.
#[test]
fn a_run_that_dies_loses_nothing_and_repeats_only_messages_in_doubt() {
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
fn messages_that_graph_cannot_take_are_given_up() {
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
