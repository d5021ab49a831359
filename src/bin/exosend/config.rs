//! Where the settings come from, and which wins: the account for the library, the rest for the command.

pub(crate) mod file;
mod settings;
mod sources;

use std::collections::HashMap;

use exosend::{Account, Stage};
use zeroize::Zeroize;

use crate::common::Common;
use crate::exit::Failure;
use sources::{
    Layer, Setting, default_cache, from_environment, from_file, may_be_there, named_file,
    usual_files,
};

pub(crate) use settings::{LogTo, Settings};

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

impl Config {
    /// Reads the files and the environment. Nothing is known yet to be missing.
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        let mut layers = vec![default_cache()];
        match common.config.clone().or_else(named_file) {
            Some(path) => layers.push(from_file(&path)?),
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
            from: format!("--set {key}"),
        });
        layers.push(set.collect());
        Self::from_layers(layers)
    }

    fn from_layers(layers: Vec<Layer>) -> Result<Self, Failure> {
        let mut settings = Settings::default();
        let (mut mailbox, mut cache) = (String::new(), String::new());
        let mut origins = HashMap::new();
        let mut account_layers = Vec::new();
        // Takes each value on its own, so that a wrong one can be shown with its line.
        let mut scratch = Account::new("");
        for layer in layers {
            let mut account = Vec::new();
            for Setting { key, value, from } in layer {
                let wrong = |what: String| Failure::config(format!("{from}: {what}"));
                if let Some((_, set)) = settings::KEYS.iter().find(|(own, _)| *own == key) {
                    set(&mut settings, &value).map_err(wrong)?;
                    continue;
                }
                if let Some(what) = unknown(&key) {
                    return Err(wrong(what));
                }
                let value = credentials_directory(value).map_err(wrong)?;
                scratch.set(&key, &value).map_err(|error| {
                    let what = error.to_string();
                    let what = what.strip_prefix(&format!("account {key}: "));
                    wrong(what.map_or_else(|| error.to_string(), str::to_owned))
                })?;
                origins.insert(key.clone(), from);
                match key.as_str() {
                    "mailbox" => mailbox.clone_from(&value),
                    "token_cache" => cache.clone_from(&value),
                    _ => {}
                }
                account.push((key, value));
            }
            account_layers.push(account);
        }
        if cache == "none" {
            let layers = account_layers.iter_mut();
            layers.for_each(|layer| layer.retain(|(key, _)| key != "token_cache"));
        }
        let mut config = Self {
            account: Account::new(""),
            mailbox,
            settings,
            origins,
        };
        let layers = account_layers.iter().map(|layer: &Vec<(String, String)>| {
            let pairs = layer.iter();
            pairs.map(|(key, value)| (key.as_str(), value.as_str()))
        });
        let account = Account::from_layers(layers, true);
        // The account has its own copy of a secret, and wipes it.
        let values = account_layers.iter_mut().flatten();
        values.for_each(|(_, value)| value.zeroize());
        config.account = account.map_err(|error| config.blame(error.into()))?;
        Ok(config)
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
                let what = format!("{from}: {what}");
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

/// What to say about a key that is none.
fn unknown(key: &str) -> Option<String> {
    let own = settings::KEYS.iter().map(|(own, _)| *own);
    let known = Account::keys().chain(own).any(|known| known == key);
    (!known).then(|| format!("unknown key, did you mean `{}`?", nearest(key)))
}

/// The known key that a misspelt one is most like: the least letters to change, by Levenshtein.
fn nearest(key: &str) -> &'static str {
    let distance = |known: &str| {
        let mut row: Vec<usize> = (0..=known.len()).collect();
        for (i, a) in key.bytes().enumerate() {
            let mut last = i;
            let mut left = i + 1;
            for (cell, b) in row.iter_mut().skip(1).zip(known.bytes()) {
                left = (last + usize::from(a != b)).min(left + 1).min(*cell + 1);
                last = std::mem::replace(cell, left);
            }
        }
        row.last().copied().unwrap_or_default()
    };
    let own = settings::KEYS.iter().map(|(own, _)| *own);
    let known = Account::keys().chain(own);
    known
        .min_by_key(|known| distance(known))
        .unwrap_or_default()
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
