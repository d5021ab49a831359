//! The time, in the three forms the servers write it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(super) fn unix() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970");
    i64::try_from(since.as_secs()).expect("a clock before the end of time")
}

/// "Tue, 24 Nov 2026 09:00:00 +0000", as in Exchange's greeting.
pub(super) fn rfc5322() -> String {
    let (year, month, day) = date(unix());
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][index(unix() / 86_400, 7)];
    let names = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    format!(
        "{weekday}, {day} {} {year} {} +0000",
        names[index(month - 1, 12)],
        time_of_day(unix())
    )
}

/// "2026-11-24T09:00:00.000Z", as in Exchange's refusals.
pub(super) fn iso8601() -> String {
    iso8601_at(unix())
}

/// That time in the same form.
pub(super) fn iso8601_at(time: i64) -> String {
    let (year, month, day) = date(time);
    format!("{year}-{month:02}-{day:02}T{}.000Z", time_of_day(time))
}

/// "2026-11-24 09:00:00Z", as in Entra's refusals.
pub(super) fn entra() -> String {
    iso8601().replace('T', " ").replace(".000", "")
}

fn time_of_day(time: i64) -> String {
    let second = time % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// Year, month and day by the proleptic Gregorian calendar, counted in years that begin in March.
fn date(time: i64) -> (i64, i64, i64) {
    let days = time / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

fn index(value: i64, length: i64) -> usize {
    usize::try_from(value.rem_euclid(length)).expect("a small number")
}
