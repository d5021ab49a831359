//! Everything about an account that can be known to be wrong before the first connection. Files are read, no network.

use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::account::cloud::with_scheme;
use crate::account::{Account, Roots, variable};
use crate::error::Error;
use crate::message::address;
use crate::secret::read_file;
use crate::text::is_word;
use crate::tls::{self, without_zone};
use crate::token::credential::wrong;
use crate::token::{Token, http};

impl Account {
    /// Certificates, PEM, one or more, that are trusted *instead of* the built-in roots, for SMTP and token alike.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Arc::new(roots_from_pem(&pem.into())));
        self.forget_token()
    }

    /// Finds what is missing, cannot be right, or cannot be read, without connecting to anything. Every call that uses the
    /// account does this first; call it after reading a configuration.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input), naming the key.
    ///
    /// ```
    /// let account = exosend::Account::new("robot@contoso.com").access_token("eyJ0...");
    /// account.check()?;
    /// assert!(account.server("not a host", 587).check().is_err());
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        let mut needed = vec!["mailbox"];
        needed.extend(self.needed_by_credential());
        self.check_present(&needed)?;
        address::checked_spec(&self.mailbox).map_err(|what| wrong("mailbox", what))?;
        // Allowed and removed in a message's addresses; the mailbox is also the name of a login, and used as it is.
        if self.mailbox.ends_with('.') {
            return Err(wrong("mailbox", "a dot at its end"));
        }
        host(self.host()).map_err(|what| wrong("server", what))?;
        if let Some(name) = &self.ehlo_name {
            ehlo_name(name).map_err(|what| wrong("ehlo_name", what))?;
        }
        #[cfg(feature = "graph")]
        if let Some(url) = &self.graph_endpoint {
            graph_endpoint(url).map_err(|what| wrong("graph_endpoint", what))?;
        }
        self.check_application()
    }

    /// The same for what a token request needs.
    pub(crate) fn check_application(&self) -> Result<(), Error> {
        self.check_request()?;
        // While a token is in memory the credential is not needed, and may be unreadable: a daemon gives up its rights.
        match &self.credential {
            Some(credential) if !Token::is_in_memory(self) => credential.check(),
            _ => Ok(()),
        }
    }

    /// The same without the credential: a user's login has yet to make it.
    pub(crate) fn check_request(&self) -> Result<(), Error> {
        self.check_present(self.needed_by_credential())?;
        tenant(&self.tenant, self.is_users()).map_err(|what| wrong("tenant", what))?;
        if !self.client_id.is_empty() && !is_word(&self.client_id) {
            let what = "a space, control or non-ASCII character in it";
            return Err(wrong("client_id", what));
        }
        if self.scope.as_ref().is_some_and(|scope| !is_word(scope)) {
            let what = "empty, or a space, control or non-ASCII character in it";
            return Err(wrong("scope", what));
        }
        if let Some(url) = &self.authority {
            endpoint(url).map_err(|what| wrong("authority", what))?;
        }
        tls::check_clock()?;
        match self.roots.as_deref() {
            Some(Err(what)) => Err(wrong("ca_file", what)),
            _ => Ok(()),
        }
    }

    fn needed_by_credential(&self) -> &'static [&'static str] {
        match &self.credential {
            Some(credential) if credential.stands_alone() => &[],
            Some(_) if self.is_users() => &["client_id"],
            Some(_) => &["tenant", "client_id"],
            None => &["tenant", "client_id", "client_secret"],
        }
    }

    fn check_present(&self, keys: &[&str]) -> Result<(), Error> {
        let missing = |key: &&str| match *key {
            "mailbox" => self.mailbox.is_empty(),
            "tenant" => self.tenant.is_empty(),
            "client_id" => self.client_id.is_empty(),
            _ => self.credential.is_none(),
        };
        let missing: Vec<_> = keys.iter().copied().filter(missing).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let variables: Vec<_> = missing.iter().map(|key| variable(key)).collect();
        let what = format!(
            "missing (setter, key, or environment: {})",
            variables.join(", ")
        );
        Err(wrong(&missing.join(", "), what))
    }
}

/// The tenant is a segment of the endpoint's path, so it may hold nothing that leads elsewhere.
fn tenant(tenant: &str, users: bool) -> Result<(), &'static str> {
    let segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    // No domain is longer than 253 octets (RFC 1035 2.3.4).
    if !tenant.bytes().all(segment) || tenant.starts_with('.') || tenant.len() > 253 {
        return Err("neither an id nor a domain");
    }
    // These names are for users; an application belongs to one tenant (facts.md, "Token endpoint").
    if !users && ["common", "organizations", "consumers"].contains(&tenant) {
        return Err("an application needs the tenant's own id or domain");
    }
    Ok(())
}

pub(crate) fn host(host: &str) -> Result<(), &'static str> {
    match rustls::pki_types::ServerName::try_from(without_zone(host)) {
        Ok(_) => Ok(()),
        Err(_) => Err("neither a host name nor an address"),
    }
}

/// An https URL of host and path only: a user, a query or a fragment would change where the appended path leads.
fn endpoint(url: &str) -> Result<(), &'static str> {
    const WHAT: &str = "not a URL with host and path only";
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some(_) => return Err("must begin with https://"),
        None => url,
    };
    let rest = rest.trim_end_matches('/');
    if rest.is_empty() || rest.starts_with('/') {
        return Err("no host in it");
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b);
    if !rest.bytes().all(allowed) {
        return Err(WHAT);
    }
    let (name, _) = http::place(&with_scheme(url), 443).ok_or(WHAT)?;
    host(&name)
}

/// `/v1.0` is appended to it, so it has no path of its own.
#[cfg(feature = "graph")]
fn graph_endpoint(url: &str) -> Result<(), &'static str> {
    endpoint(url)?;
    match with_scheme(url).matches('/').count() {
        2 => Ok(()),
        _ => Err("a path in it: it ends before `/v1.0`"),
    }
}

/// A domain or an address literal (RFC 5321 4.1.1.1).
fn ehlo_name(name: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
        return Err("neither a host name nor an address literal like [192.0.2.7]");
    }
    Ok(())
}

/// A Linux distribution's bundle has some 220 KB.
const MAX_ROOTS: u64 = 4 * 1024 * 1024;

pub(super) fn roots_from_file(path: &Path) -> Roots {
    let pem = read_file(path, MAX_ROOTS)?;
    roots_from_pem(&pem).map_err(|what| format!("{}: {what}", path.display()))
}

fn roots_from_pem(pem: &[u8]) -> Roots {
    let mut store = RootCertStore::empty();
    let mut roots = Vec::new();
    for root in CertificateDer::pem_slice_iter(pem) {
        let root = root.map_err(|e| format!("not PEM: {e}"))?;
        match store.add(root.clone()) {
            Ok(()) => roots.push(root),
            // One bad certificate in a system's bundle must not stop all mail. It is logged, in case it was needed.
            Err(e) => log::warn!("ca_file: a certificate that cannot be a root: {e}"),
        }
    }
    if roots.is_empty() {
        return Err("no certificate in it that can be a root".into());
    }
    Ok(roots)
}
