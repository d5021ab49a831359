//! `exosend queue show|hold|release|remove`, for root and the owner of the spool.

use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::file;
use super::spool::{DROP, FAILED, HELD, Name, QUEUE, Spool};
use super::state::State;
use crate::exit::{self, Failure};
use crate::out::say;

/// Finds a message by its id, or by the beginning of it.
fn find(spool: &Spool, id: &str) -> Result<(&'static str, Name, PathBuf), Failure> {
    // As from a variable that is not set. Every id begins with it, so a queue of one message would lose that one.
    if id.is_empty() {
        return Err(Failure::usage("an id, or what it begins with, is empty"));
    }
    let mut found = Vec::new();
    for folder in [DROP, QUEUE, HELD, FAILED] {
        let path = spool.path(folder);
        for name in spool
            .names(&path)
            .map_err(|error| Failure::disk(spool.root(), error))?
        {
            if name.id.starts_with(id) {
                let path = path.join(name.to_string());
                if folder != DROP || is_complete(&path) {
                    found.push((folder, name, path));
                }
            }
        }
    }
    match (found.pop(), found.len()) {
        (Some(found), 0) => Ok(found),
        (Some(_), more) => Err(Failure::usage(format!(
            "{id}: {} messages begin so",
            more + 1
        ))),
        (None, _) => {
            let what = format!("{id}: no such message in the queue, or one that is being sent");
            Err(Failure::new(exit::NO_INPUT, what))
        }
    }
}

fn is_complete(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_file() && file::is_committed(found.mode()))
}

/// The same for a message that is to be moved. One in `drop` is moved by a run only, which checks it.
fn taken_over(spool: &Spool, id: &str) -> Result<(&'static str, Name, PathBuf), Failure> {
    let found = find(spool, id)?;
    match found.0 == DROP {
        true => {
            let what = format!("{id}: not taken over yet");
            Err(Failure::new(exit::TRY_AGAIN, what).with_hint("exosend queue run"))
        }
        false => Ok(found),
    }
}

/// Prints the message's file.
pub(super) fn show(spool: &Spool, id: &str) -> Result<(), Failure> {
    let (_, _, path) = find(spool, id)?;
    let text = file::raw(&path).map_err(|error| Failure::disk(&path, error))?;
    if !std::io::stdout().is_terminal() {
        let mut out = std::io::stdout().lock();
        return std::io::Write::write_all(&mut out, &text)
            .map_err(|error| Failure::new(exit::TRY_AGAIN, format!("stdout: {error}")));
    }
    // Another user wrote it: escape sequences in it must not reach root's terminal.
    let text = String::from_utf8_lossy(&text).replace("\r\n", "\n");
    say(&text.replace(|c: char| c.is_control() && !"\n\t".contains(c), "?"))
}

pub(super) fn hold(spool: &Spool, ids: &[&str]) -> Result<(), Failure> {
    for id in ids {
        let (folder, name, path) = taken_over(spool, id)?;
        if folder == QUEUE {
            put(spool, &path, &name, HELD)?;
        }
    }
    Ok(())
}

/// Lets a message that was held or given up be sent. One that was given up counts as new, for the recipients that are left.
pub(super) fn release(spool: &Spool, ids: &[&str]) -> Result<(), Failure> {
    for id in ids {
        let (folder, mut name, path) = taken_over(spool, id)?;
        if folder == FAILED {
            name.doubts = 0;
        }
        if folder != QUEUE {
            put(spool, &path, &name, QUEUE)?;
        }
    }
    Ok(())
}

fn put(spool: &Spool, path: &Path, name: &Name, folder: &str) -> Result<(), Failure> {
    let put = spool.put(path, name, folder).map(drop);
    put.map_err(|error| Failure::disk(spool.root(), error))
}

pub(super) fn remove(spool: &Spool, ids: &[&str]) -> Result<(), Failure> {
    for id in ids {
        let (_, name, path) = find(spool, id)?;
        std::fs::remove_file(path).map_err(|error| Failure::disk(spool.root(), error))?;
        State::forget(spool, &name.id);
    }
    Ok(())
}
