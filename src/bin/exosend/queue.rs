//! The queue: a message from any user is on the disk in milliseconds, and is sent when that is possible.
//!
//! ```text
//! sendmail, -bs, send --queue
//!   |  route       to Exchange at once, or into which spool
//!   |  submit      completes the header; `draft` writes the file described in `file`
//!   v
//! drop/ID          mode 0640 while it is written, 0740 when it is complete
//!   |  takeover    a run moves it out of its writer's reach
//!   v
//! queue/ID <---------------------------------.
//!   |  run         the next one that is due  |    held/ID: `manage` puts it there and back
//!   v                                        |
//! work/N/ID        claimed by connection N   |
//!   |  attempt     recipients, From, sending |
//!   v                                        |
//! work/N/ID.d1     from the final dot on: it may have been delivered
//!   |  settle      not now ------------------'    (`recover`, if the run has died)
//!   |              sent: removed
//!   v              given up: refused for good, too old, or too often in doubt
//! failed/ID        told of by `digest`, kept for a month
//! ```
//!
//! `trouble` says whether a failure is the message's own or the mailbox's; `governor` keeps Exchange's limits for all
//! processes, `helper` starts another run where one is not enough. Only the spool's owner reads what others put there, and
//! no caller needs the secret.

mod attempt;
mod clock;
mod connection;
mod digest;
pub(crate) mod doctor;
pub(crate) mod draft;
pub(crate) mod fault;
pub(crate) mod file;
pub(crate) mod governor;
mod helper;
mod list;
mod log;
mod manage;
mod notices;
mod recover;
mod renewal;
pub(crate) mod route;
mod run;
mod scan;
mod settle;
pub(crate) mod spool;
mod state;
pub(crate) mod submit;
mod takeover;
pub(crate) mod trouble;
pub(crate) mod turn;

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

use lexopt::{Arg, Parser};

use crate::common::{Common, text, value};
use crate::config::Config;
use crate::config::settings::{SPOOL, period};
use crate::exit::{self, Failure};
use crate::{help, process};
use run::Options;
use spool::Spool;

/// `exosend queue`
pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut words = Vec::new();
    let (mut now, mut max_age) = (false, None);
    common.options(parser, help::QUEUE, &mut |argument, parser| {
        match argument {
            Arg::Long("now") => now = true,
            Arg::Long("max-age") => {
                let age = value(parser)?;
                max_age =
                    Some(period(&age).map_err(|what| Failure::usage(format!("--max-age {what}")))?);
            }
            Arg::Value(word) => words.push(text(word.clone())?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["list"] => list(common, max_age),
        ["run"] => start(common, now),
        ["show", id] => manage::show(&allowed(common)?, id),
        ["hold", ids @ ..] if !ids.is_empty() => manage::hold(&allowed(common)?, ids),
        ["release", ids @ ..] if !ids.is_empty() => manage::release(&allowed(common)?, ids),
        ["remove", ids @ ..] if !ids.is_empty() => manage::remove(&allowed(common)?, ids),
        _ => Err(Failure::usage(
            "queue [run [--now] | show ID | hold ID | release ID | remove ID]",
        )),
    }
}

/// `mailq`, `-bp`
pub(crate) fn list(common: &Common, max_age: Option<Duration>) -> Result<(), Failure> {
    list::list(&allowed(common)?, common.json, max_age)
}

/// `-q`, as in crontabs written for other sendmails. Does nothing, silently, for a user who may not run the queue.
pub(crate) fn run_if_allowed(common: &Common) -> Result<(), Failure> {
    let spool = route::managed_spool(common);
    match spool.is_there() && spool.may_manage() {
        true => start(common, false),
        false => Ok(()),
    }
}

const RUN: [&str; 2] = ["queue", "run"];

fn start(common: &Common, now: bool) -> Result<(), Failure> {
    let spool = allowed(common)?;
    if !spool.is_there() {
        return Ok(());
    }
    let words: &[_] = match now {
        true => &["queue", "run", "--now"],
        false => &RUN,
    };
    if run_as_owner(&spool, common, words)? {
        return Ok(());
    }
    let drop = std::fs::metadata(spool.path(spool::DROP));
    // Root gets here only where it owns the spool.
    if process::uid() == 0 && drop.is_ok_and(|drop| drop.permissions().mode() & 0o022 != 0) {
        let what = "root does not send what others may write here";
        return Err(Failure::config(exit::file(spool.root(), what)).with_hint(spool.mend()));
    }
    let shown = common.verbose || std::io::IsTerminal::is_terminal(&std::io::stdout());
    if common.verbose {
        crate::logger::start(common);
    }
    let options = Options {
        now,
        shown,
        again: run_again(common),
    };
    let ended = run::run(&spool, &options, || match spool.own {
        true => Config::load(common),
        false => Config::load_with_cache(common, Some(&spool.path("state/tokens"))),
    });
    match ended {
        // Cron would mail what is printed, by this queue.
        Err(failure) if !shown => std::process::exit(failure.code().into()),
        ended => ended,
    }
}

/// Root's command is run again as the spool's owner, before root has opened anything in the spool. Of root's environment it
/// keeps only what the network needs. `false` for everybody else, and in a spool of root's.
pub(crate) fn run_as_owner(
    spool: &Spool,
    common: &Common,
    words: &[&str],
) -> Result<bool, Failure> {
    const KEPT: [&str; 10] = [
        "PATH",
        "LANG",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
        "NO_PROXY",
        "no_proxy",
        "RUST_LOG",
        "CREDENTIALS_DIRECTORY",
    ];
    let owner = spool
        .owner()
        .map_err(|error| Failure::config(exit::file(spool.root(), error)))?;
    if process::uid() != 0 || owner.uid() == 0 {
        return Ok(false);
    }
    if spool.own && common.config.is_none() {
        // The variables that name this account are dropped, so the run would use the machine's.
        let what = "not the machine's queue: run it as its owner, or with --config FILE";
        return Err(Failure::usage(exit::file(spool.root(), what)));
    }
    let mut command = process::this_program();
    command.args(arguments(common, words)).env_clear();
    for name in KEPT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    if cfg!(debug_assertions) {
        let all = std::env::vars_os();
        command.envs(all.filter(|(name, _)| name.as_encoded_bytes().starts_with(b"QUEUE_TEST_")));
    }
    // Not the default, for a variable is a key, too: with `--set timeout=...` it would name the queue of an account of the
    // caller's own, and in that one the messages of other users are no messages.
    if spool.root() != Path::new(SPOOL) {
        command.env("EXOSEND_SPOOL", spool.root());
    }
    command.current_dir("/").gid(owner.gid()).uid(owner.uid());
    let status = command.status().map_err(|error| {
        Failure::new(exit::TRY_AGAIN, format!("as uid {}: {error}", owner.uid()))
    })?;
    match status.code() {
        Some(0) => Ok(true),
        // The other process has said why.
        code => std::process::exit(code.unwrap_or(exit::TRY_AGAIN.into())),
    }
}

/// The arguments that start a run with the same configuration.
pub(crate) fn run_again(common: &Common) -> Vec<OsString> {
    arguments(common, &RUN)
}

/// Those that start a command of these words with it.
fn arguments(common: &Common, words: &[&str]) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = words.iter().map(Into::into).collect();
    for (set, option) in [
        (common.verbose, "-v"),
        (common.json, "--json"),
        (common.quiet, "--quiet"),
    ] {
        arguments.extend(set.then(|| option.into()));
    }
    if let Some(config) = &common.config {
        // `run_as_owner` changes the working directory.
        let config = std::path::absolute(config).unwrap_or_else(|_| config.clone());
        arguments.extend(["--config".into(), config.into()]);
    }
    for (key, value) in &common.set {
        arguments.extend(["--set".into(), format!("{key}={value}").into()]);
    }
    arguments
}

/// The spool, or an error for a user who may not look into it.
fn allowed(common: &Common) -> Result<Spool, Failure> {
    let spool = route::managed_spool(common);
    match !spool.is_there() || spool.may_manage() {
        true => Ok(spool),
        false => Err(Failure::new(
            exit::NO_PERMISSION,
            "the queue is exosend's: sudo exosend queue",
        )),
    }
}
