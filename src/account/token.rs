//! An account's token: in memory, in its file, or on its way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::account::Account;
use crate::background::{self, Inbox};
use crate::dial::Interrupt;
use crate::error::Error;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::token::{Attempt, Failure, Memory, Token};

/// A token this close to its end is not used, as with MSAL (facts.md, "Token endpoint"): it has to last for a slow send.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// High Volume Email refuses a token that has less than ten minutes left (facts.md, "High Volume Email").
const MARGIN_HIGH_VOLUME: Duration = Duration::from_secs(10 * 60);
/// A kept token that is refused and older than this may have been revoked since; a younger one is refused for good.
const YOUNG: Duration = Duration::from_secs(10 * 60);

/// How an account gets its token.
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
        Self::get_by(account, Deadline::total(&account.timeouts))
    }

    /// [`get`](Self::get) for an account that has been checked.
    pub(crate) fn get_by(account: &Account, total: Deadline) -> Result<Self, Error> {
        match Self::kept(account) {
            Some(token) => Ok(token),
            None => renew(account, total),
        }
    }

    /// The caller's own token, or one that is kept and good for a while.
    pub(crate) fn kept(account: &Account) -> Option<Self> {
        if let Some(ready) = account.credential.as_ref()?.ready() {
            return Some(ready);
        }
        let margin = margin(account);
        let lasting = |token: &Self| token.expires_in() > margin;
        let in_memory = memory(account).token.clone().filter(lasting);
        in_memory.or_else(|| {
            let token = account.cache.as_deref()?.load(&name(account)?)?;
            let kept = &mut memory(account).token;
            if kept.as_ref().is_none_or(|k| k.expires < token.expires) {
                *kept = Some(token.clone());
            }
            Some(token).filter(lasting)
        })
    }

    /// Whether a token in memory is good for a while.
    pub(crate) fn is_in_memory(account: &Account) -> bool {
        let memory = memory(account);
        let token = memory.token.as_ref();
        token.is_some_and(|token| token.expires_in() > margin(account))
    }

    /// Old enough that a refusal may be about the token and not about the account.
    pub(crate) fn is_worn(&self) -> bool {
        // A token issued in the future, by a clock that was set back since, counts as old.
        let age = SystemTime::now().duration_since(self.issued);
        age.map_or(true, |age| age > YOUNG)
    }

    /// Forgets what is kept for a user who logs out, each time it is called. Made before the logout: the file of the login
    /// tells whose token it is.
    #[cfg(feature = "login")]
    pub(crate) fn forgetter(account: &Account) -> impl Fn() + '_ {
        let name = name(account);
        move || forget(account, name.as_deref(), None)
    }

    /// Keeps it for later calls.
    #[cfg(feature = "login")]
    pub(crate) fn keep(&self, account: &Account) {
        self.keep_as(account, name(account).as_deref());
    }

    fn keep_as(&self, account: &Account, name: Option<&str>) {
        memory(account).token = Some(self.clone());
        if let (Some(file), Some(name)) = (&account.cache, name) {
            file.store(name, self);
        }
    }

    /// Forgets a token that was refused: it is not offered again, not even when no new one can be had.
    pub(crate) fn forget(account: &Account, refused: &Self) {
        forget(account, name(account).as_deref(), Some(refused));
    }
}

/// Forgets this token, or any.
fn forget(account: &Account, name: Option<&str>, token: Option<&Token>) {
    let in_memory = &mut memory(account).token;
    in_memory.take_if(|kept| token.is_none_or(|token| kept.secret == token.secret));
    if let (Some(file), Some(name)) = (&account.cache, name) {
        file.forget(name, token);
    }
}

fn memory(account: &Account) -> MutexGuard<'_, Memory> {
    let memory = account.token.memory.lock();
    memory.unwrap_or_else(PoisonError::into_inner)
}

/// The name of this account's token in a file. It tells whose login it is, as long as that is there.
fn name(account: &Account) -> Option<String> {
    let fingerprint = account.credential.as_ref()?.fingerprint().ok()?;
    Some(account.application().name(&fingerprint))
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

/// A token that is there, or on its way in a thread of its own while a connection is made. If either fails, the other is not
/// waited for.
pub(crate) enum Pending {
    Kept(Token),
    Fetching(Inbox<Result<Token, Error>>, String),
}

impl Pending {
    /// Starts a request if no token is `kept`. It raises `interrupt` if it ends without one. Without a thread the request is
    /// made here, before the connection.
    pub(crate) fn start(
        account: &Account,
        total: Deadline,
        kept: Option<Token>,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        if let Some(token) = kept {
            return Ok(Pending::Kept(token));
        }
        let interrupt = interrupt.clone();
        let inbox = Inbox::default();
        let (fetched_for, answered) = (account.clone(), inbox.clone());
        let request = move || {
            // After a panic nobody must wait until the total time is over.
            let result = catch_unwind(AssertUnwindSafe(|| renew(&fetched_for, total)))
                .unwrap_or_else(|_| {
                    Err(Error::protocol(
                        Stage::Token,
                        "the request ended without a result",
                    ))
                });
            let none = result.is_err();
            // Nobody reads it if the connection failed first; the token is in memory for the next call then.
            answered.put(result);
            if none {
                interrupt.raise();
            }
        };
        let thread = std::thread::Builder::new().name("exosend token".into());
        match background::spawn(thread, Box::new(request)) {
            Ok(()) => Ok(Pending::Fetching(inbox, asked_of(account))),
            Err(_) => renew(account, total).map(Pending::Kept),
        }
    }

    /// The request's failure if it is known by now, else the connection's.
    pub(crate) fn failure(&self, connection: Error) -> Error {
        let first = match self {
            Pending::Kept(_) => None,
            Pending::Fetching(inbox, _) => inbox.take(Duration::ZERO).and_then(Result::err),
        };
        first.unwrap_or(connection)
    }

    /// The token, for a connection that is there and is not to be interrupted any more.
    pub(crate) fn wait(self, total: Deadline, interrupt: &Interrupt) -> Result<Token, Error> {
        let token = match self {
            Pending::Kept(token) => Ok(token),
            Pending::Fetching(inbox, asked_of) => {
                let late = |passed| Error::io(Stage::Token, passed).about(&asked_of);
                let left = total.remaining().map_err(late)?;
                let answer = inbox.take(left);
                answer.unwrap_or_else(|| Err(late(total.passed())))
            }
        };
        token.inspect(|_| interrupt.disarm())
    }
}

/// Who is asked for a token, for errors.
fn asked_of(account: &Account) -> String {
    let endpoint = account.application().endpoint;
    match account.credential.as_deref() {
        Some(credential) if credential.stands_alone() => credential.key().to_owned(),
        _ => endpoint.split('/').nth(2).unwrap_or_default().to_owned(),
    }
}

/// Held by the one thread that asks for a token on behalf of all clones.
struct Asking<'a>(&'a Account);

impl<'a> Asking<'a> {
    /// While another thread asks, waits for its answer: once, and no longer than a request of its own may take.
    fn begin(account: &'a Account, total: Deadline) -> Self {
        let deadline = total.step(account.timeouts.token, "token");
        let patience = deadline.remaining().unwrap_or_default();
        let memory = memory(account);
        let answers = memory.answers;
        let waited = account
            .token
            .answered
            .wait_timeout_while(memory, patience, |memory| {
                memory.asked && memory.answers == answers
            });
        waited.unwrap_or_else(PoisonError::into_inner).0.asked = true;
        Self(account)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut memory = memory(self.0);
        memory.asked = false;
        memory.answers += 1;
        self.0.token.answered.notify_all();
    }
}

/// A new token; after a transient failure the old one, as long as it lasts. MSAL does the same (facts.md, "Token endpoint").
fn renew(account: &Account, total: Deadline) -> Result<Token, Error> {
    let _asking = Asking::begin(account, total);
    let (token, margin) = (memory(account).token.clone(), margin(account));
    if let Some(token) = token.filter(|token| token.expires_in() > margin) {
        return Ok(token);
    }
    fetch(account, total).or_else(|error| {
        let old = memory(account).token.clone();
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

/// Requests a token, and repeats the request where that may help.
fn fetch(account: &Account, total: Deadline) -> Result<Token, Error> {
    let Some(credential) = account.credential.as_deref() else {
        return Err(Error::input(Stage::Account, "client_secret", "missing"));
    };
    let application = account.application();
    // Named before the request: another user may log in meanwhile, and the token belongs to the login that asked.
    let asked_as = name(account);
    let mut attempt = Attempt {
        app: &application,
        number: 0,
        total,
    };
    let token = loop {
        match credential.request(&attempt) {
            Err(Failure {
                error,
                pause: Some(pause),
            }) if total.remaining().is_ok_and(|left| pause < left) => {
                log::info!("{error}; asking again in {} s", pause.as_secs());
                std::thread::sleep(pause);
                attempt.number += 1;
            }
            result => break result.map_err(|failure| failure.error)?,
        }
    };
    token.keep_as(account, asked_as.as_deref());
    // The user has logged out meanwhile, or another one in: that has forgotten what was kept by then, and not this token.
    #[cfg(feature = "login")]
    if name(account) != asked_as {
        forget(account, asked_as.as_deref(), Some(&token));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::secret::Secret;
    use crate::token::Keep;
    use crate::token::credential::Credential;

    /// Ann's login asks for a token, and meanwhile she logs out, or `then` logs in.
    #[derive(Debug, Default)]
    struct ChangingLogin {
        asked: AtomicBool,
        then: Option<&'static str>,
    }

    impl Credential for ChangingLogin {
        fn key(&self) -> &'static str {
            "login_file"
        }

        fn check(&self) -> Result<(), Error> {
            Ok(())
        }

        fn fingerprint(&self) -> Result<String, Error> {
            let user = match self.asked.load(Ordering::Relaxed) {
                true => self.then,
                false => Some("ann"),
            };
            let nobody = || Error::input(Stage::Account, self.key(), "nobody is logged in");
            user.map(str::to_owned).ok_or_else(nobody)
        }

        fn request(&self, _: &Attempt<'_>) -> Result<Token, Failure> {
            self.asked.store(true, Ordering::Relaxed);
            let now = SystemTime::now();
            Ok(Token::new(Secret::new("t".into()), now, now + 2 * YOUNG))
        }
    }

    #[derive(Default)]
    struct Names(Mutex<Vec<String>>);

    impl Keep for Names {
        fn load(&self, _: &str) -> Option<Token> {
            None
        }

        fn store(&self, name: &str, _: &Token) {
            self.0.lock().unwrap().push(name.to_owned());
        }

        fn forget(&self, _: &str, _: Option<&Token>) {}
    }

    #[test]
    fn a_token_is_worn_after_ten_minutes_and_if_issued_in_the_future() {
        let now = SystemTime::now();
        let worn = |issued| Token::new(Secret::new("t".into()), issued, now + 3 * YOUNG).is_worn();
        assert_eq!(
            [now - 2 * YOUNG, now, now + YOUNG].map(worn),
            [true, false, true]
        );
    }

    #[test]
    fn a_token_is_kept_for_the_login_that_asked_for_it() {
        let names = Arc::new(Names::default());
        let mut account = Account::new("robot@contoso.com").client_id("6731de76");
        account.credential = Some(Arc::new(ChangingLogin {
            then: Some("bob"),
            ..ChangingLogin::default()
        }));
        account.cache = Some(Arc::clone(&names) as Arc<dyn Keep>);
        fetch(&account, Deadline::total(&account.timeouts)).unwrap();
        let names = names.0.lock().unwrap();
        assert!(names.len() == 1 && names[0].ends_with("\nann"), "{names:?}");
    }

    #[cfg(feature = "login")]
    #[test]
    fn a_token_does_not_outlive_the_login_that_asked_for_it() {
        for then in [None, Some("bob"), Some("ann")] {
            let mut account = Account::new("robot@contoso.com").client_id("6731de76");
            account.credential = Some(Arc::new(ChangingLogin {
                then,
                ..ChangingLogin::default()
            }));
            fetch(&account, Deadline::total(&account.timeouts)).unwrap();
            assert_eq!(Token::is_in_memory(&account), then == Some("ann"));
        }
    }
}
