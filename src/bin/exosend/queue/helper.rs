//! Another run, on another connection: for when many messages wait, or one takes so long that it would hold up the others.

use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::minute;
use super::file;
use super::governor::Governor;
use super::scan::waiting;
use super::spool::{DROP, Spool};
use crate::process::this_program;

/// This program with other arguments, and no standard input or output.
pub(super) fn another(arguments: &[OsString]) -> Command {
    let mut command = this_program();
    let (stdin, stdout, stderr) = (Stdio::null(), Stdio::null(), Stdio::null());
    command.args(arguments);
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    command
}

pub(super) struct Helper {
    spool: Spool,
    governor: Governor,
    /// The connection of the run that calls it.
    slot: u32,
    /// The arguments of another run.
    again: Vec<OsString>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// Since when a message is being sent.
    busy: Option<Instant>,
    /// The watching thread runs.
    watched: bool,
}

impl Helper {
    pub(super) fn new(
        spool: &Spool,
        governor: &Governor,
        slot: u32,
        again: &[OsString],
    ) -> Arc<Self> {
        Arc::new(Self {
            spool: spool.clone(),
            governor: governor.clone(),
            slot,
            again: again.to_vec(),
            state: Mutex::default(),
        })
    }

    /// Starts one more run, unless one is at work or there is no connection for it. That run can start a third.
    pub(super) fn call(&self) {
        let mut state = self.state();
        let working = |child: &mut Child| matches!(child.try_wait(), Ok(None));
        if state.child.as_mut().is_some_and(working)
            || self.slot >= self.governor.connections(&self.governor.read())
        {
            return;
        }
        state.child = another(&self.again).spawn().ok();
    }

    /// Calls another run if `send` takes long and other messages wait.
    pub(super) fn during<T>(self: &Arc<Self>, send: impl FnOnce() -> T) -> T {
        let watched = {
            let mut state = self.state();
            state.busy = Some(Instant::now());
            std::mem::replace(&mut state.watched, true)
        };
        if !watched {
            let helper = Arc::clone(self);
            // Without a thread, the others wait.
            let _ = std::thread::Builder::new().spawn(move || helper.watch());
        }
        let result = send();
        self.state().busy = None;
        result
    }

    /// Waits for the runs that were called: systemd would kill them when the service ends.
    pub(super) fn wait(&self) {
        let child = self.state().child.take();
        if let Some(mut child) = child {
            let _ = child.wait();
        }
    }

    fn watch(&self) -> ! {
        // Five seconds. A short message takes one.
        let long = minute() / 12;
        loop {
            std::thread::sleep(long / 2);
            let busy = self.state().busy;
            if busy.is_some_and(|since| since.elapsed() > long)
                && self.others_wait().unwrap_or(false)
            {
                self.call();
            }
        }
    }

    fn others_wait(&self) -> io::Result<bool> {
        if !self.governor.read().held().is_zero() {
            return Ok(false);
        }
        for entry in std::fs::read_dir(self.spool.path(DROP))? {
            if entry?
                .metadata()
                .is_ok_and(|found| file::is_committed(found.mode()))
            {
                return Ok(true);
            }
        }
        let now = Instant::now() + Duration::from_millis(1);
        Ok(waiting(&self.spool, false)?
            .iter()
            .any(|(_, due)| *due <= now))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
