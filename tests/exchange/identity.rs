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

mod app_service;
mod imds;

/// Where they are: one server, which starts when it is asked for.
impl Exchange {
    /// The metadata service without its path: `http://127.0.0.1:12345` in the place of `http://169.254.169.254`.
    pub fn imds_url(&self) -> String {
        let server = self.machine.get_or_init(|| {
            let shared = Arc::clone(&self.shared);
            Server::start(vec![loopback()], None, move |channel| {
                serve(channel, &shared);
            })
        });
        format!("http://127.0.0.1:{}", server.port())
    }

    /// `IDENTITY_ENDPOINT` and `IDENTITY_HEADER` as App Service sets them.
    pub fn app_service_env(&self) -> [(&'static str, String); 2] {
        [
            ("IDENTITY_ENDPOINT", self.imds_url() + app_service::PATH),
            ("IDENTITY_HEADER", app_service::SECRET.into()),
        ]
    }

    /// `IDENTITY_ENDPOINT` and `IMDS_ENDPOINT` as the agent of Arc sets them. What it answers a test has to say.
    pub fn arc_env(&self) -> [(&'static str, String); 2] {
        [
            ("IDENTITY_ENDPOINT", self.imds_url() + imds::PATH),
            ("IMDS_ENDPOINT", self.imds_url()),
        ]
    }

    /// The requests for a managed identity's token without their secrets.
    pub fn identity_requests(&self) -> Vec<Request> {
        self.shared.record().identity_requests.clone()
    }
}

/// Serves one connection.
fn serve(channel: Channel, shared: &Shared) {
    let mut requests = Requests::new(channel);
    while let Some(request) = requests.next() {
        let shown = request.without(&["authorization", app_service::HEADER]);
        shared.record().identity_requests.push(shown);
        if request.method != "GET" {
            shared.violation(format!("identity: {} instead of GET", request.method));
        }
        // The mark of a request that was relayed: it may come from outside the machine.
        if request.header("X-Forwarded-For").is_some() {
            shared.violation("identity: asked through a proxy");
        }
        let usual = match request.path() {
            app_service::PATH => app_service::answer(&request, shared),
            _ => imds::answer(&request, shared),
        };
        let answer = shared.orders().identity_answers.next();
        let answer = answer.unwrap_or_else(Answer::usual);
        if !perform(&answer, &usual, &mut requests.channel) {
            return;
        }
    }
    requests.channel.close();
}

/// A token as both give it, with every member that one of them has. All are strings.
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
fn identity<'a>(request: &Request, shared: &'a Shared) -> Option<&'a str> {
    let config = &shared.config;
    let others = ["object_id", "principal_id", "msi_res_id", "mi_res_id"];
    if others.iter().any(|name| request.field(name).is_some()) {
        return None;
    }
    let known = match request.field("client_id") {
        None => Some(&config.client_id),
        Some(asked) => config.user_assigned.iter().find(|known| *known == asked),
    };
    known.map(String::as_str)
}

/// The resource that is asked for, if the tenant has it.
fn resource<'a>(request: &'a Request, shared: &Shared) -> Result<&'a str, &'a str> {
    let asked = request.field("resource").unwrap_or_default();
    if [&*shared.config.resource, GRAPH].contains(&asked) {
        Ok(asked)
    } else {
        Err(asked)
    }
}
