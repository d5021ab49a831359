//! A certificate authority made at start, and the certificates it signs: one that is right, and every kind that is not.

use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};

/// The certificate that a server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certificate {
    /// For `localhost`, 127.0.0.1 and `::1`, signed by the authority that clients are told to trust.
    #[default]
    Good,
    /// For `smtp.example.com`.
    WrongName,
    /// Valid until the end of 2020.
    Expired,
    /// Valid from 2090 on.
    NotYetValid,
    /// Right in all, but signed by itself.
    SelfSigned,
    /// Right in all, but signed by an authority that nobody trusts.
    UnknownIssuer,
    /// `localhost` as common name only, which RFC 9525 2 has abolished.
    NameOnlyInCn,
    /// For `*.localhost`: a wildcard stands for one label, not for none (RFC 9525 6.3).
    WildcardTooDeep,
}

impl Certificate {
    /// A server configuration that shows this certificate.
    pub fn config(self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let (certificate, key) = match self {
            Self::Good => good(),
            _ => &self.make(),
        };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("known versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .expect("a usable certificate");
        // Tickets are written right after the handshake: a client whose Finished and first command
        // come in two packets would be counted as having waited for them.
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    fn make(self) -> (CertificateDer<'static>, KeyPair) {
        let names: &[&str] = match self {
            Self::WrongName => &["smtp.example.com"],
            Self::NameOnlyInCn => &[],
            Self::WildcardTooDeep => &["*.localhost"],
            _ => &["localhost", "127.0.0.1", "::1"],
        };
        let names: Vec<String> = names.iter().copied().map(str::to_owned).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let (from, until) = match self {
            Self::Expired => (2020, 2021),
            Self::NotYetValid => (2090, 2091),
            _ => (2020, 2090),
        };
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);

        let key = KeyPair::generate().expect("a key");
        let certificate = match self {
            Self::SelfSigned => params.self_signed(&key),
            Self::UnknownIssuer => params.signed_by(&key, &authority("Nobody's Root")),
            _ => params.signed_by(&key, trusted()),
        };
        (certificate.expect("a certificate").der().clone(), key)
    }
}

/// The root that clients are told to trust.
pub(super) fn ca_pem() -> String {
    trusted().pem()
}

type Authority = CertifiedIssuer<'static, KeyPair>;

/// One for the whole process: a test with its hundred stand-ins makes two keys, not two hundred.
fn trusted() -> &'static Authority {
    static TRUSTED: OnceLock<Authority> = OnceLock::new();
    TRUSTED.get_or_init(|| authority("Stand-in Root"))
}

fn good() -> &'static (CertificateDer<'static>, KeyPair) {
    static GOOD: OnceLock<(CertificateDer<'static>, KeyPair)> = OnceLock::new();
    GOOD.get_or_init(|| Certificate::Good.make())
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("a root certificate")
}
