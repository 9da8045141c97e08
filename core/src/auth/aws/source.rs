//! Finding keys: in the environment, or by asking the endpoints of AWS.
//!
//! Source: authentication specification, "Obtaining Credentials", "Credential Fetching Order" and what follows.

use super::AwsKeys;
use super::date::parse;
use crate::Duration;
use crate::auth::errand::{Errand, Fetched, HttpRequest, HttpResponse, SourceOutput, encoded};
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use serde_json::Value;
use zeroize::Zeroizing;

const ECS: &str = "169.254.170.2";
const EC2: &str = "169.254.169.254";
const STS: &str = "sts.amazonaws.com";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// How long the session with the instance's metadata is to last, in seconds.
const SESSION_SECONDS: &str = "30";

/// What the environment says of keys. The host reads it: "MUST always read environment variables dynamically".
#[derive(Clone, Default)]
pub struct AwsEnv {
    keys: Option<AwsKeys>,
    web_identity: Option<WebIdentity>,
    container: Option<String>,
}

#[derive(Clone)]
struct WebIdentity {
    token_file: String,
    role_arn: String,
    session_name: String,
}

impl AwsEnv {
    /// Looks the variables up.
    pub fn detect(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let keys = get("AWS_ACCESS_KEY_ID").zip(get("AWS_SECRET_ACCESS_KEY")).map(|(id, secret)| AwsKeys {
            session_token: get("AWS_SESSION_TOKEN").map(Zeroizing::new),
            ..AwsKeys::new(id, secret)
        });
        let web_identity = get("AWS_WEB_IDENTITY_TOKEN_FILE").zip(get("AWS_ROLE_ARN"));
        let web_identity = web_identity.map(|(token_file, role_arn)| WebIdentity {
            token_file,
            role_arn,
            // "otherwise a suitable random name can be chosen": it only shows in AWS's logs.
            session_name: get("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "quorate".to_string()),
        });
        AwsEnv { keys, web_identity, container: get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") }
    }
}

impl fmt::Debug for AwsEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsEnv")
            .field("keys", &self.keys)
            .field("web_identity", &self.web_identity.is_some())
            .field("container", &self.container.is_some())
            .finish()
    }
}

/// The machine that finds keys: says what to fetch, takes what came, until it has them.
#[derive(Debug)]
pub struct AwsKeySource {
    state: State,
    output: Option<SourceOutput<AwsKeys>>,
}

enum State {
    /// The token that identifies this pod is being read.
    TokenFile(WebIdentity),
    Sts,
    Container,
    Session,
    Role {
        session: Zeroizing<String>,
    },
    Instance,
    Over,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::TokenFile(_) => "TokenFile",
            State::Sts => "Sts",
            State::Container => "Container",
            State::Session => "Session",
            State::Role { .. } => "Role",
            State::Instance => "Instance",
            State::Over => "Over",
        })
    }
}

impl AwsKeySource {
    /// Begins ("Credential Fetching Order").
    pub fn new(env: AwsEnv) -> Self {
        let mut source = AwsKeySource { state: State::Over, output: None };
        if let Some(keys) = env.keys {
            source.output = Some(SourceOutput::Done(keys));
        } else if let Some(identity) = env.web_identity {
            let file = identity.token_file.clone();
            source.fetch(State::TokenFile(identity), Errand::ReadFile(file));
        } else if let Some(path) = env.container {
            let request = HttpRequest::new("GET", ECS, format!("/{}", path.trim_start_matches('/')));
            source.fetch(State::Container, Errand::Http(request.header("Accept", "application/json")));
        } else {
            // "Drivers MUST use v2 of the EC2 Instance Metadata Service".
            let request = HttpRequest::new("PUT", EC2, "/latest/api/token");
            let request = request.header("X-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS);
            source.fetch(State::Session, Errand::Http(request));
        }
        source
    }

    /// What there is to do; `None` until what was asked for is handed in.
    pub fn poll_output(&mut self) -> Option<SourceOutput<AwsKeys>> {
        self.output.take()
    }

    /// What was fetched. Does nothing once there are keys, or certainly none.
    pub fn handle_fetched(&mut self, fetched: Fetched) {
        let state = core::mem::replace(&mut self.state, State::Over);
        let outcome = match (state, fetched) {
            (State::Over, _) => return,
            (_, Fetched::Failed(why)) => Err(format!("no AWS keys: {why}")),
            (state, Fetched::Http(response)) => self.responded(state, &response),
            (State::TokenFile(identity), Fetched::File(token)) => match core::str::from_utf8(&token) {
                Ok(token) => {
                    self.fetch(State::Sts, Errand::Http(assume_role(&identity, token.trim())));
                    Ok(())
                }
                Err(_) => Err("the web identity token is no text".to_string()),
            },
            _ => Err("an answer to what was not asked".to_string()),
        };
        if let Err(reason) = outcome {
            self.output = Some(SourceOutput::Failed(reason));
        }
    }

    fn responded(&mut self, state: State, response: &HttpResponse) -> Result<(), String> {
        match state {
            State::Session => {
                let session = Zeroizing::new(response.text("EC2's metadata")?.to_string());
                let request = HttpRequest::new("GET", EC2, ROLES);
                let request = request.header("X-aws-ec2-metadata-token", session.as_str());
                self.fetch(State::Role { session }, Errand::Http(request));
            }
            State::Role { session } => {
                let role = response.text("EC2's metadata")?;
                let role = role.lines().next().filter(|role| !role.is_empty());
                let role = role.ok_or_else(|| "this EC2 instance has no role".to_string())?;
                let request = HttpRequest::new("GET", EC2, format!("{ROLES}{}", encoded(role)));
                let request = request.header("X-aws-ec2-metadata-token", session.as_str());
                self.fetch(State::Instance, Errand::Http(request));
            }
            State::Instance => self.output = Some(SourceOutput::Done(keys(response, "EC2's metadata")?)),
            State::Container => self.output = Some(SourceOutput::Done(keys(response, "ECS")?)),
            State::Sts => self.output = Some(SourceOutput::Done(keys(response, "AWS STS")?)),
            State::TokenFile(_) | State::Over => return Err("an answer to what was not asked".to_string()),
        }
        Ok(())
    }

    fn fetch(&mut self, state: State, errand: Errand) {
        self.state = state;
        self.output = Some(SourceOutput::Fetch(errand));
    }
}

/// "AssumeRoleWithWebIdentity". In the body, as the query of a URL ends up in logs.
fn assume_role(identity: &WebIdentity, token: &str) -> HttpRequest {
    let mut request = HttpRequest::new("POST", STS, "/");
    request.tls = true;
    request.port = 443;
    request.body = format!(
        "Action=AssumeRoleWithWebIdentity&RoleSessionName={}&RoleArn={}&WebIdentityToken={}&Version=2011-06-15",
        encoded(&identity.session_name),
        encoded(&identity.role_arn),
        encoded(token)
    );
    request.header("Accept", "application/json").header("Content-Type", "application/x-www-form-urlencoded")
}

/// Reads keys out of an endpoint's JSON. STS wraps them, and calls the token by another name.
fn keys(response: &HttpResponse, whose: &str) -> Result<AwsKeys, String> {
    let text = response.text(whose)?;
    let json: Value = serde_json::from_str(text).map_err(|_| format!("{whose} sends no JSON"))?;
    let wrapped = ["AssumeRoleWithWebIdentityResponse", "AssumeRoleWithWebIdentityResult", "Credentials"];
    let json = wrapped.iter().fold(&json, |at, name| at.get(name).unwrap_or(at));
    let get = |name: &str| json.get(name).and_then(Value::as_str).filter(|value| !value.is_empty());
    let need = |name: &str| get(name).ok_or_else(|| format!("{whose} sends no {name}"));
    let expires = match json.get("Expiration") {
        Some(Value::String(text)) => parse(text),
        // STS gives seconds.
        Some(Value::Number(number)) => number.as_f64().and_then(|n| Duration::try_from_secs_f64(n).ok()),
        _ => None,
    };
    Ok(AwsKeys {
        session_token: get("Token").or_else(|| get("SessionToken")).map(|t| Zeroizing::new(t.to_string())),
        expires,
        ..AwsKeys::new(need("AccessKeyId")?, need("SecretAccessKey")?)
    })
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
