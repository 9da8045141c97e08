//! What a member of a set is to be.

use bson::{Document, doc};
use std::collections::BTreeMap;

/// One member of the configuration; the default is an ordinary data-bearing, voting, electable one.
#[derive(Clone, Debug, PartialEq)]
pub struct MemberSpec {
    /// Votes, holds no data.
    pub arbiter: bool,
    /// Not named in hello. Needs `priority` 0.
    pub hidden: bool,
    /// Applies writes so many seconds late. Needs `priority` 0.
    pub delay_secs: u32,
    /// How much it wants to be primary; 0 for never.
    pub priority: f64,
    /// Tags for read preferences and write concerns.
    pub tags: BTreeMap<String, String>,
    /// 0 or 1.
    pub votes: u32,
}

impl Default for MemberSpec {
    fn default() -> Self {
        MemberSpec {
            arbiter: false,
            hidden: false,
            delay_secs: 0,
            priority: 1.0,
            tags: BTreeMap::new(),
            votes: 1,
        }
    }
}

impl MemberSpec {
    /// An arbiter.
    pub fn arbiter() -> Self {
        MemberSpec { arbiter: true, priority: 0.0, ..Self::default() }
    }

    /// A hidden member.
    pub fn hidden() -> Self {
        MemberSpec { hidden: true, priority: 0.0, ..Self::default() }
    }

    /// A hidden, delayed member.
    pub fn delayed(delay_secs: u32) -> Self {
        MemberSpec { hidden: true, priority: 0.0, delay_secs, ..Self::default() }
    }

    /// With another priority.
    #[must_use]
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = priority;
        self
    }

    /// With no vote, and never primary.
    #[must_use]
    pub fn non_voting(mut self) -> Self {
        self.votes = 0;
        self.priority = 0.0;
        self
    }

    /// With one more tag.
    #[must_use]
    pub fn tag(mut self, name: &str, value: &str) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// Whether it can become primary.
    pub(super) fn electable(&self) -> bool {
        !self.arbiter && self.priority > 0.0
    }

    /// Whether it acknowledges writes soon after they happen.
    pub(super) fn replicates_at_once(&self) -> bool {
        !self.arbiter && self.delay_secs == 0
    }

    /// Its entry of the configuration. The delay changed its name with server 5.0.
    pub(super) fn config(&self, id: usize, host: &str, before_5_0: bool) -> Document {
        let mut config = doc! {
            "_id": i32::try_from(id).unwrap_or(i32::MAX),
            "host": host,
            "priority": self.priority,
            "votes": i64::from(self.votes),
        };
        if self.arbiter {
            config.insert("arbiterOnly", true);
        }
        if self.hidden {
            config.insert("hidden", true);
        }
        if self.delay_secs > 0 {
            let name = if before_5_0 { "slaveDelay" } else { "secondaryDelaySecs" };
            config.insert(name, i64::from(self.delay_secs));
        }
        if !self.tags.is_empty() {
            let tags: Document = self.tags.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
            config.insert("tags", tags);
        }
        config
    }
}
