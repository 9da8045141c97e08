use super::*;
use crate::error::ErrorKind;
use crate::options::{AuthMechanism, Compressor, Tls};
use alloc::string::ToString;
use alloc::vec;

/// Part and message of the error.
fn wrong(text: &str) -> (String, String) {
    match *ConnectionString::parse(text).expect_err(text).kind {
        ErrorKind::ConnectionString { part, message } => (part, message),
        other => panic!("{other:?}"),
    }
}

fn read(text: &str) -> ConnectionString {
    ConnectionString::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_mistake_names_its_part() {
    let cases = [
        ("", "scheme"),
        ("mongo://a", "scheme"),
        ("mongodb://", "host list"),
        ("mongodb:///tmp/x.sock", "host list"),
        ("mongodb://a,,b", "host list"),
        ("mongodb://a,", "host list"),
        ("mongodb://:1", "host list"),
        ("mongodb://a%zz", "host `a%zz`"),
        ("mongodb://a b", "host `a b`"),
        ("mongodb://a::1", "host `a`"),
        ("mongodb://[::1", "host `[::1`"),
        ("mongodb://[::1]x", "host `::1`"),
        ("mongodb://[nope]", "host `nope`"),
        ("mongodb://%2Ftmp%2Fx", "host `%2Ftmp%2Fx`"),
        ("mongodb://%2Ftmp%2Fx.sock:1", "host `%2Ftmp%2Fx.sock`"),
        ("mongodb://a:65536", "port of `a`"),
        ("mongodb://a:+1", "port of `a`"),
        ("mongodb://a:", "port of `a`"),
        ("mongodb://[::1]:0", "port of `::1`"),
        ("mongodb://u%:p@a", "user name"),
        ("mongodb://@a", "user name"),
        ("mongodb://u:p:q@a", "password"),
        ("mongodb://u:p%zz@a", "password"),
        ("mongodb://u:p@q@a", "password"),
        ("mongodb://a/b%2Fc", "database"),
        ("mongodb://a/b c", "database"),
        ("mongodb://a/%zz", "database"),
        ("mongodb://a/?w", "option `w`"),
        ("mongodb://a/?=1", "options"),
        ("mongodb://a/?appName=%zz", "option `appName`"),
        ("mongodb://a/?authSource=", "option `authSource`"),
        ("mongodb://u@a/?authMechanism=SCRAM", "option `authMechanism`"),
        ("mongodb://a/?authMechanism=PLAIN", "user name"),
        ("mongodb://u@a/?authMechanism=PLAIN", "password"),
        ("mongodb://a,b/?directConnection=true", "option `directConnection`"),
        ("mongodb://a/?w=-1", "option `w`"),
        ("mongodb://a/?w=0&journal=true", "option `w`"),
        ("mongodb://a/?readPreferenceTags=a:b", "option `readPreference`"),
        ("mongodb://a/?maxStalenessSeconds=90", "option `readPreference`"),
        ("mongodb://a/?minPoolSize=5&maxPoolSize=4", "option `minPoolSize`"),
        ("mongodb://a/?srvMaxHosts=foo", "option `srvMaxHosts`"),
        ("mongodb://a/?tlsInsecure=x&tlsAllowInvalidHostnames=y", "option `tlsInsecure`"),
        ("mongodb+srv://a,b", "host list"),
        ("mongodb+srv://a:1", "port of `a`"),
        ("mongodb+srv://127.0.0.1", "host `127.0.0.1`"),
        ("mongodb+srv://a.b.c/?directConnection=true", "option `directConnection`"),
    ];
    for (text, part) in cases {
        assert_eq!(wrong(text).0, part, "{text}");
    }
    assert_eq!(wrong("mongodb://u/p@a").0, "user name or password");
}

#[test]
fn no_message_shows_a_password() {
    let ends = ["host", "host/db", "host/?w=-1", "host:x", "ho st", "h/%zz", "h/?authMechanism=MONGODB-X509"];
    // Every character that cuts a password in the wrong place, with every kind of mistake behind it.
    for cut in ["/", "?", "@", ":", "#", "%", ",", "[", "?w=", "/?", "&", "1/", "1,", "1?"] {
        for end in ends {
            let text = format!("mongodb://ann:{cut}SECRET{cut}SECRET@{end}");
            if let Err(error) = ConnectionString::parse(&text) {
                let shown = format!("{error} {error:?}");
                assert!(!shown.contains("SECRET"), "{text}: {shown}");
            }
        }
    }
    let read = read(
        "mongodb://ann:SECRET@a/?proxyHost=p&proxyUsername=u&proxyPassword=SECRET&tlsCertificateKeyFilePassword=SECRET",
    );
    assert!(!format!("{read} {read:?}").contains("SECRET"));
    assert!(read.to_string_with_secrets().matches("SECRET").count() == 3);
}

#[test]
fn warnings_say_what_was_overlooked() {
    let of = |text: &str| read(text).warnings().iter().map(|w| w.option.clone()).collect::<Vec<_>>();
    assert_eq!(of("mongodb://a/?X=1&y=%zz"), ["X", "y"]);
    assert_eq!(of("mongodb://a/?retryWrites=1"), ["retryWrites"]);
    assert_eq!(of("mongodb://a/?wtimeout=1"), ["wtimeout"]);
    assert_eq!(
        of("mongodb://a/?maxPoolSize=+1&minPoolSize=--1&maxIdleTimeMS=2147483648"),
        ["maxPoolSize", "minPoolSize", "maxIdleTimeMS"]
    );
    assert_eq!(of("mongodb://a/?tls=false&tlsInsecure=true"), ["tls"]);
    // One for the name nobody knows, and one more where what is known was left out of the build.
    let left_out = usize::from(!Compressor::Zstd { level: None }.is_available());
    let compressors = vec!["compressors"; 1 + left_out];
    assert_eq!(of("mongodb://a/?compressors=zstd,lz4,zstd"), compressors);
    assert_eq!(of("mongodb://a/?maxStalenessSeconds=89&readPreference=nearest"), ["maxStalenessSeconds"]);
    assert!(of("mongodb://a/?maxStalenessSeconds=-1&&tls=true&ssl=true&").is_empty());
    // The last valid value counts.
    let twice = read("mongodb://a/?maxPoolSize=1&MAXPOOLSIZE=2&maxpoolsize=x");
    assert_eq!((twice.options().max_pool_size, twice.warnings().len()), (Some(2), 3));
}

#[test]
fn tls_is_on_when_anything_asks_for_it() {
    let on = |text: &str| read(text).options().tls_options().is_some();
    assert!(on("mongodb://a/?tls=true"));
    assert!(on("mongodb://a/?tlsCAFile=x"));
    assert!(on("mongodb+srv://a.b.c"));
    assert!(!on("mongodb://a"));
    assert!(!on("mongodb://a/?tlsInsecure=nonsense"));
    assert!(!on("mongodb://a/?tlsCAFile=x&tls=false"));
    assert_eq!(read("mongodb+srv://a.b.c/?ssl=false").options().tls, Some(Tls::Disabled));
}

#[test]
fn deprecated_names_give_way() {
    let timeout = |text: &str| read(text).into_options().write_concern.and_then(|w| w.w_timeout);
    let millis = |n| Some(crate::Duration::from_millis(n));
    assert_eq!(timeout("mongodb://a/?wtimeout=5&wTimeoutMS=10"), millis(10));
    assert_eq!(timeout("mongodb://a/?wTimeoutMS=10&wtimeout=5"), millis(10));
    assert_eq!(timeout("mongodb://a/?wtimeout=5"), millis(5));
    assert_eq!(timeout("mongodb://a/?wTimeoutMS=9223372036854775807"), millis(i64::MAX as u64));
    let gssapi = "mongodb://u@a/?authMechanism=GSSAPI&gssapiServiceName=x";
    let service = |text: &str| {
        read(text).into_options().credential.unwrap().property("service_name").unwrap().to_string()
    };
    assert_eq!(service(gssapi), "x");
    assert_eq!(service(&format!("{gssapi}&authMechanismProperties=service_name:y")), "y");
    let comma = read("mongodb://u@a/?authMechanism=GSSAPI&gssapiServiceName=x%2cy");
    assert!(
        comma.warnings().iter().any(|warning| warning.message.contains("comma")),
        "{:?}",
        comma.warnings()
    );
    assert!(comma.options().credential.as_ref().unwrap().property("service_name").is_none());
}

#[test]
fn a_mechanism_whose_properties_were_ignored_is_left_to_validation() {
    let oidc = read("mongodb://a/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:azure,x");
    assert_eq!(oidc.options().credential.as_ref().unwrap().mechanism, Some(AuthMechanism::MongoDbOidc));
    assert!(oidc.into_options().validate().is_err());
}

#[test]
fn hosts_are_read_as_they_stand() {
    let read = read("mongodb://A.Example,[FE80::1%25eth0]:5,%2Ftmp%2FA.sock,b%C3%BCcher,x:1");
    let shown: Vec<_> = read.hosts().iter().map(|h| h.host().to_string()).collect();
    assert_eq!(shown, ["a.example", "fe80::1%eth0", "/tmp/A.sock", "bücher", "x"]);
    assert_eq!(read.to_string(), "mongodb://a.example,[fe80::1%25eth0]:5,%2Ftmp%2FA.sock,b%C3%BCcher,x:1");
}

#[test]
fn long_input_is_bounded_and_linear() {
    let hosts = vec!["h"; MAX_SEEDS].join(",");
    assert_eq!(read(&format!("mongodb://{hosts}")).hosts().len(), MAX_SEEDS);
    assert_eq!(wrong(&format!("mongodb://{hosts},h")).0, "host list");
    assert!(wrong(&format!("mongodb://{}", "h".repeat(5_000_000))).0.len() < 100);
    let many = "x=1&".repeat(200_000);
    assert_eq!(read(&format!("mongodb://a/?{many}")).warnings().len(), 200_000);
    let tags = "readPreferenceTags=a:b&".repeat(100_000);
    let read = read(&format!("mongodb://a/?readPreference=nearest&{tags}"));
    assert_eq!(read.options().read_preference.as_ref().unwrap().tag_sets.len(), 100_000);
}

#[test]
fn options_parse_is_ready_at_once() {
    let mut future = core::pin::pin!(ClientOptions::parse("mongodb://u:p@a/db"));
    let mut context = core::task::Context::from_waker(core::task::Waker::noop());
    let core::task::Poll::Ready(Ok(options)) = future.as_mut().poll(&mut context) else { panic!() };
    assert_eq!(options.credential.unwrap().source.as_deref(), Some("db"));
    use core::future::Future;
}
