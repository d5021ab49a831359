//! TCP, and TLS over it after a handshake, behind one `Read + Write`.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::fault::Pace;
use super::tcp::Tcp;

/// One connection of a client.
pub(super) struct Channel {
    pub(super) tcp: Tcp,
    tls: Option<Box<ServerConnection>>,
}

impl Channel {
    pub(super) fn plain(tcp: Tcp) -> Self {
        Self { tcp, tls: None }
    }

    pub(super) fn handshake(&mut self, config: &Arc<ServerConfig>) -> io::Result<()> {
        let mut tls = ServerConnection::new(Arc::clone(config)).expect("a usable configuration");
        while tls.is_handshaking() {
            if let (0, 0) = tls.complete_io(&mut self.tcp)? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.tls = Some(Box::new(tls));
        Ok(())
    }

    /// `TLSv1_3`, `TLSv1_2` or `plaintext`.
    pub(super) fn version(&self) -> String {
        let version = self.tls.as_ref().and_then(|tls| tls.protocol_version());
        version.map_or_else(|| "plaintext".to_owned(), |version| format!("{version:?}"))
    }

    /// Writes `bytes` in the pieces and with the rests that `pace` asks for.
    pub(super) fn send(&mut self, bytes: &[u8], pace: Pace) -> io::Result<()> {
        for piece in bytes.chunks(pace.piece) {
            if !self.tcp.pause(pace.rest) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            self.write_all(piece)?;
            self.flush()?;
        }
        Ok(())
    }

    /// The orderly end: `close_notify`, FIN, and patience until the client goes.
    pub(super) fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.tcp);
        }
        self.tcp.end(super::tcp::End::Disconnect);
    }
}

impl Read for Channel {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.tcp).read(buffer),
            None => self.tcp.read(buffer),
        }
    }
}

impl Write for Channel {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.tcp).write(bytes),
            None => self.tcp.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => rustls::Stream::new(tls.as_mut(), &mut self.tcp).flush(),
            None => Ok(()),
        }
    }
}
