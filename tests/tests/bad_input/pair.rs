//! A replica set of two scripted members: an honest primary and one that does what a test says.

use super::child::Servers;
use quorate_harness::hostile::{Answer, HostileServer, Request, body};
use quorate_tokio::bson::{Document, doc};
use std::sync::{Arc, OnceLock};

/// The addresses of both, known once both run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names(Arc<OnceLock<(String, String)>>);

impl Names {
    fn both(&self) -> (&str, &str) {
        self.0.get().map_or(("", ""), |(hostile, healthy)| (hostile, healthy))
    }

    /// What an honest primary says of itself.
    pub(crate) fn primary_hello(&self) -> Document {
        let (hostile, healthy) = self.both();
        body::hello_primary("rs", healthy, &[healthy, hostile])
    }

    /// What the hostile one says of itself where it is honest so far: that it is a secondary.
    pub(crate) fn secondary_hello(&self) -> Document {
        let (hostile, healthy) = self.both();
        let mut hello = body::hello_primary("rs", healthy, &[healthy, hostile]);
        hello.remove("electionId");
        hello.extend(doc! { "isWritablePrimary": false, "secondary": true, "me": hostile });
        hello
    }
}

/// Starts both; the client is told the hostile one's address first.
pub(crate) fn start(hostile: impl Fn(&Request, &Names) -> Answer + Send + Sync + 'static) -> Servers {
    greeting(Vec::new(), hostile)
}

/// As [`start`]; the hostile one says `first` before it was asked anything.
pub(crate) fn greeting(
    first: Vec<u8>,
    hostile: impl Fn(&Request, &Names) -> Answer + Send + Sync + 'static,
) -> Servers {
    let names = Names::default();
    let theirs = names.clone();
    let hostile =
        HostileServer::greeting_then(first, move |request| hostile(request, &theirs)).expect("a port");
    beside(names, hostile.address(), hostile)
}

/// An honest primary beside a server that is no MongoDB.
pub(crate) fn with(hostile: String, keep: impl std::any::Any) -> Servers {
    beside(Names::default(), hostile, keep)
}

fn beside(names: Names, hostile: String, keep: impl std::any::Any) -> Servers {
    let theirs = names.clone();
    let healthy =
        HostileServer::scripted(move |request| honest(request, &theirs.primary_hello())).expect("a port");
    let addresses = vec![hostile.clone(), healthy.address()];
    let _ = names.0.set((hostile, healthy.address()));
    Servers { addresses, keep: Box::new((keep, healthy)) }
}

/// An honest server's answer to the few commands these tests send.
pub(crate) fn honest(request: &Request, hello: &Document) -> Answer {
    let reply = match request.command() {
        _ if request.is_hello() => hello.clone(),
        "insert" | "update" | "delete" => doc! { "n": 1, "ok": 1.0 },
        "find" | "aggregate" => {
            doc! { "cursor": { "id": 0_i64, "ns": "suite.things", "firstBatch": [{ "_id": 1 }] }, "ok": 1.0 }
        }
        _ => body::ok(),
    };
    request.reply(&reply).into()
}
