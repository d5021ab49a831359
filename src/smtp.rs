//! The conversation with the server, in its order: [`dial`] makes a TCP connection, and [`tls`] is put around it in the
//! [`login`] (greeting, EHLO, STARTTLS, EHLO, AUTH). For each message the [`dialogue`] says MAIL, RCPT and DATA, in as few
//! [`flight`]s as can be, then the message as [`dots`] has it; QUIT ends it. The [`wire`] carries every command and reply.

pub(crate) mod dial;
pub(crate) mod dialogue;
pub(crate) mod dots;
pub(crate) mod flight;
pub(crate) mod login;
pub(crate) mod tls;
pub(crate) mod wire;
