//! Certificates with which a client proves who it is, and their keys: one that is right, and every kind that is not.
//!
//! The keys are fixed and published, for no crate in the tree makes RSA keys and a debug build would take seconds for
//! one; the certificates are made when a test asks for them. The password of the encrypted keys is `test`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, CustomExtension, DnType, KeyPair, date_time_ymd};
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const RSA: &str = include_str!("keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("keys/rsa-pkcs1.pem");
const RSA_ENCRYPTED: &str = include_str!("keys/rsa-encrypted.pem");
const RSA_PKCS1_ENCRYPTED: &str = include_str!("keys/rsa-pkcs1-encrypted.pem");
const RSA_OTHER: &str = include_str!("keys/rsa-other.pem");
const EC: &str = include_str!("keys/ec.pem");
const EC_SEC1: &str = include_str!("keys/ec-sec1.pem");

/// A certificate and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    der: CertificateDer<'static>,
    pem: String,
    key: &'static str,
    pub(super) public_key: Vec<u8>,
    /// Seconds since 1970.
    pub(super) from: i64,
    pub(super) until: i64,
}

/// The kinds.
impl ClientCertificate {
    /// RSA with 2,048 bits, valid until the end of 2089.
    pub fn good() -> Self {
        Self::of(RSA, 2020, 2090)
    }

    /// Valid until the end of 2020.
    pub fn expired() -> Self {
        Self::of(RSA, 2020, 2021)
    }

    /// Valid from 2089 on.
    pub fn not_yet_valid() -> Self {
        Self::of(RSA, 2089, 2090)
    }

    /// Valid until that many days from now.
    pub fn ends_in_days(days: u64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let end = now.expect("a clock after 1970") + Duration::from_secs(days * 86_400);
        Self::make(RSA, |params| {
            params.not_before = date_time_ymd(2020, 1, 1);
            // A certificate's times have no fractions (RFC 5280 4.1.2.5).
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(end.as_secs());
        })
    }

    /// As good, for another key. Its certificate with [`ClientCertificate::good`]'s key is a pair that does not match.
    pub fn other() -> Self {
        Self::of(RSA_OTHER, 2020, 2090)
    }

    /// For a key on P-256, which Entra does not take.
    pub fn elliptic() -> Self {
        Self::of(EC, 2020, 2090)
    }

    /// With an extension that nobody knows, and that whoever judges the certificate has to know.
    pub fn with_a_critical_extension() -> Self {
        Self::make(RSA, |params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        })
    }

    /// Of version 1, without any extension: what `openssl x509 -req -signkey` makes.
    pub fn version_1() -> Self {
        let pem = include_str!("keys/version-1.pem");
        let pair = KeyPair::from_pem(RSA).expect("a readable key");
        Self {
            der: CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate"),
            pem: pem.into(),
            key: RSA,
            public_key: pair.public_key_raw().to_vec(),
            from: 1_795_706_733,
            until: 3_955_706_733,
        }
    }

    fn of(key: &'static str, from: i32, until: i32) -> Self {
        Self::make(key, |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(until, 1, 1);
        })
    }

    fn make(key: &'static str, dates: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "exosend test");
        dates(&mut params);
        let pair = KeyPair::from_pem(key).expect("a readable key");
        let certificate = params.self_signed(&pair).expect("a certificate");
        Self {
            der: certificate.der().clone(),
            pem: certificate.pem(),
            key,
            public_key: pair.public_key_raw().to_vec(),
            from: params.not_before.unix_timestamp(),
            until: params.not_after.unix_timestamp(),
        }
    }
}

/// The forms. Each key's PEM has a line of text before it, as `openssl pkcs12` writes them.
impl ClientCertificate {
    /// The certificate, then the key in PKCS#8.
    pub fn pem(&self) -> String {
        self.certificate_pem() + self.key_pem()
    }

    /// `BEGIN CERTIFICATE`.
    pub fn certificate_pem(&self) -> String {
        self.pem.clone()
    }

    /// `BEGIN PRIVATE KEY`: PKCS#8.
    pub fn key_pem(&self) -> &'static str {
        self.key
    }

    /// `BEGIN RSA PRIVATE KEY` (PKCS#1) or `BEGIN EC PRIVATE KEY` (SEC1). Not for [`ClientCertificate::other`].
    pub fn traditional_key_pem(&self) -> &'static str {
        match self.key {
            RSA => RSA_PKCS1,
            EC => EC_SEC1,
            _ => panic!("that key is kept as PKCS#8 only"),
        }
    }

    /// `BEGIN ENCRYPTED PRIVATE KEY`: PKCS#8. Of the kinds with [`ClientCertificate::good`]'s key.
    pub fn encrypted_key_pem(&self) -> &'static str {
        assert_eq!(self.key, RSA, "that key is not kept encrypted");
        RSA_ENCRYPTED
    }

    /// `BEGIN RSA PRIVATE KEY` with a `Proc-Type: 4,ENCRYPTED` (RFC 1421), which looks like a plain one at first.
    pub fn encrypted_traditional_key_pem(&self) -> &'static str {
        assert_eq!(self.key, RSA, "that key is not kept encrypted");
        RSA_PKCS1_ENCRYPTED
    }

    /// `x5t#S256`: the SHA-256 of the certificate in base64url (RFC 7515 4.1.8).
    pub fn thumbprint(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &self.der))
    }
}
