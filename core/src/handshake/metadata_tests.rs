//! The handshake specification's prose tests, as far as they are about what is written, and the truncation rules.
//! (That a connection made with it works is for the suites against real servers.)

use super::*;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{format, vec};
use bson::{Document, doc};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn detect(variables: Variables<'_>) -> ClientEnv {
    let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string());
    ClientEnv::detect(variable, false)
}

fn parsed(metadata: &ClientMetadata) -> Document {
    let bytes = metadata.to_bson();
    assert!(bytes.len() <= MAX_METADATA_BYTES, "{} bytes", bytes.len());
    bson::deserialize_from_slice(&bytes).unwrap()
}

/// `client.env` in that environment, or nothing.
fn env(variables: Variables<'_>) -> Option<Document> {
    let host = HostInfo { env: detect(variables), ..HostInfo::default() };
    parsed(&ClientMetadata::new(None, "1", host)).get_document("env").ok().cloned()
}

fn info(name: &str, version: Option<&str>, platform: Option<&str>) -> DriverInfo {
    DriverInfo { name: name.into(), version: version.map(String::from), platform: platform.map(String::from) }
}

/// Name, version and platform of the libraries, as the tests want them: without the driver's own.
fn appended(metadata: &ClientMetadata) -> (String, String, String) {
    let doc = parsed(metadata);
    let driver = doc.get_document("driver").unwrap();
    let rest = |text: &str| text.split('|').skip(1).collect::<Vec<_>>().join("|");
    (
        rest(driver.get_str("name").unwrap()),
        rest(driver.get_str("version").unwrap()),
        rest(doc.get_str("platform").unwrap()),
    )
}

fn strings(name: &str, version: &str, platform: &str) -> (String, String, String) {
    (name.into(), version.into(), platform.into())
}

fn metadata() -> ClientMetadata {
    let host = HostInfo { platform: Some("rustc".into()), ..HostInfo::default() };
    ClientMetadata::new(None, "0.1", host)
}

fn library() -> DriverInfo {
    info("library", Some("1.2"), Some("Library Platform"))
}

/// "Test 1: Test that environment metadata is properly captured", by the numbers of its cases.
#[test]
fn prose_1_environment() {
    let lambda = ("AWS_EXECUTION_ENV", "AWS_Lambda_java8");
    let aws: Variables<'_> =
        &[lambda, ("AWS_REGION", "us-east-2"), ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")];
    let aws_env = doc! {"name": "aws.lambda", "memory_mb": 1024, "region": "us-east-2"};
    assert_eq!(env(aws), Some(aws_env.clone()), "1");
    assert_eq!(env(&[("FUNCTIONS_WORKER_RUNTIME", "node")]), Some(doc! {"name": "azure.func"}), "2");
    let gcp = [
        ("K_SERVICE", "servicename"),
        ("FUNCTION_MEMORY_MB", "1024"),
        ("FUNCTION_TIMEOUT_SEC", "60"),
        ("FUNCTION_REGION", "us-central1"),
    ];
    let gcp_env = doc! {"name": "gcp.func", "timeout_sec": 60, "memory_mb": 1024, "region": "us-central1"};
    assert_eq!(env(&gcp), Some(gcp_env), "3");
    let vercel = [("VERCEL", "1"), ("VERCEL_REGION", "cdg1")];
    assert_eq!(env(&vercel), Some(doc! {"name": "vercel", "region": "cdg1"}), "4");
    assert_eq!(env(&[lambda, ("FUNCTIONS_WORKER_RUNTIME", "node")]), None, "5");
    let long = "a".repeat(512);
    assert_eq!(env(&[lambda, ("AWS_REGION", &long)]), Some(doc! {"name": "aws.lambda"}), "6");
    let big = [lambda, ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "big")];
    assert_eq!(env(&big), Some(doc! {"name": "aws.lambda"}), "7");
    assert_eq!(env(&[("AWS_EXECUTION_ENV", "EC2")]), None, "8");
    let both: Vec<_> = aws.iter().copied().chain([("KUBERNETES_SERVICE_HOST", "1")]).collect();
    let mut expected = aws_env;
    expected.insert("container", doc! {"orchestrator": "kubernetes"});
    assert_eq!(env(&both), Some(expected), "9");
}

#[test]
fn vercel_goes_before_aws_and_nothing_else_before_anything() {
    let (vercel, aws) = (("VERCEL", "1"), ("AWS_LAMBDA_RUNTIME_API", "localhost"));
    assert_eq!(detect(&[vercel, aws]).faas.unwrap().name, FaasName::Vercel);
    assert!(!detect(&[vercel, aws, ("FUNCTION_NAME", "f")]).is_faas());
    assert!(!detect(&[vercel, ("FUNCTIONS_WORKER_RUNTIME", "node")]).is_faas());
    assert!(!detect(&[("VERCEL", "")]).is_faas(), "empty is not populated");
    assert_eq!(detect(&[aws]).faas.unwrap().name, FaasName::AwsLambda);
    assert_eq!(detect(&[("FUNCTION_NAME", "f")]).faas.unwrap().name, FaasName::GcpFunc);
}

#[test]
fn containers_are_named() {
    let host = HostInfo { env: ClientEnv::detect(|_| None, true), ..HostInfo::default() };
    let doc = parsed(&ClientMetadata::new(None, "1", host));
    assert_eq!(doc.get_document("env").unwrap(), &doc! {"container": {"runtime": "docker"}});
}

const UPDATES: [(&str, Option<&str>, Option<&str>); 4] = [
    ("framework", Some("2.0"), Some("Framework Platform")),
    ("framework", Some("2.0"), None),
    ("framework", None, Some("Framework Platform")),
    ("framework", None, None),
];

/// "Test 1: Test that the driver updates metadata" and "Test 2: Multiple Successive Metadata Updates": appending at the
/// start and later is the same here.
#[test]
fn prose_update_1_and_2() {
    for (name, version, platform) in UPDATES {
        let mut metadata = metadata();
        assert!(metadata.append(library()).unwrap());
        let before = parsed(&metadata);
        assert_eq!(appended(&metadata), strings("library", "1.2", "Library Platform"));
        assert!(metadata.append(info(name, version, platform)).unwrap());
        let with = |old: &str, new: Option<&str>| new.map_or(old.into(), |new| format!("{old}|{new}"));
        let expected =
            (with("library", Some(name)), with("1.2", version), with("Library Platform", platform));
        assert_eq!(appended(&metadata), expected);
        assert_eq!(parsed(&metadata).get("os"), before.get("os"));
    }
}

/// "Test 3: Multiple Successive Metadata Updates with Duplicate Data".
#[test]
fn prose_update_3() {
    for case in 0..8 {
        let pick =
            |bit: u32, old: &'static str, new: &'static str| if case >> bit & 1 == 1 { new } else { old };
        let name = pick(0, "library", "framework");
        let version = pick(1, "1.2", "2.0");
        let platform = pick(2, "Library Platform", "Framework Platform");
        let mut metadata = metadata();
        metadata.append(library()).unwrap();
        let changed = metadata.append(info(name, Some(version), Some(platform))).unwrap();
        assert_eq!(changed, case != 0);
        let expected = if case == 0 {
            strings("library", "1.2", "Library Platform")
        } else {
            strings(
                &format!("library|{name}"),
                &format!("1.2|{version}"),
                &format!("Library Platform|{platform}"),
            )
        };
        assert_eq!(appended(&metadata), expected);
    }
}

/// "Test 4" to "Test 6": what was appended before, first or in between, is not appended again.
#[test]
fn prose_update_4_to_6() {
    let mut metadata = metadata();
    assert!(metadata.append(library()).unwrap());
    assert!(!metadata.append(library()).unwrap(), "5");
    for (name, version) in [("framework", "2.0"), ("framework", "1.2")] {
        assert!(metadata.append(info(name, Some(version), Some("Library Platform"))).unwrap());
        let before = metadata.to_bson();
        assert!(!metadata.append(library()).unwrap(), "4 and 6");
        assert_eq!(metadata.to_bson(), before);
    }
}

/// "Test 7" and "Test 8": empty texts are unset.
#[test]
fn prose_update_7_and_8() {
    for (unset, empty) in [
        (info("", Some("1.2"), Some("Library Platform")), info("", Some("1.2"), Some("Library Platform"))),
        (
            info("library", None, Some("Library Platform")),
            info("library", Some(""), Some("Library Platform")),
        ),
        (info("library", Some("1.2"), None), info("library", Some("1.2"), Some(""))),
    ] {
        for (first, second) in [(unset.clone(), empty.clone()), (empty, unset)] {
            let mut metadata = metadata();
            metadata.append(first).unwrap();
            let before = metadata.to_bson();
            assert!(!metadata.append(second).unwrap());
            assert_eq!(metadata.to_bson(), before);
        }
    }
    assert!(!metadata().append(info("", None, Some(""))).unwrap());
}

#[test]
fn the_delimiter_is_refused() {
    for bad in [info("a|b", None, None), info("a", Some("|"), None), info("a", None, Some("x|"))] {
        let mut metadata = metadata();
        assert!(metadata.append(bad).unwrap_err().to_string().contains("'|'"));
        assert_eq!(metadata, self::metadata());
    }
}

#[test]
fn application_names_have_at_most_128_bytes() {
    assert!(AppName::new("ä".repeat(64)).is_ok());
    assert!(AppName::new(format!("{}x", "ä".repeat(64))).unwrap_err().to_string().contains("129 bytes"));
}

/// A host that has something to say in every field, with a platform of `platform` bytes.
fn talkative(platform: usize) -> ClientMetadata {
    let host = HostInfo {
        os_type: "Linux".into(),
        os_name: Some("n".repeat(60)),
        os_architecture: Some("x86_64".into()),
        os_version: Some("12".into()),
        platform: Some("p".repeat(platform)),
        env: ClientEnv::detect(
            |name| match name {
                "AWS_LAMBDA_RUNTIME_API" | "KUBERNETES_SERVICE_HOST" => Some("1".into()),
                "AWS_REGION" => Some("r".repeat(40)),
                _ => None,
            },
            true,
        ),
    };
    ClientMetadata::new(Some(AppName::new("app").unwrap()), "0.1.0", host)
}

#[test]
fn everything_is_written_where_there_is_room() {
    let doc = parsed(&talkative(4));
    let expected = doc! {
        "application": {"name": "app"},
        "driver": {"name": "quorate", "version": "0.1.0"},
        "os": {"type": "Linux", "name": "n".repeat(60), "architecture": "x86_64", "version": "12"},
        "platform": "pppp",
        "env": {
            "name": "aws.lambda", "region": "r".repeat(40),
            "container": {"runtime": "docker", "orchestrator": "kubernetes"},
        },
    };
    assert_eq!(doc, expected);
}

/// "Limitations": what goes first, second, third and last, as the platform grows byte by byte.
#[test]
fn cuts_come_in_the_order_of_the_specification() {
    let mut stages = vec![];
    for platform in 0..700 {
        let doc = parsed(&talkative(platform));
        let env = doc.get_document("env").ok();
        let stage = (
            env.is_some_and(|env| env.contains_key("container") && env.contains_key("region")),
            doc.get_document("os").unwrap().len() == 4,
            env.is_some(),
            doc.get_str("platform").map_or(0, str::len) == platform,
        );
        if stages.last() != Some(&stage) {
            stages.push(stage);
        }
        if !stage.3 {
            assert_eq!(talkative(platform).to_bson().len(), MAX_METADATA_BYTES, "cut no more than needed");
        }
    }
    let expected = [
        (true, true, true, true),
        (false, true, true, true),
        (false, false, true, true),
        (false, false, false, true),
        (false, false, false, false),
    ];
    assert_eq!(stages, expected);
}

#[test]
fn a_container_alone_leaves_no_empty_env_behind() {
    let host = HostInfo {
        platform: Some("p".repeat(420)),
        env: ClientEnv { docker: true, ..ClientEnv::default() },
        ..HostInfo::default()
    };
    let doc = parsed(&ClientMetadata::new(None, "1", host));
    assert!(!doc.contains_key("env"));
}

#[test]
fn no_host_and_no_library_can_break_the_limit() {
    let huge = "ß".repeat(400);
    let host = HostInfo {
        os_type: huge.clone(),
        os_name: Some(huge.clone()),
        platform: Some(huge.clone()),
        ..HostInfo::default()
    };
    let name = AppName::new("x".repeat(MAX_APP_NAME_BYTES)).unwrap();
    let mut metadata = ClientMetadata::new(Some(name), huge.clone(), host);
    metadata.append(info(&huge, Some(&huge), Some(&huge))).unwrap();
    let doc = parsed(&metadata);
    assert_eq!(doc.keys().collect::<Vec<_>>(), ["application", "driver", "os"]);
}

#[test]
fn an_unknown_system_is_called_unknown() {
    let doc = parsed(&ClientMetadata::new(None, "1", HostInfo::default()));
    assert_eq!(doc, doc! {"driver": {"name": "quorate", "version": "1"}, "os": {"type": "unknown"}});
}
