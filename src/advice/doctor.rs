//! Walks the path of a message up to DATA, and reports each step.

mod causes;
pub(crate) mod check;
mod clock;
mod configuration;
mod context;
#[cfg(feature = "graph")]
mod graph;
mod network;
mod probe;

#[cfg(feature = "login")]
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::account::Account;
use crate::advice::doctor::check::{Check, Checks};
use crate::advice::doctor::clock::Skew;
use crate::advice::doctor::context::Context;
use crate::error::Error;
use crate::message::Message;
use crate::session::Session;
use crate::smtp::login::{LoggedIn, Secured};
use crate::smtp::wire::Wire;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::token::Token;
use crate::token::claims::Claims;
use crate::token::http;
#[cfg(feature = "login")]
use crate::token::login::Login;

/// What the checks are called, in their order.
const TOKEN: &str = "token";
const CLAIMS: &str = "claims";
const LOGIN: &str = "login";
const SENDER: &str = "sender";
const RECIPIENT: &str = "recipient";
const END: &str = "end";
const MESSAGE: &str = "message";

/// Looks at everything that sending a message needs, by doing it up to, and not including, DATA. No message is sent.
///
/// The account's configuration, the server's names and addresses, its greeting, TLS and certificate, the clock, a token
/// that is always fetched afresh and what it says of itself, the login, the sender, and the `recipient` if one is given:
/// one [`Check`] each, in that order. A check that fails stops only those that depend on it. One that fails says what it
/// most likely means and which commands mend it, with the ids of this account filled in.
///
/// Nothing secret is in what it returns. It takes as long as the account's [`Timeouts`](crate::Timeouts) allow, and no
/// command more than a minute: somebody is waiting.
///
/// ```no_run
/// use exosend::Account;
/// use exosend::advice::{CheckState, diagnose};
///
/// for check in diagnose(&Account::from_env()?, Some("ann@example.com")) {
///     println!("{:?} {}: {}", check.state(), check.name(), check.detail());
///     if check.state() == CheckState::Failed {
///         for cause in check.advice().map(|advice| advice.causes()).unwrap_or_default() {
///             println!("{} ({:?})", cause.text(), cause.place());
///             cause.commands().for_each(|command| println!("    {command}"));
///         }
///     }
/// }
/// # Ok::<(), exosend::Error>(())
/// ```
pub fn diagnose(account: &Account, recipient: Option<&str>) -> Vec<Check> {
    let mut account = hurried(account);
    let total = Deadline::total(&account.timeouts);
    let mut checks = Checks::new();
    let mut context = Context::new(&account, None);

    let is_right = configuration::check(&mut checks, &context);
    // The token is fetched first and reported later: the date of its answer is the second witness of the clock, and a server
    // that has greeted must not wait for it.
    let fetched = fetch(&account);
    #[cfg(feature = "graph")]
    let by_smtp = !account.is_graph();
    #[cfg(not(feature = "graph"))]
    let by_smtp = true;
    let greeting = by_smtp.then(|| network::greet(&mut checks, &context, total));
    let greeted = greeting.as_ref().and_then(Option::as_ref);
    let by_server = greeted.and_then(|greeting| Skew::told(&greeting.text));
    context.clock_is_wrong = clock::check(&mut checks, by_server, fetched.by_entra);
    let secured = greeting.map(|greeting| network::encrypt(&mut checks, &context, greeting));
    let token = tell_token(&mut checks, &context, fetched);
    let claims = tell_claims(&mut checks, token.as_ref());

    let clock_is_wrong = context.clock_is_wrong;
    name_application(&mut account, claims.as_ref());
    let context = Context {
        clock_is_wrong,
        ..Context::new(&account, claims.as_ref())
    };
    let recipient = recipient.map(configuration::recipient);
    match secured {
        Some(secured) => {
            let session = log_in(&mut checks, &context, is_right, secured, token);
            envelope(&mut checks, &context, session, recipient);
        }
        None => {
            #[cfg(feature = "graph")]
            graph::check(&mut checks, &context, is_right, total);
            unasked(
                &mut checks,
                recipient,
                "Graph is not asked for one without a message",
            );
        }
    }
    checks.into_vec()
}

/// Sends a short message to `recipient`, and says what became of it: the [`Check`] that [`diagnose`] leaves out, for servers
/// judge much only with the message, and Microsoft Graph everything. One that fails says what that most likely means, as
/// the others do.
///
/// ```no_run
/// let check = exosend::advice::send_test(&exosend::Account::from_env()?, "ann@example.com");
/// println!("{}: {}", check.name(), check.detail());
/// # Ok::<(), exosend::Error>(())
/// ```
pub fn send_test(account: &Account, recipient: &str) -> Check {
    let mut account = hurried(account);
    let mut checks = Checks::new();
    let message = Message::new()
        .to(recipient)
        .subject("exosend: a test")
        .header("Auto-Submitted", "auto-generated")
        .text("This is a test of exosend, and it has arrived.\n");
    let sent = Session::open(&account).and_then(|mut session| {
        let sent = session.send(&message);
        session.quit();
        sent
    });
    match sent {
        Ok(receipt) => {
            let id = receipt.message_id().unwrap_or_default();
            checks.ok(MESSAGE, format!("sent to {recipient}: {receipt}, {id}"));
        }
        Err(error) => {
            // A token that was refused is not asked for again.
            let token = match error.stage() {
                Stage::Token => None,
                _ => Token::get(&account).ok(),
            };
            let claims = token.and_then(|token| token.claims());
            name_application(&mut account, claims.as_ref());
            let context = Context::new(&account, claims.as_ref());
            causes::fail(&mut checks, &context, MESSAGE, error);
        }
    }
    checks.into_one()
}

/// The same account with short timeouts, since somebody is waiting, and with a login that is not renewed.
fn hurried(account: &Account) -> Account {
    const LONGEST: Duration = Duration::from_secs(60);
    let mut account = account.clone();
    account.timeouts.command = account.timeouts.command.min(LONGEST);
    #[cfg(feature = "login")]
    if let Some(file) = account.users_login() {
        // The file belongs to those who send, and the doctor may run as root.
        let login = Login::looked_at(file.path().to_owned());
        account.credential = Some(Arc::new(login));
    }
    account
}

/// Takes the application's id from the token if none is configured, as for a managed identity.
fn name_application(account: &mut Account, claims: Option<&Claims>) {
    if let Some(claims) = claims.filter(|_| account.client_id.is_empty()) {
        account.client_id.clone_from(&claims.appid);
    }
}

/// The answer to a token request.
struct Fetched {
    /// `None` where there is nothing to ask with.
    token: Option<Result<Token, Error>>,
    took: Duration,
    by_entra: Option<Skew>,
}

fn fetch(account: &Account) -> Fetched {
    let start = Instant::now();
    let token = account
        .check_application()
        .is_ok()
        .then(|| Token::fetch(account));
    let told = match &token {
        Some(Ok(token)) => token.answered_at.as_deref(),
        Some(Err(error)) => error.answered_at(),
        None => None,
    };
    Fetched {
        by_entra: told.and_then(Skew::told),
        took: start.elapsed(),
        token,
    }
}

fn tell_token(checks: &mut Checks, context: &Context<'_>, fetched: Fetched) -> Option<Token> {
    let token = match fetched.token {
        None => {
            checks.skip(TOKEN, "the configuration has to be right first");
            return None;
        }
        Some(Err(error)) => {
            causes::fail(checks, context, TOKEN, error);
            checks.took(fetched.took);
            return None;
        }
        Some(Ok(token)) => token,
    };
    let length = token.secret().len();
    let credential = context.account.credential.as_ref();
    let ready = credential.is_some_and(|c| c.ready().is_some());
    let of_entra = credential.is_some_and(|c| !c.stands_alone());
    let endpoint = context.account.application().endpoint;
    let by = match http::proxy_to(&endpoint).filter(|_| of_entra) {
        Some(proxy) => format!(" by {proxy}"),
        None => String::new(),
    };
    let detail = match (ready, token.expires_in().as_secs() / 60) {
        (true, _) => format!("{length} bytes, the configured access_token as it is"),
        (false, minutes) => format!("{length} bytes, fetched afresh{by}, good for {minutes} min"),
    };
    checks.ok(TOKEN, detail);
    checks.took(fetched.took);
    Some(token)
}

/// What the token says of itself, without the token.
fn tell_claims(checks: &mut Checks, token: Option<&Token>) -> Option<Claims> {
    let Some(token) = token else {
        checks.skip(CLAIMS, "there is no token");
        return None;
    };
    let Some(claims) = token.claims() else {
        checks.skip(CLAIMS, "the token is no JWT, so they cannot be read");
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
    context: &Context<'_>,
    is_right: bool,
    secured: Option<Secured>,
    token: Option<Token>,
) -> Option<LoggedIn> {
    let account = context.account;
    let (Some(secured), Some(token)) = (secured, token) else {
        checks.skip(LOGIN, "it needs the token and the encrypted connection");
        return None;
    };
    if !is_right {
        checks.skip(LOGIN, "the configuration has to be right first");
        return None;
    }
    checks.start();
    let user = token.user_or(account.mailbox()).to_owned();
    match secured.authenticate(account.mailbox(), &token, account.initial_response) {
        Ok(session) => {
            checks.ok(LOGIN, format!("the server lets {user} in"));
            Some(session)
        }
        Err(error) => {
            causes::fail(checks, context, LOGIN, error);
            None
        }
    }
}

/// MAIL, RCPT, and back: RSET, and the QUIT of a session that is dropped.
fn envelope(
    checks: &mut Checks,
    context: &Context<'_>,
    session: Option<LoggedIn>,
    recipient: Option<Result<String, Error>>,
) {
    let Some(mut session) = session else {
        checks.skip(SENDER, "it needs the login");
        unasked(checks, recipient, "it needs the login");
        return checks.skip(END, "it needs the login");
    };
    let wire = &mut session.wire;
    let from = context.account.mailbox();
    let to = recipient.as_ref().and_then(|to| to.as_deref().ok());
    let international = !from.is_ascii() || to.is_some_and(|to| !to.is_ascii());
    let parameter = match international && session.offers.smtp_utf8 {
        true => " SMTPUTF8",
        false => "",
    };
    let mail = format!("MAIL FROM:<{from}>{parameter}");
    let accepted = ask(checks, context, wire, Stage::Sender, &mail, from);
    match recipient {
        Some(Ok(to)) if accepted => {
            let rcpt = format!("RCPT TO:<{to}>");
            ask(checks, context, wire, Stage::Recipient, &rcpt, &to);
        }
        recipient => unasked(checks, recipient, "it needs the sender"),
    }
    take_back(checks, context, wire, accepted);
}

/// Reports that the server was not asked about the recipient.
fn unasked(checks: &mut Checks, recipient: Option<Result<String, Error>>, why: &str) {
    match recipient {
        Some(Err(error)) => checks.fail(RECIPIENT, error, None),
        Some(Ok(_)) => checks.skip(RECIPIENT, why),
        None => checks.skip(RECIPIENT, "none was given"),
    }
}

/// Asks the server about an address. Whether it said yes.
fn ask(
    checks: &mut Checks,
    context: &Context<'_>,
    wire: &mut Wire,
    stage: Stage,
    command: &str,
    address: &str,
) -> bool {
    let name = match stage {
        Stage::Sender => SENDER,
        _ => RECIPIENT,
    };
    checks.start();
    let answer = wire
        .command(stage, command)
        .and_then(|reply| reply.expect(stage, 2));
    match answer.map_err(|error| error.about(&format!("<{address}>"))) {
        Ok(reply) => {
            checks.ok(name, format!("<{address}>: {reply}"));
            true
        }
        Err(error) => {
            causes::fail(checks, context, name, error);
            false
        }
    }
}

fn take_back(checks: &mut Checks, context: &Context<'_>, wire: &mut Wire, accepted: bool) {
    checks.start();
    let reply = wire.command(Stage::Reset, "RSET");
    match reply.and_then(|reply| reply.expect(Stage::Reset, 2)) {
        Ok(_) => checks.ok(END, "taken back by RSET, and QUIT: no message was sent"),
        Err(error) if accepted => causes::fail(checks, context, END, error),
        // After a refusal the server may have hung up.
        Err(_) => checks.skip(
            END,
            "the server has ended the connection: no message was sent",
        ),
    }
}
