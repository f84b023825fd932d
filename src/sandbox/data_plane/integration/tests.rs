//! What backends get, and what comes of those that are not there.

use hyper::Request;
use serde_json::{Value, json};

use super::super::fixture::{Gateway, echo};
use crate::sandbox::apigateway::fixture::document;

fn request(path: &str) -> hyper::http::request::Builder {
    Request::builder()
        .uri(path)
        .header("Host", "aaa.example.com")
}

/// A method that asks the backend, by an integration with more members.
fn method(kind: &str, uri: &str, more: &Value) -> Value {
    let mut integration = json!({
        "type": kind, "httpMethod": "ANY", "uri": format!("http://backend.example.com:8080{uri}"),
        "responses": { "default": { "statusCode": "200" } },
    });
    for (name, value) in more.as_object().expect("an object") {
        integration[name.as_str()] = value.clone();
    }
    json!({
        "parameters": [
            { "name": "id", "in": "path", "required": true, "type": "string" },
            { "name": "q", "in": "query", "type": "string" },
        ],
        "responses": { "200": { "description": "ok", "headers": { "X-From": { "type": "string" } } } },
        "x-amazon-apigateway-integration": integration,
    })
}

/// A document with a mapped and a proxied method.
fn document_of_two_kinds() -> Value {
    let mapped = method(
        "http",
        "/things/{id}",
        &json!({
            "requestParameters": {
                "integration.request.path.id": "method.request.path.id",
                "integration.request.querystring.query": "method.request.querystring.q",
                "integration.request.header.X-Stage": "context.stage",
                "integration.request.header.X-Fixed": "'fixed'",
            },
            "requestTemplates": { "application/json": "{\"was\": $input.json('$.a')}" },
            "responses": { "default": {
                "statusCode": "200",
                "responseParameters": { "method.response.header.X-From": "integration.response.header.X-Backend" },
            } },
        }),
    );
    let proxied = method(
        "http_proxy",
        "/all/{id}",
        &json!({
            "requestParameters": { "integration.request.path.id": "method.request.path.id" },
        }),
    );
    let mut document = document();
    document["paths"] =
        json!({ "/mapped/{id}": { "post": mapped }, "/proxied/{id}": { "post": proxied } });
    document
}

#[tokio::test]
async fn a_backend_gets_what_the_integration_maps() {
    let gateway = Gateway::new();
    gateway.host("backend.example.com:8080", echo().await);
    gateway.import(&document_of_two_kinds());
    gateway.deploy();
    let asked = |path: &str| {
        let asked = request(path).method("POST").header("X-Own", "1");
        asked.body(r#"{"a": [1]}"#.to_owned()).expect("a request")
    };
    let reply = gateway
        .ask(&gateway.listener, asked("/mapped/a%20b?q=x%26y&z=1"))
        .await;
    let echoed = reply.json();
    assert_eq!(echoed["target"], "/things/a%20b?query=x%26y");
    assert_eq!(echoed["body"], r#"{"was": [1]}"#);
    let headers = &echoed["headers"];
    assert_eq!(
        (&headers["x-stage"], &headers["x-fixed"]),
        (&json!("dev"), &json!("fixed"))
    );
    assert_eq!(
        (&headers["host"], &headers["x-own"]),
        (&json!("backend.example.com:8080"), &Value::Null)
    );
    assert_eq!(reply.header("x-from"), "echo");
    let reply = gateway
        .ask(&gateway.listener, asked("/proxied/7?q=1"))
        .await;
    let echoed = reply.json();
    assert_eq!(
        (&echoed["target"], &echoed["body"]),
        (&json!("/all/7?q=1"), &json!(r#"{"a": [1]}"#))
    );
    assert_eq!(echoed["headers"]["x-own"], "1");
    assert_eq!(reply.header("x-amzn-remapped-server"), "echo/1");
}

#[tokio::test]
async fn a_backend_that_is_not_there_is_told_apart_from_one_that_is_unknown() {
    let gateway = Gateway::new();
    let mut document = document();
    let method = |uri: &str| {
        json!({ "get": {
            "responses": { "200": { "description": "ok" } },
            "x-amazon-apigateway-integration": { "type": "http_proxy", "httpMethod": "GET", "uri": uri },
        } })
    };
    document["paths"] = json!({
        "/unknown": method("http://unknown.example.net/"),
        "/refused": method("http://refused.example.net/"),
        "/plain": method("https://plain.example.net/"),
        "/template": { "get": {
            "responses": { "200": { "description": "ok" } },
            "x-amazon-apigateway-integration": {
                "type": "mock", "requestTemplates": { "application/json": "#if(true){\"statusCode\":200}#end" },
                "responses": { "default": { "statusCode": "200" } },
            },
        } },
    });
    gateway.import(&document);
    gateway.deploy();
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    gateway.host("refused.example.net:80", free.expect("an address"));
    gateway.host("plain.example.net:443", echo().await);
    for (path, status, message) in [
        ("/unknown", 500, "Internal server error"),
        ("/refused", 504, "Network error communicating with endpoint"),
        ("/plain", 504, "Network error communicating with endpoint"),
        ("/template", 500, "Internal server error"),
    ] {
        let reply = gateway.get(path).await;
        assert_eq!(
            (reply.status, reply.json()["message"].as_str()),
            (status, Some(message)),
            "{path}"
        );
    }
}
