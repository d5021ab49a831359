//! The identity that Azure gives a machine, and where to ask for it.

use std::net::IpAddr;

use crate::error::Error;
use crate::token::credential::{Credential, wrong};
use crate::token::http::place;
use crate::token::identity::Source;
use crate::token::{Attempt, Failure, Token};

const KEY: &str = "managed_identity";

/// The environment says which kind of machine this is, read as MSAL reads it (facts.md, "Managed identities").
#[derive(Debug)]
pub(crate) struct ManagedIdentity;

/// Where the agent of Azure Arc leaves its keys.
const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";
const ARC_ENDPOINT: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";
const IMDS: &str = "http://169.254.169.254";

/// In MSAL's order, so that a machine is the same one to all programs on it.
fn source(
    variable: &dyn Fn(&str) -> Option<String>,
    agent_is_there: bool,
) -> Result<Source, String> {
    let (endpoint, header) = (variable("IDENTITY_ENDPOINT"), variable("IDENTITY_HEADER"));
    let older = (variable("MSI_ENDPOINT"), variable("MSI_SECRET"));
    Ok(match (endpoint, header, older) {
        (Some(_), Some(_), _) if variable("IDENTITY_SERVER_THUMBPRINT").is_some() => {
            return Err(
                "this is Service Fabric, whose identity is not supported: take a certificate"
                    .into(),
            );
        }
        (Some(endpoint), Some(header), _) => Source::app_service(endpoint, header),
        (_, _, (Some(endpoint), Some(secret))) => Source::machine_learning(endpoint, secret),
        (_, _, (Some(endpoint), None)) => Source::cloud_shell(endpoint),
        (Some(endpoint), None, _) if variable("IMDS_ENDPOINT").is_some() => {
            Source::arc(endpoint, ARC_KEYS.into())
        }
        _ if agent_is_there => Source::arc(ARC_ENDPOINT.into(), ARC_KEYS.into()),
        _ => {
            let host = variable("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let host = host.unwrap_or_else(|| IMDS.into());
            let host = host.trim_end_matches('/');
            Source::imds(format!("{host}/metadata/identity/oauth2/token"))
        }
    })
}

fn here() -> Result<Source, Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let source = source(&variable, std::fs::exists(ARC_AGENT).unwrap_or(false));
    let source = source.map_err(|what| wrong(KEY, what))?;
    match is_on_this_machine(&source.endpoint) {
        true => Ok(source),
        // The request is in the clear, so it must not leave the machine.
        false => {
            let endpoint = source.endpoint;
            let what =
                format!("{endpoint} is neither Azure's http address in this machine nor loopback");
            Err(wrong(KEY, what))
        }
    }
}

impl Credential for ManagedIdentity {
    fn key(&self) -> &'static str {
        KEY
    }

    fn check(&self) -> Result<(), Error> {
        here().map(drop)
    }

    fn stands_alone(&self) -> bool {
        true
    }

    fn fingerprint(&self) -> Result<String, Error> {
        Ok(KEY.into())
    }

    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        here()?.request(attempt)
    }
}

/// Plain http, and the host is loopback, or where Azure answers inside a machine: IMDS at 169.254.169.254, App Service
/// within 169.254.128.0/20. On the rest of the link-local network anybody's machine may answer.
fn is_on_this_machine(endpoint: &str) -> bool {
    let place = place(endpoint, 80).filter(|_| endpoint.starts_with("http://"));
    let (host, _) = place.unwrap_or_default();
    match host.parse() {
        Ok(IpAddr::V4(v4)) => match v4.octets() {
            [169, 254, 169, 254] | [169, 254, 128..=143, _] => true,
            _ => v4.is_loopback(),
        },
        Ok(IpAddr::V6(v6)) => v6.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_which_machine_this_is() {
        let source = |variables: &[(&str, &str)], agent| {
            let get = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            match source(&get, agent) {
                Ok(source) => format!("{} {}", source.name, source.endpoint),
                Err(what) => what,
            }
        };
        let endpoint = ("IDENTITY_ENDPOINT", "http://e");
        let app_service = [endpoint, ("IDENTITY_HEADER", "h")];
        assert_eq!(source(&app_service, true), "app service http://e");
        let fabric = [
            app_service[0],
            app_service[1],
            ("IDENTITY_SERVER_THUMBPRINT", "t"),
        ];
        assert!(source(&fabric, false).starts_with("this is Service Fabric"));
        let older = [("MSI_ENDPOINT", "http://m"), ("MSI_SECRET", "s")];
        assert_eq!(source(&older, true), "machine learning http://m");
        assert_eq!(source(&older[..1], true), "cloud shell http://m");
        assert_eq!(
            source(&[endpoint], true),
            format!("azure arc {ARC_ENDPOINT}")
        );
        let arc = [endpoint, ("IMDS_ENDPOINT", "i")];
        assert_eq!(source(&arc, false), "azure arc http://e");
        assert_eq!(source(&[], true), format!("azure arc {ARC_ENDPOINT}"));
        assert_eq!(
            source(&[], false),
            "imds http://169.254.169.254/metadata/identity/oauth2/token"
        );
        let pod = [("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1/")];
        assert_eq!(
            source(&pod, false),
            "imds http://127.0.0.1:1/metadata/identity/oauth2/token"
        );
    }

    #[test]
    fn nothing_is_asked_in_the_clear_beyond_this_machine() {
        for near in [
            "http://169.254.169.254/metadata",
            "http://169.254.129.4:8081/msi/token",
            "http://127.0.0.1:41741",
            "http://localhost:42356/msi/token",
            "http://[::1]:80/x",
        ] {
            assert!(is_on_this_machine(near), "{near}");
        }
        for far in [
            "https://169.254.169.254/",
            "http://169.255.0.1/",
            "http://169.254.0.1/",
            "http://169.254.169.253/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1@example.com/",
            "http://127.0.0.1:80@example.com/",
            "http://[::2]/",
            "http://2130706433/",
            "http:///",
            "ftp://127.0.0.1/",
            "",
        ] {
            assert!(!is_on_this_machine(far), "{far}");
        }
    }
}
