//! What servers behind client certificates have beside system P's things: logs, headers, certificates of
//! one's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Console;
use crate::support::Authority;

/// A server certificate with its chain and key, as files have them.
pub(crate) struct Bought {
    /// The certificate.
    pub(crate) certificate: String,
    /// What signed it.
    pub(crate) chain: String,
    /// Its key.
    pub(crate) private_key: String,
    /// ACM's ARN.
    pub(crate) arn: String,
}

impl Console<'_> {
    /// A certificate with its chain, imported.
    pub(crate) fn bought_certificate(&self, names: &[&str]) -> Bought {
        let issuer = Authority::new("Servers Root").below("Servers Issuing");
        let (certificate, private_key) = issuer.issue(names);
        let import = json!({
            "Certificate": STANDARD.encode(&certificate),
            "PrivateKey": STANDARD.encode(&private_key),
            "CertificateChain": STANDARD.encode(&issuer.certificate),
        });
        let made = self.aws.acm("ImportCertificate", &import).ok().value();
        Bought {
            arn: made["CertificateArn"].as_str().expect("is text").to_owned(),
            certificate,
            chain: issuer.certificate.clone(),
            private_key,
        }
    }

    /// A bucket to which log delivery may write, and whose logs go after some days by a rule of this name.
    pub(crate) fn log_bucket(&self, name: &str, (rule, days): (&str, u16)) {
        self.aws.make_bucket(name);
        let put = |what: &str, body: String| {
            let path = format!("/{name}?{what}");
            self.aws.rest(("s3", "PUT", &path), body).ok();
        };
        let account = "123456789012";
        let policy = json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "LogDelivery",
                "Effect": "Allow",
                "Principal": { "Service": "logdelivery.elasticloadbalancing.amazonaws.com" },
                "Action": "s3:PutObject",
                "Resource": format!("arn:aws:s3:::{name}/AWSLogs/{account}/*"),
                "Condition": { "ArnLike": { "aws:SourceArn": format!(
                    "arn:aws:elasticloadbalancing:ap-northeast-1:{account}:loadbalancer/*"
                ) } },
            }],
        });
        put("policy", policy.to_string());
        let namespace = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";
        put(
            "lifecycle",
            format!(
                "<LifecycleConfiguration {namespace}><Rule><ID>{rule}</ID><Status>Enabled</Status>\
                 <Filter><Prefix></Prefix></Filter><Expiration><Days>{days}</Days></Expiration></Rule>\
                 </LifecycleConfiguration>"
            ),
        );
    }

    /// Switches a load balancer's logs of both kinds on, with a prefix or none.
    pub(crate) fn log_to(&self, balancer: &str, bucket: &str, prefix: Option<&str>) {
        for kind in ["connection_logs", "access_logs"] {
            let key = |part: &str| format!("{kind}.s3.{part}");
            self.set_balancer_attribute(balancer, &key("bucket"), bucket);
            if let Some(prefix) = prefix {
                self.set_balancer_attribute(balancer, &key("prefix"), prefix);
            }
            self.set_balancer_attribute(balancer, &key("enabled"), "true");
        }
    }

    /// Sets an attribute of a load balancer.
    pub(crate) fn set_balancer_attribute(&self, balancer: &str, key: &str, value: &str) {
        let attribute = [
            ("LoadBalancerArn", balancer),
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", value),
        ];
        self.elb("ModifyLoadBalancerAttributes", &attribute);
    }

    /// Sets an attribute of a target group.
    pub(crate) fn set_group_attribute(&self, group: &str, key: &str, value: &str) {
        let attribute = [
            ("TargetGroupArn", group),
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", value),
        ];
        self.elb("ModifyTargetGroupAttributes", &attribute);
    }

    /// Gives a header about the client another name.
    pub(crate) fn rename_header(&self, listener: &str, header: &str, name: &str) {
        let key = format!("routing.http.request.{header}.header_name");
        let attribute = [
            ("ListenerArn", listener),
            ("Attributes.member.1.Key", key.as_str()),
            ("Attributes.member.1.Value", name),
        ];
        self.elb("ModifyListenerAttributes", &attribute);
    }

    /// Hands client certificates on without looking at them.
    pub(crate) fn pass_through(&self, listener: &str) {
        let mode = [
            ("ListenerArn", listener),
            ("MutualAuthentication.Mode", "passthrough"),
        ];
        self.elb("ModifyListener", &mode);
    }

    /// Forwards to two groups by weights, and keeps clients at one of them.
    pub(crate) fn weigh(&self, listener: &str, groups: [&str; 2]) {
        let forward = "DefaultActions.member.1.ForwardConfig";
        let key = |rest: &str| format!("{forward}.{rest}");
        let members: Vec<(String, &str)> = vec![
            ("ListenerArn".to_owned(), listener),
            ("DefaultActions.member.1.Type".to_owned(), "forward"),
            (key("TargetGroups.member.1.TargetGroupArn"), groups[0]),
            (key("TargetGroups.member.1.Weight"), "3"),
            (key("TargetGroups.member.2.TargetGroupArn"), groups[1]),
            (key("TargetGroups.member.2.Weight"), "1"),
        ];
        let members: Vec<(&str, &str)> = members
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .collect();
        self.elb("ModifyListener", &members);
    }

    /// A rule beside the default action.
    pub(crate) fn rule(&self, listener: &str) {
        let rule = [
            ("ListenerArn", listener),
            ("Priority", "7"),
            ("Conditions.member.1.Field", "path-pattern"),
            (
                "Conditions.member.1.PathPatternConfig.Values.member.1",
                "/admin/*",
            ),
            ("Actions.member.1.Type", "fixed-response"),
            ("Actions.member.1.FixedResponseConfig.StatusCode", "403"),
        ];
        self.elb("CreateRule", &rule);
    }
}
