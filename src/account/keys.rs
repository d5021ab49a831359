//! The vocabulary: one row a key, for `set`, the environment and the configuration file alike.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{Account, InitialResponse, Roots, check_authority, check_ehlo_name, check_host, wrong};
use crate::Error;
use crate::credential::{Credential, Secret};

/// The keys. A new option is one row.
const KEYS: &[Key] = &[
    Key::plain("mailbox", |a, v| text(&mut a.mailbox, v)),
    Key::identity("tenant", "AZURE_TENANT_ID", |a, v| text(&mut a.tenant, v)),
    Key::identity("client_id", "AZURE_CLIENT_ID", |a, v| {
        text(&mut a.client_id, v)
    }),
    Key::credential("client_secret", |a, v| {
        a.credential = Some(Credential::ClientSecret(Secret::new(v.to_owned())));
        Ok(())
    })
    .or("AZURE_CLIENT_SECRET"),
    Key::credential("client_secret_file", |a, v| {
        a.credential = Some(Credential::ClientSecretFile(path(v)?));
        Ok(())
    }),
    Key::plain("server", |a, v| {
        (a.host, a.port) = host_and_port(v)?;
        Ok(())
    }),
    Key::plain("authority", |a, v| {
        check_authority(v)?;
        text(&mut a.authority, v)
    })
    .or("AZURE_AUTHORITY_HOST"),
    Key::plain("scope", |a, v| text(&mut a.scope, v)),
    Key::plain("ca_file", |a, v| {
        a.roots = Some(Roots::File(path(v)?));
        Ok(())
    }),
    Key::plain("initial_response", |a, v| {
        a.initial_response = match v {
            "auto" => InitialResponse::Auto,
            "always" => InitialResponse::Always,
            "never" => InitialResponse::Never,
            _ => return Err("takes auto, always or never".into()),
        };
        Ok(())
    }),
    Key::plain("ehlo_name", |a, v| {
        check_ehlo_name(v)?;
        a.ehlo_name = Some(v.to_owned());
        Ok(())
    }),
    Key::plain("timeout", |a, v| {
        a.timeouts.total = seconds(v)?;
        Ok(())
    }),
];

struct Key {
    name: &'static str,
    /// The variable that other tools use for the same.
    azure: Option<&'static str>,
    role: Role,
    set: Set,
}

/// Takes a value, or says why not.
type Set = fn(&mut Account, &str) -> Result<(), String>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Part of who the application is.
    Identity,
    /// Proves it; there can be one.
    Credential,
    Plain,
}

impl Key {
    const fn plain(name: &'static str, set: Set) -> Self {
        Self {
            name,
            azure: None,
            role: Role::Plain,
            set,
        }
    }

    const fn identity(name: &'static str, azure: &'static str, set: Set) -> Self {
        Self {
            name,
            azure: Some(azure),
            role: Role::Identity,
            set,
        }
    }

    const fn credential(name: &'static str, set: Set) -> Self {
        Self {
            name,
            azure: None,
            role: Role::Credential,
            set,
        }
    }

    const fn or(self, azure: &'static str) -> Self {
        Self {
            azure: Some(azure),
            ..self
        }
    }
}

/// `EXOSEND_CLIENT_ID` for `client_id`.
pub(super) fn variable(key: &str) -> String {
    format!("EXOSEND_{}", key.to_ascii_uppercase())
}

pub(super) fn set(account: &mut Account, key: &str, value: &str) -> Result<(), Error> {
    let known = KEYS.iter().find(|known| known.name == key).ok_or_else(|| {
        let names = KEYS.iter().map(|known| known.name);
        let nearest = names
            .min_by_key(|name| distance(name, key))
            .unwrap_or_default();
        wrong(key, format!("unknown key, did you mean `{nearest}`?"))
    })?;
    (known.set)(account, value).map_err(|what| wrong(key, what))
}

/// What the variables that `get` knows say.
pub(super) fn from_variables(get: &dyn Fn(&str) -> Option<OsString>) -> Result<Account, Error> {
    let get = |name: &str| match get(name).map(OsString::into_string) {
        Some(Ok(value)) => Ok(Some(value).filter(|v| !v.is_empty())),
        Some(Err(_)) => Err(wrong(name, "not UTF-8")),
        None => Ok(None),
    };
    let mut account = Account::new("");
    let mut take = |key: &Key, variable: &str, value: &str| {
        (key.set)(&mut account, value).map_err(|what| wrong(variable, what))
    };
    let mut credential: Option<String> = None;
    for key in KEYS {
        let variable = variable(key.name);
        let Some(value) = get(&variable)? else {
            continue;
        };
        take(key, &variable, &value)?;
        if key.role == Role::Credential {
            if let Some(other) = credential.replace(variable.clone()) {
                return Err(wrong(
                    &other,
                    format!("{variable} is set too: one credential at a time"),
                ));
            }
        }
    }
    for key in KEYS {
        let Some(azure) = key.azure else { continue };
        let somebody_else = credential.is_some() && key.role != Role::Plain;
        if somebody_else || get(&variable(key.name))?.is_some() {
            continue;
        }
        if let Some(value) = get(azure)? {
            take(key, azure, &value)?;
        }
    }
    Ok(account)
}

fn text(field: &mut String, value: &str) -> Result<(), String> {
    value.clone_into(field);
    Ok(())
}

fn path(value: &str) -> Result<PathBuf, String> {
    if value.is_empty() {
        Err("empty".into())
    } else {
        Ok(PathBuf::from(value))
    }
}

/// Whole or decimal seconds. Not by way of `f64`: its parser and tables are 15 KB of a small program.
fn seconds(value: &str) -> Result<Duration, String> {
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
fn host_and_port(value: &str) -> Result<(String, u16), String> {
    let default = 587;
    let (host, port) = match value.strip_prefix('[').map(|v| v.split_once(']')) {
        Some(Some((host, rest))) => (
            host,
            rest.strip_prefix(':')
                .or(if rest.is_empty() { None } else { Some("?") }),
        ),
        Some(None) => return Err("a [ without its ]".into()),
        None => value
            .split_once(':')
            .map_or((value, None), |(host, port)| (host, Some(port))),
    };
    check_host(host)?;
    let port = port
        .map_or(Ok(default), str::parse)
        .ok()
        .filter(|&port| port != 0);
    Ok((
        host.to_owned(),
        port.ok_or("takes host or host:port, [address]:port for IPv6")?,
    ))
}

/// Levenshtein's, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let here = (diagonal + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Account, Error> {
        from_variables(&|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.into())
        })
    }

    #[test]
    fn every_key_can_be_set_and_an_unknown_one_is_not() {
        let values = [
            ("mailbox", "robot@contoso.com"),
            ("tenant", "t"),
            ("client_id", "c"),
            ("client_secret", "s"),
            ("client_secret_file", "/f"),
            ("server", "h:25"),
            ("authority", "https://a"),
            ("scope", "s/.default"),
            ("ca_file", "/ca"),
            ("initial_response", "always"),
            ("ehlo_name", "[192.0.2.7]"),
            ("timeout", "1.5"),
        ];
        let mut account = Account::new("");
        for (key, value) in values {
            account.set(key, value).unwrap();
        }
        assert_eq!(values.len(), KEYS.len(), "a key without a line here");
        assert_eq!((account.host.as_str(), account.port), ("h", 25));
        assert_eq!(account.timeouts.total, Duration::from_millis(1500));
        let error = account.set("clientid", "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "account clientid: unknown key, did you mean `client_id`?"
        );
    }

    #[test]
    fn values_that_a_key_does_not_take() {
        for (key, value) in [
            ("server", "h:"),
            ("server", "h:x"),
            ("server", "h:0"),
            ("server", "h:70000"),
            ("server", "[::1"),
            ("server", "[::1]x"),
            ("server", ""),
            ("timeout", "0"),
            ("timeout", "-1"),
            ("timeout", "soon"),
            ("timeout", "NaN"),
            ("timeout", "inf"),
            ("timeout", "1e300"),
            ("initial_response", "yes"),
            ("ehlo_name", "a b"),
            ("ehlo_name", ""),
            ("authority", "http://x"),
            ("ca_file", ""),
        ] {
            let error = Account::new("").set(key, value).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("account {key}: ")),
                "{key}={value:?}: {error}"
            );
        }
        assert_eq!(host_and_port("[::1]:25"), Ok(("::1".into(), 25)));
        assert_eq!(
            host_and_port("smtp.office365.us"),
            Ok(("smtp.office365.us".into(), 587))
        );
    }

    #[test]
    fn the_environment_and_its_older_cousins() {
        let azure = [
            ("AZURE_TENANT_ID", "at"),
            ("AZURE_CLIENT_ID", "ac"),
            ("AZURE_CLIENT_SECRET", "as"),
        ];
        let account = from(&azure).unwrap();
        assert_eq!(
            (account.tenant.as_str(), account.client_id.as_str()),
            ("at", "ac")
        );
        assert!(account.credential.is_some());

        let mut both = azure.to_vec();
        both.extend([
            ("EXOSEND_CLIENT_SECRET", "es"),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"),
        ]);
        let account = from(&both).unwrap();
        assert_eq!(
            (account.tenant.as_str(), account.client_id.as_str()),
            ("", ""),
            "hijacked"
        );
        assert!(
            account
                .token_endpoint()
                .starts_with("https://login.microsoftonline.us/")
        );

        assert!(from(&[("EXOSEND_TENANT", "")]).unwrap().tenant.is_empty());
        let error = from(&[("EXOSEND_TIMEOUT", "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "account EXOSEND_TIMEOUT: takes seconds, more than 0"
        );
    }

    #[test]
    fn two_credentials_at_once_are_both_named() {
        let error = from(&[
            ("EXOSEND_CLIENT_SECRET", "s"),
            ("EXOSEND_CLIENT_SECRET_FILE", "/f"),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "account EXOSEND_CLIENT_SECRET: EXOSEND_CLIENT_SECRET_FILE is set too: one credential at a time"
        );
    }
}
