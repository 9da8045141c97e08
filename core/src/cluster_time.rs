//! Cluster time: the newest `$clusterTime` any server has told, sent along with every command.
//!
//! Source: driver sessions specification, "Gossipping the cluster time".

use crate::raw::{RawDoc, Timestamp};

/// Room for a `$clusterTime` document: servers' are about 90 bytes with their signature.
const ROOM: usize = 192;

/// The newest cluster time seen, kept in place so that taking one in never allocates.
///
/// A document larger than any real server sends is not gossiped (it may only come from a peer that means harm).
///
/// ```
/// use quorate_core::{ClusterTime, raw::{DocWriter, RawDoc, Timestamp}};
/// let mut bytes = Vec::new();
/// DocWriter::new(&mut bytes).timestamp("clusterTime", Timestamp { time: 7, increment: 1 }).finish();
/// let mut known = ClusterTime::default();
/// assert!(known.advance(RawDoc::new(&bytes).unwrap()));
/// assert!(!known.advance(RawDoc::new(&bytes).unwrap()), "the same time again is no news");
/// assert_eq!(known.timestamp(), Some(Timestamp { time: 7, increment: 1 }));
/// ```
#[derive(Clone)]
pub struct ClusterTime {
    at: Timestamp,
    length: u8,
    bytes: [u8; ROOM],
}

impl Default for ClusterTime {
    fn default() -> Self {
        ClusterTime { at: Timestamp::default(), length: 0, bytes: [0; ROOM] }
    }
}

impl ClusterTime {
    /// The cluster time of a `$clusterTime` document; `None` if it is not one.
    pub fn from_raw(document: RawDoc<'_>) -> Option<Self> {
        let mut time = ClusterTime::default();
        time.advance(document).then_some(time)
    }

    /// Takes in a `$clusterTime` document; true when it is newer than what was known.
    pub fn advance(&mut self, document: RawDoc<'_>) -> bool {
        let Ok(Some(value)) = document.get("clusterTime") else { return false };
        let Some(at) = value.as_timestamp() else { return false };
        self.advance_to(at, document)
    }

    /// As [`ClusterTime::advance`], where the timestamp has been read already.
    pub fn advance_to(&mut self, at: Timestamp, document: RawDoc<'_>) -> bool {
        let bytes = document.as_bytes();
        if (self.length != 0 && at <= self.at) || bytes.len() > ROOM {
            return false;
        }
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len() as u8;
        self.at = at;
        true
    }

    /// The document to send; `None` before any server has told one (standalones never do).
    pub fn document(&self) -> Option<RawDoc<'_>> {
        // What was copied in was a checked document, so this only fails while there is none.
        RawDoc::new(&self.bytes[..usize::from(self.length)]).ok()
    }

    /// When it is, if known.
    pub fn timestamp(&self) -> Option<Timestamp> {
        (self.length != 0).then_some(self.at)
    }
}

impl PartialEq for ClusterTime {
    fn eq(&self, other: &Self) -> bool {
        self.document() == other.document()
    }
}

impl core::fmt::Debug for ClusterTime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ClusterTime").field(&self.timestamp()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw::DocWriter;
    use alloc::vec::Vec;

    fn time(time: u32, padding: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        DocWriter::new(&mut bytes)
            .timestamp("clusterTime", Timestamp { time, increment: 1 })
            .binary("padding", 0, &alloc::vec![0; padding])
            .finish();
        bytes
    }

    #[test]
    fn only_goes_forward() {
        let mut known = ClusterTime::default();
        assert!(known.document().is_none());
        assert!(known.advance(RawDoc::new(&time(5, 0)).unwrap()));
        assert!(!known.advance(RawDoc::new(&time(4, 0)).unwrap()));
        assert!(known.advance(RawDoc::new(&time(6, 40)).unwrap()));
        assert_eq!(known.document().unwrap().as_bytes(), &time(6, 40)[..]);
    }

    #[test]
    fn what_no_server_sends_is_not_passed_on() {
        let mut known = ClusterTime::default();
        assert!(!known.advance(RawDoc::new(&time(9, 4096)).unwrap()));
        assert!(!known.advance(RawDoc::EMPTY));
        assert!(known.document().is_none());
    }
}
