//! This machine's clock against the servers'.

use std::time::{Duration, SystemTime};

use crate::advice::doctor::advice::{Advice, Place};
use crate::der;
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

/// The date and time in a text: `Tue, 24 Nov 2026 09:00:00 +0000` (RFC 5322 3.3) or `... GMT` (RFC 9110 5.6.7), whatever
/// stands before and behind it.
pub(super) fn find_date(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(5).find_map(|words| match words {
        [day, month, year, time, zone] => date(day, month, year, time, zone),
        _ => None,
    })
}

fn date(day: &str, month: &str, year: &str, time: &str, zone: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let number = |text: &str, most: i64| {
        let digits =
            !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits)?;
        (0..=most).contains(&number).then_some(number)
    };
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let mut parts = time.split(':');
    let mut next = |most| number(parts.next()?, most);
    let (hour, minute, second) = (next(23)?, next(59)?, next(60)?);
    let east = match zone {
        "GMT" | "UTC" | "Z" => 0,
        _ => {
            let (sign, digits) = zone.split_at_checked(1)?;
            let (hours, minutes) = digits.split_at_checked(2)?;
            let offset = number(hours, 23)? * 3600 + number(minutes, 59)? * 60;
            match sign {
                "+" => offset,
                "-" => -offset,
                _ => return None,
            }
        }
    };
    let date = (number(year, 9999)?, month, number(day, 31)?);
    der::utc(date, hour * 3600 + minute * 60 + second - east)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_greetings_and_of_http() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        let greeting = "AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 12:00:00 +0000 \
                        [abc==]";
        assert_eq!(find_date(greeting), at(1_795_521_600));
        assert_eq!(
            find_date("Tue, 24 Nov 2026 12:00:00 GMT"),
            at(1_795_521_600)
        );
        assert_eq!(
            find_date("Tue, 24 Nov 2026 07:00:00 -0500"),
            at(1_795_521_600)
        );
        assert_eq!(find_date("24 Nov 2026 13:30:00 +0130"), at(1_795_521_600));
        for none in [
            "",
            "ESMTP Postfix",
            "24 Now 2026 12:00:00 GMT",
            "24 Nov 2026 12:00 GMT",
            "24 Nov 2026 25:00:00 GMT",
            "24 Nov 2026 12:00:00 \u{fc}00",
            "24 Nov 2026 +1:00:00 GMT",
            "99 Nov 2026 12:00:00 +0000",
        ] {
            assert_eq!(find_date(none), None, "{none}");
        }
    }

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
