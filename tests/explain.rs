//! Lines that people met and posted, from many programs: each is told for what it is, and none for something else.

use exosend::{Explanation, explain};

/// What is recognised first, and a word of what is to be done.
const LINES: &[(&str, &str, &str)] = &[
    // 535 5.7.3, in the words of many programs.
    (
        "535 5.7.3 Authentication unsuccessful [AM0PR01CA0098.eurprd01.prod.exchangelabs.com 2026-03-02T10:11:12.345Z 08DC3A5B]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful [LO4P265CA0130.GBRP265.PROD.OUTLOOK.COM 2024-05-01T08:00:00.000Z 08DC6A]')",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "Error: Invalid login: 535 5.7.3 Authentication unsuccessful [FR0P281CA0123.DEUP281.PROD.OUTLOOK.COM]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "MailKit.Security.AuthenticationException: 535: 5.7.3 Authentication unsuccessful [BN9PR03CA0341.namprd03.prod.outlook.com]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "msmtp: authentication failed (method XOAUTH2)\nmsmtp: server message: 535 5.7.3 Authentication unsuccessful",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "SMTP Error: Could not authenticate. SERVER -> CLIENT: 535 5.7.3 Authentication unsuccessful [ZR0P278CA0101.CHEP278.PROD.OUTLOOK.COM]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "javax.mail.AuthenticationFailedException: 535 5.7.3 Authentication unsuccessful [PR0P264CA0113]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "curl: (67) Login denied\n< 535 5.7.3 Authentication unsuccessful",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "exosend: auth robot@contoso.com: 535 5.7.3 Authentication unsuccessful [MRXP264CA0002]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "permanent error (535): 5.7.3 Authentication unsuccessful [CH0PR03CA0109.namprd03.prod.outlook.com]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    (
        "5.7.3 Authentication unsuccessful [SYBPR01CA0041.ausprd01.prod.outlook.com]",
        "535 5.7.3",
        "New-ServicePrincipal",
    ),
    // SMTP AUTH switched off, and logins with a password.
    (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [AS4P190CA0019.EURP190.PROD.OUTLOOK.COM]",
        "535 5.7.139",
        "Set-CASMailbox",
    ),
    (
        "(535, b'5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information.')",
        "535 5.7.139",
        "Set-CASMailbox",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [DB8PR03CA0012.eurprd03.prod.outlook.com]",
        "535 5.7.139",
        "XOAUTH2",
    ),
    (
        "Invalid login: 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [YQBPR0101CA0123.CANPRD01.PROD.OUTLOOK.COM]",
        "535 5.7.139",
        "password",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator.",
        "535 5.7.139",
        "policy",
    ),
    (
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator.",
        "535 5.7.139",
        "security defaults",
    ),
    (
        "550 5.7.30 Basic authentication is not supported for Client Submission.",
        "550 5.7.30",
        "XOAUTH2",
    ),
    (
        "530 5.7.57 Client not authenticated to send mail. [VI1PR0902CA0056.eurprd09.prod.outlook.com]",
        "530 5.7.57",
        "logs in",
    ),
    (
        "SMTPSenderRefused: (530, b'5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM [AM6P195CA0054.EURP195.PROD.OUTLOOK.COM]', 'me@contoso.com')",
        "530 5.7.57",
        "logs in",
    ),
    // Behind the login.
    (
        "430 4.2.0 STOREDRV; mailbox logon failure; failed to process message due to a permanent exception with message Cannot open mailbox. MapiExceptionLogonFailed: Unable to open message store.",
        "430 4.2.0",
        "Object ID",
    ),
    (
        "554 5.2.252 SendAsDenied; robot@contoso.com not allowed to send as ops@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception",
        "554 5.2.252",
        "Add-RecipientPermission",
    ),
    (
        "lettre: permanent error (554): 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message",
        "554 5.2.0",
        "Add-RecipientPermission",
    ),
    (
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        "550 5.7.60",
        "Add-RecipientPermission",
    ),
    (
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a permanent exception",
        "554 5.2.0",
        "10,000",
    ),
    (
        "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=AM0PR04MB1234.eurprd04.prod.outlook.com]",
        "432 4.3.2",
        "one after another",
    ),
    (
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information.",
        "432 4.3.2",
        "one after another",
    ),
    (
        "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        "421 4.4.2",
        "30 messages",
    ),
    (
        "421 4.4.2 Connection dropped due to SocketError",
        "421 4.4.2",
        "idle",
    ),
    (
        "550 5.2.254 InvalidRecipientsException; Sender throttled due to continuous too many recipients errors.",
        "550 5.2.254",
        "blocked",
    ),
    (
        "550 5.2.252 Sender throttled due to continuous send as denied errors.",
        "550 5.2.252",
        "blocked",
    ),
    (
        "552 5.3.4 Message size exceeds fixed maximum message size",
        "552 5.3.4",
        "MaxSendSize",
    ),
    (
        "554 5.2.270 TextMessageTooLarge",
        "554 5.2.270",
        "attachment",
    ),
    (
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        "554 5.2.2",
        "Sent Items",
    ),
    (
        "550 5.1.8 Access denied, bad outbound sender AS(42004)",
        "550 5.1.8",
        "Restricted entities",
    ),
    (
        "550 5.7.705 Access denied, tenant has exceeded threshold",
        "550 5.7.705",
        "tenant",
    ),
    (
        "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
        "550 5.7.708",
        "tenant",
    ),
    (
        "501 5.1.7 Invalid address [AM5PR0101CA0020.eurprd01.prod.exchangelabs.com]",
        "501 5.1.7",
        "name@domain",
    ),
    (
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@contoso.com not found by SMTP address lookup",
        "550 5.1.10",
        "spelling",
    ),
    (
        "452 4.5.3 Too many recipients",
        "452",
        "too many recipients",
    ),
    (
        "451 4.7.500 Server busy. Please try again later from [192.0.2.1].",
        "451 4.7.500",
        "later",
    ),
    // High Volume Email.
    (
        "535 5.7.142 Token will expire soon",
        "535 5.7.142",
        "10 minutes",
    ),
    (
        "501 5.5.124 Malformed XOAUTH2: user address invalid",
        "501 5.5.124",
        "5.5.124",
    ),
    (
        "535 5.7.144 Invalid API permission",
        "535 5.7.144",
        "Mail.Send",
    ),
    (
        "550 5.7.240 App not allowed for account",
        "550 5.7.240",
        "Add-HVEAppAccess",
    ),
    // Entra.
    (
        "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '6731de76-14a6-49ae-97bc-6eba6914391e'.",
        "AADSTS7000215",
        "Value",
    ),
    (
        "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000222: The provided client secret keys for app are expired.\",\"error_codes\":[7000222]}",
        "AADSTS7000222",
        "expired",
    ),
    (
        "{\"error\":\"unauthorized_client\",\"error_codes\":[700016],\"timestamp\":\"2026-01-01 00:00:00Z\"}",
        "AADSTS700016",
        "client_id",
    ),
    (
        "token contoso.com: invalid_request: AADSTS90002: Tenant 'contoso.con' not found. Check to make sure you have the correct tenant ID.",
        "AADSTS90002",
        "tenant",
    ),
    (
        "AADSTS70011: The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid.",
        "AADSTS70011",
        "/.default",
    ),
    (
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application.",
        "AADSTS700027",
        "thumbprints",
    ),
    (
        "AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-05-01T10:00:00Z, expiry time of assertion 2026-05-01T09:00:00Z.",
        "AADSTS700024",
        "clock",
    ),
    (
        "AADSTS700213: No matching federated identity record found for presented assertion subject 'repo:a/b:ref:refs/heads/main'.",
        "AADSTS700213",
        "subject",
    ),
    (
        "AADSTS53003: Access has been blocked by Conditional Access policies.",
        "AADSTS53003",
        "Conditional Access",
    ),
    (
        "AADSTS7000229: The client application 6731de76 is missing service principal in the tenant 9f6d3a52. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
        "AADSTS7000229",
        "az ad sp create",
    ),
    // Before anybody has said a word.
    (
        "curl: (6) Could not resolve host: smtp.office365.com",
        "could not resolve host",
        "resolv.conf",
    ),
    (
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        "temporary failure in name resolution",
        "resolv.conf",
    ),
    (
        "Error: connect ETIMEDOUT 52.97.133.178:587",
        "etimedout",
        "firewall",
    ),
    (
        "msmtp: cannot connect to smtp.office365.com, port 587: Connection timed out",
        "connection timed out",
        "firewall",
    ),
    (
        "connect smtp.office365.com:587: timed out after 30s (timeout `connect`)",
        "(timeout `connect`)",
        "firewall",
    ),
    (
        "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1000)",
        "wrong version number",
        "587",
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
        "unable to get local issuer",
        "ca_file",
    ),
    (
        "ssl.SSLCertVerificationError: certificate verify failed: certificate has expired",
        "certificate has expired",
        "clock",
    ),
    (
        "starttls relay.example: invalid peer certificate: UnknownIssuer",
        "UnknownIssuer",
        "ca_file",
    ),
];

/// What may look like the above and is not.
const OTHERS: &[&str] = &[
    "",
    "250 2.0.0 OK <a@b> [Hostname=AM0PR01MB0001.eurprd01.prod.exchangelabs.com]",
    "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
    "535-5.7.8 Username and Password not accepted. For more information, go to 535 5.7.8 https://support.google.com/mail/?p=BadCredentials a1-20020a05 - gsmtp",
    "552 5.3.4 Message size exceeds fixed limit (in reply to end of DATA command, postfix)",
    "550 5.7.1 Message rejected due to content restrictions",
    "554 5.7.1 <ann@example.com>: Relay access denied",
    "421 4.7.0 Temporary System Problem. Try again later - gsmtp",
    "PHPMailer 5.7.3 started",
    "version 5.2.252 installed, 535 files",
    "connected to 5.7.3.1 in 535 ms",
    "AADSTS",
    "AADSTS1: unheard of",
    "error_codes",
    "error_codes:[",
    "sent 535 messages, 5 failed",
    "release 5.7.139",
    "\u{feff}535\u{a0}5.7.33",
];

fn first(line: &str) -> Explanation {
    let found = explain(line);
    found
        .first()
        .cloned()
        .unwrap_or_else(|| panic!("unknown: {line}"))
}

#[test]
fn fifty_lines_from_public_threads() {
    assert!(LINES.len() >= 50);
    for (line, seen, word) in LINES {
        let found = first(line);
        assert_eq!(found.seen(), *seen, "{line}");
        assert!(found.advice().contains(word), "{line}: {}", found.advice());
        assert!(found.page().starts_with("https://"));
    }
}

#[test]
fn what_says_nothing_of_exchange_gets_no_advice() {
    for line in OTHERS {
        assert_eq!(explain(line), [], "{line}");
    }
}

#[test]
fn the_likeliest_comes_first_and_nothing_twice() {
    let line = "535 5.7.3 Authentication unsuccessful; before: {\"error_description\":\"AADSTS7000222: expired\",\"error_codes\":[7000222]}";
    let seen: Vec<_> = explain(line).iter().map(|e| e.seen().to_owned()).collect();
    assert_eq!(seen, ["AADSTS7000222", "535 5.7.3"]);
}

/// What people search for, and find in the README under the same words.
const SEARCHED: &[&str] = &[
    "535 5.7.3 Authentication unsuccessful",
    "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant",
    "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria",
    "550 5.7.30 Basic authentication is not supported for Client Submission",
    "530 5.7.57 Client not authenticated to send mail",
    "430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed",
    "554 5.2.252 SendAsDenied; A not allowed to send as B",
    "432 4.3.2 Concurrent connections limit exceeded",
    "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
    "554 5.2.0 SubmissionQuotaExceededException",
    "550 5.2.254 Sender throttled due to continuous too many recipients errors",
    "552 5.3.4 Message size exceeds fixed maximum message size",
    "554 5.2.2 mailbox full",
    "550 5.1.8 Access denied, bad outbound sender",
    "AADSTS7000215: Invalid client secret provided",
    "AADSTS7000222: The provided client secret keys are expired",
    "AADSTS700016: Application was not found in the directory",
    "AADSTS7000229: missing service principal in the tenant",
    "AADSTS90002: Tenant not found",
    "AADSTS500011: The resource principal was not found in the tenant",
    "AADSTS70011: The provided value for the input parameter 'scope' is not valid",
    "AADSTS700027: The certificate is not registered on application",
    "AADSTS700024: Client assertion is not within its valid time range",
    "AADSTS70021: No matching federated identity record found",
    "AADSTS53003: Access has been blocked by Conditional Access policies",
    "certificate verify failed: unable to get local issuer certificate",
    "connection timed out",
];

const BEGIN: &str =
    "<!-- from the table of hints: EXOSEND_GOLDEN=write cargo test --test explain -->\n";
const END: &str = "<!-- until here -->\n";

#[test]
fn the_readme_says_the_same() {
    let mut made = String::from("\n| you see | most often |\n|---|---|\n");
    for line in SEARCHED {
        // Names in angle brackets would be taken for HTML.
        let advice = first(line).advice().replace('<', "\\<");
        made.push_str(&format!("| `{line}` | {advice} |\n"));
    }
    made.push('\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (there, after) = rest.split_once(END).unwrap();
    if std::env::var_os("EXOSEND_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(path, [before, BEGIN, &made, END, after].concat()).unwrap();
    } else {
        assert_eq!(
            there, made,
            "EXOSEND_GOLDEN=write cargo test --test explain"
        );
    }
}
