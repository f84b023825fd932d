//! What clients get through a load balancer, by everything behind it.

use hyper::Request;
use serde_json::{Value, json};

use super::super::fixture::{Gateway, REGION, Reply, echo, forward, rule};
use super::super::network::Place;
use super::super::{dns, probe, upstream};

fn request(path: &str) -> hyper::http::request::Builder {
    Request::builder()
        .uri(path)
        .header("Host", "aaa.example.com")
}

/// A gateway with another group on port 8080, whose only target is an address.
fn with_backend(address: &str) -> (Gateway, String, String) {
    let gateway = Gateway::new();
    let group = gateway.new_group("backend", "HTTP", 8080);
    let input = json!({ "TargetGroupArn": group, "Targets": [
        { "Id": address, "Port": 8080, "AvailabilityZone": "all" },
    ] });
    gateway.elb("RegisterTargets", input);
    let listener = gateway.listen(8080, &forward(&group));
    (gateway, listener, group)
}

fn is_balancers_own(reply: &Reply, status: u16) -> bool {
    let own = reply.header("server") == "awselb/2.0" && reply.header("content-type") == "text/html";
    reply.status == status && own && reply.body.contains(&format!("<h1>{status} "))
}

#[tokio::test]
async fn pets_come_through_the_endpoint() {
    let gateway = Gateway::new();
    let page = gateway.get("/").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html")
    );
    let pet = gateway.get("/pets/1").await;
    assert_eq!(
        pet.json(),
        json!({ "id": 1, "type": "dog", "price": 249.99 })
    );
    assert!(!pet.header("x-amzn-requestid").is_empty());
    let record = &pet.record;
    let target = record.target.as_deref().unwrap_or_default();
    assert!(
        target.ends_with(":443")
            && gateway
                .endpoint_addresses()
                .contains(&target.replace(":443", ""))
    );
    assert_eq!(
        (record.target_status, record.rule_priority),
        (Some(200), Some(0))
    );
    assert_eq!(record.actions, ["forward"]);
    assert_eq!(record.target_group.as_ref(), Some(&gateway.target_group));
}

#[tokio::test]
async fn a_policy_sees_the_nodes_address() {
    let gateway = Gateway::new();
    let node = gateway.connection(&gateway.listener).node;
    for (range, status) in [
        (format!("{node}/32"), 200),
        ("198.51.100.10/32".to_owned(), 403),
    ] {
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke",
            "Resource": "execute-api:/*", "Condition": { "IpAddress": { "aws:VpcSourceIp": range } },
        }] });
        gateway.set_policy(&policy);
        gateway.deploy();
        assert_eq!(gateway.get("/").await.status, status, "{range}");
    }
}

#[tokio::test]
async fn a_security_group_that_drops_makes_a_504() {
    let gateway = Gateway::new();
    gateway.ec2(
        "RevokeSecurityGroupIngress",
        rule(&gateway.endpoint_group, 443, "172.31.0.0/16"),
    );
    let reply = gateway.get("/").await;
    assert!(is_balancers_own(&reply, 504), "{reply:?}");
    assert_eq!(reply.record.target_status, None);
}

#[tokio::test]
async fn no_targets_make_a_503() {
    let gateway = Gateway::new();
    gateway.deregister_all();
    let reply = gateway.get("/").await;
    assert!(is_balancers_own(&reply, 503), "{reply:?}");
    assert_eq!(reply.record.target, None);
}

#[tokio::test]
async fn unhealthy_targets_are_asked_where_no_other_is_there() {
    let gateway = Gateway::new();
    let input = json!({ "TargetGroupArn": gateway.target_group, "Matcher": { "HttpCode": "200" } });
    gateway.elb("ModifyTargetGroup", input);
    let mismatch = (
        "unhealthy".to_owned(),
        "Target.ResponseCodeMismatch".to_owned(),
    );
    assert_eq!(gateway.health(&gateway.target_group), mismatch);
    assert_eq!(gateway.get("/").await.status, 200);
    let ping = json!({ "TargetGroupArn": gateway.target_group, "HealthCheckPath": "/ping" });
    gateway.elb("ModifyTargetGroup", ping);
    assert_eq!(gateway.health(&gateway.target_group).0, "healthy");
}

#[tokio::test]
async fn a_deleted_mapping_is_forbidden() {
    let gateway = Gateway::new();
    let mapping = json!({ "domainName": "aaa.example.com", "basePath": "(none)" });
    gateway.gateway("DeleteBasePathMapping", mapping);
    let reply = gateway.get("/pets/1").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (403, r#"{"message":"Forbidden"}"#)
    );
    assert_eq!(reply.header("x-amzn-errortype"), "ForbiddenException");
}

#[tokio::test]
async fn rules_are_tried_by_priority_before_the_default_action() {
    let gateway = Gateway::new();
    let fixed = |code: &str| {
        json!({ "Type": "fixed-response", "FixedResponseConfig": {
            "StatusCode": code, "ContentType": "text/plain", "MessageBody": "by rule",
        } })
    };
    let by_path = json!([{ "Field": "path-pattern", "Values": ["/status*"] }]);
    let by_both = json!([
        { "Field": "path-pattern", "Values": ["/status*"] },
        { "Field": "host-header", "Values": ["*.Example.com"] },
    ]);
    for (priority, conditions, code) in [(20, &by_path, "418"), (10, &by_both, "299")] {
        let code = if code == "418" { "404" } else { code };
        let input = json!({
            "ListenerArn": gateway.listener, "Priority": priority, "Conditions": conditions,
            "Actions": [fixed(code)],
        });
        gateway.elb("CreateRule", input);
    }
    let reply = gateway.get("/status/1").await;
    assert_eq!((reply.status, reply.body.as_str()), (299, "by rule"));
    assert_eq!(reply.record.rule_priority, Some(10));
    assert_eq!(reply.record.actions, ["fixed-response"]);
    let other = Request::builder()
        .uri("/status")
        .header("Host", "example.org:80");
    let reply = gateway
        .ask(
            &gateway.listener,
            other.body(String::new()).expect("a request"),
        )
        .await;
    assert_eq!((reply.status, reply.record.rule_priority), (404, Some(20)));
    assert_eq!(gateway.get("/").await.record.rule_priority, Some(0));
}

#[tokio::test]
async fn plain_http_is_redirected() {
    let gateway = Gateway::new();
    let redirect = json!({ "Type": "redirect", "RedirectConfig": {
        "Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301",
    } });
    let listener = gateway.listen(81, &redirect);
    let asked = request("/pets?type=cat")
        .body(String::new())
        .expect("a request");
    let reply = gateway.ask(&listener, asked).await;
    let location = "https://aaa.example.com:443/pets?type=cat";
    assert_eq!((reply.status, reply.header("location")), (301, location));
    assert_eq!(reply.record.redirect_url.as_deref(), Some(location));
}

#[tokio::test]
async fn a_registered_server_gets_the_request_as_a_target_does() {
    let (gateway, listener, _) = with_backend("10.0.1.5");
    gateway.host("10.0.1.5:8080", echo().await);
    let asked = request("/a?b=c")
        .method("POST")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("Keep-Alive", "timeout=5")
        .body("a body".to_owned());
    let reply = gateway.ask(&listener, asked.expect("a request")).await;
    let echoed = reply.json();
    assert_eq!(
        (&echoed["method"], &echoed["target"], &echoed["body"]),
        (&json!("POST"), &json!("/a?b=c"), &json!("a body"))
    );
    let headers = &echoed["headers"];
    // The listener's port is none of the standard ones.
    assert_eq!(headers["host"], "aaa.example.com:8080");
    assert_eq!(headers["x-forwarded-for"], "192.0.2.1, 198.51.100.10");
    assert_eq!(headers["x-forwarded-proto"], "http");
    assert_eq!(headers["x-forwarded-port"], "8080");
    assert!(
        headers["x-amzn-trace-id"]
            .as_str()
            .is_some_and(|id| id.starts_with("Root=1-"))
    );
    assert_eq!(headers["keep-alive"], Value::Null);
    assert_eq!(
        (reply.header("x-backend"), reply.header("server")),
        ("echo", "echo/1")
    );
}

#[tokio::test]
async fn attributes_decide_about_headers() {
    let (gateway, listener, _) = with_backend("10.0.1.5");
    gateway.host("10.0.1.5:8080", echo().await);
    let attributes = json!([
        { "Key": "routing.http.preserve_host_header.enabled", "Value": "true" },
        { "Key": "routing.http.xff_header_processing.mode", "Value": "remove" },
        { "Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true" },
    ]);
    let input = json!({ "LoadBalancerArn": gateway.balancer, "Attributes": attributes });
    gateway.elb("ModifyLoadBalancerAttributes", input);
    let attributes = json!([
        { "Key": "routing.http.response.server.enabled", "Value": "false" },
        { "Key": "routing.http.response.strict_transport_security.header_value", "Value": "max-age=1" },
    ]);
    let input = json!({ "ListenerArn": listener, "Attributes": attributes });
    gateway.elb("ModifyListenerAttributes", input);
    let asked = request("/")
        .header("X-Forwarded-For", "192.0.2.1")
        .header("x_odd", "1");
    let reply = gateway
        .ask(&listener, asked.body(String::new()).expect("a request"))
        .await;
    let headers = &reply.json()["headers"];
    assert_eq!(headers["host"], "aaa.example.com");
    assert_eq!(
        (&headers["x-forwarded-for"], &headers["x_odd"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(
        (
            reply.header("server"),
            reply.header("strict-transport-security")
        ),
        ("", "max-age=1")
    );
}

#[tokio::test]
async fn a_target_that_refuses_or_speaks_no_http_makes_a_502() {
    let (gateway, listener, _) = with_backend("10.0.1.5");
    let asked = || request("/").body(String::new()).expect("a request");
    // Nobody has the address.
    assert!(is_balancers_own(
        &gateway.ask(&listener, asked()).await,
        504
    ));
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    gateway.host("10.0.1.5:8080", socket.local_addr().expect("an address"));
    let garbage = tokio::spawn(async move {
        let (mut stream, _) = socket.accept().await.expect("a connection");
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"garbage\r\n\r\n")
            .await
            .expect("writes");
    });
    assert!(is_balancers_own(
        &gateway.ask(&listener, asked()).await,
        502
    ));
    garbage.await.expect("no panic");
    // Nothing listens there any more.
    assert!(is_balancers_own(
        &gateway.ask(&listener, asked()).await,
        502
    ));
}

#[tokio::test]
async fn a_target_without_tls_makes_a_502_where_the_group_wants_it() {
    let gateway = Gateway::new();
    gateway.deregister_all();
    let input = json!({ "TargetGroupArn": gateway.target_group, "Targets": [
        { "Id": "10.0.1.5", "Port": 443, "AvailabilityZone": "all" },
    ] });
    gateway.elb("RegisterTargets", input);
    gateway.host("10.0.1.5:443", echo().await);
    assert!(is_balancers_own(&gateway.get("/").await, 502));
}

#[tokio::test]
async fn weights_share_requests_out() {
    let (gateway, listener, _) = with_backend("10.0.1.5");
    gateway.host("10.0.1.5:8080", echo().await);
    let empty = gateway.new_group("empty", "HTTP", 8080);
    let groups = |weights: [i64; 2]| {
        let group = gateway.elb("DescribeTargetGroups", json!({ "Names": ["backend"] }));
        let backend = &group["TargetGroups"][0]["TargetGroupArn"];
        json!([{ "Type": "forward", "ForwardConfig": { "TargetGroups": [
            { "TargetGroupArn": backend, "Weight": weights[0] },
            { "TargetGroupArn": empty, "Weight": weights[1] },
        ] } }])
    };
    for (weights, expected) in [([3, 1], 3), ([1, 0], 4), ([0, 0], 0)] {
        let input = json!({ "ListenerArn": listener, "DefaultActions": groups(weights) });
        gateway.elb("ModifyListener", input);
        let mut answered = 0;
        for _ in 0..4 {
            let asked = request("/").body(String::new()).expect("a request");
            answered += usize::from(gateway.ask(&listener, asked).await.status == 200);
        }
        assert_eq!(answered, expected, "{weights:?}");
    }
}

#[tokio::test]
async fn registered_servers_are_checked_for_real() {
    let (gateway, _, group) = with_backend("10.0.1.5");
    let server = echo().await;
    gateway.host("10.0.1.5:8080", server);
    assert_eq!(gateway.health(&group).0, "initial");
    probe::round(&gateway.plane).await;
    assert_eq!(gateway.health(&group).0, "healthy");
    let path = json!({ "TargetGroupArn": group, "HealthCheckPath": "/status/500" });
    gateway.elb("ModifyTargetGroup", path);
    // A healthy target is left alone for a while; then it takes two failures.
    for expected in ["healthy", "unhealthy"] {
        gateway
            .plane
            .account()
            .advance(std::time::Duration::from_secs(1));
        probe::round(&gateway.plane).await;
        assert_eq!(gateway.health(&group).0, expected);
    }
    assert_eq!(gateway.health(&group).1, "Target.ResponseCodeMismatch");
    let path = json!({ "TargetGroupArn": group, "HealthCheckPath": "/status/403" });
    gateway.elb("ModifyTargetGroup", path);
    for expected in ["unhealthy", "healthy"] {
        probe::round(&gateway.plane).await;
        assert_eq!(gateway.health(&group).0, expected);
    }
}

#[tokio::test]
async fn a_call_past_the_load_balancer_connects_and_is_refused() {
    let gateway = Gateway::new();
    let domain = gateway.gateway("GetDomainName", json!({ "domainName": "aaa.example.com" }));
    let regional = domain["regionalDomainName"]
        .as_str()
        .expect("a name")
        .to_owned();
    let found = {
        let account = gateway.plane.account();
        let address = dns::addresses(&account.world, &regional)[0];
        let client = gateway.plane.client_address();
        super::super::network::from_outside(&account.world, client, (address, 443))
    };
    assert_eq!(
        found,
        super::super::network::Found::At(Place::Front(REGION.to_owned()))
    );
    let socket = super::super::front::socket(&gateway.plane, REGION, None).expect("a socket");
    // The certificate of the custom domain is in force, for its name.
    let trust = {
        let account = gateway.plane.account();
        let region = &account.world.regions[REGION];
        let domain = &region.apigateway.domains["aaa.example.com"];
        let own = region
            .acm
            .certificate(&domain.certificate)
            .expect("is there");
        let own = pem::parse(own.pem().expect("a certificate")).expect("PEM");
        upstream::Trust::Backend(super::super::backend::Demands {
            host: "aaa.example.com".to_owned(),
            authorities: Some(vec![own.into_contents().into()]),
            now: account.world.now,
        })
    };
    let stream = upstream::connect(socket).await.expect("connects");
    let stream = upstream::secure(stream, &trust)
        .await
        .expect("shakes hands");
    let asked = request("/")
        .body(super::super::whole(""))
        .expect("a request");
    let answer = upstream::send(stream, asked, upstream::PATIENCE)
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["x-amzn-errortype"], "ForbiddenException");
}

#[tokio::test]
async fn a_request_without_a_host_is_bad_and_one_with_an_absolute_target_has_that() {
    let gateway = Gateway::new();
    let none = Request::builder()
        .uri("/")
        .body(String::new())
        .expect("a request");
    assert!(is_balancers_own(
        &gateway.ask(&gateway.listener, none).await,
        400
    ));
    let absolute = Request::builder()
        .uri("http://aaa.example.com/pets/2")
        .header("Host", "x");
    let absolute = absolute.body(String::new()).expect("a request");
    assert_eq!(
        gateway.ask(&gateway.listener, absolute).await.json()["type"],
        "cat"
    );
}

#[tokio::test]
async fn a_body_that_is_too_long_is_told_so() {
    let gateway = Gateway::new();
    for (length, status) in [(1 << 20, 403), (11 << 20, 413), (30 << 20, 413)] {
        let asked = request("/").method("POST").body("x".repeat(length));
        let asked = asked.expect("a request");
        let reply = gateway.ask(&gateway.listener, asked).await;
        assert_eq!(reply.status, status, "{length}: {}", reply.body);
    }
}
