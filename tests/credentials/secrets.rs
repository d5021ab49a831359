//! No process writes a secret: all its output, logged at length, is searched.

use super::child::{Scratch, command, everything};
use super::exchange::{Answer, ClientCertificate, Exchange, FederatedToken};

/// What a process with these variables writes, having logged at length.
fn written(exchange: &Exchange, scratch: &Scratch, variables: &[(&str, &str)]) -> String {
    let written = everything(command(exchange, scratch, variables).spawn().unwrap());
    let mut talks = vec!["token answer: HTTP "];
    // A refused token may end the connection before the server has said a word.
    if written.contains("sent: ") {
        talks.push("DEBUG exosend::wire] S: ");
    }
    for talk in talks {
        assert!(written.contains(talk), "nothing was logged: {written}");
    }
    written
}

/// The token that the process left in its file, and nothing else of the file.
fn kept_token(scratch: &Scratch) -> String {
    let text = std::fs::read_to_string(scratch.path("tokens")).unwrap();
    text.trim_end().rsplit(' ').next().unwrap().to_owned()
}

/// None of the secrets, and no long piece of one.
fn assert_absent(written: &str, secrets: &[&str]) {
    for secret in secrets {
        let pieces = secret
            .as_bytes()
            .chunks(32)
            .filter(|piece| piece.len() >= 16);
        for piece in pieces {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(
                !written.contains(piece),
                "written: a piece of {} bytes",
                secret.len()
            );
        }
    }
}

/// The lines of a PEM text that hold its content.
fn content(pem: &str) -> Vec<&str> {
    pem.lines().filter(|line| line.len() == 64).collect()
}

#[test]
fn a_client_secret_is_not_written() {
    let exchange = Exchange::builder()
        .client_secret("Q8~marked-client-secret~Q8~0123456789")
        .start();
    let scratch = Scratch::new();
    let cache = scratch.path("tokens");
    let mut variables = exchange.application().to_vec();
    variables.push(("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()));
    let cold = written(&exchange, &scratch, &variables);
    assert!(cold.contains("sent: 250"), "{cold}");
    let warm = everything(command(&exchange, &scratch, &variables).spawn().unwrap());
    assert!(
        warm.contains("token from ") && warm.contains("sent: 250"),
        "{warm}"
    );
    let token = kept_token(&scratch);
    assert!(token.len() > 2000);
    let kept = std::fs::read_to_string(scratch.path("tokens")).unwrap();
    assert_absent(
        &(cold + &warm),
        &[&token, exchange.client_secret(), kept.trim_end()],
    );
    assert_absent(&kept, &[exchange.client_secret()]);
}

#[test]
fn a_certificates_key_is_not_written() {
    let certificate = ClientCertificate::ends_in_days(20);
    let exchange = Exchange::builder().certificate(&certificate).start();
    let scratch = Scratch::new();
    let (cache, pem) = (
        scratch.path("tokens"),
        scratch.file("client.pem", certificate.pem()),
    );
    let variables = [
        ("EXOSEND_TENANT", exchange.tenant()),
        ("EXOSEND_CLIENT_ID", exchange.client_id()),
        ("EXOSEND_CLIENT_CERTIFICATE_FILE", pem.to_str().unwrap()),
        ("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()),
    ];
    let written = written(&exchange, &scratch, &variables);
    assert!(written.contains("sent: 250"), "{written}");
    let warning = "] the client certificate ends in 19 days";
    assert!(written.contains(warning), "{written}");
    let (assertion, token) = (exchange.assertions().remove(0), kept_token(&scratch));
    let key = content(certificate.key_pem());
    assert!(key.len() > 10);
    assert_absent(&written, &[&assertion, &token]);
    assert_absent(&written, &key);
}

#[test]
fn a_federated_token_is_not_written_even_if_the_refusal_repeats_it() {
    let token = FederatedToken::new().text();
    let body = format!(
        r#"{{"error":"invalid_client","error_description":"AADSTS70021: no match for {token}."}}"#
    );
    let refusal = Answer::status(400)
        .header("Content-Type", "application/json")
        .body(body);
    let exchange = Exchange::builder().token(refusal).start();
    let scratch = Scratch::new();
    let file = scratch.file("token", &token);
    let variables = [
        ("EXOSEND_TENANT", exchange.tenant()),
        ("EXOSEND_CLIENT_ID", exchange.client_id()),
        ("EXOSEND_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
    ];
    let written = written(&exchange, &scratch, &variables);
    assert!(
        written.contains("AADSTS70021: no match for [client assertion]."),
        "{written}"
    );
    assert_absent(&written, &[&token]);
}

#[test]
fn a_managed_identitys_header_is_not_written() {
    let exchange = Exchange::start();
    let scratch = Scratch::new();
    let cache = scratch.path("tokens");
    let environment = exchange.app_service_env();
    let mut variables = vec![
        ("EXOSEND_MANAGED_IDENTITY", "true"),
        ("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()),
    ];
    variables.extend(
        environment
            .iter()
            .map(|(name, value)| (*name, value.as_str())),
    );
    let header = variables.last().unwrap().1.to_owned();
    let written = written(&exchange, &scratch, &variables);
    assert!(written.contains("sent: 250"), "{written}");
    assert_absent(&written, &[&kept_token(&scratch), &header]);
}
