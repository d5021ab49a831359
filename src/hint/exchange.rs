//! What Exchange Online's replies mean. F§3.5; limits F§3.3, High Volume Email F§1.4.

/// A reply: SMTP code, enhanced code (`*` stands for any end), a piece of the text ("" fits all), and what to do about it.
pub(crate) struct Row(
    pub(crate) u16,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

const SEND_AS: &str = "From is not the mailbox that logged in: leave From out, or \
    Add-RecipientPermission <From> -Trustee <mailbox> -AccessRights SendAs";
const BASIC: &str =
    "this was a login with a password, which Exchange Online ends: use OAuth (XOAUTH2)";
const BUSY: &str = "the server is busy or slows this sender down: try again later, with pauses";

/// The first row that fits is taken: the particular stands before the general.
pub(crate) const REPLIES: &[Row] = &[
    Row(
        535,
        "5.7.139",
        "SmtpClientAuthentication",
        "SMTP AUTH is switched off, for OAuth too. In Exchange Online PowerShell: \
         Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false",
    ),
    Row(535, "5.7.139", "basic auth", BASIC),
    Row(
        535,
        "5.7.139",
        "",
        "the login was refused by a policy (security defaults, Conditional Access), or it was one with a password",
    ),
    Row(
        535,
        "5.7.3",
        "",
        "the token was issued, Exchange refuses it. Most often: New-ServicePrincipal was not run, or with the Object ID \
         of the app registration instead of the Enterprise application's; the mailbox is outside the scope of the role \
         assignment (App RBAC), or SMTP.SendAsApp with admin consent and FullAccess are missing (classic); the scope is \
         Graph's; the mailbox name is wrong; or the change is too new (wait up to 2 hours)",
    ),
    Row(
        530,
        "5.7.57",
        "",
        "the server does not count this connection as logged in: check that `server` is smtp.office365.com, port 587, \
         and that the program logs in at all",
    ),
    Row(
        430,
        "4.2.0",
        "",
        "the login was accepted, but the application has no access to the mailbox yet: wait an hour after \
         Add-MailboxPermission, then check that New-ServicePrincipal had the Enterprise application's Object ID",
    ),
    Row(554, "5.2.252", "", SEND_AS),
    Row(554, "5.2.0", "SendAsDenied", SEND_AS),
    Row(550, "5.7.60", "", SEND_AS),
    Row(550, "5.7.30", "", BASIC),
    // Microsoft blocks a mailbox that repeats the same failure; these name the failure.
    Row(
        550,
        "5.2.25*",
        "",
        "the mailbox is blocked for repeating the same failure (5.2.251 mailbox full, .252 not allowed to send as, .253 \
         licence, .254 too many recipients, .255 invalid recipients): stop sending, mend that, wait",
    ),
    Row(
        554,
        "5.2.0",
        "SubmissionQuotaExceeded",
        "the mailbox has sent to 10,000 recipients today: wait a day",
    ),
    Row(
        550,
        "5.1.8",
        "",
        "the mailbox may not send, most often after spam: Microsoft Defender > Email & collaboration > Restricted entities",
    ),
    Row(
        550,
        "5.7.70*",
        "",
        "the tenant has sent too much, or is too new to send: ask Microsoft's support to lift it",
    ),
    Row(
        550,
        "5.1.10",
        "",
        "this address does not exist at its domain: check its spelling",
    ),
    Row(
        501,
        "5.1.*",
        "",
        "the server does not take this address: it must be name@domain, without a display name",
    ),
    Row(
        432,
        "4.3.2",
        "",
        "more than 3 connections at once for this mailbox: send one after another",
    ),
    Row(
        421,
        "4.4.2",
        "",
        "the connection was idle for too long, or more than 30 messages a minute: connect anew, and send with pauses",
    ),
    Row(
        452,
        "",
        "recipients",
        "too many recipients for one message (500 unless raised): send several",
    ),
    Row(451, "4.7.*", "", BUSY),
    Row(
        454,
        "4.7.*",
        "",
        "the server cannot check logins just now: try again later",
    ),
    Row(
        552,
        "5.3.4",
        "",
        "the message is larger than the mailbox may send (35 MB unless raised): Set-Mailbox <mailbox> -MaxSendSize 150MB",
    ),
    Row(
        554,
        "5.2.270",
        "",
        "the text is too long: send it as an attachment",
    ),
    Row(
        554,
        "5.2.2",
        "",
        "the mailbox is full, most often of Sent Items, where each message sent is kept: delete some",
    ),
    // High Volume Email.
    Row(
        501,
        "5.5.127",
        "",
        "High Volume Email wants a token with 10 minutes left: get a fresh one",
    ),
    Row(
        501,
        "5.5.12*",
        "",
        "High Volume Email cannot read the login: check `mailbox`, which must be the account's address (5.5.124)",
    ),
    Row(
        535,
        "5.7.142",
        "",
        "High Volume Email wants a token with 10 minutes left: get a fresh one",
    ),
    Row(
        535,
        "5.7.143",
        "",
        "the token has expired: check this machine's clock (date -u)",
    ),
    Row(
        535,
        "5.7.144",
        "",
        "High Volume Email wants another permission: Office 365 Exchange Online > Application > Mail.Send, with consent",
    ),
    Row(
        550,
        "5.7.240",
        "",
        "the application may not use this High Volume Email account: Add-HVEAppAccess, then wait 5 minutes",
    ),
];
