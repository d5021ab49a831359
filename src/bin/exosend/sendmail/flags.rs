//! sendmail's flags, those that mean something here and those that history left behind.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::addresses;
use crate::common::{Common, text};
use crate::exit::Failure;
use crate::help;

/// What the arguments ask for.
#[derive(Debug, Default)]
pub(crate) struct Flags {
    pub(crate) mode: Mode,
    /// `-t`
    pub(crate) read_recipients: bool,
    /// `-f`, `-r`: From of a message that has none.
    pub(crate) sender: Option<String>,
    /// `-F`
    pub(crate) full_name: Option<String>,
    pub(crate) recipients: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Deliver,
    /// `-bp`, `mailq`
    PrintQueue,
    /// `-q`
    RunQueue,
    /// `-bi`, `-I`, `newaliases`
    Aliases,
    /// `-bs`
    Smtp,
}

impl Flags {
    pub(crate) fn parse(
        name: &str,
        arguments: &[OsString],
        common: &mut Common,
    ) -> Result<Self, Failure> {
        let mut flags = Flags::default();
        match name {
            "mailq" => flags.mode = Mode::PrintQueue,
            "newaliases" => flags.mode = Mode::Aliases,
            _ => {}
        }
        // Only alone: behind `-t` they would print something, end with 0, and the message would be gone.
        match arguments {
            [only] if only == "--help" || only == "-h" => help::print(help::SENDMAIL),
            [only] if only == "--version" => help::print(help::VERSION),
            _ => {}
        }
        let mut parser = Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Value(value) => {
                    let specs = specs("recipient", &text(value)?)?;
                    flags.recipients.extend(specs);
                }
                Arg::Short('v') | Arg::Long("verbose") => common.verbose = true,
                Arg::Long("quiet") => common.quiet = true,
                Arg::Long(option) => return Err(not_here(option)),
                Arg::Short(flag) => flags.take(flag, &mut parser)?,
            }
        }
        // As Postfix: a message that came with it would be gone, and all would look well.
        if flags.mode != Mode::Deliver && (flags.read_recipients || !flags.recipients.is_empty()) {
            let what = "recipients, and a mode that sends nothing: -bi, -bp, -bs, -I or -q";
            return Err(Failure::usage(what));
        }
        Ok(flags)
    }

    fn take(&mut self, flag: char, parser: &mut Parser) -> Result<(), Failure> {
        match flag {
            't' => self.read_recipients = true,
            // A lone dot ends the input of other sendmails without it. It never does here.
            'i' => {}
            'f' | 'r' => self.sender = sender(&text(parser.value()?)?)?,
            'F' => {
                let name = text(parser.value()?)?.replace(char::is_control, " ");
                self.full_name = Some(name).filter(|name| !name.trim().is_empty());
            }
            'b' => {
                self.mode = match text(parser.value()?)?.as_str() {
                    "m" => Mode::Deliver,
                    "p" => Mode::PrintQueue,
                    "i" => Mode::Aliases,
                    "s" => Mode::Smtp,
                    "d" | "D" => {
                        return Err(Failure::usage("-bd: there is no daemon; nothing listens"));
                    }
                    "v" | "t" => {
                        return Err(Failure::usage(
                            "-bv, -bt: not here; --dry-run asks the server",
                        ));
                    }
                    other => return Err(Failure::usage(format!("-b{other}: no such mode"))),
                };
            }
            'q' => {
                // `-q@example.com` is a recipient that begins with a hyphen.
                let which = parser.optional_value().unwrap_or_default();
                if which.to_string_lossy().contains('@') {
                    return Err(Failure::usage("-q: a recipient like this stands behind --"));
                }
                self.mode = Mode::RunQueue;
            }
            'I' => self.mode = Mode::Aliases,
            // DSN: Exchange sends its bounces to the mailbox, and takes no orders about them from here.
            'N' | 'R' | 'V' => drop(parser.value()?),
            // The configuration of other programs, debugging, and what has had no meaning for long.
            'A' | 'B' | 'C' | 'D' | 'e' | 'h' | 'L' | 'M' | 'O' | 'o' | 'p' | 'X' => {
                parser.value()?;
            }
            'd' | 'Q' => drop(parser.optional_value()),
            'c' | 'G' | 'm' | 'n' | 's' | 'T' | 'U' | 'x' => {}
            flag => return Err(Arg::Short(flag).unexpected().into()),
        }
        Ok(())
    }
}

/// What sendmail has no word for. A caller that is not the owner must not choose where the secret, the token or the
/// message go, which file is read or written, and whether the message leaves at all.
fn not_here(option: &str) -> Failure {
    match option {
        "config" | "set" | "dry-run" | "json" => {
            let what =
                format!("--{option}: only behind a subcommand, as in exosend send --{option}");
            Failure::usage(what)
                .with_hint("EXOSEND_CONFIG in the environment names another configuration")
        }
        "help" | "version" => Failure::usage(format!("--{option}: only alone")),
        _ => Arg::Long(option).unexpected().into(),
    }
}

/// `<>` means the mailbox: `None`.
fn sender(argument: &str) -> Result<Option<String>, Failure> {
    if argument.contains(char::is_control) {
        return Err(Failure::usage("-f: a control character in the address"));
    }
    let sender = specs("-f", argument)?.into_iter().next();
    Ok(sender.filter(|sender| !sender.is_empty()))
}

/// The addresses in one argument.
fn specs(what: &str, argument: &str) -> Result<Vec<String>, Failure> {
    let mailboxes = addresses::parse(argument.as_bytes())
        .map_err(|why| Failure::usage(format!("{what} {argument}: {why}")))?;
    Ok(mailboxes.into_iter().map(|mailbox| mailbox.spec).collect())
}
