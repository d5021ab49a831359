//! Names, addresses, TCP, the greeting, STARTTLS, the certificate.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use crate::account::Account;
use crate::account::check::host;
use crate::advice::doctor::advice::{Advice, Place};
use crate::advice::doctor::check::Checks;
use crate::advice::doctor::clock;
use crate::advice::doctor::prescribe::general;
use crate::advice::doctor::probe::{self, Shown};
use crate::der;
use crate::error::Error;
use crate::reply::Reply;
use crate::smtp::dial::Interrupt;
use crate::smtp::login::{self, Greeted, Secured};
use crate::smtp::wire::Wire;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;

const NAMES: &str = "name";
const TCP_4: &str = "tcp IPv4";
const TCP_6: &str = "tcp IPv6";
const GREETING: &str = "greeting";
const STARTTLS: &str = "starttls";
const CERTIFICATE: &str = "certificate";

/// An encrypted connection to the server.
pub(super) struct Connected(pub(super) Secured);

/// From the name to the certificate. `judge_clock` is told the greeting and whether the clock is bad: that stands before
/// the certificate.
pub(super) fn check(
    checks: &mut Checks,
    account: &Account,
    total: Deadline,
    judge_clock: impl FnOnce(&mut Checks, &str) -> bool,
) -> Option<Connected> {
    checks.start();
    let reached = reach(checks, account, total);
    let greeted = match reached {
        true => greet(checks, account, total),
        false => {
            checks.skip(GREETING, "no address can be reached");
            None
        }
    };
    let greeting = greeted.as_ref().map(|(_, text)| text.as_str());
    let clock_is_wrong = judge_clock(checks, greeting.unwrap_or_default());
    let Some((greeted, _)) = greeted else {
        checks.skip(STARTTLS, "it needs the greeting");
        checks.skip(CERTIFICATE, "it needs STARTTLS");
        return None;
    };
    encrypt(checks, account, greeted, clock_is_wrong)
}

/// Whether any address answers. IPv4 and IPv6 apart: one of them may be dead for this machine, and a message then
/// goes by the other.
fn reach(checks: &mut Checks, account: &Account, total: Deadline) -> bool {
    if host(account.host()).is_err() {
        checks.skip(NAMES, "the server's name has to be right first");
        checks.skip(TCP_4, "it needs the name");
        checks.skip(TCP_6, "it needs the name");
        return false;
    }
    let addresses = match probe::resolve(account, total) {
        Ok(addresses) => addresses,
        Err(error) => {
            let advice = general(&error);
            checks.fail(NAMES, error, advice);
            checks.skip(TCP_4, "it needs the name");
            checks.skip(TCP_6, "it needs the name");
            return false;
        }
    };
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(SocketAddr::is_ipv6);
    let found = match (v4.len(), v6.len()) {
        (v4, 0) => format!("{v4} IPv4, no IPv6"),
        (0, v6) => format!("no IPv4, {v6} IPv6"),
        (v4, v6) => format!("{v4} IPv4, {v6} IPv6"),
    };
    checks.ok(NAMES, format!("{}: {found}", account.host()));
    let answers = probe::reach(account, &addresses, total);
    let serves = answers.iter().any(|(_, answer)| answer.is_ok());
    for (name, family, is_v6) in [(TCP_4, "IPv4", false), (TCP_6, "IPv6", true)] {
        let mine = answers
            .iter()
            .filter(|(address, _)| address.is_ipv6() == is_v6);
        tell_family(checks, account, (name, family), serves, mine);
    }
    serves
}

fn tell_family<'a>(
    checks: &mut Checks,
    account: &Account,
    (name, family): (&'static str, &str),
    another_serves: bool,
    answers: impl Iterator<Item = &'a (SocketAddr, io::Result<Duration>)>,
) {
    let mut longest = Duration::ZERO;
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for (address, answer) in answers {
        match answer {
            Ok(took) => {
                longest = longest.max(*took);
                up.push(format!("{} {} ms", address.ip(), took.as_millis()));
            }
            Err(error) => down.push((address, error)),
        }
    }
    let failures = || {
        let each = down
            .iter()
            .map(|(address, error)| format!("{}: {error}", address.ip()));
        each.collect::<Vec<_>>().join(", ")
    };
    match (up.is_empty(), down.first()) {
        (true, None) => return checks.skip(name, format!("the server has no {family} address")),
        (true, Some(_)) if another_serves => {
            return checks.skip(
                name,
                format!(
                    "not to be had here ({}), the other family serves",
                    failures()
                ),
            );
        }
        (true, Some((address, error))) => {
            let copy = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            let error = Error::io(Stage::Connect, copy).about(&address.to_string());
            checks.fail(name, error, Some(unreachable(account)));
        }
        (false, None) => checks.ok(name, up.join(", ")),
        (false, Some(_)) => checks.ok(name, format!("{}; not {}", up.join(", "), failures())),
    }
    checks.took(longest);
}

fn unreachable(account: &Account) -> Advice {
    let (host, port) = (account.host(), account.port());
    let meaning = format!(
        "The mail server cannot be reached from this machine: most often a firewall, of this machine, its network or its \
         provider, that lets no TCP out to port {port}."
    );
    Advice::new(meaning).cause(
        "try it without exosend; a line that begins with 220 means that it works",
        Place::Shell,
        [format!(
            "timeout 10 bash -c 'head -1 </dev/tcp/{host}/{port}'"
        )],
    )
}

/// The greeting and EHLO, over a connection made as for every message.
fn greet(checks: &mut Checks, account: &Account, total: Deadline) -> Option<(Greeting, String)> {
    let hello = |mut wire: Wire, name: String| {
        let reply = login::greeting(&mut wire)?;
        let greeted = Greeted::hello(wire, &name)?;
        Ok((Greeting { greeted, name }, reply))
    };
    let result = login::connect(account, total, &Interrupt::default())
        .and_then(|(wire, name)| hello(wire, name));
    match result {
        Ok((greeted, reply)) => {
            checks.ok(GREETING, reply.to_string());
            Some((greeted, reply.to_string()))
        }
        Err(error) => {
            let advice = general(&error).or_else(|| Some(no_submission(&error, account)));
            checks.fail(GREETING, error, advice);
            None
        }
    }
}

struct Greeting {
    greeted: Greeted,
    /// What EHLO says.
    name: String,
}

pub(super) fn no_submission(error: &Error, account: &Account) -> Advice {
    let meaning = match error.reply().map(Reply::is_transient) {
        Some(true) => {
            "The server does not want this client for now: wait some minutes and look again."
        }
        Some(false) => {
            "The server does not want this client: its address may be blocked, or this is no submission server."
        }
        None => {
            "What answers there is not the mail server that was meant, or something on the way cuts the connection."
        }
    };
    let cloud = account.cloud;
    Advice::new(meaning).cause(
        "check the server and its port, 587",
        Place::Configuration,
        [format!("server = {}:587", cloud.host())],
    )
}

/// STARTTLS and EHLO again, and what the server showed in between.
fn encrypt(
    checks: &mut Checks,
    account: &Account,
    Greeting { greeted, name }: Greeting,
    clock_is_wrong: bool,
) -> Option<Connected> {
    let mut shown = Shown::default();
    let mut handshake = Duration::ZERO;
    let result = greeted.start_tls(
        |stream| {
            let start = Instant::now();
            let result = probe::handshake(stream, account, &mut shown);
            handshake = start.elapsed();
            result
        },
        &name,
    );
    let certificate = shown.certificates.first().and_then(|der| Shows::read(der));
    let blamed = !shown.done && !shown.certificates.is_empty();
    match result {
        Ok(secured) => {
            checks.ok(
                STARTTLS,
                format!("TLS, {} ms for the handshake", handshake.as_millis()),
            );
            checks.ok(
                CERTIFICATE,
                certificate.map(|c| c.text()).unwrap_or_default(),
            );
            Some(Connected(secured))
        }
        Err(error) if blamed && error.kind() == ErrorKind::Tls => {
            checks.ok(STARTTLS, "offered, and taken up");
            let advice = match clock_is_wrong {
                true => clock::advice(),
                false => mistrusted(&error, certificate.as_ref(), account),
            };
            let error = match certificate {
                Some(certificate) => error.with(&format!(" ({})", certificate.text())),
                None => error,
            };
            checks.fail(CERTIFICATE, error, Some(advice));
            None
        }
        Err(error) => {
            let advice = general(&error).or_else(|| Some(no_starttls(account)));
            checks.fail(STARTTLS, error, advice);
            match shown.done {
                true => checks.ok(
                    CERTIFICATE,
                    certificate.map(|c| c.text()).unwrap_or_default(),
                ),
                false => checks.skip(CERTIFICATE, "it needs STARTTLS"),
            }
            None
        }
    }
}

fn no_starttls(account: &Account) -> Advice {
    let meaning = "The connection cannot be encrypted, and exosend sends nothing in the clear. Something on the way may \
                   take STARTTLS out of what the server offers (a firewall's mail inspection), or this is another server.";
    Advice::new(meaning).cause(
        "look at what is offered there",
        Place::Shell,
        [format!(
            "openssl s_client -starttls smtp -connect {}:{}",
            account.host(),
            account.port()
        )],
    )
}

fn mistrusted(error: &Error, certificate: Option<&Shows>, account: &Account) -> Advice {
    let issuer = certificate.map(|c| c.issuer.as_str()).unwrap_or_default();
    let meaning = match error.hint() {
        Some(hint) => {
            format!("The server's certificate is not trusted, and nothing was sent: {hint}.")
        }
        None => "The server's certificate is not trusted, and nothing was sent.".to_owned(),
    };
    let name = match account.host().parse::<IpAddr>() {
        Ok(_) => String::new(),
        Err(_) => format!(" -servername {}", account.host()),
    };
    Advice::new(meaning).cause(
        format!("look at the certificate; it says that `{issuer}` signed it"),
        Place::Shell,
        [format!(
            "openssl s_client -starttls smtp -connect {}:{}{name} -showcerts",
            account.host(),
            account.port()
        )],
    )
}

/// What a certificate says, for people.
struct Shows {
    subject: String,
    issuer: String,
    days: Result<u64, u64>,
}

impl Shows {
    fn read(der: &[u8]) -> Option<Self> {
        let (subject, issuer) = der::names(der)?;
        let days = |time: Duration| time.as_secs() / 86_400;
        let end = der::validity(der)?.not_after;
        let left = end.duration_since(SystemTime::now());
        Some(Self {
            subject,
            issuer,
            days: left.map(days).map_err(|over| days(over.duration())),
        })
    }

    fn text(&self) -> String {
        let Self {
            subject, issuer, ..
        } = self;
        let days = match self.days {
            Ok(left) => format!("{left} days left"),
            Err(over) => format!("ended {over} days ago"),
        };
        format!("{subject}, by {issuer}, {days}")
    }
}
