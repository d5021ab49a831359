//! What does not change while a stand-in runs.

use rustls::SupportedProtocolVersion;

use super::certificates::Certificate;
use super::client_certificate::ClientCertificate;

#[derive(Clone)]
pub(super) struct Config {
    pub(super) mailbox: String,
    pub(super) tenant: String,
    pub(super) tenant_id: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) certificates: Vec<ClientCertificate>,
    pub(super) user_assigned: Vec<String>,
    pub(super) resource: String,
    pub(super) send_as: Vec<String>,
    pub(super) roles: bool,
    pub(super) token_length: usize,
    pub(super) expires_in: u64,
    pub(super) login_user: Option<String>,
    pub(super) login_scp: String,
    pub(super) login_interval: u64,
    pub(super) login_polls: usize,
    pub(super) extensions: Vec<String>,
    pub(super) discard_bodies: bool,
    pub(super) smtp_certificate: Certificate,
    pub(super) entra_certificate: Certificate,
    pub(super) tls_versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) ipv6: bool,
    pub(super) entra_is_deaf: bool,
    pub(super) tapped: bool,
}

impl Default for Config {
    fn default() -> Self {
        // facts.md, "Server and ports"
        let extensions = "SIZE 157286400,PIPELINING,DSN,ENHANCEDSTATUSCODES,STARTTLS,AUTH LOGIN XOAUTH2,\
                          8BITMIME,BINARYMIME,CHUNKING,SMTPUTF8";
        Self {
            mailbox: "robot@contoso.com".into(),
            tenant: "contoso.onmicrosoft.com".into(),
            tenant_id: "2b0b2d36-29d3-4ce1-9ab3-92e6c31c5d0e".into(),
            client_id: "6731de76-14a6-49ae-97bc-6eba6914391e".into(),
            client_secret: "Stand8Q~in&secret+value=with%odd~letters".into(),
            certificates: Vec::new(),
            user_assigned: Vec::new(),
            resource: "https://outlook.office365.com".into(),
            send_as: Vec::new(),
            roles: true,
            token_length: 2_012,
            expires_in: 3_599,
            login_user: None,
            login_scp: "SMTP.Send".into(),
            login_interval: 0,
            login_polls: 1,
            extensions: extensions.split(',').map(str::to_owned).collect(),
            discard_bodies: false,
            smtp_certificate: Certificate::Good,
            entra_certificate: Certificate::Good,
            tls_versions: rustls::ALL_VERSIONS.to_vec(),
            ipv6: false,
            entra_is_deaf: false,
            tapped: false,
        }
    }
}

impl Config {
    pub(super) fn scope(&self) -> String {
        format!("{}/.default", self.resource)
    }

    pub(super) fn offers(&self, extension: &str) -> bool {
        self.extensions
            .iter()
            .any(|offered| keyword(offered).eq_ignore_ascii_case(extension))
    }

    pub(super) fn offers_mechanism(&self, mechanism: &str) -> bool {
        let auth = self
            .extensions
            .iter()
            .find(|offered| keyword(offered) == "AUTH");
        auth.is_some_and(|auth| auth.split(' ').skip(1).any(|offered| offered == mechanism))
    }

    /// What EHLO offers: STARTTLS before TLS, AUTH in its place after.
    pub(super) fn extensions_in(&self, tls: bool) -> impl Iterator<Item = String> {
        let hidden = if tls { "STARTTLS" } else { "AUTH" };
        self.extensions
            .iter()
            .filter(move |offered| keyword(offered) != hidden)
            .cloned()
    }

    /// The number behind SIZE; no limit without one (RFC 1870 4).
    pub(super) fn max_size(&self) -> u64 {
        let size = self
            .extensions
            .iter()
            .find_map(|offered| offered.strip_prefix("SIZE "));
        size.and_then(|size| size.parse().ok())
            .filter(|&size| size > 0)
            .unwrap_or(u64::MAX)
    }

    pub(super) fn may_send_as(&self, address: &str) -> bool {
        let own = [&self.mailbox].into_iter().chain(&self.send_as);
        address.is_empty() || own.into_iter().any(|own| own.eq_ignore_ascii_case(address))
    }
}

/// The first word of a line of EHLO's reply.
pub(super) fn keyword(extension: &str) -> &str {
    extension.split(' ').next().unwrap_or_default()
}
