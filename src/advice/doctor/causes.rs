//! What a failure means for this account: the words are the hint's, the commands that mend it are here, and only here.

mod login;

#[cfg(feature = "graph")]
pub(super) use login::is_for_graph;

use crate::account::Account;
use crate::account::cloud::Cloud;
use crate::advice::doctor::check::{Advice, Cause, Checks, Place};
use crate::advice::doctor::context::{
    AGAIN, CURL, Commands, Context, MAILBOX, OPENSSL, REGISTER, SCOPE, SECRET, SERVER,
    SHOW_MAILBOX, SHOW_PRINCIPAL, SHOW_SMTP_AUTH, TRY, az, browse, exchange, run, set,
};
use crate::advice::doctor::{clock, configuration};
use crate::advice::explain::page_of_code;
use crate::error::Error;
use crate::hint::table::{self, Condition};
use crate::reply::Reply;
use crate::stage::{ErrorKind, Stage};

/// A check that failed, and what is known of why.
pub(super) fn fail(checks: &mut Checks, context: &Context<'_>, name: &'static str, error: Error) {
    let advice = of(&error, context);
    checks.fail(name, error, advice);
}

/// What a failure means and what to do, where that is known.
pub(super) fn of(error: &Error, context: &Context<'_>) -> Option<Advice> {
    // The server lets the user in, so the settings of that mailbox count.
    let user = match error.stage() {
        Stage::Auth => context.user(),
        _ => None,
    };
    let context = &Context {
        mailbox: user.as_deref().unwrap_or(context.mailbox),
        ..*context
    };
    let condition = seen(error, context.account);
    if context.clock_is_wrong && is_of_clock(error) {
        return Some(clock::advice());
    }
    let refused = matches!(condition, None | Some(Condition::LoginRefused));
    let mut advice = match (error.stage(), error.reply().map(Reply::code)) {
        (Stage::Token, _) => no_token(error, condition, context)?,
        (Stage::Auth, Some(535)) if refused => login::refused(context),
        (stage, code) => match condition {
            Some(condition) => known(condition, context),
            #[cfg(feature = "graph")]
            None if stage == Stage::Graph => return None,
            None if stage == Stage::StartTls => not_encrypted(context),
            None if code.is_none() || stage == Stage::Greeting => no_submission(error, context),
            None => return None,
        },
    };
    sign_in(&mut advice, context);
    Some(advice)
}

/// Microsoft's own names exist. If one is not found, the name server is wrong, or was not reached.
fn seen(error: &Error, account: &Account) -> Option<Condition> {
    let microsofts = match error.stage() {
        Stage::Token => account.authority.is_none(),
        _ => account.host() == account.cloud.host(),
    };
    match error.condition() {
        Some(Condition::NameUnknown) if microsofts => Some(Condition::NoNameServer),
        condition => condition,
    }
}

/// Adds the sign-in before the first command of each tool.
fn sign_in(advice: &mut Advice, context: &Context<'_>) {
    let mut first = |place, commands: Vec<String>| {
        let of_place = |cause: &&mut Cause| cause.place() == place && cause.has_commands();
        if let Some(cause) = advice.causes.iter_mut().find(of_place) {
            cause.begin_with(commands);
        }
    };
    first(
        Place::ExchangePowerShell,
        context.filled(Place::ExchangePowerShell, &["Connect-ExchangeOnline"]),
    );
    let cloud = match context.account.cloud {
        Cloud::Worldwide => None,
        Cloud::GccHigh | Cloud::Dod => Some("az cloud set --name AzureUSGovernment"),
        Cloud::China => Some("az cloud set --name AzureChinaCloud"),
    };
    // A tenant without an Azure subscription has nothing to choose from.
    let login = "az login --allow-no-subscriptions";
    let commands = cloud.into_iter().chain([login]).map(str::to_owned);
    first(Place::AzureCli, commands.collect());
}

/// The hint, with the commands for this account.
fn known(condition: Condition, context: &Context<'_>) -> Advice {
    let (meaning, act) = table::parts(condition);
    let (place, commands) = commands(condition);
    let cause = context.cause(act, place, commands);
    let mut causes = vec![cause];
    let account = context.account;
    match condition {
        Condition::SecretWrong | Condition::SecretExpired => {
            let key = account
                .credential
                .as_ref()
                .map_or("client_secret", |c| c.key());
            let text = "then configure its value (`password` in the answer), not its id";
            let setting = format!("{key} = ...");
            causes.push(Cause::new(text, Place::Configuration, [setting]));
            if condition == Condition::SecretWrong && configuration::secret_is_guid(account) {
                let id = configuration::SECRET_ID;
                causes.insert(0, context.cause(id, Place::Configuration, &[SECRET]));
            }
        }
        Condition::Unanswered | Condition::NobodyListens
            if ![587, 25].contains(&account.port()) =>
        {
            let text = format!("`server` has port {}; Exchange's is 587", account.port());
            causes.insert(0, context.cause(text, Place::Configuration, &[SERVER]));
        }
        _ => {}
    }
    Advice::new(format!("{meaning}."), causes)
}

/// Entra said no, or something else answered, or nothing.
fn no_token(error: &Error, condition: Option<Condition>, context: &Context<'_>) -> Option<Advice> {
    match (error.kind(), condition, error.codes().first()) {
        (ErrorKind::Tls, ..) => {
            let meaning = "The connection to Entra is not trusted.";
            let text = "something on the way shows its own certificate: a proxy, a virus scanner. Give its root with `ca_file`";
            Some(context.advice(meaning, text, Place::Shell, &[CURL]))
        }
        (_, Some(Condition::NameUnknown), _) => {
            let (meaning, act) = table::parts(Condition::NameUnknown);
            Some(context.advice(format!("{meaning}."), act, Place::Shell, &[CURL]))
        }
        (_, Some(condition), _) => Some(known(condition, context)),
        (_, None, Some(&code)) => {
            let meaning = "Entra does not issue a token, and exosend does not know this code.";
            let text = "Microsoft's page about the code";
            Some(context.advice(meaning, text, Place::Portal, &[&page_of_code(code)]))
        }
        (ErrorKind::Token, None, None) => Some(known(Condition::NotEntra, context)),
        _ => None,
    }
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

/// The commands that the hint's words are about, and where to run them.
fn commands(condition: Condition) -> Commands {
    use Condition::*;
    match condition {
        SecretWrong | SecretExpired => {
            az(&["az ad app credential reset --id {shell_client} --append"])
        }
        NoCredential => set(&[SECRET]),
        ApplicationUnknown => az(&[
            "az ad app show --id {shell_client} --query displayName",
            "az account show --query tenantId",
        ]),
        NoServicePrincipal => az(&["az ad sp create --id {shell_client}"]),
        ApplicationDisabled => {
            az(&["az ad sp update --id {shell_client} --set accountEnabled=true"])
        }
        PublicClient => {
            az(&["az ad app update --id {shell_client} --is-fallback-public-client false"])
        }
        TenantUnknown | AssertionAudience => az(&["az account show --query tenantId"]),
        OtherCloud => set(&["# gcc-high, dod, china or worldwide:", "cloud = ..."]),
        ScopeWrong | ResourceUnknown => set(&[SCOPE]),
        NoConsent | LoginConsent => az(&[
            "az ad app permission list --id {shell_client}",
            "az ad app permission admin-consent --id {shell_client}",
        ]),
        CertificateUnknown => az(&[REGISTER]),
        CertificateName => browse(&[
            "https://entra.microsoft.com > Entra ID > App registrations > Certificates & secrets",
        ]),
        AssertionTime => run(&["date -u", "timedatectl set-ntp true"]),
        AssertionApplication | UserExpected => {
            az(&["az ad app show --id {shell_client} --query appId"])
        }
        NoFederatedCredential => az(&["az ad app federated-credential list --id {shell_client}"]),
        AccessBlocked => browse(&[
            "https://entra.microsoft.com > Entra ID > Conditional Access > Policies > those for workload identities",
        ]),
        // The service principal of Exchange Online: its property, not the application's, demands the assignment.
        NotAssigned => az(&[
            "az ad sp show --id 00000002-0000-0ff1-ce00-000000000000 --query appRoleAssignmentRequired",
            "az ad sp update --id 00000002-0000-0ff1-ce00-000000000000 --set appRoleAssignmentRequired=false",
        ]),
        RequestMalformed => set(&["tenant = ...", "client_id = ...", SECRET]),
        TooManyTokens => set(&["token_cache = ..."]),
        SmtpAuthOff => exchange(&[SHOW_SMTP_AUTH, "Set-CASMailbox"]),
        LoginPolicy | PasswordLogin => exchange(&[
            SHOW_SMTP_AUTH,
            "Set-CASMailbox",
            "Get-AuthenticationPolicy | Format-List Name,AllowBasicAuthSmtp",
        ]),
        LoginDeferred | RepeatedFailure => exchange(&[SHOW_MAILBOX]),
        LoginRefused => exchange(&["Test-ServicePrincipalAuthorization"]),
        AuthBeforeTls | NotLoggedIn | ImplicitTls => set(&[SERVER]),
        TokenAtItsEnd => run(&["date -u"]),
        HighVolumePermission => browse(&[
            "https://entra.microsoft.com > Entra ID > App registrations > this application > API permissions > Office \
                 365 Exchange Online > Application permissions > Mail.Send; then Grant admin consent",
        ]),
        // Object IDs, in spite of the parameter's name.
        HighVolumeAccount => exchange(&["Add-HVEAppAccess -Identity {mailbox} -AppIds {object}"]),
        HighVolumeLogin | BadAddress | SendAsDenied => set(&[MAILBOX]),
        RecipientUnknown => run(&["exosend doctor --to ADDRESS"]),
        TooManyRecipients => exchange(&["Set-Mailbox -Identity {mailbox} -RecipientLimits 1000"]),
        NoMailboxAccess => exchange(&[SHOW_PRINCIPAL, "Add-MailboxPermission"]),
        SenderRestricted => {
            browse(&["https://security.microsoft.com/restrictedentities > the mailbox > Unblock"])
        }
        BlockList => browse(&["https://security.microsoft.com/tenantAllowBlockList"]),
        UnregisteredDomain => browse(&["https://admin.microsoft.com > Settings > Domains"]),
        TenantRefused => browse(&["https://admin.microsoft.com > Support > New service request"]),
        TooLarge => exchange(&["Set-Mailbox -Identity {mailbox} -MaxSendSize 150MB"]),
        MailboxFull => exchange(&[
            "Set-Mailbox -Identity {mailbox} -MessageCopyForSMTPClientSubmissionEnabled $false",
        ]),
        #[cfg(feature = "graph")]
        GraphAccess => exchange(&[
            "Test-ServicePrincipalAuthorization",
            "New-ManagementRoleAssignment",
        ]),
        #[cfg(feature = "graph")]
        GraphMailbox => exchange(&[SHOW_MAILBOX]),
        #[cfg(feature = "graph")]
        GraphToken => run(&["date -u"]),
        #[cfg(feature = "graph")]
        GraphTooLarge | GraphThrottled => run(&[]),
        #[cfg(feature = "graph")]
        NotGraph | GraphUnreachable => {
            run(&["curl -sS -o /dev/null -w '%{http_code}\\n' {graph_url}"])
        }
        LoginNotAllowed => {
            az(&["az ad app update --id {shell_client} --is-fallback-public-client true"])
        }
        LoginBlocked => browse(&[
            "https://entra.microsoft.com > Entra ID > Conditional Access > Policies > Conditions > Authentication flows",
        ]),
        LoginElsewhere => set(&["tenant = ..."]),
        LoginPending | LoginCodeUnknown | LoginCodeExpired | LoginDeclined | LoginUnused
        | LoginRevoked | LoginTooOld | LoginEnded => run(&["exosend login"]),
        EntraBusy | ExchangeBusy | TooManyConnections | TooFast | Idle => run(&[AGAIN]),
        NotEntra | EntraUnreachable => run(&[CURL]),
        Unanswered | NobodyListens | Unreachable => run(&[TRY]),
        NameUnknown => run(&["getent ahosts {host}"]),
        NoNameServer => run(&["cat /etc/resolv.conf"]),
        NoCommonTls | CertificateTime | UnknownIssuer | OtherName => run(&[OPENSSL]),
        AssertionMalformed | NotOnAzure | TextTooLong | InDoubt | DailyQuota | SharedDomain
        | HighVolumeExternal => run(&[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(account: &Account, condition: Condition) -> Vec<(String, Vec<String>)> {
        let context = Context::new(account, None);
        let error = Error::new(ErrorKind::Network, Stage::Connect, "x").with_condition(condition);
        let advice = of(&error, &context).unwrap();
        let all = |cause: &Cause| {
            let all = cause.look().chain(cause.commands());
            (cause.text().to_owned(), all.map(str::to_owned).collect())
        };
        advice.causes().iter().map(all).collect()
    }

    #[test]
    fn a_port_that_is_not_exchanges_is_named_first() {
        let of = |port| {
            let account = Account::new("a@b.c").server("relay.b.c", port);
            advice(&account, Condition::NobodyListens)
        };
        let expected = "`server` has port 9; Exchange's is 587".to_owned();
        let setting = vec!["server = smtp.office365.com:587".to_owned()];
        assert_eq!(of(9)[0], (expected, setting));
        assert_eq!(of(587).len(), 1);
        assert_eq!(of(25).len(), 1);
    }

    /// The identity is asked for on the machine itself, so the advice names no firewall and no proxy.
    #[test]
    fn without_an_identity_the_network_is_not_blamed() {
        let account = Account::new("a@b.c").managed_identity();
        let context = Context::new(&account, None);
        let error = Error::new(ErrorKind::Network, Stage::Token, "connection refused");
        let error = error.with_condition(Condition::NotOnAzure);
        let (meaning, _) = table::parts(Condition::NotOnAzure);
        let advice = of(&error, &context).unwrap();
        assert_eq!(advice.meaning(), format!("{meaning}."));
    }

    #[test]
    fn the_default_server_is_not_taken_for_a_misspelling() {
        let of = |account: &Account| advice(account, Condition::NameUnknown).remove(0).1;
        let unasked = ["cat /etc/resolv.conf"];
        assert_eq!(of(&Account::new("a@b.c")), unasked);
        let own = Account::new("a@b.c").server("smtp.offce365.com", 587);
        assert_eq!(of(&own), ["getent ahosts smtp.offce365.com"]);
    }

    #[test]
    fn commands_sign_in_to_the_accounts_cloud() {
        let of = |cloud| {
            let account = Account::new("a@b.c").client_id("c").cloud(cloud);
            let login = advice(&account, Condition::NoServicePrincipal).remove(0).1;
            let exchange = advice(&account, Condition::TooLarge).remove(0).1;
            (login, exchange[0].clone())
        };
        let create = "az ad sp create --id c";
        let login = "az login --allow-no-subscriptions";
        let (az, exchange) = of(Cloud::Worldwide);
        assert_eq!(az, [login, create]);
        assert_eq!(exchange, "Connect-ExchangeOnline");
        let (az, exchange) = of(Cloud::GccHigh);
        assert_eq!(az, ["az cloud set --name AzureUSGovernment", login, create]);
        assert!(exchange.ends_with("O365USGovGCCHigh"), "{exchange}");
    }

    /// Every row, for an account whose values would act where they are not quoted.
    #[test]
    fn every_command_is_filled_in_and_quoted() {
        let account = Account::new("o'brien@b.c")
            .client_id("id;rm -rf")
            .server("a;b", 587);
        let context = Context::new(&account, None);
        for &(condition, _) in table::ALL {
            let advice = known(condition, &context);
            let all = |cause: &Cause| {
                let all = cause.look().chain(cause.commands());
                all.map(str::to_owned).collect::<Vec<_>>()
            };
            let commands: Vec<_> = advice.causes().iter().flat_map(all).collect();
            assert!(commands.len() >= super::commands(condition).1.len());
            for command in commands {
                let braces = command.replace("%{http_code}", "");
                assert!(!braces.contains(['{', '}']), "{command}");
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
