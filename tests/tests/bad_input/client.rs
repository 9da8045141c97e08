//! What clients do in these cases, and what must come of it.

use quorate_tokio::bson::{Document, doc};
use quorate_tokio::error::{Error, ErrorKind, Result};
use quorate_tokio::event::EventHandler;
use quorate_tokio::options::ClientOptions;
use quorate_tokio::{Client, Collection};
use std::future::Future;
use std::time::{Duration, Instant};

/// How much later than its deadline an error may come on a machine with other things to do.
pub(crate) const SLACK: Duration = Duration::from_secs(4);
/// The server selection time-out of [`connect`], in milliseconds.
pub(crate) const SELECTION_MS: u64 = 600;

/// A client that gives up soon, looks again often, and has somebody listening: what goes into events is read too.
pub(crate) async fn connect(seeds: &[String], more: &str) -> Client {
    let mut options = options(seeds, more).await;
    options.command_event_handler = Some(EventHandler::callback(|event| drop(format!("{event:?}"))));
    options.sdam_event_handler = Some(EventHandler::callback(drop));
    options.cmap_event_handler = Some(EventHandler::callback(drop));
    Client::with_options(options).expect("good options")
}

/// The same with nobody listening: for replies so long that a copy of them in an event counts.
pub(crate) async fn connect_unheard(seeds: &[String], more: &str) -> Client {
    Client::with_options(options(seeds, more).await).expect("good options")
}

async fn options(seeds: &[String], more: &str) -> ClientOptions {
    let uri = format!(
        "mongodb://{}/?serverSelectionTimeoutMS={SELECTION_MS}&connectTimeoutMS=300&heartbeatFrequencyMS=500{more}",
        seeds.join(",")
    );
    ClientOptions::parse(uri).await.expect("a good connection string")
}

pub(crate) fn things(client: &Client) -> Collection<Document> {
    client.database("suite").collection("things")
}

/// Nothing takes longer than this, or it hangs.
pub(crate) async fn bounded<T>(what: &str, limit: Duration, call: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    match tokio::time::timeout(limit, call).await {
        Ok(output) => output,
        Err(_) => panic!("{what} hung for {:?}", begin.elapsed()),
    }
}

/// No server can be selected, in time, and the error tells of each server of `listed` what `words` say.
pub(crate) async fn expect_no_server(client: &Client, listed: &[(&str, &str)]) -> Error {
    let limit = Duration::from_millis(SELECTION_MS) + SLACK;
    let begin = Instant::now();
    let error =
        bounded("server selection", limit, async { things(client).insert_one(doc! { "x": 1 }).await });
    let error = error.await.expect_err("nobody to write to");
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
    assert!(begin.elapsed() >= Duration::from_millis(SELECTION_MS), "gave up early: {error}");
    let text = error.to_string();
    assert!(text.len() < 10_000, "{} bytes of text", text.len());
    eprintln!("{text}");
    for (server, words) in listed {
        let (_, about) =
            text.split_once(&format!("{{ {server}")).unwrap_or_else(|| panic!("{server} not in: {text}"));
        let about = about.split_once(" }").map_or(about, |(about, _)| about);
        assert!(says(about, words), "no \"{words}\" about {server} in: {text}");
    }
    error
}

/// Writes and reads go through, again and again.
pub(crate) async fn expect_service(client: &Client, times: u32) {
    for _ in 0..times {
        let limit = Duration::from_millis(SELECTION_MS) + SLACK;
        let write = bounded("a write", limit, async { things(client).insert_one(doc! { "x": 1 }).await });
        write.await.expect("the healthy server takes writes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What came of a call against a server that lies: an error with those words where there are any.
pub(crate) fn judge<T: std::fmt::Debug>(what: &str, outcome: Result<T>, words: Option<&str>) {
    match (outcome, words) {
        (Ok(output), None) => drop(output),
        (Ok(output), Some(words)) => {
            let output: String = format!("{output:?}").chars().take(1000).collect();
            panic!("{what} gave {output} instead of an error with \"{words}\"")
        }
        (Err(error), words) => {
            let text = error.to_string();
            eprintln!("{what}: {text}");
            assert!(text.len() < 40_000, "{what}: {} bytes of text", text.len());
            assert!(
                words.is_none_or(|words| says(&text, words)),
                "{what}: no \"{}\" in: {text}",
                words.unwrap_or_default()
            );
        }
    }
}

/// Whether a text has those words, or one of several separated by `|`.
fn says(text: &str, words: &str) -> bool {
    let text = text.to_lowercase();
    words.split('|').any(|words| text.contains(&words.to_lowercase()))
}
