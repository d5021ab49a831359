//! The pure modules of the library that the command needs beside the public names, so that the program has them only once.
//!
//! Not a part of the interface: any release may change or remove them.

pub mod crypto {
    pub use crate::crypto::{hex, random, sha256};
}

pub mod date {
    pub use crate::date::{generalized_time, rfc3339, rfc5322};
}

pub mod file {
    pub use crate::account::file::{Entry, Wrong, key, parse};
}

pub mod flow {
    pub use crate::flow::{Sink, Source};
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

pub mod value {
    pub use crate::account::value::seconds;
}
