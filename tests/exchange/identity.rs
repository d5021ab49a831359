//! Managed identities: the plain HTTP endpoints of a machine in Azure that give a token to whoever runs there
//! (facts.md, "Managed identities").

use std::sync::Arc;

use serde_json::{Value, json};

use super::Exchange;
use super::channel::Channel;
use super::entra::{Answer, GRAPH, perform};
use super::http::{Request, Requests};
use super::server::Server;
use super::shared::Shared;
use super::{clock, loopback};

pub(super) use arc::Key as ArcKey;

mod app_service;
mod arc;
mod imds;

/// Who gives the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// A virtual machine's metadata service.
    Imds,
    /// App Service, Functions and Container Apps.
    AppService,
    /// The agent of Azure Arc.
    Arc,
}

/// Where they are. Each starts when it is asked for.
impl Exchange {
    /// The metadata service without its path: `http://127.0.0.1:12345` in the place of `http://169.254.169.254`.
    pub fn imds_url(&self) -> String {
        self.identity_url(Identity::Imds)
    }

    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` as App Service sets them.
    pub fn app_service_env(&self) -> [(&'static str, String); 2] {
        let url = self.identity_url(Identity::AppService);
        [
            ("IDENTITY_ENDPOINT", url + app_service::PATH),
            ("IDENTITY_HEADER", app_service::SECRET.into()),
        ]
    }

    /// `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT` as the agent of Arc sets them. The test has to name a directory with
    /// [`Builder::arc_tokens`](super::Builder::arc_tokens).
    pub fn arc_env(&self) -> [(&'static str, String); 2] {
        let url = self.identity_url(Identity::Arc);
        [
            ("IDENTITY_ENDPOINT", url.clone() + imds::PATH),
            ("IMDS_ENDPOINT", url),
        ]
    }

    fn identity_url(&self, identity: Identity) -> String {
        let server = self.identities[identity as usize].get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            Server::start(vec![loopback()], None, move |channel| {
                serve(identity, channel, &shared);
            })
        });
        format!("http://127.0.0.1:{}", server.port())
    }

    /// The requests for a managed identity's token, the challenged ones of Arc included.
    pub fn identity_requests(&self) -> Vec<IdentityRequest> {
        self.shared.record().identity_requests.clone()
    }
}

/// A request that came to one of them.
#[derive(Clone, Debug)]
pub struct IdentityRequest {
    /// To which.
    pub identity: Identity,
    /// The method, `GET` if all is well.
    pub method: String,
    /// The path and query.
    pub target: String,
    /// All header fields. Of a secret only the length is kept, as `[40 octets]`.
    pub headers: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

impl IdentityRequest {
    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        let named = self
            .headers
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// A field of the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        value(&self.parameters, name)
    }
}

/// Serves one connection.
fn serve(identity: Identity, channel: Channel, shared: &Shared) {
    let mut requests = Requests::new(channel);
    while let Some(request) = requests.next() {
        note(identity, &request, shared);
        let usual = match identity {
            Identity::Imds => imds::answer(&request, shared),
            Identity::AppService => app_service::answer(&request, shared),
            Identity::Arc => arc::answer(&request, shared),
        };
        let answer = shared.orders().identity_answers.next();
        let answer = answer.unwrap_or_else(Answer::usual);
        if !perform(&answer, &usual, &mut requests.channel) {
            return;
        }
    }
    requests.channel.close();
}

fn note(identity: Identity, request: &Request, shared: &Shared) {
    let secret_as_length = |(name, value): &(String, String)| {
        let secret = ["authorization", app_service::HEADER]
            .iter()
            .any(|secret| name.eq_ignore_ascii_case(secret));
        let shown = if secret {
            format!("[{} octets]", value.len())
        } else {
            value.clone()
        };
        (name.clone(), shown)
    };
    shared.record().identity_requests.push(IdentityRequest {
        identity,
        method: request.method.clone(),
        target: request.target.clone(),
        headers: request.headers.iter().map(secret_as_length).collect(),
        parameters: request.query(),
    });
    if request.method != "GET" {
        shared.violation(format!("{identity:?}: {} instead of GET", request.method));
    }
    // The mark of a request that was relayed: it may come from outside the machine.
    if request.header("X-Forwarded-For").is_some() {
        shared.violation(format!("{identity:?}: asked through a proxy"));
    }
}

/// A token as the three give it, with every member that one of them has. All are strings.
fn token(resource: &str, client_id: &str, shared: &Shared) -> Value {
    let expires_in = i64::try_from(shared.config.expires_in).expect("a sensible time");
    let now = clock::unix();
    json!({
        "access_token": shared.issue(resource),
        "client_id": client_id,
        "expires_in": expires_in.to_string(),
        "expires_on": (now + expires_in).to_string(),
        "ext_expires_in": expires_in.to_string(),
        "not_before": (now - 300).to_string(),
        "resource": resource,
        "token_type": "Bearer",
    })
}

/// The identity that is asked for, by its client ID; `None` if the machine has no such one.
fn identity<'a>(parameters: &'a [(String, String)], shared: &'a Shared) -> Option<&'a str> {
    let config = &shared.config;
    if ["object_id", "principal_id", "msi_res_id", "mi_res_id"]
        .iter()
        .any(|name| value(parameters, name).is_some())
    {
        return None;
    }
    match value(parameters, "client_id") {
        None => config.system_assigned.then_some(config.client_id.as_str()),
        Some(asked) => config
            .user_assigned
            .iter()
            .find(|known| *known == asked)
            .map(String::as_str),
    }
}

/// The resource that is asked for, if the tenant has it.
fn resource<'a>(parameters: &'a [(String, String)], shared: &Shared) -> Result<&'a str, &'a str> {
    let asked = value(parameters, "resource").unwrap_or_default();
    if [&*shared.config.resource, GRAPH].contains(&asked) {
        Ok(asked)
    } else {
        Err(asked)
    }
}

fn value<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters
        .iter()
        .find(|(field, _)| field == name)
        .map(|(_, value)| value.as_str())
}
