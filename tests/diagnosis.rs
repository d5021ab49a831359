//! Every cause that is known, played by the stand-in: what `exosend doctor` says of it, with which commands, and its exit
//! code. The causes are those of facts.md, up to RCPT, in both permission paths.

#[path = "diagnosis/causes.rs"]
mod causes;
use crate::machine;
#[path = "diagnosis/way.rs"]
mod way;

use crate::exchange;

use exchange::{Builder, Exchange};
use machine::Machine;
use serde_json::Value;

/// Whether Entra gives the application its permission, or Exchange does (facts.md, "Tokens").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Classic,
    AppRbac,
}

impl Path {
    const BOTH: [Self; 2] = [Self::Classic, Self::AppRbac];

    fn exchange(self) -> Builder {
        match self {
            Self::Classic => Exchange::builder(),
            Self::AppRbac => Exchange::builder().without_roles(),
        }
    }
}

/// The check that failed first, and all that is said about it.
struct Verdict {
    code: i32,
    check: String,
    detail: String,
    /// Meaning, causes and commands, a line each.
    says: String,
    all: Value,
}

impl std::fmt::Debug for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "exit {}, {}: {}\n{}",
            self.code, self.check, self.detail, self.says
        )
    }
}

impl Verdict {
    fn state(&self, check: &str) -> &str {
        let checks = self.all["checks"].as_array().unwrap();
        let check = checks
            .iter()
            .find(|c| c["name"] == check)
            .unwrap_or_else(|| panic!("no check {check}: {}", self.all));
        check["state"].as_str().unwrap()
    }

    #[track_caller]
    fn assert(&self, code: i32, check: &str, includes: &[&str], excludes: &[&str]) {
        assert_eq!((self.code, self.check.as_str()), (code, check), "{self:#?}");
        for text in includes {
            assert!(self.says.contains(text), "{text} is missing: {self:#?}");
        }
        for text in excludes {
            assert!(!self.says.contains(text), "{text} is ruled out: {self:#?}");
        }
    }
}

/// Runs the doctor on a machine, for programs and for people, and looks at what must hold of every diagnosis.
#[track_caller]
fn examine(machine: &Machine, to: Option<&str>) -> Verdict {
    let mut arguments = vec!["doctor"];
    arguments.extend(to.map(|_| "--to"));
    arguments.extend(to);
    let people = machine.run(&arguments, "");
    arguments.push("--json");
    let run = machine.run(&arguments, "");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (people.code, people.stderr.as_str())
    );
    let all: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    assert_eq!(all["exit"], run.code);

    let exchange = &machine.exchange;
    assert_eq!(exchange.settle().delivered().len(), 0, "a message was sent");
    for output in [&run.stdout, &people.stdout, &people.stderr] {
        assert!(!output.contains(exchange.client_secret()), "{output}");
        // What every JWT begins with: `{"`.
        assert!(!output.contains("eyJ"), "{output}");
        assert!(
            !output.contains("SASL") && !output.contains('\x1b'),
            "{output}"
        );
        // facts.md, "Permissions": without roles a token is right by App RBAC.
        assert!(!output.contains("broken"), "{output}");
    }

    let mut verdict = Verdict {
        code: run.code,
        check: String::new(),
        detail: String::new(),
        says: String::new(),
        all,
    };
    let checks = verdict.all["checks"].as_array().unwrap();
    if let Some(failed) = checks.iter().find(|check| check["state"] == "fail") {
        verdict.check = failed["name"].as_str().unwrap().to_owned();
        verdict.detail = failed["detail"].as_str().unwrap().to_owned();
        verdict.says = texts(&failed["advice"]).join("\n");
        assert!(people.stdout.contains("FAIL"), "{}", people.stdout);
    }
    verdict
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
