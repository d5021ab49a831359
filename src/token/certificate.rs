//! A client certificate, and the assertion that its key signs.

#[cfg(feature = "advice")]
use std::path::Path;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PSS_SHA256;
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::crypto::{self, hex, sha256};
use crate::date::days;
use crate::der::{self, Validity};
use crate::error::Error;
use crate::secret::{Secret, read_file};
use crate::token::credential::{Credential, wrong};
use crate::token::request::{Proof, request};
use crate::token::{Application, Attempt, Failure, Token};

/// A chain and a key of 4096 bits have some 10 KB.
const MAX_FILE: u64 = 64 * 1024;
/// How long before its end a certificate is warned about.
pub(crate) const NEAR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many seconds an assertion is good for, as MSAL's: Entra sets no limit, and advises five to ten minutes.
const LIFETIME: u64 = 600;

pub(crate) enum Certificate {
    Pem(Zeroizing<Vec<u8>>),
    /// Read at every token request, so that a renewed one is taken up.
    File(PathBuf),
}

impl Certificate {
    pub(crate) fn pem(pem: Vec<u8>) -> Self {
        Certificate::Pem(Zeroizing::new(pem))
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        Certificate::File(path)
    }

    fn read(&self) -> Result<Identity, Error> {
        self.read_as(Identity::from_pem)
    }

    fn read_as<T>(&self, understood: fn(&[u8]) -> Result<T, String>) -> Result<T, Error> {
        let read = match self {
            Certificate::Pem(pem) => understood(pem),
            Certificate::File(path) => read_file(path, MAX_FILE).and_then(|pem| {
                understood(&pem).map_err(|what| format!("{}: {what}", path.display()))
            }),
        };
        read.map_err(|what| wrong(self.key(), what))
    }

    /// The certificate and its key, if it is valid now.
    fn valid(&self) -> Result<Identity, Error> {
        let identity = self.read()?;
        let Validity {
            not_before,
            not_after,
        } = identity.validity;
        let now = SystemTime::now();
        if let Ok(ago) = now.duration_since(not_after) {
            let what = format!("the certificate expired {} days ago", days(ago));
            return Err(wrong(self.key(), what));
        }
        if let Ok(ahead) = not_before.duration_since(now) {
            let what = format!(
                "the certificate becomes valid in {} days, or this machine's clock is slow",
                days(ahead)
            );
            return Err(wrong(self.key(), what));
        }
        Ok(identity)
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Certificate::Pem(_) => f.write_str("Certificate(..)"),
            Certificate::File(path) => f.debug_tuple("Certificate").field(path).finish(),
        }
    }
}

impl Credential for Certificate {
    fn key(&self) -> &'static str {
        match self {
            Certificate::Pem(_) => "client_certificate",
            Certificate::File(_) => "client_certificate_file",
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.valid().map(drop)
    }

    /// Each send with a token file asks for this, so only the certificate is read, not its key.
    fn fingerprint(&self) -> Result<String, Error> {
        // The first certificate tells one file from another.
        let thumbprint = self.read_as(|pem| {
            let first = certificates(pem).next().ok_or(NO_CERTIFICATE)?;
            Ok(sha256(&first))
        })?;
        Ok(format!("client_certificate {}", hex(&thumbprint)))
    }

    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        let identity = self.valid()?;
        if let Some(days) = identity.ends_soon() {
            log::warn!(
                "the client certificate ends in {days} days: register a new one with the application"
            );
        }
        let assertion = identity
            .sign(attempt.app)
            .map_err(|what| wrong(self.key(), what))?;
        request(attempt, &Proof::Assertion(assertion))
    }

    fn expires(&self) -> Result<Option<SystemTime>, Error> {
        Ok(Some(self.read()?.validity.not_after))
    }

    #[cfg(feature = "advice")]
    fn file(&self) -> Option<&Path> {
        match self {
            Certificate::Pem(_) => None,
            Certificate::File(path) => Some(path),
        }
    }
}

/// A certificate and what its key can do.
struct Identity {
    /// SHA-256 of the certificate.
    thumbprint: Vec<u8>,
    validity: Validity,
    key: KeyPair,
}

impl Identity {
    /// In how many days it ends, if they are few.
    fn ends_soon(&self) -> Option<u64> {
        let left = self.validity.not_after.duration_since(SystemTime::now());
        left.ok().filter(|left| *left < NEAR).map(days)
    }

    fn from_pem(pem: &[u8]) -> Result<Self, String> {
        // The two forms of an encrypted key (RFC 7468 11, RFC 1421 4.6.1.1). Looked for first, since the header of the older
        // one hides a certificate that follows it from the parser.
        let text = String::from_utf8_lossy(pem);
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(
                "the private key is encrypted: openssl pkey -in key.pem -out plain.pem decrypts it"
                    .into(),
            );
        }
        certificates(pem).next().ok_or(NO_CERTIFICATE)?;
        let readable = |der: CertificateDer<'static>| Some((der::validity(&der)?, der));
        let certificates: Vec<_> = certificates(pem).filter_map(readable).collect();
        if certificates.is_empty() {
            return Err("the certificate cannot be read".into());
        }
        let mut wrong = "no private key in it (PEM, BEGIN PRIVATE KEY)";
        // A key and the certificate that fits it may stand anywhere: Key Vault writes the issuers first, and a file may have
        // several keys. Entra judges everything else.
        for key in PrivateKeyDer::pem_slice_iter(pem).filter_map(Result::ok) {
            let key = Zeroizing::new(key);
            let pair = match &*key {
                PrivateKeyDer::Pkcs1(key) => KeyPair::from_der(key.secret_pkcs1_der()).ok(),
                PrivateKeyDer::Pkcs8(key) => KeyPair::from_pkcs8(key.secret_pkcs8_der()).ok(),
                _ => None,
            };
            let Some(key) = pair else {
                wrong = "the private key is not an RSA key of 2048 to 4096 bits, and Entra takes no other";
                continue;
            };
            wrong = "the private key is not the certificate's";
            // A certificate's public key ends in what ring writes (RFC 3279 2.3.1).
            let public = key.public().as_ref();
            let fits = |der| der::public_key(der).is_some_and(|of_it| of_it.ends_with(public));
            if let Some((validity, der)) = certificates.iter().find(|(_, der)| fits(der)) {
                return Ok(Self {
                    thumbprint: sha256(der),
                    validity: *validity,
                    key,
                });
            }
        }
        Err(wrong.into())
    }

    /// An assertion for this application: a JWT (RFC 7523; facts.md, "Token endpoint"), signed with PS256.
    ///
    /// Not RS256 with the SHA-1 thumbprint, MSAL's way for old keys: Entra registers certificates by SHA-256 too, and says
    /// AADSTS700027 if it does not know one.
    fn sign(&self, app: &Application<'_>) -> Result<Secret, String> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| "this machine's clock is before 1970")?
            .as_secs();
        let header = format!(
            r#"{{"alg":"PS256","typ":"JWT","x5t#S256":"{}"}}"#,
            URL_SAFE_NO_PAD.encode(&self.thumbprint)
        );
        // Both have been checked to be graphic ASCII, of which Debug escapes the same two characters as JSON.
        let (audience, client) = (&app.endpoint, app.client_id);
        let claims = format!(
            r#"{{"aud":{audience:?},"iss":{client:?},"sub":{client:?},"jti":"{}","nbf":{now},"iat":{now},"exp":{}}}"#,
            crypto::random::<16>(),
            now + LIFETIME
        );
        let mut assertion = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims)
        );
        // Only the signature is secret: the parts above prove nothing.
        let mut signature = Zeroizing::new(vec![0; self.key.public().modulus_len()]);
        let (random, text) = (SystemRandom::new(), assertion.as_bytes());
        self.key
            .sign(&RSA_PSS_SHA256, &random, text, &mut signature)
            .map_err(|_| "signing failed")?;
        // A string that grows leaves copies of a secret behind.
        assertion.reserve(1 + 2 * signature.len());
        assertion.push('.');
        URL_SAFE_NO_PAD.encode_string(&*signature, &mut assertion);
        Ok(Secret::new(assertion))
    }
}

const NO_CERTIFICATE: &str = "no certificate in it (PEM, BEGIN CERTIFICATE)";

/// The certificates that can be read. Not by `CertificateDer::pem_slice_iter`, which would decode the key, too, and leave it
/// in memory.
fn certificates(pem: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem).filter_map(Result::ok);
    sections.filter_map(|(kind, der)| {
        let der = Zeroizing::new(der);
        (kind == SectionKind::Certificate).then(|| CertificateDer::from(der.to_vec()))
    })
}
