//! Credentials in connection strings.
//!
//! Format: authentication specification, tests/README, "legacy".

use super::connection_string::tests;
use super::{Case, Corpus};
use quorate_core::uri::ConnectionString;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The cases of `auth/tests/legacy`.
pub fn cases(corpus: &Corpus) -> Vec<Case> {
    let files = corpus.json_files("auth/tests/legacy", "auth/legacy");
    tests("auth/connection string", "auth_uri", files, |test: &Test| test.description.clone(), run)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    description: String,
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

fn run(test: &Test) -> Result<(), String> {
    // What makes a credential complete is asked when the client is made, so both steps count as one here.
    let made = ConnectionString::parse(&test.uri).map(ConnectionString::into_options);
    let made = made.and_then(|options| options.validate().map(|()| options));
    let credential = match made {
        Ok(options) if test.valid => options.credential,
        Ok(options) => return Err(format!("should be refused: {} gives {options:?}", test.uri)),
        Err(_) if !test.valid => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", test.uri)),
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
