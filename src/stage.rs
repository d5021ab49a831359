//! Who has to act, and where it happened: what every error says of itself.

use std::fmt;

/// Who has to act. `Display` is the word that programs write into logs: `input`, `token`, `network`. The numbers are stable
/// and shared with C callers; none is ever used again for something else.
///
/// ```
/// use exosend::{Account, ErrorKind};
///
/// let error = Account::new("robot@contoso.com").check().unwrap_err(); // it has no tenant
/// assert_eq!(error.kind(), ErrorKind::Input);
/// assert_eq!(error.kind().to_string(), "input");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum ErrorKind {
    /// The caller: an account or a message that cannot be sent as it is. Found before the first byte is sent, or, where
    /// it depends on what the server offers, before `MAIL`.
    Input = 1,
    /// The administrator of the application in Entra: no token was issued.
    Token = 2,
    /// The network: names, connections, timeouts, at [`Stage::Token`] too.
    Network = 3,
    /// Certificates and TLS, at [`Stage::Token`] too.
    Tls = 4,
    /// The server does not speak what exosend needs, or not as the RFCs say.
    Protocol = 5,
    /// The administrator of Exchange Online: the token was refused, or by Graph the mailbox to this application.
    Auth = 6,
    /// Nobody yet: the server said 4yz, try again later; by Graph 429 or a 5xx.
    Deferred = 7,
    /// The server said 5yz to a sender, a recipient or the message; by Graph 4xx.
    Refused = 8,
    /// What the message is made from could not be read to its end. Nothing was delivered.
    Body = 9,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::Input => "input",
            ErrorKind::Token => "token",
            ErrorKind::Network => "network",
            ErrorKind::Tls => "tls",
            ErrorKind::Protocol => "protocol",
            ErrorKind::Auth => "auth",
            ErrorKind::Deferred => "deferred",
            ErrorKind::Refused => "refused",
            ErrorKind::Body => "body",
        })
    }
}

/// Where in the conversation. `Display` is the word that begins an error's text.
///
/// ```
/// use exosend::{Error, Message, Stage};
///
/// // A web page shows visitors the errors in their own input, and logs all others.
/// fn is_of_input(error: &Error) -> bool {
///     matches!(error.stage(), Stage::Message | Stage::Recipient)
/// }
/// let error = Message::new().to("ann@").text("hello").check().unwrap_err();
/// assert!(is_of_input(&error));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The [`Account`](crate::Account): a field is missing or cannot be right.
    Account,
    /// The [`Message`](crate::Message) or [`Envelope`](crate::Envelope): a field is missing or cannot be right.
    Message,
    /// The token request to Entra.
    Token,
    /// The server's name.
    Resolve,
    /// TCP.
    Connect,
    /// The server's first line.
    Greeting,
    /// EHLO, before or after TLS.
    Ehlo,
    /// STARTTLS and the TLS handshake.
    StartTls,
    /// AUTH XOAUTH2.
    Auth,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA.
    Data,
    /// The text of the message.
    Body,
    /// The final dot and its reply.
    Accept,
    /// RSET between two messages.
    Reset,
    /// The request to Microsoft Graph, from its connection to its answer.
    #[cfg(feature = "graph")]
    Graph,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Account => "account",
            Stage::Message => "message",
            Stage::Token => "token",
            Stage::Resolve => "resolve",
            Stage::Connect => "connect",
            Stage::Greeting => "greeting",
            Stage::Ehlo => "ehlo",
            Stage::StartTls => "starttls",
            Stage::Auth => "auth",
            Stage::Sender => "sender",
            Stage::Recipient => "recipient",
            Stage::Data => "data",
            Stage::Body => "body",
            Stage::Accept => "accept",
            Stage::Reset => "reset",
            #[cfg(feature = "graph")]
            Stage::Graph => "graph",
        })
    }
}
