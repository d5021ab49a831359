//! The conversation with the server: [`dial`] a TCP connection, [`tls`] around it, the [`login`], the [`dialogue`] for each
//! message, over the [`wire`] that carries both; [`dots`] is how a message looks in it.

pub(crate) mod dial;
pub(crate) mod dialogue;
pub(crate) mod dots;
pub(crate) mod flight;
pub(crate) mod login;
pub(crate) mod tls;
pub(crate) mod wire;
