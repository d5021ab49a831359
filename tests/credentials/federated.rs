//! A token of another identity provider, in a file that its owner replaces.

use exosend::Token;

use super::child::Scratch;
use super::exchange::{Exchange, FederatedToken};
use super::send;

#[test]
fn the_file_is_read_anew_for_each_request() {
    let first = FederatedToken::new().text();
    let exchange = Exchange::builder().federated_token(&first).start();
    let scratch = Scratch::new();
    let path = scratch.file("token", format!("{first}\n"));
    let account = exchange.account().federated_token_file(&path);
    send(&account).unwrap();

    let second = FederatedToken::new().text();
    exchange.federated_token(&second);
    let error = Token::fetch(&account).unwrap_err();
    assert!(error.to_string().contains("AADSTS700024"), "{error}");
    scratch.file("token", &second);
    Token::fetch(&account).unwrap();
}

#[cfg(feature = "graph")]
#[test]
fn a_federated_token_serves_graph() {
    let token = FederatedToken::new().text();
    let exchange = Exchange::builder().federated_token(&token).start();
    let scratch = Scratch::new();
    let account = exchange.graph_account();
    send(&account.federated_token_file(scratch.file("token", token))).unwrap();
    let asked = exchange.token_requests();
    assert_eq!(
        asked[0].field("scope"),
        Some("https://graph.microsoft.com/.default")
    );
    assert_eq!(exchange.delivered().len(), 1);
}

#[test]
fn an_untrusted_issuer_or_subject_is_reported_with_entras_code() {
    let exchange = Exchange::builder()
        .federated_token(FederatedToken::new().text())
        .start();
    let scratch = Scratch::new();
    for (token, code) in [
        (
            FederatedToken::new().issuer("https://elsewhere"),
            "AADSTS700211",
        ),
        (FederatedToken::new().subject("somebody"), "AADSTS700213"),
    ] {
        let path = scratch.file("token", token.text());
        let account = exchange.account().federated_token_file(path);
        let error = Token::fetch(&account).unwrap_err();
        assert!(error.to_string().contains(code), "{error}");
        assert!(!error.to_string().contains(&token.text()));
    }
}

#[test]
fn a_missing_file_is_named() {
    let exchange = Exchange::start();
    let account = exchange.account().federated_token_file("/nowhere/token");
    let error = send(&account).unwrap_err().to_string();
    assert!(
        error.starts_with("account federated_token_file: /nowhere/token: No such file"),
        "{error}"
    );
}
