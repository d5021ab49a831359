//! `exosend login`, `exosend logout`, and who uses the login: the command as it is.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use crate::exchange::{Answer, Builder, Exchange};
use crate::machine::{Machine, end, finish, start};

struct Desk {
    machine: Machine,
}

impl Desk {
    fn new() -> Self {
        Self::with(Exchange::builder().logs_in("ann@contoso.com"))
    }

    fn with(builder: Builder) -> Self {
        let desk = Self {
            machine: Machine::with(builder.start()),
        };
        desk.configure("");
        desk
    }

    fn logged_in() -> Self {
        let desk = Self::new();
        assert_eq!(desk.machine.run(&["login"], "").code, 0);
        desk
    }

    /// An account of a user's, and more lines: no tenant, no secret.
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

    /// How many files there are of it: the login, and its draft.
    fn left(&self) -> usize {
        let all = fs::read_dir(self.file().parent().unwrap()).unwrap();
        let of_login = |name: &str| name == "login" || name == "login.tmp";
        all.filter(|entry| of_login(entry.as_ref().unwrap().file_name().to_str().unwrap()))
            .count()
    }

    /// A command that has come to this place, and goes on when the mark is removed.
    fn stop(&self, mut command: Command, place: &str) -> (Child, PathBuf) {
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
fn a_headless_box_and_a_telephone() {
    let desk = Desk::new();
    let run = desk.machine.run(&["login"], "");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let (prompt, done) = run.stdout.split_once("as it is.\n").unwrap();
    let lines: Vec<_> = prompt.lines().map(str::trim).collect();
    assert_eq!(lines[2], "https://microsoft.com/devicelogin");
    assert!(
        lines[3].len() == 9 && lines[3].bytes().all(|b| b.is_ascii_alphanumeric()),
        "{prompt}"
    );
    let file = desk.file();
    let mailbox = desk.machine.exchange.mailbox();
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
    let delivered = desk
        .machine
        .sendmail(&["ann@example.com"], "Subject: x\n\nx\n");
    assert_eq!(delivered.from, mailbox);

    // msmtp, mutt and mbsync: the same token for an hour.
    let token = desk.machine.run(&["token"], "");
    assert_eq!((token.code, token.stdout.trim().len()), (0, 2012));
    assert!(desk.machine.exchange.knows(token.stdout.trim()));
    assert_eq!(desk.machine.run(&["token"], "").stdout, token.stdout);

    let run = desk.machine.run(&["logout"], "");
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("removed: {}\n", file.display()))
    );
    let cache = fs::read_to_string(file.with_file_name("tokens")).unwrap();
    assert!(!file.exists() && !cache.contains(token.stdout.trim()));
    let run = desk.machine.run(&["logout"], "");
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("nobody was logged in: {}\n", file.display()))
    );
    assert_eq!(desk.machine.run(&["token"], "").code, 78);
}

#[test]
fn what_is_said_to_a_program_and_at_the_end() {
    let desk = Desk::new();
    let run = desk.machine.run(&["login", "--json"], "");
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
    assert_eq!(objects[1]["login_file"], desk.file().to_str().unwrap());
    // Another credential is configured: the login counts once it is named.
    desk.machine.configure("");
    let run = desk.machine.run(&["login"], "");
    let next = format!(
        "Next: login_file = {} in the place of client_secret (",
        desk.file().display()
    );
    assert!(run.stdout.contains(&next), "{}", run.stdout);
    let own = desk.machine.path("own/login");
    desk.configure(&format!("login_file = {}\n", own.display()));
    let run = desk
        .machine
        .run(&["login", "--tenant", "contoso.onmicrosoft.com"], "");
    assert!(run.code == 0 && own.exists(), "{run:?}");
    let asked = desk.machine.exchange.token_requests();
    let last = &asked.last().unwrap().target;
    assert_eq!(last, "/contoso.onmicrosoft.com/oauth2/v2.0/token");
}

#[test]
fn what_cannot_be() {
    let desk = Desk::logged_in();
    let before = fs::read_to_string(desk.file()).unwrap();
    let refused = Answer::aadsts(
        400,
        "invalid_client",
        7_000_218,
        "The request body must contain a secret.",
    );
    desk.machine.exchange.token(refused);
    let run = desk.machine.run(&["login"], "");
    assert_eq!((run.code, run.stdout.as_str()), (77, ""));
    assert!(
        run.stderr
            .contains("hint: the application may not log a user in"),
        "{}",
        run.stderr
    );
    desk.machine.exchange.answer_as_usual();
    desk.machine.ends(
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
    fs::set_permissions(desk.file(), PermissionsExt::from_mode(0o644)).unwrap();
    let run = desk
        .machine
        .run(&["token", "--set", "token_cache=none"], "");
    let what = format!(
        "exosend: the usual login_file: {}: others may use it (mode 644): chmod 600\n",
        desk.file().display()
    );
    assert!(run.code == 78 && run.stderr.starts_with(&what), "{run:?}");
    assert_eq!(fs::read_to_string(desk.file()).unwrap(), before);
}

/// Whoever gives up leaves the old login, and nothing else.
#[test]
fn giving_up() {
    let builder = Exchange::builder().logs_in("ann@contoso.com");
    let desk = Desk::with(builder.clone());
    assert_eq!(desk.machine.run(&["login"], "").code, 0);
    let patient = Desk::with(builder.login_after(1_000_000, 3600));
    fs::create_dir_all(patient.file().parent().unwrap()).unwrap();
    fs::copy(desk.file(), patient.file()).unwrap();
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
        fs::read(desk.file()).unwrap()
    );
}

/// Killed at each step of a renewal: one of the two refresh tokens is there, whole, and the next use works.
#[test]
fn death_at_every_step() {
    for (place, kept) in [
        ("answered", 0),
        ("drafted", 0),
        ("written", 0),
        ("synced", 0),
        ("renamed", 1),
    ] {
        let desk = Desk::logged_in();
        let (mut child, _) = desk.stop(desk.fetch(), place);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(desk.kept(), kept, "{place}");
        let run = finish(&mut desk.fetch(), "");
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{place}");
        // A draft that was left is somebody's for a minute. What is told then is not lost either.
        desk.kept();
        let draft = desk.file().with_file_name("login.tmp");
        if draft.exists() {
            let long_ago = SystemTime::now() - Duration::from_secs(61);
            fs::File::open(&draft)
                .unwrap()
                .set_modified(long_ago)
                .unwrap();
        }
        assert_eq!(finish(&mut desk.fetch(), "").code, 0);
        assert_eq!(
            desk.kept(),
            desk.machine.exchange.refresh_tokens().len() - 1
        );
        assert!(!draft.exists());
    }
}

#[test]
fn two_at_once() {
    for place in ["answered", "drafted", "synced", "renamed"] {
        let desk = Desk::logged_in();
        let (first, mark) = desk.stop(desk.fetch(), place);
        let second = finish(&mut desk.fetch(), "");
        assert_eq!((second.code, second.stderr.as_str()), (0, ""), "{place}");
        fs::remove_file(mark).unwrap();
        let first = end(first);
        assert_eq!((first.code, first.stderr.as_str()), (0, ""), "{place}");
        desk.kept();
        for run in [first, second] {
            assert!(desk.machine.exchange.knows(run.stdout.trim()), "{place}");
        }
        assert_eq!(finish(&mut desk.fetch(), "").code, 0);
    }
}

/// The old login's renewal is still on its way.
#[test]
fn a_renewal_undoes_neither_a_new_login_nor_its_end() {
    for place in ["answered", "drafted", "synced", "renamed"] {
        let desk = Desk::logged_in();
        let (old, mark) = desk.stop(desk.fetch(), place);
        assert_eq!(desk.machine.run(&["login"], "").code, 0);
        fs::remove_file(&mark).unwrap();
        assert_eq!(end(old).code, 0);
        // The login's is the last that was given out.
        let last = desk.machine.exchange.refresh_tokens().len() - 1;
        assert_eq!((desk.kept(), desk.left()), (last, 1), "{place}");

        let (old, mark) = desk.stop(desk.fetch(), place);
        let run = desk.machine.run(&["logout"], "");
        assert!(run.code == 0 && run.stdout.starts_with("removed: "));
        fs::remove_file(&mark).unwrap();
        assert_eq!(end(old).code, 0);
        assert_eq!(desk.left(), 0, "{place}");
    }
}

/// Nor does it leave the token that it had when the login was there.
#[test]
fn no_token_outlives_the_login() {
    let desk = Desk::logged_in();
    let tokens = desk.file().with_file_name("tokens");
    fs::remove_file(&tokens).unwrap();
    let mut renewing = desk.machine.command("exosend");
    renewing.arg("token");
    let (renewing, mark) = desk.stop(renewing, "answered");
    assert_eq!(desk.machine.run(&["logout"], "").code, 0);
    fs::remove_file(&mark).unwrap();
    assert_eq!(end(renewing).code, 0);
    assert_eq!(fs::read_to_string(&tokens).unwrap(), "exosend tokens 1\n");
}

/// What a process that was killed has left is nobody's to wait for.
#[test]
fn an_end_after_a_death() {
    for place in ["drafted", "synced"] {
        let desk = Desk::logged_in();
        let die = |command: Command| {
            let (mut child, mark) = desk.stop(command, place);
            child.kill().unwrap();
            child.wait().unwrap();
            fs::remove_file(mark).unwrap();
        };
        die(desk.fetch());
        assert_eq!(desk.left(), 2);
        assert_eq!(desk.machine.run(&["logout"], "").code, 0);
        assert_eq!(desk.left(), 0);
        let mut login = desk.machine.command("exosend");
        login.arg("login");
        die(login);
        assert_eq!(desk.left(), 1);
        let run = desk.machine.run(&["logout"], "");
        assert!(run.stdout.starts_with("nobody was logged in: "), "{run:?}");
        assert_eq!(desk.left(), 0);
    }
}

#[test]
fn the_doctor_tells_of_it_and_renews_nothing() {
    let desk = Desk::logged_in();
    let before = fs::read_to_string(desk.file()).unwrap();
    let run = desk.machine.run(&["doctor"], "");
    assert_eq!(run.code, 0, "{run:?}");
    let said = "by login_file: ann@contoso.com logged in today, renewed today";
    assert!(flat(&run.stdout).contains(said), "{}", run.stdout);
    age(&desk.file(), 40);
    let run = desk.machine.run(&["doctor", "-v"], "");
    assert!(
        flat(&run.stdout).contains("renewed 40 days ago"),
        "{}",
        run.stdout
    );
    assert!(
        flat(&run.stdout).contains("not renewed for 40 days"),
        "{}",
        run.stdout
    );
    assert!(
        flat(&run.stdout).contains("the server lets ann@contoso.com in"),
        "{}",
        run.stdout
    );
    fs::write(desk.file(), &before).unwrap();

    desk.machine.exchange.end_logins(50_173);
    let run = desk.machine.run(&["doctor"], "");
    assert_eq!(run.code, 77);
    for said in [
        "AADSTS50173",
        "revoked, most often by a changed password",
        "exosend login",
    ] {
        assert!(flat(&run.stdout).contains(said), "{}", run.stdout);
    }
    assert_eq!(fs::read_to_string(desk.file()).unwrap(), before);
}

/// A user's token is right here. What the user did not allow, and a mailbox without SMTP AUTH, are not.
#[test]
fn a_user_who_is_refused() {
    for (scp, said) in [
        ("SMTP.Send", "Set-CASMailbox -Identity 'ann@contoso.com'"),
        ("User.Read", "it needs the delegated permission SMTP.Send"),
    ] {
        let desk = Desk::with(
            Exchange::builder()
                .logs_in("ann@contoso.com")
                .login_scp(scp),
        );
        assert_eq!(desk.machine.run(&["login"], "").code, 0);
        let refused = crate::exchange::Fault::reply("535 5.7.3 Authentication unsuccessful");
        desk.machine
            .exchange
            .on(crate::exchange::Step::AuthBlob, refused);
        let run = desk.machine.run(&["doctor"], "");
        assert!(
            run.code == 77 && flat(&run.stdout).contains(said),
            "{}",
            run.stdout
        );
        assert!(
            !flat(&run.stdout).contains("client_credentials"),
            "{}",
            run.stdout
        );
        assert!(
            !flat(&run.stdout).contains("ServicePrincipal"),
            "{}",
            run.stdout
        );
    }
}

/// Without the doctor's line breaks.
fn flat(report: &str) -> String {
    report.split_whitespace().collect::<Vec<_>>().join(" ")
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

/// An idle machine's run looks once a day, and renews once a week.
#[test]
fn the_queues_run_renews_it() {
    let desk = Desk::logged_in();
    let spool =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("login-{}", std::process::id()));
    let _ = fs::remove_dir_all(&spool);
    let log = desk.machine.path("log");
    desk.configure(&format!("spool = {}\n", spool.display()).replace("log = none\n", ""));
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
        let run = desk.machine.run(&["queue", "run", "--set", &set], "");
        assert_eq!(
            (run.code, run.stdout.as_str(), run.stderr.as_str()),
            (0, "", "")
        );
        desk.kept()
    };
    fs::create_dir_all(spool.join("drop")).unwrap();
    assert_eq!((run(false), run(true)), (0, 0), "it is young");
    age(&desk.file(), 8);
    assert_eq!(
        (run(false), run(true), run(true)),
        (0, 1, 1),
        "once a day, once a week"
    );
    age(&desk.file(), 8);
    desk.machine.exchange.end_logins(700_082);
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
