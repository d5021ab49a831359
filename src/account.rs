//! Who sends, and through which servers. No sockets, no JSON.

pub(crate) mod check;
pub(crate) mod cloud;
#[cfg(any(feature = "capi", feature = "cli"))]
pub(crate) mod file;
mod keys;
mod layers;
pub(crate) mod token;
#[cfg(feature = "graph")]
pub(crate) mod transport;
pub(crate) mod value;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;

use crate::account::cloud::{Cloud, with_scheme};
use crate::error::Error;
use crate::timeouts::Timeouts;
use crate::token::cache::CacheFile;
use crate::token::certificate::Certificate;
use crate::token::credential::{AccessToken, ClientSecret, Credential, FederatedToken};
#[cfg(feature = "login")]
use crate::token::login::{ANY_TENANT, Login, file::LoginFile};
use crate::token::machine::ManagedIdentity;
use crate::token::{Application, Keep, Slot, endpoint};

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
    pub(crate) mailbox: String,
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) credential: Option<Arc<dyn Credential>>,
    pub(crate) cloud: Cloud,
    /// Set where they differ from the cloud's: server, authority, scope.
    pub(crate) server: Option<(String, u16)>,
    pub(crate) authority: Option<String>,
    pub(crate) scope: Option<String>,
    #[cfg(feature = "graph")]
    pub(crate) transport: Transport,
    /// Set where it differs from the cloud's.
    #[cfg(feature = "graph")]
    pub(crate) graph_endpoint: Option<String>,
    pub(crate) roots: Option<Arc<Roots>>,
    pub(crate) initial_response: InitialResponse,
    pub(crate) ehlo_name: Option<String>,
    pub(crate) timeouts: Timeouts,
    /// The file that keeps tokens.
    pub(crate) cache: Option<Arc<dyn Keep>>,
    /// The token in memory, shared by clones. Replaced, not emptied, when the identity changes: the clones made before keep
    /// theirs.
    pub(crate) token: Arc<Slot>,
}

/// Root certificates that are trusted instead of the built-in ones, read once, when they are given. An error is kept until
/// the account is checked; no root is trusted then.
pub(crate) type Roots = Result<Vec<CertificateDer<'static>>, String>;

/// Whether the token travels on the `AUTH` line itself or in a line of its own.
///
/// ```
/// use exosend::{Account, InitialResponse};
///
/// // To Exchange Online, over a slow line: nine round trips instead of ten.
/// let account = Account::new("robot@contoso.com").initial_response(InitialResponse::Always);
/// ```
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

/// How a message leaves. [`Account::transport`] chooses; nothing else does, for each promises something else.
///
/// ```
/// use exosend::{Account, Attachment, Message, Transport};
///
/// let account = Account::new("robot@contoso.com").transport(Transport::Graph);
/// let message = Message::new().to("ops@example.com").attach(Attachment::bytes("all.log", [0; 3_000_000]));
/// // Found before any request is made.
/// assert_eq!(account.check_message(&message).unwrap_err().field(), Some("size"));
/// ```
#[cfg(feature = "graph")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transport {
    /// SMTP with XOAUTH2, port 587.
    #[default]
    Smtp,
    /// Microsoft Graph's `sendMail`, port 443: for tenants without SMTP AUTH, and networks without port 587.
    ///
    /// It promises less. The answer means that the message was taken for processing, see
    /// [`Receipt::is_final`](crate::Receipt::is_final); an address that does not exist comes back as a bounce. A message
    /// has 3,000,000 bytes at most. A copy goes to Sent Items, and the name in `From` is the directory's. Who gets the
    /// message is read from its header, which is made to name the envelope's recipients and nobody else.
    ///
    /// The application needs the permission `Mail.Send` instead of `SMTP.SendAsApp`, scoped to the mailbox.
    Graph,
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
            #[cfg(feature = "graph")]
            transport: Transport::default(),
            #[cfg(feature = "graph")]
            graph_endpoint: None,
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
        self.with_credential(Arc::new(ClientSecret::value(secret.into())))
    }

    /// A file with the client secret and nothing else, read anew for every token request: systemd credentials, Docker
    /// secrets.
    pub fn client_secret_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_credential(Arc::new(ClientSecret::file(path.into())))
    }

    /// A certificate that is registered with the application, and its private key (RSA), PEM, in either order. Better
    /// than a secret: the key never leaves this machine.
    pub fn client_certificate(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_credential(Arc::new(Certificate::pem(pem.into())))
    }

    /// A file with both, read anew for every token request, so that a renewed one is taken up.
    pub fn client_certificate_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_credential(Arc::new(Certificate::file(path.into())))
    }

    /// A file with a token of another identity provider that the application trusts: workload identity federation. It is
    /// read anew for every token request, since its owner replaces it about once an hour.
    pub fn federated_token_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_credential(Arc::new(FederatedToken::file(path.into())))
    }

    /// The identity that Azure gives this machine: a virtual machine, App Service, Container Apps, or a server connected
    /// by Azure Arc. The one assigned by the system, or with a [`client_id`](Self::client_id) that one of the user's.
    /// There is nothing to keep secret, and no tenant to name.
    pub fn managed_identity(self) -> Self {
        self.with_credential(Arc::new(ManagedIdentity))
    }

    /// The file that keeps a user's [login](crate::login), which [`start`](crate::login::start) makes: mail goes out as the
    /// user who logged in. The application is a public client of yours, its [`client_id`](Self::client_id) is needed, and
    /// the [`tenant`](Self::tenant) only where it admits its own users alone.
    ///
    /// Each token request puts a new login in the file's place. It is made with mode 0600, and an error if it is somebody
    /// else's or if others may read it.
    #[cfg(feature = "login")]
    pub fn login_file(self, path: impl Into<PathBuf>) -> Self {
        self.with_credential(Arc::new(Login::file(path.into())))
    }

    /// An access token for Exchange Online that you got elsewhere. It is used as it is and never renewed.
    pub fn access_token(self, token: impl Into<String>) -> Self {
        self.with_credential(Arc::new(AccessToken::new(token.into())))
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

    /// What to say in EHLO: this machine's full name, or an address literal like `[192.0.2.7]`. The literal of the
    /// connection's own address.
    pub fn ehlo_name(mut self, name: impl Into<String>) -> Self {
        self.ehlo_name = Some(name.into());
        self
    }

    /// How long each step may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
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

    fn with_credential(mut self, credential: Arc<dyn Credential>) -> Self {
        self.credential = Some(credential);
        self.forget_token()
    }

    pub(crate) fn forget_token(mut self) -> Self {
        self.token = Arc::default();
        self
    }
}

/// The settings, with their defaults where nothing is set.
impl Account {
    /// The mailbox that sends.
    pub fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// The submission server's name or address: the cloud's, unless [`server`](Self::server) says otherwise.
    pub fn host(&self) -> &str {
        match &self.server {
            Some((host, _)) => host,
            None => self.cloud.host(),
        }
    }

    /// The submission server's port.
    pub fn port(&self) -> u16 {
        self.server.as_ref().map_or(587, |(_, port)| *port)
    }

    /// The tenant; a user who logs in need not name it.
    fn tenant_or_any(&self) -> &str {
        #[cfg(feature = "login")]
        if self.tenant.is_empty() && self.is_users() {
            return ANY_TENANT;
        }
        &self.tenant
    }

    /// Whether a user sends, and not an application.
    pub(crate) fn is_users(&self) -> bool {
        #[cfg(feature = "login")]
        return self.users_login().is_some();
        #[cfg(not(feature = "login"))]
        false
    }

    /// The file that keeps the login of the user who sends.
    #[cfg(feature = "login")]
    pub(crate) fn users_login(&self) -> Option<&LoginFile> {
        self.credential.as_deref()?.login_file()
    }

    pub(crate) fn application(&self) -> Application<'_> {
        let authority = self.authority.as_deref().unwrap_or(self.cloud.authority());
        let authority = with_scheme(authority);
        let tenant = self.tenant_or_any();
        Application {
            endpoint: endpoint(&authority, tenant, "token"),
            #[cfg(feature = "login")]
            authority,
            tenant,
            client_id: &self.client_id,
            scope: self.scope.as_deref().unwrap_or(self.default_scope()),
            roots: self.roots(),
            timeout: self.timeouts.token,
        }
    }

    /// The scope where none is set.
    pub(crate) fn default_scope(&self) -> &'static str {
        let users = self.is_users();
        #[cfg(feature = "graph")]
        if self.is_graph() {
            return self.cloud.graph_scope(users);
        }
        self.cloud.scope(users)
    }

    /// What is trusted instead of the built-in roots.
    pub(crate) fn roots(&self) -> Option<&[CertificateDer<'static>]> {
        let roots = self.roots.as_deref()?;
        Some(roots.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let application = self.application();
        f.debug_struct("Account")
            .field("mailbox", &self.mailbox)
            .field("tenant", &self.tenant)
            .field("client_id", &self.client_id)
            .field("credential", &self.credential)
            .field("server", &format_args!("{}:{}", self.host(), self.port()))
            .field("token_endpoint", &application.endpoint)
            .field("scope", &application.scope)
            .finish_non_exhaustive()
    }
}

/// The variable of the environment that stands for a key: `EXOSEND_CLIENT_ID` for `client_id`.
pub(crate) fn variable(key: &str) -> String {
    format!("EXOSEND_{}", key.to_ascii_uppercase())
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

    #[track_caller]
    fn refuses(field: &str, account: Account) {
        let text = refused(account);
        assert!(text.starts_with(&format!("account {field}: ")), "{text}");
    }

    #[test]
    fn missing_settings_are_named_with_their_variables() {
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
    fn values_that_no_url_or_command_can_hold_are_refused() {
        let mailbox = "robot@x\r\nDATA".into();
        let account = complete();
        refuses("mailbox", Account { mailbox, ..account });
        let mailbox = "robot@contoso.com.".into();
        let account = complete();
        refuses("mailbox", Account { mailbox, ..account });
        for tenant in [
            "a/../b",
            "a?b",
            "a b",
            "a\r\nb",
            "..",
            "a%2f",
            "t\u{e4}nant",
        ] {
            refuses("tenant", complete().tenant(tenant));
        }
        for authority in [
            "http://x",
            "ftp://x",
            "https://",
            "https://u@x",
            "https://x?y",
            "https://x#y",
            "https://x:y",
            "https://[::1",
            &"x".repeat(100_000),
            "x\r\ny",
            "",
        ] {
            refuses("authority", complete().authority(authority));
        }
        for host in ["", "a b", "a\r\nb", "a/b", "a%b", "fe80::1%e\r\nh"] {
            refuses("server", complete().server(host, 25));
        }
        assert!(complete().server("fe80::1%eth0", 25).check().is_ok());
        refuses("scope", complete().scope("a b"));
        refuses("client_id", complete().client_id("a\r\nb"));
        assert!(refused(complete().root_certificates("nonsense")).contains("no certificate in it"));
    }

    #[test]
    fn the_endpoint_forgives_slashes_and_a_missing_scheme() {
        let endpoint = |authority: &str| complete().authority(authority).application().endpoint;
        let expected = "https://login.microsoftonline.us/contoso.com/oauth2/v2.0/token";
        assert_eq!(endpoint("https://login.microsoftonline.us/"), expected);
        assert_eq!(endpoint("login.microsoftonline.us"), expected);
        assert_eq!(
            endpoint("https://localhost:8443/a//"),
            "https://localhost:8443/a/contoso.com/oauth2/v2.0/token"
        );
    }

    #[test]
    fn a_clone_with_another_identity_shares_no_token() {
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
