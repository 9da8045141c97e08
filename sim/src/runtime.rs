//! The client's [`Runtime`] in a world: one value for each machine that an application runs on.

use crate::node::ConnId;
use crate::world::{Executor, HostId, Shared, TimerKey, wall};
use futures::io::{AsyncRead, AsyncWrite};
use quorate::{HostInfo, Instant, Runtime, ServerAddress};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// A machine of a world as a client sees it.
#[derive(Clone)]
pub struct SimRuntime {
    shared: Arc<Shared>,
    // The world owns its tasks; a runtime that outlives it must not keep them.
    executor: Weak<Executor>,
    host: HostId,
}

impl fmt::Debug for SimRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRuntime").field("host", &self.host).finish_non_exhaustive()
    }
}

impl SimRuntime {
    pub(crate) fn new(shared: Arc<Shared>, executor: &Arc<Executor>, host: HostId) -> Self {
        SimRuntime { shared, executor: Arc::downgrade(executor), host }
    }

    /// The machine.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Ends after that span.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.sleep_until(self.now() + span)
    }

    /// The machines that a name means at the moment.
    async fn look_up(&self, name: &str) -> io::Result<Vec<HostId>> {
        let delay = self.shared.name_delay();
        self.sleep(delay).await;
        match self.shared.look_up(self.host, name) {
            Some(hosts) => Ok(hosts),
            None => {
                self.sleep(crate::world::RESOLVER_TIMEOUT).await;
                Err(io::Error::other(
                    "failed to lookup address information: Temporary failure in name resolution",
                ))
            }
        }
    }
}

impl Runtime for SimRuntime {
    type Stream = SimStream;
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        self.shared.now()
    }

    fn seed(&self) -> u64 {
        self.shared.seed_for(self.host)
    }

    async fn connect(&self, address: ServerAddress) -> io::Result<SimStream> {
        let Some(port) = address.port() else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there are no Unix domain sockets here"));
        };
        let hosts = self.look_up(address.host()).await?;
        let mut failed = io::Error::other("failed to lookup address information: Name or service not known");
        for host in hosts {
            let stream =
                SimStream { shared: self.shared.clone(), conn: self.shared.connect(self.host, host, port) };
            match poll_fn(|cx| stream.shared.poll_connect(stream.conn, cx.waker())).await {
                Ok(()) => return Ok(stream),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep { shared: self.shared.clone(), deadline, timer: None }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(task);
        }
    }

    fn name(&self) -> &'static str {
        "simulation"
    }

    fn unix_time(&self) -> Duration {
        wall(self.now())
    }

    /// The same wherever the simulation runs: it goes over the wire.
    fn host_info(&self) -> HostInfo {
        HostInfo {
            os_type: "Linux".into(),
            os_name: Some("simulation".into()),
            platform: Some("Rust in a simulation".into()),
            ..HostInfo::default()
        }
    }
}

/// A connection in a world. Dropping it closes it.
pub struct SimStream {
    shared: Arc<Shared>,
    conn: ConnId,
}

impl fmt::Debug for SimStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimStream").field(&self.conn).finish()
    }
}

impl SimStream {
    /// Its number in traces.
    pub fn conn(&self) -> ConnId {
        self.conn
    }
}

impl AsyncRead for SimStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, space: &mut [u8]) -> Poll<io::Result<usize>> {
        self.shared.read(self.conn, cx.waker(), space)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.shared.write(self.conn, cx.waker(), bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What was written is on its way already.
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes; what the other end says can still be read.
    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.shut_down(self.conn);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.shared.leave(self.conn);
    }
}

/// A sleep in virtual time.
#[must_use = "it sleeps when it is awaited"]
pub struct Sleep {
    shared: Arc<Shared>,
    deadline: Instant,
    timer: Option<TimerKey>,
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.now() >= self.deadline {
            return Poll::Ready(());
        }
        self.timer = Some(self.shared.sleep(self.timer, self.deadline, cx.waker()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.shared.cancel_sleep(timer);
        }
    }
}
