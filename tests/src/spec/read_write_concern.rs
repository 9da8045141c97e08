//! Read and write concerns, in connection strings and as documents.
//!
//! Format: read and write concern specification, tests/README, "Connection String" and "Document".

use super::connection_string::acknowledgment;
use super::{Holds, Suite};
use quorate_core::raw::DocWriter;
use quorate_core::uri::ConnectionString;
use quorate_core::{Acknowledgment, Duration, ReadConcern, WriteConcern};
use serde::Deserialize;
use serde_json::{Value, json};

/// `read-write-concern/tests/connection-string` and `.../document`.
pub(super) const SUITES: [Suite; 2] = [
    Suite {
        name: "read-write-concern/connection-string",
        prefix: "read_write_concern::connection_string",
        specs: "read-write-concern/tests/connection-string",
        pymongo: "read_write_concern/connection-string",
        holds: Holds::Tests,
        expects: &["/valid", "/warning", "/readConcern", "/writeConcern"],
        check: run_uri,
    },
    Suite {
        name: "read-write-concern/document",
        prefix: "read_write_concern::document",
        specs: "read-write-concern/tests/document",
        pymongo: "read_write_concern/document",
        holds: Holds::Tests,
        expects: &[
            "/valid",
            "/readConcernDocument",
            "/writeConcernDocument",
            "/isServerDefault",
            "/isAcknowledged",
        ],
        check: run_document,
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UriTest {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    warning: Option<bool>,
    read_concern: Option<Read>,
    write_concern: Option<Write>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    level: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    w: Option<Value>,
    #[serde(rename = "wtimeoutMS")]
    w_timeout: Option<i64>,
    journal: Option<bool>,
}

impl Write {
    fn of(concern: &WriteConcern) -> Self {
        Write {
            w: concern.w.as_ref().map(acknowledgment),
            w_timeout: concern.w_timeout.map(|t| i64::try_from(t.as_millis()).unwrap()),
            journal: concern.journal,
        }
    }

    /// The concern, or nothing where the types here cannot hold it: then it was refused before it was made.
    fn build(&self) -> Result<WriteConcern, String> {
        let w = match &self.w {
            None => None,
            Some(Value::String(mode)) => Some(Acknowledgment::from(mode.as_str())),
            Some(Value::Number(n)) => {
                let nodes = n.as_u64().and_then(|n| u32::try_from(n).ok());
                Some(Acknowledgment::Nodes(nodes.ok_or("w is no non-negative integer")?))
            }
            Some(other) => return Err(format!("w is {other}")),
        };
        let millis = self.w_timeout.map(u64::try_from).transpose().map_err(|_| "negative wtimeoutMS")?;
        Ok(WriteConcern { w, w_timeout: millis.map(Duration::from_millis), journal: self.journal })
    }
}

fn run_uri(test: &Value) -> Result<(), String> {
    let test = UriTest::deserialize(test).map_err(|e| e.to_string())?;
    let read = match ConnectionString::parse(&test.uri) {
        Ok(read) => read,
        // No file asks for a warning beside an error. The concern it gives beside one is what was wrong.
        Err(_) if !test.valid && test.warning != Some(true) => {
            return match test.write_concern.as_ref().map(Write::build) {
                Some(Ok(concern)) if concern.validate().is_ok() => Err(format!("{concern:?} is in order")),
                _ => Ok(()),
            };
        }
        Err(error) => return Err(format!("{}: {error}", test.uri)),
    };
    let warned = !read.warnings().is_empty();
    if !test.valid {
        // `wtimeoutMS=-500` is here to be refused and `wTimeoutMS=-2` in the URI options suite to be warned of. This suite leaves
        // the warning open (`null`) where that one is plain, so a warning with the value ignored passes for a refusal.
        return match (test.warning, warned, &read.options().write_concern) {
            (None, true, None) => Ok(()),
            _ => Err(format!("should be refused: {}", test.uri)),
        };
    }
    // A value that was ignored with a warning is valid only where the file says so.
    if warned != (test.warning == Some(true)) {
        return Err(format!("warnings: {:?}", read.warnings()));
    }
    let options = read.options();
    if let Some(expected) = &test.read_concern {
        let found = options.read_concern.clone().unwrap_or_default();
        let found = Read { level: found.level.map(|level| level.as_str().to_string()) };
        same(expected, &found)?;
    }
    if let Some(expected) = &test.write_concern {
        same(expected, &Write::of(&options.write_concern.clone().unwrap_or_default()))?;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DocumentTest {
    #[serde(rename = "description")]
    _description: String,
    valid: bool,
    read_concern: Option<Read>,
    read_concern_document: Option<Value>,
    write_concern: Option<Write>,
    write_concern_document: Option<Value>,
    is_server_default: Option<bool>,
    is_acknowledged: Option<bool>,
}

impl DocumentTest {
    /// Whether there is nothing to check of a concern that cannot even be made.
    fn asks_nothing(&self) -> bool {
        self.write_concern_document.is_none()
            && self.is_server_default.is_none()
            && self.is_acknowledged.is_none()
    }
}

fn run_document(test: &Value) -> Result<(), String> {
    let test = DocumentTest::deserialize(test).map_err(|e| e.to_string())?;
    let (valid, document, server_default, acknowledged) = match (&test.read_concern, &test.write_concern) {
        (Some(read), None) => {
            let concern = read.level.as_deref().map(ReadConcern::custom).unwrap_or_default();
            (true, document(|w| concern.write_fields(w))?, concern.is_server_default(), None)
        }
        (None, Some(write)) => match write.build() {
            Ok(concern) => (
                concern.validate().is_ok(),
                document(|w| concern.write_fields(w))?,
                concern.is_server_default(),
                Some(concern.is_acknowledged()),
            ),
            Err(_) if !test.valid && test.asks_nothing() => return Ok(()),
            Err(why) => return Err(why),
        },
        _ => return Err("neither a read concern nor a write concern".into()),
    };
    same(&test.valid, &valid)?;
    let expected = test.read_concern_document.as_ref().or(test.write_concern_document.as_ref());
    expected.map_or(Ok(()), |expected| same(expected, &document))?;
    test.is_server_default.map_or(Ok(()), |expected| same(&expected, &server_default))?;
    if test.is_acknowledged.is_some() {
        same(&test.is_acknowledged, &acknowledged)?;
    }
    Ok(())
}

/// What is sent, as JSON.
fn document(write: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Result<Value, String> {
    let mut bytes = Vec::new();
    write(DocWriter::new(&mut bytes)).finish();
    let document: bson::Document = bson::deserialize_from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(json!(bson::Bson::Document(document).into_relaxed_extjson()))
}

fn same<T: PartialEq + std::fmt::Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("expected {expected:?}, found {found:?}")) }
}
