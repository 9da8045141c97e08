//! What the runtime asks of the world: each call takes the lock once, and lets go of it before anybody is woken.

use super::TimerKey;
use super::core::Shared;
use super::names::Answer;
use super::trace::{Event, HostId};
use crate::node::ConnId;
use quorate_core::{Duration, Instant};
use std::io;
use std::task::{Poll, Waker};

impl Shared {
    /// The seed for the next client on a machine.
    pub(crate) fn seed_for(&self, host: HostId) -> u64 {
        self.with(|core| core.hosts[host.0 as usize].seeds.next_u64())
    }

    pub(crate) fn name_delay(&self) -> Duration {
        Duration::from_nanos(self.with(|core| core.names.delay()))
    }

    /// The machines a name means: none where there is no such name, `None` where nobody answers.
    pub(crate) fn look_up(&self, host: HostId, name: &str) -> Option<Vec<HostId>> {
        self.with(|core| {
            let (answer, found) = match core.names.look_up(name) {
                Answer::Hosts(hosts) => (Some(hosts.clone()), hosts.len() as u32),
                Answer::NoSuchName => (Some(Vec::new()), 0),
                Answer::Silence => (None, 0),
            };
            core.note(Event::LookUp { host, name: name.into(), found });
            answer
        })
    }

    pub(crate) fn connect(&self, from: HostId, to: HostId, port: u16) -> ConnId {
        self.with(|core| core.connect(from, to, port))
    }

    pub(crate) fn poll_connect(&self, conn: ConnId, waker: &Waker) -> Poll<io::Result<()>> {
        self.with(|core| core.poll_connect(conn, waker))
    }

    pub(crate) fn read(&self, conn: ConnId, waker: &Waker, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.with(|core| core.client_reads(conn, waker, space))
    }

    pub(crate) fn write(&self, conn: ConnId, waker: &Waker, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|core| core.client_writes(conn, waker, bytes))
    }

    pub(crate) fn shut_down(&self, conn: ConnId) {
        self.with(|core| core.client_shuts_down(conn));
    }

    pub(crate) fn leave(&self, conn: ConnId) {
        self.with(|core| core.client_leaves(conn));
    }

    /// Sees to it that the waker is woken at the deadline.
    pub(crate) fn sleep(&self, timer: Option<TimerKey>, deadline: Instant, waker: &Waker) -> TimerKey {
        self.with(|core| match timer.filter(|timer| !core.timers.is_over(*timer)) {
            Some(timer) => {
                let old = core.timers.replace(timer, waker);
                core.trash.extend(old);
                timer
            }
            None => core.timers.start(&mut core.queue, deadline.as_nanos(), waker.clone()),
        })
    }

    pub(crate) fn cancel_sleep(&self, timer: TimerKey) {
        self.with(|core| {
            let waker = core.timers.cancel(&mut core.queue, timer);
            core.trash.extend(waker);
        });
    }
}
