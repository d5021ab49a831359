//! Who sends, and through which servers.

pub(crate) mod check;
pub(crate) mod cloud;
mod keys;
mod roots;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::account::cloud::Cloud;
use crate::account::roots::Roots;
use crate::error::Error;
use crate::stage::Stage;
use crate::timeouts::Timeouts;
use crate::token::cache::CacheFile;
use crate::token::certificate::Certificate;
use crate::token::credential::{AccessToken, ClientSecret, Credential, FederatedToken};
use crate::token::machine::ManagedIdentity;
use crate::token::{Keep, Token};

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
    credential: Option<Arc<dyn Credential>>,
    cloud: Cloud,
    /// These three where they differ from the cloud's.
    server: Option<(String, u16)>,
    authority: Option<String>,
    scope: Option<String>,
    roots: Option<Roots>,
    initial_response: InitialResponse,
    ehlo_name: Option<String>,
    timeouts: Timeouts,
    cache: Option<Arc<dyn Keep>>,
    /// Replaced, not emptied, when the identity changes: the clones made before keep theirs.
    token: Arc<Mutex<Option<Token>>>,
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
            cloud: Cloud::default(),
            server: None,
            authority: None,
            scope: None,
            roots: None,
            initial_response: InitialResponse::default(),
            ehlo_name: None,
            timeouts: Timeouts::default(),
            cache: None,
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
    pub fn client_secret(self, secret: impl Into<String>) -> Self {
        self.proven_by(ClientSecret::value(secret.into()))
    }

    /// A certificate that is registered with the application, and its private key (RSA), PEM, in either order. Better
    /// than a secret: the key never leaves this machine.
    pub fn client_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        self.proven_by(Certificate::pem(pem.into()))
    }

    /// A file with a token of another identity provider that the application trusts: workload identity federation. It is
    /// read anew for every token request, since its owner replaces it about once an hour.
    pub fn federated_token_file(self, path: impl Into<PathBuf>) -> Self {
        self.proven_by(FederatedToken::file(path.into()))
    }

    /// The identity that Azure gives this machine: a virtual machine, App Service, Container Apps, or a server connected
    /// by Azure Arc. The one assigned by the system, or with a [`client_id`](Self::client_id) that one of the user's.
    /// There is nothing to keep secret, and no tenant to name.
    pub fn managed_identity(self) -> Self {
        self.proven_by(ManagedIdentity)
    }

    /// An access token for Exchange Online that you got elsewhere. It is used as it is and never renewed.
    pub fn access_token(self, token: impl Into<String>) -> Self {
        self.proven_by(AccessToken::new(token.into()))
    }

    /// The cloud: where the servers are, and what the token is for. [`Worldwide`](Cloud::Worldwide).
    ///
    /// [`server`](Self::server), [`authority`](Self::authority) and [`scope`](Self::scope) still count where they are
    /// set, before or after this.
    pub fn cloud(mut self, cloud: Cloud) -> Self {
        self.cloud = cloud;
        self.forget_token()
    }

    /// The submission server. `smtp.office365.com`, 587.
    pub fn server(mut self, host: impl Into<String>, port: u16) -> Self {
        self.server = Some((host.into(), port));
        self
    }

    /// The URL before the tenant. The token endpoint is `{authority}/{tenant}/oauth2/v2.0/token`. Trailing slashes do
    /// not matter, a missing scheme means https, any other scheme is an error. `https://login.microsoftonline.com`.
    pub fn authority(mut self, url: impl Into<String>) -> Self {
        self.authority = Some(url.into());
        self.forget_token()
    }

    /// What the token is for: one resource with `/.default`. `https://outlook.office365.com/.default`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self.forget_token()
    }

    /// Certificates, PEM, one or more, that are trusted *instead of* the built-in roots, for SMTP and token alike.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(Arc::new(roots::from_pem(&pem.into())));
        self.forget_token()
    }

    /// A file that keeps tokens between processes, so that a program started every five minutes asks for one an hour. Off
    /// unless set. It may serve several accounts.
    ///
    /// The file holds tokens, and nothing else that is secret. It is made with mode 0600, and not used, with a warning in
    /// the log, if it belongs to somebody else or if others may read it. Nothing depends on it: what goes wrong with it is
    /// logged, and costs a token request.
    pub fn token_cache(mut self, path: impl Into<PathBuf>) -> Self {
        self.cache = Some(Arc::new(CacheFile::new(path.into())));
        self
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
        keys::from_env(&|name| std::env::var_os(name))
    }

    /// The account of several layers of keys and values, the weakest first: a system's file, a user's file, variables,
    /// flags. This is how a program reads a configuration of its own.
    ///
    /// A layer overrides the ones before it, key by key. A credential replaces the credential of a weaker layer, whichever
    /// kind it is; a `cloud` replaces `server`, `authority` and `scope` of weaker layers. Below all of them stand the
    /// `AZURE_*` variables, as in [`from_env`](Self::from_env). The `EXOSEND_*` variables do not count unless they are one
    /// of the layers.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and for two credentials in one layer: it names both.
    ///
    /// ```
    /// use exosend::Account;
    ///
    /// let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    /// let system = vec![pair("tenant", "contoso.com"), pair("client_secret", "~")];
    /// let user = vec![pair("client_certificate_file", "/etc/exosend.pem")];
    /// let account = Account::from_layers(&[system, user])?;
    /// assert!(format!("{account:?}").contains("exosend.pem"));
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn from_layers(layers: &[Vec<(String, String)>]) -> Result<Self, Error> {
        keys::from_layers(layers, &|name| std::env::var_os(name))
    }

    /// The keys that [`set`](Self::set) takes, in the order of the [table](crate#keys).
    pub fn keys() -> impl Iterator<Item = &'static str> {
        keys::names()
    }

    /// When the client certificate ends; `None` if the account has another credential.
    ///
    /// From 30 days before, each token request logs a warning.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) if the certificate cannot be read.
    pub fn certificate_expires(&self) -> Result<Option<SystemTime>, Error> {
        match &self.credential {
            Some(credential) => credential.expires(),
            None => Ok(None),
        }
    }

    fn proven_by(mut self, credential: impl Credential + 'static) -> Self {
        self.credential = Some(Arc::new(credential));
        self.forget_token()
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
            .field("server", &format_args!("{}:{}", self.host(), self.port()))
            .field("authority", &self.authority_url())
            .field("scope", &self.resource_scope())
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

    pub(crate) fn which_cloud(&self) -> Cloud {
        self.cloud
    }

    pub(crate) fn credential(&self) -> Option<&dyn Credential> {
        self.credential.as_deref()
    }

    pub(crate) fn resource_scope(&self) -> &str {
        self.scope.as_deref().unwrap_or(self.cloud.scope())
    }

    pub(crate) fn host(&self) -> &str {
        match &self.server {
            Some((host, _)) => host,
            None => self.cloud.host(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.server.as_ref().map_or(587, |(_, port)| *port)
    }

    fn authority_url(&self) -> &str {
        self.authority.as_deref().unwrap_or(self.cloud.authority())
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

    /// The file that keeps tokens.
    pub(crate) fn token_file(&self) -> Option<&dyn Keep> {
        self.cache.as_deref()
    }

    /// The same account with another place for its tokens, made of the present one.
    pub(crate) fn kept_by(
        mut self,
        keep: impl FnOnce(Option<Arc<dyn Keep>>) -> Arc<dyn Keep>,
    ) -> Self {
        self.cache = Some(keep(self.cache.take()));
        self
    }

    /// `{authority}/{tenant}/oauth2/v2.0/token`, the authority mended as its documentation says.
    pub(crate) fn token_endpoint(&self) -> String {
        let authority = self.authority_url().trim_end_matches('/');
        let scheme = if authority.contains("://") {
            ""
        } else {
            "https://"
        };
        format!("{scheme}{authority}/{}/oauth2/v2.0/token", self.tenant)
    }

    /// The given roots; `None` for the built-in ones.
    pub(crate) fn roots(&self) -> Result<Option<&[CertificateDer<'static>]>, Error> {
        match self.roots.as_deref() {
            None => Ok(None),
            Some(Ok(roots)) => Ok(Some(roots)),
            Some(Err(what)) => Err(wrong("ca_file", what)),
        }
    }
}

fn wrong(key: &str, what: impl Into<String>) -> Error {
    Error::input(Stage::Account, key, what)
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
