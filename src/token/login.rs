//! A user's login: kept as a refresh token, which each use replaces (RFC 6749 section 6; facts.md, "A user's login").

pub(crate) mod device;
pub(crate) mod file;

use std::path::PathBuf;
use std::time::SystemTime;

use crate::error::Error;
use crate::hint::table::{self, Condition};
use crate::secret::Secret;
use crate::text::is_word;
use crate::token::answer::{Withheld, take_word};
use crate::token::claims;
use crate::token::credential::Credential;
use crate::token::http::Answer;
use crate::token::login::file::{KEY, Kept, LoginFile};
use crate::token::request::post;
use crate::token::{Application, Attempt, Failure, Token, endpoint};

/// The tenant that lets any user log in: work, school and personal accounts.
pub(crate) const ANY_TENANT: &str = "common";

/// The login that a file keeps.
#[derive(Debug)]
pub(crate) struct Login {
    file: LoginFile,
    /// Whether a new refresh token replaces the old one in the file. Both are good (facts.md, "A user's login"), so the
    /// doctor leaves the file as it is.
    keeps: bool,
}

impl Login {
    pub(crate) fn file(path: PathBuf) -> Self {
        let file = LoginFile::new(path);
        let keeps = true;
        Self { file, keeps }
    }

    /// The same for the doctor.
    #[cfg(feature = "advice")]
    pub(crate) fn looked_at(path: PathBuf) -> Self {
        let keeps = false;
        let file = LoginFile::new(path);
        Self { file, keeps }
    }

    fn kept(&self) -> Result<Kept, Error> {
        let kept = self.file.read().map_err(|why| self.file.wrong(&why))?;
        let nobody = "nobody is logged in: exosend login";
        kept.ok_or_else(|| self.file.wrong(&nobody))
    }
}

impl Credential for Login {
    fn key(&self) -> &'static str {
        KEY
    }

    fn check(&self) -> Result<(), Error> {
        self.kept().map(drop)
    }

    /// Another login does not use the tokens of this one.
    fn fingerprint(&self) -> Result<String, Error> {
        let kept = self.kept()?;
        Ok(format!("{KEY} {} {}", kept.user(), kept.field("since")))
    }

    /// One use of the refresh token.
    fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        let app = attempt.app;
        let kept = self.kept()?;
        let (user, client_id) = (kept.user(), kept.client_id());
        if !client_id.eq_ignore_ascii_case(app.client_id) {
            let what =
                format!("{user} logged in for another `client_id`, {client_id}: exosend login");
            return Err(self.file.wrong(&what).into());
        }
        let scope = scope(app);
        let fields = [
            ("grant_type", "refresh_token"),
            ("client_id", app.client_id),
            ("refresh_token", kept.refresh_token()),
            ("scope", &scope),
        ];
        let asked = SystemTime::now();
        let url = endpoint(&app.authority, kept.tenant(), "token");
        let answer = post(attempt, &url, &fields)?;
        let withheld = Withheld {
            name: "[refresh token]",
            secret: kept.refresh_token(),
        };
        let grant = answer.grant(asked, &withheld);
        let mut grant = grant.map_err(|error| answer.failure(attempt, error, user))?;
        file::point("answered");
        // Stored before the token is used: whatever kills the process, one of the two refresh tokens is on the disk.
        if let (true, Some(refresh_token)) = (self.keeps, &grant.refresh_token) {
            let renewed = kept.renewed(asked, refresh_token);
            if let Err(why) = self.file.renew(&kept, &renewed) {
                let path = self.file.path().display();
                log::warn!("{KEY} {path}: the renewed login is not kept: {why}");
            }
        }
        grant.token.user = Some(user.to_owned());
        Ok(grant.token)
    }

    fn login_file(&self) -> Option<&LoginFile> {
        Some(&self.file)
    }
}

/// What a user lets the application do, by the answer to a login or a renewal.
pub(crate) struct Grant {
    pub(crate) token: Token,
    pub(crate) refresh_token: Option<Secret>,
}

impl Answer {
    pub(super) fn grant(
        &self,
        asked: SystemTime,
        withheld: &Withheld<'_>,
    ) -> Result<Box<Grant>, Error> {
        let mut json = self.json(withheld).map_err(|error| self.of_user(error))?;
        let refresh_token = take_word(&mut json, "refresh_token");
        let mut token = self.take_token(&mut json, asked)?;
        token.user = take_word(&mut json, "id_token").and_then(|id| user(id.expose()));
        token.answered_at = self.date.clone();
        Ok(Box::new(Grant {
            token,
            refresh_token,
        }))
    }

    /// What Entra's numbers mean where it is a user who logs in, and not an application.
    fn of_user(&self, error: Error) -> Error {
        let condition = match error.condition() {
            Some(known) => table::of_user(known),
            None => {
                let mut refusals = REFUSALS.iter();
                let found = refusals.find(|(code, _)| self.says("error", code));
                found.map(|(_, condition)| *condition)
            }
        };
        match condition {
            Some(condition) => error.with_condition(condition),
            None => error,
        }
    }
}

/// RFC 8628 3.5, RFC 6749 5.2; facts.md, "A user's login".
const REFUSALS: [(&str, Condition); 6] = [
    ("authorization_declined", Condition::LoginDeclined),
    ("access_denied", Condition::LoginDeclined),
    ("bad_verification_code", Condition::LoginCodeUnknown),
    ("expired_token", Condition::LoginCodeExpired),
    ("invalid_grant", Condition::LoginEnded),
    ("interaction_required", Condition::LoginEnded),
];

/// Who an id token is about: the user principal name, which SMTP wants to be told (facts.md, "A user's login"). It came from
/// Entra itself, by TLS, so that its signature need not be looked at (OpenID Connect Core 3.1.3.7).
fn user(id_token: &str) -> Option<String> {
    let claims = claims::json(id_token)?;
    let mut names = ["upn", "preferred_username"].iter();
    let user =
        names.find_map(|&name| claims.get(name)?.as_str().filter(|name| name.contains('@')))?;
    is_word(user).then(|| user.to_owned())
}

/// Asks for the permission to send, for a refresh token, and for the user's name.
fn scope(app: &Application<'_>) -> String {
    format!("{} offline_access openid profile", app.scope)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn the_user_is_a_claim_that_holds_an_address() {
        let user = |claims: &str| user(&format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims)));
        let ann = Some("ann@contoso.com".to_owned());
        assert_eq!(user(r#"{"preferred_username":"ann@contoso.com"}"#), ann);
        let both = r#"{"preferred_username":"+1 555","upn":"ann@contoso.com"}"#;
        assert_eq!(user(both), ann);
        for nobody in [
            "{}",
            "[]",
            r#"{"upn":7}"#,
            r#"{"upn":"ann"}"#,
            r#"{"upn":"ann@contoso.com\u0001auth=Bearer x"}"#,
            r#"{"upn":"ann @contoso.com"}"#,
        ] {
            assert_eq!(user(nobody), None, "{nobody}");
        }
        assert_eq!(super::user("opaque"), None);
    }
}
