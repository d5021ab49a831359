//! `exosend setup` and `exosend explain`.

use serde_json::Value;

use crate::exchange::Exchange;
use crate::machine::Machine;

const OBJECT_ID: &str = "8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55";
const OTHER: &str = "11111111-2222-3333-4444-555555555555";

#[test]
fn the_object_id_is_the_tokens_else_the_given_one_else_marked() {
    for (_, machine) in crate::both_paths(&Exchange::builder()) {
        // With a token, that of the token: the other may be the wrong one of two.
        for arguments in [&["setup"][..], &["setup", "--object-id", OTHER]] {
            let run = machine.run(arguments, "");
            assert_eq!((run.code, run.stderr.as_str()), (0, ""));
            assert!(
                run.stdout.contains(&format!("-ObjectId '{OBJECT_ID}'")),
                "{}",
                run.stdout
            );
        }
        let wrong = ["--set", "client_secret=wrong"];
        let run = machine.run(&[&["setup", "--object-id", OTHER], &wrong[..]].concat(), "");
        assert_eq!((run.code, run.stderr.as_str()), (0, ""));
        assert!(
            run.stdout.contains(&format!("-ObjectId '{OTHER}'")),
            "{}",
            run.stdout
        );

        let run = machine.run(&[&["setup"], &wrong[..]].concat(), "");
        assert_eq!(run.code, 0);
        assert!(
            run.stderr.contains("the Object ID is not known: token"),
            "{}",
            run.stderr
        );
        assert!(
            run.stdout.contains("-ObjectId 'PUT-THE-OBJECT-ID-HERE'"),
            "{}",
            run.stdout
        );
        machine.exchange.settle();
        assert_eq!(machine.exchange.delivered().len(), 0);
    }
}

#[test]
fn both_ways_and_back() {
    let machine = Machine::new();
    let script = |arguments: &[&str]| {
        let run = machine.run(&[&["setup"], arguments].concat(), "");
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout
    };
    assert!(script(&[]).contains("-Role 'Application SMTP.SendAsApp'"));
    assert!(script(&["--classic"]).contains("Add-MailboxPermission"));
    assert!(script(&["--undo"]).contains("Remove-ManagementRoleAssignment"));
    assert!(script(&["--classic", "--undo"]).contains("Remove-MailboxPermission"));
    let json: Value = serde_json::from_str(&script(&["--json"])).unwrap();
    assert!(
        json["script"]
            .as_str()
            .unwrap()
            .contains("New-ServicePrincipal")
    );
    assert_eq!(machine.run(&["setup", "--set", "mailbox="], "").code, 78);
    assert_eq!(machine.run(&["setup", "--nonsense"], "").code, 64);
}

#[test]
fn a_line_of_a_log_is_explained() {
    let machine = Machine::new();
    let line = "msmtp: server message: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.";
    let from_argument = machine.run(&["explain", line], "");
    assert_eq!((from_argument.code, from_argument.stderr.as_str()), (0, ""));
    assert!(
        from_argument.stdout.contains("Set-CASMailbox"),
        "{}",
        from_argument.stdout
    );
    assert_eq!(machine.run(&["explain"], line).stdout, from_argument.stdout);
    let words: Vec<_> = std::iter::once("explain").chain(line.split(' ')).collect();
    assert_eq!(machine.run(&words, "").stdout, from_argument.stdout);
    let json: Value =
        serde_json::from_str(&machine.run(&["explain", "--json", line], "").stdout).unwrap();
    assert_eq!(json["explanations"][0]["recognised"], "535 5.7.139");
    machine.nobody_called();
}

#[test]
fn an_unknown_line_says_so() {
    let machine = Machine::new();
    let run = machine.run(&["explain", "queue file write error"], "");
    assert_eq!((run.code, run.stdout.as_str()), (65, ""));
    assert!(
        run.stderr.contains("nothing is known of this line"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("https://learn.microsoft.com/"),
        "{}",
        run.stderr
    );
    let run = machine.run(&["explain", "AADSTS1234567: news"], "");
    assert!(
        run.stderr
            .contains("https://login.microsoftonline.com/error?code=1234567"),
        "{}",
        run.stderr
    );
    assert_eq!(machine.run(&["explain"], "\n").code, 64);
}
