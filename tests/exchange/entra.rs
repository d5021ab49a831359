//! The token side: Entra's v2.0 token endpoint over HTTPS.

use super::channel::Channel;
use super::http::{Request, Requests};
use super::record::Issued;
use super::shared::Shared;
use super::tcp::End;

pub use answer::Answer;

pub(super) use login::Logins;
pub(super) use refusal::Refusal;

mod answer;
mod assertion;
mod federation;
mod login;
mod refusal;
mod token;

/// Serves one TLS connection until the client goes.
pub(super) fn serve(mut channel: Channel, shared: &Shared) {
    channel.tcp.end_at(shared.orders().ends.entra);
    if shared.config.entra_is_deaf {
        return channel.tcp.end(End::Silent);
    }
    match channel.handshake(&shared.entra_tls) {
        Ok(()) => answer(channel, shared),
        Err(failure) => {
            shared.handshake_failure("entra", &failure);
            channel.tcp.end(End::Disconnect);
        }
    }
}

fn answer(channel: Channel, shared: &Shared) {
    let mut requests = Requests::new(channel);
    while let Some(request) = requests.next() {
        shared.count_token_turns(&mut requests.channel.tcp);
        let usual = token(&request, shared);
        let answer = shared.next_answer().unwrap_or_else(Answer::usual);
        if !perform(&answer, &usual, &mut requests.channel) {
            return;
        }
    }
    requests.channel.close();
}

/// `POST /{tenant}/oauth2/v2.0/token`, and `/devicecode`.
fn token(request: &Request, shared: &Shared) -> Answer {
    let secrets = [
        "client_secret",
        "client_assertion",
        "device_code",
        "refresh_token",
    ];
    shared
        .record()
        .token_requests
        .push(request.without(&secrets));
    if let Some(answer) = of_user(request, shared) {
        return answer.map_or_else(|refusal| refusal.answer(), |json| Answer::json(&json));
    }
    match check(request, shared) {
        Ok(audience) => {
            let token = shared.issue(audience);
            let expires_in = shared.config.expires_in;
            Answer::json(&serde_json::json!({
                "token_type": "Bearer",
                "expires_in": expires_in,
                "ext_expires_in": expires_in,
                "access_token": token,
            }))
        }
        Err(refusal) => refusal.answer(),
    }
}

/// The answer to a request for a user; `None` for one of an application.
fn of_user(request: &Request, shared: &Shared) -> Option<Result<serde_json::Value, Refusal>> {
    let path = request.target.strip_prefix('/')?;
    let (tenant, name) = path.split_once("/oauth2/v2.0/")?;
    let ask = match (name, request.field("grant_type")) {
        ("devicecode", _) => login::device_code,
        ("token", Some(login::DEVICE_CODE)) => login::poll,
        ("token", Some("refresh_token")) => login::refresh,
        _ => return None,
    };
    let any = ["common", "organizations", "consumers"].contains(&tenant);
    Some(match any || is_ours(tenant, shared) {
        true => ask(request, tenant, shared),
        false => Err(Refusal::unknown_tenant(tenant)),
    })
}

fn is_ours(tenant: &str, shared: &Shared) -> bool {
    let config = &shared.config;
    let mut known = [&config.tenant, &config.tenant_id].into_iter();
    known.any(|known| known.eq_ignore_ascii_case(tenant))
}

/// Entra's checks in Entra's order; the audience of the token if all is well.
fn check<'a>(request: &'a Request, shared: &Shared) -> Result<&'a str, Refusal> {
    let config = &shared.config;
    let needed = |name| {
        let field = request.field(name);
        field.ok_or_else(|| Refusal::missing_parameter(name))
    };

    let Some(tenant) = request
        .target
        .strip_prefix('/')
        .and_then(|path| path.strip_suffix("/oauth2/v2.0/token"))
    else {
        return Err(Refusal::new(90_023, "No such endpoint."));
    };
    if request.method != "POST" {
        let method = &request.method;
        let text = format!("The endpoint only accepts POST requests. Received a {method} request.");
        return Err(Refusal::new(900_561, text));
    }
    if !is_ours(tenant, shared) {
        return Err(Refusal::unknown_tenant(tenant));
    }
    let grant_type = needed("grant_type")?;
    if grant_type != "client_credentials" {
        let text = format!("The app requested an unsupported grant type '{grant_type}'.");
        return Err(Refusal::new(70_003, text));
    }
    let client_id = needed("client_id")?;
    if client_id != config.client_id {
        return Err(Refusal::unknown_client(client_id, tenant));
    }
    let scope = needed("scope")?;
    let resource = match scope.strip_suffix("/.default") {
        Some(resource) if !scope.contains(' ') => resource,
        _ => return Err(Refusal::scope_not_default(scope)),
    };
    if ![&config.resource, GRAPH].contains(&resource) {
        return Err(Refusal::unknown_resource(resource, tenant));
    }
    check_credential(request, shared)?;
    Ok(resource)
}

const NO_CREDENTIAL: &str =
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
/// RFC 6749 2.3: no more than one way to prove who one is in a request.
const MALFORMED: &str = "Invalid request. Request is malformed or invalid.";

pub(super) const GRAPH: &str = "https://graph.microsoft.com";

/// What proves the client: a secret or an assertion, not both.
fn check_credential(request: &Request, shared: &Shared) -> Result<(), Refusal> {
    let config = &shared.config;
    let (secret, assertion) = ("client_secret", "client_assertion");
    match (request.field(secret), request.field(assertion)) {
        (None, None) => Err(Refusal::new(7_000_218, NO_CREDENTIAL)),
        (Some(_), Some(_)) => Err(Refusal::new(9_002_313, MALFORMED)),
        (Some(secret), None) if secret == config.client_secret => Ok(()),
        (Some(_), None) => Err(Refusal::wrong_secret(&config.client_id)),
        (None, Some(assertion)) => {
            shared.record().assertions.push(assertion.to_owned());
            match request.field("client_assertion_type") {
                None => return Err(Refusal::missing_parameter("client_assertion_type")),
                Some(assertion::TYPE) => (),
                Some(_) => return Err(Refusal::new(9_002_313, MALFORMED)),
            }
            if shared.orders().federated.any() && !assertion::names_certificate(assertion) {
                return federation::check(assertion, shared);
            }
            let host = request.header("Host").unwrap_or_default();
            let endpoint = format!("https://{host}{}", request.target);
            assertion::check(assertion, &endpoint, shared)
        }
    }
}

/// Sends an answer; `false` if it was the connection's last.
pub(super) fn perform(answer: &Answer, usual: &Answer, channel: &mut Channel) -> bool {
    if !channel.tcp.pause(answer.after) {
        return false;
    }
    let bytes = answer.bytes(usual);
    let sent = channel.send(&bytes, answer.pace).is_ok();
    match answer.end {
        Some(End::Disconnect) if sent => channel.close(),
        Some(end) if sent => channel.tcp.end(end),
        _ => (),
    }
    sent && answer.end.is_none()
}

impl Shared {
    /// Makes a token and remembers it.
    pub(super) fn issue(&self, audience: &str) -> String {
        self.issue_to(None, audience)
    }

    /// The same, for a user.
    pub(super) fn issue_to(&self, user: Option<&str>, audience: &str) -> String {
        let token = token::make(&self.config, user, audience);
        let for_exchange = audience == self.config.resource;
        self.record().issued.push(Issued {
            token: token.clone(),
            user: user.unwrap_or(&self.config.mailbox).to_owned(),
            for_exchange,
        });
        token
    }
}
