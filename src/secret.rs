//! Secrets, and the files that hold them.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use zeroize::{Zeroize, Zeroizing};

/// A text nobody gets to see: wiped when dropped, absent from `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Drop for Secret {
    fn drop(&mut self) {
        // Cleared first: zeroize wipes spare capacity as one block, but content byte by byte.
        self.0.clear();
        self.0.zeroize();
    }
}

impl Secret {
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself. The caller answers for where it goes.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A whole text file of at most `limit` bytes, wiped when dropped. The error begins with the path.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut bytes = open(path, 0)
        .and_then(|(file, found)| read(&file, &found, limit))
        .map_err(|e| format!("{}: {e}", path.display()))?;
    // The byte order mark that Windows' editors write.
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(..3);
    }
    Ok(bytes)
}

/// Opens a regular file for reading, and never waits: a pipe or a device is an error, even if it takes the file's place at
/// this moment. `flags` are added to those of open(2).
pub(crate) fn open(path: &Path, flags: i32) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(flags | libc::O_NONBLOCK);
    let file = options.open(path)?;
    let found = file.metadata()?;
    match found.is_file() {
        true => Ok((file, found)),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// The content of such a file, wiped when dropped.
pub(crate) fn read(file: &File, found: &Metadata, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    // Allocated at its full length: a vector that grows leaves copies of a secret behind.
    let length = found.len().min(limit).saturating_add(1);
    let room = usize::try_from(length).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        false => Ok(bytes),
        true => Err(io::Error::other(format!("longer than {limit} bytes"))),
    }
}

/// A file that holds one line of text and nothing else, which editors and `echo` end with a line break.
pub(crate) fn read_line(path: &Path, limit: u64) -> Result<Secret, String> {
    let bytes = read_file(path, limit)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| format!("{}: stream did not contain valid UTF-8", path.display()))?;
    Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_regular_file_is_read() {
        let read = |path: &str| read_file(Path::new(path), 10).map_err(|e| e.to_string());
        assert_eq!(
            read("/dev/zero").unwrap_err(),
            "/dev/zero: not a regular file"
        );
        assert_eq!(read("/").unwrap_err(), "/: not a regular file");
        assert!(
            read("/nowhere")
                .unwrap_err()
                .starts_with("/nowhere: No such file")
        );
        assert_eq!(
            read("Cargo.toml").unwrap_err(),
            "Cargo.toml: longer than 10 bytes"
        );
    }

    #[test]
    fn a_secret_cannot_be_printed() {
        let secret = Secret::new("hush".into());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
