#![no_main]
#![allow(dead_code)] // each target uses a part of what it takes from the command

include!("command.rs");

libfuzzer_sys::fuzz_target!(|text: &[u8]| invariants::configuration(text));
