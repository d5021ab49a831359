//! What is kept for a person to read, and when something was last told: in `state`, which may be lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::clock::Moment;
use super::spool::{STATE, Spool};
use crate::files;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody reads more in a day, and one user's nonsense is not to fill the disk.
const LONGEST: usize = 64 * 1024;
/// Of what is said of one message.
const LONGEST_LINE: usize = 1000;

/// What is to be told.
fn told(spool: &Spool) -> PathBuf {
    spool.path(STATE).join("digest")
}

/// The file in `state` that says when a digest was last sent.
pub(super) const TIME: &str = "digested";

/// Keeps a line for the next one. The log has it, too.
pub(super) fn add(spool: &Spool, line: &str) {
    let line = line.replace(char::is_control, " ");
    let line: String = line.chars().take(LONGEST_LINE).chain(['\n']).collect();
    let _ = locked(spool).and_then(|mut file| {
        let length = file.seek(SeekFrom::End(0))?;
        match usize::try_from(length).unwrap_or(LONGEST) + line.len() <= LONGEST {
            true => file.write_all(line.as_bytes()),
            false => Ok(()),
        }
    });
}

/// What is to be told now.
pub(super) fn text(spool: &Spool) -> io::Result<String> {
    io::read_to_string(locked(spool)?)
}

/// It has been told; what was added meanwhile stays.
pub(super) fn done(spool: &Spool, text: &str) -> io::Result<()> {
    let file = locked(spool)?;
    let now = io::read_to_string(&file)?;
    let rest = now.strip_prefix(text).unwrap_or_default();
    file.write_all_at(rest.as_bytes(), 0)?;
    file.set_len(rest.len() as u64)
}

/// Other runs add to it.
fn locked(spool: &Spool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(told(spool))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Whether there is something to tell, and the last telling is a day ago.
pub(super) fn is_due(spool: &Spool) -> bool {
    let some = std::fs::metadata(told(spool)).is_ok_and(|digest| digest.len() > 0);
    some && is_a_day_ago(spool, TIME)
}

/// Whether what is told once a day has not been for as long. Its time is in `state`.
pub(super) fn is_a_day_ago(spool: &Spool, what: &str) -> bool {
    let last = files::read(&spool.path(STATE).join(what)).ok();
    let last = last.and_then(|last| Moment::parse(&last));
    let passed = last.and_then(|last| Moment::now().since(&last));
    passed.is_none_or(|passed| passed >= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_run_adds_while_one_tells_is_told_once() {
        let root = std::env::temp_dir().join(format!("exosend-told-{}", std::process::id()));
        let spool = Spool::new(&root, true);
        spool.make().unwrap();
        let adder = spool.clone();
        let lines = || (0..2000).map(|n| format!("line {n}"));
        let adds = std::thread::spawn(move || {
            for line in lines() {
                // More than fits is not kept.
                while std::fs::metadata(told(&adder)).is_ok_and(|told| told.len() > 10_000) {
                    std::thread::yield_now();
                }
                add(&adder, &line);
            }
        });
        let mut heard = String::new();
        loop {
            let ended = adds.is_finished();
            let now = text(&spool).unwrap();
            done(&spool, &now).unwrap();
            heard.push_str(&now);
            if ended && now.is_empty() {
                break;
            }
        }
        adds.join().unwrap();
        assert!(heard.lines().eq(lines()));
        std::fs::remove_dir_all(root).unwrap();
    }
}
