//! What else is secret, and where else it could show: keys, tokens, and connection strings that are wrong.

use crate::fake::Fake;
use crate::support::events::Notebook;
use crate::support::{TestRuntime, options};
use quorate::Client;
use quorate::bson::doc;
use quorate::options::oidc::{Callback, IdpServerResponse};
use quorate::options::{AuthMechanism, ClientOptions, Credential, Tls, TlsOptions};
use quorate::tls::TlsConfig;
use quorate_harness::certificates::KEY_PASSWORD;

crate::on_every_runtime!(
    connection_strings_that_are_wrong,
    the_password_of_a_key,
    tokens,
    keys_of_aws,
    passwords_that_do_not_belong_there,
);

const CANARY: &str = "canary-7c41";

#[track_caller]
fn search(what: &str, text: &str) {
    search_for(CANARY, what, text);
}

#[track_caller]
fn search_for(canary: &str, what: &str, text: &str) {
    use base64ct::{Base64, Encoding};
    assert!(!text.is_empty() && !text.contains(canary), "{what}: {text}");
    // Nor as bytes, in whatever way they are shown.
    let bytes = format!("{:?}", canary.as_bytes());
    assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{what}: {text}");
    let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!text.to_lowercase().contains(&hex), "{what}: {text}");
    let base64 = Base64::encode_string(canary.as_bytes());
    assert!(!text.contains(base64.trim_end_matches('=')), "{what}: {text}");
}

/// Makes a client, has it try something, and looks at everything anybody is shown meanwhile. Gives the error, if there was one.
async fn search_everywhere<R: TestRuntime>(canary: &str, mut options: ClientOptions) -> Option<String> {
    let book = Notebook::listen(&mut options);
    search_for(canary, "the options", &format!("{options:?} {options:#?}"));
    let client = match Client::<R>::with_options(options) {
        Ok(client) => client,
        Err(error) => {
            let told = format!("{error} {error:?}");
            search_for(canary, "the error of making a client", &told);
            return Some(told);
        }
    };
    let outcome = client.database("suite").run_command(doc! { "ping": 1 }).await;
    let told = outcome.err().map(|error| format!("{error} {error:?} {error:#?}"));
    told.iter().for_each(|told| search_for(canary, "the error", told));
    search_for(canary, "the client", &format!("{client:?} {:?}", client.options()));
    search_for(canary, "the topology", &format!("{:?}", client.topology()));
    client.shutdown().await;
    search_for(canary, "the events", &format!("{:?}", book.lock()));
    told
}

/// What people get wrong is the characters of a password that mean something in a connection string.
async fn connection_strings_that_are_wrong<R: TestRuntime>() {
    for uri in [
        "mongodb://bird:canary-7c41/x@a.example.com/",
        "mongodb://bird:x/canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41?x@a.example.com/",
        "mongodb://bird:x?canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41#x@a.example.com/",
        "mongodb://bird:x#canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41@x@a.example.com/",
        "mongodb://bird:x@canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41:x@a.example.com/",
        "mongodb://bird:x:canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41%@a.example.com/",
        "mongodb://bird:canary-7c41%zz@a.example.com/",
        "mongodb://bird:canary-7c41[x@a.example.com/",
        "mongodb://bird:canary-7c41%ff@a.example.com/",
        "mongodb://:canary-7c41@a.example.com/",
        "mongodb://bird:canary-7c41@",
        "mongodb://bird:canary-7c41@a.example.com:port/",
        "mongodb://bird:canary-7c41@a.example.com:99999/",
        "mongodb://bird:canary-7c41@a.example.com/?authMechanism=WHAT",
        "mongodb://bird:canary-7c41@a.example.com/?authMechanism=MONGODB-X509",
        "mongodb://bird:canary-7c41@a.example.com/?authMechanism=MONGODB-OIDC",
        "mongodb://bird:canary-7c41@a.example.com/?authMechanism=MONGODB-AWS",
        "mongodb://bird:canary-7c41@a.example.com/?tls=true&tlsInsecure=true&tlsAllowInvalidHostnames=true",
        "mongodb://a.example.com/?tlsCertificateKeyFilePassword=canary-7c41%",
        "mongodb://a.example.com/?tls=maybe&tlsCertificateKeyFilePassword=canary-7c41",
        "mongodb://a.example.com/?tlsCertificateKeyFilePassword=x&tlsCertificateKeyFilePassword=canary-7c41&tls=maybe",
        "mongodb://a.example.com/?proxyHost=p&proxyUsername=u&proxyPassword=canary-7c41&proxyPassword=x",
        "mongodb://a.example.com/?proxyPassword=canary-7c41",
        "mongodb://a.example.com/?authMechanism=MONGODB-AWS&authMechanismProperties=AWS_SESSION_TOKEN:canary-7c41",
        "mongodb://a.example.com/?authMechanismProperties=AWS_SESSION_TOKEN:canary-7c41,x",
        "mongodb+srv://bird:canary-7c41@a/",
        "mongodb+srv://bird:canary-7c41@a.example.com:1/",
        "mongo://bird:canary-7c41@a.example.com/",
        "bird:canary-7c41@a.example.com",
    ] {
        match ClientOptions::parse(uri).await {
            Ok(options) => search(uri, &format!("{options:?} {options:#?}")),
            Err(error) => search(uri, &format!("{error} {error:?}")),
        }
    }
}

async fn the_password_of_a_key<R: TestRuntime>() {
    let server = crate::x509::set();
    let file = server.certificates().client_encrypted();
    let uri = format!("{}&tlsCertificateKeyFile={file}", server.uri());
    let mut with = options(&uri).await;
    for password in [CANARY, KEY_PASSWORD] {
        let Some(Tls::Enabled(tls)) = &mut with.tls else { panic!("with TLS") };
        tls.tls_certificate_key_file_password = Some(password.as_bytes().to_vec());
        let config = TlsConfig::from_options(tls);
        search_for(password, "the configuration", &format!("{config:?}"));
        let told = search_everywhere::<R>(password, with.clone()).await;
        assert_eq!(told.is_some_and(|told| told.contains("wrong password")), password == CANARY);
    }
    let both = TlsOptions::builder().insecure(true).allow_invalid_hostnames(true);
    let both = both.tls_certificate_key_file_password(CANARY.as_bytes().to_vec()).build();
    let mut contradictory = options(&server.uri()).await;
    contradictory.tls = Some(both.into());
    search_everywhere::<R>(CANARY, contradictory).await.expect("an error");
}

/// A token that is taken, one that is refused, and one that never comes.
async fn tokens<R: TestRuntime>() {
    for good in [true, false] {
        for human in [true, false] {
            let fake = Fake::start(if good { &[CANARY] } else { &[] });
            let give = |_| async {
                let response = IdpServerResponse::new(CANARY);
                let shown = format!("{response:?}");
                let response = response.with_refresh_token(CANARY);
                search("what the callback gives", &format!("{shown} {response:?}"));
                Ok(response)
            };
            let callback = if human { Callback::human(give) } else { Callback::machine(give) };
            search("the callback", &format!("{callback:?}"));
            let mut options = options(&fake.uri("", "&serverSelectionTimeoutMS=5000")).await;
            let credential =
                Credential::builder().mechanism(AuthMechanism::MongoDbOidc).oidc_callback(callback);
            options.credential = Some(credential.build());
            let told = search_everywhere::<R>(CANARY, options).await;
            assert_eq!(told.is_none(), good, "{told:?}");
            assert!(fake.seen().log.contains(&format!("jwt {CANARY}")), "{:?}", fake.seen().log);
        }
    }
}

/// As they are found: in the environment, which a process cannot safely change for itself.
async fn keys_of_aws<R: TestRuntime>() {
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        let runtime = if std::any::type_name::<R>().contains("Tokio") { "on_tokio" } else { "on_smol" };
        let name = format!("canaries::{runtime}::keys_of_aws");
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        child.args([&name, "--exact"]).env("AWS_ACCESS_KEY_ID", "AKID");
        child.env("AWS_SECRET_ACCESS_KEY", CANARY).env("AWS_SESSION_TOKEN", CANARY);
        let output = child.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    // The real server does not have the mechanism; the other one takes everything.
    let fake = Fake::start(&[]);
    let told =
        search_everywhere::<R>(CANARY, options(&fake.uri("", "&authMechanism=MONGODB-AWS")).await).await;
    assert_eq!(told, None);
    let real = format!("{}&authMechanism=MONGODB-AWS", crate::set::set().uri());
    search_everywhere::<R>(CANARY, options(&real).await).await.expect("not there");
}

/// Options made in code can be wrong in ways that no connection string can.
async fn passwords_that_do_not_belong_there<R: TestRuntime>() {
    use AuthMechanism::*;
    for mechanism in [MongoDbX509, MongoDbOidc, MongoDbAws, Gssapi, Plain, ScramSha1, ScramSha256] {
        let mut options = crate::set::options("bird", "x", "&serverSelectionTimeoutMS=2000").await;
        let mut credential = Credential::builder().mechanism(mechanism).password(CANARY.to_owned()).build();
        for username in [None, Some("bird".to_owned())] {
            credential.username = username;
            options.credential = Some(credential.clone());
            search("the credential", &format!("{credential:?}"));
            search_everywhere::<R>(CANARY, options.clone()).await.expect("an error");
        }
    }
}
