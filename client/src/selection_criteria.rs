//! Which servers an operation may go to, as applications write it down.
//!
//! The machines use the core's types (`quorate_core::selection::SelectionCriteria`, `quorate_core::ReadPreference`); the
//! enums here read as those of the official driver and are turned into the core's once, when a database, a collection
//! or an operation is made.

use crate::server_info::ServerInfo;
use quorate_core::{self as core, ReadPreferenceMode, selection};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use typed_builder::TypedBuilder;

/// Which servers an operation may go to.
#[derive(Clone)]
#[non_exhaustive]
pub enum SelectionCriteria {
    /// Those a read preference allows.
    ReadPreference(ReadPreference),
    /// Those a function accepts. Its answers are remembered until the topology changes, so it must depend on the
    /// server's description alone.
    Predicate(Predicate),
}

/// A condition on one server.
pub type Predicate = Arc<dyn Send + Sync + Fn(&ServerInfo<'_>) -> bool>;

/// One tag set: a server must carry every tag in it, with that value.
pub type TagSet = HashMap<String, String>;

impl fmt::Debug for SelectionCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectionCriteria::ReadPreference(preference) => {
                f.debug_tuple("ReadPreference").field(preference).finish()
            }
            SelectionCriteria::Predicate(_) => f.write_str("Predicate"),
        }
    }
}

impl fmt::Display for SelectionCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_core().fmt(f)
    }
}

impl PartialEq for SelectionCriteria {
    /// Two predicates are equal when they are the same object.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (SelectionCriteria::ReadPreference(a), SelectionCriteria::ReadPreference(b)) => a == b,
            (SelectionCriteria::Predicate(a), SelectionCriteria::Predicate(b)) => {
                std::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
            }
            _ => false,
        }
    }
}

impl From<ReadPreference> for SelectionCriteria {
    fn from(preference: ReadPreference) -> Self {
        SelectionCriteria::ReadPreference(preference)
    }
}

impl From<core::ReadPreference> for SelectionCriteria {
    fn from(preference: core::ReadPreference) -> Self {
        SelectionCriteria::ReadPreference(preference.into())
    }
}

impl SelectionCriteria {
    /// The same in the core's terms.
    pub fn to_core(&self) -> selection::SelectionCriteria {
        match self {
            SelectionCriteria::ReadPreference(preference) => preference.to_core().into(),
            SelectionCriteria::Predicate(predicate) => {
                let predicate = Arc::clone(predicate);
                selection::SelectionCriteria::Predicate(Arc::new(move |server| {
                    predicate(&ServerInfo::new(server))
                }))
            }
        }
    }
}

/// Which members of a replica set a read may go to.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReadPreference {
    /// Only the primary. The default.
    Primary,
    /// Only secondaries.
    Secondary {
        /// Tags and staleness.
        options: Option<ReadPreferenceOptions>,
    },
    /// The primary, or a secondary when there is none.
    PrimaryPreferred {
        /// Tags and staleness.
        options: Option<ReadPreferenceOptions>,
    },
    /// A secondary, or the primary when there is none.
    SecondaryPreferred {
        /// Tags and staleness.
        options: Option<ReadPreferenceOptions>,
    },
    /// Any of the nearest members.
    Nearest {
        /// Tags and staleness.
        options: Option<ReadPreferenceOptions>,
    },
}

/// Further conditions of a [`ReadPreference`] other than `Primary`.
#[derive(Clone, Debug, Default, PartialEq, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct ReadPreferenceOptions {
    /// Tag sets in order: the first that matches any server decides. An empty set matches every server.
    pub tag_sets: Option<Vec<TagSet>>,
    /// How far a secondary may be behind the primary, in whole seconds, at least 90 seconds.
    pub max_staleness: Option<Duration>,
}

impl ReadPreference {
    /// Only the primary.
    pub fn primary() -> Self {
        ReadPreference::Primary
    }

    /// Only secondaries.
    pub fn secondary(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        ReadPreference::Secondary { options: options.into() }
    }

    /// The primary, or a secondary when there is none.
    pub fn primary_preferred(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        ReadPreference::PrimaryPreferred { options: options.into() }
    }

    /// A secondary, or the primary when there is none.
    pub fn secondary_preferred(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        ReadPreference::SecondaryPreferred { options: options.into() }
    }

    /// Any of the nearest members.
    pub fn nearest(options: impl Into<Option<ReadPreferenceOptions>>) -> Self {
        ReadPreference::Nearest { options: options.into() }
    }

    /// The same in the core's terms.
    pub fn to_core(&self) -> core::ReadPreference {
        let (mode, options) = match self {
            ReadPreference::Primary => (ReadPreferenceMode::Primary, &None),
            ReadPreference::Secondary { options } => (ReadPreferenceMode::Secondary, options),
            ReadPreference::PrimaryPreferred { options } => (ReadPreferenceMode::PrimaryPreferred, options),
            ReadPreference::SecondaryPreferred { options } => {
                (ReadPreferenceMode::SecondaryPreferred, options)
            }
            ReadPreference::Nearest { options } => (ReadPreferenceMode::Nearest, options),
        };
        let mut preference = core::ReadPreference::new(mode);
        let Some(options) = options else { return preference };
        if let Some(sets) = options.tag_sets.as_ref().filter(|sets| !sets.is_empty()) {
            let ordered = |set: &TagSet| set.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
            preference = preference.with_tag_sets(sets.iter().map(ordered).collect::<Vec<core::TagSet>>());
        }
        preference.max_staleness = options.max_staleness;
        preference
    }
}

impl From<core::ReadPreference> for ReadPreference {
    fn from(preference: core::ReadPreference) -> Self {
        let tags = &preference.tag_sets;
        let unordered = |set: &core::TagSet| set.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        let options = ReadPreferenceOptions {
            tag_sets: (!tags.is_empty()).then(|| tags.iter().map(unordered).collect()),
            max_staleness: preference.max_staleness,
        };
        let options = Some(options).filter(|options| *options != ReadPreferenceOptions::default());
        match preference.mode {
            ReadPreferenceMode::Primary => ReadPreference::Primary,
            ReadPreferenceMode::Secondary => ReadPreference::Secondary { options },
            ReadPreferenceMode::PrimaryPreferred => ReadPreference::PrimaryPreferred { options },
            ReadPreferenceMode::SecondaryPreferred => ReadPreference::SecondaryPreferred { options },
            ReadPreferenceMode::Nearest => ReadPreference::Nearest { options },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_preferences_go_to_the_core_and_back() {
        let tags = TagSet::from([("dc".to_owned(), "ny".to_owned())]);
        let options = ReadPreferenceOptions::builder()
            .tag_sets(vec![tags, TagSet::new()])
            .max_staleness(Duration::from_secs(120))
            .build();
        for preference in [
            ReadPreference::Primary,
            ReadPreference::nearest(None),
            ReadPreference::secondary(options.clone()),
            ReadPreference::primary_preferred(options.clone()),
            ReadPreference::secondary_preferred(options),
        ] {
            assert_eq!(ReadPreference::from(preference.to_core()), preference);
        }
    }

    #[test]
    fn empty_tag_sets_are_no_condition() {
        let options = ReadPreferenceOptions::builder().tag_sets(Vec::new()).build();
        let preference = ReadPreference::nearest(options).to_core();
        assert_eq!(preference, core::ReadPreference::new(ReadPreferenceMode::Nearest));
    }
}
