//! What was seen, and what to do about it. Advice only: nothing depends on it (facts.md F§2.2: Microsoft says its texts
//! and codes change), so a wrong row costs a wrong hint and never a wrong decision.

mod conditions;
mod entra;
mod exchange;

use std::io;

use crate::{Reply, Stage};
use conditions::{CLOCK, FIREWALL, IMPLICIT_TLS, ISSUER, NAME, REFUSED, RESOLVER, UNREACHABLE};
use entra::CODES;

pub(crate) use conditions::CONDITIONS;
pub(crate) use exchange::{REPLIES, Row};

pub(crate) const IN_DOUBT: &str = "the message may have been delivered: look for its Message-ID in the mailbox's \
    Sent Items or the message trace before you send it again";

/// For a reply that means no.
pub(crate) fn reply(reply: &Reply) -> Option<&'static str> {
    let enhanced = reply.enhanced().unwrap_or_default();
    let row = REPLIES.iter().find(|Row(code, pattern, fragment, _)| {
        *code == reply.code()
            && fits(enhanced, pattern)
            && reply.lines().iter().any(|line| contains(line, fragment))
    })?;
    Some(row.3)
}

pub(crate) fn fits(enhanced: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => enhanced.starts_with(start),
        None => enhanced == pattern,
    }
}

/// Without regard to case: relays and libraries change it.
pub(crate) fn contains(text: &str, fragment: &str) -> bool {
    let (text, fragment) = (text.as_bytes(), fragment.as_bytes());
    fragment.is_empty()
        || text
            .windows(fragment.len())
            .any(|piece| piece.eq_ignore_ascii_case(fragment))
}

/// For the `error_codes` of a token answer.
pub(crate) fn entra(codes: &[u64]) -> Option<&'static str> {
    codes.iter().find_map(|&code| entra_code(code))
}

pub(crate) fn entra_code(code: u64) -> Option<&'static str> {
    let fits = |(codes, _): &&entra::Row| codes.iter().any(|known| u64::from(*known) == code);
    CODES.iter().find(fits).map(|(_, hint)| *hint)
}

/// For a connection that failed.
pub(crate) fn network(stage: Stage, error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Is;
    match (stage, error.kind()) {
        (Stage::Connect, Is::TimedOut) => Some(FIREWALL),
        (Stage::Connect, Is::ConnectionRefused) => Some(REFUSED),
        (Stage::Connect, Is::NetworkUnreachable | Is::HostUnreachable) => Some(UNREACHABLE),
        // A server that waits for TLS never greets.
        (Stage::Greeting, Is::TimedOut) => Some(IMPLICIT_TLS),
        (Stage::Resolve, _) => Some(RESOLVER),
        _ => None,
    }
}

/// For a handshake that failed.
pub(crate) fn tls(stage: Stage, error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return (stage == Stage::StartTls)
            .then_some("the server must speak TLS 1.2 or 1.3 with ECDHE and AES-GCM");
    };
    match bad {
        Bad::Expired
        | Bad::ExpiredContext { .. }
        | Bad::NotValidYet
        | Bad::NotValidYetContext { .. } => Some(CLOCK),
        Bad::UnknownIssuer => Some(ISSUER),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Some(NAME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Parser;

    fn hint(text: &str) -> &'static str {
        let reply = Parser::default()
            .push(text.as_bytes(), false)
            .unwrap()
            .unwrap();
        super::reply(&reply).unwrap_or("")
    }

    #[test]
    fn the_particular_stands_before_the_general() {
        let disabled = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
        assert!(hint(disabled).contains("Set-CASMailbox"));
        assert!(
            hint("535 5.7.139 Authentication unsuccessful, the request did not meet")
                .contains("policy")
        );
        assert!(
            hint("535 5.7.3 Authentication unsuccessful [host]").contains("New-ServicePrincipal")
        );
        assert!(hint("554 5.2.252 SendAsDenied; a not allowed to send as b").contains("SendAs"));
        assert!(hint("550 5.2.252 blocked").contains("blocked"));
        assert!(hint("554 5.2.0 STOREDRV SubmissionQuotaExceededException").contains("10,000"));
        assert!(hint("501 5.5.127 Token will expire soon").contains("10 minutes"));
        assert!(hint("501 5.5.124 x").contains("5.5.124"));
        assert_eq!(hint("554 5.6.0 something else"), "");
        assert_eq!(hint("535 5.7.8 Error: authentication failed"), "");
    }

    #[test]
    fn the_first_known_code_decides() {
        assert!(entra(&[1, 7000215]).unwrap().contains("Value"));
        assert_eq!(entra(&[]), None);
    }

    #[test]
    fn no_row_hides_another() {
        for (place, Row(code, pattern, fragment, _)) in REPLIES.iter().enumerate() {
            let text = format!("{code} {} {fragment}", pattern.replace('*', "1"));
            let first = REPLIES
                .iter()
                .position(|Row(c, p, f, _)| c == code && fits(pattern, p) && contains(fragment, f));
            assert_eq!(first, Some(place), "{text}");
        }
        let mut codes: Vec<u32> = CODES
            .iter()
            .flat_map(|(codes, _)| *codes)
            .copied()
            .collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
