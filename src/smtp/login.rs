//! From a host name to a connection that is logged in: resolve, TCP, greeting, EHLO, STARTTLS, EHLO, AUTH.
//!
//! Each phase is a type that the next one consumes, [`Greeted`], [`Secured`], [`LoggedIn`], so that nothing of a phase
//! outlives it: not its read buffer, and not what the server offered in it.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::account::{Account, InitialResponse};
use crate::dial::{self, Interrupt};
use crate::error::Error;
use crate::hint::table::Condition;
use crate::reply::Reply;
use crate::smtp::wire::{Wire, blob};
use crate::stage::{ErrorKind, Stage};
use crate::text::printable;
use crate::timeouts::Deadline;
use crate::tls::{self, Stream};
use crate::token::Token;

/// The longest line that a server has to take for a login, CRLF included (RFC 4954 section 4). It may take the end of a
/// longer one for a command.
const MAX_LOGIN: usize = 12_288;

/// Everything up to the second EHLO: what can be done without a token.
pub(crate) fn open(
    account: &Account,
    total: Deadline,
    interrupt: &Interrupt,
) -> Result<Secured, Error> {
    let (wire, ehlo_name) = connect(account, total, interrupt)?;
    let config = tls::config(account.roots())?;
    let handshake = |socket| tls::handshake(socket, account.host(), config);
    Greeted::greet(wire, &ehlo_name)
        .map_err(|error| ungreeted(error, account.port()))?
        .start_tls(handshake, &ehlo_name)
}

/// A connection on which nothing has been said, and the name to say in EHLO.
pub(crate) fn connect(
    account: &Account,
    total: Deadline,
    interrupt: &Interrupt,
) -> Result<(Wire, String), Error> {
    let deadline = total.step(account.timeouts.connect, "connect");
    let socket = dial::connect(account.host(), account.port(), deadline, interrupt)
        // Microsoft's own servers exist, whatever a resolver without a network says.
        .map_err(|error| match account.server {
            None => error.transient(),
            Some(_) => error,
        })?;
    let ehlo_name = account
        .ehlo_name
        .clone()
        .unwrap_or_else(|| literal(socket.local_addr()));
    let wire = Wire::new(Box::new(socket), account.timeouts.clone(), total);
    Ok((wire, ehlo_name))
}

/// `[192.0.2.7]`, for a client that has no name of its own (RFC 5321 4.1.3, 4.1.4).
fn literal(local: Option<SocketAddr>) -> String {
    match local {
        Some(SocketAddr::V4(v4)) => format!("[{}]", v4.ip()),
        Some(SocketAddr::V6(v6)) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => format!("[{v4}]"),
            None => format!("[IPv6:{}]", v6.ip()),
        },
        None => "[127.0.0.1]".into(),
    }
}

/// Adds the hint for a server that does not greet on port 465: it waits for TLS from the first byte.
pub(crate) fn ungreeted(error: Error, port: u16) -> Error {
    let waits = error.stage() == Stage::Greeting && error.kind() == ErrorKind::Network;
    match waits && port == 465 {
        true => error.with_condition(Condition::ImplicitTls),
        false => error,
    }
}

/// The server's first words (RFC 5321 3.1).
pub(crate) fn greeting(wire: &mut Wire) -> Result<Reply, Error> {
    wire.reply(Stage::Greeting)?.expect(Stage::Greeting, 2)
}

/// Connected in the clear. Of what the server offers only STARTTLS counts.
pub(crate) struct Greeted {
    wire: Wire,
    offers: Extensions,
}

impl Greeted {
    pub(crate) fn greet(mut wire: Wire, ehlo_name: &str) -> Result<Self, Error> {
        greeting(&mut wire)?;
        Self::hello(wire, ehlo_name)
    }

    /// EHLO to a server that has greeted.
    pub(crate) fn hello(mut wire: Wire, ehlo_name: &str) -> Result<Self, Error> {
        let offers = ehlo(&mut wire, ehlo_name)?;
        Ok(Self { wire, offers })
    }

    /// STARTTLS, the handshake by `upgrade`, and EHLO again (RFC 3207 4.2).
    pub(crate) fn start_tls(
        self,
        upgrade: impl FnOnce(Box<dyn Stream>) -> Result<Box<dyn Stream>, Error>,
        ehlo_name: &str,
    ) -> Result<Secured, Error> {
        let Self { mut wire, offers } = self;
        if !offers.starttls {
            return Err(Error::protocol(
                Stage::StartTls,
                "the server does not offer STARTTLS, nothing was sent in the clear",
            ));
        }
        wire.command(Stage::StartTls, "STARTTLS")?
            .expect(Stage::StartTls, 2)?;
        let (timeouts, total) = (wire.timeouts().clone(), wire.total());
        let mut stream = wire.into_inner(Stage::StartTls)?;
        stream.set_deadline(total.step(timeouts.command, "command"));
        let mut wire = Wire::new(upgrade(stream)?, timeouts, total);
        let offers = ehlo(&mut wire, ehlo_name)?;
        Ok(Secured { wire, offers })
    }
}

/// Behind a verified handshake, and not logged in yet.
pub(crate) struct Secured {
    wire: Wire,
    offers: Extensions,
}

impl Secured {
    /// AUTH XOAUTH2: on one line where RFC 4954 allows it or the caller knows better, else in two steps.
    pub(crate) fn authenticate(
        self,
        mailbox: &str,
        token: &Token,
        initial_response: InitialResponse,
    ) -> Result<LoggedIn, Error> {
        let Self { mut wire, offers } = self;
        if !offers.xoauth2 {
            return Err(Error::protocol(
                Stage::Auth,
                "the server does not offer XOAUTH2",
            ));
        }
        // The user who logged in, not a shared mailbox, whose name is refused here (facts.md, "A user's login").
        let user = token.user_or(mailbox);
        let login = blob(&[
            "user=",
            user,
            "\x01auth=Bearer ",
            token.secret(),
            "\x01\x01",
        ]);
        if login.expose().len() + 2 > MAX_LOGIN {
            let what = "the token is longer than a login may be (9 KB, RFC 4954 section 4)";
            return Err(Error::new(ErrorKind::Token, Stage::Auth, what));
        }
        wire.keep_secret(&login);
        wire.keep_secret(&token.secret);
        const VERB: &str = "AUTH XOAUTH2";
        // RFC 4954 section 4: a line of 512 octets at most, CRLF included, else the client MUST NOT use this form.
        let on_one_line = match initial_response {
            InitialResponse::Auto => VERB.len() + 1 + login.expose().len() + 2 <= 512,
            InitialResponse::Always => true,
            InitialResponse::Never => false,
        };
        if on_one_line {
            wire.say_secret(VERB, &login);
        } else {
            wire.command(Stage::Auth, VERB)?
                .expect(Stage::Auth, 3)
                .map_err(|e| e.about(user))?;
            wire.say_secret("", &login);
        }
        wire.send(Stage::Auth)?;
        let answer = wire.reply(Stage::Auth)?;
        accepted(&mut wire, answer).map_err(|e| e.about(user))?;
        Ok(LoggedIn { wire, offers })
    }
}

/// Ready for the first message.
pub(crate) struct LoggedIn {
    pub(crate) wire: Wire,
    pub(crate) offers: Extensions,
}

/// A login is refused in one step, as at Exchange, or in two: 334 with the reason in base64, and 535 once the client has
/// answered with an empty line. The login is not said again to that 334: the token would go out twice.
fn accepted(wire: &mut Wire, answer: Reply) -> Result<(), Error> {
    if answer.class() != 3 {
        return answer.expect(Stage::Auth, 2).map(drop);
    }
    let reason = reason(&answer);
    match wire.command(Stage::Auth, "")? {
        no if no.is_transient() || no.is_permanent() => {
            Err(Error::reply_to(Stage::Auth, no).with(&reason))
        }
        other => Err(Error::protocol(
            Stage::Auth,
            format!("refused{reason}, and then answered: {other}"),
        )),
    }
}

/// ` (reason: {"status":"401","schemes":"bearer"})`
fn reason(answer: &Reply) -> String {
    let text: String = answer.lines().collect();
    match STANDARD
        .decode(text.trim())
        .map(|bytes| printable(&String::from_utf8_lossy(&bytes)))
    {
        Ok(reason) if reason.is_empty() => String::new(),
        Ok(reason) => format!(" (reason: {reason})"),
        Err(_) => format!(" (reason: {text})"),
    }
}

fn ehlo(wire: &mut Wire, name: &str) -> Result<Extensions, Error> {
    let reply = wire
        .command(Stage::Ehlo, &format!("EHLO {name}"))?
        .expect(Stage::Ehlo, 2)?;
    Ok(Extensions::offered(&reply))
}

/// What an EHLO answer offers, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extensions {
    starttls: bool,
    xoauth2: bool,
    pub(crate) pipelining: bool,
    pub(crate) eight_bit_mime: bool,
    pub(crate) smtp_utf8: bool,
    /// Whether SIZE is offered, and the limit if one is named (RFC 1870).
    pub(crate) size: Option<Option<u64>>,
}

impl Extensions {
    /// The first line is the server's name and greeting (RFC 5321 4.1.1.1). Keywords are of either case.
    fn offered(reply: &Reply) -> Self {
        let mut offers = Self::default();
        for line in reply.lines().skip(1) {
            let line = line.to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("STARTTLS") => offers.starttls = true,
                Some("PIPELINING") => offers.pipelining = true,
                Some("8BITMIME") => offers.eight_bit_mime = true,
                Some("SMTPUTF8") => offers.smtp_utf8 = true,
                // 0 means no fixed limit.
                Some("SIZE") => {
                    offers.size = Some(
                        words
                            .next()
                            .and_then(|limit| limit.parse().ok())
                            .filter(|&limit| limit > 0),
                    );
                }
                Some("AUTH") => offers.xoauth2 |= words.any(|mechanism| mechanism == "XOAUTH2"),
                _ => {}
            }
        }
        offers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_port_465_expects_implicit_tls() {
        let silent = || Error::io(Stage::Greeting, std::io::ErrorKind::TimedOut.into());
        let condition = |port| ungreeted(silent(), port).condition();
        assert_eq!(condition(465), Some(Condition::ImplicitTls));
        assert_eq!(condition(587), None);
    }
}
