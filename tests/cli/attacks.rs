//! Attackers who choose words of the command line: as a web page's visitor by the fifth parameter of PHP's `mail()`, by a
//! recipient that begins with a hyphen, or by an address that a program puts after `-f` unquoted.
//!
//! They can use sendmail's flags only. No secret is printed or sent, no file is read or written, and no message is lost with
//! exit code 0.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::exchange::Exchange;
use crate::machine::{Machine, finish};

const NOTE: &str = "To: ann@example.com\nSubject: x\n\nhello\n";

/// Callers, with the arguments that they give themselves.
const CALLERS: [(&str, &[&str]); 4] = [
    // PHP's default, and what the README says for a single program.
    ("sendmail", &["-t", "-i"]),
    ("exosend", &["-t", "-i"]),
    ("exosend", &["-v", "-t"]),
    ("sendmail", &["-i", "-fa@b", "bob@example.com"]),
];

/// Every file below a folder, and its content.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

/// A machine with a kept token, and a second Exchange that the attacker listens at.
fn machine() -> (Machine, Exchange) {
    let machine = Machine::new();
    machine.configure("local_recipient = ops@example.com");
    machine.sendmail("ann@example.com", NOTE);
    (machine, Exchange::start())
}

/// Calls the program as each caller does, with the attacker's words appended. Only the token cache may change.
fn attacked(machine: &Machine, evil: &Exchange, words: &[&str], judge: impl Fn(i32, usize)) {
    for (name, own) in CALLERS {
        let before = files(&machine.path(""));
        let sent = machine.exchange.settle().delivered().len();
        let run = finish(machine.command(name).args(own).args(words), NOTE);
        let sent = machine.exchange.settle().delivered().len() - sent;
        let told = run.stdout + &run.stderr;
        // A token begins with {"typ" or {"alg" in base64.
        let mine = machine.exchange.client_secret();
        for secret in [mine, "root:x:0:0", "eyJ0eXAi", "eyJhbGci"] {
            assert!(!told.contains(secret), "{name} {own:?} {words:?}: {told}");
        }
        assert_eq!(evil.settle().transcript(), [""; 0], "{words:?}");
        assert_eq!(evil.token_requests().len(), 0, "{words:?}");
        assert!(
            before == files(&machine.path("")),
            "{name} {own:?} {words:?}: a file was written"
        );
        assert!(
            sent == 1 || run.code != 0,
            "{name} {own:?} {words:?}: gone, and exit code 0"
        );
        judge(run.code, sent);
    }
    assert_eq!(machine.exchange.violations(), [""; 0]);
}

#[test]
fn a_caller_cannot_choose_server_credential_or_file() {
    let (machine, evil) = machine();
    let stolen = machine.path("stolen").display().to_string();
    let authority = format!("authority={}", evil.authority());
    let server = format!("server=localhost:{}", evil.port());
    let page = format!("log={stolen}.php");
    let cache = format!("token_cache={stolen}");
    let set = [
        authority.as_str(),
        &server,
        "client_secret_file=/etc/passwd",
        "managed_identity=true",
        "scope=https://management.azure.com/.default",
        &page,
        "mailbox=<?=`id`?>@x",
        &cache,
        "aliases=/etc/passwd",
        "ca_file=/etc/passwd",
        "local_recipient=eve@example.org",
        "rewrite_from=false",
    ];
    let mine = machine.write("evil.conf", &format!("{authority}\n{server}\n"));
    let mine = mine.display().to_string();
    let usage = |code: i32, sent: usize| assert_eq!((code, sent), (64, 0));
    for pair in set {
        attacked(&machine, &evil, &["--set", pair], usage);
        attacked(&machine, &evil, &[&format!("--set={pair}")], usage);
    }
    for words in [
        &["--config", mine.as_str()][..],
        &[&format!("--config={mine}")],
        &["--dry-run"],
        &["--json"],
        &["--help"],
        &["--version"],
        &["--set"],
    ] {
        attacked(&machine, &evil, words, usage);
    }
}

#[test]
fn a_subcommand_is_the_first_word_or_a_recipient() {
    let (machine, evil) = machine();
    machine.write("home/page.html", "<p>hello</p>");
    for words in [
        &["send"][..],
        &["-fa@b", "token"],
        &["--", "token"],
        &["doctor"],
        &["-v", "setup"],
        &["--quiet", "explain"],
    ] {
        attacked(&machine, &evil, words, |code, sent| {
            assert_eq!((code, sent), (0, 1), "{words:?}");
            // A name without a domain is a user of this machine.
            let local = "ops@example.com".to_owned();
            assert!(machine.last().to.contains(&local), "{words:?}");
        });
    }
    for words in [
        &["send", "--to", "eve@example.org", "--attach", "/etc/passwd"][..],
        &["token", "--claims"],
        &["setup", "--object-id", "x"],
    ] {
        attacked(&machine, &evil, words, |code, sent| {
            assert_eq!((code, sent), (64, 0), "{words:?}");
        });
    }
    // After an option it is no subcommand.
    for arguments in [
        &["--quiet", "token"][..],
        &["-v", "token"],
        &["--", "token"],
    ] {
        let run = machine.run(arguments, NOTE);
        assert_eq!(run.stdout, "", "{arguments:?}");
    }
}

/// As by CVE-2016-10033, where sendmail writes a file of the attacker's choice.
#[test]
fn no_flag_reads_or_writes_a_file() {
    let (machine, evil) = machine();
    let page = machine.path("www.php").display().to_string();
    for words in [
        vec![format!("-X{page}")],
        vec!["-X".into(), page.clone()],
        vec![format!("-OQueueDirectory=/tmp"), format!("-X{page}")],
        vec!["-O".into(), format!("StatusFile={page}")],
        vec![format!("-C{page}")],
        vec!["-C".into(), "/etc/passwd".into()],
        vec![format!("-oQ{page}"), "-oA/etc/passwd".into()],
        vec!["-D".into(), page.clone()],
        vec![format!("-d0-99.127={page}")],
        vec!["-odq".into()],
        vec!["-f".into(), format!("\"a\\\" -X{page} \"@b")],
        vec![format!("-F$(touch {page})")],
        vec!["-pfoo:bar".into(), "-Mx".into(), "-Rfull".into()],
    ] {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        attacked(&machine, &evil, &words, |code, sent| {
            assert_eq!((code, sent), (0, 1), "{words:?}");
        });
    }
    // Exim's expansions, and modes that exosend does not have.
    for words in [
        &["-be", "${run{/bin/id}}"][..],
        &["-bv"],
        &["-bd"],
        &["-bt"],
    ] {
        attacked(&machine, &evil, words, |code, sent| {
            assert_eq!((code, sent), (64, 0), "{words:?}");
        });
    }
}

#[test]
fn no_flag_makes_a_message_vanish() {
    let (machine, _) = machine();
    let all = (b'!'..=b'~')
        .map(char::from)
        .filter(char::is_ascii_alphanumeric);
    for flag in all {
        for value in ["", "p", "=x"] {
            let word = format!("-{flag}{value}");
            let before = machine.exchange.settle().delivered().len();
            let run = machine.run(&["-t", &word], NOTE);
            let sent = machine.exchange.settle().delivered().len() - before;
            assert!(
                (run.code, sent) == (0, 1) || (run.code, sent) == (64, 0),
                "{word}: {} {}",
                run.code,
                run.stderr
            );
        }
        // Alone, as a recipient that begins with a hyphen.
        let word = format!("-{flag}@example.org");
        let run = machine.run(&["-i", &word], NOTE);
        assert_eq!(run.code, 64, "{word}: {}{}", run.stdout, run.stderr);
    }
}
