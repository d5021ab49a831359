//! One run: takes over what was put into `drop`, sends what is due over one connection, and ends.
//!
//! Any number may run at once. Each has a connection of its own, or ends where none is free. Never as root, who would
//! leave files that the service cannot read; and silent but for the log, because cron mails what a command prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use exosend::{Error, Stage};

use super::attempt::{Attempt, Fate};
use super::clock::{self, Moment, Wait};
use super::digest;
use super::drop::{self as takeover, Entry};
use super::fault;
use super::found;
use super::governor::Governor;
use super::helper::Helper;
use super::line::{Line, hold};
use super::log::Log;
use super::renewal;
use super::spool::{Name, QUEUE, Spool};
use super::state::{self, State};
use super::trouble::Trouble;
use crate::config::Config;
use crate::exit::Failure;
use crate::local::Here;
use crate::maillog::LogTo;
use crate::report::Outcome;

/// What is due later is left to the next run.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than this many waiting, and another connection is worth a login.
const CROWD: usize = 5;
/// Files that a disk refuses to move, until all of it counts as sick.
const MOST_ERRORS: u32 = 10;

/// How a run is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// Waits count as over.
    pub(crate) now: bool,
    /// Events are shown, not logged only.
    pub(crate) shown: bool,
    /// The arguments that start another one.
    pub(crate) again: Vec<OsString>,
}

/// Runs. `load` reads the configuration, which is not needed where there is nothing to do.
pub(crate) fn run(
    spool: &Spool,
    order: &Order,
    load: impl FnOnce() -> Result<Config, Failure>,
) -> Result<(), Failure> {
    let log = Log::new(spool, LogTo::Usual, order.shown);
    let looked = spool.make().and_then(|()| spool.mark_run());
    let idle = match looked.and_then(|()| found::is_idle(spool)) {
        Ok(idle) => idle,
        Err(error) => return Err(sick(spool, &log, &error)),
    };
    let login_due = renewal::is_due(spool);
    if idle && !login_due {
        return Ok(());
    }
    let config = match load() {
        Ok(config) => config,
        Err(_) if idle => return Ok(()),
        Err(failure) => return unconfigured(spool, order, &log, failure),
    };
    let log = Log::new(spool, config.settings.log.clone(), order.shown);
    if login_due {
        renewal::renew(&config, &log);
    }
    if idle {
        return Ok(());
    }
    match serve(spool, order, &config, log.clone()) {
        Ok(ended) => ended,
        Err(error) => Err(sick(spool, &log, &error)),
    }
}

/// Nobody sees what a run says but in the log.
fn sick(spool: &Spool, log: &Log, error: &io::Error) -> Failure {
    let failure = Failure::disk(spool.root(), error);
    log.held(None, Duration::ZERO, "", &failure);
    failure
}

/// Takes over, for the list to show it, and says why nothing goes out.
fn unconfigured(spool: &Spool, order: &Order, log: &Log, failure: Failure) -> Result<(), Failure> {
    // Without a configuration there is no mailbox.
    let governor = Governor::new(spool, "", Default::default());
    takeover::look(spool, log).map_err(|error| sick(spool, log, &error))?;
    if order.now || governor.read().held().is_zero() {
        hold(&governor, log, Trouble::Configuration, &failure);
    }
    Err(failure)
}

fn serve(
    spool: &Spool,
    order: &Order,
    config: &Config,
    log: Log,
) -> io::Result<Result<(), Failure>> {
    found::sweep(spool, &log)?;
    found::clear_work(spool, &log)?;
    let waiting = found::waiting(spool, order.now)?;
    let governor = Governor::new(spool, config.account.mailbox(), config.settings.limits);
    governor.is_configured();
    if order.now {
        governor.forgive();
    }
    let Some(slot) = governor.connection(&governor.read())? else {
        // Others are at it, and look into `drop` as often as this one would.
        return Ok(Ok(()));
    };
    let helper = Helper::new(spool, &governor, slot.number, &order.again);
    let mut run = Run {
        spool,
        line: Line {
            config,
            here: Here::new(config),
            governor,
            log,
            slot,
            session: None,
            helper,
        },
        waiting,
        now: order.now,
        served: BTreeMap::new(),
        turn: 0,
        trouble: None,
        errors: 0,
    };
    let worked = run.work();
    let ended = run.end();
    worked.map(|()| ended)
}

struct Run<'a> {
    spool: &'a Spool,
    line: Line<'a>,
    /// Messages, and when they are due.
    waiting: Vec<(Entry, Instant)>,
    /// Waits count as over.
    now: bool,
    /// When each user had a turn last.
    served: BTreeMap<u32, u64>,
    turn: u64,
    /// What ended this one.
    trouble: Option<(Trouble, Failure)>,
    /// Messages that the disk did not let be moved.
    errors: u32,
}

impl Run<'_> {
    fn work(&mut self) -> io::Result<()> {
        let mut worked = Instant::now();
        loop {
            let look = takeover::look(self.spool, &self.line.log)?;
            let now = Instant::now();
            let taken = look.taken.into_iter().map(|entry| (entry, now));
            self.waiting.extend(taken);
            let mailbox = self.line.governor.read();
            let held = mailbox.held();
            // Too many connections, somebody was told.
            let surplus = self.line.slot.number > self.line.governor.connections(&mailbox);
            if held > PATIENCE || surplus {
                // Known from an earlier run, and as bad as if it were found out anew.
                let known = mailbox.trouble.filter(|_| !held.is_zero());
                let why = |trouble: Trouble| Failure::new(trouble.code(), mailbox.words.as_str());
                let known = known.map(|trouble| (trouble, why(trouble)));
                self.trouble = self.trouble.take().or(known);
                return Ok(());
            }
            match self.next() {
                Some(entry) if held.is_zero() => {
                    self.call_for_help();
                    let delivered = self.deliver(entry);
                    worked = Instant::now();
                    match delivered {
                        Ok(true) => {}
                        Ok(false) => return Ok(()),
                        Err(error) => {
                            // It may be this file's alone.
                            self.errors += 1;
                            if self.errors > MOST_ERRORS {
                                return Err(error);
                            }
                        }
                    }
                }
                _ => {
                    let soon = self.waiting.iter().any(|(_, due)| *due <= now + PATIENCE);
                    // Who begins one after the other and ends none keeps no run from its end.
                    let writing = look.writing && worked.elapsed() < fault::minute();
                    if !(soon || writing) || !clock::sleep(Duration::from_millis(500)) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The oldest message that is due of the user who has waited longest for a turn: who sends thousands keeps nobody
    /// else waiting.
    fn next(&self) -> Option<Entry> {
        let now = Instant::now();
        let due = self.waiting.iter().filter(|(_, due)| *due <= now);
        let served = |entry: &Entry| self.served.get(&entry.uid).copied();
        let first = due.min_by_key(|(entry, _)| (served(entry), entry.written));
        first.map(|(entry, _)| entry.clone())
    }

    /// Starts one more run where many wait.
    fn call_for_help(&self) {
        let now = Instant::now();
        let due = self.waiting.iter().filter(|(_, due)| *due <= now);
        // One message has to show first that the mailbox is well.
        if self.line.session.is_some() && due.take(CROWD + 1).count() > CROWD {
            self.line.helper.call();
        }
    }

    /// Claims a message, makes one attempt, and says where it is now. `false` ends the run.
    fn deliver(&mut self, entry: Entry) -> io::Result<bool> {
        self.waiting.retain(|(waiting, _)| *waiting != entry);
        self.turn += 1;
        self.served.insert(entry.uid, self.turn);
        let name = entry.name.to_string();
        let waits = self.spool.path(QUEUE).join(&name);
        let work = self.spool.work(self.line.slot.number);
        let moved = match std::fs::rename(&waits, work.join(&name)) {
            // Another run has it.
            Err(_) if waits.symlink_metadata().is_err() => return Ok(true),
            Ok(()) => self.attempt(entry, work),
            Err(error) => Err(error),
        };
        moved.inspect_err(|error| self.line.log.foreign(&waits, &error.to_string()))
    }

    fn attempt(&mut self, entry: Entry, work: PathBuf) -> io::Result<bool> {
        fault::point("after claim");
        let mailbox = self.line.config.account.mailbox();
        let mut attempt = Attempt::new(entry, work, self.spool, mailbox);
        let wait = attempt.state.left_to_wait(&Moment::now());
        if self.now || wait.is_zero() {
            let fate = attempt.make(&mut self.line);
            return self.settle(attempt, fate);
        }
        // Another run has put it off since this one saw it.
        self.put_back(&attempt, wait)?;
        Ok(true)
    }

    fn settle(&mut self, mut attempt: Attempt, fate: Fate) -> io::Result<bool> {
        let (path, id) = (attempt.path(), attempt.entry.name.id.clone());
        let log = &self.line.log;
        match fate {
            Fate::Sent(outcome, left) => {
                // What is thrown away says nothing of the mailbox.
                if matches!(outcome, Outcome::Sent(_)) {
                    self.trouble = None;
                    self.line.governor.well();
                }
                attempt.log(log, "sent", Some(&outcome), None);
                if left.is_empty() {
                    std::fs::remove_file(path)?;
                    fault::point("after unlink");
                    State::forget(self.spool, &id);
                } else {
                    attempt.state.left = left;
                    self.later(attempt, "some recipients are not served yet")?;
                }
            }
            Fate::Later(why) => {
                attempt.log(log, "deferred", None, Some(&why));
                self.later(attempt, why.what())?;
            }
            Fate::Never(why) => {
                log.give_up("failed", &id, &attempt.facts, &why);
                self.give_up(attempt, why.what())?;
            }
            Fate::Refused(why) => {
                attempt.log(log, "failed", None, Some(&why));
                self.give_up(attempt, why.what())?;
            }
            Fate::Doubtful(why) => {
                self.line.session = None;
                attempt.log(log, "deferred", None, Some(&why));
                let name = found::doubt(self.spool, log, &path, &attempt.in_doubt())?;
                if let Some(name) = name {
                    self.is_back(&attempt, name, found::DOUBTFUL);
                }
            }
            Fate::Broken => {
                self.line.session = None;
                self.put_back(&attempt, Duration::ZERO)?;
            }
            Fate::Mailbox(trouble, why) => {
                self.suffer(attempt, trouble, why)?;
                // On a full disk nobody knows of the pause, and the next attempt would be the next login at once.
                let is_known = !self.line.governor.read().held().is_zero();
                return Ok(is_known && trouble != Trouble::Crowded);
            }
        }
        Ok(true)
    }

    /// The mailbox is left alone, and the message is none the worse for it.
    fn suffer(&mut self, mut attempt: Attempt, trouble: Trouble, why: Failure) -> io::Result<()> {
        let pause = hold(&self.line.governor, &self.line.log, trouble, &why);
        let midway = why.error().map(Error::stage) == Some(Stage::Data);
        let wait = match trouble == Trouble::Network && midway {
            // It may be what breaks the connection: the others go first when the mailbox is tried again.
            true => pause * 2,
            false => Duration::ZERO,
        };
        if !wait.is_zero() {
            attempt.state.wait = Some(Wait {
                since: Moment::now(),
                length: wait,
            });
            let _ = attempt.state.save(self.spool, &attempt.entry.name.id);
        }
        if let Some(session) = self.line.session.take() {
            session.quit();
        }
        self.trouble = Some((trouble, why));
        self.put_back(&attempt, wait)
    }

    /// Back into the queue for the message's own sake, or out of it when its time is over.
    fn later(&mut self, mut attempt: Attempt, why: &str) -> io::Result<()> {
        let now = Moment::now();
        let state = &mut attempt.state;
        let age = state.first.as_ref().and_then(|first| now.since(first));
        if age.is_none() {
            state.first = Some(now.clone());
        }
        state.attempts = state.attempts.saturating_add(1);
        let length = state::pause(state.attempts);
        state.wait = Some(Wait { since: now, length });
        why.clone_into(&mut state.words);
        let saved = state.save(self.spool, &attempt.entry.name.id);
        if !attempt.state.left.is_empty() {
            // Without it, those who have the message would get it again: then it stays in `work`, in doubt.
            saved?;
        }
        if age.is_some_and(|age| age >= self.line.config.settings.queue_lifetime) {
            let name = &attempt.entry.name;
            let to = match attempt.state.left.is_empty() {
                true => attempt.facts.to.clone(),
                false => attempt.state.left.clone(),
            };
            let over = format!("its time is over; last: {why}");
            self.line.log.failed(&name.id, attempt.entry.uid, to, &over);
            return self.give_up(attempt, why);
        }
        self.put_back(&attempt, length)
    }

    fn give_up(&self, mut attempt: Attempt, words: &str) -> io::Result<()> {
        words.clone_into(&mut attempt.state.words);
        let name = &attempt.entry.name;
        found::give_up(self.spool, &attempt.path(), name, attempt.state)
    }

    fn put_back(&mut self, attempt: &Attempt, wait: Duration) -> io::Result<()> {
        let name = &attempt.entry.name;
        let name = self.spool.put(&attempt.path(), name, QUEUE)?;
        self.is_back(attempt, name, wait);
        Ok(())
    }

    fn is_back(&mut self, attempt: &Attempt, name: Name, wait: Duration) {
        let entry = Entry {
            name,
            ..attempt.entry.clone()
        };
        self.waiting.push((entry, Instant::now() + wait));
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.trouble.is_none() {
            self.trouble = digest::send(self.spool, &mut self.line);
        }
        if let Some(session) = self.line.session.take() {
            session.quit();
        }
        drop(self.line.slot);
        self.line.helper.wait();
        match self.trouble {
            // A unit that has failed is for somebody to look at.
            Some((trouble, failure)) if trouble.needs_a_person() => Err(failure),
            _ => Ok(()),
        }
    }
}
