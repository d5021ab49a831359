//! A mail to the administrator, once a day at most: which messages were given up, and which recipients refused. It quotes
//! no message. It does not go through the queue, so it never reports itself; if it fails, it is sent the next day.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use exosend::Message;
use rustix::fs::{FlockOperation, flock};

use super::clock::Moment;
use super::connection::{Connection, hold};
use super::notices::{self, TIME, is_due};
use super::spool::{self, FAILED, STATE, Spool};
use super::trouble::{self, Trouble};
use crate::exit::Failure;
use crate::recipients::Recipients;

struct Digest {
    text: String,
    /// The file with the time of the last digest. This run has locked it, so that no other sends one.
    last: File,
}

impl Digest {
    /// Counts as sent from now on: if this run dies meanwhile, the next digest comes in a day.
    fn take(spool: &Spool) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let time = options.write(true).create(true).truncate(false);
        let last = time.open(spool.path(STATE).join(TIME))?;
        flock(&last, FlockOperation::NonBlockingLockExclusive)?;
        // Another run may have sent it before this one had the lock.
        if !is_due(spool) {
            return Ok(None);
        }
        let text = notices::text(spool)?;
        let digest = Self { text, last };
        digest.mark(&Moment::now().to_string())?;
        Ok(Some(digest))
    }

    fn mark(&self, when: &str) -> io::Result<()> {
        self.last.set_len(0)?;
        self.last.write_all_at(when.as_bytes(), 0)
    }
}

/// Sends it to whoever gets root's mail. Returns what is wrong with the mailbox, if that is why it failed.
pub(super) fn send(spool: &Spool, connection: &mut Connection<'_>) -> Option<(Trouble, Failure)> {
    if !is_due(spool) {
        return None;
    }
    let to = Recipients::new(connection.config, &connection.here)
        .resolve(&["root".to_owned()])
        .ok()?;
    if !connection.pace() {
        return None;
    }
    let digest = Digest::take(spool).ok()??;
    let message = to.iter().fold(Message::new(), Message::to);
    // Partial, so that one dead address does not keep it from the others.
    let message = message
        .partial(true)
        .subject(format!("exosend on {}: mail that was not delivered", spool::host()))
        .header("Auto-Submitted", "auto-generated")
        .text(format!(
            "These messages, or some of their recipients, were given up. What is left of them is in {}:\n\
             sudo exosend queue\n\n{}",
            spool.path(FAILED).display(),
            digest.text
        ));
    let sent = connection
        .session()
        .and_then(|session| session.send(&message));
    let note = |what: String| connection.log.note(&format!("event=digest text={what:?}"));
    let error = match sent {
        Ok(receipt) => {
            for refusal in receipt.refused() {
                note(format!("recipient {refusal}"));
            }
            let _ = notices::remove(spool, &digest.text);
            return None;
        }
        Err(error) => error,
    };
    note(error.to_string());
    match trouble::of(&error) {
        Some(trouble) => {
            let _ = digest.mark("");
            // Or the next run, in a minute, would log in again.
            let why = connection.config.blame(error.into());
            hold(&connection.governor, &connection.log, trouble, &why);
            Some((trouble, why))
        }
        None => {
            // After a permanent refusal it is tried again in a day, when somebody may have mended the cause.
            let _ = match (error.in_doubt(), error.is_permanent()) {
                (true, _) => notices::remove(spool, &digest.text),
                (_, true) => Ok(()),
                _ => digest.mark(""),
            };
            None
        }
    }
}
