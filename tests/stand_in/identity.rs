//! Managed identities.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::{assert_refused, get, logs_in, plain};
use crate::exchange::{Answer, Exchange, Identity};

const RESOURCE: &str = "resource=https://outlook.office365.com";
const METADATA: (&str, &str) = ("Metadata", "true");
const USER: &str = "d3a5f2c1-0b6e-4c1d-8f5e-2b9f4e6a7c80";

/// The members of the JSON in an answer, and those of them that are strings.
fn members(answer: &str) -> (Vec<String>, usize) {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let object = body.as_object().unwrap();
    let strings = object.values().filter(|value| value.is_string()).count();
    (object.keys().cloned().collect(), strings)
}

const OF_IMDS: [&str; 8] = [
    "access_token",
    "client_id",
    "expires_in",
    "expires_on",
    "ext_expires_in",
    "not_before",
    "resource",
    "token_type",
];

#[test]
fn a_virtual_machine_gets_a_token() {
    let exchange = Exchange::builder().user_assigned(USER).start();
    let url = exchange.imds_url() + "/metadata/identity/oauth2/token?api-version=2018-02-01&";
    let answer = get(&format!("{url}{RESOURCE}"), &[METADATA]);
    assert_eq!(members(&answer), (OF_IMDS.map(str::to_owned).into(), 8));
    assert!(answer.contains(r#""expires_in":"3599""#), "{answer}");
    assert!(logs_in(&exchange, &answer));

    let answer = get(&format!("{url}{RESOURCE}&client_id={USER}"), &[METADATA]);
    assert!(answer.contains(&format!(r#""client_id":"{USER}""#)));
    assert!(logs_in(&exchange, &answer));

    let requests = exchange.identity_requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].identity, Identity::Imds);
    assert_eq!(requests[1].query("client_id"), Some(USER));
    assert_eq!(requests[1].header("metadata"), Some("true"));
    assert_eq!(exchange.token_requests().len(), 0);
    assert_eq!(exchange.violations(), [""; 0]);
}

#[test]
fn the_metadata_service_is_strict() {
    let exchange = Exchange::builder().without_system_assigned().start();
    let base = exchange.imds_url();
    let ask = |query: &str, headers: &[_]| {
        let url = format!("{base}/metadata/identity/oauth2/token?{query}");
        get(&url, headers)
    };
    let right = &format!("api-version=2018-02-01&{RESOURCE}");
    assert_refused(
        &ask(right, &[]),
        400,
        "Required metadata header not specified",
    );
    assert_refused(&ask(RESOURCE, &[METADATA]), 400, "api-version is invalid");
    assert_refused(&ask(right, &[METADATA]), 400, "Identity not found");
    let unknown = format!("{right}&client_id={USER}");
    assert_refused(&ask(&unknown, &[METADATA]), 400, "Identity not found");
    assert_refused(&get(&format!("{base}/metadata"), &[METADATA]), 404, "");
    assert_eq!(exchange.violations(), [""; 0]);

    let forwarded = [METADATA, ("X-Forwarded-For", "192.0.2.1")];
    assert_refused(&ask(right, &forwarded), 400, "X-Forwarded-For");
    let url = format!("{base}/metadata/identity/oauth2/token?{right}");
    assert_refused(&plain("POST", &url, &[METADATA]), 405, "");
    assert_eq!(
        exchange.violations(),
        ["Imds: asked through a proxy", "Imds: POST instead of GET"]
    );

    let exchange = Exchange::start();
    let url = exchange.imds_url()
        + "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://outlook.office365.com/.default";
    assert_refused(&get(&url, &[METADATA]), 400, "AADSTS500011: ");
}

#[test]
fn app_service_gives_a_token() {
    let exchange = Exchange::builder().user_assigned(USER).start();
    let [(_, endpoint), (_, secret)] = exchange.app_service_env();
    let ask = |query: &str, secret: &str| {
        get(
            &format!("{endpoint}?{query}"),
            &[("X-IDENTITY-HEADER", secret)],
        )
    };
    let right = &format!("api-version=2019-08-01&{RESOURCE}");
    let answer = ask(right, &secret);
    let of_app_service = [
        "access_token",
        "client_id",
        "expires_on",
        "resource",
        "token_type",
    ];
    assert_eq!(
        members(&answer),
        (of_app_service.map(str::to_owned).into(), 5)
    );
    assert!(logs_in(&exchange, &answer));
    assert!(logs_in(
        &exchange,
        &ask(&format!("{right}&client_id={USER}"), &secret)
    ));
    let shown = format!("[{} octets]", secret.len());
    assert_eq!(
        exchange.identity_requests()[0].header("X-IDENTITY-HEADER"),
        Some(shown.as_str())
    );

    assert_refused(&ask(right, "wrong"), 401, "X-IDENTITY-HEADER");
    assert_refused(&get(&endpoint, &[]), 401, "X-IDENTITY-HEADER");
    assert_refused(&plain("POST", &endpoint, &[]), 405, "");
    assert_refused(&ask(RESOURCE, &secret), 400, "api-version");
    let other = "api-version=2019-08-01&resource=https://example.com";
    assert_refused(&ask(other, &secret), 400, "'https://example.com'");
    let unknown = format!("{right}&client_id=unknown");
    assert_refused(&ask(&unknown, &secret), 400, "No User Assigned");
    assert_eq!(exchange.violations(), ["AppService: POST instead of GET"]);
}

/// A directory that goes with the test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("exosend-arc-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn arc_gives_a_token_to_who_can_read_its_key() {
    let directory = Directory::new();
    let exchange = Exchange::builder()
        .user_assigned(USER)
        .arc_tokens(&directory.0)
        .start();
    let [(_, endpoint), _] = exchange.arc_env();
    let url = format!("{endpoint}?api-version=2020-06-01&{RESOURCE}");

    let challenge = get(&url, &[METADATA]);
    assert_refused(&challenge, 401, "\r\nWWW-Authenticate: Basic realm=/");
    let (_, file) = challenge.split_once("Basic realm=").unwrap();
    let file = Path::new(file.lines().next().unwrap());
    assert_eq!(file.parent(), Some(&*directory.0));
    assert_eq!(file.extension(), Some("key".as_ref()));
    let key = format!("Basic {}", fs::read_to_string(file).unwrap());

    assert_refused(
        &get(&url, &[METADATA, ("Authorization", "Basic x")]),
        401,
        "",
    );
    let answer = get(&url, &[METADATA, ("Authorization", &key)]);
    assert_eq!(members(&answer), (OF_IMDS.map(str::to_owned).into(), 8));
    assert!(logs_in(&exchange, &answer));

    // The key has had its day.
    assert!(!file.exists());
    assert_refused(&get(&url, &[METADATA, ("Authorization", &key)]), 401, "");
    let user = format!("{url}&client_id={USER}");
    assert_refused(&get(&user, &[METADATA]), 400, "Identity not found");
    let requests = exchange.identity_requests();
    assert_eq!(requests.len(), 5);
    assert_eq!(requests[2].header("Authorization"), Some("[92 octets]"));
}

#[test]
fn an_identity_endpoint_goes_wrong_as_told() {
    let exchange = Exchange::builder()
        .first_identities(2, Answer::status(410))
        .nth_identity(3, Answer::redirect("http://example.com/"))
        .nth_identity(4, Answer::html())
        .nth_identity(
            5,
            Answer::status(401).header("WWW-Authenticate", "Basic realm=/etc/passwd"),
        )
        .start();
    let url = exchange.imds_url();
    let ask = || {
        let query = format!("api-version=2018-02-01&{RESOURCE}");
        let url = format!("{url}/metadata/identity/oauth2/token?{query}");
        get(&url, &[METADATA])
    };
    assert_refused(&ask(), 410, "");
    assert_refused(&ask(), 410, "");
    assert_refused(&ask(), 302, "Location: http://example.com/");
    assert_refused(&ask(), 200, "<!DOCTYPE html>");
    assert_refused(&ask(), 401, "Basic realm=/etc/passwd");
    assert!(logs_in(&exchange, &ask()));
    exchange.identity(Answer::status(500));
    assert_refused(&ask(), 500, "");
    assert_eq!(exchange.identity_requests().len(), 7);
}
