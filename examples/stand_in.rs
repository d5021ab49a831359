//! The stand-in for Exchange Online and Entra as a program: any program in any language can be tried on it, on this
//! machine and in CI, without a tenant. It prints the account as `EXOSEND_*` lines and serves until its standard input ends;
//! then it prints what was delivered, and fails if a client broke a rule.
//!
//! ```sh
//! cargo build --example stand_in
//! sleep 600 | target/debug/examples/stand_in > account.env &
//! until grep -qs EXOSEND_CA_FILE account.env; do sleep 0.1; done
//! env $(cat account.env) your-program
//! ```

#[path = "../tests/exchange/mod.rs"]
mod exchange;

use std::error::Error;
use std::io::Write;

use exchange::Exchange;

fn main() -> Result<(), Box<dyn Error>> {
    // A secret that no shell has to quote.
    let exchange = Exchange::builder().client_secret("stand-in").start();
    let ca_file = std::env::temp_dir().join(format!("exosend-stand-in-{}.pem", std::process::id()));
    std::fs::write(&ca_file, exchange.ca_pem())?;
    let account = format!(
        "EXOSEND_MAILBOX={}\nEXOSEND_TENANT={}\nEXOSEND_CLIENT_ID={}\nEXOSEND_CLIENT_SECRET={}\n\
         EXOSEND_SERVER={}:{}\nEXOSEND_AUTHORITY={}\nEXOSEND_SCOPE={}\nEXOSEND_CA_FILE={}\n",
        exchange.mailbox(),
        exchange.tenant(),
        exchange.client_id(),
        exchange.client_secret(),
        exchange.host(),
        exchange.port(),
        exchange.authority(),
        exchange.scope(),
        ca_file.display(),
    );
    // In one piece: who reads it before it is whole has half an account.
    std::io::stdout().lock().write_all(account.as_bytes())?;
    std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())?;
    std::fs::remove_file(&ca_file)?;
    for message in exchange.settle().delivered() {
        println!("\nto {}\n{}", message.to.join(", "), message.text());
    }
    match exchange.violations().as_slice() {
        [] => Ok(()),
        violations => Err(violations.join("\n").into()),
    }
}
