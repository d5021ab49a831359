//! What goes to stdout: a reader that has gone is no panic, and text of others acts on no terminal.

use std::fmt::Display;
use std::io::Write;

use crate::exit::{self, Failure};
use crate::text::{is_unprintable, printable};

/// Lines for people, or for another program.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    show(&lines.join("\n"))
}

/// The same as it is, colours included: made of what has been through `printable`.
pub(crate) fn show(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(exit::TRY_AGAIN, format!("stdout: {error}")))
}

/// JSON. What a terminal could act on is escaped, which means the same (RFC 8259 7).
pub(crate) fn say_json(json: impl Display) -> Result<(), Failure> {
    show(&escaped(&json.to_string()))
}

fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match is_unprintable(c) && c != '\n' {
            true => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
                safe.push_str(&format!("\\u{unit:04x}"));
            }),
            false => safe.push(c),
        }
    }
    safe
}

/// What became of a message: that nobody can read it must not make the caller send it again.
pub(crate) fn tell(said: Result<(), Failure>) {
    if let Err(failure) = said {
        log::warn!("{}", failure.what());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_means_the_same_and_acts_on_nothing() {
        let object = serde_json::json!({ "a": "x\u{202e}\u{9b}\u{1b}c\u{e0041}\n\"\u{e9}" });
        for text in [object.to_string(), format!("{object:#}")] {
            let text = escaped(&text);
            assert!(
                !text.replace('\n', "").chars().any(is_unprintable),
                "{text}"
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&text).unwrap(),
                object
            );
        }
    }
}
