//! How VPC links come, are used and go.

use serde_json::{Value, json};

use crate::sandbox::apigateway::fixture::{ask, document, id, import, refused, tell, world};
use crate::sandbox::world::{Call, World};
use crate::sandbox::{ec2, elbv2};

/// A load balancer of a type; its ARN.
fn balancer(world: &mut World, name: &str, kind: &str) -> String {
    let input = json!({});
    let subnets = ec2::handle(world, &Call::of("DescribeSubnets", &input)).expect("an answer");
    let subnets: Vec<&Value> = (0..2)
        .map(|at| &subnets["Subnets"][at]["SubnetId"])
        .collect();
    let input = json!({ "Name": name, "Type": kind, "Scheme": "internal", "Subnets": subnets });
    let made = elbv2::handle(world, &Call::of("CreateLoadBalancer", &input)).expect("is made");
    let arn = &made["LoadBalancers"][0]["LoadBalancerArn"];
    arn.as_str().expect("an ARN").to_owned()
}

fn link(world: &mut World, target: &str) -> Value {
    tell(
        world,
        "CreateVpcLink",
        json!({ "name": "inner", "targetArns": [target], "tags": { "a": "1" } }),
    )
}

/// A document with one method behind a link.
fn behind(link: &Value) -> Value {
    let mut document = document();
    document["paths"] = json!({ "/": { "get": {
        "responses": { "200": { "description": "ok" } },
        "x-amazon-apigateway-integration": {
            "type": "http_proxy", "httpMethod": "GET", "uri": "https://backend.internal/",
            "connectionType": "vpc_link", "connectionId": link,
            "tlsConfig": { "insecureSkipVerification": true },
        },
    } } });
    document
}

/// An API with that document; its id.
fn api(world: &mut World, link: &Value) -> String {
    let input = json!({ "name": "inner", "endpointConfiguration": { "types": ["REGIONAL"] } });
    let api = id(&tell(world, "CreateRestApi", input));
    let input = json!({ "restApiId": api, "mode": "overwrite" });
    import(world, "PutRestApi", input, &behind(link)).expect("an import");
    api
}

fn deploy(world: &mut World, api: &str, variables: &Value) {
    let input = json!({ "restApiId": api, "stageName": "dev", "variables": variables });
    tell(world, "CreateDeployment", input);
}

#[test]
fn it_is_pending_before_it_is_available() {
    let world = &mut world();
    let target = balancer(world, "inner", "network");
    world.instant = false;
    let made = link(world, &target);
    assert_eq!(made["status"], "PENDING");
    let named = json!({ "vpcLinkId": made["id"] });
    world.now += 179_000;
    assert_eq!(
        tell(world, "GetVpcLink", named.clone())["status"],
        "PENDING"
    );
    world.now += 1_000;
    let ready = tell(world, "GetVpcLink", named);
    assert_eq!(
        (&ready["status"], &ready["targetArns"]),
        (&json!("AVAILABLE"), &json!([target]))
    );
    let listed = tell(world, "GetVpcLinks", json!({}));
    let items = listed.get("items").or_else(|| listed.get("item"));
    assert_eq!(items.expect("a list")[0]["id"], ready["id"]);
    let arn = format!(
        "arn:aws:apigateway:ap-northeast-1::/vpclinks/{}",
        id(&ready)
    );
    assert_eq!(
        tell(world, "GetTags", json!({ "resourceArn": arn }))["tags"]["a"],
        "1"
    );
}

#[test]
fn it_fails_where_the_load_balancer_is_not_one_it_can_lead_to() {
    let world = &mut world();
    let inner = balancer(world, "inner", "network");
    let edge = balancer(world, "edge", "application");
    for (target, message) in [
        (inner.replace("/net/", "/net/un"), "was not found"),
        (edge, "is not a network load balancer"),
        (inner.clone(), ""),
        (
            inner,
            "is already associated with another VPC Endpoint Service",
        ),
    ] {
        let made = link(world, &target);
        let expected = if message.is_empty() {
            "AVAILABLE"
        } else {
            "FAILED"
        };
        assert_eq!(made["status"], expected, "{target}");
        assert!(
            made["statusMessage"]
                .as_str()
                .is_some_and(|text| text.contains(message))
        );
    }
    let two = json!({ "name": "inner", "targetArns": ["arn:a", "arn:b"] });
    assert_eq!(
        refused(world, "CreateVpcLink", two).0,
        "BadRequestException"
    );
    world.instant = false;
    let early = balancer(world, "early", "network");
    let named = json!({ "vpcLinkId": link(world, &early)["id"] });
    world.now += 600_000;
    assert_eq!(tell(world, "GetVpcLink", named)["status"], "FAILED");
}

#[test]
fn name_and_description_can_be_changed_and_nothing_else() {
    let world = &mut world();
    let target = balancer(world, "inner", "network");
    let made = link(world, &target);
    let patch = |path: &str| {
        let operation = json!({ "op": "replace", "path": path, "value": "other" });
        json!({ "vpcLinkId": made["id"], "patchOperations": [operation] })
    };
    assert_eq!(
        tell(world, "UpdateVpcLink", patch("/name"))["name"],
        "other"
    );
    tell(world, "UpdateVpcLink", patch("/description"));
    assert_eq!(
        refused(world, "UpdateVpcLink", patch("/targetArns")).0,
        "BadRequestException"
    );
}

#[test]
fn an_import_keeps_connection_and_verification() {
    let world = &mut world();
    let target = balancer(world, "inner", "network");
    let made = link(world, &target);
    let api = api(world, &made["id"]);
    let input = json!({ "restApiId": api, "embed": ["methods"] });
    let resources = tell(world, "GetResources", input);
    let items = resources.get("items").or_else(|| resources.get("item"));
    let root = &items.expect("a list")[0];
    let integration = &root["resourceMethods"]["GET"]["methodIntegration"];
    assert_eq!(integration["connectionType"], "VPC_LINK");
    assert_eq!(integration["connectionId"], made["id"]);
    assert_eq!(
        integration["tlsConfig"],
        json!({ "insecureSkipVerification": true })
    );
    let named = json!({ "restApiId": api, "resourceId": root["id"], "httpMethod": "GET" });
    assert_eq!(
        tell(world, "GetIntegration", named.clone())["connectionId"],
        made["id"]
    );
    let mut patch = named;
    patch["patchOperations"] = json!([
        { "op": "replace", "path": "/connectionId", "value": "${stageVariables.link}" },
        { "op": "replace", "path": "/tlsConfig/insecureSkipVerification", "value": "false" },
    ]);
    let changed = tell(world, "UpdateIntegration", patch.clone());
    assert_eq!(changed["connectionId"], "${stageVariables.link}");
    assert_eq!(
        changed["tlsConfig"],
        json!({ "insecureSkipVerification": false })
    );
    patch["patchOperations"] =
        json!([{ "op": "replace", "path": "/connectionId", "value": "nolink" }]);
    let (code, message) = refused(world, "UpdateIntegration", patch);
    assert_eq!(code, "BadRequestException");
    assert!(message.contains("Invalid Vpc Link identifier"), "{message}");
}

#[test]
fn a_link_needs_an_id_and_only_http_goes_through() {
    let world = &mut world();
    let target = balancer(world, "inner", "network");
    let made = link(world, &target);
    let api = api(world, &made["id"]);
    let root = tell(world, "GetRestApi", json!({ "restApiId": api }))["rootResourceId"].clone();
    let put = |more: Value| {
        let mut input = json!({
            "restApiId": api, "resourceId": root, "httpMethod": "GET", "type": "HTTP_PROXY",
            "integrationHttpMethod": "GET", "uri": "https://backend.internal/",
        });
        for (name, value) in more.as_object().expect("an object") {
            input[name.as_str()] = value.clone();
        }
        input
    };
    for wrong in [
        json!({ "connectionType": "VPC_LINK" }),
        json!({ "connectionType": "INTERNET", "connectionId": made["id"] }),
        json!({ "connectionType": "VPC_LINK", "connectionId": "nolink" }),
        json!({ "connectionType": "VPC_LINK", "connectionId": made["id"], "type": "MOCK" }),
    ] {
        let code = refused(world, "PutIntegration", put(wrong.clone())).0;
        assert_eq!(code, "BadRequestException", "{wrong}");
    }
    let right = json!({ "connectionType": "VPC_LINK", "connectionId": made["id"] });
    tell(world, "PutIntegration", put(right));
}

#[test]
fn what_is_deployed_keeps_it_by_id_and_by_stage_variable() {
    let world = &mut world();
    let target = balancer(world, "inner", "network");
    let made = link(world, &target);
    let named = json!({ "vpcLinkId": made["id"] });
    let api_id = api(world, &json!("${stageVariables.link}"));
    deploy(world, &api_id, &json!({ "link": made["id"] }));
    let (code, message) = refused(world, "DeleteVpcLink", named.clone());
    assert_eq!(code, "BadRequestException");
    let reference =
        format!("is referenced in [GET:{api_id}:dev] in format of [Method:Resource:Stage].");
    assert!(message.ends_with(&reference), "{message}");
    tell(
        world,
        "DeleteStage",
        json!({ "restApiId": api_id, "stageName": "dev" }),
    );
    tell(world, "DeleteVpcLink", named.clone());
    assert_eq!(refused(world, "GetVpcLink", named).0, "NotFoundException");
    let again = link(world, &target);
    assert_eq!(again["status"], "AVAILABLE");
}

#[test]
fn what_uses_a_failed_link_cannot_be_deployed() {
    let world = &mut world();
    let target = balancer(world, "edge", "application");
    let made = link(world, &target);
    let api = api(world, &made["id"]);
    let input = json!({ "restApiId": api, "stageName": "dev" });
    let refusal = ask(world, "CreateDeployment", input).expect_err("is refused");
    assert!(refusal.message.contains("has failed"), "{refusal:?}");
}

#[test]
fn the_twenty_first_is_one_too_many() {
    let world = &mut world();
    let target = balancer(world, "edge", "application");
    for _ in 0..20 {
        link(world, &target);
    }
    let input = json!({ "name": "inner", "targetArns": [target] });
    assert_eq!(
        refused(world, "CreateVpcLink", input).0,
        "LimitExceededException"
    );
}
