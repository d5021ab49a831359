//! One line in the log for each thing that happens to a message, and what a person is told once a day.
//!
//! `event=sent id=4f2a... uid=33 from=robot@contoso.com to=ann@example.com size=1234 ... text="250 2.0.0 OK"`: `event` is
//! one of `queued`, `sent`, `deferred`, `refused`, `possible_duplicate`, `failed`, `held`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::clock::Moment;
use super::file::Head;
use super::spool::{STATE, Spool};
use crate::date::rfc3339;
use crate::exit::Failure;
use crate::maillog::{self, LogTo};
use crate::report::{self, Facts, Outcome};

/// Nobody reads more in a day, and one user's nonsense is not to fill the disk.
const LONGEST: u64 = 64 * 1024;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) struct Log {
    spool: Spool,
    to: LogTo,
    /// On a terminal people want to see what happens.
    shown: bool,
}

/// The message that a line is about.
pub(crate) struct About<'a> {
    pub(crate) id: &'a str,
    pub(crate) uid: u32,
    pub(crate) facts: &'a Facts,
}

impl Log {
    pub(crate) fn new(spool: &Spool, to: LogTo, shown: bool) -> Self {
        Self {
            spool: spool.clone(),
            to,
            shown,
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
        about: &About<'_>,
        outcome: Option<&Outcome>,
        failure: Option<&Failure>,
    ) {
        let line = report::line(about.facts, outcome, failure);
        let failed = matches!(event, "failed" | "refused" | "possible_duplicate");
        self.write(
            &format!("event={event} id={} uid={} {line}", about.id, about.uid),
            failed,
        );
    }

    pub(crate) fn queued(&self, id: &str, uid: u32, head: &Head, size: u64) {
        let facts = Facts {
            to: head.wishes.to.clone(),
            size: Some(size),
            ..Facts::default()
        };
        let line = report::line(&facts, None, None);
        let written = rfc3339(head.created.wall());
        self.write(
            &format!("event=queued id={id} uid={uid} written={written} {line}"),
            false,
        );
    }

    /// A message is given up, and somebody has to hear of it.
    pub(crate) fn failed(&self, id: &str, uid: u32, to: &[String], why: &str) {
        let facts = Facts {
            to: to.to_vec(),
            ..Facts::default()
        };
        let failure = Failure::new(crate::exit::UNAVAILABLE, why);
        self.event(
            "failed",
            &About {
                id,
                uid,
                facts: &facts,
            },
            None,
            Some(&failure),
        );
        self.tell(id, uid, &to.join(", "), why);
    }

    /// For the next digest.
    pub(crate) fn tell(&self, id: &str, uid: u32, to: &str, words: &str) {
        let clean = |text: &str| text.replace(char::is_control, " ");
        let line = format!("{id} uid {uid} to {}: {}\n", clean(to), clean(words));
        let path = self.path("digest");
        if std::fs::metadata(&path).is_ok_and(|digest| digest.len() > LONGEST) {
            return;
        }
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path);
        // The log has it, too.
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }

    /// What there is to tell, if the last telling is a day ago.
    pub(crate) fn digest(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.path("digest")).ok()?;
        (!text.is_empty() && self.is_due("digested")).then_some(text)
    }

    /// The digest has gone out; what was added meanwhile stays.
    pub(crate) fn digested(&self, text: &str) {
        let now = std::fs::read_to_string(self.path("digest")).unwrap_or_default();
        let _ = std::fs::write(
            self.path("digest"),
            now.strip_prefix(text).unwrap_or_default(),
        );
        let _ = std::fs::write(self.path("digested"), Moment::now().to_string());
    }

    /// `true` once in 24 hours.
    pub(crate) fn once_a_day(&self, what: &str) -> bool {
        let due = self.is_due(what);
        if due {
            let _ = std::fs::write(self.path(what), Moment::now().to_string());
        }
        due
    }

    fn is_due(&self, what: &str) -> bool {
        let last = std::fs::read_to_string(self.path(what)).ok();
        let last = last.and_then(|last| Moment::parse(&last));
        let passed = last.and_then(|last| Moment::now().since(&last));
        passed.is_none_or(|passed| passed >= DAY)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.spool.path(STATE).join(name)
    }
}
