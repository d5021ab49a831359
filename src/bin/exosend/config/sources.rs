//! Where settings come from: two files, the environment, and a default or two.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::common::Common;
use crate::config::{file, settings};
use crate::exit::Failure;

/// Settings from one place, all of the same strength.
pub(super) type Layer = Vec<Setting>;

pub(super) struct Setting {
    pub(super) key: String,
    /// It may be a secret.
    pub(super) value: Zeroizing<String>,
    /// `/etc/exosend.conf:3: server`, `EXOSEND_SERVER`, `--set server`: what somebody has to change.
    pub(super) from: String,
}

/// All of them, the weakest first.
pub(super) fn layers(common: &Common) -> Result<Vec<Layer>, Failure> {
    let mut layers = vec![default_cache()];
    match common.config.clone().or_else(|| variable(CONFIG)) {
        Some(path) => layers.push(from_file(&path)?),
        None => {
            for path in usual_files().iter().filter(|path| may_be_there(path)) {
                layers.push(from_file(path)?);
            }
        }
    }
    layers.push(from_environment()?);
    let set = common.set.iter().map(|(key, value)| Setting {
        key: file::key(key),
        value: value.clone().into(),
        from: format!("--set {key}"),
    });
    layers.push(set.collect());
    Ok(layers)
}

/// Where somebody may put what is missing.
pub(super) fn hint() -> String {
    let files = usual_files();
    let files: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
    let files = files.join(", ");
    format!("the configuration is read from {files}, EXOSEND_* variables and --set")
}

/// A variable that is set and not empty.
fn variable(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// The machine's, then the user's.
fn usual_files() -> Vec<PathBuf> {
    let user =
        variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let mut files = vec![PathBuf::from("/etc/exosend.conf")];
    files.extend(user.map(|folder| folder.join("exosend.conf")));
    files
}

/// The variable that stands for `--config` where callers add arguments of their own: it names a file, and is no key.
const CONFIG: &str = "EXOSEND_CONFIG";

/// A program that is started for each message would ask Entra for a token each time.
fn default_cache() -> Layer {
    // The owner of this process, as the kernel sees it: std has no geteuid.
    let root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let folder = match variable("XDG_CACHE_HOME") {
        Some(folder) => Some(folder),
        None if root => Some(PathBuf::from("/var/cache")),
        None => variable("HOME").map(|home| home.join(".cache")),
    };
    let Some(folder) = folder.map(|folder| folder.join("exosend")) else {
        return Vec::new();
    };
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    match (made, folder.join("tokens").into_os_string().into_string()) {
        (Ok(()), Ok(path)) => vec![Setting {
            key: "token_cache".into(),
            value: path.into(),
            from: "the default cache".into(),
        }],
        (Err(error), _) => {
            log::debug!("no token cache: {}: {error}", folder.display());
            Vec::new()
        }
        _ => Vec::new(),
    }
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
    let text = Zeroizing::new(std::fs::read(path).map_err(unreadable)?);
    let entries = file::parse(&text).map_err(|wrong| {
        Failure::config(format!("{}:{}: {}", path.display(), wrong.line, wrong.what))
    })?;
    let secret = |key: &str| matches!(key, "client_secret" | "access_token");
    if let Some(entry) = entries.iter().find(|entry| secret(&entry.key)) {
        warn_if_everybody_can_read(path, &entry.key);
    }
    let settings = entries.into_iter().map(|entry| Setting {
        from: format!("{}:{}: {}", path.display(), entry.line, entry.key),
        key: entry.key,
        value: entry.value.into(),
    });
    Ok(settings.collect())
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
        if value.is_empty() || name == CONFIG {
            continue;
        }
        let key = file::key(name);
        // Some other program's variable must not stop the mail.
        if let Some(what) = settings::unknown(&key) {
            log::warn!("{name}: {what}");
            continue;
        }
        let value = value
            .into_string()
            .map_err(|_| Failure::config(format!("{name}: not UTF-8")))?;
        settings.push(Setting {
            key,
            value: value.into(),
            from: name.to_owned(),
        });
    }
    Ok(settings)
}
