//! Any sequence of hello replies, failed checks and application errors keeps the topology's invariants.
//!
//! Beside the machine runs a slow twin: the pure table applied to every input, without the machine's shortcut for a hello
//! that says nothing new. The two must agree at every step.

use proptest::prelude::*;
use quorate_core::error::{CommandError, IoErrorKind};
use quorate_core::event::sdam::SdamEvent;
use quorate_core::raw::{DocWriter, RawDoc};
use quorate_core::sdam::{
    AppError, ServerDescription, ServerType, Topology, TopologyDescription, TopologyOptions, TopologyOutput,
    TopologyType, TopologyVersion, decide, updated_from_srv, updated_topology,
};
use quorate_core::{Duration, Error, ErrorKind, HelloReply, Instant, ServerAddress};
use std::collections::BTreeMap;
use std::sync::Arc;

const NAMES: [&str; 6] = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"];

fn address(i: usize) -> ServerAddress {
    ServerAddress::parse(NAMES[i]).unwrap()
}

#[derive(Clone, Debug)]
enum Input {
    Hello(usize, Box<HelloReply>, Option<u64>),
    /// The server repeats its last hello.
    Again(usize),
    Failed(usize, bool),
    App(usize, i32, bool, Option<u32>, Option<i64>),
    Rtt(usize, u64),
    Srv(Vec<usize>),
}

fn addresses() -> impl Strategy<Value = Vec<ServerAddress>> {
    prop::collection::btree_set(0..NAMES.len(), 0..4).prop_map(|set| set.into_iter().map(address).collect())
}

fn hello(wire: std::ops::Range<i32>) -> impl Strategy<Value = Box<HelloReply>> {
    let role = prop_oneof![
        8 => Just("primary"), 6 => Just("secondary"), 1 => Just("arbiter"), 1 => Just("other"),
        1 => Just("hidden"), 1 => Just("ghost"), 1 => Just("mongos"), 1 => Just("standalone"),
    ];
    let election = (prop::option::weighted(0.8, 1u8..4), prop::option::weighted(0.8, 1i64..4));
    let set_name = prop_oneof![12 => Just("rs"), 1 => Just("other")];
    let odd = (prop::option::weighted(0.2, 0..NAMES.len()), prop::option::weighted(0.3, 0i64..4), wire);
    (role, addresses(), addresses(), election, set_name, odd).prop_map(
        |(role, hosts, passives, (election, version), set_name, (me, counter, wire))| {
            let mut hello = HelloReply::default();
            hello.ok = true;
            hello.max_wire_version = wire;
            hello.topology_version = counter.map(|counter| TopologyVersion { process_id: [1; 12], counter });
            match role {
                "mongos" => hello.is_mongos = true,
                "ghost" => hello.is_replica_set = true,
                "standalone" => hello.is_writable_primary = true,
                _ => {
                    hello.set_name = Some((*set_name).into());
                    hello.is_writable_primary = role == "primary";
                    hello.secondary = role == "secondary";
                    hello.arbiter_only = role == "arbiter";
                    hello.hidden = role == "hidden";
                    (hello.hosts, hello.passives) = (hosts.into(), passives.into());
                    hello.set_version = version;
                    hello.election_id = election.filter(|_| role == "primary").map(|e| [e; 12]);
                    hello.me = me.map(|me| address(me).into());
                }
            }
            Box::new(hello)
        },
    )
}

fn input(wire: std::ops::Range<i32>) -> impl Strategy<Value = Input> {
    let server = 0..NAMES.len();
    let code = prop_oneof![Just(0), Just(91), Just(189), Just(10107), Just(8000)];
    let generation = prop::option::of(0u32..3);
    prop_oneof![
        10 => (server.clone(), hello(wire), prop::option::of(1u64..9)).prop_map(|(s, h, r)| Input::Hello(s, h, r)),
        5 => server.clone().prop_map(Input::Again),
        3 => (server.clone(), any::<bool>()).prop_map(|(s, timeout)| Input::Failed(s, timeout)),
        4 => (server.clone(), code, any::<bool>(), generation, prop::option::of(0i64..4))
            .prop_map(|(s, code, before, generation, version)| Input::App(s, code, before, generation, version)),
        1 => (server.clone(), 1u64..9).prop_map(|(s, rtt)| Input::Rtt(s, rtt)),
        1 => prop::collection::vec(server, 0..4).prop_map(Input::Srv),
    ]
}

fn options() -> impl Strategy<Value = TopologyOptions> {
    let seeds = prop::collection::btree_set(0..NAMES.len(), 1..4);
    let kind = prop_oneof![
        4 => Just((None, None)),
        4 => Just((None, Some("rs"))),
        1 => Just((Some(true), None)),
        1 => Just((Some(true), Some("rs"))),
    ];
    (seeds, kind).prop_map(|(seeds, (direct_connection, replica_set))| TopologyOptions {
        seeds: seeds
            .into_iter()
            .map(address)
            .take(if direct_connection.is_some() { 1 } else { usize::MAX })
            .collect(),
        direct_connection,
        replica_set: replica_set.map(str::to_string),
        ..TopologyOptions::default()
    })
}

/// What an application error's case stands for.
fn app_error(topology: &Topology, server: usize, input: &Input) -> AppError {
    let Input::App(_, code, before, generation, version) = input else { unreachable!() };
    let error = match code {
        0 => Error::io(IoErrorKind::Reset, "reset"),
        code => Error::new(ErrorKind::Command(CommandError::new(*code, "", "refused", Vec::new()))),
    };
    let current = topology.generation(&address(server), None);
    let mut error = AppError::new(error, generation.unwrap_or(current));
    error.before_handshake = *before;
    error.topology_version = version.map(|counter| TopologyVersion { process_id: [1; 12], counter });
    error
}

/// The machine, its slow twin, and a host that believes nothing but outputs.
struct Run {
    now: Instant,
    machine: Topology,
    options: TopologyOptions,
    twin: Arc<TopologyDescription>,
    last_hello: BTreeMap<usize, Box<HelloReply>>,
    pools: BTreeMap<ServerAddress, (u32, bool)>,
    servers: BTreeMap<ServerAddress, Arc<ServerDescription>>,
    topology: Arc<TopologyDescription>,
}

impl Run {
    fn new(options: TopologyOptions) -> Self {
        let machine = Topology::new(1, options.clone());
        let twin = Arc::new(TopologyDescription::new(&options));
        let mut empty = TopologyDescription::clone(&twin);
        (empty.topology_type, empty.set_name) = (TopologyType::Unknown, None);
        empty.servers.clear();
        let mut run = Run {
            now: Instant::ZERO,
            machine,
            options,
            twin,
            last_hello: BTreeMap::new(),
            pools: BTreeMap::new(),
            servers: BTreeMap::new(),
            topology: Arc::new(empty),
        };
        run.drain();
        run
    }

    fn give(&mut self, input: &Input) {
        self.now += Duration::from_millis(1);
        match input {
            Input::Hello(server, hello, rtt) => {
                self.last_hello.insert(*server, hello.clone());
                self.hello(*server, hello, rtt.map(Duration::from_millis));
            }
            Input::Again(server) => {
                if let Some(hello) = self.last_hello.get(server).cloned() {
                    self.hello(*server, &hello, None);
                }
            }
            Input::Failed(server, timeout) => {
                let kind = if *timeout { IoErrorKind::TimedOut } else { IoErrorKind::Reset };
                let error = Error::io(kind, "failed");
                self.machine.handle_check_failed(self.now, &address(*server), error.clone());
                self.twin_hears(ServerDescription::from_error(address(*server), error, None));
            }
            Input::App(server, ..) => {
                let error = app_error(&self.machine, *server, input);
                let at = address(*server);
                let effect = self
                    .twin
                    .server(&at)
                    .map(|held| decide(&error, held, self.machine.generation(&at, None)))
                    .unwrap_or_default();
                self.machine.handle_app_error(self.now, &at, &error);
                if effect.mark_unknown {
                    self.twin_hears(ServerDescription::from_error(at, error.error, effect.topology_version));
                }
            }
            Input::Rtt(server, rtt) => {
                let rtt = Some(Duration::from_millis(*rtt));
                self.machine.handle_rtt(self.now, &address(*server), rtt, rtt);
            }
            Input::Srv(hosts) => {
                let hosts: Vec<_> = hosts.iter().map(|i| address(*i)).collect();
                self.machine.handle_srv_hosts(self.now, &hosts);
                self.twin = updated_from_srv(&self.twin, &hosts).topology;
            }
        }
    }

    fn hello(&mut self, server: usize, hello: &HelloReply, rtt: Option<Duration>) {
        self.machine.handle_hello(self.now, &address(server), hello, rtt, rtt);
        self.twin_hears(ServerDescription::from_hello(address(server), hello, rtt, rtt, self.now));
    }

    fn twin_hears(&mut self, server: ServerDescription) {
        self.twin = updated_topology(&self.twin, server, &self.options).topology;
    }

    /// Takes the outputs, each checked against what the earlier ones said.
    fn drain(&mut self) {
        let (mut published, mut changed) = (0, 0);
        while let Some(output) = self.machine.poll_output() {
            match output {
                TopologyOutput::Event(event) => published += usize::from(self.event(event)),
                TopologyOutput::ServerAdded(address) => {
                    assert_eq!(self.pools.insert(address, (0, false)), None);
                }
                TopologyOutput::ServerRemoved(address) => assert!(self.pools.remove(&address).is_some()),
                TopologyOutput::PoolReady(address) => {
                    let (_, ready) = self.pools.get_mut(&address).unwrap();
                    assert!(!std::mem::replace(ready, true), "ready twice");
                }
                TopologyOutput::ClearPool { address, .. } => {
                    let (generation, ready) = self.pools.get_mut(&address).unwrap();
                    *generation += 1;
                    *ready = false;
                }
                TopologyOutput::RequestCheck(address)
                | TopologyOutput::CancelCheck(address)
                | TopologyOutput::StalePrimary(address) => assert!(self.pools.contains_key(&address)),
                TopologyOutput::Changed => changed += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(published, changed);
    }

    /// The chain of events; says whether it was a change of the topology.
    fn event(&mut self, event: SdamEvent) -> bool {
        match event {
            SdamEvent::ServerOpening(event) => {
                let unknown = ServerDescription::unknown(event.address.clone());
                assert!(self.servers.insert(event.address, Arc::new(unknown)).is_none());
            }
            SdamEvent::ServerClosed(event) => assert!(self.servers.remove(&event.address).is_some()),
            SdamEvent::ServerDescriptionChanged(event) => {
                let held = self.servers.insert(event.address, Arc::clone(&event.new_description)).unwrap();
                assert!(held.is_equal_to(&event.previous_description));
                assert!(!held.is_equal_to(&event.new_description));
            }
            SdamEvent::TopologyDescriptionChanged(event) => {
                assert!(self.topology.is_equal_to(&event.previous_description));
                assert!(!self.topology.is_equal_to(&event.new_description));
                self.topology = event.new_description;
                return true;
            }
            _ => {}
        }
        false
    }

    fn check(&self) {
        let topology = self.machine.description();
        assert!(topology.is_equal_to(&self.twin), "{topology:#?}\n{:#?}", self.twin);
        assert!(topology.is_equal_to(&self.topology), "the last event does not show what is");
        assert!(
            topology.servers.keys().eq(self.servers.keys()) && topology.servers.keys().eq(self.pools.keys())
        );
        for (address, server) in &topology.servers {
            assert_eq!(address, &server.address);
            assert!(server.is_equal_to(&self.servers[address]));
            assert_eq!(self.machine.generation(address, None), self.pools[address].0);
            if server.server_type == ServerType::Unknown {
                assert_eq!(server.round_trip_time, None);
            } else if server.server_type.is_data_bearing() {
                assert!(self.pools[address].1, "selectable, and its pool is not ready");
            }
        }
        check_types(topology);
    }
}

fn check_types(topology: &TopologyDescription) {
    let types: Vec<_> = topology.servers.values().map(|server| server.server_type).collect();
    let primaries = types.iter().filter(|t| **t == ServerType::RsPrimary).count();
    let all = |legal: fn(&ServerType) -> bool| assert!(types.iter().all(legal), "{topology:#?}");
    match topology.topology_type {
        TopologyType::Single => assert_eq!(types.len(), 1),
        TopologyType::Unknown => all(|t| matches!(t, ServerType::Unknown | ServerType::RsGhost)),
        // A ghost found before the first mongos stays until its next check.
        TopologyType::Sharded => {
            all(|t| matches!(t, ServerType::Unknown | ServerType::Mongos | ServerType::RsGhost))
        }
        TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary => {
            let expected = usize::from(topology.topology_type == TopologyType::ReplicaSetWithPrimary);
            assert_eq!(primaries, expected);
            all(|t| !matches!(t, ServerType::Standalone | ServerType::Mongos | ServerType::LoadBalancer));
        }
        TopologyType::LoadBalanced => unreachable!(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_step_keeps_the_invariants(
        options in options(),
        inputs in prop::collection::vec(input(0..25), 0..60),
    ) {
        let mut run = Run::new(options);
        run.check();
        for input in &inputs {
            let set_name = run.machine.description().set_name.clone();
            let revision = run.machine.revision();
            run.give(input);
            run.drain();
            run.check();
            prop_assert!(run.machine.revision() >= revision);
            if set_name.is_some() {
                prop_assert_eq!(&run.machine.description().set_name, &set_name);
            }
        }
        run.machine.handle_close(run.now);
        run.drain();
        prop_assert!(run.pools.is_empty() && run.servers.is_empty() && run.topology.servers.is_empty());
    }

    /// Within servers of one kind the newest election only moves forward.
    #[test]
    fn elections_only_move_forward(
        (newer, inputs) in any::<bool>().prop_flat_map(|newer| {
            let wire = if newer { 17..25 } else { 8..17 };
            (Just(newer), prop::collection::vec(input(wire), 0..60))
        }),
    ) {
        let mut run = Run::new(TopologyOptions { seeds: vec![address(0), address(1)], ..Default::default() });
        for input in &inputs {
            let before = Arc::clone(run.machine.description());
            run.give(input);
            let after = run.machine.description();
            if newer {
                prop_assert!((after.max_election_id, after.max_set_version)
                    >= (before.max_election_id, before.max_set_version));
            } else {
                prop_assert!((after.max_set_version, after.max_election_id)
                    >= (before.max_set_version, before.max_election_id));
            }
        }
    }

    /// When outputs are taken makes no difference to what they are.
    #[test]
    fn outputs_do_not_depend_on_when_they_are_taken(
        options in options(),
        inputs in prop::collection::vec((input(8..25), 0usize..4), 0..40),
    ) {
        let (mut eager, mut lazy) = (Run::new(options.clone()), Run::new(options));
        let (mut all, mut some) = (Vec::new(), Vec::new());
        for (input, taken) in &inputs {
            eager.give(input);
            all.extend(std::iter::from_fn(|| eager.machine.poll_output()));
            lazy.give(input);
            some.extend(std::iter::from_fn(|| lazy.machine.poll_output()).take(*taken));
        }
        some.extend(std::iter::from_fn(|| lazy.machine.poll_output()));
        prop_assert_eq!(all, some);
    }

    /// The comparison without a description is the comparison of descriptions.
    #[test]
    fn saying_the_same_is_being_equal(one in hello(0..3), other in hello(0..3), same in any::<bool>()) {
        let other = if same { one.clone() } else { other };
        let describe = |hello| ServerDescription::from_hello(address(0), hello, None, None, Instant::ZERO);
        prop_assert_eq!(describe(&one).says_the_same_as(&other), describe(&one).is_equal_to(&describe(&other)));
    }

    /// Damaged replies give an error or a reply, never a panic.
    #[test]
    fn damaged_replies_are_read_or_refused(flips in prop::collection::vec((any::<u16>(), any::<u8>()), 0..8)) {
        let mut bytes = Vec::new();
        DocWriter::new(&mut bytes)
            .i32("ok", 1)
            .strs("hosts", ["a:1", "b:2"])
            .str("setName", "rs")
            .doc("tags", |t| t.str("dc", "ny"))
            .doc("lastWrite", |l| l.date_time("lastWriteDate", 1).doc("opTime", |o| o.i64("t", 1)))
            .doc("topologyVersion", |t| t.object_id("processId", [1; 12]).i64("counter", 6))
            .strs("compression", ["zstd"])
            .i32("maxWireVersion", 21)
            .finish();
        let body = 4..bytes.len() - 1;
        for (at, value) in flips {
            let at = body.start + usize::from(at) % body.len();
            bytes[at] = value;
        }
        let _ = HelloReply::parse(RawDoc::new(&bytes).unwrap());
    }
}
