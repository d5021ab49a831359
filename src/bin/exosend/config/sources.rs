//! The sources of settings: files, the environment, arguments, and some defaults.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Once;

use zeroize::Zeroizing;

use crate::common::Common;
use crate::config::settings::{self, SPOOL};
use crate::exit::{self, Failure};
use crate::file;
use crate::files::{self, Unread};
use crate::process;

/// Settings of one source.
pub(super) type Layer = Vec<Setting>;

pub(super) struct Setting {
    pub(super) key: String,
    /// It may be a secret.
    pub(super) value: Zeroizing<String>,
    /// `/etc/exosend.conf:3: server`, `EXOSEND_SERVER`, `--set server`.
    pub(super) from: String,
}

/// The layers of all sources, the weakest first.
pub(super) fn layers(common: &Common, cache: Option<&Path>) -> Result<Vec<Layer>, Failure> {
    let cache = cache.map(Path::to_owned).or_else(default_cache);
    let mut layers = vec![cache.and_then(cache_at).into_iter().collect()];
    // Files that exist and are not read, and why. Not an error yet: a user who cannot read the machine's may have his own.
    let mut unread = Vec::new();
    match common.config.clone().or_else(|| variable(CONFIG)) {
        Some(path) if path == Path::new("/dev/null") => {}
        Some(path) => layers.push(from_file(&path)?.map_err(left_out)?),
        None => {
            for path in usual_files().iter().filter(|path| may_be_there(path)) {
                match from_file(path)? {
                    Ok(layer) => layers.push(layer),
                    Err(why) => unread.push((path.clone(), why)),
                }
            }
        }
    }
    layers.push(from_environment()?);
    layers.push(from_arguments(&common.set)?);
    let mut known = layers.iter().flatten();
    let enough = known.any(|setting| setting.key == "mailbox");
    for (path, why) in unread {
        match enough {
            false => return Err(left_out(why)),
            true if why.denied && path == Path::new(MACHINES) => log::debug!("{}", why.what),
            true => log::warn!("{}", why.what),
        }
    }
    Ok(layers)
}

/// Whether one of the keys that the caller sets, in his own file, the environment or arguments, `counts`. For callers who
/// cannot read the machine's file.
pub(super) fn own_keys(common: &Common, counts: impl Fn(&str) -> bool) -> bool {
    let files = match common.config.clone().or_else(|| variable(CONFIG)) {
        Some(path) => vec![path],
        None => usual_files().split_off(1),
    };
    let files = files.iter().filter_map(|path| from_file(path).ok()?.ok());
    let others = [from_environment(), from_arguments(&common.set)];
    let mut own = files.chain(others.into_iter().flatten()).flatten();
    own.any(|setting| counts(&setting.key))
}

/// The failure if no other source names a mailbox.
fn left_out(why: Unread) -> Failure {
    let failure = Failure::config(why.what);
    match why.denied {
        // With a queue, callers need not read the configuration, and the secret in it.
        true if Path::new(SPOOL).exists() => {
            failure.with_hint("root and the queue's owner may: `exosend send --queue`, or sudo")
        }
        true => failure.with_hint(format!(
            "the user who sends has to be able to read it: chown root:exosend, chmod 0640, adduser {} exosend, \
             and restart what sends",
            process::user().unwrap_or_else(|| process::uid().to_string())
        )),
        false => failure,
    }
}

/// Where a missing key can be set.
pub(super) fn hint() -> String {
    let files = variable(CONFIG).map_or_else(usual_files, |file| vec![file]);
    let files: Vec<_> = files.iter().map(|path| path.to_string_lossy()).collect();
    let files = files.join(", ");
    format!("the configuration is read from {files}, EXOSEND_* variables and --set")
}

/// A variable that is set and not empty.
pub(super) fn variable(name: impl AsRef<OsStr>) -> Option<PathBuf> {
    let value = std::env::var_os(name).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// A folder that a variable names. A relative one counts as not set (XDG Base Directory Specification, "Basics").
fn folder(name: &str) -> Option<PathBuf> {
    variable(name).filter(|folder| folder.is_absolute())
}

/// Azure's variables for credentials.
pub(super) const AZURE: [&str; 3] = [
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
];

/// The origin of a `token_cache` that is not configured.
pub(super) const DEFAULT_CACHE: &str = "the default cache";

/// The origin of a `login_file` that is not configured.
pub(super) const USUAL_LOGIN: &str = "the usual login_file";

/// The machine's file.
pub(crate) const MACHINES: &str = "/etc/exosend.conf";

/// The machine's, then the user's.
fn usual_files() -> Vec<PathBuf> {
    let user = folder("XDG_CONFIG_HOME").or_else(|| home().map(|home| home.join(".config")));
    let mut files = vec![PathBuf::from(MACHINES)];
    files.extend(user.map(|folder| folder.join("exosend.conf")));
    files
}

/// The file that `configure` writes: the one that is named, for root the machine's, for another user his own.
pub(super) fn file_to_write(common: &Common) -> Option<PathBuf> {
    let named = common.config.clone().or_else(|| variable(CONFIG));
    let own = usize::from(process::uid() != 0);
    named.or_else(|| usual_files().into_iter().nth(own))
}

/// The home of a person. That of a user like www-data may be shown by a web server, or written to by its visitors.
fn home() -> Option<PathBuf> {
    let home = folder("HOME")?;
    if !process::is_system_user() {
        return Some(home);
    }
    // Called more than once, but warns once.
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let there = home.join(".config/exosend.conf");
        if may_be_there(&there) {
            let there = there.display();
            log::warn!(
                "{there}: not read, because it is in a system user's home: name it by {CONFIG}"
            );
        }
    });
    None
}

/// The variable that names another file, like `--config`, for programs that call sendmail. It is not a key.
const CONFIG: &str = "EXOSEND_CONFIG";

/// A cache by default, because a program that is started for each message would ask Entra for a token each time.
fn default_cache() -> Option<PathBuf> {
    let folder = cache_folder()?;
    let mut maker = DirBuilder::new();
    match maker.recursive(true).mode(0o700).create(&folder) {
        Ok(()) => Some(folder.join("tokens")),
        Err(error) => {
            log::debug!("no token cache: {}: {error}", folder.display());
            None
        }
    }
}

fn cache_at(path: PathBuf) -> Option<Setting> {
    Some(Setting {
        key: "token_cache".into(),
        value: path.into_os_string().into_string().ok()?.into(),
        from: DEFAULT_CACHE.into(),
    })
}

pub(super) fn cache_folder() -> Option<PathBuf> {
    let folder = match folder("XDG_CACHE_HOME") {
        Some(folder) => folder,
        None if process::uid() == 0 => PathBuf::from("/var/cache"),
        None if process::is_system_user() => return None,
        None => folder("HOME")?.join(".cache"),
    };
    Some(folder.join("exosend"))
}

/// A folder that cannot be searched counts as empty: under `sudo -u www-data`, HOME may be root's.
fn may_be_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The settings of a file, or why it is not read. Fails for a wrong line in it.
fn from_file(path: &Path) -> Result<Result<Layer, Unread>, Failure> {
    let (text, mode) = match files::read_trusted(path) {
        Ok(read) => read,
        Err(mut why) => {
            why.what = exit::file(path, why.what);
            return Ok(Err(why));
        }
    };
    let layer = from_text(path, &text)?;
    let secret = |key: &str| matches!(key, "client_secret" | "access_token");
    let secret = layer.iter().find(|setting| secret(&setting.key));
    if let Some(entry) = secret.filter(|_| mode & 0o004 != 0) {
        log::warn!(
            "{}: holds the {} and everybody can read it (mode {mode:04o}): chmod 0640",
            path.display(),
            entry.key
        );
    }
    Ok(Ok(layer))
}

pub(super) fn from_text(path: &Path, text: &[u8]) -> Result<Layer, Failure> {
    let entries = file::parse(text).map_err(|wrong| {
        let file::Wrong { line, what } = wrong;
        Failure::config(format!("{}:{line}: {what}", path.display()))
    })?;
    let settings = entries.into_iter().map(|entry| Setting {
        from: format!("{}:{}: {}", path.display(), entry.line, entry.key),
        key: entry.key,
        value: entry.value,
    });
    Ok(settings.collect())
}

/// The settings of `--set`.
pub(super) fn from_arguments(set: &[(String, String)]) -> Result<Layer, Failure> {
    let setting = |(key, value): &(String, String)| {
        let key = file::key(key);
        // Other users can read the arguments of a process.
        if matches!(key.as_str(), "client_secret" | "access_token") {
            let what =
                format!("--set {key}: others can read arguments, so no secret is taken from them");
            let hint = format!("EXOSEND_{} in the environment", key.to_ascii_uppercase());
            return Err(Failure::usage(what).with_hint(hint));
        }
        Ok(Setting {
            from: format!("--set {key}"),
            value: value.clone().into(),
            key,
        })
    };
    set.iter().map(setting).collect()
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
        // Not an error: it may be another program's variable.
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
