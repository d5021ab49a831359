#![doc = include_str!("guide.md")]
// No input from outside may panic, and a library prints nothing; its tests may do both.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::print_stdout,
        clippy::print_stderr
    )
)]

#[cfg(not(unix))]
compile_error!(
    "exosend builds on Unix only: files that hold secrets are judged by their owner and mode"
);

mod account;
#[cfg(feature = "advice")]
pub mod advice;
mod background;
#[cfg(feature = "capi")]
mod c;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod command;
mod crypto;
mod date;
mod der;
mod dial;
mod error;
mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[path = "../tests/invariants/library.rs"]
pub mod fuzzing;
#[cfg(feature = "graph")]
mod graph;
mod hint;
#[cfg(feature = "login")]
pub mod login;
mod message;
mod receipt;
mod repeats;
mod reply;
mod secret;
mod session;
mod smtp;
mod stage;
mod text;
mod timeouts;
mod tls;
mod token;

/// The README's programs, tried.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(feature = "graph")]
pub use account::Transport;
pub use account::cloud::Cloud;
pub use account::{Account, InitialResponse};
pub use error::Error;
pub use message::Message;
pub use message::attachment::Attachment;
pub use message::envelope::Envelope;
pub use receipt::{Receipt, Refusal};
pub use reply::Reply;
pub use session::Session;
pub use stage::{ErrorKind, Stage};
pub use timeouts::Timeouts;
pub use token::Token;

// Programs that send from several threads, or that go on after a panic in one of them, rely on these.
const _: () = {
    const fn moves<T: Send>() {}
    const fn shares<T: Send + Sync>() {}
    moves::<Session>();
    shares::<(Account, Message, Envelope, Token, Receipt, Error)>();
    const fn survives<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    survives::<(Account, Message, Envelope, Token)>();
};

/// Sends one message: gets a token, connects, logs in, and hands the message over.
///
/// `Ok` means that the server has accepted it for every recipient, or, by Microsoft Graph, that it has been
/// [taken for processing](Receipt::is_final). For more than one message, open a [`Session`].
///
/// # Errors
///
/// Every [`ErrorKind`]; see [`Error`] for what to do about which. Nothing was delivered, unless the error is
/// [in doubt](Error::in_doubt).
///
/// ```no_run
/// use exosend::{Account, Message, send_mail};
///
/// let message = Message::new().to("ops@example.com").subject("backup done").text("212 GiB in 41 min\n");
/// println!("{}", send_mail(&Account::from_env()?, &message)?);
/// # Ok::<(), exosend::Error>(())
/// ```
pub fn send_mail(account: &Account, message: &Message) -> Result<Receipt, Error> {
    account.check()?;
    message.check()?;
    #[cfg(feature = "graph")]
    account.check_message(message)?;
    let total = timeouts::Deadline::total(&account.timeouts);
    let mut session = Session::connect(account, total)?; // token and connection side by side
    let receipt = session.send_by(message, total);
    session.quit(); // says QUIT, does not wait
    receipt
}
