//! Checks for people: one line each, then what is wrong. 80 columns.

use std::io::IsTerminal;

use exosend::advice::{Advice, Check, CheckState, Place};

use crate::wrap::wrap;

/// Where details begin.
const DETAIL: usize = 30;

/// On a terminal, unless NO_COLOR is set (<https://no-color.org>).
pub(super) fn colour() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !unwanted
}

pub(super) fn report(checks: &[Check], mailbox: &str, colour: bool) -> String {
    let mut out = String::new();
    for check in checks {
        line(&mut out, check, colour);
    }
    let failed = |check: &&Check| check.state() == CheckState::Failed;
    for check in checks.iter().filter(failed) {
        out.push('\n');
        match check.advice() {
            Some(advice) => explain(&mut out, check.name(), advice),
            None => {
                let text = format!(
                    "{}: no more is known than what is said above.",
                    check.name()
                );
                wrap(&mut out, &text, "", "");
            }
        }
    }
    if !checks.iter().any(|check| failed(&check)) {
        out.push_str(&format!(
            "\nAll is well: mail from {mailbox} can be sent. Nothing was sent.\n"
        ));
    }
    for check in checks.iter().filter(|check| !failed(check)) {
        if let Some(advice) = check.advice() {
            out.push('\n');
            explain(&mut out, &format!("note on {}", check.name()), advice);
        }
    }
    out
}

fn line(out: &mut String, check: &Check, colour: bool) {
    let (word, code) = match check.state() {
        CheckState::Ok => ("ok", "32"),
        CheckState::Failed => ("FAIL", "1;31"),
        _ => ("skip", "33"),
    };
    let time = match (check.state(), check.took().as_millis()) {
        (CheckState::Skipped, _) => String::new(),
        (_, ms) if ms < 10_000 => format!("{ms} ms"),
        (_, ms) => format!("{} s", ms / 1000),
    };
    let head = format!("{word:<4}  {:<13} {time:>8}  ", check.name());
    let mut text = String::new();
    wrap(&mut text, check.detail(), &head, &" ".repeat(DETAIL));
    match text.strip_prefix(word) {
        Some(rest) if colour => out.push_str(&format!("\x1b[{code}m{word}\x1b[0m{rest}")),
        _ => out.push_str(&text),
    }
}

fn explain(out: &mut String, name: &str, advice: &Advice) {
    let meaning = match advice.meaning() {
        "" => "this is what it means, and what to do:",
        meaning => meaning,
    };
    wrap(out, &format!("{name}: {meaning}"), "", "");
    let several = advice.causes().len() > 1;
    for (n, cause) in advice.causes().iter().enumerate() {
        out.push('\n');
        match several {
            true => wrap(out, cause.text(), &format!("{}. ", n + 1), "   "),
            false => wrap(out, cause.text(), "-> ", "   "),
        }
        if cause.commands().next().is_none() {
            continue;
        }
        out.push_str(match cause.place() {
            Place::Configuration => "   In the configuration (/etc/exosend.conf):\n",
            Place::Shell => "   In a shell on this machine:\n",
            Place::AzureCli => "   In a shell with the Azure CLI, after az login:\n",
            Place::ExchangePowerShell => "   In Exchange Online PowerShell:\n",
            _ => "   In the Entra admin center, https://entra.microsoft.com:\n",
        });
        for command in cause.commands() {
            match cause.place() {
                Place::EntraPortal => wrap(out, command, "   ", "   "),
                _ => {
                    for line in command.lines() {
                        out.push_str(&format!("   {line}\n"));
                    }
                }
            }
        }
    }
}
