//! Users who are their certificate, on a server that also takes connections without TLS (the harness's).

use crate::support::{TestRuntime, options};
use quorate::Client;
use quorate::bson::doc;
use quorate::error::{ErrorKind, Result};
use quorate_harness::ReplicaSet;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use std::path::PathBuf;
use std::sync::OnceLock;

crate::on_every_runtime!(a_certificate_is_a_name, a_certificate_of_no_user_is_refused);

/// RFC 2253 turns the order of a certificate's parts round.
const KNOWN: &str = "CN=known,OU=Drivers,O=Clients";

struct Deployment {
    set: ReplicaSet,
    folder: PathBuf,
}

fn deployment() -> &'static Deployment {
    static DEPLOYMENT: OnceLock<Deployment> = OnceLock::new();
    DEPLOYMENT.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("quorate-x509-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        make_certificates(&folder).expect("certificates");
        let file = |name: &str| folder.join(name).display().to_string();
        let set = ReplicaSet::builder()
            .members(1)
            .auth(true)
            .extra_args(["--tlsMode", "allowTLS", "--tlsAllowConnectionsWithoutCertificates"])
            .extra_args(["--tlsCertificateKeyFile".into(), file("server.pem")])
            .extra_args(["--tlsCAFile".into(), file("ca.pem")])
            .start()
            .expect("a set with TLS");
        let role = doc! { "role": "root", "db": "admin" };
        set.command_on_primary("$external", doc! { "createUser": KNOWN, "roles": [role] }).expect("a user");
        Deployment { set, folder }
    })
}

fn make_certificates(folder: &std::path::Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "Quorate tests");
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    std::fs::write(folder.join("ca.pem"), ca.pem())?;
    for (file, organization, name) in [
        ("server.pem", "Servers", "server"),
        ("known.pem", "Clients", "known"),
        ("unknown.pem", "Clients", "unknown"),
    ] {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        // A client whose organization is the server's would be taken for a member of the set.
        params.distinguished_name.push(DnType::OrganizationName, organization);
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Drivers");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &ca)?;
        std::fs::write(folder.join(file), format!("{}{}", certificate.pem(), key.serialize_pem()))?;
    }
    Ok(())
}

/// Does what only users may, with that certificate; `user` goes before the hosts.
async fn use_it<R: TestRuntime>(certificate: &str, user: &str) -> Result<()> {
    let deployment = deployment();
    let file = |name: &str| deployment.folder.join(name).display().to_string();
    let (ca, certificate) = (file("ca.pem"), file(certificate));
    let uri = deployment.set.uri().replace("mongodb://", &format!("mongodb://{user}"));
    let tls = format!("&tls=true&tlsCAFile={ca}&tlsCertificateKeyFile={certificate}");
    let client: Client<R> =
        Client::with_options(options(&format!("{uri}{tls}&authMechanism=MONGODB-X509")).await)?;
    let outcome = client.database("suite").run_command(doc! { "dbStats": 1 }).await;
    client.shutdown().await;
    outcome.map(drop)
}

async fn a_certificate_is_a_name<R: TestRuntime>() {
    use_it::<R>("known.pem", "").await.expect("the certificate is enough");
    let named = format!("{}@", crate::set::encoded(KNOWN));
    use_it::<R>("known.pem", &named).await.expect("the name is that of the certificate");
}

async fn a_certificate_of_no_user_is_refused<R: TestRuntime>() {
    let named = format!("{}@", crate::set::encoded(KNOWN));
    for user in ["", &named] {
        let error = use_it::<R>("unknown.pem", user).await.expect_err("nobody of that name");
        assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains("MONGODB-X509: ") && shown.contains(deployment().set.address(0)), "{shown}");
    }
}
