//! The wall clock of simulated servers: virtual time on a fixed date, the same for all.

use bson::{Bson, DateTime, Document, Timestamp, doc};
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::time::Duration;

/// 2026-01-01T00:00:00Z in seconds since 1970: the wall clock at instant zero.
pub const WALL_EPOCH_SECS: u32 = 1_767_225_600;

/// Milliseconds since 1970.
pub fn wall_millis(now: Instant) -> i64 {
    i64::from(WALL_EPOCH_SECS) * 1_000 + (now.as_nanos() / 1_000_000) as i64
}

/// Whole seconds since 1970.
pub(crate) fn wall_secs(now: Instant) -> u32 {
    WALL_EPOCH_SECS.saturating_add((now.as_nanos() / 1_000_000_000) as u32)
}

/// When the wall clock shows this second.
pub(crate) fn instant_of(wall_secs: u32) -> Instant {
    Instant::ZERO + Duration::from_secs(u64::from(wall_secs.saturating_sub(WALL_EPOCH_SECS)))
}

pub(crate) fn date(now: Instant) -> DateTime {
    DateTime::from_millis(wall_millis(now))
}

/// The second an entry was made in.
pub(crate) fn date_of(optime: OpTime) -> DateTime {
    DateTime::from_millis(i64::from(optime.ts.time) * 1_000)
}

pub(crate) fn timestamp(optime: OpTime) -> Bson {
    Bson::Timestamp(Timestamp { time: optime.ts.time, increment: optime.ts.increment })
}

/// `{ts, t}`.
pub(crate) fn optime_doc(optime: OpTime) -> Document {
    doc! { "ts": timestamp(optime), "t": optime.term }
}
