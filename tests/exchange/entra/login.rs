//! A user's login: `/devicecode`, the polls, and refresh tokens, as Entra has them (facts.md, "A user's login").

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::http::Request;
use super::super::random;
use super::super::shared::Shared;
use super::refusal::Refusal;
use super::{Answer, GRAPH};

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What users let the application do.
#[derive(Default)]
pub(in super::super) struct Logins {
    pub(in super::super) codes: Vec<Code>,
    pub(in super::super) refresh_tokens: Vec<RefreshToken>,
    /// The AADSTS number by which all refresh tokens are refused.
    pub(in super::super) ended: Option<u32>,
}

pub(in super::super) struct Code {
    pub(in super::super) device_code: String,
    tenant: String,
    scope: String,
    polls: usize,
    last: Instant,
    used: bool,
}

pub(in super::super) struct RefreshToken {
    pub(in super::super) token: String,
    scope: String,
}

/// `POST /{tenant}/oauth2/v2.0/devicecode`.
pub(super) fn device_code(
    request: &Request,
    tenant: &str,
    shared: &Shared,
) -> Result<Value, Refusal> {
    let needed = |name| {
        let field = request.field(name);
        field.ok_or_else(|| Refusal::missing_parameter(name))
    };
    check_client(request, needed("client_id")?, tenant, shared)?;
    let scope = needed("scope")?.to_owned();
    resource(&scope, shared)?;
    let (device_code, user_code) = (random::base64url(120), random::hex(5)[..9].to_owned());
    let interval = shared.config.login_interval;
    let answer = json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900,
        "interval": interval,
        "message": format!("To sign in, enter the code {user_code}."),
    });
    shared.record().logins.codes.push(Code {
        device_code,
        tenant: tenant.to_owned(),
        scope,
        polls: 0,
        last: Instant::now(),
        used: false,
    });
    Ok(answer)
}

/// The grant for a device code; pending until it was asked for often enough.
pub(super) fn poll(request: &Request, tenant: &str, shared: &Shared) -> Result<Value, Refusal> {
    let client_id = request.field("client_id").unwrap_or_default();
    check_client(request, client_id, tenant, shared)?;
    let asked = request.field("device_code").unwrap_or_default();
    let scope = {
        let (config, mut record) = (&shared.config, shared.record());
        let known = record
            .logins
            .codes
            .iter_mut()
            .find(|code| code.device_code == asked);
        let Some(code) = known.filter(|code| code.tenant == tenant && !code.used) else {
            return Err(oauth(
                70_018,
                "bad_verification_code",
                "Invalid verification code.",
            ));
        };
        let early = code.last.elapsed() < Duration::from_secs(config.login_interval);
        code.last = Instant::now();
        if early {
            drop(record);
            shared.violation("a poll before its time (RFC 8628 3.5)");
            return Err(oauth(70_016, "slow_down", "Too fast."));
        }
        code.polls += 1;
        if code.polls <= config.login_polls {
            let text = "OAuth 2.0 device flow error. Authorization is pending. Continue polling.";
            return Err(oauth(70_016, "authorization_pending", text));
        }
        code.used = true;
        code.scope.clone()
    };
    grant(&scope, &scope, shared)
}

/// One use of a refresh token. The old one stays good.
pub(super) fn refresh(request: &Request, tenant: &str, shared: &Shared) -> Result<Value, Refusal> {
    let client_id = request.field("client_id").unwrap_or_default();
    check_client(request, client_id, tenant, shared)?;
    let token = request.field("refresh_token").unwrap_or_default();
    let (known, ended) = {
        let logins = &shared.record().logins;
        let known = logins
            .refresh_tokens
            .iter()
            .find(|known| known.token == token);
        (known.map(|known| known.scope.clone()), logins.ended)
    };
    if let Some(code) = ended {
        return Err(oauth(code, "invalid_grant", "The login has ended."));
    }
    let Some(login) = known else {
        return Err(oauth(
            9_002_313,
            "invalid_grant",
            "Invalid request. Request is malformed or invalid.",
        ));
    };
    let asked = request.field("scope").unwrap_or(&login);
    grant(&login, asked, shared)
}

fn grant(login: &str, scope: &str, shared: &Shared) -> Result<Value, Refusal> {
    let resource = resource(scope, shared)?;
    let user = shared
        .config
        .login_user
        .clone()
        .unwrap_or_else(|| shared.config.mailbox.clone());
    let has = |name: &str| scope.split(' ').any(|word| word == name);
    let mut answer = json!({
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": shared.config.expires_in,
        "access_token": shared.issue_to(Some(&user), resource),
    });
    if has("offline_access") {
        let token = format!("0.A{}", random::base64url(900));
        answer["refresh_token"] = token.clone().into();
        let scope = login.to_owned();
        shared
            .record()
            .logins
            .refresh_tokens
            .push(RefreshToken { token, scope });
    }
    if has("openid") {
        let name = if has("profile") { user.as_str() } else { "" };
        let claims = json!({ "aud": shared.config.client_id, "preferred_username": name });
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        answer["id_token"] = format!("e30.{claims}.{}", random::base64url(64)).into();
    }
    Ok(answer)
}

/// A public client of this tenant, or of any; it has no secret to send along.
fn check_client(
    request: &Request,
    client_id: &str,
    tenant: &str,
    shared: &Shared,
) -> Result<(), Refusal> {
    if ["client_secret", "client_assertion"]
        .iter()
        .any(|name| request.field(name).is_some())
    {
        shared.violation("a public client sends a secret (RFC 6749 2.3.1)");
    }
    match client_id == shared.config.client_id {
        true => Ok(()),
        false => Err(Refusal::unknown_client(client_id, tenant)),
    }
}

/// What a token is for: one permission of one resource, beside those of OpenID.
fn resource<'s>(scope: &'s str, shared: &'s Shared) -> Result<&'s str, Refusal> {
    let openid = ["openid", "profile", "email", "offline_access"];
    let mut others = scope.split(' ').filter(|word| !openid.contains(word));
    let (Some(asked), None) = (others.next(), others.next()) else {
        return Err(Refusal::scope_not_default(scope));
    };
    let exchange = [
        shared.config.resource.as_str(),
        "https://outlook.office.com",
    ];
    match asked.rsplit_once('/') {
        Some((of, "SMTP.Send" | ".default")) if exchange.contains(&of) => {
            Ok(&shared.config.resource)
        }
        Some((GRAPH, "Mail.Send" | ".default")) => Ok(GRAPH),
        _ => Err(Refusal::new(
            70_011,
            format!("The scope '{asked}' does not exist."),
        )),
    }
}

fn oauth(code: u32, error: &'static str, text: &str) -> Refusal {
    Refusal {
        status: 400,
        error,
        code,
        text: text.to_owned(),
    }
}

impl Answer {
    /// An error in OAuth's words alone, as `slow_down` is.
    pub fn oauth(error: &str) -> Self {
        let body = json!({ "error": error, "error_description": "What Entra says." });
        Self::json(&body).with_status(400)
    }
}
