//! Refusals of Exchange up to RCPT, crossed with what the token says.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use exosend::advice::CheckState::{Ok, Skipped};
use serde_json::{Value, json};

use super::{Diagnosis, both_paths, examine, examine_with};
use crate::exchange::{Exchange, Fault, Step};

const ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
/// Of the stand-in's service principal.
const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";
const UNSUCCESSFUL: &str = "AuthBlob 535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z 08DE2B]";
const ALLOW_SMTP: &str =
    "Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false";

/// Filled in for this account. All commands are tested beside their table.
#[test]
fn a_refusal_is_reported_with_its_commands() {
    for (step, reply, says) in [
        (
            Step::AuthBlob,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
            ["switched off", ALLOW_SMTP],
        ),
        (
            Step::AuthBlob,
            "550 5.7.240 App not allowed for account",
            [
                "High Volume Email",
                "Add-HVEAppAccess -Identity 'robot@contoso.com' -AppIds '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55'",
            ],
        ),
        (
            Step::Auth,
            "421 4.4.2 Connection dropped due to SocketError",
            ["idle or too slow", "connect again"],
        ),
        (
            Step::Mail,
            "530 5.7.57 Client not authenticated to send mail.",
            ["nobody is logged in", "server = smtp.office365.com:587"],
        ),
        (
            Step::Mail,
            "501 5.1.7 Invalid address",
            ["no address", "mailbox = robot@contoso.com"],
        ),
        (
            Step::Mail,
            "552 5.3.4 Message size exceeds fixed maximum message size",
            [
                "larger",
                "Set-Mailbox -Identity 'robot@contoso.com' -MaxSendSize 150MB",
            ],
        ),
        (
            Step::Rcpt,
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
            ["spelling", "exosend doctor --to ADDRESS"],
        ),
    ] {
        let exchange = Exchange::builder().on(step, Fault::reply(reply)).start();
        let diagnosis = examine(&exchange);
        let name = match step {
            Step::Mail => "sender",
            Step::Rcpt => "recipient",
            _ => "login",
        };
        diagnosis.fails(name, &[reply, says[0], says[1]], &["New-ServicePrincipal"]);
        let error = diagnosis.check(name).error().unwrap();
        assert_eq!(error.reply().unwrap().to_string(), reply);
    }
}

#[test]
fn a_refused_sender_or_recipient_is_followed_by_rset() {
    let says = |row: &str| examine(&Exchange::builder().says(row).start());
    let diagnosis = says("Mail 550 5.7.1 words that nobody knows");
    diagnosis.fails("sender", &[], &[]);
    assert!(diagnosis.check("sender").advice().is_none());
    diagnosis.is(Skipped, &["recipient"]).is(Ok, &["end"]);
    let diagnosis = says("Rcpt 550 5.7.1 words that nobody knows");
    diagnosis.fails("recipient", &[], &[]);
    diagnosis.is(Ok, &["sender", "end"]);
}

#[test]
fn a_535_is_explained_without_what_the_claims_rule_out() {
    for (path, exchange) in both_paths(&Exchange::builder().says(UNSUCCESSFUL)) {
        let diagnosis = examine(&exchange);
        let create = format!(
            "New-ServicePrincipal -AppId '{ID}' -ObjectId '{OBJECT_ID}' -DisplayName 'exosend'"
        );
        let always = [
            create.as_str(),
            "Connect-ExchangeOnline",
            ALLOW_SMTP,
            "up to 2 hours",
            "Get-Mailbox -Identity 'robot@contoso.com'",
        ];
        let never = [
            "Microsoft Graph (",
            "has expired",
            "is a user's",
            "scope = ",
        ];
        let rbac = [
            "which is right with App RBAC",
            "Test-ServicePrincipalAuthorization",
            "New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter",
            "-Role 'Application SMTP.SendAsApp'",
            "Grant admin consent",
        ];
        let classic = [
            "has the role SMTP.SendAsApp, so the permission and its consent are in order",
            "Enterprise application's, 8a1f9c0e",
            "-AccessRights FullAccess",
        ];
        let (said, unsaid) = match path {
            "classic" => (&classic[..], &rbac[..]),
            _ => (&rbac[..], &classic[..]),
        };
        let (said, unsaid) = ([&always, said].concat(), [&never, unsaid].concat());
        diagnosis.fails("login", &said, &unsaid);
        // The most frequent first.
        let text = diagnosis.of("login");
        let order = [
            "New-ServicePrincipal -AppId",
            ALLOW_SMTP,
            "too new",
            "no such mailbox",
        ];
        let order = order.map(|part| text.find(part).unwrap());
        assert!(order.is_sorted(), "{text}");
    }
}

/// With a token of the caller's own, which the stand-in refuses.
fn with_token(token: &str) -> Diagnosis {
    let exchange = Exchange::start();
    let account = exchange.account().access_token(token);
    examine_with(&exchange, &account, None)
}

fn with_claims(changed: &Value) -> Diagnosis {
    let mut claims = json!({
        "aud": "https://outlook.office365.com", "tid": "2b0b2d36-29d3-4ce1-9ab3-92e6c31c5d0e", "appid": ID,
        "oid": OBJECT_ID, "exp": 4_000_000_000_u64, "ver": "1.0",
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    with_token(&format!(
        "{}.{}.c2ln",
        part(&json!({"alg": "RS256"})),
        part(&claims)
    ))
}

#[test]
fn a_wrong_claim_is_the_only_cause_named() {
    let scope = "scope = https://outlook.office365.com/.default";
    for (claims, says) in [
        (
            json!({"aud": "https://graph.microsoft.com"}),
            ["for Microsoft Graph", scope],
        ),
        (
            json!({"aud": "https://management.azure.com"}),
            [
                "the token is for https://management.azure.com, not for Exchange",
                scope,
            ],
        ),
        (
            json!({"scp": "SMTP.Send"}),
            [
                "the token is a user's (scp: SMTP.Send)",
                "client_credentials",
            ],
        ),
        (
            json!({"exp": 1_600_000_000}),
            ["the token has expired", "date -u"],
        ),
        (
            json!({"appid": "11111111-2222-3333-4444-555555555555"}),
            [
                "are not the configured ones",
                "client_id = 11111111-2222-3333-4444-555555555555",
            ],
        ),
    ] {
        let set_up = [
            "New-ServicePrincipal",
            "Set-CASMailbox",
            "Grant admin consent",
        ];
        with_claims(&claims).fails("login", &says, &set_up);
    }
    // Right claims leave all other causes.
    with_claims(&json!({})).fails("login", &["New-ServicePrincipal"], &[scope]);
}

#[test]
fn a_token_that_cannot_be_read_leaves_all_causes() {
    let diagnosis = with_token("opaque-token");
    diagnosis.is(Skipped, &["claims"]);
    let says = [
        "check the scope",
        "Grant admin consent",
        "New-ManagementScope",
        "-ObjectId 'PUT-THE-OBJECT-ID-HERE'",
        ALLOW_SMTP,
    ];
    diagnosis.fails("login", &says, &[]);
}

#[test]
fn a_server_without_xoauth2_is_reported() {
    let diagnosis = examine(&Exchange::builder().auth("LOGIN").start());
    diagnosis.fails("login", &["does not offer XOAUTH2", "server = "], &[]);
}
