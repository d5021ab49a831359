"""Measures exosend and its peers against the stand-in and prints the tables of RESULTS.md and draws its charts.

    measure.py PROGRAMS TOOLS NODE_MODULES SCRATCH ROUNDS

Every figure of a table comes from this one run. The programs take turns, so that what else the machine does hits all of
them; each figure is the median, with the least and the most behind it where they tell something.
"""

import collections
import datetime
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import chart

PROGRAMS, TOOLS, NODE_MODULES, SCRATCH = map(Path, sys.argv[1:5])
HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
PYTHON, NODE = "/usr/bin/python3", shutil.which("node")
MIB = 1024 * 1024

# How often: what takes milliseconds, and what takes seconds.
ROUNDS = int(sys.argv[5])
LONG_ROUNDS = max(1, ROUNDS // 7)
# Round-trip times, ms.
DELAYS = 0, 20, 50, 100


class Peer:
    def __init__(self, name, command, **options):
        self.name, self.command = name, list(map(str, command))
        self.env = options.get("env", {})
        # In a chart.
        self.short = options.get("short", name)


OURS = Peer("exosend", [PROGRAMS / "compare-exosend"])
ALWAYS = Peer(
    "exosend, `initial_response = always`", OURS.command,
    env={"EXOSEND_INITIAL_RESPONSE": "always"}, short="exosend, initial response",
)
GRAPH = Peer("exosend, `transport = graph`", [PROGRAMS / "compare-exosend-graph"], short="exosend, Graph")
MUSL = Peer("exosend, static musl", [PROGRAMS / "compare-exosend-musl"])
LETTRE = Peer("lettre + ureq", [PROGRAMS / "compare-lettre"])
CURL = Peer("curl + curl", [PEERS / "curl"])
MSMTP = Peer("msmtp + curl", [PEERS / "msmtp"])
SMTPLIB = Peer("smtplib + urllib", [PYTHON, PEERS / "python.py"])
NODEMAILER = Peer("Nodemailer + fetch", [NODE, PEERS / "node.mjs"])
ALL = [OURS, ALWAYS, GRAPH, MUSL, LETTRE, CURL, MSMTP, SMTPLIB, NODEMAILER]
if not Path(MUSL.command[0]).exists():
    ALL.remove(MUSL)

Cost = collections.namedtuple("Cost", "wall cpu rss")  # ms, ms, MiB


class Servers:
    """The stand-in, and the relay before it with a round-trip time for each port."""

    def __init__(self):
        self.processes, self.connections = [], collections.defaultdict(list)
        self.at_hand = None
        said = self.start(TOOLS / "standin", SCRATCH / "ca.pem").stdout
        self.smtp, self.token, mailbox, tenant, client, secret = said.readline().split()
        self.graph = said.readline().strip()
        self.account = {
            "EXOSEND_MAILBOX": mailbox,
            "EXOSEND_TENANT": tenant,
            "EXOSEND_CLIENT_ID": client,
            "EXOSEND_CLIENT_SECRET": secret,
            "EXOSEND_CA_FILE": str(SCRATCH / "ca.pem"),
            "NODE_EXTRA_CA_CERTS": str(SCRATCH / "ca.pem"),
            "NODE_MODULES": str(NODE_MODULES),
            "NOTES": str(SCRATCH),
        }
        target = {"smtp": self.smtp, "token": self.token, "graph": self.graph}
        wanted = [(side, delay) for side in target for delay in DELAYS]
        relay = self.start(TOOLS / "relay", *(f"{delay}:{target[side]}" for side, delay in wanted))
        self.relayed = dict(zip(wanted, relay.stdout.readline().split()))
        threading.Thread(target=self.listen, args=(relay.stdout,), daemon=True).start()

    def start(self, *command):
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        return process

    def listen(self, lines):
        for line in lines:
            port, *counts = line.split()
            self.connections[port].append(tuple(map(int, counts)))

    def heard(self, port):
        """The counts of the connections that have ended since the last call."""
        time.sleep(0.3)
        return self.connections.pop(port, [])

    def environment(self, smtp, token, graph=None):
        """Through these ports; that of Graph for our program that speaks to it."""
        keep = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        server = {"EXOSEND_SERVER": f"localhost:{smtp}", "EXOSEND_AUTHORITY": f"https://localhost:{token}"}
        server["GRAPH"] = f"https://localhost:{graph or self.graph}"
        return keep | self.account | server

    def through(self, delay, token_delay):
        """By the relay, with a round-trip time for the message's side and for the token's."""
        smtp, graph = (self.relayed[side, delay] for side in ("smtp", "graph"))
        return self.environment(smtp, self.relayed["token", token_delay], graph)

    def kept(self, peer):
        """A token at hand: the program's own cache, or a variable."""
        if not self.at_hand:
            direct = self.environment(self.smtp, self.token)
            token = subprocess.run([str(PEERS / "token")], env=direct, capture_output=True, text=True, check=True)
            self.at_hand = token.stdout.strip()
        return {"TOKEN": self.at_hand, "EXOSEND_TOKEN_CACHE": str(SCRATCH / f"cache-{self.token}-{ALL.index(peer)}")}

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()


def cost(peer, env, arguments=(), patience=120):
    """Runs it once."""
    pipe, end = os.pipe()
    try:
        moved = f"exec 3>&{end}; exec \"$@\""
        subprocess.run(
            ["bash", "-c", moved, "-", str(SCRATCH / "cost"), *peer.command, *map(str, arguments)],
            env=env | peer.env, pass_fds=[end], check=True, timeout=patience,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        wall, cpu, rss, code = map(int, os.read(pipe, 100).split())
    finally:
        os.close(pipe)
        os.close(end)
    if code != 0:
        raise RuntimeError(f"{peer.name} {arguments}: exit code {code}")
    return Cost(wall / 1000, cpu / 1000, rss / 1024)


def instructions(peer, env):
    """What valgrind counts of it and of all that it starts. Node makes code while it runs, valgrind takes minutes for it."""
    if peer is NODEMAILER:
        return None
    out = SCRATCH / "callgrind"
    command = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={out}"]
    result = subprocess.run(
        command + peer.command, env=env | peer.env, timeout=300, capture_output=True, text=True
    )
    counted = [int(n) for n in re.findall(r"Collected : (\d+)", result.stderr)]
    if result.returncode != 0 or not counted:
        say(f"callgrind {peer.name}: {result.stderr.strip().splitlines()[-1:]}")
        return None
    return sum(counted) / 1e6


def say(text):
    print(text, file=sys.stderr, flush=True)


def median(values):
    return statistics.median(values)


def figure(values, digits=1):
    """`2.8 (2.6–3.1)`"""
    values = [value for value in values if value is not None]
    if not values:
        return "–"
    if len(values) == 1:
        return f"{values[0]:,.{digits}f}"
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def taking_turns(rounds, jobs):
    """Runs jobs, a dict of name to function, by turns. What fails once is left out."""
    results = collections.defaultdict(list)
    failed = set()
    for number in range(rounds):
        for name, job in jobs.items():
            if name in failed:
                continue
            try:
                results[name].append(job())
            except (RuntimeError, subprocess.SubprocessError) as error:
                say(f"left out: {error}")
                failed.add(name)
                results.pop(name, None)
    return results


def cold(servers):
    """The cold send, and the one with a token at hand."""
    direct = servers.environment(servers.smtp, servers.token)
    jobs = {}
    for peer in ALL:
        jobs[peer.name, "cold"] = lambda peer=peer: cost(peer, direct)
        jobs[peer.name, "kept"] = lambda peer=peer: cost(peer, direct | servers.kept(peer))
    say("cold sends: warming up")
    taking_turns(1, jobs)
    say("cold sends")
    costs = taking_turns(ROUNDS, jobs)
    say("instructions")
    counts = {}
    for peer in ALL:
        for kind, env in ("cold", direct), ("kept", direct | servers.kept(peer)):
            counts[peer.name, kind] = instructions(peer, env) if costs.get((peer.name, kind)) else None

    def row(peer, kind):
        runs = costs.get((peer.name, kind), [])
        return [
            figure([run.wall for run in runs]),
            figure([run.cpu for run in runs]),
            figure([run.rss for run in runs]),
            figure([counts[peer.name, kind]], 2),
        ]

    unit = "wall ms | CPU ms | peak RSS MiB | instructions, millions".split(" | ")
    for kind, title in ("cold", "Cold send"), ("kept", "Send with a token at hand"):
        print(f"### {title}: no round-trip time\n")
        table(["", *unit], [[peer.name, *row(peer, kind)] for peer in ALL])


def round_trips(servers):
    """Wall at 100 ms less wall at 0 ms, over 100 ms: for both sides, for each alone, and with a token at hand."""
    ways = {"token": (0, 100), "message": (100, 0)} | {delay: (delay, delay) for delay in DELAYS}
    peers = [peer for peer in ALL if peer is not MUSL]
    say("round trips")
    jobs = {
        (peer.name, way): lambda peer=peer, delays=delays: cost(peer, servers.through(*delays)).wall
        for peer in peers
        for way, delays in ways.items()
    }
    jobs |= {
        (peer.name, "kept", delay): lambda peer=peer, delay=delay: cost(
            peer, servers.through(delay, delay) | servers.kept(peer)
        ).wall
        for peer in peers
        for delay in (0, 100)
    }
    taking_turns(1, {key: job for key, job in jobs.items() if "kept" in key})
    # Each figure is a difference of two walls, so one run is too few.
    walls = taking_turns(max(3, LONG_ROUNDS), jobs)
    rows = []
    for peer in peers:
        if not walls.get((peer.name, 0)):
            rows.append([peer.name] + ["–"] * 7)
            continue

        def trips(many, few):
            least = median(walls[(peer.name, *few)])
            return figure([(wall - least) / 100 for wall in walls.get((peer.name, *many), [])])

        # One more run, for its counts alone.
        ports = [servers.relayed[side, 20] for side in ("token", "smtp", "graph")]
        for port in ports:
            servers.heard(port)
        cost(peer, servers.through(20, 20))
        seen = [servers.heard(port) for port in ports]
        token, message = (sum(turns for turns, _, _ in side) for side in (seen[0], seen[1] + seen[2]))
        octets = sum(up + down for side in seen for _, up, down in side)
        cold = [trips([way], [0]) for way in (100, "token", "message")]
        kept = trips(["kept", 100], ["kept", 0]) if walls.get((peer.name, "kept", 0)) else "–"
        wall = figure(walls[peer.name, 100], 0)
        rows.append([peer.name, *cold, kept, wall, f"{token} / {message}", f"{octets:,}"])
    print("### Cold send: round trips\n")
    head = ["", "round trips", "of the token alone", "of the message alone", "with a token at hand", "wall ms at 100 ms"]
    table([*head, "client's turns, token / message", "bytes on the network"], rows)
    chart.lines(
        HERE / "round_trips.svg", "A cold send: token, connection, login, message", "round-trip time, ms", "seconds",
        {delay: str(delay) for delay in DELAYS},
        {0: "0", 0.5: "0.5", 1: "1.0", 1.5: "1.5", 2: "2.0"},
        {
            peer.short: [(delay, median(walls[peer.name, delay]) / 1000) for delay in DELAYS]
            for peer in peers
            if walls.get((peer.name, 0))
        },
    )


def sessions(servers):
    """Messages of 10 KB over one session: what one more costs."""
    peers = [peer for peer in ALL if peer not in (ALWAYS, MUSL, MSMTP)]
    near = servers.environment(servers.smtp, servers.token)
    far = servers.through(20, 20)
    say("sessions")
    jobs = {
        (peer.name, where, count): lambda peer=peer, env=env, count=count: cost(peer, env, ["session", count])
        for peer in peers
        for where, env, counts in (("near", near, (1, 200)), ("far", far, (1, 40)))
        for count in counts
    }
    runs = taking_turns(LONG_ROUNDS, jobs)

    def more(peer, where, count, what):
        """The cost of one message more, run for run."""
        pairs = zip(runs.get((peer.name, where, 1), []), runs.get((peer.name, where, count), []))
        return [(getattr(many, what) - getattr(one, what)) / (count - 1) for one, many in pairs]

    rows = []
    for peer in peers:
        near_wall, far_wall = more(peer, "near", 200, "wall"), more(peer, "far", 40, "wall")
        if not near_wall or not far_wall:
            rows.append([peer.name] + ["–"] * 4)
            continue
        trips = (median(far_wall) - median(near_wall)) / 20
        rates = [[1000 / ms if ms > 0 else None for ms in walls] for walls in (near_wall, far_wall)]
        cpu = more(peer, "near", 200, "cpu")
        rows.append([peer.name, figure(rates[0], 0), figure(rates[1]), f"{trips:.1f}", figure(cpu, 3)])
    rows.append(["msmtp + curl", "one message a process", "", "", ""])
    print("### More messages of 10 KB over one session\n")
    table(["", "messages/s at 0 ms", "at 20 ms", "round trips a message", "CPU ms a message"], rows)


def attachments(servers):
    # What Graph takes ends at 3 MiB.
    peers = [peer for peer in ALL if peer not in (ALWAYS, GRAPH)]
    env = servers.environment(servers.smtp, servers.token)
    sizes = {"1 KiB": 1024, "1 MiB": MIB, "10 MiB": 10 * MIB, "140 MiB": 140 * MIB}
    say("attachments")
    jobs = {
        (peer.name, size): lambda peer=peer, size=size: cost(peer, env, ["attach", SCRATCH / size.replace(" ", "")])
        for peer in peers
        for size in sizes
    }
    runs = taking_turns(LONG_ROUNDS, jobs)
    for what, title, digits in ("cpu", "CPU ms", 1), ("rss", "peak RSS MiB", 1):
        print(f"### An attachment, from a file to the server's 250: {title}\n")
        rows = [
            [peer.name, *(figure([getattr(run, what) for run in runs.get((peer.name, size), [])], digits) for size in sizes)]
            for peer in peers
        ]
        table(["", *sizes], rows)
    chart.lines(
        HERE / "memory.svg", "Memory of a send with an attachment", "the attachment", "peak MiB",
        {size / MIB: name for name, size in sizes.items()},
        {1: "1", 10: "10", 100: "100", 1000: "1,000"},
        {
            peer.name: [(size / MIB, median([run.rss for run in runs[peer.name, name]])) for name, size in sizes.items()]
            for peer in peers
            if all(runs.get((peer.name, name)) for name in sizes)
        },
        logarithmic=True,
    )


def growth(servers):
    """Cost against work, for exosend alone."""
    program = Peer("growth", [PROGRAMS / "growth"])
    env = servers.environment(servers.smtp, servers.token)
    works = {
        "recipients": ("recipients of one message", [1, 10, 100, 1000]),
        "session": ("messages of 1 KB over one session", [1, 10, 100, 1000, 10000]),
        "attach": ("an attachment", ["1KiB", "1MiB", "10MiB", "50MiB", "140MiB"]),
        "threads": ("threads sharing one account, 101 sends in all", [1, 2, 4, 8, 16]),
    }
    say("growth")
    jobs = {
        (work, size): lambda work=work, size=size: cost(
            program, env, [work, SCRATCH / size if work == "attach" else size]
        )
        for work, (_, sizes) in works.items()
        for size in sizes
    }
    runs = taking_turns(LONG_ROUNDS, jobs)
    octets = lambda text: 1024 if text == "1KiB" else int(text.removesuffix("MiB")) * MIB
    for work, (title, sizes) in works.items():
        rows, base = [], None
        for size in sizes:
            costs = runs.get((work, size))
            if not costs:
                continue
            cpu = median([run.cpu for run in costs])
            amount = octets(size) / MIB if work == "attach" else size
            base = base or (amount, cpu)
            # Less than a millisecond is noise.
            told = work != "threads" and cpu - base[1] > 1
            each = f"{(cpu - base[1]) / (amount - base[0]) * 1000:,.1f}" if told else ""
            label = size.replace("KiB", " KiB").replace("MiB", " MiB") if work == "attach" else f"{size:,}"
            rows.append([
                label, figure([run.wall for run in costs]), figure([run.cpu for run in costs]), each,
                figure([run.rss for run in costs], 2),
            ])
        each = "" if work == "threads" else "CPU µs for each more" + (" MiB" if work == "attach" else "")
        print(f"### Growth: {title}\n")
        table(["", "wall ms", "CPU ms", each, "peak RSS MiB"], rows)


def sizes():
    """Bytes on disk: the programs, the libraries they load beyond libc's, and what interprets them."""
    libc = re.compile(r"/(ld-linux|libc|libm|libgcc_s|libdl|libpthread|librt)[-.]")

    def libraries(program):
        loaded = subprocess.run(["ldd", str(program)], capture_output=True, text=True).stdout
        found = re.findall(r"(/\S+) \(0x", loaded)
        return {os.path.realpath(path) for path in found if not libc.search(path)}

    def tree(root, skip=()):
        return sum(
            file.stat().st_size
            for file in Path(root).rglob("*")
            if file.is_file() and not file.is_symlink() and not any(part in skip for part in file.parts)
        )

    curl, msmtp = shutil.which("curl"), shutil.which("msmtp")
    python = os.path.realpath(PYTHON)
    standard = subprocess.run(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"], capture_output=True, text=True
    ).stdout.strip()
    nodemailer = tree(NODE_MODULES / "nodemailer")
    needs = [(peer.name, [peer.command[0]], 0, "") for peer in (OURS, GRAPH, MUSL, LETTRE) if peer in ALL]
    needs += [
        ("curl + curl", [curl], 0, "sh, sed"),
        ("msmtp + curl", [msmtp, curl], 0, "sh, sed"),
        ("smtplib + urllib", [python], tree(standard, {"__pycache__", "test"}), "the standard library, in the figure"),
        ("Nodemailer + fetch", [NODE], nodemailer, f"of it Nodemailer {nodemailer:,}"),
    ]
    rows = []
    for name, programs, more, note in needs:
        loaded = set().union(*map(libraries, programs))
        own = sum(os.path.getsize(os.path.realpath(program)) for program in programs) + more
        shared = sum(map(os.path.getsize, loaded))
        rows.append([name, f"{own:,}", f"{len(loaded)}: {shared:,}" if loaded else "none", f"{own + shared:,}", note])
    print("### Bytes on disk beside libc\n")
    table(["", "program", "shared libraries", "together", ""], rows)


def versions():
    def first(*command):
        result = subprocess.run(command, capture_output=True, text=True)
        return (result.stdout or result.stderr).strip().splitlines()[0]

    lock = (HERE / "Cargo.lock").read_text()
    crate = lambda name: f"{name} " + re.search(rf'name = "{name}"\nversion = "([^"]+)"', lock)[1]
    package = (NODE_MODULES / "nodemailer" / "package.json").read_text()
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    names = [crate(name) for name in ("exosend", "lettre", "ureq", "rustls", "ring")]
    names += [first("rustc", "--version").rsplit(" (")[0], " ".join(first("curl", "--version").split()[:2])]
    names += [first("msmtp", "--version").replace("version ", ""), first(PYTHON, "--version")]
    names += ["Node " + first(NODE, "--version"), "nodemailer " + re.search(r'"version": "([^"]+)"', package)[1]]
    names += [first("valgrind", "--version")]
    print(f"{datetime.date.today()}. {ROUNDS} rounds, {LONG_ROUNDS} of what takes seconds. {os.cpu_count()} cores ({model[1] if model else platform.machine()}), ", end="")
    print(f"Linux {'.'.join(platform.release().split('.')[:2])}. {', '.join(names)}.\n")


def main():
    for name, lines in ("1k", 16), ("10k", 160):
        head = "From: <robot@contoso.com>\r\nTo: <ann@example.com>\r\nSubject: backup done\r\n\r\n"
        text = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde\r\n" * lines
        (SCRATCH / name).write_text(head + text, newline="")
    for name, size in ("1KiB", 1024), ("1MiB", MIB), ("10MiB", 10 * MIB), ("50MiB", 50 * MIB), ("140MiB", 140 * MIB):
        with open(SCRATCH / name, "wb") as file:
            for _ in range(0, size, MIB):
                file.write(os.urandom(min(size, MIB)))
    versions()
    for part in round_trips, cold, sessions, attachments, growth:
        # Each on a fresh pair: what a stand-in remembers must not slow down the next.
        servers = Servers()
        try:
            part(servers)
        finally:
            servers.stop()
        sys.stdout.flush()
        if part is attachments:
            sizes()


main()
