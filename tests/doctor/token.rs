//! Answers to the token request. Entra's numbers, all of them: tests/codes.rs.

use exosend::advice::CheckState::{Ok, Skipped};
use exosend::advice::send_test;

use super::{examine, examine_with};
use crate::exchange::{Answer, Certificate, Exchange};

#[test]
fn a_refusal_is_reported_and_skips_what_needs_the_token() {
    let text = "The provided client secret keys for app are expired.";
    let expired = Answer::aadsts(401, "invalid_client", 7_000_222, text);
    let diagnosis = examine(&Exchange::builder().token(expired).start());
    let says = [
        "AADSTS7000222: The provided client secret keys",
        "the secret has expired",
        "az ad app credential reset --id 6731de76-14a6-49ae-97bc-6eba6914391e --append",
    ];
    diagnosis.fails("token", &says, &["New-ServicePrincipal", "Set-CASMailbox"]);
    diagnosis.is(Ok, &["greeting", "clock", "starttls", "certificate"]);
    diagnosis.is(Skipped, &["claims", "login", "sender", "recipient", "end"]);
}

#[test]
fn a_test_message_without_a_token_asks_once() {
    let expired = Answer::aadsts(401, "invalid_client", 7_000_222, "Expired.");
    let exchange = Exchange::builder().token(expired).start();
    let check = send_test(&exchange.account(), "ann@example.com");
    assert!(check.detail().contains("AADSTS7000222"), "{check:?}");
    assert_eq!(exchange.token_requests().len(), 1);
}

#[test]
fn an_unknown_code_is_reported_with_its_page() {
    let news = Answer::aadsts(400, "invalid_request", 1_234_567, "News.");
    let diagnosis = examine(&Exchange::builder().token(news).start());
    let page = "https://login.microsoftonline.com/error?code=1234567";
    diagnosis.fails("token", &["does not know this code", page], &[]);
}

#[test]
fn a_secret_that_looks_like_its_id_is_the_first_cause() {
    let exchange = Exchange::start();
    let id = "0a4d7b1e-29d3-4ce1-9ab3-92e6c31c5d0e";
    let diagnosis = examine_with(&exchange, &exchange.account().client_secret(id), None);
    diagnosis.fails("token", &["AADSTS7000215", "--append"], &[id]);
    let advice = diagnosis.check("token").advice().unwrap();
    assert!(advice.causes()[0].text().contains("has the form of a GUID"));
}

#[test]
fn an_answer_that_is_not_entras_is_described() {
    for (answer, words) in [
        (Answer::html(), "a page titled \"Sign in\" instead of JSON"),
        (
            Answer::redirect("https://portal.example/"),
            "a redirect to https://portal.example/",
        ),
        (Answer::disconnect(), "token"),
        (Answer::status(503), "HTTP 503 with an empty body"),
    ] {
        let diagnosis = examine(&Exchange::builder().token(answer).start());
        let says = [words, "curl -sS", "/oauth2/v2.0/token"];
        diagnosis.fails("token", &says, &["New-ServicePrincipal"]);
    }
}

#[test]
fn a_bad_certificate_of_entra_is_reported_with_ca_file() {
    for certificate in [
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::UnknownIssuer,
    ] {
        let exchange = Exchange::builder().entra_certificate(certificate).start();
        let diagnosis = examine(&exchange);
        diagnosis.fails("token", &["ca_file", "curl -sS"], &["New-ServicePrincipal"]);
        diagnosis.is(Ok, &["certificate"]);
    }
}

#[test]
fn a_wrong_clock_is_the_cause_of_the_failures_that_it_explains() {
    let text = "Client assertion is not within its valid time range.";
    for certificate in [Certificate::Expired, Certificate::NotYetValid] {
        let greeting = "Greeting 220 AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2020 09:00:00 +0000";
        let old = Answer::aadsts(401, "invalid_client", 700_024, text)
            .header("Date", "Tue, 24 Nov 2020 09:00:00 GMT");
        let exchange = Exchange::builder()
            .says(greeting)
            .smtp_certificate(certificate)
            .token(old)
            .start();
        let diagnosis = examine(&exchange);
        assert_eq!(diagnosis.failed(), ["clock", "certificate", "token"]);
        let clock = diagnosis.check("clock");
        assert!(clock.detail().contains("days ahead of"), "{clock:#?}");
        assert!(diagnosis.of("clock").contains("timedatectl set-ntp true"));
        for name in ["certificate", "token"] {
            assert_eq!(diagnosis.check(name).advice(), clock.advice(), "{name}");
        }
    }
}

#[test]
fn the_clock_is_compared_with_entras_date() {
    // The greeting has no date.
    let ahead = Answer::aadsts(
        401,
        "invalid_client",
        700_027,
        "The certificate is not valid.",
    )
    .header("Date", "Tue, 24 Nov 2099 09:00:00 GMT");
    let exchange = Exchange::builder()
        .says("Greeting 220 relay ESMTP")
        .token(ahead)
        .start();
    let clock = examine(&exchange);
    let clock = clock.check("clock");
    assert!(clock.detail().contains("behind Entra's"), "{clock:#?}");
}
