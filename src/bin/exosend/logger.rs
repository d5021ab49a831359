//! What goes to stderr besides the error: warnings, and with `-v` the transcript.

use std::io::Write;

use log::{Level, LevelFilter};

use crate::common::Common;
use crate::text::printable;

/// `RUST_LOG` changes what is shown, up to debug: at trace, ureq shows what is asked and answered, secret and
/// token included.
pub(crate) fn start(common: &Common) {
    start_with(common, str::to_owned);
}

/// `shown` has the last word on each line of the transcript.
pub(crate) fn start_with(common: &Common, shown: fn(&str) -> String) {
    let filter = match (common.verbose, common.quiet) {
        (true, _) => "exosend=debug",
        (false, true) => "exosend=error",
        (false, false) => "exosend=warn",
    };
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let wanted = readable(&wanted);
    let mut builder = env_logger::Builder::new();
    if !wanted.is_empty() {
        // A filter that is meant for another program silences no warning.
        builder.filter_level(LevelFilter::Warn);
        builder.parse_filters(&wanted);
    }
    if wanted.is_empty() || common.verbose || common.quiet {
        builder.parse_filters(filter);
    }
    builder
        .format(move |out, record| {
            let text = printable(&record.args().to_string());
            match (record.target(), record.level()) {
                ("exosend::wire", _) => writeln!(out, "{}", shown(&text)),
                (_, Level::Warn) => writeln!(out, "exosend: warning: {text}"),
                _ => writeln!(out, "exosend: {text}"),
            }
        })
        // Fails where a subcommand that runs another has started it.
        .try_init()
        .unwrap_or_default();
    log::set_max_level(log::max_level().min(LevelFilter::Debug));
}

/// What of `RUST_LOG` names a level. Of the rest env_logger tells by `eprintln!`, which panics where stderr is gone; and
/// what stands behind a `/` would silence warnings in which it does not stand.
fn readable(filters: &str) -> String {
    let filters = filters.split('/').next().unwrap_or_default();
    let is_level = |level: &str| level.is_empty() || level.parse::<LevelFilter>().is_ok();
    let is_filter = |filter: &&str| {
        let level = filter.split_once('=').map(|(_, level)| level.trim());
        level.is_none_or(is_level)
    };
    let filters: Vec<_> = filters.split(',').filter(is_filter).collect();
    filters.join(",")
}
