//! sendmail's flags: those that mean something here, and those that are taken and ignored.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::common::{Common, text, value};
use crate::exit::Failure;
use crate::help;
use crate::list;
use crate::text::is_unprintable;

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
    /// What was given and is ignored.
    pub(crate) warnings: Vec<String>,
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
    /// `common` learns whether a message comes on stdin, if this fails, too.
    pub(crate) fn parse(
        name: &str,
        arguments: &[OsString],
        common: &mut Common,
    ) -> Result<Self, Failure> {
        // Only alone: after `-t` they would print a text, exit with 0, and the message would be lost.
        match arguments {
            [only] if only == "--help" || only == "-h" => help::print(help::SENDMAIL),
            [only] if only == "--version" => help::print(help::VERSION),
            _ => {}
        }
        let mut flags = Flags::default();
        match name {
            "mailq" => flags.mode = Mode::PrintQueue,
            "newaliases" => flags.mode = Mode::Aliases,
            _ => {}
        }
        let mut parser = Parser::from_args(arguments);
        let mut wrong = None;
        loop {
            // After an error the rest is read, too: if it names a recipient, the caller writes a message to stdin.
            match flags.next(&mut parser, common) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => drop(wrong.get_or_insert(failure)),
            }
        }
        let asked_to_send = flags.read_recipients || !flags.recipients.is_empty();
        common.takes_stdin = asked_to_send && flags.mode == Mode::Deliver;
        match wrong {
            Some(failure) => Err(failure),
            // As Postfix does: the message that came with it would be lost, with exit code 0.
            None if asked_to_send && flags.mode != Mode::Deliver => Err(Failure::usage(
                "recipients, and a mode that sends nothing: -bi, -bp, -bs, -I or -q",
            )),
            None => Ok(flags),
        }
    }

    /// Takes one argument; `false` if there is none left.
    fn next(&mut self, parser: &mut Parser, common: &mut Common) -> Result<bool, Failure> {
        let Some(argument) = parser.next()? else {
            return Ok(false);
        };
        match argument {
            Arg::Value(value) => self.recipients.extend(recipients(text(value)?)),
            Arg::Short('v') | Arg::Long("verbose") => common.verbose = true,
            Arg::Long("quiet") => common.quiet = true,
            // msmtp's words for -t and -f.
            Arg::Long("read-recipients") => self.read_recipients = true,
            Arg::Long("from") => self.sender(parser)?,
            Arg::Long("read-envelope-from") => {}
            Arg::Long(option) => return Err(not_here(option)),
            Arg::Short(flag) => self.take(flag, parser)?,
        }
        Ok(true)
    }

    fn take(&mut self, flag: char, parser: &mut Parser) -> Result<(), Failure> {
        match flag {
            't' => self.read_recipients = true,
            // Without it, a lone dot ends the input of other sendmails. Here it never does.
            'i' => {}
            'f' | 'r' => self.sender(parser)?,
            'F' => self.name(&parser.value()?),
            'b' => self.mode(&value(parser)?)?,
            'q' => {
                self.mode = Mode::RunQueue;
                // `-q@example.com` is a recipient that begins with a hyphen.
                let which = parser.optional_value().unwrap_or_default();
                if which.to_string_lossy().contains('@') {
                    return Err(Failure::usage("-q: a recipient like this comes after --"));
                }
            }
            'I' => self.mode = Mode::Aliases,
            // DSN, which Exchange does not offer to clients: it sends its bounces to the mailbox.
            'N' | 'R' | 'V' => drop(parser.value()?),
            // Configuration of other programs, debugging, and flags that are obsolete.
            'A' | 'B' | 'C' | 'D' | 'e' | 'h' | 'L' | 'M' | 'O' | 'o' | 'p' | 'X' => {
                parser.value()?;
            }
            // msmtp's account, and the server and login of sSMTP and busybox. The warning does not quote the value, which
            // may be a password.
            'a' | 'S' => {
                parser.value()?;
                let what = "ignored: the configuration says where mail goes, and EXOSEND_CONFIG names another";
                self.warnings.push(format!("-{flag}: {what}"));
            }
            'd' | 'Q' => drop(parser.optional_value()),
            '4' | '6' | 'c' | 'E' | 'G' | 'm' | 'n' | 's' | 'T' | 'U' | 'x' => {}
            flag => return Err(Arg::Short(flag).unexpected().into()),
        }
        Ok(())
    }

    fn mode(&mut self, mode: &str) -> Result<(), Failure> {
        // If this fails, no message is read from stdin either.
        self.mode = Mode::Aliases;
        self.mode = match mode {
            "m" => Mode::Deliver,
            "p" => Mode::PrintQueue,
            "i" => Mode::Aliases,
            "s" => Mode::Smtp,
            "d" | "D" => return Err(Failure::usage("-bd: there is no daemon; nothing listens")),
            "v" | "t" => {
                let what = "-bv, -bt: not here; exosend doctor --to asks the server";
                return Err(Failure::usage(what));
            }
            other => return Err(Failure::usage(format!("-b{other}: no such mode"))),
        };
        Ok(())
    }

    /// Only a default for From, so a wrong one does not stop the message. `<>` means the mailbox.
    fn sender(&mut self, parser: &mut Parser) -> Result<(), Failure> {
        let value = parser.value()?;
        let written = value.to_string_lossy();
        let parsed = list::parse(&written);
        let first = parsed.map(|mailboxes| mailboxes.into_iter().next());
        self.sender = match first {
            Ok(first) if !written.contains(is_unprintable) => first.map(|mailbox| mailbox.spec),
            _ => {
                let what = format!("-f {written}: no address, left out");
                self.warnings.push(what);
                None
            }
        };
        self.sender.take_if(|sender| sender.is_empty());
        Ok(())
    }

    fn name(&mut self, name: &OsString) {
        if name.to_str().is_none() {
            self.warnings
                .push("-F: not UTF-8; what is not is sent as U+FFFD".into());
        }
        // Invisible, but names need them: they join letters and emoji.
        let joins = |c| matches!(c, '\u{200c}' | '\u{200d}');
        let name = name.to_string_lossy();
        let name = name.replace(|c| is_unprintable(c) && !joins(c), " ");
        self.full_name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    }
}

/// Options that only subcommands have. A caller that is not the owner of the configuration must not choose where secret,
/// token and message go, which file is read or written, and whether the message is sent at all.
fn not_here(option: &str) -> Failure {
    match option {
        "config" | "set" | "dry-run" | "json" => {
            let what =
                format!("--{option}: only after a subcommand, as in exosend send --{option}");
            Failure::usage(what)
                .with_hint("EXOSEND_CONFIG in the environment names another configuration")
        }
        "help" | "version" => Failure::usage(format!("--{option}: only alone")),
        _ => Arg::Long(option).unexpected().into(),
    }
}

/// The address lists in one argument: separated by commas or, as people write, by blanks.
fn recipients(argument: String) -> Vec<String> {
    let words = || argument.split_ascii_whitespace();
    let plain = |word: &str| word.contains('@') && !word.contains(['"', '<', '>', '(', ')', '\\']);
    match words().count() > 1 && words().all(plain) {
        true => words().map(str::to_owned).collect(),
        false => vec![argument],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_and_manual_tell_each_flag() {
        let manual = include_str!("../share/sendmail.8");
        let (_, told) = manual.split_once(".Sh OPTIONS\n").unwrap();
        let told = told.split(".Sh ").next().unwrap();
        for flag in ('0'..='9').chain('A'..='Z').chain('a'..='z') {
            let word = format!("-{flag}");
            let arguments = [word.as_str(), "m", "ann@example.com"].map(OsString::from);
            let parsed = Flags::parse("sendmail", &arguments, &mut Common::default());
            let taken = !parsed.is_err_and(|failure| failure.what().starts_with("invalid option"));
            let in_manual = told.contains(&format!("Fl {flag}"));
            let in_help = help::SENDMAIL.contains(&format!(" {word}"));
            assert_eq!((in_manual, in_help), (taken, taken), "{word}");
        }
    }
}
