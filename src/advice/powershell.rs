//! The commands for Exchange Online PowerShell that let this application send as this mailbox, and those that take it
//! back (facts.md, "Permissions"). Text only: nothing here runs anything.

pub(crate) mod quote;

use std::fmt::Write;

use crate::account::Account;
use crate::account::cloud::Cloud;
use crate::advice::powershell::quote::{fold, opath, quote, shell};
use crate::crypto::{hex, sha256};
use crate::error::Error;
use crate::stage::Stage;
use crate::token::Token;

/// Stands where an id is not known.
const NO_OBJECT_ID: &str = "PUT-THE-OBJECT-ID-HERE";
const NO_CLIENT_ID: &str = "PUT-THE-APPLICATION-ID-HERE";

/// The script that gives an application the permission to send as the account's mailbox.
///
/// There are two ways. With App RBAC, the default, Exchange holds the permission, for the mailboxes that are named, and to
/// send and nothing else; the token has no role in it and is not to have one. The [classic](Self::classic) way is a
/// permission in Entra and full access to the mailbox. App RBAC is announced for the worldwide cloud only: for an
/// account in another one the script is the classic one.
///
/// ```
/// use exosend::{Account, Setup};
///
/// let account = Account::new("robot@contoso.com").client_id("6731de76-14a6-49ae-97bc-6eba6914391e");
/// let script = Setup::new(&account).object_id("8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55").script()?;
/// assert!(script.contains("-Role 'Application SMTP.SendAsApp'"));
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    account: &'a Account,
    object_id: Option<String>,
    client_id: Option<String>,
    classic: bool,
    undo: bool,
}

impl<'a> Setup<'a> {
    /// For this account's mailbox, application and cloud. Its credential is of no account here.
    pub fn new(account: &'a Account) -> Self {
        Self {
            account,
            object_id: None,
            client_id: None,
            classic: account.which_cloud() != Cloud::Worldwide,
            undo: false,
        }
    }

    /// The Object ID of the *enterprise application* (the service principal), which is not the app registration's: to
    /// take the other is the most frequent mistake of all. A [token](Self::token) knows it.
    pub fn object_id(mut self, id: impl Into<String>) -> Self {
        self.object_id = Some(id.into());
        self
    }

    /// The Object ID as a token tells it, and the application's id if the account names none. A token that is no JWT
    /// changes nothing.
    pub fn token(mut self, token: &Token) -> Self {
        let claims = token.claims().unwrap_or_default();
        let said = |claim: String| Some(claim).filter(|claim| !claim.is_empty());
        self.object_id = said(claims.oid).or(self.object_id);
        self.client_id = said(claims.appid);
        self
    }

    /// By `SMTP.SendAsApp` in Entra and full access to the mailbox, instead of App RBAC.
    pub fn classic(mut self, classic: bool) -> Self {
        self.classic |= classic;
        self
    }

    /// The commands that take it back instead.
    pub fn undo(mut self, undo: bool) -> Self {
        self.undo = undo;
        self
    }

    /// The commands, with comments that say what each is for. Ids that are not known stand there as placeholders.
    ///
    /// # Errors
    ///
    /// [`Input`](crate::ErrorKind::Input) if the account names no mailbox, or if a value has control characters in it,
    /// which no PowerShell text is to have.
    pub fn script(&self) -> Result<String, Error> {
        if self.account.mailbox().is_empty() {
            return Err(Error::input(Stage::Account, "mailbox", "missing"));
        }
        let named = match &self.client_id {
            Some(id) if self.account.application().is_empty() => self.account.clone().client_id(id),
            _ => self.account.clone(),
        };
        let lines = Lines::new(&named, self.object_id.as_deref())?;
        Ok(match (self.classic, self.undo) {
            (false, false) => lines.rbac(),
            (false, true) => lines.undo_rbac(),
            (true, false) => lines.classic(),
            (true, true) => lines.undo_classic(),
        })
    }
}

/// Single commands, their values quoted. What a script and a doctor's advice have in common.
pub(crate) struct Lines {
    tenant: String,
    /// As in the configuration, for the cloud's tool.
    bare_client: String,
    client: String,
    object: String,
    mailbox: String,
    scope: String,
    filter: String,
    environment: &'static str,
    object_known: bool,
}

impl Lines {
    pub(crate) fn new(account: &Account, object_id: Option<&str>) -> Result<Self, Error> {
        let quoted = |key: &str, value: &str| {
            quote(value)
                .ok_or_else(|| Error::input(Stage::Account, key, "a control character in it"))
        };
        let mailbox = account.mailbox();
        let client = match account.application() {
            "" => NO_CLIENT_ID,
            id => id,
        };
        Ok(Self {
            tenant: quoted("tenant", account.tenant_id())?,
            bare_client: shell(client).ok_or_else(|| {
                Error::input(Stage::Account, "client_id", "a control character in it")
            })?,
            client: quoted("client_id", client)?,
            object: quoted("object_id", object_id.unwrap_or(NO_OBJECT_ID))?,
            mailbox: quoted("mailbox", mailbox)?,
            scope: quoted("mailbox", &scope_name(mailbox))?,
            filter: quoted(
                "mailbox",
                &format!("UserPrincipalName -eq {}", opath(mailbox)),
            )?,
            environment: match account.which_cloud() {
                Cloud::Worldwide => "",
                Cloud::GccHigh => " -ExchangeEnvironmentName O365USGovGCCHigh",
                Cloud::Dod => " -ExchangeEnvironmentName O365USGovDoD",
                Cloud::China => " -ExchangeEnvironmentName O365China",
            },
            object_known: object_id.is_some(),
        })
    }

    pub(crate) fn connect(&self) -> String {
        format!("Connect-ExchangeOnline{}", self.environment)
    }

    pub(crate) fn new_service_principal(&self) -> String {
        let Self { client, object, .. } = self;
        format!("New-ServicePrincipal -AppId {client} -ObjectId {object} -DisplayName 'exosend'")
    }

    pub(crate) fn get_service_principal(&self) -> String {
        format!("Get-ServicePrincipal -Identity {}", self.client)
    }

    pub(crate) fn remove_service_principal(&self) -> String {
        format!("Remove-ServicePrincipal -Identity {}", self.client)
    }

    pub(crate) fn new_scope(&self) -> String {
        let Self { scope, filter, .. } = self;
        format!("New-ManagementScope -Name {scope} -RecipientRestrictionFilter {filter}")
    }

    pub(crate) fn assign_role(&self) -> String {
        let Self { scope, client, .. } = self;
        format!(
            "New-ManagementRoleAssignment -Name {scope} -Role 'Application SMTP.SendAsApp' -App {client} \
             -CustomResourceScope {scope}"
        )
    }

    pub(crate) fn test_authorization(&self) -> String {
        let Self {
            client, mailbox, ..
        } = self;
        format!("Test-ServicePrincipalAuthorization -Identity {client} -Resource {mailbox}")
    }

    pub(crate) fn allow_smtp_auth(&self) -> String {
        format!(
            "Set-CASMailbox -Identity {} -SmtpClientAuthenticationDisabled $false",
            self.mailbox
        )
    }

    pub(crate) fn show_smtp_auth(&self) -> String {
        format!(
            "Get-CASMailbox -Identity {} | Format-List SmtpClientAuthenticationDisabled",
            self.mailbox
        )
    }

    pub(crate) fn full_access(&self) -> String {
        let Self {
            mailbox, object, ..
        } = self;
        format!("Add-MailboxPermission -Identity {mailbox} -User {object} -AccessRights FullAccess")
    }

    pub(crate) fn show_mailbox(&self) -> String {
        format!(
            "Get-Mailbox -Identity {} | Format-List UserPrincipalName,PrimarySmtpAddress",
            self.mailbox
        )
    }

    pub(crate) fn set_mailbox(&self) -> String {
        format!("Set-Mailbox -Identity {}", self.mailbox)
    }

    /// For a High Volume Email account (facts.md, "High Volume Email"). Its `-AppIds` are Object IDs, not
    /// application ids: Microsoft's page about the cmdlet.
    pub(crate) fn add_hve_access(&self) -> String {
        let Self {
            mailbox, object, ..
        } = self;
        format!("Add-HVEAppAccess -Identity {mailbox} -AppIds {object}")
    }

    fn rbac(&self) -> String {
        let mut script = self
            .head("App RBAC: Exchange holds the permission. Give the application none in Entra.");
        self.object_id_comment(&mut script);
        block(
            &mut script,
            "Makes the application known to Exchange.",
            &[self.new_service_principal()],
        );
        block(
            &mut script,
            "Lets it send, as this mailbox and no other.",
            &[self.new_scope(), self.assign_role()],
        );
        self.switch_on(&mut script);
        block(
            &mut script,
            "InScope: True means done. It takes up to 2 hours until the servers know.",
            &[self.test_authorization()],
        );
        script
    }

    fn classic(&self) -> String {
        let mut script =
            self.head("The classic way: a permission in Entra, and full access to the mailbox.");
        let portal = [
            "In the Entra admin center first: App registrations, this application,",
            "API permissions, Add a permission, APIs my organization uses,",
            "Office 365 Exchange Online, Application permissions, SMTP.SendAsApp;",
            "then Grant admin consent. Without that the login is refused.",
        ];
        for line in portal {
            comment(&mut script, line);
        }
        script.push('\n');
        self.object_id_comment(&mut script);
        block(
            &mut script,
            "Makes the application known to Exchange.",
            &[self.new_service_principal()],
        );
        block(
            &mut script,
            "Lets it into the mailbox. Until the servers know: minutes to an hour.",
            &[self.full_access()],
        );
        self.switch_on(&mut script);
        script
    }

    fn undo_rbac(&self) -> String {
        let Self { scope, .. } = self;
        let mut script = self.head("Takes App RBAC back.");
        let commands = [
            format!("Remove-ManagementRoleAssignment -Identity {scope}"),
            format!("Remove-ManagementScope -Identity {scope}"),
        ];
        block(&mut script, "The permission for this mailbox.", &commands);
        self.undo_rest(&mut script);
        script
    }

    fn undo_classic(&self) -> String {
        let Self {
            mailbox, object, ..
        } = self;
        let mut script = self.head("Takes the classic way back.");
        self.object_id_comment(&mut script);
        let remove = format!(
            "Remove-MailboxPermission -Identity {mailbox} -User {object} -AccessRights FullAccess"
        );
        block(&mut script, "The access to this mailbox.", &[remove]);
        self.undo_rest(&mut script);
        comment(
            &mut script,
            "In the Entra admin center: App registrations, this application,",
        );
        comment(
            &mut script,
            "API permissions, SMTP.SendAsApp, Remove permission.",
        );
        script
    }

    fn undo_rest(&self, script: &mut String) {
        let inherit = format!(
            "Set-CASMailbox -Identity {} -SmtpClientAuthenticationDisabled $null",
            self.mailbox
        );
        block(
            script,
            "SMTP AUTH of the mailbox as the organization has it.",
            &[inherit],
        );
        block(
            script,
            "Only if no other mailbox is sent from by this application.",
            &[self.remove_service_principal()],
        );
    }

    fn switch_on(&self, script: &mut String) {
        block(
            script,
            "SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.",
            &[self.allow_smtp_auth()],
        );
    }

    fn head(&self, what: &str) -> String {
        let mut script = String::new();
        comment(&mut script, what);
        // Nothing in these can end a comment: a line break was refused.
        comment(&mut script, &format!("Mailbox     {}", self.mailbox));
        comment(&mut script, &format!("Application {}", self.client));
        comment(&mut script, &format!("Tenant      {}", self.tenant));
        comment(&mut script, "Once: Install-Module ExchangeOnlineManagement");
        let _ = writeln!(script, "{}\n", self.connect());
        script
    }

    fn object_id_comment(&self, script: &mut String) {
        if !self.object_known {
            comment(
                script,
                "The Object ID is that of the Enterprise application, NOT of the App registration:",
            );
            comment(
                script,
                "Entra admin center, Enterprise applications, this application, Object ID; or",
            );
            comment(
                script,
                &format!("az ad sp show --id {} --query id", self.bare_client),
            );
        }
    }
}

fn comment(script: &mut String, text: &str) {
    let _ = writeln!(script, "# {text}");
}

/// What the commands are for, and the commands.
fn block(script: &mut String, what: &str, commands: &[String]) {
    comment(script, what);
    for command in commands {
        let _ = writeln!(script, "{}", fold(command, '`'));
    }
    script.push('\n');
}

/// Exchange takes names of 64 characters, and each is there once.
fn scope_name(mailbox: &str) -> String {
    let name = format!("exosend {mailbox}");
    if name.chars().count() <= 64 {
        return name;
    }
    let digest = hex(&sha256(mailbox.as_bytes()));
    format!("exosend {}", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_quoted_twice() {
        let account = Account::new("o'brien@contoso.com").client_id("c");
        let lines = Lines::new(&account, None).unwrap();
        assert_eq!(
            lines.filter,
            "'UserPrincipalName -eq ''o''''brien@contoso.com'''"
        );
    }

    #[test]
    fn names_that_are_too_long_are_told_apart() {
        let (one, two) = ("a".repeat(60) + "@x.org", "a".repeat(60) + "@y.org");
        assert_ne!(scope_name(&one), scope_name(&two));
        assert!(scope_name(&one).len() <= 64);
        assert_eq!(scope_name("robot@contoso.com"), "exosend robot@contoso.com");
    }
}
