//! The arguments every command may carry: sessions, concerns, read preference, time limits, cluster time.

use crate::store::{Failure, Session, TransactionPart};
use bson::{Bson, Document, spec::BinarySubtype};
use quorate_core::raw::Timestamp;
use quorate_core::{Acknowledgment, Duration, ReadConcernLevel, WriteConcern};

/// What a command says beside its own arguments.
#[derive(Debug, Default)]
pub(crate) struct Generic {
    /// `$db`.
    pub(crate) db: String,
    /// `lsid` with `txnNumber` and what goes with it.
    pub(crate) session: Option<Session>,
    /// `maxTimeMS`, if not 0.
    pub(crate) max_time: Option<Duration>,
    /// `$readPreference` says anything but `primary`.
    pub(crate) secondary_ok: bool,
    /// `readConcern`.
    pub(crate) read: ReadConcernArgument,
    /// `writeConcern`.
    pub(crate) write: Option<WriteConcernArgument>,
    /// `$clusterTime.clusterTime`.
    pub(crate) cluster_time: Option<Timestamp>,
    /// What is wrong with a concern: said only to those who may run the command here.
    pub(crate) malformed: Option<Failure>,
}

/// `readConcern` as it came.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct ReadConcernArgument {
    /// `level`.
    pub(crate) level: Option<ReadConcernLevel>,
    /// `afterClusterTime`.
    pub(crate) after: Option<Timestamp>,
    /// `atClusterTime`.
    pub(crate) at: Option<Timestamp>,
}

/// `writeConcern` as it came, or as the set's default fills it in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WriteConcernArgument {
    /// What was asked for.
    pub(crate) concern: WriteConcern,
    /// A `w` that is a document of tags, as it came.
    pub(crate) tags: Option<Document>,
    /// Who chose it, as errors show it.
    pub(crate) provenance: &'static str,
}

impl WriteConcernArgument {
    /// The form in which errors show it.
    pub(crate) fn shown(&self) -> Document {
        let mut shown = Document::new();
        match (&self.tags, &self.concern.w) {
            (Some(tags), _) => shown.insert("w", tags.clone()),
            (None, Some(Acknowledgment::Nodes(n))) => {
                shown.insert("w", i32::try_from(*n).unwrap_or(i32::MAX))
            }
            (None, Some(Acknowledgment::Custom(mode))) => shown.insert("w", mode),
            (None, Some(Acknowledgment::Majority) | None) => shown.insert("w", "majority"),
        };
        if let Some(journal) = self.concern.journal {
            shown.insert("j", journal);
        }
        let wtimeout = self.concern.w_timeout.map_or(0, |t| i64::try_from(t.as_millis()).unwrap_or(i64::MAX));
        match i32::try_from(wtimeout) {
            Ok(small) => shown.insert("wtimeout", small),
            Err(_) => shown.insert("wtimeout", wtimeout),
        };
        shown.insert("provenance", self.provenance);
        shown
    }
}

impl Generic {
    /// Reads them all in one pass.
    pub(crate) fn read(body: &Document) -> Result<Generic, Failure> {
        let mut generic = Generic::default();
        let mut found = SessionFields::default();
        let mut db = None;
        for (name, value) in body {
            match name.as_str() {
                "$db" => db = Some(value),
                "lsid" => found.lsid = Some(lsid(value)?),
                "txnNumber" => found.txn_number = Some(txn_number(value)?),
                "autocommit" => found.autocommit = Some(flag(value, "autocommit")?),
                "startTransaction" => found.start = Some(flag(value, "startTransaction")?),
                "maxTimeMS" => generic.max_time = max_time(value)?,
                "$readPreference" => generic.secondary_ok = secondary_ok(value)?,
                "readConcern" => match read_concern(value) {
                    Ok(read) => generic.read = read,
                    Err(failure) => generic.malformed = generic.malformed.or(Some(failure)),
                },
                "writeConcern" => match write_concern(value) {
                    Ok(write) => generic.write = write,
                    Err(failure) => generic.malformed = generic.malformed.or(Some(failure)),
                },
                "$clusterTime" => generic.cluster_time = cluster_time(value)?,
                "apiVersion" => api_version(value)?,
                _ => {}
            }
        }
        generic.db = database(db)?;
        generic.session = found.check()?;
        Ok(generic)
    }
}

fn database(db: Option<&Bson>) -> Result<String, Failure> {
    let db = match db {
        None => return Err(Failure::new(40571, "OP_MSG requests require a $db argument")),
        Some(Bson::String(db)) => db,
        Some(other) => {
            let text = format!("wrong type for field ($db) {} != string", type_name(other));
            return Err(Failure::new(13111, text));
        }
    };
    if db.contains('.') {
        let text = format!("'.' is an invalid character in the database name: {db}");
        return Err(Failure::new(73, text));
    }
    let external = db == super::log_in::EXTERNAL;
    if db.is_empty() || db.len() > 63 || db.contains(['/', '\\', ' ', '"', '$', '\0']) && !external {
        return Err(Failure::new(73, format!("Invalid database name: '{db}'")));
    }
    Ok(db.clone())
}

#[derive(Default)]
struct SessionFields {
    lsid: Option<[u8; 16]>,
    txn_number: Option<i64>,
    autocommit: Option<bool>,
    start: Option<bool>,
}

impl SessionFields {
    /// The rules among them, in the server's order.
    fn check(self) -> Result<Option<Session>, Failure> {
        let no = |text: &str| Err(Failure::new(72, text));
        if self.txn_number.is_some() && self.lsid.is_none() {
            return no("Transaction number requires a session ID to also be specified");
        }
        if self.autocommit.is_some() && self.txn_number.is_none() {
            return no("'autocommit' field requires a transaction number to also be specified");
        }
        if self.start.is_some() && self.autocommit.is_none() {
            return no("'startTransaction' field requires 'autocommit' field to also be specified");
        }
        if self.autocommit == Some(true) {
            return no("Specifying autocommit=true is not allowed.");
        }
        if self.start == Some(false) {
            return no("Specifying startTransaction=false is not allowed.");
        }
        let Some(lsid) = self.lsid else { return Ok(None) };
        let transaction = self.autocommit.map(|_| match self.start {
            Some(_) => TransactionPart::Start,
            None => TransactionPart::Continue,
        });
        Ok(Some(Session { lsid, txn_number: self.txn_number, transaction }))
    }
}

fn lsid(value: &Bson) -> Result<[u8; 16], Failure> {
    let Bson::Document(document) = value else {
        return Err(wrong("OperationSessionInfo.lsid", value, "object"));
    };
    let Some(id) = document.get("id") else { return Err(missing("OperationSessionInfo.lsid.id")) };
    match id {
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => binary
            .bytes
            .as_slice()
            .try_into()
            .map_err(|_| Failure::new(207, "uuid must be a 16-byte binary field with UUID (4) subtype")),
        other => Err(wrong("OperationSessionInfo.lsid.id", other, "binData")),
    }
}

fn txn_number(value: &Bson) -> Result<i64, Failure> {
    match value {
        Bson::Int64(number) if *number < 0 => Err(Failure::new(72, "Transaction number cannot be negative")),
        Bson::Int64(number) => Ok(*number),
        other => Err(wrong("OperationSessionInfo.txnNumber", other, "long")),
    }
}

fn flag(value: &Bson, name: &str) -> Result<bool, Failure> {
    value.as_bool().ok_or_else(|| wrong(&format!("OperationSessionInfo.{name}"), value, "bool"))
}

fn max_time(value: &Bson) -> Result<Option<Duration>, Failure> {
    let millis = match value {
        Bson::Double(number) if number.fract() != 0.0 => {
            return Err(Failure::new(2, "maxTimeMS has non-integral value"));
        }
        other => expect_int(other).ok_or_else(|| Failure::new(2, "maxTimeMS must be a number"))?,
    };
    match u64::try_from(millis) {
        Ok(0) => Ok(None),
        Ok(millis) if millis <= i32::MAX as u64 => Ok(Some(Duration::from_millis(millis))),
        _ => Err(Failure::new(2, format!("{millis} value for maxTimeMS is out of range"))),
    }
}

fn secondary_ok(value: &Bson) -> Result<bool, Failure> {
    let Bson::Document(preference) = value else {
        let found = type_name(value);
        let text = format!("$readPreference has incorrect type: expected object but got {found}");
        return Err(Failure::new(14, text));
    };
    match preference.get_str("mode").unwrap_or("") {
        "primary" => Ok(false),
        "primaryPreferred" | "secondary" | "secondaryPreferred" | "nearest" => Ok(true),
        other => Err(Failure::new(
            2,
            format!(
                "Could not parse $readPreference mode '{other}'. Only the modes 'primary', 'primaryPreferred', \
                 'secondary', 'secondaryPreferred', and 'nearest' are supported. :: caused by :: Enumeration value \
                 '{other}' for field 'mode' is not a valid value."
            ),
        )),
    }
}

fn read_concern(value: &Bson) -> Result<ReadConcernArgument, Failure> {
    let Bson::Document(document) = value else {
        return Err(Failure::new(9, "readConcern field should be an object"));
    };
    let mut read = ReadConcernArgument::default();
    for (name, value) in document {
        match name.as_str() {
            "level" => {
                let Bson::String(level) = value else {
                    let found = type_name(value);
                    let text = format!("\"level\" had the wrong type. Expected string, found {found}");
                    return Err(Failure::new(14, text));
                };
                read.level = Some(ReadConcernLevel::from(level.as_str()));
            }
            "afterClusterTime" => read.after = Some(timestamp(name, value)?),
            "atClusterTime" => read.at = Some(timestamp(name, value)?),
            "provenance" | "allowTransactionTableSnapshot" | "afterOpTime" => {}
            other => return Err(Failure::new(72, format!("Unrecognized option in readConcern: {other}"))),
        }
    }
    if matches!(read.level, Some(ReadConcernLevel::Custom(_))) {
        let text = "readConcern.level must be either 'local', 'majority', 'linearizable', 'available', or 'snapshot'";
        return Err(Failure::new(9, text));
    }
    if read.after.is_some()
        && matches!(read.level, Some(ReadConcernLevel::Linearizable | ReadConcernLevel::Available))
    {
        let text = "afterClusterTime field can be set only if level is equal to majority, local, or snapshot";
        return Err(Failure::new(72, text));
    }
    if read.at.is_some() && read.level != Some(ReadConcernLevel::Snapshot) {
        let text = "atClusterTime field can be set only if level is equal to snapshot";
        return Err(Failure::new(72, text));
    }
    Ok(read)
}

fn timestamp(name: &str, value: &Bson) -> Result<Timestamp, Failure> {
    let Bson::Timestamp(t) = value else {
        let found = type_name(value);
        let text = format!("\"{name}\" had the wrong type. Expected timestamp, found {found}");
        return Err(Failure::new(14, text));
    };
    Ok(Timestamp { time: t.time, increment: t.increment })
}

fn write_concern(value: &Bson) -> Result<Option<WriteConcernArgument>, Failure> {
    let Bson::Document(document) = value else {
        let found = type_name(value);
        let text = format!("\"writeConcern\" had the wrong type. Expected object, found {found}");
        return Err(Failure::new(14, text));
    };
    if document.is_empty() {
        return Ok(None);
    }
    let (mut concern, mut tags) = (WriteConcern::default(), None);
    for (name, value) in document {
        match (name.as_str(), value) {
            ("w", Bson::String(mode)) => concern.w = Some(Acknowledgment::from(mode.as_str())),
            ("w", Bson::Document(document)) => tags = Some(document.clone()),
            ("w", value) => concern.w = Some(Acknowledgment::Nodes(nodes(value)?)),
            ("wtimeout", value) => {
                let millis = expect_int(value).and_then(|m| u64::try_from(m).ok()).unwrap_or(0);
                concern.w_timeout = (millis > 0).then(|| Duration::from_millis(millis));
            }
            ("j" | "fsync", value) => concern.journal = Some(truth(value)),
            ("provenance" | "getLastError", _) => {}
            (other, _) => {
                let text = format!("BSON field 'WriteConcernOptions.{other}' is an unknown field.");
                return Err(Failure::new(40415, text));
            }
        }
    }
    Ok(Some(WriteConcernArgument { concern, tags, provenance: "clientSupplied" }))
}

fn nodes(value: &Bson) -> Result<u32, Failure> {
    let Some(number) = expect_int(value) else {
        return Err(Failure::new(9, "w has to be a number, string, or object"));
    };
    u32::try_from(number).ok().filter(|n| *n <= 50).ok_or_else(|| {
        let text = format!("w has to be a non-negative number and not greater than 50; found: {number}");
        Failure::new(9, text)
    })
}

fn cluster_time(value: &Bson) -> Result<Option<Timestamp>, Failure> {
    let Bson::Document(document) = value else {
        return Err(Failure::new(10065, "invalid parameter: expected an object ($clusterTime)"));
    };
    Ok(document.get("clusterTime").and_then(|time| match time {
        Bson::Timestamp(t) => Some(Timestamp { time: t.time, increment: t.increment }),
        _ => None,
    }))
}

fn api_version(value: &Bson) -> Result<(), Failure> {
    match value {
        Bson::String(version) if version == "1" => Ok(()),
        Bson::String(version) => Err(Failure::new(322, format!("Cannot accept API version {version}"))),
        other => Err(wrong("apiVersion", other, "string")),
    }
}

/// A number without a fraction, of any numeric type.
pub(crate) fn expect_int(value: &Bson) -> Option<i64> {
    match value {
        Bson::Int32(number) => Some(i64::from(*number)),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

/// What the server takes for true: any number but zero, and `true`.
pub(crate) fn truth(value: &Bson) -> bool {
    match value {
        Bson::Boolean(flag) => *flag,
        Bson::Null | Bson::Undefined => false,
        other => expect_int(other) != Some(0),
    }
}

/// A field of the wrong type, in the words of the server's command parser.
pub(crate) fn wrong(field: &str, found: &Bson, expected: &str) -> Failure {
    let found = type_name(found);
    Failure::new(14, format!("BSON field '{field}' is the wrong type '{found}', expected type '{expected}'"))
}

/// A field that must be there, in the words of the server's command parser.
pub(crate) fn missing(field: &str) -> Failure {
    Failure::new(40414, format!("BSON field '{field}' is missing but a required field"))
}

/// The server's name for a value's type.
pub(crate) fn type_name(value: &Bson) -> &'static str {
    match value {
        Bson::Double(_) => "double",
        Bson::String(_) => "string",
        Bson::Document(_) => "object",
        Bson::Array(_) => "array",
        Bson::Binary(_) => "binData",
        Bson::Undefined => "undefined",
        Bson::ObjectId(_) => "objectId",
        Bson::Boolean(_) => "bool",
        Bson::DateTime(_) => "date",
        Bson::Null => "null",
        Bson::RegularExpression(_) => "regex",
        Bson::DbPointer(_) => "dbPointer",
        Bson::JavaScriptCode(_) => "javascript",
        Bson::Symbol(_) => "symbol",
        Bson::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        Bson::Int32(_) => "int",
        Bson::Timestamp(_) => "timestamp",
        Bson::Int64(_) => "long",
        Bson::Decimal128(_) => "decimal",
        Bson::MinKey => "minKey",
        Bson::MaxKey => "maxKey",
    }
}

/// What a failed `level` or the like is shown as in an error of 72: `{ readConcern: { level: "majority", .. } }`.
pub(crate) fn shown_read_concern(level: &str) -> String {
    format!("{{ readConcern: {{ level: \"{level}\", provenance: \"clientSupplied\" }} }}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Binary, doc};

    fn read(mut body: Document) -> Result<Generic, Failure> {
        if !body.contains_key("$db") {
            body.insert("$db", "test");
        }
        Generic::read(&body)
    }

    fn code(body: Document) -> i32 {
        read(body).unwrap_err().code
    }

    #[test]
    fn the_database_is_required() {
        assert_eq!(Generic::read(&doc! { "ping": 1 }).unwrap_err().code, 40571);
        assert_eq!(code(doc! { "ping": 1, "$db": 1 }), 13111);
        for bad in ["", "a.b", "a b"] {
            assert_eq!(code(doc! { "ping": 1, "$db": bad }), 73);
        }
        assert_eq!(read(doc! { "ping": 1 }).unwrap().db, "test");
    }

    #[test]
    fn sessions_and_transactions() {
        let lsid = doc! { "id": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] } };
        let session = |fields: Document| {
            let mut body = doc! { "find": "c", "lsid": lsid.clone() };
            body.extend(fields);
            read(body)
        };
        let plain = session(doc! {}).unwrap().session.unwrap();
        assert_eq!(plain, Session { lsid: [7; 16], txn_number: None, transaction: None });
        let started = session(doc! { "txnNumber": 1_i64, "autocommit": false, "startTransaction": true });
        assert_eq!(started.unwrap().session.unwrap().transaction, Some(TransactionPart::Start));
        assert_eq!(session(doc! { "txnNumber": 1 }).unwrap_err().code, 14);
        assert_eq!(session(doc! { "txnNumber": 1_i64, "autocommit": true }).unwrap_err().code, 72);
        assert_eq!(session(doc! { "txnNumber": 1_i64, "startTransaction": true }).unwrap_err().code, 72);
        assert_eq!(code(doc! { "find": "c", "txnNumber": 1_i64 }), 72);
        assert_eq!(code(doc! { "find": "c", "lsid": 1 }), 14);
        assert_eq!(code(doc! { "find": "c", "lsid": {} }), 40414);
    }

    #[test]
    fn concerns() {
        let write = |concern: Bson| read(doc! { "insert": "c", "writeConcern": concern }).unwrap();
        let parsed = write(doc! { "w": 2, "j": true, "wtimeout": 5 }.into()).write.unwrap();
        assert_eq!(parsed.concern.w, Some(Acknowledgment::Nodes(2)));
        let shown = doc! { "w": 2, "j": true, "wtimeout": 5, "provenance": "clientSupplied" };
        assert_eq!(parsed.shown(), shown);
        assert_eq!(write(doc! {}.into()).write, None);
        let wrong = |generic: Generic| generic.malformed.unwrap().code;
        assert_eq!(wrong(write(doc! { "w": 51 }.into())), 9);
        assert_eq!(wrong(write(doc! { "foo": 1 }.into())), 40415);
        assert_eq!(wrong(write(1.into())), 14);

        let level = |concern: Bson| wrong(read(doc! { "find": "c", "readConcern": concern }).unwrap());
        assert_eq!(level(doc! { "level": "bogus" }.into()), 9);
        assert_eq!(level(doc! { "level": 1 }.into()), 14);
        assert_eq!(level(doc! { "foo": 1 }.into()), 72);
        assert_eq!(level(1.into()), 9);
        let after = bson::Timestamp { time: 1, increment: 1 };
        assert_eq!(level(doc! { "level": "linearizable", "afterClusterTime": after }.into()), 72);
    }

    #[test]
    fn limits_and_preferences() {
        assert_eq!(
            read(doc! { "ping": 1, "maxTimeMS": 5.0 }).unwrap().max_time,
            Some(Duration::from_millis(5))
        );
        assert_eq!(read(doc! { "ping": 1, "maxTimeMS": 0 }).unwrap().max_time, None);
        for bad in [Bson::from(-1), Bson::from("x"), Bson::from(1.5)] {
            assert_eq!(code(doc! { "ping": 1, "maxTimeMS": bad }), 2);
        }
        assert!(read(doc! { "find": "c", "$readPreference": { "mode": "nearest" } }).unwrap().secondary_ok);
        assert!(!read(doc! { "find": "c", "$readPreference": { "mode": "primary" } }).unwrap().secondary_ok);
        assert_eq!(code(doc! { "find": "c", "$readPreference": { "mode": "bogus" } }), 2);
        assert_eq!(code(doc! { "find": "c", "$readPreference": 1 }), 14);
        assert_eq!(code(doc! { "ping": 1, "apiVersion": "2" }), 322);
    }
}
