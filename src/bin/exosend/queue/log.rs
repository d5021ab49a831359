//! One line in the log for each event of a message.
//!
//! `event=sent id=4f2a... exit=0 ... uid=33 from=robot@contoso.com to=ann@example.com ... text="250 2.0.0 OK"`: `event` is one
//! of `queued`, `sent`, `deferred`, `refused`, `possible_duplicate`, `failed`, `removed`, and without a message of `held`,
//! `foreign`, `digest`, `login`.

use std::cell::Cell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::file::Head;
use super::notices;
use super::spool::Spool;
use super::trouble::Trouble;
use crate::date::rfc3339;
use crate::exit::Failure;
use crate::maillog::{self, LogTo};
use crate::report::{self, Facts, Outcome};

/// How many foreign files one run reports: on a failing disk it may be all.
const MOST_FOREIGN: usize = 10;

#[derive(Clone)]
pub(crate) struct Log {
    spool: Spool,
    to: LogTo,
    /// Print it, too.
    shown: bool,
    foreign: Cell<usize>,
}

impl Log {
    pub(crate) fn new(spool: &Spool, to: LogTo, shown: bool) -> Self {
        Self {
            spool: spool.clone(),
            to,
            shown,
            foreign: Cell::new(0),
        }
    }

    /// A file in the spool that cannot be used, and its owner.
    pub(crate) fn foreign(&self, path: &Path, what: &str) {
        let before = self.foreign.replace(self.foreign.get() + 1);
        if before < MOST_FOREIGN {
            let uid = path
                .symlink_metadata()
                .map_or(-1, |found| i64::from(found.uid()));
            self.note(&format!(
                "event=foreign uid={uid} path={path:?} text={what:?}"
            ));
        }
    }

    pub(crate) fn note(&self, line: &str) {
        self.write(line, false);
    }

    pub(crate) fn write(&self, line: &str, failed: bool) {
        if self.shown {
            let _ = crate::out::say(line);
        }
        maillog::write(&self.to, line, failed);
    }

    pub(crate) fn event(
        &self,
        event: &str,
        id: &str,
        facts: &Facts,
        outcome: Option<&Outcome>,
        failure: Option<&Failure>,
    ) {
        let line = report::line(facts, outcome, failure);
        let failed = matches!(event, "failed" | "refused" | "possible_duplicate");
        self.write(&format!("event={event} id={id} {line}"), failed);
    }

    pub(crate) fn queued(&self, id: &str, uid: u32, head: Head, size: u64) {
        let facts = Facts {
            uid: Some(uid),
            to: head.addressing.to,
            size: Some(size),
            ..Facts::default()
        };
        let line = report::line(&facts, None, None);
        let written = rfc3339(head.created.wall());
        self.write(
            &format!("event=queued id={id} {line} written={written}"),
            false,
        );
    }

    /// A message is given up.
    pub(crate) fn failed(&self, id: &str, uid: u32, to: Vec<String>, why: &str) {
        let facts = Facts {
            uid: Some(uid),
            to,
            ..Facts::default()
        };
        let failure = Failure::new(crate::exit::UNAVAILABLE, why);
        self.give_up("failed", id, &facts, &failure);
    }

    /// Logs what is given up, a message or some of its recipients, and keeps it for the digest.
    pub(crate) fn give_up(&self, event: &str, id: &str, facts: &Facts, why: &Failure) {
        self.event(event, id, facts, None, Some(why));
        let uid = facts.uid.unwrap_or_default();
        let line = format!("{id} uid {uid} to {}: {}", shown(&facts.to), why.what());
        notices::add(&self.spool, &line);
    }

    /// Why nothing is sent, and how long. Without a `trouble`, the disk is the reason.
    pub(crate) fn held(
        &self,
        trouble: Option<Trouble>,
        wait: Duration,
        mailbox: &str,
        why: &Failure,
    ) {
        let (name, wait) = (trouble.map_or("disk", Trouble::name), wait.as_secs());
        let failed = trouble.is_none_or(Trouble::needs_a_person);
        let event = format!("held trouble={name} wait={wait}");
        self.failure(&event, mailbox, why, failed);
    }

    /// What is about no message.
    pub(super) fn failure(&self, event: &str, mailbox: &str, why: &Failure, failed: bool) {
        let facts = Facts {
            from: mailbox.to_owned(),
            ..Facts::default()
        };
        let line = report::line(&facts, None, Some(why));
        self.write(&format!("event={event} {line}"), failed);
    }
}

/// The first recipients, and how many more there are.
pub(super) fn shown(to: &[String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<_> = to.iter().take(MOST).cloned().collect();
    if to.len() > MOST {
        shown.push(format!("and {} more", to.len() - MOST));
    }
    shown.join(", ").replace(char::is_control, "?")
}
