//! TLS of one process, by rustls.

use super::Received;
use crate::mongod::MongodSettings;
use crate::node::ConnId;
use rustls::{ServerConfig, ServerConnection};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// `ContentType::Handshake`, with which every TLS connection begins. No message of this protocol can: its first byte is the
/// lowest of a length, and the shortest message is longer.
const HANDSHAKE: u8 = 22;

/// The TLS of one process, if it has any.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Option<Arc<ServerConfig>>,
    /// Connections that speak TLS.
    sessions: BTreeMap<ConnId, Box<ServerConnection>>,
    /// Connections that do not: known since their first byte.
    clear: BTreeMap<ConnId, ()>,
}

impl Tls {
    pub(crate) fn new(settings: &MongodSettings) -> Self {
        Tls { config: settings.tls.clone(), sessions: BTreeMap::new(), clear: BTreeMap::new() }
    }

    /// Takes what a client sent.
    pub(crate) fn receive<'b>(&mut self, conn: ConnId, bytes: &'b [u8]) -> Received<'b> {
        let (Some(config), Some(first)) = (&self.config, bytes.first()) else {
            return Received::clear(bytes);
        };
        if self.clear.contains_key(&conn) {
            return Received::clear(bytes);
        }
        if !self.sessions.contains_key(&conn) {
            let session = (*first == HANDSHAKE).then(|| ServerConnection::new(config.clone()).ok()).flatten();
            let Some(mut session) = session else {
                self.clear.insert(conn, ());
                return Received::clear(bytes);
            };
            // Replies are as large as they are.
            session.set_buffer_limit(None);
            self.sessions.insert(conn, Box::new(session));
        }
        let Some(session) = self.sessions.get_mut(&conn) else { return Received::clear(bytes) };
        let mut content = Vec::new();
        let broken = open(session, bytes, &mut content).is_err();
        Received { content: Cow::Owned(content), answer: drain(session), broken }
    }

    /// What goes over the wire for these bytes.
    pub(crate) fn seal(&mut self, conn: ConnId, bytes: Vec<u8>) -> Vec<u8> {
        let Some(session) = self.sessions.get_mut(&conn) else { return bytes };
        // Its buffer has no limit: all of it is taken.
        let _ = session.writer().write_all(&bytes);
        drain(session)
    }

    /// Whether the connection should speak TLS and does not.
    pub(crate) fn misses(&self, conn: ConnId) -> bool {
        self.clear.contains_key(&conn)
    }

    /// Whom the client's certificate is about.
    pub(crate) fn subject(&self, conn: ConnId) -> Option<String> {
        super::subject::subject(self.sessions.get(&conn)?.peer_certificates()?.first()?)
    }

    /// The connection is closed from this side; its last bytes.
    pub(crate) fn close(&mut self, conn: ConnId) -> Vec<u8> {
        self.clear.remove(&conn);
        let Some(mut session) = self.sessions.remove(&conn) else { return Vec::new() };
        session.send_close_notify();
        drain(&mut session)
    }

    /// The process is gone.
    pub(crate) fn clear(&mut self) {
        self.sessions.clear();
        self.clear.clear();
    }
}

/// Takes bytes off the wire; appends what they say to `content`.
fn open(
    session: &mut ServerConnection,
    mut bytes: &[u8],
    content: &mut Vec<u8>,
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        // A slice gives no errors, and what was decrypted has been taken: there is room.
        if session.read_tls(&mut bytes).is_err() {
            break;
        }
        session.process_new_packets()?;
        match session.reader().read_to_end(content) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
    Ok(())
}

fn drain(session: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while session.wants_write() {
        // A vector takes everything.
        if session.write_tls(&mut bytes).is_err() {
            break;
        }
    }
    bytes
}
