//! Which deployment there is to be.

#[cfg(not(target_family = "wasm"))]
use super::served::ServedCluster;
use super::{Cluster, Inner, Place};
use crate::mongod::{IdentityProvider, MongodSettings, User};
use crate::node::NodeId;
use crate::repl::{Config, Member, MemberConfig};
use crate::world::{Keep, Link, World, WorldOptions, child_seed};
use quorate::{Runtime, ServerAddress};
use quorate_core::wire::compression::Compressor;
use quorate_core::{DEFAULT_PORT, Duration};
use std::fmt;
use std::sync::Arc;

/// A deployment to be made. Members are counted from 0, in the order in which they were added.
#[derive(Clone)]
#[must_use = "nothing is there until it is built"]
pub struct Builder {
    pub(super) shape: Shape,
    pub(super) seed: u64,
    link: Link,
    shuffle: bool,
    keep: Keep,
    clients: usize,
    pub(super) elect: bool,
    compressors: Option<Vec<Compressor>>,
    users: Vec<User>,
    tokens: bool,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ServerConfig>>,
    adjust: Option<Adjust<MongodSettings>>,
}

/// What people may change of the settings of the process with that number.
type Adjust<T> = Arc<dyn Fn(usize, &mut T) + Send + Sync>;

/// The kinds of deployment. Configurations have members whose hosts are filled in later.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Standalone,
    ReplicaSet(Config),
    Sharded {
        /// Of each shard, but for its name.
        config: Config,
        shards: usize,
        routers: usize,
        balanced: bool,
    },
}

/// How long the first election may take; it is a matter of milliseconds.
const ELECTION: Duration = Duration::from_secs(60);
/// How often a member is asked to stand for election.
const ASK: Duration = Duration::from_millis(100);
/// How often somebody looks whether there is a primary.
const LOOK: Duration = Duration::from_millis(1);

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("shape", &self.shape)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Builder {
    fn new(shape: Shape) -> Self {
        Builder {
            shape,
            seed: 0,
            link: Link::default(),
            shuffle: false,
            keep: Keep::default(),
            clients: 1,
            elect: true,
            compressors: None,
            users: Vec::new(),
            tokens: false,
            #[cfg(feature = "tls")]
            tls: None,
            adjust: None,
        }
    }

    pub(super) fn standalone() -> Self {
        Self::new(Shape::Standalone)
    }

    pub(super) fn replica_set() -> Self {
        Self::new(Shape::ReplicaSet(Config::new("rs0", [])))
    }

    pub(super) fn sharded(balanced: bool) -> Self {
        Self::new(Shape::Sharded { config: Config::new("shard", []), shards: 2, routers: 2, balanced })
    }
}

/// The world around it.
impl Builder {
    /// Where all chance comes from; 0 unless it is said.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What the network is like between all machines.
    pub fn link(mut self, link: Link) -> Self {
        self.link = link;
        self
    }

    /// Draws the order in which tasks run that can run at the same moment, rather than running whoever was woken first.
    pub fn shuffle(mut self) -> Self {
        self.shuffle = true;
        self
    }

    /// Keeps the whole trace from the start.
    pub fn keep_trace(mut self) -> Self {
        self.keep = Keep::All;
        self
    }

    /// How many machines applications run on; 1 unless it is said. A partition can separate one of them from a member.
    pub fn clients(mut self, count: usize) -> Self {
        self.clients = count.max(1);
        self
    }

    /// Leaves it to time who becomes the first primary: without this the first member that can is one when the deployment is
    /// handed over.
    pub fn unelected(mut self) -> Self {
        self.elect = false;
        self
    }

    /// The compressors that servers have (`--networkMessageCompressors`); all three unless it is said. A client uses one where its
    /// own options name it, and only those that were compiled in.
    pub fn compressors(mut self, compressors: &[Compressor]) -> Self {
        self.compressors = Some(compressors.to_vec());
        self
    }

    /// Adds a user of the `admin` database, by SCRAM, and makes clients log in. The connection string is the first user's.
    pub fn user(self, name: &str, password: &str) -> Self {
        self.add_user(User::new(name, password))
    }

    /// Adds a user of whatever database, and makes clients log in. The connection string is the first user's.
    pub fn add_user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Lets people in by tokens too (MONGODB-OIDC), those of [`Cluster::token`], and makes clients log in.
    pub fn tokens(mut self) -> Self {
        self.tokens = true;
        self
    }

    /// Makes servers require TLS, with this certificate and whatever they ask of clients. The connection string has `tls=true`; the
    /// authority that vouches for the servers, `db0` and so on or in real time `localhost`, is the clients' to know.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> Self {
        self.tls = Some(config);
        self
    }

    /// Changes the settings of processes; it is called with the number of each.
    pub fn settings(mut self, adjust: impl Fn(usize, &mut MongodSettings) + Send + Sync + 'static) -> Self {
        self.adjust = Some(Arc::new(adjust));
        self
    }
}

/// Sharded clusters; nothing here changes other deployments.
impl Builder {
    /// How many shards there are.
    pub fn shards(mut self, count: usize) -> Self {
        if let Shape::Sharded { shards, .. } = &mut self.shape {
            *shards = count.max(1);
        }
        self
    }

    /// How many routers there are.
    pub fn routers(mut self, count: usize) -> Self {
        if let Shape::Sharded { routers, .. } = &mut self.shape {
            *routers = count.max(1);
        }
        self
    }
}

/// Members of a replica set, or of each shard. A standalone has none, and nothing here changes it.
impl Builder {
    /// Adds ordinary members: data, a vote, priority 1.
    pub fn members(mut self, count: usize) -> Self {
        for _ in 0..count {
            self = self.member(|member| member);
        }
        self
    }

    /// Adds a member that is an arbiter: a vote, no data.
    pub fn arbiter(self) -> Self {
        self.member(MemberConfig::arbiter)
    }

    /// Adds a member that clients are not told of.
    pub fn hidden(self) -> Self {
        self.member(MemberConfig::hidden)
    }

    /// Adds a hidden member that stays behind by so much.
    pub fn delayed(self, by: Duration) -> Self {
        self.member(|member| member.delayed(by))
    }

    /// Adds a member without a vote.
    pub fn non_voting(self) -> Self {
        self.member(MemberConfig::non_voting)
    }

    /// Adds a member, after a change of the ordinary one.
    pub fn member(self, adjust: impl FnOnce(MemberConfig) -> MemberConfig) -> Self {
        self.config(|config| {
            // The number and the host are known when it is built.
            let id = i32::try_from(config.members.len()).unwrap_or(i32::MAX);
            config.members.push(adjust(MemberConfig::new(id, ServerAddress::default())));
        })
    }

    /// The priority of a member that was added before.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn priority(self, member: usize, priority: f64) -> Self {
        self.config(|config| config.members[member].priority = priority)
    }

    /// The tags of a member that was added before.
    ///
    /// # Panics
    /// When there is no such member.
    pub fn tags(self, member: usize, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.config(|config| config.members[member].tags = tags)
    }

    /// The set's name; `rs0` unless it is said.
    pub fn name(self, name: &str) -> Self {
        self.config(|config| config.name = name.to_owned())
    }

    /// `electionTimeoutMillis`; 10 s unless it is said.
    pub fn election_timeout(self, timeout: Duration) -> Self {
        self.config(|config| config.settings.election_timeout = timeout)
    }

    /// `heartbeatIntervalMillis`; 2 s unless it is said.
    pub fn heartbeat_interval(self, interval: Duration) -> Self {
        self.config(|config| config.settings.heartbeat_interval = interval)
    }

    /// Changes whatever else the configuration has.
    pub fn config(mut self, adjust: impl FnOnce(&mut Config)) -> Self {
        if let Shape::ReplicaSet(config) | Shape::Sharded { config, .. } = &mut self.shape {
            adjust(config);
        }
        self
    }
}

impl Builder {
    /// Three ordinary members where nobody has added any.
    fn complete(self) -> Self {
        match &self.shape {
            Shape::ReplicaSet(config) | Shape::Sharded { config, .. } if config.members.is_empty() => {
                self.members(3)
            }
            _ => self,
        }
    }

    /// The settings of the processes at those addresses.
    pub(super) fn settings_for(&self, addresses: &[ServerAddress]) -> Vec<MongodSettings> {
        (0..)
            .zip(addresses)
            .map(|(number, address)| {
                let seed = child_seed(self.seed, "process", number);
                let mut settings = MongodSettings::new(address.clone(), seed);
                if let Some(compressors) = &self.compressors {
                    settings.compressors.clone_from(compressors);
                }
                self.admit(&mut settings);
                if let Some(adjust) = &self.adjust {
                    adjust(number as usize, &mut settings);
                }
                settings
            })
            .collect()
    }

    /// Who may do what.
    fn admit(&self, settings: &mut MongodSettings) {
        settings.users.extend(self.users.iter().cloned());
        settings.identity_provider = self.identity_provider();
        settings.operator = self.operator();
        settings.auth |= self.asks_for_log_in();
        #[cfg(feature = "tls")]
        settings.tls.clone_from(&self.tls);
    }

    pub(super) fn identity_provider(&self) -> Option<IdentityProvider> {
        self.tokens.then(|| IdentityProvider::new(child_seed(self.seed, "tokens", 0)))
    }

    /// What the operator shows where others log in.
    pub(super) fn operator(&self) -> Option<i64> {
        let asked = self.asks_for_log_in() || self.asks_for_tls();
        asked.then(|| child_seed(self.seed, "operator", 0).cast_signed())
    }

    fn asks_for_log_in(&self) -> bool {
        self.tokens || !self.users.is_empty()
    }

    #[cfg(feature = "tls")]
    fn asks_for_tls(&self) -> bool {
        self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn asks_for_tls(&self) -> bool {
        false
    }

    /// The connection string, with the first user's name and password.
    pub(super) fn uri(&self, addresses: &[ServerAddress]) -> String {
        let mut uri = self.shape.uri(addresses);
        if self.asks_for_tls() {
            uri.push_str(if uri.contains('?') { "&tls=true" } else { "?tls=true" });
        }
        let Some(user) = self.users.first() else { return uri };
        let certified = user.password.is_empty();
        let password = if certified { String::new() } else { format!(":{}", escaped(&user.password)) };
        let login = format!("mongodb://{}{password}@", escaped(&user.name));
        let uri = uri.replacen("mongodb://", &login, 1);
        let more = if uri.contains('?') { "&" } else { "?" };
        let mechanism = match (user.db.as_str(), certified) {
            ("$external", true) => "&authMechanism=MONGODB-X509",
            ("$external", false) => "&authMechanism=PLAIN",
            _ => "",
        };
        format!("{uri}{more}authSource={}{mechanism}", escaped(&user.db))
    }

    /// Makes the deployment in virtual time. Where it is a replica set that can have a primary, it has one by now.
    pub fn build(self) -> Cluster {
        let builder = self.complete();
        let world = World::new(WorldOptions {
            seed: child_seed(builder.seed, "world", 0),
            link: builder.link.clone(),
            shuffle: builder.shuffle,
        });
        world.keep_trace(builder.keep);
        let parts = builder.shape.parts();
        let addresses: Vec<_> =
            parts.iter().map(|part| ServerAddress::tcp(part.host_name(), DEFAULT_PORT)).collect();
        let mut places = Vec::new();
        let processes = builder.shape.processes(builder.settings_for(&addresses));
        for ((process, part), address) in processes.into_iter().zip(parts).zip(&addresses) {
            let host = world.add_host(address.host());
            let node = world.add_node(host, DEFAULT_PORT, |_: NodeId| process);
            places.push(Place { node, host, address: address.clone(), part });
        }
        let clients = (0..builder.clients).map(|number| world.add_host(&format!("app{number}"))).collect();
        let operator = world.add_host("operator");
        for place in &places {
            world.start(place.node);
        }
        let uri = builder.uri(&addresses);
        let (number, provider) = (builder.operator(), builder.identity_provider());
        let inner = Inner { world, uri, places, clients, operator, number, provider };
        let cluster = Cluster(Arc::new(inner));
        if builder.elect {
            builder.shape.favourites().into_iter().for_each(|favourite| cluster.elect(favourite));
        }
        cluster
    }

    /// Makes the deployment on free ports of the loopback interface, in real time. Its network has no faults of its own.
    ///
    /// # Errors
    /// Those of the system.
    #[cfg(not(target_family = "wasm"))]
    pub fn serve(self) -> std::io::Result<ServedCluster> {
        let builder = self.complete();
        ServedCluster::start(&builder)
    }
}

/// Text as it stands in a connection string.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl Cluster {
    /// Whether that member is primary, and a majority replicates from it.
    fn is_led_by(&self, member: usize) -> bool {
        let replica = |look: fn(&Member) -> i64| self.replica(member, look);
        let term = replica(Member::term);
        let leads = self.replica(member, Member::is_writable_primary) == Some(true);
        leads && term == replica(|member| member.commit_point().term)
    }

    /// Asks a member to be primary, and waits until it is.
    fn elect(&self, member: usize) {
        let runtime = self.0.world.runtime(self.0.operator);
        self.run(async {
            let end = self.now() + ELECTION;
            let mut ask_at = self.now();
            while !self.is_led_by(member) && self.now() < end {
                // It may not be ready to stand yet.
                if self.replica(member, Member::is_writable_primary) == Some(false) && self.now() >= ask_at {
                    self.step_up(member);
                    ask_at = self.now() + ASK;
                }
                runtime.sleep_until(self.now() + LOOK).await;
            }
        });
    }
}
