//! Into the queue: what a caller of sendmail waits for.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use rustix::process::{WaitOptions, wait};

use super::fault;
use super::file::Draft;
use super::spool::{self, Spool};
use crate::date;
use crate::exit::{self, Failure};
use crate::head::Head;
use crate::wishes::Wishes;

/// Takes a message. The header is mended as far as message and arguments alone allow, once and for all: every attempt has
/// the same Date and the same Message-ID, by which a duplicate can be known.
pub(crate) fn submit(
    spool: &Spool,
    wishes: &Wishes,
    mut head: Head,
    start: &[u8],
    rest: Option<&File>,
) -> Result<String, Failure> {
    if spool.own {
        let disk = |error| Failure::new(exit::TRY_AGAIN, exit::file(spool.root(), error));
        spool.make().map_err(disk)?;
    }
    let id = spool::new_id();
    finish(&mut head, &id);
    let mut draft = Draft::begin(spool, &id, wishes)?;
    draft.write(&head.text())?;
    draft.write(start)?;
    if let Some(mut rest) = rest {
        let mut block = vec![0; 64 * 1024];
        loop {
            match rest.read(&mut block) {
                Ok(0) => break,
                Ok(n) => draft.write(block.get(..n).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::new(exit::NO_INPUT, format!("stdin: {error}"))),
            }
        }
    }
    let id = draft.commit()?;
    if spool.is_deserted() {
        log::warn!(
            "queued, but nobody has sent from {} for a day: exosend doctor",
            spool.root().display()
        );
    }
    Ok(id)
}

fn finish(head: &mut Head, id: &str) {
    head.remove_bcc();
    let id = format!("<{id}@{}>", spool::host());
    for (name, value) in [
        ("Date", date::rfc5322(SystemTime::now())),
        ("Message-ID", id),
    ] {
        if head.get(name).is_none_or(|value| value.trim().is_empty()) {
            head.remove(name);
            head.add(name, &value);
        }
    }
}

/// Starts a run where nobody else does: in a user's own spool, and for who may on a machine without systemd.
pub(crate) fn start_run(spool: &Spool, arguments: &[std::ffi::OsString]) {
    let systemd = Path::new("/run/systemd/system").exists();
    let may = spool::whoami() == 0 || spool.is_mine();
    if !spool.own && (systemd || !may) || fault::is_test() {
        return;
    }
    // A long `-bs` starts many, and is not to keep those that have ended.
    while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
    let program = std::env::current_exe().unwrap_or_else(|_| "exosend".into());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Out of reach of a Ctrl-C that is meant for the caller.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    if let Err(error) = command.spawn() {
        log::warn!("queued, but no run could be started: {error}");
    }
}
