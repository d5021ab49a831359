//! The machine's queue, with several users. Needs root and namespaces, so it runs on request: `cargo test --all-features
//! --test command queue::shared:: -- --ignored`.
//!
//! The machine is a mount namespace with users, folders and configuration as a package installs them.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::exchange::{Delivered, Exchange};
use crate::machine::{Machine, Run, finish, start};

/// Installs as a package does. `as USER COMMAND` runs as a user, `mail SUBJECT` prints a message.
const INSTALL: &str = r#"
cp -a /etc "$BOX/etc"
mount --bind "$BOX/etc" /etc
mount --bind "$SPOOL" /var/spool
mount -t tmpfs tmpfs /usr/local/bin
cp "$EXOSEND" /usr/local/bin/exosend
ln -s exosend /usr/local/bin/sendmail
ln -s exosend /usr/local/bin/mailq
systemd-sysusers "$SHARE/exosend.sysusers"
systemd-tmpfiles --create "$SHARE/exosend.tmpfiles"
sed "s|^ca_file = .*|ca_file = /etc/ca.pem|" "$HOME/.config/exosend.conf" >/etc/exosend.conf
rm "$HOME/.config/exosend.conf"
cp "$BOX/ca.pem" /etc/ca.pem
chown root:exosend /etc/exosend.conf
chmod 0640 /etc/exosend.conf
export HOME=/nonexistent
as() { user=$1; shift; setpriv --reuid=$user --regid=$(id -g $user) --clear-groups --no-new-privs "$@"; }
mail() { printf 'Subject: %s\n\nhello\n' "$1"; }
exosend queue run
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
cd /
"#;

/// A machine with the package installed, for the scripts of several users.
pub(super) struct Host {
    pub(super) machine: Machine,
    spool: PathBuf,
}

impl Host {
    fn new(more: &str) -> Self {
        Self::with(Exchange::start(), more)
    }

    pub(super) fn with(exchange: Exchange, more: &str) -> Self {
        let machine = Machine::with(exchange);
        machine.configure(&format!("log = /var/spool/exosend/log\n{more}"));
        let name = format!("host-{}-{}", std::process::id(), machine.exchange.port());
        let spool = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&spool).unwrap();
        Self { machine, spool }
    }

    fn shell(&self, script: &str) -> Command {
        self.shell_for(280, script)
    }

    /// Killed after so many seconds.
    pub(super) fn shell_for(&self, seconds: u64, script: &str) -> Command {
        let mut command = Command::new("timeout");
        let share = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/exosend/share");
        command
            .args(["--kill-after=5", &seconds.to_string(), "unshare"])
            .args(["--mount", "--propagation", "private", "bash", "-euc"])
            .arg(format!("{INSTALL}{script}"))
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.machine.path("home"))
            .env("BOX", self.machine.path(""))
            .env("SPOOL", &self.spool)
            .env("SHARE", share)
            .env("EXOSEND", env!("CARGO_BIN_EXE_exosend"))
            .env("LANG", "C.UTF-8");
        command
    }

    fn run(&self, script: &str) -> Run {
        let run = finish(&mut self.shell(script), "");
        run.exits(0);
        run
    }

    fn arrived(&self) -> Vec<Delivered> {
        let exchange = self.machine.exchange.settle();
        assert_eq!(exchange.violations(), [""; 0]);
        exchange.delivered()
    }

    pub(super) fn subjects(&self) -> Vec<String> {
        self.arrived()
            .iter()
            .map(|message| message.header("Subject").unwrap())
            .collect()
    }

    /// Names in a folder of the spool.
    fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.spool.join("exosend").join(folder)).map_or(0, Iterator::count)
    }

    fn wait_for_mail(&self, messages: usize) {
        let patience = Instant::now() + Duration::from_secs(100);
        while self.machine.exchange.delivered().len() < messages && Instant::now() < patience {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.spool);
    }
}

#[test]
#[ignore = "needs root and namespaces"]
fn any_user_can_queue_mail_and_none_can_use_anothers() {
    let host = Host::new("");
    let run = host.run(
        r#"
        mail web | as www-data sendmail ann@example.com
        mail nobody | as nobody sendmail root bob@example.com
        mail root | sendmail ann@example.com
        for user in www-data nobody; do
            ! as $user ls /var/spool/exosend/drop 2>/dev/null
            ! as $user ls /var/spool/exosend/queue 2>/dev/null
            for file in /var/spool/exosend/drop/*; do
                stat -c '%A %U %G' "$file"
                [ "$(stat -c %U "$file")" = $user ] || ! as $user cat "$file" 2>/dev/null
                [ "$(stat -c %U "$file")" = $user ] || ! as $user rm -f "$file" 2>/dev/null
                [ "$(stat -c %U "$file")" = $user ] || ! as $user mv "$file" /tmp 2>/dev/null
            done
            code=0; as $user mailq || code=$?; echo mailq $code
            code=0; as $user exosend queue run || code=$?; echo run $code
            as $user sendmail -q
        done
        mailq | grep -c ' new '
        "#,
    );
    run.out_has("-rwxr----- www-data exosend\n");
    assert_eq!(
        run.stdout.matches("mailq 77\nrun 77\n").count(),
        2,
        "{run:?}"
    );
    assert!(run.stdout.ends_with("\n3\n"), "{run:?}");
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(
        lines
            .iter()
            .filter(|line| **line == "exosend: the queue is exosend's: sudo exosend queue")
            .count(),
        4,
        "{lines:?}"
    );
    host.machine.nobody_called();
}

#[test]
#[ignore = "needs root and namespaces"]
fn a_run_never_runs_as_root() {
    let host = Host::new("");
    let run = host.run(
        r#"
        mail web | as www-data sendmail ann@example.com
        mail nobody | as nobody sendmail bob@example.com
        exosend queue run
        find /var/spool/exosend -not -user exosend
        stat -c '%a' /var/spool/exosend/run
        chmod 0755 /var/spool/exosend/drop; chown root:root /var/spool/exosend /var/spool/exosend/drop
        exosend queue run
        chmod 3733 /var/spool/exosend/drop
        exosend queue run && exit 1
        echo refused
        "#,
    );
    run.out("644\nrefused\n");
    let mut subjects = host.subjects();
    subjects.sort();
    assert_eq!(subjects, ["nobody", "web"]);
    let log = std::fs::read_to_string(host.spool.join("exosend/log")).unwrap();
    for line in ["event=queued ", "event=sent "] {
        assert_eq!(log.matches(line).count(), 2, "{log}");
    }
    assert!(
        log.contains(" uid=33 ") && log.contains(" uid=65534 "),
        "{log}"
    );
}

#[test]
#[ignore = "needs root and namespaces"]
fn a_key_that_is_set_for_a_run_loses_no_mail() {
    let host = Host::new("");
    host.run(
        r#"
        mail root | as www-data sendmail ann@example.com
        exosend queue run --set timeout=99
        mail owner | as www-data sendmail ann@example.com
        as exosend env EXOSEND_SPOOL=/var/spool/exosend exosend queue run --set timeout=99
        "#,
    );
    assert_eq!(host.subjects(), ["root", "owner"]);
}

#[test]
#[ignore = "needs root and namespaces"]
fn the_doctor_reports_what_is_wrong_with_the_queue() {
    let host = Host::new("");
    let run = host.run(
        r#"
        check() { code=0; exosend doctor >"$BOX/out" || code=$?; echo "$code $(grep -A3 -E '^(ok|FAIL) +queue' "$BOX/out" | tr '\n' ' ' | tr -s ' ')"; }
        sed -i '/^log = /d' /etc/exosend.conf
        check
        chmod g-s /var/spool/exosend/drop; check; chmod 3733 /var/spool/exosend/drop
        touch -d '2 days ago' /var/spool/exosend/run; check; exosend queue run
        mkdir /var/spool/exosend/drop/x; check; rmdir /var/spool/exosend/drop/x
        chgrp root /etc/exosend.conf; check; chgrp exosend /etc/exosend.conf
        echo 'log = /var/log/exosend.log' >>/etc/exosend.conf; check
        exosend doctor | grep -c -E '^(ok|note) +sendmail +/usr/(sbin|lib)/sendmail' || true
        "#,
    );
    let lines: Vec<_> = run.stdout.lines().collect();
    for (line, expected) in lines.iter().zip([
        "0 ok queue /var/spool/exosend, of uid ",
        "75 FAIL queue /var/spool/exosend: owner or modes",
        "no run for a day systemctl enable --now exosend.path exosend.timer",
        "a folder in drop, where exosend makes none rm -r \"/var/spool/exosend/drop/x\"",
        "/etc/exosend.conf cannot be read by the service chgrp ",
        "/var/log/exosend.log cannot be written by the service systemctl edit",
    ]) {
        assert!(line.contains(expected), "{expected}: {run:?}");
    }
    assert_eq!((lines.len(), lines[6]), (7, "2"), "{run:?}");
}

#[test]
#[ignore = "needs root and namespaces"]
fn without_systemd_a_submit_by_root_starts_the_run() {
    let host = Host::new("");
    host.run(
        r#"
        rmdir /run/systemd/system
        mail web | as www-data sendmail ann@example.com
        mail root | sendmail ann@example.com
        while [ -n "$(ls /var/spool/exosend/drop /var/spool/exosend/queue | grep -v :)" ]; do sleep 0.1; done
        "#,
    );
    assert_eq!(host.subjects(), ["web", "root"]);
}

/// Whoever logs in, uses the login or logs out.
#[test]
#[ignore = "needs root and namespaces"]
fn the_machines_login_belongs_to_the_queues_owner() {
    let host = Host::with(Exchange::builder().logs_in("ann@contoso.com").start(), "");
    let run = host.run(
        r#"
mount -t tmpfs tmpfs /var/cache
sed -i '/^client_secret/d; /^tenant/d' /etc/exosend.conf
login=/var/spool/exosend/state/login
owned() { [ "$(stat -c '%U %G %a' $login)" = "exosend exosend 600" ] && [ ! -e $login.tmp ]; }
exosend login
owned
before=$(cat $login)
exosend token >/dev/null
owned
[ "$before" != "$(cat $login)" ]
exosend doctor | tr -s ' \n' ' ' | grep -q 'by login_file: ann@contoso.com logged in today'
owned
as exosend exosend token >/dev/null
owned
as daemon exosend login 2>/dev/null && exit 1
mail hello | sendmail ann@example.com
exosend queue run
owned
exosend logout
[ ! -e $login ]
exosend token 2>/dev/null && exit 1
true
"#,
    );
    run.out_has("\nremoved: /var/spool/exosend/state/login\n");
    assert_eq!(host.subjects(), ["hello"]);
}

#[test]
#[ignore = "needs root and namespaces"]
fn a_caller_with_an_account_of_his_own_does_not_use_the_machines() {
    let host = Host::new("");
    let run = host.run(
        r#"
        export EXOSEND_TIMEOUT=5
        code=0; mail one | as www-data sendmail ann@example.com 2>/dev/null || code=$?; echo $code
        mail two | sendmail ann@example.com
        unset EXOSEND_TIMEOUT
        cp /etc/exosend.conf "$BOX/own.conf"; chmod 0644 "$BOX/own.conf"
        mail three | EXOSEND_CONFIG=$BOX/own.conf as www-data sendmail ann@example.com
        mail four | as www-data sendmail ann@example.com
        mail five | as www-data env EXOSEND_SPOOL=/nowhere sendmail ann@example.com 2>/dev/null || echo $?
        "#,
    );
    run.out("78\n78\n");
    assert_eq!(host.subjects(), ["two", "three"], "sent at once");
    assert_eq!(host.count("drop"), 1);
}

/// A small disk in memory. With a readable configuration, a message would be sent at once from there, and not queued.
#[test]
#[ignore = "needs root and namespaces"]
fn a_full_disk_ends_with_75_and_leaves_no_unfinished_file() {
    let host = Host::new("");
    let run = host.run(
        r#"
        chmod 0600 /etc/exosend.conf; chown root:root /etc/exosend.conf
        fill() { # options for the disk, user, bytes
            mount -t tmpfs -o "$1" tmpfs /var/spool/exosend/drop
            chown exosend:exosend /var/spool/exosend/drop; chmod 3733 /var/spool/exosend/drop
            for n in $(seq 40); do
                code=0
                (mail $n; head -c "$3" /dev/zero | tr '\0' x) | as $2 sendmail ann@example.com || code=$?
                [ $code = 0 ] || break
            done
            echo $n $code $(find /var/spool/exosend/drop -perm 0740 | wc -l) $(find /var/spool/exosend/drop -type f | wc -l)
            umount /var/spool/exosend/drop
        }
        fill size=200k www-data 50000
        fill size=12m www-data 1000000
        fill size=20m,nr_inodes=5 www-data 1000
        # Root may use the last 8 MiB.
        mv /etc/exosend.conf /etc/away
        fill size=200k root 50000
        mount --bind -o ro /var/spool/exosend/drop /var/spool/exosend/drop
        mount -o remount,bind,ro /var/spool/exosend/drop
        mail x | as www-data sendmail ann@example.com || echo $?
        umount /var/spool/exosend/drop
        chmod g-s /var/spool/exosend/drop
        mail x | as www-data sendmail ann@example.com || echo $?
        chmod 0755 /var/spool/exosend/drop
        mail x | as www-data sendmail ann@example.com || echo $?
        ls -A /var/spool/exosend/drop
        "#,
    );
    run.out("1 75 0 0\n5 75 4 4\n5 75 4 4\n4 75 3 3\n75\n75\n75\n");
    for hint in [
        "make room on this disk",
        "no inode is left",
        "ReadWritePaths=/var/spool/exosend/drop",
        "chown exosend:exosend /var/spool/exosend /var/spool/exosend/drop && chmod 3733 /var/spool/exosend/drop",
    ] {
        assert!(run.stderr.contains(hint), "{hint}: {}", run.stderr);
    }
}

#[test]
#[ignore = "needs root and namespaces"]
fn foreign_files_that_look_complete_are_kept_and_reported() {
    let host = Host::new("");
    host.run(
        r#"
        mail good | as www-data sendmail ann@example.com
        copy() { cp /var/spool/exosend/drop/* "$BOX/one"; chmod 0644 "$BOX/one"; }
        copy
        drop=/var/spool/exosend/drop
        # Another group, which the service cannot read; and one that is held locked for ever.
        as www-data bash -c "umask 077; cat '$BOX/one' >$drop/$(printf '%032d' 1); chgrp www-data $drop/$(printf '%032d' 1); chmod 0740 $drop/$(printf '%032d' 1)"
        as nobody bash -c "cat '$BOX/one' >$drop/$(printf '%032d' 2); chmod 0740 $drop/$(printf '%032d' 2); exec 9<$drop/$(printf '%032d' 2); flock 9; exec sleep 20" >/dev/null 2>&1 &
        locked=$!
        while [ ! -x $drop/$(printf '%032d' 2) ]; do sleep 0.1; done
        ln -s /etc/shadow $drop/$(printf '%032d' 3)
        mknod $drop/$(printf '%032d' 4) c 1 5
        exosend queue run
        kill $locked
        "#,
    );
    assert_eq!(
        host.subjects(),
        ["good", "good"],
        "a lock is never waited for"
    );
    assert_eq!(
        (
            host.count("drop"),
            host.count("queue"),
            host.count("failed")
        ),
        (0, 0, 1)
    );
}

/// With the network unplugged, by `mail`, PHP and Debian's cron, as users who cannot read the configuration.
#[test]
#[ignore = "needs root, namespaces and Debian's packages, and up to a minute"]
fn mail_that_is_queued_offline_arrives_once_online() {
    let host = Host::new("local_recipient = ops@contoso.com");
    let run = host.run(
        r#"
        mount --bind /usr/local/bin/exosend /usr/sbin/sendmail
        mkdir -p "$BOX/crontabs" /run/lock /var/spool/cron
        mount -t tmpfs tmpfs /var/spool/cron
        mkdir -m 1730 /var/spool/cron/crontabs
        rm -f /etc/crontab /etc/cron.d/*
        printf '* * * * * nobody echo cron says this\n* * * * * exosend /usr/local/bin/exosend queue run\n' >/etc/cron.d/job
        offline() { unshare --net "$@"; }
        echo hello | offline setpriv --reuid=33 --regid=33 --clear-groups bsd-mailx -s by-mail ann@example.com
        echo hello | offline setpriv --reuid=65534 --regid=65534 --clear-groups bsd-mailx -s by-mail root
        offline setpriv --reuid=33 --regid=33 --clear-groups php -r 'exit(mail("ann@example.com", "by-php", "hello") ? 0 : 1);'
        unshare --net --pid --fork --kill-child cron -f &
        cron=$!
        while [ "$(find /var/spool/exosend/{drop,queue,work} -type f | wc -l)" -lt 4 ]; do sleep 0.2; done
        sleep 2
        kill -9 $cron
        find /var/spool/exosend/{drop,queue,work,failed} -type f | wc -l
        exosend queue run --now
        find /var/spool/exosend/{drop,queue,work,failed} -type f | wc -l
        "#,
    );
    run.out("4\n0\n");
    let mut subjects = host.subjects();
    subjects.sort();
    assert!(subjects[0].starts_with("Cron <nobody@"), "{subjects:?}");
    assert_eq!(subjects[1..], ["by-mail", "by-mail", "by-php"]);
}

/// Such as one that root has made immutable.
#[test]
#[ignore = "needs root and namespaces"]
fn a_file_that_cannot_be_moved_holds_up_no_others() {
    let host = Host::new("");
    let run = host.run(
        r#"
        as_service() { as exosend exosend queue run; }
        spool=/var/spool/exosend
        mail one | as www-data sendmail ann@example.com
        chattr +i $spool/drop/*
        mail two | as www-data sendmail ann@example.com
        as_service
        chattr -i $spool/drop/*
        mv $spool/drop/* $spool/queue
        chattr +i $spool/queue/*
        mail three | as www-data sendmail ann@example.com
        as_service
        chattr -i $spool/queue/*
        # Named from where root happens to be.
        cd /etc
        exosend queue run --now --config exosend.conf
        "#,
    );
    run.out("");
    assert_eq!(host.subjects(), ["two", "three", "one"]);
    let log = std::fs::read_to_string(host.spool.join("exosend/log")).unwrap();
    assert!(log.matches("event=foreign uid=33 ").count() >= 2, "{log}");
}

#[test]
#[ignore = "needs root and namespaces"]
fn the_units_send_at_once_and_every_minute() {
    let host = Host::new("rate = 0");
    let script = r#"
        mkdir "$BOX/units"
        for unit in exosend.service exosend.path exosend.timer exosend.socket exosend@.service; do
            sed 's|/usr/bin|/usr/local/bin|' "$SHARE/$unit" >"$BOX/units/$unit"
        done
        for target in sysinit basic shutdown sockets timers paths; do
            printf '[Unit]\nDefaultDependencies=no\n' >"$BOX/units/$target.target"
        done
        printf '[Service]\nType=oneshot\nExecStart=/bin/bash %s/job\n' "$BOX" >"$BOX/units/job.service"
        for unit in path timer socket; do
            mkdir -p "$BOX/units/job.service.d"
            printf '[Unit]\nAfter=exosend.%s\nWants=exosend.%s\n' $unit $unit >"$BOX/units/job.service.d/$unit.conf"
        done
        printf '[Service]\nType=oneshot\nDynamicUser=yes\nExecStart=/bin/sh -c "printf \\"Subject: dynamic\\\\n\\\\nx\\\\n\\" | /usr/local/bin/sendmail ann@example.com"\n' >"$BOX/units/closed.service"
        sed '/DynamicUser/a ReadWritePaths=/var/spool/exosend/drop' "$BOX/units/closed.service" >"$BOX/units/open.service"
        echo "StandardError=file:$BOX/closed" >>"$BOX/units/closed.service"
        cat >"$BOX/job" <<'JOB'
            export PATH=/usr/local/bin:/usr/bin:/bin
            for n in $(seq 50); do
                printf 'Subject: many\n\nx\n' | setpriv --reuid=33 --regid=33 --clear-groups sendmail ann@example.com
                sleep 0.08
            done
            sleep 4
            printf 'Subject: one\n\nx\n' | setpriv --reuid=33 --regid=33 --clear-groups sendmail ann@example.com
            sleep 4
            systemctl start open.service
            systemctl start closed.service
            exec 3<>/dev/tcp/127.0.0.1/25
            printf 'EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\nSubject: socket\r\n\r\nx\r\n.\r\nQUIT\r\n' >&3
            cat <&3 >"$BOX/socket"
JOB
        sed -i "s|\$BOX|$BOX|g" "$BOX/job"
        touch "$BOX/console"
        for device in console kmsg; do [ ! -e /dev/$device ] || mount --bind "$BOX/console" /dev/$device; done
        export container=docker SYSTEMD_UNIT_PATH="$BOX/units" SYSTEMD_LOG_TARGET=kmsg
        exec unshare --pid --fork --kill-child --mount-proc --cgroup /lib/systemd/systemd --system --unit=job.service"#;
    let systemd = start(host.shell(script).process_group(0));
    let began = Instant::now();
    host.wait_for_mail(51);
    assert!(
        began.elapsed() < Duration::from_secs(50),
        "by the path unit, not by the timer alone"
    );
    host.wait_for_mail(53);
    let group = format!("-{}", systemd.id());
    Command::new("kill")
        .args(["-KILL", "--", &group])
        .status()
        .unwrap();
    let said = systemd.wait_with_output().unwrap();
    let read = |name: &str| std::fs::read_to_string(host.machine.path(name)).unwrap_or_default();
    let clue = format!(
        "{}\n{}\n{}\n{}",
        String::from_utf8_lossy(&said.stderr),
        read("console"),
        read("closed"),
        read("socket")
    );
    let mut subjects = host.subjects();
    subjects.sort();
    subjects.dedup_by(|a, b| a == b && a == "many");
    assert_eq!(subjects, ["dynamic", "many", "one", "socket"], "{clue}");
    assert!(
        read("closed").contains("ReadWritePaths=/var/spool/exosend/drop"),
        "{clue}"
    );
    assert!(read("socket").contains("queued as"), "{clue}");
}
