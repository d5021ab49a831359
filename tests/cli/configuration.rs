//! The sources of settings, which of them wins, and the errors about wrong ones.

use std::os::unix::fs::PermissionsExt;

use crate::machine::{Machine, Run, finish, words};

fn send(machine: &Machine, variables: &[(&str, &str)], more: &str) -> Run {
    let mut command = machine.command("exosend");
    let line = format!("send --to ann@example.com --subject x {more}");
    command.envs(variables.iter().copied()).args(words(&line));
    finish(&mut command, "hello\n")
}

#[test]
fn each_layer_is_stronger_than_the_one_before() {
    let machine = Machine::new();
    let from = |variables: &[(&str, &str)], more: &str| send(&machine, variables, more).code;
    // The login refuses a wrong mailbox.
    machine.configure("");
    let of_azure = ["AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"].map(|name| (name, "wrong"));
    assert_eq!(from(&of_azure, ""), 0);
    assert_eq!(from(&[("EXOSEND_CLIENT_SECRET", "wrong")], ""), 77);
    let tenant = format!("--set tenant={}", machine.exchange.tenant());
    assert_eq!(from(&[("EXOSEND_TENANT", "a/b")], ""), 78);
    assert_eq!(from(&[("EXOSEND_TENANT", "a/b")], &tenant), 0);
    // A variable that is set and empty counts as not set.
    assert_eq!(from(&[("EXOSEND_CLIENT_SECRET", "")], ""), 0);
    // The command's own keys can be variables, too.
    send(&machine, &[("EXOSEND_LOG", "sylog")], "").exits(78).err(
        "exosend: EXOSEND_LOG: takes syslog, none, or a file with its whole path\nexosend: more: exosend doctor\n",
    );
    // A variable that may be another program's is no error.
    let said = "exosend: warning: EXOSEND_TENNANT: unknown key, did you mean `tenant`?\n";
    send(&machine, &[("EXOSEND_TENNANT", "x")], "")
        .exits(0)
        .err(said);
}

#[test]
fn another_file_replaces_the_usual_ones_and_may_be_an_environment_file() {
    let machine = Machine::new();
    let text = std::fs::read_to_string(machine.path("home/.config/exosend.conf")).unwrap();
    let variables: String = text
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| format!("EXOSEND_{}={value}\n", key.to_uppercase()))
        .collect();
    machine.write("environment", &variables);
    machine.write("home/.config/exosend.conf", "nonsense");
    assert_eq!(send(&machine, &[], "--config environment").code, 0);
    let mut sendmail = machine.command("sendmail");
    sendmail
        .env("EXOSEND_CONFIG", "environment")
        .arg("ann@example.com");
    let run = finish(&mut sendmail, "Subject: x\n\nhello\n");
    run.exits(0).err("");
    let stronger = [("EXOSEND_CONFIG", "nowhere")];
    let run = send(&machine, &stronger, "--config environment");
    run.exits(0);
    for run in [
        send(&machine, &[], "--config nowhere"),
        send(&machine, &stronger, ""),
    ] {
        let said = "exosend: nowhere: cannot be read: No such file or directory (os error 2)\n\
                    exosend: more: exosend doctor\n";
        run.exits(78).err(said);
    }
}

#[test]
fn a_mistake_is_named_with_its_line() {
    let machine = Machine::new();
    let file = machine.path("home/.config/exosend.conf");
    for row in [
        "tiemout = 3 => tiemout: unknown key, did you mean `timeout`?",
        "rewrite_form = no => rewrite_form: unknown key, did you mean `rewrite_from`?",
        "rewrite_from = maybe => rewrite_from: takes true or false",
        "client_secret_expires = 1.5.2027 => client_secret_expires: takes a day, such as 2027-05-01",
        "ehlo_name = a # b => ehlo_name: a comment stands on a line of its own, and a value with ` #` in it in \
         'single quotes'",
        "logfile = x => logfile: unknown key, did you mean `log`?",
        "zzyzx = x => zzyzx: unknown key; man exosend.conf has them all",
        "in_doubt = always => in_doubt: takes fail or retry",
        "local_domains = office.example *.example.com => local_domains: `*.example.com` is no domain",
        "initial_response = perhaps => initial_response: takes auto, always or never",
        "mailbox robot@contoso.com => neither `key = value` nor a comment",
        "mailbox = a@b => mailbox: set already on line 1",
        "ehlo_name = \"a => ehlo_name: the quote is not closed",
    ] {
        let (line, error) = row.split_once(" => ").unwrap();
        machine.configure(&format!("# eight\n{line}"));
        let run = send(&machine, &[], "");
        run.exits(78);
        run.err_begins(&format!("exosend: {}:9: {error}\n", file.display()));
    }
    // Errors that are found in the whole account only.
    let text = "mailbox = robot@contoso.com\ntenant = a/b\nclient_id = x\nclient_secret = y\n";
    machine.write("home/.config/exosend.conf", text);
    let run = send(&machine, &[], "");
    run.exits(78).err(&format!(
        "exosend: {}:2: tenant: neither an id nor a domain\nexosend: more: exosend doctor\n",
        file.display()
    ));
    machine.write(
        "home/.config/exosend.conf",
        &format!("{text}access_token = z\n"),
    );
    let run = send(&machine, &[], "");
    run.exits(78);
    run.err_has(":4: ");
    run.err_has("access_token");
    machine.nobody_called();
}

#[test]
fn a_missing_key_is_named_with_the_files_to_set_it_in() {
    let machine = Machine::new();
    machine.write("home/.config/exosend.conf", "");
    let run = send(&machine, &[], "");
    let lines: Vec<_> = run.stderr.lines().collect();
    run.exits(78);
    assert!(
        lines[0].starts_with("exosend: account mailbox, tenant, client_id, "),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("/etc/exosend.conf, ") && lines[1].contains("/home/.config/exosend.conf"),
        "{lines:?}"
    );
}

#[test]
fn a_secret_that_everybody_can_read_is_warned_about() {
    let machine = Machine::new();
    let file = machine.path("home/.config/exosend.conf");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let run = send(&machine, &[], "");
    let expected = format!(
        "exosend: warning: {}: holds the client_secret and everybody can read it (mode 0644): chmod 0640\n",
        file.display()
    );
    run.exits(0).err(&expected);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!(send(&machine, &[], "").stderr, "");
}

#[test]
fn an_existing_file_that_cannot_be_read_is_an_error() {
    let machine = Machine::new();
    let file = machine.path("home/.config/exosend.conf");
    // Not by its mode, because root can read it all the same.
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let run = send(&machine, &[], "");
    run.exits(78).err(&format!(
        "exosend: {}: cannot be read: not a regular file\nexosend: more: exosend doctor\n",
        file.display()
    ));
}

#[test]
fn the_error_about_a_wrong_proxy_says_which_are_possible() {
    let machine = Machine::new();
    let run = send(&machine, &[("HTTPS_PROXY", "socks5://tor:9050")], "");
    let told = run.stderr.lines().collect::<Vec<_>>();
    run.exits(78);
    assert!(told[0].starts_with("exosend: account HTTPS_PROXY: socks5://tor:9050 cannot be used"));
    assert!(
        told[1].contains("HTTPS_PROXY (http://user:password@host:port"),
        "{told:?}"
    );
}

/// A machine without a battery before NTP, by a C library that returns that time.
#[test]
fn a_clock_before_1970_is_an_error_and_no_panic() {
    let machine = Machine::new();
    let source = machine.write(
        "clock.c",
        "#include <time.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
         int clock_gettime(clockid_t id, struct timespec *now) {\n\
         if (id != CLOCK_REALTIME) return syscall(SYS_clock_gettime, id, now);\n\
         now->tv_sec = -86400; now->tv_nsec = 0; return 0; }\n",
    );
    let library = machine.path("clock.so");
    let built = std::process::Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.unwrap().success());
    let clock = &[("LD_PRELOAD", library.to_str().unwrap())];
    let run = send(&machine, clock, "");
    let said = "exosend: account clock: this machine's clock is before 1970\nexosend: more: exosend doctor\n";
    run.exits(78).err(said);
    let mut doctor = machine.command("exosend");
    let run = finish(doctor.envs(clock.iter().copied()).arg("doctor"), "");
    run.exits(78);
    run.out_has("before 1970");
}

#[test]
fn systemds_credentials() {
    let machine = Machine::new();
    let folder = machine.path("credentials");
    std::fs::create_dir(&folder).unwrap();
    machine.write("credentials/secret", machine.exchange.client_secret());
    let text = std::fs::read_to_string(machine.path("home/.config/exosend.conf")).unwrap();
    let text: String = text
        .lines()
        .filter(|line| !line.starts_with("client_secret"))
        .map(|line| format!("{line}\n"))
        .collect();
    for name in ["$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"] {
        machine.write(
            "home/.config/exosend.conf",
            &format!("{text}client_secret_file = {name}/secret\n"),
        );
        let set = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
        let run = send(&machine, &set, "");
        run.exits(0);
        let run = send(&machine, &[], "");
        run.exits(78);
        run.err_has("exosend.conf:10: client_secret_file: CREDENTIALS_DIRECTORY is not set");
    }
}

#[test]
fn the_token_is_kept_between_runs() {
    let machine = Machine::new();
    let requests = || machine.exchange.token_requests().len();
    let sends = |more: &str, asked: usize| {
        assert_eq!((send(&machine, &[], more).code, requests()), (0, asked));
    };
    sends("", 1);
    sends("", 1);
    let kept = machine.path("home/.cache/exosend/tokens");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    sends("--set token_cache=none", 2);
    sends("--set token_cache=none", 3);
    assert!(!machine.path("none").exists());
    let elsewhere = machine.path("kept");
    sends(&format!("--set token_cache={}", elsewhere.display()), 4);
    assert!(elsewhere.exists());
    // A home that cannot be written does not keep mail from being sent.
    let run = send(&machine, &[("XDG_CACHE_HOME", "/dev/null")], "");
    assert_eq!((run.code, run.stderr.as_str(), requests()), (0, "", 5));
    // A relative path would be in whatever folder a job runs in.
    let run = send(&machine, &[("XDG_CACHE_HOME", "relative")], "");
    assert_eq!((run.code, machine.path("relative").exists()), (0, false));
}

/// A FIFO without a writer or a reader.
fn fifo(machine: &Machine, name: &str) -> String {
    let path = machine.path(name).display().to_string();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

#[test]
fn a_fifo_is_not_waited_for() {
    let machine = Machine::new();
    let fifo = fifo(&machine, "fifo");
    let refused = "cannot be read: not a regular file";
    let rows = [
        format!("send --to a@b.c --config {fifo} => 78 {fifo}: {refused}"),
        format!("send --to a@b.c --text x --attach {fifo} => 66 {fifo}: not a regular file"),
        format!("send --to a@b.c --text x --html {fifo} => 66 {fifo}: not a regular file"),
        format!(
            "send --to root --text x --set aliases={fifo} => 78 --set aliases: {fifo}: {refused}"
        ),
    ];
    machine.ends("", &rows.each_ref().map(String::as_str));
    // The log is written after the delivery; waiting there would make the caller send again.
    machine.configure(&format!("log = {fifo}"));
    let run = machine.run("ann@example.com", "x: y\n\nz\n");
    run.exits(0);
    let warning = format!("exosend: warning: log: {fifo}: ");
    run.err_begins(&warning);
    machine.last();
}

#[test]
fn a_file_that_others_may_write_is_not_trusted() {
    let machine = Machine::new();
    let file = machine.path("home/.config/exosend.conf");
    let mode = |mode| std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o620);
    let what = "not believed, for others may write it (mode 0620): chmod go-w";
    let row = format!("send --to a@b.c => 78 {}: {what}\n", file.display());
    machine.ends("", &[&row]);
    let named = format!("send --to a@b.c --config {}", file.display());
    machine.ends(
        "",
        &[&format!("{named} => 78 {}: {what}\n", file.display())],
    );
    // The other sources may be enough.
    mode(0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    mode(0o602);
    let variables: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(key, value)| {
            (
                format!("EXOSEND_{}", key.to_uppercase()),
                value.trim_matches('\''),
            )
        })
        .collect();
    let variables: Vec<_> = variables.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    let run = send(&machine, &variables, "");
    run.exits(0);
    run.err_has("warning: ");
    run.err_has("not believed");
}

/// Others could put a link in its place, to a file that they had this user write.
#[test]
fn a_file_that_others_may_replace_is_not_trusted() {
    let machine = Machine::new();
    let folder = machine.path("home/.config");
    let mode = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode)).unwrap();
    let file = folder.join("exosend.conf");
    let what = "not believed, for anybody may replace it: chmod o-w ";
    let row = |path: &std::path::Path| {
        let (path, folder) = (path.display(), folder.display());
        format!("send --to a@b.c --config {path} => 78 {path}: {what}{folder}\n")
    };
    let link = machine.path("link.conf");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    mode(0o777);
    machine.ends("", &[&row(&file), &row(&link)]);
    for right in [0o1777, 0o775] {
        mode(right);
        assert_eq!(send(&machine, &[], "").code, 0, "{right:o}");
    }
}

#[test]
fn values_are_taken_as_people_copy_and_write_them() {
    let machine = Machine::new();
    let exchange = &machine.exchange;
    let id = format!("client_id={{{}}}", exchange.client_id());
    let endpoint = format!(
        "authority={}/{}/oauth2/v2.0/token",
        exchange.authority(),
        exchange.tenant()
    );
    for pair in [
        id.as_str(),
        &endpoint,
        "timeout=30s",
        "partial=True",
        "managed_identity=No",
    ] {
        let run = send(&machine, &[], &format!("--set {pair}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{pair}");
    }
}

#[test]
fn only_a_file_may_name_a_scope_of_another_service() {
    let machine = Machine::new();
    let scope = "https://management.azure.com/.default";
    let error = "scope: only a file may name a scope that is not Exchange's or Graph's";
    let row = format!("token --set scope={scope} => 78 --set {error}");
    machine.ends("", &[&row]);
    let run = send(&machine, &[("EXOSEND_SCOPE", scope)], "");
    run.err_has("EXOSEND_SCOPE: only a file may");
    machine.configure(&format!("scope = {scope}"));
    assert_eq!(send(&machine, &[], "").code, 77, "Entra's to judge");
}

/// By `client_secret_expires`, because Entra does not tell an application.
#[test]
fn warnings_before_the_secret_expires() {
    let machine = Machine::new();
    let file = machine.path("home/.config/exosend.conf");
    let place = format!("{}:4: client_secret", file.display());
    let day = |days: u64| {
        let date = std::process::Command::new("date")
            .args(["-u", "-d", &format!("{days} days"), "+%F"])
            .output();
        String::from_utf8(date.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    };
    let log = machine.path("mail.log");
    for (days, warned) in [(40, false), (12, true)] {
        let day = day(days);
        machine.configure(&format!(
            "client_secret_expires = {day}\nlog = {}",
            log.display()
        ));
        let note = format!(
            "the client secret expires on {day}, in {days} days: make a new one; its Value goes to {place}"
        );
        let run = send(&machine, &[], "");
        let expected = if warned {
            format!("exosend: warning: {note}\n")
        } else {
            String::new()
        };
        run.exits(0).err(&expected);
        let logged = std::fs::read_to_string(&log).unwrap();
        assert_eq!(logged.contains(&format!("hint=\"{note}\"")), warned);
        assert_eq!(machine.run("doctor", "").stderr.contains(&note), warned);
    }
    let refused = crate::exchange::Answer::aadsts(401, "invalid_client", 7_000_222, "expired");
    machine.exchange.token(refused);
    machine.configure("client_secret_expires = 2026-01-31");
    let run = send(&machine, &[], "--set token_cache=none");
    run.exits(77);
    let ended = "exosend: the client secret expired on 2026-01-31 (client_secret_expires)";
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(
        lines[0],
        ended.replacen("exosend: ", "exosend: warning: ", 1)
    );
    assert!(
        lines[1].starts_with(&format!("{ended}: token ")),
        "{lines:?}"
    );
    assert!(
        lines[2].contains(&format!("; its Value goes to {place}")),
        "{lines:?}"
    );
    // Without the date, the error still says where a new secret goes.
    machine.configure("");
    let run = send(&machine, &[], "--set token_cache=none");
    run.err_has(&format!("; its Value goes to {place}"));
}

#[test]
fn a_broken_certificate_in_a_bundle_is_ignored() {
    let machine = Machine::new();
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let ca = machine.exchange.ca_pem();
    machine.write("bundle.pem", &format!("{broken}{ca}"));
    let run = send(&machine, &[], "--set ca_file=bundle.pem");
    let warning = "exosend: warning: ca_file: a certificate that cannot be a root: ";
    run.exits(0);
    run.err_begins(warning);
    machine.write("bundle.pem", broken);
    let run = send(&machine, &[], "--set ca_file=bundle.pem");
    let error = "\nexosend: --set ca_file: bundle.pem: no certificate in it that can be a root\n";
    run.exits(78);
    run.err_has(error);
}
