//! What a caller asked for beside the message.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wishes {
    pub(crate) to: Vec<String>,
    /// `-f`
    pub(crate) sender: Option<String>,
    /// `-F`
    pub(crate) full_name: Option<String>,
}
