//! Connection strings: whatever is read prints as something that reads back as the same value, and no text makes the reader
//! panic.

use proptest::prelude::*;
use quorate_core::uri::ConnectionString;

/// Everything percent-encoded but letters and digits.
fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric();
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02x}") }).collect()
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9_-]{1,12}(\\.[a-z0-9ü-]{1,8}){0,3}",
        "[a-z]{1,8}:[1-9][0-9]{0,3}",
        "\\[(::1|fe80::1%25eth0|2001:DB8::a)\\](:27018)?",
        "(/[a-z A-Z0-9.%]{1,8}){1,3}\\.sock".prop_map(|path| encode(&path)),
    ]
}

/// An option and its value, mostly right.
fn option() -> impl Strategy<Value = String> {
    const BOOLEANS: &str = "(journal|retryReads|retryWrites|loadBalanced|directConnection|tls|ssl|tlsInsecure|\
        tlsAllowInvalidHostnames|tlsDisableOCSPEndpointCheck|serverSelectionTryOnce|interruptStalePrimary|\
        enableOverloadRetargeting)=(true|false|1|no|x)?";
    const NUMBERS: &str = "(connectTimeoutMS|socketTimeoutMS|heartbeatFrequencyMS|localThresholdMS|maxIdleTimeMS|maxPoolSize|\
        minPoolSize|maxConnecting|maxStalenessSeconds|serverSelectionTimeoutMS|timeoutMS|waitQueueTimeoutMS|wTimeoutMS|\
        wtimeout|zlibCompressionLevel|maxAdaptiveRetries|srvMaxHosts|proxyPort)=-?[0-9]{0,11}";
    const TEXTS: &str = "(appName|replicaSet|authSource|readConcernLevel|w|tlsCAFile|tlsCertificateKeyFile|\
        tlsCertificateKeyFilePassword|srvServiceName|srvAllowedHostsSuffix|proxyHost|proxyUsername|proxyPassword|\
        gssapiServiceName|unknown)=";
    prop_oneof![
        BOOLEANS.prop_map(|text| text),
        NUMBERS.prop_map(|text| text),
        (TEXTS, any::<String>()).prop_map(|(name, value)| name + &encode(&value)),
        "readPreference=(primary|secondary|nearest|secondaryPreferred)",
        "readPreferenceTags=([a-z]{1,3}:[a-z:%ü]{0,3}(,[a-z]{1,3}:x){0,2})?"
            .prop_map(|t| t.replace('%', "%25")),
        "compressors=(zlib|snappy|zstd|none)(,(zlib|snappy|zstd)){0,2}",
        "authMechanism=(PLAIN|SCRAM-SHA-1|SCRAM-SHA-256|GSSAPI|MONGODB-X509|MONGODB-AWS|MONGODB-OIDC|NONE)",
        "authMechanismProperties=(SERVICE_NAME:[a-z:/]{1,5}|environment:azure,TOKEN_RESOURCE:a://b|AWS_SESSION_TOKEN:t|x)",
        "serverMonitoringMode=(auto|stream|poll|x)",
        "uuidRepresentation=(standard|javaLegacy|unspecified|x)",
    ]
}

fn uri() -> impl Strategy<Value = String> {
    let user = prop::option::of((any::<String>(), prop::option::of(any::<String>())));
    let hosts = prop_oneof![
        4 => prop::collection::vec(host(), 1..4).prop_map(|hosts| format!("mongodb://\0{}", hosts.join(","))),
        1 => "[a-z]{1,5}\\.[a-z]{1,5}\\.[a-z]{2,3}".prop_map(|host| format!("mongodb+srv://\0{host}")),
    ];
    let database = prop::option::of("[a-zA-Z0-9_.=%-]{0,8}");
    (user, hosts, database, prop::collection::vec(option(), 0..5)).prop_map(
        |(user, hosts, database, options)| {
            let user = user.map_or(String::new(), |(user, password)| {
                let password = password.map_or(String::new(), |p| format!(":{}", encode(&p)));
                format!("{}{password}@", encode(&user))
            });
            let database = encode(&database.unwrap_or_default());
            format!("{}/{database}?{}", hosts.replace('\0', &user), options.join("&"))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_is_read_reads_back(text in uri()) {
        if let Ok(read) = ConnectionString::parse(&text) {
            let printed = read.to_string_with_secrets();
            let again = ConnectionString::parse(&printed);
            prop_assert!(again.is_ok(), "{text} printed as {printed}: {again:?}");
            let again = again.unwrap();
            prop_assert_eq!(&again, &read, "{} printed as {}", text, printed);
            prop_assert_eq!(again.to_string_with_secrets(), printed);
            // The shown form is a connection string as well, with the same hosts.
            let shown = ConnectionString::parse(&read.to_string());
            prop_assert!(shown.is_ok(), "{}", read);
            let shown = shown.unwrap();
            prop_assert_eq!(shown.hosts(), read.hosts());
        }
    }

    #[test]
    fn a_plain_one_is_read_as_it_was_written(
        user in "\\PC{1,12}",
        password in "\\PC{0,12}",
        hosts in prop::collection::vec(("[a-z0-9]{1,9}", 1u16..), 1..5),
        database in "[a-z]{1,9}",
        set in "\\PC{1,9}",
    ) {
        let list: Vec<String> = hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        let (user, password, set) = (user.as_str(), password.as_str(), set.as_str());
        let text = format!(
            "mongodb://{}:{}@{}/{database}?replicaSet={}",
            encode(user), encode(password), list.join(","), encode(set)
        );
        let read = ConnectionString::parse(&text).unwrap();
        prop_assert!(read.warnings().is_empty());
        let found: Vec<String> = read.hosts().iter().map(ToString::to_string).collect();
        prop_assert_eq!(found, list);
        let options = read.into_options();
        let credential = options.credential.unwrap();
        prop_assert_eq!(credential.username.as_deref(), Some(user));
        prop_assert_eq!(credential.password.as_deref(), Some(password));
        prop_assert_eq!(credential.source.as_deref(), Some(database.as_str()));
        prop_assert_eq!(options.repl_set_name.as_deref(), Some(set));
    }

    #[test]
    fn no_text_makes_it_panic(text in "mongodb(\\+srv)?://([\\[\\]:@/?&=%,;.a-zA-Z0-9\\PC]{0,60}|\\PC{0,60})") {
        if let Ok(read) = ConnectionString::parse(&text) {
            let again = ConnectionString::parse(&read.to_string_with_secrets());
            prop_assert_eq!(again.ok(), Some(read));
        }
    }

    #[test]
    fn a_cut_or_changed_one_is_read_or_refused(text in uri(), at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut chars: Vec<char> = text.chars().collect();
        let at = at.index(chars.len());
        let cut: String = chars[..at].iter().collect();
        let _ = ConnectionString::parse(&cut);
        chars[at] = with;
        let changed: String = chars.iter().collect();
        if let Ok(read) = ConnectionString::parse(&changed) {
            let again = ConnectionString::parse(&read.to_string_with_secrets());
            prop_assert_eq!(again.ok(), Some(read));
        }
    }
}

/// How much of what is generated is accepted: too little and the properties above prove nothing.
#[test]
fn the_generator_gives_enough_that_is_right() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let total = 2000;
    let accepted = (0..total)
        .filter(|_| ConnectionString::parse(&uri().new_tree(&mut runner).unwrap().current()).is_ok())
        .count();
    assert!(accepted * 4 > total, "{accepted} of {total}");
}
