//! Listeners and threads: a server that ends when it is dropped.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::channel::Channel;
use super::tcp::Tcp;

/// One thread for each listener, and one more for each connection. Dropping it ends them all.
pub(super) struct Server {
    lifetime: Arc<Lifetime>,
    listening: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Server {
    pub(super) fn start<F>(listeners: Vec<TcpListener>, tap: Option<Tap>, serve: F) -> Self
    where
        F: Fn(Channel) + Send + Sync + 'static,
    {
        let lifetime = Arc::new(Lifetime {
            tap,
            ..Lifetime::default()
        });
        let serve = Arc::new(serve);
        let listening = listeners.into_iter().map(|listener| {
            let address = listener.local_addr().expect("a bound listener");
            let (lifetime, serve) = (Arc::clone(&lifetime), Arc::clone(&serve));
            (
                address,
                thread::spawn(move || accept(&listener, &lifetime, &serve)),
            )
        });
        Self {
            listening: listening.collect(),
            lifetime,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.listening[0].0.port()
    }

    /// The octets that were sent to clients.
    pub(super) fn octets_sent(&self) -> u64 {
        self.lifetime.octets_sent.load(Relaxed)
    }

    /// Takes what the tap has caught.
    pub(super) fn take_tapped(&self) -> Vec<u8> {
        let tap = self
            .lifetime
            .tap
            .as_ref()
            .expect("a stand-in that is tapped");
        std::mem::take(&mut *tap.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends every pause, now and from now on.
    pub(super) fn hurry(&self) {
        self.lifetime.lock().hurried = true;
        self.lifetime.changed.notify_all();
    }

    /// Waits until every connection that was accepted has ended.
    pub(super) fn settle(&self) {
        // The bound is not a measure of anything: it turns a hang into a failure.
        let bound = Duration::from_secs(30);
        let (_life, wait) = self
            .lifetime
            .changed
            .wait_timeout_while(self.lifetime.lock(), bound, |life| {
                life.open > 0 && !life.over
            })
            .unwrap_or_else(PoisonError::into_inner);
        assert!(
            !wait.timed_out(),
            "a client still holds its connection after {bound:?}"
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.lifetime.end();
        for (address, thread) in self.listening.drain(..) {
            // `accept` has no timeout, so it gets a connection to wake up from. Should that fail (no
            // descriptors left), the thread is left behind rather than waited for.
            if TcpStream::connect(address).is_err() {
                continue;
            }
            // A bug of the stand-in must not hide behind a client that merely saw its connection end.
            if thread.join().is_err() && !thread::panicking() {
                panic!("a thread of the stand-in panicked, see above");
            }
        }
    }
}

fn accept<F>(listener: &TcpListener, lifetime: &Arc<Lifetime>, serve: &Arc<F>)
where
    F: Fn(Channel) + Send + Sync + 'static,
{
    let mut threads = Vec::new();
    for socket in listener.incoming().filter_map(Result::ok) {
        let Some(tcp) = lifetime.open(socket) else {
            break;
        };
        let serve = Arc::clone(serve);
        threads.push(thread::spawn(move || serve(Channel::plain(tcp))));
    }
    let failed = threads
        .into_iter()
        .map(JoinHandle::join)
        .filter(Result::is_err)
        .count();
    assert!(failed == 0, "{failed} connections of the stand-in panicked");
}

/// Everything that clients sent, as it came over TCP.
pub(super) type Tap = Mutex<Vec<u8>>;

/// What all threads of a server share: the signal that ends them, and the sockets it has to wake.
#[derive(Default)]
pub(super) struct Lifetime {
    life: Mutex<Life>,
    changed: Condvar,
    octets_sent: AtomicU64,
    tap: Option<Tap>,
}

#[derive(Default)]
struct Life {
    over: bool,
    hurried: bool,
    /// Connections that are served right now.
    open: usize,
    // Weak, so that the connection's own drop closes the socket at once.
    sockets: Vec<Weak<TcpStream>>,
}

impl Lifetime {
    /// Counts a connection in, unless all is over.
    fn open(self: &Arc<Self>, socket: TcpStream) -> Option<Tcp> {
        let mut life = self.lock();
        if life.over {
            return None;
        }
        let socket = Arc::new(socket);
        life.open += 1;
        life.sockets.retain(|socket| socket.strong_count() > 0);
        life.sockets.push(Arc::downgrade(&socket));
        Some(Tcp::new(socket, Arc::clone(self)))
    }

    /// Counts a connection out.
    pub(super) fn closed(&self) {
        self.lock().open -= 1;
        self.changed.notify_all();
    }

    /// Waits for `time` to pass, or for a word that it is enough; `false` if the server ended meanwhile.
    pub(super) fn pause(&self, time: Duration) -> bool {
        let goes_on = |life: &mut Life| !life.over && !life.hurried;
        let wait = self.changed.wait_timeout_while(self.lock(), time, goes_on);
        !wait.unwrap_or_else(PoisonError::into_inner).0.over
    }

    pub(super) fn count_sent(&self, octets: usize) {
        self.octets_sent.fetch_add(octets as u64, Relaxed);
    }

    pub(super) fn note_received(&self, octets: &[u8]) {
        if let Some(tap) = &self.tap {
            tap.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(octets);
        }
    }

    /// Waits for the end of the server.
    pub(super) fn until_over(&self) {
        let _life = self.changed.wait_while(self.lock(), |life| !life.over);
    }

    fn end(&self) {
        let mut life = self.lock();
        life.over = true;
        for socket in life.sockets.drain(..).filter_map(|socket| socket.upgrade()) {
            let _ = socket.shutdown(Shutdown::Both);
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
