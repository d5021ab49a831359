//! The token request: what is asked, and every way in which it can go wrong.

use crate::exchange;

use std::net::TcpListener;

use exchange::{Answer, Exchange, Fault, Step, note};
use exosend::{Error, ErrorKind, Stage, Token, send_mail};

fn send(exchange: &Exchange) -> Result<exosend::Receipt, Error> {
    send_mail(&exchange.account(), &note())
}

#[test]
fn a_request_is_one_form_with_the_four_fields_of_rfc_6749() {
    let exchange = Exchange::builder()
        .client_secret("a+b/c=d&e%f~g \u{e4}\u{20ac}")
        .start();
    send(&exchange).unwrap();
    let requests = exchange.token_requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.target, "/contoso.onmicrosoft.com/oauth2/v2.0/token");
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(request.field("grant_type"), Some("client_credentials"));
    assert_eq!(
        request.field("scope"),
        Some("https://outlook.office365.com/.default")
    );
    assert_eq!(request.form.len(), 4);
}

#[test]
fn a_wrong_secret_is_reported_in_entras_words() {
    let exchange = Exchange::start();
    let account = exchange
        .account()
        .client_secret("11111111-2222-3333-4444-555555555555");
    let error = Token::fetch(&account).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(
        "token contoso.onmicrosoft.com: invalid_client: AADSTS7000215: Invalid client secret"
    ));
    assert!(
        text.contains("Correlation ID: ") && text.contains("Trace ID: "),
        "{text}"
    );
    assert_eq!(
        (error.kind(), error.is_permanent()),
        (ErrorKind::Token, true)
    );
    assert!(error.hint().unwrap().contains("Value"));
    assert_eq!(exchange.token_requests().len(), 1, "a 4xx is an answer");
}

#[test]
fn a_wrong_tenant_client_or_scope_is_reported_with_entras_code() {
    let exchange = Exchange::start();
    let text = |account| Token::fetch(&account).unwrap_err().to_string();
    assert!(text(exchange.account().tenant("fabrikam.com")).contains("AADSTS90002"));
    assert!(
        text(
            exchange
                .account()
                .client_id("00000000-0000-0000-0000-000000000000")
        )
        .contains("AADSTS700016")
    );
    assert!(
        text(
            exchange
                .account()
                .scope("https://graph.microsoft.com/Mail.Send")
        )
        .contains("AADSTS")
    );
}

#[test]
fn an_answer_without_a_token_is_described() {
    for (answer, expected) in [
        (Answer::html(), "instead of JSON"),
        (
            Answer::redirect("https://portal.example.com/login"),
            "a redirect to https://portal.example.com/login, which is not followed",
        ),
        (
            Answer::status(200).body("{\"access_token\":\"ey"),
            "19 bytes that are not JSON",
        ),
        (Answer::status(200).body(""), "with an empty body"),
        (
            Answer::status(200).body("{\"expires_in\":3599}"),
            "HTTP 200 without an access_token",
        ),
        (
            Answer::status(200).body("{\"access_token\":\"a\\r\\nb\"}"),
            "characters that no token has",
        ),
        (
            Answer::status(200).body(vec![b' '; 70 << 10]),
            "longer than 65536 bytes",
        ),
        (
            Answer::status(403).body("{}"),
            "HTTP 403 without an error code",
        ),
    ] {
        let exchange = Exchange::builder().token(answer).start();
        let error = send(&exchange).unwrap_err();
        assert!(
            error.to_string().contains(expected),
            "{error}, not {expected}"
        );
        assert_eq!(
            (error.kind(), error.stage(), error.is_transient()),
            (ErrorKind::Token, Stage::Token, false)
        );
        assert_eq!(exchange.token_requests().len(), 1, "{expected}");
        assert_eq!(exchange.settle().said("C: AUTH"), 0);
    }
}

#[test]
fn a_request_is_repeated_once_after_a_503() {
    let exchange = Exchange::builder()
        .nth_token(1, Answer::status(503).header("Retry-After", "0"))
        .start();
    send(&exchange).unwrap();
    assert_eq!(exchange.token_requests().len(), 2);

    let exchange = Exchange::builder()
        .token(Answer::status(503).header("Retry-After", "0"))
        .start();
    let error = send(&exchange).unwrap_err();
    assert_eq!(
        (error.kind(), error.is_transient()),
        (ErrorKind::Token, true)
    );
    assert_eq!(exchange.token_requests().len(), 2);
}

#[test]
fn a_429_is_repeated_only_after_a_short_retry_after() {
    for (after, requests) in [(Some("0"), 2), (Some("11"), 1), (None, 1)] {
        let answer = Answer::status(429);
        let answer = after.map_or(answer.clone(), |after| answer.header("Retry-After", after));
        let exchange = Exchange::builder().token(answer).start();
        assert!(send(&exchange).unwrap_err().is_transient());
        assert_eq!(exchange.token_requests().len(), requests, "{after:?}");
    }
}

/// RFC 9110 15.5.9: the request may be repeated.
#[test]
fn a_408_is_transient() {
    let exchange = Exchange::builder().token(Answer::status(408)).start();
    assert!(send(&exchange).unwrap_err().is_transient());
}

#[test]
fn clones_without_a_token_ask_once_for_all() {
    let exchange = Exchange::start();
    let account = exchange.account();
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                Token::get(&account.clone()).unwrap();
            });
        }
    });
    assert_eq!(exchange.token_requests().len(), 1);

    // After a failed request each of those that waited for it asks itself.
    let exchange = Exchange::builder().token(Answer::status(400)).start();
    let account = exchange.account();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| Token::get(&account).unwrap_err());
        }
    });
    assert_eq!(exchange.token_requests().len(), 3);
}

#[test]
fn a_refused_connection_to_entra_has_its_own_hint() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let account = Exchange::start()
        .account()
        .authority(format!("https://{closed}"));
    let error = Token::fetch(&account).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("token {closed}: connection refused"))
    );
    assert!(
        error.hint().unwrap().starts_with("Entra cannot be reached"),
        "{error:?}"
    );
    assert!(error.is_transient());
}

#[test]
fn a_cut_connection_is_transient() {
    for answer in [Answer::disconnect(), Answer::reset(), Answer::cut_short()] {
        let exchange = Exchange::builder().token(answer.clone()).start();
        let error = Token::fetch(&exchange.account()).unwrap_err();
        assert_eq!(
            (error.kind(), error.is_transient()),
            (ErrorKind::Network, true),
            "{answer:?}: {error}"
        );
    }
}

#[test]
fn a_refused_token_ends_the_call_while_the_server_is_silent() {
    for step in [
        Step::Greeting,
        Step::Ehlo,
        Step::StartTls,
        Step::Handshake,
        Step::EhloTls,
    ] {
        let exchange = Exchange::builder().on(step, Fault::silent()).start();
        let account = exchange.account().client_secret("wrong");
        let error = send_mail(&account, &note()).unwrap_err();
        assert!(
            error.to_string().contains("AADSTS7000215"),
            "{step:?}: {error}"
        );
    }
}

#[test]
fn a_refused_connection_ends_the_call_while_entra_is_silent() {
    let exchange = Exchange::builder().token(Answer::silent()).start();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let account = exchange.account().server("127.0.0.1", closed);
    let error = send_mail(&account, &note()).unwrap_err();
    assert_eq!(
        (error.kind(), error.stage(), error.is_transient()),
        (ErrorKind::Network, Stage::Connect, true)
    );
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{closed}")),
        "{error}"
    );
}

#[test]
fn a_refused_login_is_permanent_and_hints_at_the_object_id() {
    let exchange = Exchange::start();
    exchange.says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    let error = send(&exchange).unwrap_err();
    assert_eq!(
        error.to_string(),
        "auth robot@contoso.com: 535 5.7.3 Authentication unsuccessful"
    );
    assert_eq!(
        (error.kind(), error.is_permanent()),
        (ErrorKind::Auth, true)
    );
    assert!(error.hint().unwrap().contains("Object ID"));
}

#[test]
fn fetch_returns_a_token_and_its_lifetime() {
    let exchange = Exchange::start();
    let token = Token::fetch(&exchange.account()).unwrap();
    assert_eq!(token.secret().len(), 2012);
    assert!((3500..3600).contains(&token.expires_in().as_secs()));
}
