//! What Microsoft's support asks for, without secrets and without this machine's address.

use std::net::IpAddr;
use std::time::SystemTime;

use exosend::Error;
use exosend::advice::{Check, CheckState};

use crate::date::rfc3339;
use crate::wrap::wrap;

/// The lines to paste into a ticket.
pub(super) fn bundle(checks: &[Check]) -> String {
    let mut out = String::from("\nFor Microsoft's support; nothing in it is secret:\n");
    let version = env!("CARGO_PKG_VERSION");
    let mut tell = |name: &str, text: &str| {
        wrap(
            &mut out,
            &masked(text),
            &format!("  {name:<16}"),
            &" ".repeat(18),
        );
    };
    tell(
        "time",
        &format!("{} (exosend {version})", rfc3339(SystemTime::now())),
    );
    for check in checks {
        let text = check.detail();
        let wanted = match check.state() {
            CheckState::Failed => true,
            _ => matches!(check.name(), "greeting" | "claims" | "configuration"),
        };
        if !wanted {
            continue;
        }
        tell(check.name(), text);
        let request = text.split_once("(request-id ");
        if let Some(id) = request.and_then(|(_, id)| id.split(')').next()) {
            tell("request-id", id);
        }
        for (name, words) in [("Correlation ID:", 1), ("Trace ID:", 1), ("Timestamp:", 2)] {
            if let Some((_, value)) = text.split_once(name) {
                let value: Vec<_> = value.split_whitespace().take(words).collect();
                tell(
                    &name.to_ascii_lowercase().replace(':', ""),
                    &value.join(" "),
                );
            }
        }
        let session = bracketed(text).filter(|_| check.state() == CheckState::Failed);
        if let Some(session) = session {
            tell("host, session", session);
        }
    }
    let id = checks.iter().filter_map(Check::error);
    let id = id.filter_map(Error::message_id).next();
    tell("message-id", id.unwrap_or("none: no message was sent"));
    out
}

/// `[AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T12:00:00.000Z 08DE2B...]`, by which Microsoft finds a session.
fn bracketed(text: &str) -> Option<&str> {
    let start = text.rfind('[')?;
    let inside = text.get(start + 1..)?;
    inside.get(..inside.find(']')?)
}

/// Masks IP addresses, such as this machine's in the server's replies.
pub(super) fn masked(text: &str) -> String {
    let address = |word: &str| {
        let bare = word.trim_matches(|c: char| !c.is_ascii_hexdigit() && c != ':');
        let bare = bare.strip_prefix("IPv6:").unwrap_or(bare);
        // `::` alone and times have colons, too, but are no addresses.
        bare.len() > 3 && bare.parse::<IpAddr>().is_ok()
    };
    let words = text.split(' ').map(|word| match address(word) {
        true => "[masked]",
        false => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_masked_and_nothing_else() {
        for address in [
            "[203.0.113.7]",
            "203.0.113.7",
            "(203.0.113.7)",
            "[IPv6:2001:db8::7]",
            "[2001:db8::7],",
        ] {
            assert_eq!(masked(&format!("Hello {address} x")), "Hello [masked] x");
        }
        let other = "550 5.7.1 at 12:00:00 by AM0.outlook.com 5.7.3 [08DE2B]";
        assert_eq!(masked(other), other);
    }

    #[test]
    fn the_last_brackets_hold_the_session() {
        assert_eq!(
            bracketed("535 5.7.3 no [HOST 2026 08D]"),
            Some("HOST 2026 08D")
        );
        assert_eq!(bracketed("535 5.7.3 no"), None);
    }
}
