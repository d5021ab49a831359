//! Names, addresses, TCP, the greeting, STARTTLS, the certificate.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use crate::account::check::host;
use crate::advice::doctor::causes;
use crate::advice::doctor::check::Checks;
use crate::advice::doctor::context::Context;
use crate::advice::doctor::probe::{self, Shown};
use crate::date::{self, days};
use crate::der;
use crate::dial::Interrupt;
use crate::error::Error;
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

/// A server that has greeted and has answered EHLO.
pub(super) struct Greeting {
    greeted: Greeted,
    pub(super) text: String,
    /// The name that EHLO says.
    name: String,
}

/// From the name to EHLO, over a connection made as for every message.
pub(super) fn greet(
    checks: &mut Checks,
    context: &Context<'_>,
    total: Deadline,
) -> Option<Greeting> {
    checks.start();
    if !reach(checks, context, total) {
        checks.skip(GREETING, "no address can be reached");
        return None;
    }
    let hello = |(mut wire, name): (Wire, String)| {
        let reply = login::greeting(&mut wire)
            .map_err(|error| login::ungreeted(error, context.account.port()))?;
        let greeted = Greeted::hello(wire, &name)?;
        let text = reply.to_string();
        Ok(Greeting {
            greeted,
            text,
            name,
        })
    };
    match login::connect(context.account, total, &Interrupt::default()).and_then(hello) {
        Ok(greeting) => {
            checks.ok(GREETING, greeting.text.as_str());
            Some(greeting)
        }
        Err(error) => {
            causes::fail(checks, context, GREETING, error);
            None
        }
    }
}

/// Whether any address answers. IPv4 and IPv6 apart: one of them may be dead for this machine, and a message then
/// goes by the other.
fn reach(checks: &mut Checks, context: &Context<'_>, total: Deadline) -> bool {
    let account = context.account;
    if host(account.host()).is_err() {
        checks.skip(NAMES, "the server's name has to be right first");
        return no_name(checks);
    }
    let addresses = match probe::resolve(account, total) {
        Ok(addresses) => addresses,
        Err(error) => {
            causes::fail(checks, context, NAMES, error);
            return no_name(checks);
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
        tell_family(checks, context, (name, family), serves, mine);
    }
    serves
}

fn no_name(checks: &mut Checks) -> bool {
    checks.skip(TCP_4, "it needs the name");
    checks.skip(TCP_6, "it needs the name");
    false
}

fn tell_family<'a>(
    checks: &mut Checks,
    context: &Context<'_>,
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
            let failures = failures();
            let why = format!("not reachable from here ({failures}), the other family is");
            return checks.skip(name, why);
        }
        (true, Some((address, error))) => {
            let copy = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            let error = Error::io(Stage::Connect, copy).about(&address.to_string());
            causes::fail(checks, context, name, error);
        }
        (false, None) => checks.ok(name, up.join(", ")),
        (false, Some(_)) => checks.ok(name, format!("{}; not {}", up.join(", "), failures())),
    }
    checks.took(longest);
}

/// STARTTLS and EHLO again, and the certificate that the server showed in between.
pub(super) fn encrypt(
    checks: &mut Checks,
    context: &Context<'_>,
    greeting: Option<Greeting>,
) -> Option<Secured> {
    let Some(Greeting { greeted, name, .. }) = greeting else {
        checks.skip(STARTTLS, "it needs the greeting");
        checks.skip(CERTIFICATE, "it needs STARTTLS");
        return None;
    };
    let mut shown = Shown::default();
    let mut handshake = Duration::ZERO;
    let result = greeted.start_tls(
        |stream| {
            let start = Instant::now();
            let result = probe::handshake(stream, context.account, &mut shown);
            handshake = start.elapsed();
            result
        },
        &name,
    );
    let certificate = shown.certificates.first();
    let certificate = certificate.and_then(|der| about(der)).unwrap_or_default();
    let blamed = !shown.done && !shown.certificates.is_empty();
    let secured = match result {
        Ok(secured) => {
            let milliseconds = handshake.as_millis();
            let detail = format!("TLS, {milliseconds} ms for the handshake");
            checks.ok(STARTTLS, detail);
            Some(secured)
        }
        Err(error) if blamed && error.kind() == ErrorKind::Tls => {
            checks.ok(STARTTLS, "offered, and taken up");
            let advice = causes::of(&error, context);
            let error = match certificate.as_str() {
                "" => error,
                certificate => error.with(&format!(" ({certificate})")),
            };
            checks.fail(CERTIFICATE, error, advice);
            return None;
        }
        Err(error) => {
            causes::fail(checks, context, STARTTLS, error);
            None
        }
    };
    match shown.done {
        true => checks.ok(CERTIFICATE, certificate),
        false => checks.skip(CERTIFICATE, "it needs STARTTLS"),
    }
    secured
}

/// What a certificate says, for people.
fn about(der: &[u8]) -> Option<String> {
    let (subject, issuer) = der::names(der)?;
    let end = der::validity(der)?.not_after;
    let date = date::rfc3339(end);
    let left = match end.duration_since(SystemTime::now()) {
        Ok(left) => format!("until {date}, {} days left", days(left)),
        Err(over) => format!("ended {date}, {} days ago", days(over.duration())),
    };
    Some(format!("{subject}, by {issuer}, {left}"))
}
