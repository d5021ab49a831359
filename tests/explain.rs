//! Lines as people quote them, and what they mean. Hosts, addresses and ids are varied.

use crate::exchange;

use exchange::{Exchange, Fault, Step};
use exosend::{Explanation, Message, Token, explain, general_page, send_mail};
use proptest::prelude::*;

/// What a line says, and words of the advice or the meaning, one for each explanation in order.
const LINES: &[(&str, &[&str])] = &[
    // 535 5.7.3, in the words of each program.
    (
        "535 5.7.3 Authentication unsuccessful [AM0PR01CA0155.eurprd01.prod.outlook.com 2026-03-02T08:14:21.505Z 08DE7731A1B2C3D4]",
        &["New-ServicePrincipal"],
    ),
    (
        "smtplib.SMTPAuthenticationError: (535, b'5.7.3 Authentication unsuccessful [FR2P281CA0094.DEUP281.PROD.OUTLOOK.COM 2025-11-23T09:01:44.012Z 08DE2A0F00000001]')",
        &["New-ServicePrincipal"],
    ),
    (
        "Error: Invalid login: 535 5.7.3 Authentication unsuccessful [LO4P123CA0331.GBRP123.PROD.OUTLOOK.COM 2026-01-09T17:22:10.114Z 08DE4F00AA000002]",
        &["New-ServicePrincipal"],
    ),
    (
        "MailKit.Security.AuthenticationException: 535: 5.7.3 Authentication unsuccessful [ZR0P278CA0063.CHEP278.PROD.OUTLOOK.COM 2024-02-14T10:40:13.987Z 08DC2C00BB000003]",
        &["New-ServicePrincipal"],
    ),
    (
        "javax.mail.AuthenticationFailedException: 535 5.7.3 Authentication unsuccessful [MA1PR01CA0161.INDPRD01.PROD.OUTLOOK.COM]",
        &["New-ServicePrincipal"],
    ),
    (
        "SMTP -> ERROR: Password not accepted from server: 535 5.7.3 Authentication unsuccessful",
        &["New-ServicePrincipal"],
    ),
    (
        "2026-05-06 11:02:03 SERVER -> CLIENT: 535 5.7.3 Authentication unsuccessful [SY5P282CA0097.AUSP282.PROD.OUTLOOK.COM 2026-05-06T11:02:03.120Z 08DEAA00CC000004]",
        &["New-ServicePrincipal"],
    ),
    (
        "postfix/smtp[3112]: 4F1B2205: SASL authentication failed; server smtp.office365.com[52.97.201.50] said: 535 5.7.3 Authentication unsuccessful [AS4P189CA0032.EURP189.PROD.OUTLOOK.COM 2026-02-01T03:15:10.007Z 08DE6000DD000005]",
        &["New-ServicePrincipal"],
    ),
    (
        "msmtp: server message: 535 5.7.3 Authentication unsuccessful [BN9PR03CA0450.namprd03.prod.outlook.com 2025-09-30T12:00:00.000Z 08DDFF00EE000006]",
        &["New-ServicePrincipal"],
    ),
    (
        "< 535 5.7.3 Authentication unsuccessful [DB8PR06CA0012.eurprd06.prod.outlook.com 2026-04-01T01:02:03.004Z 08DE8E00FF000007]",
        &["New-ServicePrincipal"],
    ),
    (
        "5.7.3 Authentication unsuccessful [DB6P18901CA0015.EURP189.PROD.OUTLOOK.COM]",
        &["New-ServicePrincipal"],
    ),
    (
        "auth robot@contoso.com: 535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM 2026-11-24T09:00:00.000Z 08DE000000000000]",
        &["New-ServicePrincipal"],
    ),
    // Cut short: two candidates, the likelier first.
    (
        "SMTP Error: Could not authenticate. 535 Authentication unsuccessful",
        &["New-ServicePrincipal", "Set-CASMailbox"],
    ),
    // 535 5.7.139.
    (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. [MN2PR05CA0004.namprd05.prod.outlook.com 2023-09-12T20:59:57.214Z 08DBB276B7E699C4]",
        &["Set-CASMailbox"],
    ),
    (
        "smtplib.SMTPAuthenticationError: (535, b'5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. [PR3P192CA0011.EURP192.PROD.OUTLOOK.COM]')",
        &["Set-CASMailbox"],
    ),
    (
        "smtpclientauthentication is disabled for the tenant",
        &["Set-CASMailbox"],
    ),
    (
        " response: '535 5.7.139 Authentication unsuccessful, basic authentication is disabled. [PN0PR01CA0024.INDPRD01.PROD.OUTLOOK.COM 2025-01-26T18:54:30.055Z 08DD3DD7D75D7743]',",
        &["password"],
    ),
    (
        "SMTP ERROR: Password command failed: 535 5.7.139 Authentication unsuccessful, the user credentials were incorrect. [CP5P284CA0023.BRAP284.PROD.OUTLOOK.COM 2026-06-12T19:20:21.222Z 08DEC000A1000008]",
        &["password"],
    ),
    (
        "Net::SMTPAuthenticationError (535 5.7.139 Authentication unsuccessful, the request did not meet the criteria to be authenticated successfully. Contact your administrator. [MRXP264CA0038.FRAP264.PROD.OUTLOOK.COM])",
        &["Conditional Access"],
    ),
    (
        "535 5.7.139 Authentication unsuccessful, user is locked by your organization's security defaults policy. Contact your administrator. [SJ0PR03CA0103.namprd03.prod.outlook.com]",
        &["Conditional Access"],
    ),
    (
        "550 5.7.30 Basic authentication is not supported for Client Submission. [VI1PR0102CA0093.eurprd01.prod.exchangelabs.com]",
        &["password"],
    ),
    (
        "(504, b'5.7.4 Unrecognized authentication type [AM6PR08CA0048.eurprd08.prod.outlook.com]')",
        &["STARTTLS"],
    ),
    (
        "smtplib.SMTPNotSupportedError: SMTP AUTH extension not supported by server.",
        &["STARTTLS"],
    ),
    // MAIL and RCPT.
    (
        "System.Net.Mail.SmtpException: The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.57 Client not authenticated to send mail. [AM9P192CA0022.EURP192.PROD.OUTLOOK.COM]",
        &["nobody is logged in"],
    ),
    (
        "530 5.7.57 SMTP; Client was not authenticated to send anonymous mail during MAIL FROM [VI1PR09CA0110.eurprd09.prod.outlook.com]",
        &["nobody is logged in"],
    ),
    (
        "smtp_client: server error: 501 5.1.7 Invalid address [PA7P264CA0099.FRAP264.PROD.OUTLOOK.COM]",
        &["bare"],
    ),
    (
        "recipient <bob@example.com>: 550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@example.com not found by SMTP address lookup",
        &["spelling"],
    ),
    // After DATA.
    (
        "430 4.2.0 STOREDRV; mailbox logon failure; [BeginDiagnosticData]Cannot open mailbox /o=ExchangeLabs. MapiExceptionLogonFailed: Unable to open message store. [EndDiagnosticData] [Hostname=AM8PR05MB0001.eurprd05.prod.outlook.com]",
        &["wait an hour"],
    ),
    (
        "SMTPDataError: (554, b'5.2.252 SendAsDenied; robot@contoso.com not allowed to send as ceo@contoso.com; STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception')",
        &["Add-RecipientPermission"],
    ),
    (
        "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message Cannot submit message.",
        &["Add-RecipientPermission"],
    ),
    (
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender [HE1PR05CA0133.eurprd05.prod.outlook.com]",
        &["Add-RecipientPermission"],
    ),
    (
        "550 5.2.252 Sender throttled due to continuous send as denied errors.",
        &["stop sending"],
    ),
    (
        "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException; Failed to process message due to a permanent exception with message The message can't be submitted because the sender's submission quota was exceeded.",
        &["10,000"],
    ),
    (
        "550 5.1.8 Access denied, bad outbound sender AS(42004)",
        &["Restricted entities"],
    ),
    (
        "Remote Server returned '550 5.7.705 Access denied, tenant has exceeded threshold'",
        &["tenant"],
    ),
    (
        "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP. For more information please go to http://go.microsoft.com/fwlink/?LinkId=526655 [DM6NAM10FT0042.eop-nam10.prod.protection.outlook.com]",
        &["tenant"],
    ),
    (
        "(552, b'5.3.4 Message size exceeds fixed maximum message size [AS9PR06CA0301.eurprd06.prod.outlook.com]', 'robot@contoso.com')",
        &["MaxSendSize"],
    ),
    (
        "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        &["Sent Items"],
    ),
    // Limits.
    (
        "Error: Message failed: 432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded [Hostname=VI1PR04MB0002.eurprd04.prod.outlook.com]",
        &["3 connections"],
    ),
    (
        "432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=DB9PR08MB0003.eurprd08.prod.outlook.com]",
        &["3 connections"],
    ),
    (
        "4.4.2 was: 421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        &["30 messages"],
    ),
    (
        "421 4.4.1 Connection timed out [SN7PR04CA0117.namprd04.prod.outlook.com]",
        &["connect again"],
    ),
    (
        "451 4.7.500 Server busy. Please try again later from [203.0.113.7]. (AS77712344) [VI1EUR04FT012.eop-eur04.prod.protection.outlook.com]",
        &["wait some minutes"],
    ),
    // High Volume Email.
    ("501 5.5.127 Token will expire soon", &["10 minutes"]),
    (
        "535 5.7.144 Authentication unsuccessful, invalid API permission",
        &["Mail.Send"],
    ),
    (
        "550 5.7.240 Application is not allowed for this account",
        &["Add-HVEAppAccess"],
    ),
    // Entra.
    (
        r#"{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '6731de76-14a6-49ae-97bc-6eba6914391e'.\r\nTrace ID: 0f1e2d3c-0000-4000-8000-000000000001","error_codes":[7000215],"error_uri":"https://login.microsoftonline.com/error?code=7000215"}"#,
        &["Secret ID"],
    ),
    (
        "MSAL.Desktop.4.56.0.0.MsalServiceException: ErrorCode: invalid_client Microsoft.Identity.Client.MsalServiceException: A configuration issue is preventing authentication. Original exception: AADSTS7000222: The provided client secret keys for app '11112222-3333-4444-5555-666677778888' are expired.",
        &["has expired"],
    ),
    (
        "azure.core.exceptions.ClientAuthenticationError: Authentication failed: AADSTS700016: Application with identifier 'abcd1234-0000-4000-8000-00000000abcd' was not found in the directory 'Fabrikam'.",
        &["client_id"],
    ),
    (
        "AADSTS90002: Tenant 'contoso.onmicrosft.com' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud.",
        &["no such tenant"],
    ),
    (
        "OAuth2 error: invalid_request (AADSTS900382: Confidential Client is not supported in Cross Cloud request.)",
        &["another cloud"],
    ),
    (
        "AADSTS1002012: The provided value for scope https://outlook.office365.com/SMTP.SendAsApp is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).",
        &["/.default"],
    ),
    (
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '0F']",
        &["upload the certificate"],
    ),
    (
        "AADSTS700024: Client assertion is not within its valid time range. Current time: 2026-05-05T10:00:00.0000000Z, expiry time of assertion 2026-05-05T08:59:00.0000000Z.",
        &["clock"],
    ),
    (
        "Error: AADSTS70021: No matching federated identity record found for presented assertion. Assertion Issuer: 'https://token.actions.githubusercontent.com'. Assertion Subject: 'repo:contoso/mail:ref:refs/heads/main'.",
        &["byte for byte"],
    ),
    (
        "AADSTS7000229: The client application 0a0a0a0a-0000-4000-8000-000000000002 is missing service principal in the tenant b0b0b0b0-0000-4000-8000-000000000003. See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
        &["az ad sp create"],
    ),
    (
        "'error_codes': [53003], 'timestamp': '2026-07-01 10:00:00Z'",
        &["Conditional Access"],
    ),
    // TLS.
    (
        "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        &["issuer is unknown"],
    ),
    (
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain (_ssl.c:1006)",
        &["issuer is unknown"],
    ),
    (
        "msmtp: TLS certificate verification failed: the certificate hasn't got a known issuer",
        &["issuer is unknown"],
    ),
    (
        "Error: certificate has expired at TLSSocket.onConnectSecure { code: 'CERT_HAS_EXPIRED' }",
        &["clock"],
    ),
    (
        "starttls smtp.office365.com: invalid peer certificate: UnknownIssuer",
        &["issuer is unknown"],
    ),
    (
        "Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match certificate's altnames: Host: mail.contoso.com. is not in the cert's altnames: DNS:*.office365.com",
        &["another name"],
    ),
    (
        "SSL operation failed with code 1. OpenSSL Error messages: error:1416F086:SSL routines:tls_process_server_certificate:certificate verify failed",
        &["issuer is unknown", "clock", "another name"],
    ),
    (
        "ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1129)",
        &["587 with STARTTLS"],
    ),
    (
        "Error: 140735:error:1408F10B:SSL routines:ssl3_get_record:wrong version number command: 'CONN' host smtp.office365.com",
        &["587 with STARTTLS"],
    ),
    (
        "javax.mail.MessagingException: Could not convert socket to TLS; nested exception is: javax.net.ssl.SSLHandshakeException: No appropriate protocol (protocol is disabled or cipher suites are inappropriate)",
        &["TLS 1.2 or 1.3"],
    ),
    // The network.
    (
        "connect smtp.office365.com:587: connection refused (os error 111)",
        &["nothing listens"],
    ),
    (
        "Error: connect ETIMEDOUT 40.101.137.66:587 { code: 'ETIMEDOUT', command: 'CONN' }",
        &["firewall"],
    ),
    (
        "Error: connect ETIMEDOUT 52.97.201.34:465",
        &["587 with STARTTLS"],
    ),
    (
        "status=deferred (connect to smtp.office365.com[2603:1026:c0d:82::2]:587: Network is unreachable)",
        &["IPv6"],
    ),
    (
        "msmtp: cannot connect to smtp.office365.com, port 587: Connection timed out",
        &["firewall"],
    ),
    (
        "TimeoutError: [Errno 110] Connection timed out",
        &["firewall"],
    ),
    (
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
        &["resolv.conf"],
    ),
    (
        "curl: (6) Could not resolve host: smtp.office356.com",
        &["spelling"],
    ),
    (
        "Error: Connection timeout { code: 'ETIMEDOUT', command: 'CONN' }",
        &["firewall"],
    ),
    (
        "Error: Greeting never received at SMTPConnection._formatError (smtp-connection/index.js:784:19)",
        &["587 with STARTTLS"],
    ),
    (
        "javax.mail.MessagingException: Could not connect to SMTP host: smtp.office365.com, port: 465, response: -1",
        &["587 with STARTTLS"],
    ),
    (
        "curl: (28) Failed to connect to smtp.office365.com port 587 after 131072 ms: Couldn't connect to server",
        &["firewall"],
    ),
    // Nobody knows whether it is out.
    (
        "status=deferred (lost connection with smtp.office365.com[52.98.179.82] while sending end of data -- message may be sent more than once)",
        &["Message-ID"],
    ),
    ("accept: the server closed the connection", &["Message-ID"]),
];

#[test]
fn lines_that_people_quote() {
    assert!(LINES.len() >= 50);
    for (line, expected) in LINES {
        let found = explain(line);
        assert_eq!(found.len(), expected.len(), "{line}\n{found:#?}");
        for (explanation, words) in found.iter().zip(*expected) {
            assert!(
                explanation.hint().contains(words),
                "{line}\n{explanation:#?}"
            );
            assert!(explanation.documented().starts_with("https://"), "{line}");
            assert_eq!(
                explanation.hint(),
                format!("{}: {}", explanation.meaning(), explanation.advice())
            );
        }
    }
}

/// Other servers' lines, and what only looks like ours.
#[test]
fn what_is_not_ours_gives_nothing() {
    for line in [
        "",
        " \n",
        "535-5.7.8 Username and Password not accepted. For more information, go to https://support.google.com/mail/?p=BadCredentials d2e1a72fcca58-6f4 - gsmtp",
        "535 5.7.8 Error: authentication failed: UGFzc3dvcmQ6",
        "535 Incorrect authentication data",
        "530 5.7.0 Must issue a STARTTLS command first. 5b1f17b1804b1-42 - gsmtp",
        "System.Net.Mail.SmtpException: The SMTP server requires a secure connection or the client was not authenticated. The server response was: 5.7.0 Authentication Required",
        "454 4.7.1 <bob@example.com>: Relay access denied",
        "550 5.1.1 <bob@example.com>: Recipient address rejected: User unknown in virtual mailbox table",
        "550 5.1.8 <robot@nowhere.invalid>: Sender address rejected: Domain not found",
        "550 5.1.10 <bob@example.com>: Recipient address rejected: Domain example.com does not accept mail (nullMX)",
        "552 5.3.4 Message size exceeds fixed limit",
        "452 4.5.3 Error: too many recipients",
        "450 4.2.0 <bob@example.com>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/",
        "554 5.2.2 <bob@example.com>: Quota exceeded (mailbox for user is full)",
        "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuotaExceeded",
        "550 5.7.30 REQUIRETLS support required",
        "550 5.7.1 Unauthenticated email from contoso.com is not accepted due to domain's DMARC policy.",
        "554 5.7.1 Service unavailable; Client host [203.0.113.7] blocked using zen.spamhaus.org",
        "451 4.7.1 Greylisting in action, please come back later",
        "535 Authentication credentials invalid",
        "Failed password for root: Authentication unsuccessful",
        "mysqld 5.7.139 ready for connections on port 3306",
        "Linux version 5.7.57-535 (root@buildhost)",
        "openssl 535 5.7.3.1",
        "450 4.7.1 too fast, 5.7.3 was yesterday's build",
        "Error 110 connecting to redis.internal:6379. Connection timed out.",
        "psql: error: connection to server at \"db\" (10.0.0.5), port 5432 failed: Connection refused",
        "OSError: [Errno 111] Connection refused: http://localhost:8080/health",
        "requests.exceptions.SSLError: HTTPSConnectionPool(host='intranet', port=8443): wrong version number",
        "AADSTS: no number",
        "AADSTS1234567: something new",
        "https://login.microsoftonline.com AADSTS1234567: request timed out",
        "error_codes were 7000215 yesterday",
        "7000215",
        "250 2.0.0 OK <abc@AM0PR01MB0001.eurprd01.prod.outlook.com> [Hostname=AM0PR01MB0001.eurprd01.prod.outlook.com]",
        "220 AM0PR01CA0001.outlook.office365.com Microsoft ESMTP MAIL Service ready at Tue, 24 Nov 2026 09:00:00 +0000",
        "queue file write error",
        "imap-login: Disconnected: Connection timed out, user=<ann@outlook.com>",
        "imaplib: outlook.office365.com:993 TimeoutError: [Errno 110] Connection timed out",
        "mail-report.sh: rsync: connection timed out (110)",
        "conversation with smtp.office365.com[52.97.201.50] timed out while sending MAIL FROM",
        "smtplib.SMTPServerDisconnected: Connection unexpectedly closed: timed out",
        "\u{feff}\u{e9}535\u{e9}5.7.3\u{e9}",
    ] {
        assert_eq!(explain(line), [], "{line}");
    }
}

/// Longer numbers, other classes, and a reply that tells of a network.
#[test]
fn near_misses_are_told_apart() {
    let first = |line: &str| explain(line).first().map(|e| e.recognised().to_owned());
    for (line, expected) in [
        ("AADSTS70011: scope", "AADSTS70011"),
        ("AADSTS700112: subject", ""),
        ("AADSTS700021: iss", "AADSTS700021"),
        ("AADSTS70002: credentials", ""),
        ("AADSTS7000215 and AADSTS7000222", "AADSTS7000215"),
        ("535 5.7.3 x", "535 5.7.3"),
        ("535 5.7.31 x", ""),
        (
            "451 5.7.3 STARTTLS is required to send mail",
            "starttls is required to send mail",
        ),
        ("554 5.2.252 SendAsDenied", "554 5.2.252"),
        ("550 5.2.252 Sender throttled", "550 5.2.252"),
        ("554 5.2.25 x", ""),
        ("421 4.4.2 smtp connection timed out", "421 4.4.2"),
    ] {
        assert_eq!(first(line).unwrap_or_default(), expected, "{line}");
    }
}

#[test]
fn several_matches_in_order_of_the_line() {
    let text = "token contoso.onmicrosoft.com: invalid_client: AADSTS7000222: expired\n\
                retried: 535 5.7.3 Authentication unsuccessful\n\
                retried: 554 5.2.252 SendAsDenied";
    let found: Vec<_> = explain(text)
        .iter()
        .map(|e| e.recognised().to_owned())
        .collect();
    assert_eq!(found, ["AADSTS7000222", "535 5.7.3", "554 5.2.252"]);
}

#[test]
fn an_unknown_line_has_a_page_all_the_same() {
    assert_eq!(
        general_page("AADSTS1234567: something new"),
        "https://login.microsoftonline.com/error?code=1234567"
    );
    assert!(general_page("550 5.9.9 new").contains("authenticated-client-smtp-submission"));
}

/// What an error's hint says is what `explain` says of its text.
#[test]
fn it_never_differs_from_the_hint_of_an_error() {
    let message = Message::new().to("ann@example.com").text("x\n");
    for (step, reply) in [
        (
            Step::AuthBlob,
            "535 5.7.3 Authentication unsuccessful [AM0PR01CA0001.EURPRD01.PROD.OUTLOOK.COM]",
        ),
        (
            Step::AuthBlob,
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        ),
        (
            Step::Mail,
            "530 5.7.57 Client not authenticated to send mail.",
        ),
        (Step::Mail, "501 5.1.7 Invalid address"),
        (
            Step::Mail,
            "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
        ),
        (
            Step::Accept,
            "430 4.2.0 STOREDRV; mailbox logon failure; MapiExceptionLogonFailed",
        ),
        (
            Step::Accept,
            "554 5.2.252 SendAsDenied; a@contoso.com not allowed to send as b@contoso.com",
        ),
        (
            Step::Accept,
            "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException",
        ),
        (
            Step::Accept,
            "550 5.2.251 Sender throttled due to continuous mailbox full errors.",
        ),
        (
            Step::Accept,
            "552 5.3.4 Message size exceeds fixed maximum message size",
        ),
    ] {
        let exchange = Exchange::start();
        exchange.on(step, Fault::reply(reply));
        let error = send_mail(&exchange.account(), &message).unwrap_err();
        let found = explain(&error.to_string());
        assert_eq!(
            error.hint(),
            found.first().map(Explanation::hint),
            "{error}"
        );
        assert!(error.hint().is_some(), "{error}");
    }
    let exchange = Exchange::start();
    let error = Token::fetch(&exchange.account().client_secret("wrong")).unwrap_err();
    assert_eq!(error.hint(), Some(explain(&error.to_string())[0].hint()));
}

proptest! {
    /// Whatever is pasted: no panic, and nothing of it is repeated but numbers and words that exosend knows.
    #[test]
    fn any_text_at_all(
        pieces in proptest::collection::vec(
            prop_oneof![
                any::<String>(),
                "[ .:,'\"(#b-]{0,4}",
                "[245][0-9]{2}",
                "[245]\\.[0-9]{1,3}\\.[0-9]{1,3}",
                "(AADSTS|error_codes\":\\[)[0-9]{0,25}",
                Just("s3cret".to_owned()),
            ],
            0..12,
        )
    ) {
        let text = pieces.concat();
        for found in explain(&text) {
            prop_assert!(!found.recognised().contains("s3cret"));
            prop_assert!(!found.advice().is_empty());
        }
        prop_assert!(general_page(&text).starts_with("https://"));
    }
}
