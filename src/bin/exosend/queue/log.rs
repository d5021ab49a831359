//! One line in the log for each thing that happens to a message.
//!
//! `event=sent id=4f2a... exit=0 ... uid=33 from=robot@contoso.com to=ann@example.com ... text="250 2.0.0 OK"`: `event` is one
//! of `queued`, `sent`, `deferred`, `refused`, `possible_duplicate`, `failed`, `removed`, and without a message of `held`,
//! `foreign`, `digest`, `login`.

use std::cell::Cell;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::clock::Moment;
use super::file::Head;
use super::spool::{STATE, Spool};
use super::told;
use super::trouble::Trouble;
use crate::date::rfc3339;
use crate::exit::Failure;
use crate::files;
use crate::maillog::{self, LogTo};
use crate::report::{self, Facts, Outcome};

/// Foreign things that one run tells of.
const TOLD: usize = 10;

#[derive(Clone)]
pub(crate) struct Log {
    spool: Spool,
    to: LogTo,
    /// On a terminal people want to see what happens.
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

    /// A file that should not be, and whose it is. Some of them only: on a sick disk it may be all.
    pub(crate) fn foreign(&self, path: &Path, what: &str) {
        let told = self.foreign.replace(self.foreign.get() + 1);
        if told < TOLD {
            let uid = path
                .symlink_metadata()
                .map_or(-1, |found| i64::from(found.uid()));
            self.note(&format!(
                "event=foreign uid={uid} path={path:?} text={what:?}"
            ));
        }
    }

    /// A line as it is.
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
            to: head.wishes.to,
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

    /// A message is given up, and somebody has to hear of it.
    pub(crate) fn failed(&self, id: &str, uid: u32, to: Vec<String>, why: &str) {
        let facts = Facts {
            uid: Some(uid),
            to,
            ..Facts::default()
        };
        let failure = Failure::new(crate::exit::UNAVAILABLE, why);
        self.give_up("failed", id, &facts, &failure);
    }

    /// The same for those of its recipients who do not get it.
    pub(crate) fn give_up(&self, event: &str, id: &str, facts: &Facts, why: &Failure) {
        self.event(event, id, facts, None, Some(why));
        let uid = facts.uid.unwrap_or_default();
        let line = format!("{id} uid {uid} to {}: {}", shown(&facts.to), why.what());
        told::add(&self.spool, &line);
    }

    /// Why all wait, and how long. Without a trouble of the mailbox it is the disk's.
    pub(crate) fn held(
        &self,
        trouble: Option<Trouble>,
        wait: Duration,
        mailbox: &str,
        why: &Failure,
    ) {
        let facts = Facts {
            from: mailbox.to_owned(),
            ..Facts::default()
        };
        let line = report::line(&facts, None, Some(why));
        let (name, wait) = (trouble.map_or("disk", Trouble::name), wait.as_secs());
        let failed = trouble.is_none_or(Trouble::needs_a_person);
        self.write(
            &format!("event=held trouble={name} wait={wait} {line}"),
            failed,
        );
    }

    /// `true` once in 24 hours.
    pub(crate) fn once_a_day(&self, what: &str) -> bool {
        let due = told::is_a_day_ago(&self.spool, what);
        if due {
            let mark = files::create(&self.spool.path(STATE).join(what));
            let _ = mark.and_then(|mut mark| write!(mark, "{}", Moment::now()));
        }
        due
    }
}

/// Recipients, for people: not all of thousands.
pub(super) fn shown(to: &[String]) -> String {
    const MOST: usize = 20;
    let mut shown: Vec<_> = to.iter().take(MOST).cloned().collect();
    if to.len() > MOST {
        shown.push(format!("and {} more", to.len() - MOST));
    }
    shown.join(", ").replace(char::is_control, "?")
}
