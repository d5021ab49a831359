//! What the values of keys mean: a path, seconds, a host and its port.

// The command uses a part of this module, too (`command.rs`).
#![allow(unreachable_pub)]

use std::path::PathBuf;
use std::time::Duration;

use crate::account::check;

pub(super) fn path(value: &str) -> Result<PathBuf, String> {
    if value.is_empty() {
        Err("empty".into())
    } else {
        Ok(PathBuf::from(value))
    }
}

/// Whole or decimal seconds. Not parsed as `f64`: its parser and its tables are large.
pub fn seconds(value: &str) -> Result<Duration, String> {
    let parsed = || {
        let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
        Some(Duration::new(whole.parse().ok()?, nanos)).filter(|d| !d.is_zero())
    };
    parsed().ok_or_else(|| "takes seconds, more than 0".into())
}

/// `host`, `host:port`, `[2001:db8::1]:port`.
pub(super) fn host_and_port(value: &str) -> Result<(String, u16), String> {
    let (host, port) = match value.strip_prefix('[') {
        Some(literal) => literal.split_once(']').ok_or("a [ without its ]")?,
        None => value.split_at(value.find(':').unwrap_or(value.len())),
    };
    check::host(host)?;
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => Some(587),
        port => port.and_then(|port| port.parse().ok()),
    };
    let port = port.filter(|&port| port != 0);
    let port = port.ok_or("takes host or host:port, [address]:port for IPv6")?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_its_port_or_587() {
        assert_eq!(host_and_port("[::1]:25"), Ok(("::1".into(), 25)));
        assert_eq!(
            host_and_port("smtp.office365.us"),
            Ok(("smtp.office365.us".into(), 587))
        );
    }
}
