//! Warnings before the client secret expires, by `client_secret_expires`.

use std::time::SystemTime;

use exosend::ErrorKind;
use exosend::advice::{Condition, condition};

use crate::config::Config;
use crate::date::rfc3339;
use crate::exit::Failure;

impl Config {
    /// A warning, from 30 days before the secret expires. The date is configured because Entra does not tell it to the
    /// application.
    pub(crate) fn secret_end(&self) -> Option<String> {
        let end = self.settings.client_secret_expires?;
        let place = self.secret_place()?;
        let date = rfc3339(end);
        let date = date.get(..10)?;
        match end
            .duration_since(SystemTime::now())
            .map(|left| left.as_secs() / 86_400)
        {
            Ok(days) if days > 30 => None,
            Ok(days) => Some(format!(
                "the client secret expires on {date}, in {days} days: make a new one; its Value goes to {place}"
            )),
            Err(_) => Some(format!(
                "the client secret expired on {date} (client_secret_expires)"
            )),
        }
    }

    /// Where the client secret is set.
    fn secret_place(&self) -> Option<&str> {
        let keys = ["client_secret", "client_secret_file"];
        keys.iter().find_map(|key| self.place_of(key))
    }

    /// If the secret is the reason for a failure, adds that it has expired, and where to put a new one.
    pub(super) fn with_secret_end(&self, failure: Failure) -> Failure {
        let Some(error) = failure
            .error()
            .filter(|error| error.kind() == ErrorKind::Token)
        else {
            return failure;
        };
        let about_secret = [Some(Condition::SecretExpired), Some(Condition::SecretWrong)];
        let about_secret = about_secret.contains(&condition(error));
        let past = self
            .settings
            .client_secret_expires
            .is_some_and(|end| end < SystemTime::now());
        let (Some(place), true) = (self.secret_place(), about_secret || past) else {
            return failure;
        };
        let hint = match failure.hint().filter(|_| about_secret) {
            Some(hint) => format!("{hint}; its Value goes to {place}"),
            None => format!("make a new secret; its Value goes to {place}"),
        };
        match self.secret_end().filter(|_| past) {
            Some(ended) => {
                let what = format!("{ended}: {}", failure.what());
                failure.with_what(what).with_hint(hint)
            }
            None => failure.with_hint(hint),
        }
    }
}
