//! An error's hint, a line of a log, and the doctor say the same of the same code.

use exosend::advice::{Check, Condition, Explanation, condition, conditions, diagnose, explain};
use exosend::{Error, send_mail};

use crate::exchange::{Answer, Certificate, Exchange, note};

/// The condition of an error; `explain` finds the same hint for its line in a log.
#[track_caller]
fn condition_told(error: &Error) -> Option<Condition> {
    let found = explain(&error.to_string());
    let hint = found.first().map(Explanation::hint);
    assert_eq!(error.hint(), hint, "{error}");
    condition(error)
}

/// The doctor's advice is the error's hint in two parts, with all commands filled in.
#[track_caller]
fn assert_same_advice(check: &Check, expected: Condition) {
    let error = check.error().unwrap();
    assert_eq!(condition_told(error), Some(expected), "{error}");
    let advice = check.advice().unwrap();
    let cause = &advice.causes()[0];
    let meaning = advice.meaning().trim_end_matches('.');
    let words = format!("{meaning}: {}", cause.text());
    assert_eq!(error.hint(), Some(words.as_str()));
    assert!(
        cause
            .look()
            .chain(cause.commands())
            .all(|c| !c.contains('{')),
        "{check:#?}"
    );
}

#[test]
fn each_code_of_entra_has_its_condition() {
    let exchange = Exchange::start();
    let account = exchange.account();
    for (expected, codes) in conditions() {
        for &code in codes {
            let number = u32::try_from(code).unwrap();
            exchange.token(Answer::aadsts(
                400,
                "invalid_client",
                number,
                "What Entra says.",
            ));
            let checks = diagnose(&account, None);
            let token = checks.iter().find(|check| check.name() == "token").unwrap();
            let words = format!("AADSTS{code}: What Entra says.");
            assert!(token.detail().contains(&words), "{token:#?}");
            assert_same_advice(token, expected);
        }
    }
}

#[test]
fn a_refusal_up_to_the_recipient_has_its_condition() {
    for (reply, expected) in [
        (
            "AuthBlob 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
            Condition::SmtpAuthOff,
        ),
        (
            "AuthBlob 535 5.7.139 Authentication unsuccessful, basic authentication is disabled.",
            Condition::PasswordLogin,
        ),
        (
            "Mail 530 5.7.57 Client not authenticated to send mail.",
            Condition::NotLoggedIn,
        ),
        ("Mail 501 5.1.7 Invalid address", Condition::BadAddress),
        (
            "Mail 421 4.4.2 Message submission rate for this client has exceeded the configured limit",
            Condition::TooFast,
        ),
        (
            "Mail 432 4.3.2 Concurrent connections limit exceeded.",
            Condition::TooManyConnections,
        ),
        (
            "Rcpt 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found",
            Condition::RecipientUnknown,
        ),
    ] {
        let exchange = Exchange::builder().says(reply).start();
        let checks = diagnose(&exchange.account(), Some("ann@example.com"));
        let failed = checks.iter().find(|check| check.error().is_some());
        assert_same_advice(failed.unwrap(), expected);
    }
}

#[test]
fn a_reply_to_a_message_has_its_condition() {
    for (reply, expected) in [
        (
            "AuthBlob 535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM]",
            Condition::LoginRefused,
        ),
        (
            "Accept 430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed",
            Condition::NoMailboxAccess,
        ),
        (
            "Accept 554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com",
            Condition::SendAsDenied,
        ),
        (
            "Accept 554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
            Condition::DailyQuota,
        ),
        (
            "Accept 550 5.2.251 Sender throttled due to continuous mailbox full errors.",
            Condition::RepeatedFailure,
        ),
    ] {
        let exchange = Exchange::builder().says(reply).start();
        let error = send_mail(&exchange.account(), &note()).unwrap_err();
        assert_eq!(condition_told(&error), Some(expected), "{error}");
    }
}

#[test]
#[cfg(feature = "graph")]
fn an_answer_of_graph_has_its_condition() {
    let exchange = Exchange::start();
    for (n, (status, code, expected)) in [
        (403, "ErrorAccessDenied", Condition::GraphAccess),
        (403, "NoPermissionsInAccessToken", Condition::GraphAccess),
        (403, "ErrorSendAsDenied", Condition::SendAsDenied),
        (404, "ErrorInvalidUser", Condition::GraphMailbox),
        (404, "MailboxNotEnabledForRESTAPI", Condition::GraphMailbox),
        (401, "InvalidAuthenticationToken", Condition::GraphToken),
        (400, "ErrorMessageSizeExceeded", Condition::TooLarge),
        (429, "ApplicationThrottled", Condition::GraphThrottled),
    ]
    .into_iter()
    .enumerate()
    {
        exchange.on_nth_graph(n + 1, Answer::graph(status, code, "x"));
        let error = send_mail(&exchange.graph_account(), &note()).unwrap_err();
        assert_eq!(condition_told(&error), Some(expected), "{error}");
        let curl = format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#);
        let found = explain(&curl);
        assert_eq!(
            found.first().map(Explanation::condition),
            Some(expected),
            "{curl}"
        );
    }
    // By the status alone.
    exchange.on_nth_graph(9, Answer::status(413));
    let error = send_mail(&exchange.graph_account(), &note()).unwrap_err();
    assert_eq!(condition(&error), Some(Condition::GraphTooLarge), "{error}");
}

#[test]
fn a_failure_of_the_network_or_tls_has_its_condition() {
    let exchange = Exchange::builder().says("Accept hangs up").start();
    let error = send_mail(&exchange.account(), &note()).unwrap_err();
    assert_eq!(condition_told(&error), Some(Condition::InDoubt), "{error}");
    for (server, expected) in [
        (("127.0.0.1", 1), Condition::NobodyListens),
        (("no-such-host.invalid", 587), Condition::NameUnknown),
    ] {
        let account = exchange.account().server(server.0, server.1);
        let error = send_mail(&account, &note()).unwrap_err();
        assert_eq!(condition(&error), Some(expected), "{error}");
    }
    for (certificate, expected) in [
        (Certificate::Expired, Condition::CertificateTime),
        (Certificate::UnknownIssuer, Condition::UnknownIssuer),
        (Certificate::WrongName, Condition::OtherName),
    ] {
        let exchange = Exchange::builder().smtp_certificate(certificate).start();
        let error = send_mail(&exchange.account(), &note()).unwrap_err();
        assert_eq!(condition_told(&error), Some(expected), "{error}");
    }
}
