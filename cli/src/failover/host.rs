//! Where the writer runs: a thread with the async runtime asked for, or a task in a simulated world.

use super::ledger::Ledger;
use super::live::Live;
use super::verify::Findings;
use super::writer::Writer;
use crate::args::{Failover, RuntimeName};
use quorate::options::{ClientOptions, WriteConcern};
use quorate::{Client, Runtime};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// What the writer is to do.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) uri: String,
    pub(super) args: Failover,
    pub(super) ledger: Arc<Ledger>,
    pub(super) live: Arc<Live>,
    /// Distinguishes the collections of this run.
    pub(super) suffix: String,
    /// Whether to read back through the driver, and to clean up, when the ledger is closed.
    pub(super) judge: bool,
}

/// What the writer had to say at its end: what it found when it was to judge, or why it could not do its work.
pub(super) type Outcome = Result<Option<Findings>, String>;

/// The writer at work. It is not joined: one that hangs must not keep the rest from ending.
#[derive(Debug)]
pub(super) struct Host {
    end: Receiver<Outcome>,
}

impl Host {
    /// On the runtime asked for.
    pub(super) fn thread(job: Job) -> Self {
        let (tell, end) = channel();
        std::thread::spawn(move || {
            let outcome = match job.args.runtime {
                RuntimeName::Tokio => on_tokio(&job),
                RuntimeName::Smol => smol::block_on(run(&job, quorate_smol::Smol)),
            };
            let _ = tell.send(outcome);
        });
        Host { end }
    }

    /// On that runtime, beside whatever else runs there.
    pub(super) fn task(runtime: impl Runtime, job: Job) -> Self {
        let (tell, end) = channel();
        runtime.clone().spawn(async move {
            let _ = tell.send(run(&job, runtime).await);
        });
        Host { end }
    }

    /// What the writer said, if it has ended within `timeout`.
    pub(super) fn ended(&self, timeout: Duration) -> Option<Outcome> {
        use std::sync::mpsc::RecvTimeoutError::{Disconnected, Timeout};
        match self.end.recv_timeout(timeout) {
            Ok(outcome) => Some(outcome),
            Err(Timeout) => None,
            Err(Disconnected) => Some(Err("the writer panicked".into())),
        }
    }
}

fn on_tokio(job: &Job) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("tokio does not start: {e}"))?;
    runtime.block_on(run(job, quorate_tokio::Tokio))
}

async fn run<R: Runtime>(job: &Job, runtime: R) -> Outcome {
    let client = client(job, runtime.clone()).await.map_err(|e| e.to_string())?;
    let writer = Writer::new(client, runtime, &job.suffix);
    if job.judge {
        job.live.line(&format!("writing to {}; Ctrl-C ends it", writer.places()));
    }
    writer.write_for_ever(&job.ledger, &job.live, job.args.pause()).await;
    let mut findings = None;
    if job.judge {
        let found = writer.read_back(job.ledger.claims()).await;
        findings = Some(found.map_err(|e| format!("reading back: {e}"))?);
        writer.clean_up().await.map_err(|e| format!("cleaning up: {e}"))?;
    }
    writer.shutdown().await;
    Ok(findings)
}

async fn client<R: Runtime>(job: &Job, runtime: R) -> quorate::error::Result<Client<R>> {
    let mut options = ClientOptions::parse(&job.uri).await?;
    options.app_name.get_or_insert_with(|| "quorate failover".into());
    options.retry_writes = Some(job.args.retry_writes);
    options.write_concern = Some(match &job.args.w {
        crate::args::W::Members(n) => WriteConcern::nodes(*n),
        crate::args::W::Mode(name) if name == "majority" => WriteConcern::majority(),
        crate::args::W::Mode(name) => WriteConcern::custom(name),
    });
    options.sdam_event_handler = Some(job.live.sdam_handler());
    options.command_event_handler = Some(job.live.command_handler());
    Client::on(runtime, options)
}
