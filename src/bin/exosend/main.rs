//! The command: arguments to the library's public interface to text and an exit code.
//!
//! Two ways to call it. `exosend [sendmail flags] [recipient...]` takes a message on stdin, as sendmail does; it is all
//! there is under the name `sendmail`. `exosend send` and the other subcommands are for people and scripts.
//!
//! Who calls the first form is often not whom the configuration belongs to: a web page's visitor may choose a word of a
//! command line. So it takes nothing that says where secret, token or message go, and no subcommand behind a flag.

mod common;
mod complete;
mod config;
mod configure;
mod deliver;
mod doctor;
mod exit;
mod explain;
mod files;
mod finding;
mod help;
mod input;
#[cfg(test)]
#[path = "../../../tests/invariants/command.rs"]
mod invariants;
mod local;
mod logger;
mod login;
mod maillog;
mod out;
mod process;
mod queue;
mod recipients;
mod report;
mod send;
mod sendmail;
mod setup;
mod token;
mod wishes;
mod wrap;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use common::Common;
use exit::Failure;
use exosend::command::{crypto, date, file, head, list, octets, text};
use lexopt::Parser;
use report::Facts;
use text::printable;

fn main() -> ExitCode {
    let mut common = Common::default();
    let failure = match run(&mut common) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    report(&failure, &common);
    if common.takes_stdin {
        drain();
    }
    failure.code().into()
}

fn run(common: &mut Common) -> Result<(), Failure> {
    process::guard()?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let name = Path::new(&name).file_name().and_then(|name| name.to_str());
    if let Some(name @ ("sendmail" | "mailq" | "newaliases")) = name {
        return sendmail::run(name, &arguments, common);
    }
    // A subcommand is the first word or none: nobody reaches it who can only add to `exosend -t -i`.
    let word = arguments.first().and_then(|word| word.to_str());
    match word.and_then(subcommand) {
        Some(subcommand) => {
            let rest = arguments.iter().skip(1);
            subcommand(Parser::from_args(rest), common)
        }
        None => {
            common.almost = word.and_then(almost);
            sendmail::run("exosend", &arguments, common)
        }
    }
}

/// One line for what happened, one for what to do, and one for where to find out more.
fn report(failure: &Failure, common: &Common) {
    if common.json && !failure.is_printed() {
        // Where stdout is gone, stderr and the exit code remain.
        let _ = out::say_json(report::object(&Facts::default(), None, Some(failure)));
    }
    // Not `eprintln!`: where stderr is gone too, that panics, and the exit code is all that is left.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "exosend: {}", printable(failure.what()));
    if let Some(hint) = failure.hint() {
        let _ = writeln!(stderr, "exosend: hint: {}", printable(hint));
    }
    if common.doctor_helps && failure.is_for_the_doctor() {
        let _ = writeln!(stderr, "exosend: more: exosend doctor");
    }
}

/// Whoever writes to a pipe that nobody reads dies of it, as git does, and never sees the exit code.
fn drain() {
    let mut stdin = std::io::stdin().lock();
    if !stdin.is_terminal() {
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
    }
}

/// Each reads the rest of the arguments itself.
type Subcommand = fn(Parser, &mut Common) -> Result<(), Failure>;

const SUBCOMMANDS: [(&str, Subcommand); 9] = [
    ("configure", configure::run),
    ("doctor", doctor::run),
    ("explain", explain::run),
    ("login", login::run),
    ("logout", login::end),
    ("queue", queue::run),
    ("send", send::run),
    ("setup", setup::run),
    ("token", token::run),
];

fn subcommand(word: &str) -> Option<Subcommand> {
    let mut all = SUBCOMMANDS.into_iter();
    all.find_map(|(name, run)| (name == word).then_some(run))
}

/// The one that somebody meant and mistyped.
fn almost(word: &str) -> Option<&'static str> {
    let names = SUBCOMMANDS.map(|(name, _)| name);
    let nearest = text::nearest(word, names.into_iter());
    (text::distance(word, nearest) <= 2).then_some(nearest)
}
