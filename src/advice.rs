//! What went wrong with mail through Exchange Online, and which command mends it.

pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod powershell;
