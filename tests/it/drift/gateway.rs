//! Rows of API Gateway.

use serde_json::{Value, json};

use super::account::Account;
use super::{Row, changed, gone};

const DOMAIN: &str = "/domainnames/api.example.com";
const MAPPING: &str = "/domainnames/api.example.com/basepathmappings/v1";

/// All rows of API Gateway.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = api();
    rows.extend(definition());
    rows.extend(deployment());
    rows.extend(stage());
    rows.extend(domain());
    rows.extend(tags());
    rows
}

fn of_api(account: &Account, rest: &str) -> String {
    format!("/restapis/{}{rest}", account.id("api"))
}

fn items(account: &Account, path: &str) -> Vec<Value> {
    let answer = account.gateway("GET", path, &Value::Null);
    let items = answer.pointer("/_embedded/item").or(answer.get("item"));
    match items {
        Some(Value::Array(items)) => items.clone(),
        Some(item) => vec![item.clone()],
        None => Vec::new(),
    }
}

/// The path of what is below a resource of the API.
fn resource(account: &Account, path: &str, rest: &str) -> String {
    let resources = items(account, &of_api(account, "/resources"));
    let mut resources = resources.iter();
    let found = resources.find(|one| one["path"] == path).expect("is there");
    let id = found["id"].as_str().expect("is text");
    of_api(account, &format!("/resources/{id}{rest}"))
}

fn open_policy() -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"
    }]})
    .to_string()
}

fn api() -> Vec<Row> {
    let at = "api";
    vec![
        changed(at, "name", "theirs", |account| {
            account.patch(&of_api(account, ""), &[("replace", "/name", "theirs")]);
        }),
        changed(at, "description", "theirs", |account| {
            account.patch(
                &of_api(account, ""),
                &[("replace", "/description", "theirs")],
            );
        }),
        changed(at, "vpc_endpoints", json!([]), |account| {
            let path = "/endpointConfiguration/vpcEndpointIds";
            let endpoint = account.id("endpoint");
            account.patch(&of_api(account, ""), &[("remove", path, &endpoint)]);
        }),
        changed(at, "policy", Value::Null, |account| {
            account.patch(
                &of_api(account, ""),
                &[("replace", "/policy", &open_policy())],
            );
        }),
        changed(at, "endpoint_type", "REGIONAL", |account| {
            let endpoint = account.id("endpoint");
            let path = of_api(account, "");
            let ids = "/endpointConfiguration/vpcEndpointIds";
            account.patch(&path, &[("remove", ids, &endpoint)]);
            let kind = "/endpointConfiguration/types/PRIVATE";
            account.patch(&path, &[("replace", kind, "REGIONAL")]);
        })
        .and("vpc_endpoints", json!([]))
        .by("replace")
        .then("api.deployment", "replace")
        .then("api.stage", "replace")
        .then("domain.mapping[\"v1\"]", "update"),
    ]
}

/// The definition is compared as a whole, so each of its parts is edited once.
fn definition() -> Vec<Row> {
    let edited = |act: fn(&Account)| changed("api", "definition", Value::Null, act);
    vec![
        edited(|account| {
            let method = resource(account, "/pets", "/methods/GET");
            account.patch(&method, &[("replace", "/authorizationType", "AWS_IAM")]);
        }),
        edited(|account| {
            let method = resource(account, "/pets", "/methods/PUT");
            let put = json!({"authorizationType": "NONE"});
            account.gateway("PUT", &method, &put);
        }),
        edited(|account| {
            let method = resource(account, "/pets", "/methods/POST");
            account.gateway("DELETE", &method, &Value::Null);
        }),
        edited(|account| {
            let integration = resource(account, "/pets", "/methods/GET/integration");
            account.patch(
                &integration,
                &[("replace", "/uri", "http://192.0.2.1/theirs")],
            );
        }),
        edited(|account| {
            let integration = resource(account, "/pets", "/methods/POST/integration");
            let put = json!({"type": "MOCK", "requestTemplates": {"application/json": "{\"statusCode\": 200}"}});
            account.gateway("PUT", &integration, &put);
        }),
        edited(|account| {
            let integration = resource(account, "/pets", "/methods/GET/integration/responses/200");
            let path = "/responseParameters/method.response.header.Access-Control-Allow-Origin";
            account.patch(
                &integration,
                &[("replace", path, "'https://theirs.example'")],
            );
        }),
        edited(|account| {
            let response = resource(account, "/pets", "/methods/GET/responses/404");
            account.gateway("PUT", &response, &json!({}));
        }),
        edited(|account| {
            let root = resource(account, "/", "");
            account.gateway("POST", &root, &json!({"pathPart": "theirs"}));
        }),
        edited(|account| {
            let response = of_api(account, "/gatewayresponses/DEFAULT_4XX");
            account.gateway("PUT", &response, &json!({"statusCode": "418"}));
        }),
        edited(|account| {
            let model =
                json!({"name": "Theirs", "contentType": "application/json", "schema": "{}"});
            account.gateway("POST", &of_api(account, "/models"), &model);
        }),
        edited(|account| {
            let model = of_api(account, "/models/Pet");
            account.patch(&model, &[("replace", "/schema", "{}")]);
        }),
    ]
}

/// Deploys what the API is now as somebody else would; gives the deployment's id.
fn deploy(account: &Account) -> String {
    let body = json!({"description": "theirs"});
    let made = account.gateway("POST", &of_api(account, "/deployments"), &body);
    made["id"].as_str().expect("is text").to_owned()
}

/// Somebody clears away their deployments.
fn undeploy(account: &Account) {
    account.forget_ids();
    for one in items(account, &of_api(account, "/deployments")) {
        if one["description"] == "theirs" {
            let id = one["id"].as_str().expect("is text");
            let path = of_api(account, &format!("/deployments/{id}"));
            account.gateway("DELETE", &path, &Value::Null);
        }
    }
}

fn turn_stage(account: &Account, deployment: &str) {
    let stage = of_api(account, "/stages/dev");
    account.patch(&stage, &[("replace", "/deploymentId", deployment)]);
}

fn deployment() -> Vec<Row> {
    vec![
        // Only what it was made of tells a deployment from another.
        changed("api.deployment", "content", "0", |account| {
            let path = of_api(
                account,
                &format!("/deployments/{}", account.id("api.deployment")),
            );
            account.patch(&path, &[("replace", "/description", "mtlsgw 0")]);
        })
        .by("replace")
        .then("api.stage", "update"),
        gone("api.deployment", |account| {
            let ours = account.id("api.deployment");
            turn_stage(account, &deploy(account));
            account.gateway(
                "DELETE",
                &of_api(account, &format!("/deployments/{ours}")),
                &Value::Null,
            );
        })
        .then("api.stage", "update")
        .afterwards(undeploy),
        changed("api.stage", "deployment", Value::Null, |account| {
            turn_stage(account, &deploy(account));
        })
        .afterwards(undeploy),
        // The policy that counts is the deployed one.
        changed("api", "policy", Value::Null, |account| {
            account.patch(
                &of_api(account, ""),
                &[("replace", "/policy", &open_policy())],
            );
            turn_stage(account, &deploy(account));
        })
        .then("api.stage", "update")
        .afterwards(undeploy),
    ]
}

fn stage() -> Vec<Row> {
    let patched = |field: &str, live: Value, operations: &'static [(&str, &str, &str)]| {
        changed("api.stage", field, live, move |account| {
            account.patch(&of_api(account, "/stages/dev"), operations);
        })
    };
    let mapped = "domain.mapping[\"v1\"]";
    vec![
        patched(
            "description",
            json!("theirs"),
            &[("replace", "/description", "theirs")],
        ),
        patched(
            "variables",
            json!({"colour": "red"}),
            &[("replace", "/variables/colour", "red")],
        ),
        patched(
            "variables",
            json!({"colour": "blue", "size": "large"}),
            &[("replace", "/variables/size", "large")],
        ),
        patched(
            "variables",
            json!({}),
            &[("remove", "/variables/colour", "")],
        ),
        patched(
            "access_logs",
            Value::Null,
            &[(
                "replace",
                "/accessLogSettings/format",
                "$context.requestId $context.identity.sourceIp",
            )],
        ),
        patched(
            "access_logs",
            Value::Null,
            &[("remove", "/accessLogSettings", "")],
        ),
        patched(
            "throttling",
            Value::Null,
            &[("replace", "/*/*/throttling/rateLimit", "5000")],
        ),
        patched(
            "throttling",
            Value::Null,
            &[("replace", "/*/*/throttling/burstLimit", "20")],
        ),
        patched("throttling", Value::Null, &[("remove", "/*/*", "")]),
        gone("api.stage", |account| {
            account.gateway("DELETE", MAPPING, &Value::Null);
            account.gateway("DELETE", &of_api(account, "/stages/dev"), &Value::Null);
        })
        .then(mapped, "create"),
        gone("api", |account| {
            account.gateway("DELETE", MAPPING, &Value::Null);
            account.gateway("DELETE", &of_api(account, ""), &Value::Null);
        })
        .then("api.deployment", "create")
        .then("api.stage", "create")
        .then(mapped, "create"),
    ]
}

fn domain() -> Vec<Row> {
    let mapped = "domain.mapping[\"v1\"]";
    vec![
        changed("domain", "certificate", Value::Null, |account| {
            let theirs = account.their_certificate();
            account.patch(DOMAIN, &[("replace", "/regionalCertificateArn", &theirs)]);
        }),
        changed("domain", "security_policy", "TLS_1_0", |account| {
            account.patch(DOMAIN, &[("replace", "/securityPolicy", "TLS_1_0")]);
        }),
        changed(mapped, "stage", "theirs", |account| {
            let stage = json!({"stageName": "theirs", "deploymentId": deploy(account)});
            account.gateway("POST", &of_api(account, "/stages"), &stage);
            account.patch(MAPPING, &[("replace", "/stage", "theirs")]);
        })
        .afterwards(|account| {
            account.gateway("DELETE", &of_api(account, "/stages/theirs"), &Value::Null);
            undeploy(account);
        }),
        gone(mapped, |account| {
            account.patch(MAPPING, &[("replace", "/basePath", "theirs")]);
        })
        .then("domain.mapping[\"theirs\"]", "delete"),
        gone(mapped, |account| {
            account.gateway("DELETE", MAPPING, &Value::Null);
        }),
        gone("domain", |account| {
            account.gateway("DELETE", MAPPING, &Value::Null);
            account.gateway("DELETE", DOMAIN, &Value::Null);
        })
        .then(mapped, "create"),
    ]
}

fn tags() -> Vec<Row> {
    let tagged = [("api", ""), ("api.stage", "/stages/dev"), ("domain", "")];
    let path = |account: &Account, at: &str, rest: &str| {
        let own = if at == "domain" {
            DOMAIN.to_owned()
        } else {
            of_api(account, rest)
        };
        let arn = format!("arn:aws:apigateway:ap-northeast-1::{own}");
        format!("/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"))
    };
    let rows = tagged.into_iter().flat_map(|(at, rest)| {
        [
            changed(at, "tags.Team", "theirs", move |account| {
                let tags = json!({"tags": {"Team": "theirs"}});
                account.gateway("PUT", &path(account, at, rest), &tags);
            }),
            changed(at, "tags.Team", Value::Null, move |account| {
                let keys = "?tagKeys=Team&tagKeys=mtlsgw%3Atags";
                let path = format!("{}{keys}", path(account, at, rest));
                account.gateway("DELETE", &path, &Value::Null);
            })
            .and("tags.mtlsgw:tags", Value::Null),
        ]
    });
    rows.collect()
}
