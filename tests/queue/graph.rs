//! The queue by Microsoft Graph; there is no SMTP server.

use super::harness::{NOTE, Queue, minutes};
use crate::exchange::Answer;

fn graph_queue() -> Queue {
    let queue = Queue::new();
    let endpoint = queue.exchange.graph_endpoint();
    queue.configure(&format!(
        "transport = graph\ngraph_endpoint = {endpoint}\nserver = localhost:9"
    ));
    queue
}

#[test]
fn a_queued_message_is_sent_by_graph() {
    let queue = graph_queue();
    for to in ["ann@example.com", "bob@example.com"] {
        queue.submit(&[to], NOTE);
    }
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(arrived[0].to, ["ann@example.com"]);
    assert_eq!((arrived.len(), queue.waiting()), (2, 0));
    let sent = &queue.log("sent")[0];
    assert!(
        sent.contains("202 accepted for processing (request-id "),
        "{sent}"
    );
}

#[test]
fn a_throttle_holds_all_messages_for_the_retry_after() {
    for (status, asked, held) in [
        (429, "300", 300),
        (503, "120", 120),
        (429, "x", 60),
        (429, "9999999999", 86_400),
    ] {
        let queue = graph_queue();
        for to in ["ann@example.com", "bob@example.com"] {
            queue.submit(&[to], NOTE);
        }
        let exchange = &queue.exchange;
        let answer = Answer::graph(status, "ApplicationThrottled", "x");
        exchange.on_nth_graph(1, answer.header("Retry-After", asked));
        assert_eq!(queue.run(), 0);
        assert_eq!((exchange.graph_requests().len(), queue.waiting()), (1, 2));
        let log = queue.log("held");
        assert!(log[0].contains(&format!(" wait={held} ")), "{log:?}");
        queue.pass(minutes(held / 60) - std::time::Duration::from_secs(1));
        assert_eq!(queue.run(), 0);
        assert_eq!(exchange.graph_requests().len(), 1, "{held}");
        queue.pass(std::time::Duration::from_secs(1));
        assert_eq!(queue.run(), 0);
        assert_eq!(queue.arrived().len(), 2);
    }
}

#[test]
fn a_refused_message_does_not_hold_the_others() {
    let queue = graph_queue();
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    let no = Answer::graph(403, "ErrorSendAsDenied", "x");
    queue.exchange.on_nth_graph(1, no);
    queue.run();
    assert_eq!((queue.arrived().len(), queue.waiting()), (1, 0));
    assert_eq!(queue.log("failed").len(), 1);
}

#[test]
fn a_missing_permission_holds_all_messages() {
    let queue = graph_queue();
    queue.submit("ann@example.com", NOTE);
    queue.submit("bob@example.com", NOTE);
    queue
        .exchange
        .on_graph(Answer::graph(403, "ErrorAccessDenied", "x"));
    assert_eq!(queue.run(), 77);
    assert_eq!(
        (queue.exchange.graph_requests().len(), queue.waiting()),
        (1, 2)
    );
}

#[test]
fn a_message_in_doubt_is_sent_again_twice_at_most() {
    let queue = graph_queue();
    queue.submit("ann@example.com", NOTE);
    queue.exchange.on_graph(Answer::status(504));
    for _ in 0..5 {
        queue.run();
        queue.pass(minutes(15));
    }
    assert_eq!(queue.arrived().len(), 3);
    assert_eq!(queue.log("possible_duplicate").len(), 2);
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 1));
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
        let queue = graph_queue();
        queue.submit("ann@example.com", NOTE);
        queue.run_dying_at(place);
        queue.run();
        queue.pass(minutes(15));
        queue.run();
        assert_eq!(
            (queue.arrived().len(), queue.waiting()),
            (delivered, 0),
            "{place}"
        );
    }
}

#[test]
fn messages_that_graph_cannot_take_are_given_up() {
    let queue = graph_queue();
    queue.submit(
        "ann@example.com",
        format!("{NOTE}{}\n", "x".repeat(3_100_000)),
    );
    queue.submit("ann@example.com", format!("Cc: Ann Other\n{NOTE}"));
    queue.run();
    assert_eq!((queue.waiting(), queue.count("failed")), (0, 2));
    assert_eq!(queue.exchange.graph_requests().len(), 0);
}
