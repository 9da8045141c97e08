//! Wrong connection strings: each mistake of the connection string specification is an error that names its part, and none
//! repeats a password.

use libtest_mimic::Trial;
use quorate_tokio::Client;
use quorate_tokio::error::ErrorKind;

/// What is written, which part the error must name, and words it must use.
const WRONG: &[(&str, &str, &str)] = &[
    ("", "scheme", "mongodb://"),
    ("http://a", "scheme", "mongodb://"),
    ("mongodb:/a", "scheme", "mongodb://"),
    ("mongo://a", "scheme", "mongodb://"),
    ("mongodb://", "host list", "no host"),
    ("mongodb:///db", "host list", "no host"),
    ("mongodb://a,,b", "host list", "empty"),
    ("mongodb://a,", "host list", "empty"),
    ("mongodb://ann:hidden@", "host list", "no host"),
    ("mongodb:///tmp/mongodb.sock", "host list", "%2F"),
    ("mongodb://%2Ftmp%2Fmongodb", "host", ".sock"),
    ("mongodb://[::1", "host", "bracket"),
    ("mongodb://[::x]", "host", "IPv6"),
    ("mongodb://::1", "host", "bracket"),
    ("mongodb://[::1]x", "host", "bracket"),
    ("mongodb://a b", "host", "character"),
    ("mongodb://a:0", "port of `a`", "65535"),
    ("mongodb://a:65536", "port of `a`", "65535"),
    ("mongodb://a:-1", "port of `a`", "65535"),
    ("mongodb://a:", "port of `a`", "65535"),
    ("mongodb://a:port", "port of `a`", "65535"),
    ("mongodb://@a", "user name", "empty"),
    ("mongodb://:hidden@a", "user name", "empty"),
    ("mongodb://ann:hid:den@a", "password", "percent-encoded"),
    ("mongodb://ann:hid@den@a", "password", "percent-encoded"),
    ("mongodb://ann@corp:hidden@a", "user name", "percent-encoded"),
    ("mongodb://ann:hid/den@a", "user name or password", "percent-encoded"),
    ("mongodb://ann:hid%zzden@a", "password", "percent"),
    ("mongodb://ann%:hidden@a", "user name", "percent"),
    ("mongodb://a/d%20b", "database", "space"),
    ("mongodb://a/d$b", "database", "character"),
    ("mongodb://a/d%zzb", "database", "percent"),
    ("mongodb://a/?replicaSet", "option", "replicaSet"),
    ("mongodb://a/?=x", "option", ""),
    ("mongodb://a/?w=-1", "option `w`", "non-negative"),
    ("mongodb://a/?w=0&journal=true", "option `w`", ""),
    ("mongodb://a/?authMechanism=MAGIC", "option `authMechanism`", "mechanism"),
    ("mongodb://ann@a/?authMechanism=SCRAM-SHA-256", "password", ""),
    ("mongodb://a/?authMechanism=SCRAM-SHA-256", "user name", ""),
    ("mongodb://ann:hidden@a/?authSource=", "option `authSource`", "empty"),
    ("mongodb://a,b/?directConnection=true", "option `directConnection`", "more than one host"),
    ("mongodb://a,b/?loadBalanced=true", "option `loadBalanced`", "more than one host"),
    ("mongodb://a/?loadBalanced=true&replicaSet=rs", "option `loadBalanced`", "replicaSet"),
    ("mongodb://a/?loadBalanced=true&directConnection=true", "option `loadBalanced`", "directConnection"),
    ("mongodb://a/?tls=true&ssl=false", "option", "same value"),
    ("mongodb://a/?tlsInsecure=true&tlsAllowInvalidCertificates=true", "option `tls", "together"),
    ("mongodb://a/?minPoolSize=5&maxPoolSize=2", "option `minPoolSize`", "maxPoolSize"),
    ("mongodb://a/?srvMaxHosts=2", "option `srvMaxHosts`", "mongodb+srv"),
    ("mongodb://a/?srvServiceName=x", "option `srvServiceName`", "mongodb+srv"),
    ("mongodb+srv://a.example.com:27017", "port of `a.example.com`", ""),
    ("mongodb+srv://a.example.com,b.example.com", "host", "one"),
    ("mongodb+srv://a.example.com/?directConnection=true", "option `directConnection`", "mongodb+srv"),
    ("mongodb+srv://a.example.com/?srvMaxHosts=1&replicaSet=rs", "option `srvMaxHosts`", "replicaSet"),
    ("mongodb://a/?proxyPort=1080", "option `proxyPort`", "proxyHost"),
    ("mongodb://a/?proxyHost=p&proxyUsername=u", "option `proxyUsername`", "proxyPassword"),
    ("mongodb://a/?proxyHost=p&proxyHost=q", "option `proxyHost`", ""),
];

/// Mistakes that the specification has drivers overlook, with a warning: the option counts as not given.
const OVERLOOKED: &[(&str, &str)] = &[
    ("mongodb://a/?nonsense=1", "nonsense"),
    ("mongodb://a/?connectTimeoutMS=soon", "connectTimeoutMS"),
    ("mongodb://a/?maxPoolSize=-1", "maxPoolSize"),
    ("mongodb://a/?heartbeatFrequencyMS=10", "heartbeatFrequencyMS"),
    ("mongodb://a/?retryWrites=maybe", "retryWrites"),
    ("mongodb://a/?readPreference=best", "readPreference"),
    ("mongodb://a/?maxStalenessSeconds=5", "maxStalenessSeconds"),
    ("mongodb://a/?zlibCompressionLevel=10", "zlibCompressionLevel"),
    ("mongodb://a/?compressors=rar", "compressors"),
    ("mongodb://a/?serverMonitoringMode=psychic", "serverMonitoringMode"),
];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("uri::each_mistake_names_its_part", || {
            WRONG.iter().for_each(|(uri, part, words)| refused(uri, part, words));
            Ok(())
        }),
        Trial::test("uri::what_may_be_overlooked_is_warned_of", || {
            OVERLOOKED.iter().for_each(|(uri, option)| overlooked(uri, option));
            Ok(())
        }),
        Trial::test("uri::missing_files_are_named", || {
            missing_file();
            Ok(())
        }),
    ]
}

fn connect(uri: &str) -> quorate_tokio::error::Result<Client> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a tokio runtime");
    runtime.block_on(Client::with_uri_str(uri))
}

fn refused(uri: &str, part: &str, words: &str) {
    let error = connect(uri).err().unwrap_or_else(|| panic!("{uri} was taken"));
    let ErrorKind::ConnectionString { part: named, .. } = &*error.kind else { panic!("{uri}: {error:?}") };
    let text = error.to_string();
    assert!(named.contains(part), "{uri}: \"{part}\" is wrong, not \"{named}\"");
    assert!(text.contains(words), "{uri}: no \"{words}\" in: {text}");
    assert!(!text.contains("hid") && !text.contains("den@"), "{uri}: tells the password: {text}");
}

fn overlooked(uri: &str, option: &str) {
    let read = quorate_core::uri::ConnectionString::parse(uri).unwrap_or_else(|e| panic!("{uri}: {e}"));
    assert!(read.warnings().iter().any(|warning| warning.option == option), "{uri}: {:?}", read.warnings());
}

fn missing_file() {
    for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
        let error = connect(&format!("mongodb://a/?{option}=/no/such/file.pem")).expect_err("no such file");
        let text = error.to_string();
        assert!(text.contains("/no/such/file.pem"), "{text}");
    }
}
