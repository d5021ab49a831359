//! The identity that Azure gives a machine. The environment says which machine it is, so each is a process of its own.

use super::child::{Scratch, command, outcome};
use super::exchange::{Answer, Exchange};

/// Sends with the machine's own identity, on a machine with these variables.
fn send(exchange: &Exchange, variables: &[(&str, &str)]) -> String {
    let scratch = Scratch::new();
    let mut command = command(exchange, &scratch, variables);
    command.env("EXOSEND_MANAGED_IDENTITY", "true");
    outcome(command.spawn().unwrap())
}

fn on_vm(exchange: &Exchange, more: &[(&str, &str)]) -> String {
    let imds = exchange.imds_url();
    let mut variables = vec![("AZURE_POD_IDENTITY_AUTHORITY_HOST", imds.as_str())];
    variables.extend(more);
    send(exchange, &variables)
}

fn with(
    exchange: &Exchange,
    variables: impl IntoIterator<Item = (&'static str, String)>,
) -> String {
    let variables: Vec<_> = variables.into_iter().collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    send(exchange, &variables)
}

#[test]
fn a_virtual_machines_identity_sends() {
    let exchange = Exchange::start();
    // Requests within the machine go by no proxy: this one is not there.
    let sent = on_vm(
        &exchange,
        &[
            ("http_proxy", "http://127.0.0.1:1"),
            ("ALL_PROXY", "http://127.0.0.1:1"),
        ],
    );
    assert!(sent.starts_with("sent: 250"), "{sent}");
    let requests = exchange.identity_requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].path(), "/metadata/identity/oauth2/token");
    assert_eq!(requests[0].header("Metadata"), Some("true"));
    assert_eq!(
        requests[0].field("resource"),
        Some("https://outlook.office365.com")
    );
    assert_eq!(requests[0].field("client_id"), None);
    assert!(exchange.token_requests().is_empty(), "no tenant is asked");
    assert_eq!(exchange.settle().delivered().len(), 1);
    assert_eq!(exchange.violations(), [""; 0]);
}

#[test]
fn a_user_assigned_identity_is_asked_for_by_its_client_id() {
    let exchange = Exchange::builder().user_assigned("4b1a-client").start();
    let sent = on_vm(&exchange, &[("EXOSEND_CLIENT_ID", "4b1a-client")]);
    assert!(sent.starts_with("sent: 250"), "{sent}");
    let failed = on_vm(&exchange, &[("EXOSEND_CLIENT_ID", "another")]);
    assert!(
        failed.starts_with("failed: token imds: invalid_request: Identity not found"),
        "{failed}"
    );
}

#[test]
fn a_request_is_repeated_after_a_404() {
    let exchange = Exchange::builder()
        .identity(1..=1, Answer::status(404))
        .start();
    let sent = on_vm(&exchange, &[]);
    assert!(sent.starts_with("sent: 250"), "{sent}");
    assert_eq!(exchange.identity_requests().len(), 2);
}

#[test]
fn an_app_services_identity_sends() {
    let exchange = Exchange::start();
    let sent = with(&exchange, exchange.app_service_env());
    assert!(sent.starts_with("sent: 250"), "{sent}");
    assert_eq!(exchange.identity_requests()[0].path(), "/MSI/token/");
}

#[cfg(feature = "graph")]
#[test]
fn an_identity_serves_graph() {
    let exchange = Exchange::start();
    let graph = [
        ("EXOSEND_TRANSPORT", "graph".to_owned()),
        ("EXOSEND_GRAPH_ENDPOINT", exchange.graph_endpoint()),
        ("EXOSEND_SCOPE", String::new()),
    ];
    let on_vm = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", exchange.imds_url());
    for machine in [vec![on_vm], exchange.app_service_env().to_vec()] {
        let sent = with(&exchange, machine.into_iter().chain(graph.clone()));
        assert!(sent.starts_with("sent: 202"), "{sent}");
        let asked = exchange.identity_requests().pop().unwrap();
        let resource = asked.field("resource");
        assert_eq!(resource, Some("https://graph.microsoft.com"));
    }
    assert_eq!(exchange.delivered().len(), 2);
    assert!(exchange.token_requests().is_empty());
}

#[test]
fn no_other_machine_is_asked_in_the_clear() {
    let exchange = Exchange::start();
    let failed = send(
        &exchange,
        &[
            ("IDENTITY_ENDPOINT", "http://example.com/token"),
            ("IDENTITY_HEADER", "hush"),
        ],
    );
    assert!(
        failed.starts_with(
            "failed: account managed_identity: http://example.com/token is neither Azure's http address in this machine nor loopback"
        ),
        "{failed}"
    );
    assert!(!failed.contains("hush"));
}

#[test]
fn a_redirect_is_not_followed() {
    let exchange = Exchange::builder()
        .identity(1..=9, Answer::redirect("http://127.0.0.1:1/elsewhere"))
        .start();
    let failed = with(&exchange, exchange.app_service_env());
    assert!(failed.contains("which is not followed"), "{failed}");
    assert_eq!(exchange.identity_requests().len(), 1);
}

#[test]
fn azure_arc_is_shown_no_other_file_than_its_keys() {
    let challenge = Answer::status(401).header("WWW-Authenticate", "Basic realm=/etc/passwd");
    let exchange = Exchange::builder().identity(1..=9, challenge).start();
    let failed = with(&exchange, exchange.arc_env());
    assert!(
        failed.starts_with(
            "failed: token azure arc: /etc/passwd is not a .key file in /var/opt/azcmagent/tokens: not read"
        ),
        "{failed}"
    );
    assert_eq!(exchange.identity_requests().len(), 1);
}

#[test]
fn a_machine_without_an_identity_has_a_hint() {
    let exchange = Exchange::start();
    let failed = send(
        &exchange,
        &[("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")],
    );
    assert!(failed.starts_with("failed: token imds: "), "{failed}");
    assert!(
        failed.contains("\nhint: nothing answered where Azure"),
        "{failed}"
    );
}
