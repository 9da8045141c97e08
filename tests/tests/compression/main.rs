//! Compressed messages against real servers, on every runtime. The server's own counters tell what went compressed.

#[path = "../support/mod.rs"]
mod support;

use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, fresh_name, options};
use futures::TryStreamExt;
use futures::lock::Mutex;
use quorate::bson::spec::BinarySubtype;
use quorate::bson::{Binary, Bson, Document, doc};
use quorate::options::{Compressor, WriteConcern};
use quorate::{Client, Collection};
use quorate_harness::Standalone;
use std::ops::Sub;
use std::sync::OnceLock;

crate::on_every_runtime!(
    snappy,
    zlib,
    zstd,
    the_users_order_counts_among_what_the_server_has,
    nothing_in_common_is_no_error,
    unknown_names_offer_nothing,
    credentials_go_uncompressed,
    what_cannot_be_compressed_goes_all_the_same,
);

const ALL: [&str; 3] = ["snappy", "zlib", "zstd"];

/// A server for one test at a time: its counters are everybody's.
struct Server {
    standalone: Standalone,
    turn: Mutex<()>,
}

impl Server {
    fn start(compressors: &str) -> Self {
        let arguments = ["--networkMessageCompressors", compressors];
        let standalone = Standalone::builder().extra_args(arguments).start().expect("a server");
        Server { standalone, turn: Mutex::new(()) }
    }

    /// One that has every compressor.
    fn with_all() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Server::start("snappy,zlib,zstd"))
    }

    /// One that has a single one.
    fn with_zlib() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Server::start("zlib"))
    }

    async fn client<R: TestRuntime>(&self, more: &str) -> Client<R> {
        client(options(&format!("{}?{more}", self.standalone.uri())).await)
    }

    /// What it has counted for a compressor.
    fn counts(&self, compressor: &str) -> Counts {
        let status = self.standalone.command("admin", doc! { "serverStatus": 1 }).expect("a status");
        // A server does not count what it does not have.
        let of = |way: &str, what: &str| {
            let path = ["network", "compression", compressor, way];
            let found = path.iter().try_fold(&status, |doc, name| doc.get_document(name).ok());
            match found.and_then(|way| way.get(what)) {
                Some(Bson::Int64(count)) => *count,
                Some(Bson::Int32(count)) => i64::from(*count),
                _ => 0,
            }
        };
        Counts {
            requests: of("decompressor", "bytesIn"),
            requests_inflated: of("decompressor", "bytesOut"),
            replies: of("compressor", "bytesOut"),
            replies_inflated: of("compressor", "bytesIn"),
        }
    }

    fn all_counts(&self) -> [Counts; 3] {
        ALL.map(|name| self.counts(name))
    }
}

/// Bytes that a server says went through a compressor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    requests: i64,
    requests_inflated: i64,
    replies: i64,
    replies_inflated: i64,
}

impl Sub for Counts {
    type Output = Counts;
    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            requests: self.requests - earlier.requests,
            requests_inflated: self.requests_inflated - earlier.requests_inflated,
            replies: self.replies - earlier.replies,
            replies_inflated: self.replies_inflated - earlier.replies_inflated,
        }
    }
}

fn collection<R: TestRuntime>(client: &Client<R>) -> Collection<Document, R> {
    client.database("suite").collection(&fresh_name())
}

fn document(i: i32) -> Document {
    doc! { "_id": i, "text": format!("the oplog of member {i} ").repeat(40) }
}

/// Writes and reads back a few hundred kilobytes.
async fn use_it<R: TestRuntime>(client: &Client<R>) {
    let things = collection(client);
    let documents: Vec<Document> = (0..300).map(document).collect();
    things.insert_many(&documents).await.expect("inserts");
    things.insert_one(document(300)).await.expect("an insert");
    let found: Vec<Document> =
        things.find(doc! {}).batch_size(50).await.expect("a cursor").try_collect().await.expect("documents");
    assert_eq!(found[..300], documents);
    assert_eq!(found.len(), 301);
    // A reply is not always wanted.
    let unacknowledged = WriteConcern::nodes(0);
    things.insert_one(document(301)).write_concern(unacknowledged).await.expect("sent");
    let mut tries = 0;
    while things.count_documents(doc! {}).await.expect("a count") < 302 {
        tries += 1;
        assert!(tries < 1000, "the unacknowledged write never came");
    }
}

/// Both ways are compressed by this one and no other, and it saves something.
async fn compresses<R: TestRuntime>(server: &Server, more: &str, expected: &str) {
    let _turn = server.turn.lock().await;
    let before = server.all_counts();
    let client = server.client::<R>(more).await;
    use_it(&client).await;
    client.shutdown().await;
    for ((name, before), after) in ALL.iter().zip(before).zip(server.all_counts()) {
        let gone = after - before;
        eprintln!("{more}: {name}: {gone:?}");
        if *name == expected {
            assert!(gone.requests_inflated > 300 * 900 && gone.replies_inflated > 300 * 900, "{gone:?}");
            assert!(gone.requests * 3 < gone.requests_inflated && gone.replies > 0, "{gone:?}");
        } else {
            assert_eq!(gone, Counts::default(), "{name} was not to be used");
        }
    }
}

async fn snappy<R: TestRuntime>() {
    compresses::<R>(Server::with_all(), "compressors=snappy", "snappy").await;
}

async fn zlib<R: TestRuntime>() {
    for level in [-1, 1, 9] {
        let more = format!("compressors=zlib&zlibCompressionLevel={level}");
        compresses::<R>(Server::with_all(), &more, "zlib").await;
    }
}

async fn zstd<R: TestRuntime>() {
    compresses::<R>(Server::with_all(), "compressors=zstd", "zstd").await;
}

async fn the_users_order_counts_among_what_the_server_has<R: TestRuntime>() {
    compresses::<R>(Server::with_all(), "compressors=zstd,snappy,zlib", "zstd").await;
    compresses::<R>(Server::with_all(), "compressors=zlib,snappy,zstd", "zlib").await;
    compresses::<R>(Server::with_all(), "compressors=snoopy,snappy,zstd", "snappy").await;
    compresses::<R>(Server::with_zlib(), "compressors=zstd,snappy,zlib", "zlib").await;
}

async fn nothing_in_common_is_no_error<R: TestRuntime>() {
    compresses::<R>(Server::with_zlib(), "compressors=zstd,snappy", "none").await;
    compresses::<R>(Server::with_all(), "", "none").await;
}

async fn unknown_names_offer_nothing<R: TestRuntime>() {
    compresses::<R>(Server::with_all(), "compressors=snoopy", "none").await;
}

/// Events tell what is in a message, however it travelled; and no command with a password travels compressed.
async fn credentials_go_uncompressed<R: TestRuntime>() {
    let server = Server::with_all();
    let _turn = server.turn.lock().await;
    let mut options = options(&format!("{}?compressors=zlib", server.standalone.uri())).await;
    assert_eq!(options.compressors, Some(vec![Compressor::Zlib { level: None }]));
    let book = Notebook::listen(&mut options);
    let client: Client<R> = client(options);
    let admin = client.database("admin");
    let before = server.counts("zlib");
    let name = fresh_name();
    admin.run_command(doc! { "createUser": &name, "pwd": "pwd", "roles": [] }).await.expect("a user");
    admin.run_command(doc! { "updateUser": &name, "pwd": "other" }).await.expect("another password");
    admin.run_command(doc! { "hello": 1 }).await.expect("a hello");
    assert_eq!(server.counts("zlib") - before, Counts::default());
    admin.run_command(doc! { "dropUser": &name }).await.expect("no user");
    let gone = server.counts("zlib") - before;
    assert!(gone.requests > 0 && gone.replies > 0, "{gone:?}");
    let dropped = book.started("dropUser");
    assert_eq!(dropped[0].get_str("dropUser").ok(), Some(name.as_str()));
}

/// Noise grows by compression.
async fn what_cannot_be_compressed_goes_all_the_same<R: TestRuntime>() {
    let server = Server::with_all();
    let _turn = server.turn.lock().await;
    for name in ALL {
        let client = server.client::<R>(&format!("compressors={name}")).await;
        let things = collection(&client);
        let mut state = 88_172_645_463_325_252_u64;
        let word = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        let bytes = std::iter::repeat_with(word).take(2_000_000).flatten().collect();
        let noise = Binary { subtype: BinarySubtype::Generic, bytes };
        let noise = doc! { "_id": 1, "noise": noise };
        things.insert_one(&noise).await.expect("an insert");
        let found = things.find_one(doc! {}).await.expect("a read").expect("a document");
        assert!(found == noise, "{name}");
        things.drop().await.expect("drops");
    }
}
