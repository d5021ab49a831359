//! The one place that knows the crate under test.

use exosend::{Account, Message};

use super::Exchange;

/// A note to Ann.
pub fn note() -> Message {
    Message::new().to("ann@example.com").text("x")
}

impl Exchange {
    /// The account that the stand-in knows.
    pub fn account(&self) -> Account {
        self.account_at(self.port()).scope(self.scope())
    }

    /// The same by Microsoft Graph; nobody listens on its SMTP port.
    #[cfg(feature = "graph")]
    pub fn graph_account(&self) -> Account {
        self.account_at(9)
            .transport(exosend::Transport::Graph)
            .graph_endpoint(self.graph_endpoint())
    }

    fn account_at(&self, smtp_port: u16) -> Account {
        Account::new(self.mailbox())
            .tenant(self.tenant())
            .client_id(self.client_id())
            .client_secret(self.client_secret())
            .server(self.host(), smtp_port)
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
