//! Each credential that a program can have, and tokens that are kept.

#[path = "credentials/cache.rs"]
mod cache;
#[path = "credentials/certificate.rs"]
mod certificate;
#[path = "credentials/child.rs"]
pub(crate) mod child;
#[path = "credentials/federated.rs"]
mod federated;
#[path = "credentials/identity.rs"]
mod identity;
#[path = "credentials/proxy.rs"]
mod proxy;
#[path = "credentials/secrets.rs"]
mod secrets;

use crate::exchange;

use exchange::{Answer, Exchange, note};
use exosend::{Account, Cloud, Error, ErrorKind, Receipt, Session, Token, send_mail};

fn send(account: &Account) -> Result<Receipt, Error> {
    send_mail(account, &note())
}

#[test]
fn a_callers_own_token_is_used_and_never_replaced() {
    let exchange = Exchange::start();
    let account = Account::new(exchange.mailbox())
        .access_token(exchange.issue_token())
        .server(exchange.host(), exchange.port())
        .root_certificates(exchange.ca_pem());
    send(&account).unwrap();
    send(&account).unwrap();
    assert_eq!(exchange.settle().delivered().len(), 2);
    assert_eq!(exchange.token_requests().len(), 0);

    exchange.revoke_tokens();
    let error = send(&account).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(exchange.token_requests().len(), 0, "no other is fetched");

    for no in ["", "a b", "a\nb", "\u{e9}"] {
        let error = send(&account.clone().access_token(no)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "account access_token: empty, or has characters that no token has"
        );
    }
}

#[test]
fn an_answer_from_the_wrong_cloud_has_a_hint() {
    for code in [90038, 900432, 900382] {
        let text = "Confidential Client is not supported in Cross Cloud request.";
        let answer = Answer::aadsts(400, "invalid_request", code, text);
        let exchange = Exchange::builder().token(answer).start();
        let error = send(&exchange.account()).unwrap_err();
        assert!(error.hint().unwrap().contains("cloud"), "{error:?}");
    }
}

#[test]
fn a_cloud_sets_server_authority_and_scope_where_none_is_set() {
    let shown = |account: Account| format!("{account:?}");
    let dod = shown(Account::new("").cloud(Cloud::Dod));
    for part in [
        "outlook-dod.office365.us:587",
        "https://login.microsoftonline.us",
        "https://outlook.office365.us/.default",
    ] {
        assert!(dod.contains(part), "{dod}");
    }
    let own = shown(Account::new("").scope("mine/.default").cloud(Cloud::China));
    assert!(
        own.contains("mine/.default") && own.contains("smtp.partner.outlook.cn"),
        "{own}"
    );
}

#[test]
fn a_kept_token_is_the_one_that_get_gives() {
    let exchange = Exchange::start();
    let account = exchange.account();
    let token = Token::get(&account).unwrap();
    assert_eq!(Token::get(&account).unwrap().secret(), token.secret());
    assert_ne!(Token::fetch(&account).unwrap().secret(), token.secret());
    assert_eq!(exchange.token_requests().len(), 2);
}

#[test]
fn a_refusal_of_a_new_token_is_final() {
    let exchange = Exchange::start();
    let account = exchange.account();
    Session::open(&account).unwrap();
    exchange.says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    let error = send(&account).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    assert_eq!(exchange.token_requests().len(), 1);
}
