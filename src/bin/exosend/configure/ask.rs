//! Questions at a terminal.

use std::io::{self, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::exit::{self, Failure};

/// The byte of Ctrl-C.
const INTERRUPT: u8 = 3;

/// Asks, and returns the answer; `known` if it is empty. Echoes it only if `shown`.
pub(super) fn ask(
    question: &str,
    known: Option<&str>,
    shown: bool,
) -> Result<Zeroizing<String>, Failure> {
    // Before the question, so that an early answer is not echoed either.
    let hidden = (!shown).then(Hidden::start).transpose().map_err(failed)?;
    let mut stderr = io::stderr().lock();
    let default = known.map(|known| format!(" [{known}]")).unwrap_or_default();
    let _ = write!(stderr, "{question}{default}: ");
    let typed = line();
    if hidden.is_some() {
        let _ = writeln!(stderr);
    }
    let typed = typed?;
    Ok(match (typed.trim(), known) {
        ("", Some(known)) => known.to_owned().into(),
        (typed, _) => typed.to_owned().into(),
    })
}

/// One line. Not through std's stdin, whose buffer is not wiped.
fn line() -> Result<Zeroizing<String>, Failure> {
    let stopped = || Failure::new(exit::NO_INPUT, "stopped: nothing was written");
    let mut typed = Zeroizing::new([0; 4096]);
    let length = rustix::io::read(io::stdin(), &mut typed[..]).map_err(failed)?;
    let typed = typed.get(..length).unwrap_or_default();
    match typed {
        // Ctrl-D.
        [] | [.., INTERRUPT] => Err(stopped()),
        typed => {
            let typed = std::str::from_utf8(typed).map_err(|_| Failure::data("not UTF-8"))?;
            Ok(typed.to_owned().into())
        }
    }
}

fn failed(error: impl Into<io::Error>) -> Failure {
    let error = error.into();
    Failure::new(exit::NO_INPUT, format!("the terminal: {error}"))
}

/// The terminal echoes nothing until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut terminal = before.clone();
        // Without signals: a process that one ends could not restore the echo. Ctrl-C ends the line instead.
        terminal
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ISIG);
        terminal.special_codes[SpecialCodeIndex::VEOL2] = INTERRUPT;
        tcsetattr(io::stdin(), OptionalActions::Flush, &terminal)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
