//! Into the queue: what a caller of sendmail waits for.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;

use rustix::process::{WaitOptions, wait};

use super::draft::Draft;
use super::fault;
use super::file::{LARGEST, MOST_RECIPIENTS, TOO_LONG, TOO_MANY};
use super::helper::another;
use super::spool::{self, Spool};
use crate::complete::identify;
use crate::exit::{self, Failure};
use crate::head::Head;
use crate::wishes::Wishes;

/// Takes a message. The header is mended as far as message and arguments alone allow, once and for all: every attempt has
/// the same Date and the same Message-ID, by which a duplicate can be known.
pub(crate) fn submit(
    spool: &Spool,
    wishes: &Wishes,
    mut head: Head,
    mut text: impl Read,
) -> Result<String, Failure> {
    if wishes.to.len() > MOST_RECIPIENTS {
        return Err(Failure::data(TOO_MANY));
    }
    // The first time. What is missing later, a run makes.
    if spool.own && !spool.is_there() {
        let failed = |error| Failure::disk(spool.root(), error);
        spool.make().map_err(failed)?;
    }
    let id = spool::new_id();
    head.remove_bcc();
    identify(&mut head, &format!("{id}@{}", spool::host()));
    let mut draft = Draft::begin(spool, &id, wishes)?;
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

/// Starts a run where nobody else does: in a user's own spool, and for who may on a machine without systemd.
pub(crate) fn start_run(spool: &Spool, arguments: &[OsString]) {
    let systemd = || Path::new("/run/systemd/system").exists();
    if !spool.own && (systemd() || !spool.may_steer()) || fault::is_test() {
        return;
    }
    // A long `-bs` starts many, and is not to keep those that have ended.
    while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
    // Out of reach of a Ctrl-C that is meant for the caller.
    if let Err(error) = another(arguments).process_group(0).spawn() {
        log::warn!("queued, but no run could be started: {error}");
    }
}
