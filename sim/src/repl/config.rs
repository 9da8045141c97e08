//! The configuration of a replica set: who is in it and with what part, as `replSetGetConfig` shows it.

use quorate_core::ServerAddress;
use quorate_core::concern::{ReplicaSetConfig, ReplicaSetMember, WriteConcernMode};
use std::collections::BTreeMap;
use std::time::Duration;

/// Which of two configurations is newer: the later term, or in one term the higher version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigVersion {
    /// The term of the primary that made it; -1 for one made by `replSetReconfig` with `force`.
    pub term: i64,
    /// `version`, raised by every reconfiguration.
    pub version: i64,
}

impl ConfigVersion {
    /// Of a member that has none yet.
    pub const NONE: ConfigVersion = ConfigVersion { term: -1, version: -2 };

    /// Whether `self` replaces `other`. A configuration without a term (forced) is compared by version alone.
    pub fn is_newer_than(self, other: ConfigVersion) -> bool {
        if self.term == other.term || self.term == -1 || other.term == -1 {
            return self.version > other.version;
        }
        self.term > other.term
    }
}

/// The configuration of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The set's name: `_id`.
    pub name: String,
    /// Raised by every reconfiguration; what `hello` calls `setVersion`.
    pub version: i64,
    /// The term of the primary that made it.
    pub term: i64,
    /// The members, in order.
    pub members: Vec<MemberConfig>,
    /// Whether `w: "majority"` waits for journals.
    pub write_concern_majority_journal_default: bool,
    /// The rest: time-outs, modes.
    pub settings: Settings,
}

/// `settings` of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether secondaries may replicate from secondaries.
    pub chaining_allowed: bool,
    /// Time between two heartbeats to a member.
    pub heartbeat_interval: Duration,
    /// How long a heartbeat may take before the member counts as down.
    pub heartbeat_timeout: Duration,
    /// How long a primary is missed before another is elected, and how long a primary without a majority stays one.
    pub election_timeout: Duration,
    /// How long a new primary tries to get what others have of the last term; `None` without limit.
    pub catch_up_timeout: Option<Duration>,
    /// How long a member that is ahead of a new primary lets that catch up before it takes over; `None` never does.
    pub catch_up_takeover_delay: Option<Duration>,
    /// Custom write concerns: for each tag, how many different values.
    pub modes: BTreeMap<String, WriteConcernMode>,
    /// `replicaSetId`, twelve bytes.
    pub replica_set_id: [u8; 12],
}

impl Default for Settings {
    /// The server's defaults: heartbeats every 2 s, elections after 10 s.
    fn default() -> Self {
        Settings {
            chaining_allowed: true,
            heartbeat_interval: Duration::from_millis(2_000),
            heartbeat_timeout: Duration::from_secs(10),
            election_timeout: Duration::from_millis(10_000),
            catch_up_timeout: None,
            catch_up_takeover_delay: Some(Duration::from_millis(30_000)),
            modes: BTreeMap::new(),
            replica_set_id: [0; 12],
        }
    }
}

/// One member of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberConfig {
    /// `_id`: unique in the set, and kept.
    pub id: i32,
    /// Where it listens.
    pub host: ServerAddress,
    /// Votes, and holds no data.
    pub arbiter_only: bool,
    /// Has indexes; always true here, kept for `replSetGetConfig`.
    pub build_indexes: bool,
    /// Not in `hello`.
    pub hidden: bool,
    /// 0 is never elected; a member of higher priority takes over.
    pub priority: f64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How far it stays behind on purpose.
    pub secondary_delay: Duration,
    /// Whether it has a vote.
    pub votes: bool,
    /// Added by a reconfiguration and not yet a secondary: until then it has neither vote nor priority. Not shown by
    /// `replSetGetConfig`.
    pub newly_added: bool,
}

impl MemberConfig {
    /// An ordinary member: data, a vote, priority 1.
    pub fn new(id: i32, host: ServerAddress) -> Self {
        MemberConfig {
            id,
            host,
            arbiter_only: false,
            build_indexes: true,
            hidden: false,
            priority: 1.0,
            tags: BTreeMap::new(),
            secondary_delay: Duration::ZERO,
            votes: true,
            newly_added: false,
        }
    }

    /// The same as an arbiter.
    #[must_use]
    pub fn arbiter(mut self) -> Self {
        self.arbiter_only = true;
        self.priority = 0.0;
        self
    }

    /// The same with another priority.
    #[must_use]
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = priority;
        self
    }

    /// The same, kept from clients, with priority 0.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self.priority = 0.0;
        self
    }

    /// The same, staying behind: hidden, with priority 0.
    #[must_use]
    pub fn delayed(mut self, by: Duration) -> Self {
        self.secondary_delay = by;
        self.hidden()
    }

    /// The same without a vote, with priority 0.
    #[must_use]
    pub fn non_voting(mut self) -> Self {
        self.votes = false;
        self.priority = 0.0;
        self
    }

    /// The same with one more tag.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// Whether it may become primary.
    pub fn is_electable(&self) -> bool {
        self.priority > 0.0 && !self.arbiter_only && !self.newly_added
    }

    /// Whether its vote counts now.
    pub fn is_voter(&self) -> bool {
        self.votes && !self.newly_added
    }
}

impl Config {
    /// Version 1 of a set with these members and default settings.
    pub fn new(name: &str, members: impl IntoIterator<Item = MemberConfig>) -> Self {
        Config {
            name: name.into(),
            version: 1,
            term: 0,
            members: members.into_iter().collect(),
            write_concern_majority_journal_default: true,
            settings: Settings::default(),
        }
    }

    /// Its place among configurations of the set.
    pub fn number(&self) -> ConfigVersion {
        ConfigVersion { term: self.term, version: self.version }
    }

    /// The member at that address.
    pub fn find(&self, host: &ServerAddress) -> Option<&MemberConfig> {
        self.members.iter().find(|member| member.host == *host)
    }

    /// The member of that `_id`.
    pub fn member(&self, id: i32) -> Option<&MemberConfig> {
        self.members.iter().find(|member| member.id == id)
    }

    /// How many members have a vote.
    pub fn voters(&self) -> usize {
        self.members.iter().filter(|member| member.is_voter()).count()
    }

    /// More than half of the votes.
    pub fn majority(&self) -> usize {
        self.voters() / 2 + 1
    }

    /// How the write-concern evaluator of the core wants it.
    pub fn for_concerns(&self) -> ReplicaSetConfig {
        let mut config = ReplicaSetConfig::new(self.members.iter().map(|member| {
            let mut of = ReplicaSetMember::new(member.id);
            of.host = member.host.to_string();
            of.arbiter = member.arbiter_only;
            of.hidden = member.hidden;
            of.votes = member.is_voter();
            of.electable = member.is_electable();
            of.delay_secs = member.secondary_delay.as_secs();
            of.tags.clone_from(&member.tags);
            of
        }));
        config.modes.clone_from(&self.settings.modes);
        config.write_concern_majority_journal_default = self.write_concern_majority_journal_default;
        config
    }
}
