//! Threads that nobody joins, and the queue in which they leave their results.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Boxed, so that starting a thread is compiled once and not for every closure.
pub(crate) type Work = Box<dyn FnOnce() + Send>;

pub(crate) fn spawn(thread: thread::Builder, work: Work) -> io::Result<()> {
    thread.spawn(work).map(drop)
}

/// A queue between threads. Not `mpsc`: each type that goes through it brings all three kinds of channel along.
pub(crate) struct Inbox<T>(Arc<(Mutex<VecDeque<T>>, Condvar)>);

impl<T> Inbox<T> {
    pub(crate) fn put(&self, item: T) {
        let (items, arrived) = &*self.0;
        items
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(item);
        arrived.notify_one();
    }

    /// The oldest item. `None` if there is none before `patience` ends.
    pub(crate) fn take(&self, patience: Duration) -> Option<T> {
        let (items, arrived) = &*self.0;
        let items = items.lock().unwrap_or_else(PoisonError::into_inner);
        arrived
            .wait_timeout_while(items, patience, |items| items.is_empty())
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .pop_front()
    }
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
