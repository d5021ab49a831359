//! Tokens kept in a file, between processes that know nothing of each other.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use exosend::{Account, ErrorKind, Token};

use super::child::{Scratch, command, everything, outcome};
use super::exchange::{Answer, Exchange, Fault, Step};
use super::send;

/// A stand-in, and a folder for the file, which is not there yet.
fn start() -> (Exchange, Scratch, PathBuf) {
    let scratch = Scratch::new();
    let cache = scratch.path("tokens");
    (Exchange::start(), scratch, cache)
}

/// An account as a new process has it: nothing in memory.
fn account(exchange: &Exchange, cache: &Path) -> Account {
    exchange.account().token_cache(cache)
}

/// How often Entra was asked.
fn requests(exchange: &Exchange) -> usize {
    exchange.token_requests().len()
}

/// As if the file had been written that much earlier: each token was issued then, and ends that much sooner.
fn age(cache: &Path, by: Duration) {
    shift(cache, -i64::try_from(by.as_secs()).unwrap());
}

fn shift(cache: &Path, by: i64) {
    let text = fs::read_to_string(cache).unwrap();
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
    fs::write(cache, aged).unwrap();
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_second_process_asks_for_no_token() {
    let exchange = Exchange::start();
    let scratch = Scratch::new();
    let cache = scratch.path("made/on/the/way/tokens");
    send(&account(&exchange, &cache)).unwrap();
    send(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 1);
    assert_eq!(exchange.settle().delivered().len(), 2);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o600);
    assert_eq!(mode(cache.parent().unwrap()), 0o700);
}

#[test]
fn a_job_that_runs_every_five_minutes_asks_once_an_hour() {
    let (exchange, _scratch, cache) = start();
    for run in 0..24 {
        send(&account(&exchange, &cache)).unwrap();
        assert_eq!(requests(&exchange), 1 + run / 11, "run {run}");
        age(&cache, 5 * MINUTE);
    }
}

#[test]
fn one_file_serves_several_accounts() {
    let (exchange, _scratch, cache) = start();
    let by_id = || account(&exchange, &cache).tenant("9f6d3a52-0c1b-4d7e-8a35-2b6c4e1f7a90");
    let other_tenant = Token::get(&by_id());
    let second = usize::from(other_tenant.is_ok());
    Token::get(&account(&exchange, &cache)).unwrap();
    let graph = || account(&exchange, &cache).scope("https://graph.microsoft.com/.default");
    Token::get(&graph()).unwrap();
    let asked = requests(&exchange);
    let token = Token::get(&account(&exchange, &cache)).unwrap();
    assert_ne!(Token::get(&graph()).unwrap().secret(), token.secret());
    assert_eq!(requests(&exchange), asked);
    assert_eq!(
        fs::read_to_string(&cache).unwrap().lines().count(),
        3 + second
    );
}

#[test]
fn a_changed_secret_does_not_live_on_a_kept_token() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    let error = send(&account(&exchange, &cache).client_secret("another")).unwrap_err();
    assert!(error.to_string().contains("AADSTS7000215"), "{error}");
}

#[test]
fn a_token_that_ends_soon_is_renewed() {
    let (exchange, _scratch, cache) = start();
    let high_volume = || account(&exchange, &cache).scope("https://graph.microsoft.com/.default");
    Token::get(&account(&exchange, &cache)).unwrap();
    Token::get(&high_volume()).unwrap();
    age(&cache, 54 * MINUTE);
    Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 2, "six minutes left");
    age(&cache, 2 * MINUTE);
    Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 3, "four minutes left");
}

#[test]
fn high_volume_email_wants_ten_minutes_left() {
    let (exchange, _scratch, cache) = start();
    let high_volume = || account(&exchange, &cache).server("smtp.hve.mx.microsoft", 587);
    Token::get(&high_volume()).unwrap();
    age(&cache, 49 * MINUTE);
    Token::get(&high_volume()).unwrap();
    assert_eq!(requests(&exchange), 1);
    age(&cache, 2 * MINUTE);
    Token::get(&high_volume()).unwrap();
    assert_eq!(requests(&exchange), 2);
}

#[test]
fn where_entra_fails_the_old_token_is_used_while_it_lasts() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    age(&cache, 57 * MINUTE);
    exchange.token(Answer::status(503).header("Retry-After", "0").body("{}"));
    send(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 3, "asked, and asked again");

    let no = Answer::status(401)
        .header("Content-Type", "application/json")
        .body(r#"{"error":"invalid_client","error_description":"AADSTS7000222: expired"}"#);
    exchange.token(no);
    let error = send(&account(&exchange, &cache)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Token, "a refusal is an answer");

    age(&cache, 4 * MINUTE);
    exchange.token(Answer::status(503).header("Retry-After", "0").body("{}"));
    assert!(
        send(&account(&exchange, &cache))
            .unwrap_err()
            .is_transient()
    );
}

#[test]
fn a_kept_token_that_is_refused_is_replaced_once() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    exchange.revoke_tokens();
    let error = send(&account(&exchange, &cache)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "it is too young for that");
    assert_eq!(requests(&exchange), 1);
    send(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 2, "the next call asks for another");

    age(&cache, 11 * MINUTE);
    exchange.revoke_tokens();
    send(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 3, "the same call does");
    send(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 3, "the new one is kept");
}

#[test]
fn a_login_that_is_refused_again_is_refused_and_the_fresh_token_has_its_turn() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    age(&cache, 11 * MINUTE);
    exchange.on(
        Step::AuthBlob,
        Fault::reply("535 5.7.3 Authentication unsuccessful"),
    );
    for asked in [2, 2, 3] {
        let error = send(&account(&exchange, &cache)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert_eq!(requests(&exchange), asked);
    }
}

#[test]
fn a_login_that_is_put_off_is_not_repeated() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    age(&cache, 11 * MINUTE);
    exchange.on(
        Step::AuthBlob,
        Fault::reply("454 4.7.0 Temporary authentication failure"),
    );
    assert!(
        send(&account(&exchange, &cache))
            .unwrap_err()
            .is_transient()
    );
    assert_eq!(requests(&exchange), 1);
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let (exchange, _scratch, cache) = start();
    Token::get(&account(&exchange, &cache)).unwrap();
    let whole = fs::read(&cache).unwrap();
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
        fs::write(&cache, &content).unwrap();
        let asked = requests(&exchange);
        let token = Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(requests(&exchange), asked + 1, "{} bytes", content.len());
        let again = Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(again.secret(), token.secret(), "whole again");
    }
}

#[test]
fn a_file_that_is_no_cache_is_left_alone() {
    let (exchange, _scratch, cache) = start();
    for content in [
        &b"-----BEGIN PRIVATE KEY-----\n"[..],
        &[0xff; 5000],
        b"\n",
        &[b'x'; 1 << 20],
    ] {
        fs::write(&cache, content).unwrap();
        fs::set_permissions(&cache, fs::Permissions::from_mode(0o600)).unwrap();
        Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(fs::read(&cache).unwrap(), content);
    }
    fs::write(&cache, "").unwrap();
    let token = Token::get(&account(&exchange, &cache)).unwrap();
    let again = Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(again.secret(), token.secret(), "an empty one is taken");
}

/// A daemon reads its credential as root, and goes on as somebody else.
#[test]
fn a_token_in_memory_needs_no_credential() {
    let exchange = Exchange::start();
    let scratch = Scratch::new();
    let secret = scratch.file("secret", exchange.client_secret());
    let account = exchange.account().client_secret_file(&secret);
    send(&account).unwrap();
    fs::remove_file(&secret).unwrap();
    send(&account).unwrap();
    assert_eq!(
        send(
            &account
                .clone()
                .scope("https://graph.microsoft.com/.default")
        )
        .unwrap_err()
        .field(),
        Some("client_secret_file")
    );
}

#[test]
fn a_file_that_others_may_use_is_left_alone() {
    let (exchange, _scratch, cache) = start();
    Token::get(&account(&exchange, &cache)).unwrap();
    let content = fs::read(&cache).unwrap();
    for mode in [0o644, 0o640, 0o620, 0o606] {
        fs::set_permissions(&cache, fs::Permissions::from_mode(mode)).unwrap();
        let asked = requests(&exchange);
        Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(requests(&exchange), asked + 1, "mode {mode:o}");
        assert_eq!(fs::read(&cache).unwrap(), content, "mode {mode:o}");
    }
}

#[test]
fn a_link_or_a_directory_in_its_place_is_left_alone() {
    let exchange = Exchange::start();
    let scratch = Scratch::new();
    let (real, link, directory) = (
        scratch.path("real"),
        scratch.path("link"),
        scratch.path("dir"),
    );
    Token::get(&account(&exchange, &real)).unwrap();
    symlink(&real, &link).unwrap();
    fs::create_dir(&directory).unwrap();
    for path in [
        &link,
        &directory,
        Path::new("/dev/null"),
        Path::new("/dev/full/x"),
    ] {
        let asked = requests(&exchange);
        Token::get(&account(&exchange, path)).unwrap();
        assert_eq!(requests(&exchange), asked + 1, "{}", path.display());
    }
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(scratch.names(), ["dir", "link", "real"]);
}

/// Only root can give a file away; for others there is nothing to try.
#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let (exchange, _scratch, cache) = start();
    Token::get(&account(&exchange, &cache)).unwrap();
    if std::os::unix::fs::chown(&cache, Some(65534), None).is_ok() {
        Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(requests(&exchange), 2);
    }
}

#[test]
fn twenty_processes_at_once() {
    let (exchange, scratch, cache) = start();
    let run = || {
        let variables = [
            ("EXOSEND_TENANT", exchange.tenant()),
            ("EXOSEND_CLIENT_ID", exchange.client_id()),
            ("EXOSEND_CLIENT_SECRET", exchange.client_secret()),
            ("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()),
        ];
        let children: Vec<_> = (0..20)
            .map(|_| command(&exchange, &scratch, &variables).spawn().unwrap())
            .collect();
        for child in children {
            let outcome = outcome(child);
            assert!(outcome.starts_with("sent: 250"), "{outcome}");
        }
    };
    run();
    let cold = requests(&exchange);
    assert!((1..=20).contains(&cold), "{cold}");
    run();
    assert_eq!(requests(&exchange), cold, "warm");
    assert_eq!(exchange.settle().delivered().len(), 40);
    assert_eq!(scratch.names(), ["ca.pem", "tokens"]);
}

#[test]
fn trouble_with_the_file_is_told_once() {
    let (exchange, scratch, cache) = start();
    fs::write(&cache, "a private key").unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o600)).unwrap();
    let variables = [
        ("EXOSEND_TENANT", exchange.tenant()),
        ("EXOSEND_CLIENT_ID", exchange.client_id()),
        ("EXOSEND_CLIENT_SECRET", exchange.client_secret()),
        ("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()),
    ];
    let written = everything(command(&exchange, &scratch, &variables).spawn().unwrap());
    assert!(written.contains("sent: 250"), "{written}");
    let warning = "not used: it is not a token cache: name a file that is not there yet";
    assert_eq!(written.matches(warning).count(), 1, "{written}");
}

#[test]
fn processes_killed_at_any_moment_leave_the_file_whole() {
    let (exchange, scratch, cache) = start();
    let variables = [
        ("EXOSEND_TENANT", exchange.tenant()),
        ("EXOSEND_CLIENT_ID", exchange.client_id()),
        ("EXOSEND_CLIENT_SECRET", exchange.client_secret()),
        ("EXOSEND_TOKEN_CACHE", cache.to_str().unwrap()),
    ];
    for _ in 0..20 {
        let asked = requests(&exchange);
        let mut child = command(&exchange, &scratch, &variables).spawn().unwrap();
        // It writes soon after it has asked.
        while requests(&exchange) == asked {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        match fs::read_to_string(&cache) {
            Ok(text) => assert_eq!(text.lines().count(), 2),
            Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::NotFound),
        }
        let _ = fs::remove_file(&cache);
    }
}

#[test]
fn a_draft_is_respected_while_it_can_be_in_the_making() {
    let (exchange, scratch, cache) = start();
    let draft = scratch.file("tokens.tmp", "a token");
    let moment = |of: SystemTime| {
        let file = fs::File::options().write(true).open(&draft).unwrap();
        file.set_modified(of).unwrap();
    };
    Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(scratch.names(), ["tokens.tmp"], "another writes");
    for left_behind in [
        SystemTime::now() - 2 * MINUTE,
        SystemTime::now() + 2 * MINUTE,
    ] {
        fs::write(&draft, "a token").unwrap();
        moment(left_behind);
        Token::get(&account(&exchange, &cache)).unwrap();
        assert_eq!(scratch.names(), ["tokens"], "its process was killed");
        fs::remove_file(&cache).unwrap();
    }
}

#[test]
fn a_token_without_an_end_is_not_kept() {
    let exchange = Exchange::start();
    let answer = format!(r#"{{"access_token":"{}"}}"#, exchange.issue_token());
    exchange.token(
        Answer::status(200)
            .header("Content-Type", "application/json")
            .body(answer),
    );
    let scratch = Scratch::new();
    let cache = scratch.path("tokens");
    send(&account(&exchange, &cache)).unwrap();
    assert!(!cache.exists());
}

#[test]
fn a_clock_that_was_wrong_makes_no_token_last() {
    let (exchange, _scratch, cache) = start();
    Token::get(&account(&exchange, &cache)).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    assert!(now > 90 * MINUTE);
    age(&cache, 90 * MINUTE);
    Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 2);
}

#[test]
fn a_token_from_the_time_to_come_is_not_believed() {
    let (exchange, _scratch, cache) = start();
    Token::get(&account(&exchange, &cache)).unwrap();
    shift(&cache, 60 * 60 * 24 * 365);
    Token::get(&account(&exchange, &cache)).unwrap();
    assert_eq!(requests(&exchange), 2);
}

#[test]
fn a_refused_token_is_offered_no_more_even_where_no_other_can_be_had() {
    let (exchange, _scratch, cache) = start();
    send(&account(&exchange, &cache)).unwrap();
    age(&cache, 11 * MINUTE);
    exchange.revoke_tokens();
    exchange.token(Answer::status(503).header("Retry-After", "0").body("{}"));
    for _ in 0..2 {
        let error = send(&account(&exchange, &cache)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Token, "{error}");
    }
    let said = exchange.settle().transcript();
    let logins = said
        .iter()
        .filter(|line| line.contains("AUTH XOAUTH2"))
        .count();
    assert_eq!(logins, 2, "one that was good, one that was refused");
}
