//! The smallest program that sends mail. Its size is measured by `.ci/size`.

use exosend::{Account, Message, send_mail};

fn main() -> Result<(), exosend::Error> {
    let account = Account::new("robot@contoso.com")
        .tenant("contoso.onmicrosoft.com")
        .client_id("6731de76-14a6-49ae-97bc-6eba6914391e")
        .client_secret(std::env::var("EXOSEND_CLIENT_SECRET").unwrap_or_default());
    let message = Message::new()
        .to("ops@example.com")
        .subject("backup done")
        .text("212 GiB in 41 min\n");
    println!("{}", send_mail(&account, &message)?);
    Ok(())
}
