//! Closed-loop load: so many tasks, each with one operation under way, and what came of it.

use crate::process;
use futures::future::BoxFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// What every task does again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `run_command({ ping: 1 })`.
    Ping,
    /// `insert_one` of a small document.
    Insert,
    /// `find_one` by `_id`.
    Find,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The deployment.
    pub uri: String,
    /// The server's thread, whose cost is not the client's.
    pub server_thread: u32,
    /// The size of the client's pool.
    pub connections: u32,
    /// Tasks at work at once.
    pub tasks: usize,
    /// What they do.
    pub operation: Operation,
    /// How long before counting begins.
    pub warm_up: Duration,
    /// How long to count.
    pub measured: Duration,
}

impl Plan {
    /// The connection string with the pool's size in it.
    pub fn uri(&self) -> String {
        let separator = if self.uri.contains('?') { '&' } else { '?' };
        format!("{}{separator}maxPoolSize={}", self.uri, self.connections)
    }
}

/// What one run came to.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Operations that ended while counting.
    pub operations: u64,
    /// How long was counted.
    pub elapsed: Duration,
    /// Processor time of the client (user and system, all threads but the server's) meanwhile.
    pub cpu: Duration,
    /// Nanoseconds of each operation, in ascending order.
    latencies: Vec<u32>,
}

impl Sample {
    /// Operations a second.
    pub fn throughput(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64()
    }

    /// The latency, in microseconds, that the given share of the operations stays within.
    pub fn latency(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (share * self.latencies.len() as f64) as usize;
        self.latencies.get(at.min(last)).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0)
    }

    /// Processor time of an operation on the client's side, in microseconds.
    pub fn cpu_per_operation(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / (self.operations.max(1)) as f64
    }
}

/// Tells the tasks where the run is.
#[derive(Debug, Default)]
pub struct Meter(AtomicU8);

const MEASURING: u8 = 1;
const OVER: u8 = 2;

impl Meter {
    /// Whether there is more to do.
    pub fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed) != OVER
    }

    /// Whether operations that end now count.
    pub fn counts(&self) -> bool {
        self.0.load(Ordering::Relaxed) == MEASURING
    }
}

/// What a task gives back: the nanoseconds of each operation that counted.
pub type Latencies = Result<Vec<u32>, String>;

/// Runs `tasks` by the clock. `spawn` starts a task, `sleep` waits.
///
/// # Errors
/// The first error of an operation.
pub async fn run(
    plan: &Plan,
    task: impl Fn(Arc<Meter>) -> BoxFuture<'static, Latencies>,
    spawn: impl Fn(BoxFuture<'static, Latencies>) -> BoxFuture<'static, Latencies>,
    sleep: impl Fn(Duration) -> BoxFuture<'static, ()>,
) -> Result<Sample, String> {
    let meter = Arc::new(Meter::default());
    let tasks: Vec<_> = (0..plan.tasks).map(|_| spawn(task(meter.clone()))).collect();
    sleep(plan.warm_up).await;
    let (began, cpu_before) = (Instant::now(), process::cpu_time(plan.server_thread));
    meter.0.store(MEASURING, Ordering::Relaxed);
    sleep(plan.measured).await;
    meter.0.store(OVER, Ordering::Relaxed);
    let (elapsed, cpu_after) = (began.elapsed(), process::cpu_time(plan.server_thread));
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await?);
    }
    latencies.sort_unstable();
    let operations = latencies.len() as u64;
    Ok(Sample { operations, elapsed, cpu: cpu_after.saturating_sub(cpu_before), latencies })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let latencies: Vec<u32> = (1..=1000).map(|i| i * 1000).collect();
        let sample = Sample {
            operations: 1000,
            elapsed: Duration::from_secs(2),
            cpu: Duration::from_millis(10),
            latencies,
        };
        assert_eq!((sample.latency(0.5), sample.latency(0.99), sample.latency(1.0)), (501.0, 991.0, 1000.0));
        assert_eq!((sample.throughput(), sample.cpu_per_operation()), (500.0, 10.0));
    }
}
