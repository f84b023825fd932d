//! Imports of `OpenAPI` documents: from the document to the definition of an API.
//!
//! Only JSON is read. What the document has beyond what is modelled is refused where it begins
//! with `x-amazon-apigateway-`; other extensions are passed over, as API Gateway does.

mod method;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::definition::{
    Definition, GatewayResponse, Model, RequestValidator, Resource, schema_text,
};
use super::resource::check_quota;
use super::{bad_request, text_map};
use crate::sandbox::world::{Call, Refusal, World};

/// Whether a document replaces what is there or is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// What the document does not have stays.
    Merge,
    /// What the document does not have goes.
    Overwrite,
}

/// What a document is imported into.
pub(super) struct Target<'a> {
    /// The API's id.
    pub(super) api: &'a str,
    /// What the API is made of so far.
    pub(super) definition: &'a Definition,
    /// How the two are put together.
    pub(super) mode: Mode,
}

/// What a document says.
pub(super) struct Imported {
    /// The API's new definition.
    pub(super) definition: Definition,
    /// The API's new name.
    pub(super) title: Option<String>,
    /// `info.description`.
    pub(super) description: Option<String>,
    /// `info.version`.
    pub(super) version: Option<String>,
    /// `x-amazon-apigateway-binary-media-types`.
    pub(super) binary_media_types: Option<Vec<String>>,
    /// `x-amazon-apigateway-minimum-compression-size`.
    pub(super) minimum_compression_size: Option<i64>,
    /// `x-amazon-apigateway-api-key-source`.
    pub(super) api_key_source: Option<String>,
    /// `x-amazon-apigateway-policy`.
    pub(super) policy: Option<Value>,
    /// Of `x-amazon-apigateway-endpoint-configuration`.
    pub(super) vpc_endpoint_ids: Option<Vec<String>>,
    /// Of `x-amazon-apigateway-endpoint-configuration`.
    pub(super) disable_execute_api_endpoint: Option<bool>,
    /// `x-amazon-apigateway-security-policy`.
    pub(super) security_policy: Option<String>,
    /// `x-amazon-apigateway-endpoint-access-mode`.
    pub(super) endpoint_access_mode: Option<String>,
    /// What was passed over.
    pub(super) warnings: Vec<String>,
}

/// The largest document, in bytes.
const SIZE: usize = 6 * 1024 * 1024;

/// The extensions that the document itself may have.
const EXTENSIONS: &[&str] = &[
    "x-amazon-apigateway-api-key-source",
    "x-amazon-apigateway-binary-media-types",
    "x-amazon-apigateway-endpoint-access-mode",
    "x-amazon-apigateway-endpoint-configuration",
    "x-amazon-apigateway-gateway-responses",
    "x-amazon-apigateway-importexport-version",
    "x-amazon-apigateway-minimum-compression-size",
    "x-amazon-apigateway-policy",
    "x-amazon-apigateway-request-validator",
    "x-amazon-apigateway-request-validators",
    "x-amazon-apigateway-security-policy",
];

/// Reads the call's document into a definition; nothing is stored yet.
pub(super) fn read(
    world: &mut World,
    call: &Call<'_>,
    target: &Target<'_>,
) -> Result<Imported, Refusal> {
    check_parameters(call)?;
    let document = parse(call.body)?;
    let mut extensions = EXTENSIONS.to_vec();
    if call.input["parameters"]["ignore"] == "documentation" {
        extensions.push("x-amazon-apigateway-documentation");
    }
    check_extensions(call.operation, &document, &extensions)?;
    let mut importer = Importer {
        world,
        region: call.region,
        operation: call.operation,
        document: &document,
        api: target.api,
        definition: Definition::default(),
        known_ids: target
            .definition
            .resources
            .values()
            .map(id_by_path)
            .collect(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    importer.begin(target);
    importer.read_models();
    importer.read_validators();
    importer.read_gateway_responses();
    importer.read_paths()?;
    let (definition, warnings, errors) = (importer.definition, importer.warnings, importer.errors);
    if !errors.is_empty() {
        return Err(bad_request(found("Errors", &errors)));
    }
    if call.boolean("failOnWarnings") == Some(true) && !warnings.is_empty() {
        return Err(bad_request(found("Warnings", &warnings)));
    }
    check_quota(world, definition.resources.len())?;
    let mut imported = properties(call, &document, definition)?;
    imported.warnings = warnings;
    Ok(imported)
}

/// API Gateway's list of what is wrong with a document.
fn found(what: &str, list: &[String]) -> String {
    format!("{what} found during import:\n\t{}", list.join("\n\t"))
}

/// A resource's path and id.
fn id_by_path(resource: &Resource) -> (String, String) {
    (resource.path.clone(), resource.id.clone())
}

/// Refuses parameters of the import that are not modelled.
fn check_parameters(call: &Call<'_>) -> Result<(), Refusal> {
    for (name, value) in text_map(&call.input["parameters"]) {
        let modelled = match name.as_str() {
            "basepath" => value == "ignore",
            "ignore" => value == "documentation",
            "endpointConfigurationTypes" => call.operation == "ImportRestApi",
            _ => false,
        };
        if !modelled {
            let what = format!("parameters.{name}={value}");
            return Err(Refusal::not_modelled(call.operation, &what));
        }
    }
    Ok(())
}

/// The document, if it is one.
fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if body.len() > SIZE {
        return Err(bad_request(
            "The API definition file exceeds the maximum size of 6 MB",
        ));
    }
    let document: Value = match serde_json::from_slice(body) {
        Ok(document) => document,
        Err(error) if body.trim_ascii_start().starts_with(b"{") => {
            return Err(bad_request(format!(
                "Unable to parse API definition because of: {error}"
            )));
        }
        Err(_) => {
            return Err(bad_request(
                "the sandbox reads OpenAPI as JSON; convert YAML before it is sent",
            ));
        }
    };
    let is_openapi = document["swagger"] == "2.0"
        || document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3."));
    if !is_openapi {
        return Err(bad_request(
            "Unable to parse API definition because of: neither swagger 2.0 nor openapi 3 was found",
        ));
    }
    Ok(document)
}

/// Refuses extensions of API Gateway that are not modelled in this place.
fn check_extensions(operation: &str, place: &Value, known: &[&str]) -> Result<(), Refusal> {
    let names = place
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    let unknown = names
        .filter(|name| name.starts_with("x-amazon-apigateway-"))
        .find(|name| !known.contains(name));
    match unknown {
        Some(name) => Err(Refusal::not_modelled(operation, name)),
        None => Ok(()),
    }
}

/// What the document says of the API itself.
fn properties(
    call: &Call<'_>,
    document: &Value,
    definition: Definition,
) -> Result<Imported, Refusal> {
    let extension = |name: &str| &document[format!("x-amazon-apigateway-{name}").as_str()];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |value: &Value| -> Option<Vec<String>> {
        Some(value.as_array()?.iter().filter_map(text).collect())
    };
    // OpenAPI 3 has the endpoint configuration with the server, 2.0 with the document.
    let server = &document["servers"][0]["x-amazon-apigateway-endpoint-configuration"];
    let endpoints = if server.is_null() {
        extension("endpoint-configuration")
    } else {
        server
    };
    let members = ["vpcEndpointIds", "disableExecuteApiEndpoint"];
    call.models(
        "x-amazon-apigateway-endpoint-configuration",
        endpoints,
        &members,
    )?;
    let size = extension("minimum-compression-size");
    Ok(Imported {
        definition,
        title: text(&document["info"]["title"]),
        description: text(&document["info"]["description"]),
        version: text(&document["info"]["version"]),
        binary_media_types: texts(extension("binary-media-types")),
        minimum_compression_size: size.as_i64().or_else(|| size.as_str()?.parse().ok()),
        api_key_source: text(extension("api-key-source")),
        policy: Some(extension("policy"))
            .filter(|policy| !policy.is_null())
            .cloned(),
        vpc_endpoint_ids: texts(&endpoints["vpcEndpointIds"]),
        disable_execute_api_endpoint: endpoints["disableExecuteApiEndpoint"].as_bool(),
        security_policy: text(extension("security-policy")),
        endpoint_access_mode: text(extension("endpoint-access-mode")),
        warnings: Vec::new(),
    })
}

/// An import on its way.
struct Importer<'a> {
    world: &'a mut World,
    region: &'a str,
    operation: &'a str,
    document: &'a Value,
    api: &'a str,
    /// What the API will be made of.
    definition: Definition,
    /// The ids of the API's resources by path: a path keeps its id over imports.
    known_ids: BTreeMap<String, String>,
    warnings: Vec<String>,
    errors: Vec<String>,
}

impl<'a> Importer<'a> {
    /// Starts with what the API keeps of itself.
    fn begin(&mut self, target: &Target<'_>) {
        if target.mode == Mode::Merge {
            self.definition = target.definition.clone();
            return;
        }
        let root = target
            .definition
            .resource_at("/")
            .map(|root| root.id.clone());
        let root = Resource {
            id: root.unwrap_or_default(),
            path: "/".to_owned(),
            ..Resource::default()
        };
        self.definition.resources.insert(root.id.clone(), root);
    }

    /// The value itself, or what its `$ref` refers to within the document.
    fn resolved(&self, value: &'a Value) -> &'a Value {
        let mut value = value;
        // A chain of references that is longer than this goes in a circle.
        for _ in 0..16 {
            let reference = value["$ref"]
                .as_str()
                .and_then(|text| text.strip_prefix('#'));
            match reference.and_then(|pointer| self.document.pointer(pointer)) {
                Some(target) => value = target,
                None => return value,
            }
        }
        value
    }

    /// The members of an object in the document; none if it is not there.
    fn members(value: &'a Value) -> impl Iterator<Item = (&'a String, &'a Value)> {
        value.as_object().into_iter().flatten()
    }

    /// Reads the schemas that have names.
    fn read_models(&mut self) {
        let schemas = if self.is_version_2() {
            &self.document["definitions"]
        } else {
            &self.document["components"]["schemas"]
        };
        for (name, schema) in Self::members(schemas) {
            self.add_model(name, schema);
        }
        for (name, schema) in Self::members(schemas) {
            if let Some(missing) = self.unknown_model(schema) {
                self.errors.push(format!(
                    "Unable to create model for '{name}': Invalid model schema specified. \
                     Unable to resolve model reference: {missing}"
                ));
            }
        }
    }

    /// The first model that a schema refers to and the API does not have.
    fn unknown_model<'s>(&self, schema: &'s Value) -> Option<&'s str> {
        match schema {
            Value::Object(members) => members.iter().find_map(|(name, member)| {
                let model = member
                    .as_str()
                    .filter(|_| name == "$ref")
                    .and_then(model_of);
                match model {
                    Some(model) => {
                        Some(model).filter(|model| !self.definition.models.contains_key(*model))
                    }
                    None => self.unknown_model(member),
                }
            }),
            Value::Array(elements) => elements
                .iter()
                .find_map(|element| self.unknown_model(element)),
            _ => None,
        }
    }

    /// Adds a model, in place of the one that has its name.
    fn add_model(&mut self, name: &str, schema: &Value) {
        let known = self
            .definition
            .models
            .get(name)
            .map(|model| model.id.clone());
        let model = Model {
            id: known.unwrap_or_else(|| self.world.unique_hex(6)),
            name: name.to_owned(),
            description: schema["description"].as_str().map(str::to_owned),
            schema: schema_text(&self.referring(schema)),
            content_type: "application/json".to_owned(),
        };
        match model.check() {
            Ok(()) => {
                self.definition.models.insert(name.to_owned(), model);
            }
            Err(problem) => self
                .errors
                .push(format!("Unable to create model for '{name}': {problem}")),
        }
    }

    /// The schema with its references pointing to the API's models.
    fn referring(&self, schema: &Value) -> Value {
        match schema {
            Value::Object(members) => {
                let members: Map<String, Value> = members
                    .iter()
                    .map(|(name, member)| {
                        let model = member
                            .as_str()
                            .filter(|_| name == "$ref")
                            .and_then(model_of);
                        let member = match model {
                            Some(model) => Value::String(format!(
                                "https://apigateway.amazonaws.com/restapis/{}/models/{model}",
                                self.api
                            )),
                            None => self.referring(member),
                        };
                        (name.clone(), member)
                    })
                    .collect();
                Value::Object(members)
            }
            Value::Array(elements) => Value::Array(
                elements
                    .iter()
                    .map(|element| self.referring(element))
                    .collect(),
            ),
            plain => plain.clone(),
        }
    }

    /// The name of the model that a schema stands for; one in place gets a model of its own.
    fn model_name(&mut self, schema: &'a Value) -> String {
        if let Some(name) = schema["$ref"].as_str().and_then(model_of) {
            return name.to_owned();
        }
        let name = format!("MODEL{}", self.world.unique_hex(6));
        self.add_model(&name, schema);
        name
    }

    /// Whether the document is Swagger 2.0 rather than `OpenAPI` 3.
    fn is_version_2(&self) -> bool {
        self.document["swagger"] == "2.0"
    }

    /// Reads `x-amazon-apigateway-request-validators`.
    fn read_validators(&mut self) {
        let validators = &self.document["x-amazon-apigateway-request-validators"];
        for (name, validator) in Self::members(validators) {
            let known = self.validator_id(name);
            let validator = RequestValidator {
                id: known.unwrap_or_else(|| self.world.unique_hex(6)),
                name: name.clone(),
                validate_request_body: validator["validateRequestBody"].as_bool().unwrap_or(false),
                validate_request_parameters: validator["validateRequestParameters"]
                    .as_bool()
                    .unwrap_or(false),
            };
            self.definition
                .validators
                .insert(validator.id.clone(), validator);
        }
    }

    /// The id of the validator of a name.
    fn validator_id(&self, name: &str) -> Option<String> {
        let mut validators = self.definition.validators.values();
        validators
            .find(|validator| validator.name == name)
            .map(|validator| validator.id.clone())
    }

    /// Reads `x-amazon-apigateway-gateway-responses`.
    fn read_gateway_responses(&mut self) {
        let responses = &self.document["x-amazon-apigateway-gateway-responses"];
        for (name, response) in Self::members(responses) {
            let Some(default) = Definition::default().gateway_response(name) else {
                self.errors
                    .push(format!("Invalid gateway response type specified: {name}"));
                continue;
            };
            let own = GatewayResponse {
                status_code: number_or_text(&response["statusCode"]).or(default.status_code),
                response_parameters: text_map(&response["responseParameters"]),
                response_templates: text_map(&response["responseTemplates"]),
                default_response: false,
                response_type: default.response_type,
            };
            self.definition.gateway_responses.insert(name.clone(), own);
        }
    }

    /// Reads the paths and their methods.
    fn read_paths(&mut self) -> Result<(), Refusal> {
        for (path, item) in Self::members(&self.document["paths"]) {
            if path.starts_with("x-") {
                continue;
            }
            match self.resource(path) {
                Ok(id) => self.read_methods(&id, item)?,
                Err(problem) => self.errors.push(format!(
                    "Unable to create resource at path '{path}': {problem}"
                )),
            }
        }
        Ok(())
    }

    /// The id of the resource of a path; it and those above it are added where they are missing.
    fn resource(&mut self, path: &str) -> Result<String, String> {
        let Some(inner) = path.strip_prefix('/') else {
            return Err("Path must begin with a slash".to_owned());
        };
        let root = self.definition.resource_at("/").map(|root| root.id.clone());
        let mut parent = root.unwrap_or_default();
        let mut so_far = String::new();
        let parts = inner.trim_end_matches('/').split('/');
        for part in parts.skip_while(|part| part.is_empty()) {
            so_far = format!("{so_far}/{part}");
            parent = if let Some(resource) = self.definition.resource_at(&so_far) {
                resource.id.clone()
            } else {
                let known = self.known_ids.get(&so_far).cloned();
                let id = known.unwrap_or_else(|| self.world.unique_hex(6));
                self.definition.add_resource(id, &parent, part)?.id.clone()
            };
        }
        Ok(parent)
    }
}

/// The model that a reference names.
fn model_of(reference: &str) -> Option<&str> {
    let local = ["#/definitions/", "#/components/schemas/"]
        .iter()
        .find_map(|prefix| reference.strip_prefix(prefix));
    local.or_else(|| {
        let rest = reference.strip_prefix("https://apigateway.amazonaws.com/restapis/")?;
        rest.split_once("/models/").map(|(_, model)| model)
    })
}

/// A status code, which documents write as a number or as a text.
fn number_or_text(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| Some(value.as_u64()?.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::{document, import, petstore, private_api, tell, world};
    use super::*;

    fn resources(world: &mut World, api: &str) -> Vec<Value> {
        let answer = tell(
            world,
            "GetResources",
            json!({ "restApiId": api, "embed": ["methods"] }),
        );
        answer["items"].as_array().expect("a list").clone()
    }

    fn at<'r>(resources: &'r [Value], path: &str) -> &'r Value {
        resources
            .iter()
            .find(|resource| resource["path"] == path)
            .expect(path)
    }

    fn refused(document: &Value) -> String {
        let world = &mut world();
        let api = private_api(world);
        let input = json!({ "restApiId": api, "mode": "overwrite" });
        import(world, "PutRestApi", input, document)
            .expect_err("refused")
            .message
    }

    #[test]
    fn paths_become_resources_with_all_above_them() {
        let world = &mut world();
        let api = petstore(world);
        let resources = resources(world, &api);
        assert_eq!(resources.len(), 3);
        let (pets, pet) = (at(&resources, "/pets"), at(&resources, "/pets/{petId}"));
        assert_eq!(pet["parentId"], pets["id"]);
        assert_eq!(pet["pathPart"], "{petId}");
        assert_eq!(pets.get("resourceMethods"), None);
    }

    #[test]
    fn methods_and_integrations_get_their_defaults() {
        let world = &mut world();
        let api = petstore(world);
        let resources = resources(world, &api);
        let pet = at(&resources, "/pets/{petId}");
        let method = &pet["resourceMethods"]["GET"];
        assert_eq!(method["authorizationType"], "NONE");
        assert_eq!(
            method["requestParameters"],
            json!({ "method.request.path.petId": true })
        );
        assert_eq!(
            method["methodResponses"]["200"]["responseModels"],
            json!({ "application/json": "Pet" })
        );
        let integration = &method["methodIntegration"];
        assert_eq!(integration["type"], "HTTP");
        assert_eq!(integration["passthroughBehavior"], "WHEN_NO_MATCH");
        assert_eq!(integration["timeoutInMillis"], 29_000);
        assert_eq!(integration["cacheNamespace"], pet["id"]);
        assert_eq!(
            integration["integrationResponses"]["200"].get("selectionPattern"),
            None
        );
    }

    #[test]
    fn models_refer_to_the_models_of_the_api() {
        let world = &mut world();
        let api = petstore(world);
        let model = tell(
            world,
            "GetModel",
            json!({ "restApiId": api, "modelName": "Pet" }),
        );
        let schema: Value =
            serde_json::from_str(model["schema"].as_str().expect("text")).expect("JSON");
        let reference = format!("https://apigateway.amazonaws.com/restapis/{api}/models/Kind");
        assert_eq!(schema["properties"]["type"]["$ref"], reference);
    }

    #[test]
    fn a_path_keeps_its_id_over_imports_and_what_is_gone_goes() {
        let world = &mut world();
        let api = petstore(world);
        let before = resources(world, &api);
        let mut smaller = document();
        smaller["paths"].as_object_mut().expect("paths").remove("/");
        import(
            world,
            "PutRestApi",
            json!({ "restApiId": api, "mode": "overwrite" }),
            &smaller,
        )
        .expect("ok");
        let after = resources(world, &api);
        assert_eq!(
            at(&before, "/pets/{petId}")["id"],
            at(&after, "/pets/{petId}")["id"]
        );
        assert_eq!(at(&after, "/").get("resourceMethods"), None);
    }

    #[test]
    fn merging_keeps_what_the_document_does_not_have() {
        let world = &mut world();
        let api = petstore(world);
        let mut other = document();
        other["paths"] = json!({ "/toys": { "get": document()["paths"]["/"]["get"] } });
        import(
            world,
            "PutRestApi",
            json!({ "restApiId": api, "mode": "merge" }),
            &other,
        )
        .expect("ok");
        assert_eq!(resources(world, &api).len(), 4);
    }

    #[test]
    fn the_third_version_of_openapi_says_the_same() {
        let world = &mut world();
        let api = petstore(world);
        let before = resources(world, &api);
        let mut three = document();
        let members = three.as_object_mut().expect("a document");
        members.remove("swagger");
        members.insert("openapi".to_owned(), json!("3.0.1"));
        let schemas = members.remove("definitions").expect("definitions");
        let schemas: Value = serde_json::from_str(
            &schemas
                .to_string()
                .replace("#/definitions/", "#/components/schemas/"),
        )
        .expect("JSON");
        members.insert("components".to_owned(), json!({ "schemas": schemas }));
        let response = json!({ "description": "ok", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Pet" } } } });
        three["paths"]["/pets/{petId}"]["get"]["responses"]["200"] = response;
        import(
            world,
            "PutRestApi",
            json!({ "restApiId": api, "mode": "overwrite" }),
            &three,
        )
        .expect("ok");
        assert_eq!(resources(world, &api), before);
    }

    #[test]
    fn mappings_of_undeclared_parameters_are_refused_and_nothing_is_stored() {
        let mut wrong = document();
        wrong["paths"]["/pets/{petId}"]["get"]["parameters"] = json!([]);
        let message = refused(&wrong);
        assert!(
            message
                .starts_with("Errors found during import:\n\tUnable to put integration on 'GET'"),
            "{message}"
        );
        assert!(
            message.contains(
                "Invalid mapping expression parameter specified: method.request.path.petId"
            )
        );
    }

    #[test]
    fn models_that_are_not_there_are_refused() {
        let mut wrong = document();
        wrong["definitions"]
            .as_object_mut()
            .expect("models")
            .remove("Kind");
        assert!(refused(&wrong).contains("Unable to resolve model reference: Kind"));
        wrong["definitions"] = json!({});
        assert!(refused(&wrong).contains("Invalid model identifier specified: Pet"));
    }

    #[test]
    fn two_variables_in_one_place_are_refused() {
        let mut wrong = document();
        wrong["paths"]["/pets/{name}"] = wrong["paths"]["/"].clone();
        assert!(
            refused(&wrong)
                .contains("A sibling ({petId}) of this resource already has a variable path part")
        );
    }

    #[test]
    fn warnings_fail_an_import_only_when_asked_to() {
        let world = &mut world();
        let api = private_api(world);
        let mut odd = document();
        odd["paths"]["/"]["get"]["responses"]["default"] = json!({ "description": "other" });
        let answer = import(world, "PutRestApi", json!({ "restApiId": api }), &odd).expect("ok");
        assert_eq!(answer["warnings"].as_array().map(Vec::len), Some(1));
        let input = json!({ "restApiId": api, "failOnWarnings": true });
        let refusal = import(world, "PutRestApi", input, &odd).expect_err("refused");
        assert!(refusal.message.starts_with("Warnings found during import:"));
    }

    #[test]
    fn what_is_not_modelled_is_refused_and_yaml_is_named() {
        let mut odd = document();
        odd["x-amazon-apigateway-documentation"] = json!({});
        assert!(refused(&odd).contains("x-amazon-apigateway-documentation"));
        let world = &mut world();
        let api = private_api(world);
        let input = json!({ "restApiId": api });
        let call = Call {
            body: b"swagger: '2.0'\n",
            ..Call::of("PutRestApi", &input)
        };
        let refusal = super::super::handle(world, &call).expect_err("refused");
        assert!(refusal.message.contains("reads OpenAPI as JSON"));
    }

    #[test]
    fn insecure_verification_is_for_http_only() {
        let mut tls = document();
        let config = json!({ "insecureSkipVerification": true });
        tls["paths"]["/pets/{petId}"]["get"]["x-amazon-apigateway-integration"]["tlsConfig"] =
            config.clone();
        let world = &mut world();
        let api = private_api(world);
        import(world, "PutRestApi", json!({ "restApiId": api }), &tls).expect("ok");
        let resources = resources(world, &api);
        let method = &at(&resources, "/pets/{petId}")["resourceMethods"]["GET"];
        assert_eq!(method["methodIntegration"]["tlsConfig"], config);
        tls["paths"]["/"]["get"]["x-amazon-apigateway-integration"]["tlsConfig"] = config;
        assert!(refused(&tls).contains("TlsConfig is only supported"));
    }

    #[test]
    fn an_imported_api_is_for_the_edge_unless_said_otherwise() {
        let world = &mut world();
        let answer = import(world, "ImportRestApi", json!({}), &document()).expect("ok");
        assert_eq!(answer["endpointConfiguration"]["types"], json!(["EDGE"]));
        let input = json!({ "parameters": { "endpointConfigurationTypes": "REGIONAL" } });
        let answer = import(world, "ImportRestApi", input, &document()).expect("ok");
        assert_eq!(
            answer["endpointConfiguration"]["types"],
            json!(["REGIONAL"])
        );
        assert_eq!(answer["name"], "PetStore");
    }
}
