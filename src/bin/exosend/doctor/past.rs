//! When a message was last accepted, by the log: a login that is refused after months has other reasons than one that never
//! succeeded. No file is kept for this, because the doctor's user is often not the one who sends.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::files;
use crate::maillog::LogTo;

/// `None` if there is no log, or no such message in it.
pub(super) fn worked_until(log: &LogTo) -> Option<String> {
    match log {
        LogTo::Nowhere => None,
        LogTo::Usual if !Path::new("/dev/log").exists() => None,
        LogTo::Usual | LogTo::Syslog => Some(
            "When it last worked: journalctl -t exosend | grep exit=0 | tail -1. If it did, look for what was taken away or \
             has expired since."
                .into(),
        ),
        LogTo::File(path) => {
            let time = last_success(path).ok()??;
            Some(format!(
                "It worked until {time} ({}): look for what was taken away or has expired since: the mailbox, its licence, \
                 a permission, the secret.",
                path.display()
            ))
        }
    }
}

/// The time of the last message that was accepted, from the end of the log.
fn last_success(path: &Path) -> std::io::Result<Option<String>> {
    const TAIL: u64 = 1024 * 1024;
    let (mut file, found) = files::open(path)?;
    let length = found.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    (&file).take(TAIL).read_to_end(&mut tail)?;
    let tail = String::from_utf8_lossy(&tail);
    let mut sent = tail.lines().rev().filter(|line| line.contains(" exit=0 "));
    Ok(sent.find_map(|line| line.split(' ').next().map(str::to_owned)))
}
