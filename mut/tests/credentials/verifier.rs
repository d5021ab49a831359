//! A verifier of assertions that is not ours: PyJWT, run by `verify.py`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::exchange::{ClientCertificate, Exchange};

/// Its verdict on each assertion, sent to this stand-in with this certificate: `yes`, or `no: ` and why.
///
/// The Python is `python3`, or what `EXOSEND_PYTHON` says; it needs PyJWT and cryptography.
pub(crate) fn verdicts(
    exchange: &Exchange,
    certificate: &ClientCertificate,
    assertions: &[String],
) -> Vec<String> {
    let python = std::env::var_os("EXOSEND_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/credentials/verify.py");
    let mut verifier = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = verifier.stdin.take().unwrap();
    for assertion in assertions {
        let question = serde_json::json!({
            "assertion": assertion,
            "certificate": certificate.certificate_pem(),
            "client_id": exchange.client_id(),
            "token_url": exchange.token_url(),
        });
        writeln!(input, "{question}").unwrap();
    }
    drop(input);
    let output = verifier.wait_with_output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    output.lines().map(str::to_owned).collect()
}
