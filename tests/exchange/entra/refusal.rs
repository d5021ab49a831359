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
    /// Status and `error` go with the number.
    pub(in super::super) fn new(code: u32, text: impl Into<String>) -> Self {
        let (status, error) = match code {
            7_000_215 | 7_000_218 | 700_021..=700_027 | 700_211..=700_213 => {
                (401, "invalid_client")
            }
            700_016 => (400, "unauthorized_client"),
            70_003 => (400, "unsupported_grant_type"),
            70_011 | 1_002_012 => (400, "invalid_scope"),
            500_011 => (400, "invalid_resource"),
            90_023 => (404, "invalid_request"),
            _ => (400, "invalid_request"),
        };
        let text = text.into();
        Self {
            status,
            error,
            code,
            text,
        }
    }

    pub(super) fn wrong_secret(client: &str) -> Self {
        let text = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
             value, not the client secret ID, for a secret added to app '{client}'."
        );
        Self::new(7_000_215, text)
    }

    pub(super) fn unknown_client(client: &str, tenant: &str) -> Self {
        let text = format!(
            "Application with identifier '{client}' was not found in the directory '{tenant}'. {NOT_THERE}"
        );
        Self::new(700_016, text)
    }

    pub(super) fn unknown_tenant(tenant: &str) -> Self {
        let text = format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
             the correct cloud. Check with your subscription administrator, this may happen if there are no \
             active subscriptions for the tenant."
        );
        Self::new(90_002, text)
    }

    pub(super) fn scope_not_default(scope: &str) -> Self {
        if scope.contains(' ') || scope.is_empty() {
            let text = format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input \
                 parameter 'scope' is not valid. The scope {scope} is not valid."
            );
            return Self::new(70_011, text);
        }
        let text = format!(
            "The provided value for scope {scope} is not valid. Client credential flows must have a scope value \
             with /.default suffixed to the resource identifier (application ID URI)."
        );
        Self::new(1_002_012, text)
    }

    pub(in super::super) fn unknown_resource(resource: &str, tenant: &str) -> Self {
        let text = format!(
            "The resource principal named {resource} was not found in the tenant named {tenant}. {NOT_THERE}"
        );
        Self::new(500_011, text)
    }

    pub(super) fn missing_parameter(name: &str) -> Self {
        let text = format!("The request body must contain the following parameter: '{name}'.");
        Self::new(900_144, text)
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

const NOT_THERE: &str = "This can happen if the application has not been installed by the administrator of the tenant or \
                         consented to by any user in the tenant. You may have sent your authentication request to the \
                         wrong tenant.";
