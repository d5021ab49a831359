//! The command: turns arguments into calls of the library, and their results into text and an exit code.
//!
//! It has two forms. `exosend [sendmail flags] [recipient...]` takes a message on stdin, as sendmail does; under the name
//! `sendmail` there is no other. `exosend send` and the other subcommands are for people and scripts.
//!
//! The caller of the first form is often not the owner of the configuration: a visitor of a web page may choose a word of
//! the command line. So it has no option that says where secret, token or message go, and no subcommand after a flag.

mod addressing;
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
mod wrap;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use common::Common;
use exit::Failure;
use exosend::command::{crypto, date, file, flow, head, list, octets, text, value};
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
    // A subcommand is the first word only: words that are appended to `exosend -t -i` reach none.
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

fn report(failure: &Failure, common: &Common) {
    if common.json && !failure.is_printed() {
        // If stdout is closed, stderr and the exit code remain.
        let _ = out::say_json(&report::object(&Facts::default(), None, Some(failure)));
    }
    // Not `eprintln!`, which panics if stderr is closed, so that the caller would get no exit code.
    let mut stderr = std::io::stderr().lock();
    let _ = writeln!(stderr, "exosend: {}", printable(failure.what()));
    if let Some(hint) = failure.hint() {
        let _ = writeln!(stderr, "exosend: hint: {}", printable(hint));
    }
    if common.doctor_helps && failure.is_for_the_doctor() {
        let _ = writeln!(stderr, "exosend: more: exosend doctor");
    }
}

/// Reads the rest of the message: a caller that still writes it, as git does, would die of SIGPIPE and never see the exit
/// code.
fn drain() {
    let mut stdin = std::io::stdin().lock();
    if !stdin.is_terminal() {
        let _ = std::io::copy(&mut stdin, &mut std::io::sink());
    }
}

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

/// The subcommand of which `word` may be a misspelling.
fn almost(word: &str) -> Option<&'static str> {
    let names = SUBCOMMANDS.map(|(name, _)| name);
    let nearest = text::nearest(word, names.into_iter());
    (text::distance(word, nearest) <= 2).then_some(nearest)
}
