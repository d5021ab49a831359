//! Requests for a token of the machine's own identity, in the clear, on this machine (facts.md, "Managed identities").

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::hint::table::Condition;
use crate::secret::{Secret, read_file};
use crate::stage::{ErrorKind, Stage};
use crate::token::answer::Withheld;
use crate::token::http::{self, Answer, Question};
use crate::token::{Attempt, Failure, Token};

/// The key file of Azure Arc is read only up to this size.
const MAX_KEY: u64 = 4096;

/// Where a machine's identity is asked for, and how.
#[derive(Debug)]
pub(crate) struct Source {
    /// For errors.
    pub(crate) name: &'static str,
    pub(crate) endpoint: String,
    /// The version of the interface; Cloud Shell's has none.
    version: &'static str,
    /// The header that shows who asks.
    header: (&'static str, Secret),
    /// What the client id is called, if one of several identities can be asked for.
    client_id: Option<&'static str>,
    /// The folder of Azure Arc's key files. The content of one has to be sent; only users who may have a token can read it.
    keys: Option<PathBuf>,
}

impl Source {
    /// App Service, Functions, Container Apps, Automation.
    pub(crate) fn app_service(endpoint: String, header: String) -> Self {
        Self {
            header: ("x-identity-header", Secret::new(header)),
            ..Self::metadata("app service", endpoint, "2019-08-01")
        }
    }

    /// A compute instance or cluster of Azure Machine Learning.
    pub(crate) fn machine_learning(endpoint: String, secret: String) -> Self {
        Self {
            header: ("secret", Secret::new(secret)),
            client_id: Some("clientid"),
            ..Self::metadata("machine learning", endpoint, "2017-09-01")
        }
    }

    /// Azure's shell in a browser: the identity is that of the person who sits there.
    pub(crate) fn cloud_shell(endpoint: String) -> Self {
        Self {
            client_id: None,
            ..Self::metadata("cloud shell", endpoint, "")
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

    fn metadata(name: &'static str, endpoint: String, version: &'static str) -> Self {
        Self {
            name,
            endpoint,
            version,
            header: metadata(),
            client_id: Some("client_id"),
            keys: None,
        }
    }

    /// Asks once.
    pub(crate) fn request(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        self.ask(attempt)
            .map_err(|failure| failure.about(self.name))
    }

    fn ask(&self, attempt: &Attempt<'_>) -> Result<Token, Failure> {
        let Attempt { app, number, .. } = *attempt;
        let refused = |what: String| Error::new(ErrorKind::Token, Stage::Token, what);
        let asked = SystemTime::now();
        let get = |key: Option<&Secret>| {
            self.get(attempt, key).map_err(|failure| {
                let error = failure.error.with_condition(Condition::NotOnAzure);
                let pause = failure.pause.filter(|_| number == 0 && self.name != IMDS);
                Failure { error, pause }
            })
        };
        let mut answer = get(None)?;
        let mut shown = match self.header.0 {
            METADATA => Secret::new(String::new()),
            _ => self.header.1.clone(),
        };
        if let (401, Some(keys)) = (answer.status, &self.keys) {
            let challenge = answer.challenge.as_deref().unwrap_or_default();
            shown = arc_key(challenge, keys).map_err(refused)?;
            answer = get(Some(&shown))?;
        }
        let (name, secret) = ("[withheld]", shown.expose());
        let token = answer.token(asked, &Withheld { name, secret });
        let token = token.map_err(|error| Failure {
            // A status that is worth another request now is transient, even after the last one.
            error: match self.pause(answer.status, 0) {
                Some(_) => error.transient(),
                None => error,
            },
            pause: self.pause(answer.status, number),
        })?;
        // An old agent knows the system's identity only, and gives that whichever is asked for.
        let one_of_several = self.keys.is_some() && !app.client_id.is_empty();
        if one_of_several && !answer.says("client_id", app.client_id) {
            let what = "the agent gave the machine's own identity instead of client_id: update the agent, or leave \
                        client_id out";
            return Err(refused(what.into()).into());
        }
        Ok(token)
    }

    /// One request: a query, or where there is no version, as with Cloud Shell, a form.
    fn get(&self, attempt: &Attempt<'_>, key: Option<&Secret>) -> Result<Box<Answer>, Failure> {
        let app = attempt.app;
        let deadline = attempt.total.step(app.timeout, "token");
        let resource = app.scope.strip_suffix("/.default").unwrap_or(app.scope);
        let mut fields = vec![("resource", resource)];
        if !self.version.is_empty() {
            fields.insert(0, ("api-version", self.version));
        }
        if let Some(name) = self.client_id.filter(|_| !app.client_id.is_empty()) {
            fields.push((name, app.client_id));
        }
        let fields = http::form(&fields);
        let mut headers = vec![self.header.clone()];
        if self.header.0 != METADATA {
            // Automation has the variables of App Service, and wants this as well.
            headers.push(metadata());
        }
        if let Some(key) = key {
            let basic = ["Basic ", key.expose()].concat();
            headers.push(("authorization", Secret::new(basic)));
        }
        let question = match self.version {
            "" => Question {
                url: self.endpoint.clone(),
                headers,
                form: Some(fields),
            },
            _ => Question {
                url: format!("{}?{}", self.endpoint, fields.as_str()),
                headers,
                form: None,
            },
        };
        log::debug!("token request to {}", question.url);
        http::local(self.name, &self.endpoint).ask(&question, deadline)
    }

    /// MSAL's schedules: a machine that has just started knows its identity a little later, and one that is being updated
    /// (410) within 70 s.
    fn pause(&self, status: u16, attempt: u32) -> Option<Duration> {
        let seconds = match (status, attempt) {
            (410, 0..7) if self.name == IMDS => 10,
            (404 | 408 | 429 | 500..=599, 0..3) if self.name == IMDS => 1 << attempt,
            (404 | 408 | 429 | 500 | 503 | 504, 0..3) => 1,
            _ => return None,
        };
        Some(Duration::from_secs(seconds))
    }
}

const IMDS: &str = "imds";
const METADATA: &str = "metadata";

/// Proves that the request was not made by tricking another program of this machine (SSRF), which seldom sets a header.
fn metadata() -> (&'static str, Secret) {
    (METADATA, Secret::new("true".into()))
}

/// The content of the file that `Basic realm=/var/opt/azcmagent/tokens/....key` names, if it can be the agent's. Any other
/// file may be a secret, which must not be sent to whoever answers on that port.
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::timeouts::Deadline;
    use crate::token::Application;

    /// A server that gives these answers, each with a body, and returns what it was asked.
    fn server(answers: Vec<(String, String)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
        let serve = move || {
            let mut questions = Vec::new();
            for (head, body) in answers {
                let (mut tcp, _) = listener.accept().unwrap();
                let mut reader = BufReader::new(tcp.try_clone().unwrap());
                let (mut question, mut length) = (String::new(), 0);
                loop {
                    let start = question.len();
                    reader.read_line(&mut question).unwrap();
                    match &question[start..] {
                        "\r\n" => break,
                        line => {
                            if let Some(value) = line.strip_prefix("content-length: ") {
                                length = value.trim().parse().unwrap();
                            }
                        }
                    }
                }
                let mut form = vec![0; length];
                reader.read_exact(&mut form).unwrap();
                questions.push(question + &String::from_utf8(form).unwrap());
                let length = body.len();
                write!(
                    tcp,
                    "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
            questions
        };
        (endpoint, std::thread::spawn(serve))
    }

    const TOKEN: &str = r#"{"access_token":"ey.J0","expires_in":"86400","client_id":"4B1A"}"#;

    fn granted() -> (String, String) {
        ("200 OK".into(), TOKEN.into())
    }

    fn application(client_id: &str) -> Application<'_> {
        Application {
            endpoint: String::new(),
            #[cfg(feature = "login")]
            authority: String::new(),
            tenant: "",
            client_id,
            scope: "https://outlook.office365.com/.default",
            roots: None,
            timeout: Duration::from_secs(15),
        }
    }

    fn request(source: &Source, client_id: &str, number: u32) -> Result<Token, Failure> {
        let app = &application(client_id);
        let total = Deadline::after(app.timeout, "total");
        source.request(&Attempt { app, number, total })
    }

    fn ask(source: &Source, client_id: &str) -> Result<Token, String> {
        request(source, client_id, 0).map_err(|failure| failure.error.to_string())
    }

    #[test]
    fn a_status_that_is_worth_another_request_is_transient() {
        for (status, transient) in [("404 x", true), ("410 Gone", true), ("400 x", false)] {
            let (endpoint, served) = server(vec![(status.into(), "{}".into())]);
            let failure = request(&Source::imds(endpoint), "", 9);
            let failure = failure.map(drop).unwrap_err();
            assert_eq!(failure.error.is_transient(), transient, "{status}");
            assert_eq!(failure.pause, None, "{status}");
            served.join().unwrap();
        }
    }

    #[test]
    fn azure_machine_learning_is_sent_its_secret() {
        let (endpoint, served) = server(vec![granted()]);
        let source = Source::machine_learning(endpoint, "hush".into());
        assert_eq!(ask(&source, "4b1a").unwrap().secret(), "ey.J0");
        let asked = served.join().unwrap().remove(0);
        assert!(asked.starts_with(
            "GET /token?api-version=2017-09-01&resource=https%3A%2F%2Foutlook.office365.com&clientid=4b1a HTTP/1.1"
        ));
        assert!(asked.contains("secret: hush"), "{asked}");
    }

    #[test]
    fn cloud_shell_is_sent_a_form() {
        let (endpoint, served) = server(vec![granted()]);
        assert!(ask(&Source::cloud_shell(endpoint), "").is_ok());
        let asked = served.join().unwrap().remove(0);
        assert!(asked.starts_with("POST /token HTTP/1.1"), "{asked}");
        assert!(asked.contains("metadata: true"), "{asked}");
        assert!(
            asked.ends_with("\r\n\r\nresource=https%3A%2F%2Foutlook.office365.com"),
            "{asked}"
        );
    }

    #[test]
    fn a_token_for_another_client_id_is_refused() {
        for (client_id, echoed) in [("4b1a", true), ("another", false)] {
            let (endpoint, served) = server(vec![granted()]);
            let token = ask(&Source::arc(endpoint, PathBuf::new()), client_id);
            assert_eq!(token.is_ok(), echoed, "{client_id}");
            assert!(served.join().unwrap()[0].contains(&format!("&client_id={client_id} ")));
        }
    }

    #[test]
    fn azure_arc_is_sent_the_content_of_its_key_file() {
        let keys = std::env::temp_dir().join(format!("exosend-{}", crate::crypto::random::<8>()));
        std::fs::create_dir(&keys).unwrap();
        let file = keys.join("5e1f.key");
        std::fs::write(&file, "c2VjcmV0IGtleQ").unwrap();
        let realm = file.display();
        let challenge = format!("401 Unauthorized\r\nWWW-Authenticate: Basic realm={realm}");
        let (endpoint, served) = server(vec![(challenge, String::new()), granted()]);
        let token = ask(&Source::arc(endpoint, keys.clone()), "").unwrap();
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
    fn a_key_file_is_read_in_the_agents_folder_only() {
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
    fn a_request_is_repeated_after_pauses_that_depend_on_the_status() {
        let imds = Source::imds(String::new());
        let pauses = |status| -> Vec<_> {
            (0..9)
                .map_while(|attempt| imds.pause(status, attempt))
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
