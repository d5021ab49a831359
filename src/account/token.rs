//! An account's token: in memory, in its file, or on its way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::account::Account;
use crate::background::{self, Inbox};
use crate::error::Error;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::token::{Failure, Keep, Token};

/// A token this close to its end is not used: MSAL's figure (facts.md, "Token endpoint"), and time enough for a slow send.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// High Volume Email refuses a token that has less than ten minutes left (facts.md, "High Volume Email").
const MARGIN_HIGH_VOLUME: Duration = Duration::from_secs(10 * 60);
/// A kept token that is refused and older than this may have been revoked since; a younger one is refused for good.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// How an account gets one.
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
        fetch(account, Deadline::total(&account.timeouts))
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
            None => renew(account, Deadline::total(&account.timeouts)),
        }
    }

    /// The caller's own token, or one that is kept and good for a while.
    pub(crate) fn kept(account: &Account) -> Option<Self> {
        if let Some(ready) = account.credential.as_ref()?.ready() {
            return Some(ready);
        }
        let margin = margin(account);
        let lasting = |token: &Self| token.expires_in() > margin;
        let in_memory = memory(account).clone().filter(lasting);
        in_memory.or_else(|| {
            let (file, name) = file(account)?;
            let token = file.load(&name)?;
            let mut memory = memory(account);
            if memory.as_ref().is_none_or(|m| m.expires < token.expires) {
                *memory = Some(token.clone());
            }
            Some(token).filter(lasting)
        })
    }

    /// Whether the one that was fetched last is good for a while.
    pub(crate) fn is_in_memory(account: &Account) -> bool {
        let memory = memory(account);
        let token = memory.as_ref();
        token.is_some_and(|token| token.expires_in() > margin(account))
    }

    /// Old enough that a refusal may be about the token and not about the account.
    pub(crate) fn is_worn(&self) -> bool {
        // A time of issue that is still to come is no reason to believe it.
        let age = SystemTime::now().duration_since(self.issued);
        age.map_or(true, |age| age > YOUNG)
    }

    /// It was refused: it is not offered again, not even where no new one can be had.
    pub(crate) fn forget(account: &Account, refused: &Self) {
        memory(account).take_if(|kept| kept.secret == refused.secret);
        if let Some((file, name)) = file(account) {
            file.forget(&name, refused);
        }
    }
}

/// The token in memory, shared by clones of the account.
fn memory(account: &Account) -> MutexGuard<'_, Option<Token>> {
    account.token.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The file that keeps tokens, and the name of this account's in it.
fn file(account: &Account) -> Option<(&dyn Keep, String)> {
    let file = account.cache.as_deref()?;
    let fingerprint = account.credential.as_ref()?.fingerprint().ok()?;
    Some((file, account.application().name(&fingerprint)))
}

fn margin(account: &Account) -> Duration {
    let host = account.host().to_ascii_lowercase();
    let scope = account.application().scope;
    // smtp.hve.mx.microsoft, and smtp-hve.office365.com before it (facts.md, "High Volume Email").
    if host.contains(".hve.") || host.contains("-hve.") || scope.contains("hve.") {
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
    /// Starts the request. `failed` is called if it ends without a token. Where no thread can be had, the token comes first
    /// and the connection then.
    pub(crate) fn start(
        account: &Account,
        total: Deadline,
        failed: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Error> {
        let inbox = Inbox::default();
        let (fetched_for, answered) = (account.clone(), inbox.clone());
        let request = move || {
            // A panic must not leave anybody waiting until the total time is over.
            let result = catch_unwind(AssertUnwindSafe(|| renew(&fetched_for, total)))
                .unwrap_or_else(|_| {
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
        match background::spawn(thread, Box::new(request)) {
            Ok(()) => Ok(Pending::Fetching(inbox)),
            Err(_) => renew(account, total).map(Pending::Kept),
        }
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
    let Some(credential) = account.credential.as_deref() else {
        return Err(Error::input(Stage::Account, "client_secret", "missing"));
    };
    let application = account.application();
    let mut attempt = 0;
    let token = loop {
        match credential.request(&application, attempt, total) {
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
    if let Some((file, name)) = file(account) {
        file.store(&name, &token);
    }
    Ok(token)
}
