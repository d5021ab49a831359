//! Addresses: what a person writes, taken apart and checked. Pure.

use crate::text::is_unprintable;

/// A display name, if any, and an address that is safe in a command and in a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) name: Option<String>,
    pub(crate) spec: String,
}

impl Address {
    /// Takes `a@b`, `<a@b>`, `Name <a@b>` or `"Name, quoted" <a@b>`: one address. The error says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_matches(' ');
        let Some(bracketed) = text.strip_suffix('>') else {
            return Ok(Self {
                name: None,
                spec: checked_spec(text)?,
            });
        };
        let (name, spec) = bracketed.rsplit_once('<').ok_or("a `>` without its `<`")?;
        Ok(Self {
            name: name_of(name.trim_matches(' '))?,
            spec: checked_spec(spec)?,
        })
    }

    pub(super) fn domain(&self) -> &str {
        self.spec
            .rsplit_once('@')
            .map_or("localhost", |(_, domain)| domain)
    }
}

/// Refuses characters that begin a line or reorder text. Invisible joiners are allowed: some languages spell with them, and
/// what is not ASCII is sent encoded.
fn name_of(name: &str) -> Result<Option<String>, String> {
    let refused =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match name.chars().find(|&c| refused(c)) {
        Some(bad) => Err(format!("the character {bad:?} is not allowed")),
        None => display_name(name),
    }
}

/// Checks an addr-spec (RFC 5322 3.4.1, without comments and folding), and returns it as servers take it: a local part with
/// dots that no atom may have is quoted, and the dot of the DNS root after the domain is removed.
pub(crate) fn checked_spec(spec: &str) -> Result<String, String> {
    if let Some(bad) = spec.chars().find(|&c| is_unprintable(c)) {
        return Err(format!("the character {bad:?} is not allowed"));
    }
    let (local, domain) = spec.rsplit_once('@').ok_or_else(|| match spec {
        "" => "an empty address".to_owned(),
        _ => format!("`{spec}` has no domain"),
    })?;
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    check_local(local).map_err(|what| format!("`{spec}`: {what}"))?;
    check_domain(domain).map_err(|what| format!("`{spec}`: {what}"))?;
    // A command has at most 512 octets (RFC 5321 4.5.3.1.4). Shorter limits of an address are left to the server.
    if spec.len() > 480 {
        let cut: String = spec.chars().take(60).collect();
        return Err(format!("`{cut}...` is too long for a command"));
    }
    let is_odd = !local.starts_with('"') && local.split('.').any(str::is_empty);
    let quote = if is_odd { "\"" } else { "" };
    Ok(format!("{quote}{local}{quote}@{domain}"))
}

/// dot-atom or quoted-string. An unquoted comma, space or angle bracket would end the address for the next reader.
fn check_local(local: &str) -> Result<(), &'static str> {
    if let Some(inside) = local.strip_prefix('"') {
        let inside = inside.strip_suffix('"').ok_or("a quote is not closed")?;
        // The grammar allows it, but it would end the path for a server that does not know quotes.
        if inside.contains(['<', '>']) {
            return Err("an angle bracket before the @");
        }
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return Err("a quote within quotes needs a backslash"),
                '\\' if chars.next().is_none() => return Err("a quote is not closed"),
                _ => {}
            }
        }
        return if inside.is_empty() {
            Err("nothing before the @")
        } else {
            Ok(())
        };
    }
    if local.is_empty() {
        return Err("nothing before the @");
    }
    if !local.chars().all(|c| c == '.' || is_atext(c)) {
        return Err("a character before the @ that needs quotes, or must not be there");
    }
    Ok(())
}

fn check_domain(domain: &str) -> Result<(), &'static str> {
    if let Some(literal) = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')) {
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':' | '-');
        return if !literal.is_empty() && literal.chars().all(inside) {
            Ok(())
        } else {
            Err("not an address literal")
        };
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || is_foreign_letter(c)
            })
    };
    if domain.is_empty() {
        Err("nothing after the @")
    } else if domain.split('.').all(label) {
        Ok(())
    } else {
        Err("what follows the @ is not a domain")
    }
}

/// An unquoted name may hold anything but what would make it look like more than one address: `a@x, B <b@x>` must not
/// turn into a letter to b from somebody called "a@x, B".
fn display_name(name: &str) -> Result<Option<String>, String> {
    if let Some(inside) = name.strip_prefix('"') {
        let inside = inside.strip_suffix('"').ok_or("a quote is not closed")?;
        let mut plain = String::new();
        let mut chars = inside.chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => return Err("a quote within a quoted name needs a backslash".into()),
                '\\' => plain.push(chars.next().ok_or("a quote is not closed")?),
                _ => plain.push(c),
            }
        }
        return Ok(Some(plain).filter(|n| !n.is_empty()));
    }
    match name
        .chars()
        .find(|c| matches!(c, ',' | ';' | '@' | '<' | '>' | '"' | '\\'))
    {
        Some(c) => Err(format!(
            "`{c}` in a name: one address at a time, or put the name in quotes"
        )),
        None => Ok(Some(name.to_owned()).filter(|n| !n.is_empty())),
    }
}

/// RFC 5322 3.2.3, and RFC 6531 3.3 for what is not ASCII.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_foreign_letter(c)
}

/// U+FFFD is refused: it replaces bytes that were not UTF-8, so that the true address is not known.
fn is_foreign_letter(c: char) -> bool {
    !c.is_ascii() && !is_unprintable(c) && !c.is_whitespace() && c != char::REPLACEMENT_CHARACTER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_write_them_are_taken() {
        for (text, name, spec) in [
            ("ann@example.com", None, "ann@example.com"),
            (" <ann@example.com> ", None, "ann@example.com"),
            (
                "Ann Other <ann@example.com>",
                Some("Ann Other"),
                "ann@example.com",
            ),
            (
                "\"Schmidt, J\u{f6}rg\" <j@example.com>",
                Some("Schmidt, J\u{f6}rg"),
                "j@example.com",
            ),
            (
                "\"a \\\"b\\\" \\\\ c\" <j@example.com>",
                Some("a \"b\" \\ c"),
                "j@example.com",
            ),
            (
                "Ops (Berlin) <ops+x@mail.example.com>",
                Some("Ops (Berlin)"),
                "ops+x@mail.example.com",
            ),
            ("\"a b@c\"@example.com", None, "\"a b@c\"@example.com"),
            ("root@localhost", None, "root@localhost"),
            // As some phones' addresses are, and as resolvers write a domain.
            ("a..b@docomo.example", None, "\"a..b\"@docomo.example"),
            ("<a.@docomo.example>", None, "\"a.\"@docomo.example"),
            ("ann@example.com.", None, "ann@example.com"),
            // Persian has a joiner that is invisible by itself.
            (
                "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645} <ann@example.com>",
                Some("\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}"),
                "ann@example.com",
            ),
            ("root@[192.0.2.7]", None, "root@[192.0.2.7]"),
            (
                "j\u{f6}rg@b\u{fc}cher.example",
                None,
                "j\u{f6}rg@b\u{fc}cher.example",
            ),
        ] {
            let address = Address::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(
                (address.name.as_deref(), address.spec.as_str()),
                (name, spec)
            );
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "ann",
            "ann@",
            "@example.com",
            "<>",
            "ann@example.com>",
            "<ann@example.com",
            "ann@@example.com",
            "ann@exa mple.com",
            "ann b@example.com",
            "ann@example.com, bob@example.com",
            "ann@example.com, Bob <bob@example.com>",
            "ann@example..com",
            "ann@example.com..",
            "ann@.",
            "A\u{202e}B <ann@example.com>",
            "ann@-example.com",
            "ann@example.com\r\nRCPT TO:<eve@example.com>",
            "ann\0@example.com",
            "ann@example.com>\r\nDATA",
            "Ann\nBcc: eve@example.com <ann@example.com>",
            "\"ann@example.com",
            "\"Ann <ann@example.com>",
            "a\"b\" <ann@example.com>",
            "<ann@example.com> <bob@example.com>",
            "\"\"@example.com",
            "ann@[1.2.3.4",
            "ann@[1.2.3.4 x]",
            "ann@\u{200b}example.com",
            "ann\u{a0}b@example.com",
            "j\u{fffd}rg@example.com",
            "\"a\"b\"@example.com",
            "\"ann@example.com> SIZE=1\"@example.com",
            "\"<ann@example.com\"@example.com",
            "\"ann\\>\"@example.com",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        let long = |n| format!("{}@example.com", "a".repeat(n));
        assert!(Address::parse(&long(80)).is_ok());
        assert!(Address::parse(&long(480)).is_err());
    }
}
