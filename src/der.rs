//! The few fields of a certificate that rustls verifies but does not return. Pure.

use std::time::SystemTime;

use crate::date;
#[cfg(any(test, feature = "advice"))]
use crate::text::printable;

/// From when to when a certificate is valid (RFC 5280 4.1.2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// `[0]`, which holds the version of any certificate that is not of version 1.
const VERSION: u8 = 0xa0;

/// `None` for what is no certificate.
///
/// Walks to one field; whoever verifies the certificate looks at the rest.
pub(crate) fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_issuer, fields) = element(SEQUENCE, from_issuer_on(certificate)?)?;
    let (validity, _) = element(SEQUENCE, fields)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some(Validity {
        not_before,
        not_after,
    })
}

/// Subject and issuer of a certificate, by the names that are shown to people: the common name, else the organization; empty
/// if there is neither. They do not say which host it is for.
#[cfg(any(test, feature = "advice"))]
pub(crate) fn names(certificate: &[u8]) -> Option<(String, String)> {
    let (issuer, fields) = element(SEQUENCE, from_issuer_on(certificate)?)?;
    let (_validity, fields) = element(SEQUENCE, fields)?;
    let (subject, _) = element(SEQUENCE, fields)?;
    Some((shown(subject), shown(issuer)))
}

/// The key that a certificate is for, with its algorithm: the whole `SubjectPublicKeyInfo` (RFC 5280 4.1.2.7).
pub(crate) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let mut fields = from_issuer_on(certificate)?;
    for _issuer_validity_subject in 0..3 {
        (_, fields) = element(SEQUENCE, fields)?;
    }
    let (_, behind) = element(SEQUENCE, fields)?;
    fields.get(..fields.len().checked_sub(behind.len())?)
}

/// The fields of a certificate from its issuer on (RFC 5280 4.1).
fn from_issuer_on(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = element(SEQUENCE, certificate)?;
    let (mut fields, _) = element(SEQUENCE, certificate)?;
    if let Some((_, rest)) = element(VERSION, fields) {
        fields = rest;
    }
    let (_serial, fields) = element(INTEGER, fields)?;
    let (_algorithm, fields) = element(SEQUENCE, fields)?;
    Some(fields)
}

/// A name is a sequence of sets of attributes, each a type and a text (RFC 5280 4.1.2.4).
#[cfg(any(test, feature = "advice"))]
fn shown(mut name: &[u8]) -> String {
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const SET: u8 = 0x31;
    // 2.5.4.3 and 2.5.4.10 (X.520).
    const COMMON_NAME: [u8; 3] = [85, 4, 3];
    const ORGANIZATION: [u8; 3] = [85, 4, 10];
    let (mut common, mut organization) = (None, None);
    while let Some((set, rest)) = element(SET, name) {
        name = rest;
        let attribute = element(SEQUENCE, set)
            .and_then(|(attribute, _)| element(OBJECT_IDENTIFIER, attribute))
            .and_then(|(kind, value)| Some((kind, element(*value.first()?, value)?.0)));
        match attribute {
            Some((kind, text)) if kind == COMMON_NAME => common = Some(text),
            Some((kind, text)) if kind == ORGANIZATION => organization = Some(text),
            _ => {}
        }
    }
    let text = common.or(organization).unwrap_or_default();
    printable(&String::from_utf8_lossy(text))
}

/// The content of the first element, if it has this tag, and what follows it (X.690 8.1).
fn element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&found, bytes) = bytes.split_first()?;
    let (&first, bytes) = bytes.split_first()?;
    if found != tag {
        return None;
    }
    let (length, bytes) = match first {
        0..=0x7f => (usize::from(first), bytes),
        // No certificate is so long that its length takes more than four bytes.
        0x81..=0x84 => {
            let (length, bytes) = bytes.split_at_checked(usize::from(first & 0x7f))?;
            let length = length.iter().try_fold(0_usize, |length, &byte| {
                length.checked_mul(256)?.checked_add(usize::from(byte))
            });
            (length?, bytes)
        }
        _ => return None,
    };
    bytes.split_at_checked(length)
}

fn time(bytes: &[u8]) -> Option<(SystemTime, &[u8])> {
    match element(UTC_TIME, bytes) {
        Some((text, rest)) => Some((date::utc_time(text)?, rest)),
        None => {
            let (text, rest) = element(GENERALIZED_TIME, bytes)?;
            Some((date::generalized_time(text)?, rest))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_validity_of_a_certificate_is_read() {
        let mut params = rcgen::CertificateParams::new(["a".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 2, 29);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let der = certificate.der();
        assert_eq!(
            validity(der),
            Some(Validity {
                not_before: at(1_582_934_400),
                not_after: at(2_524_608_000),
            })
        );
        assert_eq!(
            names(der),
            Some((
                "rcgen self signed cert".into(),
                "rcgen self signed cert".into()
            ))
        );
        for cut in 0..der.len() {
            assert_eq!(names(&der[..cut]), None);
            // Cut after the field, too: the length of the whole is wrong then.
            assert_eq!(validity(&der[..cut]), None);
        }
    }

    #[test]
    fn a_name_is_the_common_name_or_the_organization() {
        let named = |names: &[(rcgen::DnType, &str)]| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name = rcgen::DistinguishedName::new();
            for (kind, name) in names {
                params.distinguished_name.push(kind.clone(), *name);
            }
            let key = rcgen::KeyPair::generate().unwrap();
            super::names(params.self_signed(&key).unwrap().der())
                .unwrap()
                .0
        };
        use rcgen::DnType::{CommonName, CountryName, OrganizationName};
        let all = [
            (CountryName, "US"),
            (OrganizationName, "DigiCert"),
            (CommonName, "a\nb"),
        ];
        assert_eq!(named(&all), "a?b");
        assert_eq!(named(&all[..2]), "DigiCert");
        assert_eq!(named(&[]), "");
    }
}
