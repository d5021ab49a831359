//! What is configured: the account for the library, the rest for the command.

pub(crate) mod file;
mod settings;
mod sources;

use std::collections::HashMap;

use exosend::{Account, Stage};

use crate::common::Common;
use crate::exit::Failure;
use crate::process;
use sources::{Layer, Setting};

pub(crate) use settings::Settings;

/// What a file of tokens may become: where none may, a write would end the process.
const LONGEST_CACHE: u64 = 1024 * 1024;

/// Everything that is configured.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) account: Account,
    pub(crate) settings: Settings,
    /// Which line, variable or option set a key.
    origins: HashMap<String, String>,
}

impl Config {
    /// Reads the files and the environment. Nothing is known yet to be missing.
    pub(crate) fn load(common: &Common) -> Result<Self, Failure> {
        let mut layers = sources::layers(common)?;
        let mut settings = Settings::default();
        let mut origins = HashMap::new();
        for setting in layers.iter_mut().flatten() {
            setting
                .apply(&mut settings)
                .map_err(|what| Failure::config(format!("{}: {what}", setting.from)))?;
            origins.insert(setting.key.clone(), setting.from.clone());
        }
        let mut all = layers.iter().flatten();
        let cache = all.rfind(|setting| setting.key == "token_cache");
        let no_cache = cache.is_some_and(|setting| setting.value.as_str() == "none")
            || process::longest_file() < LONGEST_CACHE;
        for layer in &mut layers {
            layer.retain(|set| !(set.is_own() || set.key == "token_cache" && no_cache));
        }
        Ok(Self {
            account: account(&layers)?,
            settings,
            origins,
        })
    }

    /// Names the line to change where the library can only name the key.
    pub(crate) fn blame(&self, failure: Failure) -> Failure {
        match field(&failure).map(|field| self.origins.get(field)) {
            Some(Some(from)) => at(from, failure),
            Some(None) => failure.with_hint(sources::hint()),
            None => failure,
        }
    }
}

impl Setting {
    /// Takes what is the command's, and makes the rest what the library takes.
    fn apply(&mut self, settings: &mut Settings) -> Result<(), String> {
        if let Some(set) = settings::setter(&self.key) {
            return set(settings, &self.value);
        }
        if let Some(what) = settings::unknown(&self.key) {
            return Err(what);
        }
        self.value = in_credentials_directory(&self.value)?.into();
        Ok(())
    }

    fn is_own(&self) -> bool {
        settings::setter(&self.key).is_some()
    }
}

/// The account of all layers. A value that its key does not take is named with its place, in a weaker layer too.
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

/// The key of the account that is wrong, if that is why.
fn field(failure: &Failure) -> Option<&str> {
    let error = failure.error()?;
    error.field().filter(|_| error.stage() == Stage::Account)
}

/// The same failure, beginning with the place to change instead of the key.
fn at(from: &str, failure: Failure) -> Failure {
    let key = field(&failure).unwrap_or_default();
    let what = failure.what();
    let what = what
        .strip_prefix(&format!("{} {key}: ", Stage::Account))
        .unwrap_or(what);
    let what = format!("{from}: {what}");
    failure.with_what(what)
}

/// systemd puts what `LoadCredential=` names into a folder that only the unit knows.
fn in_credentials_directory(value: &str) -> Result<String, String> {
    const NAMES: [&str; 2] = ["$CREDENTIALS_DIRECTORY/", "${CREDENTIALS_DIRECTORY}/"];
    let Some(rest) = NAMES.iter().find_map(|name| value.strip_prefix(name)) else {
        return Ok(value.to_owned());
    };
    match std::env::var("CREDENTIALS_DIRECTORY") {
        Ok(folder) if !folder.is_empty() => Ok(format!("{folder}/{rest}")),
        _ => Err(
            "CREDENTIALS_DIRECTORY is not set: systemd sets it for a unit with LoadCredential="
                .into(),
        ),
    }
}
