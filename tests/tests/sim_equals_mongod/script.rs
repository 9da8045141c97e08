//! The commands of one file.

use crate::json;
use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use std::path::PathBuf;

/// One file.
pub(crate) struct Script {
    /// The database it works on.
    pub(crate) db: String,
    pub(crate) lines: Vec<Line>,
}

/// One command.
pub(crate) struct Line {
    pub(crate) number: usize,
    pub(crate) text: String,
    run: Document,
    pub(crate) db: Option<String>,
    pub(crate) ignore: Vec<String>,
    session: Document,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/sim")
}

impl Script {
    /// The names of all files.
    pub(crate) fn files() -> Vec<String> {
        std::fs::read_dir(folder())
            .expect("the folder of scripts")
            .map(|file| {
                file.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned()
            })
            .collect()
    }

    pub(crate) fn read(name: &str) -> Script {
        let path = folder().join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines = text
            .lines()
            .enumerate()
            .map(|(i, line)| (i + 1, line.trim()))
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(n, line)| Line::parse(n, line, name))
            .collect();
        Script { db: format!("sim_{name}"), lines }
    }
}

impl Line {
    fn parse(number: usize, text: &str, script: &str) -> Line {
        let mut document = json::document(text).unwrap_or_else(|e| panic!("line {number}: {e}: {text}"));
        let mut line = Line {
            number,
            text: text.to_owned(),
            run: Document::new(),
            db: None,
            ignore: Vec::new(),
            session: Document::new(),
        };
        if !document.contains_key("run") {
            line.run = document;
            return line;
        }
        for (name, value) in std::mem::take(&mut document) {
            match (name.as_str(), value) {
                ("run", Bson::Document(command)) => line.run = command,
                ("db", Bson::String(db)) => line.db = Some(db),
                ("ignore", Bson::Array(paths)) => {
                    line.ignore = paths.iter().map(|p| p.as_str().expect("a path").to_owned()).collect();
                }
                ("session", Bson::Array(parts)) => line.session = session(&parts, script),
                (name, _) => panic!("line {number}: what is {name}?"),
            }
        }
        line
    }

    /// The command with its session, and the last open cursor in it.
    pub(crate) fn command(&self, cursor: i64) -> Document {
        let mut command = with_cursor(&self.run, cursor);
        command.extend(self.session.clone());
        command
    }
}

/// `["A"]`, `["A", 5]`, `["A", 5, "start"]`, `["A", 5, "in"]`.
/// Scripts have sessions of their own.
fn session(parts: &[Bson], script: &str) -> Document {
    let name = parts[0].as_str().expect("a session's name");
    let bytes = format!("{name}{script:_<15}").bytes().take(16).collect();
    let id = Binary { subtype: BinarySubtype::Uuid, bytes };
    let mut session = doc! { "lsid": { "id": id } };
    if let Some(number) = parts.get(1) {
        session.insert("txnNumber", i64::from(number.as_i32().expect("a number")));
    }
    match parts.get(2).map(|p| p.as_str().expect("a place")) {
        Some("start") => session.extend(doc! { "startTransaction": true, "autocommit": false }),
        Some("in") => session.extend(doc! { "autocommit": false }),
        Some(other) => panic!("{other} is no place in a transaction"),
        None => {}
    }
    session
}

fn with_cursor(document: &Document, cursor: i64) -> Document {
    document.iter().map(|(name, value)| (name.clone(), value_with_cursor(value, cursor))).collect()
}

fn value_with_cursor(value: &Bson, cursor: i64) -> Bson {
    match value {
        Bson::Document(d) if d.len() == 1 && d.contains_key("$cursor") => Bson::Int64(cursor),
        Bson::Document(d) => Bson::Document(with_cursor(d, cursor)),
        Bson::Array(items) => Bson::Array(items.iter().map(|item| value_with_cursor(item, cursor)).collect()),
        other => other.clone(),
    }
}
