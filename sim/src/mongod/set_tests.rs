//! A member of a set, command by command: write concerns, read concerns, changes of state in between.

use super::Mongod;
use super::client_tests::{primary, set};
use super::raw_client::RawClient;
use crate::node::NodeId;
use crate::world::{HostId, World};
use bson::{Binary, Document, doc, spec::BinarySubtype};
use futures::join;
use quorate_core::Duration;

/// A set with a primary, and where its members run.
struct Ready {
    world: World<Mongod>,
    app: HostId,
    nodes: Vec<NodeId>,
    primary: NodeId,
}

impl Ready {
    async fn client(&self, node: NodeId) -> RawClient {
        RawClient::connect(&self.world.runtime(self.app), ["a", "b", "c"][node.0 as usize]).await
    }

    fn others(&self) -> Vec<NodeId> {
        self.nodes.iter().copied().filter(|node| *node != self.primary).collect()
    }

    /// The secondaries replicate no more, but for what they have.
    fn cut_secondaries(&self) {
        for node in self.others() {
            self.world.hang(node);
        }
    }

    fn mend_secondaries(&self) {
        for node in self.others() {
            self.world.resume(node);
        }
    }

    async fn sleep(&self, millis: u64) {
        self.world.runtime(self.app).sleep(Duration::from_millis(millis)).await;
    }
}

/// Runs a test inside of a world it makes itself.
fn run<F: Future<Output = ()>>(seed: u64, test: impl FnOnce(Ready, RawClient) -> F) {
    let (world, app, nodes) = set(seed);
    let (ready, client) = world.clone().block_on(async {
        world.runtime(app).sleep(Duration::from_secs(4)).await;
        let primary = primary(&world, &nodes).unwrap();
        let ready = Ready { world: world.clone(), app, nodes, primary };
        let mut client = ready.client(primary).await;
        client
            .ok("test", doc! { "insert": "c", "documents": [{ "_id": 0 }], "writeConcern": { "w": 3 } })
            .await;
        (ready, client)
    });
    world.block_on(test(ready, client));
}

fn insert(concern: Document) -> Document {
    doc! { "insert": "c", "documents": [{}], "writeConcern": concern }
}

/// The same as a retryable write.
fn retryable(mut body: Document) -> Document {
    let id = Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] };
    body.extend(doc! { "lsid": { "id": id }, "txnNumber": 1_i64 });
    body
}

#[test]
fn write_concerns_time_out_in_the_servers_shape() {
    run(21, async |ready, mut client| {
        let reply = client.ok("test", insert(doc! { "w": 3, "wtimeout": 500 })).await;
        assert!(!reply.contains_key("writeConcernError"), "{reply}");
        let names: Vec<_> = reply.keys().take(3).map(String::as_str).collect();
        assert_eq!(names, ["n", "electionId", "opTime"]);
        ready.cut_secondaries();
        let reply = client.ok("test", insert(doc! { "w": 2, "wtimeout": 300 })).await;
        let error = reply.get_document("writeConcernError").unwrap();
        let concern = doc! { "w": 2, "wtimeout": 300, "provenance": "clientSupplied" };
        let expected = doc! {
            "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out",
            "errInfo": { "wtimeout": true, "writeConcern": concern },
        };
        assert_eq!(*error, expected);
        let mut limited = insert(doc! { "w": 2 });
        limited.insert("maxTimeMS", 200);
        let reply = client.ok("test", limited).await;
        assert_eq!(reply.get_document("writeConcernError").unwrap().get_i32("code").unwrap(), 50);
        // Without a write concern it is a majority that has to have it.
        let reply = client.ok("test", doc! { "insert": "c", "documents": [{}], "maxTimeMS": 100 }).await;
        let error = reply.get_document("writeConcernError").unwrap();
        let concern = error.get_document("errInfo").unwrap().get_document("writeConcern").unwrap();
        assert_eq!(concern.get_str("provenance").unwrap(), "implicitDefault");
        ready.mend_secondaries();
    });
}

#[test]
fn a_step_down_ends_what_waits() {
    run(22, async |ready, mut writer| {
        let (mut admin, mut reader) = (ready.client(ready.primary).await, ready.client(ready.primary).await);
        ready.cut_secondaries();
        let linear = doc! { "find": "c", "readConcern": { "level": "linearizable" } };
        let (write, read, ()) = join!(
            writer.ok("test", retryable(insert(doc! { "w": 2 }))),
            reader.fails("test", linear),
            async {
                ready.sleep(200).await;
                let force = doc! { "replSetStepDown": 3, "force": true, "secondaryCatchUpPeriodSecs": 0 };
                admin.ok("admin", force).await;
            }
        );
        let error = write.get_document("writeConcernError").unwrap();
        assert_eq!(error.get_i32("code").unwrap(), 11602);
        assert_eq!(write.get_array("errorLabels").unwrap(), &["RetryableWriteError".into()]);
        assert!(write.contains_key("topologyVersion"));
        assert_eq!(read.0, 11602);
        let (code, labels) = writer.fails("test", retryable(insert(doc! {}))).await;
        assert_eq!((code, labels), (10107, vec!["RetryableWriteError".to_owned()]));
        assert_eq!(reader.fails("test", doc! { "find": "c" }).await.0, 13435);
        let nearest = doc! { "find": "c", "$readPreference": { "mode": "nearest" } };
        reader.ok("test", nearest).await;
        ready.mend_secondaries();
    });
}

#[test]
fn reads_wait_for_a_cluster_time_they_know_of() {
    run(23, async |ready, mut writer| {
        let secondary = ready.others()[0];
        let mut reader = ready.client(secondary).await;
        let host = ready.world.host_of(secondary);
        let primary_host = ready.world.host_of(ready.primary);
        ready.world.partition(&[host], &[primary_host, ready.world.host_of(ready.others()[1])]);
        let reply = writer.ok("test", insert(doc! { "w": 1 })).await;
        let after = reply.get_timestamp("operationTime").unwrap();
        let read = doc! {
            "count": "c", "readConcern": { "afterClusterTime": after }, "maxTimeMS": 300,
            "$readPreference": { "mode": "secondary" },
        };
        // It has not heard of that time, then it has and does not come to it, then it does.
        assert_eq!(reader.fails("test", read.clone()).await.0, 72);
        let mut gossiped = read;
        gossiped.insert("$clusterTime", reply.get_document("$clusterTime").unwrap().clone());
        assert_eq!(reader.fails("test", gossiped.clone()).await.0, 50);
        ready.world.heal();
        gossiped.insert("maxTimeMS", 60_000);
        assert_eq!(reader.ok("test", gossiped).await.get_i32("n").unwrap(), 2);
    });
}

#[test]
fn a_member_that_ends_says_so_and_answers_what_it_began() {
    run(24, async |ready, mut writer| {
        let mut hello = ready.client(ready.primary).await;
        let mut blocked = ready.client(ready.primary).await;
        let data = doc! { "failCommands": ["ping"], "blockConnection": true, "blockTimeMS": 60_000 };
        let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        writer.ok("admin", fail).await;
        let (ended, ()) = join!(blocked.fails("admin", doc! { "ping": 1 }), async {
            ready.sleep(100).await;
            ready.world.terminate(ready.primary);
            ready.sleep(1_000).await;
            let reply = hello.run("admin", doc! { "hello": 1 }).await;
            assert_eq!(reply.get_i32("code").unwrap(), 91);
            let names: Vec<_> = reply.keys().take(6).map(String::as_str).collect();
            let expected =
                ["topologyVersion", "ok", "errmsg", "code", "codeName", "remainingQuiesceTimeMillis"];
            assert_eq!(names, expected);
            // Reads go on, writes do not.
            hello.ok("test", doc! { "find": "c", "$readPreference": { "mode": "nearest" } }).await;
            assert_eq!(hello.fails("test", insert(doc! {})).await.0, 10107);
        });
        assert_eq!(ended.0, 11600);
        assert_eq!(hello.try_run("admin", doc! { "ping": 1 }).await, None);
    });
}
