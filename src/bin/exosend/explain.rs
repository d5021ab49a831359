//! `exosend explain`: what a line from any program's log means. No network.

use std::io::{IsTerminal, Read};

use exosend::advice::{Explanation, explain, general_page};
use lexopt::{Arg, Parser};
use serde_json::{Value, json};

use crate::common::{self, Common, Shared};
use crate::exit::{self, Failure};
use crate::out::{say, say_json};
use crate::{help, wrap};

/// Some lines of a log, not a log.
const MAX_INPUT: u64 = 64 * 1024;

pub(crate) fn run(mut parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut words = Vec::new();
    while let Some(argument) = parser.next()? {
        if let Some(shared) = Shared::of(&argument) {
            common.take(shared, &mut parser)?;
            continue;
        }
        match argument {
            Arg::Value(word) => words.push(common::text(word)?),
            Arg::Long("help") | Arg::Short('h') => help::print(help::EXPLAIN),
            _ => return Err(argument.unexpected().into()),
        }
    }
    let line = match words.is_empty() {
        true => input(common)?,
        // Unquoted, the shell has made words of it.
        false => words.join(" "),
    };
    if line.trim().is_empty() {
        return Err(Failure::usage(
            "no line to explain, neither as an argument nor on stdin",
        ));
    }
    let found = explain(&line);
    let page = general_page(&line);
    let unknown = "nothing is known of this line";
    if common.json {
        let explanations: Vec<_> = found.iter().map(object).collect();
        say_json(json!({ "explanations": explanations, "page": page }))?;
    } else if !found.is_empty() {
        say(shown(&found).trim_end())?;
    }
    match found.is_empty() {
        true => {
            let failure = Failure::new(exit::DATA, unknown).with_hint(format!("look at {page}"));
            Err(if common.json {
                failure.printed()
            } else {
                failure
            })
        }
        false => Ok(()),
    }
}

fn input(common: &Common) -> Result<String, Failure> {
    let stdin = std::io::stdin().lock();
    if stdin.is_terminal() {
        common.reading("the line");
    }
    let mut bytes = Vec::new();
    stdin
        .take(MAX_INPUT)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(exit::NO_INPUT, format!("stdin: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The likeliest first.
fn shown(found: &[Explanation]) -> String {
    let mut out = String::new();
    for (n, explanation) in found.iter().enumerate() {
        let (first, indent) = match found.len() {
            1 => (String::new(), ""),
            _ => (format!("{}. ", n + 1), "   "),
        };
        let what = format!("{}: {}", explanation.recognised(), explanation.meaning());
        wrap::wrap(&mut out, &what, &first, indent);
        if !explanation.advice().is_empty() {
            wrap::wrap(
                &mut out,
                explanation.advice(),
                &format!("{indent}-> "),
                &format!("{indent}   "),
            );
        }
        out.push_str(&format!("{indent}{}\n\n", explanation.documented()));
    }
    out
}

fn object(explanation: &Explanation) -> Value {
    json!({
        "recognised": explanation.recognised(),
        "meaning": explanation.meaning(),
        "advice": explanation.advice(),
        "page": explanation.documented(),
    })
}
