//! The drivers under test. They have the same API, so the same lines are compiled against each.

use crate::load::{self, Operation, Plan, Sample};
use futures::FutureExt;
use std::time::Duration;

/// A driver on a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
pub enum Subject {
    /// Quorate on tokio.
    #[value(name = "quorate-tokio")]
    #[serde(rename = "quorate-tokio")]
    Tokio,
    /// Quorate on smol.
    #[value(name = "quorate-smol")]
    #[serde(rename = "quorate-smol")]
    Smol,
    /// The official driver, on tokio.
    #[cfg(feature = "official")]
    #[value(name = "official")]
    #[serde(rename = "official")]
    Official,
}

impl Subject {
    /// All that were compiled in.
    pub fn all() -> Vec<Self> {
        <Self as clap::ValueEnum>::value_variants().to_vec()
    }

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Subject::Tokio => "quorate-tokio",
            Subject::Smol => "quorate-smol",
            #[cfg(feature = "official")]
            Subject::Official => "official",
        }
    }

    /// One run with a new client on a new runtime. `threads` are tokio's; 0 is its current-thread runtime.
    ///
    /// # Errors
    /// What the client reports.
    pub fn run(self, plan: &Plan, threads: usize) -> Result<Sample, String> {
        match self {
            Subject::Tokio => on_tokio(threads, through_quorate_tokio::run(plan)),
            Subject::Smol => smol::block_on(through_quorate_smol::run(plan)),
            #[cfg(feature = "official")]
            Subject::Official => on_tokio(threads, through_official::run(plan)),
        }
    }

    /// A client that is left to itself for as long as the future is polled.
    ///
    /// # Errors
    /// What the client reports when it is made.
    pub async fn idle(self, uri: &str, wait: impl Future<Output = ()>) -> Result<(), String> {
        match self {
            Subject::Tokio => through_quorate_tokio::idle(uri, wait).await,
            Subject::Smol => through_quorate_smol::idle(uri, wait).await,
            #[cfg(feature = "official")]
            Subject::Official => through_official::idle(uri, wait).await,
        }
    }

    /// `count` operations, one after the other, on a client of one connection; `before` is called when half of them are done.
    ///
    /// # Errors
    /// What the client reports.
    pub async fn sequence(
        self,
        uri: &str,
        operation: Operation,
        count: usize,
        before: impl FnOnce(),
    ) -> Result<(), String> {
        match self {
            Subject::Tokio => through_quorate_tokio::sequence(uri, operation, count, before).await,
            Subject::Smol => through_quorate_smol::sequence(uri, operation, count, before).await,
            #[cfg(feature = "official")]
            Subject::Official => through_official::sequence(uri, operation, count, before).await,
        }
    }
}

/// Runs a future on a tokio runtime of its own.
fn on_tokio<T>(threads: usize, future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let mut builder = match threads {
        0 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    if threads > 0 {
        builder.worker_threads(threads);
    }
    let runtime = builder.enable_all().build().map_err(|error| error.to_string())?;
    let result = runtime.block_on(future);
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

macro_rules! through {
    ($module:ident, $driver:ident, $spawn:expr, $sleep:expr) => {
        mod $module {
            use super::{FutureExt, Operation, Plan, Sample, load};
            use crate::load::Meter;
            use $driver::bson::{Document, doc};
            use $driver::{Client, Collection, Database};

            struct Target {
                admin: Database,
                items: Collection<Document>,
            }

            impl Target {
                fn new(client: &Client) -> Self {
                    let items = client.database("bench").collection("items");
                    Target { admin: client.database("admin"), items }
                }

                async fn once(&self, operation: Operation) -> Result<(), String> {
                    let done = match operation {
                        Operation::Ping => self.admin.run_command(doc! { "ping": 1 }).await.map(drop),
                        Operation::Insert => {
                            let item = doc! { "name": "pen", "n": 3, "tags": ["a", "b"] };
                            self.items.insert_one(item).await.map(drop)
                        }
                        Operation::Find => self.items.find_one(doc! { "_id": 7 }).await.map(drop),
                    };
                    done.map_err(|error| error.to_string())
                }

                async fn work(self, operation: Operation, meter: std::sync::Arc<Meter>) -> load::Latencies {
                    let mut latencies = Vec::with_capacity(1 << 16);
                    while meter.goes_on() {
                        let began = std::time::Instant::now();
                        self.once(operation).await?;
                        if meter.counts() {
                            latencies.push(u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX));
                        }
                    }
                    Ok(latencies)
                }
            }

            async fn client(uri: &str) -> Result<Client, String> {
                Client::with_uri_str(uri).await.map_err(|error| error.to_string())
            }

            pub(super) async fn run(plan: &Plan) -> Result<Sample, String> {
                let client = client(&plan.uri()).await?;
                let operation = plan.operation;
                let task = |meter| Target::new(&client).work(operation, meter).boxed();
                load::run(plan, task, $spawn, $sleep).await
            }

            pub(super) async fn idle(uri: &str, wait: impl Future<Output = ()>) -> Result<(), String> {
                let client = client(uri).await?;
                wait.await;
                drop(client);
                Ok(())
            }

            pub(super) async fn sequence(
                uri: &str,
                operation: Operation,
                count: usize,
                before: impl FnOnce(),
            ) -> Result<(), String> {
                let target = Target::new(&client(uri).await?);
                for _ in 0..count / 2 {
                    target.once(operation).await?;
                }
                before();
                for _ in count / 2..count {
                    target.once(operation).await?;
                }
                Ok(())
            }
        }
    };
}

through!(
    through_quorate_tokio,
    quorate_tokio,
    |task| tokio::spawn(task).map(|done| done.map_err(|error| error.to_string())?).boxed(),
    |time| tokio::time::sleep(time).boxed()
);
through!(through_quorate_smol, quorate_smol, |task| smol::spawn(task).boxed(), |time| smol::Timer::after(
    time
)
.map(drop)
.boxed());
#[cfg(feature = "official")]
through!(
    through_official,
    mongodb,
    |task| tokio::spawn(task).map(|done| done.map_err(|error| error.to_string())?).boxed(),
    |time| tokio::time::sleep(time).boxed()
);
