//! The time, in the forms the servers write it, by the calendar of `time`, which rcgen brings.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(super) fn unix() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970").as_secs() as i64
}

/// "Tue, 24 Nov 2026 09:00:00 +0000", as in Exchange's greeting.
pub(super) fn rfc5322() -> String {
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(unix() as u64);
    let (weekday, month) = (now.weekday().to_string(), now.month().to_string());
    let (weekday, month, day, year) = (&weekday[..3], &month[..3], now.day(), now.year());
    let (hour, minute, second) = (now.hour(), now.minute(), now.second());
    format!("{weekday}, {day} {month} {year} {hour:02}:{minute:02}:{second:02} +0000")
}

/// "2026-11-24T09:00:00.000Z", as in Exchange's refusals.
pub(super) fn iso8601() -> String {
    iso8601_at(unix())
}

/// That time in the same form.
pub(super) fn iso8601_at(time: i64) -> String {
    let time = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(time as u64);
    let (date, hour, minute, second) = (time.date(), time.hour(), time.minute(), time.second());
    format!("{date}T{hour:02}:{minute:02}:{second:02}.000Z")
}

/// "2026-11-24 09:00:00Z", as in Entra's refusals.
pub(super) fn entra() -> String {
    iso8601().replace('T', " ").replace(".000", "")
}
