//! Failures of TLS and of the network, in the words of other programs.

use crate::hint::table::Condition;

/// Alternatives, separated by ` | `.
type Words = &'static str;

/// A certificate that is not valid: OpenSSL (curl, Postfix, Python, PHP), GnuTLS (msmtp), Node, Java, Go, rustls.
const CERTIFICATE: &[(Condition, Words)] = &[
    (
        Condition::CertificateTime,
        "certificate has expired | certificate is expired | certificate expired | cert_has_expired | \
         certificate is not yet valid | cert_not_yet_valid | peer certificate: expired | \
         peer certificate: notvalidyet | certificate not valid yet | certificateexpiredexception",
    ),
    (
        Condition::UnknownIssuer,
        "unable to get local issuer certificate | unable to get issuer certificate | self-signed certificate | \
         self signed certificate | self_signed_cert | unable to verify the first certificate | \
         unable_to_verify_leaf_signature | unable_to_get_issuer_cert | hasn't got a known issuer | \
         certificate signed by unknown authority | pkix path building failed | \
         unable to find valid certification path | unknownissuer | untrustedroot | partialchain",
    ),
    (
        Condition::OtherName,
        "hostname mismatch | doesn't match certificate's altnames | does not match certificate's altnames | \
         err_tls_cert_altname_invalid | no alternative certificate subject name matches | \
         owner does not match host | certificate is valid for | certificate not valid for name | notvalidforname | \
         remotecertificatenamemismatch | no subject alternative dns name matching | did not match expected cn",
    ),
];

/// A certificate that is not valid, without the reason.
const NO_REASON: Words = "\
    certificate verify failed | certificate verification failed | remote certificate is invalid | \
    certificate_verify_failed";

/// TLS without a common version or cipher.
const NO_COMMON_TLS: Words = "\
    tlsv1 alert protocol version | alert protocol version | unsupported protocol | no protocols available | \
    no appropriate protocol | no shared cipher | handshake failure | handshake_failure";

/// TLS where the other side speaks plain text, or the other way round.
const WRONG_MOMENT: Words = "\
    wrong version number | wrong_version_number | first record does not look like a tls handshake | \
    unrecognized ssl message, plaintext connection | an unexpected tls packet was received | unexpected tls packet | \
    greeting never received | receiving the initial server greeting";

/// Programs that ask for AUTH before STARTTLS (facts.md, "Server and ports").
const BEFORE_TLS: Words =
    "smtp auth extension not supported by server | starttls is required to send mail";

const UNRESOLVED: Words = "\
    could not resolve host | couldn't resolve host | cannot locate host | enotfound | eai_noname | \
    name or service not known | nodename nor servname | no such host | host or domain name not found | \
    getaddrinfo failed | getaddresses | unknownhostexception | failed to lookup address";

const NO_NAME_SERVER: Words = "temporary failure in name resolution | eai_again";

const REFUSED: Words = "connection refused | econnrefused | actively refused";

const UNREACHABLE: Words = "network is unreachable | no route to host | enetunreach | ehostunreach";

const UNANSWERED: Words = "\
    timed out | etimedout | connection timeout | timeout was reached | i/o timeout | could not connect to smtp host | \
    couldn't connect to server | the proxy says http | the proxy does not speak http";

/// Timeouts of a connection that had been made: no firewall is in the way, and the reason is not known.
const LATER: Words = "conversation with | unexpectedly closed | read timed out | read timeout";

/// For a text in lower case.
pub(super) fn explain(text: &str) -> Vec<(String, Condition)> {
    let found = |words: &str, condition| vec![(words.to_owned(), condition)];
    if let Some(words) = end_lost(text) {
        return found(words, Condition::InDoubt);
    }
    if let Some(words) = ours(text, "token ").and_then(|text| first(NOT_ENTRA, text)) {
        return found(words, Condition::NotEntra);
    }
    let of_token = ours(text, "token ").or(ours(text, "token:"));
    let of_login = |(words, _): &&(&str, _)| of_token.is_some_and(|text| text.contains(words));
    if let Some((words, condition)) = LOGIN.iter().find(of_login) {
        return found(words, *condition);
    }
    let certificate: Vec<_> = CERTIFICATE
        .iter()
        .filter_map(|(condition, all)| Some((first(all, text)?.to_owned(), *condition)))
        .collect();
    if !certificate.is_empty() {
        return certificate;
    }
    if let Some(words) = first(NO_REASON, text) {
        use Condition::{CertificateTime, OtherName, UnknownIssuer};
        // The likeliest first.
        let reasons = [UnknownIssuer, CertificateTime, OtherName];
        return reasons.map(|reason| (words.to_owned(), reason)).into();
    }
    if let Some(words) = first(BEFORE_TLS, text) {
        return found(words, Condition::AuthBeforeTls);
    }
    let for_token = ours(text, "token ").is_some();
    let own = STAGES.iter().any(|stage| ours(text, stage).is_some());
    match connection(text).filter(|_| own || about_mail(text)) {
        Some((
            words,
            Condition::Unanswered | Condition::NobodyListens | Condition::Unreachable,
        )) if for_token => found(words, Condition::EntraUnreachable),
        Some((words, condition)) => found(words, condition),
        None => Vec::new(),
    }
}

/// The stages whose errors, in our own lines, tell of the network.
const STAGES: [&str; 5] = ["token ", "resolve ", "connect ", "greeting", "starttls "];

/// What answers a token request, in our own words, when it is not Entra.
const NOT_ENTRA: Words =
    "instead of json | of broken json | that are not json | with an empty body | a redirect to";

/// OAuth's words for the end of a user's login without an AADSTS number. Others use them for logins of their own, so only
/// our own lines are searched for them.
const LOGIN: &[(&str, Condition)] = &[
    (
        "the code was not entered in time",
        Condition::LoginCodeExpired,
    ),
    ("expired_token", Condition::LoginCodeExpired),
    ("authorization_declined", Condition::LoginDeclined),
    ("access_denied", Condition::LoginDeclined),
    ("bad_verification_code", Condition::LoginCodeUnknown),
    ("invalid_grant", Condition::LoginEnded),
];

/// The line from this stage on, if exosend wrote it: on stderr, as `{error:?}`, or quoted in its log.
fn ours<'t>(text: &'t str, stage: &str) -> Option<&'t str> {
    let line = match text.split_once("text=\"") {
        Some((_, quoted)) => quoted,
        None => text.trim_start(),
    };
    let line = line.trim_start_matches("error: ");
    let line = line.trim_start_matches("exosend: ");
    line.starts_with(stage).then_some(line)
}

/// Failures of TLS, then those of the network in the order in which they can occur.
fn connection(text: &str) -> Option<(&'static str, Condition)> {
    let secure = ["ssl", "tls"].iter().any(|t| text.contains(t));
    if let Some(words) = first(WRONG_MOMENT, text) {
        return Some((words, Condition::ImplicitTls));
    }
    if let Some(words) = first(NO_COMMON_TLS, text).filter(|_| secure) {
        return Some((words, Condition::NoCommonTls));
    }
    if let Some(words) = first(NO_NAME_SERVER, text) {
        return Some((words, Condition::NoNameServer));
    }
    if let Some(words) = first(UNRESOLVED, text) {
        return Some((words, Condition::NameUnknown));
    }
    if let Some(words) = first(UNREACHABLE, text) {
        return Some((words, Condition::Unreachable));
    }
    let (words, condition) = match first(REFUSED, text) {
        Some(words) => (words, Condition::NobodyListens),
        None if first(LATER, text).is_some() => return None,
        None => (first(UNANSWERED, text)?, Condition::Unanswered),
    };
    // Nobody listens on 465: facts.md, "Server and ports".
    let implicit = [":465", "port 465", "port: 465", " 465 "];
    match implicit.iter().any(|port| text.contains(port)) {
        true => Some((words, Condition::ImplicitTls)),
        false => Some((words, condition)),
    }
}

/// The connection was lost between the final dot and its reply, in Postfix's words or ours.
fn end_lost(text: &str) -> Option<&'static str> {
    let postfix = "while sending end of data";
    if text.contains(postfix) {
        return Some(postfix);
    }
    let lost = ["closed the connection", "timed out", "reset", "broken pipe"];
    let is_lost = ours(text, "accept: ").is_some() && lost.iter().any(|l| text.contains(l));
    is_lost.then_some("accept: (no reply)")
}

/// Whether a line is about sending mail: a database's log has timeouts too. Python tells neither host nor port, so its bare
/// exception counts unless it names another service.
fn about_mail(text: &str) -> bool {
    // Nodemailer's `command: 'CONN'` stands alone.
    const MARKS: Words = "\
    smtp | javax.mail | jakarta.mail | mailkit | phpmailer | nodemailer | command: 'conn' | greeting never received | \
    office365 | outlook | onmicrosoft | microsoftonline | :587 | :465 | port 587 | port 465";
    // Programs that read mail.
    const READERS: Words = "imap | pop3 | dovecot";
    let bare = first("[errno | [ssl", text).is_some() && !text.contains(['/', '@']);
    (first(MARKS, text).is_some() || bare) && first(READERS, text).is_none()
}

fn first(words: Words, text: &str) -> Option<&'static str> {
    words.split(" | ").find(|words| text.contains(words))
}
