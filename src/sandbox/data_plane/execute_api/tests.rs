//! Every refusal of API Gateway that clients and operators have to tell apart.

use serde_json::{Value, json};

use super::*;
use crate::sandbox::apigateway::domain::tests::create as create_domain;
use crate::sandbox::apigateway::fixture::{document, endpoint, id, import, petstore, tell, world};

const REGION: &str = "ap-northeast-1";

/// A private API with the sample's document, deployed as `dev` with a policy that lets its VPC in,
/// behind the domain `aaa.example.com`.
struct Gateway {
    world: World,
    api: String,
    endpoint: String,
    vpc: String,
}

/// A request in the making.
struct Sent<'a> {
    host: String,
    path: &'a str,
    method: &'a str,
    headers: Vec<(String, String)>,
    front: Front<'a>,
    server_name: Option<&'a str>,
    length: usize,
}

impl Gateway {
    fn new() -> Self {
        let mut world = world();
        let endpoint = endpoint(&mut world);
        let vpc = world.regions[REGION].ec2.vpc_endpoint(&endpoint, world.now);
        let vpc = vpc.expect("an endpoint").vpc_id.clone();
        let input = json!({ "name": "petstore", "endpointConfiguration": {
            "types": ["PRIVATE"], "vpcEndpointIds": [endpoint],
        } });
        let api = id(&tell(&mut world, "CreateRestApi", input));
        let input = json!({ "restApiId": api });
        import(&mut world, "PutRestApi", input, &document()).expect("an import");
        let mut gateway = Self {
            world,
            api,
            endpoint,
            vpc,
        };
        let policy = allow(&json!({ "StringEquals": { "aws:SourceVpc": gateway.vpc } }));
        gateway.set_policy(&policy);
        gateway.deploy();
        create_domain(&mut gateway.world, "aaa.example.com");
        gateway.map("");
        gateway
    }

    fn set_policy(&mut self, policy: &Value) {
        self.patch("/policy", &policy.to_string());
    }

    fn patch(&mut self, path: &str, value: &str) {
        let operation = json!({ "op": "replace", "path": path, "value": value });
        let input = json!({ "restApiId": self.api, "patchOperations": [operation] });
        tell(&mut self.world, "UpdateRestApi", input);
    }

    fn deploy(&mut self) {
        let input = json!({ "restApiId": self.api, "stageName": "dev" });
        tell(&mut self.world, "CreateDeployment", input);
    }

    fn map(&mut self, base_path: &str) {
        let input = json!({
            "domainName": "aaa.example.com", "basePath": base_path,
            "restApiId": self.api, "stage": "dev",
        });
        tell(&mut self.world, "CreateBasePathMapping", input);
    }

    /// A request by the endpoint to the custom domain.
    fn sent<'a>(&'a self, path: &'a str) -> Sent<'a> {
        Sent {
            host: "aaa.example.com".to_owned(),
            path,
            method: "GET",
            headers: Vec::new(),
            front: Front::Endpoint(&self.endpoint),
            server_name: None,
            length: 0,
        }
    }

    fn route(&self, sent: &Sent<'_>) -> Result<Box<Matched>, Answer> {
        let mut headers = sent.headers.clone();
        headers.push(("host".to_owned(), sent.host.clone()));
        let (path, query) = match sent.path.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (sent.path, None),
        };
        let arrival = Arrival {
            region: REGION,
            front: sent.front,
            source: "172.31.0.7".parse().expect("an address"),
            server_name: sent.server_name,
            method: sent.method,
            path,
            query,
            headers: &headers,
            length: sent.length,
            id: "11111111-2222-4333-8444-555555555555",
        };
        route(&self.world, &arrival)
    }

    /// The resource that answers.
    fn answered(&self, sent: &Sent<'_>) -> String {
        let matched = self.route(sent);
        matched
            .unwrap_or_else(|answer| panic!("{answer:?}"))
            .exchange
            .resource
    }

    /// Status, body and error type of API Gateway's own answer.
    fn refused(&self, sent: &Sent<'_>) -> (u16, String, String) {
        let answer = self.route(sent).expect_err("a refusal");
        let error = answer
            .header("x-amzn-ErrorType")
            .unwrap_or_default()
            .to_owned();
        assert!(
            answer.header("x-amzn-RequestId").is_some()
                && answer.header("x-amz-apigw-id").is_some()
        );
        (
            answer.status,
            String::from_utf8(answer.body).expect("text"),
            error,
        )
    }

    fn own_name(&self) -> String {
        format!("{}.execute-api.{REGION}.amazonaws.com", self.api)
    }
}

/// A policy that allows everybody under a condition.
fn allow(condition: &Value) -> Value {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke",
        "Resource": "execute-api:/*", "Condition": condition,
    }] })
}

fn forbidden() -> (u16, String, String) {
    let body = r#"{"message":"Forbidden"}"#;
    (403, body.to_owned(), "ForbiddenException".to_owned())
}

#[test]
fn the_domain_leads_to_the_mapped_stage() {
    let gateway = Gateway::new();
    assert_eq!(gateway.answered(&gateway.sent("/")), "/");
    let matched = gateway.route(&gateway.sent("/pets/7?x=1")).expect("an API");
    assert_eq!(matched.exchange.resource, "/pets/{petId}");
    assert_eq!(matched.exchange.path_parameters["petId"], "7");
    assert_eq!(matched.exchange.parameter("x"), Some("1"));
    assert_eq!(matched.exchange.stage, "dev");
}

#[test]
fn the_base_path_is_cut_off() {
    let mut gateway = Gateway::new();
    let domain = json!({ "domainName": "aaa.example.com", "basePath": "(none)" });
    tell(&mut gateway.world, "DeleteBasePathMapping", domain);
    gateway.map("v1");
    assert_eq!(
        gateway.answered(&gateway.sent("/v1/pets/7")),
        "/pets/{petId}"
    );
    assert_eq!(gateway.refused(&gateway.sent("/pets/7")), forbidden());
}

#[test]
fn a_host_that_names_no_api_is_forbidden() {
    let gateway = Gateway::new();
    for host in [
        "172.31.0.9",
        "bbb.example.com",
        "aaa.example.com:8443",
        "",
        "nope.execute-api.ap-northeast-1.amazonaws.com",
    ] {
        let sent = Sent {
            host: host.to_owned(),
            ..gateway.sent("/")
        };
        assert_eq!(gateway.refused(&sent), forbidden(), "{host}");
    }
}

#[test]
fn a_health_check_by_address_gets_403_and_ping_200() {
    let gateway = Gateway::new();
    let address = "172.31.0.9".parse().expect("an address");
    let check = |path| status_of_check(&gateway.world, REGION, (&gateway.endpoint, address), path);
    assert_eq!(
        (
            check("/"),
            check("/ping"),
            check("/sping?x"),
            check("/pets")
        ),
        (403, 200, 200, 403)
    );
}

#[test]
fn a_deleted_mapping_leaves_nothing_behind_the_domain() {
    let mut gateway = Gateway::new();
    let domain = json!({ "domainName": "aaa.example.com", "basePath": "(none)" });
    tell(&mut gateway.world, "DeleteBasePathMapping", domain);
    assert_eq!(gateway.refused(&gateway.sent("/pets/1")), forbidden());
}

#[test]
fn an_unknown_path_or_method_misses_its_token() {
    let gateway = Gateway::new();
    let missing = (
        403,
        r#"{"message":"Missing Authentication Token"}"#.to_owned(),
        "MissingAuthenticationTokenException".to_owned(),
    );
    assert_eq!(gateway.refused(&gateway.sent("/cats")), missing);
    assert_eq!(gateway.refused(&gateway.sent("/pets")), missing);
    let sent = Sent {
        method: "DELETE",
        ..gateway.sent("/pets/1")
    };
    assert_eq!(gateway.refused(&sent), missing);
}

#[test]
fn the_policy_denies_in_the_words_of_iam() {
    let mut gateway = Gateway::new();
    gateway.set_policy(&allow(
        &json!({ "StringEquals": { "aws:SourceVpc": "vpc-elsewhere" } }),
    ));
    gateway.deploy();
    let (status, body, error) = gateway.refused(&gateway.sent("/pets/1"));
    let message = format!(
        "User: anonymous is not authorized to perform: execute-api:Invoke on resource: \
         arn:aws:execute-api:{REGION}:********9012:{}/dev/GET/pets/1",
        gateway.api
    );
    assert_eq!(body, format!("{{\"Message\":\"{message}\"}}"));
    assert_eq!((status, error.as_str()), (403, "AccessDeniedException"));
    let mut both = allow(&json!({}));
    let deny = json!({
        "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
        "Condition": { "StringNotEquals": { "aws:SourceVpce": "vpce-elsewhere" } },
    });
    both["Statement"].as_array_mut().expect("a list").push(deny);
    gateway.set_policy(&both);
    gateway.deploy();
    let (_, body, _) = gateway.refused(&gateway.sent("/pets/1"));
    assert_eq!(
        body,
        format!("{{\"Message\":\"{message} with an explicit deny\"}}")
    );
}

#[test]
fn a_policy_counts_from_the_next_deployment_on() {
    let mut gateway = Gateway::new();
    gateway.set_policy(&allow(
        &json!({ "StringEquals": { "aws:SourceVpc": "vpc-elsewhere" } }),
    ));
    assert_eq!(gateway.answered(&gateway.sent("/")), "/");
    gateway.deploy();
    assert_eq!(gateway.refused(&gateway.sent("/")).0, 403);
}

#[test]
fn the_address_that_a_policy_sees_is_the_nodes() {
    let mut gateway = Gateway::new();
    for (range, admitted) in [("172.31.0.0/24", true), ("198.51.100.0/24", false)] {
        gateway.set_policy(&allow(
            &json!({ "IpAddress": { "aws:VpcSourceIp": range } }),
        ));
        gateway.deploy();
        assert_eq!(
            gateway.route(&gateway.sent("/")).is_ok(),
            admitted,
            "{range}"
        );
    }
}

#[test]
fn what_is_added_to_an_api_answers_from_the_next_deployment_on() {
    let mut gateway = Gateway::new();
    let mut document = document();
    document["paths"]["/cats"] = document["paths"]["/"].clone();
    let input = json!({ "restApiId": gateway.api, "mode": "merge" });
    import(&mut gateway.world, "PutRestApi", input, &document).expect("an import");
    assert_eq!(gateway.refused(&gateway.sent("/cats")).0, 403);
    gateway.deploy();
    assert_eq!(gateway.answered(&gateway.sent("/cats")), "/cats");
}

#[test]
fn the_endpoints_policy_is_asked_first() {
    let mut gateway = Gateway::new();
    let nobody = json!({ "Statement": {
        "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:execute-api:*:*:other/*",
    } });
    let input = json!({ "VpcEndpointId": gateway.endpoint, "PolicyDocument": nobody.to_string() });
    let call = crate::sandbox::world::Call::of("ModifyVpcEndpoint", &input);
    crate::sandbox::ec2::handle(&mut gateway.world, &call).expect("a change");
    let answer = gateway.route(&gateway.sent("/")).expect_err("a refusal");
    assert_eq!(
        (answer.status, answer.cause),
        (403, Some("the endpoint's policy"))
    );
}

#[test]
fn a_private_api_is_not_reached_by_the_public_front() {
    let gateway = Gateway::new();
    for (host, path) in [
        ("aaa.example.com".to_owned(), "/"),
        (gateway.own_name(), "/dev"),
    ] {
        let sent = Sent {
            host,
            front: Front::Public,
            ..gateway.sent(path)
        };
        assert_eq!(gateway.refused(&sent), forbidden());
    }
}

#[test]
fn a_public_api_is_not_reached_by_an_endpoint() {
    let mut gateway = Gateway::new();
    let public = petstore(&mut gateway.world);
    let input = json!({ "restApiId": public, "stageName": "dev" });
    tell(&mut gateway.world, "CreateDeployment", input);
    let host = format!("{public}.execute-api.{REGION}.amazonaws.com");
    let sent = |front| Sent {
        host: host.clone(),
        front,
        ..gateway.sent("/dev/pets/1")
    };
    assert_eq!(gateway.answered(&sent(Front::Public)), "/pets/{petId}");
    assert_eq!(
        gateway.refused(&sent(Front::Endpoint(&gateway.endpoint))),
        forbidden()
    );
}

#[test]
fn the_apis_own_names_have_the_stage_in_the_path() {
    let gateway = Gateway::new();
    let with_endpoint = format!(
        "{}-{}.execute-api.{REGION}.amazonaws.com",
        gateway.api, gateway.endpoint
    );
    for host in [gateway.own_name(), with_endpoint.to_uppercase()] {
        let sent = |path| Sent {
            host: host.clone(),
            ..gateway.sent(path)
        };
        assert_eq!(gateway.answered(&sent("/dev/pets/1")), "/pets/{petId}");
        assert_eq!(gateway.refused(&sent("/prod/pets/1")), forbidden());
    }
    let mut sent = gateway.sent("/dev");
    sent.host = format!(
        "{}.execute-api.{REGION}.vpce.amazonaws.com",
        gateway.endpoint
    );
    assert_eq!(gateway.refused(&sent), forbidden());
    sent.headers
        .push(("x-apigw-api-id".to_owned(), gateway.api.clone()));
    assert_eq!(gateway.answered(&sent), "/");
}

#[test]
fn the_name_with_an_endpoint_is_for_endpoints_that_were_deployed() {
    let mut gateway = Gateway::new();
    let operation = json!({
        "op": "remove", "path": "/endpointConfiguration/vpcEndpointIds", "value": gateway.endpoint,
    });
    let input = json!({ "restApiId": gateway.api, "patchOperations": [operation] });
    tell(&mut gateway.world, "UpdateRestApi", input);
    let host = format!(
        "{}-{}.execute-api.{REGION}.amazonaws.com",
        gateway.api, gateway.endpoint
    );
    let sent = |gateway: &Gateway| {
        let sent = Sent {
            host: host.clone(),
            ..gateway.sent("/dev")
        };
        gateway.route(&sent).is_ok()
    };
    assert!(sent(&gateway));
    gateway.deploy();
    assert!(!sent(&gateway));
}

#[test]
fn a_disabled_own_name_is_forbidden() {
    let mut gateway = Gateway::new();
    gateway.patch("/disableExecuteApiEndpoint", "true");
    gateway.deploy();
    let sent = Sent {
        host: gateway.own_name(),
        ..gateway.sent("/dev")
    };
    assert_eq!(gateway.refused(&sent), forbidden());
    assert_eq!(gateway.answered(&gateway.sent("/")), "/");
}

#[test]
fn a_strict_domain_takes_nothing_by_an_endpoint() {
    let mut gateway = Gateway::new();
    let operations = json!([
        { "op": "replace", "path": "/securityPolicy", "value": "SecurityPolicy_TLS13_1_3_2025_09" },
        { "op": "replace", "path": "/endpointAccessMode", "value": "STRICT" },
    ]);
    let input = json!({ "domainName": "aaa.example.com", "patchOperations": operations });
    tell(&mut gateway.world, "UpdateDomainName", input);
    let sent = Sent {
        server_name: Some("aaa.example.com"),
        ..gateway.sent("/")
    };
    assert_eq!(gateway.refused(&sent), forbidden());
}

#[test]
fn a_strict_api_takes_its_own_name_only_and_in_tls_too() {
    let mut gateway = Gateway::new();
    let operations = json!([
        { "op": "replace", "path": "/securityPolicy", "value": "SecurityPolicy_TLS13_1_3_2025_09" },
        { "op": "replace", "path": "/endpointAccessMode", "value": "STRICT" },
    ]);
    let input = json!({ "restApiId": gateway.api, "patchOperations": operations });
    tell(&mut gateway.world, "UpdateRestApi", input);
    assert_eq!(gateway.refused(&gateway.sent("/")), forbidden());
    let own_name = gateway.own_name();
    for (server_name, admitted) in [(None, false), (Some(own_name.as_str()), true)] {
        let sent = Sent {
            host: own_name.clone(),
            server_name,
            ..gateway.sent("/dev")
        };
        assert_eq!(gateway.route(&sent).is_ok(), admitted, "{server_name:?}");
    }
}

#[test]
fn headers_of_a_private_api_have_a_budget() {
    let gateway = Gateway::new();
    for (length, admitted) in [(7_000, true), (8_000, false)] {
        let sent = Sent {
            headers: vec![("x-amzn-mtls-clientcert".to_owned(), "x".repeat(length))],
            ..gateway.sent("/")
        };
        assert_eq!(gateway.route(&sent).is_ok(), admitted, "{length}");
    }
}

#[test]
fn a_body_has_a_limit() {
    let gateway = Gateway::new();
    let sent = Sent {
        length: PAYLOAD + 1,
        ..gateway.sent("/")
    };
    let (status, body, _) = gateway.refused(&sent);
    assert_eq!(
        (status, body.as_str()),
        (413, r#"{"message":"Request Too Long"}"#)
    );
}

#[test]
fn methods_that_want_a_signature_or_a_key_refuse_those_without() {
    let mut gateway = Gateway::new();
    let resources = tell(
        &mut gateway.world,
        "GetResources",
        json!({ "restApiId": gateway.api }),
    );
    let root = resources["items"].as_array().expect("a list").iter();
    let root = root
        .into_iter()
        .find(|resource| resource["path"] == "/")
        .expect("a root")["id"]
        .clone();
    for (path, value, body) in [
        (
            "/authorizationType",
            "AWS_IAM",
            "Missing Authentication Token",
        ),
        ("/apiKeyRequired", "true", "Forbidden"),
    ] {
        let input = json!({
            "restApiId": gateway.api, "resourceId": root, "httpMethod": "GET",
            "patchOperations": [{ "op": "replace", "path": path, "value": value }],
        });
        tell(&mut gateway.world, "UpdateMethod", input);
        gateway.deploy();
        let (status, answer, _) = gateway.refused(&gateway.sent("/"));
        assert_eq!(
            (status, answer),
            (403, format!("{{\"message\":\"{body}\"}}"))
        );
        let input = json!({
            "restApiId": gateway.api, "resourceId": root, "httpMethod": "GET",
            "patchOperations": [{ "op": "replace", "path": "/authorizationType", "value": "NONE" }],
        });
        tell(&mut gateway.world, "UpdateMethod", input);
    }
}

#[test]
fn an_apis_own_gateway_response_takes_the_place_of_the_default() {
    let mut gateway = Gateway::new();
    let input = json!({
        "restApiId": gateway.api, "responseType": "MISSING_AUTHENTICATION_TOKEN", "statusCode": "404",
        "responseParameters": { "gatewayresponse.header.X-Why": "'nothing here'" },
        "responseTemplates": { "application/json": "{\"stage\":\"$context.stage\",\"why\":$context.error.messageString}" },
    });
    tell(&mut gateway.world, "PutGatewayResponse", input);
    assert_eq!(gateway.refused(&gateway.sent("/cats")).0, 403);
    gateway.deploy();
    let answer = gateway
        .route(&gateway.sent("/cats"))
        .expect_err("a refusal");
    assert_eq!(
        (answer.status, answer.header("X-Why")),
        (404, Some("nothing here"))
    );
    assert_eq!(
        String::from_utf8_lossy(&answer.body),
        r#"{"stage":"dev","why":"Missing Authentication Token"}"#
    );
}

#[test]
fn literal_parts_come_before_variables_and_variables_before_greedy_ones() {
    let mut gateway = Gateway::new();
    let mut document = document();
    let method = json!({ "x-amazon-apigateway-any-method": {
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": { "type": "mock", "responses": {} },
    } });
    for path in ["/pets/new", "/{proxy+}", "/pets/{petId}/toys"] {
        document["paths"][path] = method.clone();
    }
    let input = json!({ "restApiId": gateway.api, "mode": "overwrite" });
    import(&mut gateway.world, "PutRestApi", input, &document).expect("an import");
    gateway.set_policy(&allow(&json!({})));
    gateway.deploy();
    for (path, resource) in [
        ("/pets/new", "/pets/new"),
        ("/pets/7", "/pets/{petId}"),
        ("/pets/7/", "/pets/{petId}"),
        ("/pets/7/toys", "/pets/{petId}/toys"),
        ("/pets/7/names", "/{proxy+}"),
        ("/dogs", "/{proxy+}"),
        ("/", "/"),
    ] {
        assert_eq!(gateway.answered(&gateway.sent(path)), resource, "{path}");
    }
    let matched = gateway.route(&gateway.sent("/a/b%20c")).expect("an API");
    assert_eq!(matched.exchange.path_parameters["proxy"], "a/b c");
}

#[test]
fn a_validator_refuses_what_lacks_parameters_and_what_does_not_fit_its_model() {
    let mut gateway = Gateway::new();
    let mut document = document();
    document["x-amazon-apigateway-request-validators"] = json!({
        "all": { "validateRequestBody": true, "validateRequestParameters": true },
    });
    document["paths"]["/pets"] = json!({ "post": {
        "x-amazon-apigateway-request-validator": "all",
        "parameters": [
            { "name": "type", "in": "query", "required": true, "type": "string" },
            { "name": "pet", "in": "body", "required": true, "schema": { "$ref": "#/definitions/Pet" } },
        ],
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": { "type": "mock", "responses": {} },
    } });
    let input = json!({ "restApiId": gateway.api, "mode": "merge" });
    import(&mut gateway.world, "PutRestApi", input, &document).expect("an import");
    gateway.deploy();
    let sent = |path| Sent {
        method: "POST",
        ..gateway.sent(path)
    };
    let (status, body, _) = gateway.refused(&sent("/pets"));
    let message = "Missing required request parameters: [type]";
    assert_eq!(
        (status, body),
        (400, format!("{{\"message\":\"{message}\"}}"))
    );
    let matched = gateway.route(&sent("/pets?type=x")).expect("an API");
    assert_eq!(matched.refusal_of(br#"{"type": "cat"}"#), None);
    let refusal = matched.refusal_of(br#"{"type": 7}"#).expect("a refusal");
    let body = String::from_utf8_lossy(&refusal.body);
    assert_eq!(
        (refusal.status, &*body),
        (400, r#"{"message":"Invalid request body"}"#)
    );
}
