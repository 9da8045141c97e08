//! The prose tests of `polling-srv-records-for-mongos-discovery/tests/README.md`, by number, with DNS and clock pretended, and
//! the rules they leave out.

use super::*;
use crate::resolver::{SeedOutput, SeedResolver};
use crate::sdam::{ServerDescription, ServerType, Topology, TopologyOptions};
use crate::shared::Arc;
use crate::uri::ConnectionString;
use alloc::string::ToString;
use alloc::vec;

const TTL: Duration = Duration::from_secs(86_400);
const HOST: &str = "localhost.test.build.10gen.cc";

fn records(ports: &[u16]) -> Vec<SrvRecord> {
    ports.iter().map(|port| SrvRecord::new(alloc::format!("{HOST}."), *port, Some(TTL))).collect()
}

/// A client, as far as this goes: seeds found, topology and poller running.
struct Client {
    now: Instant,
    topology: Topology,
    poller: Option<SrvPoller>,
    overlooked: usize,
}

impl Client {
    fn new(uri: &str, ports: &[u16]) -> Self {
        Self::with_records(uri, records(ports))
    }

    fn with_records(uri: &str, records: Vec<SrvRecord>) -> Self {
        let now = Instant::ZERO;
        let options = ConnectionString::parse(uri).unwrap().into_options();
        let mut resolver = SeedResolver::new(now, options, Rng::new(3));
        resolver.handle_srv(now, Ok(records));
        resolver.handle_txt(now, Ok(vec![]));
        let found = core::iter::from_fn(|| resolver.poll_output()).last();
        let Some(SeedOutput::Resolved(found)) = found else { panic!("{found:?}") };
        let topology = Topology::new(
            1,
            TopologyOptions {
                seeds: found.options.hosts.clone(),
                load_balanced: found.options.load_balanced == Some(true),
                replica_set: found.options.repl_set_name.clone(),
                ..TopologyOptions::default()
            },
        );
        let poller = SrvPoller::new(now, &found.options, found.ttl, Rng::new(4));
        Client { now, topology, poller, overlooked: 0 }
    }

    /// Waits for the next rescan, answers it, and says whether there was one.
    fn rescan(&mut self, answer: Result<Vec<SrvRecord>>) -> bool {
        let Some(poller) = &mut self.poller else { return false };
        poller.handle_topology(self.now, self.topology.description());
        let Some(at) = poller.poll_timeout() else { return false };
        poller.handle_timeout(at - Duration::from_nanos(1));
        assert!(poller.poll_output().is_none(), "nothing happens early");
        self.now = at;
        poller.handle_timeout(at);
        let output = poller.poll_output();
        assert!(
            matches!(&output, Some(SrvPollerOutput::Lookup(lookup)) if *lookup == poller.query),
            "{output:?}"
        );
        assert_ne!(poller.poll_timeout(), Some(at), "the deadline is used up");
        poller.handle_srv(at, answer);
        while let Some(output) = self.poller.as_mut().and_then(SrvPoller::poll_output) {
            match output {
                SrvPollerOutput::Hosts(hosts) => self.topology.handle_srv_hosts(at, &hosts),
                SrvPollerOutput::Overlooked(_) => self.overlooked += 1,
                SrvPollerOutput::Lookup(lookup) => panic!("{lookup}"),
            }
        }
        true
    }

    fn ports(&self) -> Vec<u16> {
        let servers = self.topology.description().servers.keys();
        servers.inspect(|a| assert_eq!(a.host(), HOST)).filter_map(ServerAddress::port).collect()
    }

    fn until_next(&self) -> Option<Duration> {
        self.poller.as_ref().and_then(SrvPoller::poll_timeout).map(|at| at - self.now)
    }
}

impl core::ops::Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, d: Duration) -> Instant {
        Instant::from_nanos(self.as_nanos().saturating_sub(u64::try_from(d.as_nanos()).unwrap()))
    }
}

const TEST1: &str = "mongodb+srv://test1.test.build.10gen.cc";

/// What is left of test1's two hosts after DNS has changed to `ports`.
fn after_change(ports: &[u16]) -> Vec<u16> {
    let mut client = Client::new(TEST1, &[27017, 27018]);
    assert_eq!(client.ports(), [27017, 27018]);
    assert!(client.rescan(Ok(records(ports))));
    assert_eq!(client.overlooked, 0);
    assert_eq!(client.until_next(), Some(TTL));
    client.ports()
}

#[test]
fn prose_1_addition_of_a_record() {
    assert_eq!(after_change(&[27017, 27018, 27019]), [27017, 27018, 27019]);
}

#[test]
fn prose_2_removal_of_a_record() {
    assert_eq!(after_change(&[27017]), [27017]);
}

#[test]
fn prose_3_replacement_of_a_record() {
    assert_eq!(after_change(&[27017, 27019]), [27017, 27019]);
}

#[test]
fn prose_4_replacement_of_both_records_with_one() {
    assert_eq!(after_change(&[27019]), [27019]);
}

#[test]
fn prose_5_replacement_of_both_records_with_two() {
    assert_eq!(after_change(&[27019, 27020]), [27019, 27020]);
}

/// An error leaves the topology alone, shortens the interval, and is over with the next good answer.
fn after_error(answer: Result<Vec<SrvRecord>>) {
    let mut client = Client::new(TEST1, &[27017, 27018]);
    assert_eq!(client.until_next(), Some(TTL));
    assert!(client.rescan(answer));
    assert_eq!((client.ports(), client.overlooked), (vec![27017, 27018], 1));
    assert_eq!(client.until_next(), Some(Duration::from_secs(10)), "heartbeatFrequencyMS");
    assert!(client.rescan(Ok(records(&[27017]))));
    assert_eq!((client.ports(), client.until_next()), (vec![27017], Some(TTL)));
}

#[test]
fn prose_6_lookup_timeout() {
    after_error(Err(failed(&Lookup::Srv("x".into()), "timed out")));
    // A resolver that never says anything ends the same way.
    let mut client = Client::new(TEST1, &[27017, 27018]);
    let poller = client.poller.as_mut().unwrap();
    let at = poller.poll_timeout().unwrap();
    poller.handle_timeout(at);
    let overdue = poller.poll_timeout().unwrap();
    assert_eq!(overdue - at, crate::options::defaults::DEFAULT_CONNECT_TIMEOUT);
    poller.handle_timeout(overdue);
    assert_eq!(poller.poll_timeout(), Some(overdue + Duration::from_secs(10)));
    poller.handle_srv(overdue, Ok(records(&[1])));
    let outputs: Vec<_> = core::iter::from_fn(|| poller.poll_output()).collect();
    assert!(
        matches!(&outputs[..], [SrvPollerOutput::Lookup(_), SrvPollerOutput::Overlooked(_)]),
        "{outputs:?}"
    );
}

#[test]
fn prose_7_lookup_failure() {
    after_error(Err(failed(&Lookup::Srv("x".into()), "NXDOMAIN")));
}

#[test]
fn prose_8_removal_of_all_records() {
    after_error(Ok(vec![]));
}

#[test]
fn prose_9_load_balanced_clusters_are_not_polled() {
    let mut client = Client::new("mongodb+srv://test3.test.build.10gen.cc/?loadBalanced=true", &[27017]);
    assert!(!client.rescan(Ok(records(&[27017, 27018]))));
    assert_eq!(client.ports(), [27017]);
}

fn with_max(max: u32, change: &[u16]) -> Vec<u16> {
    let mut client = Client::new(&alloc::format!("{TEST1}/?srvMaxHosts={max}"), &[27017, 27018]);
    assert!(client.rescan(Ok(records(change))));
    client.ports()
}

#[test]
fn prose_10_srv_max_hosts_of_0_selects_all() {
    assert_eq!(with_max(0, &[27017, 27019, 27020]), [27017, 27019, 27020]);
}

#[test]
fn prose_11_srv_max_hosts_of_all_selects_all() {
    assert_eq!(with_max(2, &[27019, 27020]), [27019, 27020]);
}

#[test]
fn prose_12_srv_max_hosts_selects_new_ones_at_random() {
    let mut seen = BTreeSet::new();
    for seed in 0..40 {
        let mut client = Client::new(&alloc::format!("{TEST1}/?srvMaxHosts=2"), &[27017, 27018]);
        client.poller.as_mut().unwrap().rng = Rng::new(seed);
        assert!(client.rescan(Ok(records(&[27017, 27019, 27020]))));
        let ports = client.ports();
        assert_eq!((ports.len(), ports[0]), (2, 27017), "{ports:?}");
        seen.insert(ports[1]);
    }
    assert_eq!(seen, [27019, 27020].into());
}

#[test]
fn prose_13_custom_service_name() {
    let uri = "mongodb+srv://test22.test.build.10gen.cc/?srvServiceName=customname";
    let mut client = Client::new(uri, &[27017]);
    assert_eq!(
        client.poller.as_ref().unwrap().query.to_string(),
        "SRV _customname._tcp.test22.test.build.10gen.cc"
    );
    assert!(client.rescan(Ok(records(&[27019, 27020]))));
    assert_eq!(client.ports(), [27019, 27020]);
}

#[test]
fn hosts_outside_of_the_domain_are_passed_over() {
    let mut client = Client::new(TEST1, &[27017, 27018]);
    let mut answer = records(&[27019]);
    answer.push(SrvRecord::new("evil.example.com", 27017, Some(TTL)));
    assert!(client.rescan(Ok(answer)));
    assert_eq!((client.ports(), client.overlooked), (vec![27019], 1));
    assert!(client.rescan(Ok(vec![SrvRecord::new("evil.example.com", 27017, Some(TTL))])));
    assert_eq!(client.ports(), [27019]);
    assert_eq!(client.until_next(), Some(Duration::from_secs(10)));
}

#[test]
fn hosts_that_stay_are_left_alone() {
    let mut client = Client::new(TEST1, &[27017, 27018]);
    let stays = ServerAddress::tcp(HOST, 27017);
    let before = Arc::clone(client.topology.description().server(&stays).unwrap());
    assert!(client.rescan(Ok(records(&[27017, 27019]))));
    assert!(Arc::ptr_eq(&before, client.topology.description().server(&stays).unwrap()));
}

#[test]
fn the_shortest_ttl_counts_but_never_less_than_a_minute() {
    for (ttls, expected) in [
        ([Some(90), Some(70)], 70),
        ([Some(0), Some(70)], 60),
        ([None, Some(70)], 60),
        ([Some(u64::MAX), Some(u64::MAX)], u64::MAX),
    ] {
        let record = |ttl: &Option<u64>| SrvRecord::new(HOST, 27017, ttl.map(Duration::from_secs));
        let answer: Vec<_> = ttls.iter().map(record).collect();
        let mut client = Client::with_records(TEST1, answer.clone());
        let capped = Duration::from_secs(expected).min(Duration::from_nanos(u64::MAX));
        assert_eq!(client.until_next(), Some(capped));
        if client.now + capped == Instant::MAX {
            continue;
        }
        assert!(client.rescan(Ok(answer)));
        assert_eq!(client.until_next(), Some(capped));
    }
}

/// "MUST NOT rescan SRV DNS records when the Topology is not Sharded".
#[test]
fn a_replica_set_is_not_polled() {
    let mut client = Client::new(TEST1, &[27017, 27018]);
    let poller = client.poller.as_mut().unwrap();
    let mut server = ServerDescription::unknown(ServerAddress::tcp(HOST, 27017));
    let mut topology = TopologyDescription::clone(client.topology.description());
    for (server_type, topology_type, polled) in [
        (ServerType::Unknown, TopologyType::Unknown, true),
        (ServerType::RsSecondary, TopologyType::ReplicaSetNoPrimary, false),
        (ServerType::RsPrimary, TopologyType::ReplicaSetWithPrimary, false),
        (ServerType::Standalone, TopologyType::Single, false),
        (ServerType::Mongos, TopologyType::Sharded, true),
    ] {
        server.server_type = server_type;
        topology.servers = [(server.address.clone(), Arc::new(server.clone()))].into();
        topology.topology_type = topology_type;
        poller.handle_topology(client.now, &topology);
        assert_eq!(poller.poll_timeout().is_some(), polled, "{topology_type:?}");
    }
    // What was asked before the type was known is not followed after.
    let at = poller.poll_timeout().unwrap();
    poller.handle_timeout(at);
    topology.topology_type = TopologyType::ReplicaSetWithPrimary;
    poller.handle_topology(at, &topology);
    poller.handle_srv(at, Ok(records(&[27019])));
    assert!(matches!(poller.poll_output(), Some(SrvPollerOutput::Lookup(_))));
    assert!(poller.poll_output().is_none());
}
