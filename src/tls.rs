//! The socket and the TLS session around it.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::crypto;
use crate::error::Error;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;

/// A stream whose reads and writes end at a deadline that can be moved. Not `Read` and `Write`, whose other methods would be
/// compiled anew for each kind of stream: a box of any has them.
pub(crate) trait Stream: Send {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    fn flush(&mut self) -> io::Result<()>;

    fn set_deadline(&mut self, deadline: Deadline);

    /// Reads without first sending what is still unsent: after a failed write the server's last words may be there.
    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Ends the connection at once, and never fails.
    fn close(&mut self);
}

impl Read for Box<dyn Stream> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (**self).read(buffer)
    }
}

impl Write for Box<dyn Stream> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (**self).write(bytes)
    }

    /// Joins the records that rustls hands over, so that they leave in one write. Not by `writev`, which raises SIGPIPE when
    /// the peer is gone: a C program that calls this library does not ignore that signal, as Rust's programs do.
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
        (**self).flush()
    }
}

/// Writes all of it, and flushes: rustls' stream keeps an error of its socket to itself until then.
pub(crate) fn write_now(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    Write::flush(stream)
}

/// A TCP connection whose reads and writes end at a deadline, however few bytes arrive at a time.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    deadline: Deadline,
    /// Whether one more read was tried after the deadline.
    looked: bool,
    /// Whose connection it is: the child of a fork has a copy, and dropping that must not end it.
    process: u32,
}

type Tls = StreamOwned<ClientConnection, Box<dyn Stream>>;

impl Socket {
    pub(crate) fn new(tcp: TcpStream, deadline: Deadline) -> io::Result<Self> {
        // Each step leaves in one write. Nagle's algorithm would hold it back until the peer has acknowledged the one
        // before, and peers delay that.
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            deadline,
            looked: false,
            process: std::process::id(),
        })
    }

    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }
}

/// Repeats `step` until the deadline. `set` limits how long the socket waits in it. When that time is over Linux says
/// `WouldBlock`, and `remaining` makes the error of it.
fn until_deadline<T>(
    deadline: &Deadline,
    set: impl Fn(Option<Duration>) -> io::Result<()>,
    mut step: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    use io::ErrorKind::{Interrupted, WouldBlock};
    loop {
        set(Some(deadline.remaining()?))?;
        match step() {
            Err(e) if matches!(e.kind(), Interrupted | WouldBlock) => {}
            result => return result,
        }
    }
}

impl Stream for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut tcp = &self.tcp;
        let read = until_deadline(
            &self.deadline,
            |timeout| tcp.set_read_timeout(timeout),
            || tcp.read(buffer),
        );
        match read {
            Err(late) if late.kind() == io::ErrorKind::TimedOut && !self.looked => {
                // A process that was stopped may find the deadline passed although the reply has come. Only once: a peer
                // that never stops sending must not get more time.
                self.looked = true;
                tcp.set_nonblocking(true)?;
                let found = tcp.read(buffer);
                tcp.set_nonblocking(false)?;
                match found {
                    Err(none) if none.kind() == io::ErrorKind::WouldBlock => Err(late),
                    found => found,
                }
            }
            read => read,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut tcp = &self.tcp;
        until_deadline(
            &self.deadline,
            |timeout| tcp.set_write_timeout(timeout),
            || tcp.write(bytes),
        )
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        self.deadline = deadline;
        self.looked = false;
    }

    fn read_late(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn close(&mut self) {
        // An `Interrupt` may hold a duplicate, with which the connection would outlive this descriptor.
        if self.process == std::process::id() {
            let _ = self.tcp.shutdown(Shutdown::Both);
        }
    }
}

impl Stream for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Read::read(self, buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(self, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Write::flush(self)
    }

    fn set_deadline(&mut self, deadline: Deadline) {
        self.sock.set_deadline(deadline);
    }

    /// Not by `StreamOwned::read`, which first writes what is still unsent: that has just failed.
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

/// TLS 1.2 or 1.3, and a certificate that the built-in roots, or the given ones instead, vouch for. Nothing turns that off.
pub(crate) fn config(
    given: Option<&[CertificateDer<'static>]>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(crypto::provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::tls(Stage::StartTls, e))?
        .with_root_certificates(roots(given))
        .with_no_client_auth();
    // Not worth its code: hardly any configuration serves a second connection.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// The given roots, or else the built-in ones.
pub(crate) fn roots(given: Option<&[CertificateDer<'static>]>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    match given {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(given) => drop(roots.add_parsable_certificates(given.iter().cloned())),
    }
    roots
}

/// Before 1970 no certificate can be judged, and rustls would panic.
pub(crate) fn check_clock() -> Result<(), Error> {
    match SystemTime::now() < SystemTime::UNIX_EPOCH {
        true => {
            let what = "this machine's clock is before 1970";
            Err(Error::input(Stage::Account, "clock", what))
        }
        false => Ok(()),
    }
}

/// The whole handshake, within the socket's deadline.
pub(crate) fn handshake(
    mut socket: Box<dyn Stream>,
    host: &str,
    config: Arc<ClientConfig>,
) -> Result<Box<dyn Stream>, Error> {
    check_clock()?;
    let name = ServerName::try_from(without_zone(host).to_owned())
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

/// The address of a host such as `fe80::1%eth0`, whose zone matters to this machine alone.
pub(crate) fn without_zone(host: &str) -> &str {
    let zone = |zone: &str| {
        zone.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match host.split_once('%') {
        Some((address, name)) if zone(name) && address.parse::<Ipv6Addr>().is_ok() => address,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_repeated_until_the_deadline() {
        let deadline = Deadline::after(Duration::from_secs(300), "command");
        let mut answers = [
            Err(io::ErrorKind::Interrupted.into()),
            Err(io::ErrorKind::WouldBlock.into()),
            Ok(7),
        ]
        .into_iter();
        let set = |timeout: Option<Duration>| {
            assert!(timeout.is_some_and(|timeout| timeout.as_secs() == 299));
            Ok(())
        };
        let result = until_deadline(&deadline, set, || answers.next().unwrap());
        assert_eq!(result.unwrap(), 7);
    }

    /// As in a process that was stopped when the reply came.
    #[test]
    fn what_came_in_time_is_read_behind_the_deadline() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"250 OK").unwrap();
        assert_eq!(tcp.peek(&mut [0; 6]).unwrap(), 6);
        let passed = Deadline::after(Duration::ZERO, "accept");
        let mut socket = Socket::new(tcp, passed).unwrap();
        let mut buffer = [0; 3];
        assert_eq!(socket.read(&mut buffer).unwrap(), 3);
        let error = socket.read(&mut buffer).unwrap_err();
        assert_eq!(error.to_string(), "timed out after 0ns (timeout `accept`)");
    }

    #[test]
    fn a_copy_in_another_process_does_not_close_the_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let late = Deadline::after(Duration::from_secs(60), "command");
        let mut socket = Socket::new(tcp.try_clone().unwrap(), late).unwrap();
        let mut copy = Socket::new(tcp, late).unwrap();
        copy.process = 0;
        drop(copy);
        server.write_all(b"250").unwrap();
        assert_eq!(socket.read(&mut [0; 3]).unwrap(), 3);
    }

    #[test]
    fn a_step_ends_at_the_deadline() {
        let deadline = Deadline::after(Duration::from_millis(20), "command");
        let never = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let error = until_deadline(&deadline, |_| Ok(()), never).unwrap_err();
        assert_eq!(
            error.to_string(),
            "timed out after 20ms (timeout `command`)"
        );
    }
}
