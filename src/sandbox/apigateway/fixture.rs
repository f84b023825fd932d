//! What the tests of this service share.

#![expect(
    clippy::needless_pass_by_value,
    reason = "inputs are written where they are passed"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::world::{Call, Refusal, World};
use crate::sandbox::{acm, ec2};

/// An account that nothing has been done in.
pub(in crate::sandbox) fn world() -> World {
    World {
        // Late enough for certificates to be valid.
        now: 1_800_000_000_000,
        ..World::fresh("123456789012")
    }
}

/// Imports a certificate for a name; answers its ARN.
pub(in crate::sandbox) fn certificate(world: &mut World, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let input = json!({
        "Certificate": STANDARD.encode(made.cert.pem()),
        "PrivateKey": STANDARD.encode(made.signing_key.serialize_pem()),
    });
    let answer = acm::handle(world, &Call::of("ImportCertificate", &input)).expect("an import");
    answer["CertificateArn"]
        .as_str()
        .expect("an ARN")
        .to_owned()
}

/// Makes an execute-api endpoint in the default VPC; answers its id.
pub(in crate::sandbox) fn endpoint(world: &mut World) -> String {
    let mut describe = |operation: &str, input: Value| {
        ec2::handle(world, &Call::of(operation, &input)).expect("an answer")
    };
    let vpc = describe("DescribeVpcs", json!({}))["Vpcs"][0]["VpcId"].clone();
    let input = json!({
        "VpcId": vpc, "VpcEndpointType": "Interface", "PrivateDnsEnabled": false,
        "ServiceName": "com.amazonaws.ap-northeast-1.execute-api",
    });
    let answer = describe("CreateVpcEndpoint", input);
    answer["VpcEndpoint"]["VpcEndpointId"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// Makes a call and answers what came of it.
pub(in crate::sandbox) fn ask(
    world: &mut World,
    operation: &str,
    input: Value,
) -> Result<Value, Refusal> {
    super::handle(world, &Call::of(operation, &input))
}

/// Makes a call that has to succeed.
pub(in crate::sandbox) fn tell(world: &mut World, operation: &str, input: Value) -> Value {
    ask(world, operation, input).unwrap_or_else(|refusal| panic!("{operation}: {refusal:?}"))
}

/// Makes a call that has to be refused, and answers code and message.
pub(in crate::sandbox) fn refused(
    world: &mut World,
    operation: &str,
    input: Value,
) -> (String, String) {
    let refusal = ask(world, operation, input).expect_err("a refusal");
    (refusal.code, refusal.message)
}

/// Makes a call with a document as its body.
pub(in crate::sandbox) fn import(
    world: &mut World,
    operation: &str,
    input: Value,
    document: &Value,
) -> Result<Value, Refusal> {
    let body = document.to_string();
    let call = Call {
        body: body.as_bytes(),
        ..Call::of(operation, &input)
    };
    super::handle(world, &call)
}

/// A private API without anything; answers its id.
pub(in crate::sandbox) fn private_api(world: &mut World) -> String {
    let input = json!({ "name": "petstore", "endpointConfiguration": { "types": ["PRIVATE"] } });
    id(&tell(world, "CreateRestApi", input))
}

/// A regional API with the sample's document; answers its id.
pub(in crate::sandbox) fn petstore(world: &mut World) -> String {
    let input = json!({ "name": "petstore", "endpointConfiguration": { "types": ["REGIONAL"] } });
    let api = id(&tell(world, "CreateRestApi", input));
    let input = json!({ "restApiId": api, "mode": "overwrite" });
    import(world, "PutRestApi", input, &document()).expect("an import");
    api
}

/// The `id` of an answer.
pub(in crate::sandbox) fn id(answer: &Value) -> String {
    answer["id"].as_str().expect("an id").to_owned()
}

/// A policy that lets one VPC in.
pub(in crate::sandbox) fn policy() -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
        "Condition": { "StringEquals": { "aws:SourceVpc": "vpc-1" } },
    }] })
    .to_string()
}

/// A small `OpenAPI` document in the manner of API Gateway's sample.
pub(in crate::sandbox) fn document() -> Value {
    json!({
        "swagger": "2.0",
        "info": { "title": "PetStore", "description": "Your first API", "version": "1" },
        "paths": {
            "/": { "get": {
                "responses": { "200": { "description": "ok", "headers": { "Content-Type": { "type": "string" } } } },
                "x-amazon-apigateway-integration": {
                    "type": "mock", "passthroughBehavior": "when_no_match",
                    "requestTemplates": { "application/json": "{\"statusCode\": 200}" },
                    "responses": { "default": {
                        "statusCode": "200",
                        "responseParameters": { "method.response.header.Content-Type": "'text/html'" },
                        "responseTemplates": { "text/html": "<html/>" },
                    } },
                },
            } },
            "/pets/{petId}": { "get": {
                "operationId": "GetPet",
                "parameters": [{ "name": "petId", "in": "path", "required": true, "type": "string" }],
                "responses": { "200": { "description": "ok", "schema": { "$ref": "#/definitions/Pet" } } },
                "x-amazon-apigateway-integration": {
                    "type": "http", "httpMethod": "GET",
                    "uri": "http://petstore-demo-endpoint.execute-api.com/petstore/pets/{petId}",
                    "requestParameters": { "integration.request.path.petId": "method.request.path.petId" },
                    "responses": { "default": { "statusCode": "200" } },
                },
            } },
        },
        "definitions": {
            "Pet": { "type": "object", "properties": { "type": { "$ref": "#/definitions/Kind" } } },
            "Kind": { "type": "string" },
        },
    })
}
