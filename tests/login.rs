//! A user's own login, by the device authorization grant, and what is kept of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exosend::{Account, Error, ErrorKind, Message, Token, login, send_mail};

use crate::credentials::child::Scratch;
use crate::exchange::{Answer, Builder, Exchange};

/// A user whom the stand-in lets log in, and the folder of the file that keeps the login.
struct User {
    exchange: Exchange,
    scratch: Scratch,
}

impl User {
    fn new() -> Self {
        Self::with(Exchange::builder().logs_in("ann@contoso.com"))
    }

    fn with(builder: Builder) -> Self {
        let exchange = builder.start();
        let scratch = Scratch::new();
        Self { exchange, scratch }
    }

    fn logged_in() -> Self {
        let user = Self::new();
        user.log_in().unwrap();
        user.exchange.forget();
        user
    }

    fn file(&self) -> PathBuf {
        self.scratch.path("login")
    }

    /// As a new process has it, without a token in memory.
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
    let user = User::new();
    let prompt = login::start(&user.account()).unwrap();
    assert_eq!(prompt.address(), "https://microsoft.com/devicelogin");
    assert_eq!(
        (prompt.code().len(), prompt.expires_in().as_secs()),
        (9, 900)
    );
    assert!(!user.file().exists());
    let login = prompt.wait().unwrap();
    assert_eq!(
        (login.user(), login.file()),
        ("ann@contoso.com", user.file().as_path())
    );
    assert_eq!(
        login::kept(&user.account()).unwrap(),
        login::kept(&user.account()).unwrap()
    );
    assert_eq!((mode(&user.file()), user.scratch.names().len()), (0o600, 1));
    user.send().unwrap();
    assert_eq!(
        user.exchange.settle().delivered()[0].from,
        user.exchange.mailbox()
    );
    assert_eq!(user.exchange.violations(), [""; 0]);

    let asked = user.exchange.token_requests();
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
    let user = User::logged_in();
    let cached = || user.account().token_cache(user.scratch.path("tokens"));
    assert_eq!(user.kept(), 0);
    let renewed = || login::kept(&cached()).unwrap().unwrap().renewed();
    let text = fs::read_to_string(user.file()).unwrap();
    let line = text.lines().find(|line| line.starts_with("renewed "));
    fs::write(user.file(), text.replace(line.unwrap(), "renewed 1")).unwrap();
    assert_eq!(renewed(), UNIX_EPOCH + Duration::from_secs(1));
    let before = SystemTime::now() - Duration::from_secs(1);
    Token::fetch(&cached()).unwrap();
    assert!(renewed() >= before);
    assert_eq!((user.kept(), mode(&user.file())), (1, 0o600));
    let message = Message::new().to("ann@example.com").text("x");
    send_mail(&cached(), &message).unwrap();
    assert_eq!(
        user.exchange.token_requests().len(),
        1,
        "the kept token was used"
    );
    // Another user's login needs another token, and without a login there is none, though the kept one is still valid.
    let text = fs::read_to_string(user.file()).unwrap();
    fs::write(user.file(), text.replace("user ann@", "user bob@")).unwrap();
    Token::get(&cached()).unwrap();
    assert_eq!(user.exchange.token_requests().len(), 2);
    fs::remove_file(user.file()).unwrap();
    assert_eq!(Token::get(&cached()).unwrap_err().kind(), ErrorKind::Input);
}

#[test]
fn a_renewal_asks_the_tenant_of_the_login() {
    let user = User::new();
    let tenant = user.exchange.tenant();
    login::start(&user.account().tenant(tenant))
        .unwrap()
        .wait()
        .unwrap();
    user.exchange.forget();
    Token::fetch(&user.account()).unwrap();
    let asked = user.exchange.token_requests();
    assert_eq!(asked[0].target, format!("/{tenant}/oauth2/v2.0/token"));
    for tenant in ["organizations", "consumers"] {
        login::start(&user.account().tenant(tenant)).unwrap();
    }
    let error = login::start(&user.account().tenant("a/b")).unwrap_err();
    assert_eq!(error.field(), Some("tenant"));
}

/// Each is the third answer: the code, a poll, and this.
#[test]
fn a_login_that_fails_leaves_the_kept_one() {
    let user = User::logged_in();
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
        let prompt = login::start(&user.account()).unwrap();
        user.exchange.token(answer);
        let error = prompt.wait().unwrap_err();
        assert!(
            error.hint().is_some_and(|told| told.contains(hint)),
            "{error:?}"
        );
        assert!(
            error.is_permanent() && error.kind() == ErrorKind::Token,
            "{error}"
        );
        user.exchange.answer_as_usual();
        assert_eq!((user.kept(), user.scratch.names().len()), (0, 1));
    }
    let endless = Answer::status(200).body(vec![b'x'; 70_000]);
    let prompt = login::start(&user.account()).unwrap();
    user.exchange.token(endless);
    let error = prompt.wait().unwrap_err();
    assert_eq!(
        error.to_string(),
        "token common: the answer is longer than 65536 bytes"
    );
}

#[test]
fn a_failed_request_for_a_code_is_described() {
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
        let user = User::with(Exchange::builder().token(answer));
        let error = login::start(&user.account()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let plain = Exchange::start();
    let error = login::start(&plain.account()).unwrap_err();
    assert_eq!(error.field(), Some("login_file"));
    let error = login::start(&Account::new("").login_file("/proc/login")).unwrap_err();
    assert_eq!(error.field(), Some("client_id"));
}

#[test]
fn polling_goes_on_after_a_temporary_failure() {
    let builder = Exchange::builder()
        .logs_in("ann@contoso.com")
        .nth_token(2, Answer::cut_short());
    let user = User::with(builder);
    user.log_in().unwrap();
    assert_eq!(user.kept(), 0);
}

#[test]
fn a_refused_renewal_is_permanent_and_advises_to_log_in_again() {
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
        let user = User::logged_in();
        user.exchange.end_logins(code);
        let error = user.send().unwrap_err();
        let text =
            format!("token ann@contoso.com: invalid_grant: AADSTS{code}: The login has ended.");
        assert!(error.to_string().starts_with(&text), "{error}");
        let told = error.hint().unwrap();
        assert!(
            told.contains(hint) && told.contains("exosend login"),
            "{told}"
        );
        assert!(error.is_permanent());
        assert_eq!((user.exchange.token_requests().len(), user.kept()), (1, 0));
    }
}

#[test]
fn a_renewal_that_fails_leaves_the_kept_login() {
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
        let user = User::logged_in();
        user.exchange.token(answer);
        let error = Token::fetch(&user.account()).unwrap_err();
        assert_eq!(
            (error.kind(), error.is_transient()),
            (kind, passes),
            "{error}"
        );
        assert_eq!((user.kept(), user.scratch.names().len()), (0, 1));
        user.exchange.answer_as_usual();
        user.send().unwrap();
    }
}

#[test]
fn an_answer_without_another_refresh_token_leaves_the_old_one() {
    let user = User::logged_in();
    let token = user.exchange.issue_token();
    let body = format!(r#"{{"token_type":"Bearer","expires_in":3599,"access_token":"{token}"}}"#);
    user.exchange.token(Answer::status(200).body(body));
    Token::fetch(&user.account()).unwrap();
    assert_eq!(user.kept(), 0);
}

#[test]
fn a_login_file_that_is_unsafe_or_damaged_is_refused() {
    let user = User::logged_in();
    let (file, moved) = (user.file(), user.scratch.path("moved"));
    let refused = || {
        let error = user.send().unwrap_err();
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
        login::start(&user.account()).map(drop),
        login::end(&user.account()).map(drop),
    ] {
        assert!(error.unwrap_err().to_string().ends_with(none));
    }
    assert!(fs::read_to_string(&file).unwrap().contains("PRIVATE"));
    let nowhere = user.account().login_file("/proc/login");
    assert_eq!(
        login::start(&nowhere).unwrap_err().field(),
        Some("login_file")
    );
    assert_eq!(
        user.exchange.settle().transcript(),
        [""; 0],
        "nothing was said to the server"
    );
    assert_eq!(user.exchange.token_requests().len(), 0);
}

/// Root may use a service's login, and leaves it to the service; a file that another user has put there is refused. Only
/// root can try this.
#[test]
fn a_login_file_keeps_its_owner() {
    let user = User::logged_in();
    if chown(user.file(), Some(4321), Some(4321)).is_err() {
        return;
    }
    let error = user.send().unwrap_err().to_string();
    assert!(
        error.contains("belongs to the user with the id 4321"),
        "{error}"
    );
    chown(user.scratch.path(""), Some(4321), Some(4321)).unwrap();
    user.send().unwrap();
    user.log_in().unwrap();
    let found = fs::metadata(user.file()).unwrap();
    assert_eq!(
        (found.uid(), found.gid(), mode(&user.file())),
        (4321, 4321, 0o600)
    );
    assert_eq!(user.kept(), 2);
    fs::remove_file(user.file()).unwrap();
    user.log_in().unwrap();
    assert_eq!(
        fs::metadata(user.file()).unwrap().uid(),
        4321,
        "the folder's"
    );
    assert_eq!(user.scratch.names(), ["login"]);
}

#[test]
fn renewals_at_the_same_time_all_succeed() {
    let user = User::logged_in();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| user.send().unwrap());
        }
    });
    assert!(user.kept() > 0);
    assert_eq!(user.exchange.settle().delivered().len(), 8);
    user.send().unwrap();
    assert_eq!(user.kept(), user.exchange.refresh_tokens().len() - 1);
}

#[test]
fn another_application_cannot_use_the_login() {
    let user = User::logged_in();
    let other = user
        .account()
        .client_id("8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55");
    let error = Token::fetch(&other).unwrap_err();
    assert_eq!(error.field(), Some("login_file"));
    assert!(
        error
            .to_string()
            .contains("logged in for another `client_id`, "),
        "{error}"
    );
}

#[test]
fn the_end_of_a_login_removes_its_file_and_its_token() {
    let user = User::logged_in();
    let cached = || user.account().token_cache(user.scratch.path("tokens"));
    Token::get(&cached()).unwrap();
    let token = Token::get(&cached()).unwrap();
    assert!(login::end(&cached()).unwrap());
    assert!(!login::end(&cached()).unwrap());
    assert_eq!(login::kept(&cached()).unwrap(), None);
    assert_eq!(user.scratch.names(), ["tokens"]);
    let tokens = fs::read_to_string(user.scratch.path("tokens")).unwrap();
    assert!(!tokens.contains(token.secret()));
}

/// XOAUTH2 needs the user's name.
#[test]
fn an_answer_that_does_not_name_the_user_is_no_login() {
    let user = User::logged_in();
    let body =
        r#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey","refresh_token":"0.A"}"#;
    let prompt = login::start(&user.account()).unwrap();
    user.exchange.token(Answer::status(200).body(body));
    let error = prompt.wait().unwrap_err().to_string();
    assert_eq!(
        error,
        "token: HTTP 200 without an id_token that says who logged in"
    );
    assert_eq!(user.kept(), 0);
}

#[cfg(feature = "graph")]
#[test]
fn a_user_sends_by_graph() {
    let user = User::new();
    let account = || {
        let account = user.account().transport(exosend::Transport::Graph);
        account.graph_endpoint(user.exchange.graph_endpoint())
    };
    login::start(&account()).unwrap().wait().unwrap();
    let message = Message::new().to("ann@example.com").text("x");
    send_mail(&account(), &message).unwrap();
    let scope = "https://graph.microsoft.com/Mail.Send offline_access openid profile";
    for asked in [0, 3] {
        assert_eq!(
            user.exchange.token_requests()[asked].field("scope"),
            Some(scope)
        );
    }
    assert_eq!(user.exchange.delivered().len(), 1);
}
