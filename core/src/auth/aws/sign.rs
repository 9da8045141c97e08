//! AWS Signature Version 4, of the one request that is ever signed.
//!
//! AWS's own crate for it wants `std` and brings some fifty crates along, `tokio` among them; the test `aws_signature` holds what is
//! written here against it. Hashing is done by libraries.
//!
//! Source: AWS documentation, "Create a signed AWS API request"; authentication specification, "MONGODB-AWS".

use super::AwsKeys;
use super::date::Date;
use crate::auth::keys::Hash;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use base64ct::{Base64, Encoding};
use core::fmt::Write;
use zeroize::Zeroizing;

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// A request to be signed. Header names are lower case and in order.
struct Request<'a> {
    method: &'a str,
    query: &'a str,
    headers: &'a [(&'a str, &'a str)],
    body: &'a str,
}

/// The header that proves to AWS who would ask, when the server asks in its place.
pub(super) fn authorization(
    keys: &AwsKeys,
    host: &str,
    region: &str,
    server_nonce: &[u8; 64],
    date: &Date,
) -> String {
    let (length, stamp) = (BODY.len().to_string(), date.stamp());
    let nonce = Base64::encode_string(server_nonce);
    let mut headers: Vec<(&str, &str)> = vec![
        ("content-length", &length),
        ("content-type", "application/x-www-form-urlencoded"),
        ("host", host),
        ("x-amz-date", &stamp),
    ];
    if let Some(token) = &keys.session_token {
        headers.push(("x-amz-security-token", token));
    }
    headers.extend([("x-mongodb-gs2-cb-flag", "n"), ("x-mongodb-server-nonce", nonce.as_str())]);
    sign(keys, "sts", region, date, &Request { method: "POST", query: "", headers: &headers, body: BODY })
}

fn sign(keys: &AwsKeys, service: &str, region: &str, date: &Date, request: &Request<'_>) -> String {
    let (method, query) = (request.method, request.query);
    let mut canonical = Zeroizing::new(format!("{method}\n/\n{query}\n"));
    for (name, value) in request.headers {
        for part in [name, ":", value.trim(), "\n"] {
            canonical.push_str(part);
        }
    }
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    for part in ["\n", &names, "\n", &hex(&Hash::Sha256.digest(request.body.as_bytes()))] {
        canonical.push_str(part);
    }
    let (stamp, day) = (date.stamp(), date.day());
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let request = hex(&Hash::Sha256.digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{request}");
    let secret = Zeroizing::new(format!("AWS4{}", keys.secret_access_key.as_str()));
    let steps = [day.as_str(), region, service, "aws4_request"];
    let key = steps.iter().fold(Zeroizing::new(secret.as_bytes().to_vec()), |key, step| {
        Hash::Sha256.hmac(&key, step.as_bytes())
    });
    let signature = hex(&Hash::Sha256.hmac(&key, to_sign.as_bytes()));
    let id = &keys.access_key_id;
    format!("AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Strings take everything.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;

    /// The example of AWS's documentation, whose header the specification shows.
    #[test]
    fn the_documentations_example() {
        let keys = AwsKeys::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let date = Date::new(Duration::from_secs(1_440_938_160));
        let headers = [
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("host", "iam.amazonaws.com"),
            ("x-amz-date", "20150830T123600Z"),
        ];
        let query = "Action=ListUsers&Version=2010-05-08";
        let request = Request { method: "GET", query, headers: &headers, body: "" };
        assert_eq!(
            sign(&keys, "iam", "us-east-1", &date, &request),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
        assert_eq!(BODY.len(), 43);
    }
}
