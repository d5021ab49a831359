//! Changes values in the text of a configuration file, and keeps every other line as it is.

use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::file::{self, Entry, Wrong};

pub(super) struct Edit<'a> {
    path: &'a Path,
    found: Vec<Entry>,
    /// They may hold a secret.
    lines: Vec<Zeroizing<String>>,
    /// Replace a different value that is set already.
    force: bool,
    given: Vec<String>,
    changed: Vec<String>,
}

impl<'a> Edit<'a> {
    pub(super) fn new(path: &'a Path, text: &[u8], force: bool) -> Result<Self, Failure> {
        let wrong = |line: usize, what: &str| {
            let path = path.display();
            Failure::config(format!("{path}:{line}: {what}"))
        };
        let found = file::parse(text).map_err(|Wrong { line, what }| wrong(line, &what))?;
        let text = std::str::from_utf8(text).map_err(|_| wrong(1, "not UTF-8"))?;
        let lines = text.lines().map(|line| line.to_owned().into());
        Ok(Self {
            path,
            found,
            lines: lines.collect(),
            force,
            given: Vec::new(),
            changed: Vec::new(),
        })
    }

    pub(super) fn text(&self) -> Zeroizing<String> {
        let length = self.lines.iter().map(|line| line.len() + 1).sum();
        // With room for all of it: a string that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(length));
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    pub(super) fn get(&self, key: &str) -> Option<Zeroizing<String>> {
        let entries = file::parse(self.text().as_bytes()).unwrap_or_default();
        let mut entries = entries.into_iter();
        entries.find_map(|entry| (entry.key == key).then_some(entry.value))
    }

    pub(super) fn has_one_of(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.get(key).is_some())
    }

    /// Whether `set` was called for this key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.given.iter().any(|given| given == key)
    }

    /// The keys whose values have changed.
    pub(super) fn changed(&self) -> &[String] {
        &self.changed
    }

    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        self.given.push(key.to_owned());
        if self.get(key).is_some_and(|known| known.as_str() == value) {
            return Ok(());
        }
        match self.found.iter().find(|entry| entry.key == key) {
            Some(Entry { line, .. }) if !self.force => {
                let path = self.path.display();
                let what = format!("{path}:{line}: {key} is set already, and differently");
                return Err(Failure::config(what).with_hint("--force replaces it"));
            }
            _ => {}
        }
        let is = |line: &str| {
            let start = line.split_once('=').map(|(start, _)| start.trim());
            start.is_some_and(|start| file::key(start) == key)
        };
        let is_set = self.lines.iter().position(|line| is(line));
        let is_comment = |line: &str| line.strip_prefix('#').is_some_and(is);
        let comment = self.lines.iter().position(|line| is_comment(line));
        let line = assignment(key, value);
        // In place; else after the comment of this key, as the sample has it; else at the end.
        match (is_set.and_then(|at| self.lines.get_mut(at)), comment) {
            (Some(old), _) => *old = line,
            (None, Some(at)) => self.lines.insert(at + 1, line),
            (None, None) => self.lines.push(line),
        }
        self.changed.push(key.to_owned());
        Ok(())
    }
}

/// In single quotes, in which nothing needs escaping; a value with a single quote in it, in double quotes.
fn assignment(key: &str, value: &str) -> Zeroizing<String> {
    // With room for all of it, and for a backslash before each character.
    let mut line = Zeroizing::new(String::with_capacity(key.len() + 2 * value.len() + 5));
    line.push_str(key);
    line.push_str(" = ");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"@._-+:/,".contains(&b);
    match (value.bytes().all(plain), value.contains('\'')) {
        (true, _) => line.push_str(value),
        (false, false) => line.extend(["'", value, "'"]),
        (false, true) => {
            line.push('"');
            for c in value.chars() {
                line.extend(matches!(c, '"' | '\\' | '$' | '`').then_some('\\'));
                line.push(c);
            }
            line.push('"');
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, force: bool) -> Edit<'_> {
        Edit::new(Path::new("/f"), text.as_bytes(), force).unwrap()
    }

    #[test]
    fn a_value_is_put_below_its_line_in_the_sample() {
        let mut edit = edit("# Who.\n#mailbox = robot@contoso.com\n#tenant =\n", false);
        edit.set("mailbox", "ann@example.com").unwrap();
        edit.set("rate", "5").unwrap();
        assert_eq!(
            edit.text().as_str(),
            "# Who.\n#mailbox = robot@contoso.com\nmailbox = ann@example.com\n#tenant =\nrate = 5\n"
        );
        assert_eq!(edit.changed(), ["mailbox", "rate"]);
    }

    #[test]
    fn a_value_that_is_set_is_replaced_only_by_force() {
        let text = "a = 1\nEXOSEND_B = '2'\nc =\n";
        let mut careful = edit(text, false);
        careful.set("b", "2").unwrap();
        assert_eq!(
            (careful.text().as_str(), careful.changed().len()),
            (text, 0)
        );
        let failure = careful.set("b", "3").unwrap_err();
        assert_eq!(failure.what(), "/f:2: b is set already, and differently");
        let mut forced = edit(text, true);
        forced.set("b", "3").unwrap();
        forced.set("c", "4").unwrap();
        assert_eq!(forced.text().as_str(), "a = 1\nb = 3\nc = 4\n");
    }

    #[test]
    fn any_value_is_read_back_as_it_was() {
        for value in [
            "a~b.c-d",
            "it's",
            "\"",
            "it's \"x\"",
            "a\\b",
            "it's \\d",
            "'",
            "$HOME",
            "it's `x` $y",
            " # ",
            "#",
            ";",
            "=",
            "\u{e4}'",
        ] {
            let mut edit = edit("", false);
            edit.set("client_secret", value).unwrap();
            assert_eq!(edit.get("client_secret").unwrap().as_str(), value);
        }
    }
}
