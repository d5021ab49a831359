#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| exosend::fuzzing::graph_answer(input));
