//! What a failure means, and what to do about it: one table for hints, `explain` and `doctor`. Advice only: nothing
//! depends on it, since Microsoft changes its texts and codes (facts.md, "AADSTS codes"); so a wrong row costs a wrong
//! hint and never a wrong decision.

/// Makes of each row a variant, its words, and the AADSTS numbers that mean it. The gate of a block of rows is its `cfg`: the
/// smallest program carries no words about what it cannot do.
macro_rules! conditions {
    ($(#[$gate:meta] {
        $($name:ident $([$($code:literal)|+])? $words:literal)+
    })+) => {
        /// What a failure is known to mean, from [`condition`](crate::advice::condition). Each is told as `what it means:
        /// what to do`, in the words of [`Error::hint`](crate::Error::hint).
        ///
        /// Advice: Microsoft changes texts and codes. What decides whether a message may be sent again is
        /// [`is_transient`](crate::Error::is_transient) and [`in_doubt`](crate::Error::in_doubt).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[cfg_attr(not(feature = "advice"), allow(unreachable_pub))]
        pub enum Condition {
            $($(#[$gate] #[doc = concat!("`` ", $words, " ``")] $name,)+)+
        }

        /// The words of each row, at compile time only: in a program an array of texts is larger than one text and its ends.
        const ROWS: &[&str] = &[$($(#[$gate] $words,)+)+];

        /// For an AADSTS number of the token endpoint.
        pub(crate) fn of_entra(code: u64) -> Option<Condition> {
            Some(match code {
                $($($(#[$gate] $($code)|+ => Condition::$name,)?)+)+
                _ => return None,
            })
        }

        /// Every condition, and the AADSTS numbers that mean it.
        #[cfg(any(test, feature = "advice"))]
        pub(crate) const ALL: &[(Condition, &[u64])] = &[
            $($(#[$gate] (Condition::$name, &[$($($code),+)?]),)+)+
        ];
    };
}

/// The words of all rows as one text, and where those of each row end.
const WORDS: &str = match std::str::from_utf8(&joined::<{ length() }>()) {
    Ok(words) => words,
    Err(_) => "",
};
static ENDS: [u16; ROWS.len()] = ends();

// Sources: facts.md, "AADSTS codes", "Replies", "After DATA", "Limits", "High Volume Email", "Server and ports".
conditions! {
#[cfg(all())] {
    SecretWrong [7_000_215]
    "the secret is wrong, most often its Secret ID was taken: copy its Value (Entra ID > App registrations > \
     Certificates & secrets), which is shown once, or make a new one"

    SecretExpired [7_000_222]
    "the secret has expired: make a new one (Entra ID > App registrations > Certificates & secrets), or use a certificate"

    NoCredential [7_000_218]
    "the request has no credential: set a client secret or a certificate"

    ApplicationUnknown [700_016 | 700_011 | 70_001]
    "the tenant does not know the application (or, with 70001, has it disabled): check `client_id` (Application ID, not \
     Object ID) and `tenant`"

    // Sign-in without a service principal has ended.
    NoServicePrincipal [7_000_229]
    "the application has no service principal in this tenant: az ad sp create --id <client_id>, then check its permission"

    ApplicationDisabled [7_000_112]
    "the application is disabled: check Entra ID > Enterprise apps > Properties > Enabled for users to sign in"

    PublicClient [700_025]
    "the application is a public client: Entra ID > App registrations > Authentication > Settings > Allow public client \
     flows: No"

    TenantUnknown [90_002]
    "there is no such tenant: check `tenant` (its id, or a domain such as contoso.onmicrosoft.com) and `cloud`"

    OtherCloud [90_038 | 900_432 | 900_382]
    "the tenant is in another cloud: set `cloud` (gcc-high, dod: login.microsoftonline.us and smtp.office365.us, \
     outlook-dod.office365.us; china: login.partner.microsoftonline.cn and smtp.partner.outlook.cn)"

    // One resource with /.default.
    ScopeWrong [70_011 | 1_002_012 | 700_022]
    "the scope is wrong: it must be exactly https://outlook.office365.com/.default (other clouds have their own)"

    ResourceUnknown [500_011 | 650_052]
    "the tenant does not know the resource: check `scope` and `cloud`, and that the tenant has Exchange Online"

    // App RBAC has no API permission to consent to.
    NoConsent [65_001 | 650_056 | 650_057 | 90_094]
    "the permission is missing or without consent: Entra ID > App registrations > API permissions > Office 365 Exchange \
     Online > SMTP.SendAsApp > Grant admin consent, or use App RBAC, which needs none"

    CertificateUnknown [700_027 | 50_012]
    "Entra does not know the certificate, or its key is another: upload it (Entra ID > App registrations > Certificates \
     & secrets), compare thumbprints, check the clock (date -u)"

    // Uploading does not help where the name is what is authorised.
    CertificateName [700_030]
    "the certificate's subject name is not authorised for the application: register the certificate itself, or add the \
     name to those that are"

    AssertionTime [700_024]
    "the assertion is too old or too new: check the clock (date -u), and that the federated token file is read anew \
     each time"

    AssertionApplication [700_021]
    "the assertion is for another application: its `iss` and `sub` must be the client ID"

    AssertionAudience [700_023]
    "the assertion is for another address: check `tenant` and `authority`, which make its `aud`"

    AssertionMalformed [50_027]
    "the assertion is malformed: check that the token file holds one JWT and nothing else"

    // Public logs name 700212, the audience, beside the others.
    NoFederatedCredential [70_021 | 700_211 | 700_212 | 700_213]
    "no federated credential fits: compare issuer, subject and audience byte for byte (Entra ID > App registrations > \
     Certificates & secrets > Federated credentials)"

    UserExpected [50_034 | 50_105]
    "a user was asked for, not an application: check that the program uses client credentials, not a user name"

    AccessBlocked [53_003 | 530_035]
    "a policy blocked the login: check Conditional Access for workload identities and security defaults (Entra ID > \
     Monitoring & health > Sign-in logs > Service principal sign-ins)"

    // The resource demands it, not the application.
    NotAssigned [501_051]
    "Exchange wants the application to have a role, and it has none: give it SMTP.SendAsApp, or Entra ID > Enterprise \
     apps > Office 365 Exchange Online > Properties > Assignment required: No"

    RequestMalformed [900_144 | 9_002_313]
    "the request is malformed: check that each field is there, and the secret percent-encoded"

    TooManyTokens [50_196 | 90_055]
    "too many token requests: keep each token for its hour (`token_cache`)"

    EntraBusy [90_033 | 90_024 | 50_033 | 90_006]
    "Entra has a temporary fault: try again in some minutes"

    NotEntra
    "what answers is not Entra: check for a proxy or a portal that wants a login, and `authority`"

    EntraUnreachable
    "Entra cannot be reached: allow outgoing TCP to port 443, or set HTTPS_PROXY \
     (http://user:password@host:port where the proxy wants a login), and check `authority`"

    NotOnAzure
    "nothing answered where Azure gives its machines an identity: check that this is one, and that an identity is \
     assigned to it"

    // AUTH. `$false`, for the switch has three states and `$null` inherits.
    SmtpAuthOff
    "SMTP AUTH is switched off, for OAuth too: Set-CASMailbox <mailbox> -SmtpClientAuthenticationDisabled $false, or \
     transport = graph"

    LoginPolicy
    "a policy refused the login, most often one with a password: let the program log in with OAuth, then check security \
     defaults, Conditional Access and authentication policies (Entra ID > Monitoring & health > Sign-in logs)"

    PasswordLogin
    "this was a login with a password, or a policy took it for one: let the program log in with OAuth (XOAUTH2), as \
     exosend does, then check authentication policies"

    LoginRefused
    "Exchange refuses the login: if it worked before, the mailbox, its licence or a permission was removed. Else most \
     often New-ServicePrincipal was not run, or had the Object ID of App registrations instead of Enterprise apps. Check \
     also Test-ServicePrincipalAuthorization <client_id> -Resource <mailbox> (App RBAC), or SMTP.SendAsApp with admin \
     consent and Add-MailboxPermission FullAccess (classic); that the token is for https://outlook.office365.com; the \
     mailbox's name; and after a change stop trying for 30 minutes, or wait 2 hours"

    // Measured with malformed tokens, mailboxes elsewhere, and outlook.office365.com.
    LoginDeferred
    "Exchange finds no server for the mailbox: wait some minutes; if it stays, check the mailbox's name, the token, and \
     that the server is smtp.office365.com"

    AuthBeforeTls
    "Exchange has AUTH LOGIN and XOAUTH2 only, and only after STARTTLS: check that the program asks for both, and that \
     the server is smtp.office365.com: *.mail.protection.outlook.com has no AUTH"

    // High Volume Email.
    TokenAtItsEnd
    "the token expires too soon (High Volume Email wants 10 minutes left): fetch a new one"

    HighVolumePermission
    "the token lacks a permission: for High Volume Email, API permissions > Office 365 Exchange Online > \
     Mail.Send > Grant admin consent"

    HighVolumeAccount
    "the application may not use this High Volume Email account: Add-HVEAppAccess <account> -AppIds \
     <its Object ID of Enterprise apps> (10 at most), then wait 5 minutes"

    HighVolumeLogin
    "High Volume Email cannot read the login: check that the mailbox is a bare address (5.5.124)"

    HighVolumeExternal
    "High Volume Email has internal recipients only: send to others from an ordinary mailbox"

    // MAIL and RCPT.
    NotLoggedIn
    "nobody is logged in on this connection: check that the program logs in before MAIL, and that the server \
     is smtp.office365.com"

    BadAddress
    "this is no address: check that it is bare (user@contoso.com), without a display name"

    RecipientUnknown
    "the recipient does not exist at its domain: check the spelling"

    TooManyRecipients
    "too many recipients for one message (500, High Volume Email 50): send several, or Set-Mailbox <mailbox> \
     -RecipientLimits 1000"

    // After DATA.
    RepeatedFailure
    "Exchange blocks the mailbox for repeating one failure (5.2.251 mailbox full, 252 SendAs, 253 licence, \
     254 too many recipients, 255 invalid recipients): stop sending, mend that one, then wait"

    NoMailboxAccess
    "logged in, but without access to the mailbox yet: wait an hour after Add-MailboxPermission, \
     then check that New-ServicePrincipal had the Enterprise application's Object ID"

    SendAsDenied
    "From is not the mailbox that logged in: leave From out, or \
     Add-RecipientPermission <From> -Trustee <mailbox> -AccessRights SendAs"

    DailyQuota
    "the mailbox (5.1.90; 10,000) or the tenant (5.7.232, 5.7.233) has reached its recipients for 24 hours: wait, and \
     check what sends so much"

    SharedDomain
    "the sender's domain is onmicrosoft.com, from which a tenant reaches 100 external recipients a day: send from a \
     domain of your own"

    SenderRestricted
    "the mailbox is blocked for spam: check what it sent, then unblock it (security.microsoft.com > Email & \
     collaboration > Review > Restricted entities)"

    BlockList
    "the tenant's own block list has the sender, a recipient or a link: security.microsoft.com > Policies & rules \
     > Threat policies > Tenant Allow/Block Lists"

    UnregisteredDomain
    "the sender's domain is not one of the tenant's: add it (admin.microsoft.com > Settings > Domains), or send \
     as the mailbox"

    TenantRefused
    "Exchange refuses the tenant (5.7.705, it sent too much) or this IP address (5.7.708), most often of a \
     new or trial tenant: ask Microsoft's support"

    TooLarge
    "the message is larger than the mailbox may send (35 MB unless raised): Set-Mailbox <mailbox> \
     -MaxSendSize 150MB"

    TextTooLong
    "the text is too long: send it as an attachment (base64)"

    MailboxFull
    "the mailbox is full, most often its Sent Items: empty them, or Set-Mailbox <mailbox> \
     -MessageCopyForSMTPClientSubmissionEnabled $false"

    // Limits.
    TooManyConnections
    "more than 3 connections at once for this mailbox: send one message after another"

    TooFast
    "more than 30 messages a minute from this mailbox: send more slowly"

    Idle
    "the connection was idle or too slow: connect again"

    ExchangeBusy
    "Exchange is busy or slows this sender down: wait some minutes, then longer each time"

    // The end of a message without an answer.
    InDoubt
    "the message may have been delivered: look for its Message-ID in the mailbox's Sent Items or the message trace \
     before you send it again"

    // The network. Exchange has port 587 (or 25) and STARTTLS, no TLS from the first byte on 465.
    Unanswered
    "nothing answers, most often because of a firewall: allow outgoing TCP to port 587 (login.microsoftonline.com: 443), \
     or set transport = graph"

    NobodyListens
    "nothing listens there: check the port (587) and the server's name, then the firewall, or set transport = graph"

    Unreachable
    "the network has no route to this address: check the routes (ip route, for an IPv6 address ip -6 route)"

    NameUnknown
    "the name does not exist: check the spelling of `server` and `authority`; where neither is set, /etc/resolv.conf and the \
     network"

    NoNameServer
    "no name server answers: check /etc/resolv.conf and the network"

    ImplicitTls
    "TLS begins at the wrong moment: Exchange Online has no port 465, use 587 with STARTTLS"

    // TLS.
    NoCommonTls
    "no common TLS: the server must speak TLS 1.2 or 1.3 with ECDHE and AES-GCM"

    CertificateTime
    "the certificate is too old or too new: check this machine's clock first (date -u)"

    UnknownIssuer
    "the certificate's issuer is unknown: check for a proxy or virus scanner that shows its own; if `server` is a private \
     one, give its root with `ca_file`; if this program is old, ca_file = /etc/ssl/certs/ca-certificates.crt"

    OtherName
    "the certificate is for another name: use the name it was made for in `server`"
}
// Microsoft Graph: facts.md, "Graph".
#[cfg(feature = "graph")] {
    GraphAccess
    "the application may not send as this mailbox by Microsoft Graph: exosend setup --graph prints the commands that let it \
     (role Application Mail.Send, scoped to the mailbox), which take 30 minutes to 2 hours"

    GraphMailbox
    "Microsoft Graph finds no such mailbox in Exchange Online: check `mailbox`, that it has a licence or is shared, and `cloud`"

    GraphToken
    "Microsoft Graph does not take the token: check `scope` (unset is right), `cloud`, and this machine's clock (date -u)"

    GraphTooLarge
    "Microsoft Graph takes messages of 3,000,000 bytes at most, some 2.2 MB of files: send a link instead, or by SMTP \
     (transport = smtp), which takes 35 MB"

    GraphThrottled
    "too many requests to Microsoft Graph, or too many at once: wait as long as it says, and send one message after another"

    NotGraph
    "what answers is not Microsoft Graph: check for a proxy or a portal that wants a login, and `graph_endpoint`"

    GraphUnreachable
    "Microsoft Graph cannot be reached: allow outgoing TCP to port 443, or set HTTPS_PROXY, and check `graph_endpoint`"
}
// A user's login: facts.md, "A user's login".
#[cfg(any(feature = "login", feature = "advice"))] {
    LoginPending [70_016]
    "nobody has entered the code yet: open the address on any device, enter the code, and confirm"

    LoginCodeUnknown [70_018 | 90_119 | 90_120]
    "Entra does not know the code, which was mistyped or is not its own: get another one by exosend login"

    LoginCodeExpired [70_019]
    "the code has expired: get another one by exosend login, and leave that running until the login is done"

    LoginDeclined [65_004]
    "the login or its consent was declined on the page: log in anew (exosend login), and accept there"

    LoginElsewhere [50_134]
    "the code was entered in another data center than the one it came from: set `tenant` to the user's own, then log in \
     anew (exosend login)"

    // The same number is an application's missing secret.
    LoginNotAllowed
    "the application may not log a user in: Entra ID > App registrations > Authentication > Settings > Allow public client \
     flows: Yes, then exosend login"

    // The same number is a policy for workload identities. Microsoft advises to block the flow.
    LoginBlocked
    "a policy blocked the login: check Conditional Access, most often the condition Authentication flows > Device code flow \
     (Entra ID > Monitoring & health > Sign-in logs), then exosend login"

    // The same numbers are an application's permission.
    LoginConsent
    "the permission to send as the user has no consent: Entra ID > App registrations > API permissions > Microsoft Graph > \
     Delegated permissions > SMTP.Send (or Mail.Send), where the tenant demands it with admin consent; then exosend login"

    LoginUnused [700_082]
    "the login was not used for 90 days and has ended: log in anew (exosend login), and let the queue's run or a crontab renew it"

    LoginRevoked [50_173]
    "the login was revoked, most often by a changed password: log in anew (exosend login)"

    LoginTooOld [70_043 | 50_076 | 50_078 | 50_079]
    "a policy wants a new login (sign-in frequency, multi-factor authentication): log in anew (exosend login)"

    LoginEnded [70_008]
    "the login has ended, expired or revoked: log in anew (exosend login)"
}
}

/// What the same number means where it is a user who logs in, and not an application.
#[cfg(any(feature = "login", feature = "advice"))]
pub(crate) fn of_user(condition: Condition) -> Option<Condition> {
    match condition {
        Condition::NoCredential => Some(Condition::LoginNotAllowed),
        Condition::AccessBlocked => Some(Condition::LoginBlocked),
        Condition::NoConsent => Some(Condition::LoginConsent),
        _ => None,
    }
}

/// `what it means: what to do`.
pub(crate) fn words(condition: Condition) -> &'static str {
    let row = condition as usize;
    let end = |row| ENDS.get(row).map(|&end| usize::from(end));
    let start = row.checked_sub(1).and_then(end).unwrap_or(0);
    let end = end(row).unwrap_or(start);
    WORDS.get(start..end).unwrap_or("")
}

/// What it means, and what to do.
#[cfg(feature = "advice")]
pub(crate) fn parts(condition: Condition) -> (&'static str, &'static str) {
    let words = words(condition);
    words.split_once(": ").unwrap_or((words, ""))
}

#[allow(clippy::indexing_slicing)] // at compile time
const fn ends() -> [u16; ROWS.len()] {
    let mut ends = [0; ROWS.len()];
    let (mut n, mut end) = (0, 0);
    while n < ends.len() {
        end += ROWS[n].len() as u16;
        ends[n] = end;
        n += 1;
    }
    ends
}

const fn length() -> usize {
    let ends = ends();
    match ends.last() {
        Some(end) => *end as usize,
        None => 0,
    }
}

#[allow(clippy::indexing_slicing)] // at compile time
const fn joined<const N: usize>() -> [u8; N] {
    let mut all = [0; N];
    let (mut row, mut n, mut at) = (0, 0, 0);
    while at < N {
        match n < ROWS[row].len() {
            true => {
                all[at] = ROWS[row].as_bytes()[n];
                (n, at) = (n + 1, at + 1);
            }
            false => (row, n) = (row + 1, 0),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `meaning: advice`, as exosend writes.
    #[test]
    fn each_hint_has_a_meaning_and_an_advice() {
        for &(condition, codes) in ALL {
            let text = words(condition);
            let (means, act) = text.split_once(": ").expect(text);
            assert!(means.len() > 10 && act.len() > 10, "{text}");
            let count = |c| means.matches(c).count();
            assert_eq!(count('('), count(')'), "cut within parentheses: {text}");
            assert!(
                !text.contains("  ") && !text.ends_with(['.', ' ']),
                "{text}"
            );
            // With App RBAC a token without roles is right.
            assert!(!text.contains("roles"), "{text}");
            for &code in codes {
                assert_eq!(of_entra(code), Some(condition), "{code}");
            }
        }
        assert_eq!(of_entra(70_002), None);
    }
}
