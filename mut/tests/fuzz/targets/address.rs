#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| exosend::fuzzing::address(text));
