//! The stand-in itself: the rules that it enforces, and the assertions that it accepts.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::exchange::{ClientCertificate, Exchange};
use crate::verifier;

/// A client that can break any rule.
struct Client<S: Read + Write>(BufReader<S>);

impl<S: Read + Write> Client<S> {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            if line.as_bytes()[3] == b' ' {
                return line;
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        self.send(&format!("{line}\r\n"));
        self.reply()
    }
}

fn logged_in(exchange: &Exchange) -> Client<impl Read + Write + use<>> {
    let tcp = TcpStream::connect((exchange.host(), exchange.port())).unwrap();
    let mut clear = Client(BufReader::new(tcp));
    clear.reply();
    clear.ask("EHLO test");
    clear.ask("STARTTLS");
    let root = CertificateDer::from_pem_slice(exchange.ca_pem().as_bytes()).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = exchange.host().try_into().unwrap();
    let tls = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut client = Client(BufReader::new(StreamOwned::new(tls, clear.0.into_inner())));
    client.ask("EHLO test");
    let (user, token) = (exchange.mailbox(), exchange.issue_token());
    let blob = BASE64_STANDARD.encode(format!("user={user}\x01auth=Bearer {token}\x01\x01"));
    let reply = client.ask(&format!("AUTH XOAUTH2 {blob}"));
    assert!(reply.starts_with("235 "), "{reply}");
    client
}

#[test]
fn a_broken_rule_of_the_dialogue_is_noticed() {
    for (said, violation) in [
        ("NOOP\rX", "CR or NUL inside a line"),
        ("HELP", "an unknown command"),
        ("EHLO", "an unknown command"),
        ("BDAT 1 LAST", "BDAT"),
        ("AUTH XOAUTH2 =", "AUTH out of place"),
        ("NOOP\r\nNOOP", "something was sent behind NOOP"),
        ("MAIL FROM: <a@x.org>", "no < right behind the colon"),
        ("MAIL FROM:<a@x.org>  SIZE=1", "more than one space"),
        ("MAIL FROM:<a@x.org> RET=FULL", "an unknown or not offered"),
        ("MAIL FROM:<a@x.org> SIZE=x", "an unknown or not offered"),
        ("MAIL FROM:<\u{f6}@x.org>", "an address beyond ASCII"),
        ("RCPT TO:<ann@example.com>", "RCPT before MAIL"),
        ("DATA", "DATA before RCPT"),
    ] {
        let exchange = Exchange::start();
        let mut client = logged_in(&exchange);
        client.ask(said);
        drop(client);
        let violations = exchange.settle().violations();
        let told = violations.iter().any(|told| told.starts_with(violation));
        assert!(told, "{said:?}: {violations:?}");
    }
}

#[test]
fn a_broken_rule_of_a_message_is_noticed() {
    for (text, violation) in [
        ("a\nb", "a bare LF in the message"),
        ("a\rb", "a bare CR in the message"),
        ("a\r\n.b", "a dot that begins a line is not doubled"),
        ("a\0b", "a NUL in the message"),
        ("\u{e4}", "8-bit octets in a message"),
    ] {
        let exchange = Exchange::start();
        let mut client = logged_in(&exchange);
        client.ask("MAIL FROM:<robot@contoso.com>");
        client.ask("RCPT TO:<ann@example.com>");
        client.ask("DATA");
        assert!(client.ask(&format!("{text}\r\n.")).starts_with("250 "));
        let violations = exchange.violations();
        assert_eq!(violations.len(), 1, "{violations:?}");
        assert!(violations[0].starts_with(violation), "{violations:?}");
    }
}

#[test]
fn a_bare_lf_ends_neither_a_command_nor_a_message() {
    let exchange = Exchange::start();
    let mut client = logged_in(&exchange);
    client.send("NOOP\n");
    assert!(client.reply().starts_with("500 "));
    client.ask("MAIL FROM:<robot@contoso.com>");
    client.ask("RCPT TO:<ann@example.com>");
    client.ask("DATA");
    client.send("one\n.\r\ntwo\r\n.\n.\r\nthree\r\n.\r\n");
    assert!(client.reply().starts_with("250 "));
    let text = "one\n.\r\ntwo\r\n\n.\r\nthree\r\n";
    assert_eq!(exchange.delivered()[0].text(), text);
    let violations = exchange.violations();
    assert_eq!(violations.len(), 3, "{violations:#?}");
}

/// A right assertion, changed by these members: a parameter of its header, or a claim.
fn assertion(exchange: &Exchange, key: &ClientCertificate, changes: &[(&str, Value)]) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = since.as_secs();
    let mut header = json!({
        "alg": "PS256", "typ": "JWT", "x5t#S256": ClientCertificate::good().thumbprint(),
    });
    let id = exchange.client_id();
    let mut claims = json!({
        "aud": exchange.token_url(), "iss": id, "sub": id, "nbf": now, "exp": now + 600,
        "jti": format!("{changes:?}"),
    });
    for (name, value) in changes {
        let part = if header.get(name).is_some() {
            &mut header
        } else {
            &mut claims
        };
        part[*name] = match value.as_i64() {
            Some(seconds) => (now as i64 + seconds).into(),
            None => value.clone(),
        };
    }
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let algorithm: &dyn RsaEncoding = match header["alg"].as_str() {
        Some("RS256") => &RSA_PKCS1_SHA256,
        _ => &RSA_PSS_SHA256,
    };
    let pem = PrivatePkcs8KeyDer::from_pem_slice(key.key_pem().as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(pem.secret_pkcs8_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    let random = SystemRandom::new();
    key.sign(algorithm, &random, signed.as_bytes(), &mut signature)
        .unwrap();
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// The first is right, all others are wrong.
fn assertions(exchange: &Exchange) -> Vec<String> {
    let (good, other) = (ClientCertificate::good(), ClientCertificate::other());
    let with = |name, value: Value| assertion(exchange, &good, &[(name, value)]);
    let right = assertion(exchange, &good, &[]);
    let (content, _) = right.rsplit_once('.').unwrap();
    let another = with("jti", json!("another"));
    let (_, signature) = another.rsplit_once('.').unwrap();
    vec![
        right.clone(),
        format!("{content}.{signature}"),
        assertion(exchange, &other, &[]),
        with("alg", json!("RS256")),
        with("alg", json!("none")),
        with("x5t#S256", json!(other.thumbprint())),
        with("x5t#S256", Value::Null),
        with("typ", json!("JOSE")),
        with("aud", json!("https://example.com/")),
        with("iss", json!("somebody")),
        with("sub", json!("somebody")),
        with("exp", json!(-1)),
        with("exp", json!(700)),
        with("exp", Value::Null),
        with("nbf", json!(60)),
        with("nbf", Value::Null),
        with("jti", Value::Null),
        with("jti", json!("")),
        "a.b.c".to_owned(),
    ]
}

/// Whether the stand-in gives a token for it.
fn is_taken(exchange: &Exchange, assertion: &str) -> bool {
    let root = Certificate::from_pem(exchange.ca_pem().as_bytes()).unwrap();
    let roots = RootCerts::Specific(Arc::new(vec![root]));
    let provider = rustls::crypto::ring::default_provider();
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build();
    let agent = ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .build()
        .new_agent();
    let form = HashMap::from([
        ("grant_type", "client_credentials"),
        ("client_id", exchange.client_id()),
        ("scope", "https://outlook.office365.com/.default"),
        (
            "client_assertion_type",
            "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        ),
        ("client_assertion", assertion),
    ]);
    let answer = agent.post(exchange.token_url()).send_form(form);
    answer.unwrap().status() == 200
}

fn exchange_that_knows_the_certificate() -> Exchange {
    Exchange::builder()
        .certificate(&ClientCertificate::good())
        .start()
}

#[test]
fn only_a_right_assertion_is_taken_and_only_once() {
    let exchange = exchange_that_knows_the_certificate();
    let assertions = assertions(&exchange);
    for (n, assertion) in assertions.iter().enumerate() {
        assert_eq!(is_taken(&exchange, assertion), n == 0, "{n}: {assertion}");
    }
    assert!(!is_taken(&exchange, &assertions[0]), "a second time");
}

#[test]
#[ignore = "needs python3 with PyJWT and cryptography"]
fn python_takes_the_same_assertions() {
    let exchange = exchange_that_knows_the_certificate();
    let assertions = assertions(&exchange);
    let verdicts = verifier::verdicts(&exchange, &ClientCertificate::good(), &assertions);
    assert_eq!(verdicts.len(), assertions.len());
    for (n, verdict) in verdicts.iter().enumerate() {
        assert_eq!(verdict == "yes", n == 0, "{n}: {verdict}");
    }
}
