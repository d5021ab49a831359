//! The request to Graph, and the message that arrives.

use std::collections::BTreeSet;
use std::io;

use exosend::{
    Attachment, Cloud, Envelope, ErrorKind, Message, Session, Token, Transport, send_mail,
};

use super::note;
use crate::exchange::{Answer, ClientCertificate, Exchange};

/// The message by SMTP and by Graph, without Date and the fields that name recipients.
fn both(message: &Message) -> [String; 2] {
    let exchange = Exchange::start();
    send_mail(&exchange.account(), message).unwrap();
    send_mail(&exchange.graph_account(), message).unwrap();
    assert_eq!(exchange.settle().violations(), [""; 0]);
    let delivered = exchange.delivered();
    let to = |n: usize| delivered[n].to.iter().collect::<BTreeSet<_>>();
    assert_eq!(to(0), to(1));
    [0, 1].map(|n| {
        let text = delivered[n].text();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut kept = true;
        let head = head.split_inclusive("\r\n").filter(|line| {
            let names = ["Date:", "To:", "Cc:", "Bcc:"];
            kept = match line.starts_with([' ', '\t']) {
                true => kept,
                false => !names.iter().any(|name| line.starts_with(name)),
            };
            kept
        });
        format!("{}\r\n\r\n{body}", head.collect::<String>())
    })
}

#[test]
fn graph_is_sent_what_smtp_is_sent_but_for_recipient_fields() {
    let plain = note();
    let full = Message::new()
        .from("Backup \u{2713} <robot@contoso.com>")
        .to("Ann Other <ann@example.com>")
        .cc("\"Schmidt, J\u{f6}rg\" <j@example.com>")
        .bcc("eve@example.com")
        .reply_to("ops@contoso.com")
        .subject("\u{5831}\u{544a} ".repeat(30))
        .header("Importance", "high")
        .text("first\n.\n..dots\r\rand\u{fc}\n")
        .html("<p>\u{fc}</p>")
        .attach(Attachment::bytes(
            "a.bin",
            (0..=255).cycle().take(100_000).collect::<Vec<u8>>(),
        ));
    let hidden = Message::new().bcc("eve@example.com").subject("x");
    for message in [plain, full, hidden] {
        let [smtp, graph] = both(&message);
        assert_eq!(smtp, graph);
    }
}

#[test]
fn the_receipt_says_accepted_for_processing_and_is_not_final() {
    let exchange = Exchange::start();
    let receipt = send_mail(&exchange.graph_account(), &note()).unwrap();
    let told = receipt.to_string();
    assert!(
        told.starts_with("202 accepted for processing (request-id "),
        "{told}"
    );
    assert!(!receipt.is_final() && receipt.refused().is_empty());
    let arrived = &exchange.delivered()[0];
    assert_eq!(
        arrived.header("Message-ID").as_deref(),
        receipt.message_id()
    );
    let by_smtp = send_mail(&exchange.account(), &note()).unwrap();
    assert!(by_smtp.is_final());

    let request = &exchange.graph_requests()[0];
    assert_eq!(request.target, "/v1.0/users/robot@contoso.com/sendMail");
    let length = request.body.len().to_string();
    assert_eq!(request.header("Content-Length"), Some(&*length));
    let agent = request.header("User-Agent").unwrap();
    assert!(agent.starts_with("exosend/"), "{agent}");
}

/// Three for the token, during which the connection is made, and one for the request.
#[test]
fn a_send_without_a_token_takes_four_round_trips() {
    let exchange = Exchange::start();
    send_mail(&exchange.graph_account(), &note()).unwrap();
    // `ClientHello`; Finished with the request. TCP's is not seen.
    assert_eq!((exchange.token_flights(), exchange.graph_flights()), (2, 2));
}

/// TCP, TLS, the request; one more for each message after it, and not one for an SMTP server.
#[test]
fn a_send_with_a_kept_token_takes_three_round_trips() {
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    Token::get(&account).unwrap();
    let mut session = Session::open(&account).unwrap();
    assert_eq!(exchange.graph_flights(), 0);
    session.send(&note()).unwrap();
    assert_eq!(exchange.graph_flights() + 1, 3);
    session.send(&note()).unwrap();
    assert_eq!(exchange.graph_flights() + 1, 4);
    session.quit();
    assert_eq!(exchange.token_requests().len(), 1);
    assert_eq!(exchange.settle().transcript(), [""; 0]);
}

/// Whether or not its size is known.
#[test]
fn a_raw_message_names_the_envelope_and_ends_lines_in_crlf() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.graph_account()).unwrap();
    let body = "a\nb\r\nc\rd\r\r\n.\n..\ne";
    let text = format!(
        "From: robot@contoso.com\nTo: ann@example.com, root\nBcc: bob@example.com\nX: y\n\n{body}"
    );
    let envelope = Envelope::new("robot@contoso.com")
        .to("ann@example.com")
        .to("eve@example.com");
    let sent = "From: robot@contoso.com\r\nTo: ann@example.com\r\nBcc: eve@example.com\r\nX: y\r\nX-Exosend-To: root\r\n\
                \r\na\r\nb\r\nc\r\nd\r\n\r\n.\r\n..\r\ne\r\n";
    let size = text
        .replace("\r\n", "\n")
        .replace(['\r', '\n'], "\r\n")
        .len() as u64
        + 2;
    for envelope in [envelope.clone(), envelope.size(size)] {
        session.send_raw(&envelope, text.as_bytes()).unwrap();
        assert_eq!(exchange.delivered().pop().unwrap().text(), sent);
    }
    assert_eq!(exchange.violations(), [""; 0]);
}

#[test]
fn a_message_of_several_blocks_arrives_whole() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.graph_account()).unwrap();
    let head = "From: robot@contoso.com\r\nTo: ann@example.com\r\n\r\n";
    for length in [12_288 - head.len(), 12_287, 12_290, 40_000, 900_001] {
        let text = format!("{head}{}\r\n", "x".repeat(length - 2));
        let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
        for envelope in [envelope.clone(), envelope.size(text.len() as u64)] {
            session.send_raw(&envelope, text.as_bytes()).unwrap();
            assert!(
                exchange.delivered().pop().unwrap().text() == text,
                "{length}"
            );
        }
    }
}

#[test]
fn a_message_of_another_length_than_declared_is_not_sent() {
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let text = format!("To: ann@example.com\r\n\r\n{}\r\n", "x".repeat(50_000));
    let length = text.len() as u64;
    for size in [length - 1, length + 1, length - 20_000, length + 20_000, 5] {
        let mut session = Session::open(&account).unwrap();
        let error = session
            .send_raw(&envelope.clone().size(size), text.as_bytes())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Body, "{error}");
        assert!(error.is_permanent(), "{error}");
        session.send(&note()).unwrap();
    }
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let text = io::Read::chain(text.as_bytes(), Broken);
    let mut session = Session::open(&account).unwrap();
    let error = session
        .send_raw(&envelope.size(length + 100), text)
        .unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert!(error.is_permanent() && error.kind() == ErrorKind::Body);
    assert_eq!(exchange.delivered().len(), 5);
}

#[test]
fn a_message_that_is_too_large_is_an_error_before_the_request() {
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    let message = note().attach(Attachment::bytes("a.bin", vec![0; 3_100_000 / 78 * 57]));
    let error = send_mail(&account, &message).unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("message size: 31")
            && said.ends_with(" bytes, Microsoft Graph takes 3000000"),
        "{said}"
    );
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Input, Some("size"))
    );
    assert!(error.hint().unwrap().contains("transport = smtp"));
    let envelope = Envelope::new("robot@contoso.com")
        .to("ann@example.com")
        .size(3_100_000);
    assert_eq!(
        account.check_envelope(&envelope).unwrap_err().field(),
        Some("size")
    );
    assert_eq!(exchange.token_requests().len(), 0);

    let mut session = Session::open(&account).unwrap();
    for envelope in [
        envelope.clone(),
        Envelope::new("robot@contoso.com").to("ann@example.com"),
    ] {
        let endless = io::Read::chain(&b"To: ann@example.com\n\n"[..], io::repeat(b'x'));
        let error = session.send_raw(&envelope, endless).unwrap_err();
        assert_eq!(error.field(), Some("size"));
    }
    assert_eq!(exchange.graph_requests().len(), 0);
    // The same by SMTP.
    assert!(exchange.account().check_envelope(&envelope).is_ok());
    let fits = note().attach(Attachment::bytes("a.bin", vec![0; 2_990_000 / 78 * 57]));
    session.send(&fits).unwrap();
}

#[test]
fn a_recipient_that_the_header_cannot_name_is_an_error_before_the_request() {
    let exchange = Exchange::start();
    let mut session = Session::open(&exchange.graph_account()).unwrap();
    let envelope = Envelope::new("robot@contoso.com").to("ann@example.com");
    let error = session
        .send_raw(&envelope, &b"To: Ann Other\n\nhello\n"[..])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "message to: To: `Ann Other` is no address"
    );
    let error = session
        .send(&note().cc("j\u{f6}rg@example.com"))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Input, Some("to"))
    );
    let nobody = Envelope::new("robot@contoso.com");
    let error = session
        .send_raw(&nobody, &b"To: ann@example.com\n\n"[..])
        .unwrap_err();
    assert_eq!(error.to_string(), "message to: no recipient");
    let error = session.probe(&envelope).unwrap_err();
    assert_eq!(
        (error.kind(), error.field()),
        (ErrorKind::Input, Some("transport"))
    );
    assert_eq!(exchange.graph_requests().len(), 0);
    session.send(&note()).unwrap();
}

#[test]
fn a_disabled_smtp_auth_hints_at_graph_and_does_not_use_it() {
    let off = "AuthBlob 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let exchange = Exchange::builder().says(off).start();
    let account = exchange.account();
    let account = account.graph_endpoint(exchange.graph_endpoint());
    let error = send_mail(&account, &note()).unwrap_err();
    assert!(error.hint().unwrap().ends_with(" or transport = graph"));
    assert_eq!(exchange.graph_requests().len(), 0);
}

#[test]
fn one_cache_keeps_the_tokens_for_smtp_and_for_graph() {
    let exchange = Exchange::start();
    let cache = std::env::temp_dir().join(format!("exosend-graph-{}", std::process::id()));
    for _ in 0..2 {
        send_mail(&exchange.account().token_cache(&cache), &note()).unwrap();
        send_mail(&exchange.graph_account().token_cache(&cache), &note()).unwrap();
    }
    std::fs::remove_file(&cache).unwrap();
    let requests = exchange.token_requests();
    let scopes: Vec<_> = requests
        .iter()
        .map(|request| request.field("scope").unwrap())
        .collect();
    assert_eq!(
        scopes,
        [
            "https://outlook.office365.com/.default",
            "https://graph.microsoft.com/.default"
        ]
    );
    assert_eq!(exchange.delivered().len(), 4);
    // In memory clones of both transports do not share a token either.
    let account = exchange.graph_account();
    Token::get(&account).unwrap();
    let smtp = account
        .clone()
        .scope(exchange.scope())
        .transport(Transport::Smtp)
        .server("localhost", exchange.port());
    send_mail(&smtp, &note()).unwrap();
}

#[test]
fn a_certificate_and_a_ready_token_serve_graph() {
    let certificate = ClientCertificate::good();
    let exchange = Exchange::builder().certificate(&certificate).start();
    let account = exchange
        .graph_account()
        .client_certificate(certificate.pem());
    send_mail(&account, &note()).unwrap();
    let token = Token::get(&account).unwrap();
    let requests = exchange.token_requests().len();
    let account = exchange.graph_account().access_token(token.secret());
    send_mail(&account, &note()).unwrap();
    assert_eq!(
        (exchange.delivered().len(), exchange.token_requests().len()),
        (2, requests)
    );
}

/// Only a new token can have permissions that were granted meanwhile.
#[test]
fn a_token_without_permission_is_not_used_again() {
    let exchange = Exchange::start();
    let account = exchange.graph_account();
    exchange.on_nth_graph(
        1,
        Answer::graph(403, "ErrorAccessDenied", "Access is denied."),
    );
    assert!(send_mail(&account, &note()).unwrap_err().is_permanent());
    send_mail(&account, &note()).unwrap();
    assert_eq!(exchange.token_requests().len(), 2);
}

#[test]
fn each_cloud_has_its_own_scope() {
    let of = |cloud| {
        format!(
            "{:?}",
            exosend::Account::new("a@b.c")
                .cloud(cloud)
                .transport(Transport::Graph)
        )
    };
    for (cloud, scope) in [
        (Cloud::Worldwide, "https://graph.microsoft.com/.default"),
        (Cloud::GccHigh, "https://graph.microsoft.us/.default"),
        (Cloud::Dod, "https://dod-graph.microsoft.us/.default"),
        (
            Cloud::China,
            "https://microsoftgraph.chinacloudapi.cn/.default",
        ),
    ] {
        assert!(of(cloud).contains(scope), "{scope}");
    }
}

#[test]
fn a_graph_endpoint_that_is_no_https_origin_is_refused() {
    for endpoint in ["http://x", "https://u@x", "https://x?y", "x/v1.0", ""] {
        let account = exosend::Account::new("a@b.c")
            .access_token("t")
            .graph_endpoint(endpoint);
        assert_eq!(
            account.check().unwrap_err().field(),
            Some("graph_endpoint"),
            "{endpoint}"
        );
    }
}
