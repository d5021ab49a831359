//! The path of a message, walked up to DATA and told step by step.

mod advice;
mod check;
mod clock;
mod configuration;
mod entra;
mod network;
mod prescribe;
pub(crate) mod probe;
mod verdict;

use std::time::{Duration, Instant, SystemTime};

pub use advice::{Advice, Cause, Place};
pub use check::{Check, CheckState};

use crate::account::Account;
use crate::advice::doctor::check::Checks;
use crate::advice::doctor::clock::Skew;
use crate::advice::doctor::network::Connected;
use crate::advice::doctor::prescribe::Patient;
use crate::advice::doctor::verdict::Bearer;
use crate::date;
use crate::error::Error;
use crate::smtp::dialogue::Dialogue;
use crate::smtp::login::LoggedIn;
use crate::smtp::wire::Wire;
use crate::stage::Stage;
use crate::timeouts::{Deadline, Timeouts};
use crate::token::Token;
use crate::token::claims::Claims;

/// What the checks are called, in their order.
const TOKEN: &str = "token";
const CLAIMS: &str = "claims";
const CLOCK: &str = "clock";
const LOGIN: &str = "login";
const SENDER: &str = "sender";
const RECIPIENT: &str = "recipient";
const END: &str = "end";

/// Looks at everything that sending a message needs, by doing it up to, and not including, DATA. No message is sent.
///
/// The account's configuration, the server's names and addresses, its greeting, TLS and certificate, the clock, a token
/// that is always fetched afresh and what it says of itself, the login, the sender, and the `recipient` if one is given:
/// one [`Check`] each, in that order. A check that fails stops only those that depend on it. One that fails says what it
/// most likely means and which commands mend it, with the ids of this account filled in.
///
/// Nothing secret is in what it returns. It takes as long as the account's [`Timeouts`] allow, and no command more
/// than a minute: somebody is waiting.
///
/// ```no_run
/// use exosend::{Account, CheckState, diagnose};
///
/// for check in diagnose(&Account::from_env()?, Some("ann@example.com")) {
///     println!("{:?} {}: {}", check.state(), check.name(), check.detail());
///     if check.state() == CheckState::Failed {
///         for cause in check.advice().map(|advice| advice.causes()).unwrap_or_default() {
///             println!("{}: {}", cause.text(), cause.commands().join("; "));
///         }
///     }
/// }
/// # Ok::<(), exosend::Error>(())
/// ```
pub fn diagnose(account: &Account, recipient: Option<&str>) -> Vec<Check> {
    let mut dates = Dates::default();
    let account = patient_account(account);
    let total = Deadline::total(&account.timeouts);
    let mut checks = Checks::new();

    configuration::check(&mut checks, &account);
    // The token comes first and is told later: its answer's date is the second witness of the clock, and a server that
    // has greeted is not kept waiting.
    let (token, asking) = fetch(&account);
    dates.token(token.as_ref());
    let connected = network::check(&mut checks, &account, total, |checks, greeting| {
        dates.greeting(greeting);
        check_clock(checks, &dates)
    });
    let clock_is_wrong = dates.skew().is_some_and(|(skew, _)| skew.is_bad());
    let token = tell_token(&mut checks, &account, token, asking, clock_is_wrong);
    let claims = tell_claims(&mut checks, token.as_ref());

    let known_as = known_as(&account, claims.as_ref());
    let patient = Patient {
        account: &known_as,
        claims: claims.as_ref(),
        bearer: claims
            .as_ref()
            .map(|claims| Bearer::of(claims, &account, SystemTime::now())),
    };
    let session = log_in(&mut checks, connected, token, &patient);
    envelope(&mut checks, session, recipient, &patient);
    checks.into_vec()
}

/// The same account, which does not wait five minutes for a word.
fn patient_account(account: &Account) -> Account {
    const LONGEST: Duration = Duration::from_secs(60);
    let limits = account.timeouts.clone();
    let timeouts = Timeouts {
        command: limits.command.min(LONGEST),
        ..limits
    };
    account.clone().timeouts(timeouts)
}

/// Where the application's id is not configured, as for a managed identity, the token tells it.
fn known_as(account: &Account, claims: Option<&Claims>) -> Account {
    match claims {
        Some(claims) if account.client_id.is_empty() => {
            account.clone().client_id(claims.appid.clone())
        }
        _ => account.clone(),
    }
}

/// `None` where there is nothing to ask with.
fn fetch(account: &Account) -> (Option<Result<Token, Error>>, Duration) {
    let start = Instant::now();
    let token = account
        .check_application()
        .is_ok()
        .then(|| Token::fetch(account));
    (token, start.elapsed())
}

/// What servers have said the time is, with what the time was here: the mail server, Entra.
#[derive(Clone, Copy, Default)]
struct Dates([Option<Skew>; 2]);

impl Dates {
    fn token(&mut self, answer: Option<&Result<Token, Error>>) {
        let there = match answer {
            Some(Ok(token)) => token.answered_at,
            Some(Err(error)) => error.answered_at(),
            None => None,
        };
        self.0[1] = there.map(|there| Skew::between(SystemTime::now(), there));
    }

    fn greeting(&mut self, text: &str) {
        self.0[0] = date::find(text).map(|there| Skew::between(SystemTime::now(), there));
    }

    /// By the witness that is nearer to this machine's time: a wrong clock is wrong for both, a wrong server for itself.
    fn skew(&self) -> Option<(Skew, &'static str)> {
        self.0
            .into_iter()
            .zip(["the mail server", "Entra"])
            .filter_map(|(skew, witness)| Some((skew?, witness)))
            .min_by_key(|(skew, _)| skew.by)
    }
}

/// Named before the certificate is blamed. Whether it is bad.
fn check_clock(checks: &mut Checks, dates: &Dates) -> bool {
    match dates.skew() {
        None => checks.skip(CLOCK, "no server has said what time it is"),
        Some((skew, witness)) if skew.is_bad() => {
            checks.fail(CLOCK, skew.error(witness), Some(clock::advice()));
            return true;
        }
        Some((skew, witness)) => checks.ok(CLOCK, format!("{}, by {witness}'s", skew.text())),
    }
    false
}

fn tell_token(
    checks: &mut Checks,
    account: &Account,
    token: Option<Result<Token, Error>>,
    asking: Duration,
    clock_is_wrong: bool,
) -> Option<Token> {
    let token = match token {
        None => {
            checks.skip(TOKEN, "the configuration has to be right first");
            return None;
        }
        Some(Err(error)) => {
            let advice = entra::advice(&error, account, clock_is_wrong);
            checks.fail(TOKEN, error, advice);
            checks.took(asking);
            return None;
        }
        Some(Ok(token)) => token,
    };
    let length = token.secret().len();
    let ready = account
        .credential
        .as_ref()
        .is_some_and(|c| c.ready().is_some());
    let detail = match (ready, token.expires_in().as_secs() / 60) {
        (true, _) => format!("{length} bytes, the configured access_token as it is"),
        (false, minutes) => format!("{length} bytes, fetched afresh, good for {minutes} min"),
    };
    checks.ok(TOKEN, detail);
    checks.took(asking);
    Some(token)
}

/// What the token says of itself, without the token.
fn tell_claims(checks: &mut Checks, token: Option<&Token>) -> Option<Claims> {
    let Some(token) = token else {
        checks.skip(CLAIMS, "there is no token");
        return None;
    };
    let Some(claims) = token.claims() else {
        checks.skip(CLAIMS, "the token is no JWT, and keeps them to itself");
        return None;
    };
    let said = |text: &str| match text {
        "" => "-".to_owned(),
        text => text.to_owned(),
    };
    let left = claims
        .exp
        .map(|exp| match exp.duration_since(SystemTime::now()) {
            Ok(left) => format!("in {} min", left.as_secs() / 60),
            Err(over) => format!("{} min ago", over.duration().as_secs() / 60),
        });
    checks.ok(
        CLAIMS,
        format!(
            "aud {} tid {} appid {} oid {} roles {} scp {} exp {} ver {}",
            said(&claims.aud),
            said(&claims.tid),
            said(&claims.appid),
            said(&claims.oid),
            said(&claims.roles.join(",")),
            said(&claims.scp),
            left.unwrap_or_else(|| "-".into()),
            said(&claims.ver),
        ),
    );
    Some(claims)
}

fn log_in(
    checks: &mut Checks,
    connected: Option<Connected>,
    token: Option<Token>,
    patient: &Patient<'_>,
) -> Option<LoggedIn> {
    let account = patient.account;
    let (Some(Connected(secured)), Some(token)) = (connected, token) else {
        checks.skip(LOGIN, "it needs the token and the encrypted connection");
        return None;
    };
    if account.check().is_err() {
        checks.skip(LOGIN, "the configuration has to be right first");
        return None;
    }
    checks.start();
    match secured.authenticate(account.mailbox(), &token, account.initial_response) {
        Ok(session) => {
            checks.ok(LOGIN, format!("the server lets {} in", account.mailbox()));
            Some(session)
        }
        Err(error) => {
            let advice = prescribe::refused(&error, patient);
            checks.fail(LOGIN, error, advice);
            None
        }
    }
}

/// MAIL, RCPT, and back: RSET and QUIT.
fn envelope(
    checks: &mut Checks,
    session: Option<LoggedIn>,
    recipient: Option<&str>,
    patient: &Patient<'_>,
) {
    let recipient = recipient.map(configuration::recipient);
    let Some(mut session) = session else {
        checks.skip(SENDER, "it needs the login");
        match recipient {
            Some(Err(error)) => checks.fail(RECIPIENT, error, None),
            Some(Ok(_)) => checks.skip(RECIPIENT, "it needs the login"),
            None => checks.skip(RECIPIENT, "none was given"),
        }
        return checks.skip(END, "it needs the login");
    };
    let from = patient.account.mailbox();
    let addresses = [
        Some(from),
        recipient.as_ref().and_then(|r| r.as_deref().ok()),
    ];
    let international = addresses
        .iter()
        .flatten()
        .any(|address| !address.is_ascii());
    let parameter = match international && session.offers.smtp_utf8 {
        true => " SMTPUTF8",
        false => "",
    };
    let mail = format!("MAIL FROM:<{from}>{parameter}");
    let accepted = ask(
        checks,
        &mut session.wire,
        SENDER,
        Stage::Sender,
        &mail,
        from,
        patient,
    );
    match recipient {
        None => checks.skip(RECIPIENT, "none was given"),
        Some(Err(error)) => checks.fail(RECIPIENT, error, None),
        Some(Ok(_)) if !accepted => checks.skip(RECIPIENT, "it needs the sender"),
        Some(Ok(to)) => {
            let rcpt = format!("RCPT TO:<{to}>");
            ask(
                checks,
                &mut session.wire,
                RECIPIENT,
                Stage::Recipient,
                &rcpt,
                &to,
                patient,
            );
        }
    }
    checks.start();
    match session
        .wire
        .command(Stage::Reset, "RSET")
        .and_then(|reply| reply.expect(Stage::Reset, 2))
    {
        Ok(_) => checks.ok(END, "taken back by RSET, and QUIT: no message was sent"),
        Err(error) if accepted => {
            let advice = prescribe::general(&error);
            checks.fail(END, error, advice);
        }
        // A server that has hung up after its refusal has nothing to take back.
        Err(_) => checks.skip(
            END,
            "the server has ended the connection: no message was sent",
        ),
    }
    let total = session.wire.total();
    Dialogue::new(session).quit(total);
}

/// One question about an address. Whether the answer was yes.
fn ask(
    checks: &mut Checks,
    wire: &mut Wire,
    name: &'static str,
    stage: Stage,
    command: &str,
    address: &str,
    patient: &Patient<'_>,
) -> bool {
    checks.start();
    let answer = wire
        .command(stage, command)
        .and_then(|reply| reply.expect(stage, 2));
    match answer.map_err(|error| error.about(&format!("<{address}>"))) {
        Ok(reply) => checks.ok(name, format!("<{address}>: {reply}")),
        Err(error) => {
            let advice = prescribe::refused(&error, patient);
            checks.fail(name, error, advice);
            return false;
        }
    }
    true
}
