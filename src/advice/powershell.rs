//! The commands for Exchange Online PowerShell that let this application send as this mailbox, and those that take it
//! back (facts.md, "Permissions"). Text only: nothing here runs anything.

pub(crate) mod quote;

use crate::account::Account;
use crate::account::cloud::Cloud;
use crate::advice::powershell::quote::{opath, quote, shell};
use crate::crypto::{hex, sha256};
use crate::error::Error;
use crate::stage::Stage;
use crate::token::Token;

/// Placeholders for ids that are not known.
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
/// use exosend::Account;
/// use exosend::advice::Setup;
///
/// let account = Account::new("robot@contoso.com").client_id("6731de76-14a6-49ae-97bc-6eba6914391e");
/// let script = Setup::new(&account).object_id("8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55").script()?;
/// assert!(script.contains("-Role 'Application SMTP.SendAsApp'"));
/// # Ok::<(), exosend::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    account: &'a Account,
    mailbox: &'a str,
    object_id: Option<String>,
    client_id: Option<String>,
    way: Way,
    undo: bool,
}

/// Who holds which permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Rbac,
    Classic,
    #[cfg(feature = "graph")]
    Graph,
}

impl<'a> Setup<'a> {
    /// For this account's mailbox, application and cloud. Its credential does not matter.
    pub fn new(account: &'a Account) -> Self {
        Self {
            account,
            mailbox: account.mailbox(),
            object_id: None,
            client_id: None,
            way: match account.cloud {
                Cloud::Worldwide => Way::Rbac,
                _ => Way::Classic,
            },
            undo: false,
        }
    }

    /// For another mailbox than the account's.
    pub(crate) fn mailbox(mut self, mailbox: &'a str) -> Self {
        self.mailbox = mailbox;
        self
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
        if classic {
            self.way = Way::Classic;
        }
        self
    }

    /// For Microsoft Graph: the role `Application Mail.Send` by App RBAC, for this mailbox and no other. In Entra the
    /// permission of that name sends as anybody.
    #[cfg(feature = "graph")]
    pub fn graph(mut self, graph: bool) -> Self {
        if graph {
            self.way = Way::Graph;
        }
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
        if self.mailbox.is_empty() {
            return Err(Error::input(Stage::Account, "mailbox", "missing"));
        }
        let lines = self.lines()?;
        Ok(lines.fill(match (self.way, self.undo) {
            (Way::Classic, false) => CLASSIC,
            (Way::Classic, true) => UNDO_CLASSIC,
            (_, false) => RBAC,
            (_, true) => UNDO_RBAC,
        }))
    }

    /// What the commands are filled in with.
    pub(crate) fn lines(&self) -> Result<Lines, Error> {
        let (account, mailbox) = (self.account, self.mailbox);
        let known = |id: &&str| !id.is_empty();
        let client = Some(account.client_id.as_str()).filter(known);
        let client = client.or(self.client_id.as_deref());
        let client = client.unwrap_or(NO_CLIENT_ID);
        let object = self.object_id.as_deref();
        // Each finds mailboxes that the other does not.
        let filter = format!(
            "UserPrincipalName -eq {} -or EmailAddresses -eq {}",
            opath(mailbox),
            opath(&format!("smtp:{mailbox}")),
        );
        let (of_way, whose) = match self.way {
            #[cfg(feature = "graph")]
            Way::Graph => (GRAPH, "exosend graph"),
            _ => (SMTP, "exosend"),
        };
        let mut values = Vec::new();
        for (name, key, quoted) in [
            ("tenant", "tenant", quote(&account.tenant)),
            ("client", "client_id", quote(client)),
            ("shell_client", "client_id", shell(client)),
            ("object", "object_id", quote(object.unwrap_or(NO_OBJECT_ID))),
            ("mailbox", "mailbox", quote(mailbox)),
            ("scope", "mailbox", quote(&scope_name(whose, mailbox))),
            ("filter", "mailbox", quote(&filter)),
        ] {
            let quoted = quoted
                .ok_or_else(|| Error::input(Stage::Account, key, "a control character in it"))?;
            values.push((name, quoted));
        }
        let environment = match account.cloud {
            Cloud::Worldwide => "",
            Cloud::GccHigh => " -ExchangeEnvironmentName O365USGovGCCHigh",
            Cloud::Dod => " -ExchangeEnvironmentName O365USGovDoD",
            Cloud::China => " -ExchangeEnvironmentName O365China",
        };
        let object_help = match object {
            Some(_) => "",
            None => OBJECT_HELP,
        };
        let mut parts = vec![
            ("head", HEAD),
            ("environment", environment),
            ("object_help", object_help),
            ("principal", PRINCIPAL),
        ];
        parts.extend_from_slice(of_way);
        Ok(Lines { values, parts })
    }
}

// Names in braces are filled in.

/// What every script begins with.
const HEAD: &str = "\
# Mailbox     {mailbox}
# Application {client}
# Tenant      {tenant}
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline{environment}
";

const PRINCIPAL: &str = "\
{object_help}# Makes the application known to Exchange, unless it is.
New-ServicePrincipal -AppId {client} -ObjectId {object} -DisplayName 'exosend'
";

/// What is different by SMTP.
const SMTP: &[(&str, &str)] = &[
    ("of", ""),
    ("none", "none in Entra."),
    ("role", "SMTP.SendAsApp"),
    (
        "switch_on",
        "
# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity {mailbox} -SmtpClientAuthenticationDisabled $false
",
    ),
    (
        "switch_back",
        "
# SMTP AUTH of the mailbox as the organization has it.
Set-CASMailbox -Identity {mailbox} -SmtpClientAuthenticationDisabled $null
",
    ),
];

/// And by Graph.
#[cfg(feature = "graph")]
const GRAPH: &[(&str, &str)] = &[
    ("of", " for Microsoft Graph"),
    (
        "none",
        "none in Entra:\n# there Mail.Send sends as every mailbox, and no scope narrows it.",
    ),
    ("role", "Mail.Send"),
    ("switch_on", ""),
    ("switch_back", ""),
];

/// Where the Object ID is not known.
const OBJECT_HELP: &str = "\
# The Object ID is that of the Enterprise application, NOT of the App registration:
# Entra admin center, Enterprise apps, this application, Object ID; or
# az ad sp show --id {shell_client} --query id
";

const RBAC: &str = "\
# App RBAC{of}: Exchange holds the permission. Give the application {none}
# To be run by a member of the role group Organization Management.
{head}
{principal}
# Once for each organization, before its first role assignment.
if ((Get-OrganizationConfig).IsDehydrated) { Enable-OrganizationCustomization }

# Lets it send, as this mailbox and no other.
New-ManagementScope -Name {scope} -RecipientRestrictionFilter {filter}
New-ManagementRoleAssignment -Name {scope} -Role 'Application {role}' -App {client} -CustomResourceScope {scope}
{switch_on}
# InScope: True means done. The servers know 30 minutes after the last try, or within 2 hours.
Test-ServicePrincipalAuthorization -Identity {client} -Resource {mailbox}
";

const CLASSIC: &str = "\
# The classic way: a permission in Entra, and full access to the mailbox.
#
# In the Entra admin center first: App registrations, this application,
# API permissions, Add a permission, APIs my organization uses,
# Office 365 Exchange Online, Application permissions, SMTP.SendAsApp;
# then a Global Administrator's Grant admin consent. A managed identity is given it so:
# https://learn.microsoft.com/powershell/entra-powershell/grant-api-permissions-managed-identity
#
{head}
{principal}
# Lets it into the mailbox. Until the servers know: minutes to an hour.
Add-MailboxPermission -Identity {mailbox} -User {object} -AccessRights FullAccess
{switch_on}";

const UNDO_RBAC: &str = "\
# Takes App RBAC{of} back.
{head}
# The permission for this mailbox.
Remove-ManagementRoleAssignment -Identity {scope}
Remove-ManagementScope -Identity {scope}
{switch_back}
# Only if this application sends from no other mailbox, nor in another way. Deleting it in Entra does that too, but leaves the scope.
Remove-ServicePrincipal -Identity {client}
";

const UNDO_CLASSIC: &str = "\
# Takes the classic way back.
{head}
{object_help}# The access to this mailbox.
Remove-MailboxPermission -Identity {mailbox} -User {object} -AccessRights FullAccess
{switch_back}
# Only if this application sends from no other mailbox, nor in another way.
Remove-ServicePrincipal -Identity {client}

# In the Entra admin center: App registrations, this application,
# API permissions, SMTP.SendAsApp, Remove permission.
";

/// What the commands are filled in with.
pub(crate) struct Lines {
    /// Each quoted.
    values: Vec<(&'static str, String)>,
    /// Texts in which names are filled in, too.
    parts: Vec<(&'static str, &'static str)>,
}

impl Lines {
    /// The line of a script that begins with this text, or the text itself if no script has such a line; filled in.
    pub(crate) fn command(&self, text: &str) -> String {
        let scripts = [RBAC, CLASSIC, UNDO_RBAC, UNDO_CLASSIC];
        let filled = scripts.map(|script| self.fill(script)).concat();
        let mut lines = filled.lines();
        match lines.find(|line| line.starts_with(text)) {
            Some(line) => line.to_owned(),
            None => self.fill(text),
        }
    }

    /// Replaces the names in braces by their values. Braces within a value stay as they are.
    fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) = behind.split_once('}').unwrap_or((behind, ""));
            filled.push_str(before);
            let part = self.parts.iter().find(|(key, _)| *key == name);
            let value = self.values.iter().find(|(key, _)| *key == name);
            match (part, value) {
                (Some((_, part)), _) => filled.push_str(&self.fill(part)),
                (None, Some((_, value))) => filled.push_str(value),
                // Braces of PowerShell.
                (None, None) => filled.extend(["{", name, "}"]),
            }
            rest = after;
        }
        filled + rest
    }
}

/// Exchange takes names of 64 characters at most, and each must be unique.
fn scope_name(whose: &str, mailbox: &str) -> String {
    let name = format!("{whose} {mailbox}");
    if name.chars().count() <= 64 {
        return name;
    }
    let digest = hex(&sha256(mailbox.as_bytes()));
    format!("{whose} {}", digest.get(..32).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_and_its_braces_are_not_filled_in() {
        let account = Account::new("o'brien@contoso.com").client_id("{mailbox}");
        let lines = Setup::new(&account).lines().unwrap();
        assert_eq!(
            lines.fill("{filter} {client}"),
            "'UserPrincipalName -eq ''o''''brien@contoso.com'' -or EmailAddresses -eq ''smtp:o''''brien@contoso.com''' \
             '{mailbox}'"
        );
    }

    #[test]
    fn a_command_is_found_in_the_script_or_filled_in() {
        let account = Account::new("a@b.c");
        let lines = Setup::new(&account).lines().unwrap();
        assert_eq!(
            lines.command("Connect-ExchangeOnline"),
            "Connect-ExchangeOnline"
        );
        let switch = "Set-CASMailbox -Identity 'a@b.c' -SmtpClientAuthenticationDisabled $false";
        assert_eq!(lines.command("Set-CASMailbox"), switch);
        assert_eq!(lines.command("Get-X {mailbox}"), "Get-X 'a@b.c'");
    }

    #[test]
    fn long_scope_names_are_cut_and_still_differ() {
        let (one, two) = ("a".repeat(60) + "@x.org", "a".repeat(60) + "@y.org");
        let name = |mailbox: &str| scope_name("exosend", mailbox);
        assert_ne!(name(&one), name(&two));
        assert!(name(&one).len() <= 64);
        assert_eq!(name("robot@contoso.com"), "exosend robot@contoso.com");
    }
}
