//! What a refused login may come from, once what the token says of itself is set against what the server says of it.
//!
//! Two rules: a token without roles is never called broken, since with App RBAC that is how it has to be (facts.md,
//! "Tokens"); and what cannot be told apart is listed, the most frequent first (facts.md, "Replies"), not guessed.

use std::time::SystemTime;

use crate::account::Account;
use crate::account::cloud::Cloud;
use crate::advice::doctor::check::{Advice, Cause};
use crate::advice::doctor::configuration::is_guid;
use crate::advice::doctor::context::{
    Commands, Context, SCOPE, SECRET, SHOW_MAILBOX, SHOW_PRINCIPAL, SHOW_SMTP_AUTH, az, browse,
    exchange, run, set,
};
use crate::token::claims::Claims;

/// `535 5.7.3 Authentication unsuccessful`, and every other 535 that says no more.
pub(super) fn refused(context: &Context<'_>) -> Advice {
    let said = context
        .claims
        .map(|claims| Said::of(claims, context.account, SystemTime::now()));
    let causes = causes(said, context.account.cloud);
    let known = match said.map(|said| said.permission) {
        _ if causes.len() == 1 => "",
        Some(Permission::Users) => {
            "The token is for Exchange, and lets the application send as the user."
        }
        Some(Permission::SendAsApp) => {
            "The token is for Exchange and has the role SMTP.SendAsApp, so the permission and its consent are in order."
        }
        Some(_) => {
            "The token is for Exchange and has no role SMTP.SendAsApp, which is right with App RBAC, and with the \
             classic permission is not."
        }
        None => "The token is not readable, so less can be ruled out.",
    };
    let meaning = match known {
        "" => {
            "Entra issued the token, and Exchange refuses it; the token itself says why.".to_owned()
        }
        known => format!(
            "Entra issued the token, and Exchange does not let {} into this mailbox. {known} Exchange says no more; look at \
             these in turn:",
            if context.account.is_users() {
                "this user"
            } else {
                "this application"
            }
        ),
    };
    let causes = causes.into_iter().map(|reason| cause(reason, context));
    Advice::new(meaning, causes.collect())
}

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    Exchange,
    Graph,
    Other,
}

/// What its holder may do, by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permission {
    /// It has `scp`: a user has signed in. Wrong, unless the account is one by which a user logs in.
    Users,
    /// The same, and to send is not among what the user let the application do.
    UsersOther,
    /// `roles` has SMTP.SendAsApp: the classic way.
    SendAsApp,
    /// `roles` has others, or is absent: App RBAC, or the classic way before it is finished.
    None,
}

/// What a token says of itself.
#[derive(Clone, Copy, Debug)]
struct Said {
    audience: Audience,
    permission: Permission,
    expired: bool,
    /// Its tenant or its application is not the configured one.
    foreign: bool,
    /// An application without a service principal in the tenant has no `oid`.
    nameless: bool,
    /// A user's token is expected.
    expected: bool,
}

impl Said {
    fn of(claims: &Claims, account: &Account, now: SystemTime) -> Self {
        let differs = |claim: &str, ours: &str| {
            is_guid(ours) && !claim.is_empty() && !claim.eq_ignore_ascii_case(ours)
        };
        let expected = account.is_users();
        let sends = claims.scp.split(' ').any(|what| what == "SMTP.Send");
        let permission = match claims.roles.iter().any(|role| role == "SMTP.SendAsApp") {
            _ if !claims.scp.is_empty() && expected && !sends => Permission::UsersOther,
            _ if !claims.scp.is_empty() => Permission::Users,
            true => Permission::SendAsApp,
            false => Permission::None,
        };
        Self {
            audience: audience(&claims.aud),
            permission,
            expired: claims.exp.is_some_and(|end| end <= now),
            foreign: differs(&claims.tid, &account.tenant)
                || differs(&claims.appid, &account.client_id),
            nameless: claims.oid.is_empty() && claims.scp.is_empty(),
            expected,
        }
    }
}

#[cfg(feature = "graph")]
pub(crate) fn is_for_graph(claims: &Claims) -> bool {
    audience(&claims.aud) == Audience::Graph
}

/// facts.md, "Clouds" and "Tokens"; the GUIDs are the two services' own application ids.
fn audience(aud: &str) -> Audience {
    const EXCHANGE: &str = "https://outlook.office365.com https://outlook.office.com https://outlook.office365.us \
        https://partner.outlook.cn https://outlook-dod.office365.us 00000002-0000-0ff1-ce00-000000000000";
    const GRAPH: &str = "https://graph.microsoft.com https://graph.microsoft.us https://dod-graph.microsoft.us \
        https://microsoftgraph.chinacloudapi.cn 00000003-0000-0000-c000-000000000000";
    let aud = aud.trim_end_matches('/');
    let among = |list: &str| list.split(' ').any(|known| known.eq_ignore_ascii_case(aud));
    if among(EXCHANGE) {
        Audience::Exchange
    } else if among(GRAPH) {
        Audience::Graph
    } else {
        Audience::Other
    }
}

/// One thing that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Expired,
    Foreign,
    ForGraph,
    ForSomethingElse,
    Delegated,
    UsersPermission,
    Nameless,
    ClassicPermission,
    ServicePrincipal,
    /// The same, where the token already proves that permission and consent are there.
    WrongObjectId,
    Scope,
    SmtpAuth,
    Propagation,
    Mailbox,
    Unreadable,
}

/// `None` for a token that cannot be read.
fn causes(said: Option<Said>, cloud: Cloud) -> Vec<Reason> {
    use Reason::*;
    let Some(said) = said else {
        return vec![
            Unreadable,
            ServicePrincipal,
            Scope,
            ClassicPermission,
            SmtpAuth,
            Propagation,
            Mailbox,
        ];
    };
    // Each of these is reason enough. Whatever else is wrong shows once these are mended.
    let sure = [
        (said.expired, Expired),
        (said.audience == Audience::Graph, ForGraph),
        (said.audience == Audience::Other, ForSomethingElse),
        (said.foreign, Foreign),
        (
            said.permission == Permission::Users && !said.expected,
            Delegated,
        ),
        (said.permission == Permission::UsersOther, UsersPermission),
        (said.nameless, Nameless),
    ];
    let sure: Vec<Reason> = sure
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| *what)
        .collect();
    if !sure.is_empty() {
        return sure;
    }
    let mut causes = match (said.permission, cloud) {
        (Permission::Users, _) => return vec![SmtpAuth, Mailbox],
        (Permission::SendAsApp, _) => vec![WrongObjectId],
        // App RBAC for SMTP is announced for the worldwide cloud only (facts.md, "Clouds").
        (_, Cloud::Worldwide) => vec![ServicePrincipal, Scope, ClassicPermission],
        _ => vec![ServicePrincipal, ClassicPermission],
    };
    causes.extend([SmtpAuth, Propagation, Mailbox]);
    causes
}

fn cause(reason: Reason, context: &Context<'_>) -> Cause {
    let empty = Claims::default();
    let claims = context.claims.unwrap_or(&empty);
    let (text, (place, commands)) = row(reason);
    let mut text = text.to_owned();
    for &(name, claim) in &[
        ("{aud}", &claims.aud),
        ("{tid}", &claims.tid),
        ("{appid}", &claims.appid),
        ("{oid}", &claims.oid),
        ("{scp}", &claims.scp),
    ] {
        text = text.replace(name, said(claim));
    }
    match reason {
        Reason::Foreign => {
            let settings = [("tenant", &claims.tid), ("client_id", &claims.appid)];
            let settings = settings.map(|(key, id)| format!("{key} = {id}"));
            Cause::new(text, place, settings)
        }
        _ => context.cause(text, place, commands),
    }
}

/// The words of a reason, in which names in braces are filled in with claims; and its commands.
fn row(reason: Reason) -> (&'static str, Commands) {
    match reason {
        Reason::Expired => (
            "the token has expired: it was not fetched afresh, or this machine's clock is wrong",
            run(&["date -u"]),
        ),
        Reason::Foreign => (
            "the token is of tenant {tid} and application {appid}, which are not the configured ones",
            set(&[]),
        ),
        Reason::ForGraph => (
            "the token is for Microsoft Graph ({aud}), and Exchange takes none but its own: the scope is wrong. Graph's \
             Mail.Send does not help here either",
            set(&[SCOPE]),
        ),
        Reason::ForSomethingElse => (
            "the token is for {aud}, not for Exchange: the scope is wrong",
            set(&[SCOPE]),
        ),
        Reason::Delegated => (
            "the token is a user's (scp: {scp}), not the application's: get it with the client's own credential, \
             grant_type=client_credentials",
            set(&[SECRET]),
        ),
        Reason::UsersPermission => (
            "the user let the application do something else (scp: {scp}): it needs the delegated permission SMTP.Send; then \
             exosend login",
            az(&["az ad app permission list --id {shell_client}"]),
        ),
        Reason::Nameless => (
            "the token names no service principal (no oid): the application has none in this tenant",
            az(&["az ad sp create --id {shell_client}"]),
        ),
        Reason::Unreadable => (
            "the token is for another service, for instance Microsoft Graph: check the scope",
            set(&[SCOPE]),
        ),
        Reason::ClassicPermission => (
            "with the classic permission: SMTP.SendAsApp of Office 365 Exchange Online, not of Microsoft Graph, or its admin \
             consent is missing (exosend setup --classic). With App RBAC leave it out",
            browse(&[
                "https://entra.microsoft.com > Entra ID > App registrations > this application > API permissions > Add a \
                 permission > APIs my organization uses > Office 365 Exchange Online > Application permissions > \
                 SMTP.SendAsApp; then Grant admin consent",
            ]),
        ),
        Reason::ServicePrincipal => (
            "Exchange does not know the application, or by the Object ID of the App registration instead of the Enterprise \
             application's; then remove that first",
            exchange(&[
                SHOW_PRINCIPAL,
                "Remove-ServicePrincipal",
                "New-ServicePrincipal",
            ]),
        ),
        Reason::WrongObjectId => (
            "Exchange does not know the application, or by the Object ID of the App registration instead of the \
             Enterprise application's, {oid}; then remove that first",
            exchange(&[
                SHOW_PRINCIPAL,
                "Remove-ServicePrincipal",
                "New-ServicePrincipal",
                "Add-MailboxPermission",
            ]),
        ),
        // The cmdlet does not look at Entra's permissions.
        Reason::Scope => (
            "with App RBAC: the role is not assigned, or the mailbox is not in its scope. InScope must be True; False does \
             not rule out the classic way",
            exchange(&[
                "Test-ServicePrincipalAuthorization",
                "Get-OrganizationConfig | Format-List IsDehydrated",
                "Enable-OrganizationCustomization  # only where IsDehydrated is True",
                "New-ManagementScope",
                "New-ManagementRoleAssignment",
            ]),
        ),
        Reason::SmtpAuth => (
            "SMTP AUTH is switched off for the mailbox, or for the organization and not switched on for the mailbox",
            exchange(&[SHOW_SMTP_AUTH, "Set-CASMailbox"]),
        ),
        // A busy application's permissions are kept for longer than an idle one's.
        Reason::Propagation => (
            "a change is too new: stop trying for 30 minutes (exosend doctor is a try), or wait up to 2 hours",
            run(&[]),
        ),
        Reason::Mailbox => (
            "there is no such mailbox, or by another name, or without its licence",
            exchange(&[SHOW_MAILBOX]),
        ),
    }
}

fn said(claim: &str) -> &str {
    if claim.is_empty() {
        "(not said)"
    } else {
        claim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_combination_of_claims_has_its_causes() {
        use Reason::*;
        let audiences = [Audience::Exchange, Audience::Graph, Audience::Other];
        let permissions = [Permission::Users, Permission::SendAsApp, Permission::None];
        let expected = false;
        let clouds = [Cloud::Worldwide, Cloud::GccHigh, Cloud::Dod, Cloud::China];
        for n in 0..3 * 3 * 8 * 4 {
            let said = Said {
                audience: audiences[n % 3],
                permission: permissions[n / 3 % 3],
                expired: n / 9 % 2 > 0,
                foreign: n / 18 % 2 > 0,
                nameless: n / 36 % 2 > 0,
                expected,
            };
            let cloud = clouds[n / 72];
            let causes = causes(Some(said), cloud);
            let says = |reason| causes.contains(&reason);
            let users = said.permission == Permission::Users;
            assert!(!causes.is_empty() && !says(Unreadable), "{said:?}");
            assert_eq!(says(Expired), said.expired, "{said:?}");
            assert_eq!(says(Foreign), said.foreign, "{said:?}");
            assert_eq!(says(ForGraph), said.audience == Audience::Graph);
            assert_eq!(says(ForSomethingElse), said.audience == Audience::Other);
            assert_eq!(says(Delegated), users, "{said:?}");
            assert_eq!(says(Nameless), said.nameless, "{said:?}");
            let exchange = said.audience == Audience::Exchange;
            let right = !said.expired && !said.foreign && !said.nameless;
            let well = exchange && right && !users;
            for reason in [SmtpAuth, Propagation, Mailbox] {
                assert_eq!(says(reason), well, "{said:?}");
            }
            // What the claims rule out: consent is there, and App RBAC gives no role.
            let role = said.permission == Permission::SendAsApp;
            assert_eq!(says(ClassicPermission), well && !role, "{said:?}");
            assert_eq!(says(WrongObjectId), well && role, "{said:?}");
            assert_eq!(says(ServicePrincipal), well && !role, "{said:?}");
            let worldwide = cloud == Cloud::Worldwide;
            assert_eq!(says(Scope), well && !role && worldwide, "{said:?}");
        }
    }

    #[test]
    fn an_audience_is_known_by_each_of_its_names() {
        for (aud, expected) in [
            ("https://outlook.office365.com", Audience::Exchange),
            ("https://outlook.office365.com/", Audience::Exchange),
            ("https://outlook.office.com", Audience::Exchange),
            ("https://OUTLOOK.office365.us", Audience::Exchange),
            ("https://partner.outlook.cn", Audience::Exchange),
            ("00000002-0000-0ff1-ce00-000000000000", Audience::Exchange),
            ("https://graph.microsoft.com", Audience::Graph),
            ("https://graph.microsoft.us/", Audience::Graph),
            ("00000003-0000-0000-c000-000000000000", Audience::Graph),
            ("https://management.azure.com/", Audience::Other),
            ("", Audience::Other),
        ] {
            assert_eq!(audience(aud), expected, "{aud}");
        }
    }

    #[test]
    fn send_as_app_is_found_among_other_roles() {
        let of = |roles: &[&str], scp: &str| {
            let claims = Claims {
                roles: roles.iter().map(|&role| role.to_owned()).collect(),
                scp: scp.into(),
                ..Claims::default()
            };
            Said::of(&claims, &Account::new("a@b.c"), SystemTime::now()).permission
        };
        assert_eq!(of(&[], ""), Permission::None);
        assert_eq!(of(&["Mail.Send", "IMAP.AccessAsApp"], ""), Permission::None);
        let role = ["IMAP.AccessAsApp", "SMTP.SendAsApp"];
        assert_eq!(of(&role, ""), Permission::SendAsApp);
        assert_eq!(of(&role, "SMTP.Send"), Permission::Users);
    }

    #[test]
    fn claims_are_compared_with_the_account_only_where_both_are_ids() {
        let id = |n| format!("6731de76-14a6-49ae-97bc-6eba6914391{n}");
        let claims = Claims {
            tid: id('a'),
            appid: id('b'),
            ..Claims::default()
        };
        let foreign = |tenant: &str, client: &str| {
            let account = Account::new("a@b.c").tenant(tenant).client_id(client);
            Said::of(&claims, &account, SystemTime::now()).foreign
        };
        assert!(!foreign("contoso.com", &id('b').to_uppercase()));
        assert!(!foreign(&id('a'), ""));
        assert!(foreign(&id('c'), &id('b')));
        assert!(foreign("contoso.com", &id('c')));
    }
}
