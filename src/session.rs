//! One login, and any number of messages after it. Neither TLS nor MIME is known here.

use std::fmt;
use std::io::Read;

use crate::account::Account;
use crate::account::token::Pending;
use crate::dial::Interrupt;
use crate::error::Error;
use crate::flow::{Source, copy};
#[cfg(feature = "graph")]
use crate::graph::{Graph, Text};
use crate::message::Message;
use crate::message::envelope::{Content, Envelope};
use crate::receipt::{Receipt, Refusal};
use crate::smtp::dialogue::Dialogue;
use crate::smtp::login;
use crate::stage::ErrorKind;
#[cfg(feature = "graph")]
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::token::Token;

/// A connection that is logged in, for more than one message.
///
/// You get one from [`open`](Self::open). Send as many messages as you like with [`send`](Self::send) or
/// [`send_raw`](Self::send_raw), then [`quit`](Self::quit). Exchange Online ends a connection that is idle for long, and
/// takes 30 messages a minute and 3 connections at once from a mailbox.
///
/// After a refusal (kinds [`Refused`](ErrorKind::Refused) and [`Deferred`](ErrorKind::Deferred)), and after a message that
/// cannot be sent as it is ([`Input`](ErrorKind::Input)), the session goes on with the next one. After any other error, and
/// after a 421, it [is over](Self::is_over): each further `send` returns a transient error at once, for nothing of its
/// message was sent, and a new session may take it.
///
/// A session belongs to the process that opened it: the child of a `fork` can drop its copy, and use it for nothing.
///
/// ```no_run
/// use exosend::{Account, Message, Session};
///
/// let mut session = Session::open(&Account::from_env()?)?;
/// for name in ["ann", "bob"] {
///     let message = Message::new().to(format!("{name}@example.com")).subject("hello").text("hello\n");
///     println!("{}", session.send(&message)?);
/// }
/// session.quit();
/// # Ok::<(), exosend::Error>(())
/// ```
pub struct Session {
    mailbox: String,
    way: Way,
}

/// How messages leave.
enum Way {
    Smtp(Dialogue),
    #[cfg(feature = "graph")]
    Graph(Graph),
}

impl Session {
    /// Gets a token, connects, and logs in; by Microsoft Graph, gets a token and connects.
    ///
    /// The token is fetched while the connection is made, unless one is kept from before. If either fails, the other is
    /// not waited for.
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input), [`Token`](ErrorKind::Token), [`Network`](ErrorKind::Network),
    /// [`Tls`](ErrorKind::Tls), [`Protocol`](ErrorKind::Protocol), [`Auth`](ErrorKind::Auth), and
    /// [`Deferred`](ErrorKind::Deferred) or [`Refused`](ErrorKind::Refused) if the server says no before the login. Never
    /// [in doubt](Error::in_doubt).
    pub fn open(account: &Account) -> Result<Self, Error> {
        account.check()?;
        Self::connect(account, Deadline::total(&account.timeouts))
    }

    /// [`open`](Self::open) for an account that has been checked.
    pub(crate) fn connect(account: &Account, total: Deadline) -> Result<Self, Error> {
        #[cfg(feature = "graph")]
        if account.is_graph() {
            return Ok(Self {
                mailbox: account.mailbox().to_owned(),
                way: Way::Graph(Graph::open(account, total)?),
            });
        }
        let kept = Token::kept(account);
        match (Self::log_in(account, total, kept.clone()), kept) {
            (Err(refused), Some(token)) if is_for_good(&refused) && token.is_worn() => {
                // Only once: repeated failures get a mailbox blocked (facts.md, "Limits").
                log::info!("{refused}; once more with a fresh token");
                Self::log_in(account, total, None)
            }
            (result, _) => result,
        }
    }

    fn log_in(account: &Account, total: Deadline, kept: Option<Token>) -> Result<Self, Error> {
        let interrupt = Interrupt::default();
        let pending = Pending::start(account, total, kept, &interrupt)?;
        let secured = login::open(account, total, &interrupt).map_err(|e| pending.failure(e))?;
        let token = pending.wait(total, &interrupt)?;
        let mailbox = account.mailbox().to_owned();
        let logged_in = secured
            .authenticate(&mailbox, &token, account.initial_response)
            .inspect_err(|refused| {
                // Permissions may have changed since the token was issued. Forgotten, it does not fail the next call, too.
                if is_for_good(refused) {
                    Token::forget(account, &token);
                }
            })?;
        let way = Way::Smtp(Dialogue::new(logged_in));
        Ok(Self { mailbox, way })
    }

    fn total(&self) -> Deadline {
        Deadline::total(match &self.way {
            Way::Smtp(dialogue) => dialogue.timeouts(),
            #[cfg(feature = "graph")]
            Way::Graph(graph) => &graph.account().timeouts,
        })
    }

    /// Sends one message.
    ///
    /// # Errors
    ///
    /// [`Input`](ErrorKind::Input) if the message cannot be sent as it is, to this server;
    /// [`Refused`](ErrorKind::Refused) and [`Deferred`](ErrorKind::Deferred) if the server says no to the sender, to a
    /// recipient (to all, with [`partial`](Message::partial)) or to the message; [`Body`](ErrorKind::Body) if what the
    /// message is made from cannot be read; [`Network`](ErrorKind::Network) and [`Protocol`](ErrorKind::Protocol),
    /// which may be [in doubt](Error::in_doubt).
    pub fn send(&mut self, message: &Message) -> Result<Receipt, Error> {
        let total = self.total();
        self.send_by(message, total)
    }

    pub(crate) fn send_by(&mut self, message: &Message, total: Deadline) -> Result<Receipt, Error> {
        let letter = message.letter(&self.mailbox)?;
        let content = Content {
            size: Some(letter.size()),
            maybe_8bit: false,
            international: letter.international.as_deref(),
        };
        let sent = match &mut self.way {
            Way::Smtp(dialogue) => dialogue.send(&letter.route, content, total, &mut |out| {
                letter.write_to(out)
            }),
            #[cfg(feature = "graph")]
            Way::Graph(graph) => graph.send(Text::of(&letter)?, total),
        };
        match sent {
            Ok(receipt) => Ok(Receipt {
                message_id: Some(letter.message_id),
                ..receipt
            }),
            Err(error) => Err(error.of_message(&letter.message_id)),
        }
    }

    /// Sends a message that is ready: RFC 5322 text, headers and all, read once from `message` and passed on as it is,
    /// but for line endings: any become CRLF, and a missing last one is added.
    ///
    /// By SMTP nothing is added and nothing removed: `Bcc` fields stay, so take them out before. Bytes over 127 go out even
    /// to a server without 8BITMIME, against RFC 6152, and lines over 998 bytes as they are.
    ///
    /// By Microsoft Graph, `To`, `Cc` and `Bcc` become what names the envelope's recipients, and nobody else.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). [`Body`](ErrorKind::Body) if reading fails; the connection is then ended before the
    /// message's end, and nothing is delivered. A read that blocks is not interrupted: the total time is looked at
    /// between reads.
    ///
    /// ```no_run
    /// # let mut session = exosend::Session::open(&exosend::Account::from_env()?)?;
    /// use exosend::Envelope;
    ///
    /// let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    /// let text = "From: robot@contoso.com\nTo: ann@example.com\nSubject: hello\n\nhello\n";
    /// session.send_raw(&envelope, text.as_bytes())?;
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn send_raw(
        &mut self,
        envelope: &Envelope,
        mut message: impl Read,
    ) -> Result<Receipt, Error> {
        let total = self.total();
        self.send_raw_by(envelope, &mut message, total)
    }

    /// Not generic: this would be compiled once for each kind of reader.
    pub(crate) fn send_raw_by(
        &mut self,
        envelope: &Envelope,
        message: &mut dyn Source,
        total: Deadline,
    ) -> Result<Receipt, Error> {
        let route = envelope.route()?;
        let content = envelope.content();
        match &mut self.way {
            Way::Smtp(dialogue) => {
                dialogue.send(&route, content, total, &mut |out| copy(message, out))
            }
            #[cfg(feature = "graph")]
            Way::Graph(graph) => {
                graph.send(Text::read(&route.to, content.size, message, total)?, total)
            }
        }
    }

    /// Asks whether the server would take a message, and sends none: MAIL and RCPT, then RSET. Returns the recipients it
    /// refuses, which are none unless [`partial`](Envelope::partial) delivery is allowed.
    ///
    /// Exchange Online judges much only when it has the message, `From` above all: that nothing is refused here does not
    /// promise that nothing will be. Microsoft Graph cannot be asked: an error of kind [`Input`](ErrorKind::Input).
    ///
    /// # Errors
    ///
    /// Those of [`send_raw`](Self::send_raw) up to DATA, never [in doubt](Error::in_doubt).
    ///
    /// ```no_run
    /// # let mut session = exosend::Session::open(&exosend::Account::from_env()?)?;
    /// use exosend::Envelope;
    ///
    /// let envelope = Envelope::new("robot@contoso.com").to("ann@example.com").to("bob@example.com");
    /// for refusal in session.probe(&envelope.partial(true))? {
    ///     println!("{refusal}");
    /// }
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn probe(&mut self, envelope: &Envelope) -> Result<Vec<Refusal>, Error> {
        let total = self.total();
        let route = envelope.route()?;
        match &mut self.way {
            Way::Smtp(dialogue) => dialogue.probe(&route, envelope.content(), total),
            #[cfg(feature = "graph")]
            Way::Graph(_) => Err(Error::input(
                Stage::Account,
                "transport",
                "graph cannot be asked beforehand",
            )),
        }
    }

    /// Whether the session has ended: each further message returns an error at once. After a refusal it goes on, after a
    /// loss, a timeout and a 421 it is over.
    ///
    /// ```no_run
    /// # let mut session = exosend::Session::open(&exosend::Account::from_env()?)?;
    /// # let messages = [exosend::Message::new()];
    /// for message in messages {
    ///     match session.send(&message) {
    ///         Ok(receipt) => println!("{receipt}"),
    ///         Err(error) if session.is_over() => return Err(error),
    ///         Err(error) => eprintln!("{error:?}"), // the next one may be taken
    ///     }
    /// }
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn is_over(&self) -> bool {
        match &self.way {
            Way::Smtp(dialogue) => dialogue.is_over(),
            #[cfg(feature = "graph")]
            Way::Graph(graph) => graph.is_over(),
        }
    }

    /// Says QUIT, and does not wait for the answer: every message has had its own. A session that is dropped does the same.
    pub fn quit(self) {
        drop(self);
    }
}

/// The login was refused, and would be again.
fn is_for_good(refused: &Error) -> bool {
    refused.kind() == ErrorKind::Auth && refused.is_permanent()
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("mailbox", &self.mailbox)
            .field("over", &self.is_over())
            .finish_non_exhaustive()
    }
}
