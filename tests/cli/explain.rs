//! `exosend explain`.

use serde_json::Value;

use crate::machine::Machine;

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
