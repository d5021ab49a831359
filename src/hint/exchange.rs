//! Replies of Exchange Online and of High Volume Email: facts.md, "Replies", "After DATA", "Limits", "High Volume Email".

use crate::stage::Stage;

const SEND_AS: &str = "From is not the mailbox that logged in: leave From out, or \
    Add-RecipientPermission <From> -Trustee <mailbox> -AccessRights SendAs";
const PASSWORD: &str = "this was a login with a password, most often: let the program log in with OAuth (XOAUTH2), or \
    send with exosend";

pub(crate) const AUTH_AFTER_TLS: &str = "Exchange has AUTH LOGIN and XOAUTH2 only, and only after STARTTLS: check that \
    the program asks for both";

/// A reply, whole or as far as a line of a log tells it.
pub(crate) struct Seen<'a> {
    /// Known where the reply is our own; then the server is taken for Exchange.
    pub(crate) stage: Option<Stage>,
    /// 0: not told.
    pub(crate) code: u16,
    /// The enhanced status code; "": not told.
    pub(crate) status: &'a str,
    /// In lower case.
    pub(crate) text: &'a str,
}

/// The first row that fits is taken: the particular stands before the general. Codes that other servers use as well
/// need Exchange's words too.
pub(crate) fn hint(seen: &Seen<'_>) -> Option<&'static str> {
    let says = |words: &str| seen.text.contains(words);
    let exchange =
        seen.stage.is_some() || says(".outlook.") || says("office365") || says("storedrv");
    let auth = matches!(seen.stage, None | Some(Stage::Auth));
    Some(match (seen.code, seen.status) {
        // AUTH: facts.md, "Replies". `$false`, for the switch has three states and `$null` inherits.
        _ if says("smtpclientauthentication is disabled") => {
            "SMTP AUTH is switched off, for OAuth too: in Exchange Online PowerShell, Set-CASMailbox <mailbox> \
             -SmtpClientAuthenticationDisabled $false"
        }
        _ if says("did not meet the criteria") || says("security defaults policy") => {
            "a policy refused the login, most often one with a password: let the program log in with OAuth, and check \
             Conditional Access and security defaults (Entra > Sign-in logs)"
        }
        _ if says("basic authentication is") || says("user credentials were incorrect") => PASSWORD,
        (535 | 0, "5.7.3") if auth => {
            "Exchange refuses the login: most often New-ServicePrincipal was not run, or had the Object ID of App \
             registrations instead of Enterprise applications. Check also Test-ServicePrincipalAuthorization \
             <client_id> -Resource <mailbox> (App RBAC), or SMTP.SendAsApp with admin consent and \
             Add-MailboxPermission FullAccess (classic); that the token is for https://outlook.office365.com; the \
             mailbox's name; and wait: a change takes up to 2 hours"
        }
        // LOGIN and XOAUTH2, after TLS: facts.md, "Server and ports".
        (504, "5.7.4") if exchange || says("unrecognized authentication type") => AUTH_AFTER_TLS,
        // facts.md, "High Volume Email".
        (535, "5.7.142" | "5.7.143") | (501, "5.5.127") => {
            "the token is at its end (High Volume Email wants 10 minutes left): fetch a new one"
        }
        (535, "5.7.144") => {
            "the token lacks a permission: for High Volume Email, API permissions > Office 365 Exchange Online > \
             Mail.Send > Grant admin consent"
        }
        (550, "5.7.240") => {
            "the application may not use this High Volume Email account: Add-HVEAppAccess <account> -AppIds \
             <its Object ID of Enterprise applications> (10 at most), then wait 5 minutes"
        }
        (501, "5.5.121" | "5.5.122" | "5.5.123" | "5.5.124" | "5.5.125" | "5.5.126") => {
            "High Volume Email cannot read the login: check that the mailbox is a bare address (5.5.124)"
        }
        // MAIL and RCPT: facts.md, "Replies".
        (530 | 0, "5.7.57") => {
            "nobody is logged in on this connection: check that the program logs in before MAIL, and that the server \
             is smtp.office365.com"
        }
        (501, "5.1.6" | "5.1.7") => {
            "this is no address: check that it is bare (user@contoso.com), without a display name"
        }
        (550, "5.1.10") if says("not found") => {
            "the recipient does not exist at its domain: check the spelling"
        }
        (452, "4.5.3") if exchange => {
            "too many recipients for one message (500, High Volume Email 50): send several, or Set-Mailbox <mailbox> \
             -RecipientLimits 1000"
        }
        // facts.md, "After DATA". Before the rows for SendAsDenied: 550 5.2.252 may tell of it.
        (550, "5.2.251" | "5.2.252" | "5.2.253" | "5.2.254" | "5.2.255") => {
            "Exchange blocks the mailbox for repeating one failure (5.2.251 mailbox full, 252 SendAs, 253 licence, \
             254 too many recipients, 255 invalid recipients): stop sending, mend that one, then wait"
        }
        (430, "4.2.0") => NO_ACCESS,
        _ if says("mapiexceptionlogonfailed") => NO_ACCESS,
        (554 | 0, "5.2.252") | (550 | 0, "5.7.60") => SEND_AS,
        _ if says("sendasdenied") => SEND_AS,
        _ if says("submissionquotaexceeded") => {
            "the mailbox has sent to 10,000 recipients today: wait a day, and check what sends so much"
        }
        _ if says("bad outbound sender") => {
            "the mailbox is blocked for spam: check what it sent, then unblock it (Microsoft Defender > Email & \
             collaboration > Review > Restricted entities)"
        }
        (550, "5.7.705" | "5.7.708") => {
            "Exchange refuses the tenant (5.7.705, it sent too much) or this IP address (5.7.708), most often of a \
             new or trial tenant: ask Microsoft's support"
        }
        (552, "5.3.4") if exchange || says("fixed maximum") => {
            "the message is larger than the mailbox may send (35 MB unless raised): Set-Mailbox <mailbox> \
             -MaxSendSize 150MB"
        }
        (554, "5.2.270") => "the text is too long: send it as an attachment (base64)",
        (554, "5.2.2") if exchange && !says("deliver") => {
            "the mailbox is full, most often its Sent Items: empty them, or Set-Mailbox <mailbox> \
             -MessageCopyForSMTPClientSubmissionEnabled $false"
        }
        // facts.md, "Limits".
        (432, "4.3.2") => {
            "more than 3 connections at once for this mailbox: send one message after another"
        }
        (421, "4.4.2") if says("submission rate") => {
            "more than 30 messages a minute from this mailbox: send more slowly"
        }
        (421, "4.4.1" | "4.4.2") => "the connection was idle or too slow: connect again",
        (451 | 454, status) if exchange && status.starts_with("4.7.") => {
            "Exchange is busy or slows this sender down: wait some minutes, then longer each time"
        }
        _ => return None,
    })
}

const NO_ACCESS: &str = "logged in, but without access to the mailbox yet: wait an hour after Add-MailboxPermission, \
    then check that New-ServicePrincipal had the Enterprise application's Object ID";
