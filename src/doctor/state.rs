//! How what exists is doing, and what of others stands in its way: what no field of the stack file says.
//!
//! IAM: `elasticloadbalancing:DescribeLoadBalancers`, `DescribeListeners`, `DescribeRules`,
//! `DescribeTargetGroups`, `acm:DescribeCertificate`, `apigateway:GET`,
//! `ec2:DescribeVpcEndpoints`, `DescribeSecurityGroups`, `DescribeNetworkInterfaces`.

use aws_sdk_acm::types::CertificateStatus;
use aws_sdk_apigateway::types::{DomainNameStatus, EndpointAccessMode};
use aws_sdk_ec2::types::VpcEndpoint;
use aws_sdk_elasticloadbalancingv2::types::{
    ActionTypeEnum, LoadBalancer, LoadBalancerStateEnum, Rule,
};
use futures::future::try_join_all;
use time::OffsetDateTime;

use super::health::{Target, is_of_backend};
use super::{Diagnosis, Finding, Link, reach};
use crate::aws::Aws;
use crate::error::{Error, Result};
use crate::resource::ec2::filter;
use crate::resource::{Live, vpc_endpoint};
use crate::session::Planned;
use crate::stack::{self, Stack};

/// What there is of a stack, looked at.
pub(crate) struct Examined<'a> {
    planned: &'a Planned,
    stack: &'a Stack,
    diagnosis: &'a mut Diagnosis,
}

impl<'a> Examined<'a> {
    /// Looks at what there is of a stack; gives the targets behind its network load balancer.
    ///
    /// # Errors
    ///
    /// What could not be read.
    pub(crate) async fn examine(
        planned: &'a Planned,
        stack: &'a Stack,
        diagnosis: &'a mut Diagnosis,
    ) -> Result<Vec<Target>> {
        let mut examined = Self {
            planned,
            stack,
            diagnosis,
        };
        examined.expiries();
        examined.links().await?;
        let balancer = examined.load_balancer().await?;
        let certificates = examined.listeners().await?;
        examined.certificates(certificates).await?;
        examined.domains().await?;
        examined.apis().await?;
        let endpoint = examined.endpoint().await?;
        let (servers, backends) = examined.health().await?;
        let diagnosis = &mut *examined.diagnosis;
        diagnosis.differences(&planned.plan.summaries);
        examined.integrations().await?;
        match (balancer, endpoint) {
            (Some(balancer), Some(endpoint)) => examined.reach(&balancer, &endpoint).await?,
            (Some(balancer), None) => examined.reach_servers(&balancer, &servers).await?,
            (None, _) => {}
        }
        Ok(backends)
    }

    /// What is found.
    pub(super) fn diagnosis(&mut self) -> &mut Diagnosis {
        self.diagnosis
    }

    /// What was planned for.
    pub(super) fn stack(&self) -> &'a Stack {
        self.stack
    }

    /// AWS.
    pub(super) fn aws(&self) -> &'a Aws {
        &self.planned.aws
    }

    /// The live instances of a kind, with their addresses.
    pub(super) fn live(&self, kind: &str) -> Vec<(String, Live)> {
        let of_kind = self
            .planned
            .nodes
            .iter()
            .filter(|node| node.type_name().ends_with(&format!("::{kind}")));
        of_kind
            .flat_map(|node| {
                let address = node.address().to_string();
                node.live()
                    .into_iter()
                    .map(move |live| (address.clone(), live))
            })
            .collect()
    }

    /// CAs, CRLs and certificates that have ended.
    fn expiries(&mut self) {
        let now = OffsetDateTime::now_utc();
        for expiry in self
            .planned
            .expiries
            .iter()
            .filter(|expiry| expiry.at <= now)
        {
            let address = expiry.address.as_str();
            let (link, code, fix) = if address.starts_with("trust_store.crl") {
                (
                    Link::TrustStore,
                    "crl-outdated",
                    "publish a new CRL, name it in `trust_store.crls`, and apply",
                )
            } else if address.starts_with("trust_store") {
                (
                    Link::TrustStore,
                    "ca-expired",
                    "put the CA's new certificate into `trust_store.ca_bundle`, and apply",
                )
            } else {
                (
                    Link::Tls,
                    "certificate-expired",
                    "renew it: import a new one, or request one with `certificate.request`",
                )
            };
            let what = format!("{} has ended at {}", expiry.what, expiry.at.date());
            self.diagnosis
                .find(Finding::new(link, code, address).what(what).fix(fix));
        }
    }

    /// The load balancer that clients are led to: the stack's own, or the one that it names.
    async fn load_balancer(&mut self) -> Result<Option<LoadBalancer>> {
        let arn = match &self.stack.load_balancer {
            Some(stack::LoadBalancer::Existing { arn }) => Some(arn.clone()),
            _ => self
                .live("LoadBalancer")
                .into_iter()
                .find(|(address, _)| address.as_str() == "load_balancer")
                .map(|(_, live)| live.id),
        };
        let Some(arn) = arn else { return Ok(None) };
        let send = self
            .aws()
            .elbv2
            .describe_load_balancers()
            .load_balancer_arns(&arn)
            .send();
        let answer = self.aws().call("elbv2:DescribeLoadBalancers", send).await?;
        let Some(balancer) = answer.load_balancers.unwrap_or_default().pop() else {
            return Ok(None);
        };
        let state = balancer.state();
        let code = state.and_then(|state| state.code());
        let name = balancer.load_balancer_name().unwrap_or_default();
        if code == Some(&LoadBalancerStateEnum::Active) {
            self.diagnosis
                .sound(Link::LoadBalancer, format!("{name} is active"));
        } else {
            let reason = state
                .and_then(|state| state.reason())
                .unwrap_or("no reason given");
            let code = code.map_or("unknown", LoadBalancerStateEnum::as_str);
            self.diagnosis.find(
                Finding::new(Link::LoadBalancer, "load-balancer-not-active", &arn)
                    .what(format!("the load balancer {name} is {code}: {reason}"))
                    .fix("wait while it is provisioning; once it has failed, delete it and apply"),
            );
        }
        Ok(Some(balancer))
    }

    /// Looks at the rules of others in front of the listeners' actions; gives the certificates that listeners show.
    async fn listeners(&mut self) -> Result<Vec<(String, String)>> {
        let listeners = self.live("Listener");
        let aws = self.aws();
        let rules = listeners.iter().map(async |(_, live)| {
            let send = aws.elbv2.describe_rules().listener_arn(&live.id).send();
            let answer = aws.call("elbv2:DescribeRules", send).await?;
            Ok::<_, Error>(answer.rules.unwrap_or_default())
        });
        for ((address, _), rules) in listeners.iter().zip(try_join_all(rules).await?) {
            for rule in rules.iter().filter(|rule| rule.is_default() != Some(true)) {
                self.diagnosis.find(rule_in_front(address, rule));
            }
        }
        let arns: Vec<String> = listeners.iter().map(|(_, live)| live.id.clone()).collect();
        if arns.is_empty() {
            return Ok(Vec::new());
        }
        let send = aws
            .elbv2
            .describe_listeners()
            .set_listener_arns(Some(arns))
            .send();
        let answer = aws.call("elbv2:DescribeListeners", send).await?;
        let mut certificates = Vec::new();
        for listener in answer.listeners() {
            let arn = listener.listener_arn().unwrap_or_default();
            let found = listeners.iter().find(|(_, live)| live.id == arn);
            let address = found
                .map_or(arn, |(address, _)| address.as_str())
                .to_owned();
            let status = listener
                .mutual_authentication()
                .and_then(|asked| asked.trust_store_association_status());
            if status.is_some_and(|status| status.as_str() == "removed") {
                self.diagnosis.find(
                    Finding::new(Link::TrustStore, "trust-store-no-longer-shared", &address)
                        .what("the owner of the shared trust store has removed the association, and every handshake fails")
                        .fix("have it shared again and apply, or name another one in `trust_store`"),
                );
            }
            let shown = listener
                .certificates()
                .iter()
                .filter_map(|one| one.certificate_arn());
            certificates.extend(shown.map(|certificate| (address.clone(), certificate.to_owned())));
        }
        Ok(certificates)
    }

    /// Whether the certificates that listeners show are good, and for the names that clients use.
    async fn certificates(&mut self, shown: Vec<(String, String)>) -> Result<()> {
        let aws = self.aws();
        let details = shown.iter().map(async |(_, arn)| {
            let send = aws.acm.describe_certificate().certificate_arn(arn).send();
            let answer = aws.call("acm:DescribeCertificate", send).await?;
            Ok::<_, Error>(answer.certificate)
        });
        for ((address, arn), detail) in shown.iter().zip(try_join_all(details).await?) {
            let Some(detail) = detail else { continue };
            let status = detail.status();
            if status != Some(&CertificateStatus::Issued) {
                let status = status.map_or("unknown", CertificateStatus::as_str);
                let code = if status == "EXPIRED" {
                    "certificate-expired"
                } else {
                    "certificate-not-issued"
                };
                self.diagnosis.find(
                    Finding::new(Link::Tls, code, arn)
                        .what(format!(
                            "the certificate that `{address}` shows is {status}"
                        ))
                        .fix(
                            "renew it: import a new one, or request one with `certificate.request`",
                        ),
                );
                continue;
            }
            let names = detail.subject_alternative_names();
            let wanted = self
                .stack
                .records
                .values()
                .map(|record| record.name.as_str());
            let covered = |name: &str| names.iter().any(|pattern| stack::covers(pattern, name));
            let uncovered: Vec<&str> = wanted.filter(|name| !covered(name)).collect();
            // What a network load balancer shows is for the host of an integration, and judged by the plan.
            if is_of_backend(address) {
                continue;
            }
            if uncovered.is_empty() {
                self.diagnosis
                    .sound(Link::Tls, format!("{} is issued", names.join(", ")));
            }
            for name in uncovered {
                self.diagnosis.find(
                    Finding::new(Link::Tls, "certificate-of-other-names", arn)
                        .what(format!(
                            "the certificate that `{address}` shows is for {}, not for {name}",
                            names.join(", ")
                        ))
                        .fix("name a certificate for that name in `certificate`"),
                );
            }
        }
        Ok(())
    }

    /// Custom domains that are not available, or refuse what comes by an endpoint.
    async fn domains(&mut self) -> Result<()> {
        for (address, live) in self.live("DomainName") {
            let send = self
                .aws()
                .apigateway
                .get_domain_name()
                .domain_name(&live.id)
                .send();
            let domain = self.aws().call("apigateway:GetDomainName", send).await?;
            match domain.domain_name_status() {
                None | Some(DomainNameStatus::Available) => {
                    self.diagnosis
                        .sound(Link::Domain, format!("{} is available", live.id));
                }
                Some(other) => self.diagnosis.find(
                    Finding::new(Link::Domain, "domain-not-available", &address)
                        .what(format!("the domain {} is {}", live.id, other.as_str()))
                        .fix("wait until API Gateway has updated it"),
                ),
            }
            if domain.endpoint_access_mode() == Some(&EndpointAccessMode::Strict) {
                self.diagnosis.find(
                    Finding::new(Link::Domain, "domain-strict", &address)
                        .what(format!(
                            "the domain {} has the endpoint access mode STRICT, which refuses requests that come by a VPC endpoint",
                            live.id
                        ))
                        .fix(format!(
                            "aws apigateway update-domain-name --domain-name {} --patch-operations op=replace,path=/endpointAccessMode,value=BASIC",
                            live.id
                        )),
                );
            }
        }
        Ok(())
    }

    /// APIs that refuse what comes by a custom domain.
    async fn apis(&mut self) -> Result<()> {
        for (address, live) in self.live("RestApi") {
            let send = self
                .aws()
                .apigateway
                .get_rest_api()
                .rest_api_id(&live.id)
                .send();
            let api = self.aws().call("apigateway:GetRestApi", send).await?;
            if api.endpoint_access_mode() == Some(&EndpointAccessMode::Strict) {
                self.diagnosis.find(
                    Finding::new(Link::Policy, "api-strict", &address)
                        .what(format!(
                            "the API {} has the endpoint access mode STRICT, which refuses requests that come by a custom domain of another kind",
                            live.id
                        ))
                        .fix(format!(
                            "aws apigateway update-rest-api --rest-api-id {} --patch-operations op=replace,path=/endpointAccessMode,value=BASIC, and deploy",
                            live.id
                        )),
                );
            }
        }
        Ok(())
    }

    async fn endpoint(&mut self) -> Result<Option<VpcEndpoint>> {
        let id = match &self.stack.endpoint {
            Some(stack::Endpoint::Existing { id }) => Some(id.clone()),
            _ => self
                .live("VPCEndpoint")
                .into_iter()
                .next()
                .map(|(_, live)| live.id),
        };
        let Some(id) = id else { return Ok(None) };
        let found =
            vpc_endpoint::describe(self.aws(), filter("vpc-endpoint-id", vec![id.clone()])).await?;
        let Some(endpoint) = found.into_iter().next() else {
            return Ok(None);
        };
        let state = endpoint.state().map_or("unknown", |state| state.as_str());
        if state.eq_ignore_ascii_case("available") {
            self.diagnosis
                .sound(Link::Endpoint, format!("{id} is available"));
        } else {
            self.diagnosis.find(
                Finding::new(Link::Endpoint, "endpoint-not-available", &id)
                    .what(format!("the endpoint {id} is {state}"))
                    .fix("wait while it is pending; otherwise delete it and apply"),
            );
        }
        Ok(Some(endpoint))
    }

    /// Whether the load balancer's own groups let it call servers.
    async fn reach_servers(
        &mut self,
        balancer: &LoadBalancer,
        targets: &[(String, i32)],
    ) -> Result<()> {
        let ids = balancer.security_groups().to_vec();
        if self.diagnosis.is_explained(Link::SecurityGroups) || ids.is_empty() || targets.is_empty()
        {
            return Ok(());
        }
        let send = self
            .aws()
            .ec2
            .describe_security_groups()
            .filters(filter("group-id", ids.clone()))
            .send();
        let answer = self.aws().call("ec2:DescribeSecurityGroups", send).await?;
        let blocked = reach::not_called(answer.security_groups(), targets);
        if blocked.is_empty() {
            self.diagnosis.sound(
                Link::SecurityGroups,
                "the load balancer's own let it call its targets",
            );
            return Ok(());
        }
        let arn = balancer.load_balancer_arn().unwrap_or_default();
        let groups = ids.join(", ");
        self.diagnosis.find(
            Finding::new(Link::SecurityGroups, "load-balancer-may-not-call", arn)
                .what(format!(
                    "no egress rule of {groups} lets the load balancer call {}",
                    blocked.join(", ")
                ))
                .fix(format!("allow TCP from {groups} to them on that port")),
        );
        Ok(())
    }

    /// Whether the load balancer gets through to the endpoint.
    async fn reach(&mut self, balancer: &LoadBalancer, endpoint: &VpcEndpoint) -> Result<()> {
        if self.diagnosis.is_explained(Link::SecurityGroups) {
            return Ok(());
        }
        let ids: Vec<String> = endpoint
            .groups()
            .iter()
            .filter_map(|group| group.group_id().map(str::to_owned))
            .chain(balancer.security_groups().iter().cloned())
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        let send = self
            .aws()
            .ec2
            .describe_security_groups()
            .filters(filter("group-id", ids))
            .send();
        let answer = self.aws().call("ec2:DescribeSecurityGroups", send).await?;
        let groups = answer.security_groups();
        let interfaces =
            vpc_endpoint::interfaces_of(self.aws(), std::slice::from_ref(endpoint)).await?;
        let addresses: Vec<String> = interfaces
            .iter()
            .filter_map(|interface| interface.private_ip_address().map(str::to_owned))
            .collect();
        let nodes = reach::nodes(self.aws(), balancer).await?;
        let between = reach::Between {
            groups,
            balancer,
            endpoint,
            nodes: &nodes,
            addresses: &addresses,
        };
        match between.blocked() {
            Some(finding) => self.diagnosis.find(finding),
            None => self.diagnosis.sound(
                Link::SecurityGroups,
                "they let 443 through from the load balancer to the endpoint",
            ),
        }
        Ok(())
    }
}

/// A rule of somebody's that answers before the listener's own action does.
fn rule_in_front(address: &str, rule: &Rule) -> Finding {
    let priority = rule.priority().unwrap_or("?");
    let arn = rule.rule_arn().unwrap_or_default();
    let actions: Vec<&str> = rule
        .actions()
        .iter()
        .filter_map(|action| action.r#type().map(ActionTypeEnum::as_str))
        .collect();
    Finding::new(Link::Listener, "rule-in-front", address)
        .what(format!(
            "a rule of priority {priority} ({}) answers before the action of `{address}`",
            actions.join(", ")
        ))
        .fix(format!(
            "aws elbv2 delete-rule --rule-arn {arn}, unless it is meant"
        ))
}
