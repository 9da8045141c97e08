//! Well-formed messages made wrong in one place each.

use crate::wire::{HEADER_LEN, OP_MSG};

/// With another length in its header.
#[must_use]
pub fn message_length(mut message: Vec<u8>, length: i32) -> Vec<u8> {
    set(&mut message, 0, length);
    message
}

/// An answer to another request.
#[must_use]
pub fn response_to(mut message: Vec<u8>, request_id: i32) -> Vec<u8> {
    set(&mut message, 8, request_id);
    message
}

/// With another op code.
#[must_use]
pub fn op_code(mut message: Vec<u8>, code: i32) -> Vec<u8> {
    set(&mut message, 12, code);
    message
}

/// With other flag bits (OP_MSG only; an OP_REPLY has its own flags at the same place).
#[must_use]
pub fn flags(mut message: Vec<u8>, flags: i32) -> Vec<u8> {
    set(&mut message, HEADER_LEN, flags);
    message
}

/// With another section kind (OP_MSG only).
#[must_use]
pub fn section_kind(mut message: Vec<u8>, kind: u8) -> Vec<u8> {
    if let Some(slot) = message.get_mut(HEADER_LEN + 4) {
        *slot = kind;
    }
    message
}

/// With another length of its document.
#[must_use]
pub fn document_length(mut message: Vec<u8>, length: i32) -> Vec<u8> {
    let is_msg = message.get(12..16) == Some(&OP_MSG.to_le_bytes()[..]);
    let at = HEADER_LEN + if is_msg { 5 } else { 20 };
    set(&mut message, at, length);
    message
}

/// Cut off after `length` bytes.
#[must_use]
pub fn truncated(mut message: Vec<u8>, length: usize) -> Vec<u8> {
    message.truncate(length);
    message
}

fn set(message: &mut [u8], at: usize, value: i32) {
    if let Some(slot) = message.get_mut(at..at + 4) {
        slot.copy_from_slice(&value.to_le_bytes());
    }
}
