//! What is known when something fails, and how a command or a setting is filled in with it.

use crate::account::Account;
use crate::advice::doctor::check::{Advice, Cause, Place};
use crate::advice::powershell::Setup;
use crate::advice::powershell::quote::shell;
use crate::token::claims::Claims;

/// What is known when something fails.
pub(super) struct Context<'a> {
    pub(super) account: &'a Account,
    /// The account's, or that of the user who logs in.
    pub(super) mailbox: &'a str,
    pub(super) claims: Option<&'a Claims>,
    pub(super) clock_is_wrong: bool,
}

// Names in braces are filled in.
pub(super) const SERVER: &str = "server = {server}:587";
pub(super) const SCOPE: &str = "scope = {scope}";
pub(super) const MAILBOX: &str = "mailbox = {mailbox}";
pub(super) const SECRET: &str = "client_secret = ...";
pub(super) const REGISTER: &str =
    "az ad app credential reset --id {shell_client} --cert @certificate.pem --append";
pub(super) const OPENSSL: &str =
    "openssl s_client -starttls smtp -connect {host}:{port} -showcerts";
pub(super) const CURL: &str = "curl -sS -o /dev/null -w '%{http_code}\\n' {endpoint}";
pub(super) const TRY: &str = "timeout 10 bash -c 'head -1 </dev/tcp/$0/$1' {host} {port}";
pub(super) const AGAIN: &str = "exosend doctor";
pub(super) const SHOW_MAILBOX: &str =
    "Get-Mailbox -Identity {mailbox} | Format-List UserPrincipalName,PrimarySmtpAddress";
pub(super) const SHOW_PRINCIPAL: &str = "Get-ServicePrincipal -Identity {client}";
pub(super) const SHOW_SMTP_AUTH: &str =
    "Get-CASMailbox -Identity {mailbox} | Format-List SmtpClientAuthenticationDisabled";

impl<'a> Context<'a> {
    pub(super) fn new(account: &'a Account, claims: Option<&'a Claims>) -> Self {
        Self {
            account,
            mailbox: account.mailbox(),
            claims,
            clock_is_wrong: false,
        }
    }

    /// The user who logs in, if one does.
    pub(super) fn user(&self) -> Option<String> {
        #[cfg(feature = "login")]
        let user = || Some(self.account.users_login()?.read().ok()??.user().to_owned());
        #[cfg(not(feature = "login"))]
        let user = || None;
        user()
    }

    /// A cause with its commands, filled in.
    pub(super) fn cause(&self, text: impl Into<String>, place: Place, commands: &[&str]) -> Cause {
        Cause::new(text, place, self.filled(place, commands))
    }

    pub(super) fn filled(&self, place: Place, commands: &[&str]) -> Vec<String> {
        let filled = commands.iter().filter_map(|text| self.fill(place, text));
        filled.collect()
    }

    /// What it means, with one cause.
    pub(super) fn advice(
        &self,
        meaning: impl Into<String>,
        text: impl Into<String>,
        place: Place,
        commands: &[&str],
    ) -> Advice {
        Advice::new(meaning, vec![self.cause(text, place, commands)])
    }

    /// A command or a setting with this account's values. `None` where one of them cannot be quoted.
    fn fill(&self, place: Place, text: &str) -> Option<String> {
        let account = self.account;
        match place {
            Place::ExchangePowerShell | Place::AzureCli => {
                let mut setup = Setup::new(account).mailbox(self.mailbox);
                #[cfg(feature = "graph")]
                {
                    setup = setup.graph(account.is_graph());
                }
                let object = self.claims.map(|claims| claims.oid.as_str());
                if let Some(object) = object.filter(|oid| !oid.is_empty()) {
                    setup = setup.object_id(object);
                }
                Some(setup.lines().ok()?.command(text))
            }
            Place::Shell => {
                let mut text = text.to_owned();
                for &(name, value) in &[
                    ("{host}", account.host()),
                    ("{port}", &account.port().to_string()),
                    ("{endpoint}", &account.application().endpoint),
                    #[cfg(feature = "graph")]
                    ("{graph_url}", &account.graph()),
                ] {
                    text = text.replace(name, &shell(value)?);
                }
                Some(text)
            }
            Place::Configuration | Place::Portal => Some(
                text.replace("{scope}", account.default_scope())
                    .replace("{server}", account.cloud.host())
                    .replace("{mailbox}", self.mailbox),
            ),
        }
    }
}

/// Commands, and where to run them.
pub(super) type Commands = (Place, &'static [&'static str]);

pub(super) const fn set(settings: &'static [&'static str]) -> Commands {
    (Place::Configuration, settings)
}

pub(super) const fn run(commands: &'static [&'static str]) -> Commands {
    (Place::Shell, commands)
}

pub(super) const fn az(commands: &'static [&'static str]) -> Commands {
    (Place::AzureCli, commands)
}

pub(super) const fn exchange(commands: &'static [&'static str]) -> Commands {
    (Place::ExchangePowerShell, commands)
}

pub(super) const fn browse(addresses: &'static [&'static str]) -> Commands {
    (Place::Portal, addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_that_is_refused_is_replaced_by_the_accounts_own() {
        let scope = |account: Account| {
            let context = Context::new(&account, None);
            context.filled(Place::Configuration, &[SCOPE]).concat()
        };
        let account = || Account::new("robot@contoso.com");
        let smtp = "scope = https://outlook.office365.com/.default";
        assert_eq!(scope(account()), smtp);
        #[cfg(feature = "graph")]
        {
            let by_graph = account().transport(crate::account::Transport::Graph);
            let graph = "scope = https://graph.microsoft.com/.default";
            assert_eq!(scope(by_graph), graph);
        }
        #[cfg(feature = "login")]
        {
            let users = "scope = https://outlook.office.com/SMTP.Send";
            assert_eq!(scope(account().login_file("/nonexistent")), users);
        }
    }
}
