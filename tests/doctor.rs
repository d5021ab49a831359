//! `exosend doctor`: the stand-in breaks in every way there is a verdict for, in both permission paths.

#[path = "doctor/login.rs"]
mod login;
use crate::machine;
#[path = "doctor/network.rs"]
mod network;
#[path = "doctor/report.rs"]
mod report;
#[path = "doctor/token.rs"]
mod token;

use crate::exchange;

use exchange::Builder;
use machine::{Machine, Run};

/// Both permission paths: the classic one, whose token has the role, and App RBAC, whose token has none.
fn both_paths(builder: &Builder) -> [(&'static str, Machine); 2] {
    [
        ("classic", Machine::with(builder.clone().start())),
        (
            "app rbac",
            Machine::with(builder.clone().without_roles().start()),
        ),
    ]
}

/// Runs the doctor. Whatever it finds: nothing is delivered, no rule is broken, no secret is told, lines have 80 columns.
fn doctor(machine: &Machine, arguments: &[&str]) -> Run {
    let arguments = [&["doctor"], arguments].concat();
    let run = machine.run(&arguments, "");
    let exchange = &machine.exchange;
    assert_eq!(exchange.settle().delivered().len(), 0);
    assert_eq!(exchange.violations(), [""; 0], "{}", run.stdout);
    for secret in [exchange.client_secret(), "eyJ"] {
        let told = run.stdout.contains(secret) || run.stderr.contains(secret);
        assert!(!told, "{}\n{}", run.stdout, run.stderr);
    }
    if !arguments.contains(&"--json") {
        // Commands are copied, and words like ids are not cut.
        let is_command = |line: &str| line.starts_with("   ") && line.contains(" -");
        for line in run.stdout.lines().filter(|line| !is_command(line)) {
            let long_word = line.split_whitespace().any(|word| word.len() > 45);
            assert!(line.chars().count() <= 80 || long_word, "{line}");
        }
    }
    run
}

/// The line of a check and those it goes on in, as one.
fn line(run: &Run, state: &str, name: &str) -> String {
    let head = format!("{state:<4}  {name:<13} ");
    let mut lines = run
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with(&head));
    let first = lines
        .next()
        .unwrap_or_else(|| panic!("no `{head}` in\n{}", run.stdout));
    let more = lines.take_while(|line| line.starts_with(&" ".repeat(30)));
    std::iter::once(first)
        .chain(more)
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The output without its line breaks.
fn flat(run: &Run) -> String {
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(run: &Run, expected: &[&str]) {
    let text = flat(run);
    for part in expected {
        assert!(
            text.contains(part),
            "no `{part}` in\n{}\n{}",
            run.stdout,
            run.stderr
        );
    }
}

#[track_caller]
fn is_silent_on(run: &Run, forbidden: &[&str]) {
    let text = flat(run);
    for part in forbidden {
        assert!(!text.contains(part), "`{part}` in\n{}", run.stdout);
    }
}
