//! Every refusal of Exchange up to RCPT that facts.md knows, crossed with what the token says.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{both_paths, doctor, is_silent_on, line, says};
use crate::exchange::{Exchange, Fault, Step};
use crate::machine::Machine;

const ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
/// Of the stand-in's service principal.
const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";
const UNSUCCESSFUL: &str = "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z 08DE2B]";

/// Where, and what is said there; the exit code; what the verdict says, and the command or setting it names.
const REPLIES: &[(Step, &str, i32, &str, &str)] = &[
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled",
        77,
        "SMTP AUTH is switched off",
        "Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false",
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.",
        77,
        "SMTP AUTH is switched off",
        "Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false",
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
        77,
        "a policy refused",
        "Get-AuthenticationPolicy",
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        77,
        "a policy refused",
        "Get-AuthenticationPolicy",
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully.",
        77,
        "a policy refused",
        "Get-AuthenticationPolicy",
    ),
    (
        Step::AuthBlob,
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy.",
        77,
        "security defaults",
        "Get-AuthenticationPolicy",
    ),
    (
        Step::AuthBlob,
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        77,
        "password",
        "server = smtp.office365.com:587",
    ),
    (
        Step::AuthBlob,
        "454 4.7.0 Temporary authentication failure",
        75,
        "is busy",
        "exosend doctor",
    ),
    (
        Step::AuthBlob,
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded",
        75,
        "more than 3 connections",
        "exosend doctor",
    ),
    (
        Step::AuthBlob,
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        75,
        "30 messages a minute",
        "exosend doctor",
    ),
    (
        Step::AuthBlob,
        "501 5.5.124 User address invalid",
        77,
        "High Volume Email does not understand",
        "mailbox = robot@contoso.com",
    ),
    (
        Step::AuthBlob,
        "501 5.5.127 Token will expire soon",
        77,
        "ten minutes left",
        "date -u",
    ),
    (
        Step::AuthBlob,
        "535 5.7.142 Token about to expire",
        77,
        "ten minutes left",
        "date -u",
    ),
    (
        Step::AuthBlob,
        "535 5.7.143 Token expired",
        77,
        "ten minutes left",
        "date -u",
    ),
    (
        Step::AuthBlob,
        "535 5.7.144 Invalid API permission",
        77,
        "Mail.Send of Office 365",
        "Mail.Send; then Grant",
    ),
    (
        Step::AuthBlob,
        "550 5.7.240 App not allowed for account",
        77,
        "is not allowed for this High Volume Email account",
        "Add-HVEAppAccess",
    ),
    (
        Step::Mail,
        "530 5.7.57 Client not authenticated to send mail.",
        69,
        "does not count this connection as logged in",
        "server = smtp.office365.com:587",
    ),
    (
        Step::Mail,
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        69,
        "may not send as this address",
        "mailbox = robot@contoso.com",
    ),
    (
        Step::Mail,
        "501 5.1.7 Invalid address",
        69,
        "does not take the address",
        "mailbox = robot@contoso.com",
    ),
    (
        Step::Mail,
        "432 4.3.2 Concurrent connections limit exceeded.",
        75,
        "more than 3 connections",
        "exosend doctor",
    ),
    (
        Step::Mail,
        "421 4.4.2 Connection dropped due to timeout",
        75,
        "idle",
        "exosend doctor",
    ),
    (
        Step::Mail,
        "451 4.7.500 Server busy. Please try again later",
        75,
        "is busy",
        "exosend doctor",
    ),
    (
        Step::Mail,
        "550 5.2.251 mailbox full",
        69,
        "repeated too often",
        "Get-Mailbox -Identity 'robot@contoso.com'",
    ),
    (
        Step::Mail,
        "550 5.1.8 Access denied, bad outbound sender",
        69,
        "restricted senders",
        "restrictedentities",
    ),
    (
        Step::Mail,
        "550 5.7.705 Access denied, tenant has exceeded threshold",
        69,
        "more than it may",
        "New service request",
    ),
    (
        Step::Rcpt,
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
        67,
        "no such address",
        "--to ADDRESS",
    ),
    (
        Step::Rcpt,
        "501 5.1.6 Recipient addresses in single label domains not accepted",
        67,
        "does not take the address",
        "no display name",
    ),
    (
        Step::Rcpt,
        "550 5.2.254 too many recipients",
        67,
        "repeated too often",
        "stop repeating",
    ),
];

#[test]
fn every_reply_has_its_verdict_and_its_command_in_both_paths() {
    for (step, reply, code, verdict, command) in REPLIES {
        for (path, machine) in both_paths(&Exchange::builder().on(*step, Fault::reply(reply))) {
            let run = doctor(&machine, &["--to", "ann@example.com"]);
            assert_eq!(run.code, *code, "{path} {reply}: {}", run.stdout);
            let name = match step {
                Step::Mail => "sender",
                Step::Rcpt => "recipient",
                _ => "login",
            };
            assert!(
                line(&run, "FAIL", name).contains(reply),
                "{path} {}",
                run.stdout
            );
            says(&run, &[verdict, command]);
            assert_eq!(
                run.stdout.matches("FAIL").count(),
                1,
                "{path} {}",
                run.stdout
            );
        }
    }
}

#[test]
fn unsuccessful_in_both_paths_leaves_out_what_the_claims_rule_out() {
    for (path, machine) in
        both_paths(&Exchange::builder().on(Step::AuthBlob, Fault::reply(UNSUCCESSFUL)))
    {
        let run = doctor(&machine, &[]);
        assert_eq!(run.code, 77, "{}", run.stdout);
        let create = format!(
            "New-ServicePrincipal -AppId '{ID}' -ObjectId '{OBJECT_ID}' -DisplayName 'exosend'"
        );
        says(
            &run,
            &[
                &create,
                "Connect-ExchangeOnline",
                "Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false",
                "up to 2 hours",
                "Get-Mailbox -Identity 'robot@contoso.com'",
            ],
        );
        is_silent_on(&run, &["Microsoft Graph (", "has expired", "is a user's"]);
        let rbac = [
            "Test-ServicePrincipalAuthorization",
            "New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter 'UserPrincipalName -eq \
             ''robot@contoso.com'''",
            "-Role 'Application SMTP.SendAsApp'",
            "SMTP.SendAsApp; then Grant admin consent",
        ];
        let classic = [
            "has the role SMTP.SendAsApp, so the permission and its consent are in order",
            "Enterprise application's, 8a1f9c0e",
            "-AccessRights FullAccess",
        ];
        match path {
            "classic" => {
                says(&run, &classic);
                is_silent_on(&run, &rbac);
            }
            _ => {
                says(&run, &rbac);
                says(&run, &["which is right with App RBAC"]);
                is_silent_on(&run, &classic);
                is_silent_on(&run, &["broken", "invalid token"]);
            }
        }
        // The order of facts.md, "Replies".
        let text = super::flat(&run);
        let order: Vec<_> = [
            "New-ServicePrincipal",
            "SMTP AUTH is switched off for",
            "too new",
            "no such mailbox",
        ]
        .map(|part| text.find(part).unwrap())
        .into();
        assert!(order.is_sorted(), "{text}");
    }
}

#[test]
fn a_token_for_graph() {
    for (_, machine) in both_paths(&Exchange::builder()) {
        let run = doctor(
            &machine,
            &["--set", "scope=https://graph.microsoft.com/.default"],
        );
        assert_eq!(run.code, 77, "{}", run.stdout);
        assert!(line(&run, "ok", "claims").contains("aud https://graph.microsoft.com"));
        says(
            &run,
            &[
                "for Microsoft Graph",
                "scope = https://outlook.office365.com/.default",
            ],
        );
        is_silent_on(&run, &["New-ServicePrincipal", "Set-CASMailbox", "too new"]);
    }
}

/// A token from elsewhere that says this of itself.
fn token(claims: &Value) -> String {
    let mut all = json!({
        "aud": "https://outlook.office365.com", "tid": "2b0b2d36-29d3-4ce1-9ab3-92e6c31c5d0e", "appid": ID,
        "oid": OBJECT_ID, "exp": 4_000_000_000_u64, "ver": "1.0",
    });
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let part = |json: String| BASE64_URL_SAFE_NO_PAD.encode(json);
    format!(
        "{}.{}.c2lnbmF0dXJl",
        part(json!({"alg": "RS256"}).to_string()),
        part(all.to_string())
    )
}

#[test]
fn tokens_that_say_themselves_what_is_wrong() {
    for (claims, verdict) in [
        (
            json!({"scp": "SMTP.Send"}),
            "the token is a user's (scp: SMTP.Send)",
        ),
        (json!({"exp": 1_600_000_000}), "the token has expired"),
        (
            json!({"aud": "https://management.azure.com"}),
            "the token is for https://management.azure.com, not for Exchange",
        ),
        (
            json!({"aud": "00000003-0000-0000-c000-000000000000"}),
            "for Microsoft Graph",
        ),
        (
            json!({"appid": "11111111-2222-3333-4444-555555555555"}),
            "are not the configured ones",
        ),
    ] {
        let machine = Machine::new();
        let file = machine.write("token", &token(&claims));
        let token = std::fs::read_to_string(file).unwrap();
        let run = doctor(&machine, &["--set", &format!("access_token={token}")]);
        assert_eq!(run.code, 77, "{}", run.stdout);
        says(&run, &[verdict]);
        is_silent_on(&run, &["New-ServicePrincipal", "Set-CASMailbox", "2. "]);
    }
}

#[test]
fn a_token_that_is_no_jwt_rules_out_nothing() {
    let builder = Exchange::builder()
        .short_token()
        .on(Step::AuthBlob, Fault::reply(UNSUCCESSFUL));
    let run = doctor(&Machine::with(builder.start()), &[]);
    line(&run, "skip", "claims");
    says(
        &run,
        &[
            "check the scope",
            "New-ServicePrincipal",
            "New-ManagementScope",
            "PUT-THE-OBJECT-ID-HERE",
        ],
    );
}

#[test]
fn no_xoauth2() {
    let run = doctor(
        &Machine::with(Exchange::builder().auth("LOGIN").start()),
        &[],
    );
    assert_eq!(run.code, 76);
    assert!(line(&run, "FAIL", "login").contains("does not offer XOAUTH2"));
}
