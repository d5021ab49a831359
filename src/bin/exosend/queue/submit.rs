//! The caller's part of the queue: writes a message into `drop`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{WaitOptions, wait};

use super::draft::Draft;
use super::fault;
use super::file::{LARGEST, MOST_RECIPIENTS, TOO_LONG, TOO_MANY};
use super::helper::another;
use super::spool::{self, Spool};
use crate::addressing::Addressing;
use crate::complete::identify;
use crate::exit::{self, Failure};
use crate::flow::Source;
use crate::head::Head;

/// Queues a message, and returns its id. Date and Message-ID are added here and not by an attempt, so that they are the
/// same in every attempt and a duplicate can be recognised.
pub(crate) fn submit(
    spool: &Spool,
    addressing: &Addressing,
    mut head: Head,
    text: &mut dyn Source,
) -> Result<String, Failure> {
    if addressing.to.len() > MOST_RECIPIENTS {
        return Err(Failure::data(TOO_MANY));
    }
    // The first message makes a user's spool. Folders that are missing later are made by a run.
    if spool.own && !spool.is_there() {
        let failed = |error| Failure::disk(spool.root(), error);
        spool.make().map_err(failed)?;
    }
    let id = spool::new_id();
    head.remove_bcc();
    identify(&mut head, &format!("{id}@{}", spool::host()));
    let mut draft = Draft::begin(spool, &id, addressing)?;
    draft.write(&head.text())?;
    let (mut block, mut length) = (vec![0; 64 * 1024], 0);
    loop {
        match text.read(&mut block) {
            Ok(0) => break,
            Ok(n) => {
                length += n as u64;
                if length > LARGEST {
                    return Err(Failure::data(format!("the message is {TOO_LONG}")));
                }
                draft.write(block.get(..n).unwrap_or_default())?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Failure::new(exit::NO_INPUT, format!("stdin: {error}"))),
        }
    }
    draft.commit()?;
    if spool.is_deserted() {
        log::warn!(
            "queued, but nobody has sent from {} for a day: exosend doctor",
            spool.root().display()
        );
    }
    Ok(id)
}

/// Starts a run where no unit of systemd does: in a user's own spool, and by root or its owner on a machine without systemd.
pub(crate) fn start_run(spool: &Spool, arguments: &[OsString]) {
    let systemd = || Path::new("/run/systemd/system").exists();
    if !spool.own && (systemd() || !spool.may_manage()) || fault::is_test() {
        return;
    }
    // A long `-bs` starts many: reap those that have ended.
    while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
    // A process group of its own, so that Ctrl-C ends the caller only.
    if let Err(error) = another(arguments).process_group(0).spawn() {
        log::warn!("queued, but no run could be started: {error}");
    }
}
