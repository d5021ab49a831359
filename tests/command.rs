//! The command and its advice against the stand-in, a file for each subject.

mod exchange;
#[path = "cli/machine.rs"]
mod machine;

mod callers;
mod cli;
mod codes;
mod doctor;
mod explain;
#[path = "login/command.rs"]
mod login;
mod queue;
mod readme;
mod setup;
