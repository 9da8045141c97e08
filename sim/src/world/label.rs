//! What a reader of a timeline would call some bytes: the name of the command in them.

use std::fmt::{self, Debug, Write};
use std::sync::Arc;

const HEADER: usize = 16;
const OP_REPLY: i32 = 1;
const OP_QUERY: i32 = 2004;
const OP_COMPRESSED: i32 = 2012;
const OP_MSG: i32 = 2013;

/// The name of the command that the bytes begin with; `reply` for a reply; nothing for what does not begin a message.
pub(super) fn of(bytes: &[u8]) -> Option<Arc<str>> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(i32::from_le_bytes(four.try_into().ok()?))
    };
    let length = usize::try_from(number(0)?).ok()?;
    if !(HEADER..=48_000_000).contains(&length) {
        return None;
    }
    match number(12)? {
        OP_REPLY => Some("reply".into()),
        OP_COMPRESSED => Some("compressed".into()),
        _ if number(8)? != 0 => Some("reply".into()),
        // Flags, the kind of the first section, its document's length and the first field's type.
        OP_MSG if bytes.get(20) == Some(&0) => name(bytes, 26),
        // Documents first: what clients that write them in that order begin with.
        OP_MSG => Some("documents".into()),
        OP_QUERY => {
            let collection = bytes.get(20..)?.iter().position(|byte| *byte == 0)?;
            // Behind the collection's name: two numbers, the document's length and the first field's type.
            name(bytes, 20 + collection + 1 + 8 + 5)
        }
        _ => None,
    }
}

/// What kind of message it is: the beginning of what its `Debug` says, up to its second level.
pub(super) fn of_message(message: &impl Debug) -> Arc<str> {
    let mut label = Label(String::new());
    // It breaks off when the label is full.
    let _ = write!(label, "{message:?}");
    let words = label.0.split(['(', '{']).take(2).map(str::trim);
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").into()
}

/// Takes the first letters and no more.
struct Label(String);

impl Write for Label {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() < 48 { Ok(()) } else { Err(fmt::Error) }
    }
}

fn name(bytes: &[u8], at: usize) -> Option<Arc<str>> {
    let rest = bytes.get(at..)?;
    let name = rest.get(..rest.iter().take(64).position(|byte| *byte == 0)?)?;
    std::str::from_utf8(name).ok().map(Arc::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(response_to: i32, code: i32, rest: &[u8]) -> Vec<u8> {
        let length = (HEADER + rest.len()) as i32;
        let mut bytes = Vec::new();
        for number in [length, 7, response_to, code] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(rest);
        bytes
    }

    #[test]
    fn messages_are_called_by_their_command() {
        let msg = message(0, OP_MSG, b"\0\0\0\0\0\x0f\0\0\0\x10ping\0\x01\0\0\0\0");
        assert_eq!(of(&msg).as_deref(), Some("ping"));
        let query =
            message(0, OP_QUERY, b"\0\0\0\0admin.$cmd\0\0\0\0\0\xff\xff\xff\xff\x13\0\0\0\x10isMaster\0");
        assert_eq!(of(&query).as_deref(), Some("isMaster"));
        assert_eq!(of(&message(3, OP_MSG, b"\0\0\0\0\0")).as_deref(), Some("reply"));
        for cut in 0..msg.len() {
            let _ = of(&msg[..cut]);
        }
        assert_eq!(of(b"rest of a message, whatever it is"), None);
    }

    #[test]
    fn messages_between_nodes_are_called_by_their_kind() {
        assert_eq!(&*of_message(&Some(Some((1, 2)))), "Some Some");
        assert_eq!(&*of_message(&None::<u8>), "None");
        assert!(of_message(&vec![Some("a long text"); 1000]).len() < 100);
    }
}
