//! Writes to stdout. A closed pipe is an error and no panic, and no escape sequence in others' text reaches a terminal.

use std::io::Write;

use serde_json::{Map, Value};

use crate::exit::{self, Failure};
use crate::text::{is_unprintable, printable};

pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let lines: Vec<_> = text.split('\n').map(printable).collect();
    show(&lines.join("\n"))
}

/// The same for a text that is `printable` already, and may have colours.
pub(crate) fn show(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new(exit::TRY_AGAIN, format!("stdout: {error}")))
}

/// A field of what is told. It is borrowed, since most often the words are wanted.
pub(crate) enum Said<'a> {
    Text(&'a str),
    Number(u64),
    Truth(bool),
}

/// The words for a person, or with `--json` an object of these fields.
pub(crate) fn tell(as_json: bool, words: &str, fields: &[(&str, Said<'_>)]) -> Result<(), Failure> {
    if !as_json {
        return say(words);
    }
    let fields = fields.iter().map(|(name, said)| {
        let value = match *said {
            Said::Text(text) => Value::from(text),
            Said::Number(number) => Value::from(number),
            Said::Truth(truth) => Value::from(truth),
        };
        (*name, value)
    });
    say_json(&object(fields.collect()))
}

/// The same as by `json!`, which makes twice the code for each field.
pub(crate) fn object(fields: Vec<(&str, Value)>) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert(name.to_owned(), value);
    }
    Value::Object(object)
}

pub(crate) fn say_json(json: &Value) -> Result<(), Failure> {
    say_ready(&serde_json::to_string(json).unwrap_or_default())
}

/// For a text that is JSON already. Escapes what a terminal could act on, which means the same (RFC 8259 7).
pub(crate) fn say_ready(json: &str) -> Result<(), Failure> {
    show(&escaped(json))
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

/// For the result of a sending. That it could not be printed is no failure, or the caller would send the message again.
pub(crate) fn warn_unprinted(printed: Result<(), Failure>) {
    if let Err(failure) = printed {
        log::warn!("{}", failure.what());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_means_the_same_and_has_no_control_character() {
        let object = serde_json::json!({ "a": "x\u{202e}\u{9b}\u{1b}c\u{e0041}\n\"\u{e9}" });
        for text in [object.to_string(), format!("{object:#}")] {
            let text = escaped(&text);
            assert!(
                !text.replace('\n', "").chars().any(is_unprintable),
                "{text}"
            );
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), object);
        }
    }
}
