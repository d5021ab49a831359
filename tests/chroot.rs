//! A static program needs nothing of the system but the resolver's files and root certificates. Needs root, and in
//! `EXOSEND_STATIC_RAW` the program: `examples/raw.rs`, built for musl.

use crate::exchange;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use exchange::Exchange;

const MESSAGE: &str =
    "From: robot@contoso.com\nTo: ann@example.com\nSubject: backup done\n\n212 GiB in 41 min\n";

#[test]
#[ignore = "needs root and a static program: .ci/size runs it"]
fn a_static_program_sends_from_an_empty_root() {
    let program = std::env::var("EXOSEND_STATIC_RAW").expect("the program to run");
    let exchange = Exchange::start();
    let root = Root::new();
    fs::copy(program, root.0.join("raw")).unwrap();
    root.write("ca.pem", &exchange.ca_pem());
    root.write("etc/hosts", "127.0.0.1 localhost\n");
    // No name server is asked: the only name is in `hosts`.
    root.write("etc/resolv.conf", "nameserver 127.0.0.1\n");

    let mut child = Command::new("chroot")
        .arg(&root.0)
        .args(["/raw", "ann@example.com"])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(exchange.place())
        .envs(exchange.application())
        .env("EXOSEND_CA_FILE", "/ca.pem")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(MESSAGE.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();

    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let delivered = exchange.settle().delivered();
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0].text(), MESSAGE.replace('\n', "\r\n"));
    assert_eq!(exchange.violations(), [""; 0]);
}

/// An empty root directory.
struct Root(PathBuf);

impl Root {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("exosend-chroot-{}", std::process::id()));
        fs::create_dir_all(path.join("etc")).unwrap();
        Self(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.0.join(path), text).unwrap();
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
