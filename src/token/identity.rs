//! What the machine's own identity is asked, in the clear, on this machine (facts.md, "Managed identities").

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::{Secret, read_file};
use crate::stage::{ErrorKind, Stage};
use crate::timeouts::Deadline;
use crate::token::answer::Withheld;
use crate::token::http::{self, Answer, Question};
use crate::token::{Application, Failure, Token};

/// The key file of Azure Arc is read only up to this size.
const MAX_KEY: u64 = 4096;

/// Where a machine's identity is asked for, and how.
#[derive(Debug)]
pub(crate) struct Source {
    /// For errors.
    pub(crate) name: &'static str,
    pub(crate) endpoint: String,
    version: &'static str,
    /// The header that shows who asks.
    header: (&'static str, Secret),
    /// The folder of the key files that this one wants to be shown: only those who may have a token can read them.
    pub(crate) keys: Option<PathBuf>,
}

impl Source {
    /// App Service, Functions, Container Apps.
    pub(crate) fn app_service(endpoint: String, header: String) -> Self {
        Self {
            name: "app service",
            endpoint,
            version: "2019-08-01",
            header: ("x-identity-header", Secret::new(header)),
            keys: None,
        }
    }

    /// A server outside Azure with the Connected Machine agent.
    pub(crate) fn arc(endpoint: String, keys: PathBuf) -> Self {
        Self {
            keys: Some(keys),
            ..Self::metadata("azure arc", endpoint, "2020-06-01")
        }
    }

    /// A virtual machine.
    pub(crate) fn imds(endpoint: String) -> Self {
        Self::metadata(IMDS, endpoint, "2018-02-01")
    }

    /// One that wants to see that nobody was tricked into asking.
    fn metadata(name: &'static str, endpoint: String, version: &'static str) -> Self {
        Self {
            name,
            endpoint,
            version,
            header: ("metadata", Secret::new("true".into())),
            keys: None,
        }
    }

    /// Asks once. `attempt` counts from 0.
    pub(crate) fn request(
        &self,
        app: &Application<'_>,
        attempt: u32,
        total: Deadline,
    ) -> Result<Token, Failure> {
        let resource = app.scope.strip_suffix("/.default").unwrap_or(app.scope);
        let mut fields = vec![("api-version", self.version), ("resource", resource)];
        if !app.client_id.is_empty() {
            fields.push(("client_id", app.client_id));
        }
        let query = http::form(&fields);
        let url = format!("{}?{}", self.endpoint, query.as_str());
        self.ask(&url, app.timeout, attempt, total)
            .map_err(|failure| failure.about(self.name))
    }

    fn ask(
        &self,
        url: &str,
        timeout: Duration,
        attempt: u32,
        total: Deadline,
    ) -> Result<Token, Failure> {
        let asked = SystemTime::now();
        let get = |more: Option<&Secret>| {
            get(
                self.name,
                url,
                &self.header,
                more,
                total.step(timeout, "token"),
            )
            .map_err(|failure| {
                let error = failure.error.with_condition(Condition::NotOnAzure);
                let pause = failure.pause.filter(|_| attempt == 0 && self.name != IMDS);
                Failure { error, pause }
            })
        };
        let mut answer = get(None)?;
        let mut shown = self.header.1.clone();
        if let (401, Some(keys)) = (answer.status, &self.keys) {
            let challenge = answer.challenge.as_deref().unwrap_or_default();
            shown = arc_key(challenge, keys)
                .map_err(|what| Error::new(ErrorKind::Token, Stage::Token, what))?;
            let basic = Secret::new(["Basic ", shown.expose()].concat());
            answer = get(Some(&basic))?;
        }
        let pause = match self.name {
            IMDS => imds_pause(answer.status, attempt),
            _ => answer.pause().filter(|_| attempt == 0),
        };
        let (name, secret) = ("[withheld]", &shown);
        answer
            .token(asked, &Withheld { name, secret })
            .map_err(|error| Failure { error, pause })
    }
}

const IMDS: &str = "imds";

fn get(
    name: &str,
    url: &str,
    header: &(&'static str, Secret),
    authorization: Option<&Secret>,
    deadline: Deadline,
) -> Result<Answer, Failure> {
    let left = deadline
        .remaining()
        .map_err(|e| Error::io(Stage::Token, e))?;
    log::debug!("token request to {url}");
    let (shown, value) = header;
    let mut headers = vec![(*shown, value.clone())];
    headers.extend(authorization.map(|key| ("authorization", key.clone())));
    let (url, form) = (url.to_owned(), None);
    let question = Question { url, headers, form };
    http::local(name, left).ask(question, deadline)
}

/// `Basic realm=/var/opt/azcmagent/tokens/....key`: the content of that file, if it is one that the agent could have
/// meant. Any other would be somebody else's secret, read for whoever answers on that port.
fn arc_key(challenge: &str, keys: &Path) -> Result<Secret, String> {
    let path = challenge
        .strip_prefix("Basic realm=")
        .ok_or("the agent asked for something else than its key file")?;
    let path = Path::new(path.trim_matches('"'));
    if path.parent() != Some(keys) || path.extension().is_none_or(|end| end != "key") {
        return Err(format!(
            "{} is not a .key file in {}: not read",
            path.display(),
            keys.display()
        ));
    }
    if !std::fs::symlink_metadata(path).is_ok_and(|link| link.is_file()) {
        return Err(format!("{} is not a file", path.display()));
    }
    let key = read_file(path, MAX_KEY)?;
    match std::str::from_utf8(&key) {
        Ok(text) if text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') => {
            Ok(Secret::new(text.to_owned()))
        }
        _ => Err(format!("{} does not hold a key", path.display())),
    }
}

/// MSAL's schedule: a machine that has just started knows its identity a little later, and one that is being updated
/// (410) within 70 s.
fn imds_pause(status: u16, attempt: u32) -> Option<Duration> {
    match (status, attempt) {
        (410, 0..7) => Some(Duration::from_secs(10)),
        (404 | 408 | 429 | 500..=599, 0..3) => Some(Duration::from_secs(1 << attempt)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    /// An agent that challenges with this file, and what it was asked: the lines of each request's head.
    fn agent(realm: &Path) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
        let token = r#"{"access_token":"ey.J0","expires_in":"86400"}"#;
        let answers = [
            format!(
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm={}\r\n",
                realm.display()
            ),
            "HTTP/1.1 200 OK\r\n".to_owned(),
        ];
        let serve = move || {
            let mut heads = Vec::new();
            for answer in answers {
                let (mut tcp, _) = listener.accept().unwrap();
                let mut lines = BufReader::new(tcp.try_clone().unwrap()).lines();
                let head: Vec<_> = lines
                    .by_ref()
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty())
                    .collect();
                heads.push(head.join("\n"));
                let length = token.len();
                write!(
                    tcp,
                    "{answer}Content-Length: {length}\r\nConnection: close\r\n\r\n{token}"
                )
                .unwrap();
            }
            heads
        };
        (endpoint, std::thread::spawn(serve))
    }

    #[test]
    fn azure_arc_is_shown_what_its_key_file_holds() {
        let keys = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        std::fs::create_dir(&keys).unwrap();
        let file = keys.join("5e1f.key");
        std::fs::write(&file, "c2VjcmV0IGtleQ").unwrap();
        let (endpoint, served) = agent(&file);
        let app = Application {
            endpoint: String::new(),
            tenant: "",
            client_id: "",
            scope: "https://outlook.office365.com/.default",
            roots: None,
            timeout: Duration::from_secs(15),
        };
        let total = Deadline::after(app.timeout, "total");
        let arc = Source::arc(endpoint, keys.clone());
        let Ok(token) = arc.request(&app, 0, total) else {
            panic!("no token")
        };
        assert_eq!(token.secret(), "ey.J0");
        assert!(token.expires_in() > Duration::from_secs(86_000));
        let heads = served.join().unwrap();
        assert!(heads[0].starts_with(
            "GET /token?api-version=2020-06-01&resource=https%3A%2F%2Foutlook.office365.com HTTP/1.1"
        ));
        assert!(heads[0].contains("metadata: true"), "{}", heads[0]);
        assert!(heads[1].contains("authorization: Basic c2VjcmV0IGtleQ"));
        assert!(heads[1].contains("metadata: true"), "{}", heads[1]);
        std::fs::remove_dir_all(&keys).unwrap();
    }

    #[test]
    fn a_key_file_is_read_where_the_agent_keeps_them_and_nowhere_else() {
        let keys = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        std::fs::create_dir(&keys).unwrap();
        let write = |name: &str, content: &[u8]| {
            std::fs::write(keys.join(name), content).unwrap();
        };
        write("good.key", b"c2VjcmV0");
        write("full.key", &[b'x'; 4096]);
        write("long.key", &[b'x'; 4097]);
        write("line.key", b"a\r\nX-Header: b");
        write("good.txt", b"c2VjcmV0");
        std::os::unix::fs::symlink("/etc/passwd", keys.join("link.key")).unwrap();
        std::fs::create_dir(keys.join("dir.key")).unwrap();
        let key = |challenge: &str| {
            let challenge = challenge.replace("KEYS", keys.to_str().unwrap());
            arc_key(&challenge, &keys).map(|key| key.expose().to_owned())
        };
        assert_eq!(key("Basic realm=KEYS/good.key").unwrap(), "c2VjcmV0");
        assert_eq!(key("Basic realm=\"KEYS/good.key\"").unwrap(), "c2VjcmV0");
        assert!(key("Basic realm=KEYS/full.key").is_ok());
        for no in [
            "",
            "Bearer",
            "Basic realm=",
            "Basic realm=good.key",
            "Basic realm=KEYS/good.txt",
            "Basic realm=KEYS/long.key",
            "Basic realm=KEYS/line.key",
            "Basic realm=KEYS/link.key",
            "Basic realm=KEYS/dir.key",
            "Basic realm=KEYS/none.key",
            "Basic realm=KEYS/dir.key/../good.key",
            "Basic realm=KEYS/../good.key",
            "Basic realm=/etc/shadow",
        ] {
            assert!(key(no).is_err(), "{no}");
        }
        std::fs::remove_dir_all(&keys).unwrap();
    }

    #[test]
    fn a_machine_that_starts_or_is_updated_is_given_time() {
        let pauses = |status| -> Vec<_> {
            (0..9)
                .map_while(|attempt| imds_pause(status, attempt))
                .map(|pause| pause.as_secs())
                .collect()
        };
        for status in [404, 408, 429, 500, 503] {
            assert_eq!(pauses(status), [1, 2, 4], "{status}");
        }
        assert_eq!(pauses(410), [10; 7]);
        for status in [200, 400, 401, 403] {
            assert_eq!(pauses(status), [0; 0], "{status}");
        }
    }
}
