//! The token request: Entra's client credentials flow (RFC 6749 4.4).

use std::time::SystemTime;

use crate::secret::Secret;
use crate::timeouts::Deadline;
use crate::token::answer::Withheld;
use crate::token::http::{self, Answer, Question};
use crate::token::{Application, Attempt, Failure, Token};

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
    let answer = ask(attempt.app, proof, attempt.total);
    answer.map_err(|failure| failure.only_once(attempt.number))
}

fn ask(app: &Application<'_>, proof: &Proof, total: Deadline) -> Result<Token, Failure> {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", app.client_id),
        ("scope", app.scope),
    ];
    let (name, secret) = match proof {
        Proof::Secret(secret) => {
            fields.push(("client_secret", secret.expose()));
            ("[client secret]", secret)
        }
        Proof::Assertion(assertion) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            fields.push(("client_assertion_type", kind));
            fields.push(("client_assertion", assertion.expose()));
            ("[client assertion]", assertion)
        }
    };
    let asked = SystemTime::now();
    let answer = post(app, &app.endpoint, &fields, total)?;
    let pause = answer.pause();
    match answer.token(asked, &Withheld { name, secret }) {
        Ok(mut token) => {
            token.answered_at = answer.date;
            Ok(token)
        }
        Err(error) => {
            let error = error.about(app.tenant).with_answered_at(answer.date);
            Err(Failure { error, pause })
        }
    }
}

/// Sends a form to one of Entra's endpoints. The answer may be a refusal.
pub(super) fn post(
    app: &Application<'_>,
    endpoint: &str,
    fields: &[(&str, &str)],
    total: Deadline,
) -> Result<Answer, Failure> {
    let deadline = total.step(app.timeout, "token");
    let form = http::form(fields);
    log::debug!("token request to {endpoint} for {}", app.client_id);
    let question = Question {
        url: endpoint.to_owned(),
        headers: vec![("content-type", Secret::new(FORM.into()))],
        form: Some(form),
    };
    http::secure(endpoint, app.roots)?.ask(&question, deadline)
}
