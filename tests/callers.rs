//! Programs of Debian's that call this program as `/usr/sbin/sendmail`. Needs root and their packages, so it runs on request:
//! `cargo test --test command callers:: -- --ignored`.
//!
//! The machine is a mount namespace: nothing outside the test sees another sendmail, /etc or /var/cache.

use crate::machine;

use crate::exchange;

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use exchange::{Delivered, Exchange};
use machine::{Machine, Run, end, finish, start};
use mail_parser::{Message, MessageParser, MimeHeaders};

/// Puts the program in sendmail's place, and its configuration into /etc.
const INSTALL: &str = r#"
mkdir -p "$BOX/cache" "$BOX/crontabs"
cp -a /etc "$BOX/etc"
mv "$HOME/.config/exosend.conf" "$BOX/etc/exosend.conf"
mount --bind "$BOX/etc" /etc
mount --bind "$BOX/cache" /var/cache
mount --bind "$EXOSEND" /usr/sbin/sendmail
[ ! -d /var/spool/exosend ] || mount -t tmpfs tmpfs /var/spool/exosend
cd "$BOX"
"#;

fn machine() -> Machine {
    let machine = Machine::with(Exchange::start());
    machine.configure("local_recipient = ops@contoso.com");
    machine
}

fn machine_that_refuses_ann() -> Machine {
    let exchange = Exchange::builder().refuse("ann@example.com", "550 5.1.10 no");
    Machine::with(exchange.start())
}

/// A shell on that machine.
fn shell(machine: &Machine, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command
        .args([
            "--mount",
            "--propagation",
            "private",
            "bash",
            "-euc",
            &format!("{INSTALL}{script}"),
        ])
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", machine.path("home"))
        .env("BOX", machine.path(""))
        .env("EXOSEND", env!("CARGO_BIN_EXE_exosend"))
        .env("LANG", "C.UTF-8");
    command
}

fn run(machine: &Machine, script: &str, input: &str) -> Run {
    let run = finish(&mut shell(machine, script), input);
    assert_eq!(run.code, 0, "{run:?}");
    run
}

/// Waits for messages, at most a minute and a half.
fn await_mail(machine: &Machine, messages: usize) {
    let patience = Instant::now() + Duration::from_secs(90);
    while machine.exchange.delivered().len() < messages && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Ends a daemon and the processes of its group.
fn stop(daemon: Child) -> String {
    let group = format!("-{}", daemon.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()
        .unwrap();
    String::from_utf8_lossy(&daemon.wait_with_output().unwrap().stderr).into_owned()
}

/// What arrived, without a violation of Exchange's rules.
fn arrived(machine: &Machine) -> Vec<Delivered> {
    let delivered = machine.exchange.settle().delivered();
    assert_eq!(machine.exchange.violations(), [""; 0]);
    assert!(
        delivered
            .iter()
            .all(|message| message.from == "robot@contoso.com")
    );
    delivered
}

fn parsed(delivered: &Delivered) -> Message<'_> {
    let message = MessageParser::default().parse(&delivered.data).unwrap();
    let from = message.from().unwrap();
    assert_eq!(from.iter().count(), 1);
    assert_eq!(from.first().unwrap().address(), Some("robot@contoso.com"));
    assert!(message.date().is_some() && message.message_id().is_some());
    message
}

fn from_name<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    message.from().unwrap().first().unwrap().name()
}

fn assert_says(message: &Message<'_>, subject: &str, from: &str, reply_to: &str) {
    let answers = message.reply_to().unwrap().first().unwrap().address();
    let said = (message.subject(), from_name(message), answers);
    assert_eq!(said, (Some(subject), Some(from), Some(reply_to)));
}

fn attached<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    message.attachment(0)?.text_contents().map(str::trim)
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn bsd_mailx() {
    let machine = machine();
    run(
        &machine,
        "bsd-mailx -s 'B\u{e4}ckup done' -c cid@example.com -b eve@example.com ann@example.com root",
        "212 GiB\n.\nin 41 min\n",
    );
    let arrived = arrived(&machine);
    let mut to = arrived[0].to.clone();
    to.sort();
    assert_eq!(
        to,
        [
            "ann@example.com",
            "cid@example.com",
            "eve@example.com",
            "ops@contoso.com"
        ]
    );
    assert!(!arrived[0].text().contains("eve@"));
    assert!(
        arrived[0]
            .text()
            .ends_with("\r\n\r\n212 GiB\r\n.\r\nin 41 min\r\n")
    );
    assert_eq!(parsed(&arrived[0]).subject(), Some("B\u{e4}ckup done"));
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn s_nail() {
    let machine = machine();
    machine.write("report.csv", "disk,percent\n");
    run(
        &machine,
        "s-nail -:/ -s 'B\u{e4}ckup done' -r 'Night Job <night@shop.example>' -a report.csv ann@example.com",
        "h\u{e9}llo\n",
    );
    let arrived = arrived(&machine);
    let message = parsed(&arrived[0]);
    assert_says(
        &message,
        "B\u{e4}ckup done",
        "Night Job",
        "night@shop.example",
    );
    assert_eq!(message.body_text(0).unwrap().trim(), "h\u{e9}llo");
    assert_eq!(
        message.attachment(0).unwrap().attachment_name(),
        Some("report.csv")
    );
    assert_eq!(attached(&message), Some("disk,percent"));
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn mutt() {
    let machine = machine();
    machine.write("report.csv", "disk,percent\n");
    let set = "-e 'set from=night@shop.example realname=\"Night Job\" use_envelope_from=yes copy=no dsn_notify=failure dsn_return=hdrs'";
    run(
        &machine,
        &format!(
            "mutt -n -F /dev/null {set} -s 'B\u{e4}ckup done' -b eve@example.com -a report.csv -- ann@example.com"
        ),
        "h\u{e9}llo\n",
    );
    let arrived = arrived(&machine);
    assert_eq!(arrived[0].to, ["ann@example.com", "eve@example.com"]);
    let message = parsed(&arrived[0]);
    assert_says(
        &message,
        "B\u{e4}ckup done",
        "Night Job",
        "night@shop.example",
    );
    assert_eq!(message.body_text(0).unwrap().trim(), "h\u{e9}llo");
    assert_eq!(attached(&message), Some("disk,percent"));
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn git_send_email() {
    let machine = machine();
    let script = "
        git init -q repository && cd repository
        git config user.name 'J\u{f6}rg Schmidt' && git config user.email j@shop.example
        for n in 1 2 3; do echo $n >file; git add file; git commit -q -m \"Change $n\"; done
        git send-email --quiet --confirm=never --suppress-cc=all --to 'Ann <ann@example.com>' --cc cid@example.com HEAD~2";
    run(&machine, script, "");
    let arrived = arrived(&machine);
    assert_eq!(arrived.len(), 2);
    for (message, n) in arrived.iter().zip(2..) {
        assert_eq!(message.to, ["ann@example.com", "cid@example.com"]);
        let parsed = parsed(message);
        let subject = format!("[PATCH {}/2] Change {n}", n - 1);
        assert_says(&parsed, &subject, "J\u{f6}rg Schmidt", "j@shop.example");
        assert!(
            parsed
                .body_text(0)
                .unwrap()
                .contains(&format!("\n-{}\r\n+{n}\r\n", n - 1))
        );
    }
    let second = parsed(&arrived[1]);
    assert_eq!(
        second.in_reply_to().as_text(),
        parsed(&arrived[0]).message_id(),
        "the thread holds"
    );
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn git_send_email_sees_a_failure() {
    let machine = machine_that_refuses_ann();
    let script = "
        git init -q repository && cd repository
        git config user.name Ann && git config user.email ann@shop.example
        echo 1 >file; git add file; git commit -q -m first
        git send-email --quiet --confirm=never --suppress-cc=all --to ann@example.com --root HEAD";
    let run = finish(&mut shell(&machine, script), "");
    assert_ne!(run.code, 0);
    assert!(
        run.stderr
            .contains("exosend: recipient <ann@example.com>: 550 5.1.10 no"),
        "{}",
        run.stderr
    );
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn phps_mail() {
    let machine = machine();
    let script = r#"php -r 'exit(mail("ann@example.com", "=?UTF-8?B?QsOkY2t1cA==?=", "first\n.\nsecond\n",
        ["From" => "Shop <shop@shop.example>", "Bcc" => "eve@example.com", "MIME-Version" => "1.0", "Content-Type" => "text/plain; charset=utf-8"],
        "-fshop@shop.example") ? 0 : 1);'"#;
    run(&machine, script, "");
    let arrived = arrived(&machine);
    assert_eq!(arrived[0].to, ["ann@example.com", "eve@example.com"]);
    let message = parsed(&arrived[0]);
    assert_says(&message, "B\u{e4}ckup", "Shop", "shop@shop.example");
    assert_eq!(
        message.body_text(0).unwrap().trim_end(),
        "first\r\n.\r\nsecond"
    );
    assert!(!arrived[0].text().contains("eve@"));
}

#[test]
#[ignore = "needs root and Debian's packages"]
fn php_without_a_from() {
    let machine = machine();
    let script = r#"php -r 'exit(mail("ann@example.com", "x", "y") ? 0 : 1);'"#;
    run(&machine, script, "");
    assert_eq!(parsed(&arrived(&machine)[0]).subject(), Some("x"));
    let run = finish(&mut shell(&machine_that_refuses_ann(), script), "");
    assert_eq!(run.code, 1, "mail() returns false");
}

/// Debian's cron, until the next minute begins.
#[test]
#[ignore = "needs root and Debian's packages, and up to a minute"]
fn cron() {
    let machine = machine();
    machine.write(
        "crontab",
        "* * * * * echo 'disk is 91 \\% f\u{fc}ll'; sleep 1; echo done\n\
         MAILTO=ann@example.com,bob@example.com\n\
         * * * * * df -h / | awk 'NR == 2 && $5 + 0 >= 0'\n",
    );
    let script = r#"
        mkdir run
        mv crontab crontabs/root
        mount --bind crontabs /var/spool/cron/crontabs
        mount --bind run /run
        exec cron -f"#;
    let cron = start(shell(&machine, script).process_group(0));
    await_mail(&machine, 2);
    let said = stop(cron);
    let arrived = arrived(&machine);
    let to = |first: &str| {
        arrived
            .iter()
            .find(|message| message.to[0] == first)
            .expect(&said)
    };
    let job = parsed(to("ops@contoso.com"));
    assert!(
        job.subject().unwrap().starts_with("Cron <root@"),
        "{:?}",
        job.subject()
    );
    assert_eq!(from_name(&job), Some("Cron Daemon"));
    assert_eq!(
        job.body_text(0).unwrap(),
        "disk is 91 % f\u{fc}ll\r\ndone\r\n"
    );
    let disk = to("ann@example.com");
    assert_eq!(disk.to, ["ann@example.com", "bob@example.com"]);
    assert!(parsed(disk).body_text(0).unwrap().contains("% /"));
}

/// The README's unit, in a systemd that has no other units.
#[test]
#[ignore = "needs root and Debian's packages"]
fn systemd_on_failure() {
    let readme = include_str!("../README.md");
    let name = "exosend-failed@.service";
    let (_, unit) = readme.split_once(&format!("/{name}\n")).unwrap();
    let machine = machine();
    std::fs::create_dir(machine.path("units")).unwrap();
    machine.write(&format!("units/{name}"), unit.split("```").next().unwrap());
    machine.write(
        "units/job.service",
        "[Unit]\nOnFailure=exosend-failed@%n.service\n[Service]\nType=oneshot\nExecStart=/bin/false\n",
    );
    for target in ["sysinit", "basic", "shutdown"] {
        machine.write(
            &format!("units/{target}.target"),
            "[Unit]\nDefaultDependencies=no\n",
        );
    }
    let script = r#"
        mount -t tmpfs tmpfs /usr/local/bin
        cp "$EXOSEND" /usr/local/bin/exosend
        mount -t tmpfs tmpfs /run
        touch console
        for device in console kmsg; do [ ! -e /dev/$device ] || mount --bind console /dev/$device; done
        export container=docker SYSTEMD_UNIT_PATH="$BOX/units" SYSTEMD_LOG_TARGET=kmsg
        exec unshare --pid --fork --kill-child --mount-proc --cgroup /lib/systemd/systemd --system --unit=job.service"#;
    let systemd = start(shell(&machine, script).process_group(0));
    await_mail(&machine, 1);
    let said =
        stop(systemd) + &std::fs::read_to_string(machine.path("console")).unwrap_or_default();
    let arrived = arrived(&machine);
    assert_eq!(arrived.len(), 1, "{said}");
    let message = parsed(&arrived[0]);
    assert!(
        message
            .subject()
            .unwrap()
            .starts_with("job.service failed on "),
        "{:?}",
        message.subject()
    );
    assert!(
        message
            .body_text(0)
            .unwrap()
            .contains("Active: failed (Result: exit-code)"),
        "{:?}",
        message.body_text(0)
    );
}

/// The README's settings for machines with another /usr/sbin/sendmail.
#[test]
#[ignore = "needs root and Debian's packages"]
fn programs_that_are_configured_to_call_exosend() {
    let machine = machine();
    let script = r#"
        umount /usr/sbin/sendmail
        mount -t tmpfs tmpfs /usr/local/bin
        cp "$EXOSEND" /usr/local/bin/exosend
        php -d 'sendmail_path = "/usr/local/bin/exosend -t -i"' -r 'exit(mail("php@example.com", "x", "y") ? 0 : 1);'
        printf 'set sendmail = "/usr/local/bin/exosend -oem -oi"\n' >"$HOME/.muttrc"
        echo y | mutt -s x mutt@example.com
        printf '[sendemail]\n\tsmtpServer = /usr/local/bin/exosend\n[user]\n\tname = A\n\temail = a@shop.example\n' >"$HOME/.gitconfig"
        git init -q repository && cd repository
        git commit -q --allow-empty -m x && echo 1 >file && git add file && git commit -q -m y
        git send-email --quiet --confirm=never --suppress-cc=all --to git@example.com HEAD~1"#;
    run(&machine, script, "");
    let to: Vec<_> = arrived(&machine)
        .into_iter()
        .flat_map(|message| message.to)
        .collect();
    assert_eq!(
        to,
        ["php@example.com", "mutt@example.com", "git@example.com"]
    );
}

/// cronie's arguments and header differ from cron's.
#[test]
#[ignore = "needs root and Debian's packages"]
fn cronie() {
    let machine = machine();
    let message = "From: \"(Cron Daemon)\" <root>\nTo: root\nSubject: Cron <root@web1> df\nMIME-Version: 1.0\n\
                   Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nAuto-Submitted: auto-generated\n\
                   Precedence: bulk\nX-Cron-Env: <HOME=/root>\n\nfull\n";
    run(
        &machine,
        "/usr/sbin/sendmail -FCronDaemon -i -odi -oem -oi -t -f root",
        message,
    );
    let arrived = arrived(&machine);
    assert_eq!(arrived[0].to, ["ops@contoso.com"]);
    assert_eq!(from_name(&parsed(&arrived[0])), Some("(Cron Daemon)"));
}

/// As Python's documentation does it.
#[test]
#[ignore = "needs root and Debian's packages"]
fn pythons_subprocess() {
    let machine = machine();
    let script = r#"python3 -c '
import subprocess
from email.message import EmailMessage
message = EmailMessage()
message["From"], message["To"], message["Bcc"], message["Subject"] = "Jörg <j@shop.example>", "ann@example.com", "eve@example.com", "Bäckup"
message.set_content("héllo\n.\n")
message.add_attachment(b"\x00\xff", maintype="application", subtype="octet-stream", filename="a.bin")
subprocess.run(["/usr/sbin/sendmail", "-t", "-oi"], input=message.as_bytes(), check=True)
'"#;
    run(&machine, script, "");
    let arrived = arrived(&machine);
    assert_eq!(arrived[0].to, ["ann@example.com", "eve@example.com"]);
    let message = parsed(&arrived[0]);
    assert_says(&message, "B\u{e4}ckup", "J\u{f6}rg", "j@shop.example");
    assert_eq!(message.body_text(0).unwrap(), "h\u{e9}llo\r\n.\r\n");
    assert_eq!(message.attachment(0).unwrap().contents(), b"\x00\xff");
}

/// The examples in the manuals of msmtp and Postfix, and of the programs that they name.
#[test]
#[ignore = "needs root and Debian's packages"]
fn documented_invocations() {
    let machine = machine();
    let mut sent = 0;
    let script: String = [
        "-t", "-t --", "-oi -t", "-f ann@shop.example -- ann@example.com", "--read-recipients", "ann@example.com",
        "-i -f ann@shop.example ann@example.com", "-F 'Night Job' -f ann@shop.example -t", "-bm -t", "-oem -oi -t",
        "-N failure,delay -R hdrs -V id -t", "-B 8BITMIME -i ann@example.com", "-Ac -i -t", "-G -i -f '<>' ann@example.com",
    ]
    .into_iter()
    .filter(|flags| !flags.starts_with("--"))
    .map(|flags| {
        sent += 1;
        format!("printf 'To: ann@example.com\\nSubject: test\\n\\nhello\\n' | /usr/sbin/sendmail {flags}\n")
    })
    .collect();
    run(&machine, &script, "");
    let arrived = arrived(&machine);
    assert_eq!(arrived.len(), sent);
    for message in &arrived {
        assert_eq!(
            (message.to.as_slice(), parsed(message).subject()),
            (&["ann@example.com".to_owned()][..], Some("test"))
        );
    }
}

/// The error names the group that may read it.
#[test]
#[ignore = "needs root and Debian's packages"]
fn a_web_server_that_may_not_read_the_configuration() {
    let machine = machine();
    // In a folder that this user can search.
    let script =
        "chmod 711 \"$BOX\" && setpriv --reuid=33 --regid=33 --clear-groups /usr/sbin/sendmail -t";
    let message = "To: ann@example.com\n\nhello\n";
    let run = end({
        let mut child = start(&mut shell(&machine, script));
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), message.as_bytes()).unwrap();
        child
    });
    assert_eq!(run.code, 78, "{run:?}");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(
        lines[0],
        "exosend: /etc/exosend.conf: cannot be read: Permission denied (os error 13)"
    );
    assert!(
        lines[1].contains("chown root:exosend, chmod 0640, adduser www-data exosend"),
        "{lines:?}"
    );

    let machine = self::machine();
    let script = "chmod 711 \"$BOX\" && chown root:mail /etc/exosend.conf && chmod 640 /etc/exosend.conf && \
                  setpriv --reuid=33 --regid=33 --groups=8 /usr/sbin/sendmail -t";
    self::run(&machine, script, message);
    assert_eq!(arrived(&machine)[0].to, ["ann@example.com"]);
}

/// Token, DNS and connection use a thread each; without threads they come one after the other.
#[test]
#[ignore = "needs root and Debian's packages"]
fn without_threads_it_sends_all_the_same() {
    let machine = machine();
    let script = "chmod 711 \"$BOX\" && chown root:mail /etc/exosend.conf && chmod 640 /etc/exosend.conf && \
                  exec setpriv --reuid=33 --regid=33 --groups=8 bash -c 'ulimit -u 1; exec /usr/sbin/sendmail -t'";
    let message = "To: ann@example.com\n\nhello\n";
    let run = finish(&mut shell(&machine, script), message);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(arrived(&machine)[0].to, ["ann@example.com"]);
}

/// Any user could have got the secret.
#[test]
#[ignore = "needs root and Debian's packages"]
fn set_user_id_or_with_capabilities_it_refuses_to_run() {
    let set_id = "chgrp mail \"$BOX/exosend\" && chmod 2755 \"$BOX/exosend\"";
    // cap_dac_read_search=ep
    let capable = "python3 -c 'import os, struct; os.setxattr(\"exosend\", \"security.capability\", \
                   struct.pack(\"<5I\", 0x2000001, 4, 0, 0, 0))'";
    for (given, error, hint) in [
        (set_id, "set-user-id or set-group-id", "chmod u-s,g-s "),
        (capable, "capabilities of its own", "setcap -r "),
    ] {
        let machine = machine();
        let script = format!(
            "chmod 711 \"$BOX\" && cp \"$EXOSEND\" \"$BOX/exosend\" && {given} && \
             setpriv --reuid=33 --regid=33 --clear-groups \"$BOX/exosend\" token"
        );
        let run = finish(&mut shell(&machine, &script), "");
        assert_eq!((run.code, run.stdout.as_str()), (78, ""), "{run:?}");
        let error = format!("exosend: {error}: refused\nexosend: hint: {hint}");
        assert!(run.stderr.starts_with(&error), "{}", run.stderr);
    }
    // Ambient capabilities are the caller's own, and no reason to refuse.
    let machine = machine();
    let script = "chmod 711 \"$BOX\" && chmod 644 /etc/exosend.conf && setpriv --reuid=33 --regid=33 --clear-groups \
                  --inh-caps=+net_bind_service --ambient-caps=+net_bind_service /usr/sbin/sendmail -t";
    let run = finish(&mut shell(&machine, script), "To: ann@example.com\n\nx\n");
    assert_eq!(run.code, 0, "{run:?}");
}

/// Such as the code of other web pages.
#[test]
#[ignore = "needs root and Debian's packages"]
fn other_programs_of_the_same_user_cannot_read_its_memory() {
    let script = r#"
        chmod 711 "$BOX"
        as() { exec setpriv --reuid=33 --regid=33 --clear-groups "$@"; }
        mkfifo "$BOX/never" && exec 3<>"$BOX/never"
        EXOSEND_CLIENT_SECRET=hush as /usr/sbin/sendmail -t <&3 &
        until grep -q '^Max core file size *0 ' /proc/$!/limits; do sleep 0.1; done
        for file in environ mem; do
            if (as head -c 1 /proc/$!/$file); then echo "$file can be read"; fi
        done
        kill $!"#;
    let run = run(&machine(), script, "");
    assert_eq!(run.stdout, "", "{run:?}");
    assert_eq!(
        run.stderr.matches("Permission denied").count(),
        2,
        "{run:?}"
    );
}

/// www-data's home may be shown by a web server; and root's HOME may be another user's, as under sudo.
#[test]
#[ignore = "needs root and Debian's packages"]
fn the_home_of_a_system_user_is_not_read() {
    let evil = Exchange::start();
    let script = format!(
        "chmod 711 \"$BOX\" && chmod 644 /etc/exosend.conf && \
         printf 'authority = {}\\nserver = localhost:{}\\n' >\"$HOME/.config/exosend.conf\" && chown -R 33 \"$HOME\" && \
         setpriv --reuid=AS --regid=AS --clear-groups /usr/sbin/sendmail -t",
        evil.authority(),
        evil.port()
    );
    for (user, warning) in [
        ("33", "a system user's home"),
        ("65534", "a system user's home"),
        ("0", "not believed"),
    ] {
        let machine = machine();
        let script = script.replace("AS", user);
        let run = finish(
            &mut shell(&machine, &script),
            "To: ann@example.com\n\nhello\n",
        );
        assert!(run.code == 0 && run.stderr.contains(warning), "{run:?}");
        assert!(!machine.path("home/.cache/exosend").exists());
        assert_eq!(arrived(&machine).len(), 1);
    }
    assert_eq!(evil.token_requests().len(), 0);
}

/// Its folder has mode 0777, but is mounted read-only: kubernetes/kubernetes#133641.
#[test]
#[ignore = "needs root and Debian's packages"]
fn a_configmap_of_kubernetes_is_trusted() {
    let machine = machine();
    let script = r#"
        mkdir "$BOX/config"
        mount -t tmpfs -o mode=0777 tmpfs "$BOX/config"
        cp /etc/exosend.conf "$BOX/config"
        export EXOSEND_CONFIG=$BOX/config/exosend.conf
        code=0; echo | sendmail ann@example.com || code=$?; echo $code
        mount -o remount,ro "$BOX/config"
        echo | sendmail ann@example.com"#;
    let run = run(&machine, script, "");
    assert_eq!(run.stdout, "78\n", "{run:?}");
    assert!(run.stderr.contains("anybody may replace it"), "{run:?}");
    assert_eq!(arrived(&machine).len(), 1);
}
