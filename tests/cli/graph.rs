//! The command by Microsoft Graph, with no SMTP server at all.

use crate::exchange::{Answer, Exchange};
use crate::machine::Machine;

fn machine() -> Machine {
    let machine = Machine::with(Exchange::start());
    let endpoint = machine.exchange.graph_endpoint();
    machine.configure(&format!(
        "transport = graph\ngraph_endpoint = {endpoint}\nserver = localhost:9"
    ));
    machine
}

#[test]
fn a_cron_jobs_report() {
    let machine = machine();
    machine.configure(&format!(
        "transport = graph\ngraph_endpoint = {}\nserver = localhost:9\nlocal_recipient = ops@example.com",
        machine.exchange.graph_endpoint()
    ));
    let text = "From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@web1> backup\n\n212 GiB\n";
    let arrived = machine.sendmail("-i -FCronDaemon -B8BITMIME -oem root", text);
    assert_eq!(arrived.to, ["ops@example.com"]);
    assert_eq!(
        arrived.header("To").as_deref(),
        Some("root <ops@example.com>")
    );
    let arrived = machine.sendmail(
        "-t",
        "To: Ann <ann@example.com>\nBcc: eve@example.com\nSubject: x\n\nx\n",
    );
    assert_eq!(arrived.to, ["ann@example.com", "eve@example.com"]);
    assert_eq!(machine.exchange.transcript(), [""; 0]);
}

#[test]
fn every_end_and_its_exit_code() {
    let machine = machine();
    let send = |n: usize, answer: Answer| {
        machine.exchange.on_nth_graph(n, answer);
        let run = machine.run("send --to ann@example.com --subject x --text x", "");
        assert_eq!(machine.exchange.graph_requests().len(), n, "{}", run.stderr);
        (run.code, run.stdout + &run.stderr)
    };
    for (n, (status, code, exit, says)) in [
        (403, "ErrorAccessDenied", 77, "setup --graph"),
        (403, "ErrorSendAsDenied", 69, "From"),
        (404, "ErrorInvalidUser", 77, "`mailbox`"),
        (413, "RequestEntityTooLarge", 69, "transport = smtp"),
        (429, "ApplicationThrottled", 75, "too many requests"),
        (503, "ServiceUnavailable", 75, "busy"),
        (504, "UnknownError", 74, "may have been delivered"),
        (200, "UnknownError", 74, "may have been delivered"),
    ]
    .into_iter()
    .enumerate()
    {
        let (got, said) = send(n + 1, Answer::graph(status, code, "x"));
        assert_eq!(got, exit, "{said}");
        assert!(
            said.contains(says) && said.contains(" (request-id "),
            "{said}"
        );
    }
}

#[test]
fn what_is_known_beforehand_costs_no_token() {
    let machine = machine();
    let text = format!(
        "To: ann@example.com\nSubject: x\n\n{}\n",
        "x".repeat(3_100_000)
    );
    let run = machine.run("-t", &text);
    run.exits(65);
    run.err_begins("exosend: message size: 3100");
    run.err_has("hint: Microsoft Graph takes messages of 3,000,000 bytes");
    let file = machine.write("large.txt", &"x".repeat(2_300_000));
    let file = file.to_str().unwrap();
    let run = machine.run(
        &format!("send --to ann@example.com --attach {file} --text x"),
        "",
    );
    run.exits(65);
    let run = machine.run("send --dry-run --to ann@example.com --text x", "");
    run.exits(78);
    run.err_has("graph cannot be asked beforehand");
    assert!(machine.exchange.graph_requests().is_empty());
}

#[test]
fn setup_gives_one_mailbox_the_permission_and_takes_it_back() {
    let machine = machine();
    let script = |arguments: &[&str]| {
        let run = machine.run(&[&["setup", "--graph"], arguments].concat(), "");
        run.exits(0);
        run.stdout
    };
    let give = script(&[]);
    let assignment = "New-ManagementRoleAssignment -Name 'exosend graph robot@contoso.com' -Role 'Application Mail.Send' \
                      -App '6731de76-14a6-49ae-97bc-6eba6914391e' -CustomResourceScope 'exosend graph robot@contoso.com'";
    assert!(give.contains(assignment), "{give}");
    assert!(
        give.contains("New-ManagementScope -Name 'exosend graph robot@contoso.com'"),
        "{give}"
    );
    assert!(
        !give.contains("SMTP") && !give.contains("Set-CASMailbox"),
        "{give}"
    );
    let back = script(&["--undo"]);
    for made in ["ManagementRoleAssignment", "ManagementScope"] {
        assert!(
            back.contains(&format!(
                "Remove-{made} -Identity 'exosend graph robot@contoso.com'"
            )),
            "{back}"
        );
    }
    assert_eq!(machine.run("setup --graph --classic", "").code, 64);
}
