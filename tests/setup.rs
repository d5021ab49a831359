//! The PowerShell of `Setup`, read by a parser that is not ours: whatever a value holds, it is one literal, and no command.
#![cfg(feature = "advice")]

use exosend::{Account, Cloud, ErrorKind, Setup};
use tree_sitter::{Node, Parser};

const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";

fn account() -> Account {
    Account::new("robot@contoso.com")
        .tenant("contoso.onmicrosoft.com")
        .client_id("6731de76-14a6-49ae-97bc-6eba6914391e")
}

/// All four scripts, by name.
fn scripts(account: &Account, object_id: &str) -> Vec<(String, String)> {
    let mut scripts = Vec::new();
    for (classic, undo) in [(false, false), (true, false), (false, true), (true, true)] {
        let setup = Setup::new(account)
            .object_id(object_id)
            .classic(classic)
            .undo(undo);
        scripts.push((
            format!("classic {classic}, undo {undo}"),
            setup.script().unwrap(),
        ));
    }
    scripts
}

/// The command names and the literals of a script, as PowerShell reads it.
fn read(script: &str) -> (Vec<String>, Vec<String>) {
    // PowerShell takes these four for the quote (about_Quoting_Rules), the grammar does not know them.
    let script: String = script
        .chars()
        .map(|c| {
            if matches!(c, '\u{2018}'..='\u{201b}') {
                '\''
            } else {
                c
            }
        })
        .collect();
    let mut parser = Parser::new();
    parser
        .set_language(&tree_sitter_powershell::LANGUAGE.into())
        .unwrap();
    let tree = parser.parse(&script, None).unwrap();
    assert!(
        !tree.root_node().has_error(),
        "{}\n{script}",
        tree.root_node().to_sexp()
    );
    let (mut names, mut literals) = (Vec::new(), Vec::new());
    walk(tree.root_node(), &mut |node| {
        let text = node.utf8_text(script.as_bytes()).unwrap().to_owned();
        match node.kind() {
            "command_name" => names.push(text),
            "verbatim_string_characters" => literals.push(text),
            "sub_expression"
            | "expandable_string_literal"
            | "script_block"
            | "invokation_expression"
            | "assignment_expression" => panic!("{} in\n{script}", node.kind()),
            _ => {}
        }
    });
    (names, literals)
}

fn walk(node: Node<'_>, see: &mut dyn FnMut(Node<'_>)) {
    see(node);
    for n in 0..node.child_count() {
        walk(node.child(n as u32).unwrap(), see);
    }
}

const RBAC: [&str; 6] = [
    "Connect-ExchangeOnline",
    "New-ServicePrincipal",
    "New-ManagementScope",
    "New-ManagementRoleAssignment",
    "Set-CASMailbox",
    "Test-ServicePrincipalAuthorization",
];
const CLASSIC: [&str; 4] = [
    "Connect-ExchangeOnline",
    "New-ServicePrincipal",
    "Add-MailboxPermission",
    "Set-CASMailbox",
];
const UNDO_RBAC: [&str; 5] = [
    "Connect-ExchangeOnline",
    "Remove-ManagementRoleAssignment",
    "Remove-ManagementScope",
    "Set-CASMailbox",
    "Remove-ServicePrincipal",
];
const UNDO_CLASSIC: [&str; 4] = [
    "Connect-ExchangeOnline",
    "Remove-MailboxPermission",
    "Set-CASMailbox",
    "Remove-ServicePrincipal",
];

fn commands() -> [&'static [&'static str]; 4] {
    [&RBAC, &CLASSIC, &UNDO_RBAC, &UNDO_CLASSIC]
}

#[test]
fn each_script_has_its_commands_and_no_other() {
    for ((name, script), expected) in scripts(&account(), OBJECT_ID).iter().zip(commands()) {
        assert_eq!(read(script).0, expected, "{name}");
        assert!(
            script.lines().all(|line| line.chars().count() <= 80),
            "{script}"
        );
    }
}

#[test]
fn what_is_in_a_value_never_acts() {
    for evil in [
        "'; Remove-Mailbox x; '",
        "o'brien",
        "\u{2019}; Remove-Mailbox x #",
        "\u{2018}\u{201a}\u{201b}\u{2019}",
        "$(Remove-Mailbox x)",
        "`'; Remove-Mailbox x",
        "\"; Remove-Mailbox x; \"",
        "a -b {c} | d & e > f # g",
        "@'",
        "\u{201c}x\u{201d}",
        "--%",
        "ends with a quote'",
        "ends with a backtick`",
    ] {
        let account = Account::new(format!("{evil}@contoso.com"))
            .tenant(evil)
            .client_id(evil);
        for ((name, script), expected) in scripts(&account, evil).iter().zip(commands()) {
            let (names, literals) = read(script);
            assert_eq!(names, expected, "{name}: {script}");
            // The value is there, whole, as the literal that PowerShell makes of it.
            let plain: String = evil
                .chars()
                .map(|c| {
                    if matches!(c, '\u{2018}'..='\u{201b}') {
                        '\''
                    } else {
                        c
                    }
                })
                .collect();
            let literal = format!("'{}'", plain.replace('\'', "''"));
            assert!(
                literals.contains(&literal),
                "{name}: {literal} in {literals:?}"
            );
        }
    }
}

#[test]
fn control_characters_are_refused() {
    for c in ['\n', '\r', '\0', '\u{1b}', '\u{85}', '\u{2028}'] {
        let bad = format!("a{c}Remove-Mailbox");
        for account in [
            Account::new(bad.as_str()).client_id("c"),
            account().client_id(bad.as_str()),
            account().tenant(bad.as_str()),
        ] {
            assert_eq!(
                Setup::new(&account).script().unwrap_err().kind(),
                ErrorKind::Input
            );
        }
        assert!(Setup::new(&account()).object_id(bad).script().is_err());
    }
    assert!(Setup::new(&Account::new("")).script().is_err());
}

#[test]
fn what_is_not_known_is_marked() {
    let script = Setup::new(&Account::new("robot@contoso.com"))
        .script()
        .unwrap();
    assert!(
        script.contains("-ObjectId 'PUT-THE-OBJECT-ID-HERE'")
            && script.contains("NOT of the App registration")
    );
    assert!(script.contains("-AppId 'PUT-THE-APPLICATION-ID-HERE'"));
    read(&script);
    let known = Setup::new(&account())
        .object_id(OBJECT_ID)
        .script()
        .unwrap();
    assert!(!known.contains("PUT-THE") && !known.contains("az ad sp show"));
}

#[test]
fn other_clouds_have_the_classic_way_only() {
    for (cloud, name) in [
        (Cloud::GccHigh, "O365USGovGCCHigh"),
        (Cloud::Dod, "O365USGovDoD"),
        (Cloud::China, "O365China"),
    ] {
        let script = Setup::new(&account().cloud(cloud)).script().unwrap();
        assert_eq!(read(&script).0, CLASSIC);
        assert!(script.contains(&format!(
            "Connect-ExchangeOnline -ExchangeEnvironmentName {name}\n"
        )));
    }
}
