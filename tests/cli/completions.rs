//! The shells complete all options and subcommands: each completion is run by its own shell.

use std::collections::BTreeSet;
use std::process::Command;

use crate::cli::manual::subcommands;
use crate::machine::Machine;

/// `$1` is the file, `$2` the subcommand. Each prints the options that are offered after it, one a line.
const SHELLS: [(&str, &str); 3] = [
    (
        "bash",
        r#". "$1"; COMP_WORDS=(exosend "$2" -); COMP_CWORD=2; _exosend; printf '%s\n' "${COMPREPLY[@]}""#,
    ),
    // A stand-in for zsh's own functions, which work at a prompt only.
    (
        "zsh",
        r#"_arguments() { print -rl -- "${@#\*}" }; words=(exosend "$2" -); CURRENT=3; . "$1""#,
    ),
    (
        "fish",
        r#"set file $argv[2]; set word $argv[3]; source $file; complete -C "exosend $word -"; complete -C "exosend $word --""#,
    ),
];

/// The options, or nothing if the shell is not installed; .ci/run installs it.
fn offered(shell: &str, script: &str, command: &str) -> Option<BTreeSet<String>> {
    let root = env!("CARGO_MANIFEST_DIR");
    let file = format!("{root}/src/bin/exosend/share/exosend.{shell}");
    let output = Command::new(shell)
        .args(["-c", script, shell, &file, command])
        .env("HOME", std::env::temp_dir())
        .output()
        .ok()?;
    let (said, complaints) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    assert_eq!(complaints, "", "{shell} {command}");
    let said = String::from_utf8(said).unwrap();
    let words = said.lines().map(|line| option(line).to_owned());
    Some(words.filter(|word| word.starts_with('-')).collect())
}

/// An option, without its description and its value.
fn option(text: &str) -> &str {
    text.split(['[', '\t', ',', ' ', '=', '\'', ']'])
        .next()
        .unwrap_or_default()
}

#[test]
fn every_shell_offers_the_options_of_the_help() {
    let machine = Machine::new();
    for command in subcommands() {
        let help = machine.run(&format!("{command} --help"), "").stdout;
        let mut told: BTreeSet<_> = help
            .split([' ', '\n', '[', ']', '\''])
            .filter(|word| word.starts_with("--") || *word == "-v")
            .map(|word| option(word).to_owned())
            .collect();
        told.insert("--help".into());
        for (shell, script) in SHELLS {
            if let Some(offered) = offered(shell, script, command) {
                assert_eq!(offered, told, "{shell}: exosend {command}");
            }
        }
    }
}

#[test]
fn every_shell_offers_each_subcommand() {
    for (shell, _) in SHELLS {
        let root = env!("CARGO_MANIFEST_DIR");
        let file = format!("{root}/src/bin/exosend/share/exosend.{shell}");
        let text = std::fs::read_to_string(file).unwrap();
        let words: BTreeSet<_> = text.split([' ', '"', '\'', ':', '\n', ')']).collect();
        for command in subcommands() {
            assert!(words.contains(command), "{shell}: {command}");
        }
    }
}
