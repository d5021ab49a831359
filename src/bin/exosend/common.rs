//! The options that the subcommands have in common.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};

use crate::exit::Failure;
use crate::help;

#[derive(Debug, Default)]
pub(crate) struct Common {
    /// The file that is read instead of the two usual ones.
    pub(crate) config: Option<PathBuf>,
    /// The strongest layer of the configuration.
    pub(crate) set: Vec<(String, String)>,
    /// The transcript on stderr.
    pub(crate) verbose: bool,
    /// Errors only.
    pub(crate) quiet: bool,
    /// Everything up to, not including, DATA.
    pub(crate) dry_run: bool,
    /// One result object on stdout.
    pub(crate) json: bool,
    /// The message, or its text, comes on stdin.
    pub(crate) takes_stdin: bool,
    /// The subcommand of which the first word may be a misspelling.
    pub(crate) almost: Option<&'static str>,
    /// After a failure, suggest the doctor.
    pub(crate) doctor_helps: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shared {
    Config,
    Set,
    Verbose,
    Quiet,
    DryRun,
    Json,
    Version,
}

impl Shared {
    pub(crate) fn of(argument: &Arg<'_>) -> Option<Self> {
        Some(match argument {
            Arg::Long("config") => Self::Config,
            Arg::Long("set") => Self::Set,
            Arg::Short('v') | Arg::Long("verbose") => Self::Verbose,
            Arg::Long("quiet") => Self::Quiet,
            Arg::Long("dry-run") => Self::DryRun,
            Arg::Long("json") => Self::Json,
            Arg::Long("version") => Self::Version,
            _ => return None,
        })
    }
}

impl Common {
    /// Tells somebody at a terminal what the program waits for.
    pub(crate) fn reading(&self, what: &str) {
        if !self.quiet {
            let mut stderr = std::io::stderr().lock();
            let _ = writeln!(
                stderr,
                "exosend: reading {what} from the terminal, end with Ctrl-D"
            );
        }
    }

    /// Takes one option, and its value off the parser.
    pub(crate) fn take(&mut self, option: Shared, parser: &mut Parser) -> Result<(), Failure> {
        match option {
            Shared::Config => self.config = Some(parser.value()?.into()),
            Shared::Set => {
                let pair = text(parser.value()?)?;
                let (key, value) = pair
                    .split_once('=')
                    .ok_or_else(|| Failure::usage("--set takes key=value"))?;
                self.set.push((key.trim().into(), value.trim().into()));
            }
            Shared::Verbose => self.verbose = true,
            Shared::Quiet => self.quiet = true,
            Shared::DryRun => self.dry_run = true,
            Shared::Json => self.json = true,
            Shared::Version => help::print(help::VERSION),
        }
        Ok(())
    }
}

/// An argument that has to be UTF-8.
pub(crate) fn text(argument: OsString) -> Result<String, Failure> {
    Ok(argument.string()?)
}
