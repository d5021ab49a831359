//! The token side: Entra's v2.0 token endpoint over HTTPS, and token introspection for other servers.

use super::channel::Channel;
use super::http::{Request, Requests};
use super::record::{Issued, TokenRequest};
use super::shared::Shared;
use super::tcp::End;

pub use answer::Answer;

pub(super) use assertion::Registered;
pub(super) use refusal::Refusal;

mod answer;
mod assertion;
mod federation;
mod refusal;
mod token;

/// Serves one TLS connection until the client goes.
pub(super) fn serve(mut channel: Channel, shared: &Shared) {
    channel.tcp.end_at(shared.orders().ends.entra);
    if shared.config.entra_is_deaf {
        return channel.tcp.end(End::Silent);
    }
    match channel.handshake(&shared.entra_tls) {
        Ok(()) => serve_plain(channel, shared),
        Err(failure) => {
            shared.handshake_failure("entra", &failure);
            channel.tcp.end(End::Disconnect);
        }
    }
}

/// Serves one connection whose TLS, if any, is done.
pub(super) fn serve_plain(channel: Channel, shared: &Shared) {
    let mut requests = Requests::new(channel);
    while let Some(request) = requests.next() {
        shared.count_token_turns(&mut requests.channel.tcp);
        let path = request.target.split('?').next().unwrap_or_default();
        let (usual, answer) = match path {
            "/introspect" => (introspect(&request, shared), Answer::usual()),
            _ => (
                token(&request, shared),
                shared.next_answer().unwrap_or_else(Answer::usual),
            ),
        };
        if !perform(&answer, &usual, &mut requests.channel) {
            return;
        }
    }
    requests.channel.close();
}

/// `POST /{tenant}/oauth2/v2.0/token`.
fn token(request: &Request, shared: &Shared) -> Answer {
    let form = request.form();
    let secret_as_length = |(name, value): (String, String)| match name.as_str() {
        "client_secret" | "client_assertion" => (name, format!("[{} octets]", value.len())),
        _ => (name, value),
    };
    shared.record().token_requests.push(TokenRequest {
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.clone(),
        form: form.iter().cloned().map(secret_as_length).collect(),
    });
    match check(request, &form, shared) {
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

/// Entra's checks in Entra's order; the audience of the token if all is well.
fn check<'a>(
    request: &Request,
    form: &'a [(String, String)],
    shared: &Shared,
) -> Result<&'a str, Refusal> {
    let config = &shared.config;
    let field = |name: &str| {
        form.iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
    };
    let needed = |name| field(name).ok_or_else(|| Refusal::missing_parameter(name));

    let Some(tenant) = request
        .target
        .strip_prefix('/')
        .and_then(|path| path.strip_suffix("/oauth2/v2.0/token"))
    else {
        return Err(Refusal::not_found());
    };
    if request.method != "POST" {
        return Err(Refusal::not_post(&request.method));
    }
    if ![&config.tenant, &config.tenant_id]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(tenant))
    {
        return Err(Refusal::unknown_tenant(tenant));
    }
    let grant_type = needed("grant_type")?;
    if grant_type != "client_credentials" {
        return Err(Refusal::unsupported_grant(grant_type));
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
    check_credential(request, field, shared)?;
    Ok(resource)
}

pub(super) const GRAPH: &str = "https://graph.microsoft.com";

/// What proves the client: a secret or an assertion, not both.
fn check_credential<'a>(
    request: &Request,
    field: impl Fn(&str) -> Option<&'a str>,
    shared: &Shared,
) -> Result<(), Refusal> {
    let config = &shared.config;
    match (field("client_secret"), field("client_assertion")) {
        (None, None) => Err(Refusal::no_credential()),
        (Some(_), Some(_)) => Err(Refusal::malformed()),
        (Some(secret), None) if secret == config.client_secret => Ok(()),
        (Some(_), None) => Err(Refusal::wrong_secret(&config.client_id)),
        (None, Some(assertion)) => {
            shared.record().assertions.push(assertion.to_owned());
            match field("client_assertion_type") {
                None => return Err(Refusal::missing_parameter("client_assertion_type")),
                Some(assertion::TYPE) => (),
                Some(_) => return Err(Refusal::malformed()),
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

/// RFC 7662, as Dovecot's `introspection_mode` auth, get and post ask for it.
fn introspect(request: &Request, shared: &Shared) -> Answer {
    let bearer = request
        .header("Authorization")
        .and_then(|value| value.strip_prefix("Bearer "));
    let parameters = [request.query(), request.form()].concat();
    let parameter = parameters
        .iter()
        .find(|(name, _)| name == "token")
        .map(|(_, value)| value.as_str());
    let good = bearer
        .or(parameter)
        .is_some_and(|token| shared.is_good_for_exchange(token));
    if good {
        let mailbox = &shared.config.mailbox;
        return Answer::json(
            &serde_json::json!({ "active": true, "username": mailbox, "email": mailbox }),
        );
    }
    let answer = Answer::json(&serde_json::json!({ "active": false }));
    if bearer.is_some() {
        answer.with_status(401)
    } else {
        answer
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
        let token = token::make(&self.config, audience);
        let for_exchange = audience == self.config.resource;
        self.record().issued.push(Issued {
            token: token.clone(),
            for_exchange,
        });
        token
    }
}
