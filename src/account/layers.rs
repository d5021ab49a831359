//! Several layers of settings to one account: whose wins.

use std::ffi::OsString;

use zeroize::Zeroizing;

use crate::account::keys::{CLOUD, KEYS, Key, MANAGED_IDENTITY, Role, UNBUILT, find};
use crate::account::{Account, variable};
use crate::error::Error;
use crate::token::credential::wrong;

impl Account {
    /// The account of the environment: the `EXOSEND_*` variables, and for some keys the `AZURE_*` ones that other
    /// tools use. A variable that is set and empty counts as not set.
    ///
    /// The `AZURE_*` tenant, client id, credential and authority count only where no `EXOSEND_*` variable names a
    /// credential: a shell set up for Terraform must not send somebody else's mail.
    ///
    /// What is missing is not found here but by the call that uses the account, or by [`check`](Self::check), so that
    /// setters can still add it.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) for a value that its key does not take, and for two credentials at once.
    pub fn from_env() -> Result<Self, Error> {
        from_env(&|name| std::env::var_os(name))
    }

    /// The account of several layers of keys and values, the weakest first: a system's file, a user's file, variables,
    /// flags. This is how a program reads a configuration of its own.
    ///
    /// A layer overrides the ones before it, key by key. A credential replaces the credential of a weaker layer, whichever
    /// kind it is; a `cloud` replaces `server`, `graph_endpoint`, `authority` and `scope` of weaker layers.
    ///
    /// The environment counts only as far as it is asked for: `EXOSEND_*` variables where they are one of the layers, the
    /// `AZURE_*` ones, as in [`from_env`](Self::from_env) and below all layers, where `azure` is true.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set), and for two credentials in one layer: it names both.
    ///
    /// ```
    /// use exosend::Account;
    ///
    /// let system = [("tenant", "contoso.com"), ("client_secret", "~")];
    /// let user = [("mailbox", "robot@contoso.com"), ("client_certificate_file", "/etc/exosend.pem")];
    /// let account = Account::from_layers([system, user], false)?;
    /// assert_eq!(account.mailbox(), "robot@contoso.com");
    /// assert!(format!("{account:?}").contains("exosend.pem"));
    /// # Ok::<(), exosend::Error>(())
    /// ```
    pub fn from_layers<'a>(
        layers: impl IntoIterator<Item = impl IntoIterator<Item = (&'a str, &'a str)>>,
        azure: bool,
    ) -> Result<Self, Error> {
        let setting = |(name, value): (&'a str, &'a str)| {
            let key = find(name)?;
            Ok(Setting { key, name, value })
        };
        let layers: Result<Vec<Vec<_>>, Error> = layers
            .into_iter()
            .map(|layer| layer.into_iter().map(setting).collect())
            .collect();
        assemble(&layers?, azure.then_some(&|name| std::env::var_os(name)))
    }
}

/// The value of a variable, if it is set.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A value and the name it was given under: a key, or a variable.
struct Setting<'a> {
    key: &'static Key,
    name: &'a str,
    value: &'a str,
}

impl Setting<'_> {
    fn names_credential(&self) -> bool {
        let off = self.key.name == MANAGED_IDENTITY && self.value == "false";
        self.key.role == Role::Credential && !off
    }
}

fn from_env(environment: Environment<'_>) -> Result<Account, Error> {
    // Ignoring it could send by another transport, or with another credential.
    for (key, feature) in UNBUILT {
        let name = variable(key);
        if environment(&name).is_some_and(|value| !value.is_empty()) {
            return Err(wrong(&name, format!("built without feature {feature}")));
        }
    }
    let found = variables(environment, |key| Some(variable(key.name)))?;
    assemble(&[settings(&found)], Some(environment))
}

/// The `AZURE_*` variables, if they are asked for, and the layers above them.
fn assemble(layers: &[Vec<Setting<'_>>], azure: Option<Environment<'_>>) -> Result<Account, Error> {
    let mut account = Account::new("");
    if let Some(environment) = azure {
        let proven = layers.iter().flatten().any(Setting::names_credential);
        let found = variables(environment, |key| {
            let somebody_else = proven && key.role != Role::Plain;
            key.azure.filter(|_| !somebody_else).map(str::to_owned)
        })?;
        apply(&mut account, &settings(&found))?;
    }
    for layer in layers {
        apply(&mut account, layer)?;
    }
    Ok(account)
}

/// A variable that is set. Its value may be a secret.
type Variable = (&'static Key, String, Zeroizing<String>);

fn variables(
    environment: Environment<'_>,
    name: impl Fn(&Key) -> Option<String>,
) -> Result<Vec<Variable>, Error> {
    let mut found = Vec::new();
    for key in KEYS {
        let Some(name) = name(key) else { continue };
        match environment(&name).map(OsString::into_string) {
            Some(Ok(value)) if !value.is_empty() => found.push((key, name, value.into())),
            Some(Err(_)) => return Err(wrong(&name, "not UTF-8")),
            _ => {}
        }
    }
    Ok(found)
}

fn settings(variables: &[Variable]) -> Vec<Setting<'_>> {
    let mut layer = Vec::new();
    for (key, name, value) in variables {
        layer.push(Setting { key, name, value });
    }
    layer
}

fn apply(account: &mut Account, layer: &[Setting<'_>]) -> Result<(), Error> {
    if layer.iter().any(|setting| setting.key.name == CLOUD) {
        (account.server, account.authority, account.scope) = (None, None, None);
        #[cfg(feature = "graph")]
        {
            account.graph_endpoint = None;
        }
    }
    let mut credential: Option<&Setting<'_>> = None;
    for setting in layer {
        (setting.key.set)(account, setting.value).map_err(|what| wrong(setting.name, what))?;
        if setting.names_credential() {
            let other = credential.replace(setting);
            if let Some(other) = other.filter(|other| other.key.name != setting.key.name) {
                let what = format!("{} is set too: one credential at a time", setting.name);
                return Err(wrong(other.name, what));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::cloud::Cloud;

    fn from(variables: &[(&str, &str)]) -> Result<Account, Error> {
        from_env(&|name| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| v.into())
        })
    }

    #[test]
    fn a_variable_of_a_missing_feature_names_the_feature() {
        for (key, feature) in UNBUILT {
            let name = variable(key);
            let error = from(&[(&name, "x")]).unwrap_err();
            let what = format!("account {name}: built without feature {feature}");
            assert_eq!(error.to_string(), what);
            assert!(from(&[(&name, "")]).is_ok());
        }
    }

    #[test]
    fn azure_variables_count_only_without_another_credential() {
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
        let public = "https://login.microsoftonline.com/";
        assert!(account.application().endpoint.starts_with(public));

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
        let error = from(&[
            ("AZURE_CLIENT_SECRET", "s"),
            ("AZURE_FEDERATED_TOKEN_FILE", "/f"),
        ])
        .unwrap_err();
        assert!(error.to_string().contains("AZURE_FEDERATED_TOKEN_FILE"));
        let both = [
            ("EXOSEND_MANAGED_IDENTITY", "false"),
            ("EXOSEND_CLIENT_SECRET", "s"),
        ];
        assert!(from(&both).is_ok(), "an identity that is off is none");
    }

    /// Layers of `key=value`, below which the environment is that of a machine where Terraform runs.
    fn layers(layers: &[&[&'static str]]) -> Account {
        let setting = |text: &&'static str| {
            let (name, value) = text.split_once('=').unwrap();
            let key = find(name).unwrap();
            Setting { key, name, value }
        };
        let layers: Vec<Vec<_>> = layers
            .iter()
            .map(|layer| layer.iter().map(setting).collect())
            .collect();
        let terraform = |name: &str| match name {
            "AZURE_TENANT_ID" => Some("azure-tenant".into()),
            "AZURE_CLIENT_ID" => Some("azure-client".into()),
            "AZURE_CLIENT_SECRET" => Some("azure-secret".into()),
            "AZURE_AUTHORITY_HOST" => Some("https://azure-authority".into()),
            _ => None,
        };
        assemble(&layers, Some(&terraform)).unwrap()
    }

    fn credential(account: &Account) -> &'static str {
        account.credential.as_ref().unwrap().key()
    }

    #[test]
    fn a_stronger_layer_wins_key_by_key() {
        let account = layers(&[
            &["mailbox=a@x.com", "tenant=system", "client_secret=s"],
            &["tenant=user", "client_certificate_file=/f"],
            &[],
        ]);
        assert_eq!(
            (account.mailbox(), account.tenant.as_str()),
            ("a@x.com", "user")
        );
        assert_eq!(credential(&account), "client_certificate_file");
        assert_eq!(account.client_id, "", "Terraform's");
        let on = layers(&[&["managed_identity=true"], &["managed_identity=false"]]);
        assert_eq!(credential(&on), "managed_identity", "false says nothing");
        let off = layers(&[&["managed_identity=false"]]);
        assert_eq!(credential(&off), "client_secret");
    }

    #[test]
    fn azure_fills_in_where_no_layer_names_a_credential() {
        let account = layers(&[&["tenant=mine"]]);
        assert_eq!(
            (account.tenant.as_str(), account.client_id.as_str()),
            ("mine", "azure-client")
        );
        assert_eq!(credential(&account), "client_secret");
    }

    #[test]
    fn a_cloud_replaces_the_servers_of_weaker_layers_only() {
        let account = layers(&[
            &["server=weak:25", "scope=weak/.default"],
            &["server=strong:25", "cloud=china"],
        ]);
        assert_eq!((account.host(), account.port()), ("strong", 25));
        assert_eq!(
            account.application().scope,
            "https://partner.outlook.cn/.default"
        );
        let china = "https://login.partner.microsoftonline.cn/";
        assert!(account.application().endpoint.starts_with(china));
        let before = Account::new("").server("mine", 25).cloud(Cloud::GccHigh);
        assert_eq!(before.host(), "mine");
        let azure = layers(&[]).application().endpoint;
        assert!(azure.starts_with("https://azure-authority/"));
    }
}
