#!/usr/bin/python3
"""queue.py [ROUNDS]: what a caller of sendmail waits for, and what a queue costs, in one run with Debian's other queues.

Prints the tables of QUEUE.md and writes them there. Debian, root, namespaces, and a Rust toolchain: Debian's mail systems
exclude each other, so they are unpacked and laid over /usr in a mount namespace, with spools on the disk of the build.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import chart

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
PEERS = ["postfix", "dma", "nullmailer", "msmtp"]
MESSAGE = b"Subject: backup done\n\n" + b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\n" * 32

# Users, folders and files as the packages make them; of configuration what makes each of them queue and not send.
INSTALL = r"""
mkdir -p "$SCRATCH"/{etc,spool,home}
cp -a /etc/. "$SCRATCH/etc"
mount --bind "$SCRATCH/etc" /etc
mount --bind "$SCRATCH/spool" /var/spool
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
getent group postdrop >/dev/null || groupadd --system postdrop
getent passwd postfix >/dev/null || useradd --system postfix
chgrp postdrop "$UNPACKED/postfix/usr/sbin/postdrop"
chmod 2755 "$UNPACKED/postfix/usr/sbin/postdrop"
mount -t overlay overlay -o "lowerdir=$UNPACKED/postfix/usr:$UNPACKED/dma/usr:$UNPACKED/nullmailer/usr:$UNPACKED/msmtp/usr:/usr" /usr
mount -t tmpfs tmpfs /usr/local/bin
cp "$EXOSEND" /usr/local/bin/exosend
cp "$GLIBC" /usr/local/bin/exosend-glibc
ln -s exosend /usr/local/bin/sendmail
rm -rf /etc/postfix /etc/dma
mkdir -p /etc/postfix /etc/dma /etc/nullmailer
printf 'compatibility_level = 3.6\nmyhostname = here.example\n' >/etc/postfix/main.cf
install -d -o postfix -g postdrop -m 0730 /var/spool/postfix /var/spool/postfix/maildrop
chmod 0755 /var/spool/postfix
printf 'DEFER\nMAILNAME here.example\n' >/etc/dma/dma.conf
install -m 0640 -g mail /dev/null /etc/dma/auth.conf
install -d -g mail -m 2770 /var/spool/dma
echo here.example >/etc/nullmailer/me
install -d -o mail /var/spool/nullmailer /var/spool/nullmailer/{queue,tmp}
# Of this network msmtpq learns that it is down.
echo '127.0.0.1 debian.org' >>/etc/hosts
chown -R www-data: "$SCRATCH/home"
systemd-sysusers "$SHARE/exosend.sysusers"
systemd-tmpfiles --create "$SHARE/exosend.tmpfiles"
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system
/usr/local/bin/exosend queue run
chmod 0755 "$SCRATCH"
"""

# As www-data.
CALLERS = {
    "exosend": ["/usr/local/bin/sendmail"],
    "exosend, linked to glibc": ["/usr/local/bin/exosend-glibc"],
    "Postfix (sendmail, postdrop)": ["/usr/sbin/sendmail"],
    "nullmailer (nullmailer-inject, nullmailer-queue)": ["/usr/bin/nullmailer-inject"],
    "dma": ["/usr/sbin/dma"],
    "msmtpq": ["/usr/libexec/msmtp/msmtpq/msmtpq"],
}


def main():
    rounds = sys.argv[1] if len(sys.argv) > 1 else "101"
    build = ["build", "--locked", "--quiet", "--features", "cli", "--bin", "exosend"]
    subprocess.run(["cargo", *build, "--release"], cwd=ROOT, check=True)
    # As packages have it: for musl, where that can be had.
    glibc, musl = TARGET / "release/exosend", TARGET / "musl"
    exosend = musl / "target/x86_64-unknown-linux-musl/small/exosend"
    if (musl / "bin/cargo-musl").exists() or subprocess.run([ROOT / ".ci/musl", musl]).returncode == 0:
        env = os.environ | {"CARGO_TARGET_DIR": str(musl / "target")}
        subprocess.run([musl / "bin/cargo-musl", *build, "--profile", "small"], cwd=ROOT, env=env, check=True)
    else:
        exosend = glibc
    compare = os.environ | {"CARGO_TARGET_DIR": str(TARGET / "compare")}
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--release", "-p", "compare-tools"], cwd=HERE, env=compare, check=True)
    unpacked = TARGET / "compare/peers"
    unpacked.mkdir(parents=True, exist_ok=True)
    for package in PEERS:
        if not (unpacked / package).exists():
            subprocess.run(["apt-get", "-qq", "download", package], cwd=unpacked.parent, check=True, stderr=subprocess.DEVNULL)
            (deb,) = unpacked.parent.glob(f"{package}_*.deb")
            subprocess.run(["dpkg", "-x", deb, unpacked / package], check=True)
    with tempfile.TemporaryDirectory(dir=TARGET / "compare") as scratch:
        subprocess.run(["gcc", "-O2", "-static", "-o", f"{scratch}/cost", HERE / "cost.c"], check=True)
        (Path(scratch) / "message").write_bytes(MESSAGE)
        names = {
            "SCRATCH": scratch, "UNPACKED": str(unpacked), "EXOSEND": str(exosend), "GLIBC": str(glibc),
            "SHARE": str(ROOT / "src/bin/exosend/share"), "TOOLS": str(TARGET / "compare/release"),
        }
        script = INSTALL + 'exec /usr/bin/python3 "$@"'
        inside = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "bash", "-euc", script, "-", __file__, "--inside", rounds],
            env=os.environ | names, stdout=subprocess.PIPE, text=True, check=True,
        )
    page = HERE / "QUEUE.md"
    head, _, _ = page.read_text().partition("<!-- tables -->")
    page.write_text(f"{head}<!-- tables -->\n\n{inside.stdout}")
    print(inside.stdout, end="")


def cost(command, user, stdin="/dev/null"):
    """Wall ms, CPU ms and peak MiB of one process and its children."""
    pipe, end = os.pipe()
    scratch = os.environ["SCRATCH"]
    home = {"HOME": f"{scratch}/home", "EMAIL_CONN_TEST": "s", "EMAIL_QUEUE_QUIET": "t", "PATH": os.environ["PATH"]}
    as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    with open(stdin, "rb") as text:
        done = subprocess.run(
            ["bash", "-c", f'exec 3>&{end}; exec "$@"', "-", *as_user, f"{scratch}/cost", *command],
            stdin=text, env=home, pass_fds=[end], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True,
        )
    wall, cpu, rss, code = map(int, os.read(pipe, 100).split())
    os.close(pipe)
    os.close(end)
    if code != 0:
        raise RuntimeError(f"{command}: exit code {code}: {done.stderr}")
    return wall / 1000, cpu / 1000, rss / 1024


def figure(values, digits=1):
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(head, rows):
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def submit():
    return cost(["/usr/local/bin/sendmail", "ann@example.com"], "www-data", os.environ["SCRATCH"] + "/message")


def fill(count):
    """So many messages in `drop`, each as a submit leaves it."""
    drop = Path("/var/spool/exosend/drop")
    submit()
    (one,) = drop.iterdir()
    text, owner = one.read_bytes(), one.stat()
    for n in range(count - 1):
        path = drop / f"{n:032x}"
        path.write_bytes(text)
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o740)
    os.sync()


def empty():
    for folder in "drop", "queue":
        for file in Path("/var/spool/exosend", folder).iterdir():
            file.unlink()


def submits(rounds):
    message = os.environ["SCRATCH"] + "/message"
    costs = {name: [] for name in CALLERS}
    for number in range(rounds + 1):
        for name, command in CALLERS.items():
            spent = cost([*command, "ann@example.com"], "www-data", message)
            if number > 0:
                costs[name].append(spent)
    empty()
    fill(10_000)
    name = "exosend, 10,000 waiting"
    costs[name] = [submit() for _ in range(rounds)]
    print("### `sendmail` to exit 0, 2 KB\n")
    rows = [[name, *(figure(column) for column in zip(*runs))] for name, runs in costs.items()]
    table(["", "wall ms", "CPU ms", "peak RSS MiB"], rows)
    medians = {name.split(" (")[0]: statistics.median(wall for wall, *_ in runs) for name, runs in costs.items()}
    medians["msmtpq, not on the disk"] = medians.pop("msmtpq")
    chart.bars(HERE / "queue.svg", "sendmail: from its start to exit 0, a message of 2 KB", "ms", medians)


def listing(rounds):
    runs = [cost(["/usr/local/bin/exosend", "queue"], "exosend") for _ in range(max(3, rounds // 10))]
    empty()
    print("### `exosend queue`, 10,000 waiting\n")
    table(["wall ms", "CPU ms", "peak RSS MiB"], [[figure(column) for column in zip(*runs)]])


class Servers:
    """The stand-in, and relays before it with a round-trip time in milliseconds."""

    def __init__(self, *delays):
        tools, scratch = os.environ["TOOLS"], os.environ["SCRATCH"]
        self.standin = subprocess.Popen([f"{tools}/standin", "/etc/ca.pem"], stdout=subprocess.PIPE, text=True)
        self.smtp, token, mailbox, tenant, client, secret = self.standin.stdout.readline().split()
        self.relay = subprocess.Popen(
            [f"{tools}/relay", *(f"{delay}:{self.smtp}" for delay in delays)], stdout=subprocess.PIPE, text=True
        )
        self.ports = dict(zip(delays, self.relay.stdout.readline().split()))
        self.ended = []
        threading.Thread(target=lambda: self.ended.extend(self.relay.stdout), daemon=True).start()
        self.account = (
            f"mailbox = {mailbox}\ntenant = {tenant}\nclient_id = {client}\nclient_secret = '{secret}'\n"
            f"authority = https://localhost:{token}\nca_file = /etc/ca.pem\nrate = 0\nlog = none\n"
        )

    def drain(self, delay, count):
        """Wall, CPU, peak MiB, connections, and the client's turns over all of them."""
        fill(count)
        Path("/etc/exosend.conf").write_text(f"{self.account}server = localhost:{self.ports[delay]}\n")
        self.ended.clear()
        spent = cost(["/usr/local/bin/exosend", "queue", "run"], "exosend")
        left = sum(len(os.listdir(f"/var/spool/exosend/{folder}")) for folder in ("drop", "queue", "failed"))
        if left:
            raise RuntimeError(f"{left} messages are left")
        # The relay tells of each connection when both of its ends are closed.
        time.sleep(1)
        return *spent, len(self.ended), sum(int(line.split()[1]) for line in self.ended)

    def stop(self):
        for process in self.relay, self.standin:
            process.terminate()
            process.wait()


def drains():
    servers = Servers(0, 20)
    rows = []
    try:
        for delay, count in (0, 100), (0, 1000), (0, 10_000), (20, 1000):
            wall, cpu, rss, connections, turns = servers.drain(delay, count)
            # What opens a connection and ends it is no message's.
            each = wall / delay * connections / count if delay else None
            rows.append([
                f"{count:,}", str(delay), f"{wall:,.0f}", f"{cpu:,.0f}", f"{rss:.2f}", str(connections),
                f"{turns / count:.2f}", f"{each:.2f}" if each else "",
            ])
    finally:
        servers.stop()
    print("### `exosend queue run`, `rate = 0`\n")
    head = ["messages", "round trip ms", "wall ms", "CPU ms", "peak RSS MiB", "connections", "turns a message"]
    table([*head, "round trips a message"], rows)


def inside(rounds):
    processor = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    debs = sorted(Path(os.environ["UNPACKED"]).parent.glob("*.deb"))
    versions = ", ".join(" ".join(deb.name.split("_")[:2]).replace("%3a", ":") for deb in debs)
    load = os.getloadavg()[0]
    print(f"{rounds} rounds, {os.cpu_count()} cores ({processor[1] if processor else '?'}), load {load:.0f}. {versions}.\n")
    submits(rounds)
    listing(rounds)
    drains()


if sys.argv[1:2] == ["--inside"]:
    inside(int(sys.argv[2]))
else:
    main()
