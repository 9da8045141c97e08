//! Names of databases and collections.

use crate::oplog::Namespace;
use crate::store::failure::{Failure, Result};
use crate::store::value::type_name;
use bson::{Bson, Document};

fn invalid(message: String) -> Failure {
    Failure::new(73, message)
}

/// The collection a command names with its first field.
pub(super) fn of_command(db: &str, body: &Document) -> Result<Namespace> {
    let named = body.values().next();
    let Some(Bson::String(coll)) = named else {
        let kind = named.map_or("missing", type_name);
        return Err(Failure::new(2, format!("collection name has invalid type {kind}")));
    };
    namespace(db, coll)
}

/// A valid namespace.
pub(super) fn namespace(db: &str, coll: &str) -> Result<Namespace> {
    if db.contains('.') {
        return Err(invalid(format!("'.' is an invalid character in the database name: {db}")));
    }
    if coll.starts_with('.') {
        return Err(invalid(format!("Collection names cannot start with '.': {coll}")));
    }
    let bad_db = db.is_empty() || db.len() >= 64 || db.contains(['/', '\\', ' ', '"', '\0', '$']);
    if coll.is_empty() || bad_db || coll.contains('\0') {
        return Err(invalid(format!("Invalid namespace specified '{db}.{coll}'")));
    }
    Ok(Namespace { db: db.to_owned(), coll: coll.to_owned() })
}

/// Whether a collection of this name may be read at all.
pub(super) fn readable(ns: Namespace) -> Result<Namespace> {
    if ns.coll.contains('$') && !ns.coll.starts_with("$cmd.") {
        return Err(invalid(format!("Invalid collection name specified '{}.{}", ns.db, ns.coll)));
    }
    Ok(ns)
}

/// Whether a collection of this name may be made or written to.
pub(super) fn writable(ns: &Namespace) -> Result<()> {
    if ns.coll.contains('$') {
        return Err(invalid(format!("Invalid collection name: {}", ns.coll)));
    }
    if ns.coll.starts_with("system.")
        && !matches!(ns.coll.as_str(), "system.js" | "system.users" | "system.roles")
    {
        return Err(invalid(format!("Invalid system namespace: {}.{}", ns.db, ns.coll)));
    }
    if ns.db.len() + 1 + ns.coll.len() > 255 {
        return Err(invalid(format!(
            "Fully qualified namespace is too long. Namespace: {}.{} Max: 255",
            ns.db, ns.coll
        )));
    }
    Ok(())
}

/// `db.coll`.
pub(super) fn full(ns: &Namespace) -> String {
    format!("{}.{}", ns.db, ns.coll)
}
