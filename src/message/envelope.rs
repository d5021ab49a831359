//! Who a message goes from and to, as MAIL and RCPT say it.

use crate::error::Error;
use crate::message::address::checked_spec;
use crate::stage::Stage;

/// Sender and recipients of a message that is ready, for [`Session::send_raw`](crate::Session::send_raw).
///
/// The sender is the account's mailbox, or an address it may send as. Bounces go there, so the empty sender `<>`, which
/// Exchange does not take from a client, is an error.
///
/// ```
/// let envelope = exosend::Envelope::new("robot@contoso.com").to("ann@example.com").to("bob@example.com");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    from: String,
    to: Vec<String>,
    partial: bool,
    size: Option<u64>,
}

impl Envelope {
    /// An envelope from this address. Microsoft Graph has no sender beside the message's `From`, and does not look at it.
    pub fn new(from: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            to: Vec::new(),
            partial: false,
            size: None,
        }
    }

    /// One recipient's address; repeat for more.
    pub fn to(mut self, address: impl Into<String>) -> Self {
        self.to.push(address.into());
        self
    }

    /// Whether to deliver to those who are accepted if others are refused, and to list these in the
    /// [receipt](crate::Receipt::refused). By default one refusal means that nothing is sent.
    /// Microsoft Graph refuses no single recipient beforehand, and this has no meaning there.
    pub fn partial(mut self, allowed: bool) -> Self {
        self.partial = allowed;
        self
    }

    /// How long the message is, if that is known: as RFC 1870 counts, with two bytes a line end, and dots not doubled.
    /// The server is told, so that it can refuse what is too long before it is sent; a figure that is not true does no
    /// other harm by SMTP. By Microsoft Graph, which wants to know it beforehand, a message of another length is not sent;
    /// one whose size is not named is read first.
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }

    /// What is known of the message. It may hold anything.
    pub(crate) fn content(&self) -> Content<'static> {
        Content {
            size: self.size,
            maybe_8bit: true,
            international: None,
        }
    }

    pub(crate) fn route(&self) -> Result<Route, Error> {
        let from = match self.from.as_str() {
            "" | "<>" => {
                Err("an empty sender is not possible here: bounces go to the mailbox".into())
            }
            from => checked_spec(from),
        };
        let to = self.to.iter().map(|address| checked_spec(address));
        Route::new(
            from.map_err(|what| Error::input(Stage::Message, "from", what))?,
            to,
            self.partial,
        )
    }
}

/// Addresses that have been checked: at least one recipient, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) partial: bool,
}

impl Route {
    /// Somebody who is both in To and Cc gets the message once.
    pub(crate) fn new(
        from: String,
        recipients: impl Iterator<Item = Result<String, String>>,
        partial: bool,
    ) -> Result<Self, Error> {
        let wrong = |what: String| Error::input(Stage::Message, "to", what);
        let mut to: Vec<String> = Vec::new();
        for address in recipients {
            let address = address.map_err(wrong)?;
            if !to.contains(&address) {
                to.push(address);
            }
        }
        if to.is_empty() {
            return Err(wrong("no recipient".into()));
        }
        Ok(Self { from, to, partial })
    }
}

/// What is known of a message before it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'m> {
    /// Its length as RFC 1870 counts it: lines end in CRLF, no dots doubled.
    pub(crate) size: Option<u64>,
    /// It may hold bytes over 127.
    pub(crate) maybe_8bit: bool,
    /// An address in its headers that is not ASCII.
    pub(crate) international: Option<&'m str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_named_twice_is_asked_for_once() {
        let envelope = Envelope::new("r@contoso.com")
            .to("a@example.com")
            .to("b@example.com")
            .to("a@example.com");
        assert_eq!(
            envelope.route().unwrap().to,
            ["a@example.com", "b@example.com"]
        );
    }

    #[test]
    fn bad_envelopes_are_named() {
        let text = |envelope: Envelope| envelope.route().unwrap_err().to_string();
        assert_eq!(
            text(Envelope::new("r@contoso.com")),
            "message to: no recipient"
        );
        assert!(
            text(Envelope::new("<>").to("a@example.com"))
                .starts_with("message from: an empty sender")
        );
        assert!(
            text(Envelope::new("r@contoso.com").to("a@example.com>\r\nDATA"))
                .starts_with("message to: ")
        );
        assert!(
            text(Envelope::new("r@x\r\nRSET").to("a@example.com")).starts_with("message from: ")
        );
    }
}
