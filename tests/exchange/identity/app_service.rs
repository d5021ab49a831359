//! The endpoint of App Service, Functions and Container Apps.

use serde_json::json;

use super::super::entra::Answer;
use super::super::http::Request;
use super::super::shared::Shared;
use super::{identity, resource, token};

pub(super) const PATH: &str = "/MSI/token/";
pub(super) const HEADER: &str = "X-IDENTITY-HEADER";
pub(super) const SECRET: &str = "5F8B2E0C6D7A4193A1C0E4B7D2F96835";

pub(super) fn answer(request: &Request, shared: &Shared) -> Answer {
    checked(request, shared).unwrap_or_else(|refusal| refusal)
}

fn checked(request: &Request, shared: &Shared) -> Result<Answer, Answer> {
    if request.method != "GET" {
        return Err(Answer::status(405));
    }
    if request.header(HEADER) != Some(SECRET) {
        return Err(refusal(401, "The X-IDENTITY-HEADER is missing or wrong."));
    }
    if request.field("api-version") != Some("2019-08-01") {
        return Err(refusal(400, "The api-version is missing or not supported."));
    }
    let Some(client_id) = identity(request, shared) else {
        let text = "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.";
        return Err(refusal(400, text));
    };
    let resource = resource(request, shared)
        .map_err(|unknown| refusal(400, &format!("The resource '{unknown}' was not found.")))?;

    let token = token(resource, client_id, shared);
    // Not `expires_in`, in spite of RFC 6749 5.1.
    let members = [
        "access_token",
        "client_id",
        "expires_on",
        "resource",
        "token_type",
    ];
    let member = |name: &&str| ((*name).to_owned(), token[*name].clone());
    Ok(Answer::json(&members.iter().map(member).collect()))
}

fn refusal(status: u16, text: &str) -> Answer {
    Answer::json(&json!({ "statusCode": status, "message": text })).with_status(status)
}
