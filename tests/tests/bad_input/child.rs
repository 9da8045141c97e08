//! One case, its servers here and its client in a process of its own.

use libtest_mimic::{Failed, Trial};
use std::any::Any;
use std::future::Future;
use std::io::Read;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The first argument of a client's process; the case's name and the servers' addresses follow.
pub(crate) const FLAG: &str = "--client-of";
/// What a client may come to hold on account of what servers send.
const MOST_MEMORY_KIB: u64 = 64 * 1024;
/// Where `serde` and debug builds need most; the default of a thread is eight times that.
const STACK: usize = 256 * 1024;
/// After this a client has hung.
const LIMIT: Duration = Duration::from_secs(60);

/// How much of what a client said is shown, in characters.
const MOST_WORDS: usize = 20_000;

/// The client's part of a case; gets the servers' addresses.
pub(crate) type Body = Box<dyn Fn(Vec<String>) -> Pin<Box<dyn Future<Output = ()>>> + Send + Sync>;

/// Servers that run while this lives, and the addresses the client is told.
pub(crate) struct Servers {
    pub(crate) addresses: Vec<String>,
    pub(crate) keep: Box<dyn Any>,
}

pub(crate) struct Case {
    name: String,
    servers: Box<dyn Fn() -> Servers + Send + Sync>,
    body: Body,
}

impl Case {
    pub(crate) fn new<F: Future<Output = ()> + 'static>(
        name: impl Into<String>,
        servers: impl Fn() -> Servers + Send + Sync + 'static,
        body: impl Fn(Vec<String>) -> F + Send + Sync + 'static,
    ) -> Self {
        Case {
            name: name.into(),
            servers: Box::new(servers),
            body: Box::new(move |seeds| Box::pin(body(seeds))),
        }
    }

    pub(crate) fn into_trial(self) -> Trial {
        Trial::test(self.name.clone(), move || {
            let servers = (self.servers)();
            let outcome = watch(&self.name, &servers.addresses);
            drop(servers.keep);
            outcome
        })
    }
}

/// Starts the client of a case and waits for its end.
fn watch(name: &str, addresses: &[String]) -> Result<(), Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(FLAG)
        .arg(name)
        .args(addresses)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    // Read all along: a child that has much to say must not wait for a reader.
    let mut stderr = child.stderr.take().ok_or("no stderr")?;
    let reader = std::thread::spawn(move || {
        let mut words = Vec::new();
        stderr.read_to_end(&mut words).map(|_| String::from_utf8_lossy(&words).into_owned())
    });
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let words = reader.join().map_err(|_| "the reader panicked")??;
    let words: String = words.chars().take(MOST_WORDS).collect();
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("the client ended with {status}:\n{words}").into()),
        None => Err(format!("the client hung for {LIMIT:?}:\n{words}").into()),
    }
}

/// The client's process.
pub(crate) fn run(cases: &[Case], name: &str, seeds: &[String]) {
    let case = cases.iter().find(|case| case.name == name).expect("a case of that name");
    let future = || (case.body)(seeds.to_vec());
    let client = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a tokio runtime");
        let before = memory("VmRSS:");
        runtime.block_on(future());
        let grown = memory("VmHWM:").saturating_sub(before);
        eprintln!("grew by {grown} KiB");
        assert!(grown < MOST_MEMORY_KIB, "the client grew by {grown} KiB");
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, client);
        if thread.expect("a thread").join().is_err() {
            std::process::exit(1);
        }
    });
}

/// A line of `/proc/self/status`, in KiB.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a line of that name");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
