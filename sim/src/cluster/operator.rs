//! Commands to one member, as an operator at a console would give them.
//!
//! No client is in between: one connection a command, no monitoring, no retries, and no log-in where clients have to.

use super::{Cluster, Place};
use bson::{Document, doc};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate::Runtime;
use std::future::Future;
use std::io;

const OP_MSG: i32 = 2013;
/// Header, flags, kind of section.
const HEAD: usize = 21;

impl Cluster {
    /// Runs a command on a member's `admin` database; gives the reply, whether it is an error or not.
    ///
    /// # Errors
    /// When the member cannot be reached, or does not go on answering.
    pub fn command(
        &self,
        member: usize,
        command: Document,
    ) -> impl Future<Output = io::Result<Document>> + Send + use<> {
        let Place { address, .. } = self.0.places[member].clone();
        let number = self.0.number;
        let runtime = self.0.world.runtime(self.0.operator);
        async move {
            let mut stream = runtime.connect(address).await?;
            stream.write_all(&message(command, number)?).await?;
            let mut head = [0; HEAD];
            stream.read_exact(&mut head).await?;
            let mut document = vec![0; body_length(&head)?];
            stream.read_exact(&mut document).await?;
            bson::deserialize_from_slice(&document).map_err(io::Error::other)
        }
    }

    /// Gives a command whose answer nobody waits for.
    pub(crate) fn order(&self, member: usize, command: Document) {
        let done = self.command(member, command);
        self.0.world.runtime(self.0.operator).spawn(async move {
            // What comes of it is seen in the deployment.
            let _ = done.await;
        });
    }
}

/// A command as a message.
pub(super) fn message(mut command: Document, number: Option<i64>) -> io::Result<Vec<u8>> {
    command.extend(doc! { "$db": "admin" });
    command.extend(number.map(|number| ("$operator".to_owned(), number.into())));
    let document = bson::serialize_to_vec(&command).map_err(io::Error::other)?;
    let length = i32::try_from(HEAD + document.len()).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEAD + document.len());
    for number in [length, 1, 0, OP_MSG, 0] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.push(0);
    bytes.extend_from_slice(&document);
    Ok(bytes)
}

/// How long the document behind the head of a reply is.
pub(super) fn body_length(head: &[u8; HEAD]) -> io::Result<usize> {
    let length = i32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_sub(HEAD))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message without a document"))
}
