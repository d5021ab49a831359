//! Questions at a terminal.

use std::io::{self, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use crate::exit::{self, Failure};

/// Ctrl-C, in what a terminal hands on.
const INTERRUPT: u8 = 3;

/// What is typed, without the line's end; `known` where that is nothing. What is not `shown` is not echoed either.
pub(super) fn ask(
    question: &str,
    known: Option<&str>,
    shown: bool,
) -> Result<Zeroizing<String>, Failure> {
    // Before it is asked: who answers at once is not shown either.
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

/// One line. Not by way of std's stdin, whose buffer nobody wipes.
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

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn start() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut terminal = before.clone();
        // No signal: whoever it ended would leave a terminal that shows nothing. Ctrl-C ends the line instead.
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
