//! The manual: every page is well-formed, and has the options of the program.

use std::process::Command;

use crate::machine::Machine;

fn page(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/src/bin/exosend/share/{name}")
}

fn rendered(name: &str) -> Option<String> {
    let man = Command::new("man")
        .args(["--warnings=all", "-l", &page(name)])
        .env("MANWIDTH", "80")
        .output();
    let man = man.ok()?; // .ci/run installs it
    let complaints = String::from_utf8_lossy(&man.stderr);
    assert!(
        man.status.success() && complaints.is_empty(),
        "{complaints}"
    );
    Some(String::from_utf8_lossy(&man.stdout).into_owned())
}

#[test]
fn the_manual_is_rendered_without_a_complaint() {
    for name in ["mailq.1", "newaliases.1", "exosend.conf.5"] {
        rendered(name);
    }
    let (Some(command), Some(sendmail)) = (rendered("exosend.1"), rendered("sendmail.8")) else {
        return;
    };
    // Every option that --help names.
    let machine = Machine::new();
    for name in subcommands().chain([""]) {
        let run = machine.run(&format!("{name} --help"), "");
        let options = run.stdout.split([' ', '\n', '[', ']', ',', '\'']);
        for option in options.filter(|word| word.starts_with("--") && word.len() > 2) {
            let told = command.contains(option) || name.is_empty() && sendmail.contains(option);
            assert!(told, "{name}: {option}");
        }
    }
}

/// mandoc finds more than man, which checks macros and fonts only. References to pages that this machine may not have are
/// left out.
#[test]
#[ignore = "needs mandoc: .ci/run"]
fn mandoc_has_no_complaint() {
    for name in [
        "exosend.1",
        "mailq.1",
        "newaliases.1",
        "exosend.conf.5",
        "sendmail.8",
    ] {
        let mandoc = Command::new("mandoc")
            .args(["-Tlint", "-Wstyle"])
            .arg(page(name))
            .output();
        let said = mandoc.unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned()
            + &String::from_utf8_lossy(&said.stderr);
        let about_us = said.lines().filter(|line| {
            !line.contains("mandoc.db") && !line.contains("referenced manual not found")
        });
        assert_eq!(about_us.collect::<Vec<_>>(), [""; 0], "{name}");
    }
}

/// As `main.rs` has them.
pub(super) fn subcommands() -> impl Iterator<Item = &'static str> {
    let main = include_str!("../../src/bin/exosend/main.rs");
    let (_, table) = main.split_once("const SUBCOMMANDS").unwrap();
    let rows = table.split("];").next().unwrap();
    rows.split("(\"")
        .skip(1)
        .filter_map(|row| row.split('"').next())
}
