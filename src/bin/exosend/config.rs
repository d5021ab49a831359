//! Where the settings come from, and which wins: the account for the library, the rest for the command.

mod file;

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use exosend::{Account, Stage};

use crate::common::Common;
use crate::exit::Failure;

/// Everything that is configured.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) account: Account,
    /// The account's mailbox; empty if none is set.
    pub(crate) mailbox: String,
    pub(crate) settings: Settings,
    /// Which line, variable or option set a key.
    origins: HashMap<String, String>,
}

/// The keys of the command only.
#[derive(Debug)]
pub(crate) struct Settings {
    /// A From that Exchange would refuse becomes the mailbox.
    pub(crate) rewrite_from: bool,
    /// What the mailbox may send as.
    pub(crate) send_as: Vec<String>,
    /// Where mail for names without a domain goes.
    pub(crate) local_recipient: Option<String>,
    /// A file like /etc/aliases for those names.
    pub(crate) aliases: Option<PathBuf>,
    pub(crate) log: LogTo,
    /// In doubt, the caller is to try again.
    pub(crate) retry_in_doubt: bool,
    /// Deliver to those who are accepted if others are refused.
    pub(crate) partial: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rewrite_from: true,
            send_as: Vec::new(),
            local_recipient: None,
            aliases: None,
            log: LogTo::Nowhere,
            retry_in_doubt: false,
            partial: false,
        }
    }
}

/// Where the line about each message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LogTo {
    Nowhere,
    Syslog,
    File(PathBuf),
}

/// Takes a value, or says why not.
type Set = fn(&mut Settings, &str) -> Result<(), String>;

/// The keys of the command, and what each does with a value.
const OWN: &[(&str, Set)] = &[
    ("rewrite_from", |s, v| {
        s.rewrite_from = truth(v)?;
        Ok(())
    }),
    ("send_as", |s, v| {
        s.send_as = words(v).map(str::to_owned).collect();
        Ok(())
    }),
    ("local_recipient", |s, v| {
        s.local_recipient = Some(v.to_owned());
        Ok(())
    }),
    ("aliases", |s, v| {
        s.aliases = Some(v.into());
        Ok(())
    }),
    ("log", |s, v| {
        s.log = match v {
            "syslog" => LogTo::Syslog,
            "none" => LogTo::Nowhere,
            // A misspelt word must not become a file in whatever folder a job happens to run.
            path if path.contains('/') => LogTo::File(path.into()),
            _ => return Err("takes syslog, none, or a file with its path".into()),
        };
        Ok(())
    }),
    ("in_doubt", |s, v| {
        s.retry_in_doubt = match v {
            "retry" => true,
            "fail" => false,
            _ => return Err("takes fail or retry".into()),
        };
        Ok(())
    }),
    ("partial", |s, v| {
        s.partial = truth(v)?;
        Ok(())
    }),
];

fn truth(value: &str) -> Result<bool, String> {
    match value {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("takes true or false".into()),
    }
}

fn words(value: &str) -> impl Iterator<Item = &str> {
    value
        .split([',', ' ', '\t'])
        .filter(|word| !word.is_empty())
}

/// Settings from one place, all of the same strength.
struct Layer {
    settings: Vec<Setting>,
}

struct Setting {
    key: String,
    value: String,
    /// `/etc/exosend.conf:3`, `EXOSEND_SERVER`, `--set`: what somebody has to change.
    from: String,
}

impl Config {
    /// Reads the files and the environment. Nothing is known yet to be missing.
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        let mut layers = Vec::new();
        match &common.config {
            Some(path) => layers.push(from_file(path)?),
            None => {
                for path in usual_files() {
                    if may_be_there(&path) {
                        layers.push(from_file(&path)?);
                    }
                }
            }
        }
        layers.push(from_environment()?);
        let set = common.set.iter().map(|(key, value)| Setting {
            key: file::key(key),
            value: value.clone(),
            from: "--set".into(),
        });
        layers.push(Layer {
            settings: set.collect(),
        });
        Self::from_layers(layers)
    }

    fn from_layers(layers: Vec<Layer>) -> Result<Self, Failure> {
        let mut settings = Settings::default();
        let mut mailbox = String::new();
        let mut account_layers = Vec::new();
        let mut scratch = Account::new("");
        let mut origins = HashMap::new();
        for layer in layers {
            let mut account = Vec::new();
            for Setting { key, value, from } in layer.settings {
                let wrong = |what: String| Failure::config(format!("{from}: {key}: {what}"));
                if let Some((_, set)) = OWN.iter().find(|(own, _)| *own == key) {
                    set(&mut settings, &value).map_err(wrong)?;
                    continue;
                }
                let value = credentials_directory(value).map_err(wrong)?;
                scratch.set(&key, &value).map_err(|error| {
                    let what = error.to_string();
                    let what = what
                        .strip_prefix(&format!("account {key}: "))
                        .unwrap_or(&what);
                    wrong(what.to_owned())
                })?;
                origins.insert(key.clone(), from);
                if key == "mailbox" {
                    mailbox.clone_from(&value);
                }
                account.push((key, value));
            }
            account_layers.push(account);
        }
        Ok(Self {
            account: account_from_layers(&account_layers)?,
            mailbox,
            settings,
            origins,
        })
    }

    /// Names the line to change where the library can only name the key.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        if failure.error().map(exosend::Error::stage) != Some(Stage::Account) {
            return failure;
        }
        let named = failure.what().strip_prefix("account ");
        let Some((key, what)) = named.and_then(|named| named.split_once(": ")) else {
            return failure;
        };
        match self.origins.get(key) {
            Some(from) => {
                let what = format!("{from}: {key}: {what}");
                failure.with_what(what)
            }
            None => {
                let files = usual_files();
                let files: Vec<_> = files
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                let hint = format!(
                    "the configuration is read from {}, EXOSEND_* variables and --set",
                    files.join(", ")
                );
                failure.with_hint(hint)
            }
        }
    }
}

/// Until the library does it.
fn account_from_layers(layers: &[Vec<(String, String)>]) -> Result<Account, exosend::Error> {
    let mut account = Account::new("");
    for (key, value) in layers.iter().flatten() {
        account.set(key, value)?;
    }
    Ok(account)
}

/// The machine's, then the user's.
fn usual_files() -> Vec<PathBuf> {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let user = folder("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| folder("HOME").map(|home| Path::new(&home).join(".config")));
    let mut files = vec![PathBuf::from("/etc/exosend.conf")];
    files.extend(user.map(|folder| folder.join("exosend.conf")));
    files
}

/// A folder that must not be looked into counts as empty: under `sudo -u www-data`, HOME may be root's.
fn may_be_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn from_file(path: &Path) -> Result<Layer, Failure> {
    let unreadable = |error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::PermissionDenied => {
                "who sends mail has to be able to read it: chown root:mail, chmod 0640, and the sender in group mail"
            }
            _ => "",
        };
        let failure = Failure::config(format!("{}: cannot be read: {error}", path.display()));
        match hint {
            "" => failure,
            hint => failure.with_hint(hint),
        }
    };
    let text = std::fs::read(path).map_err(unreadable)?;
    let entries = file::parse(&text).map_err(|wrong| {
        Failure::config(format!("{}:{}: {}", path.display(), wrong.line, wrong.what))
    })?;
    let secret = |key: &str| matches!(key, "client_secret" | "access_token");
    if let Some(entry) = entries.iter().find(|entry| secret(&entry.key)) {
        warn_if_everybody_can_read(path, &entry.key);
    }
    let settings = entries.into_iter().map(|entry| Setting {
        key: entry.key,
        value: entry.value,
        from: format!("{}:{}", path.display(), entry.line),
    });
    Ok(Layer {
        settings: settings.collect(),
    })
}

fn warn_if_everybody_can_read(path: &Path, key: &str) {
    let mode = std::fs::metadata(path).map_or(0, |metadata| metadata.mode() & 0o7777);
    if mode & 0o004 != 0 {
        log::warn!(
            "{}: holds the {key} and everybody can read it (mode {mode:04o}): chmod 0640",
            path.display()
        );
    }
}

/// The `EXOSEND_*` variables.
fn from_environment() -> Result<Layer, Failure> {
    let mut settings = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("EXOSEND_")) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let value = value
            .into_string()
            .map_err(|_| Failure::config(format!("{name}: not UTF-8")))?;
        settings.push(Setting {
            key: file::key(name),
            value,
            from: name.to_owned(),
        });
    }
    Ok(Layer { settings })
}

/// systemd puts what `LoadCredential=` names into a folder that only the unit knows.
fn credentials_directory(value: String) -> Result<String, String> {
    const NAMES: [&str; 2] = ["$CREDENTIALS_DIRECTORY/", "${CREDENTIALS_DIRECTORY}/"];
    let Some(rest) = NAMES.iter().find_map(|name| value.strip_prefix(name)) else {
        return Ok(value);
    };
    match std::env::var("CREDENTIALS_DIRECTORY") {
        Ok(folder) if !folder.is_empty() => Ok(format!("{folder}/{rest}")),
        _ => Err(
            "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential="
                .into(),
        ),
    }
}
