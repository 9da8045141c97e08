//! Initial DNS seedlist discovery: SRV and TXT answers into the resolver machine, options out, and the topology that grows from
//! the seeds it found.
//!
//! Format: initial DNS seedlist discovery specification, tests/README. Name server and deployments are tables here
//! (`seedlist/records.rs`, `seedlist/deployment.rs`); where a file leaves the choice of hosts to chance, several seeds are tried.

mod deployment;
mod records;

use super::connection_string::option;
use super::json::{Fields, check, text};
use super::{Holds, Suite};
use deployment::Deployment;
use quorate_core::resolver::{Lookup, SeedOutput, SeedResolver};
use quorate_core::uri::ConnectionString;
use quorate_core::{ClientOptions, Instant, Result as CoreResult, Rng};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const fn suite(
    name: &'static str,
    prefix: &'static str,
    specs: &'static str,
    pymongo: &'static str,
    check: fn(&Value) -> Result<(), String>,
) -> Suite {
    let expects = &["/seeds", "/numSeeds", "/hosts", "/numHosts", "/options", "/parsed_options", "/error"];
    Suite { name, prefix, specs, pymongo, holds: Holds::OneCase, expects, check }
}

macro_rules! suite {
    ($folder:literal, $module:literal, $deployment:expr) => {
        suite(
            concat!("initial-dns-seedlist-discovery/", $folder),
            concat!("initial_dns_seedlist_discovery::", $module),
            concat!("initial-dns-seedlist-discovery/tests/", $folder),
            concat!("srv_seedlist/", $folder),
            |test| run(test, $deployment),
        )
    };
}

/// The folders of `initial-dns-seedlist-discovery/tests`, each with a deployment of its own ("Test Setup").
pub(super) const SUITES: [Suite; 3] = [
    suite!("replica-set", "replica_set", Deployment::ReplicaSet),
    suite!("sharded", "sharded", Deployment::Sharded),
    suite!("load-balanced", "load_balanced", Deployment::LoadBalanced),
];

fn run(test: &Value, deployment: Deployment) -> Result<(), String> {
    let keys = [
        "uri",
        "seeds",
        "numSeeds",
        "hosts",
        "numHosts",
        "options",
        "parsed_options",
        "error",
        "comment",
        "ping",
    ];
    let test = Fields::of(test, &keys)?;
    for seed in 0..4 {
        run_with(&test, deployment, seed)?;
    }
    Ok(())
}

fn run_with(test: &Fields<'_>, deployment: Deployment, seed: u64) -> Result<(), String> {
    let uri = text(test.get("uri")?)?;
    let resolved = match (resolve(uri, seed), flag(test, "error")?.unwrap_or(false)) {
        (Err(_), true) => return nothing_else_expected(test),
        (Err(error), false) => return Err(error.to_string()),
        (Ok(options), true) => return Err(format!("expected an error, found the seeds {:?}", options.hosts)),
        (Ok(options), false) => options,
    };
    let seeds = resolved.hosts.iter().map(ToString::to_string).collect();
    check_set("seeds", test.find("seeds"), test.find("numSeeds"), &seeds)?;
    for (name, expected) in pairs(test, "options")? {
        check(name, expected, &option_of(&resolved, uri, name, seed)?)?;
    }
    for (name, expected) in pairs(test, "parsed_options")? {
        check(name, expected, &part(&resolved, name)?)?;
    }
    let asks = test.find("hosts").is_some() || test.find("numHosts").is_some();
    let ping = flag(test, "ping")?.unwrap_or(true);
    if asks || ping {
        let found = deployment.discover(&resolved)?;
        check_set("hosts", test.find("hosts"), test.find("numHosts"), &found.hosts)?;
        if ping && !found.can_ping {
            return Err("no server could be selected for a ping".into());
        }
    }
    Ok(())
}

/// Where an error is expected, nothing else can be asked: the files have empty lists there.
fn nothing_else_expected(test: &Fields<'_>) -> Result<(), String> {
    let asked = ["numSeeds", "numHosts", "options", "parsed_options"].iter().find(|k| test.find(k).is_some());
    match asked {
        Some(key) => Err(format!("{key:?} cannot be asked for beside an error")),
        None if test.list("seeds")?.is_empty() && test.list("hosts")?.is_empty() => Ok(()),
        None => Err("hosts cannot be asked for beside an error".into()),
    }
}

/// All that the core does with a connection string before it connects.
fn resolve(uri: &str, seed: u64) -> CoreResult<ClientOptions> {
    let now = Instant::ZERO;
    let options = ConnectionString::parse(uri)?.into_options();
    let mut resolver = SeedResolver::new(now, options, Rng::new(seed));
    loop {
        match resolver.poll_output().expect("a resolver ends with a result") {
            SeedOutput::Lookup(Lookup::Srv(name)) => resolver.handle_srv(now, Ok(records::srv(&name))),
            SeedOutput::Lookup(Lookup::Txt(name)) => resolver.handle_txt(now, Ok(records::txt(&name))),
            SeedOutput::Resolved(resolved) => return Ok(resolved.options),
            SeedOutput::Failed(error) => return Err(error),
            other => unreachable!("an output this suite does not know: {other:?}"),
        }
    }
}

/// An option in the form the files have it.
///
/// `authSource` is kept with the credential, which some of these connection strings do not have. Those are read a second time
/// with one.
fn option_of(options: &ClientOptions, uri: &str, name: &str, seed: u64) -> Result<Value, String> {
    if name.eq_ignore_ascii_case("authSource") && options.credential.is_none() {
        let with_user = uri.replacen("://", "://user:password@", 1);
        return option(&resolve(&with_user, seed).map_err(|e| e.to_string())?, name);
    }
    option(options, name)
}

/// What other parts of the connection string say.
fn part(options: &ClientOptions, name: &str) -> Result<Value, String> {
    let credential = options.credential.as_ref();
    Ok(match name {
        "user" => json!(credential.and_then(|c| c.username.as_ref())),
        "password" => json!(credential.and_then(|c| c.password.as_ref())),
        "auth_database" | "db" | "defaultDatabase" => json!(options.default_database),
        other => return Err(format!("this runner does not know the part {other:?}")),
    })
}

fn check_set(
    what: &str,
    expected: Option<&Value>,
    number: Option<&Value>,
    found: &BTreeSet<String>,
) -> Result<(), String> {
    if let Some(list) = expected {
        let list = list.as_array().ok_or_else(|| format!("{what} is no list"))?;
        let mut expected = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        expected.sort_unstable();
        check(what, expected, found.iter().map(String::as_str).collect())?;
    }
    match number {
        Some(number) => check(&format!("number of {what}"), number.as_u64(), Some(found.len() as u64)),
        None => Ok(()),
    }
}

fn flag(test: &Fields<'_>, name: &str) -> Result<Option<bool>, String> {
    test.find(name).map(|value| value.as_bool().ok_or_else(|| format!("{name} is no boolean"))).transpose()
}

fn pairs<'a>(test: &Fields<'a>, name: &str) -> Result<Vec<(&'a String, &'a Value)>, String> {
    match test.find(name) {
        None => Ok(Vec::new()),
        Some(value) => Ok(super::json::object(value)?.iter().collect()),
    }
}
