//! Answers of Microsoft Graph: facts.md, "Graph".

use crate::hint::table::Condition;

/// For its status and the code in its body, if there is one.
pub(crate) fn of_answer(status: u16, code: &str) -> Option<Condition> {
    use Condition::*;
    of_code(code).or(match (status, code) {
        (401, _) => Some(GraphToken),
        (413, _) => Some(GraphTooLarge),
        (429 | 509, _) => Some(GraphThrottled),
        (503, _) => Some(ExchangeBusy),
        (300..=499, "") => Some(NotGraph),
        (403, _) => Some(GraphAccess),
        (404, _) => Some(GraphMailbox),
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
