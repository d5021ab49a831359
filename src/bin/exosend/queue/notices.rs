//! The lines of the next digest, and when it was sent last. Both are files in `state`, which may be lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::clock::Moment;
use super::spool::{STATE, Spool};
use crate::files;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What does not fit is left to the log: a user with many bad messages must not fill the disk.
const LONGEST: usize = 64 * 1024;
const LONGEST_LINE: usize = 1000;

fn file(spool: &Spool) -> PathBuf {
    spool.path(STATE).join("digest")
}

/// The file that says when the last digest was sent.
pub(super) const TIME: &str = "digested";

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

pub(super) fn text(spool: &Spool) -> io::Result<String> {
    read(&locked(spool)?)
}

fn read(file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.take(LONGEST as u64).read_to_string(&mut text)?;
    Ok(text)
}

/// Removes a text that was sent, and keeps what was added meanwhile.
pub(super) fn remove(spool: &Spool, text: &str) -> io::Result<()> {
    let file = locked(spool)?;
    let now = read(&file)?;
    let rest = now.strip_prefix(text).unwrap_or_default();
    file.write_all_at(rest.as_bytes(), 0)?;
    file.set_len(rest.len() as u64)
}

fn locked(spool: &Spool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(file(spool))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Whether there is a line, and the last digest was sent a day ago.
pub(super) fn is_due(spool: &Spool) -> bool {
    let some = std::fs::metadata(file(spool)).is_ok_and(|digest| digest.len() > 0);
    some && is_a_day_ago(spool, TIME)
}

/// `true` once a day; a file in `state` keeps when it last was.
pub(super) fn once_a_day(spool: &Spool, what: &str) -> bool {
    let due = is_a_day_ago(spool, what);
    if due {
        let mark = files::create(&spool.path(STATE).join(what));
        let _ = mark.and_then(|mut mark| write!(mark, "{}", Moment::now()));
    }
    due
}

/// Whether the time in a file in `state` is a day ago, or not known.
fn is_a_day_ago(spool: &Spool, what: &str) -> bool {
    let last = files::read(&spool.path(STATE).join(what)).ok();
    let last = last.and_then(|last| Moment::parse(&last));
    let passed = last.and_then(|last| Moment::now().since(&last));
    passed.is_none_or(|passed| passed >= DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_another_run_adds_meanwhile_is_sent_once() {
        let root = std::env::temp_dir().join(format!("exosend-notices-{}", std::process::id()));
        let spool = Spool::new(&root, true);
        spool.make().unwrap();
        let adder = spool.clone();
        let lines = || (0..2000).map(|n| format!("line {n}"));
        let adds = std::thread::spawn(move || {
            for line in lines() {
                // More than fits is not kept.
                while std::fs::metadata(file(&adder)).is_ok_and(|file| file.len() > 10_000) {
                    std::thread::yield_now();
                }
                add(&adder, &line);
            }
        });
        let mut sent = String::new();
        loop {
            let ended = adds.is_finished();
            let now = text(&spool).unwrap();
            remove(&spool, &now).unwrap();
            sent.push_str(&now);
            if ended && now.is_empty() {
                break;
            }
        }
        adds.join().unwrap();
        assert!(sent.lines().eq(lines()));
        std::fs::remove_dir_all(root).unwrap();
    }
}
