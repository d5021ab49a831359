//! The conversation with the server, in its order: the [`login`] (greeting, EHLO, STARTTLS, EHLO, AUTH)
//! over a connection that [`dial`](crate::dial) makes. For each message the [`dialogue`] says MAIL, RCPT and DATA, in as few
//! [`flight`]s as can be, then the message as [`dots`] has it; QUIT ends it. The [`wire`] carries every command and reply.
//! Neither MIME nor a token's making is known here.

pub(crate) mod dialogue;
pub(crate) mod dots;
pub(crate) mod flight;
pub(crate) mod login;
pub(crate) mod wire;
