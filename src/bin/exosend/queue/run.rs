//! One run: takes over what was put into `drop`, sends what is due over one connection, and ends.
//!
//! Any number may run at once. Each has a connection of its own, or ends where none is free. Never as root, who would
//! leave files that the service cannot read; and silent but for the log, because cron mails what a command prints.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use exosend::{Error, Message, Stage};

use super::attempt::{Attempt, Fate};
use super::clock::{self, Moment, Wait};
use super::drop::{self as takeover, Entry};
use super::fault;
use super::file::Head;
use super::governor::{Governor, Slot};
use super::line::Line;
use super::log::Log;
use super::spool::{DROP, FAILED, MOST_DOUBTS, Name, QUEUE, STATE, Spool};
use super::state::{self, State};
use super::trouble::{self, Trouble};
use crate::config::Config;
use crate::config::settings::MOST_CONNECTIONS;
use crate::exit::{self, Failure};
use crate::local::Here;
use crate::maillog::LogTo;
use crate::recipients::Recipients;
use crate::report::{self, Facts};

/// What is due later is left to the next run.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before a message whose fate is not known is sent again.
const DOUBTFUL: Duration = Duration::from_secs(15 * 60);
/// More than this many waiting, and another connection is worth a login.
const CROWD: usize = 5;

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
    let disk = |error: io::Error| Failure::new(exit::TRY_AGAIN, exit::file(spool.root(), error));
    spool.make()?;
    spool.mark_run().map_err(disk)?;
    if is_idle(spool).map_err(disk)? {
        return Ok(());
    }
    let (config, to, failure) = match load() {
        Ok(config) => {
            let to = config.settings.log.clone();
            (Some(config), to, None)
        }
        Err(failure) => (None, LogTo::Usual, Some(failure)),
    };
    let log = Log::new(spool, to, order.shown);
    clear_work(spool, &log).map_err(disk)?;
    let entries = waiting(spool, order.now).map_err(disk)?;
    if let Some(failure) = failure {
        // Without a configuration there is no mailbox; once there is one, this wait is not its own.
        let governor = Governor::new(spool, "", Default::default());
        takeover::look(spool, &log).map_err(disk)?;
        if order.now
            || governor
                .read()
                .wait
                .is_none_or(|wait| wait.left(&Moment::now()).is_zero())
        {
            hold(&governor, &log, Trouble::Configuration, &failure);
        }
        return Err(failure);
    }
    let Some(config) = config else { return Ok(()) };
    let governor = Governor::new(spool, config.account.mailbox(), config.settings.limits);
    if order.now {
        governor.forgive();
    }
    let Some(slot) = governor.connection().map_err(disk)? else {
        // Others are at it, and look into `drop` as often as this one would.
        return Ok(());
    };
    let mut run = Run {
        spool,
        line: Line {
            config: &config,
            governor,
            log,
            slot,
            session: None,
        },
        waiting: entries,
        served: HashMap::new(),
        turn: 0,
        again: &order.again,
        helper: None,
        trouble: None,
    };
    run.work().map_err(disk)?;
    run.end()
}

struct Run<'a> {
    spool: &'a Spool,
    line: Line<'a>,
    /// Messages, and when they are due.
    waiting: Vec<(Entry, Instant)>,
    /// When each user had a turn last.
    served: HashMap<u32, u64>,
    turn: u64,
    /// The arguments of another run, for another connection.
    again: &'a [OsString],
    helper: Option<Child>,
    /// What ended this one.
    trouble: Option<(Trouble, Failure)>,
}

impl Run<'_> {
    fn work(&mut self) -> io::Result<()> {
        loop {
            let look = takeover::look(self.spool, &self.line.log)?;
            let now = Instant::now();
            self.waiting
                .extend(look.taken.into_iter().map(|entry| (entry, now)));
            let mailbox = self.line.governor.read();
            let held = mailbox
                .wait
                .as_ref()
                .map_or(Duration::ZERO, |wait| wait.left(&Moment::now()));
            // Too many connections, somebody was told.
            let surplus = self.line.slot.number > self.line.governor.connections();
            if held > PATIENCE || surplus {
                // Known from an earlier run, and as bad as if it were found out anew.
                let known = mailbox.trouble.filter(|_| !held.is_zero());
                let why = |trouble: Trouble| Failure::new(trouble.code(), mailbox.words.as_str());
                self.trouble = self
                    .trouble
                    .take()
                    .or(known.map(|trouble| (trouble, why(trouble))));
                return Ok(());
            }
            let next = self.next();
            match next {
                Some(entry) if held.is_zero() => {
                    self.call_for_help();
                    if !self.deliver(entry)? {
                        return Ok(());
                    }
                }
                _ => {
                    let soon = self.waiting.iter().any(|(_, due)| *due <= now + PATIENCE);
                    if !(soon || look.writing) || !clock::sleep(Duration::from_millis(500)) {
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

    /// Starts one more run where many wait; that does the same, as long as there are connections.
    fn call_for_help(&mut self) {
        let now = Instant::now();
        let due = self.waiting.iter().filter(|(_, due)| *due <= now).count();
        // One message has to show first that the mailbox is well.
        let alone = self.helper.is_none() && self.line.session.is_some();
        if !alone || due <= CROWD || self.line.slot.number >= self.line.governor.connections() {
            return;
        }
        let program = std::env::current_exe().unwrap_or_else(|_| "exosend".into());
        let mut command = Command::new(program);
        command.args(self.again);
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.helper = quiet.spawn().ok();
    }

    /// Claims a message and makes one attempt. `false` ends the run.
    fn deliver(&mut self, entry: Entry) -> io::Result<bool> {
        self.waiting.retain(|(waiting, _)| *waiting != entry);
        self.turn += 1;
        self.served.insert(entry.uid, self.turn);
        let work = self.spool.work(self.line.slot.number);
        let claimed = work.join(entry.name.to_string());
        match std::fs::rename(
            self.spool.path(QUEUE).join(entry.name.to_string()),
            &claimed,
        ) {
            // Another run has it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            moved => moved?,
        }
        fault::point("after claim");
        let mut attempt = Attempt::new(entry, work, self.spool, self.line.config.account.mailbox());
        let fate = attempt.make(&mut self.line);
        self.settle(attempt, fate)
    }

    fn settle(&mut self, mut attempt: Attempt, fate: Fate) -> io::Result<bool> {
        let path = attempt.path();
        match fate {
            Fate::Sent(outcome, left) => {
                self.trouble = None;
                self.line.governor.well();
                self.line
                    .log
                    .event("sent", &attempt.about(), Some(&outcome), None);
                if left.is_empty() {
                    std::fs::remove_file(path)?;
                    fault::point("after unlink");
                    State::forget(self.spool, &attempt.entry.name.id);
                } else {
                    attempt.state.left = left;
                    self.later(attempt, "some recipients are not served yet")?;
                }
            }
            Fate::Later(why) => {
                self.line
                    .log
                    .event("deferred", &attempt.about(), None, Some(&why));
                self.later(attempt, why.what())?;
            }
            Fate::Never(why) => {
                self.spool.put(&path, &attempt.entry.name, FAILED)?;
                State::forget(self.spool, &attempt.entry.name.id);
                self.line
                    .log
                    .event("failed", &attempt.about(), None, Some(&why));
                let about = attempt.about();
                self.line
                    .log
                    .tell(about.id, about.uid, &about.facts.to.join(", "), why.what());
            }
            Fate::Doubtful(why) => {
                self.line.session = None;
                self.line
                    .log
                    .event("deferred", &attempt.about(), None, Some(&why));
                if let Some(name) = doubt(self.spool, &self.line.log, &path, &attempt.in_doubt())? {
                    self.put_back(&attempt, name, DOUBTFUL);
                }
            }
            Fate::Broken => {
                self.line.session = None;
                let name = self.spool.put(&path, &attempt.entry.name, QUEUE)?;
                self.put_back(&attempt, name, Duration::ZERO);
            }
            Fate::Mailbox(trouble, why) => {
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
                let name = self.spool.put(&path, &attempt.entry.name, QUEUE)?;
                self.put_back(&attempt, name, wait);
                if let Some(session) = self.line.session.take() {
                    session.quit();
                }
                self.trouble = Some((trouble, why));
                return Ok(trouble != Trouble::Crowded);
            }
        }
        Ok(true)
    }

    /// Back into the queue for the message's own sake, or out of it when its time is over.
    fn later(&mut self, mut attempt: Attempt, why: &str) -> io::Result<()> {
        let path = attempt.path();
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
            let name = self.spool.put(&path, &attempt.entry.name, FAILED)?;
            let to = match attempt.state.left.is_empty() {
                true => &attempt.facts.to,
                false => &attempt.state.left,
            };
            self.line.log.failed(
                &name.id,
                attempt.entry.uid,
                to,
                &format!("its time is over; last: {why}"),
            );
            return Ok(());
        }
        let name = self.spool.put(&path, &attempt.entry.name, QUEUE)?;
        self.put_back(&attempt, name, length);
        Ok(())
    }

    fn put_back(&mut self, attempt: &Attempt, name: Name, wait: Duration) {
        let entry = Entry {
            name,
            ..attempt.entry.clone()
        };
        self.waiting.push((entry, Instant::now() + wait));
    }

    fn end(mut self) -> Result<(), Failure> {
        if self.trouble.is_none() {
            self.send_digest();
        }
        if let Some(session) = self.line.session.take() {
            session.quit();
        }
        drop(self.line.slot);
        if let Some(mut helper) = self.helper {
            let _ = helper.wait();
        }
        match self.trouble {
            // A unit that has failed is for somebody to look at.
            Some((trouble, failure)) if trouble.needs_a_person() => Err(failure),
            _ => Ok(()),
        }
    }

    /// To whom mail for local users goes, once a day, what was given up. Not part of the queue: what cannot be told today
    /// is told tomorrow.
    fn send_digest(&mut self) {
        let Some(text) = self.line.log.digest() else {
            return;
        };
        let local = ["root".to_owned()];
        let mailbox = self.line.config.account.mailbox();
        let here = Here::new(mailbox, &self.line.config.settings.local_domains);
        let Ok(to) = Recipients::new(self.line.config, &here).resolve(&local) else {
            return;
        };
        let host = super::spool::host();
        let message = to.iter().fold(Message::new(), Message::to);
        let message = message
            .subject(format!("exosend on {host}: mail that was not delivered"))
            .header("Auto-Submitted", "auto-generated")
            .text(format!(
                "These messages, or some of their recipients, were given up. What is left of them is in {}:\n\
                 sudo exosend queue\n\n{text}",
                self.spool.path(FAILED).display()
            ));
        if !self.line.pace() {
            return;
        }
        match self
            .line
            .session()
            .and_then(|session| session.send(&message))
        {
            Ok(_) => self.line.log.digested(&text),
            Err(error) => {
                self.line
                    .log
                    .note(&format!("event=digest text={:?}", error.to_string()));
                if let Some(trouble) = trouble::of(&error) {
                    // The next run, in a minute, must not be the next login.
                    let why = self.line.config.blame(error.into());
                    hold(&self.line.governor, &self.line.log, trouble, &why);
                    self.trouble = Some((trouble, why));
                    return;
                }
                if error.in_doubt() || error.is_permanent() {
                    self.line.log.digested(&text);
                }
            }
        }
    }
}

/// What a dead run had in hand goes back; what may have arrived is sent again, but not at once, nor for ever.
fn clear_work(spool: &Spool, log: &Log) -> io::Result<()> {
    for number in 1..=MOST_CONNECTIONS {
        let work = spool.work(number);
        if spool.names(&work)?.is_empty() {
            continue;
        }
        let Some(_slot) = Slot::take(spool, number)? else {
            continue;
        };
        for name in spool.names(&work)? {
            let path = work.join(name.to_string());
            match name.doubts {
                0 => drop(spool.put(&path, &name, QUEUE)?),
                _ => drop(doubt(spool, log, &path, &name)?),
            }
        }
    }
    Ok(())
}

/// A message that may have arrived: nobody can know (RFC 1047), and to lose it would be worse. Its name, if it waits for
/// another attempt.
fn doubt(spool: &Spool, log: &Log, path: &Path, name: &Name) -> io::Result<Option<Name>> {
    if name.doubts > MOST_DOUBTS {
        let uid = path.symlink_metadata()?.uid();
        let to = Head::of(path)
            .map(|head| head.wishes.to)
            .unwrap_or_default();
        let name = spool.put(path, name, FAILED)?;
        log.failed(
            &name.id,
            uid,
            &to,
            "may have been delivered: each attempt ended without an answer to its last dot",
        );
        return Ok(None);
    }
    let mut state = State::of(spool, &name.id);
    state.wait = Some(Wait {
        since: Moment::now(),
        length: DOUBTFUL,
    });
    state.words = "may have been delivered: no answer to the last dot".into();
    // Without a state it is due at once, which is no worse than a duplicate can be.
    let _ = state.save(spool, &name.id);
    spool.put(path, name, QUEUE).map(Some)
}

/// What is in the queue, and when each is due.
fn waiting(spool: &Spool, all_now: bool) -> io::Result<Vec<(Entry, Instant)>> {
    let (now, moment) = (Instant::now(), Moment::now());
    let mut waiting = Vec::new();
    for name in spool.names(&spool.path(QUEUE))? {
        // Another run may have it by now.
        let Ok(metadata) = spool.path(QUEUE).join(name.to_string()).symlink_metadata() else {
            continue;
        };
        let wait = match all_now {
            true => Duration::ZERO,
            false => State::of(spool, &name.id).left_to_wait(&moment),
        };
        waiting.push((Entry::new(name, &metadata), now + wait));
    }
    Ok(waiting)
}

/// Nothing to do: found out by looking into three folders.
fn is_idle(spool: &Spool) -> io::Result<bool> {
    let is_empty = |path: PathBuf| match std::fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    };
    if !is_empty(spool.path(DROP))? || !is_empty(spool.path(QUEUE))? {
        return Ok(false);
    }
    for entry in std::fs::read_dir(spool.path("work"))? {
        if !is_empty(entry?.path())? {
            return Ok(false);
        }
    }
    Ok(std::fs::metadata(spool.path(STATE).join("digest")).map_or(0, |digest| digest.len()) == 0)
}

/// Leaves the mailbox alone for a while, says why, and returns how long.
fn hold(governor: &Governor, log: &Log, trouble: Trouble, why: &Failure) -> Duration {
    let length = governor.suffer(trouble, why.what());
    let facts = Facts {
        from: governor.address().to_owned(),
        ..Facts::default()
    };
    let line = report::line(&facts, None, Some(why));
    let hint = why
        .hint()
        .map(|hint| format!(" hint={hint:?}"))
        .unwrap_or_default();
    let seconds = length.as_secs();
    log.write(
        &format!(
            "event=held trouble={} wait={seconds} {line}{hint}",
            trouble.name()
        ),
        trouble.needs_a_person(),
    );
    length
}
