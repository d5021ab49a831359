//! What the command needs beside the public names: pure rooms of the library, so that the program does not have them twice.
//!
//! No part of the interface: what stands here may change or go with any release.

pub mod crypto {
    pub use crate::crypto::{hex, random, sha256};
}

pub mod date {
    pub use crate::date::{generalized_time, rfc3339, rfc5322};
}

pub mod file {
    pub use crate::account::file::{Entry, Wrong, key, parse};
}

pub mod head {
    pub use crate::message::head::{Author, Head, split};
}

pub mod list {
    pub use crate::message::list::{Mailbox, is_user, parse, read};
}

pub mod octets {
    pub use crate::message::octets::{Charset, Length};
}

pub mod text {
    pub use crate::text::{distance, is_unprintable, nearest, printable};
}
