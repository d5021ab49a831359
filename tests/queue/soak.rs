//! Eight users, one of them by SMTP, and runs of the queue, killed at random; a server that throttles, refuses and hangs
//! up; a clock that jumps; a full disk. Every message whose caller got exit 0 has to arrive or be given up.
//!
//! Root, by request: `EXOSEND_SOAK_SECONDS=3600 cargo test --all-features --test command queue::soak -- --ignored
//! --nocapture`; 60 seconds without the variable. `EXOSEND_SOAK_SEED=7` draws other faults.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use proptest::prelude::{Rng, RngCore};
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::shared::Host;
use crate::exchange::{Answer, Exchange, Fault, Step};
use crate::machine::{end, start};

/// The queue's time passes so much faster: a minute's wait takes a second.
const SPEEDUP: u64 = 60;

/// The disk is small, and users cannot read the configuration, as after a package's installation. Ends when the file `over`
/// exists and the queue is empty.
const SCRIPT: &str = r#"
truncate -s 96M "$BOX/disk"
mkfs.ext4 -q -m 0 "$BOX/disk"
mount -o loop "$BOX/disk" /var/spool/exosend || mount -t tmpfs -o size=96m tmpfs /var/spool/exosend
systemd-tmpfiles --create "$SHARE/exosend.tmpfiles"
install -o exosend -m 0600 /dev/null "$BOX/log"
over() { [ -e "$BOX/over" ]; }
# Callers pause while many messages wait: else no run lives long enough to read the queue, which then fills the disk.
wait_while_crowded() {
    sleep 0.1
    while [ -e "$BOX/crowded" ] && ! over; do sleep 0.5; done
}
# user's number, subject, exit code with what was said: notes what became of the message
record() {
    case $3 in
        0) echo "$2" >>"$BOX/promised-$1" ;;
        137 | *setpriv:*) echo "$2" >>"$BOX/killed" ;;
        *'No space left'*) echo "$2" >>"$BOX/refused" ;;
        *) echo "$2: $3" >>"$BOX/unexplained" ;;
    esac
}
caller() { # user, number
    n=0
    until over; do
        n=$((n + 1)); code=0
        if [ $((RANDOM % 6)) = 0 ]; then
            (mail "$2-$n"; head -c $((RANDOM * 4)) /dev/zero | tr '\0' x) | as $1 sendmail ann@example.com 2>"$BOX/said-$2" &
            child=$!
            sleep 0.0$((RANDOM % 5))$((RANDOM % 10))
            pkill -9 -P $child || true
            wait $child || code=$?
        else
            mail "$2-$n" | as $1 sendmail ann@example.com 2>"$BOX/said-$2" || code=$?
        fi
        [ $code = 0 ] || [ $code = 137 ] || code="$code $(<"$BOX/said-$2")"
        record $2 "$2-$n" "$code"
        wait_while_crowded
    done
} 2>/dev/null
smtp() { # user, number: one session until the end
    n=0
    coproc SMTP { as $1 sendmail -bs; }
    say() { printf '%s\r\n' "$@" >&${SMTP[1]}; }
    hear() { read -r -t 60 reply <&${SMTP[0]}; }
    hear; say 'HELO here'; hear
    until over; do
        n=$((n + 1))
        say 'MAIL FROM:<>'; hear; say 'RCPT TO:<ann@example.com>'; hear; say DATA; hear
        say "Subject: $2-$n" '' hello .; hear
        case $reply in 250*) code=0 ;; *) code=$reply ;; esac
        record $2 "$2-$n" "$code"
        wait_while_crowded
    done
    say QUIT; hear; wait $SMTP_PID
} 2>/dev/null
service() {
    until over; do
        code=0
        as exosend exosend queue run $([ $((RANDOM % 10)) != 0 ] || echo --now) 2>>"$BOX/said-runs" &
        child=$!
        sleep 0.$((RANDOM % 9))
        [ $((RANDOM % 4)) = 0 ] || pkill -9 -P $child || true
        wait $child || code=$?
        echo $code >>"$BOX/runs"
        if [ $(find /var/spool/exosend/{drop,queue} -type f | wc -l) -gt 300 ]; then touch "$BOX/crowded"; else rm -f "$BOX/crowded"; fi
    done
} 2>/dev/null
full() {
    sleep $((SECONDS_IN_ALL * 4 / 10))
    for n in $(seq $FULL_FOR); do
        cat /dev/zero >>/var/spool/exosend/full || true
        sleep 1
    done
    rm /var/spool/exosend/full
} 2>/dev/null
for user in 1:www-data 2:nobody 3:daemon 4:bin 5:games 6:mail 7:news; do caller ${user#*:} ${user%:*} & done
smtp www-data 8 &
for n in 1 2 3; do service & done
full &
wait
for n in $(seq 600); do
    as exosend exosend queue run --now 2>>"$BOX/said-runs" || true
    [ -n "$(find /var/spool/exosend/{drop,queue,work} -type f -perm /100)" ] || break
    sleep 0.1
done
subjects() { find "$@" -exec grep -ahm 1 -oP '^Subject: \K.*' {} + || true; }
subjects /var/spool/exosend/{drop,queue,work} -type f -perm /100 >"$BOX/waiting"
subjects /var/spool/exosend/failed -type f >"$BOX/failed"
"#;

#[test]
#[ignore = "needs root and namespaces"]
fn every_queued_message_arrives_or_is_given_up() {
    let seconds = number("EXOSEND_SOAK_SECONDS", 60);
    let host = Host::with(Exchange::builder().discard_bodies().start(), "");
    let machine = &host.machine;
    let log = machine.path("log");
    machine.configure(&format!("log = {}\ntimeout = 3\nrate = 60", log.display()));
    let (mut clock, mut faults) = (Clock::new(machine.path("clock")), ServerFaults::new());
    let mut samples = Samples::default();
    let mut shell = host.shell_for(seconds + 240, SCRIPT);
    shell
        .env("QUEUE_TEST_CLOCK", machine.path("clock"))
        .env("QUEUE_TEST_MINUTE", (60_000 / SPEEDUP).to_string())
        .env("SECONDS_IN_ALL", seconds.to_string())
        .env("FULL_FOR", (seconds / 10).min(60).to_string());
    let mut child = start(&mut shell);
    let (begun, all) = (Instant::now(), Duration::from_secs(seconds));
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(20));
        let over = begun.elapsed() > all;
        clock.tick(!over);
        match over {
            false => faults.change(&machine.exchange),
            true if faults.clear(&machine.exchange) => {
                std::fs::write(machine.path("over"), "").unwrap();
            }
            true => {}
        }
        samples.take(&machine.path(""), begun.elapsed() > all / 2);
    }
    let run = end(child);
    run.exits(0);
    println!(
        "{seconds} s, seed {}: {} faults of the server, {} jumps of the clock",
        faults.seed, faults.count, clock.jumps
    );
    assert_none_is_lost(&host, &std::fs::read_to_string(log).unwrap());
    println!("at most, in the first half and in the second: {samples}");
    samples.assert_flat();
    assert!(faults.count > 0 && clock.jumps > 0);
}

/// Each queued message has arrived or was given up and reported, each duplicate was logged as possible, and no exit code or
/// output is unexpected.
fn assert_none_is_lost(host: &Host, log: &str) {
    let read = |name: &str| std::fs::read_to_string(host.machine.path(name)).unwrap_or_default();
    let count = |name: &str| read(name).lines().count();
    let told = |event: &str| log.matches(&format!("event={event} ")).count();
    let mut arrived: HashMap<String, usize> = HashMap::new();
    for subject in host.subjects() {
        *arrived.entry(subject).or_default() += 1;
    }
    let twice: usize = arrived.values().map(|times| times - 1).sum();
    let (waiting, failed) = (read("waiting"), read("failed"));
    let waiting: HashSet<_> = waiting.lines().collect();
    let failed: HashSet<_> = failed.lines().collect();
    let promised: String = (1..=8).map(|n| read(&format!("promised-{n}"))).collect();
    let lost: Vec<_> = promised
        .lines()
        .filter(|subject| !arrived.contains_key(*subject))
        .filter(|subject| !waiting.contains(subject) && !failed.contains(subject))
        .collect();
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for code in read("runs").lines() {
        *runs.entry(code.to_owned()).or_default() += 1;
    }
    println!(
        "{} promised ({} by SMTP), {} refused for a full disk, {} callers killed; runs by exit code {runs:?}",
        promised.lines().count(),
        count("promised-8"),
        count("refused"),
        count("killed"),
    );
    println!(
        "{} arrived, {twice} of them again ({} in doubt), {} given up and told of, {} waiting, {} lost; {} deferred, {} held",
        arrived.len(),
        told("possible_duplicate"),
        failed.len(),
        waiting.len(),
        lost.len(),
        told("deferred"),
        told("held"),
    );
    assert!(lost.is_empty(), "{lost:?}");
    assert!(waiting.is_empty(), "{waiting:?}");
    assert_eq!(read("unexplained"), "");
    assert!(!read("said-runs").contains("panicked"));
    assert!(twice <= told("possible_duplicate"));
    assert_eq!(failed.len(), told("failed"));
    assert!(count("refused") > 0, "the disk was never full");
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect(variable))
}

/// The time since boot, sped up, and a wall clock that is wrong now and then. It is never ahead by an hour: the times of
/// files are the kernel's, and a file that looks an hour old while it is being written may be removed.
struct Clock {
    path: PathBuf,
    begun: Instant,
    booted: Duration,
    boot: usize,
    jumps: usize,
}

impl Clock {
    const BETWEEN_JUMPS: Duration = Duration::from_secs(3);

    fn new(path: PathBuf) -> Self {
        let clock = Self {
            path,
            begun: Instant::now(),
            booted: Duration::ZERO,
            boot: 0,
            jumps: 0,
        };
        clock.write(0);
        clock
    }

    fn tick(&mut self, jumping: bool) {
        const MINUTES: i64 = 60_000;
        let now = self.begun.elapsed();
        if jumping && now / (self.jumps as u32 + 1) > Self::BETWEEN_JUMPS {
            self.jumps += 1;
            if self.jumps % 5 == 0 {
                (self.boot, self.booted) = (self.boot + 1, now);
            }
        }
        let wrong = [0, 50 * MINUTES, -9 * 60 * MINUTES, i64::MIN];
        self.write(if jumping { wrong[self.jumps % 4] } else { 0 });
    }

    /// With the wall clock so many milliseconds off. By a rename, so that no process reads half of it.
    fn write(&self, off: i64) {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let up = milliseconds(self.begun.elapsed() - self.booted) * SPEEDUP;
        let wall = milliseconds(wall.unwrap()).saturating_add_signed(off);
        let draft = self.path.with_extension("new");
        std::fs::write(&draft, format!("boot-{} {up} {wall}", self.boot)).unwrap();
        std::fs::rename(draft, &self.path).unwrap();
    }
}

/// Faults of the stand-in, each for a moment.
struct ServerFaults {
    seed: u64,
    random: TestRng,
    until: Instant,
    step: Option<Step>,
    count: usize,
    cleared: bool,
}

impl ServerFaults {
    fn new() -> Self {
        let seed = number("EXOSEND_SOAK_SEED", 1);
        let bytes = [u8::try_from(seed).unwrap(); 32];
        Self {
            seed,
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
            until: Instant::now(),
            step: None,
            count: 0,
            cleared: false,
        }
    }

    fn change(&mut self, exchange: &Exchange) {
        if Instant::now() < self.until {
            return;
        }
        let usual = Fault::delay(Duration::ZERO);
        if let Some(step) = self.step.take() {
            exchange.on(step, usual);
            exchange.token(Answer::delay(Duration::ZERO));
            self.until =
                Instant::now() + Duration::from_millis(u64::from(self.random.next_u32() % 1500));
            return;
        }
        let (step, fault) = match self.random.random_range(0..14) {
            0 => (
                Step::Mail,
                Fault::reply("432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
            ),
            1 => (
                Step::Mail,
                Fault::reply(
                    "421 4.4.2 Message submission rate for this client has exceeded the configured limit",
                ),
            ),
            2 => (
                Step::Accept,
                Fault::reply("451 4.7.500 Server busy. Please try again later"),
            ),
            3 => (Step::Rcpt, Fault::reply("450 4.2.1 later")),
            4 => (
                Step::AuthBlob,
                Fault::reply("535 5.7.3 Authentication unsuccessful"),
            ),
            5 => (Step::Greeting, Fault::reply("421 4.3.2 Service not active")),
            6 => (Step::Greeting, Fault::disconnect()),
            7 => (Step::Handshake, Fault::silent()),
            8 => (Step::Data, Fault::reset()),
            9 => (Step::Accept, Fault::disconnect()),
            10 => (Step::Mail, Fault::split(3)),
            11 => (Step::EhloTls, Fault::delay(Duration::from_millis(300))),
            12 => {
                exchange.token(Answer::status(503));
                exchange.revoke_tokens();
                (Step::Noop, usual)
            }
            _ => {
                exchange.revoke_tokens();
                (Step::Noop, usual)
            }
        };
        exchange.on(step, fault);
        self.count += 1;
        self.step = Some(step);
        self.until = Instant::now() + Duration::from_millis(200);
    }

    /// Ends all faults. `true` the first time.
    fn clear(&mut self, exchange: &Exchange) -> bool {
        if let Some(step) = self.step.take() {
            exchange.on(step, Fault::delay(Duration::ZERO));
        }
        exchange.token(Answer::delay(Duration::ZERO));
        !std::mem::replace(&mut self.cleared, true)
    }
}

/// The most memory and descriptors of each kind of process, in the first half and in the second.
#[derive(Default)]
struct Samples([BTreeMap<&'static str, (usize, usize)>; 2]);

impl Samples {
    /// Processes of this machine only: another test may have one of its own.
    fn take(&mut self, machine: &Path, second: bool) {
        let mark = format!("BOX={}", machine.display());
        for process in std::fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| std::fs::read(process.path().join(name)).unwrap_or_default();
            let command = read("cmdline");
            let kind = match command.split(|&byte| byte == 0).take(3).collect::<Vec<_>>()[..] {
                [b"sendmail", b"-bs", ..] => "a session of SMTP",
                [b"exosend" | b"/usr/local/bin/exosend", b"queue", ..] => "a run",
                [b"sendmail", ..] => "a caller",
                _ => continue,
            };
            if !read("environ")
                .windows(mark.len())
                .any(|part| part == mark.as_bytes())
            {
                continue;
            }
            let status = String::from_utf8(read("status")).unwrap_or_default();
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
            let descriptors =
                std::fs::read_dir(process.path().join("fd")).map_or(0, Iterator::count);
            let most = self.0[usize::from(second)].entry(kind).or_default();
            *most = (most.0.max(peak.unwrap_or(0)), most.1.max(descriptors));
        }
    }

    /// No more in the second half than in the first, except for some pages.
    fn assert_flat(&self) {
        let [first, second] = &self.0;
        for (kind, (peak, descriptors)) in second {
            let before = first.get(kind).copied().unwrap_or_default();
            assert!(*peak <= before.0 + 1024, "{kind}: {self}");
            assert!(*descriptors <= before.1 + 2, "{kind}: {self}");
        }
    }
}

impl std::fmt::Display for Samples {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [first, second] = &self.0;
        for (number, (kind, (peak, descriptors))) in first.iter().enumerate() {
            let after = second.get(kind).copied().unwrap_or_default();
            let comma = if number == 0 { "" } else { ", " };
            write!(
                f,
                "{comma}{kind} {peak} and {} KiB, {descriptors} and {} descriptors",
                after.0, after.1
            )?;
        }
        Ok(())
    }
}
