//! What is wrong with a configuration before it is written, and where it is to be written.

use std::path::{Path, PathBuf};

use exosend::Account;
use zeroize::Zeroizing;

use crate::common::Common;
use crate::config::{Config, as_meant, settings, sources};
use crate::exit::Failure;

/// The file that is named; root's is the machine's, and another user's his own.
pub(crate) fn file_to_write(common: &Common) -> Result<PathBuf, Failure> {
    sources::file_to_write(common)
        .ok_or_else(|| Failure::config("no HOME to write to: --config FILE"))
}

/// Whether this is the machine's file.
pub(crate) fn is_machines(path: &Path) -> bool {
    path == Path::new(sources::MACHINES)
}

/// What `--set` and its like say.
pub(crate) fn arguments(common: &Common) -> Result<Vec<(String, Zeroizing<String>)>, Failure> {
    let layer = sources::from_arguments(&common.set)?;
    Ok(layer.into_iter().map(|set| (set.key, set.value)).collect())
}

/// What is wrong with one value, whatever the others are.
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
    let judged = account
        .set(key, as_meant(key, value))
        .and_then(|()| account.check());
    judged.err().map(|error| {
        let what = error.to_string();
        let what = what
            .split_once(": ")
            .map_or(what.as_str(), |(_, what)| what);
        what.to_owned()
    })
}

/// What is wrong with the text that this file is to have.
pub(crate) fn judge(path: &Path, text: &[u8]) -> Result<(), Failure> {
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

    /// Each line of it may be taken as it is.
    #[test]
    fn the_sample_has_every_key_with_a_value_that_it_takes() {
        let sample = include_str!("../share/exosend.conf");
        let lines = sample.lines().filter_map(|line| line.strip_prefix('#'));
        let lines: Vec<_> = lines.filter(|line| !line.starts_with(' ')).collect();
        let entries = parse(lines.join("\n").as_bytes()).unwrap();
        for entry in &entries {
            // Files that are on no machine yet.
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
