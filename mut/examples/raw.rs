//! Sends a message that is ready, as it is: an `.eml` on stdin, recipients as arguments.
//!
//! ```sh
//! cargo run --example raw -- ann@example.com < message.eml     # account from EXOSEND_* variables
//! ```

use exosend::{Account, Envelope, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let sender = std::env::var("EXOSEND_MAILBOX")?;
    let envelope = std::env::args()
        .skip(1)
        .fold(Envelope::new(sender), Envelope::to);
    let mut session = Session::open(&Account::from_env()?)?;
    println!("{}", session.send_raw(&envelope, std::io::stdin().lock())?);
    session.quit();
    Ok(())
}
