//! The vocabulary: one row a key, for `set`, the environment and the configuration file alike.

use std::sync::Arc;

#[cfg(feature = "graph")]
use crate::account::Transport;
use crate::account::cloud::Cloud;
use crate::account::value::{host_and_port, path, seconds};
use crate::account::{Account, InitialResponse, check};
use crate::error::Error;
use crate::text::nearest;
use crate::token::cache::CacheFile;
use crate::token::certificate::Certificate;
use crate::token::credential::{AccessToken, ClientSecret, Credential, FederatedToken, wrong};
#[cfg(feature = "login")]
use crate::token::login::{Login, file};
use crate::token::machine::ManagedIdentity;

/// The keys. A new option is one row.
pub(super) const KEYS: &[Key] = &[
    Key::plain("mailbox", |a, v| text(&mut a.mailbox, v)),
    Key::identity("tenant", "AZURE_TENANT_ID", |a, v| text(&mut a.tenant, v)),
    Key::identity("client_id", "AZURE_CLIENT_ID", |a, v| {
        text(&mut a.client_id, v)
    }),
    Key::credential("client_secret", |a, v| {
        proof(a, Arc::new(ClientSecret::value(v.to_owned())))
    })
    .or("AZURE_CLIENT_SECRET"),
    Key::credential("client_secret_file", |a, v| {
        proof(a, Arc::new(ClientSecret::file(path(v)?)))
    }),
    Key::credential("client_certificate_file", |a, v| {
        proof(a, Arc::new(Certificate::file(path(v)?)))
    })
    .or("AZURE_CLIENT_CERTIFICATE_PATH"),
    Key::credential("federated_token_file", |a, v| {
        proof(a, Arc::new(FederatedToken::file(path(v)?)))
    })
    .or("AZURE_FEDERATED_TOKEN_FILE"),
    Key::credential(MANAGED_IDENTITY, |a, v| match v {
        "true" => proof(a, Arc::new(ManagedIdentity)),
        // As if the key were absent: a stronger layer that wants another credential has to name it.
        "false" => Ok(()),
        _ => Err("takes true or false".into()),
    }),
    #[cfg(feature = "login")]
    Key::credential(file::KEY, |a, v| proof(a, Arc::new(Login::file(path(v)?)))),
    Key::credential("access_token", |a, v| {
        proof(a, Arc::new(AccessToken::new(v.to_owned())))
    }),
    Key::plain(CLOUD, |a, v| {
        let known = Cloud::NAMES.iter().find(|(name, _)| *name == v);
        let (_, cloud) = known.ok_or("takes worldwide, gcc-high, dod or china")?;
        a.cloud = *cloud;
        Ok(())
    }),
    #[cfg(feature = "graph")]
    Key::plain("transport", |a, v| {
        a.transport = match v {
            "smtp" => Transport::Smtp,
            "graph" => Transport::Graph,
            _ => return Err("takes smtp or graph".into()),
        };
        Ok(())
    }),
    #[cfg(feature = "graph")]
    Key::plain("graph_endpoint", |a, v| text(&mut a.graph_endpoint, v)),
    Key::plain("server", |a, v| {
        a.server = Some(host_and_port(v)?);
        Ok(())
    }),
    Key::identity("authority", "AZURE_AUTHORITY_HOST", |a, v| {
        text(&mut a.authority, v)
    }),
    Key::plain("scope", |a, v| text(&mut a.scope, v)),
    Key::plain("ca_file", |a, v| {
        a.roots = Some(Arc::new(Ok(check::roots_from_file(&path(v)?)?)));
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
    Key::plain("token_cache", |a, v| {
        a.cache = Some(Arc::new(CacheFile::new(path(v)?)));
        Ok(())
    }),
    Key::plain("ehlo_name", |a, v| text(&mut a.ehlo_name, v)),
    Key::plain("timeout", |a, v| {
        a.timeouts.total = seconds(v)?;
        Ok(())
    }),
];

pub(super) const MANAGED_IDENTITY: &str = "managed_identity";
pub(super) const CLOUD: &str = "cloud";

/// Keys of the features that this build is without, each with its feature.
pub(super) const UNBUILT: &[(&str, &str)] = &[
    #[cfg(not(feature = "graph"))]
    ("transport", "graph"),
    #[cfg(not(feature = "graph"))]
    ("graph_endpoint", "graph"),
    #[cfg(not(feature = "login"))]
    ("login_file", "login"),
];

pub(super) struct Key {
    pub(super) name: &'static str,
    /// The variable that other tools use for the same.
    pub(super) azure: Option<&'static str>,
    pub(super) role: Role,
    pub(super) set: Set,
}

/// Takes a value, or says why not.
pub(super) type Set = fn(&mut Account, &str) -> Result<(), String>;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Names the application, and the tenant or cloud that knows it.
    Identity,
    /// Proves which application it is. An account has one.
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
            role: Role::Identity,
            ..Self::plain(name, set).or(azure)
        }
    }

    const fn credential(name: &'static str, set: Set) -> Self {
        Self {
            role: Role::Credential,
            ..Self::plain(name, set)
        }
    }

    const fn or(self, azure: &'static str) -> Self {
        Self {
            azure: Some(azure),
            ..self
        }
    }
}

impl Account {
    /// Sets one field by its key: the same word in configuration files and, in upper case after `EXOSEND_`, in the
    /// environment.
    ///
    #[doc = include_str!("keys.md")]
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) for an unknown key, with the nearest known one, and for a value that its
    /// key does not take.
    ///
    /// ```
    /// let mut account = exosend::Account::new("robot@contoso.com");
    /// account.set("server", "localhost:2525")?;
    /// let error = account.set("servr", "localhost").unwrap_err();
    /// assert_eq!(error.to_string(), "account servr: unknown key, did you mean `server`?");
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), Error> {
        (find(key)?.set)(self, value).map_err(|what| wrong(key, what))?;
        self.token = Arc::default();
        Ok(())
    }

    /// The keys that [`set`](Self::set) takes, in the order of its table.
    pub fn keys() -> impl Iterator<Item = &'static str> {
        KEYS.iter().map(|key| key.name)
    }
}

pub(super) fn find(key: &str) -> Result<&'static Key, Error> {
    KEYS.iter().find(|known| known.name == key).ok_or_else(|| {
        if let Some((_, feature)) = UNBUILT.iter().find(|(unbuilt, _)| *unbuilt == key) {
            return wrong(key, format!("built without feature {feature}"));
        }
        let known = nearest(key, Account::keys());
        wrong(key, format!("unknown key, did you mean `{known}`?"))
    })
}

fn proof(account: &mut Account, credential: Arc<dyn Credential>) -> Result<(), String> {
    account.credential = Some(credential);
    Ok(())
}

fn text(field: &mut impl From<String>, value: &str) -> Result<(), String> {
    *field = value.to_owned().into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_of_a_missing_feature_names_the_feature() {
        for (key, feature) in UNBUILT {
            let what = format!("built without feature {feature}");
            let error = Account::new("").set(key, "x").unwrap_err();
            assert_eq!(error.to_string(), format!("account {key}: {what}"));
        }
        let built = cfg!(all(feature = "graph", feature = "login"));
        assert_eq!(UNBUILT.is_empty(), built);
    }

    #[test]
    fn every_key_can_be_set_and_an_unknown_one_is_not() {
        let ca = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        let root = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
        std::fs::write(&ca, root.cert.pem()).unwrap();
        let values = [
            ("mailbox", "robot@contoso.com"),
            ("tenant", "t"),
            ("client_id", "c"),
            ("client_secret", "s"),
            ("client_secret_file", "/f"),
            ("client_certificate_file", "/f"),
            ("federated_token_file", "/f"),
            ("managed_identity", "true"),
            #[cfg(feature = "login")]
            ("login_file", "/f"),
            ("access_token", "t"),
            ("cloud", "gcc-high"),
            #[cfg(feature = "graph")]
            ("transport", "graph"),
            #[cfg(feature = "graph")]
            ("graph_endpoint", "https://g"),
            ("server", "h:25"),
            ("authority", "https://a"),
            ("scope", "s/.default"),
            ("ca_file", ca.to_str().unwrap()),
            ("initial_response", "always"),
            ("token_cache", "/c"),
            ("ehlo_name", "[192.0.2.7]"),
            ("timeout", "1.5"),
        ];
        let mut account = Account::new("");
        for (key, value) in &values {
            account.set(key, value).unwrap();
        }
        std::fs::remove_file(&ca).unwrap();
        assert_eq!(
            values.map(|(key, _)| key).to_vec(),
            Account::keys().collect::<Vec<_>>(),
            "a key without a line here"
        );
        assert_eq!((account.host(), account.port()), ("h", 25));
        assert_eq!(account.timeouts.total, Duration::from_millis(1500));
        let error = account.set("clientid", "x").unwrap_err();
        assert_eq!(
            error.to_string(),
            "account clientid: unknown key, did you mean `client_id`?"
        );
    }

    #[test]
    fn a_value_that_a_key_does_not_take_is_refused() {
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
            ("ca_file", ""),
            ("ca_file", "/nowhere"),
            ("cloud", "moon"),
            ("transport", "pigeon"),
            ("managed_identity", "yes"),
        ] {
            let error = Account::new("").set(key, value).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("account {key}: ")),
                "{key}={value:?}: {error}"
            );
        }
    }
}
