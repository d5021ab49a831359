//! What a failure means for this account: the words are the hint's, the commands that mend it are here, and only here.

mod login;

use crate::advice::doctor::check::{Advice, Cause, Place};
use crate::advice::doctor::context::{
    AGAIN, Context, MAILBOX, OPENSSL, SCOPE, SECRET, SERVER, SHOW_MAILBOX, SHOW_SMTP_AUTH, TRY,
};
use crate::advice::doctor::{clock, configuration};
use crate::advice::explain::page_of_code;
use crate::error::Error;
use crate::hint::table::{self, Condition};
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};

/// What a failure means and what to do, where that is known.
pub(super) fn of(error: &Error, context: &Context<'_>) -> Option<Advice> {
    let condition = error.condition();
    if context.clock_is_wrong && is_of_clock(error) {
        return Some(clock::advice());
    }
    let refused = matches!(condition, None | Some(Condition::LoginRefused));
    let mut advice = match (error.stage(), error.reply().map(Reply::code)) {
        (Stage::Token, _) => no_token(error, context)?,
        (Stage::Auth, Some(535)) if refused => login::refused(context),
        (stage, code) => match condition {
            Some(condition) => known(condition, context),
            None if stage == Stage::StartTls => not_encrypted(context),
            None if code.is_none() || stage == Stage::Greeting => no_submission(error, context),
            None => return None,
        },
    };
    let exchange = |cause: &&mut Cause| cause.place == Place::ExchangePowerShell;
    if let Some(first) = advice.causes.iter_mut().find(exchange) {
        let connect = context.cause("", Place::ExchangePowerShell, &["Connect-ExchangeOnline"]);
        first.commands.splice(0..0, connect.commands);
    }
    Some(advice)
}

/// The hint, with the commands for this account.
fn known(condition: Condition, context: &Context<'_>) -> Advice {
    let (meaning, act) = table::parts(condition);
    let (place, commands) = commands(condition);
    context.advice(format!("{meaning}."), act, place, commands)
}

/// Entra said no, or something else answered, or nothing.
fn no_token(error: &Error, context: &Context<'_>) -> Option<Advice> {
    let (meaning, text) = match (error.kind(), error.condition(), error.codes().first()) {
        (ErrorKind::Network, ..) => (
            "Entra cannot be reached from here.",
            "a firewall, a proxy that is not set in HTTPS_PROXY, or a wrong `authority`",
        ),
        (ErrorKind::Tls, ..) => (
            "The connection to Entra is not trusted.",
            "something on the way shows its own certificate: a proxy, a virus scanner. Give its root with `ca_file`",
        ),
        (_, Some(condition), _) => {
            let mut advice = known(condition, context);
            if condition == Condition::SecretWrong && configuration::secret_is_guid(context.account)
            {
                let id = configuration::SECRET_ID;
                let cause = context.cause(id, Place::Configuration, &[SECRET]);
                advice.causes.insert(0, cause);
            }
            return Some(advice);
        }
        (_, None, Some(&code)) => {
            let meaning =
                "Entra does not issue a token. This code is not among those met in this job.";
            let text = "Microsoft's page about the code";
            return Some(context.advice(meaning, text, Place::EntraPortal, &[&page_of_code(code)]));
        }
        (ErrorKind::Token, None, None) => (
            "What answered is not Entra, or Entra is in trouble.",
            "a proxy or a captive portal that wants a login, or a wrong `authority`",
        ),
        _ => return None,
    };
    let curl = "curl -sS -o /dev/null -w '%{http_code}\\n' {endpoint}";
    Some(context.advice(meaning, text, Place::Shell, &[curl]))
}

fn no_submission(error: &Error, context: &Context<'_>) -> Advice {
    let meaning = match error.reply().map(Reply::is_transient) {
        Some(true) => {
            "The server does not want this client for now: wait some minutes and look again."
        }
        Some(false) => {
            "The server does not want this client: its address may be blocked, or this is no submission server."
        }
        None => {
            "What answers there is not the mail server that was meant, or something on the way cuts the connection."
        }
    };
    let text = "check the server and its port, 587";
    context.advice(meaning, text, Place::Configuration, &[SERVER])
}

fn not_encrypted(context: &Context<'_>) -> Advice {
    let meaning = "The connection cannot be encrypted, and exosend sends nothing in the clear. Something on the way may take \
                   STARTTLS out of what the server offers (a firewall's mail inspection), or this is another server.";
    let text = "look at what is offered there";
    context.advice(meaning, text, Place::Shell, &[OPENSSL])
}

/// What a wrong clock explains.
fn is_of_clock(error: &Error) -> bool {
    use Condition::{AssertionTime, CertificateTime, CertificateUnknown};
    let of_clock = [AssertionTime, CertificateTime, CertificateUnknown];
    error.kind() == ErrorKind::Tls || error.condition().is_some_and(|c| of_clock.contains(&c))
}

/// Where to do what, in place of a hint's `<...>`.
fn commands(condition: Condition) -> (Place, &'static [&'static str]) {
    use Condition::*;
    use Place::{AzureCli, Configuration, EntraPortal, ExchangePowerShell, Shell};
    match condition {
        SecretWrong | SecretExpired => (
            AzureCli,
            &["az ad app credential reset --id {shell_client} --append"],
        ),
        NoCredential => (Configuration, &[SECRET]),
        ApplicationUnknown => (
            AzureCli,
            &[
                "az ad app show --id {shell_client} --query displayName",
                "az account show --query tenantId",
            ],
        ),
        NoServicePrincipal => (AzureCli, &["az ad sp create --id {shell_client}"]),
        ApplicationDisabled => (
            AzureCli,
            &["az ad sp update --id {shell_client} --set accountEnabled=true"],
        ),
        PublicClient => (
            AzureCli,
            &["az ad app update --id {shell_client} --is-fallback-public-client false"],
        ),
        TenantUnknown | AssertionAudience => (AzureCli, &["az account show --query tenantId"]),
        OtherCloud => (
            Configuration,
            &["# or dod, china, worldwide", "cloud = gcc-high"],
        ),
        ScopeWrong | ResourceUnknown => (Configuration, &[SCOPE]),
        NoConsent => (
            AzureCli,
            &["az ad app permission admin-consent --id {shell_client}"],
        ),
        CertificateUnknown => (
            AzureCli,
            &["az ad app credential reset --id {shell_client} --cert @certificate.pem --append"],
        ),
        AssertionTime => (Shell, &["date -u", "timedatectl set-ntp true"]),
        AssertionApplication | UserExpected => (
            AzureCli,
            &["az ad app show --id {shell_client} --query appId"],
        ),
        NoFederatedCredential => (
            AzureCli,
            &["az ad app federated-credential list --id {shell_client}"],
        ),
        AccessBlocked => (
            EntraPortal,
            &["Protection > Conditional Access > Policies > those for workload identities"],
        ),
        NotAssigned => (
            AzureCli,
            &["az ad sp update --id {shell_client} --set appRoleAssignmentRequired=false"],
        ),
        RequestMalformed => (Configuration, &["tenant = ...", "client_id = ...", SECRET]),
        TooManyTokens => (Configuration, &["token_cache = /var/cache/exosend/tokens"]),
        SmtpAuthOff => (ExchangePowerShell, &[SHOW_SMTP_AUTH, "Set-CASMailbox"]),
        LoginPolicy | PasswordLogin => (
            ExchangePowerShell,
            &[
                SHOW_SMTP_AUTH,
                "Set-CASMailbox",
                "Get-AuthenticationPolicy | Format-List Name,AllowBasicAuthSmtp",
            ],
        ),
        LoginRefused => (ExchangePowerShell, &["Test-ServicePrincipalAuthorization"]),
        AuthBeforeTls | NotLoggedIn | ImplicitTls => (Configuration, &[SERVER]),
        TokenAtItsEnd => (Shell, &["date -u"]),
        HighVolumePermission => (
            EntraPortal,
            &[
                "App registrations > this application > API permissions > Office 365 Exchange Online > Application \
                 permissions > Mail.Send; then Grant admin consent",
            ],
        ),
        // Object IDs, in spite of the parameter's name.
        HighVolumeAccount => (
            ExchangePowerShell,
            &["Add-HVEAppAccess -Identity {mailbox} -AppIds {object}"],
        ),
        HighVolumeLogin | BadAddress | SendAsDenied => (Configuration, &[MAILBOX]),
        RecipientUnknown => (Shell, &["exosend doctor --to ADDRESS"]),
        TooManyRecipients => (
            ExchangePowerShell,
            &["Set-Mailbox -Identity {mailbox} -RecipientLimits 1000"],
        ),
        RepeatedFailure => (ExchangePowerShell, &[SHOW_MAILBOX]),
        NoMailboxAccess => (
            ExchangePowerShell,
            &[
                "Get-ServicePrincipal -Identity {client}",
                "Add-MailboxPermission",
            ],
        ),
        SenderRestricted => (
            EntraPortal,
            &["https://security.microsoft.com/restrictedentities > the mailbox > Unblock"],
        ),
        TenantRefused => (
            EntraPortal,
            &["https://admin.microsoft.com > Support > New service request"],
        ),
        TooLarge => (
            ExchangePowerShell,
            &["Set-Mailbox -Identity {mailbox} -MaxSendSize 150MB"],
        ),
        MailboxFull => (
            ExchangePowerShell,
            &["Set-Mailbox -Identity {mailbox} -MessageCopyForSMTPClientSubmissionEnabled $false"],
        ),
        EntraBusy | ExchangeBusy | TooManyConnections | TooFast | Idle | DailyQuota => {
            (Shell, &[AGAIN])
        }
        Unanswered | NobodyListens | Unreachable => (Shell, &[TRY]),
        NameUnknown | NoNameServer => (Shell, &["getent ahosts {host}"]),
        NoCommonTls | CertificateTime | UnknownIssuer | OtherName => (Shell, &[OPENSSL]),
        AssertionMalformed | NotOnAzure | TextTooLong | InDoubt => (Shell, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;

    /// Every row, for an account whose values would act where they are not quoted.
    #[test]
    fn every_command_is_filled_in_and_quoted() {
        let account = Account::new("o'brien@b.c")
            .client_id("id;rm -rf")
            .server("a;b", 587);
        let context = Context {
            account: &account,
            claims: None,
            clock_is_wrong: false,
        };
        for &(condition, _) in table::ALL {
            let advice = known(condition, &context);
            let commands = advice.causes().iter().flat_map(Cause::commands);
            let commands: Vec<_> = commands.collect();
            assert_eq!(commands.len(), super::commands(condition).1.len());
            for command in commands {
                assert!(!command.contains(['{', '}']), "{command}");
                let quoted = |bare: &str, quoted: &str| {
                    command.matches(bare).count() == command.matches(quoted).count()
                };
                assert!(quoted("id;rm -rf", "'id;rm -rf'"), "{command}");
                assert!(quoted("a;b", "'a;b'"), "{command}");
                let of_exchange = command.contains("-Identity");
                assert!(!of_exchange || !command.contains("o'b"), "{command}");
            }
        }
    }
}
