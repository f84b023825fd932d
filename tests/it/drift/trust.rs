//! Rows of what is trusted and where it is found: certificates, bundles, CRLs, the bucket, records.

use serde_json::{Value, json};

use super::account::{Account, THEIR_BUCKET, import};
use super::{Row, THEIRS, changed, gone, listener};
use crate::acts::{BUCKET, ZONE};

/// All rows of the stack with everything.
pub(super) fn rows(account: &Account) -> Vec<Row> {
    let mut rows = trust_store();
    rows.extend(revocations(account));
    rows.extend(bucket(account));
    rows.extend(certificate());
    rows.extend(record());
    rows
}

fn trust_store() -> Vec<Row> {
    let at = "trust_store";
    vec![
        changed(at, "ca_bundle", Value::Null, move |account| {
            let bundle = [
                ("CaCertificatesBundleS3Bucket", THEIR_BUCKET),
                ("CaCertificatesBundleS3Key", "bundle.pem"),
            ];
            account.elb_at("ModifyTrustStore", ("TrustStoreArn", at), &bundle);
        }),
        changed(
            at,
            "tags.mtlsgw:bucket/288ccc1b",
            Value::Null,
            move |account| {
                let tags = account.elb_at("DescribeTags", ("ResourceArns.member.1", at), &[]);
                let keys = Account::elements(&tags, "Key");
                let key = keys.iter().find(|key| key.starts_with("mtlsgw:bucket/"));
                let key = [("TagKeys.member.1", key.expect("is there").as_str())];
                account.elb_at("RemoveTags", ("ResourceArns.member.1", at), &key);
            },
        ),
    ]
}

fn revocations(account: &Account) -> Vec<Row> {
    const STORE: (&str, &str) = ("TrustStoreArn", "trust_store");
    let crl = account.addresses("trust_store.crl").remove(0);
    let add = |account: &Account| {
        let crl = [
            ("RevocationContents.member.1.S3Bucket", THEIR_BUCKET),
            ("RevocationContents.member.1.S3Key", "root.crl"),
        ];
        account.elb_at("AddTrustStoreRevocations", STORE, &crl);
    };
    let remove = |account: &Account| {
        let all = account.elb_at("DescribeTrustStoreRevocations", STORE, &[]);
        let id = &Account::elements(&all, "RevocationId")[0];
        let id = [("RevocationIds.member.1", id.as_str())];
        account.elb_at("RemoveTrustStoreRevocations", STORE, &id);
    };
    vec![
        gone("trust_store", |account| {
            let off = [("MutualAuthentication.Mode", "off")];
            listener::modify(account, "listener", &off);
            account.elb_at("DeleteTrustStore", STORE, &[]);
        })
        .then("listener", "update")
        .then(&crl, "create"),
        gone(&crl, remove),
        gone(&crl, move |account| {
            remove(account);
            add(account);
        })
        .then(THEIRS, "delete"),
        changed(THEIRS, "", Value::Null, add).by("delete").whole(),
    ]
}

fn bucket(account: &Account) -> Vec<Row> {
    let objects = account.addresses("objects");
    let everything_gone = gone("bucket", |account| {
        for at in account.addresses("objects") {
            account.s3("DELETE", &format!("/{BUCKET}/{}", account.id(&at)), "");
        }
        account.s3("DELETE", &format!("/{BUCKET}"), "");
    });
    let everything_gone = objects
        .iter()
        .fold(everything_gone, |row, at| row.then(at, "create"));
    let mut rows = vec![
        changed("bucket", "public_access_blocked", false, |account| {
            account.s3("DELETE", &format!("/{BUCKET}?publicAccessBlock"), "");
        }),
        changed("bucket", "public_access_blocked", false, |account| {
            let body = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                <BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls>\
                <BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>false</RestrictPublicBuckets>\
                </PublicAccessBlockConfiguration>";
            account.s3("PUT", &format!("/{BUCKET}?publicAccessBlock"), body);
        }),
        changed("bucket", "shared", false, |account| {
            account.s3("DELETE", &format!("/{BUCKET}?tagging"), "");
        }),
        everything_gone,
    ];
    for at in objects {
        let (overwritten, deleted) = (at.clone(), at.clone());
        rows.push(changed(&at, "content", Value::Null, move |account| {
            let path = format!("/{BUCKET}/{}", account.id(&overwritten));
            account.s3("PUT", &path, "theirs");
        }));
        rows.push(gone(&at, move |account| {
            account.s3("DELETE", &format!("/{BUCKET}/{}", account.id(&deleted)), "");
        }));
    }
    rows
}

fn tag_certificate() -> Vec<Row> {
    let at = "certificate";
    let tag = |account: &Account, operation: &str, tags: Value| {
        let call = json!({"CertificateArn": account.id("certificate"), "Tags": tags});
        account.aws.acm(operation, &call).ok();
    };
    vec![
        changed(at, "tags.Team", "theirs", move |account| {
            tag(
                account,
                "AddTagsToCertificate",
                json!([{"Key": "Team", "Value": "theirs"}]),
            );
        }),
        changed(at, "tags.Team", Value::Null, move |account| {
            let tags = json!([{"Key": "Team"}, {"Key": "mtlsgw:tags"}]);
            tag(account, "RemoveTagsFromCertificate", tags);
        })
        .and("tags.mtlsgw:tags", Value::Null),
    ]
}

fn certificate() -> Vec<Row> {
    let mut rows = tag_certificate();
    rows.push(
        gone("certificate", |account| {
            account.elb_at("DeleteListener", ("ListenerArn", "listener"), &[]);
            delete_domain(account, &["v1"]);
            let call = json!({"CertificateArn": account.id("certificate")});
            account.aws.acm("DeleteCertificate", &call).ok();
        })
        .then("certificate.validation", "create")
        .then("listener", "create")
        .then("domain", "create")
        .then("domain.mapping[\"v1\"]", "create"),
    );
    rows
}

fn delete_domain(account: &Account, mappings: &[&str]) {
    let domain = "/domainnames/api.example.com";
    for mapping in mappings {
        let mapping = format!("{domain}/basepathmappings/{mapping}");
        account.gateway("DELETE", &mapping, &Value::Null);
    }
    account.gateway("DELETE", domain, &Value::Null);
}

/// The record sets of the zone with this in them, as XML.
fn record_sets(account: &Account, part: &str) -> Vec<String> {
    let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
    let answer = account.aws.rest(("route53", "GET", &path), "").ok().body;
    let mut sets = Account::elements(&answer, "ResourceRecordSet");
    sets.retain(|set| set.contains(part));
    sets
}

fn alias(zone: &str, dns_name: &str, health: &str) -> String {
    format!(
        "<Name>api.example.com</Name><Type>A</Type><AliasTarget><HostedZoneId>{zone}</HostedZoneId>\
         <DNSName>{dns_name}</DNSName><EvaluateTargetHealth>{health}</EvaluateTargetHealth></AliasTarget>"
    )
}

const ALIAS: &str = "<Name>api.example.com.</Name><Type>A</Type>";
const VALIDATION: &str = ".acm-validations.aws.";

fn record() -> Vec<Row> {
    let at = "record.a";
    vec![
        changed(at, "alias.evaluate_target_health", true, |account| {
            let zone = account.id("load_balancer.canonical_hosted_zone_id");
            let set = alias(&zone, &account.id("load_balancer.dns_name"), "true");
            account.aws.change_record("UPSERT", &set);
        }),
        changed(at, "alias.dns_name", Value::Null, |account| {
            let zone = account.id("domain.regional_hosted_zone_id");
            let set = alias(&zone, &account.id("domain.regional_domain_name"), "false");
            account.aws.change_record("UPSERT", &set);
        })
        .and("alias.zone", Value::Null),
        gone(at, |account| {
            account
                .aws
                .change_record("DELETE", &record_sets(account, ALIAS)[0]);
        }),
        gone("certificate.validation", |account| {
            for set in record_sets(account, VALIDATION) {
                account.aws.change_record("DELETE", &set);
            }
        }),
        changed(
            "certificate.validation",
            "records",
            Value::Null,
            |account| {
                let set = &record_sets(account, VALIDATION)[0];
                account.aws.change_record("DELETE", set);
            },
        ),
        changed(
            "certificate.validation",
            "records",
            Value::Null,
            |account| {
                let set = &record_sets(account, VALIDATION)[1];
                let value = &Account::elements(set, "Value")[0];
                let theirs = set.replace(value.as_str(), "_theirs.acm-validations.aws.");
                account.aws.change_record("UPSERT", &theirs);
            },
        ),
    ]
}

/// The rows of an imported certificate, and of several APIs.
pub(super) fn imported_rows() -> Vec<Row> {
    let mappings = ["domain.mapping", "domain.mapping[\"orders\"]"];
    let mut rows = tag_certificate();
    rows.push(
        changed("certificate", "import", Value::Null, |account| {
            import(&account.aws, Some(&account.id("certificate")));
        })
        .and("private_key", Value::Null),
    );
    rows.push(changed(mappings[1], "api", Value::Null, |account| {
        let mapping = "/domainnames/api.example.com/basepathmappings/orders";
        account.patch(
            mapping,
            &[("replace", "/restapiId", &account.id("apis.pets"))],
        );
    }));
    rows.push(
        gone("certificate", |account| {
            delete_domain(account, &["(none)", "orders"]);
            // What has led to it has nobody left to say whose it is.
            account
                .aws
                .change_record("DELETE", &record_sets(account, ALIAS)[0]);
            let call = json!({"CertificateArn": account.id("certificate")});
            account.aws.acm("DeleteCertificate", &call).ok();
        })
        .then("domain", "create")
        .then(mappings[0], "create")
        .then(mappings[1], "create")
        .then("record.a", "create"),
    );
    rows
}
