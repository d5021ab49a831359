//! Answers of Microsoft Graph: facts.md, "Graph".

use crate::hint::table::Condition;

/// For its status and the code in its body.
pub(crate) fn of_answer(status: u16, code: Option<&str>) -> Option<Condition> {
    use Condition::*;
    let known = code.and_then(of_code);
    known.or(match status {
        401 => Some(GraphToken),
        403 if code.is_some() => Some(GraphAccess),
        404 if code.is_some() => Some(GraphMailbox),
        413 => Some(GraphTooLarge),
        429 | 509 => Some(GraphThrottled),
        503 => Some(ExchangeBusy),
        300..=499 if code.is_none() => Some(NotGraph),
        _ => None,
    })
}

/// For the code alone, as a line of a log has it.
pub(crate) fn of_code(code: &str) -> Option<Condition> {
    use Condition::*;
    Some(match code {
        "ErrorAccessDenied" | "NoPermissionsInAccessToken" | "Authorization_RequestDenied" => {
            GraphAccess
        }
        "ErrorSendAsDenied" => SendAsDenied,
        "ErrorInvalidUser" | "MailboxNotEnabledForRESTAPI" => GraphMailbox,
        "ErrorMessageSizeExceeded" => TooLarge,
        "InvalidAuthenticationToken" => GraphToken,
        "ApplicationThrottled" => GraphThrottled,
        _ => return None,
    })
}
