//! `exosend configure`, by arguments and at a terminal.

use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use crate::exchange::Exchange;
use crate::machine::{Machine, Run, finish};

/// The file that is written.
const FILE: &str = "new/exosend.conf";

/// `configure` without answers, with the stand-in as its server.
fn configure(machine: &Machine) -> Command {
    let exchange = &machine.exchange;
    let mut command = machine.command("exosend");
    command
        .arg("configure")
        .arg("--config")
        .arg(machine.path(FILE));
    for (key, value) in [
        ("server", format!("localhost:{}", exchange.port())),
        ("authority", exchange.authority()),
        ("ca_file", machine.path("ca.pem").display().to_string()),
        ("log", "none".into()),
        ("timeout", "20".into()),
    ] {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command
}

/// With all answers as arguments, and the secret on stdin.
fn with_answers(machine: &Machine, more: &[&str]) -> Run {
    let exchange = &machine.exchange;
    let mut command = configure(machine);
    command
        .args([
            "--mailbox",
            exchange.mailbox(),
            "--tenant",
            exchange.tenant(),
        ])
        .args(["--client-id", exchange.client_id(), "--secret-file", "-"]);
    let run = finish(
        command.args(more),
        format!("{}\n", exchange.client_secret()),
    );
    assert!(
        !format!("{run:?}").contains(exchange.client_secret()),
        "{run:?}"
    );
    run
}

fn written(machine: &Machine) -> String {
    std::fs::read_to_string(machine.path(FILE)).unwrap_or_default()
}

#[test]
fn answers_become_a_file_that_works_and_a_second_run_changes_nothing() {
    let machine = Machine::new();
    let run = with_answers(
        &machine,
        &[
            "--local-recipient",
            "ops@example.com",
            "--test",
            "ann@example.com",
        ],
    );
    run.exits(0).err("");
    run.out_has("All is well");
    assert_eq!(machine.last().to, ["ann@example.com"]);
    let text = written(&machine);
    for line in [
        format!("mailbox = {}\n", machine.exchange.mailbox()),
        "local_recipient = ops@example.com\n".into(),
    ] {
        assert!(text.contains(&line), "{text}");
    }
    let before = machine.path(FILE).metadata().unwrap();
    assert_eq!(before.permissions().mode() & 0o777, 0o600);
    let run = with_answers(&machine, &["--local-recipient", "ops@example.com"]);
    run.exits(0);
    run.out_has(": says so already\n");
    assert_eq!(machine.path(FILE).metadata().unwrap().ino(), before.ino());
    assert_eq!(machine.exchange.delivered().len(), 1);
}

#[test]
fn a_value_that_is_set_is_replaced_by_force_only() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("new")).unwrap();
    let sample = "# Who sends.\n#mailbox = robot@contoso.com\nclient_id = other\n";
    machine.write(FILE, sample);
    let run = with_answers(&machine, &["--no-doctor"]);
    let path = machine.path(FILE).display().to_string();
    let error = format!(
        "exosend: {path}:3: client_id is set already, and differently\nexosend: hint: --force replaces it\n"
    );
    run.exits(78).err(&error);
    assert_eq!(written(&machine), sample);
    let run = with_answers(&machine, &["--no-doctor", "--force"]);
    run.exits(0).err("");
    let text = written(&machine);
    let start = format!(
        "# Who sends.\n#mailbox = robot@contoso.com\nmailbox = {}\nclient_id = {}\n",
        machine.exchange.mailbox(),
        machine.exchange.client_id()
    );
    assert!(text.starts_with(&start), "{text}");
    machine.nobody_called();
}

#[test]
fn files_that_a_killed_run_has_left_are_removed() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("new")).unwrap();
    let left = format!("{FILE}.0123456789abcdef");
    let (others, backup) = (format!("{FILE}.0123"), format!("{FILE}.before-thursday"));
    // The second run has nothing to write.
    for said in [": written: ", ": says so already\n"] {
        for file in [&left, &others, &backup] {
            machine.write(file, "client_secret = old");
        }
        let run = with_answers(&machine, &["--no-doctor"]);
        run.exits(0).err("");
        assert!(run.stdout.contains(said), "{run:?}");
        let there = [&left, &others, &backup].map(|file| machine.path(file).exists());
        assert_eq!(there, [false, true, true]);
    }
}

#[test]
fn a_secret_that_is_too_long_is_refused_and_not_cut() {
    let machine = Machine::new();
    let long = "x".repeat(4097);
    let file = machine.write("secret", &long).display().to_string();
    for (named, stdin) in [(file.as_str(), ""), ("-", &long)] {
        let run = finish(configure(&machine).args(["--secret-file", named]), stdin);
        let error = format!("exosend: {named}: longer than 4096 bytes: no secret\n");
        run.exits(66).err(&error);
    }
    assert!(!machine.path("new").exists());
}

#[test]
fn a_configuration_that_cannot_work_is_not_written() {
    let machine = Machine::new();
    for (arguments, code, error) in [
        (
            "",
            64,
            "no terminal to ask at, and not given: --mailbox, --tenant, --client-id, --secret-file\n",
        ),
        (
            "--set managed_identity=true",
            64,
            "no terminal to ask at, and not given: --mailbox\n",
        ),
        (
            "--set client_secret=x",
            64,
            "--set client_secret: others can read arguments",
        ),
        ("--set colour=red", 78, "colour: unknown key"),
        (
            "--mailbox nobody --set managed_identity=true",
            78,
            "mailbox: ",
        ),
        ("--secret-file /nowhere", 66, "/nowhere: No such file"),
        ("--dry-run", 64, "invalid option '--dry-run'"),
    ] {
        let run = finish(configure(&machine).args(arguments.split_whitespace()), "");
        let said = run.stderr;
        assert_eq!(run.code, code, "{arguments}: {said}");
        assert!(
            said.starts_with(&format!("exosend: {error}")),
            "{arguments}: {said}"
        );
    }
    assert!(!machine.path("new").exists());
    machine.nobody_called();
}

#[test]
fn after_a_refused_login_the_commands_that_allow_it_are_printed() {
    let exchange = Exchange::builder()
        .says("AuthBlob 535 5.7.3 Authentication unsuccessful")
        .start();
    let machine = Machine::with(exchange);
    let run = with_answers(&machine, &["--test", "ann@example.com"]);
    run.exits(77);
    run.out_has("\nNew-ManagementRoleAssignment ");
    run.out_has("another secret: the same with --force.\n");
    assert_eq!(machine.exchange.delivered().len(), 0);
}

/// At a terminal that script(1) makes. Each question is answered when it is asked.
fn at_a_terminal(machine: &Machine, answers: &[(&str, &str)]) -> (i32, String) {
    let mut asked = configure(machine);
    let words = asked
        .get_args()
        .map(|word| format!("'{}'", word.to_str().unwrap()));
    let line = words.fold(env!("CARGO_BIN_EXE_exosend").to_owned(), |line, word| {
        line + " " + &word
    });
    let mut script = machine
        .command("sh")
        .args([
            "-c",
            r#"PATH=/usr/bin:/bin exec script -qec "$1" /dev/null"#,
            "sh",
            &line,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    asked.arg("");
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut shown = String::new();
    for (question, answer) in answers {
        while !shown
            .lines()
            .next_back()
            .is_some_and(|line| line.contains(question))
            || !shown.ends_with(": ")
        {
            let mut byte = [0];
            assert_eq!(
                screen.read(&mut byte).unwrap(),
                1,
                "no `{question}`:\n{shown}"
            );
            shown.push(char::from(byte[0]));
        }
        keyboard.write_all(answer.as_bytes()).unwrap();
    }
    let mut rest = Vec::new();
    screen.read_to_end(&mut rest).unwrap();
    drop(keyboard);
    shown += &String::from_utf8_lossy(&rest);
    (script.wait().unwrap().code().unwrap(), shown)
}

#[test]
fn a_terminal_asks_and_does_not_echo_the_secret() {
    let machine = Machine::new();
    let exchange = &machine.exchange;
    let line = |text: &str| format!("{text}\n");
    let secret = line(exchange.client_secret());
    let (mailbox, tenant, id) = (
        line(exchange.mailbox()),
        line(exchange.tenant()),
        line(exchange.client_id()),
    );
    let (code, shown) = at_a_terminal(
        &machine,
        &[
            ("mailbox", "nobody\n"),
            ("mailbox", &mailbox),
            ("tenant", &tenant),
            ("application", &id),
            ("root", "\n"),
            ("secret", &secret),
            ("test message", "ann@example.com\n"),
        ],
    );
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains(exchange.client_secret()), "{shown}");
    assert_eq!(machine.last().to, ["ann@example.com"]);
    // Nothing that is set is asked for. Enter or Ctrl-D: no test message.
    for nobody in ["\n", "\x04"] {
        let (code, shown) = at_a_terminal(&machine, &[("test message", nobody)]);
        assert_eq!(
            (code, machine.exchange.delivered().len()),
            (0, 1),
            "{shown}"
        );
    }
}

#[test]
fn ctrl_c_at_the_hidden_question_writes_nothing() {
    let machine = Machine::new();
    let answers = [
        ("mailbox", "a@example.com\n"),
        ("tenant", "t\n"),
        ("application", "c\n"),
        ("root", "\n"),
        ("secret", "abc\x03"),
    ];
    let (code, shown) = at_a_terminal(&machine, &answers);
    assert_eq!(code, 66, "{shown}");
    assert!(!machine.path("new").exists());
    machine.nobody_called();
}
