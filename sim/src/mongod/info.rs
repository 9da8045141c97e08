//! Commands that only tell something about the server.

use super::compression::Compression;
use super::generic::missing;
use super::log_in::Identity;
use super::settings::MongodSettings;
use crate::store::Failure;
use bson::{Bson, DateTime, Document, doc};

/// The version simulated servers say they are.
pub(crate) const VERSION: &str = "6.0.5";

/// `buildInfo`.
pub(crate) fn build_info() -> Document {
    doc! {
        "version": VERSION,
        "gitVersion": "0000000000000000000000000000000000000000",
        "modules": [],
        "allocator": "system",
        "javascriptEngine": "none",
        "sysInfo": "deprecated",
        "versionArray": [6, 0, 5, 0],
        "openssl": { "running": "disabled", "compiled": "disabled" },
        "buildEnvironment": { "distmod": "simulated", "target_os": "simulated" },
        "bits": 64,
        "debug": false,
        "maxBsonObjectSize": 16 * 1024 * 1024,
        "storageEngines": ["simulated"],
    }
}

/// `connectionStatus`.
pub(crate) fn connection_status(body: &Document, users: &[Identity]) -> Document {
    let named: Vec<Bson> = users.iter().map(|who| doc! { "user": &who.user, "db": &who.db }.into()).collect();
    let roles: Vec<Bson> = users.iter().map(|_| doc! { "role": "root", "db": "admin" }.into()).collect();
    let mut info = doc! { "authenticatedUsers": named, "authenticatedUserRoles": roles };
    if body.get_bool("showPrivileges").unwrap_or(false) {
        info.insert("authenticatedUserPrivileges", Vec::<Bson>::new());
    }
    doc! { "authInfo": info }
}

/// `getCmdLineOpts`.
pub(crate) fn command_line(settings: &MongodSettings, set_name: Option<&str>) -> Document {
    let port = i32::from(settings.host.port().unwrap_or(0));
    let mut argv: Vec<Bson> = vec!["mongod".into(), "--port".into(), port.to_string().into()];
    let mut parsed = doc! { "net": { "port": port } };
    if let Some(name) = set_name {
        argv.extend(["--replSet".into(), name.into()]);
        parsed.insert("replication", doc! { "replSet": name });
    }
    doc! { "argv": argv, "parsed": parsed }
}

/// `getParameter`: the few that drivers and tests ask for.
pub(crate) fn get_parameter(body: &Document) -> Result<Document, Failure> {
    let all = doc! {
        "authenticationMechanisms": ["SCRAM-SHA-1", "SCRAM-SHA-256"],
        "enableTestCommands": true,
        "featureCompatibilityVersion": { "version": "6.0" },
        "requireApiVersion": false,
        "transactionLifetimeLimitSeconds": 60,
    };
    if body.get_str("getParameter").is_ok_and(|asked| asked == "*") {
        return Ok(all);
    }
    let asked: Document = all.into_iter().filter(|(name, _)| body.contains_key(name)).collect();
    if asked.is_empty() { Err(Failure::new(72, "no option found to get")) } else { Ok(asked) }
}

/// `serverStatus`, the part that people look at.
pub(crate) fn server_status(
    settings: &MongodSettings,
    wall_millis: i64,
    uptime_millis: i64,
    connections: i32,
    compression: &Compression,
) -> Document {
    doc! {
        "host": settings.host.to_string(),
        "version": VERSION,
        "process": "mongod",
        "pid": 1_i64,
        "uptime": (uptime_millis / 1000) as f64,
        "uptimeMillis": uptime_millis,
        "uptimeEstimate": uptime_millis / 1000,
        "localTime": DateTime::from_millis(wall_millis),
        "connections": { "current": connections, "available": 51_200 - connections },
        "network": { "compression": compression.shown() },
        "storageEngine": {
            "name": "wiredTiger",
            "supportsCommittedReads": true,
            "persistent": true,
            "readOnly": false,
        },
    }
}

/// `hostInfo`.
pub(crate) fn host_info(settings: &MongodSettings, wall_millis: i64) -> Document {
    doc! {
        "system": {
            "currentTime": DateTime::from_millis(wall_millis),
            "hostname": settings.host.to_string(),
            "cpuAddrSize": 64,
            "numCores": 1,
            "cpuArch": "simulated",
        },
        "os": { "type": "simulated", "name": "simulated", "version": "1" },
        "extra": {},
    }
}

/// `killOp`, which finds no operation: there is none that runs long here but those a client can abandon itself.
pub(crate) fn kill_op(body: &Document) -> Result<Document, Failure> {
    match body.get("op") {
        Some(_) => Ok(doc! { "info": "attempting to kill op" }),
        None => Err(Failure::new(4, "Missing expected field \"op\"")),
    }
}

/// The sessions named by `endSessions`, `refreshSessions` and `killSessions`.
pub(crate) fn sessions(name: &str, body: &Document) -> Result<Vec<[u8; 16]>, Failure> {
    let Some(list) = body.get(name) else { return Err(missing(&format!("{name}.{name}"))) };
    let Bson::Array(list) = list else {
        return Err(super::generic::wrong(&format!("{name}.{name}"), list, "array"));
    };
    list.iter()
        .enumerate()
        .map(|(i, session)| match session {
            Bson::Document(session) => match session.get("id") {
                Some(Bson::Binary(id)) => id.bytes.as_slice().try_into().map_err(|_| missing("id")),
                _ => Err(missing(&format!("{name}.{name}FromClient.id"))),
            },
            other => Err(super::generic::wrong(&format!("{name}.{name}FromClient.{i}"), other, "object")),
        })
        .collect()
}

/// The first argument a command of the server's own does not know: its parser refuses those.
pub(crate) fn unknown_argument(name: &str, body: &Document, known: &[&str]) -> Result<(), Failure> {
    for argument in body.keys().skip(1) {
        if !known.contains(&argument.as_str()) && !is_generic(argument) {
            let text = format!("BSON field '{name}.{argument}' is an unknown field.");
            return Err(Failure::new(40415, text));
        }
    }
    Ok(())
}

/// The arguments any command takes.
fn is_generic(argument: &str) -> bool {
    matches!(
        argument,
        "$db"
            | "lsid"
            | "txnNumber"
            | "autocommit"
            | "startTransaction"
            | "maxTimeMS"
            | "$readPreference"
            | "readConcern"
            | "writeConcern"
            | "$clusterTime"
            | "apiVersion"
            | "apiStrict"
            | "apiDeprecationErrors"
            | "comment"
            | "$audit"
            | "$client"
            | "$configServerState"
            | "$queryOptions"
            | "help"
            | "recoveryToken"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_nobody_knows_are_refused() {
        assert_eq!(unknown_argument("ping", &doc! { "ping": 1, "foo": 1 }, &[]).unwrap_err().code, 40415);
        assert!(unknown_argument("ping", &doc! { "ping": 1, "$db": "a", "comment": 1 }, &[]).is_ok());
    }

    #[test]
    fn sessions_are_read_by_their_ids() {
        let id = bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![3; 16] };
        assert_eq!(sessions("endSessions", &doc! { "endSessions": [{ "id": id }] }), Ok(vec![[3; 16]]));
        assert_eq!(sessions("endSessions", &doc! { "endSessions": 1 }).unwrap_err().code, 14);
        assert_eq!(sessions("endSessions", &doc! { "endSessions": [1] }).unwrap_err().code, 14);
    }

    #[test]
    fn parameters() {
        let body = doc! { "getParameter": 1, "featureCompatibilityVersion": 1 };
        assert_eq!(
            get_parameter(&body).unwrap(),
            doc! { "featureCompatibilityVersion": { "version": "6.0" } }
        );
        assert!(get_parameter(&doc! { "getParameter": 1, "foo": 1 }).is_err());
    }
}
