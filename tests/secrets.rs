//! No secret in anything exosend writes: everything that a run logs at debug, and every error, is searched for them.
#![allow(unused_must_use)] // receipts do not matter here

mod exchange;

use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use exchange::{Exchange, Fault, Step};
use exosend::{Message, Session, Token, send_mail};

static WRITTEN: Mutex<String> = Mutex::new(String::new());

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        // The stand-in is the other side; what it writes is its own affair.
        if record.target() != "stand-in" {
            WRITTEN
                .lock()
                .unwrap()
                .push_str(&format!("{}: {}\n", record.target(), record.args()));
        }
    }

    fn flush(&self) {}
}

#[test]
fn nothing_secret_is_written() {
    log::set_logger(&Capture).unwrap();
    log::set_max_level(log::LevelFilter::Debug);
    let exchange = Exchange::builder()
        .client_secret("Q8~marked-client-secret~Q8")
        .start();
    let account = exchange.account();
    let token = Token::fetch(&account).unwrap();
    let message = || {
        Message::new()
            .to("ann@example.com")
            .text("marked message text")
    };

    send_mail(&account, &message()).unwrap();
    let login = STANDARD.encode(format!(
        "user=robot@contoso.com\x01auth=Bearer {}\x01\x01",
        token.secret()
    ));
    let mut errors = Vec::new();
    // Servers that repeat what they were told.
    for echo in [token.secret(), &login] {
        exchange.on(
            Step::AuthBlob,
            Fault::reply(&format!("535-5.7.8 what is {echo}?\n535 5.7.8 no")),
        );
        errors.push(send_mail(&account, &message()).unwrap_err());
    }
    // The same where it is no reply, or half of one, or the reason in base64, in one line or several.
    let reason = STANDARD.encode(format!(
        "{{\"status\":\"401\",\"token\":\"{}\"}}",
        token.secret()
    ));
    let (half, rest) = reason.split_at(1001);
    for answer in [
        Fault::raw(format!("{}\r\n", token.secret())),
        Fault::raw(format!("what is {login}?\r\n")),
        Fault::raw(format!("535 {}", token.secret())).then_disconnect(),
        Fault::reply(&format!("334 {reason}")),
        Fault::reply(&format!("334-{half}\n334 {rest}")),
    ] {
        exchange.on(Step::AuthBlob, answer);
        errors.push(send_mail(&account, &message()).unwrap_err());
    }
    errors.push(
        send_mail(
            &account.clone().client_secret("Q9~wrong-client-secret~Q9"),
            &message(),
        )
        .unwrap_err(),
    );
    let session = Session::open(&account);
    let written = format!(
        "{errors:#?}{account:?}{token:?}{session:?}{}",
        WRITTEN.lock().unwrap()
    );

    assert!(
        written.contains("C: AUTH XOAUTH2") && written.contains("[withheld: it repeats the token]"),
        "{written}"
    );
    for secret in [
        token.secret(),
        &login,
        &reason,
        "marked-client-secret",
        "wrong-client-secret",
        "marked message text",
    ] {
        assert!(
            !written.contains(secret) && !written.contains(&secret[..secret.len().min(40)]),
            "written: {secret}"
        );
    }
}
