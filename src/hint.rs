//! From what was seen to what it means: replies of our own server, failures of the network and of TLS. Nothing is decided by
//! it.

pub(crate) mod exchange;
#[cfg(feature = "graph")]
pub(crate) mod graph;
pub(crate) mod table;

use std::io;

use crate::hint::exchange::{Seen, of_reply, status};
use crate::hint::table::Condition;
use crate::reply::Reply;
use crate::stage::Stage;

/// For a reply of the server that we talk to.
pub(crate) fn of_own_reply(stage: Stage, reply: &Reply) -> Option<Condition> {
    of_reply(&Seen {
        stage: Some(stage),
        code: reply.code(),
        status: status(reply.enhanced().unwrap_or("")),
        text: &reply.to_string().to_ascii_lowercase(),
    })
}

/// For a connection that failed.
pub(crate) fn of_network(stage: Stage, error: &io::Error) -> Option<Condition> {
    use io::ErrorKind as Is;
    Some(match (stage, error.kind()) {
        (Stage::Resolve, Is::NotFound) => Condition::NameUnknown,
        // No name server was asked, because no file descriptor was left.
        (Stage::Resolve, _) if error.raw_os_error().is_some() => return None,
        (Stage::Resolve, _) => Condition::NoNameServer,
        (Stage::Token, _) => Condition::EntraUnreachable,
        (Stage::Connect, Is::TimedOut | Is::WouldBlock) => Condition::Unanswered,
        (Stage::Connect, Is::ConnectionRefused) => Condition::NobodyListens,
        (Stage::Connect, Is::NetworkUnreachable | Is::HostUnreachable) => Condition::Unreachable,
        _ => return None,
    })
}

/// For a handshake that failed.
pub(crate) fn of_tls(stage: Stage, error: &rustls::Error) -> Option<Condition> {
    use rustls::CertificateError as Bad;
    let bad = match error {
        rustls::Error::InvalidCertificate(bad) => bad,
        error if is_no_common_tls(error) => {
            return (stage == Stage::StartTls).then_some(Condition::NoCommonTls);
        }
        _ => return None,
    };
    match bad {
        bad if is_of_time(bad) => Some(Condition::CertificateTime),
        Bad::UnknownIssuer => Some(Condition::UnknownIssuer),
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => Some(Condition::OtherName),
        _ => None,
    }
}

/// Whether the two sides have no version of TLS or no cipher in common.
pub(crate) fn is_no_common_tls(error: &rustls::Error) -> bool {
    use rustls::AlertDescription::{HandshakeFailure, InsufficientSecurity, ProtocolVersion};
    matches!(
        error,
        rustls::Error::PeerIncompatible(_)
            | rustls::Error::AlertReceived(
                HandshakeFailure | InsufficientSecurity | ProtocolVersion
            )
    )
}

/// Whether a certificate is good at another time, or by another clock.
pub(crate) fn is_of_time(bad: &rustls::CertificateError) -> bool {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    matches!(
        bad,
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }
    )
}
