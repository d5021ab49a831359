//! Checks a configuration before `configure` writes it, and finds the file to write.

use std::path::{Path, PathBuf};

use exosend::Account;
use zeroize::Zeroizing;

use crate::common::Common;
use crate::config::{Config, normalised, settings, sources};
use crate::exit::Failure;

pub(crate) fn file_to_write(common: &Common) -> Result<PathBuf, Failure> {
    sources::file_to_write(common)
        .ok_or_else(|| Failure::config("no HOME to write to: --config FILE"))
}

/// Whether this is the machine's file.
pub(crate) fn is_machines(path: &Path) -> bool {
    path == Path::new(sources::MACHINES)
}

/// The settings of `--set` and of `configure`'s own options.
pub(crate) fn arguments(common: &Common) -> Result<Vec<(String, Zeroizing<String>)>, Failure> {
    let layer = sources::from_arguments(&common.set)?;
    Ok(layer.into_iter().map(|set| (set.key, set.value)).collect())
}

/// What is wrong with one value, independent of the others.
pub(crate) fn wrong(key: &str, value: &str) -> Option<String> {
    if let Some(set) = settings::setter(key) {
        return set(&mut settings::Settings::default(), value).err();
    }
    if let Some(what) = settings::unknown(key) {
        return Some(what);
    }
    let mut account = Account::new("robot@contoso.com")
        .tenant("-")
        .client_id("-")
        .access_token("-");
    let checked = account
        .set(key, normalised(key, value))
        .and_then(|()| account.check());
    checked.err().map(|error| {
        let what = error.to_string();
        let what = what
            .split_once(": ")
            .map_or(what.as_str(), |(_, what)| what);
        what.to_owned()
    })
}

/// Checks the text of a file that is to be written.
pub(crate) fn file(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let config = Config::of(vec![sources::from_text(path, text)?])?;
    config
        .account
        .check()
        .map_err(|error| config.blame(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::parse;

    #[test]
    fn the_sample_has_every_key_with_a_value_that_it_takes() {
        let sample = include_str!("../share/exosend.conf");
        let lines = sample.lines().filter_map(|line| line.strip_prefix('#'));
        let lines: Vec<_> = lines.filter(|line| !line.starts_with(' ')).collect();
        let entries = parse(lines.join("\n").as_bytes()).unwrap();
        for entry in &entries {
            // Values that are files do not exist here.
            if !entry.value.starts_with('/') {
                assert_eq!(wrong(&entry.key, &entry.value), None, "{}", entry.key);
            }
        }
        let mut told: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let mut keys: Vec<_> = Account::keys().chain(settings::keys()).collect();
        told.sort_unstable();
        keys.sort_unstable();
        assert_eq!(told, keys);
        assert!(parse(sample.as_bytes()).unwrap().is_empty());
    }
}
