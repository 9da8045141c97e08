//! No TLS: bytes are what they are.

use super::Received;
use crate::mongod::MongodSettings;
use crate::node::ConnId;

/// The TLS of one process: there is none.
#[derive(Debug)]
pub(crate) struct Tls;

impl Tls {
    pub(crate) fn new(_settings: &MongodSettings) -> Self {
        Tls
    }

    pub(crate) fn receive<'b>(&mut self, _conn: ConnId, bytes: &'b [u8]) -> Received<'b> {
        Received::clear(bytes)
    }

    pub(crate) fn seal(&mut self, _conn: ConnId, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    pub(crate) fn misses(&self, _conn: ConnId) -> bool {
        false
    }

    pub(crate) fn subject(&self, _conn: ConnId) -> Option<String> {
        None
    }

    pub(crate) fn close(&mut self, _conn: ConnId) -> Vec<u8> {
        Vec::new()
    }

    pub(crate) fn clear(&mut self) {}
}
