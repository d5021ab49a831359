//! A user's own login, by the device authorization grant, and what is kept of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exosend::{Account, Error, ErrorKind, Message, Token, login, send_mail};

use crate::credentials::child::Scratch;
use crate::exchange::{Answer, Builder, Exchange};

/// A stand-in where Ann can log in, and a folder for the file that keeps her login.
struct Desk {
    exchange: Exchange,
    scratch: Scratch,
}

impl Desk {
    fn new() -> Self {
        Self::with(Exchange::builder().logs_in("ann@contoso.com"))
    }

    fn with(builder: Builder) -> Self {
        let exchange = builder.start();
        let scratch = Scratch::new();
        Self { exchange, scratch }
    }

    /// Somebody is logged in.
    fn logged_in() -> Self {
        let desk = Self::new();
        desk.log_in().unwrap();
        desk.exchange.forget();
        desk
    }

    fn file(&self) -> PathBuf {
        self.scratch.path("login")
    }

    /// As a new process has it: nothing in memory.
    fn account(&self) -> Account {
        let exchange = &self.exchange;
        Account::new(exchange.mailbox())
            .client_id(exchange.client_id())
            .login_file(self.file())
            .server(exchange.host(), exchange.port())
            .authority(exchange.authority())
            .root_certificates(exchange.ca_pem())
    }

    fn log_in(&self) -> Result<login::Login, Error> {
        login::start(&self.account())?.wait()
    }

    fn send(&self) -> Result<(), Error> {
        let message = Message::new().to("ann@example.com").text("x");
        send_mail(&self.account(), &message).map(drop)
    }

    /// Which of the refresh tokens that Entra has given out the file has: the first is 0.
    fn kept(&self) -> usize {
        let text = fs::read_to_string(self.file()).unwrap();
        let tokens = self.exchange.refresh_tokens();
        let found = tokens.iter().position(|token| text.contains(token));
        found.expect("one of Entra's")
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_user_logs_in_and_sends() {
    let desk = Desk::new();
    let prompt = login::start(&desk.account()).unwrap();
    assert_eq!(prompt.address(), "https://microsoft.com/devicelogin");
    assert_eq!(
        (prompt.code().len(), prompt.expires_in().as_secs()),
        (9, 900)
    );
    assert!(!desk.file().exists());
    let login = prompt.wait().unwrap();
    assert_eq!(
        (login.user(), login.file()),
        ("ann@contoso.com", desk.file().as_path())
    );
    assert_eq!(
        login::kept(&desk.account()).unwrap(),
        login::kept(&desk.account()).unwrap()
    );
    assert_eq!((mode(&desk.file()), desk.scratch.names().len()), (0o600, 1));
    desk.send().unwrap();
    assert_eq!(
        desk.exchange.settle().delivered()[0].from,
        desk.exchange.mailbox()
    );
    assert_eq!(desk.exchange.violations(), [""; 0]);

    let asked = desk.exchange.token_requests();
    let targets: Vec<_> = asked
        .iter()
        .map(|request| request.target.as_str())
        .collect();
    let (code, token) = (
        "/common/oauth2/v2.0/devicecode",
        "/common/oauth2/v2.0/token",
    );
    assert_eq!(
        targets,
        [code, token, token, token],
        "a code, two polls, a renewal"
    );
    let scope = "https://outlook.office.com/SMTP.Send offline_access openid profile";
    assert_eq!(asked[0].field("scope"), Some(scope));
    assert_eq!(asked[0].form.len(), 2);
    assert_eq!(
        (asked[3].field("scope"), asked[3].form.len()),
        (Some(scope), 4)
    );
}

#[test]
fn each_token_request_renews_the_login_and_a_kept_token_does_not() {
    let desk = Desk::logged_in();
    let cached = || desk.account().token_cache(desk.scratch.path("tokens"));
    assert_eq!(desk.kept(), 0);
    let renewed = || login::kept(&cached()).unwrap().unwrap().renewed();
    let text = fs::read_to_string(desk.file()).unwrap();
    let line = text.lines().find(|line| line.starts_with("renewed "));
    fs::write(desk.file(), text.replace(line.unwrap(), "renewed 1")).unwrap();
    assert_eq!(renewed(), UNIX_EPOCH + Duration::from_secs(1));
    let before = SystemTime::now() - Duration::from_secs(1);
    Token::fetch(&cached()).unwrap();
    assert!(renewed() >= before);
    assert_eq!((desk.kept(), mode(&desk.file())), (1, 0o600));
    let message = Message::new().to("ann@example.com").text("x");
    send_mail(&cached(), &message).unwrap();
    assert_eq!(
        desk.exchange.token_requests().len(),
        1,
        "kept, and who logged in with it"
    );
    // Another user's login is another token, and none gets none, also where the one that is kept is still good.
    let text = fs::read_to_string(desk.file()).unwrap();
    fs::write(desk.file(), text.replace("user ann@", "user bob@")).unwrap();
    Token::get(&cached()).unwrap();
    assert_eq!(desk.exchange.token_requests().len(), 2);
    fs::remove_file(desk.file()).unwrap();
    assert_eq!(Token::get(&cached()).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn the_tenant_of_the_login_is_the_renewals() {
    let desk = Desk::new();
    let tenant = desk.exchange.tenant();
    login::start(&desk.account().tenant(tenant))
        .unwrap()
        .wait()
        .unwrap();
    desk.exchange.forget();
    Token::fetch(&desk.account()).unwrap();
    let asked = desk.exchange.token_requests();
    assert_eq!(asked[0].target, format!("/{tenant}/oauth2/v2.0/token"));
    for tenant in ["organizations", "consumers"] {
        login::start(&desk.account().tenant(tenant)).unwrap();
    }
    let error = login::start(&desk.account().tenant("a/b")).unwrap_err();
    assert_eq!(error.field(), Some("tenant"));
}

/// Each is the third answer: the code, a poll, and this.
#[test]
fn what_ends_a_login_leaves_the_old_one() {
    let desk = Desk::logged_in();
    let refused = |code, error: &'static str| Answer::aadsts(400, error, code, "What Entra says.");
    for (answer, hint) in [
        (refused(70_019, "expired_token"), "the code has expired"),
        (
            refused(70_018, "bad_verification_code"),
            "does not know the code",
        ),
        (Answer::oauth("authorization_declined"), "was declined"),
        (Answer::oauth("expired_token"), "the code has expired"),
        (
            refused(7_000_218, "invalid_client"),
            "Allow public client flows: Yes",
        ),
        (refused(53_003, "access_denied"), "Device code flow"),
        (refused(65_001, "invalid_grant"), "SMTP.Send"),
        (refused(90_094, "invalid_grant"), "admin consent"),
        (refused(50_134, "invalid_grant"), "another data center"),
        (Answer::html(), "is not Entra"),
        (
            Answer::redirect("https://portal.example.com/"),
            "is not Entra",
        ),
    ] {
        let prompt = login::start(&desk.account()).unwrap();
        desk.exchange.token(answer);
        let error = prompt.wait().unwrap_err();
        assert!(
            error.hint().is_some_and(|told| told.contains(hint)),
            "{error:?}"
        );
        assert!(
            error.is_permanent() && error.kind() == ErrorKind::Token,
            "{error}"
        );
        desk.exchange.answer_as_usual();
        assert_eq!((desk.kept(), desk.scratch.names().len()), (0, 1));
    }
    let endless = Answer::status(200).body(vec![b'x'; 70_000]);
    let prompt = login::start(&desk.account()).unwrap();
    desk.exchange.token(endless);
    let error = prompt.wait().unwrap_err();
    assert_eq!(
        error.to_string(),
        "token common: the answer is longer than 65536 bytes"
    );
}

#[test]
fn a_code_that_cannot_be_had() {
    for (answer, words) in [
        (Answer::html(), "a page titled \"Sign in\" instead of JSON"),
        (
            Answer::redirect("https://portal.example.com/"),
            "a redirect",
        ),
        (Answer::status(200).body("{}"), "without a code"),
        (
            Answer::status(200).body(vec![b' '; 70_000]),
            "longer than 65536 bytes",
        ),
        (Answer::cut_short(), "token"),
        (
            Answer::aadsts(400, "unauthorized_client", 700_016, "Not found."),
            "AADSTS700016",
        ),
    ] {
        let desk = Desk::with(Exchange::builder().token(answer));
        let error = login::start(&desk.account()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let plain = Exchange::start();
    let error = login::start(&plain.account()).unwrap_err();
    assert_eq!(error.field(), Some("login_file"));
    let error = login::start(&Account::new("").login_file("/proc/login")).unwrap_err();
    assert_eq!(error.field(), Some("client_id"));
}

/// The network is gone for a while, and Entra too.
#[test]
fn a_temporary_failure_is_waited_for() {
    let builder = Exchange::builder()
        .logs_in("ann@contoso.com")
        .nth_token(2, Answer::cut_short());
    let desk = Desk::with(builder);
    desk.log_in().unwrap();
    assert_eq!(desk.kept(), 0);
}

#[test]
fn what_ends_a_login_that_is_kept() {
    for (code, hint) in [
        (700_082, "not used for 90 days"),
        (70_008, "expired or revoked"),
        (50_173, "changed password"),
        (70_043, "sign-in frequency"),
        (50_076, "multi-factor"),
        (50_078, "multi-factor"),
        (50_079, "multi-factor"),
        (53_003, "Conditional Access"),
        (65_001, "no consent"),
        (90_094, "no consent"),
        (70_000, "has ended"),
    ] {
        let desk = Desk::logged_in();
        desk.exchange.end_logins(code);
        let error = desk.send().unwrap_err();
        let text =
            format!("token ann@contoso.com: invalid_grant: AADSTS{code}: The login has ended.");
        assert!(error.to_string().starts_with(&text), "{error}");
        let told = error.hint().unwrap();
        assert!(
            told.contains(hint) && told.contains("exosend login"),
            "{told}"
        );
        assert!(error.is_permanent());
        assert_eq!((desk.exchange.token_requests().len(), desk.kept()), (1, 0));
    }
}

/// A page, a redirect, too much, too little: the login stays as it is.
#[test]
fn a_renewal_that_fails_leaves_the_login() {
    for (answer, kind, passes) in [
        (Answer::html(), ErrorKind::Token, false),
        (
            Answer::redirect("https://portal.example.com/"),
            ErrorKind::Token,
            false,
        ),
        (
            Answer::status(200).body(vec![b'x'; 70_000]),
            ErrorKind::Token,
            false,
        ),
        (Answer::cut_short(), ErrorKind::Network, true),
        (
            Answer::status(503).header("Retry-After", "99"),
            ErrorKind::Token,
            true,
        ),
    ] {
        let desk = Desk::logged_in();
        desk.exchange.token(answer);
        let error = Token::fetch(&desk.account()).unwrap_err();
        assert_eq!(
            (error.kind(), error.is_transient()),
            (kind, passes),
            "{error}"
        );
        assert_eq!((desk.kept(), desk.scratch.names().len()), (0, 1));
        desk.exchange.answer_as_usual();
        desk.send().unwrap();
    }
}

#[test]
fn an_answer_without_another_refresh_token_leaves_the_old_one() {
    let desk = Desk::logged_in();
    let token = desk.exchange.issue_token();
    let body = format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#);
    desk.exchange.token(Answer::status(200).body(body));
    Token::fetch(&desk.account()).unwrap();
    assert_eq!(desk.kept(), 0);
}

#[test]
fn a_file_that_is_not_ours_alone_is_refused() {
    let desk = Desk::logged_in();
    let (file, moved) = (desk.file(), desk.scratch.path("moved"));
    let refused = || {
        let error = desk.send().unwrap_err();
        assert_eq!(
            (error.kind(), error.field()),
            (ErrorKind::Input, Some("login_file"))
        );
        let text = error.to_string();
        assert!(!text.contains("0.A"), "{text}");
        text.split_once("/login: ").unwrap().1.to_owned()
    };
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(
            refused(),
            format!("others may use it (mode {mode:o}): chmod 600")
        );
    }
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    fs::rename(&file, &moved).unwrap();
    assert_eq!(refused(), "nobody is logged in: exosend login");
    symlink(&moved, &file).unwrap();
    assert_eq!(refused(), "a symbolic link: name the file itself");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert_eq!(refused(), "not a regular file");
    fs::remove_dir(&file).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .args(["-m", "600"])
        .arg(&file)
        .status();
    assert!(fifo.unwrap().success());
    assert_eq!(refused(), "not a regular file");
    fs::remove_file(&file).unwrap();
    let write = |text: &str| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    };
    let whole = fs::read_to_string(&moved).unwrap();
    for text in [&whole[..whole.len() - 3], "exosend login 2\nend\n", ""] {
        write(text);
        assert_eq!(
            refused(),
            "it is damaged, or of another version: exosend login"
        );
    }
    write("-----BEGIN PRIVATE KEY-----\n");
    let none = "it is not a login: name a file that is not there yet";
    assert_eq!(refused(), none);
    for error in [
        login::start(&desk.account()).map(drop),
        login::end(&desk.account()).map(drop),
    ] {
        assert!(error.unwrap_err().to_string().ends_with(none));
    }
    assert!(fs::read_to_string(&file).unwrap().contains("PRIVATE"));
    let nowhere = desk.account().login_file("/proc/login");
    assert_eq!(
        login::start(&nowhere).unwrap_err().field(),
        Some("login_file")
    );
    assert_eq!(
        desk.exchange.settle().transcript(),
        [""; 0],
        "nobody was called"
    );
    assert_eq!(desk.exchange.token_requests().len(), 0);
}

/// Root may use a service's login, and leaves it to the service; nobody uses what another has put there. Where this is not
/// root's, that cannot be tried.
#[test]
fn the_file_keeps_its_owner() {
    let desk = Desk::logged_in();
    if chown(desk.file(), Some(4321), Some(4321)).is_err() {
        return;
    }
    let error = desk.send().unwrap_err().to_string();
    assert!(
        error.contains("belongs to the user with the id 4321"),
        "{error}"
    );
    chown(desk.scratch.path(""), Some(4321), Some(4321)).unwrap();
    desk.send().unwrap();
    desk.log_in().unwrap();
    let found = fs::metadata(desk.file()).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), mode(&desk.file())),
        (4321, 4321, 0o600)
    );
    assert_eq!(desk.kept(), 2);
    fs::remove_file(desk.file()).unwrap();
    desk.log_in().unwrap();
    assert_eq!(
        fs::metadata(desk.file()).unwrap().uid(),
        4321,
        "the folder's"
    );
    assert_eq!(desk.scratch.names(), ["login"]);
}

#[test]
fn many_renew_at_once() {
    let desk = Desk::logged_in();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| desk.send().unwrap());
        }
    });
    assert!(desk.kept() > 0);
    assert_eq!(desk.exchange.settle().delivered().len(), 8);
    desk.send().unwrap();
    assert_eq!(desk.kept(), desk.exchange.refresh_tokens().len() - 1);
}

#[test]
fn another_application_is_another_login() {
    let desk = Desk::logged_in();
    let other = desk
        .account()
        .client_id("8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55");
    let error = Token::fetch(&other).unwrap_err();
    assert_eq!(error.field(), Some("login_file"));
    assert!(
        error
            .to_string()
            .ends_with("`client_id` is another: exosend login"),
        "{error}"
    );
}

#[test]
fn the_end_of_a_login_removes_its_file_and_its_token() {
    let desk = Desk::logged_in();
    let cached = || desk.account().token_cache(desk.scratch.path("tokens"));
    Token::get(&cached()).unwrap();
    let token = Token::get(&cached()).unwrap();
    assert!(login::end(&cached()).unwrap());
    assert!(!login::end(&cached()).unwrap());
    assert_eq!(login::kept(&cached()).unwrap(), None);
    assert_eq!(desk.scratch.names(), ["tokens"]);
    let tokens = fs::read_to_string(desk.scratch.path("tokens")).unwrap();
    assert!(!tokens.contains(token.secret()));
}

/// The answer does not say who logged in, which SMTP has to be told.
#[test]
fn an_answer_without_a_user() {
    let desk = Desk::logged_in();
    let body =
        r#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey","refresh_token":"0.A"}"#;
    let prompt = login::start(&desk.account()).unwrap();
    desk.exchange.token(Answer::status(200).body(body));
    let error = prompt.wait().unwrap_err().to_string();
    assert_eq!(
        error,
        "token: HTTP 200 without an id_token that says who logged in"
    );
    assert_eq!(desk.kept(), 0);
}

/// By Graph it is another permission of another service.
#[cfg(feature = "graph")]
#[test]
fn a_user_sends_by_graph() {
    let desk = Desk::new();
    let account = || {
        let account = desk.account().transport(exosend::Transport::Graph);
        account.graph_endpoint(desk.exchange.graph_endpoint())
    };
    login::start(&account()).unwrap().wait().unwrap();
    let message = Message::new().to("ann@example.com").text("x");
    send_mail(&account(), &message).unwrap();
    let scope = "https://graph.microsoft.com/Mail.Send offline_access openid profile";
    for asked in [0, 3] {
        assert_eq!(
            desk.exchange.token_requests()[asked].field("scope"),
            Some(scope)
        );
    }
    assert_eq!(desk.exchange.delivered().len(), 1);
}
