//! What a caller asked for beside the message.

use exosend::{Error, Message};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) to: Vec<String>,
    /// `-f`
    pub(crate) sender: Option<String>,
    /// `-F`
    pub(crate) full_name: Option<String>,
}

/// Whether Exchange could reach this address.
pub(crate) fn could_be_right(address: &str) -> Result<(), Error> {
    Message::new().subject("-").to(address).check()
}
