//! A socket that counts the client's turns and knows every way to stop talking.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use super::server::Lifetime;

/// How a connection ends before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// FIN, without a word; what the client still sends is read and forgotten.
    Disconnect,
    /// RST. (If the client has not sent a byte yet, FIN: see `Tcp`.)
    Reset,
    /// Not a byte more; what the client sends is read and forgotten until it goes.
    Silent,
    /// Not a byte more, and none is read either: the client's writes fill the buffers, then block.
    StopReading,
}

/// An accepted TCP connection.
///
/// The last byte received always stays in the kernel's buffer until the next read, because a socket
/// that is closed with unread data sends RST instead of FIN (RFC 1122 4.2.2.13): the only way to a
/// reset in std, where `set_linger` is not stable.
pub(super) struct Tcp {
    socket: Arc<TcpStream>,
    /// Behind the socket, which is dropped before it: who waits for the count may rely on the FIN.
    count: Option<Count>,
    lifetime: Arc<Lifetime>,
    one_unread: bool,
    wrote: bool,
    turns: usize,
    sent: u64,
    end_at: Option<(u64, End)>,
}

/// Counts the connection out when it is dropped.
struct Count(Arc<Lifetime>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.closed();
    }
}

impl Tcp {
    pub(super) fn new(socket: Arc<TcpStream>, lifetime: Arc<Lifetime>) -> Self {
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            count: Some(Count(Arc::clone(&lifetime))),
            lifetime,
            one_unread: false,
            wrote: true,
            turns: 0,
            sent: 0,
            end_at: None,
        }
    }

    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()
    }

    /// The client's turns since the last call: how often it spoke after the server had spoken.
    pub(super) fn take_turns(&mut self) -> usize {
        std::mem::take(&mut self.turns)
    }

    /// Ends the connection behind so many octets sent.
    pub(super) fn end_at(&mut self, end: Option<(u64, End)>) {
        self.end_at = end;
    }

    /// Waits; `false` if the stand-in was dropped meanwhile.
    pub(super) fn pause(&self, time: Duration) -> bool {
        time.is_zero() || self.lifetime.pause(time)
    }

    /// Ends the connection in this way, and returns when it has ended.
    pub(super) fn end(&mut self, how: End) {
        match how {
            End::Disconnect => {
                let _ = self.socket.shutdown(Shutdown::Write);
                self.drain();
            }
            // The rest is done by the drop that follows.
            End::Reset => self.one_unread = false,
            End::Silent => self.drain(),
            End::StopReading => {
                // Without reading nobody sees the client go, so `settle` does not wait for this connection.
                self.count = None;
                self.lifetime.until_over();
            }
        }
    }

    fn drain(&mut self) {
        let mut sink = vec![0; 64 * 1024];
        while matches!(self.read(&mut sink), Ok(1..)) {}
    }

    fn read_the_unread(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.one_unread) {
            (&*self.socket).read_exact(&mut [0])?;
        }
        Ok(())
    }
}

impl Read for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_the_unread()?;
        let received = self.socket.peek(buffer)?;
        if received > 0 {
            (&*self.socket).read_exact(&mut buffer[..received - 1])?;
            self.lifetime.note_received(&buffer[..received]);
            self.one_unread = true;
            self.turns += usize::from(std::mem::take(&mut self.wrote));
        }
        Ok(received)
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wrote = true;
        let room = self.end_at.map_or(u64::MAX, |(at, _)| at - self.sent);
        let n = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        if let (0, Some((_, how)), false) = (n, self.end_at, bytes.is_empty()) {
            self.end(how);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = (&*self.socket).write(&bytes[..n])?;
        self.sent += n as u64;
        self.lifetime.count_sent(n);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        // With the last byte read, closing sends FIN and not RST.
        let _ = self.read_the_unread();
    }
}
