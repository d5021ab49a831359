//! What goes to stderr besides the error: warnings, and with `-v` the transcript.

use std::io::Write;

use log::{Level, LevelFilter};

use crate::common::Common;
use crate::text::printable;

/// `RUST_LOG` changes what is shown, up to debug: at trace, ureq would show secret and token.
pub(crate) fn start(common: &Common) {
    start_with(common, str::to_owned);
}

/// `shown` edits each line of the transcript.
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
        // So that a filter for another program does not silence our warnings.
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
        // Fails if it was started before, by a subcommand that runs another.
        .try_init()
        .unwrap_or_default();
    log::set_max_level(log::max_level().min(LevelFilter::Debug));
}

/// The filters of `RUST_LOG` that env_logger can read: of others it warns by `eprintln!`, which panics if stderr is closed.
/// Without the pattern after a `/`, which would silence all warnings that do not contain it.
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
