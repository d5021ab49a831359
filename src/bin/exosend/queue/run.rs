//! One run: takes over what was put into `drop`, sends what is due over one connection, and ends.
//!
//! Any number may run at once: each has a connection of its own, or ends if none is free. It never runs as root, who
//! would leave files that the service cannot read, and prints nothing, because cron mails what a command prints.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::clock::{self, Moment};
use super::connection::{Connection, hold};
use super::digest;
use super::fault;
use super::governor::Governor;
use super::helper::Helper;
use super::log::Log;
use super::recover;
use super::renewal;
use super::scan;
use super::spool::{QUEUE, Spool};
use super::takeover::{self, Entry};
use super::trouble::Trouble;
use crate::config::Config;
use crate::exit::Failure;
use crate::local::Here;
use crate::maillog::LogTo;
use crate::process::this_program;

/// A run waits for messages that are due within this time; the rest is left to the next one.
const PATIENCE: Duration = Duration::from_secs(60);
/// With more messages due than this, another connection is worth its login.
const CROWD: usize = 5;
/// A run ends after so many files that the disk did not let it move.
const MOST_ERRORS: u32 = 10;

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Send all, whatever it waits for.
    pub(crate) now: bool,
    /// Print events as well as log them.
    pub(crate) shown: bool,
    /// The arguments that start another run.
    pub(crate) again: Vec<OsString>,
}

/// `load` reads the configuration; it is not called if there is nothing to do.
pub(crate) fn run(
    spool: &Spool,
    options: &Options,
    load: impl FnOnce() -> Result<Config, Failure>,
) -> Result<(), Failure> {
    let log = Log::new(spool, LogTo::Usual, options.shown);
    let looked = spool.make().and_then(|()| spool.mark("run"));
    let idle = match looked.and_then(|()| scan::is_idle(spool)) {
        Ok(idle) => idle,
        Err(error) => return Err(disk_failure(spool, &log, &error)),
    };
    let login_due = renewal::is_due(spool);
    if idle && !login_due {
        return Ok(());
    }
    let config = match load() {
        Ok(config) => config,
        Err(_) if idle => return Ok(()),
        Err(failure) => return unconfigured(spool, options, &log, failure),
    };
    let log = Log::new(spool, config.settings.log.clone(), options.shown);
    if login_due {
        renewal::renew(&config, &log);
    }
    if idle {
        return Ok(());
    }
    match serve(spool, options, &config, log.clone()) {
        Ok(ended) => ended,
        Err(error) => Err(disk_failure(spool, &log, &error)),
    }
}

/// Logs it, because nobody sees what a run prints.
fn disk_failure(spool: &Spool, log: &Log, error: &io::Error) -> Failure {
    let failure = Failure::disk(spool.root(), error);
    log.held(None, Duration::ZERO, "", &failure);
    failure
}

/// Takes the messages over, so that `exosend queue` lists them, and logs why they are not sent.
fn unconfigured(
    spool: &Spool,
    options: &Options,
    log: &Log,
    failure: Failure,
) -> Result<(), Failure> {
    let governor = Governor::new(spool, "", Default::default());
    takeover::take_over(spool, log).map_err(|error| disk_failure(spool, log, &error))?;
    if options.now || governor.read().held().is_zero() {
        hold(&governor, log, Trouble::Configuration, &failure);
    }
    Err(failure)
}

fn serve(
    spool: &Spool,
    options: &Options,
    config: &Config,
    log: Log,
) -> io::Result<Result<(), Failure>> {
    scan::sweep(spool, &log)?;
    recover::recover_work(spool, &log)?;
    let waiting = scan::waiting(spool, options.now)?;
    let governor = Governor::new(spool, config.account.mailbox(), config.settings.limits);
    governor.clear_configuration();
    if options.now {
        governor.release();
    }
    let Some(slot) = governor.connection(&governor.read())? else {
        // The runs that have the connections look into `drop` as often as this one would.
        return Ok(Ok(()));
    };
    let helper = Helper::new(spool, &governor, slot.number, &options.again);
    let mut run = Run {
        spool,
        connection: Connection {
            config,
            here: Here::new(config),
            governor,
            log,
            slot,
            session: None,
            helper,
        },
        waiting,
        now: options.now,
        served: BTreeMap::new(),
        turn: 0,
        trouble: None,
        errors: 0,
        outdated: false,
    };
    let worked = run.work();
    let outdated = run.outdated;
    let ended = run.end();
    if outdated {
        // In its place, for systemd would end another process with this one. It returns only if it fails.
        let _ = this_program().args(&options.again).exec();
    }
    worked.map(|()| ended)
}

pub(super) struct Run<'a> {
    pub(super) spool: &'a Spool,
    pub(super) connection: Connection<'a>,
    /// Messages, and when each is due.
    pub(super) waiting: Vec<(Entry, Instant)>,
    now: bool,
    /// The `turn` in which each user was served last.
    served: BTreeMap<u32, u64>,
    turn: u64,
    /// Why the mailbox cannot send.
    pub(super) trouble: Option<(Trouble, Failure)>,
    /// How many messages the disk did not let this run move.
    errors: u32,
    /// It has waited for the mailbox, and what was wrong with it may have been mended in the configuration since.
    outdated: bool,
}

impl Run<'_> {
    fn work(&mut self) -> io::Result<()> {
        let mut worked = Instant::now();
        let mut waited = false;
        loop {
            let new = takeover::take_over(self.spool, &self.connection.log)?;
            let now = Instant::now();
            let taken = new.taken.into_iter().map(|entry| (entry, now));
            self.waiting.extend(taken);
            let mailbox = self.connection.governor.read();
            let held = mailbox.held();
            // Exchange has told another run that there are too many connections.
            let surplus =
                self.connection.slot.number > self.connection.governor.connections(&mailbox);
            if held > PATIENCE || surplus {
                // An earlier run found this out; this one ends as if it had met it itself.
                let known = mailbox.trouble.filter(|_| !held.is_zero());
                let why = |trouble: Trouble| Failure::new(trouble.code(), mailbox.words.as_str());
                let known = known.map(|trouble| (trouble, why(trouble)));
                self.trouble = self.trouble.take().or(known);
                return Ok(());
            }
            match self.next() {
                // Not with --now: it was called after the configuration was mended, and the new run would be without it.
                Some(_) if held.is_zero() && waited && !self.now => {
                    self.outdated = true;
                    return Ok(());
                }
                Some(entry) if held.is_zero() => {
                    self.call_helper();
                    let delivered = self.deliver(entry);
                    worked = Instant::now();
                    match delivered {
                        Ok(true) => {}
                        Ok(false) => return Ok(()),
                        Err(error) => {
                            // Perhaps only this file cannot be moved: go on with the next.
                            self.errors += 1;
                            if self.errors > MOST_ERRORS {
                                return Err(error);
                            }
                        }
                    }
                }
                _ => {
                    waited |= !held.is_zero();
                    let soon = self.waiting.iter().any(|(_, due)| *due <= now + PATIENCE);
                    // Not for ever, or a user who begins messages and finishes none could keep this run from ending.
                    let writing = new.writing && worked.elapsed() < fault::minute();
                    if !(soon || writing) || !clock::sleep(Duration::from_millis(500)) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The user who has waited longest for a turn gets it, with his oldest message that is due: one who sends thousands
    /// does not keep the others waiting.
    fn next(&self) -> Option<Entry> {
        let served = |entry: &Entry| self.served.get(&entry.uid).copied();
        let due = self.due();
        let first = due.min_by_key(|entry| (served(entry), entry.written));
        first.cloned()
    }

    fn due(&self) -> impl Iterator<Item = &Entry> {
        let now = Instant::now();
        let waiting = self.waiting.iter();
        waiting.filter_map(move |(entry, due)| (*due <= now).then_some(entry))
    }

    fn call_helper(&self) {
        // Not before this run has logged in: with a mailbox that cannot send, another run is of no use.
        if self.connection.session.is_some() && self.due().nth(CROWD).is_some() {
            self.connection.helper.call();
        }
    }

    /// Claims a message, attempts to send it, and files it by the result. `false` ends the run.
    fn deliver(&mut self, entry: Entry) -> io::Result<bool> {
        self.waiting.retain(|(waiting, _)| *waiting != entry);
        self.turn += 1;
        self.served.insert(entry.uid, self.turn);
        let name = entry.name.to_string();
        let waits = self.spool.path(QUEUE).join(&name);
        let work = self.spool.work(self.connection.slot.number);
        let moved = match std::fs::rename(&waits, work.join(&name)) {
            // Another run has claimed it.
            Err(_) if waits.symlink_metadata().is_err() => return Ok(true),
            Ok(()) => self.attempt(entry, work),
            Err(error) => Err(error),
        };
        moved.inspect_err(|error| self.connection.log.foreign(&waits, &error.to_string()))
    }

    fn attempt(&mut self, entry: Entry, work: PathBuf) -> io::Result<bool> {
        fault::point("after claim");
        let mailbox = self.connection.config.account.mailbox();
        let mut attempt = Attempt::new(entry, work, self.spool, mailbox);
        let wait = attempt.state.left_to_wait(&Moment::now());
        if self.now || wait.is_zero() {
            let fate = attempt.make(&mut self.connection);
            return self.settle(attempt, fate);
        }
        // Another run has tried it since this one read its state, and it has to wait.
        self.put_back(&attempt, wait)?;
        Ok(true)
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.trouble.is_none() && !self.outdated {
            self.trouble = digest::send(self.spool, &mut self.connection);
        }
        if let Some(session) = self.connection.session.take() {
            session.quit();
        }
        drop(self.connection.slot);
        self.connection.helper.wait();
        match self.trouble {
            // The unit fails, so that somebody looks at it.
            Some((trouble, failure)) if trouble.needs_a_person() => Err(failure),
            _ => Ok(()),
        }
    }
}
