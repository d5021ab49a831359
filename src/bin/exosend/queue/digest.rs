//! What a person is told by mail, once a day at most: what was given up, and who was refused. Nothing of what the messages
//! say, and never about itself: it is not part of the queue, and what cannot be told today is told tomorrow.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use exosend::Message;
use rustix::fs::{FlockOperation, flock};

use super::clock::Moment;
use super::line::{Line, hold};
use super::spool::{self, FAILED, STATE, Spool};
use super::told::{self, TIME, is_due};
use super::trouble::{self, Trouble};
use crate::exit::Failure;
use crate::recipients::Recipients;

/// What this run tells, and no other that ends at the same time.
struct Digest {
    text: String,
    /// The time, locked.
    last: File,
}

impl Digest {
    /// It counts as told from now on: of a run that dies while it tells, the rest is heard tomorrow.
    fn take(spool: &Spool) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        let time = options.write(true).create(true).truncate(false);
        let last = time.open(spool.path(STATE).join(TIME))?;
        flock(&last, FlockOperation::NonBlockingLockExclusive)?;
        // Another run may have been quicker.
        if !is_due(spool) {
            return Ok(None);
        }
        let text = told::text(spool)?;
        let digest = Self { text, last };
        digest.mark(&Moment::now().to_string())?;
        Ok(Some(digest))
    }

    fn mark(&self, when: &str) -> io::Result<()> {
        self.last.set_len(0)?;
        self.last.write_all_at(when.as_bytes(), 0)
    }
}

/// Tells those who get the mail of local users. What is wrong with the mailbox, where that is why it cannot.
pub(super) fn send(spool: &Spool, line: &mut Line<'_>) -> Option<(Trouble, Failure)> {
    if !is_due(spool) {
        return None;
    }
    let to = Recipients::new(line.config, &line.here)
        .resolve(&["root".to_owned()])
        .ok()?;
    if !line.pace() {
        return None;
    }
    let digest = Digest::take(spool).ok()??;
    let message = to.iter().fold(Message::new(), Message::to);
    // One dead address among them is no reason for nobody to hear of it.
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
    let sent = line.session().and_then(|session| session.send(&message));
    let note = |what: String| line.log.note(&format!("event=digest text={what:?}"));
    let error = match sent {
        Ok(receipt) => {
            for refusal in receipt.refused() {
                note(format!("recipient {refusal}"));
            }
            let _ = told::done(spool, &digest.text);
            return None;
        }
        Err(error) => error,
    };
    note(error.to_string());
    match trouble::of(&error) {
        Some(trouble) => {
            let _ = digest.mark("");
            // The next run, in a minute, must not be the next login.
            let why = line.config.blame(error.into());
            hold(&line.governor, &line.log, trouble, &why);
            Some((trouble, why))
        }
        None => {
            // What was refused for good is told tomorrow, when somebody may have mended it.
            let _ = match (error.in_doubt(), error.is_permanent()) {
                (true, _) => told::done(spool, &digest.text),
                (_, true) => Ok(()),
                _ => digest.mark(""),
            };
            None
        }
    }
}
