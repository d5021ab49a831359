//! Looks closer at what every message passes: all addresses, and the certificates.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

use crate::account::Account;
use crate::background::Inbox;
use crate::crypto;
use crate::dial;
use crate::error::Error;
use crate::stage::Stage;
use crate::timeouts::Deadline;
use crate::tls::{self, Stream};

/// All addresses of the server, in the order in which a message tries them.
pub(crate) fn resolve(account: &Account, total: Deadline) -> Result<Vec<SocketAddr>, Error> {
    let deadline = total.step(account.timeouts.connect, "connect");
    let (host, port) = (account.host(), account.port());
    dial::resolve(host, port, dial::lookup, deadline, &Inbox::default())
}

/// How long it takes to connect to each address, all at once. In the order they were given.
pub(crate) fn reach(
    account: &Account,
    addresses: &[SocketAddr],
    total: Deadline,
) -> Vec<(SocketAddr, io::Result<Duration>)> {
    let deadline = total.step(account.timeouts.connect, "connect");
    let results = Inbox::default();
    for &address in addresses {
        let (answer, left) = (results.clone(), deadline.remaining());
        let attempt = move || {
            let start = Instant::now();
            let result = left.and_then(|left| TcpStream::connect_timeout(&address, left));
            answer.put((address, result.map(|_| start.elapsed())));
        };
        if let Err(e) = dial::spawn(Box::new(attempt)) {
            results.put((address, Err(e)));
        }
    }
    let mut answers = Vec::new();
    while answers.len() < addresses.len() {
        let left = deadline.remaining().unwrap_or_default();
        match results.take(left + Duration::from_secs(1)) {
            Some(answer) => answers.push(answer),
            None => break,
        }
    }
    answers.sort_by_key(|(address, _)| addresses.iter().position(|a| a == address));
    answers
}

/// What a handshake showed, whether it succeeded or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// The server's own first, then those that signed it.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    /// The certificate was verified, and the handshake has succeeded.
    pub(crate) done: bool,
}

/// The handshake of every message, and the certificates it showed.
pub(crate) fn handshake(
    stream: Box<dyn Stream>,
    account: &Account,
    shown: &mut Shown,
) -> Result<Box<dyn Stream>, Error> {
    let mut config = ClientConfig::clone(&*tls::config(account.roots())?);
    let roots = Arc::new(tls::roots(account.roots()));
    let judge = WebPkiServerVerifier::builder_with_provider(roots, crypto::provider())
        .build()
        .map_err(|e| Error::tls(Stage::StartTls, rustls::Error::General(e.to_string())))?;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let witness = Witness {
        judge,
        seen: Arc::clone(&seen),
    };
    config
        .dangerous()
        .set_certificate_verifier(Arc::new(witness));
    let result = tls::handshake(stream, account.host(), Arc::new(config));
    shown.certificates = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    shown.done = result.is_ok();
    result
}

/// Keeps the certificates that the server shows, and leaves the judgement to the verifier of every other connection. rustls
/// returns the certificates of a handshake only if it accepts them.
#[derive(Debug)]
struct Witness {
    judge: Arc<WebPkiServerVerifier>,
    seen: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = chain
            .map(|certificate| certificate.clone().into_owned())
            .collect();
        self.judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}
