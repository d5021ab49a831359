//! The socket and the TLS session around it.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::account::Account;
use crate::error::Error;
use crate::smtp::wire::Stream;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;

/// A TCP connection whose reads and writes end at a deadline, however few bytes arrive at a time.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    deadline: Deadline,
    /// The socket's own timeouts, as far as they were set: see `until_deadline`.
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

type Tls = StreamOwned<ClientConnection, Box<dyn Stream>>;

impl Socket {
    pub(crate) fn new(tcp: TcpStream, deadline: Deadline) -> io::Result<Self> {
        // Each step leaves in one write. With Nagle's algorithm it would wait for the acknowledgement of the one before,
        // which the peer delays: 44 ms a message.
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            deadline,
            read_timeout: None,
            write_timeout: None,
        })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }
}

/// Waits no longer than to the deadline: `timeout` is the socket's own, set by `set` where it would wait longer.
///
/// A shorter one from an earlier step stays. At its end Linux says `WouldBlock`; only then it is set anew, and once the
/// deadline has passed `remaining` says so in its own words. Most steps answer at once, and set nothing.
fn until_deadline<T>(
    deadline: &Deadline,
    timeout: &mut Option<Duration>,
    set: impl Fn(Option<Duration>) -> io::Result<()>,
    mut step: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let remaining = deadline.remaining()?;
        if timeout.is_none_or(|timeout| timeout > remaining) {
            // Whole seconds: the next step with the same bound has a moment more, or a moment less, and need not set it.
            let whole = Duration::from_secs(remaining.as_secs());
            *timeout = Some(if whole.is_zero() { remaining } else { whole });
            set(*timeout)?;
        }
        match step() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => *timeout = None,
            result => return result,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tcp = &self.tcp;
        until_deadline(
            &self.deadline,
            &mut self.read_timeout,
            |timeout| tcp.set_read_timeout(timeout),
            || tcp.read(buffer),
        )
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tcp = &self.tcp;
        until_deadline(
            &self.deadline,
            &mut self.write_timeout,
            |timeout| tcp.set_write_timeout(timeout),
            || tcp.write(bytes),
        )
    }

    /// rustls hands over all its records at once, and they leave at once. Joined, not by `writev`: that raises SIGPIPE
    /// where the peer is gone, and only a program that Rust started has it ignored.
    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [record] = records {
            return self.write(record);
        }
        let mut joined = Vec::with_capacity(records.iter().map(|record| record.len()).sum());
        for record in records {
            joined.extend_from_slice(record);
        }
        self.write(&joined)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Socket {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
    }

    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn close(&mut self) {
        // A duplicate may be held by an `Interrupt`: dropping this one alone would not end the connection.
        let _ = self.tcp.shutdown(Shutdown::Both);
    }
}

impl Stream for Tls {
    fn set_deadline(&mut self, deadline: Deadline) {
        self.sock.set_deadline(deadline);
    }

    /// `StreamOwned::read` first writes what is still unsent, which is what has just failed.
    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.conn.reader().read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
            if self.conn.read_tls(&mut self.sock)? == 0 {
                return Ok(0);
            }
            self.conn
                .process_new_packets()
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        }
    }

    fn close(&mut self) {
        self.sock.close();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

/// TLS 1.2 or 1.3, the certificate verified against the built-in roots or the given ones. There is no other way.
pub(crate) fn config(account: &Account) -> Result<Arc<ClientConfig>, Error> {
    let roots = roots(account)?;
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| Error::tls(Stage::StartTls, e))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    // One session a configuration: there is nothing to resume.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Whose certificates are believed.
pub(crate) fn roots(account: &Account) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    match account.roots()? {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(given) => drop(roots.add_parsable_certificates(given.iter().cloned())),
    }
    Ok(roots)
}

/// The handshake to its end, within the socket's deadline.
pub(crate) fn handshake(
    mut socket: Box<dyn Stream>,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<Box<dyn Stream>, Error> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|e| Error::new(ErrorKind::Input, Stage::StartTls, e.to_string()))?;
    let mut connection =
        ClientConnection::new(config, name).map_err(|e| Error::tls(Stage::StartTls, e))?;
    while connection.is_handshaking() {
        connection
            .complete_io(&mut socket)
            .map_err(|e| Error::io(Stage::StartTls, e).about(host))?;
    }
    Ok(Box::new(StreamOwned::new(connection, socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step under a deadline that far away, and the timeouts that it set.
    fn step(
        bound: Duration,
        timeout: &mut Option<Duration>,
        answers: impl IntoIterator<Item = io::Result<()>>,
    ) -> (io::Result<()>, Vec<u64>) {
        let set = std::cell::RefCell::new(Vec::new());
        let mut answers = answers.into_iter();
        let result = until_deadline(
            &Deadline::after(bound, "command"),
            timeout,
            |timeout| {
                set.borrow_mut().push(timeout.unwrap().as_secs());
                Ok(())
            },
            || answers.next().unwrap(),
        );
        (result, set.into_inner())
    }

    #[test]
    fn a_timeout_is_set_where_it_would_be_too_long() {
        let mut timeout = None;
        let mut set = Vec::new();
        for seconds in [300, 300, 180, 300, 600, 2, 300] {
            set.extend(step(Duration::from_secs(seconds), &mut timeout, [Ok(())]).1);
        }
        assert_eq!(set, [299, 179, 1]);
    }

    #[test]
    fn a_timeout_of_an_earlier_step_ends_no_later_one() {
        let mut timeout = Some(Duration::from_secs(1));
        let late = [Err(io::ErrorKind::WouldBlock.into()), Ok(())];
        let (result, set) = step(Duration::from_secs(300), &mut timeout, late);
        assert!(result.is_ok());
        assert_eq!(set, [299]);
    }

    #[test]
    fn the_deadline_ends_it() {
        let mut timeout = Some(Duration::from_nanos(1));
        let never = std::iter::repeat_with(|| Err(io::ErrorKind::WouldBlock.into()));
        let (result, _) = step(Duration::from_millis(20), &mut timeout, never);
        let text = result.unwrap_err().to_string();
        assert_eq!(text, "timed out after 20ms (timeout `command`)");
    }
}
