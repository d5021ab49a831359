//! Who sends, and through which servers.

mod keys;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::credential::{Credential, Secret, read_file};
use crate::token::Token;
use crate::{Error, Stage, Timeouts, address};

/// The mailbox that sends, the application that may use it, and the servers to ask.
///
/// Made by [`new`](Self::new) and setters, by [`set`](Self::set) and the keys of the configuration, or by
/// [`from_env`](Self::from_env). Setters never fail; what cannot be right is an error of kind
/// [`Input`](crate::ErrorKind::Input) from the call that uses the account, before it connects to anything.
///
/// Clones share the token that was last fetched, so that a program that sends often asks for one an hour. `Debug`
/// shows no secret.
///
/// ```
/// let account = exosend::Account::new("robot@contoso.com")
///     .tenant("contoso.onmicrosoft.com")
///     .client_id("6731de76-14a6-49ae-97bc-6eba6914391e")
///     .client_secret("~value~of~the~secret~");
/// assert!(!format!("{account:?}").contains("value"));
/// ```
#[derive(Clone)]
pub struct Account {
    mailbox: String,
    tenant: String,
    client_id: String,
    credential: Option<Credential>,
    host: String,
    port: u16,
    authority: String,
    scope: String,
    roots: Option<Roots>,
    initial_response: InitialResponse,
    ehlo_name: Option<String>,
    timeouts: Timeouts,
    /// Replaced, not emptied, when the identity changes: the clones made before keep theirs.
    token: Arc<Mutex<Option<Token>>>,
}

/// Roots trusted instead of webpki-roots.
#[derive(Clone)]
enum Roots {
    Pem(Arc<[u8]>),
    File(PathBuf),
}

/// Whether the token travels on the `AUTH` line itself or in a line of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InitialResponse {
    /// On the `AUTH` line if that stays within the 512 bytes of RFC 4954 section 4, which a real token never does.
    #[default]
    Auto,
    /// Always on the `AUTH` line: one round trip less. Exchange Online takes it; Postfix and Dovecot refuse.
    Always,
    /// Never on the `AUTH` line.
    Never,
}

impl Account {
    /// An account for a mailbox: its primary address or user principal name. It is the XOAUTH2 user, and the sender
    /// and `From` of every message that does not name another.
    pub fn new(mailbox: impl Into<String>) -> Self {
        Self {
            mailbox: mailbox.into(),
            tenant: String::new(),
            client_id: String::new(),
            credential: None,
            host: "smtp.office365.com".into(),
            port: 587,
            authority: "https://login.microsoftonline.com".into(),
            scope: "https://outlook.office365.com/.default".into(),
            roots: None,
            initial_response: InitialResponse::default(),
            ehlo_name: None,
            timeouts: Timeouts::default(),
            token: Arc::default(),
        }
    }

    /// The tenant: its id (a GUID) or one of its domains.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self.forget_token()
    }

    /// The application (client) id.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self.forget_token()
    }

    /// The client secret: its *Value* in the portal, not its Secret ID.
    pub fn client_secret(mut self, secret: impl Into<String>) -> Self {
        self.credential = Some(Credential::ClientSecret(Secret::new(secret.into())));
        self.forget_token()
    }

    /// The submission server. `smtp.office365.com`, 587.
    pub fn server(mut self, host: impl Into<String>, port: u16) -> Self {
        self.host = host.into();
        self.port = port;
        self
    }

    /// The URL before the tenant. The token endpoint is `{authority}/{tenant}/oauth2/v2.0/token`. Trailing slashes do
    /// not matter, a missing scheme means https, any other scheme is an error. `https://login.microsoftonline.com`.
    pub fn authority(mut self, url: impl Into<String>) -> Self {
        self.authority = url.into();
        self.forget_token()
    }

    /// What the token is for: one resource with `/.default`. `https://outlook.office365.com/.default`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = scope.into();
        self.forget_token()
    }

    /// Certificates, PEM, one or more, that are trusted *instead of* the built-in roots, for SMTP and token alike.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Roots::Pem(pem.into().into()));
        self.forget_token()
    }

    /// How AUTH carries the token.
    pub fn initial_response(mut self, policy: InitialResponse) -> Self {
        self.initial_response = policy;
        self
    }

    /// How long each step may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets one field by its key, the same word as in `EXOSEND_*` variables: see the table in the
    /// [crate's documentation](crate#keys).
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) for an unknown key, with the nearest known one, and for a value that its
    /// key does not take.
    ///
    /// ```
    /// let mut account = exosend::Account::new("robot@contoso.com");
    /// account.set("server", "localhost:2525")?;
    /// let error = account.set("servr", "localhost").unwrap_err();
    /// assert_eq!(error.to_string(), "account servr: unknown key, did you mean `server`?");
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        keys::set(self, key, value)?;
        self.token = Arc::default();
        Ok(())
    }

    /// The account of the environment: the `EXOSEND_*` variables, and for some keys the `AZURE_*` ones that other
    /// tools use. A variable that is set and empty counts as not set.
    ///
    /// The `AZURE_*` tenant, client id and credential count only where no `EXOSEND_*` variable names a credential: a
    /// shell set up for Terraform must not send somebody else's mail.
    ///
    /// What is missing is not found here but by the call that uses the account, so that setters can still add it.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) for a value that its key does not take, and for two credentials at once.
    pub fn from_env() -> Result<Self, Error> {
        keys::from_variables(&|name| std::env::var_os(name))
    }

    fn forget_token(mut self) -> Self {
        self.token = Arc::default();
        self
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("mailbox", &self.mailbox)
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("credential", &self.credential)
            .field("server", &format_args!("{}:{}", self.host, self.port))
            .field("authority", &self.authority)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// What the other files read, checked.
impl Account {
    pub(crate) fn mailbox(&self) -> &str {
        &self.mailbox
    }

    pub(crate) fn tenant_id(&self) -> &str {
        &self.tenant
    }

    pub(crate) fn application(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(crate) fn resource_scope(&self) -> &str {
        &self.scope
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn auth_policy(&self) -> InitialResponse {
        self.initial_response
    }

    pub(crate) fn ehlo_name(&self) -> Option<&str> {
        self.ehlo_name.as_deref()
    }

    pub(crate) fn limits(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The token in memory, shared by clones.
    pub(crate) fn kept_token(&self) -> &Mutex<Option<Token>> {
        &self.token
    }

    /// `{authority}/{tenant}/oauth2/v2.0/token`, the authority mended as its documentation says.
    pub(crate) fn token_endpoint(&self) -> String {
        let authority = self.authority.trim_end_matches('/');
        let scheme = if authority.contains("://") {
            ""
        } else {
            "https://"
        };
        format!("{scheme}{authority}/{}/oauth2/v2.0/token", self.tenant)
    }

    /// The given roots; `None` for the built-in ones.
    pub(crate) fn roots(&self) -> Result<Option<Vec<CertificateDer<'static>>>, Error> {
        let wrong = |what: String| wrong("ca_file", what);
        let read;
        let (pem, from) = match &self.roots {
            None => return Ok(None),
            Some(Roots::Pem(pem)) => (&**pem, String::new()),
            Some(Roots::File(path)) => {
                read = read_file(path, u64::MAX).map_err(wrong)?;
                (&**read, format!("{}: ", path.display()))
            }
        };
        let mut roots = Vec::new();
        for root in CertificateDer::pem_slice_iter(pem) {
            roots.push(root.map_err(|e| wrong(format!("{from}not PEM: {e}")))?);
        }
        if roots.is_empty() {
            return Err(wrong(format!("{from}no certificate in it")));
        }
        // One that TLS cannot use would be left out without a word, and be missed where it mattered.
        let mut store = rustls::RootCertStore::empty();
        for root in &roots {
            store
                .add(root.clone())
                .map_err(|e| wrong(format!("{from}a certificate that cannot be a root: {e}")))?;
        }
        Ok(Some(roots))
    }

    /// Everything that can be known to be wrong before the first connection.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_present(&["mailbox", "tenant", "client_id", "client_secret"])?;
        address::checked_spec(&self.mailbox).map_err(|what| wrong("mailbox", what))?;
        check_host(&self.host).map_err(|what| wrong("server", what))?;
        if let Some(name) = &self.ehlo_name {
            check_ehlo_name(name).map_err(|what| wrong("ehlo_name", what))?;
        }
        self.check_application()
    }

    /// The same for what a token request needs.
    pub(crate) fn check_application(&self) -> Result<(), Error> {
        self.check_present(&["tenant", "client_id", "client_secret"])?;
        // It is a segment of the endpoint's path: an id or a domain, nothing that could lead elsewhere.
        let segment = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        if !self.tenant.bytes().all(segment) || self.tenant.starts_with('.') {
            return Err(wrong("tenant", "neither an id nor a domain"));
        }
        for (key, text) in [("client_id", &self.client_id), ("scope", &self.scope)] {
            if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(wrong(
                    key,
                    "empty, or a space, control or non-ASCII character in it",
                ));
            }
        }
        if let Some(secret) = &self.credential {
            secret.secret()?;
        }
        check_authority(&self.authority).map_err(|what| wrong("authority", what))?;
        self.roots().map(drop)
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
        let variables: Vec<_> = missing.iter().map(|key| keys::variable(key)).collect();
        let what = format!(
            "missing (setter, key, or environment: {})",
            variables.join(", ")
        );
        Err(wrong(&missing.join(", "), what))
    }
}

fn wrong(key: &str, what: impl Into<String>) -> Error {
    Error::input(Stage::Account, key, what)
}

fn check_host(host: &str) -> Result<(), &'static str> {
    match rustls::pki_types::ServerName::try_from(host) {
        Ok(_) => Ok(()),
        Err(_) => Err("neither a host name nor an address"),
    }
}

fn check_authority(url: &str) -> Result<(), &'static str> {
    let rest = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
        Some(_) => return Err("must begin with https://"),
        None => url,
    };
    let host = rest.trim_end_matches('/');
    if host.is_empty() || host.starts_with('/') {
        return Err("no host in it");
    }
    // A user, a query or a fragment has no place in it and would change where the rest leads.
    if !host
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b))
    {
        return Err("not a URL with host and path only");
    }
    Ok(())
}

/// A domain or an address literal (RFC 5321 4.1.1.1).
fn check_ehlo_name(name: &str) -> Result<(), &'static str> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    if name.is_empty() || name.len() > 255 || !name.bytes().all(allowed) {
        return Err("neither a host name nor an address literal like [192.0.2.7]");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Account {
        Account::new("robot@contoso.com")
            .tenant("contoso.com")
            .client_id("id")
            .client_secret("hush")
    }

    #[allow(clippy::needless_pass_by_value)] // reads better where it is called
    fn refused(account: Account) -> String {
        let error = account.check().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Input);
        error.to_string()
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        assert_eq!(
            refused(Account::new("")),
            "account mailbox, tenant, client_id, client_secret: missing (setter, key, or environment: EXOSEND_MAILBOX, \
             EXOSEND_TENANT, EXOSEND_CLIENT_ID, EXOSEND_CLIENT_SECRET)"
        );
        assert!(complete().check().is_ok());
        assert!(refused(complete().client_secret("")).starts_with("account client_secret: empty"));
        assert!(refused(complete().tenant("")).starts_with("account tenant: missing"));
        assert!(refused(complete().client_id("")).starts_with("account client_id: missing"));
    }

    #[test]
    fn nothing_that_reaches_a_url_or_a_command_can_act() {
        assert!(
            refused(Account {
                mailbox: "robot@x\r\nDATA".into(),
                ..complete()
            })
            .starts_with("account mailbox: ")
        );
        for tenant in [
            "a/../b",
            "a?b",
            "a b",
            "a\r\nb",
            "..",
            "a%2f",
            "t\u{e4}nant",
        ] {
            assert!(
                refused(complete().tenant(tenant)).starts_with("account tenant: "),
                "{tenant:?}"
            );
        }
        for authority in [
            "http://x",
            "ftp://x",
            "https://",
            "https://u@x",
            "https://x?y",
            "https://x#y",
            "x\r\ny",
            "",
        ] {
            assert!(
                refused(complete().authority(authority)).starts_with("account authority: "),
                "{authority:?}"
            );
        }
        for host in ["", "a b", "a\r\nb", "a/b"] {
            assert!(
                refused(complete().server(host, 25)).starts_with("account server: "),
                "{host:?}"
            );
        }
        assert!(refused(complete().scope("a b")).starts_with("account scope: "));
        assert!(refused(complete().client_id("a\r\nb")).starts_with("account client_id: "));
        assert!(refused(complete().root_certificates("nonsense")).contains("no certificate in it"));
    }

    #[test]
    fn the_endpoint_forgives_slashes_and_a_missing_scheme() {
        let endpoint = |authority: &str| complete().authority(authority).token_endpoint();
        let expected = "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token";
        assert_eq!(endpoint("https://login.microsoftonline.us/"), expected);
        assert_eq!(endpoint("login.microsoftonline.us"), expected);
        assert_eq!(
            endpoint("https://localhost:8443/a//"),
            "https://localhost:8443/a/contoso.com/oauth2/v2.0/token"
        );
    }

    #[test]
    fn a_clone_that_becomes_somebody_else_shares_no_token() {
        let account = complete();
        assert!(Arc::ptr_eq(
            &account.token,
            &account.clone().timeouts(Timeouts::default()).token
        ));
        assert!(!Arc::ptr_eq(
            &account.token,
            &account.clone().client_id("other").token
        ));
        let mut other = account.clone();
        other.set("tenant", "other").unwrap();
        assert!(!Arc::ptr_eq(&account.token, &other.token));
    }
}
