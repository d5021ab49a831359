//! Tokens in a file, shared by processes that know nothing of each other.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, SystemTime};

use exosend::{Account, Error, ErrorKind, Receipt, Token};

use super::child::{Scratch, command, everything, outcome};
use super::exchange::{Answer, Exchange};
use super::send;

/// A stand-in, and a file that is not there yet.
struct Kept {
    exchange: Exchange,
    scratch: Scratch,
    cache: PathBuf,
}

impl Kept {
    fn new() -> Self {
        Self::at("tokens")
    }

    fn at(path: &str) -> Self {
        let scratch = Scratch::new();
        Self {
            exchange: Exchange::start(),
            cache: scratch.path(path),
            scratch,
        }
    }

    /// As a new process has it, without a token in memory.
    fn account(&self) -> Account {
        self.exchange.account().token_cache(&self.cache)
    }

    fn send(&self) -> Result<Receipt, Error> {
        send(&self.account())
    }

    fn get(&self) -> Result<Token, Error> {
        Token::get(&self.account())
    }

    /// Starts a process that sends a note.
    fn process(&self) -> Child {
        let mut variables = self.exchange.application().to_vec();
        variables.push(("EXOSEND_TOKEN_CACHE", self.cache.to_str().unwrap()));
        command(&self.exchange, &self.scratch, &variables)
            .spawn()
            .unwrap()
    }

    /// How often Entra was asked.
    fn requests(&self) -> usize {
        self.exchange.token_requests().len()
    }

    /// Makes all tokens older: each was issued so much earlier, and ends so much sooner.
    fn age(&self, by: Duration) {
        self.shift(-i64::try_from(by.as_secs()).unwrap());
    }

    fn shift(&self, by: i64) {
        let text = fs::read_to_string(&self.cache).unwrap();
        let mut lines = text.lines();
        let mut aged = format!("{}\n", lines.next().unwrap());
        for line in lines {
            let mut words: Vec<String> = line.split(' ').skip(1).map(str::to_owned).collect();
            for time in &mut words[1..3] {
                *time = (time.parse::<i64>().unwrap() + by).to_string();
            }
            let line = words.join(" ");
            let sum = ring::digest::digest(&ring::digest::SHA256, line.as_bytes());
            let sum: String = sum.as_ref()[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            aged.push_str(&format!("{sum} {line}\n"));
        }
        fs::write(&self.cache, aged).unwrap();
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_second_process_asks_for_no_token() {
    let kept = Kept::at("made/on/the/way/tokens");
    kept.send().unwrap();
    let changed = || {
        fs::metadata(kept.cache.parent().unwrap())
            .unwrap()
            .modified()
    };
    let written = changed().unwrap();
    kept.send().unwrap();
    assert_eq!(kept.requests(), 1);
    assert_eq!(changed().unwrap(), written, "to read it is enough");
    assert_eq!(kept.exchange.settle().delivered().len(), 2);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&kept.cache), 0o600);
    assert_eq!(mode(kept.cache.parent().unwrap()), 0o700);
}

#[test]
fn a_job_that_runs_every_five_minutes_asks_once_an_hour() {
    let kept = Kept::new();
    for run in 0..24 {
        kept.send().unwrap();
        assert_eq!(kept.requests(), 1 + run / 11, "run {run}");
        kept.age(5 * MINUTE);
    }
}

#[test]
fn one_file_serves_several_accounts() {
    let kept = Kept::new();
    let by_id = || {
        kept.account()
            .tenant("9f6d3a52-0c1b-4d7e-8a35-2b6c4e1f7a90")
    };
    let other_tenant = Token::get(&by_id());
    let second = usize::from(other_tenant.is_ok());
    kept.get().unwrap();
    let graph = || kept.account().scope("https://graph.microsoft.com/.default");
    Token::get(&graph()).unwrap();
    let asked = kept.requests();
    let token = kept.get().unwrap();
    assert_ne!(Token::get(&graph()).unwrap().secret(), token.secret());
    assert_eq!(kept.requests(), asked);
    assert_eq!(
        fs::read_to_string(&kept.cache).unwrap().lines().count(),
        3 + second
    );
}

#[test]
fn a_changed_secret_does_not_use_a_kept_token() {
    let kept = Kept::new();
    kept.send().unwrap();
    let error = send(&kept.account().client_secret("another")).unwrap_err();
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
}

#[test]
fn a_token_that_ends_soon_is_renewed() {
    let kept = Kept::new();
    let high_volume = kept.account().server("smtp.hve.mx.microsoft", 587);
    // It has 3599 s when it is new.
    for (account, margin) in [(kept.account(), 5), (high_volume, 10)] {
        let new = || account.clone().scope(kept.exchange.scope());
        let asked = kept.requests();
        let _ = fs::remove_file(&kept.cache);
        Token::get(&new()).unwrap();
        kept.age((59 - margin) * MINUTE);
        Token::get(&new()).unwrap();
        assert_eq!(
            kept.requests(),
            asked + 1,
            "{margin} minutes left, almost one more"
        );
        kept.age(2 * MINUTE);
        Token::get(&new()).unwrap();
        assert_eq!(
            kept.requests(),
            asked + 2,
            "fewer than {margin} minutes left"
        );
    }
}

#[test]
fn while_entra_fails_the_kept_token_is_used_until_it_ends() {
    let kept = Kept::new();
    kept.send().unwrap();
    kept.age(57 * MINUTE);
    kept.exchange.token(Answer::unavailable());
    kept.send().unwrap();
    assert_eq!(kept.requests(), 3, "asked, and asked again");

    let no = Answer::aadsts(401, "invalid_client", 7_000_222, "expired");
    kept.exchange.token(no);
    let error = kept.send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Token, "a refusal is an answer");

    kept.age(4 * MINUTE);
    kept.exchange.token(Answer::unavailable());
    assert!(kept.send().unwrap_err().is_transient());
}

#[test]
fn a_kept_token_that_is_refused_is_replaced_once() {
    let kept = Kept::new();
    kept.send().unwrap();
    kept.exchange.revoke_tokens();
    let error = kept.send().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "too young to be replaced");
    assert_eq!(kept.requests(), 1);
    kept.send().unwrap();
    assert_eq!(kept.requests(), 2, "the next call asks for another");

    kept.age(11 * MINUTE);
    kept.exchange.revoke_tokens();
    kept.send().unwrap();
    assert_eq!(kept.requests(), 3, "the same call does");
    kept.send().unwrap();
    assert_eq!(kept.requests(), 3, "the new one is kept");
}

/// A queue that tries once an hour would else log in twice each time, first with the last call's token.
#[test]
fn a_token_that_is_refused_although_new_is_not_kept() {
    let kept = Kept::new();
    kept.send().unwrap();
    kept.exchange
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful");
    let logins = || kept.exchange.settle().said("C: AUTH");
    for (asked, tried) in [(2, 3), (3, 4), (4, 5)] {
        kept.age(11 * MINUTE);
        let error = kept.send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert_eq!((kept.requests(), logins()), (asked, tried));
    }
}

#[test]
fn a_deferred_login_asks_for_no_other_token() {
    let kept = Kept::new();
    kept.send().unwrap();
    kept.age(11 * MINUTE);
    kept.exchange
        .says("AuthBlob 454 4.7.0 Temporary authentication failure");
    assert!(kept.send().unwrap_err().is_transient());
    assert_eq!(kept.requests(), 1);
}

#[test]
fn a_damaged_file_is_replaced() {
    let kept = Kept::new();
    kept.get().unwrap();
    let whole = fs::read(&kept.cache).unwrap();
    let mut damaged: Vec<Vec<u8>> = (0..whole.len() - 1)
        .step_by(97)
        .map(|cut| whole[..cut].to_vec())
        .collect();
    damaged.push([&whole[..], &[0xff; 5000]].concat());
    let longer_than_any_token_lives = {
        let text = String::from_utf8(whole.clone()).unwrap();
        text.replace(" 1", " 9").into_bytes()
    };
    damaged.push(longer_than_any_token_lives);
    for content in damaged {
        fs::write(&kept.cache, &content).unwrap();
        let asked = kept.requests();
        let token = kept.get().unwrap();
        assert_eq!(kept.requests(), asked + 1, "{} bytes", content.len());
        let again = kept.get().unwrap();
        assert_eq!(again.secret(), token.secret(), "whole again");
    }
}

#[test]
fn a_file_that_is_no_cache_is_left_alone() {
    let kept = Kept::new();
    for content in [
        &b"-----BEGIN PRIVATE KEY-----\n"[..],
        &[0xff; 5000],
        b"\n",
        &[b'x'; 1 << 20],
    ] {
        fs::write(&kept.cache, content).unwrap();
        fs::set_permissions(&kept.cache, fs::Permissions::from_mode(0o600)).unwrap();
        kept.get().unwrap();
        assert_eq!(fs::read(&kept.cache).unwrap(), content);
    }
    fs::write(&kept.cache, "").unwrap();
    let token = kept.get().unwrap();
    let again = kept.get().unwrap();
    assert_eq!(again.secret(), token.secret(), "an empty one is taken");
}

/// A daemon reads its secret as root, and goes on as another user.
#[test]
fn a_token_in_memory_needs_no_credential() {
    let kept = Kept::new();
    let secret = kept.scratch.file("secret", kept.exchange.client_secret());
    let account = kept.exchange.account().client_secret_file(&secret);
    send(&account).unwrap();
    fs::remove_file(&secret).unwrap();
    send(&account).unwrap();
    let another = account.scope("https://graph.microsoft.com/.default");
    assert_eq!(
        send(&another).unwrap_err().field(),
        Some("client_secret_file")
    );
}

#[test]
fn a_file_that_others_may_use_is_left_alone() {
    let kept = Kept::new();
    kept.get().unwrap();
    let content = fs::read(&kept.cache).unwrap();
    for mode in [0o644, 0o640, 0o620, 0o606] {
        fs::set_permissions(&kept.cache, fs::Permissions::from_mode(mode)).unwrap();
        let asked = kept.requests();
        kept.get().unwrap();
        assert_eq!(kept.requests(), asked + 1, "mode {mode:o}");
        assert_eq!(fs::read(&kept.cache).unwrap(), content, "mode {mode:o}");
    }
}

#[test]
fn a_link_or_a_directory_in_its_place_is_left_alone() {
    let kept = Kept::new();
    let (link, directory) = (kept.scratch.path("link"), kept.scratch.path("dir"));
    kept.get().unwrap();
    symlink(&kept.cache, &link).unwrap();
    fs::create_dir(&directory).unwrap();
    for path in [
        &link,
        &directory,
        Path::new("/dev/null"),
        Path::new("/dev/full/x"),
    ] {
        let asked = kept.requests();
        Token::get(&kept.exchange.account().token_cache(path)).unwrap();
        assert_eq!(kept.requests(), asked + 1, "{}", path.display());
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(kept.scratch.names(), ["dir", "link", "tokens"]);
}

/// Only root can try this.
#[test]
fn a_file_of_another_user_is_left_alone() {
    let kept = Kept::new();
    kept.get().unwrap();
    if std::os::unix::fs::chown(&kept.cache, Some(65534), None).is_ok() {
        kept.get().unwrap();
        assert_eq!(kept.requests(), 2);
    }
}

#[test]
fn twenty_processes_at_once_leave_a_whole_file() {
    let kept = Kept::new();
    let run = || {
        let children: Vec<_> = (0..20).map(|_| kept.process()).collect();
        for child in children {
            let outcome = outcome(child);
            assert!(outcome.starts_with("sent: 250"), "{outcome}");
        }
    };
    run();
    let cold = kept.requests();
    assert!((1..=20).contains(&cold), "{cold}");
    run();
    assert_eq!(kept.requests(), cold, "warm");
    assert_eq!(kept.exchange.settle().delivered().len(), 40);
    assert_eq!(kept.scratch.names(), ["ca.pem", "tokens"]);
}

#[test]
fn a_file_that_is_no_cache_is_warned_of_once() {
    let kept = Kept::new();
    fs::write(&kept.cache, "a private key").unwrap();
    fs::set_permissions(&kept.cache, fs::Permissions::from_mode(0o600)).unwrap();
    let written = everything(kept.process());
    assert!(written.contains("sent: 250"), "{written}");
    let warning = "not used: it is not a token cache: name a file that is not there yet";
    assert_eq!(written.matches(warning).count(), 1, "{written}");
}

#[test]
fn processes_killed_at_any_moment_leave_the_file_whole() {
    let kept = Kept::new();
    for _ in 0..20 {
        let asked = kept.requests();
        let mut child = kept.process();
        // It writes soon after it has asked.
        while kept.requests() == asked {
            std::thread::sleep(Duration::from_micros(200));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        match fs::read_to_string(&kept.cache) {
            Ok(text) => assert_eq!(text.lines().count(), 2),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
        }
        let _ = fs::remove_file(&kept.cache);
    }
}

#[test]
fn another_processs_draft_is_left_alone_for_a_minute() {
    let kept = Kept::new();
    let draft = kept.scratch.file("tokens.tmp", "a token");
    let moment = |of: SystemTime| {
        let file = fs::File::options().write(true).open(&draft).unwrap();
        file.set_modified(of).unwrap();
    };
    kept.get().unwrap();
    assert_eq!(kept.scratch.names(), ["tokens.tmp"], "another writes");
    for left_behind in [
        SystemTime::now() - 2 * MINUTE,
        SystemTime::now() + 2 * MINUTE,
    ] {
        fs::write(&draft, "a token").unwrap();
        moment(left_behind);
        kept.get().unwrap();
        assert_eq!(kept.scratch.names(), ["tokens"], "its process was killed");
        fs::remove_file(&kept.cache).unwrap();
    }
}

#[test]
fn a_token_without_an_end_is_not_kept() {
    let kept = Kept::new();
    let token = kept.exchange.issue_token();
    let answer = Answer::json(&serde_json::json!({ "access_token": token }));
    kept.exchange.token(answer);
    kept.send().unwrap();
    assert!(!kept.cache.exists());
}

#[test]
fn a_token_of_a_wrong_clock_is_not_used() {
    for by in [-90 * 60, 365 * 24 * 60 * 60] {
        let kept = Kept::new();
        kept.get().unwrap();
        kept.shift(by);
        kept.get().unwrap();
        assert_eq!(kept.requests(), 2, "{by} s off");
    }
}

#[test]
fn a_refused_token_is_not_used_again_though_entra_fails() {
    let kept = Kept::new();
    kept.send().unwrap();
    kept.age(11 * MINUTE);
    kept.exchange.revoke_tokens();
    kept.exchange.token(Answer::unavailable());
    for _ in 0..2 {
        let error = kept.send().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Token, "{error}");
    }
    let logins = kept.exchange.settle().said("C: AUTH");
    assert_eq!(logins, 2, "one that was good, one that was refused");
}
