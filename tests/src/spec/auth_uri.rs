//! Credentials in connection strings.
//!
//! Format: authentication specification, tests/README, "legacy".

use super::{Holds, Suite};
use quorate_core::ClientOptions;
use quorate_core::options::AuthMechanism;
use quorate_core::uri::ConnectionString;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// `auth/tests/legacy`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "auth",
    prefix: "auth",
    specs: "auth/tests/legacy",
    pymongo: "auth/legacy",
    holds: Holds::Tests,
    expects: &["/valid", "/credential"],
    check: run,
}];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    credential: Option<Expected>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    username: Option<String>,
    password: Option<String>,
    source: Option<String>,
    mechanism: Option<String>,
    mechanism_properties: Option<BTreeMap<String, String>>,
}

fn run(test: &Value) -> Result<(), String> {
    let test = Test::deserialize(test).map_err(|e| e.to_string())?;
    let read = ConnectionString::parse(&test.uri).map(ConnectionString::into_options);
    // A part of the rules is asked when the client is made, so both steps count as one here ...
    let made = read.as_ref().map_err(ToString::to_string).and_then(|options| {
        let refused = options.validate().err().filter(|_| !(test.valid && has_aws_keys(options)));
        refused.map_or(Ok(()), |error| Err(error.to_string()))
    });
    let credential = match (read, made) {
        (Ok(options), Ok(())) if test.valid => options.credential,
        (read, Ok(())) => return Err(format!("should be refused: {} gives {read:?}", test.uri)),
        (_, Err(_)) if !test.valid && test.credential.is_none() => return Ok(()),
        (_, Err(error)) => return Err(format!("{}: {error}", test.uri)),
    };
    match (&test.credential, credential) {
        (None, None) => Ok(()),
        (Some(expected), Some(found)) => {
            let same = found.username == expected.username
                && found.password == expected.password
                && found.source == expected.source
                && found.mechanism.map(|m| m.as_str()) == expected.mechanism.as_deref()
                && found.mechanism_properties == expected.mechanism_properties;
            if same { Ok(()) } else { Err(format!("{}: found {found:?}", test.uri)) }
        }
        (_, found) => Err(format!("{}: found {found:?}", test.uri)),
    }
}

/// ... but for keys for AWS: the file has them read where it is old, and refused where it follows the specification's change of
/// 2025-09-30. This driver reads them and refuses to make a client of them.
fn has_aws_keys(options: &ClientOptions) -> bool {
    let credential = options.credential.as_ref();
    credential.is_some_and(|c| c.mechanism == Some(AuthMechanism::MongoDbAws) && c.username.is_some())
}
