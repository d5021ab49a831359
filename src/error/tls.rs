//! Errors of rustls: whether the handshake would fail again, and the words for them.

use crate::hint;
use crate::text::printable;

/// Whether a handshake would fail again: the certificate is wrong at any time, or there is no common TLS. Anything else may
/// be one server of many, something on the way, or a clock that is not set yet.
pub(super) fn is_permanent(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(bad) => !hint::is_of_time(bad),
        error => hint::is_no_common_tls(error),
    }
}

/// The error's words, without the moment when a certificate ended: rustls tells it in seconds since 1970.
pub(super) fn text(error: &rustls::Error) -> String {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let bare = match error {
        rustls::Error::InvalidCertificate(ExpiredContext { .. }) => Expired,
        rustls::Error::InvalidCertificate(NotValidYetContext { .. }) => NotValidYet,
        // The text may quote names of the certificate.
        _ => return printable(&error.to_string()),
    };
    rustls::Error::InvalidCertificate(bare).to_string()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::time::Duration;

    use rustls::pki_types::UnixTime;

    use super::*;
    use crate::error::Error;
    use crate::stage::{ErrorKind, Stage};

    #[test]
    fn a_wrong_certificate_or_no_common_version_is_permanent() {
        use rustls::{AlertDescription as Alert, CertificateError as Bad, Error as Tls};
        for (error, permanent) in [
            (Tls::InvalidCertificate(Bad::UnknownIssuer), true),
            (Tls::InvalidCertificate(Bad::NotValidForName), true),
            (Tls::InvalidCertificate(Bad::Expired), false),
            (Tls::InvalidCertificate(Bad::NotValidYet), false),
            (Tls::AlertReceived(Alert::ProtocolVersion), true),
            (Tls::AlertReceived(Alert::InternalError), false),
            (Tls::DecryptError, false),
        ] {
            let made = Error::io(Stage::Sender, io::Error::other(error.clone()));
            assert_eq!(made.is_permanent(), permanent, "{error}");
            assert_eq!(made.kind(), ErrorKind::Tls, "{error}");
        }
    }

    #[test]
    fn the_text_holds_no_times_in_seconds() {
        use rustls::{CertificateError as Bad, Error as Tls};
        let time = UnixTime::since_unix_epoch(Duration::from_secs(7));
        let (not_after, not_before) = (time, time);
        for (found, bare) in [
            (Bad::ExpiredContext { time, not_after }, Bad::Expired),
            (
                Bad::NotValidYetContext { time, not_before },
                Bad::NotValidYet,
            ),
        ] {
            let bare = Tls::InvalidCertificate(bare).to_string();
            assert_eq!(text(&Tls::InvalidCertificate(found)), bare);
        }
    }
}
