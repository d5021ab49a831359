//! A line on stdout. A reader that has gone is no panic.

use std::io::Write;

use crate::exit::{self, Failure};

/// Says what was asked for.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(exit::TRY_AGAIN, format!("stdout: {error}")))
}

/// Says what became of a message: that nobody can read it must not make the caller send it again.
pub(crate) fn tell(text: &str) {
    if let Err(failure) = say(text) {
        log::warn!("{}", failure.what());
    }
}
