//! What people are shown of a run.

use crate::world::{Event, Traced};

/// Whether a reader of a timeline wants to see that: not what members say to each other all day.
pub(super) fn is_worth_showing(traced: &Traced) -> bool {
    match &traced.event {
        Event::Message { .. } | Event::Lost { .. } => false,
        Event::Bytes { label, .. } => {
            !matches!(label.as_deref(), Some("hello" | "isMaster" | "ismaster" | "bytes") | None)
        }
        _ => true,
    }
}
