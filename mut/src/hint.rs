//! What was seen, and what to do about it. Advice only: nothing depends on it (facts.md F§2.2: Microsoft says its texts
//! and codes change), so a wrong row costs a wrong hint and never a wrong decision.

use std::io;

use crate::{Reply, Stage};

pub(crate) const IN_DOUBT: &str = "the message may have been delivered: look for its Message-ID in the mailbox's \
    Sent Items or the message trace before you send it again";

const SEND_AS: &str = "From is not the mailbox that logged in: leave From out, or \
    Add-RecipientPermission <From> -Trustee <mailbox> -AccessRights SendAs";

/// One line that a server says: stage, code, enhanced code, a fragment of the text ("" fits all), hint.
struct Row(Option<Stage>, u16, &'static str, &'static str, &'static str);

/// The first row that fits is taken: the particular stands before the general. F§3.3 and F§3.5.
const REPLIES: &[Row] = &[
    Row(
        Some(Stage::Auth),
        535,
        "5.7.139",
        "SmtpClientAuthentication",
        "SMTP AUTH is switched off, for OAuth too. In Exchange Online PowerShell: \
         Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false",
    ),
    Row(
        Some(Stage::Auth),
        535,
        "5.7.3",
        "",
        "the token was issued, Exchange refuses it. Most often: New-ServicePrincipal was not run, or with the Object ID \
         of the app registration instead of the Enterprise application's; the mailbox is outside the scope of the role \
         assignment (App RBAC), or SMTP.SendAsApp with admin consent and FullAccess are missing (classic); the mailbox \
         name is wrong; or the change is too new (wait up to 2 hours)",
    ),
    Row(
        None,
        530,
        "5.7.57",
        "",
        "the server does not count this connection as logged in: check that `server` is smtp.office365.com",
    ),
    Row(
        None,
        430,
        "4.2.0",
        "",
        "the login was accepted, but the application has no access to the mailbox yet: wait an hour after \
         Add-MailboxPermission, then check that New-ServicePrincipal had the Enterprise application's Object ID",
    ),
    Row(None, 554, "5.2.252", "", SEND_AS),
    Row(None, 554, "5.2.0", "SendAsDenied", SEND_AS),
    Row(
        None,
        432,
        "4.3.2",
        "",
        "more than 3 connections at once for this mailbox: send one after another",
    ),
    Row(
        None,
        554,
        "5.2.0",
        "SubmissionQuotaExceeded",
        "the mailbox has sent to 10,000 recipients today: wait a day",
    ),
    Row(
        None,
        552,
        "5.3.4",
        "",
        "the message is larger than the mailbox may send (35 MB unless raised): Set-Mailbox <mailbox> -MaxSendSize 150MB",
    ),
    Row(
        Some(Stage::Recipient),
        550,
        "5.1.10",
        "",
        "this address does not exist at its domain: check its spelling",
    ),
];

/// For a reply that means no.
pub(crate) fn reply(stage: Stage, reply: &Reply) -> Option<&'static str> {
    let enhanced = reply.enhanced();
    REPLIES
        .iter()
        .find(|Row(at, code, status, fragment, _)| {
            at.is_none_or(|at| at == stage)
                && *code == reply.code()
                && enhanced == Some(*status)
                && reply.lines().iter().any(|line| line.contains(fragment))
        })
        .map(|Row(.., hint)| *hint)
}

/// AADSTS codes of token requests, F§2.3.
const ENTRA: &[(u64, &str)] = &[
    (
        7000215,
        "take the secret's Value, not its Secret ID: a new one is shown once, under Certificates & secrets",
    ),
    (
        7000222,
        "the secret has expired: make a new one under Certificates & secrets, or use a certificate",
    ),
    (
        700016,
        "the application is not in this tenant: check `client_id` and `tenant`",
    ),
    (
        7000229,
        "the application has no service principal in this tenant: az ad sp create --id <client_id>, then grant consent",
    ),
    (
        7000112,
        "the application is disabled: Enterprise applications > Properties > Enabled for users to sign in",
    ),
    (
        90002,
        "there is no such tenant: check `tenant` (its id, or a domain such as contoso.onmicrosoft.com)",
    ),
    (
        90038,
        "the tenant is in another cloud: set `authority`, `server` and `scope` of that cloud",
    ),
    (
        900432,
        "the tenant is in another cloud: set `authority`, `server` and `scope` of that cloud",
    ),
    (
        900382,
        "the tenant is in another cloud: set `authority`, `server` and `scope` of that cloud",
    ),
    (
        70011,
        "the scope must be exactly one resource with /.default, https://outlook.office365.com/.default",
    ),
    (
        1002012,
        "the scope must be exactly one resource with /.default, https://outlook.office365.com/.default",
    ),
    (
        500011,
        "the tenant does not know the resource in `scope`: check it, and that the tenant has Exchange Online",
    ),
    (
        53003,
        "Conditional Access blocked the application: look at the policies for workload identities",
    ),
    (
        50105,
        "the application requires assignment: Enterprise applications > Properties > Assignment required: No",
    ),
];

/// For the `error_codes` of a token answer.
pub(crate) fn entra(codes: &[u64]) -> Option<&'static str> {
    codes
        .iter()
        .find_map(|code| ENTRA.iter().find(|(known, _)| known == code))
        .map(|(_, hint)| *hint)
}

/// For a connection that failed.
pub(crate) fn network(stage: Stage, error: &io::Error) -> Option<&'static str> {
    match (stage, error.kind()) {
        (Stage::Connect, io::ErrorKind::TimedOut) => Some(
            "most often a firewall: outgoing TCP to smtp.office365.com port 587 must be allowed",
        ),
        (Stage::Resolve, _) => Some("check the spelling of `server`, and /etc/resolv.conf"),
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
        | Bad::NotValidYetContext { .. } => Some("check this machine's clock first (date -u)"),
        Bad::UnknownIssuer => Some(
            "something on the way shows its own certificate (a proxy, a virus scanner), or `server` is a private one: \
             give its root with `ca_file`",
        ),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
            Some("the certificate is for another name: use the name it was made for in `server`")
        }
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
        assert!(hint(Stage::Auth, disabled).contains("Set-CASMailbox"));
        assert!(
            hint(Stage::Auth, "535 5.7.3 Authentication unsuccessful [host]")
                .contains("New-ServicePrincipal")
        );
        assert!(
            hint(
                Stage::Accept,
                "554 5.2.252 SendAsDenied; a not allowed to send as b"
            )
            .contains("SendAs")
        );
        assert!(
            hint(
                Stage::Accept,
                "554 5.2.0 STOREDRV SubmissionQuotaExceededException"
            )
            .contains("10,000")
        );
        assert_eq!(hint(Stage::Accept, "554 5.6.0 something else"), "");
    }

    #[test]
    fn the_first_known_code_decides() {
        assert!(entra(&[1, 7000215]).unwrap().contains("Value"));
        assert_eq!(entra(&[]), None);
    }
}
