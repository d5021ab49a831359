//! What servers say, and what it means.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::{Path, Verdict, examine};
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::Machine;

/// The stand-in's application, as `New-ServicePrincipal` wants to know it.
const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";
const ALLOW_SMTP: &str =
    "Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false";

/// HTTP status, OAuth's error, code, text, what the advice has to name; facts.md, "AADSTS codes".
const ENTRA: &[(u16, &str, u32, &str, &[&str])] = &[
    (
        401,
        "invalid_client",
        7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID",
        &["Secret ID", "az ad app credential reset --id"],
    ),
    (
        401,
        "invalid_client",
        7000222,
        "The provided client secret keys for app are expired.",
        &["expired", "az ad app credential reset --id"],
    ),
    (
        401,
        "invalid_client",
        7000218,
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        &["no credential"],
    ),
    (
        400,
        "unauthorized_client",
        700016,
        "Application with identifier was not found in the directory",
        &["not in this tenant"],
    ),
    (
        401,
        "invalid_client",
        7000229,
        "The client application is missing service principal in the tenant",
        &["az ad sp create --id"],
    ),
    (
        401,
        "unauthorized_client",
        7000112,
        "Application is disabled.",
        &["disabled", "accountEnabled=true"],
    ),
    (
        401,
        "invalid_client",
        700025,
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
        &["public client"],
    ),
    (
        400,
        "invalid_request",
        90002,
        "Tenant 'contoso' not found.",
        &["tenant"],
    ),
    (
        400,
        "invalid_request",
        90038,
        "Tenant request being processed by National Cloud.",
        &["cloud = gcc-high"],
    ),
    (
        400,
        "invalid_request",
        900432,
        "Confidential Client is not supported in Cross Cloud request.",
        &["cloud = gcc-high"],
    ),
    (
        400,
        "invalid_request",
        900382,
        "Confidential Client is not supported in Cross Cloud request.",
        &["cloud = gcc-high"],
    ),
    (
        400,
        "invalid_scope",
        70011,
        "The provided value for the input parameter 'scope' is not valid.",
        &["scope = https://outlook.office365.com/.default"],
    ),
    (
        400,
        "invalid_scope",
        1002012,
        "The provided value for scope is not valid. Client credential flows must have /.default",
        &["scope = https://outlook.office365.com/.default"],
    ),
    (
        400,
        "invalid_scope",
        700022,
        "Invalid multiple resources scope.",
        &["scope = https://outlook.office365.com/.default"],
    ),
    (
        400,
        "invalid_resource",
        500011,
        "The resource principal was not found in the tenant.",
        &[
            "scope = https://outlook.office365.com/.default",
            "Exchange Online",
        ],
    ),
    (
        400,
        "invalid_grant",
        65001,
        "The user or administrator has not consented to use the application.",
        &["consent", "admin-consent --id"],
    ),
    (
        400,
        "invalid_resource",
        650057,
        "Invalid resource. The client has requested access to a resource which is not listed",
        &["consent", "admin-consent --id"],
    ),
    (
        401,
        "invalid_client",
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on application.",
        &["certificate", "--cert @"],
    ),
    (
        401,
        "invalid_client",
        700030,
        "Invalid certificate - subject name in certificate is not authorized.",
        &["certificate", "--cert @"],
    ),
    (
        401,
        "invalid_client",
        700024,
        "Client assertion is not within its valid time range.",
        &["clock", "date -u"],
    ),
    (
        401,
        "invalid_client",
        70021,
        "No matching federated identity record found for presented assertion.",
        &["federated-credential list --id", "subject"],
    ),
    (
        401,
        "invalid_client",
        700211,
        "No matching federated identity record found for presented assertion issuer.",
        &["federated-credential list --id", "issuer"],
    ),
    (
        401,
        "invalid_client",
        700213,
        "No matching federated identity record found for presented assertion subject.",
        &["federated-credential list --id", "subject"],
    ),
    (
        400,
        "invalid_grant",
        50034,
        "The user account does not exist in the directory.",
        &["application"],
    ),
    (
        400,
        "invalid_grant",
        53003,
        "Access has been blocked by Conditional Access policies.",
        &["Conditional Access"],
    ),
    (
        400,
        "invalid_grant",
        530035,
        "Access has been blocked by security defaults.",
        &["security defaults", "Conditional Access"],
    ),
    (
        400,
        "invalid_grant",
        50105,
        "The application is configured to block users unless they are assigned a role.",
        &["appRoleAssignmentRequired=false"],
    ),
    (
        400,
        "invalid_request",
        900144,
        "The request body must contain the following parameter.",
        &["client_id"],
    ),
    (
        400,
        "invalid_request",
        9002313,
        "Invalid request. Request is malformed or invalid.",
        &["client_id"],
    ),
    (
        400,
        "invalid_request",
        50196,
        "The server terminated an operation because it encountered a loop.",
        &["token_cache"],
    ),
    (
        400,
        "invalid_request",
        90055,
        "Too many requests.",
        &["token_cache"],
    ),
    (
        400,
        "temporarily_unavailable",
        90033,
        "A transient error has occurred. Please try again.",
        &["wait"],
    ),
    (
        400,
        "temporarily_unavailable",
        90024,
        "RequestBudgetExceededError - A transient error has occurred.",
        &["wait"],
    ),
    (
        400,
        "temporarily_unavailable",
        50033,
        "RetryableError - Indicates a transient error not related to the database operations.",
        &["wait"],
    ),
    (
        400,
        "temporarily_unavailable",
        90006,
        "ExternalServerRetryableError - The service is temporarily unavailable.",
        &["wait"],
    ),
];

#[test]
fn each_refusal_of_entra() {
    for (n, (status, error, code, text, names)) in ENTRA.iter().enumerate() {
        let exchange = Path::BOTH[n % 2].exchange();
        let machine = Machine::with(
            exchange
                .token(Answer::aadsts(*status, error, *code, text))
                .start(),
        );
        let verdict = examine(&machine, None);
        assert!(
            verdict.detail.contains(&format!("AADSTS{code}")),
            "{verdict:#?}"
        );
        // A token says nothing yet: nothing of Exchange is to be named as the culprit.
        verdict.assert(
            77,
            "token",
            names,
            &["New-ServicePrincipal", "Set-CASMailbox"],
        );
        for (check, state) in [("certificate", "ok"), ("claims", "skip"), ("login", "skip")] {
            assert_eq!(verdict.state(check), state, "{code} {check}");
        }
    }
}

/// The stage, its reply, the exit code, what must and what must not be named in either path.
type Row = (
    Step,
    &'static str,
    i32,
    &'static [&'static str],
    &'static [&'static str],
);

const REPLIES: &[Row] = &[
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AM0PR02CA0085.eurprd02.prod.outlook.com 2026-03-03T09:01:02.345Z 08DC3B1F]",
        77,
        &["SMTP AUTH is switched off", ALLOW_SMTP],
        &["New-ServicePrincipal", "consent"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. [ZR0P278CA0149]",
        77,
        &["SMTP AUTH is switched off", ALLOW_SMTP],
        &["New-ServicePrincipal", "consent"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [LO2P265CA0478]",
        77,
        &["polic"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [FR0P281CA0077]",
        77,
        &["polic"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator. [MA0PR01CA0064]",
        77,
        &["polic"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator. [BN9PR03CA0341]",
        77,
        &["security defaults"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        77,
        &["password"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "501 5.5.121 Malformed XOAUTH2",
        77,
        &["High Volume Email", "mailbox = robot@contoso.com"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "501 5.5.124 User address invalid",
        77,
        &["High Volume Email", "mailbox = robot@contoso.com"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "501 5.5.127 Token will expire soon",
        77,
        &["High Volume Email", "ten minutes"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.142 Token will expire soon",
        77,
        &["High Volume Email", "ten minutes"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.143 Token expired",
        77,
        &["expired", "date -u"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "535 5.7.144 Invalid API permission",
        77,
        &["High Volume Email", "Mail.Send"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "550 5.7.240 The application is not allowed for this account",
        77,
        &[
            "Add-HVEAppAccess -Identity 'robot@contoso.com' -AppIds '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55'",
        ],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "454 4.7.0 Temporary authentication failure",
        75,
        &["wait"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "451 4.7.0 Temporary server error. Please try again later. PRX2",
        75,
        &["wait"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::AuthBlob,
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        75,
        &["3 connections"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Auth,
        "421 4.4.2 Connection dropped due to SocketError",
        75,
        &["wait"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Mail,
        "530 5.7.57 Client not authenticated to send mail. [PR3P189CA0086]",
        69,
        &["server = smtp.office365.com:587"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Mail,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        69,
        &["send as"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Mail,
        "501 5.1.7 Invalid address",
        69,
        &["display name"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Mail,
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.",
        75,
        &["3 connections"],
        &[],
    ),
    (
        Step::Mail,
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        75,
        &["30 messages a minute"],
        &[],
    ),
    (
        Step::Mail,
        "451 4.7.500 Server busy. Please try again later",
        75,
        &["wait"],
        &[],
    ),
    (
        Step::Mail,
        "454 4.7.0 Temporary failure",
        75,
        &["wait"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.2.251 Sender throttled due to continuous mailbox full errors",
        69,
        &["blocks the mailbox", "repeat"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.2.252 Sender throttled due to continuous send as denied errors",
        69,
        &["blocks the mailbox", "repeat"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.2.253 Sender throttled due to continuous invalid license errors",
        69,
        &["blocks the mailbox", "repeat"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.2.254 Sender throttled due to continuous too many recipients errors",
        69,
        &["blocks the mailbox", "repeat"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.2.255 Sender throttled due to continuous invalid recipients errors",
        69,
        &["blocks the mailbox", "repeat"],
        &[],
    ),
    (
        Step::Mail,
        "552 5.3.4 Message size exceeds fixed maximum message size",
        69,
        &["Set-Mailbox -Identity 'robot@contoso.com' -MaxSendSize 150MB"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.1.8 Access denied, bad outbound sender",
        69,
        &["restricted"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.7.705 Access denied, tenant has exceeded threshold",
        69,
        &["support"],
        &[],
    ),
    (
        Step::Mail,
        "550 5.7.708 Access denied, traffic not accepted from this IP",
        69,
        &["support"],
        &[],
    ),
    (
        Step::Rcpt,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
        67,
        &["spelling"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Rcpt,
        "501 5.1.6 Recipient addresses in single label domains not accepted",
        67,
        &["address"],
        &["New-ServicePrincipal"],
    ),
    (
        Step::Rcpt,
        "452 4.5.3 Too many recipients",
        75,
        &["recipients"],
        &[],
    ),
    (
        Step::Rcpt,
        "550 5.2.254 Sender throttled due to continuous too many recipients errors",
        67,
        &["blocks the mailbox"],
        &[],
    ),
];

#[test]
fn each_reply_of_exchange_in_both_paths() {
    for (step, reply, code, includes, excludes) in REPLIES {
        for path in Path::BOTH {
            let machine = Machine::with(path.exchange().on(*step, Fault::reply(reply)).start());
            let verdict = examine(&machine, Some("ann@example.com"));
            assert!(verdict.detail.contains(reply), "{verdict:#?}");
            let check = match step {
                Step::Mail => "sender",
                Step::Rcpt => "recipient",
                _ => "login",
            };
            verdict.assert(*code, check, includes, excludes);
            assert_eq!(machine.exchange.violations(), [""; 0]);
        }
    }
}

const UNSUCCESSFUL: &str = "535 5.7.3 Authentication unsuccessful [AM0PR01CA0098.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T12:00:00.000Z 08DE2B5A]";

fn unsuccessful(path: Path, more: &str) -> Verdict {
    let machine = Machine::with(
        path.exchange()
            .on(Step::AuthBlob, Fault::reply(UNSUCCESSFUL))
            .start(),
    );
    machine.configure(more);
    examine(&machine, None)
}

#[test]
fn unsuccessful_with_the_role() {
    let verdict = unsuccessful(Path::Classic, "");
    let principal = format!("-ObjectId '{OBJECT_ID}' -DisplayName");
    verdict.assert(
        77,
        "login",
        &[
            "New-ServicePrincipal -AppId",
            &principal,
            "Add-MailboxPermission -Identity 'robot@contoso.com'",
            ALLOW_SMTP,
            "an hour",
        ],
        // The role is there, so the permission has its consent; and App RBAC would give none.
        &["Grant admin consent", "New-ManagementScope", "scope = "],
    );
}

#[test]
fn unsuccessful_without_roles() {
    let verdict = unsuccessful(Path::AppRbac, "");
    let principal = format!("-ObjectId '{OBJECT_ID}' -DisplayName");
    verdict.assert(
        77,
        "login",
        &[
            "right with App RBAC",
            "SMTP.SendAsApp",
            "Grant admin consent",
            "New-ServicePrincipal -AppId",
            &principal,
            "Test-ServicePrincipalAuthorization",
            "-RecipientRestrictionFilter",
            "-Role 'Application SMTP.SendAsApp'",
            ALLOW_SMTP,
            "2 hours",
        ],
        &["scope = ", "client_secret"],
    );
    // In the order of facts.md, "Replies".
    let places = [
        "Grant admin consent",
        "New-ServicePrincipal -AppId",
        "New-ManagementScope",
        "2 hours",
        "no such mailbox",
    ];
    let places = places.map(|text| {
        verdict
            .says
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {verdict:#?}"))
    });
    assert!(places.is_sorted(), "{places:?} {verdict:#?}");
}

/// A token of the caller's own, with these claims. The stand-in takes none that it has not issued.
fn with_claims(claims: &serde_json::Value) -> Verdict {
    let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
    let token = format!(
        "{}.{}.{}",
        part("{\"alg\":\"RS256\"}"),
        part(&claims.to_string()),
        part("signature")
    );
    with_token(&token)
}

fn with_token(token: &str) -> Verdict {
    let exchange = Exchange::start();
    let machine = Machine::with(exchange);
    let exchange = &machine.exchange;
    let ca = machine.path("ca.pem");
    machine.write(
        "home/.config/exosend.conf",
        &format!(
            "mailbox = {}\ntenant = 11111111-2222-3333-4444-555555555555\n\
             client_id = {}\naccess_token = {token}\nserver = localhost:{}\nca_file = {}\ntimeout = 20\n",
            exchange.mailbox(),
            exchange.client_id(),
            exchange.port(),
            ca.display()
        ),
    );
    examine(&machine, None)
}

fn claims() -> serde_json::Value {
    json!({
        "aud": "https://outlook.office365.com",
        "tid": "11111111-2222-3333-4444-555555555555",
        "appid": Exchange::start().client_id(),
        "oid": OBJECT_ID,
        "exp": 4_000_000_000_u64,
        "ver": "1.0",
    })
}

/// `claims` with one of them changed.
fn but(name: &str, value: impl Into<serde_json::Value>) -> serde_json::Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

#[test]
fn what_the_token_says_decides_where_it_can() {
    const SET_UP: &[&str] = &[
        "New-ServicePrincipal",
        "Set-CASMailbox",
        "Grant admin consent",
    ];
    let scope = "scope = https://outlook.office365.com/.default";
    for (claims, includes) in [
        (but("aud", "https://graph.microsoft.com"), ["Graph", scope]),
        (
            but("aud", "00000003-0000-0000-c000-000000000000"),
            ["Graph", scope],
        ),
        (but("aud", "https://graph.microsoft.us/"), ["Graph", scope]),
        (
            but("aud", "https://management.azure.com/"),
            ["https://management.azure.com/", scope],
        ),
        (but("scp", "SMTP.Send"), ["a user's", "client_credentials"]),
        (but("exp", 1_700_000_000_u64), ["expired", "date -u"]),
        (
            but("tid", "99999999-2222-3333-4444-555555555555"),
            ["99999999-2222", "tenant"],
        ),
        (
            but("appid", "99999999-2222-3333-4444-555555555556"),
            ["99999999-2222", "client_id"],
        ),
    ] {
        with_claims(&claims).assert(77, "login", &includes, SET_UP);
    }
}

/// Each name that Exchange Online has gone by in tokens.
#[test]
fn an_audience_that_is_exchange() {
    for aud in [
        "https://outlook.office365.com",
        "https://outlook.office365.com/",
        "https://outlook.office.com",
        "https://outlook.office365.us",
        "https://partner.outlook.cn",
        "00000002-0000-0ff1-ce00-000000000000",
    ] {
        with_claims(&but("aud", aud)).assert(77, "login", &["New-ServicePrincipal"], &["scope = "]);
    }
}

#[test]
fn other_roles_are_no_role_here() {
    let verdict = with_claims(&but("roles", json!(["Mail.Send", "IMAP.AccessAsApp"])));
    verdict.assert(
        77,
        "login",
        &["Grant admin consent", "New-ManagementScope"],
        &["scope = "],
    );
    let verdict = with_claims(&but("roles", json!(["IMAP.AccessAsApp", "SMTP.SendAsApp"])));
    verdict.assert(
        77,
        "login",
        &["New-ServicePrincipal"],
        &["Grant admin consent", "New-ManagementScope"],
    );
}

#[test]
fn a_token_that_cannot_be_read_rules_nothing_out() {
    for token in ["opaque-token", "a.b.c", "e30.bm90IGpzb24.c2ln"] {
        let verdict = with_token(token);
        assert_eq!(verdict.state("claims"), "skip");
        verdict.assert(
            77,
            "login",
            &[
                "scope",
                "Grant admin consent",
                "New-ServicePrincipal",
                "New-ManagementScope",
                ALLOW_SMTP,
            ],
            &[],
        );
    }
}

/// A guess at the secret's form stands with the refusal, not without it.
#[test]
fn a_secret_that_is_its_id() {
    let machine = Machine::new();
    let id = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";
    let text = std::fs::read_to_string(machine.path("home/.config/exosend.conf")).unwrap();
    let text: String = text
        .lines()
        .map(|line| {
            if line.starts_with("client_secret") {
                format!("client_secret = {id}\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    machine.write("home/.config/exosend.conf", &text);
    let verdict = examine(&machine, None);
    verdict.assert(77, "token", &["Secret ID", "GUID"], &[]);
    assert!(!verdict.all.to_string().contains(id), "the secret is told");
}
