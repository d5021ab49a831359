//! The metadata service of a virtual machine.

use serde_json::json;

use super::super::entra::{Answer, Refusal};
use super::super::http::Request;
use super::super::shared::Shared;
use super::{identity, resource, token};

pub(super) const PATH: &str = "/metadata/identity/oauth2/token";

pub(super) fn answer(request: &Request, shared: &Shared) -> Answer {
    checked(request, shared).unwrap_or_else(|refusal| refusal)
}

fn checked(request: &Request, shared: &Shared) -> Result<Answer, Answer> {
    if request.path() != PATH {
        return Err(Answer::status(404));
    }
    if request.method != "GET" {
        return Err(Answer::status(405));
    }
    if request.header("X-Forwarded-For").is_some() {
        return Err(refusal("invalid_request", "X-Forwarded-For is not allowed"));
    }
    if request.header("Metadata") != Some("true") {
        return Err(refusal(
            "invalid_request",
            "Required metadata header not specified",
        ));
    }
    if request.field("api-version") != Some("2018-02-01") {
        let text = "api-version is invalid or was not specified in the request";
        return Err(refusal("invalid_request", text));
    }
    let Some(client_id) = identity(request, shared) else {
        return Err(refusal("invalid_request", "Identity not found"));
    };
    let resource = resource(request, shared).map_err(|unknown| {
        let refusal = Refusal::unknown_resource(unknown, &shared.config.tenant);
        refusal.answer()
    })?;
    Ok(Answer::json(&token(resource, client_id, shared)))
}

fn refusal(error: &str, text: &str) -> Answer {
    Answer::json(&json!({ "error": error, "error_description": text })).with_status(400)
}
