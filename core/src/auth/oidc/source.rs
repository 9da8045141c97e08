//! The built-in integrations: tokens of the cloud this program runs in.
//!
//! Source: authentication specification, "Built-in OIDC Environment Integrations".

use crate::auth::errand::{Errand, Fetched, HttpRequest, SourceOutput, encoded};
use crate::options::Credential;
use crate::options::oidc::IdpServerResponse;
use alloc::format;
use alloc::string::{String, ToString};
use zeroize::Zeroizing;

const KUBERNETES: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// Names of files in the environment, which the host reads.
#[derive(Clone, Debug, Default)]
pub struct OidcEnv {
    test: Option<String>,
    azure: Option<String>,
    aws: Option<String>,
}

impl OidcEnv {
    /// Looks the variables up.
    pub fn detect(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        OidcEnv {
            test: get("OIDC_TOKEN_FILE"),
            azure: get("AZURE_FEDERATED_TOKEN_FILE"),
            aws: get("AWS_WEB_IDENTITY_TOKEN_FILE"),
        }
    }
}

/// The machine that gets one token: says what to fetch, takes what came.
#[derive(Debug)]
pub struct OidcTokenSource {
    kind: Kind,
    output: Option<SourceOutput<IdpServerResponse>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// JSON with a token in it.
    Azure,
    /// The token itself.
    Gcp,
    File,
    Over,
}

impl OidcTokenSource {
    /// For a credential with an `ENVIRONMENT`.
    pub fn new(credential: &Credential, env: &OidcEnv) -> Self {
        let resource = encoded(credential.property("TOKEN_RESOURCE").unwrap_or_default());
        let (kind, errand) = match credential.property("ENVIRONMENT") {
            Some("azure") => {
                let client = credential.username.as_deref().map(|id| format!("&client_id={}", encoded(id)));
                let path = format!(
                    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{}",
                    client.unwrap_or_default()
                );
                let request = HttpRequest::new("GET", "169.254.169.254", path);
                let request = request.header("Accept", "application/json").header("Metadata", "true");
                (Kind::Azure, Some(Errand::Http(request)))
            }
            Some("gcp") => {
                let path = format!(
                    "/computeMetadata/v1/instance/service-accounts/default/identity?audience={resource}"
                );
                let request = HttpRequest::new("GET", "metadata", path).header("Metadata-Flavor", "Google");
                (Kind::Gcp, Some(Errand::Http(request)))
            }
            Some("k8s") => {
                let named = env.azure.clone().or_else(|| env.aws.clone());
                (Kind::File, Some(Errand::ReadFile(named.unwrap_or_else(|| KUBERNETES.to_string()))))
            }
            Some("test") => (Kind::File, env.test.clone().map(Errand::ReadFile)),
            _ => (Kind::Over, None),
        };
        let nothing = || SourceOutput::Failed("nothing says where a token is to be had".to_string());
        OidcTokenSource { kind, output: Some(errand.map_or_else(nothing, SourceOutput::Fetch)) }
    }

    /// What there is to do; `None` until what was asked for is handed in.
    pub fn poll_output(&mut self) -> Option<SourceOutput<IdpServerResponse>> {
        self.output.take()
    }

    /// What was fetched. Does nothing once there is a token, or certainly none.
    pub fn handle_fetched(&mut self, fetched: Fetched) {
        let token = match (core::mem::replace(&mut self.kind, Kind::Over), fetched) {
            (Kind::Over, _) => return,
            (_, Fetched::Failed(why)) => Err(why),
            (Kind::Azure, Fetched::Http(response)) => {
                response.text("Azure's metadata").and_then(access_token)
            }
            (Kind::Gcp, Fetched::Http(response)) => response.text("Google's metadata").map(secret),
            (Kind::File, Fetched::File(bytes)) => match core::str::from_utf8(&bytes) {
                Ok(text) => Ok(secret(text.trim())),
                Err(_) => Err("the token's file is no text".to_string()),
            },
            _ => Err("an answer to what was not asked".to_string()),
        };
        let token =
            token.and_then(
                |token| {
                    if token.is_empty() { Err("the token is empty".to_string()) } else { Ok(token) }
                },
            );
        self.output = Some(match token {
            Ok(mut token) => {
                let token = core::mem::take(&mut *token);
                SourceOutput::Done(IdpServerResponse::new(token))
            }
            Err(why) => SourceOutput::Failed(why),
        });
    }
}

fn secret(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.to_string())
}

fn access_token(text: &str) -> Result<Zeroizing<String>, String> {
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| "Azure's metadata sends no JSON".to_string())?;
    let token = json.get("access_token").and_then(serde_json::Value::as_str);
    token.map(secret).ok_or_else(|| "Azure's metadata sends no access_token".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::errand::HttpResponse;
    use crate::options::AuthMechanism;

    fn source(properties: &[(&str, &str)], user: Option<&str>, env: &OidcEnv) -> OidcTokenSource {
        let properties = properties.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let credential = Credential {
            username: user.map(Into::into),
            mechanism: Some(AuthMechanism::MongoDbOidc),
            mechanism_properties: Some(properties.collect()),
            ..Credential::default()
        };
        OidcTokenSource::new(&credential, env)
    }

    fn asked(source: &mut OidcTokenSource) -> HttpRequest {
        match source.poll_output() {
            Some(SourceOutput::Fetch(Errand::Http(request))) => request,
            other => panic!("{other:?}"),
        }
    }

    fn answered(mut source: OidcTokenSource, status: u16, body: &str) -> Result<String, String> {
        let body = Zeroizing::new(body.as_bytes().to_vec());
        source.handle_fetched(Fetched::Http(HttpResponse { status, body }));
        match source.poll_output() {
            Some(SourceOutput::Done(response)) => Ok(response.access_token.to_string()),
            Some(SourceOutput::Failed(why)) => Err(why),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn azure() {
        let properties = [("ENVIRONMENT", "azure"), ("TOKEN_RESOURCE", "api://a,b")];
        let mut one = source(&properties, Some("client"), &OidcEnv::default());
        let request = asked(&mut one);
        assert_eq!(request.host, "169.254.169.254");
        assert_eq!(
            request.path,
            "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=api%3A%2F%2Fa%2Cb&client_id=client"
        );
        let headers = [("Accept", "application/json".to_string()), ("Metadata", "true".to_string())];
        assert_eq!(request.headers, headers);
        let body = r#"{"access_token":"eyJ0eXAi","refresh_token":"","expires_in":"3599"}"#;
        assert_eq!(answered(one, 200, body).unwrap(), "eyJ0eXAi");
        let mut nobody = source(&properties, None, &OidcEnv::default());
        assert!(!asked(&mut nobody).path.contains("client_id"));
        assert!(answered(nobody, 400, "bad resource").unwrap_err().contains("status 400: bad resource"));
        for body in ["", "{}", "[1]", r#"{"access_token":""}"#] {
            answered(source(&properties, None, &OidcEnv::default()), 200, body).unwrap_err();
        }
    }

    #[test]
    fn gcp() {
        let mut one =
            source(&[("ENVIRONMENT", "gcp"), ("TOKEN_RESOURCE", "https://x")], None, &OidcEnv::default());
        let request = asked(&mut one);
        assert_eq!(request.host, "metadata");
        assert_eq!(
            request.path,
            "/computeMetadata/v1/instance/service-accounts/default/identity?audience=https%3A%2F%2Fx"
        );
        assert_eq!(request.headers, [("Metadata-Flavor", "Google".to_string())]);
        assert_eq!(answered(one, 200, "a.b.c\n").unwrap(), "a.b.c");
    }

    #[test]
    fn files() {
        let env = |names: &[(&str, &str)]| {
            OidcEnv::detect(|name| {
                names.iter().find(|(known, _)| *known == name).map(|(_, file)| file.to_string())
            })
        };
        let azure = ("AZURE_FEDERATED_TOKEN_FILE", "/azure");
        let aws = ("AWS_WEB_IDENTITY_TOKEN_FILE", "/aws");
        let test = ("OIDC_TOKEN_FILE", "/test");
        for (environment, names, expected) in [
            ("k8s", &[azure, aws][..], Some("/azure")),
            ("k8s", &[aws, test], Some("/aws")),
            ("k8s", &[], Some(KUBERNETES)),
            ("test", &[test, azure], Some("/test")),
            ("test", &[azure], None),
        ] {
            let mut one = source(&[("ENVIRONMENT", environment)], None, &env(names));
            match (one.poll_output(), expected) {
                (Some(SourceOutput::Fetch(Errand::ReadFile(file))), Some(expected)) => {
                    assert_eq!(file, expected)
                }
                (Some(SourceOutput::Failed(_)), None) => continue,
                other => panic!("{other:?}"),
            }
            one.handle_fetched(Fetched::File(Zeroizing::new(b"token\n".to_vec())));
            let Some(SourceOutput::Done(response)) = one.poll_output() else { panic!("a token") };
            assert_eq!(response.access_token.as_str(), "token");
        }
    }
}
