//! The one place that knows the crate under test.

use exosend::{Account, Message};

use super::Exchange;

/// A note to Ann.
pub fn note() -> Message {
    Message::new().to("ann@example.com").text("x")
}

impl Exchange {
    /// An account that is known here.
    pub fn account(&self) -> Account {
        Account::new(self.mailbox())
            .tenant(self.tenant())
            .client_id(self.client_id())
            .client_secret(self.client_secret())
            .server(self.host(), self.port())
            .authority(self.authority())
            .scope(self.scope())
            .root_certificates(self.ca_pem())
    }

    /// The same by Microsoft Graph; its SMTP port is one where nobody listens.
    #[cfg(feature = "graph")]
    pub fn graph_account(&self) -> Account {
        Account::new(self.mailbox())
            .tenant(self.tenant())
            .client_id(self.client_id())
            .client_secret(self.client_secret())
            .transport(exosend::Transport::Graph)
            .graph_endpoint(self.graph_endpoint())
            .server(self.host(), 9)
            .authority(self.authority())
            .root_certificates(self.ca_pem())
    }

    /// The variables that say where it is.
    pub fn place(&self) -> [(&'static str, String); 4] {
        [
            ("EXOSEND_MAILBOX", self.mailbox().into()),
            ("EXOSEND_SERVER", format!("{}:{}", self.host(), self.port())),
            ("EXOSEND_AUTHORITY", self.authority()),
            ("EXOSEND_SCOPE", self.scope()),
        ]
    }

    /// The variables of the application that is known here.
    pub fn application(&self) -> [(&'static str, &str); 3] {
        [
            ("EXOSEND_TENANT", self.tenant()),
            ("EXOSEND_CLIENT_ID", self.client_id()),
            ("EXOSEND_CLIENT_SECRET", self.client_secret()),
        ]
    }
}
