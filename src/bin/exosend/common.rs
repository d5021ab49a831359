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

    /// Reads the options of a subcommand. `own` takes those that others do not have, each with its value off the parser, and
    /// returns `false` for what it does not know.
    pub(crate) fn options(
        &mut self,
        mut parser: Parser,
        help: &str,
        own: &mut dyn FnMut(&Arg<'_>, &mut Parser) -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        while let Some(argument) = parser.next()? {
            let name;
            let argument = match argument {
                // Copied, for the parser gives no value as long as it lends the name.
                Arg::Long(lent) => {
                    name = lent.to_owned();
                    Arg::Long(&name)
                }
                Arg::Short(letter) => Arg::Short(letter),
                Arg::Value(word) => Arg::Value(word),
            };
            match argument {
                _ if own(&argument, &mut parser)? => {}
                Arg::Long("config") => self.config = Some(parser.value()?.into()),
                Arg::Long("set") => {
                    let pair = value(&mut parser)?;
                    let (key, value) = pair
                        .split_once('=')
                        .ok_or_else(|| Failure::usage("--set takes key=value"))?;
                    self.set.push((key.trim().into(), value.trim().into()));
                }
                Arg::Short('v') | Arg::Long("verbose") => self.verbose = true,
                Arg::Long("quiet") => self.quiet = true,
                Arg::Long("dry-run") => self.dry_run = true,
                Arg::Long("json") => self.json = true,
                Arg::Long("version") => help::print(help::VERSION),
                Arg::Long("help") | Arg::Short('h') => help::print(help),
                _ => return Err(argument.unexpected().into()),
            }
        }
        Ok(())
    }
}

/// The value of an option. It has to be UTF-8, as every text.
pub(crate) fn value(parser: &mut Parser) -> Result<String, Failure> {
    text(parser.value()?)
}

/// An argument that has to be UTF-8.
pub(crate) fn text(argument: OsString) -> Result<String, Failure> {
    Ok(argument.string()?)
}
