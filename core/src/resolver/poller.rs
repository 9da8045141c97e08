//! The SRV records of a running client, asked for again and again.
//!
//! Source: polling SRV records for mongos discovery specification.

use super::record::{Lookup, MAX_RECORDS, SrvRecord, distinct, failed, shortest_ttl};
use crate::options::{choose_srv_hosts, verify_srv_host};
use crate::sdam::{TopologyDescription, TopologyType};
use crate::{ClientOptions, Duration, Error, Instant, Result, Rng, ServerAddress};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The least time between two rescans that follow a successful one ("MUST NOT be lower than 60 seconds").
pub const MIN_RESCAN_INTERVAL: Duration = Duration::from_secs(60);

/// What [`SrvPoller`] wants done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SrvPollerOutput {
    /// Look this up, and bring what comes of it.
    Lookup(Lookup),
    /// The topology is to consist of these hosts ([`crate::sdam::Topology::handle_srv_hosts`]).
    Hosts(Vec<ServerAddress>),
    /// Something was wrong with an answer. Nothing has to be done, but it should be seen in a log.
    Overlooked(Error),
}

/// Keeps the list of `mongos` of a sharded cluster fresh. See [`super`] for how a host drives it.
///
/// It asks only while the topology is Unknown or Sharded, of which [`SrvPoller::handle_topology`] tells it.
#[derive(Clone, Debug)]
pub struct SrvPoller {
    query: Lookup,
    /// The host of the connection string, whose domain the records must not leave.
    name: String,
    suffix: Option<String>,
    max_hosts: u32,
    heartbeat_frequency: Duration,
    lookup_timeout: Option<Duration>,
    wait: Wait,
    /// Whether the topology's type is one that is polled.
    polls: bool,
    hosts: BTreeSet<ServerAddress>,
    rng: Rng,
    outputs: VecDeque<SrvPollerOutput>,
}

/// What it waits for.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// The time of the next rescan.
    Rescan(Instant),
    /// An answer, until a moment if there is a limit.
    Answer(Option<Instant>),
}

impl SrvPoller {
    /// Starts polling for a client whose seeds have just been found. `options` are those of [`super::Resolved`], and so is
    /// `ttl`.
    ///
    /// `None` for options without SRV records, and for load balanced clusters, which are not polled.
    pub fn new(now: Instant, options: &ClientOptions, ttl: Option<Duration>, rng: Rng) -> Option<Self> {
        if options.load_balanced == Some(true) {
            return None;
        }
        Some(SrvPoller {
            query: Lookup::Srv(options.srv_query()?),
            name: options.srv_host.clone()?,
            suffix: options.srv_allowed_hosts_suffix.clone(),
            max_hosts: options.srv_max_hosts.unwrap_or(0),
            heartbeat_frequency: options.effective_heartbeat_freq(),
            lookup_timeout: options.effective_connect_timeout(),
            wait: Wait::Rescan(now + rescan_interval(ttl)),
            polls: true,
            hosts: options.hosts.iter().cloned().collect(),
            rng,
            outputs: VecDeque::new(),
        })
    }

    /// The topology has changed.
    pub fn handle_topology(&mut self, _now: Instant, topology: &TopologyDescription) {
        self.polls = matches!(topology.topology_type, TopologyType::Unknown | TopologyType::Sharded);
        self.hosts = topology.servers.keys().cloned().collect();
    }

    /// Asks anew if it is time to, and gives up on an answer that is overdue.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| at > now) {
            return;
        }
        match self.wait {
            Wait::Rescan(_) => {
                self.wait = Wait::Answer(self.lookup_timeout.map(|limit| now + limit));
                self.outputs.push_back(SrvPollerOutput::Lookup(self.query.clone()));
            }
            Wait::Answer(_) => self.fail(now, failed(&self.query, "no answer within connectTimeoutMS")),
        }
    }

    /// The look-up has ended.
    pub fn handle_srv(&mut self, now: Instant, answer: Result<Vec<SrvRecord>>) {
        if matches!(self.wait, Wait::Rescan(_)) {
            return;
        }
        match answer {
            Err(why) => self.fail(now, failed(&self.query, why)),
            Ok(records) if records.len() > MAX_RECORDS => {
                self.fail(now, failed(&self.query, "too many records"));
            }
            Ok(records) => self.take(now, &records),
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<SrvPollerOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`SrvPoller::handle_timeout`]; `None` while there is nothing to poll for.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.wait {
            _ if !self.polls => None,
            Wait::Rescan(at) => Some(at),
            Wait::Answer(until) => until,
        }
    }

    fn take(&mut self, now: Instant, records: &[SrvRecord]) {
        let suffix = self.suffix.as_deref();
        let verified = |record: &SrvRecord| {
            record.address().filter(|address| verify_srv_host(&self.name, suffix, address.host()))
        };
        let valid = distinct(records.iter().filter_map(verified));
        // "SHOULD log the non-compliance, including the host name": one is enough to go and look.
        if let Some(bad) = records.iter().find(|record| verified(record).is_none()) {
            let why =
                format!("passed over the host `{}`, which is none or lies outside of the domain", bad.target);
            self.overlook(failed(&self.query, why));
        }
        if valid.is_empty() {
            return self.fail(now, failed(&self.query, "no usable SRV record"));
        }
        // "MUST be set to the lowest of the individual TTL values", from the end of this rescan.
        self.wait = Wait::Rescan(now + rescan_interval(shortest_ttl(records)));
        if self.polls {
            let hosts = self.choose(valid);
            self.outputs.push_back(SrvPollerOutput::Hosts(hosts));
        }
    }

    /// Those of `valid` that are in the topology stay. New ones come to them, at random if not all can.
    fn choose(&mut self, valid: Vec<ServerAddress>) -> Vec<ServerAddress> {
        let max = usize::try_from(self.max_hosts).unwrap_or(usize::MAX);
        if max == 0 || max >= valid.len() {
            return valid;
        }
        let (mut hosts, new): (Vec<_>, Vec<_>) =
            valid.into_iter().partition(|host| self.hosts.contains(host));
        let free = max.saturating_sub(hosts.len());
        if free > 0 {
            hosts.extend(choose_srv_hosts(&new, free, &mut self.rng));
        }
        hosts
    }

    /// "MUST NOT change the topology", "MUST NOT raise an error", and asks again after `heartbeatFrequencyMS`.
    fn fail(&mut self, now: Instant, why: Error) {
        self.wait = Wait::Rescan(now + self.heartbeat_frequency);
        self.overlook(why);
    }

    fn overlook(&mut self, why: Error) {
        self.outputs.push_back(SrvPollerOutput::Overlooked(why));
    }
}

/// "rescanSRVIntervalMS".
fn rescan_interval(ttl: Option<Duration>) -> Duration {
    ttl.unwrap_or(MIN_RESCAN_INTERVAL).max(MIN_RESCAN_INTERVAL)
}

#[cfg(test)]
mod tests;
