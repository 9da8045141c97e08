//! Exchanges as the specification and AWS's documentation show them.

use super::*;

fn env(variables: &[(&str, &str)]) -> AwsEnv {
    let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| v.to_string());
    AwsEnv::detect(lookup)
}

fn fetched(source: &mut AwsKeySource) -> HttpRequest {
    match source.poll_output() {
        Some(SourceOutput::Fetch(Errand::Http(request))) => request,
        other => panic!("{other:?}"),
    }
}

fn answer(source: &mut AwsKeySource, status: u16, body: &str) {
    let body = Zeroizing::new(body.as_bytes().to_vec());
    source.handle_fetched(Fetched::Http(HttpResponse { status, body }));
}

fn found(source: &mut AwsKeySource) -> (String, String, Option<String>, Option<u64>) {
    match source.poll_output() {
        Some(SourceOutput::Done(keys)) => (
            keys.access_key_id.clone(),
            keys.secret_access_key.to_string(),
            keys.session_token.map(|token| token.to_string()),
            keys.expires.map(|end| end.as_secs()),
        ),
        other => panic!("{other:?}"),
    }
}

fn failed(source: &mut AwsKeySource) -> String {
    match source.poll_output() {
        Some(SourceOutput::Failed(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_environment_comes_first() {
    let more = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_ROLE_ARN", "arn"),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x"),
    ];
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let mut source = AwsKeySource::new(env(&[&more[..], &keys].concat()));
    assert_eq!(found(&mut source), ("id".into(), "secret".into(), None, None));
    let token = [("AWS_SESSION_TOKEN", "token")];
    let mut source = AwsKeySource::new(env(&[&keys[..], &token].concat()));
    assert_eq!(found(&mut source), ("id".into(), "secret".into(), Some("token".into()), None));
    // Half a pair is none.
    let mut source = AwsKeySource::new(env(&[("AWS_ACCESS_KEY_ID", "id")]));
    assert_eq!(fetched(&mut source).host, EC2);
}

#[test]
fn a_web_identity_is_exchanged_at_sts() {
    let mut source = AwsKeySource::new(env(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
        ("AWS_ROLE_SESSION_NAME", "app1"),
    ]));
    match source.poll_output() {
        Some(SourceOutput::Fetch(Errand::ReadFile(file))) => assert_eq!(file, "/token"),
        other => panic!("{other:?}"),
    }
    source.handle_fetched(Fetched::File(Zeroizing::new(b"a.b.c\n".to_vec())));
    let request = fetched(&mut source);
    assert_eq!((request.tls, request.host.as_str(), request.method), (true, "sts.amazonaws.com", "POST"));
    assert_eq!(
        request.body,
        "Action=AssumeRoleWithWebIdentity&RoleSessionName=app1&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx\
         &WebIdentityToken=a.b.c&Version=2011-06-15"
    );
    assert!(!format!("{request:?}").contains("a.b.c"));
    let credentials = r#"{"AccessKeyId":"id","SecretAccessKey":"s","SessionToken":"t","Expiration":1.5E9}"#;
    let bare = format!(r#"{{"Credentials":{credentials}}}"#);
    let wrapped = format!(
        r#"{{"AssumeRoleWithWebIdentityResponse":{{"AssumeRoleWithWebIdentityResult":{{"Credentials":{credentials}}}}}}}"#
    );
    for body in [bare, wrapped] {
        let mut source = AwsKeySource { state: State::Sts, output: None };
        answer(&mut source, 200, &body);
        assert_eq!(found(&mut source), ("id".into(), "s".into(), Some("t".into()), Some(1_500_000_000)));
    }
}

#[test]
fn a_container_asks_its_agent() {
    for path in ["/v2/credentials/x", "v2/credentials/x"] {
        let mut source = AwsKeySource::new(env(&[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", path)]));
        let request = fetched(&mut source);
        assert_eq!((request.host.as_str(), request.path.as_str()), ("169.254.170.2", "/v2/credentials/x"));
        answer(
            &mut source,
            200,
            r#"{"AccessKeyId":"id","Expiration":"2019-11-07T00:26:07Z","RoleArn":"r","SecretAccessKey":"s","Token":"t"}"#,
        );
        assert_eq!(found(&mut source), ("id".into(), "s".into(), Some("t".into()), Some(1_573_086_367)));
    }
}

#[test]
fn an_instance_opens_a_session_and_asks_for_its_role_first() {
    let mut source = AwsKeySource::new(env(&[]));
    let request = fetched(&mut source);
    assert_eq!((request.method, request.path.as_str()), ("PUT", "/latest/api/token"));
    assert_eq!(request.headers, [("X-aws-ec2-metadata-token-ttl-seconds", "30".to_string())]);
    answer(&mut source, 200, "session\n");
    let request = fetched(&mut source);
    assert_eq!((request.method, request.path.as_str()), ("GET", ROLES));
    assert_eq!(request.headers, [("X-aws-ec2-metadata-token", "session".to_string())]);
    answer(&mut source, 200, "my-role");
    let request = fetched(&mut source);
    assert_eq!(request.path, format!("{ROLES}my-role"));
    assert_eq!(request.headers, [("X-aws-ec2-metadata-token", "session".to_string())]);
    answer(
        &mut source,
        200,
        r#"{"Code":"Success","LastUpdated":"x","Type":"AWS-HMAC","AccessKeyId":"id","SecretAccessKey":"s",
            "Token":"t","Expiration":"2019-11-07T00:26:07Z"}"#,
    );
    assert_eq!(found(&mut source), ("id".into(), "s".into(), Some("t".into()), Some(1_573_086_367)));
    answer(&mut source, 200, "late");
    assert!(source.poll_output().is_none());
}

#[test]
fn what_cannot_be_had_is_an_error_that_says_why() {
    for (status, body, why) in [
        (404, "no such page", "EC2's metadata answers with status 404: no such page"),
        (200, "\u{1}", "sends no JSON"),
        (200, "{}", "sends no AccessKeyId"),
        (200, r#"{"AccessKeyId":"id"}"#, "sends no SecretAccessKey"),
    ] {
        let mut source = AwsKeySource { state: State::Instance, output: None };
        answer(&mut source, status, body);
        let reason = failed(&mut source);
        assert!(reason.contains(why), "{reason}");
    }
    let mut source = AwsKeySource::new(env(&[]));
    let _ = source.poll_output();
    source.handle_fetched(Fetched::Failed("timed out".into()));
    assert_eq!(failed(&mut source), "no AWS keys: timed out");
    let mut source = AwsKeySource::new(env(&[]));
    let _ = source.poll_output();
    answer(&mut source, 200, "session");
    let _ = source.poll_output();
    answer(&mut source, 200, "");
    assert_eq!(failed(&mut source), "this EC2 instance has no role");
}
