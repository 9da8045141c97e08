//! A client for tests that need commands exactly as they wrote them: one connection, one command at a time.

use crate::runtime::{SimRuntime, SimStream};
use bson::{Document, doc};
use futures::{AsyncReadExt, AsyncWriteExt};
use quorate::Runtime;
use quorate_core::ServerAddress;
use quorate_core::raw::RawDoc;
use quorate_core::wire::{Flags, ReadBuffer, encode_op_msg};

/// One connection to one server.
pub(crate) struct RawClient {
    stream: SimStream,
    buffer: ReadBuffer,
}

impl RawClient {
    /// Connects, and says `helloOk`.
    pub(crate) async fn connect(runtime: &SimRuntime, host: &str) -> RawClient {
        let stream = runtime.connect(ServerAddress::tcp(host, 27017)).await.unwrap();
        let mut client = RawClient { stream, buffer: ReadBuffer::new(48_000_000) };
        client.run("admin", doc! { "hello": 1, "helloOk": true }).await;
        client
    }

    /// The reply to a command; `None` if the server hung up.
    pub(crate) async fn try_run(&mut self, db: &str, mut body: Document) -> Option<Document> {
        body.insert("$db", db);
        let bytes = bson::serialize_to_vec(&body).unwrap();
        let mut message = Vec::new();
        encode_op_msg(&mut message, 1, 0, Flags::NONE, RawDoc::new(&bytes).unwrap()).unwrap();
        self.stream.write_all(&message).await.ok()?;
        loop {
            if let Some(incoming) = self.buffer.next_message().unwrap() {
                return Some(Document::from_reader(incoming.body.as_bytes()).unwrap());
            }
            let mut bytes = [0; 4096];
            let count = self.stream.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
            self.buffer.push(&bytes[..count]);
        }
    }

    /// The reply to a command.
    pub(crate) async fn run(&mut self, db: &str, body: Document) -> Document {
        let shown = body.to_string();
        self.try_run(db, body).await.unwrap_or_else(|| panic!("closed after {shown}"))
    }

    /// The reply to a command that works.
    pub(crate) async fn ok(&mut self, db: &str, body: Document) -> Document {
        let shown = body.to_string();
        let reply = self.run(db, body).await;
        assert_eq!(reply.get_f64("ok").unwrap(), 1.0, "{shown}: {reply}");
        reply
    }

    /// Code and labels of a command that fails.
    pub(crate) async fn fails(&mut self, db: &str, body: Document) -> (i32, Vec<String>) {
        let shown = body.to_string();
        let reply = self.run(db, body).await;
        assert_eq!(reply.get_f64("ok").unwrap(), 0.0, "{shown}: {reply}");
        let labels = reply.get_array("errorLabels").map(Vec::as_slice).unwrap_or_default();
        (reply.get_i32("code").unwrap(), labels.iter().map(|l| l.as_str().unwrap().to_owned()).collect())
    }
}
