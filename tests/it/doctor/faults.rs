//! Single faults, brought about behind the tool's back: one for each arrow of the picture at least.

use serde_json::{Value, json};

use super::{Fault, fault};
use crate::acts::ZONE;
use crate::drift::account::{Account, THEIR_BUCKET};

/// All of them, along the way of a request.
pub(crate) fn all() -> Vec<Fault> {
    let parts = [
        names(),
        load_balancer(),
        server_certificate(),
        listener(),
        listener_actions(),
        trust_store(),
        targets(),
        security_groups(),
        endpoint(),
        policies(),
        domain(),
        mappings(),
        stage(),
        integration(),
    ];
    parts.into_iter().flatten().collect()
}

// Who does it.

pub(crate) fn modify_listener(account: &Account, parameters: &[(&str, &str)]) {
    account.elb_at("ModifyListener", ("ListenerArn", "listener"), parameters);
}

fn modify_endpoint(account: &Account, parameters: &[(&str, &str)]) {
    account.ec2_at(
        "ModifyVpcEndpoint",
        ("VpcEndpointId", "endpoint"),
        parameters,
    );
}

pub(crate) fn api(account: &Account, rest: &str) -> String {
    format!("/restapis/{}{rest}", account.id("api"))
}

pub(crate) fn items(account: &Account, path: &str) -> Vec<Value> {
    let answer = account.gateway("GET", path, &Value::Null);
    let items = answer.pointer("/_embedded/item").or(answer.get("item"));
    match items {
        Some(Value::Array(items)) => items.clone(),
        Some(item) => vec![item.clone()],
        None => Vec::new(),
    }
}

pub(crate) fn deploy(account: &Account) -> String {
    let made = account.gateway("POST", &api(account, "/deployments"), &json!({}));
    made["id"].as_str().expect("is text").to_owned()
}

pub(crate) fn turn_stage(account: &Account, deployment: &str) {
    let path = api(account, "/stages/dev");
    account.patch(&path, &[("replace", "/deploymentId", deployment)]);
}

pub(crate) fn delete(account: &Account, path: &str) {
    account.gateway("DELETE", path, &Value::Null);
}

/// The name that clients use.
fn host(account: &Account) -> String {
    let stack = account.scenario.read("stack.yaml");
    let words = stack.split(|one: char| !one.is_ascii_alphanumeric() && !".*-".contains(one));
    let mut names = words.filter(|word| word.ends_with(".example.com") && !word.starts_with('*'));
    names.next().expect("has a name").to_owned()
}

fn domain_path(account: &Account) -> String {
    format!("/domainnames/{}", host(account))
}

fn mapping_path(account: &Account) -> String {
    format!("{}/basepathmappings/%28none%29", domain_path(account))
}

fn alias(account: &Account, zone: &str, name: &str) -> String {
    format!(
        "<Name>{}</Name><Type>A</Type><AliasTarget><HostedZoneId>{}</HostedZoneId>\
         <DNSName>{name}</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>",
        host(account),
        account.id(zone),
    )
}

fn rule(account: &Account, action: &str, group: &str, peer: (&str, &str)) {
    let parameters = [
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "443"),
        ("IpPermissions.1.ToPort", "443"),
        peer,
    ];
    account.ec2_at(action, ("GroupId", group), &parameters);
}

fn cidr(range: &str) -> (&str, &str) {
    ("IpPermissions.1.IpRanges.1.CidrIp", range)
}

/// The endpoint's own rule: 443 from the load balancer's group.
fn revoke_endpoint_rule(account: &Account) {
    let balancers = account.id("load_balancer.security_group");
    let peer = ("IpPermissions.1.Groups.1.GroupId", balancers.as_str());
    rule(
        account,
        "RevokeSecurityGroupIngress",
        "endpoint.security_group",
        peer,
    );
}

fn verify(account: &Account, store: &str, (names, expiry): (&str, &str)) {
    let parameters = [
        ("MutualAuthentication.Mode", "verify"),
        ("MutualAuthentication.TrustStoreArn", store),
        ("MutualAuthentication.AdvertiseTrustStoreCaNames", names),
        ("MutualAuthentication.IgnoreClientCertificateExpiry", expiry),
    ];
    modify_listener(account, &parameters);
}

fn set_health_check(account: &Account, parameters: &[(&str, &str)]) {
    account.elb_at(
        "ModifyTargetGroup",
        ("TargetGroupArn", "target_group"),
        parameters,
    );
}

fn targets_of(account: &Account) -> Vec<String> {
    let answer = account.elb_at(
        "DescribeTargetHealth",
        ("TargetGroupArn", "target_group"),
        &[],
    );
    Account::elements(&answer, "Target")
        .iter()
        .flat_map(|target| Account::elements(target, "Id"))
        .collect()
}

fn deregister(account: &Account, targets: &[String]) {
    for target in targets {
        let parameters = [("Targets.member.1.Id", target.as_str())];
        account.elb_at(
            "DeregisterTargets",
            ("TargetGroupArn", "target_group"),
            &parameters,
        );
    }
}

/// A target group of somebody else's in the stack's VPC.
pub(crate) fn their_target_group(account: &Account) -> String {
    let ours = account.elb_at(
        "DescribeTargetGroups",
        ("TargetGroupArns.member.1", "target_group"),
        &[],
    );
    let vpc = Account::elements(&ours, "VpcId").remove(0);
    let parameters = [
        ("Name", "theirs"),
        ("Protocol", "HTTPS"),
        ("Port", "443"),
        ("TargetType", "ip"),
        ("VpcId", vpc.as_str()),
    ];
    let made = account.elb("CreateTargetGroup", &parameters);
    Account::elements(&made, "TargetGroupArn").remove(0)
}

pub(crate) fn denying() -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"
    }]})
    .to_string()
}

// What they do.

fn names() -> Vec<Fault> {
    vec![
        fault("the record is gone", "record-missing", |account| {
            let name = account.id("load_balancer.dns_name");
            let set = alias(account, "load_balancer.canonical_hosted_zone_id", &name);
            account.aws.change_record("DELETE", &set);
        }),
        fault(
            "the alias leads past the load balancer",
            "record-points-elsewhere",
            |account| {
                let name = account.id("domain.regional_domain_name");
                let set = alias(account, "domain.regional_hosted_zone_id", &name);
                account.aws.change_record("UPSERT", &set);
            },
        ),
        fault(
            "the alias leads to another load balancer",
            "record-points-elsewhere",
            |account| {
                let parameters = [
                    ("Name", "theirs"),
                    ("Subnets.member.1", "subnet-7c301d43bf26cc3c5"),
                    ("Subnets.member.2", "subnet-15b83436007d0d6f7"),
                ];
                let made = account.elb("CreateLoadBalancer", &parameters);
                let name = Account::elements(&made, "DNSName").remove(0);
                let set = alias(account, "load_balancer.canonical_hosted_zone_id", &name);
                account.aws.change_record("UPSERT", &set);
            },
        ),
        fault(
            "the certificate's validation record is gone",
            "validation-record-missing",
            |account| {
                let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
                let answer = account.aws.rest(("route53", "GET", &path), "").ok().body;
                let sets = Account::elements(&answer, "ResourceRecordSet");
                let set = sets
                    .iter()
                    .find(|set| set.contains(".acm-validations.aws."));
                account.aws.change_record("DELETE", set.expect("is there"));
            },
        ),
    ]
}

fn load_balancer() -> Vec<Fault> {
    vec![
        fault(
            "the load balancer is gone",
            "load-balancer-missing",
            |account| {
                account.elb_at(
                    "DeleteLoadBalancer",
                    ("LoadBalancerArn", "load_balancer"),
                    &[],
                );
            },
        ),
        fault(
            "nobody is let in to the load balancer",
            "clients-not-admitted-as-written",
            |account| {
                rule(
                    account,
                    "RevokeSecurityGroupIngress",
                    "load_balancer.security_group",
                    cidr("0.0.0.0/0"),
                );
            },
        ),
        fault(
            "only an office is let in to the load balancer",
            "clients-not-admitted-as-written",
            |account| {
                let group = "load_balancer.security_group";
                rule(
                    account,
                    "RevokeSecurityGroupIngress",
                    group,
                    cidr("0.0.0.0/0"),
                );
                rule(
                    account,
                    "AuthorizeSecurityGroupIngress",
                    group,
                    cidr("203.0.113.0/24"),
                );
            },
        ),
        fault("HTTP/2 is off", "load-balancer-differs", |account| {
            let attribute = [("routing.http2.enabled".to_owned(), "false".to_owned())];
            account.set_attributes("load_balancer", "LoadBalancer", &attribute);
        }),
        fault(
            "the client's port is left out",
            "load-balancer-differs",
            |account| {
                let attribute = [(
                    "routing.http.drop_invalid_header_fields.enabled".to_owned(),
                    "true".to_owned(),
                )];
                account.set_attributes("load_balancer", "LoadBalancer", &attribute);
            },
        ),
    ]
}

fn server_certificate() -> Vec<Fault> {
    vec![
        fault(
            "the listener shows another certificate",
            "listener-certificate-differs",
            |account| {
                let theirs = account.their_certificate();
                modify_listener(
                    account,
                    &[("Certificates.member.1.CertificateArn", &theirs)],
                );
            },
        ),
        fault(
            "the TLS policy allows TLS 1.2",
            "tls-policy-differs",
            |account| {
                modify_listener(
                    account,
                    &[("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06")],
                );
            },
        ),
        fault(
            "the TLS policy allows everything",
            "tls-policy-differs",
            |account| {
                modify_listener(account, &[("SslPolicy", "ELBSecurityPolicy-2016-08")]);
            },
        ),
        fault(
            "the certificate has expired",
            "certificate-expired",
            |account| {
                // ACM renews what its DNS record validates; that one is gone first.
                let path = format!("/2013-04-01/hostedzone/{ZONE}/rrset");
                let answer = account.aws.rest(("route53", "GET", &path), "").ok().body;
                let sets = Account::elements(&answer, "ResourceRecordSet");
                let set = sets
                    .iter()
                    .find(|set| set.contains(".acm-validations.aws."));
                let set = set.expect("is there");
                account.aws.change_record("DELETE", set);
                account.aws.control("POST", "clock", "40000000").ok();
                account.aws.change_record("CREATE", set);
            },
        ),
    ]
}

fn listener() -> Vec<Fault> {
    vec![
        fault("the listener is gone", "listener-missing", |account| {
            account.elb_at("DeleteListener", ("ListenerArn", "listener"), &[]);
        }),
        fault("the redirect is gone", "listener-missing", |account| {
            account.elb_at("DeleteListener", ("ListenerArn", "listener.redirect"), &[]);
        }),
        fault(
            "mutual TLS is off",
            "mutual-authentication-differs",
            |account| {
                modify_listener(account, &[("MutualAuthentication.Mode", "off")]);
            },
        ),
        fault(
            "client certificates pass unverified",
            "mutual-authentication-differs",
            |account| {
                modify_listener(account, &[("MutualAuthentication.Mode", "passthrough")]);
            },
        ),
        fault(
            "expired clients are let in",
            "mutual-authentication-differs",
            |account| {
                verify(account, &account.id("trust_store"), ("on", "true"));
            },
        ),
        fault(
            "CA names are not advertised",
            "mutual-authentication-differs",
            |account| {
                verify(account, &account.id("trust_store"), ("off", "false"));
            },
        ),
    ]
}

fn listener_actions() -> Vec<Fault> {
    vec![
        fault(
            "the listener forwards to other targets",
            "forwards-elsewhere",
            |account| {
                let theirs = their_target_group(account);
                modify_listener(
                    account,
                    &[
                        ("DefaultActions.member.1.Type", "forward"),
                        ("DefaultActions.member.1.TargetGroupArn", &theirs),
                    ],
                );
            },
        ),
        fault(
            "the listener answers by itself",
            "forwards-elsewhere",
            |account| {
                modify_listener(
                    account,
                    &[
                        ("DefaultActions.member.1.Type", "fixed-response"),
                        (
                            "DefaultActions.member.1.FixedResponseConfig.StatusCode",
                            "200",
                        ),
                    ],
                );
            },
        ),
        fault(
            "a rule answers before the listener does",
            "rule-in-front",
            |account| {
                let parameters = [
                    ("Priority", "1"),
                    ("Conditions.member.1.Field", "path-pattern"),
                    (
                        "Conditions.member.1.PathPatternConfig.Values.member.1",
                        "/*",
                    ),
                    ("Actions.member.1.Type", "fixed-response"),
                    ("Actions.member.1.FixedResponseConfig.StatusCode", "503"),
                ];
                account.elb_at("CreateRule", ("ListenerArn", "listener"), &parameters);
            },
        ),
        fault("a header has another name", "listener-differs", |account| {
            let key = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name".to_owned();
            account.set_attributes("listener", "Listener", &[(key, "X-Theirs".to_owned())]);
        }),
    ]
}

fn trust_store() -> Vec<Fault> {
    const STORE: (&str, &str) = ("TrustStoreArn", "trust_store");
    vec![
        fault(
            "the trust store is swapped",
            "other-trust-store",
            |account| {
                verify(account, &account.their_trust_store(), ("on", "false"));
            },
        ),
        fault("the CA bundle is another", "ca-bundle-differs", |account| {
            let bundle = [
                ("CaCertificatesBundleS3Bucket", THEIR_BUCKET),
                ("CaCertificatesBundleS3Key", "bundle.pem"),
            ];
            account.elb_at("ModifyTrustStore", STORE, &bundle);
        }),
        fault("the CRL is gone", "crl-missing", |account| {
            let all = account.elb_at("DescribeTrustStoreRevocations", STORE, &[]);
            let id = &Account::elements(&all, "RevocationId")[0];
            account.elb_at(
                "RemoveTrustStoreRevocations",
                STORE,
                &[("RevocationIds.member.1", id)],
            );
        }),
        fault("a CRL more revokes clients", "crl-surplus", |account| {
            let crl = [
                ("RevocationContents.member.1.S3Bucket", THEIR_BUCKET),
                ("RevocationContents.member.1.S3Key", "their.crl"),
            ];
            account.elb_at("AddTrustStoreRevocations", STORE, &crl);
        }),
    ]
}

fn targets() -> Vec<Fault> {
    vec![
        fault("the targets are gone", "targets-missing", |account| {
            deregister(account, &targets_of(account));
        }),
        fault("a target is drained", "targets-differ", |account| {
            deregister(account, &targets_of(account)[..1]);
        }),
        fault(
            "a target of somebody else's gets requests",
            "targets-differ",
            |account| {
                let theirs = [("Targets.member.1.Id", "172.31.0.200")];
                account.elb_at(
                    "RegisterTargets",
                    ("TargetGroupArn", "target_group"),
                    &theirs,
                );
            },
        ),
        fault(
            "the health check wants 200",
            "health-check-differs",
            |account| {
                set_health_check(account, &[("Matcher.HttpCode", "200")]);
            },
        ),
        fault(
            "the health check speaks HTTP",
            "health-check-differs",
            |account| {
                set_health_check(account, &[("HealthCheckProtocol", "HTTP")]);
            },
        ),
        fault(
            "the health check asks at another port",
            "health-check-differs",
            |account| {
                set_health_check(account, &[("HealthCheckPort", "8443")]);
            },
        ),
    ]
}

fn security_groups() -> Vec<Fault> {
    vec![
        fault(
            "the endpoint does not let the load balancer in",
            "endpoint-does-not-admit",
            revoke_endpoint_rule,
        ),
        fault(
            "the endpoint is in another group",
            "endpoint-groups-differ",
            |account| {
                let (ours, theirs) = (account.id("endpoint.security_group"), account.their_group());
                modify_endpoint(
                    account,
                    &[
                        ("AddSecurityGroupId.1", theirs.as_str()),
                        ("RemoveSecurityGroupId.1", &ours),
                    ],
                );
            },
        ),
        fault(
            "the load balancer is in another group",
            "load-balancer-groups-differ",
            |account| {
                let theirs = account.their_group();
                account.elb_at(
                    "SetSecurityGroups",
                    ("LoadBalancerArn", "load_balancer"),
                    &[("SecurityGroups.member.1", &theirs)],
                );
            },
        ),
        fault(
            "the load balancer may call nobody",
            "load-balancer-may-not-call",
            |account| {
                let everything = [("IpPermissions.1.IpProtocol", "-1"), cidr("0.0.0.0/0")];
                let group = ("GroupId", "load_balancer.security_group");
                account.ec2_at("RevokeSecurityGroupEgress", group, &everything);
            },
        ),
    ]
}

fn endpoint() -> Vec<Fault> {
    vec![
        fault("the endpoint is gone", "endpoint-missing", |account| {
            account.ec2_at("DeleteVpcEndpoints", ("VpcEndpointId.1", "endpoint"), &[]);
        }),
        fault(
            "the endpoint has left a subnet",
            "endpoint-differs",
            |account| {
                modify_endpoint(account, &[("RemoveSubnetId.1", "subnet-15b83436007d0d6f7")]);
            },
        ),
        fault("private DNS is on", "private-dns-differs", |account| {
            modify_endpoint(account, &[("PrivateDnsEnabled", "true")]);
        }),
    ]
}

fn policies() -> Vec<Fault> {
    vec![
        fault(
            "the endpoint's policy denies everything",
            "endpoint-policy-differs",
            |account| {
                let nobody = json!({"Version": "2012-10-17", "Statement": []}).to_string();
                modify_endpoint(account, &[("PolicyDocument", &nobody)]);
            },
        ),
        fault(
            "the resource policy is another, not deployed",
            "resource-policy-differs",
            |account| {
                account.patch(&api(account, ""), &[("replace", "/policy", &denying())]);
            },
        ),
        fault(
            "the resource policy denies everything, deployed",
            "resource-policy-differs",
            |account| {
                account.patch(&api(account, ""), &[("replace", "/policy", &denying())]);
                turn_stage(account, &deploy(account));
            },
        ),
        fault(
            "the API is regional",
            "api-reachability-differs",
            |account| {
                let kind = "/endpointConfiguration/types/PRIVATE";
                let ids = "/endpointConfiguration/vpcEndpointIds";
                let endpoint = account.id("endpoint");
                account.patch(&api(account, ""), &[("remove", ids, &endpoint)]);
                account.patch(&api(account, ""), &[("replace", kind, "REGIONAL")]);
            },
        ),
    ]
}

fn domain() -> Vec<Fault> {
    vec![
        fault("the domain is gone", "domain-missing", |account| {
            delete(account, &mapping_path(account));
            delete(account, &domain_path(account));
        }),
        fault("the domain is strict", "domain-strict", |account| {
            account.patch(
                &domain_path(account),
                &[
                    (
                        "replace",
                        "/securityPolicy",
                        "SecurityPolicy_TLS13_1_3_2025_09",
                    ),
                    ("replace", "/endpointAccessMode", "STRICT"),
                ],
            );
        }),
        fault(
            "the domain has another certificate",
            "domain-differs",
            |account| {
                let theirs = account.their_certificate();
                account.patch(
                    &domain_path(account),
                    &[("replace", "/regionalCertificateArn", &theirs)],
                );
            },
        ),
    ]
}

fn mappings() -> Vec<Fault> {
    vec![
        fault("the mapping is gone", "mapping-missing", |account| {
            delete(account, &mapping_path(account));
        }),
        fault(
            "the mapping leads to another API",
            "mapping-points-elsewhere",
            |account| {
                let theirs = account.their_api();
                delete(account, &mapping_path(account));
                let mapping = json!({"restApiId": theirs, "stage": "dev"});
                account.gateway(
                    "POST",
                    &format!("{}/basepathmappings", domain_path(account)),
                    &mapping,
                );
            },
        ),
        fault(
            "the mapping leads to another stage",
            "mapping-points-elsewhere",
            |account| {
                let stage =
                    json!({"stageName": "theirs", "deploymentId": account.id("api.deployment")});
                account.gateway("POST", &api(account, "/stages"), &stage);
                account.patch(&mapping_path(account), &[("replace", "/stage", "theirs")]);
            },
        ),
    ]
}

fn stage() -> Vec<Fault> {
    vec![
        fault("the stage is gone", "stage-missing", |account| {
            delete(account, &mapping_path(account));
            delete(account, &api(account, "/stages/dev"));
            let mapping = json!({"restApiId": account.id("api")});
            account.gateway(
                "POST",
                &format!("{}/basepathmappings", domain_path(account)),
                &mapping,
            );
        }),
        fault(
            "the stage lets no request through",
            "stage-throttling-differs",
            |account| {
                account.patch(
                    &api(account, "/stages/dev"),
                    &[
                        ("replace", "/*/*/throttling/rateLimit", "0"),
                        ("replace", "/*/*/throttling/burstLimit", "0"),
                    ],
                );
            },
        ),
        fault(
            "the stage serves what somebody else deployed",
            "stage-serves-another-deployment",
            |account| {
                turn_stage(account, &deploy(account));
            },
        ),
        fault(
            "a stage variable is another",
            "stage-variables-differ",
            |account| {
                account.patch(
                    &api(account, "/stages/dev"),
                    &[("replace", "/variables/colour", "red")],
                );
            },
        ),
    ]
}

fn integration() -> Vec<Fault> {
    vec![fault(
        "a method is gone from the API",
        "definition-differs",
        |account| {
            let resources = items(account, &api(account, "/resources"));
            let pets = resources.iter().find(|one| one["path"] == "/pets");
            let id = pets.expect("is there")["id"].as_str().expect("is text");
            delete(
                account,
                &api(account, &format!("/resources/{id}/methods/GET")),
            );
        },
    )]
}
