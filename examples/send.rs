//! Sends a short note, with everything that is said on the way.
//!
//! ```sh
//! cargo run --example send                      # through the stand-in for Exchange Online, on this machine
//! EXOSEND_MAILBOX=robot@contoso.com EXOSEND_TENANT=contoso.onmicrosoft.com \
//! EXOSEND_CLIENT_ID=... EXOSEND_CLIENT_SECRET=... \
//! cargo run --example send -- ann@example.com   # through Exchange Online
//! ```

#[path = "../tests/exchange/mod.rs"]
mod exchange;

use std::io::Write;

use exosend::{Account, Error, Message, send_mail};
use log::LevelFilter;

fn main() -> Result<(), Error> {
    show_transcript();
    // One variable set and another forgotten must not end at the stand-in: the account says what is missing.
    if std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("EXOSEND_")) {
        through_exchange_online()
    } else {
        through_the_stand_in()
    }
}

fn through_exchange_online() -> Result<(), Error> {
    let account = Account::from_env()?;
    let to = std::env::args().nth(1).unwrap_or_default();
    println!("{}", send_mail(&account, &note(&to))?);
    Ok(())
}

fn through_the_stand_in() -> Result<(), Error> {
    let exchange = exchange::Exchange::start();
    let to = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ann@example.com".into());
    let receipt = send_mail(&exchange.account(), &note(&to))?;
    println!("\nreceipt: {receipt}\n\nas it arrived:\n");
    for message in exchange.delivered() {
        println!("{}", message.text());
    }
    println!(
        "This was the stand-in on this machine. To send through Exchange Online set EXOSEND_MAILBOX, EXOSEND_TENANT, \
         EXOSEND_CLIENT_ID and EXOSEND_CLIENT_SECRET, and give the recipient's address as argument."
    );
    Ok(())
}

fn note(to: &str) -> Message {
    Message::new()
        .to(to)
        .subject("A note from exosend \u{2709}")
        .text(
            "It works.\n\nThis message was sent with OAuth2, over STARTTLS, by examples/send.rs.\n",
        )
}

/// Prints `C:` and `S:` lines to stderr. `RUST_LOG` changes what is shown, up to debug: at trace, ureq shows tokens.
fn show_transcript() {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("exosend=debug"))
        .format(|out, record| match record.target() {
            "exosend::wire" => writeln!(out, "{}", record.args()),
            _ => writeln!(out, "-- {}", record.args()),
        })
        .init();
    log::set_max_level(log::max_level().min(LevelFilter::Debug));
}
