//! The smallest program whose account is in `EXOSEND_*` variables. Its size is measured, too.

use exosend::{Account, Message, send_mail};

fn main() -> Result<(), exosend::Error> {
    let message = Message::new()
        .to("ops@example.com")
        .subject("backup done")
        .text("212 GiB in 41 min\n");
    println!("{}", send_mail(&Account::from_env()?, &message)?);
    Ok(())
}
