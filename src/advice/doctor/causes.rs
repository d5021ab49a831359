//! What a failure means for this account: the words are the hint's, the commands that mend it are here, and only here.

mod login;

use crate::account::Account;
use crate::advice::doctor::check::{Advice, Cause, Place};
use crate::advice::doctor::{clock, configuration};
use crate::advice::explain::page_of_code;
use crate::advice::powershell::Lines;
use crate::advice::powershell::quote::shell;
use crate::error::Error;
use crate::hint::table::{self, Condition};
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};
use crate::token::claims::Claims;

/// What is known when something fails.
pub(super) struct Context<'a> {
    pub(super) account: &'a Account,
    pub(super) claims: Option<&'a Claims>,
    pub(super) clock_is_wrong: bool,
}

impl Context<'_> {
    /// What a failure means and what to do, where that is known.
    pub(super) fn advice(&self, error: &Error) -> Option<Advice> {
        let condition = error.condition();
        if self.clock_is_wrong && is_of_clock(error) {
            return Some(clock::advice());
        }
        let refused = matches!(condition, None | Some(Condition::LoginRefused));
        let mut advice = match (error.stage(), error.reply().map(Reply::code)) {
            (Stage::Token, _) => self.no_token(error)?,
            (Stage::Auth, Some(535)) if refused => login::refused(self),
            (stage, code) => match condition {
                Some(condition) => self.known(condition),
                None if stage == Stage::StartTls => self.not_encrypted(),
                None if code.is_none() || stage == Stage::Greeting => self.no_submission(error),
                None => return None,
            },
        };
        let exchange = |cause: &&mut Cause| cause.place == Place::ExchangePowerShell;
        if let Some(first) = advice.causes.iter_mut().find(exchange) {
            let connect = self.fill(Place::ExchangePowerShell, "Connect-ExchangeOnline");
            first.commands.splice(0..0, connect);
        }
        Some(advice)
    }

    /// The hint, with the commands for this account.
    fn known(&self, condition: Condition) -> Advice {
        let (meaning, act) = table::parts(condition);
        let (place, commands) = commands(condition);
        Advice::new(format!("{meaning}.")).cause(act, place, self.filled(place, commands))
    }

    fn cause(&self, text: impl Into<String>, place: Place, commands: &[&str]) -> Cause {
        Cause::new(text, place, self.filled(place, commands))
    }

    fn filled(&self, place: Place, commands: &[&str]) -> Vec<String> {
        let filled = commands.iter().filter_map(|text| self.fill(place, text));
        filled.collect()
    }

    /// A command or a setting with this account's values. `None` where one of them cannot be quoted.
    fn fill(&self, place: Place, text: &str) -> Option<String> {
        let account = self.account;
        let port = account.port().to_string();
        let cloud = account.which_cloud();
        match place {
            Place::ExchangePowerShell | Place::AzureCli => {
                let object = self.claims.map(|claims| claims.oid.as_str());
                let object = object.filter(|oid| !oid.is_empty());
                Some(Lines::new(account, object).ok()?.command(text))
            }
            Place::Shell => Some(
                text.replace("{host}", &shell(account.host())?)
                    .replace("{port}", &port)
                    .replace("{endpoint}", &shell(&account.token_endpoint())?),
            ),
            Place::Configuration | Place::EntraPortal => Some(
                text.replace("{scope}", cloud.scope())
                    .replace("{server}", cloud.host())
                    .replace("{mailbox}", account.mailbox()),
            ),
        }
    }

    /// Entra said no, or something else answered, or nothing.
    fn no_token(&self, error: &Error) -> Option<Advice> {
        let curl = "curl -sS -o /dev/null -w '%{http_code}\\n' {endpoint}";
        let (meaning, text) = match (error.kind(), error.condition(), error.codes().first()) {
            (ErrorKind::Network | ErrorKind::Tls, ..) => match error.kind() {
                ErrorKind::Network => (
                    "Entra cannot be reached from here.",
                    "a firewall, a proxy that is not set in HTTPS_PROXY, or a wrong `authority`",
                ),
                _ => (
                    "The connection to Entra is not trusted.",
                    "something on the way shows its own certificate: a proxy, a virus scanner. Give its root with \
                     `ca_file`",
                ),
            },
            (_, Some(condition), _) => {
                let mut advice = self.known(condition);
                if condition == Condition::SecretWrong
                    && configuration::secret_is_guid(self.account)
                {
                    let id = configuration::secret_id();
                    let setting = ["client_secret = ..."];
                    let cause = self.cause(id, Place::Configuration, &setting);
                    advice.causes.insert(0, cause);
                }
                return Some(advice);
            }
            (_, None, Some(&code)) => {
                let meaning =
                    "Entra does not issue a token. This code is not among those met in this job.";
                let page = page_of_code(code);
                let text = "Microsoft's page about the code";
                return Some(Advice::new(meaning).cause(text, Place::EntraPortal, [page]));
            }
            (ErrorKind::Token, None, None) => (
                "What answered is not Entra, or Entra is in trouble.",
                "a proxy or a captive portal that wants a login, or a wrong `authority`",
            ),
            _ => return None,
        };
        Some(Advice::new(meaning).cause(text, Place::Shell, self.fill(Place::Shell, curl)))
    }

    fn no_submission(&self, error: &Error) -> Advice {
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
        Advice::new(meaning).cause(
            "check the server and its port, 587",
            Place::Configuration,
            self.fill(Place::Configuration, SERVER),
        )
    }

    fn not_encrypted(&self) -> Advice {
        let meaning = "The connection cannot be encrypted, and exosend sends nothing in the clear. Something on the way \
                       may take STARTTLS out of what the server offers (a firewall's mail inspection), or this is another \
                       server.";
        Advice::new(meaning).cause(
            "look at what is offered there",
            Place::Shell,
            self.fill(Place::Shell, OPENSSL),
        )
    }
}

/// What a wrong clock explains.
fn is_of_clock(error: &Error) -> bool {
    use Condition::{AssertionTime, CertificateTime, CertificateUnknown};
    let of_clock = [AssertionTime, CertificateTime, CertificateUnknown];
    error.kind() == ErrorKind::Tls || error.condition().is_some_and(|c| of_clock.contains(&c))
}

const SERVER: &str = "server = {server}:587";
const SCOPE: &str = "scope = {scope}";
const MAILBOX: &str = "mailbox = {mailbox}";
const SECRET: &str = "client_secret = ...";
const OPENSSL: &str = "openssl s_client -starttls smtp -connect {host}:{port} -showcerts";
const TRY: &str = "timeout 10 bash -c 'head -1 </dev/tcp/$0/$1' {host} {port}";
const AGAIN: &str = "exosend doctor";
const SHOW_MAILBOX: &str =
    "Get-Mailbox -Identity {mailbox} | Format-List UserPrincipalName,PrimarySmtpAddress";
const SHOW_SMTP_AUTH: &str =
    "Get-CASMailbox -Identity {mailbox} | Format-List SmtpClientAuthenticationDisabled";

/// Where to do what, in place of a hint's `<...>`. Names in braces are filled in.
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
        NameUnknown => (Shell, &["getent ahosts {host}"]),
        NoCommonTls | CertificateTime | UnknownIssuer | OtherName => (Shell, &[OPENSSL]),
        AssertionMalformed | NotOnAzure | TextTooLong | InDoubt => (Shell, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let advice = context.known(condition);
            let commands = advice.causes().iter().flat_map(Cause::commands);
            let commands: Vec<_> = commands.collect();
            assert_eq!(commands.len(), super::commands(condition).1.len());
            for command in commands {
                assert!(!command.contains(['{', '}', '<']), "{command}");
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
