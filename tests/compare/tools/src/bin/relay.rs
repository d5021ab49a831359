//! `relay MILLISECONDS:PORT...`: a network with a round-trip time, before ports on this machine.
//!
//! Prints the port that stands for each, in one line. Then, for each connection that ends, a line with that port, the
//! client's turns, and the bytes up and down. A turn is what the client says after the server has said something, so the
//! last one may be a QUIT or the end of TLS, which wait for nothing.
//!
//! Bytes are held for half of the time in each direction, in order, and without bound. The kernel's handshake with the
//! relay is over at once, so its round trip is added: what the client says first arrives after one and a half, and so
//! does a server's greeting after two. Acknowledgements are the kernel's and are not delayed: what Nagle's algorithm costs over a real
//! network does not show here in full.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn main() {
    let mut ports = Vec::new();
    for argument in std::env::args().skip(1) {
        let (milliseconds, target) = argument.split_once(':').expect("MILLISECONDS:PORT");
        let half = Duration::from_millis(milliseconds.parse().expect("milliseconds")) / 2;
        let target: u16 = target.parse().expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let port = listener.local_addr().expect("a bound listener").port();
        ports.push(port.to_string());
        thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                thread::spawn(move || serve(client, port, target, half));
            }
        });
    }
    println!("{}", ports.join(" "));
    loop {
        thread::park();
    }
}

/// What both directions of a connection count.
#[derive(Default)]
struct Counts {
    /// The server has spoken since the client last did.
    server_spoke: AtomicBool,
    turns: AtomicU64,
    up: AtomicU64,
    down: AtomicU64,
}

fn serve(client: TcpStream, port: u16, target: u16, half: Duration) {
    // SYN, its answer, and the ACK with what the client says first.
    thread::sleep(half * 3);
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
        return;
    };
    for socket in [&client, &server] {
        socket.set_nodelay(true).expect("TCP_NODELAY");
    }
    let counts = Arc::new(Counts::default());
    counts.server_spoke.store(true, SeqCst);
    let up = {
        let (client, server) = (client.try_clone(), server.try_clone());
        let (client, server) = (client.expect("a handle"), server.expect("a handle"));
        let counts = Arc::clone(&counts);
        thread::spawn(move || {
            pipe(client, server, |n| {
                counts.up.fetch_add(n, SeqCst);
                if counts.server_spoke.swap(false, SeqCst) {
                    counts.turns.fetch_add(1, SeqCst);
                }
                // What was said before the server has spoken came along with the handshake.
                match counts.down.load(SeqCst) {
                    0 => Duration::ZERO,
                    _ => half,
                }
            });
        })
    };
    pipe(server, client, |n| {
        counts.down.fetch_add(n, SeqCst);
        counts.server_spoke.store(true, SeqCst);
        half
    });
    let _ = up.join();
    let read = |count: &AtomicU64| count.load(SeqCst);
    println!(
        "{port} {} {} {}",
        read(&counts.turns),
        read(&counts.up),
        read(&counts.down)
    );
}

/// One direction to its end. Reading goes on while what was read waits for its time, which `heard` says.
fn pipe(mut from: TcpStream, mut to: TcpStream, heard: impl Fn(u64) -> Duration) {
    let (waiting, due) = mpsc::channel::<(Instant, Vec<u8>)>();
    let writer = thread::spawn(move || {
        for (when, bytes) in due {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let wait = heard(n as u64);
        if waiting
            .send((Instant::now() + wait, buffer[..n].to_vec()))
            .is_err()
        {
            break;
        }
    }
    drop(waiting);
    let _ = writer.join();
}
