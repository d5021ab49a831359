//! The command: arguments to the library's public interface to text and an exit code.
//!
//! Two ways to call it. `exosend [sendmail flags] [recipient...]` takes a message on stdin, as sendmail does; it is all
//! there is under the name `sendmail`. `exosend send` and the other subcommands are for people and scripts.

mod addresses;
mod common;
mod config;
#[path = "../../date.rs"]
mod date;
mod deliver;
mod doctor;
mod exit;
mod explain;
mod head;
mod help;
mod input;
#[cfg(test)]
mod invariants;
mod logger;
mod recipients;
mod report;
mod send;
mod sendmail;
mod setup;
mod text;
mod token;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

use common::{Common, Shared};
use exit::Failure;
use lexopt::{Arg, Parser};

fn main() -> ExitCode {
    let mut common = Common::default();
    let failure = match run(&mut common) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => failure,
    };
    failure.report(common.json);
    if common.takes_stdin {
        drain();
    }
    failure.code().into()
}

fn run(common: &mut Common) -> Result<(), Failure> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let arguments: Vec<OsString> = arguments.collect();
    let name = Path::new(&name).file_name().and_then(|name| name.to_str());
    if let Some(name @ ("sendmail" | "mailq" | "newaliases")) = name {
        return sendmail::run(name, &arguments, common);
    }
    // Options of every form may stand before the subcommand; what is not one of them is sendmail's.
    let mut parser = Parser::from_args(&arguments);
    loop {
        let Ok(Some(argument)) = parser.next() else {
            break;
        };
        if let Some(shared) = Shared::of(&argument) {
            common.take(shared, &mut parser)?;
            continue;
        }
        let subcommand = match &argument {
            // Behind `--` there are recipients only.
            Arg::Value(value) if before(&arguments, value).any(|before| before == "--") => None,
            Arg::Value(value) => value.to_str().and_then(subcommand),
            Arg::Long("help") | Arg::Short('h') => help::print(help::ALL),
            _ => None,
        };
        match subcommand {
            Some(subcommand) => return subcommand(parser, common),
            None => break,
        }
    }
    *common = Common::default();
    sendmail::run("exosend", &arguments, common)
}

fn before<'a>(
    arguments: &'a [OsString],
    value: &'a OsString,
) -> impl Iterator<Item = &'a OsString> {
    arguments
        .iter()
        .take_while(move |argument| *argument != value)
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

fn subcommand(name: &str) -> Option<Subcommand> {
    match name {
        "doctor" => Some(doctor::run),
        "explain" => Some(explain::run),
        "send" => Some(send::run),
        "setup" => Some(setup::run),
        "token" => Some(token::run),
        _ => None,
    }
}
