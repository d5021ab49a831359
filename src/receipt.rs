//! What a send that worked says.

use std::fmt;

use crate::reply::Reply;

/// The server has taken the message for delivery, or, where it [is not final](Self::is_final), for processing.
///
/// You get one from [`send_mail`](crate::send_mail), [`Session::send`](crate::Session::send) or
/// [`Session::send_raw`](crate::Session::send_raw). Unless partial delivery was asked for, it stands for every
/// recipient. It does not promise that the message arrives: later failures come back as bounces.
///
/// `Display` is the server's reply, which support asks for when a message is missing.
///
/// ```no_run
/// # use exosend::{Account, Message, send_mail};
/// # let (account, message) = (Account::from_env()?, Message::new());
/// let receipt = send_mail(&account, &message.partial(true))?;
/// println!("{receipt}");
/// for refusal in receipt.refused() {
///     println!("not to {refusal}");
/// }
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub(crate) reply: Reply,
    pub(crate) message_id: Option<String>,
    pub(crate) refused: Vec<Refusal>,
}

impl Receipt {
    /// The reply to the final dot. Of Microsoft Graph the status of its answer, `202 accepted for processing`, with the
    /// request's id.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// The message's `Message-ID`, angle brackets included; `None` after
    /// [`send_raw`](crate::Session::send_raw), which does not read what it sends.
    pub fn message_id(&self) -> Option<&str> {
        self.message_id.as_deref()
    }

    /// Whether the server answers for the message from now on, for every recipient. Microsoft Graph has taken it for
    /// processing only: it may find a recipient or the message wrong later, and says so in a bounce to the mailbox.
    pub fn is_final(&self) -> bool {
        // HTTP's 202 Accepted (RFC 9110 15.3.3); no reply of SMTP has this code (RFC 5321 4.2.3).
        self.reply.code() != 202
    }

    /// The recipients who were refused and get nothing. Empty unless partial delivery was asked for.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reply.fmt(f)
    }
}

/// A recipient the server did not take, and its words.
///
/// `Display` is `<bob@example.com>: 550 5.1.10 Recipient not found`.
///
/// ```no_run
/// # use exosend::{Account, Message, send_mail};
/// # fn strike_off(address: &str) {}
/// # let (account, message) = (Account::from_env()?, Message::new());
/// let receipt = send_mail(&account, &message.partial(true))?;
/// for refusal in receipt.refused().iter().filter(|refusal| refusal.reply().is_permanent()) {
///     strike_off(refusal.address());
/// }
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) address: String,
    pub(crate) reply: Reply,
}

impl Refusal {
    /// The recipient's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The server's answer to `RCPT TO`.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>: {}", self.address, self.reply)
    }
}
