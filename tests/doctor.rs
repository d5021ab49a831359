//! The doctor, for each failure that it tells apart, in both permission paths.

mod graph;
mod login;
mod network;
mod report;
mod token;

use exosend::Account;
use exosend::advice::{Check, CheckState, diagnose};

use crate::exchange::{Builder, Exchange};

/// Both permission paths: the classic one, whose token has the role, and App RBAC, whose token has none.
fn both_paths(builder: &Builder) -> [(&'static str, Exchange); 2] {
    [
        ("classic", builder.clone().start()),
        ("app rbac", builder.clone().without_roles().start()),
    ]
}

#[derive(Debug)]
struct Diagnosis(Vec<Check>);

/// Diagnoses, and asserts that nothing was delivered, no rule broken and no secret shown.
#[track_caller]
fn examine_with(exchange: &Exchange, account: &Account, to: Option<&str>) -> Diagnosis {
    let checks = diagnose(account, to);
    assert_eq!(exchange.settle().delivered().len(), 0, "a message was sent");
    assert_eq!(exchange.violations(), [""; 0], "{checks:#?}");
    let printed = format!("{checks:?}");
    // What every JWT begins with: `{"`.
    for secret in [exchange.client_secret(), "eyJ"] {
        assert!(!printed.contains(secret), "{checks:#?}");
    }
    Diagnosis(checks)
}

#[track_caller]
fn examine(exchange: &Exchange) -> Diagnosis {
    examine_with(exchange, &exchange.account(), Some("ann@example.com"))
}

impl Diagnosis {
    #[track_caller]
    fn check(&self, name: &str) -> &Check {
        let check = self.0.iter().find(|check| check.name() == name);
        check.unwrap_or_else(|| panic!("no check {name}: {self:#?}"))
    }

    #[track_caller]
    fn is(&self, state: CheckState, names: &[&str]) -> &Self {
        for name in names {
            assert_eq!(self.check(name).state(), state, "{name}: {self:#?}");
        }
        self
    }

    fn failed(&self) -> Vec<&str> {
        let failed = |check: &&Check| check.state() == CheckState::Failed;
        self.0.iter().filter(failed).map(Check::name).collect()
    }

    /// A check's text: its detail, what it means, the causes and their commands, a line each.
    fn of(&self, name: &str) -> String {
        let check = self.check(name);
        let mut text = check.detail().to_owned();
        if let Some(advice) = check.advice() {
            text += &format!("\n{}", advice.meaning());
            for cause in advice.causes() {
                text += &format!("\n{}", cause.text());
                for command in cause.look().chain(cause.commands()) {
                    text += &format!("\n{command}");
                }
            }
        }
        text
    }

    /// This check alone failed, and its text has these parts and not those.
    #[track_caller]
    fn fails(&self, name: &str, says: &[&str], is_silent_on: &[&str]) {
        assert_eq!(self.failed(), [name], "{self:#?}");
        let text = self.of(name);
        for part in says {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
        for part in is_silent_on {
            assert!(!text.contains(part), "`{part}` in\n{text}");
        }
        // No advice calls a token without roles broken: with App RBAC it is right.
        assert!(!text.contains("broken"), "{text}");
    }
}
