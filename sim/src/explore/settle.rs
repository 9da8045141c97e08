//! What the deployment has come to, once it is left alone.

use super::history::Data;
use super::rule::Rule;
use super::work::DATABASE;
use crate::cluster::{Cluster, Part};
use crate::repl::{Member, MemberState};
use crate::world::ProcessState;
use bson::Document;
use quorate_core::Duration;
use quorate_core::concern::OpTime;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The primary that a majority follows.
pub(super) fn leader(cluster: &Cluster) -> Option<usize> {
    let leads = |process: &usize| {
        let leads =
            |member: &Member| member.is_writable_primary() && member.commit_point().term == member.term();
        cluster.process(*process) == ProcessState::Running && replica(cluster, *process, leads) == Some(true)
    };
    cluster.primaries().into_iter().rev().find(leads)
}

fn replica<T>(cluster: &Cluster, process: usize, look: impl FnOnce(&Member) -> T) -> Option<T> {
    cluster.inspect(process, |process| process.as_mongod()?.replica().map(look))
}

/// Waits until every member with data has all there is, and knows it.
pub(super) async fn replicated(cluster: &Cluster, within: Duration) -> Result<(), String> {
    let until = cluster.now() + within;
    loop {
        let lagging = lagging(cluster);
        if lagging.is_empty() {
            return Ok(());
        }
        if cluster.now() > until {
            return Err(format!("not settled: {}", lagging.join("; ")));
        }
        super::harm::start_all(cluster);
        cluster.sleep(Duration::from_millis(50)).await;
    }
}

/// Who is not where the rest is.
fn lagging(cluster: &Cluster) -> Vec<String> {
    let mut found = Vec::new();
    for shard in 0..cluster.shard_count() {
        let members: Vec<(usize, MemberState, OpTime, OpTime)> = cluster
            .members_of(shard)
            .into_iter()
            .filter_map(|at| {
                replica(cluster, at, |member| {
                    (at, member.state(), member.last_applied(), member.commit_point())
                })
            })
            .filter(|(_, state, ..)| *state != MemberState::Arbiter)
            .collect();
        let last = members.iter().map(|(_, _, applied, _)| *applied).max();
        let primaries = members.iter().filter(|(_, state, ..)| *state == MemberState::Primary).count();
        if !members.is_empty() && primaries != 1 {
            found.push(format!("shard {shard} has {primaries} primaries"));
        }
        for (at, state, applied, commit) in members {
            let well = matches!(state, MemberState::Primary | MemberState::Secondary);
            if !well || Some(applied) != last || Some(commit) != last {
                found.push(format!(
                    "member {at} is {state:?}, applied {applied:?}, committed {commit:?}, of {last:?}"
                ));
            }
        }
    }
    found
}

/// The data that will last.
pub(super) fn committed(cluster: &Cluster) -> Data {
    let committed = |name: &str| cluster.committed(DATABASE, name);
    data([committed("lists"), committed("pairs")].concat(), committed("docs"))
}

fn data(lists: Vec<Arc<Document>>, docs: Vec<Arc<Document>>) -> Data {
    let mut data = Data::default();
    for list in lists {
        let tokens = list.get_array("t").map(|tokens| tokens.iter().filter_map(bson::Bson::as_i64).collect());
        data.lists.insert(list.get_i32("_id").unwrap_or(-1), tokens.unwrap_or_default());
    }
    for doc in docs {
        *data.docs.entry(doc.get_i64("_id").unwrap_or(-1)).or_insert(0) += 1;
    }
    data
}

/// Every member has the same data.
pub(super) fn agree(cluster: &Cluster, committed: &Data) -> Result<(), (Rule, String)> {
    let mut shards: BTreeMap<usize, Data> = BTreeMap::new();
    for process in 0..cluster.process_count() {
        let Part::Member { shard, .. } = cluster.part(process) else { continue };
        if cluster.state(process) == Some(MemberState::Arbiter) {
            continue;
        }
        let documents = |name: &str| cluster.documents(process, DATABASE, name);
        let lists = [documents("lists"), documents("pairs")].concat();
        let own = data(lists, documents("docs"));
        match shards.get(&shard) {
            Some(first) if *first != own => {
                return Err((
                    Rule::Run,
                    format!("member {process} has other data than the first of its shard"),
                ));
            }
            Some(_) => {}
            None => {
                if cluster.shard_count() == 1 && own != *committed {
                    return Err((Rule::Run, format!("member {process} has other data than is committed")));
                }
                shards.insert(shard, own);
            }
        }
    }
    Ok(())
}
