//! What only tests want, and no release contains: a death at a named place, a clock that they hold, a shorter minute.

/// Dies here as by `kill -9`, where a test has named this place.
#[cfg(debug_assertions)]
pub(crate) fn point(place: &str) {
    if std::env::var("QUEUE_TEST_DIE").is_ok_and(|wanted| wanted == place) {
        let me = rustix::process::getpid();
        let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn point(_: &str) {}

/// The moment that stands in the file the test has named.
#[cfg(debug_assertions)]
pub(crate) fn clock() -> Option<String> {
    let path = std::env::var_os("QUEUE_TEST_CLOCK")?;
    std::fs::read_to_string(path).ok()
}

/// Whether a test holds the clock, and starts each run itself.
pub(crate) fn is_test() -> bool {
    #[cfg(debug_assertions)]
    return clock().is_some();
    #[cfg(not(debug_assertions))]
    false
}

/// The minute of which rates and patience are made.
pub(crate) fn minute() -> std::time::Duration {
    #[cfg(debug_assertions)]
    if let Some(length) = std::env::var("QUEUE_TEST_MINUTE")
        .ok()
        .and_then(|ms| ms.parse().ok())
    {
        return std::time::Duration::from_millis(length);
    }
    std::time::Duration::from_secs(60)
}
