//! What tests inject, and no release contains: a death at a named place, a clock that stands still, a shorter minute.

/// Dies as by `kill -9`, if a test has named this place.
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

/// The text of the file that holds a test's clock.
#[cfg(debug_assertions)]
pub(crate) fn clock() -> Option<String> {
    let path = std::env::var_os("QUEUE_TEST_CLOCK")?;
    std::fs::read_to_string(path).ok()
}

/// Whether a test holds the clock; it then starts each run itself.
pub(crate) fn is_test() -> bool {
    #[cfg(debug_assertions)]
    return clock().is_some();
    #[cfg(not(debug_assertions))]
    false
}

/// The unit of rates and timeouts.
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
