#![no_main]
#![allow(dead_code)] // each target uses a part of what it takes from the command

#[path = "../../../src/account/file.rs"]
mod file;
#[path = "../../../src/message/head.rs"]
mod head;
#[path = "../../invariants/command.rs"]
mod invariants;
#[path = "../../../src/message/list.rs"]
mod list;

libfuzzer_sys::fuzz_target!(|text: &[u8]| invariants::configuration(text));
