//! Moments as people and protocols write them, both ways: mail, HTTP, logs and certificates. Pure.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

use std::time::{Duration, SystemTime};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// Beginning with that of 1970-01-01.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// `Tue, 24 Nov 2026 09:00:00 +0000` (RFC 5322 3.3). UTC: the local zone would need a crate, and would tell where the sender is.
pub fn rfc5322(time: SystemTime) -> String {
    let (days, second) = days_and_seconds(time);
    let (year, month, day) = civil(days);
    let weekday = WEEKDAYS.get(days.rem_euclid(7) as usize);
    let month = MONTHS.get(month as usize - 1);
    format!(
        "{}, {day:02} {} {year:04} {} +0000",
        weekday.unwrap_or(&""),
        month.unwrap_or(&""),
        clock(second)
    )
}

/// `2026-11-24T12:01:57Z` (RFC 3339).
pub fn rfc3339(time: SystemTime) -> String {
    let (days, second) = days_and_seconds(time);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{}Z", clock(second))
}

/// Whole days.
pub(crate) fn days(time: Duration) -> u64 {
    time.as_secs() / 86_400
}

/// The first date and time in a text: `Tue, 24 Nov 2026 09:00:00 +0000` (RFC 5322 3.3) or `... GMT` (RFC 9110 5.6.7),
/// whatever surrounds it.
pub(crate) fn find(text: &str) -> Option<SystemTime> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    words.windows(5).find_map(|words| match words {
        [day, month, year, time, zone] => of_words(day, month, year, time, zone),
        _ => None,
    })
}

fn of_words(day: &str, month: &str, year: &str, time: &str, zone: &str) -> Option<SystemTime> {
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let mut parts = time.split(':').map(number);
    let mut next = || parts.next()?;
    let time = (next()?, next()?, next()?);
    let east = match zone {
        "GMT" | "UTC" | "Z" => 0,
        _ => {
            let (sign, digits) = zone.split_at_checked(1)?;
            let (hours, minutes) = digits.split_at_checked(2)?;
            let offset = number(hours)? * 3600 + number(minutes)? * 60;
            match sign {
                "+" => offset,
                "-" => -offset,
                _ => return None,
            }
        }
    };
    moment((number(year)?, month, number(day)?), time, east)
}

/// `YYMMDDHHMMSSZ`, the only form that DER has of a `UTCTime`, for the years from 1950 to 2049 (RFC 5280 4.1.2.5.1).
pub(crate) fn utc_time(text: &[u8]) -> Option<SystemTime> {
    let century: &[u8] = match text.first()? {
        b'0'..=b'4' => b"20",
        _ => b"19",
    };
    generalized_time(&[century, text].concat())
}

/// `YYYYMMDDHHMMSSZ`, the only form that DER has of a `GeneralizedTime` (RFC 5280 4.1.2.5.2).
pub fn generalized_time(text: &[u8]) -> Option<SystemTime> {
    let text = std::str::from_utf8(text).ok()?;
    let digits = text.strip_suffix('Z').filter(|text| text.len() == 14)?;
    let field = |at, length| number(digits.get(at..at + length)?);
    moment(
        (field(0, 4)?, field(4, 2)?, field(6, 2)?),
        (field(8, 2)?, field(10, 2)?, field(12, 2)?),
        0,
    )
}

/// Up to four digits, and nothing else.
fn number(text: &str) -> Option<i64> {
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A date and a time of day, `east` seconds east of Greenwich; `None` if they do not exist. A leap second is the next one.
fn moment(
    (year, month, day): (i64, i64, i64),
    (hour, minute, second): (i64, i64, i64),
    east: i64,
) -> Option<SystemTime> {
    let days = since_1970(year, month, day);
    if civil(days) != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - east;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(distance),
        false => SystemTime::UNIX_EPOCH.checked_add(distance),
    }
}

/// Days since 1970-01-01, and seconds of that day.
fn days_and_seconds(time: SystemTime) -> (i64, i64) {
    let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_secs() as i64,
        Err(before) => {
            let before = before.duration();
            -(before.as_secs() as i64) - i64::from(before.subsec_nanos() > 0)
        }
    };
    (seconds.div_euclid(86_400), seconds.rem_euclid(86_400))
}

fn clock(second: i64) -> String {
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!("{hour:02}:{minute:02}:{:02}", second % 60)
}

/// Days since 1970-01-01. The year is counted from March, so that a leap day is its last. For a date that does not exist
/// [`civil`] returns another one.
fn since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = match month < 3 {
        true => (year - 1, month + 9),
        false => (year, month - 3),
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// Year, month and day: Howard Hinnant's `civil_from_days`, in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (next_year, month) = match month < 10 {
        true => (0, month + 3),
        false => (1, month - 9),
    };
    (era * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> SystemTime {
        let distance = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => SystemTime::UNIX_EPOCH - distance,
            false => SystemTime::UNIX_EPOCH + distance,
        }
    }

    #[test]
    fn dates_are_written_and_found_again() {
        for (seconds, date, day, time) in [
            (-1, "Wed, 31 Dec 1969", "1969-12-31", "23:59:59"),
            (0, "Thu, 01 Jan 1970", "1970-01-01", "00:00:00"),
            (951_782_399, "Mon, 28 Feb 2000", "2000-02-28", "23:59:59"),
            (951_782_400, "Tue, 29 Feb 2000", "2000-02-29", "00:00:00"),
            (951_868_800, "Wed, 01 Mar 2000", "2000-03-01", "00:00:00"),
            (1_795_521_717, "Tue, 24 Nov 2026", "2026-11-24", "12:01:57"),
            (1_798_761_599, "Thu, 31 Dec 2026", "2026-12-31", "23:59:59"),
            (4_107_542_400, "Mon, 01 Mar 2100", "2100-03-01", "00:00:00"),
        ] {
            let mail = format!("{date} {time} +0000");
            assert_eq!(rfc5322(at(seconds)), mail);
            assert_eq!(rfc3339(at(seconds)), format!("{day}T{time}Z"));
            assert_eq!(find(&mail), Some(at(seconds)));
        }
        let broken = SystemTime::UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(rfc3339(broken), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn a_date_is_found_in_greetings_and_in_fields() {
        let noon = Some(at(1_795_521_600));
        let greeting = "AM0.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 12:00:00 +0000 \
                        [abc==]";
        assert_eq!(find(greeting), noon);
        assert_eq!(find("Tue, 24 Nov 2026 12:00:00 GMT"), noon);
        assert_eq!(find("Tue, 24 Nov 2026 07:00:00 -0500"), noon);
        assert_eq!(find("24 Nov 2026 13:30:00 +0130"), noon);
        for none in [
            "",
            "ESMTP Postfix",
            "24 Now 2026 12:00:00 GMT",
            "24 Nov 2026 12:00 GMT",
            "24 Nov 2026 25:00:00 GMT",
            "24 Nov 2026 12:00:00 \u{fc}00",
            "24 Nov 2026 +1:00:00 GMT",
            "99 Nov 2026 12:00:00 +0000",
            "30 Feb 2026 12:00:00 +0000",
            "00 Nov 2026 12:00:00 +0000",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
    }

    #[test]
    fn times_of_certificates_are_read() {
        for (text, seconds) in [
            ("700101000000Z", 0),
            ("500101000000Z", -631_152_000),
            ("491231235959Z", 2_524_607_999),
            ("240229235959Z", 1_709_251_199),
        ] {
            assert_eq!(utc_time(text.as_bytes()), Some(at(seconds)), "{text}");
        }
        assert_eq!(
            generalized_time(b"21000301000000Z"),
            Some(at(4_107_542_400))
        );
        for no in [
            "",
            "Z",
            "261124120000",
            "2611241200Z",
            "20261124120000Z",
            "261324120000Z",
            "260024120000Z",
            "26112412000:Z",
            "230229120000Z",
            "26112412000\u{fc}Z",
        ] {
            assert_eq!(utc_time(no.as_bytes()), None, "{no}");
        }
        assert_eq!(generalized_time(b"261124120000Z"), None);
    }
}
