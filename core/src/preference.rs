//! Read preference: which members a read may go to.
//!
//! Source: server selection specification, "Read Preference".

use crate::raw::DocWriter;
use crate::shared::Arc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// One tag set: every name must be present on a server with that very value. The empty set matches every server.
pub type TagSet = alloc::collections::BTreeMap<String, String>;

/// The five modes (server selection specification, "mode").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ReadPreferenceMode {
    /// Only the primary.
    #[default]
    Primary,
    /// The primary, or a secondary when there is none.
    PrimaryPreferred,
    /// Only secondaries.
    Secondary,
    /// A secondary, or the primary when there is none.
    SecondaryPreferred,
    /// Any data-bearing member, by latency alone.
    Nearest,
}

impl ReadPreferenceMode {
    /// The name the protocol and connection strings use.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReadPreferenceMode::Primary => "primary",
            ReadPreferenceMode::PrimaryPreferred => "primaryPreferred",
            ReadPreferenceMode::Secondary => "secondary",
            ReadPreferenceMode::SecondaryPreferred => "secondaryPreferred",
            ReadPreferenceMode::Nearest => "nearest",
        }
    }

    /// The mode of that name, ignoring ASCII case.
    pub fn parse(name: &str) -> Option<Self> {
        use ReadPreferenceMode::*;
        [Primary, PrimaryPreferred, Secondary, SecondaryPreferred, Nearest]
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(name))
    }
}

/// The largest allowed difference between heartbeats and staleness; max staleness specification,
/// "smallestMaxStalenessSeconds": no value below 90 seconds is accepted.
pub const SMALLEST_MAX_STALENESS: Duration = Duration::from_secs(90);

/// A read preference as the machines use it: cheap to clone, no field that can contradict another unnoticed
/// ([`ReadPreference::validate`] tells).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct ReadPreference {
    /// Which kinds of member.
    pub mode: ReadPreferenceMode,
    /// Tag sets in order of preference; empty means any server.
    pub tag_sets: Arc<[TagSet]>,
    /// How far behind a secondary may be, at least [`SMALLEST_MAX_STALENESS`]; `None` for any staleness.
    pub max_staleness: Option<Duration>,
}

impl ReadPreference {
    /// Only the primary: the default.
    pub fn primary() -> Self {
        Self::default()
    }

    /// A preference with that mode and no further conditions.
    pub fn new(mode: ReadPreferenceMode) -> Self {
        ReadPreference { mode, ..Self::default() }
    }

    /// The same with tag sets, tried in order.
    #[must_use]
    pub fn with_tag_sets(mut self, tag_sets: impl Into<Vec<TagSet>>) -> Self {
        self.tag_sets = Arc::from(tag_sets.into());
        self
    }

    /// The same with a bound on staleness.
    #[must_use]
    pub fn with_max_staleness(mut self, max: Duration) -> Self {
        self.max_staleness = Some(max);
        self
    }

    /// Says what is contradictory in it: mode `primary` takes neither tag sets (other than one empty set) nor
    /// staleness; staleness below 90 seconds is refused.
    ///
    /// # Errors
    /// A sentence naming the offending field.
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.mode == ReadPreferenceMode::Primary {
            if self.tag_sets.iter().any(|set| !set.is_empty()) {
                return Err("readPreferenceTags cannot be combined with read preference mode primary");
            }
            if self.max_staleness.is_some() {
                return Err("maxStalenessSeconds cannot be combined with read preference mode primary");
            }
        }
        if self.max_staleness.is_some_and(|max| max < SMALLEST_MAX_STALENESS) {
            return Err("maxStalenessSeconds must be at least 90");
        }
        Ok(())
    }

    /// Appends the fields of a `$readPreference` document (`mode`, `tags`, `maxStalenessSeconds`).
    pub fn write_fields<'w>(&self, writer: DocWriter<'w>) -> DocWriter<'w> {
        let mut writer = writer.str("mode", self.mode.as_str());
        if !self.tag_sets.is_empty() {
            writer = writer.array("tags", |mut array| {
                for (i, set) in self.tag_sets.iter().enumerate() {
                    array = array.doc(&alloc::format!("{i}"), |mut doc| {
                        for (name, value) in set {
                            doc = doc.str(name, value);
                        }
                        doc
                    });
                }
                array
            });
        }
        if let Some(max) = self.max_staleness {
            writer = writer.i64("maxStalenessSeconds", i64::try_from(max.as_secs()).unwrap_or(i64::MAX));
        }
        writer
    }
}
