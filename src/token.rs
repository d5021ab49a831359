//! [`Account`] to [`Token`]. The only room that knows ureq and JSON.

pub(crate) mod answer;
pub(crate) mod assertion;
pub(crate) mod cache;
pub(crate) mod certificate;
pub(crate) mod claims;
pub(crate) mod credential;
pub(crate) mod identity;
pub(crate) mod machine;
pub(crate) mod request;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::account::Account;
use crate::background::{self, Inbox};
use crate::error::Error;
use crate::secret::Secret;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::token::answer::Head;

/// A token this close to its end is not used: MSAL's figure (facts.md, "Token endpoint"), and time enough for a slow send.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// High Volume Email refuses a token that has less than ten minutes left (facts.md, "High Volume Email").
const MARGIN_HIGH_VOLUME: Duration = Duration::from_secs(10 * 60);
/// A kept token that is refused and older than this may have been revoked since; a younger one is refused for good.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// An access token for Exchange Online.
///
/// [`send_mail`](crate::send_mail) gets its own; this is for programs that need the token for something else, IMAP for
/// example. It is wiped when dropped, and `Debug` does not show it.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    issued: SystemTime,
    expires: SystemTime,
}

impl Token {
    /// Asks for a new token: Entra, by the client credentials flow (RFC 6749 4.4), or the machine's own identity.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) if the account is incomplete or its credential cannot be used;
    /// [`Token`](crate::ErrorKind::Token) if Entra says no or answers with something else;
    /// [`Network`](crate::ErrorKind::Network) and [`Tls`](crate::ErrorKind::Tls) if it cannot be reached.
    ///
    /// ```no_run
    /// # let account = exosend::Account::new("robot@contoso.com");
    /// let token = exosend::Token::fetch(&account)?;
    /// println!("good for {} s", token.expires_in().as_secs());
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn fetch(account: &Account) -> Result<Self, Error> {
        account.check_application()?;
        fetch(account, Deadline::total(account.limits()))
    }

    /// The token that is kept, in memory or in the account's [cache file](Account::token_cache), if it is good for another
    /// five minutes; else a new one.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub fn get(account: &Account) -> Result<Self, Error> {
        account.check_application()?;
        match Self::kept(account) {
            Some(token) => Ok(token),
            None => renew(account, Deadline::total(account.limits())),
        }
    }

    pub(crate) fn new(secret: Secret, issued: SystemTime, expires: SystemTime) -> Self {
        Self {
            secret,
            issued,
            expires,
        }
    }

    /// The token itself. Whoever asks answers for where it goes.
    pub fn secret(&self) -> &str {
        self.secret.expose()
    }

    pub(crate) fn as_secret(&self) -> &Secret {
        &self.secret
    }

    /// How long it is still good for; zero when it has expired or when nobody said.
    pub fn expires_in(&self) -> Duration {
        self.expires
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    pub(crate) fn issued(&self) -> SystemTime {
        self.issued
    }

    pub(crate) fn expires(&self) -> SystemTime {
        self.expires
    }

    /// Old enough that a refusal may be about the token and not about the account.
    pub(crate) fn is_worn(&self) -> bool {
        // A time of issue that is still to come is no reason to believe it.
        let age = SystemTime::now().duration_since(self.issued);
        age.map_or(true, |age| age > YOUNG)
    }

    /// The caller's own token, or one that is kept and good for a while.
    pub(crate) fn kept(account: &Account) -> Option<Self> {
        if let Some(ready) = account.credential()?.ready() {
            return Some(ready);
        }
        let margin = margin(account);
        let lasting = |token: &Self| token.expires_in() > margin;
        let in_memory = memory(account).clone().filter(lasting);
        in_memory.or_else(|| {
            let token = account.token_file()?.load(account)?;
            let mut memory = memory(account);
            if memory.as_ref().is_none_or(|m| m.expires < token.expires) {
                *memory = Some(token.clone());
            }
            Some(token).filter(lasting)
        })
    }

    /// It was refused: it is not offered again, not even where no new one can be had.
    pub(crate) fn forget(account: &Account, refused: &Self) {
        memory(account).take_if(|kept| kept.secret == refused.secret);
        if let Some(file) = account.token_file() {
            file.forget(account, refused);
        }
    }
}

/// Where tokens outlive the process.
pub(crate) trait Keep: Send + Sync {
    fn load(&self, account: &Account) -> Option<Token>;
    fn store(&self, account: &Account, token: &Token);
    /// A token that was refused, unless another has taken its place.
    fn forget(&self, account: &Account, refused: &Token);

    /// Is told of each answer of Entra's, a refusal too.
    fn answered(&self, _head: Head<'_>) {}
}

/// The token in memory, shared by clones of the account.
fn memory(account: &Account) -> MutexGuard<'_, Option<Token>> {
    account
        .kept_token()
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn margin(account: &Account) -> Duration {
    let host = account.host().to_ascii_lowercase();
    // smtp.hve.mx.microsoft, and smtp-hve.office365.com before it (facts.md, "High Volume Email").
    if host.contains(".hve.") || host.contains("-hve.") || account.resource_scope().contains("hve.")
    {
        MARGIN_HIGH_VOLUME
    } else {
        MARGIN
    }
}

/// A token that is there, or on its way in a thread of its own.
pub(crate) enum Pending {
    Kept(Token),
    Fetching(Inbox<Result<Token, Error>>),
}

impl Pending {
    /// Starts the request. `failed` is called if it ends without a token.
    pub(crate) fn start(
        account: &Account,
        total: Deadline,
        failed: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Error> {
        let inbox = Inbox::default();
        let (account, answered) = (account.clone(), inbox.clone());
        let request = move || {
            // A panic must not leave anybody waiting until the total time is over.
            let result =
                catch_unwind(AssertUnwindSafe(|| renew(&account, total))).unwrap_or_else(|_| {
                    Err(Error::protocol(
                        Stage::Token,
                        "the request ended without a result",
                    ))
                });
            let none = result.is_err();
            // Nobody reads it if the connection failed first; a token is then in memory for the next call.
            answered.put(result);
            if none {
                failed();
            }
        };
        let thread = std::thread::Builder::new().name("exosend token".into());
        background::spawn(thread, Box::new(request)).map_err(|e| Error::io(Stage::Token, e))?;
        Ok(Pending::Fetching(inbox))
    }

    /// The request's failure, if it is known by now.
    pub(crate) fn failure(&self) -> Option<Error> {
        match self {
            Pending::Kept(_) => None,
            Pending::Fetching(inbox) => inbox.take(Duration::ZERO).and_then(Result::err),
        }
    }

    pub(crate) fn wait(self, total: Deadline) -> Result<Token, Error> {
        let inbox = match self {
            Pending::Kept(token) => return Ok(token),
            Pending::Fetching(inbox) => inbox,
        };
        let left = total.remaining().map_err(|e| Error::io(Stage::Token, e))?;
        inbox
            .take(left)
            .unwrap_or_else(|| Err(Error::io(Stage::Token, total.passed())))
    }
}

/// A new token; where none can be had for now, the old one as long as it lasts, as MSAL does (facts.md, "Token endpoint").
fn renew(account: &Account, total: Deadline) -> Result<Token, Error> {
    fetch(account, total).or_else(|error| {
        let old = memory(account).clone();
        match old.filter(|old| error.is_transient() && !old.expires_in().is_zero()) {
            Some(old) => {
                let left = old.expires_in().as_secs();
                log::warn!("{error}; the old token is used, it lasts another {left} s");
                Ok(old)
            }
            None => Err(error),
        }
    })
}

/// Asks, and asks again where that may help.
fn fetch(account: &Account, total: Deadline) -> Result<Token, Error> {
    let Some(credential) = account.credential() else {
        return Err(Error::input(Stage::Account, "client_secret", "missing"));
    };
    let mut attempt = 0;
    let token = loop {
        match credential.request(account, attempt, total) {
            Err(Failure {
                error,
                pause: Some(pause),
            }) if total.remaining().is_ok_and(|left| pause < left) => {
                log::info!("{error}; asking again in {} s", pause.as_secs());
                std::thread::sleep(pause);
                attempt += 1;
            }
            result => break result.map_err(|failure| failure.error)?,
        }
    };
    *memory(account) = Some(token.clone());
    if let Some(file) = account.token_file() {
        file.store(account, &token);
    }
    Ok(token)
}

/// An error, and after which pause asking again may help.
pub(crate) struct Failure {
    error: Error,
    pause: Option<Duration>,
}

impl Failure {
    /// Entra is asked twice at most: after a timeout, a 5xx, or a 429 whose `Retry-After` is short. Any other 4xx is an
    /// answer, and asking on gets an application throttled (AADSTS50196).
    fn only_once(self, attempt: u32) -> Self {
        let pause = self.pause.filter(|_| attempt == 0);
        Self { pause, ..self }
    }

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
