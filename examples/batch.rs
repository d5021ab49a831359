//! Many messages over one connection: one login, two round trips a message.
//!
//! ```sh
//! printf 'ann@example.com\nbob@example.com\n' | cargo run --example batch     # account from EXOSEND_* variables
//! ```

use exosend::{Account, Message, Session};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut session = Session::open(&Account::from_env()?)?;
    for address in std::io::stdin().lines() {
        let address = address?;
        let message = Message::new()
            .to(&address)
            .subject("Your report")
            .text("It is ready.\n");
        match session.send(&message) {
            Ok(receipt) => println!("{address}: {receipt}"),
            Err(error) if session.is_over() => return Err(error.into()),
            // This one is refused, the next may not be.
            Err(error) => eprintln!("{address}: {error:?}"),
        }
    }
    session.quit();
    Ok(())
}
