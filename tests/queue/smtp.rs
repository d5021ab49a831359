//! `-bs`: SMTP on standard input.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::Command;

use super::harness::Queue;
use crate::exchange::Exchange;
use crate::machine::{Machine, end, finish, start};

/// The codes of the replies.
fn codes(output: &str) -> Vec<&str> {
    assert!(output.ends_with("\r\n"), "{output}");
    let lines = output.split_terminator("\r\n");
    lines
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| &line[..3])
        .collect()
}

fn run_session(queue: &Queue, client: &str) -> String {
    let run = queue.call("sendmail -bs -odb -oem -i", client);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{client}");
    run.stdout
}

#[test]
fn messages_are_queued_with_completed_headers() {
    let queue = Queue::new();
    let said = run_session(
        &queue,
        "EHLO web1\r\nMAIL FROM:<ops@example.org> SIZE=90 BODY=8BITMIME\r\nRCPT TO:<ann@example.com>\r\n\
         RCPT TO: <bob@example.com>\r\nDATA\r\nSubject: one\r\nBcc: eve@example.com\r\n\r\n..dot\r\n.. \r\nend\r\n.\r\n\
         RSET\r\nNOOP\r\nHELP\r\nVRFY ann\r\nmail from:<>\r\nrcpt to:<root>\r\ndata\r\nSubject: two\r\n\r\nx\r\n.\r\nQUIT\r\n",
    );
    let replies = "220 250 250 250 250 354 250 250 250 214 252 250 250 354 250 221";
    assert_eq!(codes(&said).join(" "), replies);
    for offered in [
        "PIPELINING",
        "SIZE 157286400",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
    ] {
        assert!(said.contains(&format!("{offered}\r\n")), "{said}");
    }
    assert!(!said.contains("AUTH") && !said.contains("STARTTLS"));
    queue.configure("local_recipient = ops@contoso.com");
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(
        (&arrived[0].to[..], &arrived[1].to[..]),
        (
            &["ann@example.com".to_owned(), "bob@example.com".into()][..],
            &["ops@contoso.com".to_owned()][..]
        )
    );
    assert!(arrived[0].text().ends_with("\r\n\r\n.dot\r\n. \r\nend\r\n"));
    assert!(!arrived[0].text().contains("eve@"));
    assert_eq!(arrived[0].header("Reply-To").unwrap(), "ops@example.org");
    let id = said
        .split("queued as ")
        .nth(1)
        .unwrap()
        .split("\r\n")
        .next()
        .unwrap();
    assert!(arrived[0].header("Message-ID").unwrap().contains(id));
}

#[test]
fn wrong_commands_are_refused_with_the_codes_of_rfc_5321() {
    let queue = Queue::new();
    for row in [
        "MAIL FROM:<a@x.org>|EHLO x|QUIT| => 220 503 250 221",
        "HELO x|RCPT TO:<a@x.org>|DATA|MAIL FROM:<a@x.org>|MAIL FROM:<a@x.org>|DATA| => 220 250 503 503 250 503 554",
        "EHLO x|MAIL FROM:<a@x.org> SIZE=157286401|MAIL FROM:<a@x.org> SIZE=x|MAIL FROM:<a@x.org> RET=HDRS| => \
         220 250 552 501 555",
        "EHLO x|MAIL a@x.org|MAIL FROM:<j\u{f6}rg@x.org>|MAIL FROM:<j\u{f6}rg@x.org> SMTPUTF8|RCPT TO:<\u{e4}nn@x.org>|\
         RCPT TO:<\u{fffd}nn@x.org>| => 220 250 501 553 250 250 501",
        "EHLO x|MAIL FROM:<a@x.org>|RCPT TO:<>|RCPT TO:<a@x.org,b@x.org>|RCPT TO:<a@x.org> NOTIFY=NEVER|\
         RCPT TO:<\u{e4}nn@x.org>| => 220 250 250 553 501 555 553",
        "EHLO x|AUTH LOGIN|STARTTLS|EXPN x|BDAT 3 LAST|XYZ| => 220 250 502 502 502 502 500",
        // A web page can make a browser send this.
        "POST / HTTP/1.1|EHLO x|MAIL FROM:<a@x.org>| => 220 421",
        // The end of input in the middle of anything.
        "EHLO x|MAIL FRO => 220 250",
        " => 220",
    ] {
        let (client, expected) = row.split_once(" => ").unwrap();
        let replies = run_session(&queue, &client.replace('|', "\r\n"));
        assert_eq!(codes(&replies).join(" "), expected, "{client}");
    }
    let long = format!("EHLO x\r\nNOOP {}\r\nQUIT\r\n", "x".repeat(100_000));
    assert_eq!(
        codes(&run_session(&queue, &long)),
        ["220", "250", "500", "221"]
    );
    let errors = format!("EHLO x\r\n{}", "XYZ\r\n".repeat(100));
    assert_eq!(codes(&run_session(&queue, &errors)).len(), 2 + 21 + 1);
    let many = format!(
        "EHLO x\r\nMAIL FROM:<>\r\n{}QUIT\r\n",
        "RCPT TO:<ann@example.com>\r\n".repeat(1030)
    );
    let replies = run_session(&queue, &many);
    let surplus = ["452"; 30];
    assert_eq!(
        codes(&replies)[1002..],
        [&["250"][..], &surplus, &["221"]].concat()
    );
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn only_crlf_dot_crlf_ends_a_message() {
    let queue = Queue::new();
    let client = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: x\r\n\r\none\n.\nMAIL FROM:<>\n\
                  RCPT TO:<eve@example.com>\nDATA\nforged\r.\r\n.\nend\r\n.\r\nQUIT\r\n";
    assert_eq!(
        codes(&run_session(&queue, client)),
        ["220", "250", "250", "250", "354", "250", "221"]
    );
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(
        (arrived.len(), &arrived[0].to[..]),
        (1, &["ann@example.com".to_owned()][..])
    );
    assert!(arrived[0].text().contains("forged"));
    // A message without an end is not taken.
    let client = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: x\r\n\r\nbody\n.\n";
    let run = queue.call("sendmail -bs", client);
    assert_eq!(codes(&run.stdout), ["220", "250", "250", "250", "354"]);
    assert_eq!((run.code, queue.waiting()), (75, 0));
}

/// As a shell script sends a text.
#[test]
fn a_client_that_greets_with_lf_ends_its_message_with_lf() {
    let queue = Queue::new();
    let client = "HELO x\nMAIL FROM:<>\nRCPT TO:<ann@example.com>\nDATA\nSubject: x\n\none\n..\n.two\n.\nQUIT\n";
    let replies = run_session(&queue, client);
    assert_eq!(
        codes(&replies),
        ["220", "250", "250", "250", "354", "250", "221"]
    );
    assert_eq!(queue.run(), 0);
    assert!(
        queue.arrived()[0]
            .text()
            .ends_with("\r\n\r\none\r\n.\r\ntwo\r\n")
    );
}

#[test]
fn a_message_that_is_too_long_is_refused_and_the_session_goes_on() {
    let queue = Queue::new();
    let mut client =
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: x\r\n\r\n"
            .to_owned();
    client.push_str(&format!("{}\r\n", "x".repeat(998)).repeat(157_400));
    client.push_str(".\r\nNOOP\r\nQUIT\r\n");
    assert_eq!(
        codes(&run_session(&queue, &client)),
        ["220", "250", "250", "250", "354", "552", "250", "221"]
    );
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn without_a_queue_the_reply_tells_the_result_of_sending() {
    for row in [
        "Quit 221 bye => 250 2.0.0 250 2.0.0 OK ",
        "Accept 451 4.7.500 Server busy => 451 4.3.0 accept: 451 4.7.500 Server busy",
        "Accept 554 5.6.0 Corrupt message content => 554 5.0.0 accept: 554 5.6.0 Corrupt",
        "Rcpt 550 5.1.10 Recipient not found => 550 5.1.1 recipient <ann@example.com>: 550 5.1.10",
        "AuthBlob 535 5.7.3 Authentication unsuccessful => 451 4.3.0 auth robot@contoso.com: 535 5.7.3",
        "Accept hangs up => 451 4.3.0 accept: ",
    ] {
        let (fault, expected) = row.split_once(" => ").unwrap();
        let machine = Machine::with(Exchange::builder().says(fault).start());
        machine.configure(&format!("log = {}", machine.path("log").display()));
        let client = "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\nQUIT\r\n";
        let run = machine.call("sendmail -bs", client);
        let reply = run.stdout.lines().rev().nth(1).unwrap();
        assert!(reply.starts_with(expected), "{reply}");
        run.exits(0);
        let log = std::fs::read_to_string(machine.path("log")).unwrap();
        assert_eq!(
            log.contains("event=possible_duplicate"),
            fault == "Accept hangs up",
            "{log}"
        );
    }
}

#[test]
fn a_client_that_sends_nothing_times_out() {
    let queue = Queue::new();
    for said in [
        "EHLO x\r\n",
        "EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n",
    ] {
        let mut command = queue.command("sendmail");
        let mut child = start(command.arg("-bs").env("QUEUE_TEST_MINUTE", "20"));
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, said.as_bytes()).unwrap();
        let run = end(child);
        drop(stdin);
        assert_eq!(
            (run.code, codes(&run.stdout).last()),
            (75, Some(&"421")),
            "{said}"
        );
    }
    assert_eq!(queue.waiting(), 0);
}

/// A pipe holds 64 KiB, so there have to be more replies than that.
#[test]
fn a_client_that_reads_nothing_times_out() {
    let queue = Queue::new();
    let mut command = queue.command("sendmail");
    let mut child = start(command.arg("-bs").env("QUEUE_TEST_MINUTE", "20"));
    let mut stdin = child.stdin.take().unwrap();
    let message = "MAIL FROM:<>\r\nRCPT TO:<a@x.org>\r\nRSET\r\nHELP\r\n";
    std::io::Write::write_all(&mut stdin, b"EHLO x\r\n").unwrap();
    while std::io::Write::write_all(&mut stdin, message.as_bytes()).is_ok() {}
    assert_eq!(child.wait().unwrap().code(), Some(75));
    assert_eq!(queue.waiting(), 0);
}

#[test]
fn a_long_session_leaves_no_zombies() {
    let queue = Queue::new();
    let mut child = start(queue.machine.command("sendmail").arg("-bs"));
    let mut stdin = child.stdin.take().unwrap();
    let mut replies = BufReader::new(child.stdout.take().unwrap());
    let mut say = |text: &str| {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    };
    say("HELO x\r\n");
    for _ in 0..4 {
        say("MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n");
        let mut reply = String::new();
        while !reply.contains("queued as") {
            reply.clear();
            replies.read_line(&mut reply).unwrap();
        }
        while queue.waiting() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let id = child.id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
    assert!(children.split_whitespace().count() <= 2, "{children}");
    say("QUIT\r\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(queue.arrived().len(), 4);
}

/// Python's smtplib over a pair of sockets, and over TCP as by a systemd socket unit.
const PYTHON: &str = r#"
import smtplib, socket, subprocess, sys, email.message

class Child(smtplib.SMTP):
    def __init__(self, stdin):
        self.pair = stdin
        super().__init__()
        self.connect("queue", 25)
    def _get_socket(self, host, port, timeout):
        ours, theirs = self.pair()
        self.child = subprocess.Popen([sys.argv[1], "-bs"], stdin=theirs, stdout=theirs)
        theirs.close()
        return ours

def unix():
    return socket.socketpair()

def tcp(host="127.0.0.1"):
    listener = socket.create_server((host, 0))
    ours = socket.create_connection(listener.getsockname())
    return ours, listener.accept()[0]

for pair in unix, tcp:
    client = Child(pair)
    code, _ = client.ehlo()
    assert code == 250 and client.has_extn("smtputf8") and client.esmtp_features["size"] == "157286400"
    message = email.message.EmailMessage()
    message["Subject"] = "Grüße " + pair.__name__
    message["From"] = "night@shop.example"
    message["To"] = "ann@example.com"
    message.set_content("größer\n.\n..dots\n" + "x" * 2000 + "\n")
    refused = client.send_message(message, to_addrs=["ann@example.com", "bob@example.com", "@nonsense"])
    assert list(refused) == ["@nonsense"], refused
    for n in range(20):
        client.sendmail("night@shop.example", "ann@example.com", b"Subject: %d\r\n\r\nx" % n)
    for wrong in [lambda: client.sendmail("a@x", ["@b", "@c"], b"x"), lambda: client.login("a", "b")]:
        try: wrong()
        except smtplib.SMTPException: pass
        else: raise AssertionError("taken")
    assert client.verify("ann")[0] == 252 and client.noop()[0] == 250
    client.quit()
    assert client.child.wait() == 0
"#;

#[test]
#[ignore = "needs Python"]
fn pythons_smtplib_queues_messages() {
    let queue = Queue::new();
    let python = std::env::var("EXOSEND_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(python);
    command
        .args(["-c", PYTHON, env!("CARGO_BIN_EXE_exosend")])
        .env("HOME", queue.machine.path("home"))
        .env("XDG_CACHE_HOME", queue.machine.path("home/.cache"))
        .env("QUEUE_TEST_CLOCK", queue.machine.path("clock"));
    let run = finish(&mut command, "");
    run.exits(0);
    assert_eq!(queue.count("drop"), 42);
    queue.configure("rate = 0");
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!(arrived.len(), 42);
    let greeting = arrived
        .iter()
        .find(|message| message.to.len() == 2)
        .unwrap();
    assert_eq!(greeting.header("Reply-To").unwrap(), "night@shop.example");
}

/// Symfony Mailer over the pipe that it opens itself, PHPMailer over TCP as by a systemd socket unit.
const PHP: &str = r#"
ini_set("include_path", "/usr/share/php");
require "Symfony/Component/Mailer/autoload.php";
require "libphp-phpmailer/autoload.php";

$transport = new Symfony\Component\Mailer\Transport\SendmailTransport($argv[1] . " -bs");
$mailer = new Symfony\Component\Mailer\Mailer($transport);
for ($n = 1; $n <= 3; $n++) {
    $mailer->send((new Symfony\Component\Mime\Email())
        ->from("night@shop.example")->to("ann@example.com")->bcc("eve@example.com")
        ->subject("Grüße Symfony $n")->text("größer\n.\n..dots\n")
        ->attach(str_repeat("x", 3000000), "big.bin"));
}
unset($mailer, $transport); // says QUIT

$mailer = new PHPMailer\PHPMailer\PHPMailer(true);
$mailer->isSMTP();
$mailer->Host = "127.0.0.1";
$mailer->Port = (int) $argv[2];
$mailer->SMTPKeepAlive = true;
$mailer->CharSet = "utf-8";
$mailer->setFrom("night@shop.example");
$mailer->addAddress("ann@example.com");
$mailer->addBCC("eve@example.com");
for ($n = 1; $n <= 3; $n++) {
    $mailer->Subject = "Grüße PHPMailer $n";
    $mailer->Body = "größer\n.\n..dots\n";
    $mailer->send();
}
$mailer->smtpClose();
"#;

#[test]
#[ignore = "needs PHP, Symfony Mailer and PHPMailer"]
fn symfony_mailer_and_phpmailer_queue_messages() {
    let queue = Queue::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let mut unit = queue.command("sendmail");
    let unit = std::thread::spawn(move || {
        let socket = || OwnedFd::from(listener.accept().unwrap().0);
        let stdin = socket();
        let stdout = stdin.try_clone().unwrap();
        unit.arg("-bs")
            .stdin(stdin)
            .stdout(stdout)
            .status()
            .unwrap()
    });
    let mut php = Command::new("/usr/bin/php");
    php.args(["-r", PHP, "--", env!("CARGO_BIN_EXE_exosend"), &port])
        .env("HOME", queue.machine.path("home"))
        .env("XDG_CACHE_HOME", queue.machine.path("home/.cache"))
        .env("QUEUE_TEST_CLOCK", queue.machine.path("clock"));
    let run = finish(&mut php, "");
    run.exits(0).out("");
    assert!(unit.join().unwrap().success());
    assert_eq!(queue.run(), 0);
    let arrived = queue.arrived();
    assert_eq!((arrived.len(), queue.waiting()), (6, 0));
    for mail in arrived {
        assert_eq!(mail.to, ["ann@example.com", "eve@example.com"]);
        let parsed = mail_parser::MessageParser::default()
            .parse(&mail.data)
            .unwrap();
        let subject = parsed.subject().unwrap();
        assert!(subject.starts_with("Gr\u{fc}\u{df}e "), "{subject}");
        assert_eq!(
            parsed
                .body_text(0)
                .unwrap()
                .trim_end()
                .replace("\r\n", "\n"),
            "gr\u{f6}\u{df}er\n.\n..dots"
        );
        assert!(!mail.text().contains("eve@"));
        assert_eq!(mail.header("Reply-To").unwrap(), "night@shop.example");
    }
}
