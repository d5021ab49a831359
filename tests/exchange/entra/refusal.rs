//! Entra's errors, in Entra's words (facts.md, "AADSTS codes").

use serde_json::json;

use super::super::{clock, random};
use super::Answer;

/// One error: the HTTP status, OAuth's `error`, the AADSTS number and its text.
pub(in super::super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) code: u32,
    pub(super) text: String,
}

impl Refusal {
    /// An error of the credential itself.
    pub(super) fn invalid_client(code: u32, text: String) -> Self {
        Self {
            status: 401,
            error: "invalid_client",
            code,
            text,
        }
    }

    pub(super) fn wrong_secret(client: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
             value, not the client secret ID, for a secret added to app '{client}'."
        );
        Self::invalid_client(7_000_215, text)
    }

    pub(super) fn no_credential() -> Self {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        Self::invalid_client(7_000_218, text.into())
    }

    /// RFC 6749 2.3: no more than one way to prove who one is in a request.
    pub(super) fn malformed() -> Self {
        Self {
            status: 400,
            error: "invalid_request",
            code: 9_002_313,
            text: "Invalid request. Request is malformed or invalid.".into(),
        }
    }

    pub(super) fn unknown_client(client: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if \
             the application has not been installed by the administrator of the tenant or consented to by any \
             user in the tenant. You may have sent your authentication request to the wrong tenant."
        );
        Self {
            status: 400,
            error: "unauthorized_client",
            code: 700_016,
            text,
        }
    }

    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
             the correct cloud. Check with your subscription administrator, this may happen if there are no \
             active subscriptions for the tenant."
        );
        Self {
            status: 400,
            error: "invalid_request",
            code: 90_002,
            text,
        }
    }

    pub(super) fn scope_not_default(scope: &str) -> Self {
        if scope.contains(' ') || scope.is_empty() {
            let text = format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input \
                 parameter 'scope' is not valid. The scope {scope} is not valid."
            );
            return Self {
                status: 400,
                error: "invalid_scope",
                code: 70_011,
                text,
            };
        }
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value \
             with /.default suffixed to the resource identifier (application ID URI)."
        );
        Self {
            status: 400,
            error: "invalid_scope",
            code: 1_002_012,
            text,
        }
    }

    pub(in super::super) fn unknown_resource(resource: &str, tenant: &str) -> Self {
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. This can happen \
             if the application has not been installed by the administrator of the tenant or consented to by any \
             user in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        Self {
            status: 400,
            error: "invalid_resource",
            code: 500_011,
            text,
        }
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self {
            status: 400,
            error: "invalid_request",
            code: 900_144,
            text,
        }
    }

    pub(super) fn unsupported_grant(grant: &str) -> Self {
        let text = format!("The app requested an unsupported grant type '{grant}'.");
        Self {
            status: 400,
            error: "unsupported_grant_type",
            code: 70_003,
            text,
        }
    }

    pub(super) fn not_post(method: &str) -> Self {
        let text = format!("The endpoint only accepts POST requests. Received a {method} request.");
        Self {
            status: 400,
            error: "invalid_request",
            code: 900_561,
            text,
        }
    }

    pub(super) fn not_found() -> Self {
        Self {
            status: 404,
            error: "invalid_request",
            code: 90_023,
            text: "No such endpoint.".into(),
        }
    }

    pub(in super::super) fn answer(&self) -> Answer {
        let Self {
            status,
            error,
            code,
            text,
        } = self;
        let (trace, correlation, time) = (random::guid(), random::guid(), clock::entra());
        let description = format!(
            "AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {time}"
        );
        let body = json!({
            "error": error,
            "error_description": description,
            "error_codes": [code],
            "timestamp": time,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://login.microsoftonline.com/error?code={code}"),
        });
        Answer::json(&body).with_status(*status)
    }
}
