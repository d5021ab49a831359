//! A token for an application: what is asked for, and how it is got and kept. HTTP is spoken here, and by Graph; neither SMTP
//! nor an account is known.

pub(crate) mod answer;
pub(crate) mod cache;
pub(crate) mod certificate;
#[cfg(any(feature = "advice", feature = "login"))]
#[cfg_attr(not(feature = "advice"), allow(dead_code))] // the doctor's, most of it
pub(crate) mod claims;
pub(crate) mod credential;
pub(crate) mod http;
mod identity;
#[cfg(feature = "login")]
pub(crate) mod login;
pub(crate) mod machine;
mod proxy;
mod request;

use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;

use crate::error::Error;
use crate::secret::Secret;
use crate::timeouts::Deadline;

/// An access token for Exchange Online.
///
/// [`send_mail`](crate::send_mail) gets its own; this is for programs that need the token for something else, IMAP for
/// example: [`get`](Self::get) one. It is wiped when dropped, and `Debug` does not show it.
///
/// ```
/// use exosend::{Account, Token};
///
/// # let account = Account::new("robot@contoso.com").access_token("eyJ0...");
/// let token = Token::get(&account)?;
/// let login = format!("user={}\x01auth=Bearer {}\x01\x01", account.mailbox(), token.secret()); // XOAUTH2, in base64
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Token {
    pub(crate) secret: Secret,
    pub(crate) issued: SystemTime,
    pub(crate) expires: SystemTime,
    /// The `Date` of the answer that issued it, for the doctor to compare clocks.
    pub(crate) answered_at: Option<String>,
    /// Who logged in, if it is a user's.
    #[cfg(feature = "login")]
    pub(crate) user: Option<String>,
}

impl Token {
    pub(crate) fn new(secret: Secret, issued: SystemTime, expires: SystemTime) -> Self {
        Self {
            secret,
            issued,
            expires,
            answered_at: None,
            #[cfg(feature = "login")]
            user: None,
        }
    }

    /// The token itself. Whoever asks answers for where it goes.
    pub fn secret(&self) -> &str {
        self.secret.expose()
    }

    /// The user of XOAUTH2: the one who logged in, or for an application this mailbox.
    pub(crate) fn user_or<'a>(&'a self, mailbox: &'a str) -> &'a str {
        #[cfg(feature = "login")]
        if let Some(user) = &self.user {
            return user;
        }
        mailbox
    }

    /// How long it is still good for; zero when it has expired or when nobody said.
    pub fn expires_in(&self) -> Duration {
        self.expires
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }
}

/// The token in memory, shared by clones of an account.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) memory: Mutex<Memory>,
    pub(crate) answered: Condvar,
}

/// What a [`Slot`] holds.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) token: Option<Token>,
    /// A thread is asking for a new one.
    pub(crate) asked: bool,
    /// How many times a thread has asked and is done, with a token or without.
    pub(crate) answers: u64,
}

/// Who asks for a token, of whom, and for what: all that a request needs to know of an account.
#[derive(Debug)]
pub(crate) struct Application<'a> {
    /// The URL of Entra's token endpoint.
    pub(crate) endpoint: String,
    /// The part of it before the tenant.
    #[cfg(feature = "login")]
    pub(crate) authority: String,
    pub(crate) tenant: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) scope: &'a str,
    /// What is trusted instead of the built-in roots.
    pub(crate) roots: Option<&'a [CertificateDer<'static>]>,
    /// How long one attempt may take.
    pub(crate) timeout: Duration,
}

/// One of Entra's endpoints, by its name.
pub(crate) fn endpoint(authority: &str, tenant: &str, name: &str) -> String {
    format!("{authority}/{tenant}/oauth2/v2.0/{name}")
}

impl Application<'_> {
    /// Its tokens are kept under this name. It changes with the credential, so that a new one does not use an old one's token.
    pub(crate) fn name(&self, fingerprint: &str) -> String {
        [&self.endpoint, self.client_id, self.scope, fingerprint].join("\n")
    }
}

/// One attempt at a token request.
pub(crate) struct Attempt<'a> {
    pub(crate) app: &'a Application<'a>,
    /// How many attempts went before it.
    pub(crate) number: u32,
    /// The deadline of all attempts.
    pub(crate) total: Deadline,
}

impl Attempt<'_> {
    /// Entra is asked twice at most: after a timeout, a 5xx, or a 429 whose `Retry-After` is short. Any other 4xx is an
    /// answer, and asking on gets an application throttled (AADSTS50196).
    fn pause(&self, pause: Option<Duration>) -> Option<Duration> {
        pause.filter(|_| self.number == 0)
    }
}

/// Keeps tokens beyond the process. Used as a trait object, as credentials are, so that a program without it carries no code
/// for it.
pub(crate) trait Keep: Send + Sync + UnwindSafe + RefUnwindSafe {
    /// The token of the application with this [name](Application::name).
    fn load(&self, name: &str) -> Option<Token>;
    fn store(&self, name: &str, token: &Token);
    /// Forgets a token that was refused, unless another has taken its place; without `refused` whichever is there.
    fn forget(&self, name: &str, refused: Option<&Token>);
}

/// An error, and the pause after which asking again may help.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) pause: Option<Duration>,
}

impl Failure {
    fn about(self, object: &str) -> Self {
        let error = self.error.about(object);
        Self { error, ..self }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, pause: None }
    }
}
