//! The configuration: the account for the library, the rest for the command.

pub(crate) mod check;
mod expiry;
pub(crate) mod settings;
mod sources;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exosend::{Account, Stage};

use crate::common::Common;
use crate::config::settings::truth;
use crate::exit::Failure;
use crate::{process, value};
use sources::{Layer, Setting};

pub(crate) use settings::Settings;
pub(crate) use sources::MACHINES;

/// How long the cache of tokens may become. With a lower `ulimit -f` there is none: writing it could kill the process
/// (SIGXFSZ).
const LONGEST_CACHE: u64 = 1024 * 1024;

/// The keys of credentials, the strongest last.
pub(crate) const CREDENTIALS: [&str; 7] = [
    "client_secret",
    "client_secret_file",
    "client_certificate_file",
    "federated_token_file",
    "managed_identity",
    "login_file",
    "access_token",
];

/// The key of a user's login.
pub(crate) const LOGIN: &str = "login_file";

#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) account: Account,
    /// The account's `transport` is `graph`.
    pub(crate) by_graph: bool,
    pub(crate) settings: Settings,
    /// The account's `timeout`.
    pub(crate) patience: Duration,
    /// The `login_file`, where one is named.
    login: Option<String>,
    /// The keys that are set, each with the line, variable or option that set it; the strongest last.
    origins: Vec<(String, String)>,
}

impl Config {
    /// Reads files, environment and arguments. Keys that are missing are an error when the account is used.
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        Self::load_with_cache(common, None)
    }

    /// The same, with another default for `token_cache`.
    pub(crate) fn load_with_cache(common: &Common, cache: Option<&Path>) -> Result<Self, Failure> {
        Self::of(sources::layers(common, cache)?)
    }

    fn of(mut layers: Vec<Layer>) -> Result<Self, Failure> {
        let mut settings = Settings::default();
        let mut origins = Vec::new();
        for setting in layers.iter_mut().flatten() {
            setting
                .apply(&mut settings)
                .map_err(|what| Failure::config(format!("{}: {what}", setting.from)))?;
            origins.push((setting.key.clone(), setting.from.clone()));
        }
        let last = |key: &str| {
            let set = layers.iter().flatten().rfind(|set| set.key == key);
            set.map(|set| set.value.as_str())
        };
        let no_cache =
            last("token_cache") == Some("none") || process::longest_file() < LONGEST_CACHE;
        let by_graph = last("transport") == Some("graph");
        let timeout = last("timeout").and_then(|value| value::seconds(value).ok());
        let login = last(LOGIN).map(str::to_owned);
        for layer in &mut layers {
            layer.retain(|set| !(set.is_own() || set.key == "token_cache" && no_cache));
        }
        let mut config = Self {
            account: account(&layers)?,
            by_graph,
            settings,
            patience: timeout.unwrap_or(Duration::from_secs(3600)),
            login,
            origins,
        };
        config.take_usual_login();
        if let Some(end) = config.secret_end() {
            log::warn!("{end}");
        }
        Ok(config)
    }

    fn place_of(&self, key: &str) -> Option<&str> {
        let last = self.origins.iter().rfind(|(set, _)| set == key);
        last.map(|(_, from)| from.as_str())
    }

    /// Where and by what name a key was set: `/etc/exosend.conf:3: aliases`, `EXOSEND_ALIASES`, `--set aliases`.
    pub(crate) fn set_by<'a>(&'a self, key: &'a str) -> &'a str {
        self.place_of(key).unwrap_or(key)
    }

    /// Where a key was set: a file and its line, a variable, an option.
    pub(crate) fn origin(&self, key: &str) -> Option<&str> {
        let from = self.place_of(key)?;
        Some(from.strip_suffix(&format!(": {key}")).unwrap_or(from))
    }

    /// Without another credential, uses the login in the place where `exosend login` puts it.
    fn take_usual_login(&mut self) {
        let mut azure = sources::AZURE.into_iter();
        let azure = azure.any(|name| sources::variable(name).is_some());
        if azure || self.credential().is_some() {
            return;
        }
        let there = self
            .usual_login()
            .filter(|path| Path::new(path).symlink_metadata().is_ok());
        if there.is_some_and(|path| self.account.set(LOGIN, &path).is_ok()) {
            self.origins
                .push((LOGIN.into(), sources::USUAL_LOGIN.into()));
        }
    }

    /// The `login_file`, configured or not: for the machine's account a file that only the queue's owner can read, for a user's
    /// own one beside his tokens.
    pub(crate) fn login_file(&self) -> Option<String> {
        self.login.clone().or_else(|| self.usual_login())
    }

    fn usual_login(&self) -> Option<String> {
        let folder = match self.machines_spool() {
            Some(spool) => spool.join("state"),
            None => sources::cache_folder()?,
        };
        folder.join("login").into_os_string().into_string().ok()
    }

    /// The folder of the machine's queue, if there is one and this is the machine's account.
    pub(crate) fn machines_spool(&self) -> Option<PathBuf> {
        if !self.is_machines() {
            return None;
        }
        let usual =
            || Some(PathBuf::from(settings::SPOOL)).filter(|usual| usual.join("drop").is_dir());
        self.settings.spool.clone().or_else(usual)
    }

    /// The key of the credential that is used.
    pub(crate) fn credential(&self) -> Option<&'static str> {
        let keys = CREDENTIALS.iter().copied();
        keys.rev().find(|key| self.place_of(key).is_some())
    }

    /// Whether the whole account is the machine's, and the caller has changed no part of it.
    pub(crate) fn is_machines(&self) -> bool {
        let azure = |(name, _): (OsString, _)| name.as_encoded_bytes().starts_with(b"AZURE_");
        let mut keys = Account::keys();
        keys.all(|key| self.is_from_machine(key))
            && (self.credential().is_some() || !std::env::vars_os().any(azure))
    }

    /// Whether a key is set in the machine's file, or nowhere.
    pub(crate) fn is_from_machine(&self, key: &str) -> bool {
        let from = self.place_of(key).unwrap_or_default();
        let machines = from.strip_prefix(MACHINES);
        [sources::DEFAULT_CACHE, sources::USUAL_LOGIN, ""].contains(&from)
            || machines.is_some_and(|at| at.starts_with(':'))
    }

    /// Whether the caller names an account, or a part of one. For callers who cannot read the machine's file.
    pub(crate) fn names_an_account(common: &Common) -> bool {
        sources::own_keys(common, |named| Account::keys().any(|key| key == named))
    }

    /// Makes an error about a key begin with the place where the key was set, which the library does not know.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        match field(&failure).map(|field| self.place_of(field)) {
            Some(Some(from)) => at(from, failure),
            Some(None) if is_key(&failure) => failure.with_hint(sources::hint()),
            Some(None) => failure,
            None => self.with_secret_end(failure),
        }
    }
}

impl Setting {
    /// Applies a key of the command's; normalises and checks the value of one of the library's.
    fn apply(&mut self, settings: &mut Settings) -> Result<(), String> {
        if let Some(set) = settings::setter(&self.key) {
            return set(settings, &self.value);
        }
        if let Some(what) = settings::unknown(&self.key) {
            return Err(what);
        }
        self.value = in_credentials_directory(normalised(&self.key, &self.value))?.into();
        // A relative path would put tokens into whatever folder a job runs in.
        let whole = self.value.starts_with('/');
        match self.key.as_str() {
            "token_cache" if !whole && self.value.as_str() != "none" => {
                return Err("takes none, or a file with its whole path".into());
            }
            LOGIN if !whole => return Err("takes a file with its whole path".into()),
            _ => {}
        }
        // A variable or an argument must not get a token for other services of Azure.
        let scope = self.key == "scope" && !self.from.contains(':');
        match scope
            && !MAIL_SCOPES
                .iter()
                .any(|start| self.value.starts_with(start))
        {
            true => Err("only a file may name a scope that is not Exchange's or Graph's".into()),
            false => Ok(()),
        }
    }

    fn is_own(&self) -> bool {
        settings::setter(&self.key).is_some()
    }
}

/// How the scopes of Exchange and Graph begin, in each cloud.
const MAIL_SCOPES: [&str; 7] = [
    "https://outlook.office",
    "https://outlook-",
    "https://partner.outlook.cn/",
    "https://webmail.apps.mil/",
    "https://graph.microsoft.",
    "https://dod-graph.microsoft.us/",
    "https://microsoftgraph.chinacloudapi.cn/",
];

/// A value in the form that the library takes, from one that people copy and write.
fn normalised<'a>(key: &str, value: &'a str) -> &'a str {
    match key {
        // PowerShell and the registry show an id in braces.
        "tenant" | "client_id" => value.trim_start_matches('{').trim_end_matches('}'),
        "managed_identity" => match truth(value) {
            Ok(true) => "true",
            Ok(false) => "false",
            Err(_) => value,
        },
        "timeout" => value.strip_suffix('s').unwrap_or(value).trim_end(),
        // From the whole address of the token endpoint, as other programs want it, the part before the tenant.
        "authority" => value
            .strip_suffix("/oauth2/v2.0/token")
            .and_then(|before| before.rsplit_once('/'))
            .map_or(value, |(authority, _)| authority),
        _ => value,
    }
}

/// The account of all layers. A value that its key does not take is an error in a weaker layer, too.
fn account(layers: &[Layer]) -> Result<Account, Failure> {
    let pairs = layers.iter().map(|layer| {
        let settings = layer.iter();
        settings.map(|set| (set.key.as_str(), set.value.as_str()))
    });
    Account::from_layers(pairs, true).map_err(|error| {
        let failure = Failure::from(error);
        let named = |set: &&Setting| Some(set.key.as_str()) == field(&failure);
        let wrong = |set: &&Setting| Account::new("").set(&set.key, &set.value).is_err();
        let mut all = layers.iter().flatten().filter(named);
        match all.clone().find(wrong).or(all.next_back()) {
            Some(set) => at(&set.from, failure),
            None => failure,
        }
    })
}

/// The key that an error about the account names.
fn field(failure: &Failure) -> Option<&str> {
    let error = failure.error()?;
    error.field().filter(|_| error.stage() == Stage::Account)
}

/// Whether an error names a key, and not the clock or a variable of another program's.
fn is_key(failure: &Failure) -> bool {
    let named = field(failure).unwrap_or_default();
    let named = named.split(',').next().unwrap_or_default();
    Account::keys().any(|key| key == named)
}

/// The same failure, beginning with the place of the key instead of its name.
fn at(from: &str, failure: Failure) -> Failure {
    let key = field(&failure).unwrap_or_default();
    let what = failure.what();
    let what = what
        .strip_prefix(&format!("{} {key}: ", Stage::Account))
        .unwrap_or(what);
    let what = format!("{from}: {what}");
    failure.with_what(what)
}

/// Expands the folder into which systemd puts what `LoadCredential=` names.
fn in_credentials_directory(value: &str) -> Result<String, String> {
    const NAMES: [&str; 2] = ["$CREDENTIALS_DIRECTORY/", "${CREDENTIALS_DIRECTORY}/"];
    let Some(rest) = NAMES.iter().find_map(|name| value.strip_prefix(name)) else {
        return Ok(value.to_owned());
    };
    match std::env::var("CREDENTIALS_DIRECTORY") {
        Ok(folder) if !folder.is_empty() => Ok(format!("{folder}/{rest}")),
        _ => Err(
            "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential=, and for nobody else; \
             cron and PHP need a file that they may read"
                .into(),
        ),
    }
}
