//! What to do about a token that Entra did not issue: facts.md, "AADSTS codes", in commands.

use crate::account::Account;
use crate::advice::doctor::advice::{Advice, Cause, Place};
use crate::advice::doctor::clock;
use crate::advice::doctor::configuration::{secret_id, secret_is_guid};
use crate::advice::doctor::prescribe::{client, general, scope};
use crate::advice::powershell::quote::shell;
use crate::error::Error;
use crate::stage::ErrorKind;

/// `clock_is_wrong`: then it is named before anything that a clock can do.
pub(super) fn advice(error: &Error, account: &Account, clock_is_wrong: bool) -> Option<Advice> {
    let (texts, place, commands) = match aadsts(&error.to_string()) {
        Some(700_024 | 700_027) if clock_is_wrong => return Some(clock::advice()),
        Some(code) => match steps(code, account) {
            Some(found) => found,
            None => return Some(unknown(code, error)),
        },
        None if error.kind() == ErrorKind::Tls && clock_is_wrong => return Some(clock::advice()),
        None => return general(error).or_else(|| network(error, account)),
    };
    let meaning = match error.hint() {
        Some(hint) => format!("Entra does not issue a token: {}.", meaning_of(hint)),
        None => "Entra does not issue a token.".to_owned(),
    };
    let mut advice = Advice::new(meaning).cause(texts, place, commands);
    if aadsts(&error.to_string()) == Some(7_000_215) && secret_is_guid(account) {
        advice.causes.insert(0, configured_id());
    }
    Some(advice)
}

fn configured_id() -> Cause {
    Cause::new(
        secret_id(),
        Place::Configuration,
        ["client_secret = ...".to_owned()],
    )
}

/// A hint says what it means, and behind a colon what to do, which stands below with this account's ids.
fn meaning_of(hint: &str) -> &str {
    hint.split_once(": ").map_or(hint, |(meaning, _)| meaning)
}

/// The number behind `AADSTS`.
fn aadsts(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("AADSTS")?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

type Steps = (String, Place, Vec<String>);

fn steps(code: u64, account: &Account) -> Option<Steps> {
    use Place::{AzureCli, Configuration, EntraPortal, Shell};
    let id = client(account);
    let (text, place, commands): (&str, Place, Vec<String>) = match code {
        7_000_215 | 7_000_222 => (
            "make a new secret, and configure its value (`password` in the answer), not its id",
            AzureCli,
            vec![format!("az ad app credential reset --id {id} --append")],
        ),
        7_000_218 => (
            "no credential went along: configure one",
            Configuration,
            vec!["client_secret = ...".into()],
        ),
        700_016 => (
            "the application is not in this tenant: the tenant or the client id is wrong",
            AzureCli,
            vec![
                format!("az ad app show --id {id} --query displayName"),
                "az account show --query tenantId".into(),
            ],
        ),
        7_000_229 => (
            "the application has no service principal (no enterprise application) in this tenant: make it",
            AzureCli,
            vec![format!("az ad sp create --id {id}")],
        ),
        7_000_112 => (
            "the application is disabled in this tenant",
            AzureCli,
            vec![format!(
                "az ad sp update --id {id} --set accountEnabled=true"
            )],
        ),
        700_025 => (
            "the application is a public client, which has no secret: register a confidential one, or switch this off",
            AzureCli,
            vec![format!(
                "az ad app update --id {id} --is-fallback-public-client false"
            )],
        ),
        90_002 => (
            "there is no such tenant in this cloud",
            AzureCli,
            vec!["az account show --query tenantId".into()],
        ),
        90_038 | 900_432 | 900_382 => (
            "the tenant is in another of Microsoft's clouds: name it",
            Configuration,
            vec!["cloud = gcc-high    # or dod, china, worldwide".into()],
        ),
        70_011 | 1_002_012 | 700_022 => (
            "the scope has to be one resource with /.default, and nothing else",
            Configuration,
            vec![scope(account)],
        ),
        500_011 => (
            "the tenant does not know what the scope names: it is misspelt, or the tenant has no Exchange Online",
            Configuration,
            vec![scope(account)],
        ),
        65_001 | 650_057 => (
            "an administrator has not consented, or the resource is not among the application's permissions. With App RBAC \
             no permission is needed, and the scope is the one below",
            AzureCli,
            vec![
                format!("az ad app permission admin-consent --id {id}"),
                format!("# {}", scope(account)),
            ],
        ),
        700_027 | 700_030 => (
            "the certificate is not registered with the application, or another one is: upload its public half",
            AzureCli,
            vec![format!(
                "az ad app credential reset --id {id} --cert @certificate.pem --append"
            )],
        ),
        700_024 => (
            "what was signed is too old or too new: the clock is wrong, or the federated token's file is stale",
            Shell,
            vec!["date -u".into(), "timedatectl set-ntp true".into()],
        ),
        70_021 | 700_211 | 700_213 => (
            "no federated credential of the application matches: compare issuer, subject and audience letter by letter",
            AzureCli,
            vec![format!("az ad app federated-credential list --id {id}")],
        ),
        50_034 => (
            "Entra looked for a user: this is the flow of users. The client id must be the application's",
            AzureCli,
            vec![format!("az ad app show --id {id} --query appId")],
        ),
        53_003 | 530_035 => (
            "Conditional Access or security defaults blocked the application: exclude it, or allow this network",
            EntraPortal,
            vec![
                "Protection > Conditional Access > Policies > those for workload identities".into(),
            ],
        ),
        50_105 => (
            "the application requires an assignment that it does not have",
            AzureCli,
            vec![format!(
                "az ad sp update --id {id} --set appRoleAssignmentRequired=false"
            )],
        ),
        900_144 | 9_002_313 => (
            "Entra misses a part of the request or cannot read it: tenant, client id and secret must be whole and unquoted, \
             and no proxy may change them",
            Configuration,
            vec![
                "tenant = ...".into(),
                "client_id = ...".into(),
                "client_secret = ...".into(),
            ],
        ),
        50_196 | 90_055 => (
            "too many requests: keep tokens between runs, and wait some minutes",
            Configuration,
            vec!["token_cache = /var/cache/exosend/tokens".into()],
        ),
        90_033 | 90_024 | 50_033 | 90_006 => (
            "Entra is in trouble for the moment: wait some minutes, nothing here is to be changed",
            Shell,
            vec!["exosend doctor".into()],
        ),
        _ => return None,
    };
    Some((text.to_owned(), place, commands))
}

fn unknown(code: u64, error: &Error) -> Advice {
    let meaning = match error.hint() {
        Some(hint) => format!("Entra does not issue a token: {}.", meaning_of(hint)),
        None => {
            "Entra does not issue a token. This code is not among those met in this job.".into()
        }
    };
    Advice::new(meaning).cause(
        "Microsoft's page about the code",
        Place::EntraPortal,
        [format!(
            "https://login.microsoftonline.com/error?code={code}"
        )],
    )
}

fn network(error: &Error, account: &Account) -> Option<Advice> {
    let endpoint = account.application().endpoint;
    let (meaning, text) = match error.kind() {
        ErrorKind::Network => (
            "Entra cannot be reached from here.",
            "a firewall, a proxy that is not set in HTTPS_PROXY, or a wrong `authority`",
        ),
        ErrorKind::Tls => (
            "The connection to Entra is not trusted.",
            "something on the way shows its own certificate: a proxy, a virus scanner. Give its root with `ca_file`",
        ),
        ErrorKind::Token => (
            "What answered is not Entra, or Entra is in trouble.",
            "a proxy or a captive portal that wants a login, or a wrong `authority`",
        ),
        _ => return None,
    };
    let command = format!(
        "curl -sS -o /dev/null -w '%{{http_code}}\\n' {}",
        shell(&endpoint)?
    );
    Some(Advice::new(meaning).cause(text, Place::Shell, [command]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_behind_aadsts() {
        assert_eq!(
            aadsts("token c: invalid_client: AADSTS7000215: Invalid"),
            Some(7_000_215)
        );
        assert_eq!(aadsts("AADSTS53003"), Some(53_003));
        assert_eq!(aadsts("AADSTS: x"), None);
        assert_eq!(aadsts("HTTP 500"), None);
    }

    /// Every code of facts.md, "AADSTS codes".
    #[test]
    fn every_known_code_has_its_step() {
        let account = Account::new("a@b.c").client_id("id;rm -rf");
        for code in [
            7_000_215, 7_000_222, 7_000_218, 700_016, 7_000_229, 7_000_112, 700_025, 90_002,
            90_038, 900_432, 900_382, 70_011, 1_002_012, 700_022, 500_011, 65_001, 650_057,
            700_027, 700_030, 700_024, 70_021, 700_211, 700_213, 50_034, 53_003, 530_035, 50_105,
            900_144, 9_002_313, 50_196, 90_055, 90_033, 90_024, 50_033, 90_006,
        ] {
            let (text, _, commands) = steps(code, &account).unwrap();
            assert!(!text.is_empty() && !commands.is_empty(), "{code}");
            let unquoted = commands
                .iter()
                .any(|c| c.contains("id;rm") && !c.contains("'id;rm -rf'"));
            assert!(!unquoted, "{commands:?}");
        }
        assert!(steps(1, &account).is_none());
    }
}
