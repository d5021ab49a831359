//! This machine's clock against the servers'.

use std::time::{Duration, SystemTime};

use crate::advice::doctor::advice::{Advice, Place};
use crate::error::Error;
use crate::stage::{ErrorKind, Stage};

/// Entra's assertions live for ten minutes and begin to be valid now; half of that is what a clock may be off.
pub(super) const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// How far this machine's clock is ahead or behind, as a server has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Skew {
    pub(super) by: Duration,
    pub(super) ahead: bool,
}

impl Skew {
    pub(super) fn between(here: SystemTime, there: SystemTime) -> Self {
        match here.duration_since(there) {
            Ok(by) => Self { by, ahead: true },
            Err(behind) => Self {
                by: behind.duration(),
                ahead: false,
            },
        }
    }

    pub(super) fn is_bad(self) -> bool {
        self.by > TOLERANCE
    }

    pub(super) fn text(self) -> String {
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

    pub(super) fn error(self, witness: &str) -> Error {
        let what = format!("this machine's clock is {} of {witness}'s", self.text());
        Error::new(ErrorKind::Input, Stage::Account, what).about("clock")
    }
}

pub(super) fn advice() -> Advice {
    let what = "With a wrong clock good certificates look expired or not yet valid, and what this machine signs is \
                refused as too old or too new. Set the clock first, then look again at whatever else failed.";
    Advice::new(what).cause(
        "the clock is not kept by NTP",
        Place::Shell,
        ["timedatectl set-ntp true", "date -u"].map(str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_minutes_are_no_skew() {
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
