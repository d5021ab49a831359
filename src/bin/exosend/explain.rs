//! `exosend explain`: the meaning of a line from any program's log, without network.

mod own;

use std::io::{IsTerminal, Read};

use exosend::advice::{Explanation, explain, general_page};
use lexopt::{Arg, Parser};
use serde_json::Value;

use crate::common::{Common, text};
use crate::exit::{self, Failure};
use crate::out::{self, say, say_json};
use crate::{files, help, wrap};

/// Enough for some lines of a log.
const MAX_INPUT: u64 = 64 * 1024;

pub(crate) fn run(parser: Parser, common: &mut Common) -> Result<(), Failure> {
    let mut words = Vec::new();
    common.options(parser, help::EXPLAIN, &mut |argument, _| {
        match argument {
            Arg::Value(word) => words.push(text(word.clone())?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let line = match words.is_empty() {
        true => input(common)?,
        // A line without quotes: the shell has split it.
        false => words.join(" "),
    };
    if line.trim().is_empty() {
        return Err(Failure::usage(
            "no line to explain, neither as an argument nor on stdin",
        ));
    }
    let found = known(&line);
    let page = general_page(&line);
    if common.json {
        say_json(&out::object(vec![
            ("explanations", found.iter().map(object).collect()),
            ("page", page.as_str().into()),
        ]))?;
    } else if !found.is_empty() {
        say(shown(&found).trim_end())?;
    }
    if !found.is_empty() {
        return Ok(());
    }
    let failure = Failure::data("nothing is known of this line");
    let failure = failure.with_hint(format!("look at {page}"));
    Err(match common.json {
        true => failure.printed(),
        false => failure,
    })
}

/// One meaning of the line.
struct Known {
    recognised: String,
    meaning: String,
    advice: String,
    page: String,
}

/// By the library; else an exit code, or a line of this command's own.
fn known(line: &str) -> Vec<Known> {
    let found = explain(line);
    if !found.is_empty() {
        return found.iter().map(Known::from).collect();
    }
    let (recognised, (meaning, advice)) = match (exit_code(line), own::line(line)) {
        (Some((code, words)), _) => (format!("exit code {code}"), words),
        (None, Some(found)) => found,
        (None, None) => return Vec::new(),
    };
    vec![Known {
        recognised,
        meaning: meaning.into(),
        advice: advice.into(),
        page: "man exosend".into(),
    }]
}

impl From<&Explanation> for Known {
    fn from(found: &Explanation) -> Self {
        Self {
            recognised: found.recognised().into(),
            meaning: found.meaning().into(),
            advice: found.advice().into(),
            page: found.documented().into(),
        }
    }
}

/// `exit=77`, `exit status 78`, cron's `status 0x004e`, systemd's `status=78/CONFIG`, or the number alone.
fn exit_code(line: &str) -> Option<(u8, (&'static str, &'static str))> {
    const MARKS: [&str; 6] = [
        "exit=",
        "exit code ",
        "exit status ",
        "status=",
        "status ",
        "",
    ];
    let text = line.trim().to_ascii_lowercase();
    MARKS.iter().find_map(|mark| {
        let at = match *mark {
            "" => 0,
            mark => text.find(mark)? + mark.len(),
        };
        let rest = text.get(at..)?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric());
        let number = rest.get(..end.unwrap_or(rest.len()))?;
        // Without a mark, the whole line has to be the number.
        if mark.is_empty() && number.len() < text.len() {
            return None;
        }
        let code = match number.strip_prefix("0x") {
            Some(hexadecimal) => u8::try_from(u16::from_str_radix(hexadecimal, 16).ok()?).ok()?,
            None => number.parse().ok()?,
        };
        Some((code, exit::meaning(code)?))
    })
}

fn input(common: &Common) -> Result<String, Failure> {
    if std::io::stdin().is_terminal() {
        common.reading("the line");
    }
    let mut bytes = Vec::new();
    files::stdin()
        .and_then(|stdin| (&stdin).take(MAX_INPUT).read_to_end(&mut bytes))
        .map_err(|error| Failure::new(exit::NO_INPUT, format!("stdin: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn shown(found: &[Known]) -> String {
    let mut out = String::new();
    for (n, known) in found.iter().enumerate() {
        let (first, indent) = match found.len() {
            1 => (String::new(), ""),
            _ => (format!("{}. ", n + 1), "   "),
        };
        let what = format!("{}: {}", known.recognised, known.meaning);
        wrap::wrap(&mut out, &what, &first, indent);
        let (arrow, more) = (format!("{indent}-> "), format!("{indent}   "));
        wrap::wrap(&mut out, &known.advice, &arrow, &more);
        out.push_str(&format!("{indent}{}\n\n", known.page));
    }
    out
}

fn object(known: &Known) -> Value {
    out::object(vec![
        ("recognised", known.recognised.as_str().into()),
        ("meaning", known.meaning.as_str().into()),
        ("advice", known.advice.as_str().into()),
        ("page", known.page.as_str().into()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_is_found_as_cron_and_systemd_show_it() {
        for (line, code) in [
            ("78", 78),
            ("0x4e", 78),
            (
                "(root) MAIL (mailed 1 byte of output but got status 0x004e",
                78,
            ),
            (
                "(CRON) error (grandchild #123 failed with exit status 78)",
                78,
            ),
            ("Main process exited, code=exited, status=77/NOPERM", 77),
            ("exit=75 stage=connect", 75),
            ("sendmail: exit code 64", 64),
        ] {
            assert_eq!(exit_code(line).map(|found| found.0), Some(code), "{line}");
        }
        for line in [
            "exit=0",
            "status 200",
            "78 lines",
            "status 0x1234",
            "status=sent",
            "",
        ] {
            assert_eq!(exit_code(line), None, "{line}");
        }
    }
}
