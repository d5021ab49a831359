//! From a host name to a TCP connection: resolve it, and race its addresses. Not a byte is said over it here.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::background::{self, Inbox};
use crate::error::Error;
use crate::stage::{ErrorKind, Stage};
use crate::text::lower_case;
use crate::timeouts::Deadline;
use crate::tls::Socket;

/// How long an address is tried before the next one joins in (RFC 8305 section 5): a dead IPv6 route costs no more.
const HEAD_START: Duration = Duration::from_millis(250);

/// What the helper threads report.
pub(crate) enum Event {
    Resolved(io::Result<Vec<SocketAddr>>),
    Tried(SocketAddr, io::Result<TcpStream>),
    Interrupted,
}

/// Ends the wait for a connection from another thread: when no token can be had, nobody needs the connection.
#[derive(Clone, Default)]
pub(crate) struct Interrupt(Arc<Mutex<Waiting>>);

/// What the connection waits for.
#[derive(Default)]
enum Waiting {
    #[default]
    ForNothing,
    ForEvents(Inbox<Event>),
    ForPeer(TcpStream),
    NoMore,
}

impl Interrupt {
    pub(crate) fn raise(&self) {
        match std::mem::replace(&mut *self.lock(), Waiting::NoMore) {
            Waiting::ForEvents(events) => events.put(Event::Interrupted),
            Waiting::ForPeer(tcp) => drop(tcp.shutdown(Shutdown::Both)),
            Waiting::ForNothing | Waiting::NoMore => {}
        }
    }

    /// From here on `raise` does nothing.
    pub(crate) fn disarm(&self) {
        *self.lock() = Waiting::NoMore;
    }

    /// Says what `raise` has to end. Fails if it was raised before.
    fn arm(&self, next: Waiting) -> Result<(), Error> {
        let mut waiting = self.lock();
        if matches!(*waiting, Waiting::NoMore) {
            return Err(interrupted());
        }
        *waiting = next;
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves and connects before the deadline.
///
/// Both happen in threads that are left behind at the deadline: `getaddrinfo` has no timeout, and an address that does not
/// answer must not keep the next one waiting.
pub(crate) fn connect(
    host: &str,
    port: u16,
    deadline: Deadline,
    interrupt: &Interrupt,
) -> Result<Socket, Error> {
    let events = Inbox::default();
    interrupt.arm(Waiting::ForEvents(events.clone()))?;
    let addresses = resolve(host, port, lookup, deadline, &events)?;
    let tcp = race(&addresses, deadline, TcpStream::connect_timeout, &events)
        .map_err(|e| e.about(&format!("{host}:{port}")))?;
    tcp.try_clone()
        .and_then(|duplicate| Ok((duplicate, Socket::new(tcp, deadline)?)))
        .map_err(|e| Error::io(Stage::Connect, e))
        .and_then(|(duplicate, socket)| interrupt.arm(Waiting::ForPeer(duplicate)).map(|()| socket))
}

/// The addresses of a name; [`NotFound`](io::ErrorKind::NotFound) if there is no such name.
pub(crate) fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let ask = || (host, port).to_socket_addrs();
    let mut found = ask();
    if found.as_ref().is_err_and(is_no_such_name) {
        // glibc says the same when it has no file descriptor left; then a socket fails, too, and its error is the true one.
        drop(UnixDatagram::unbound()?);
        // Unless another thread has given one back meanwhile.
        found = ask();
    }
    match found {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) if is_no_such_name(&error) => {
            Err(io::Error::new(io::ErrorKind::NotFound, error))
        }
        Err(error) => Err(error),
    }
}

/// Whether the name does not exist (EAI_NONAME). std does not tell getaddrinfo's code, so the words of glibc and musl are
/// compared. Any other error is transient: no name server answers (EAI_AGAIN), or one of them fails for one address family
/// and knows no address of the other (EAI_NODATA).
fn is_no_such_name(error: &io::Error) -> bool {
    let text = error.to_string();
    ["Name or service not known", "Name does not resolve"]
        .iter()
        .any(|words| text.ends_with(words))
}

pub(crate) fn resolve(
    host: &str,
    port: u16,
    lookup: fn(&str, u16) -> io::Result<Vec<SocketAddr>>,
    deadline: Deadline,
    events: &Inbox<Event>,
) -> Result<Vec<SocketAddr>, Error> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let failed = |error| Error::io(Stage::Resolve, error).about(host);
    let (name, found) = (host.to_owned(), events.clone());
    let asked = spawn(Box::new(move || {
        found.put(Event::Resolved(lookup(&name, port)));
    }));
    if asked.is_err() {
        // Without a thread the resolver's own timeouts have to do.
        events.put(Event::Resolved(lookup(host, port)));
    }
    match events.take(deadline.remaining().map_err(failed)?) {
        Some(Event::Resolved(Ok(addresses))) if addresses.is_empty() => {
            Err(failed(io::Error::other("the name has no address")))
        }
        Some(Event::Resolved(Err(error))) if error.kind() == io::ErrorKind::NotFound => {
            Err(failed(error).permanent())
        }
        Some(Event::Resolved(addresses)) => addresses.map(in_turns).map_err(failed),
        Some(Event::Interrupted | Event::Tried(..)) => Err(interrupted()),
        None => Err(failed(deadline.passed())),
    }
}

/// Alternates the address families, beginning with that of the resolver's first address (RFC 8305 section 4).
fn in_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let preferred = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|a| a.is_ipv6() == preferred);
    let mut second = second.into_iter();
    let mut turns = Vec::new();
    for address in first {
        turns.push(address);
        turns.extend(second.next());
    }
    turns.extend(second);
    turns
}

/// The first connection that is made. The next address joins in after [`HEAD_START`], or at once when one fails.
fn race(
    addresses: &[SocketAddr],
    deadline: Deadline,
    attempt: fn(&SocketAddr, Duration) -> io::Result<TcpStream>,
    events: &Inbox<Event>,
) -> Result<TcpStream, Error> {
    let mut untried = addresses.iter().copied();
    let mut running = 0;
    let mut failures = Vec::new();
    let this_race = Arc::new(());
    loop {
        let Ok(left) = deadline.remaining() else {
            return Err(all_failed(failures, Some(deadline.passed())));
        };
        if let Some(address) = untried.next() {
            let (tried, race) = (events.clone(), Arc::downgrade(&this_race));
            let begun = spawn(Box::new(move || {
                let result = persist(deadline, &race, |time| attempt(&address, time));
                tried.put(Event::Tried(address, result));
            }));
            if begun.is_err() {
                // Without a thread the addresses are tried one after the other, each with its share of the time.
                let share = left / u32::try_from(untried.len() + 1).unwrap_or(u32::MAX);
                events.put(Event::Tried(address, attempt(&address, share)));
            }
            running += 1;
        } else if running == 0 {
            return Err(all_failed(failures, None));
        }
        let patience = if untried.len() > 0 {
            left.min(HEAD_START)
        } else {
            left
        };
        match events.take(patience) {
            Some(Event::Tried(_, Ok(tcp))) => return Ok(tcp),
            Some(Event::Tried(address, Err(error))) => {
                log::debug!("connect {address}: {error}");
                running -= 1;
                // An attempt that ends at the deadline says nothing of its address.
                if deadline.remaining().is_ok() {
                    failures.push((address, error));
                }
            }
            Some(Event::Interrupted | Event::Resolved(_)) => return Err(interrupted()),
            None => {}
        }
    }
}

/// Repeats an attempt until the deadline, or until the race is over. Nothing can end an attempt from outside, so each lasts
/// only until the kernel would repeat its SYN, 1, 2, 4 seconds (RFC 6298): so the losers end soon after the race.
fn persist(
    deadline: Deadline,
    race: &Weak<()>,
    mut attempt: impl FnMut(Duration) -> io::Result<TcpStream>,
) -> io::Result<TcpStream> {
    let mut time = Duration::from_secs(1);
    loop {
        match attempt(deadline.remaining()?.min(time)) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut && race.strong_count() > 0 => {
                time = time.saturating_mul(2);
            }
            result => return result,
        }
    }
}

/// `connection refused (os error 111) (40.99.1.1:587), network is unreachable (os error 101) ([2603::1]:587)`, and what
/// ended the wait for the others.
fn all_failed(failures: Vec<(SocketAddr, io::Error)>, late: Option<io::Error>) -> Error {
    let mut failures = failures.into_iter();
    let Some((address, error)) = failures.next() else {
        let late = late.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        return Error::io(Stage::Connect, late);
    };
    let mut made = Error::io(Stage::Connect, error).with(&format!(" ({address})"));
    for (address, error) in failures {
        let error = lower_case(&error.to_string());
        made = made.with(&format!(", {error} ({address})"));
    }
    match late {
        Some(late) => made.with(&format!(", {late}")),
        None => made,
    }
}

/// With the usual size of a stack: getaddrinfo loads NSS modules, and nobody knows what they need.
pub(crate) fn spawn(work: background::Work) -> io::Result<()> {
    let thread = thread::Builder::new().name("exosend connect".into());
    background::spawn(thread, work)
}

/// The error of a connection that was given up; the caller returns that of the token request instead.
fn interrupted() -> Error {
    Error::new(
        ErrorKind::Network,
        Stage::Connect,
        "given up, the token request had failed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_and_ipv4_take_turns() {
        let v = |texts: &[&str]| {
            texts
                .iter()
                .map(|t| t.parse().unwrap())
                .collect::<Vec<SocketAddr>>()
        };
        assert_eq!(
            in_turns(v(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"])),
            v(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"])
        );
        assert_eq!(
            in_turns(v(&["1.1.1.1:1", "[::1]:1", "[::2]:1"])),
            v(&["1.1.1.1:1", "[::1]:1", "[::2]:1"])
        );
    }

    /// An address whose packets are lost: nothing comes back before the time is over.
    fn dead(address: &SocketAddr, left: Duration) -> io::Result<TcpStream> {
        if address.port() == 1 {
            thread::sleep(left);
            return Err(io::ErrorKind::TimedOut.into());
        }
        TcpStream::connect_timeout(address, left)
    }

    #[test]
    fn a_resolver_that_does_not_answer_ends_at_the_bound() {
        let asleep = |_: &str, _| {
            thread::sleep(Duration::from_secs(60));
            Ok(Vec::new())
        };
        for name in ["connect", "total"] {
            let deadline = Deadline::after(Duration::from_millis(50), name);
            let begun = std::time::Instant::now();
            let error =
                resolve("smtp.example", 587, asleep, deadline, &Inbox::default()).unwrap_err();
            assert!(begun.elapsed() < Duration::from_secs(30));
            assert_eq!(
                error.to_string(),
                format!("resolve smtp.example: timed out after 50ms (timeout `{name}`)")
            );
            assert!(error.is_transient());
        }
    }

    #[test]
    fn a_dead_first_address_does_not_hold_up_the_second() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let alive = listener.local_addr().unwrap();
        let addresses = ["127.0.0.1:1".parse().unwrap(), alive];
        let events = Inbox::default();
        let deadline = Deadline::after(Duration::from_secs(60), "connect");
        let tcp = race(&addresses, deadline, dead, &events).unwrap();
        assert_eq!(tcp.peer_addr().unwrap(), alive);
        assert!(
            events.take(Duration::ZERO).is_none(),
            "the first has failed"
        );
    }

    #[test]
    fn a_dead_address_does_not_hide_why_another_failed() {
        let refused = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let addresses = [refused, "127.0.0.1:1".parse().unwrap()];
        let events = Inbox::default();
        let deadline = Deadline::after(Duration::from_millis(50), "connect");
        let error = race(&addresses, deadline, dead, &events)
            .unwrap_err()
            .to_string();
        assert!(error.contains("connection refused"), "{error}");
        assert!(error.ends_with("(timeout `connect`)"), "{error}");
    }

    #[test]
    fn when_all_fail_each_is_named() {
        let closed = |ip: &str| {
            let listener = std::net::TcpListener::bind((ip, 0)).unwrap();
            listener.local_addr().unwrap()
        };
        let addresses = [closed("127.0.0.1"), closed("127.0.0.2")];
        let events = Inbox::default();
        let deadline = Deadline::after(Duration::from_secs(20), "connect");
        let error = race(&addresses, deadline, TcpStream::connect_timeout, &events).unwrap_err();
        assert!(error.is_transient());
        for address in addresses {
            let named = format!("connection refused (os error 111) ({address})");
            assert!(error.to_string().contains(&named), "{error}");
        }
    }

    #[test]
    fn an_unknown_name_is_told_from_a_failed_look_up() {
        for (words, none) in [
            ("Name or service not known", true),
            ("Name does not resolve", true),
            ("No address associated with hostname", false),
            ("Name has no usable address", false),
            ("Temporary failure in name resolution", false),
            ("Try again", false),
        ] {
            let text = format!("failed to lookup address information: {words}");
            assert_eq!(is_no_such_name(&io::Error::other(text)), none, "{words}");
        }
    }

    #[test]
    fn attempts_end_when_the_race_is_over() {
        let mut race = Some(Arc::new(()));
        let alive = race.as_ref().map(Arc::downgrade).unwrap();
        let deadline = Deadline::after(Duration::from_secs(60), "connect");
        let mut times = Vec::new();
        let error = persist(deadline, &alive, |time| {
            times.push(time.as_secs());
            if times.len() == 3 {
                race = None;
            }
            Err(io::ErrorKind::TimedOut.into())
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(times, [1, 2, 4]);
    }

    #[test]
    fn an_interrupt_ends_the_wait_whenever_it_comes() {
        let total = Deadline::after(Duration::from_secs(60), "total");
        let interrupt = Interrupt::default();
        interrupt.raise();
        assert!(connect("127.0.0.1", 1, total, &interrupt).is_err());

        let interrupt = Interrupt::default();
        let events = Inbox::default();
        interrupt.arm(Waiting::ForEvents(events.clone())).unwrap();
        interrupt.raise();
        let error = race(&["127.0.0.1:1".parse().unwrap()], total, dead, &events).unwrap_err();
        assert_eq!(error.stage(), Stage::Connect);
    }
}
