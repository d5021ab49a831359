//! Recipients and sender, as the caller names them beside the message.

use exosend::{Error, Message};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addressing {
    pub(crate) to: Vec<String>,
    /// `-f`
    pub(crate) sender: Option<String>,
    /// `-F`
    pub(crate) full_name: Option<String>,
}

/// An error for what cannot be an address of Exchange's.
pub(crate) fn check_address(address: &str) -> Result<(), Error> {
    Message::new().subject("-").to(address).check()
}
