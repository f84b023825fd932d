//! Single faults of system C: what somebody does to servers behind client certificates.

use super::{Fault, fault};
use crate::drift::account::Account;

/// All of them, along the way of a request.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn all() -> Vec<Fault> {
    vec![
        fault("record deleted", "record-missing", |account| {
            let alias = format!(
                "<Name>login.example.com</Name><Type>A</Type><AliasTarget><HostedZoneId>{}</HostedZoneId>\
                 <DNSName>{}</DNSName><EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget>",
                account.id("load_balancer.canonical_hosted_zone_id"),
                account.id("load_balancer.dns_name")
            );
            account.aws.change_record("DELETE", &alias);
        }),
        fault(
            "clients shut out",
            "clients-not-admitted-as-written",
            |account| {
                rule(account, "RevokeSecurityGroupIngress", ("443", "443", "tcp"));
            },
        ),
        fault(
            "certificate of somebody else's",
            "listener-certificate-differs",
            |account| {
                let other = crate::drift::account::import(&account.aws, None);
                let shown = [("Certificates.member.1.CertificateArn", other.as_str())];
                account.elb_at("ModifyListener", ("ListenerArn", "listener"), &shown);
            },
        ),
        fault("redirect deleted", "listener-missing", |account| {
            account.elb_at("DeleteListener", ("ListenerArn", "listener.redirect"), &[]);
        }),
        fault(
            "nobody verified",
            "mutual-authentication-differs",
            |account| {
                let off = [("MutualAuthentication.Mode", "off")];
                account.elb_at("ModifyListener", ("ListenerArn", "listener"), &off);
            },
        ),
        fault("header renamed", "listener-differs", |account| {
            let attribute = "routing.http.request.x_amzn_mtls_clientcert_subject.header_name";
            let renamed = [
                ("Attributes.member.1.Key", attribute),
                ("Attributes.member.1.Value", "X-Other"),
            ];
            account.elb_at(
                "ModifyListenerAttributes",
                ("ListenerArn", "listener"),
                &renamed,
            );
        }),
        fault("CRL removed", "crl-missing", |account| {
            let first = [("RevocationIds.member.1", "1")];
            account.elb_at(
                "RemoveTrustStoreRevocations",
                ("TrustStoreArn", "trust_store"),
                &first,
            );
        }),
        fault("an instance deregistered", "targets-differ", |account| {
            let one = [("Targets.member.1.Id", "i-0a1b2c3d4e5f60001")];
            account.elb_at(
                "DeregisterTargets",
                ("TargetGroupArn", "target_group"),
                &one,
            );
        }),
        fault(
            "health check of another page",
            "health-check-differs",
            |account| {
                let path = [("HealthCheckPath", "/nothing")];
                account.elb_at(
                    "ModifyTargetGroup",
                    ("TargetGroupArn", "target_group"),
                    &path,
                );
            },
        ),
        fault(
            "load balancer may not call",
            "load-balancer-may-not-call",
            |account| {
                let everything = [
                    ("IpPermissions.1.IpProtocol", "-1"),
                    ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
                ];
                account.ec2_at(
                    "RevokeSecurityGroupEgress",
                    ("GroupId", "load_balancer.security_group"),
                    &everything,
                );
            },
        ),
        fault("servers stopped", "bad-gateway", |account| {
            for place in crate::system_c::PLACES {
                // Nothing listens on the port of discarded data.
                let closed = format!("{place}=127.0.0.1:9");
                account.aws.control("POST", "hosts", &closed).ok();
            }
        }),
        fault("connection logs off", "load-balancer-differs", |account| {
            account.set_attributes(
                "load_balancer",
                "LoadBalancer",
                &[("connection_logs.s3.enabled".to_owned(), "false".to_owned())],
            );
        }),
        fault(
            "log bucket's policy removed",
            "log-bucket-differs",
            |account| {
                let bucket = account.id("load_balancer.log_bucket");
                account.s3("DELETE", &format!("/{bucket}?policy"), "");
            },
        ),
    ]
}

fn rule(account: &Account, action: &str, (from, to, protocol): (&str, &str, &str)) {
    let parameters = [
        ("IpPermissions.1.IpProtocol", protocol),
        ("IpPermissions.1.FromPort", from),
        ("IpPermissions.1.ToPort", to),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    account.ec2_at(
        action,
        ("GroupId", "load_balancer.security_group"),
        &parameters,
    );
}
