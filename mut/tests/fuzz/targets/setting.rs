#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    exosend::fuzzing::setting(key, value);
});
