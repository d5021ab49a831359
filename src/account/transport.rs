//! How a message leaves: by SMTP, or as a request to Microsoft Graph.

use crate::account::cloud::with_scheme;
use crate::account::{Account, Transport};
use crate::error::Error;
use crate::hint::table::Condition;
use crate::message::Message;
use crate::message::envelope::Envelope;
use crate::stage::Stage;

/// A request has 4 MB at most, of which base64 takes a quarter (facts.md, "Graph").
pub(crate) const MAX_MESSAGE: u64 = 3_000_000;

impl Account {
    /// How messages leave. [`Smtp`](Transport::Smtp).
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self.forget_token()
    }

    /// Where Microsoft Graph is: the URL before `/v1.0`. The [cloud](Self::cloud)'s, `https://graph.microsoft.com`.
    ///
    /// The token is for the cloud's Graph all the same, unless [`scope`](Self::scope) says otherwise.
    pub fn graph_endpoint(mut self, url: impl Into<String>) -> Self {
        self.graph_endpoint = Some(url.into());
        self
    }

    /// What the transport does not take of a message, found before anything is asked for: by Graph, one that is too large.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input), as from [`Message::check`], and for field `size`.
    pub fn check_message(&self, message: &Message) -> Result<(), Error> {
        let letter = message.letter(&self.mailbox)?;
        self.check_size(Some(letter.size()))
    }

    /// The same of a message that is ready, by its [size](Envelope::size).
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input), for field `size`.
    pub fn check_envelope(&self, envelope: &Envelope) -> Result<(), Error> {
        self.check_size(envelope.content().size)
    }

    fn check_size(&self, size: Option<u64>) -> Result<(), Error> {
        match size.filter(|_| self.is_graph()) {
            Some(size) => fits(size),
            None => Ok(()),
        }
    }

    pub(crate) fn is_graph(&self) -> bool {
        self.transport == Transport::Graph
    }

    /// The URL before `/v1.0`.
    pub(crate) fn graph(&self) -> String {
        let url = self.graph_endpoint.as_deref();
        with_scheme(url.unwrap_or(self.cloud.graph()))
    }
}

/// Whether Graph takes a message of this many bytes.
pub(crate) fn fits(size: u64) -> Result<(), Error> {
    if size <= MAX_MESSAGE {
        return Ok(());
    }
    let what = format!("{size} bytes, Microsoft Graph takes {MAX_MESSAGE}");
    Err(Error::input(Stage::Message, "size", what).with_condition(Condition::GraphTooLarge))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::cloud::Cloud;

    #[test]
    fn each_cloud_has_its_graph_endpoint() {
        let of = |cloud| Account::new("a@b.c").cloud(cloud).graph();
        assert_eq!(of(Cloud::Worldwide), "https://graph.microsoft.com");
        assert_eq!(of(Cloud::GccHigh), "https://graph.microsoft.us");
        assert_eq!(of(Cloud::Dod), "https://dod-graph.microsoft.us");
        assert_eq!(of(Cloud::China), "https://microsoftgraph.chinacloudapi.cn");
        let other = Account::new("a@b.c").graph_endpoint("localhost:8443/");
        assert_eq!(other.graph(), "https://localhost:8443");
    }
}
