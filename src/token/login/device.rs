//! The device authorization grant (RFC 8628): a code to enter elsewhere, and asking until somebody has.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::Secret;
use crate::stage::{ErrorKind, Stage};
use crate::text::{is_word, printable};
use crate::timeouts::Deadline;
use crate::token::Application;
use crate::token::answer::{Withheld, seconds, take};
use crate::token::http::Answer;
use crate::token::login::{Grant, endpoint, scope};
use crate::token::request::post;

/// What Entra gives the user to enter, and us to ask with.
#[derive(Debug)]
pub(crate) struct DeviceCode {
    device_code: Secret,
    pub(crate) user_code: String,
    pub(crate) address: String,
    pub(crate) expires_in: Duration,
    interval: Duration,
}

/// The pause between two questions, unless the server says another (RFC 8628 3.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// The shortest, from the third question on: a server that says 0 is asked twice at once, and no more.
const SHORTEST: Duration = Duration::from_secs(1);
/// How much longer each `slow_down` makes it (RFC 8628 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// The longest, after failures: somebody who has entered the code is waiting.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a code is good, unless the server says otherwise (facts.md, "A user's login"), and what it may say at most.
const LIFETIME: Duration = Duration::from_secs(15 * 60);
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl DeviceCode {
    pub(crate) fn request(app: &Application<'_>, total: Deadline) -> Result<Self, Error> {
        let scope = scope(app);
        let fields = [("client_id", app.client_id), ("scope", &scope)];
        let url = endpoint(app, app.tenant, "devicecode");
        let answer = post(app, &url, &fields, total).map_err(|failure| failure.error)?;
        Self::read(&answer).map_err(|error| error.about(app.tenant))
    }

    pub(crate) fn read(answer: &Answer) -> Result<Self, Error> {
        // Nothing that was sent is secret.
        let withheld = Withheld {
            name: "",
            secret: &Secret::new(String::new()),
        };
        let mut json = answer
            .json(&withheld)
            .map_err(|error| answer.of_user(error))?;
        let device_code = take(&mut json, "device_code");
        let text = |field: &str| {
            let text = json.get(field).and_then(|value| value.as_str());
            text.filter(|text| is_word(text)).map(printable)
        };
        let address = text("verification_uri").filter(|uri| uri.starts_with("https://"));
        let (Some(device_code), Some(user_code), Some(address)) = (
            device_code.filter(|code| is_word(code.expose())),
            text("user_code"),
            address,
        ) else {
            let what = "HTTP 200 without a code and an https address to enter it at";
            return Err(answer
                .error(what.into())
                .with_condition(Condition::NotEntra));
        };
        let time = |field: &str, default| seconds(json.get(field)).unwrap_or(default);
        Ok(Self {
            device_code,
            user_code,
            address,
            expires_in: time("expires_in", LIFETIME).min(MAX_LIFETIME),
            interval: time("interval", INTERVAL),
        })
    }

    /// Asks until the user has logged in, has declined, or the code has expired. `within` gives each question its deadline.
    pub(crate) fn wait(
        &self,
        app: &Application<'_>,
        clock: &mut dyn Clock,
        within: &dyn Fn() -> Deadline,
    ) -> Result<Grant, Error> {
        let url = endpoint(app, app.tenant, "token");
        let grant = poll(self.interval, self.expires_in, clock, &mut || {
            let fields = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("client_id", app.client_id),
                ("device_code", self.device_code.expose()),
            ];
            let asked = SystemTime::now();
            match post(app, &url, &fields, within()) {
                Ok(answer) => self.judge(&answer, asked),
                Err(failure) => no_answer(failure.error),
            }
        });
        grant.map_err(|error| error.about(app.tenant))
    }

    fn judge(&self, answer: &Answer, asked: SystemTime) -> Next {
        let withheld = Withheld {
            name: "[device code]",
            secret: &self.device_code,
        };
        match answer.grant(asked, &withheld) {
            Ok(grant) => Next::Done(Box::new(grant)),
            Err(_) if answer.says("error", "authorization_pending") => Next::Again,
            Err(_) if answer.says("error", "slow_down") => Next::Slower,
            Err(error) => no_answer(error),
        }
    }
}

/// A temporary failure of the network or of Entra: it is asked again, at longer intervals (RFC 8628 3.5).
fn no_answer(error: Error) -> Next {
    match error.is_transient() {
        true => Next::Troubled(error),
        false => Next::Never(error),
    }
}

/// What an answer means.
enum Next {
    Done(Box<Grant>),
    Again,
    Slower,
    Troubled(Error),
    Never(Error),
}

/// How time passes.
pub(crate) trait Clock {
    /// Since the code was given.
    fn passed(&self) -> Duration;
    fn sleep(&mut self, pause: Duration);
}

fn poll(
    mut interval: Duration,
    lifetime: Duration,
    clock: &mut dyn Clock,
    ask: &mut dyn FnMut() -> Next,
) -> Result<Grant, Error> {
    let mut trouble = None;
    let mut asked = 0;
    loop {
        if asked == 2 {
            interval = interval.max(SHORTEST);
        }
        asked += 1;
        let left = lifetime.saturating_sub(clock.passed());
        clock.sleep(interval.min(left));
        if clock.passed() >= lifetime {
            return Err(trouble.unwrap_or_else(expired));
        }
        match ask() {
            Next::Done(grant) => return Ok(*grant),
            Next::Never(error) => return Err(error),
            Next::Again => trouble = None,
            Next::Slower => interval += SLOWER,
            Next::Troubled(error) => {
                log::warn!("{error}; asking again");
                interval =
                    (interval.max(Duration::from_millis(500)) * 2).min(interval.max(LONGEST));
                trouble = Some(error);
            }
        }
    }
}

fn expired() -> Error {
    let what = "the code was not entered in time";
    Error::new(ErrorKind::Token, Stage::Token, what).with_condition(Condition::LoginCodeExpired)
}

#[cfg(test)]
mod tests {
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
        Answer::of(status, |_| None, body.as_bytes().to_vec().into())
    }

    fn read(body: &str) -> Result<DeviceCode, Error> {
        DeviceCode::read(&answer(200, body))
    }

    const CODE: &str = r#"{"device_code":"hush-hush","user_code":"FRWQDE7YL","interval":5,"expires_in":900,
        "verification_uri":"https://microsoft.com/devicelogin"}"#;
    const GRANT: &str =
        r#"{"token_type":"Bearer","expires_in":3599,"access_token":"ey","refresh_token":"0.A"}"#;

    /// The result after these answers, and the pause before each request.
    fn run(answers: &[(u16, &str)]) -> (Result<Grant, Error>, Vec<u64>) {
        run_by(CODE, answers)
    }

    fn run_by(code: &str, answers: &[(u16, &str)]) -> (Result<Grant, Error>, Vec<u64>) {
        let code = read(code).unwrap();
        let mut watch = Watch {
            passed: Duration::ZERO,
            slept: Vec::new(),
        };
        let mut answers = answers.iter().cycle();
        let grant = poll(code.interval, code.expires_in, &mut watch, &mut || {
            let (status, body) = answers.next().unwrap();
            code.judge(&answer(*status, body), SystemTime::now())
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
        assert_eq!(
            (code.user_code.as_str(), code.interval.as_secs()),
            ("FRWQDE7YL", 5)
        );
        assert!(!format!("{code:?}").contains("hush"));
        for odd in ["null", "\"soon\"", "-1", "[]"] {
            let odd = CODE.replace(
                "\"interval\":5,\"expires_in\":900",
                &format!("\"interval\":{odd}"),
            );
            assert_eq!(read(&odd).unwrap().interval, INTERVAL, "{odd}");
        }
        let without = read(&CODE.replace("\"interval\":5,\"expires_in\":900,", "")).unwrap();
        assert_eq!((without.interval, without.expires_in), (INTERVAL, LIFETIME));
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
