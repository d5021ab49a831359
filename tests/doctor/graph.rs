//! The path by Microsoft Graph, up to the request or, with `--send`, with a message.

use crate::exchange::{Answer, Exchange};
use crate::machine::Machine;

fn machine(more: &str) -> Machine {
    let machine = Machine::with(Exchange::start());
    let endpoint = machine.exchange.graph_endpoint();
    machine.configure(&format!(
        "transport = graph\ngraph_endpoint = {endpoint}\nserver = localhost:9\n{more}"
    ));
    machine
}

#[test]
fn without_send_the_doctor_checks_and_makes_no_request() {
    let machine = machine("");
    for arguments in [&["doctor"][..], &["doctor", "--to", "ann@example.com"]] {
        let run = machine.run(arguments, "");
        run.exits(0);
        let steps: Vec<_> = run
            .stdout
            .lines()
            .filter_map(|line| line.get(6..20))
            .map(str::trim_end)
            .filter(|step| !step.is_empty())
            .take(7)
            .collect();
        assert_eq!(
            steps[..5],
            ["configuration", "clock", "token", "claims", "graph"],
            "{}",
            run.stdout
        );
        run.out_has("Graph has no dry run");
        run.out_has("Nothing was sent.");
    }
    assert!(machine.exchange.graph_requests().is_empty());
    assert!(machine.exchange.transcript().is_empty());
}

#[test]
fn with_send_the_doctor_sends_one_message() {
    let machine = machine("");
    let run = machine.run("doctor --send --to ann@example.com", "");
    run.exits(0);
    run.out_has("202 accepted for\n");
    assert_eq!(machine.last().to, ["ann@example.com"]);
    assert_eq!(machine.run("doctor --send", "").code, 64);
    // By SMTP as well.
    let smtp = Machine::new();
    let run = smtp.run("doctor --to ann@example.com", "");
    assert_eq!((run.code, smtp.exchange.settle().delivered().len()), (0, 0));
    let run = smtp.run("doctor --send --to ann@example.com", "");
    run.exits(0);
    assert_eq!(smtp.last().to, ["ann@example.com"]);
    // After a failed check nothing is sent.
    smtp.exchange.revoke_tokens();
    smtp.configure("client_secret_file = /nowhere");
    let run = smtp.run("doctor --send --to ann@example.com", "");
    assert_ne!(run.code, 0);
    assert_eq!(smtp.exchange.settle().delivered().len(), 1);
}

#[test]
fn a_missing_permission_is_reported_with_its_commands() {
    let machine = machine("");
    machine
        .exchange
        .on_graph(Answer::graph(403, "ErrorAccessDenied", "Access is denied."));
    let run = machine.run("doctor -v --send --to ann@example.com", "");
    run.exits(77);
    let role = "New-ManagementRoleAssignment -Name 'exosend graph robot@contoso.com' -Role 'Application Mail.Send'";
    run.out_has(role);
    run.out_has("  request-id ");
}

#[test]
fn a_wrong_scope_and_a_closed_port_are_found_without_a_message() {
    let machine = machine("scope = https://outlook.office365.com/.default");
    let run = machine.run("doctor", "");
    run.exits(77);
    let says = "the token is for https://outlook.office365.com, not for Microsoft Graph";
    assert!(
        run.stdout
            .replace("\n                              ", " ")
            .contains(says),
        "{}",
        run.stdout
    );
    machine.configure("transport = graph\ngraph_endpoint = https://localhost:9");
    let run = machine.run("doctor", "");
    run.exits(75);
    run.out_has("curl -sS");
}
