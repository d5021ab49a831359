//! Suspects and errors in words, with the commands for this account.

use crate::account::Account;
use crate::advice::doctor::advice::{Advice, Cause, Place};
use crate::advice::doctor::network;
use crate::advice::doctor::verdict::{self, Bearer, Refusal, Suspect};
use crate::advice::powershell::Lines;
use crate::advice::powershell::quote::shell;
use crate::error::Error;
use crate::stage::Stage;
use crate::token::claims::Claims;

/// Whose trouble it is: the account, and what its token says.
pub(super) struct Patient<'a> {
    pub(super) account: &'a Account,
    pub(super) claims: Option<&'a Claims>,
    pub(super) bearer: Option<Bearer>,
}

/// For a login, a sender or a recipient that the server refused.
pub(super) fn refused(error: &Error, patient: &Patient<'_>) -> Option<Advice> {
    let Some(reply) = error.reply() else {
        return general(error).or_else(|| Some(network::no_submission(error, patient.account)));
    };
    let refusal = verdict::refusal(error.stage(), reply);
    if refusal == Refusal::Unknown {
        return general(error);
    }
    let suspects = match error.stage() {
        Stage::Auth => verdict::login(patient.bearer, refusal, patient.account.cloud),
        _ => vec![Suspect::As(refusal)],
    };
    let object = patient
        .claims
        .map(|claims| claims.oid.as_str())
        .filter(|oid| !oid.is_empty());
    // An account that was checked has no character that cannot be quoted.
    let lines = Lines::new(patient.account, object).ok()?;
    let several = suspects.len() > 1;
    let meaning = match refusal {
        Refusal::Unsuccessful if several => unsuccessful(patient.bearer),
        Refusal::Unsuccessful => {
            "Entra issued the token, and Exchange refuses it; the token itself says why.".into()
        }
        Refusal::SwitchedOff => {
            "The token is not looked at: SMTP AUTH is switched off, for OAuth too.".into()
        }
        _ => String::new(),
    };
    let mut causes: Vec<Cause> = suspects
        .iter()
        .map(|suspect| cause(*suspect, patient, &lines))
        .collect();
    let exchange = causes
        .iter_mut()
        .find(|cause| cause.place == Place::ExchangePowerShell);
    if let Some(first) = exchange {
        first
            .commands
            .insert(0, lines.command("Connect-ExchangeOnline"));
    }
    Some(Advice { meaning, causes })
}

fn unsuccessful(bearer: Option<Bearer>) -> String {
    use verdict::Holder;
    let known = match bearer.map(|bearer| bearer.holder) {
        Some(Holder::SendAsApp) => {
            "The token is for Exchange and has the role SMTP.SendAsApp, so the permission and its consent are in order."
        }
        Some(_) => {
            "The token is for Exchange and has no role SMTP.SendAsApp, which is right with App RBAC, and with the \
             classic permission is not."
        }
        None => "The token is not readable, so less can be ruled out.",
    };
    format!(
        "Entra issued the token, and Exchange does not let this application into this mailbox. {known} Exchange says no \
         more; look at these in turn:"
    )
}

fn cause(suspect: Suspect, patient: &Patient<'_>, lines: &Lines) -> Cause {
    use Place::{Configuration, EntraPortal, ExchangePowerShell, Shell};
    let empty = Claims::default();
    let claims = patient.claims.unwrap_or(&empty);
    let account = patient.account;
    let (text, place, commands): (String, Place, Vec<String>) = match suspect {
        Suspect::Expired => (
            "the token has expired: it was not fetched afresh, or this machine's clock is wrong".into(),
            Shell,
            vec!["date -u".into()],
        ),
        Suspect::Foreign => (
            format!(
                "the token is of tenant {} and application {}, which are not the configured ones",
                claims.tid, claims.appid
            ),
            Configuration,
            vec![format!("tenant = {}", claims.tid), format!("client_id = {}", claims.appid)],
        ),
        Suspect::ForGraph => (
            format!(
                "the token is for Microsoft Graph ({}), and Exchange takes none but its own: the scope is wrong. \
                 Graph's Mail.Send does not help here either",
                claims.aud
            ),
            Configuration,
            vec![scope(account)],
        ),
        Suspect::ForSomethingElse => (
            format!("the token is for {}, not for Exchange: the scope is wrong", shown(&claims.aud)),
            Configuration,
            vec![scope(account)],
        ),
        Suspect::Delegated => (
            format!(
                "the token is a user's (scp: {}), not the application's: get it with the client's own credential, \
                 grant_type=client_credentials",
                claims.scp
            ),
            Configuration,
            vec!["client_secret = ...".into()],
        ),
        Suspect::Opaque => (
            "the token is for another service, for instance Microsoft Graph: check the scope".into(),
            Configuration,
            vec![scope(account)],
        ),
        Suspect::ClassicPermission => (
            "if the application is to have the classic permission: SMTP.SendAsApp of Office 365 Exchange Online (not of \
             Microsoft Graph) or its admin consent is missing. With App RBAC leave it out"
                .into(),
            EntraPortal,
            vec![
                "App registrations > this application > API permissions > Add a permission > APIs my organization uses > \
                 Office 365 Exchange Online > Application permissions > SMTP.SendAsApp; then Grant admin consent. The rest: exosend setup --classic"
                    .into(),
            ],
        ),
        Suspect::ServicePrincipal => (
            "Exchange does not know the application, or knows it by the Object ID of the App registration instead of the \
             Enterprise application's. Look first, and remove it only if the ObjectId that is shown is the wrong one"
                .into(),
            ExchangePowerShell,
            vec![
                lines.command("Get-ServicePrincipal -Identity {client}"),
                lines.command("Remove-ServicePrincipal"),
                lines.command("New-ServicePrincipal"),
            ],
        ),
        Suspect::WrongObjectId => (
            format!(
                "Exchange does not know the application, or knows it by the Object ID of the App registration. The right \
                 one is the Enterprise application's, {}. Look first, and remove it only if another is shown",
                shown(&claims.oid)
            ),
            ExchangePowerShell,
            vec![
                lines.command("Get-ServicePrincipal -Identity {client}"),
                lines.command("Remove-ServicePrincipal"),
                lines.command("New-ServicePrincipal"),
                lines.command("Add-MailboxPermission"),
            ],
        ),
        Suspect::Scope => (
            "with App RBAC: the role is not assigned, or the mailbox is outside its scope (InScope must be True)".into(),
            ExchangePowerShell,
            vec![lines.command("Test-ServicePrincipalAuthorization"), lines.command("New-ManagementScope"), lines.command("New-ManagementRoleAssignment")],
        ),
        Suspect::SmtpAuth => (
            "SMTP AUTH is switched off for the mailbox, or for the organization and not switched on for the mailbox".into(),
            ExchangePowerShell,
            vec![lines.command("Get-CASMailbox -Identity {mailbox} | Format-List SmtpClientAuthenticationDisabled"), lines.command("Set-CASMailbox")],
        ),
        Suspect::Propagation => (
            "the change is too new: App RBAC takes up to 2 hours, the classic way from minutes to an hour. Wait, and look \
             again"
                .into(),
            Shell,
            vec!["exosend doctor".into()],
        ),
        Suspect::Mailbox => (
            "there is no such mailbox, or by another name".into(),
            ExchangePowerShell,
            vec![lines.command("Get-Mailbox -Identity {mailbox} | Format-List UserPrincipalName,PrimarySmtpAddress")],
        ),
        Suspect::As(refusal) => other(refusal, lines, account),
    };
    Cause::new(text, place, commands)
}

/// Replies that mean one thing.
fn other(refusal: Refusal, lines: &Lines, account: &Account) -> (String, Place, Vec<String>) {
    use Place::{Configuration, EntraPortal, ExchangePowerShell, Shell};
    let again = || vec!["exosend doctor".to_owned()];
    let (text, place, commands) = match refusal {
        Refusal::Policy => (
            "a policy refused the login before the token was looked at: security defaults, an authentication policy or \
             Conditional Access; or something on the way made a password login of it",
            ExchangePowerShell,
            vec![lines.command("Get-CASMailbox -Identity {mailbox} | Format-List SmtpClientAuthenticationDisabled"), lines.command("Set-CASMailbox"), "Get-AuthenticationPolicy | Format-List Name,AllowBasicAuthSmtp".into()],
        ),
        Refusal::BasicRetired => (
            "the server took this for a login with a password, which Exchange has retired. exosend sends none: look at \
             what stands between it and the server",
            Configuration,
            vec![server(account)],
        ),
        Refusal::NotLoggedIn => (
            "the server does not count this connection as logged in: it is not the one that took the login, or no \
             submission server",
            Configuration,
            vec![server(account)],
        ),
        Refusal::SendAs => (
            "the mailbox may not send as this address: send as the mailbox itself",
            Configuration,
            vec![format!("mailbox = {}", account.mailbox())],
        ),
        Refusal::BadAddress => (
            "the server does not take the address for one: no display name, no brackets, no spaces",
            Configuration,
            vec![format!("mailbox = {}", account.mailbox())],
        ),
        Refusal::TooManyConnections => (
            "more than 3 connections at once for this mailbox: send one message after another, and look again in a minute",
            Shell,
            again(),
        ),
        Refusal::RateOrIdle => (
            "more than 30 messages a minute from this mailbox, or a connection that was idle for long: wait a minute",
            Shell,
            again(),
        ),
        Refusal::Busy => (
            "the server is busy or slows this client down: wait some minutes. Do not repeat quickly, that makes it longer",
            Shell,
            again(),
        ),
        Refusal::Restricted => (
            "the mailbox is on the list of restricted senders, most often because it sent what looked like spam",
            EntraPortal,
            vec!["https://security.microsoft.com/restrictedentities > the mailbox > Unblock".into()],
        ),
        Refusal::TenantBlocked => (
            "the organization has sent more than it may, or is new or on trial: ask Microsoft's support to lift the limit",
            EntraPortal,
            vec!["https://admin.microsoft.com > Support > New service request".into()],
        ),
        Refusal::MailboxBlocked => (
            "Exchange blocks the mailbox because the same failure was repeated too often: mend the cause, stop repeating, \
             and wait",
            ExchangePowerShell,
            vec![lines.command("Get-Mailbox -Identity {mailbox} | Format-List UserPrincipalName,PrimarySmtpAddress")],
        ),
        Refusal::NoSuchRecipient => (
            "there is no such address at its domain: check its spelling",
            Shell,
            vec!["exosend doctor --to ADDRESS".into()],
        ),
        Refusal::TooLarge => (
            "a message of this size is more than the mailbox may send",
            ExchangePowerShell,
            vec![lines.command("Set-Mailbox -Identity {mailbox} -MaxSendSize 150MB")],
        ),
        Refusal::HighVolumeForm => (
            "High Volume Email does not understand the login: check that `mailbox` is the address of the HVE account",
            Configuration,
            vec![format!("mailbox = {}", account.mailbox())],
        ),
        Refusal::HighVolumeExpiry => (
            "the token has expired, or is about to: High Volume Email wants at least ten minutes left. Take a new one, and check \
             the clock",
            Shell,
            vec!["date -u".into()],
        ),
        Refusal::HighVolumePermission => (
            "the application lacks the permission of High Volume Email, Mail.Send of Office 365 Exchange Online",
            EntraPortal,
            vec![
                "App registrations > this application > API permissions > Office 365 Exchange Online > Application \
                 permissions > Mail.Send; then Grant admin consent"
                    .into(),
            ],
        ),
        Refusal::HighVolumeAccount => (
            "the application is not allowed for this High Volume Email account",
            ExchangePowerShell,
            // Object IDs, in spite of the name.
            vec![lines.command("Add-HVEAppAccess -Identity {mailbox} -AppIds {object}")],
        ),
        Refusal::Unsuccessful | Refusal::SwitchedOff | Refusal::Unknown => ("", Shell, again()),
    };
    (text.to_owned(), place, commands)
}

/// For anything whose meaning the hint tells.
pub(super) fn general(error: &Error) -> Option<Advice> {
    error.hint().map(Advice::new)
}

pub(super) fn scope(account: &Account) -> String {
    format!("scope = {}", account.cloud.scope())
}

fn server(account: &Account) -> String {
    format!("server = {}:587", account.cloud.host())
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "(not said)" } else { text }
}

/// The application's id as a word for a shell.
pub(super) fn client(account: &Account) -> String {
    shell(&account.client_id).unwrap_or_default()
}
