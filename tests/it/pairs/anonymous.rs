//! What a sandbox holds, whatever it is called and whenever it was made.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::support::canonical;

/// What tells how something came to be, not what it is.
const HISTORY: [&str; 18] = [
    "busy_until",
    "changes",
    "chain",
    "client_token",
    "input",
    "last_revocation",
    "not_after",
    "not_before",
    "pem",
    "records_at",
    "released",
    "released_certificates",
    "releases",
    "serial",
    "succeeds_at",
    "token",
    "updated_by",
    "used_since",
];

/// Attributes that are reset by setting them to what they are by default.
const DEFAULTS: [(&str, &str); 15] = [
    ("access_logs.s3.enabled", "false"),
    ("connection_logs.s3.enabled", "false"),
    ("load_balancing.cross_zone.enabled", "false"),
    (
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        "X-Amzn-Mtls-Clientcert",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        "X-Amzn-Mtls-Clientcert-Issuer",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        "X-Amzn-Mtls-Clientcert-Leaf",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        "X-Amzn-Mtls-Clientcert-Serial-Number",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        "X-Amzn-Mtls-Clientcert-Subject",
    ),
    (
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        "X-Amzn-Mtls-Clientcert-Validity",
    ),
    (
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        "X-Amzn-Tls-Cipher-Suite",
    ),
    (
        "routing.http.request.x_amzn_tls_version.header_name",
        "X-Amzn-Tls-Version",
    ),
    ("deregistration_delay.timeout_seconds", "300"),
    ("idle_timeout.timeout_seconds", "60"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.response.server.enabled", "true"),
];

/// Renames what AWS names: a thing of the stack to its address, everything else to `#`.
pub(crate) struct Anonymous {
    /// What has a name that does not depend on AWS.
    names: Vec<(String, String)>,
    /// The words of a fresh account, the same in all of them.
    fresh: BTreeSet<String>,
}

impl Anonymous {
    /// The canonical form of a dump, without names that AWS gave; those of a fresh account stay.
    pub(crate) fn dump(dump: &Value, fresh: &Value) -> Value {
        let fresh = fresh.to_string();
        let mut found = Self {
            names: Vec::new(),
            fresh: words(&fresh).map(str::to_owned).collect(),
        };
        found.learn(dump, &tags(dump));
        // The longest first: an address may be the beginning of another one.
        found
            .names
            .sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        found.renamed(&canonical(dump))
    }

    /// Learns the addresses of what is tagged, and what stands for content kept elsewhere.
    fn learn(&mut self, value: &Value, tags: &Map<String, Value>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item, tags)),
            Value::Object(fields) => {
                self.learn_address(fields, tags);
                self.learn_interface(fields);
                self.learn_content(fields);
                fields.values().for_each(|field| self.learn(field, tags));
            }
            _ => {}
        }
    }

    fn learn_address(&mut self, fields: &Map<String, Value>, tags: &Map<String, Value>) {
        for name in ["id", "arn"]
            .iter()
            .filter_map(|name| fields.get(*name)?.as_str())
        {
            let own = fields.get("tags").or_else(|| tags.get(name));
            let tag = |name: &str| own.and_then(|tags| tags[name].as_str());
            if let (Some(stack), Some(address)) = (tag("mtlsgw:stack"), tag("mtlsgw:address")) {
                let id = name.rsplit(['/', ':']).next().expect("has an end");
                self.names
                    .push((id.to_owned(), format!("<{stack} {address}>")));
            }
        }
    }

    /// The address of a network interface is any address of its subnet.
    fn learn_interface(&mut self, fields: &Map<String, Value>) {
        if let (Some(Value::String(address)), Some(Value::String(zone))) =
            (fields.get("address"), fields.get("availability_zone"))
        {
            self.names
                .push((address.clone(), format!("<address in {zone}>")));
        }
    }

    /// AWS keeps bundles and CRLs under names of its own.
    fn learn_content(&mut self, fields: &Map<String, Value>) {
        let objects = match (fields.get("owner"), fields.get("objects")) {
            (Some(owner), Some(Value::Object(objects))) if owner == "elasticloadbalancing" => {
                objects
            }
            _ => return,
        };
        for (key, versions) in objects {
            let digest = versions[0]["content"]["digest"].as_str().expect("is kept");
            self.names.push((key.clone(), format!("<{digest}>")));
        }
    }

    /// The value with other names; what is empty is left out by whatever holds it.
    fn renamed(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(self.renamed_fields(fields)),
            Value::Array(items) => {
                let items = items.iter().filter(|item| !is_validation(item));
                let mut items: Vec<Value> = items.map(|item| self.renamed(item)).collect();
                items.sort_by_key(Value::to_string);
                Value::Array(items)
            }
            Value::String(text) => Value::String(self.renamed_text(text)),
            // Seconds or milliseconds since 1970: when it happened.
            Value::Number(number) if number.as_f64() > Some(1e9) => Value::Null,
            other => other.clone(),
        }
    }

    /// The fields without history; where two get the same name they are marked by their content.
    fn renamed_fields(&self, fields: &Map<String, Value>) -> Map<String, Value> {
        let kept = fields.iter().filter(|(name, field)| {
            let default = DEFAULTS.contains(&(name, field.as_str().unwrap_or_default()));
            // What a load balancer has tried whether it can write with.
            let is_trial = name.ends_with("LogTestFile");
            !default
                && !is_trial
                && !means_nothing(name, fields)
                && !HISTORY.contains(&name.as_str())
        });
        let renamed = kept.map(|(name, field)| (self.renamed_text(name), self.field(name, field)));
        let mut renamed: Vec<(String, Value)> =
            renamed.filter(|(_, field)| !is_empty(field)).collect();
        renamed.sort_by_key(|(name, field)| (name.clone(), field.to_string()));
        let mut result = Map::new();
        for (mut name, field) in renamed {
            while result.contains_key(&name) {
                name.push('+');
            }
            result.insert(name, field);
        }
        result
    }

    fn field(&self, name: &str, field: &Value) -> Value {
        match (name, field) {
            // Numbered in the order in which they came.
            ("revocations", Value::Object(revocations)) => {
                self.renamed(&revocations.values().cloned().collect())
            }
            ("deployments", Value::Object(deployments)) => {
                let frozen = deployments.values().map(frozen);
                self.renamed(&frozen.collect())
            }
            // The second digest is over what AWS reports, the API's id included.
            ("certificates", Value::Object(certificates)) => {
                let passing = certificates
                    .iter()
                    .filter(|(_, one)| one["tags"]["mtlsgw:retain"].is_null());
                self.renamed(&Value::Object(
                    passing
                        .map(|(arn, one)| (arn.clone(), one.clone()))
                        .collect(),
                ))
            }
            ("mtlsgw:definition", Value::String(digests)) => digests.split(':').next().into(),
            _ => self.renamed(field),
        }
    }

    fn renamed_text(&self, text: &str) -> String {
        let mut renamed = text.to_owned();
        for (from, to) in &self.names {
            renamed = renamed.replace(from, to);
        }
        for word in words(&renamed.clone()) {
            if is_made_up(word) && !self.fresh.contains(word) {
                renamed = renamed.replace(word, "#");
            }
        }
        renamed
    }
}

/// The tags of load balancers and what belongs to them, by ARN.
fn tags(dump: &Value) -> Map<String, Value> {
    let tags = dump.pointer("/regions/ap-northeast-1/elbv2/tags");
    tags.and_then(Value::as_object).cloned().unwrap_or_default()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
}

/// Whether a word is of hexadecimal digits, but not a digest of content.
fn is_made_up(word: &str) -> bool {
    word.len() >= 6
        && word.len() != 64
        && word
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether it is where logs go that are switched off: such attributes are left as they are.
fn means_nothing(name: &str, fields: &Map<String, Value>) -> bool {
    let logs = [".s3.bucket", ".s3.prefix"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix));
    logs.is_some_and(|logs| {
        let switch = fields.get(&format!("{logs}.s3.enabled"));
        switch.is_none_or(|switch| switch != "true")
    })
}

/// Whether it is a record that stays for other certificates.
fn is_validation(record: &Value) -> bool {
    record["record_type"] == "CNAME" && record.to_string().contains(".acm-validations.aws.")
}

/// What a deployment froze; its own description is a digest over ids, and the API's has no effect.
fn frozen(deployment: &Value) -> Value {
    let mut deployment = deployment.clone();
    deployment["description"].take();
    deployment["properties"]["description"].take();
    deployment
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
