//! Replies of Exchange Online and of High Volume Email: facts.md, "Replies", "After DATA", "Limits", "High Volume Email".

use crate::hint::table::Condition;
use crate::stage::Stage;

/// The three numbers of an enhanced status code (RFC 3463).
pub(crate) type Status = [u16; 3];

/// Reads `5.7.139`; zeros for anything else.
pub(crate) fn status(text: &str) -> Status {
    let mut numbers = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}

/// A reply, whole or as far as a line of a log shows it.
pub(crate) struct Seen<'a> {
    /// Known where the reply is our own; then the server is taken for Exchange.
    pub(crate) stage: Option<Stage>,
    /// 0 if unknown.
    pub(crate) code: u16,
    /// The enhanced status code; zeros if unknown.
    pub(crate) status: Status,
    /// In lower case.
    pub(crate) text: &'a str,
}

/// The first row that fits counts, so special rows precede general ones. Codes that other servers use as well need
/// Exchange's words, too.
pub(crate) fn of_reply(seen: &Seen<'_>) -> Option<Condition> {
    use Condition::*;
    let says = |words: &str| seen.text.contains(words);
    let exchange =
        seen.stage.is_some() || says(".outlook.") || says("office365") || says("storedrv");
    let auth = matches!(seen.stage, None | Some(Stage::Auth));
    Some(match (seen.code, seen.status) {
        _ if says("smtpclientauthentication is disabled") => SmtpAuthOff,
        _ if says("did not meet the criteria") || says("security defaults policy") => LoginPolicy,
        _ if says("basic authentication is") || says("user credentials were incorrect") => {
            PasswordLogin
        }
        (535, [5, 7, 139]) => LoginPolicy,
        (535 | 0, [5, 7, 3]) if auth => LoginRefused,
        (504, [5, 7, 4]) if exchange || says("unrecognized authentication type") => AuthBeforeTls,
        (535, [5, 7, 142 | 143]) | (501, [5, 5, 127]) => TokenAtItsEnd,
        (535, [5, 7, 144]) => HighVolumePermission,
        (550, [5, 7, 240]) => HighVolumeAccount,
        (550, [5, 5, 105]) => HighVolumeExternal,
        (501, [5, 5, 121..=126]) => HighVolumeLogin,
        (530 | 0, [5, 7, 57]) | (550, [5, 7, 64]) => NotLoggedIn,
        (501, [5, 1, 6 | 7]) => BadAddress,
        (550, [5, 1, 1 | 10]) if seen.stage.is_some() => RecipientUnknown,
        (550, [5, 1, 10]) if says("not found") => RecipientUnknown,
        (452, [4, 5, 3]) if exchange => TooManyRecipients,
        // Before the rows for SendAsDenied: 550 5.2.252 may tell of it.
        (550, [5, 2, 251..=255]) => RepeatedFailure,
        (430, [4, 2, 0]) => NoMailboxAccess,
        _ if says("mapiexceptionlogonfailed") => NoMailboxAccess,
        (554 | 0, [5, 2, 252]) | (550 | 0, [5, 7, 60]) => SendAsDenied,
        _ if says("sendasdenied") => SendAsDenied,
        (550, [5, 1, 90] | [5, 7, 232 | 233]) => DailyQuota,
        _ if says("submissionquotaexceeded") || says("submission quota exceeded") => DailyQuota,
        (550, [5, 7, 236]) => SharedDomain,
        (550, [5, 1, 8]) if exchange => SenderRestricted,
        (550, [5, 7, 501..=503]) => SenderRestricted,
        (550, [5, 7, 703]) => BlockList,
        (550, [5, 7, 750]) => UnregisteredDomain,
        _ if says("bad outbound sender") => SenderRestricted,
        (550, [5, 7, 705 | 708]) => TenantRefused,
        (552, [5, 3, 4]) if exchange || says("fixed maximum") => TooLarge,
        (554, [5, 2, 270]) => TextTooLong,
        (554, [5, 2, 2]) if exchange && !says("deliver") => MailboxFull,
        (432, [4, 3, 2]) => TooManyConnections,
        (421, [4, 4, 2]) if says("submission rate") => TooFast,
        (421, [4, 4, 1 | 2]) => Idle,
        (451, [4, 7, 0]) if seen.stage == Some(Stage::Auth) || says(". prx") => LoginDeferred,
        (451 | 454, [4, 7, _]) if exchange => ExchangeBusy,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::of_own_reply;
    use crate::hint::table::ALL;
    use crate::reply::Parser;

    fn own(stage: Stage, text: &str) -> Option<Condition> {
        let reply = Parser::default().push(text.as_bytes(), false);
        of_own_reply(stage, &reply.unwrap().unwrap())
    }

    /// Each known reply of Exchange: condition, stage, words.
    const REPLIES: &str = "
        LoginRefused          auth       535 5.7.3 Authentication unsuccessful
        SmtpAuthOff           auth       535 5.7.139 x, SmtpClientAuthentication is disabled for the Tenant.
        SmtpAuthOff           auth       535 5.7.139 x, SmtpClientAuthentication is disabled for the Mailbox.
        PasswordLogin         auth       535 5.7.139 x, basic authentication is disabled.
        PasswordLogin         auth       535 5.7.139 x, the user credentials were incorrect.
        LoginPolicy           auth       535 5.7.139 x, the request did not meet the criteria to be authenticated successfully.
        LoginPolicy           auth       535 5.7.139 x, user is locked by your organization's security defaults policy.
        PasswordLogin         auth       550 5.7.30 Basic authentication is not supported for Client Submission.
        AuthBeforeTls         auth       504 5.7.4 Unrecognized authentication type
        TokenAtItsEnd         auth       535 5.7.142
        TokenAtItsEnd         auth       535 5.7.143
        TokenAtItsEnd         auth       501 5.5.127 Token will expire soon
        HighVolumePermission  auth       535 5.7.144 Invalid API permission
        HighVolumeAccount     auth       550 5.7.240 App not allowed for account
        HighVolumeExternal    recipient  550 5.5.105
        HighVolumeLogin       auth       501 5.5.121
        HighVolumeLogin       auth       501 5.5.122
        HighVolumeLogin       auth       501 5.5.123
        HighVolumeLogin       auth       501 5.5.124 User address invalid
        HighVolumeLogin       auth       501 5.5.125
        HighVolumeLogin       auth       501 5.5.126
        LoginDeferred         auth       451 4.7.0 Temporary server error. Please try again later. PRX2
        ExchangeBusy          sender     451 4.7.0 Temporary server error
        ExchangeBusy          auth       454 4.7.0 Temporary failure
        LoginPolicy           auth       535 5.7.139 words of another year
        NotLoggedIn           sender     530 5.7.57 Client not authenticated
        NotLoggedIn           recipient  550 5.7.64 TenantAttribution; Relay Access Denied
        BadAddress            sender     501 5.1.7 Invalid address
        BadAddress            recipient  501 5.1.6
        RecipientUnknown      recipient  550 5.1.10 Recipient not found
        RecipientUnknown      recipient  550 5.1.1 User unknown
        TooManyRecipients     recipient  452 4.5.3 Too many recipients
        RepeatedFailure       accept     550 5.2.251
        RepeatedFailure       accept     550 5.2.252 Sender throttled due to continuous send as denied errors.
        RepeatedFailure       accept     550 5.2.253
        RepeatedFailure       accept     550 5.2.254
        RepeatedFailure       accept     550 5.2.255
        NoMailboxAccess       accept     430 4.2.0
        SendAsDenied          accept     554 5.2.252 a not allowed to send as b
        SendAsDenied          accept     554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied
        SendAsDenied          accept     550 5.7.60
        DailyQuota            accept     554 5.2.0 STOREDRV SubmissionQuotaExceededException
        SenderRestricted      accept     550 5.1.8 Access denied, bad outbound sender
        DailyQuota            accept     550 5.2.2 Submission quota exceeded
        DailyQuota            accept     550 5.1.90
        DailyQuota            accept     550 5.7.232
        DailyQuota            accept     550 5.7.233
        SharedDomain          accept     550 5.7.236
        SenderRestricted      accept     550 5.1.8
        SenderRestricted      accept     550 5.7.501
        SenderRestricted      accept     550 5.7.502
        SenderRestricted      accept     550 5.7.503 Access denied, banned sender
        BlockList             accept     550 5.7.703
        UnregisteredDomain    accept     550 5.7.750
        TenantRefused         accept     550 5.7.705
        TenantRefused         accept     550 5.7.708
        TooLarge              accept     552 5.3.4
        TextTooLong           accept     554 5.2.270
        MailboxFull           accept     554 5.2.2 mailbox full
        TooManyConnections    sender     432 4.3.2 Concurrent connections
        TooFast               sender     421 4.4.2 Message submission rate for this client has exceeded the configured limit
        Idle                  greeting   421 4.4.2 Bye
        ExchangeBusy          accept     451 4.7.500 Server busy
    ";

    fn rows() -> impl Iterator<Item = (Condition, Stage, &'static str)> {
        use Stage::{Accept, Auth, Greeting, Recipient, Sender};
        let words = |text: &'static str| text.trim_start().split_once(' ').unwrap();
        REPLIES.trim().lines().map(move |line| {
            let (name, rest) = words(line);
            let (stage, reply) = words(rest);
            let of_name = |(condition, _): &&(Condition, _)| format!("{condition:?}") == name;
            let condition = ALL.iter().find(of_name).expect(line).0;
            let stages = [Accept, Auth, Greeting, Recipient, Sender];
            let stage = stages.into_iter().find(|known| known.to_string() == stage);
            (condition, stage.expect(line), reply.trim())
        })
    }

    #[test]
    fn each_reply_has_its_condition_and_each_condition_a_reply() {
        for (condition, stage, reply) in rows() {
            assert_eq!(own(stage, reply), Some(condition), "{reply}");
        }
        for reply in [
            "554 5.6.0 something else",
            "550 5.7.1 No",
            "535 5.7.8 no",
            "535 5.7.3 not at the login",
            "550 no",
        ] {
            assert_eq!(own(Stage::Accept, reply), None, "{reply}");
        }
        let of_no_reply = "InDoubt Unanswered NobodyListens Unreachable NameUnknown NoNameServer NotEntra EntraUnreachable \
            ImplicitTls NoCommonTls CertificateTime UnknownIssuer OtherName NotOnAzure GraphAccess GraphMailbox GraphToken \
            GraphTooLarge GraphThrottled NotGraph GraphUnreachable LoginNotAllowed LoginBlocked LoginConsent";
        for (condition, codes) in ALL {
            let told = rows().any(|(of, ..)| of == *condition);
            let name = format!("{condition:?}");
            let others = !codes.is_empty() || of_no_reply.split(' ').any(|of| of == name);
            assert!(told != others, "{condition:?}");
        }
    }
}
