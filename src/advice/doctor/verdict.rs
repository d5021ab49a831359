//! What a refusal most likely means, once what the token says of itself is set against what the server says of it.
//!
//! A decision table without side effects. Two rules: a token without roles is never called broken, since with App RBAC
//! that is how it has to be (facts.md, "Tokens"); and what cannot be told apart is listed, in the order of facts.md,
//! "Replies", not guessed.

use std::time::SystemTime;

use crate::account::Account;
use crate::account::cloud::Cloud;
use crate::advice::doctor::configuration::is_guid;
use crate::reply::Reply;
use crate::stage::Stage;
use crate::token::claims::Claims;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Audience {
    Exchange,
    Graph,
    Other,
}

/// Who holds it, and what it may do by its own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Holder {
    /// It has `scp`: a user has signed in.
    User,
    /// `roles` has SMTP.SendAsApp: the classic way.
    SendAsApp,
    /// `roles` has others, or is absent: App RBAC, or the classic way before it is finished.
    Application,
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bearer {
    pub(super) audience: Audience,
    pub(super) holder: Holder,
    pub(super) expired: bool,
    /// It is of a tenant or an application that is not the configured one.
    pub(super) foreign: bool,
}

impl Bearer {
    pub(super) fn of(claims: &Claims, account: &Account, now: SystemTime) -> Self {
        let differs = |claim: &str, ours: &str| {
            is_guid(ours) && !claim.is_empty() && !claim.eq_ignore_ascii_case(ours)
        };
        let holder = match claims.roles.iter().any(|role| role == "SMTP.SendAsApp") {
            _ if !claims.scp.is_empty() => Holder::User,
            true => Holder::SendAsApp,
            false => Holder::Application,
        };
        Self {
            audience: audience(&claims.aud),
            holder,
            expired: claims.exp.is_some_and(|end| end <= now),
            foreign: differs(&claims.tid, &account.tenant)
                || differs(&claims.appid, &account.client_id),
        }
    }
}

/// facts.md, "Clouds" and "Tokens"; the GUIDs are the two services' own application ids.
fn audience(aud: &str) -> Audience {
    const EXCHANGE: [&str; 6] = [
        "https://outlook.office365.com",
        "https://outlook.office.com",
        "https://outlook.office365.us",
        "https://partner.outlook.cn",
        "https://outlook-dod.office365.us",
        "00000002-0000-0ff1-ce00-000000000000",
    ];
    const GRAPH: [&str; 5] = [
        "https://graph.microsoft.com",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
        "https://microsoftgraph.chinacloudapi.cn",
        "00000003-0000-0000-c000-000000000000",
    ];
    let aud = aud.trim_end_matches('/');
    let among = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(aud));
    if among(&EXCHANGE) {
        Audience::Exchange
    } else if among(&GRAPH) {
        Audience::Graph
    } else {
        Audience::Other
    }
}

/// The refusals that are told apart (facts.md, "Replies", "Limits", "High Volume Email").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// `535 5.7.3 Authentication unsuccessful`, which has seven causes.
    Unsuccessful,
    SwitchedOff,
    /// The server thinks of passwords, or a policy of the tenant stands before the login.
    Policy,
    BasicRetired,
    NotLoggedIn,
    SendAs,
    BadAddress,
    TooManyConnections,
    RateOrIdle,
    Busy,
    Restricted,
    TenantBlocked,
    MailboxBlocked,
    NoSuchRecipient,
    TooLarge,
    HighVolumeForm,
    HighVolumeExpiry,
    HighVolumePermission,
    HighVolumeAccount,
    Unknown,
}

/// The first row that fits is taken. `""` fits all.
const REFUSALS: &[(u16, &str, &str, Refusal)] = &[
    (
        535,
        "5.7.139",
        "SmtpClientAuthentication",
        Refusal::SwitchedOff,
    ),
    (535, "5.7.139", "", Refusal::Policy),
    (535, "5.7.142", "", Refusal::HighVolumeExpiry),
    (535, "5.7.143", "", Refusal::HighVolumeExpiry),
    (535, "5.7.144", "", Refusal::HighVolumePermission),
    (535, "", "", Refusal::Unsuccessful),
    (550, "5.7.30", "", Refusal::BasicRetired),
    (530, "5.7.57", "", Refusal::NotLoggedIn),
    (550, "5.7.60", "", Refusal::SendAs),
    (550, "5.7.240", "", Refusal::HighVolumeAccount),
    (501, "5.1.", "", Refusal::BadAddress),
    (501, "5.5.127", "", Refusal::HighVolumeExpiry),
    (501, "5.5.12", "", Refusal::HighVolumeForm),
    (432, "4.3.2", "", Refusal::TooManyConnections),
    (421, "4.4.2", "", Refusal::RateOrIdle),
    (451, "4.7.", "", Refusal::Busy),
    (454, "", "", Refusal::Busy),
    (421, "", "", Refusal::Busy),
    (550, "5.1.8", "", Refusal::Restricted),
    (550, "5.7.705", "", Refusal::TenantBlocked),
    (550, "5.7.708", "", Refusal::TenantBlocked),
    (550, "5.2.25", "", Refusal::MailboxBlocked),
    (550, "5.1.1", "", Refusal::NoSuchRecipient),
    (552, "5.3.4", "", Refusal::TooLarge),
];

pub(super) fn refusal(stage: Stage, reply: &Reply) -> Refusal {
    let enhanced = reply.enhanced().unwrap_or_default();
    let says = |fragment: &str| reply.lines().any(|line| line.contains(fragment));
    let row = REFUSALS.iter().find(|(code, status, fragment, refusal)| {
        // The same code after the login is about something else.
        let login = !matches!(refusal, Refusal::Unsuccessful) || stage == Stage::Auth;
        *code == reply.code() && enhanced.starts_with(status) && says(fragment) && login
    });
    row.map_or(Refusal::Unknown, |(.., refusal)| *refusal)
}

/// One thing that may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Suspect {
    Expired,
    Foreign,
    ForGraph,
    ForSomethingElse,
    Delegated,
    ClassicPermission,
    ServicePrincipal,
    /// The same, where the token already proves that permission and consent are there.
    WrongObjectId,
    Scope,
    SmtpAuth,
    Propagation,
    Mailbox,
    Opaque,
    /// No more is known than the refusal itself says.
    As(Refusal),
}

/// The verdict on a refused login. `None` for a token that cannot be read.
pub(super) fn login(bearer: Option<Bearer>, refusal: Refusal, cloud: Cloud) -> Vec<Suspect> {
    use Suspect::*;
    match refusal {
        Refusal::Unsuccessful => {}
        Refusal::SwitchedOff => return vec![SmtpAuth],
        other => return vec![As(other)],
    }
    let Some(bearer) = bearer else {
        return vec![
            Opaque,
            ClassicPermission,
            ServicePrincipal,
            Scope,
            SmtpAuth,
            Propagation,
            Mailbox,
        ];
    };
    // Each of these is reason enough. What else may be wrong shows once it is right.
    let sure = [
        (bearer.expired, Expired),
        (bearer.audience == Audience::Graph, ForGraph),
        (bearer.audience == Audience::Other, ForSomethingElse),
        (bearer.foreign, Foreign),
        (bearer.holder == Holder::User, Delegated),
    ];
    let sure: Vec<Suspect> = sure
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, what)| *what)
        .collect();
    if !sure.is_empty() {
        return sure;
    }
    match (bearer.holder, cloud) {
        (Holder::SendAsApp, _) => vec![WrongObjectId, SmtpAuth, Propagation, Mailbox],
        // App RBAC for SMTP is announced for the worldwide cloud only (facts.md, "Clouds").
        (_, Cloud::Worldwide) => {
            vec![
                ClassicPermission,
                ServicePrincipal,
                Scope,
                SmtpAuth,
                Propagation,
                Mailbox,
            ]
        }
        _ => vec![
            ClassicPermission,
            ServicePrincipal,
            SmtpAuth,
            Propagation,
            Mailbox,
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Parser;

    fn read(text: &str) -> Reply {
        Parser::default()
            .push(text.as_bytes(), false)
            .unwrap()
            .unwrap()
    }

    /// Every combination of what a token may say, against every reply, is looked at for what must never be said.
    #[test]
    fn the_whole_table() {
        use Suspect::*;
        let mut seen = 0;
        for audience in [Audience::Exchange, Audience::Graph, Audience::Other] {
            for holder in [Holder::User, Holder::SendAsApp, Holder::Application] {
                for flags in 0..4 {
                    for cloud in [Cloud::Worldwide, Cloud::GccHigh, Cloud::Dod, Cloud::China] {
                        let (expired, foreign) = (flags & 1 > 0, flags & 2 > 0);
                        let bearer = Bearer {
                            audience,
                            holder,
                            expired,
                            foreign,
                        };
                        let verdict = login(Some(bearer), Refusal::Unsuccessful, cloud);
                        let says = |suspect| verdict.contains(&suspect);
                        assert!(!verdict.is_empty());
                        assert_eq!(says(Expired), expired, "{bearer:?}");
                        assert_eq!(says(Foreign), foreign, "{bearer:?}");
                        assert_eq!(says(ForGraph), audience == Audience::Graph, "{bearer:?}");
                        assert_eq!(
                            says(ForSomethingElse),
                            audience == Audience::Other,
                            "{bearer:?}"
                        );
                        assert_eq!(says(Delegated), holder == Holder::User, "{bearer:?}");
                        assert!(!says(Opaque));
                        let well =
                            audience == Audience::Exchange && flags == 0 && holder != Holder::User;
                        for suspect in [SmtpAuth, Propagation, Mailbox] {
                            assert_eq!(says(suspect), well, "{bearer:?}");
                        }
                        // What the claims rule out: consent is there, and App RBAC gives no role.
                        let roles = holder == Holder::SendAsApp;
                        assert_eq!(says(ClassicPermission), well && !roles, "{bearer:?}");
                        assert_eq!(says(WrongObjectId), well && roles, "{bearer:?}");
                        assert_eq!(says(ServicePrincipal), well && !roles, "{bearer:?}");
                        let rbac = well && !roles && cloud == Cloud::Worldwide;
                        assert_eq!(says(Scope), rbac, "{bearer:?} {cloud:?}");
                        assert_eq!(login(Some(bearer), Refusal::SwitchedOff, cloud), [SmtpAuth]);
                        assert_eq!(
                            login(Some(bearer), Refusal::Busy, cloud),
                            [As(Refusal::Busy)]
                        );
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(seen, 3 * 3 * 4 * 4);
    }

    #[test]
    fn a_token_without_roles_is_judged_as_app_rbac_too() {
        let claims = Claims {
            aud: "https://outlook.office365.com/".into(),
            ..Claims::default()
        };
        let bearer = Bearer::of(&claims, &Account::new("a@b.c"), SystemTime::now());
        assert_eq!(
            (bearer.audience, bearer.holder),
            (Audience::Exchange, Holder::Application)
        );
        let verdict = login(Some(bearer), Refusal::Unsuccessful, Cloud::Worldwide);
        assert!(verdict.contains(&Suspect::Scope));
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
            Bearer::of(&claims, &account, SystemTime::now()).foreign
        };
        assert!(!foreign("contoso.com", &id('b').to_uppercase()));
        assert!(!foreign(&id('a'), ""));
        assert!(foreign(&id('c'), &id('b')));
        assert!(foreign("contoso.com", &id('c')));
    }

    #[test]
    fn replies_that_are_told_apart() {
        use Refusal::*;
        for (stage, text, expected) in [
            (
                Stage::Auth,
                "535 5.7.3 Authentication unsuccessful [AM0 2026 08D]",
                Unsuccessful,
            ),
            (Stage::Auth, "535 authentication failed", Unsuccessful),
            (
                Stage::Auth,
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
                SwitchedOff,
            ),
            (
                Stage::Auth,
                "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
                Policy,
            ),
            (
                Stage::Auth,
                "550 5.7.30 Basic authentication is not supported for Client Submission.",
                BasicRetired,
            ),
            (
                Stage::Auth,
                "535 5.7.142 Token will expire soon",
                HighVolumeExpiry,
            ),
            (
                Stage::Auth,
                "535 5.7.144 Invalid API permission",
                HighVolumePermission,
            ),
            (
                Stage::Auth,
                "501 5.5.124 User address invalid",
                HighVolumeForm,
            ),
            (
                Stage::Auth,
                "501 5.5.127 Token will expire soon",
                HighVolumeExpiry,
            ),
            (
                Stage::Auth,
                "454 4.7.0 Temporary authentication failure",
                Busy,
            ),
            (
                Stage::Sender,
                "530 5.7.57 Client not authenticated to send mail.",
                NotLoggedIn,
            ),
            (Stage::Sender, "501 5.1.7 Invalid address", BadAddress),
            (
                Stage::Recipient,
                "550 5.1.10 Recipient not found",
                NoSuchRecipient,
            ),
            (
                Stage::Recipient,
                "550 5.2.254 too many recipients",
                MailboxBlocked,
            ),
            (Stage::Sender, "535 5.7.3 odd", Unknown),
            (Stage::Recipient, "550 5.7.1 relaying denied", Unknown),
        ] {
            assert_eq!(refusal(stage, &read(text)), expected, "{text}");
        }
    }
}
