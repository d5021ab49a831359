//! The token request: Entra's client credentials flow (RFC 6749 4.4).

use std::time::SystemTime;

use crate::error::Error;
use crate::secret::Secret;
use crate::token::answer::Withheld;
use crate::token::http::{self, Answer, Question};
use crate::token::{Attempt, Failure, Token};

/// What proves the application in a request.
pub(crate) enum Proof {
    /// The client secret (RFC 6749 2.3.1).
    Secret(Secret),
    /// A signed assertion, our own or another identity provider's (RFC 7523 2.2).
    Assertion(Secret),
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Asks once.
pub(crate) fn request(attempt: &Attempt<'_>, proof: &Proof) -> Result<Token, Failure> {
    let app = attempt.app;
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id),
        ("scope", app.scope),
    ];
    let (name, secret) = match proof {
        Proof::Secret(secret) => {
            fields.push(("client_secret", secret.expose()));
            ("[client secret]", secret.expose())
        }
        Proof::Assertion(assertion) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            fields.push(("client_assertion_type", kind));
            fields.push(("client_assertion", assertion.expose()));
            ("[client assertion]", assertion.expose())
        }
    };
    let asked = SystemTime::now();
    let answer = post(attempt, &app.endpoint, &fields)?;
    match answer.token(asked, &Withheld { name, secret }) {
        Ok(mut token) => {
            token.answered_at = answer.date.clone();
            Ok(token)
        }
        Err(error) => Err(answer.failure(attempt, error, app.tenant)),
    }
}

impl Answer {
    /// Why it brings no token, and when asking again may help.
    pub(super) fn failure(&self, attempt: &Attempt<'_>, error: Error, about: &str) -> Failure {
        let error = error.about(about).with_answered_at(self.date.clone());
        let pause = attempt.pause(self.pause());
        Failure { error, pause }
    }
}

/// Sends a form to one of Entra's endpoints. The answer may be a refusal.
pub(super) fn post(
    attempt: &Attempt<'_>,
    endpoint: &str,
    fields: &[(&str, &str)],
) -> Result<Box<Answer>, Failure> {
    let app = attempt.app;
    let deadline = attempt.total.step(app.timeout, "token");
    let form = http::form(fields);
    log::debug!("token request to {endpoint} for {}", app.client_id);
    let question = Question {
        url: endpoint.to_owned(),
        headers: vec![("content-type", Secret::new(FORM.into()))],
        form: Some(form),
    };
    let mut answer = http::secure(endpoint, app.roots)?.ask(&question, deadline);
    if let Err(failure) = &mut answer {
        failure.pause = attempt.pause(failure.pause);
    }
    answer
}
