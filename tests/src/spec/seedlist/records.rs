//! The name server: the records that the files take for granted ("Test Setup" of the format's README), below
//! `test.build.10gen.cc`.

use quorate_core::Duration;
use quorate_core::resolver::{SrvRecord, TxtRecord};

const TTL: Duration = Duration::from_secs(86_400);
const DOMAIN: &str = ".test.build.10gen.cc";

/// Service, name, and the ports that lead to [`GOOD_HOST`]. There is no test4 on purpose, and no test9 any more.
const SRV: [(&str, &str, &[u16]); 15] = [
    ("mongodb", "test1", &[27017, 27018]),
    ("mongodb", "test2", &[27018, 27019]),
    ("mongodb", "test3", &[27017]),
    ("mongodb", "test5", &[27017]),
    ("mongodb", "test6", &[27017]),
    ("mongodb", "test7", &[27017]),
    ("mongodb", "test8", &[27017]),
    ("mongodb", "test10", &[27017]),
    ("mongodb", "test11", &[27017]),
    ("mongodb", "test19", &[27017]),
    ("mongodb", "test20", &[27017]),
    ("mongodb", "test21", &[27017]),
    // The README has one record of test22 only; the file that uses it expects both, as the real name server has.
    ("customname", "test22", &[27017, 27018]),
    ("mongodb", "test23", &[8000]),
    ("mongodb", "test24", &[8000]),
];
const GOOD_HOST: &str = "localhost.test.build.10gen.cc.";

/// Names whose records lead elsewhere, in full; all have port 27017.
const SRV_ELSEWHERE: [(&str, &str); 10] = [
    ("_mongodb._tcp.test12.test.build.10gen.cc", "localhost.build.10gen.cc."),
    ("_mongodb._tcp.test13.test.build.10gen.cc", "test.build.10gen.cc."),
    ("_mongodb._tcp.test14.test.build.10gen.cc", "localhost.not-test.build.10gen.cc."),
    ("_mongodb._tcp.test15.test.build.10gen.cc", "localhost.test.not-build.10gen.cc."),
    ("_mongodb._tcp.test16.test.build.10gen.cc", "localhost.test.build.not-10gen.cc."),
    ("_mongodb._tcp.test17.test.build.10gen.cc", "localhost.test.build.10gen.not-cc."),
    ("_mongodb._tcp.test18.test.build.10gen.cc", "localhost.sub.test.build.10gen.cc."),
    ("_mongodb._tcp.test19.test.build.10gen.cc", "localhost.evil.build.10gen.cc."),
    // Newer than the README at hand: a host of the very name that was looked up.
    ("_mongodb._tcp.test.build.10gen.cc", "test.build.10gen.cc."),
    ("_mongodb._tcp.build.10gen.cc", "build.10gen.cc."),
];

/// Name and strings; a name that appears twice has two records.
const TXT: [(&str, &[&str]); 10] = [
    ("test5", &["replicaSet=repl0&authSource=thisDB"]),
    ("test6", &["replicaSet=repl0"]),
    ("test6", &["authSource=otherDB"]),
    ("test7", &["ssl=false"]),
    ("test8", &["authSource"]),
    ("test10", &["socketTimeoutMS=500"]),
    ("test11", &["replicaS", "et=rep", "l0"]),
    ("test20", &["loadBalanced=true"]),
    ("test21", &["loadBalanced=false"]),
    ("test24", &["loadBalanced=true"]),
];

/// The SRV records of a name.
pub(super) fn srv(name: &str) -> Vec<SrvRecord> {
    let elsewhere = SRV_ELSEWHERE.iter().filter(|(from, _)| *from == name);
    let mut records: Vec<_> = elsewhere.map(|(_, to)| SrvRecord::new(*to, 27017, Some(TTL))).collect();
    for (service, host, ports) in SRV {
        if name == format!("_{service}._tcp.{host}{DOMAIN}") {
            records.extend(ports.iter().map(|port| SrvRecord::new(GOOD_HOST, *port, Some(TTL))));
        }
    }
    records
}

/// The TXT records of a name.
pub(super) fn txt(name: &str) -> Vec<TxtRecord> {
    let of_name = TXT.iter().filter(|(host, _)| name.strip_suffix(DOMAIN) == Some(host));
    of_name.map(|(_, strings)| TxtRecord::new(strings.iter().map(|s| s.as_bytes()))).collect()
}
