//! Faults of a plan, done to a deployment and undone.

use super::plan::{Fault, Injury, Kind, Plan, Strike, Who};
use crate::cluster::Cluster;
use crate::world::{Answer, HostId, Link, ProcessState};
use bson::{Document, doc};
use quorate_core::Duration;

/// Does to the deployment what the plan says, when it says, counted from now.
pub(super) fn schedule(cluster: &Cluster, plan: &Plan) {
    for planned in &plan.faults {
        let (plan, fault) = (plan.clone(), planned.fault.clone());
        cluster.after(Duration::from_millis(planned.at), move |cluster| {
            cluster.remark(&format!("FAULT {fault:?}"));
            harm(cluster, &plan, &fault);
        });
    }
}

fn harm(cluster: &Cluster, plan: &Plan, fault: &Fault) {
    match fault {
        Fault::Down(injury, who, ms) => bring_down(cluster, plan, *injury, *who, *ms),
        Fault::Hang(who, ms) => {
            let process = resolve(cluster, plan, *who);
            cluster.hang(process);
            later(cluster, *ms, move |cluster| cluster.resume(process));
        }
        Fault::Isolate(who, ms) => {
            let host = cluster.host(resolve(cluster, plan, *who));
            cut(cluster, both_ways(&[host], &hosts(cluster)), *ms);
        }
        Fault::CutClients(who, ms) => {
            let host = cluster.host(resolve(cluster, plan, *who));
            cut(cluster, both_ways(&[host], &[cluster.client_host(0), cluster.client_host(1)]), *ms);
        }
        Fault::CutOneWay { who, machine, to_server, ms } => {
            let server = cluster.host(resolve(cluster, plan, *who));
            let client = cluster.client_host(*machine);
            cut(cluster, vec![if *to_server { (client, server) } else { (server, client) }], *ms);
        }
        Fault::Partition(count, ms) => {
            let members: Vec<_> = (0..cluster.process_count()).map(|process| cluster.host(process)).collect();
            let (one, other) = members.split_at((*count).min(members.len()));
            cut(cluster, both_ways(one, other), *ms);
        }
        Fault::Reset(who) => cluster.reset_connections(resolve(cluster, plan, *who)),
        Fault::Forget(who) => cluster.forget_connections(resolve(cluster, plan, *who)),
        Fault::Slow(who, latency, ms) => {
            let link = plan.shape.link.link();
            let latency = link.latency + Duration::from_millis(*latency);
            relink(cluster, plan, *who, Link { latency, ..link }, *ms);
        }
        Fault::Lossy(who, loss_ppm, ms) => {
            relink(cluster, plan, *who, Link { loss_ppm: *loss_ppm, ..plan.shape.link.link() }, *ms);
        }
        Fault::Dns(who, silent, ms) => {
            let host = cluster.host(resolve(cluster, plan, *who));
            let name = cluster.name_of(resolve(cluster, plan, *who));
            cluster.set_dns(&name, if *silent { Answer::Silence } else { Answer::NoSuchName });
            later(cluster, *ms, move |cluster| cluster.set_dns(&name, host));
        }
        _ => order(cluster, plan, fault),
    }
}

/// Faults that are orders to a server.
fn order(cluster: &Cluster, plan: &Plan, fault: &Fault) {
    let has_members = plan.shape.kind == Kind::ReplicaSet;
    match fault {
        Fault::StepDown if plan.shape.has_majorities() => {
            cluster.step_down(resolve(cluster, plan, Who::Primary));
        }
        Fault::StepUp(who) if has_members => cluster.step_up(resolve(cluster, plan, *who)),
        Fault::Freeze(who, secs) if has_members => {
            cluster.freeze(resolve(cluster, plan, *who), Duration::from_secs(*secs));
        }
        Fault::FailPoint { who, commands, does, times } => {
            let order = fail_point(commands, *does, *times);
            cluster.order(resolve(cluster, plan, *who), order);
        }
        Fault::Priority(who, priority) if has_members => {
            set_priority(cluster, resolve(cluster, plan, *who), f64::from(*priority));
        }
        _ => {}
    }
}

fn fail_point(commands: &[&str], does: Strike, times: u64) -> Document {
    let mut data = doc! { "failCommands": commands.to_vec() };
    match does {
        Strike::Code(code) => data.insert("errorCode", code),
        Strike::HangUp => data.insert("closeConnection", true),
        Strike::Block(ms) => {
            data.insert("blockConnection", true);
            data.insert("blockTimeMS", i64::try_from(ms).unwrap_or(0))
        }
        Strike::Concern(64) => {
            let info = doc! { "wtimeout": true };
            data.insert("writeConcernError", doc! { "code": 64, "errmsg": "as planned", "errInfo": info })
        }
        Strike::Concern(code) => {
            data.insert("writeConcernError", doc! { "code": code, "errmsg": "as planned" })
        }
    };
    let mode = doc! { "times": i64::try_from(times).unwrap_or(1) };
    doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data }
}

/// Another configuration by way of the primary; what comes of it is seen.
fn set_priority(cluster: &Cluster, member: usize, priority: f64) {
    let Some(primary) = cluster.primary() else { return };
    let asked = cluster.command(primary, doc! { "replSetGetConfig": 1 });
    let inner = cluster.downgrade();
    let task = async move {
        let Ok(reply) = asked.await else { return };
        let Ok(mut config) = reply.get_document("config").cloned() else { return };
        let version =
            config.get("version").and_then(|version| version.as_i64().or(version.as_i32().map(i64::from)));
        config.insert("version", version.unwrap_or(1) + 1);
        if let Some(member) = config.get_array_mut("members").ok().and_then(|members| members.get_mut(member))
            && let Some(member) = member.as_document_mut()
        {
            member.insert("priority", priority);
        }
        if let Some(cluster) = inner.upgrade() {
            cluster.order(primary, doc! { "replSetReconfig": config });
        }
    };
    drop(cluster.spawn(task));
}

fn bring_down(cluster: &Cluster, plan: &Plan, injury: Injury, who: Who, ms: u64) {
    let process = resolve(cluster, plan, who);
    match injury {
        Injury::Kill => cluster.kill(process),
        Injury::PowerOff => cluster.power_off(process),
        Injury::Terminate => cluster.terminate(process),
    }
    later(cluster, ms, move |cluster| cluster.start(process));
}

fn relink(cluster: &Cluster, plan: &Plan, who: Who, link: Link, ms: u64) {
    let host = cluster.host(resolve(cluster, plan, who));
    let set = move |cluster: &Cluster, link: &Link| {
        hosts(cluster)
            .into_iter()
            .filter(|other| *other != host)
            .for_each(|other| cluster.set_link(host, other, link));
    };
    set(cluster, &link);
    let usual = plan.shape.link.link();
    later(cluster, ms, move |cluster| set(cluster, &usual));
}

fn later(cluster: &Cluster, ms: u64, act: impl FnOnce(&Cluster) + Send + 'static) {
    cluster.after(Duration::from_millis(ms), act);
}

fn resolve(cluster: &Cluster, plan: &Plan, who: Who) -> usize {
    let process = match who {
        Who::Primary => cluster.primary().unwrap_or(0),
        Who::Process(process) => process,
    };
    // A smaller plan may have fewer of them.
    let _ = plan;
    process.min(cluster.process_count() - 1)
}

fn hosts(cluster: &Cluster) -> Vec<HostId> {
    let processes = (0..cluster.process_count()).map(|process| cluster.host(process));
    processes.chain((0..2).map(|machine| cluster.client_host(machine))).collect()
}

fn both_ways(one: &[HostId], other: &[HostId]) -> Vec<(HostId, HostId)> {
    one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)])).filter(|(a, b)| a != b).collect()
}

fn cut(cluster: &Cluster, ways: Vec<(HostId, HostId)>, ms: u64) {
    ways.iter().for_each(|(from, to)| cluster.cut(*from, *to));
    later(cluster, ms, move |cluster| ways.iter().for_each(|(from, to)| cluster.world().mend(*from, *to)));
}

/// Makes all well again, as far as one order does.
pub(super) fn make_well(cluster: &Cluster, plan: &Plan) {
    cluster.remark("ALL IS MADE WELL");
    cluster.heal();
    cluster.set_links(&plan.shape.link.link());
    for process in 0..cluster.process_count() {
        cluster.resume(process);
        cluster.set_dns(&cluster.name_of(process), cluster.host(process));
        cluster.order(process, doc! { "configureFailPoint": "failCommand", "mode": "off" });
        if plan.shape.kind == Kind::ReplicaSet {
            cluster.freeze(process, Duration::ZERO);
        }
    }
    start_all(cluster);
}

/// Starts what is down; whether all was running.
pub(super) fn start_all(cluster: &Cluster) -> bool {
    let down: Vec<_> = (0..cluster.process_count())
        .filter(|process| cluster.process(*process) == ProcessState::Down)
        .collect();
    down.iter().for_each(|process| cluster.start(*process));
    down.is_empty()
}
