//! What can be seen without a network.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use crate::account::Account;
use crate::advice::doctor::check::{Advice, Cause, Checks, Place};
use crate::advice::doctor::context::{Context, REGISTER, SECRET};
use crate::advice::powershell::quote::shell;
use crate::date::days;
use crate::error::Error;
use crate::message::address;
use crate::stage::Stage;
use crate::token::certificate::NEAR;

const NAME: &str = "configuration";

/// What is certainly wrong fails; what is often wrong gets a remark. Returns whether nothing is certainly wrong.
pub(super) fn check(checks: &mut Checks, context: &Context<'_>) -> bool {
    let account = context.account;
    if let Err(error) = account.check() {
        let meaning = "The account cannot be used as it is configured: nothing was sent anywhere for what depends on it.";
        let keys = error.field().unwrap_or_default().split(", ");
        let settings: Vec<String> = keys.map(|key| format!("{key} = ...")).collect();
        let cause = Cause::new(error.to_string(), Place::Configuration, settings);
        let advice = Advice::new(meaning, vec![cause]);
        checks.fail(NAME, error, Some(advice));
        return false;
    }
    let credential = account.credential.as_ref().map_or("none", |c| c.key());
    let tenant = match account.tenant.as_str() {
        "" => String::new(),
        tenant => format!(", tenant {tenant}"),
    };
    let mailbox = account.mailbox();
    let (login, unused) = login(account).unwrap_or_default();
    let detail = format!("{mailbox}{tenant}, by {credential}{login}");
    let remarks = remarks(context, unused);
    let meaning = "Nothing here keeps a message from being sent by itself.";
    let advice = (!remarks.is_empty()).then(|| Advice::new(meaning, remarks));
    checks.remark(NAME, detail, advice);
    true
}

/// Who logged in, how long ago, and when that was renewed; and for how many days it was not.
fn login(account: &Account) -> Option<(String, u64)> {
    #[cfg(feature = "login")]
    if let Some(kept) = account.users_login()?.read().ok()? {
        let days = |time: SystemTime| days(time.elapsed().unwrap_or_default());
        let ago = |days| match days {
            0 => "today".to_owned(),
            days => format!("{days} days ago"),
        };
        let renewed = days(kept.last_renewed());
        let (user, since) = (kept.user(), ago(days(kept.since())));
        let said = format!(": {user} logged in {since}, renewed {}", ago(renewed));
        return Some((said, renewed));
    }
    let _ = account;
    None
}

/// What is allowed, and most often a mistake. `unused`: for how many days a login was not renewed.
fn remarks(context: &Context<'_>, unused: u64) -> Vec<Cause> {
    let account = context.account;
    let mut remarks = Vec::new();
    let tenant = account.tenant.as_str();
    if !tenant.is_empty() && !is_guid(tenant) && !tenant.contains('.') {
        let text = format!("tenant is neither a GUID nor a domain: {tenant}");
        let setting = "tenant = contoso.onmicrosoft.com";
        remarks.push(context.cause(text, Place::Configuration, &[setting]));
    }
    if secret_is_guid(account) {
        remarks.push(context.cause(SECRET_ID, Place::Configuration, &[SECRET]));
    }
    if let Ok(Some(end)) = account.certificate_expires() {
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        if left < NEAR {
            let days = days(left);
            let text =
                format!("the client certificate ends in {days} days: register a new one beside it");
            remarks.push(context.cause(text, Place::AzureCli, &[REGISTER]));
        }
    }
    if unused > 14 {
        let text = format!(
            "the login was not renewed for {unused} days, and ends after 90: each use renews it"
        );
        let command = "exosend token >/dev/null    # in a crontab, weekly";
        remarks.push(context.cause(text, Place::Shell, &[command]));
    }
    let file = account.credential.as_ref().and_then(|c| c.file());
    if let Some((path, mode)) = file.and_then(readable_by_all) {
        let path = shell(&path.display().to_string()).unwrap_or_default();
        let text = format!("everybody on this machine can read {path} (mode {mode:04o})");
        remarks.push(Cause::new(
            text,
            Place::Shell,
            [format!("chmod o-rwx {path}")],
        ));
    }
    remarks
}

pub(super) const SECRET_ID: &str = "the client secret has the form of a GUID: that is most often the Secret ID, take the Value instead";

/// Entra's secrets are no GUIDs, their ids are (facts.md, "AADSTS codes").
pub(super) fn secret_is_guid(account: &Account) -> bool {
    let secret = account.credential.as_ref().and_then(|c| c.secret());
    secret.is_some_and(|secret| is_guid(secret.expose()))
}

fn readable_by_all(path: &Path) -> Option<(&Path, u32)> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    (mode & 0o004 != 0).then_some((path, mode))
}

pub(super) fn is_guid(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let lengths = parts.iter().map(|part| part.len());
    lengths.eq([8, 4, 4, 4, 12])
        && parts
            .iter()
            .all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The address to ask for, without a display name.
pub(super) fn recipient(text: &str) -> Result<String, Error> {
    let wrong = |what: String| Error::input(Stage::Message, "to", what);
    address::checked_spec(text.trim()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_told_from_other_texts() {
        assert!(is_guid("6731de76-14a6-49ae-97bc-6eba6914391e"));
        assert!(is_guid("6731DE76-14A6-49AE-97BC-6EBA6914391E"));
        for no in [
            "",
            "6731de76",
            "contoso.com",
            "6731de76-14a6-49ae-97bc-6eba6914391",
            "g731de76-14a6-49ae-97bc-6eba6914391e",
        ] {
            assert!(!is_guid(no), "{no}");
        }
    }
}
