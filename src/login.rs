//! A user's own login, for whom no application may send: by the device authorization grant (RFC 8628).
//!
//! For your own mailbox, where there is no administrator who would give an application the right to send, or none who needs
//! to. The application is one of yours, or of your organization, which is registered as a public client ("Allow public client
//! flows: Yes", delegated permission `SMTP.Send`): exosend brings none along. It is behind the feature `login`, which brings no
//! crate along.
//!
//! The login lies in the account's [`login_file`](Account::login_file), a refresh token that is good for 90 days from its last
//! use. Each token request renews it. Entra ends it when the password is changed or a policy wants so, and then each call fails
//! with an error that says so, of kind [`Token`](crate::ErrorKind::Token), until the user logs in anew.
//!
//! SMTP lets the *user* in, whoever the account's mailbox is. A shared mailbox may be the account's: mail is then from it, and
//! the user needs the right to send as it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::account::Account;
use crate::error::Error;
use crate::stage::{ErrorKind, Stage};
use crate::token::Token;
use crate::token::credential::wrong;
use crate::token::login::device::{Clock, DeviceCode};
use crate::token::login::file::{KEY, Kept, LoginFile};

/// Begins a login: asks Entra for the code that the user is to enter.
///
/// ```no_run
/// use exosend::{Account, login};
///
/// let account = Account::new("ann@contoso.com")
///     .client_id("6731de76-14a6-49ae-97bc-6eba6914391e")
///     .login_file("/home/ann/.cache/exosend/login");
/// let prompt = login::start(&account)?;
/// println!("open {} and enter {}", prompt.address(), prompt.code());
/// let login = prompt.wait()?;
/// println!("{} is logged in", login.user());
/// # Ok::<(), exosend::Error>(())
/// ```
///
/// # Errors
///
/// [`Input`](crate::ErrorKind::Input) if the account has no login file, or none that can be written, or is incomplete; [`Token`](crate::ErrorKind::Token),
/// [`Network`](crate::ErrorKind::Network) and [`Tls`](crate::ErrorKind::Tls) as for any token request.
pub fn start(account: &Account) -> Result<Prompt, Error> {
    account.check_request()?;
    let file = file(account)?;
    file.can_be_written().map_err(|why| file.wrong(&why))?;
    let begun = Instant::now();
    let code = DeviceCode::request(&account.application(), &account.timeouts)?;
    let account = account.clone();
    Ok(Prompt {
        account,
        code,
        begun,
    })
}

/// A login that has begun: what to show to the user. You get one from [`start`], whose example shows it.
pub struct Prompt {
    account: Account,
    code: Box<DeviceCode>,
    begun: Instant,
}

impl Prompt {
    /// The page to open, on any device: a URL.
    pub fn address(&self) -> &str {
        self.code.address.expose()
    }

    /// What to enter there.
    pub fn code(&self) -> &str {
        self.code.user_code.expose()
    }

    /// How long the code was good when it was given.
    pub fn expires_in(&self) -> Duration {
        Duration::from_secs(self.code.expires_in)
    }

    /// Waits until the user has logged in, asking as often as Entra wants to be asked, and keeps the login. Until then the file
    /// stays as it is, and an earlier login with it.
    ///
    /// # Errors
    ///
    /// [`Token`](crate::ErrorKind::Token) if the user declines, if the code is not entered in time or if Entra says no;
    /// [`Input`](crate::ErrorKind::Input) if the file cannot be written. What passes, such as a network that is gone for a
    /// while, is waited for as long as the code is good.
    pub fn wait(mut self) -> Result<Login, Error> {
        let account = &self.account;
        let application = account.application();
        let grant = self
            .code
            .wait(&application, &account.timeouts, &mut self.begun)?;
        let missing = |what: &str| Error::new(ErrorKind::Token, Stage::Token, what);
        let refresh_token = grant
            .refresh_token
            .as_ref()
            .ok_or_else(|| missing("HTTP 200 without a refresh_token to keep"))?;
        let user = grant
            .token
            .user
            .as_ref()
            .ok_or_else(|| missing("HTTP 200 without an id_token that says who logged in"))?;
        let kept = Kept::new(user, &application, refresh_token);
        let file = file(account)?;
        file.replace(&kept).map_err(|why| file.wrong(&why))?;
        grant.token.keep(account);
        Ok(Login::of(&kept, file))
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("address", &self.address())
            .field("expires_in", &self.expires_in())
            .finish_non_exhaustive()
    }
}

impl Clock for Instant {
    fn passed(&self) -> Duration {
        self.elapsed()
    }

    fn sleep(&mut self, pause: Duration) {
        thread::sleep(pause);
    }
}

/// A login that is kept: who, since when, and when it was renewed last. You get one from [`Prompt::wait`] and from [`kept`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    user: String,
    since: SystemTime,
    renewed: SystemTime,
    file: PathBuf,
}

impl Login {
    /// Who logged in: the user principal name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// When.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// When it was renewed last. It ends 90 days after that.
    pub fn renewed(&self) -> SystemTime {
        self.renewed
    }

    /// Where it lies.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn of(kept: &Kept, file: &LoginFile) -> Self {
        Self {
            user: kept.user().to_owned(),
            since: kept.since(),
            renewed: kept.last_renewed(),
            file: file.path().to_owned(),
        }
    }
}

/// The login that the account's file keeps; `None` if nobody is logged in. Whether Entra still takes it shows when it is used.
///
/// ```
/// use exosend::{Account, login};
///
/// let account = Account::new("ann@contoso.com").login_file("/nonexistent/login");
/// match login::kept(&account)? {
///     Some(login) => println!("{}, {} s ago", login.user(), login.renewed().elapsed().unwrap_or_default().as_secs()),
///     None => println!("nobody is logged in"),
/// }
/// # Ok::<(), exosend::Error>(())
/// ```
///
/// # Errors
///
/// [`Input`](crate::ErrorKind::Input) if the account has no login file, or one that cannot be used.
pub fn kept(account: &Account) -> Result<Option<Login>, Error> {
    let file = file(account)?;
    let kept = file.read().map_err(|why| file.wrong(&why))?;
    Ok(kept.map(|kept| Login::of(&kept, file)))
}

/// Ends the login on this machine: its file is removed, and the token that is kept forgotten. `false` if nobody was logged in.
/// Entra is not told: what somebody has copied stays good until it ends, or until the user's sessions are revoked there.
///
/// # Errors
///
/// [`Input`](crate::ErrorKind::Input) if the account has no login file, if it is not a login, or if it cannot be removed.
pub fn end(account: &Account) -> Result<bool, Error> {
    let file = file(account)?;
    // Before the file is removed, since a process that dies in between has not ended the login; and after that, since another
    // process may have stored a token meanwhile.
    let forget = Token::forgetter(account);
    forget();
    let ended = file.remove().map_err(|why| file.wrong(&why));
    forget();
    ended
}

fn file(account: &Account) -> Result<&LoginFile, Error> {
    let missing = "missing (setter, key, or environment: EXOSEND_LOGIN_FILE)";
    account.users_login().ok_or_else(|| wrong(KEY, missing))
}
