//! What an answer means: sent, transient, permanent, or in doubt.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use exosend::{Account, Envelope, Error, ErrorKind, Session, Stage, Timeouts, Token, send_mail};

use super::note;
use crate::exchange::{Answer, Certificate, End, Exchange};

/// The error of a message that gets this answer; it is sent once and no more.
fn answered(answer: Answer) -> Error {
    let exchange = Exchange::start();
    exchange.on_graph(answer);
    let error = send_mail(&exchange.graph_account(), &note()).unwrap_err();
    assert_eq!(exchange.graph_requests().len(), 1, "{error}");
    assert_eq!(error.stage(), Stage::Graph);
    assert!(error.reply().is_none());
    if !exchange.delivered().is_empty() {
        assert!(error.in_doubt(), "{error}");
    }
    let exactly_one = [error.is_transient(), error.is_permanent(), error.in_doubt()];
    assert_eq!(exactly_one.iter().filter(|is| **is).count(), 1);
    error
}

#[test]
fn an_error_code_becomes_a_kind_with_a_hint() {
    for (status, code, kind, hint) in [
        (403, "ErrorAccessDenied", ErrorKind::Auth, "setup --graph"),
        (
            403,
            "NoPermissionsInAccessToken",
            ErrorKind::Auth,
            "setup --graph",
        ),
        (
            403,
            "AnotherOfAnotherYear",
            ErrorKind::Auth,
            "setup --graph",
        ),
        (403, "ErrorSendAsDenied", ErrorKind::Refused, "From"),
        (404, "ErrorInvalidUser", ErrorKind::Auth, "`mailbox`"),
        (
            404,
            "MailboxNotEnabledForRESTAPI",
            ErrorKind::Auth,
            "`mailbox`",
        ),
        (
            401,
            "InvalidAuthenticationToken",
            ErrorKind::Auth,
            "`scope`",
        ),
        (
            413,
            "RequestEntityTooLarge",
            ErrorKind::Refused,
            "3,000,000",
        ),
        (
            400,
            "ErrorMessageSizeExceeded",
            ErrorKind::Refused,
            "MaxSendSize",
        ),
        (
            400,
            "ErrorMimeContentInvalidBase64String",
            ErrorKind::Refused,
            "",
        ),
    ] {
        let error = answered(Answer::graph(status, code, "What it says."));
        let said = error.to_string();
        let begins =
            format!("graph robot@contoso.com: {status} {code}: What it says. (request-id ");
        assert!(said.starts_with(&begins), "{said}");
        assert_eq!(error.kind(), kind, "{said}");
        assert!(error.is_permanent(), "{said}");
        assert!(
            error.hint().unwrap_or_default().contains(hint),
            "{:?}",
            error.hint()
        );
        assert_eq!(error.retry_after(), None);
    }
}

/// Some answers have it in the error alone.
#[test]
fn a_request_id_is_shown_wherever_the_answer_has_it() {
    let error = r#"{"error":{"code":"ErrorAccessDenied","message":"No.","innerError":{"request-id":"7f3d"}}}"#;
    for answer in [
        Answer::status(403).body(error),
        Answer::status(403).header("request-id", "7f3d"),
    ] {
        let said = answered(answer).to_string();
        assert!(said.ends_with(" (request-id 7f3d)"), "{said}");
    }
}

#[test]
fn a_throttled_message_is_transient_with_its_retry_after() {
    for (status, code) in [
        (429, "ApplicationThrottled"),
        (503, "ServiceUnavailable"),
        (509, "BandwidthLimitExceeded"),
    ] {
        let error = answered(Answer::graph(status, code, "x").header("Retry-After", "120"));
        assert!(
            error.is_transient() && error.kind() == ErrorKind::Deferred,
            "{error}"
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(120)));
        let error = answered(Answer::status(status));
        assert!(error.is_transient(), "{error}");
        assert_eq!(error.retry_after(), None);
    }
    assert!(answered(Answer::status(408)).is_transient());
}

/// Four 504s have delivered four messages, and a 200 none (facts.md, "Graph").
#[test]
fn an_answer_that_is_neither_202_nor_a_refusal_is_in_doubt() {
    for status in [200, 201, 203, 204, 299, 500, 501, 502, 504, 520, 599] {
        let error = answered(Answer::status(status));
        assert!(error.in_doubt(), "{error}");
        assert!(
            error
                .message_id()
                .is_some_and(|id| id.ends_with("@contoso.com>"))
        );
        assert_eq!(error.retry_after(), None);
    }
    assert!(answered(Answer::html()).in_doubt());
    let coded = answered(Answer::graph(504, "UnknownError", ""));
    assert!(
        coded.to_string().contains("504 UnknownError (request-id "),
        "{coded}"
    );
}

#[test]
fn an_answer_that_is_not_graphs_is_permanent_and_described() {
    let portal = answered(Answer::redirect("https://login.example.com/"));
    assert!(portal.is_permanent() && portal.kind() == ErrorKind::Protocol);
    let said = portal.to_string();
    assert!(
        said.contains("HTTP 302, a redirect to https://login.example.com/, which is not followed"),
        "{said}"
    );
    assert!(portal.hint().unwrap().contains("graph_endpoint"));
    let page = "<!DOCTYPE html><html><head><title>Blocked</title></head></html>";
    let answer = Answer::status(403)
        .header("Content-Type", "text/html")
        .body(page);
    let proxy = answered(answer);
    assert!(
        proxy.is_permanent() && proxy.kind() == ErrorKind::Protocol,
        "{proxy}"
    );
    assert!(proxy.to_string().contains("Blocked"), "{proxy}");
}

#[test]
fn an_error_hides_a_token_that_graph_repeats() {
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    let token = Token::get(&account).unwrap();
    let echo = Answer::graph(
        403,
        "ErrorAccessDenied",
        &format!("Bearer {} is bad", token.secret()),
    );
    exchange.on_graph(echo.header("request-id", token.secret()));
    let said = format!("{:?}", send_mail(&account, &note()).unwrap_err());
    assert!(
        !said.contains(token.secret().get(20..60).unwrap()),
        "{said}"
    );
}

#[test]
fn an_overlong_answer_is_judged_by_its_beginning() {
    let endless = Answer::graph(403, "ErrorAccessDenied", &"x".repeat(10 << 20));
    assert!(answered(endless).is_permanent());
    let head = "x".repeat(1 << 20);
    let error = answered(Answer::status(202).header("X-Long", &head));
    assert!(error.in_doubt(), "{error}");
}

fn account(exchange: &Exchange) -> Account {
    // Less than a hang takes.
    let timeouts = Timeouts::default().total(Duration::from_secs(30));
    exchange.graph_account().timeouts(timeouts)
}

/// A message that was taken is `Ok` or in doubt, and none is sent twice.
#[test]
fn an_answer_that_is_cut_anywhere_is_never_a_wrong_refusal() {
    let exchange = Exchange::start();
    let account = account(&exchange);
    send_mail(&account, &note()).unwrap();
    let whole = exchange.graph_bytes();
    // A few more than all, since a handshake's length varies.
    for n in 0..whole + 8 {
        let how = [End::Disconnect, End::Reset][n as usize % 2];
        exchange.end_graph_at(n, how);
        let (requests, before) = (exchange.graph_requests().len(), exchange.delivered().len());
        let result = send_mail(&account, &note());
        let asked = exchange.graph_requests().len() - requests;
        let taken = exchange.delivered().len() - before;
        assert!(asked <= 1, "{n}");
        match result {
            Ok(_) => assert_eq!(taken, 1, "{n}"),
            Err(error) if taken == 1 => assert!(error.in_doubt(), "{n}: {error}"),
            Err(error) => assert!(!error.is_permanent(), "{n}: {error}"),
        }
    }
}

/// Once the message is under way the outcome is in doubt.
#[test]
fn a_silent_server_ends_at_the_bound() {
    let exchange = Exchange::start();
    let short = Duration::from_millis(300);
    let account = exchange
        .graph_account()
        .timeouts(Timeouts::default().accept(short));
    exchange.on_graph(Answer::silent());
    let error = send_mail(&account, &note()).unwrap_err();
    assert!(error.in_doubt(), "{error}");
    assert!(
        error
            .to_string()
            .ends_with("timed out after 300ms (timeout `accept`)"),
        "{error}"
    );

    let account = exchange
        .graph_account()
        .timeouts(Timeouts::default().connect(short));
    exchange.end_graph_at(0, End::Silent);
    let error = send_mail(&account, &note()).unwrap_err();
    assert!(
        error.is_transient() && error.kind() == ErrorKind::Network,
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with("timed out after 300ms (timeout `connect`)"),
        "{error}"
    );
    assert_eq!(exchange.graph_requests().len(), 1);
}

#[test]
fn a_failure_to_connect_has_its_kind_and_hint() {
    let exchange = Exchange::start();
    for endpoint in ["127.0.0.1:9", "no-such-host.invalid"] {
        let account = account(&exchange).graph_endpoint(endpoint);
        let error = send_mail(&account, &note()).unwrap_err();
        let found = (error.kind(), error.is_transient());
        assert_eq!(found, (ErrorKind::Network, true), "{error}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("port 443, or set HTTPS_PROXY, and check `graph_endpoint`"),
            "{hint}"
        );
    }
    let exchange = Exchange::builder()
        .entra_certificate(Certificate::WrongName)
        .start();
    let account = exchange.graph_account().access_token("t");
    let error = send_mail(&account, &note()).unwrap_err();
    assert!(
        error.is_permanent() && error.kind() == ErrorKind::Tls,
        "{error}"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("the certificate is for another name"),
        "{hint}"
    );
}

/// The token is fetched while the connection is made.
#[test]
fn if_token_or_connection_fails_the_other_is_not_waited_for() {
    let long = Duration::from_secs(600);
    let deaf = Exchange::builder().entra_is_deaf().start();
    let patient = |exchange: &Exchange| {
        let timeouts = Timeouts::default().token(long).connect(long).total(long);
        exchange.graph_account().timeouts(timeouts)
    };
    let account = patient(&deaf).graph_endpoint("https://127.0.0.1:9");
    let error = send_mail(&account, &note()).unwrap_err();
    assert_eq!(
        (error.stage(), error.kind()),
        (Stage::Graph, ErrorKind::Network)
    );
    let exchange = Exchange::start();
    exchange.end_graph_at(0, End::Silent);
    exchange.token(Answer::aadsts(401, "invalid_client", 7_000_215, "Invalid."));
    let error = send_mail(&patient(&exchange), &note()).unwrap_err();
    assert_eq!(
        (error.stage(), error.kind()),
        (Stage::Token, ErrorKind::Token)
    );
    assert_eq!(exchange.graph_requests().len(), 0);
}

/// The server has ended it before the first message.
#[test]
fn a_connection_that_has_ended_is_replaced() {
    let exchange = Exchange::start();
    exchange.graph_leaves();
    let mut session = Session::open(&exchange.graph_account()).unwrap();
    exchange.graph_has_left();
    session.send(&note()).unwrap();
    assert_eq!(exchange.graph_requests().len(), 1);
}

/// And is over after a lost connection.
#[test]
fn a_session_goes_on_after_a_refusal() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.graph_account()).unwrap();
    exchange.on_nth_graph(1, Answer::graph(403, "ErrorSendAsDenied", "no"));
    exchange.on_nth_graph(2, Answer::graph(429, "ApplicationThrottled", "no"));
    exchange.on_nth_graph(4, Answer::disconnect());
    assert!(session.send(&note()).unwrap_err().is_permanent());
    assert!(session.send(&note()).unwrap_err().is_transient());
    session.send(&note()).unwrap();
    assert!(!session.is_over());
    assert!(session.send(&note()).unwrap_err().in_doubt());
    assert!(session.is_over());
    let after = session.send(&note()).unwrap_err();
    assert!(
        after.is_transient() && after.to_string().contains("the session ended earlier"),
        "{after}"
    );
    assert_eq!(exchange.graph_requests().len(), 4);
}

/// A pipe gives a byte now and then, in the header or after it, until the total ends it.
#[test]
fn a_text_that_never_ends_is_not_sent() {
    struct Slow(Instant);
    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            assert!(
                self.0.elapsed() < Duration::from_secs(30),
                "it is read for ever"
            );
            std::thread::sleep(Duration::from_millis(5));
            into.iter_mut().take(1).for_each(|byte| *byte = b'x');
            Ok(1)
        }
    }
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    Token::get(&account).unwrap();
    let account = account.timeouts(Timeouts::default().total(Duration::from_secs(1)));
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let head = "From: robot@contoso.com\nTo: ann@example.com\n";
    let long = format!("{head}\n{}", "x".repeat(40_000));
    for (text, size) in [
        (head, None),
        (head, Some(100_000)),
        (&long, None),
        (&long, Some(100_000)),
    ] {
        let mut session = Session::open(&account).unwrap();
        let envelope = match size {
            Some(size) => envelope.clone().size(size),
            None => envelope.clone(),
        };
        let text = text.as_bytes().chain(Slow(Instant::now()));
        let error = session.send_raw(&envelope, text).unwrap_err();
        assert!(error.is_transient(), "{error}");
        let said = error.to_string();
        assert!(
            said.contains("timed out after 1s (timeout `total`)"),
            "{said}"
        );
    }
    assert_eq!(exchange.delivered().len(), 0);
}
