//! This machine's clock against the servers'.

use std::time::{Duration, SystemTime};

use crate::advice::doctor::check::{Advice, Cause, Checks, Place};
use crate::date;
use crate::error::Error;
use crate::stage::{ErrorKind, Stage};

/// How wrong a clock may be: half of the ten minutes for which an assertion is valid from now on.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How far this machine's clock is ahead of a server's, or behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    by: Duration,
    ahead: bool,
}

impl Skew {
    /// By the first date in what a server has just said.
    pub(super) fn told(text: &str) -> Option<Self> {
        Some(Self::between(SystemTime::now(), date::find(text)?))
    }

    fn between(here: SystemTime, there: SystemTime) -> Self {
        match here.duration_since(there) {
            Ok(by) => Self { by, ahead: true },
            Err(behind) => Self {
                by: behind.duration(),
                ahead: false,
            },
        }
    }

    fn is_bad(self) -> bool {
        self.by > TOLERANCE
    }

    fn text(self) -> String {
        let seconds = self.by.as_secs();
        let amount = match seconds {
            0..=299 => format!("{seconds} s"),
            300..=7199 => format!("{} minutes", seconds / 60),
            7200..=172_799 => format!("{} hours", seconds / 3600),
            _ => format!("{} days", seconds / 86_400),
        };
        match (seconds, self.ahead) {
            (0, _) => "right to the second".into(),
            (_, true) => format!("{amount} ahead"),
            (_, false) => format!("{amount} behind"),
        }
    }

    fn error(self, witness: &str) -> Error {
        let of = if self.ahead { " of" } else { "" };
        let what = format!("this machine's clock is {}{of} {witness}'s", self.text());
        Error::new(ErrorKind::Input, Stage::Account, what).about("clock")
    }
}

/// Compares the clock with the nearer of two witnesses: a wrong clock differs from both, a wrong server only by itself.
/// Whether the clock is wrong, so that failures which it explains are put down to it.
pub(super) fn check(checks: &mut Checks, by_server: Option<Skew>, by_entra: Option<Skew>) -> bool {
    const NAME: &str = "clock";
    let witnesses = [(by_server, "the mail server"), (by_entra, "Entra")];
    let nearest = witnesses
        .into_iter()
        .filter_map(|(skew, witness)| Some((skew?, witness)))
        .min_by_key(|(skew, _)| skew.by);
    match nearest {
        None => checks.skip(NAME, "no server has said what time it is"),
        Some((skew, witness)) if skew.is_bad() => {
            checks.fail(NAME, skew.error(witness), Some(advice()));
            return true;
        }
        Some((skew, witness)) => checks.ok(NAME, format!("{}, by {witness}'s", skew.text())),
    }
    false
}

pub(super) fn advice() -> Advice {
    let what = "With a wrong clock good certificates look expired or not yet valid, and what this machine signs is \
                refused as too old or too new. Set the clock first, then look again at whatever else failed.";
    let commands = ["timedatectl set-ntp true", "date -u"].map(str::to_owned);
    let cause = Cause::new("the clock is not kept by NTP", Place::Shell, commands);
    Advice::new(what, vec![cause])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_five_minutes_are_a_wrong_clock() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let off = |seconds| Skew::between(now, now - Duration::from_secs(seconds));
        assert!(!off(300).is_bad() && off(301).is_bad());
        assert_eq!(off(7).text(), "7 s ahead");
        let behind = Skew::between(now, now + Duration::from_secs(3 * 3600));
        assert_eq!(
            (behind.text().as_str(), behind.is_bad()),
            ("3 hours behind", true)
        );
    }
}
