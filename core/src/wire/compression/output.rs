//! Room for output that grows with it, and never beyond what the message claims.

use alloc::vec::Vec;

/// The first room, for each byte of input.
#[cfg(feature = "zlib")]
const PER_BYTE: usize = 4;
/// No room is smaller than this many bytes, unless the whole output is.
const LEAST: usize = 1024;

/// The first room for the output of `input` bytes, which is to have `size`.
#[cfg(feature = "zlib")]
pub(super) fn first_room(input: usize, size: usize) -> usize {
    input.saturating_mul(PER_BYTE).max(LEAST).min(size)
}

/// Fills `out` up with more room behind `start`: twice what there is. False when all `size` bytes are there already.
#[cfg(feature = "zlib")]
pub(super) fn grow(out: &mut Vec<u8>, start: usize, size: usize) -> bool {
    let have = out.len().saturating_sub(start);
    let needed = have.saturating_add(1);
    if needed > size {
        return false;
    }
    make_room(out, start, needed, size);
    out.resize(start.saturating_add(have.saturating_mul(2).max(LEAST).min(size)), 0);
    true
}

/// Makes the capacity behind `start` at least `needed`: by doubling, so that bytes are seldom moved, but no further than
/// `size`, which `Vec` on its own would not know.
pub(super) fn make_room(out: &mut Vec<u8>, start: usize, needed: usize, size: usize) {
    let have = out.capacity().saturating_sub(start);
    if needed > have {
        let room = have.saturating_mul(2).max(LEAST).min(size).max(needed);
        let used = out.len().saturating_sub(start);
        out.reserve_exact(room.saturating_sub(used));
    }
}
