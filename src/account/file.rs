//! The text of a configuration file to its entries. Pure.
//!
//! `key = value` lines and `#` comments. What systemd reads as an `EnvironmentFile` means the same here: an `EXOSEND_`
//! prefix and upper case, `;` comments, quotes. A value that the two would read differently is an error.

// The command uses this module, too (`command.rs`): without feature `cli` a part of it is unused.
#![allow(dead_code, unreachable_pub)]

use zeroize::Zeroizing;

const PREFIX: &str = "exosend_";

/// A line that sets something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// In lower case and without prefix.
    pub key: String,
    /// It may be a secret.
    pub value: Zeroizing<String>,
    /// From 1 on.
    pub line: usize,
}

/// A line that cannot be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// From 1 on.
    pub line: usize,
    /// Why; never the value, which may be a secret.
    pub what: String,
}

/// The entries in order, without those whose value is empty.
pub fn parse(text: &[u8]) -> Result<Vec<Entry>, Wrong> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let line_number = number + 1;
        let wrong = |what: String| Wrong {
            line: line_number,
            what,
        };
        // A comment may be in any character set.
        if matches!(line.trim_ascii_start().first(), Some(b'#' | b';')) {
            continue;
        }
        let line = std::str::from_utf8(line).map_err(|_| wrong("not UTF-8".into()))?;
        let Some((key, value)) = assignment(line).map_err(wrong)? else {
            continue;
        };
        if let Some(earlier) = entries.iter().find(|entry| entry.key == key) {
            return Err(wrong(format!(
                "{key}: set already on line {}",
                earlier.line
            )));
        }
        entries.push(Entry {
            key,
            value,
            line: line_number,
        });
    }
    // An empty variable counts as not set, and so does an empty value.
    entries.retain(|entry| !entry.value.is_empty());
    Ok(entries)
}

/// `client_id` for `EXOSEND_CLIENT_ID` and for `client_id`.
pub fn key(written: &str) -> String {
    let key = written.to_ascii_lowercase();
    key.strip_prefix(PREFIX).map(str::to_owned).unwrap_or(key)
}

fn assignment(line: &str) -> Result<Option<(String, Zeroizing<String>)>, String> {
    let line = line.trim();
    if line.is_empty() {
        return Ok(None);
    }
    let (written, rest) = line
        .split_once('=')
        .ok_or("neither `key = value` nor a comment")?;
    let key = key(written.trim_end());
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    // `EXOSEND_EXOSEND_X` would lose a prefix each time it is read and written.
    if key.is_empty() || key.starts_with(PREFIX) || !key.bytes().all(allowed) {
        return Err("what stands before the `=` is no key".into());
    }
    let value = value(rest.trim_start()).map_err(|what| format!("{key}: {what}"))?;
    if value.contains(|c: char| c.is_control() && c != '\t') {
        return Err(format!("{key}: a control character in the value"));
    }
    Ok(Some((key, value)))
}

/// systemd.exec(5): a backslash counts only in double quotes, and there only before `"`, `\`, `$` and a backtick.
fn value(text: &str) -> Result<Zeroizing<String>, String> {
    let mut chars = text.chars();
    let Some(quote @ ('"' | '\'')) = chars.next() else {
        // systemd removes the backslash, and takes a comment after the value for a part of it. People expect neither.
        if text.contains('\\') {
            return Err("a backslash: put the value into 'single quotes'".into());
        }
        if text.contains(" #") || text.contains("\t#") {
            return Err("a comment stands on a line of its own, and a value with ` #` in it in 'single quotes'".into());
        }
        return Ok(text.to_owned().into());
    };
    // Allocated at its full length: a string that grows leaves copies of a secret behind.
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    while let Some(c) = chars.next() {
        match c {
            '\\' if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => value.push(c),
                Some(c) => value.extend(['\\', c]),
                None => break,
            },
            c if c == quote => {
                return match chars.as_str() {
                    "" => Ok(value),
                    _ => Err("something stands behind the closing quote".into()),
                };
            }
            c => value.push(c),
        }
    }
    Err("the quote is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_people_and_for_systemd_are_read() {
        let text = "\u{feff}# who\r\nmailbox = robot@contoso.com\n\n; what systemd likes\n  EXOSEND_CLIENT_ID=\"a \\\"b\\\" \\$c \\d\"\n\
                    client_secret = 'x\\y#z'\nscope =\n timeout='3 # 4'";
        let entries: Vec<_> = parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|entry| (entry.key, entry.value.to_string(), entry.line))
            .collect();
        let expected = [
            ("mailbox", "robot@contoso.com", 2),
            ("client_id", "a \"b\" $c \\d", 5),
            ("client_secret", "x\\y#z", 6),
            ("timeout", "3 # 4", 8),
        ];
        let expected = expected.map(|(key, value, line)| (key.to_owned(), value.to_owned(), line));
        assert_eq!(entries, expected);
    }

    #[test]
    fn a_malformed_line_is_named_with_its_number() {
        let no_key = "what stands before the `=` is no key";
        for (text, line, what) in [
            ("\nmailbox", 2, "neither `key = value` nor a comment"),
            ("= x", 1, no_key),
            ("mail box = x", 1, no_key),
            ("EXOSEND_ = x", 1, no_key),
            ("EXOSEND_EXOSEND_A = x", 1, no_key),
            ("a = 1\nEXOSEND_A = 2", 2, "a: set already on line 1"),
            ("a = \"x", 1, "a: the quote is not closed"),
            ("a = \"x\\", 1, "a: the quote is not closed"),
            (
                "a = 'x' y",
                1,
                "a: something stands behind the closing quote",
            ),
            (
                "a = x\\y",
                1,
                "a: a backslash: put the value into 'single quotes'",
            ),
            (
                "a = x # y",
                1,
                "a: a comment stands on a line of its own, and a value with ` #` in it in 'single quotes'",
            ),
            ("a = x\0y", 1, "a: a control character in the value"),
        ] {
            let what = what.to_owned();
            assert_eq!(
                parse(text.as_bytes()),
                Err(Wrong { line, what }),
                "{text:?}"
            );
        }
        assert_eq!(parse(b"a = 1\nb = \xff").unwrap_err().line, 2);
        assert_eq!(parse(b" # \xfc\n;\xfc\na = 1").unwrap().len(), 1);
    }
}
