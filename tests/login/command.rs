//! `exosend login`, `exosend logout`, and the commands that use the login.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use crate::exchange::{Answer, Builder, Exchange};
use crate::machine::{Machine, end, finish, start};

/// A user's account on a machine; the stand-in lets the user log in.
struct User {
    machine: Machine,
}

impl User {
    fn new() -> Self {
        Self::with(Exchange::builder().logs_in("ann@contoso.com"))
    }

    fn with(builder: Builder) -> Self {
        let user = Self {
            machine: Machine::with(builder.start()),
        };
        user.configure("");
        user
    }

    fn logged_in() -> Self {
        let user = Self::new();
        assert_eq!(user.machine.run(&["login"], "").code, 0);
        user
    }

    /// Without a tenant and a secret, and with these lines.
    fn configure(&self, more: &str) {
        let exchange = &self.machine.exchange;
        let text = format!(
            "mailbox = {}\nclient_id = {}\nserver = localhost:{}\nauthority = {}\nca_file = {}\nlog = none\ntimeout = 20\n{more}",
            exchange.mailbox(),
            exchange.client_id(),
            exchange.port(),
            exchange.authority(),
            self.machine.path("ca.pem").display(),
        );
        self.machine.write("home/.config/exosend.conf", &text);
    }

    fn file(&self) -> PathBuf {
        self.machine.path("home/.cache/exosend/login")
    }

    /// A command that asks Entra each time.
    fn fetch(&self) -> Command {
        let mut command = self.machine.command("exosend");
        command.args(["token", "--set", "token_cache=none"]);
        command
    }

    /// Which of the refresh tokens that Entra has given out the file has: the first is 0.
    fn kept(&self) -> usize {
        let text = fs::read_to_string(self.file()).unwrap();
        assert!(text.ends_with("\nend\n"), "whole: {text}");
        let tokens = self.machine.exchange.refresh_tokens();
        let found = tokens.iter().position(|token| text.contains(token));
        found.expect("one of Entra's")
    }

    /// How many of the two files there are: the login and its draft.
    fn left(&self) -> usize {
        let all = fs::read_dir(self.file().parent().unwrap()).unwrap();
        let of_login = |name: &str| name == "login" || name == "login.tmp";
        all.filter(|entry| of_login(entry.as_ref().unwrap().file_name().to_str().unwrap()))
            .count()
    }

    /// Runs a command until it has come to this place. It goes on when the returned file is removed.
    fn run_until(&self, mut command: Command, place: &str) -> (Child, PathBuf) {
        let mark = self.machine.path(&format!("mark-{place}"));
        command.env("LOGIN_TEST_STOP", format!("{place} {}", mark.display()));
        let mut child = start(&mut command);
        let begun = SystemTime::now();
        while !mark.exists() {
            let waited = begun.elapsed().unwrap();
            assert!(
                waited < Duration::from_secs(20) && child.try_wait().unwrap().is_none(),
                "{place}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        (child, mark)
    }
}

#[test]
fn a_user_logs_in_sends_and_logs_out() {
    let user = User::new();
    let run = user.machine.run(&["login"], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let (prompt, done) = run.stdout.split_once("as it is.\n").unwrap();
    let lines: Vec<_> = prompt.lines().map(str::trim).collect();
    assert_eq!(lines[2], "https://microsoft.com/devicelogin");
    assert!(
        lines[3].len() == 9 && lines[3].bytes().all(|b| b.is_ascii_alphanumeric()),
        "{prompt}"
    );
    let file = user.file();
    let mailbox = user.machine.exchange.mailbox();
    assert_eq!(
        done,
        format!(
            "ann@contoso.com is logged in: {}\nMail is from {mailbox}, for which ann@contoso.com needs the right to send as \
             it. Next: exosend doctor\n",
            file.display()
        )
    );
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let delivered = user
        .machine
        .sendmail(&["ann@example.com"], "Subject: x\n\nx\n");
    assert_eq!(delivered.from, mailbox);

    // msmtp, mutt and mbsync get the same token for an hour.
    let token = user.machine.run(&["token"], "");
    assert_eq!((token.code, token.stdout.trim().len()), (0, 2012));
    assert!(user.machine.exchange.knows(token.stdout.trim()));
    assert_eq!(user.machine.run(&["token"], "").stdout, token.stdout);

    let run = user.machine.run(&["logout"], "");
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("removed: {}\n", file.display()))
    );
    let cache = fs::read_to_string(file.with_file_name("tokens")).unwrap();
    assert!(!file.exists() && !cache.contains(token.stdout.trim()));
    let run = user.machine.run(&["logout"], "");
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("nobody was logged in: {}\n", file.display()))
    );
    assert_eq!(user.machine.run(&["token"], "").code, 78);
}

#[test]
fn login_prints_json_and_the_next_step() {
    let user = User::new();
    let run = user.machine.run(&["login", "--json"], "");
    let objects: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(
        objects[0]["verification_uri"],
        "https://microsoft.com/devicelogin"
    );
    assert_eq!(objects[0]["expires_in"], 900);
    assert_eq!(objects[1]["user"], "ann@contoso.com");
    assert_eq!(objects[1]["login_file"], user.file().to_str().unwrap());
    // Another credential is configured: the login counts once it is named.
    user.machine.configure("");
    let run = user.machine.run(&["login"], "");
    let next = format!(
        "Next: login_file = {} in the place of client_secret (",
        user.file().display()
    );
    assert!(run.stdout.contains(&next), "{}", run.stdout);
    let own = user.machine.path("own/login");
    user.configure(&format!("login_file = {}\n", own.display()));
    let run = user
        .machine
        .run(&["login", "--tenant", "contoso.onmicrosoft.com"], "");
    assert!(run.code == 0 && own.exists(), "{run:?}");
    let asked = user.machine.exchange.token_requests();
    let last = &asked.last().unwrap().target;
    assert_eq!(last, "/contoso.onmicrosoft.com/oauth2/v2.0/token");
}

#[test]
fn a_login_that_cannot_succeed_ends_with_its_exit_code_and_leaves_the_file() {
    let user = User::logged_in();
    let before = fs::read_to_string(user.file()).unwrap();
    let refused = Answer::aadsts(
        400,
        "invalid_client",
        7_000_218,
        "The request body must contain a secret.",
    );
    user.machine.exchange.token(refused);
    let run = user.machine.run(&["login"], "");
    assert_eq!((run.code, run.stdout.as_str()), (77, ""));
    assert!(
        run.stderr
            .contains("hint: the application may not log a user in"),
        "{}",
        run.stderr
    );
    user.machine.exchange.answer_as_usual();
    user.machine.ends(
        "",
        &[
            "login --tenant => 64 missing argument",
            "login ann@contoso.com => 64 unexpected argument",
            "logout --tenant x => 64 invalid option",
            "login --tenant a/b => 78 ",
            "login --set login_file=here => 78 --set login_file: takes a file with its whole path",
            "login --set client_id= => 78 --set client_id: missing",
        ],
    );
    fs::set_permissions(user.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let run = user
        .machine
        .run(&["token", "--set", "token_cache=none"], "");
    let what = format!(
        "exosend: the usual login_file: {}: others may use it (mode 644): chmod 600\n",
        user.file().display()
    );
    assert!(run.code == 78 && run.stderr.starts_with(&what), "{run:?}");
    assert_eq!(fs::read_to_string(user.file()).unwrap(), before);
}

#[test]
fn an_interrupted_login_leaves_the_old_one() {
    let builder = Exchange::builder().logs_in("ann@contoso.com");
    let user = User::with(builder.clone());
    assert_eq!(user.machine.run(&["login"], "").code, 0);
    let patient = User::with(builder.login_after(1_000_000, 3600));
    fs::create_dir_all(patient.file().parent().unwrap()).unwrap();
    fs::copy(user.file(), patient.file()).unwrap();
    let mut child = start(patient.machine.command("exosend").arg("login"));
    let mut shown = [0; 40];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut shown).unwrap();
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    child.wait().unwrap();
    let names = fs::read_dir(patient.file().parent().unwrap())
        .unwrap()
        .count();
    assert_eq!(names, 1);
    assert_eq!(
        fs::read(patient.file()).unwrap(),
        fs::read(user.file()).unwrap()
    );
}

/// Killed at each step of a renewal: one of the two refresh tokens is there, whole, and the next use works.
#[test]
fn a_renewal_that_is_killed_leaves_a_usable_login() {
    for (place, kept) in [
        ("answered", 0),
        ("drafted", 0),
        ("written", 0),
        ("synced", 0),
        ("renamed", 1),
    ] {
        let user = User::logged_in();
        let (mut child, _) = user.run_until(user.fetch(), place);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(user.kept(), kept, "{place}");
        let run = finish(&mut user.fetch(), "");
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{place}");
        // For a minute a draft that was left counts as another process's. The login is whole meanwhile, too.
        user.kept();
        let draft = user.file().with_file_name("login.tmp");
        if draft.exists() {
            let long_ago = SystemTime::now() - Duration::from_secs(61);
            fs::File::open(&draft)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        assert_eq!(finish(&mut user.fetch(), "").code, 0);
        assert_eq!(
            user.kept(),
            user.machine.exchange.refresh_tokens().len() - 1
        );
        assert!(!draft.exists());
    }
}

#[test]
fn two_renewals_at_once_both_succeed() {
    for place in ["answered", "drafted", "synced", "renamed"] {
        let user = User::logged_in();
        let (first, mark) = user.run_until(user.fetch(), place);
        let second = finish(&mut user.fetch(), "");
        assert_eq!((second.code, second.stderr.as_str()), (0, ""), "{place}");
        fs::remove_file(mark).unwrap();
        let first = end(first);
        assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{place}");
        user.kept();
        for run in [first, second] {
            assert!(user.machine.exchange.knows(run.stdout.trim()), "{place}");
        }
        assert_eq!(finish(&mut user.fetch(), "").code, 0);
    }
}

/// The renewal has begun before them and ends after them.
#[test]
fn a_renewal_undoes_neither_a_new_login_nor_a_logout() {
    for place in ["answered", "drafted", "synced", "renamed"] {
        let user = User::logged_in();
        let (old, mark) = user.run_until(user.fetch(), place);
        assert_eq!(user.machine.run(&["login"], "").code, 0);
        fs::remove_file(&mark).unwrap();
        assert_eq!(end(old).code, 0);
        // The new login's refresh token is the last that was given out.
        let last = user.machine.exchange.refresh_tokens().len() - 1;
        assert_eq!((user.kept(), user.left()), (last, 1), "{place}");

        let (old, mark) = user.run_until(user.fetch(), place);
        let run = user.machine.run(&["logout"], "");
        assert!(run.code == 0 && run.stdout.starts_with("removed: "));
        fs::remove_file(&mark).unwrap();
        assert_eq!(end(old).code, 0);
        assert_eq!(user.left(), 0, "{place}");
    }
}

#[test]
fn a_renewal_keeps_no_token_after_a_logout() {
    let user = User::logged_in();
    let tokens = user.file().with_file_name("tokens");
    fs::remove_file(&tokens).unwrap();
    let mut renewing = user.machine.command("exosend");
    renewing.arg("token");
    let (renewing, mark) = user.run_until(renewing, "answered");
    assert_eq!(user.machine.run(&["logout"], "").code, 0);
    fs::remove_file(&mark).unwrap();
    assert_eq!(end(renewing).code, 0);
    assert_eq!(fs::read_to_string(&tokens).unwrap(), "exosend tokens 1\n");
}

#[test]
fn logout_removes_what_a_killed_process_left() {
    for place in ["drafted", "synced"] {
        let user = User::logged_in();
        let die = |command: Command| {
            let (mut child, mark) = user.run_until(command, place);
            child.kill().unwrap();
            child.wait().unwrap();
            fs::remove_file(mark).unwrap();
        };
        die(user.fetch());
        assert_eq!(user.left(), 2);
        assert_eq!(user.machine.run(&["logout"], "").code, 0);
        assert_eq!(user.left(), 0);
        let mut login = user.machine.command("exosend");
        login.arg("login");
        die(login);
        assert_eq!(user.left(), 1);
        let run = user.machine.run(&["logout"], "");
        assert!(run.stdout.starts_with("nobody was logged in: "), "{run:?}");
        assert_eq!(user.left(), 0);
    }
}

#[test]
fn the_doctor_reports_the_login_and_does_not_renew_it() {
    let user = User::logged_in();
    let before = fs::read_to_string(user.file()).unwrap();
    let run = user.machine.run(&["doctor"], "");
    assert_eq!(run.code, 0, "{run:?}");
    let said = "by login_file: ann@contoso.com logged in today, renewed today";
    assert!(run.flat().contains(said), "{}", run.stdout);
    age(&user.file(), 40);
    let run = user.machine.run(&["doctor", "-v"], "");
    assert!(run.flat().contains("renewed 40 days ago"), "{}", run.stdout);
    assert!(
        run.flat().contains("not renewed for 40 days"),
        "{}",
        run.stdout
    );
    assert!(
        run.flat().contains("the server lets ann@contoso.com in"),
        "{}",
        run.stdout
    );
    fs::write(user.file(), &before).unwrap();

    user.machine.exchange.end_logins(50_173);
    let run = user.machine.run(&["doctor"], "");
    assert_eq!(run.code, 77);
    for said in [
        "AADSTS50173",
        "revoked, most often by a changed password",
        "exosend login",
    ] {
        assert!(run.flat().contains(said), "{}", run.stdout);
    }
    assert_eq!(fs::read_to_string(user.file()).unwrap(), before);
}

/// It blames a missing permission or SMTP AUTH, and not that the token is a user's.
#[test]
fn the_doctor_advises_on_a_users_refused_login() {
    for (scp, said) in [
        ("SMTP.Send", "Set-CASMailbox -Identity 'ann@contoso.com'"),
        ("User.Read", "it needs the delegated permission SMTP.Send"),
    ] {
        let user = User::with(
            Exchange::builder()
                .logs_in("ann@contoso.com")
                .login_scp(scp),
        );
        assert_eq!(user.machine.run(&["login"], "").code, 0);
        let refused = crate::exchange::Fault::reply("535 5.7.3 Authentication unsuccessful");
        user.machine
            .exchange
            .on(crate::exchange::Step::AuthBlob, refused);
        let run = user.machine.run(&["doctor"], "");
        assert!(
            run.code == 77 && run.flat().contains(said),
            "{}",
            run.stdout
        );
        assert!(!run.flat().contains("client_credentials"), "{}", run.stdout);
        assert!(!run.flat().contains("ServicePrincipal"), "{}", run.stdout);
    }
}

/// A login of so many days ago.
fn age(file: &Path, days: u64) {
    let text = fs::read_to_string(file).unwrap();
    let then = SystemTime::now() - Duration::from_secs(days * 86_400 + 60);
    let then = then
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let line = |line: &str| match line.split_once(' ') {
        Some((name @ ("since" | "renewed"), _)) => format!("{name} {then}\n"),
        _ => format!("{line}\n"),
    };
    fs::write(file, text.lines().map(line).collect::<String>()).unwrap();
}

/// It looks once a day.
#[test]
fn a_run_of_the_queue_renews_the_login_once_a_week() {
    let user = User::logged_in();
    let spool =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("login-{}", std::process::id()));
    let _ = fs::remove_dir_all(&spool);
    let log = user.machine.path("log");
    user.configure(&format!("spool = {}\n", spool.display()).replace("log = none\n", ""));
    let run = |day: bool| {
        let mark = spool.join("login.seen");
        if day {
            let yesterday = SystemTime::now() - Duration::from_secs(86_401);
            fs::File::open(&mark)
                .unwrap()
                .set_modified(yesterday)
                .unwrap();
        }
        let set = format!("log={}", log.display());
        let run = user.machine.run(&["queue", "run", "--set", &set], "");
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", "")
        );
        user.kept()
    };
    fs::create_dir_all(spool.join("drop")).unwrap();
    assert_eq!((run(false), run(true)), (0, 0), "it is young");
    age(&user.file(), 8);
    assert_eq!(
        (run(false), run(true), run(true)),
        (0, 1, 1),
        "once a day, once a week"
    );
    age(&user.file(), 8);
    user.machine.exchange.end_logins(700_082);
    assert_eq!(run(true), 1);
    let log = fs::read_to_string(log).unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("event=login"))
        .collect();
    assert!(lines.len() == 2 && lines[0].contains("renewed"), "{log}");
    assert!(
        lines[1].contains("AADSTS700082") && lines[1].contains("hint="),
        "{log}"
    );
    fs::remove_dir_all(&spool).unwrap();
}
