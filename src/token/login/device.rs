//! The device authorization grant (RFC 8628): a code to enter elsewhere, and asking until somebody has.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::{Deadline, Timeouts};
use crate::token::answer::{Withheld, seconds, take_word};
use crate::token::http::Answer;
use crate::token::login::{Grant, scope};
use crate::token::request::post;
use crate::token::{Application, Attempt, endpoint};

/// What Entra gives the user to enter, and us to ask with. Boxed, since it passes through several hands.
#[derive(Debug)]
pub(crate) struct DeviceCode {
    device_code: Secret,
    pub(crate) user_code: Secret,
    pub(crate) address: Secret,
    /// In seconds, as the interval.
    pub(crate) expires_in: u64,
    interval: u64,
}

/// The pause between two questions in seconds, unless the server says another (RFC 8628 3.2).
const INTERVAL: u64 = 5;
/// The shortest, from the third question on: a server that says 0 is asked twice at once, and no more.
const SHORTEST: u64 = 1;
/// How much longer each `slow_down` makes it (RFC 8628 3.5).
const SLOWER: u64 = 5;
/// The longest, after failures: somebody who has entered the code is waiting.
const LONGEST: u64 = 60;
/// How long a code is good, unless the server says otherwise (facts.md, "A user's login"), and what it may say at most.
const LIFETIME: u64 = 15 * 60;
const MAX_LIFETIME: u64 = 24 * 60 * 60;

/// What a question brings: `None` until the user has logged in.
type Asked = Result<Option<Box<Grant>>, Error>;

impl DeviceCode {
    pub(crate) fn request(app: &Application<'_>, timeouts: &Timeouts) -> Result<Box<Self>, Error> {
        let scope = scope(app);
        let fields = [("client_id", app.client_id), ("scope", &scope)];
        let url = endpoint(&app.authority, app.tenant, "devicecode");
        let answer = ask(app, timeouts, &url, &fields)?;
        Self::read(&answer).map_err(|error| error.about(app.tenant))
    }

    pub(crate) fn read(answer: &Answer) -> Result<Box<Self>, Error> {
        // Nothing that was sent is secret.
        let withheld = Withheld {
            name: "",
            secret: "",
        };
        let mut json = answer
            .json(&withheld)
            .map_err(|error| answer.of_user(error))?;
        Self::of(&mut json).ok_or_else(|| {
            let what = "HTTP 200 without a code and an https address to enter it at";
            let error = answer.error(what.into());
            error.with_condition(Condition::NotEntra)
        })
    }

    fn of(json: &mut Value) -> Option<Box<Self>> {
        let time = |field: &str, default| {
            let told = seconds(json.get(field));
            told.map_or(default, |told| told.as_secs().min(MAX_LIFETIME))
        };
        let (expires_in, interval) = (time("expires_in", LIFETIME), time("interval", INTERVAL));
        let code = Box::new(Self {
            device_code: take_word(json, "device_code")?,
            user_code: take_word(json, "user_code")?,
            address: take_word(json, "verification_uri")?,
            expires_in,
            interval,
        });
        let is_secure = code.address.expose().starts_with("https://");
        is_secure.then_some(code)
    }

    /// Asks until the user has logged in, has declined, or the code has expired.
    pub(crate) fn wait(
        &self,
        app: &Application<'_>,
        timeouts: &Timeouts,
        clock: &mut dyn Clock,
    ) -> Result<Box<Grant>, Error> {
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
            ("client_id", app.client_id),
            ("device_code", self.device_code.expose()),
        ];
        let grant = self.poll(clock, &mut |interval| {
            let asked = SystemTime::now();
            let answer = ask(app, timeouts, &app.endpoint, &fields)?;
            self.judge(&answer, asked, interval)
        });
        grant.map_err(|error| error.about(app.tenant))
    }

    fn judge(&self, answer: &Answer, asked: SystemTime, interval: &mut u64) -> Asked {
        let withheld = Withheld {
            name: "[device code]",
            secret: self.device_code.expose(),
        };
        // Only a refusal is looked at again: what that reads is not wiped, and a login is secret.
        match answer.grant(asked, &withheld) {
            Err(_) if answer.says("error", "authorization_pending") => Ok(None),
            Err(_) if answer.says("error", "slow_down") => {
                *interval += SLOWER;
                Ok(None)
            }
            judged => judged.map(Some),
        }
    }

    /// `ask` may make the interval longer.
    fn poll(
        &self,
        clock: &mut dyn Clock,
        ask: &mut dyn FnMut(&mut u64) -> Asked,
    ) -> Result<Box<Grant>, Error> {
        let mut interval = self.interval;
        let mut trouble = None;
        for asked in 0.. {
            if asked == 2 {
                interval = interval.max(SHORTEST);
            }
            let left = self.expires_in.saturating_sub(clock.passed().as_secs());
            let pause = interval.min(left);
            clock.sleep(Duration::from_secs(pause));
            if pause == left {
                break;
            }
            match ask(&mut interval) {
                Ok(Some(grant)) => return Ok(grant),
                Ok(None) => trouble = None,
                // The network or Entra has failed for now: it is asked again, at longer intervals (RFC 8628 3.5).
                Err(error) if error.is_transient() => {
                    log::warn!("{error}; asking again");
                    interval = interval.max((2 * interval).clamp(SHORTEST, LONGEST));
                    trouble = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(trouble.unwrap_or_else(expired))
    }
}

/// Asks once, and no longer than the timeouts allow.
fn ask(
    app: &Application<'_>,
    timeouts: &Timeouts,
    url: &str,
    fields: &[(&str, &str)],
) -> Result<Box<Answer>, Error> {
    let attempt = Attempt {
        app,
        number: 0,
        total: Deadline::total(timeouts),
    };
    post(&attempt, url, fields).map_err(|failure| failure.error)
}

/// How time passes.
pub(crate) trait Clock {
    /// Since the code was given.
    fn passed(&self) -> Duration;
    fn sleep(&mut self, pause: Duration);
}

fn expired() -> Error {
    let what = "the code was not entered in time";
    Error::new(ErrorKind::Token, Stage::Token, what).with_condition(Condition::LoginCodeExpired)
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderMap;

    use super::*;

    /// A clock that advances only when it sleeps.
    struct Watch {
        passed: Duration,
        slept: Vec<u64>,
    }

    impl Clock for Watch {
        fn passed(&self) -> Duration {
            self.passed
        }

        fn sleep(&mut self, pause: Duration) {
            self.passed += pause;
            self.slept.push(pause.as_secs());
        }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer::of(status, &HeaderMap::new(), body.as_bytes().to_vec().into())
    }

    fn read(body: &str) -> Result<Box<DeviceCode>, Error> {
        DeviceCode::read(&answer(200, body))
    }

    const CODE: &str = r#"{"device_code":"hush-hush","user_code":"FRWQDE7YL","interval":5,"expires_in":900,
        "verification_uri":"https://microsoft.com/devicelogin"}"#;
    const GRANT: &str =
        r#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey","refresh_token":"0.A"}"#;

    /// The result after these answers, and the pause before each request.
    fn run(answers: &[(u16, &str)]) -> (Result<Box<Grant>, Error>, Vec<u64>) {
        run_by(CODE, answers)
    }

    fn run_by(code: &str, answers: &[(u16, &str)]) -> (Result<Box<Grant>, Error>, Vec<u64>) {
        let code = read(code).unwrap();
        let mut watch = Watch {
            passed: Duration::ZERO,
            slept: Vec::new(),
        };
        let mut answers = answers.iter().cycle();
        let grant = code.poll(&mut watch, &mut |interval| {
            let (status, body) = answers.next().unwrap();
            code.judge(&answer(*status, body), SystemTime::now(), interval)
        });
        (grant, watch.slept)
    }

    const PENDING: (u16, &str) = (
        400,
        r#"{"error":"authorization_pending","error_codes":[70016]}"#,
    );
    const SLOW: (u16, &str) = (400, r#"{"error":"slow_down"}"#);

    #[test]
    fn polling_pauses_as_long_as_entra_asks() {
        let (grant, slept) = run(&[PENDING, PENDING, (200, GRANT)]);
        assert_eq!(grant.unwrap().refresh_token.unwrap().expose(), "0.A");
        assert_eq!(slept, [5, 5, 5]);
        let (_, slept) = run(&[SLOW, PENDING, SLOW, PENDING, (200, GRANT)]);
        assert_eq!(slept, [5, 10, 10, 15, 15], "slower for good");
        let (_, slept) = run(&[(503, ""), (502, "<html>"), (200, GRANT)]);
        assert_eq!(slept, [5, 10, 20], "trouble");
        let at_once = CODE.replace("\"interval\":5", "\"interval\":0");
        let (_, slept) = run_by(&at_once, &[PENDING, PENDING, PENDING, (200, GRANT)]);
        assert_eq!(slept, [0, 0, 1, 1]);
    }

    #[test]
    fn polling_ends_when_the_code_expires() {
        let (none, slept) = run(&[PENDING]);
        assert_eq!(
            none.err().unwrap().condition(),
            Some(Condition::LoginCodeExpired)
        );
        assert_eq!(slept.iter().sum::<u64>(), 900);
        let (none, slept) = run(&[SLOW]);
        assert_eq!(
            none.err().unwrap().to_string(),
            "token: the code was not entered in time"
        );
        assert_eq!(slept.iter().sum::<u64>(), 900);
        let (none, _) = run(&[(503, "{}")]);
        let error = none.err().unwrap();
        assert!(
            error.is_transient() && error.to_string().contains("503"),
            "{error}"
        );
    }

    #[test]
    fn polling_ends_at_a_refusal_or_a_foreign_answer() {
        use Condition::*;
        for (error, expected) in [
            ("authorization_declined", LoginDeclined),
            ("access_denied", LoginDeclined),
            ("bad_verification_code", LoginCodeUnknown),
            ("expired_token", LoginCodeExpired),
            ("invalid_grant", LoginEnded),
        ] {
            let body = format!(r#"{{"error":"{error}","error_description":"no hush-hush"}}"#);
            let (none, slept) = run(&[PENDING, (400, &body)]);
            let told = none.err().unwrap();
            assert_eq!((told.condition(), slept.len()), (Some(expected), 2));
            assert_eq!(
                told.to_string(),
                format!("token: {error}: no [device code]")
            );
            assert!(told.is_permanent());
        }
        for (status, body) in [
            (200, "<html><title>Sign in</title>"),
            (302, ""),
            (200, "{}"),
            (200, r#"{"access_token":"a b"}"#),
            (200, r#"{"access_token":"ey","token_type":"mac"}"#),
        ] {
            let (none, slept) = run(&[(status, body)]);
            assert!(
                none.err().unwrap().is_permanent() && slept.len() == 1,
                "{body}"
            );
        }
    }

    #[test]
    fn a_code_is_read_and_a_malformed_one_refused() {
        let code = read(CODE).unwrap();
        assert_eq!((code.user_code.expose(), code.interval), ("FRWQDE7YL", 5));
        assert!(!format!("{code:?}").contains("hush"));
        for odd in ["null", "\"soon\"", "-1", "[]"] {
            let odd = CODE.replace(
                "\"interval\":5,\"expires_in\":900",
                &format!("\"interval\":{odd}"),
            );
            assert_eq!(read(&odd).unwrap().interval, 5, "{odd}");
        }
        let without = read(&CODE.replace("\"interval\":5,\"expires_in\":900,", "")).unwrap();
        assert_eq!((without.interval, without.expires_in), (5, LIFETIME));
        for wrong in [
            CODE.replace("https://", "http://"),
            CODE.replace("FRWQDE7YL", "FRW\\u001b[2J"),
            CODE.replace("hush-hush", ""),
            CODE.replace("user_code", "code"),
            "{}".into(),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
