//! Time that survives a wrong clock: a machine without a battery begins each boot in 1970, until NTP corrects it.
//!
//! Within one boot only the time since boot counts; between boots, the wall clock.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The beginning of 2026. A clock that says less is wrong, since this program is younger.
const SANE: u64 = 1_767_225_600_000;

/// A point in time, as it is written into files: boot, milliseconds since then, milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The kernel's boot id, or `-`.
    boot: String,
    up: u64,
    wall: u64,
}

impl Moment {
    pub(crate) fn now() -> Self {
        #[cfg(debug_assertions)]
        if let Some(fake) = super::fault::clock() {
            return Self::parse(&fake).unwrap_or_default();
        }
        // Not /proc/uptime, which in a container starts again at 0 under the same boot id.
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let up = Duration::try_from(up).unwrap_or_default();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            boot: boot(),
            up: milliseconds(up),
            wall: milliseconds(wall.unwrap_or_default()),
        }
    }

    /// A moment of which only the wall clock is known.
    pub(crate) fn by_wall(seconds: u64) -> Self {
        Self {
            boot: "-".into(),
            up: 0,
            wall: seconds.saturating_mul(1000),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace();
        Some(Self {
            boot: words.next()?.to_owned(),
            up: words.next()?.parse().ok()?,
            wall: words.next()?.parse().ok()?,
        })
    }

    /// How long ago `then` was. `None` if that is not known: `then` lies ahead, or its clock was wrong.
    pub(crate) fn since(&self, then: &Self) -> Option<Duration> {
        let passed = match self.boot == then.boot && self.boot != "-" {
            true => self.up.checked_sub(then.up),
            false if then.wall < SANE => None,
            false => self.wall.checked_sub(then.wall),
        };
        passed.map(Duration::from_millis)
    }

    /// By the wall clock, for people.
    pub(crate) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.wall)
    }
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.boot, self.up, self.wall)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wait {
    pub(crate) since: Moment,
    pub(crate) length: Duration,
}

impl Wait {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seconds, since) = text.split_once(' ')?;
        Some(Self {
            // A `u32`, so that it can be added to any time.
            length: Duration::from_secs(seconds.parse::<u32>().ok()?.into()),
            since: Moment::parse(since)?,
        })
    }

    /// What is left of it. Nothing if its beginning lies ahead: one attempt too many is better than a queue that waits for
    /// years because the clock was wrong.
    pub(crate) fn left(&self, now: &Moment) -> Duration {
        let passed = now.since(&self.since);
        passed.map_or(Duration::ZERO, |passed| self.length.saturating_sub(passed))
    }
}

impl std::fmt::Display for Wait {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.length.as_secs(), self.since)
    }
}

/// Sleeps. Returns `false` at once if a test holds the clock, which would never go on.
pub(crate) fn sleep(time: Duration) -> bool {
    if super::fault::is_test() {
        return false;
    }
    std::thread::sleep(time);
    true
}

fn boot() -> String {
    static BOOT: OnceLock<String> = OnceLock::new();
    let read = || {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        match id.trim() {
            "" => "-".to_owned(),
            id => id.to_owned(),
        }
    };
    BOOT.get_or_init(read).clone()
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(boot: &str, up: u64, wall: u64) -> Moment {
        let wall = wall + SANE;
        Moment {
            boot: boot.into(),
            up,
            wall,
        }
    }

    #[test]
    fn within_a_boot_the_wall_clock_does_not_count() {
        let then = at("a", 1_000, 0);
        for wall in [0, 1 << 40] {
            let now = at("a", 61_000, wall);
            assert_eq!(now.since(&then), Some(Duration::from_secs(60)));
        }
        assert_eq!(at("a", 500, 9_000).since(&then), None, "ahead");
    }

    #[test]
    fn across_boots_the_wall_clock_counts() {
        let then = at("a", 9_000, 1_000);
        assert_eq!(at("b", 5, 3_000).since(&then), Some(Duration::from_secs(2)));
        assert_eq!(at("b", 5, 0).since(&then), None, "ahead");
        let mut wrong = then.clone();
        wrong.wall = 7_000;
        assert_eq!(at("b", 5, 3_000).since(&wrong), None, "1970");
        // Where there is no boot id, it is never the same boot.
        let (then, now) = (at("-", 1, 1_000), at("-", 9_000, 2_000));
        assert_eq!(now.since(&then), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_wait_that_began_in_the_future_is_over() {
        let wait = Wait {
            since: at("a", 10_000, 0),
            length: Duration::from_secs(60),
        };
        assert_eq!(wait.left(&at("a", 10_000, 0)), Duration::from_secs(60));
        assert_eq!(wait.left(&at("a", 30_000, 0)), Duration::from_secs(40));
        assert_eq!(wait.left(&at("a", 90_000, 0)), Duration::ZERO);
        assert_eq!(wait.left(&at("a", 9_999, 0)), Duration::ZERO);
        assert_eq!(Wait::parse(&wait.to_string()), Some(wait));
        assert_eq!(Wait::parse("x a 1 2"), None);
    }
}
