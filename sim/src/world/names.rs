//! Name look-up: what a name means at the moment.

use super::trace::HostId;
use quorate_core::{Duration, Rng};
use std::collections::BTreeMap;

/// What look-up answers for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Those machines, in that order. A client tries one after the other.
    Hosts(Vec<HostId>),
    /// There is no such name.
    NoSuchName,
    /// Nothing: the name server cannot be reached. A client is told so after [`RESOLVER_TIMEOUT`].
    Silence,
}

impl From<HostId> for Answer {
    fn from(host: HostId) -> Self {
        Answer::Hosts(vec![host])
    }
}

/// How long a machine asks a name server that does not answer: twice for five seconds, as the usual resolver does.
pub const RESOLVER_TIMEOUT: Duration = Duration::from_secs(10);

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    answers: BTreeMap<String, Answer>,
    rng: Rng,
}

impl Names {
    pub(super) fn new(seed: u64) -> Self {
        Names { answers: BTreeMap::new(), rng: Rng::new(seed) }
    }

    pub(super) fn set(&mut self, name: &str, answer: Answer) {
        self.answers.insert(name.to_lowercase(), answer);
    }

    pub(super) fn look_up(&self, name: &str) -> Answer {
        self.answers.get(name).cloned().unwrap_or(Answer::NoSuchName)
    }

    /// How long an answer takes: a name server near by, a cache in between.
    pub(super) fn delay(&mut self) -> u64 {
        100_000 + super::link::below(&mut self.rng, 200_000)
    }
}
