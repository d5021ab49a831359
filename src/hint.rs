//! What was seen, and what to do about it. Advice only: nothing depends on it (facts.md, "AADSTS codes":
//! Microsoft says its texts and codes change), so a wrong row costs a wrong hint and never a wrong decision.
//!
//! Every text is `what it means: what to do`, and `explain` parts it at its first `: `. A `match` rather than an array:
//! the table is in the smallest program too, and an array of texts costs 40 bytes more a row.

mod entra;
pub(crate) mod exchange;

use std::io;

use crate::reply::Reply;
use crate::stage::Stage;

// facts.md, "After DATA".
pub(crate) const IN_DOUBT: &str = "the message may have been delivered: look for its Message-ID in the mailbox's \
    Sent Items or the message trace before you send it again";

// The network. facts.md, "Server and ports": port 587 (or 25) and STARTTLS, no TLS from the first byte on 465.
pub(crate) const UNANSWERED: &str = "nothing answers, most often because of a firewall: outgoing TCP to \
    port 587 must be allowed (and to login.microsoftonline.com port 443)";
pub(crate) const REFUSED: &str =
    "nothing listens there: check the port (587) and the server's name, then the firewall";
pub(crate) const UNREACHABLE: &str =
    "there is no way there: check the network, and IPv6 if the address is one (ip route)";
pub(crate) const UNRESOLVED: &str =
    "the name is unknown: check the spelling of `server`, and /etc/resolv.conf";
pub(crate) const IMPLICIT_TLS: &str =
    "TLS begins at the wrong moment: Exchange Online has no port 465, use 587 with STARTTLS";

// TLS.
pub(crate) const TLS_VERSION: &str =
    "no common TLS: the server must speak TLS 1.2 or 1.3 with ECDHE and AES-GCM";
pub(crate) const CLOCK: &str =
    "the certificate is too old or too new: check this machine's clock first (date -u)";
pub(crate) const ISSUER: &str = "the certificate's issuer is unknown: check for a proxy or virus scanner that shows its \
    own, or, if `server` is a private one, give its root with `ca_file`";
pub(crate) const OTHER_NAME: &str =
    "the certificate is for another name: use the name it was made for in `server`";

/// For a reply that means no.
pub(crate) fn reply(stage: Stage, reply: &Reply) -> Option<&'static str> {
    exchange::hint(&exchange::Seen {
        stage: Some(stage),
        code: reply.code(),
        status: reply.enhanced().unwrap_or(""),
        text: &reply.to_string().to_ascii_lowercase(),
    })
}

/// For the `error_codes` of a token answer: the first that is known.
pub(crate) fn entra(codes: &[u64]) -> Option<&'static str> {
    codes.iter().find_map(|&code| entra::hint(code))
}

/// For a connection that failed.
pub(crate) fn network(stage: Stage, error: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Is;
    match (stage, error.kind()) {
        (Stage::Resolve, _) => Some(UNRESOLVED),
        (Stage::Connect, Is::TimedOut | Is::WouldBlock) => Some(UNANSWERED),
        (Stage::Connect, Is::ConnectionRefused) => Some(REFUSED),
        (Stage::Connect, Is::NetworkUnreachable | Is::HostUnreachable) => Some(UNREACHABLE),
        // A server that waits for TLS never greets.
        (Stage::Greeting, Is::TimedOut | Is::WouldBlock) => Some(IMPLICIT_TLS),
        _ => None,
    }
}

/// For a handshake that failed.
pub(crate) fn tls(stage: Stage, error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else {
        return (stage == Stage::StartTls).then_some(TLS_VERSION);
    };
    match bad {
        Bad::Expired
        | Bad::ExpiredContext { .. }
        | Bad::NotValidYet
        | Bad::NotValidYetContext { .. } => Some(CLOCK),
        Bad::UnknownIssuer => Some(ISSUER),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Some(OTHER_NAME),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Parser;

    fn hint(stage: Stage, text: &str) -> &'static str {
        let reply = Parser::default()
            .push(text.as_bytes(), false)
            .unwrap()
            .unwrap();
        super::reply(stage, &reply).unwrap_or("")
    }

    #[test]
    fn the_particular_stands_before_the_general() {
        let disabled = "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
        for (stage, reply, expected) in [
            (Stage::Auth, disabled, "Set-CASMailbox"),
            (
                Stage::Auth,
                "535 5.7.3 Authentication unsuccessful [host]",
                "New-ServicePrincipal",
            ),
            (
                Stage::Accept,
                "554 5.2.252 SendAsDenied; a not allowed to send as b",
                "Add-RecipientPermission",
            ),
            (
                Stage::Accept,
                "550 5.2.252 Sender throttled due to continuous send as denied errors.",
                "stop sending",
            ),
            (
                Stage::Accept,
                "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied",
                "Add-RecipientPermission",
            ),
            (
                Stage::Accept,
                "554 5.2.0 STOREDRV SubmissionQuotaExceededException",
                "10,000",
            ),
            (
                Stage::Sender,
                "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
                "30 messages",
            ),
            (Stage::Greeting, "421 4.4.2 Bye", "connect again"),
            (Stage::Accept, "451 4.7.500 Server busy", "wait"),
        ] {
            assert!(hint(stage, reply).contains(expected), "{reply}");
        }
        for nothing in [
            "554 5.6.0 something else",
            "550 5.7.1 No",
            "535 5.7.8 no",
            "550 no",
        ] {
            assert_eq!(hint(Stage::Accept, nothing), "", "{nothing}");
        }
    }

    /// Every code of facts.md, "AADSTS codes".
    #[test]
    fn every_code_of_entra_has_its_row() {
        let codes = [
            7000215, 7000222, 7000218, 700016, 7000229, 7000112, 700025, 90002, 90038, 900432,
            900382, 70011, 1002012, 700022, 500011, 65001, 650057, 700027, 700030, 700024, 70021,
            700211, 700212, 700213, 700021, 700023, 50027, 50034, 53003, 530035, 50105, 900144,
            9002313, 50196, 90055, 90033, 90024, 50033, 90006,
        ];
        for code in codes {
            let hint = entra(&[1, code]).unwrap_or_else(|| panic!("{code}"));
            parts(hint);
        }
        assert_eq!(entra(&[7000215, 7000222]), entra(&[7000215]));
        assert_eq!((entra(&[]), entra(&[70002])), (None, None));
    }

    /// Every reply of facts.md.
    #[test]
    fn every_reply_has_its_row() {
        let hve = (121..=127).map(|n| format!("501 5.5.{n}"));
        let hve = hve.chain((142..=144).map(|n| format!("535 5.7.{n}")));
        let blocked = (251..=255).map(|n| format!("550 5.2.{n}"));
        let others = [
            "535 5.7.3",
            "535 5.7.139 x, basic authentication is disabled.",
            "535 5.7.139 x, the user credentials were incorrect.",
            "535 5.7.139 x, the request did not meet the criteria to be authenticated successfully.",
            "535 5.7.139 x, user is locked by your organization's security defaults policy.",
            "535 5.7.139 x, SmtpClientAuthentication is disabled for the Mailbox.",
            "530 5.7.57",
            "430 4.2.0",
            "554 5.2.252",
            "554 5.2.0 SendAsDeniedException",
            "550 5.7.60",
            "550 5.7.30 Basic authentication is not supported for Client Submission.",
            "550 5.1.8 Access denied, bad outbound sender",
            "501 5.1.7",
            "501 5.1.6",
            "432 4.3.2",
            "421 4.4.2",
            "451 4.7.0",
            "454 4.7.0",
            "550 5.7.705",
            "550 5.7.708",
            "552 5.3.4",
            "554 5.2.270",
            "554 5.2.2",
            "550 5.7.240",
            "452 4.5.3",
            "554 5.2.0 SubmissionQuotaExceededException",
        ];
        for reply in others
            .map(String::from)
            .into_iter()
            .chain(hve)
            .chain(blocked)
        {
            let hint = hint(Stage::Auth, &reply);
            assert!(!hint.is_empty(), "{reply}");
            parts(hint);
        }
    }

    #[test]
    fn every_other_condition_has_two_parts() {
        for hint in [
            IN_DOUBT,
            UNANSWERED,
            REFUSED,
            UNREACHABLE,
            UNRESOLVED,
            IMPLICIT_TLS,
            TLS_VERSION,
            CLOCK,
            ISSUER,
            OTHER_NAME,
        ] {
            parts(hint);
        }
    }

    /// `what it means: what to do`, in exosend's way to write.
    fn parts(hint: &str) {
        let (means, act) = hint.split_once(": ").expect(hint);
        assert!(means.len() > 10 && act.len() > 10, "{hint}");
        let count = |c| means.matches(c).count();
        assert_eq!(count('('), count(')'), "cut within parentheses: {hint}");
        assert!(
            !hint.contains("  ") && !hint.ends_with(['.', ' ']),
            "{hint}"
        );
        // facts.md, "Permissions": a token without roles is right with App RBAC.
        assert!(!hint.contains("roles"), "{hint}");
    }
}
