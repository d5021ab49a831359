//! `exosend setup` and its PowerShell scripts. `EXOSEND_GOLDEN=write cargo test --all-features --test command setup` writes
//! them anew.

use crate::machine;

use crate::exchange;

use std::path::{Path, PathBuf};

use exchange::{Answer, Exchange};
use exosend::advice::Setup;
use exosend::{Account, Cloud, ErrorKind};
use machine::{Machine, Run};
use serde_json::Value;

const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";

const SCRIPTS: [(&str, bool, bool); 4] = [
    ("rbac", false, false),
    ("classic", true, false),
    ("undo-rbac", false, true),
    ("undo-classic", true, true),
];

fn account() -> Account {
    Account::new("robot@contoso.com")
        .tenant("contoso.onmicrosoft.com")
        .client_id(CLIENT_ID)
}

#[test]
fn each_script_is_its_golden_file() {
    let account = account();
    for (name, classic, undo) in SCRIPTS {
        let setup = Setup::new(&account).object_id(OBJECT_ID);
        let script = setup.classic(classic).undo(undo).script().unwrap();
        assert_golden(name, &script);
    }
    let account = Account::new("robot@contoso.com");
    let unknown = Setup::new(&account).script().unwrap();
    assert_golden("rbac-of-unknown-ids", &unknown);
}

#[track_caller]
fn assert_golden(name: &str, script: &str) {
    if std::env::var_os("EXOSEND_GOLDEN").is_some() {
        std::fs::write(file(name), script).unwrap();
    }
    assert_eq!(script, golden(name), "{name}");
}

fn golden(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/setup");
    folder.join(name).with_extension("ps1")
}

#[test]
fn other_clouds_get_the_classic_script_with_their_name() {
    let classic = golden("classic");
    for (cloud, name) in [
        (Cloud::GccHigh, "O365USGovGCCHigh"),
        (Cloud::Dod, "O365USGovDoD"),
        (Cloud::China, "O365China"),
    ] {
        let account = account().cloud(cloud);
        let script = Setup::new(&account).object_id(OBJECT_ID).script().unwrap();
        let there = format!("Connect-ExchangeOnline -ExchangeEnvironmentName {name}");
        assert_eq!(script, classic.replace("Connect-ExchangeOnline", &there));
    }
}

/// PowerShell takes five characters for the single quote (about_Quoting_Rules), and nothing acts between two of them.
#[test]
fn any_value_becomes_one_literal() {
    for evil in [
        "'; Remove-Mailbox x; '",
        "o'brien",
        "\u{2019}; Remove-Mailbox x #",
        "\u{2018}\u{201a}\u{201b}\u{2019}",
        "$(Remove-Mailbox x)",
        "`'; Remove-Mailbox x",
        "\"; Remove-Mailbox x; \"",
        "a -b {client} | d & e > f # g",
        "@'",
        "--%",
        "ends with a quote'",
        "ends with a backtick`",
    ] {
        let mailbox = format!("{evil}@contoso.com");
        let account = Account::new(&mailbox).tenant(evil).client_id(evil);
        for (name, classic, undo) in SCRIPTS {
            let setup = Setup::new(&account).object_id(evil);
            let script = setup.classic(classic).undo(undo).script().unwrap();
            let (commands, literals) = read(&script);
            let (those, meant) = read(&golden(name));
            assert_eq!(commands, those, "{script}");
            for (literal, meant) in literals.iter().zip(meant) {
                let plain = match meant.contains(" -eq ") {
                    // A filter quotes the mailbox once more.
                    true => meant.replace("robot@contoso.com", &mailbox.replace('\'', "''")),
                    false => meant
                        .replace("robot@contoso.com", &mailbox)
                        .replace(CLIENT_ID, evil)
                        .replace(OBJECT_ID, evil),
                };
                assert_eq!(*literal, plain, "{script}");
            }
        }
    }
}

/// What PowerShell reads: the commands, with `''` where a literal stands, and the literals.
fn read(script: &str) -> (String, Vec<String>) {
    let is_quote = |c: char| matches!(c, '\'' | '\u{2018}'..='\u{201b}');
    let (mut commands, mut literals) = (String::new(), Vec::new());
    for line in script.lines().filter(|line| !line.starts_with('#')) {
        let mut rest = line.chars().peekable();
        while let Some(c) = rest.next() {
            if !is_quote(c) {
                commands.push(c);
                continue;
            }
            let mut literal = String::new();
            // Two quotes within a literal are one.
            while let Some(c) = rest.next_if(|_| true) {
                if is_quote(c) && rest.next_if(|next| is_quote(*next)).is_none() {
                    break;
                }
                literal.push(c);
            }
            commands.push_str("''");
            literals.push(literal);
        }
        commands.push('\n');
    }
    (commands, literals)
}

#[test]
fn control_characters_are_refused() {
    for c in ['\n', '\r', '\0', '\u{1b}', '\u{85}', '\u{2028}'] {
        let bad = format!("a{c}Remove-Mailbox");
        for account in [
            Account::new(&bad).client_id("c"),
            account().client_id(&bad),
            account().tenant(&bad),
        ] {
            let error = Setup::new(&account).script().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
        }
        assert!(Setup::new(&account()).object_id(bad).script().is_err());
    }
    assert!(Setup::new(&Account::new("")).script().is_err());
}

#[test]
fn the_object_id_is_the_tokens_or_the_given_one_or_a_placeholder() {
    let given = "11111111-2222-3333-4444-555555555555";
    for exchange in [Exchange::builder(), Exchange::builder().without_roles()] {
        let machine = Machine::with(exchange.start());
        let setup = |arguments: &[&str]| machine.run(&[&["setup"], arguments].concat(), "");
        // The token's counts: the given one may be the application's instead of the service principal's.
        assert_object_id(&setup(&[]), OBJECT_ID);
        assert_object_id(&setup(&["--object-id", given]), OBJECT_ID);
        machine
            .exchange
            .token(Answer::aadsts(401, "invalid_client", 7_000_215, "no"));
        assert_object_id(
            &setup(&["--object-id", given, "--set", "token_cache=none"]),
            given,
        );
        let unknown = setup(&["--set", "token_cache=none"]);
        let told = &unknown.stderr;
        assert!(told.contains("the Object ID is not known: token"), "{told}");
        assert_object_id(&unknown, "PUT-THE-OBJECT-ID-HERE");
        assert_eq!(machine.exchange.settle().delivered().len(), 0);
    }
}

#[track_caller]
fn assert_object_id(run: &Run, object_id: &str) {
    let named = run.stdout.contains(&format!("-ObjectId '{object_id}'"));
    assert!(run.code == 0 && named, "{run:?}");
}

#[test]
fn the_command_prints_each_script() {
    let machine = Machine::new();
    let script = |arguments: &[&str]| {
        let run = machine.run(&[&["setup"], arguments].concat(), "");
        run.exits(0).err("");
        run.stdout
    };
    assert!(script(&[]).contains("New-ManagementRoleAssignment"));
    assert!(script(&["--classic"]).contains("Add-MailboxPermission"));
    assert!(script(&["--undo"]).contains("Remove-ManagementRoleAssignment"));
    assert!(script(&["--classic", "--undo"]).contains("Remove-MailboxPermission"));
    let json: Value = serde_json::from_str(&script(&["--json"])).unwrap();
    assert_eq!(
        json["script"].as_str().unwrap().trim_end(),
        script(&[]).trim_end()
    );
    assert_eq!(machine.run("setup --set mailbox=", "").code, 78);
    assert_eq!(machine.run("setup --nonsense", "").code, 64);
}
