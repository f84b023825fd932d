//! The way from an API through a VPC link and a network load balancer to its backend.
//!
//! IAM: `elasticloadbalancing:DescribeLoadBalancers`, `apigateway:GET`.

use std::collections::BTreeMap;

use aws_sdk_apigateway::types::{TlsConfig, VpcLinkStatus};
use aws_sdk_elasticloadbalancingv2::types::LoadBalancerStateEnum;
use time::OffsetDateTime;

use super::health::{Target, is_of_backend};
use super::state::Examined;
use super::{Diagnosis, Finding, Link};
use crate::error::Result;
use crate::facts::Facts;
use crate::resource::rest_api;
use crate::stack::{Backend, NetworkProtocol, Stack};
use crate::trust::Severity;
use crate::verify::{Network, backend};
use crate::wiring;

/// What puts an integration right.
const APPLY: &str = "`mtlsgw apply` imports the OpenAPI file again and deploys it";

/// An integration as API Gateway has it.
struct Integration {
    uri: String,
    link: String,
    skips_verification: bool,
}

impl Examined<'_> {
    /// How the VPC link and the network load balancer are doing.
    pub(super) async fn links(&mut self) -> Result<()> {
        for (address, live) in self.live("VpcLink") {
            let get = self.aws().apigateway.get_vpc_link().vpc_link_id(&live.id);
            let link = self.aws().call("apigateway:GetVpcLink", get.send()).await?;
            if link.status() == Some(&VpcLinkStatus::Available) {
                let what = format!("{} is available", live.id);
                self.diagnosis().sound(Link::VpcLink, what);
                continue;
            }
            let status = link.status().map_or("unknown", VpcLinkStatus::as_str);
            let reason = link.status_message().unwrap_or("no reason given");
            let finding = Finding::new(Link::VpcLink, "vpc-link-not-available", &address)
                .what(format!("the VPC link {} is {status}: {reason}", live.id))
                .fix("wait while it is pending; `mtlsgw apply` replaces one that has failed");
            self.diagnosis().find(finding);
        }
        let balancers = self.live("LoadBalancer").into_iter();
        for (address, live) in balancers.filter(|(address, _)| is_of_backend(address)) {
            let describe = self.aws().elbv2.describe_load_balancers();
            let send = describe.load_balancer_arns(&live.id).send();
            let answer = self.aws().call("elbv2:DescribeLoadBalancers", send).await?;
            let state = answer.load_balancers().first().and_then(|one| one.state());
            let code = state.and_then(|state| state.code());
            if code == Some(&LoadBalancerStateEnum::Active) {
                let sound = "it is active";
                self.diagnosis().sound(Link::NetworkLoadBalancer, sound);
                continue;
            }
            let code = code.map_or("unknown", LoadBalancerStateEnum::as_str);
            let finding = Finding::new(
                Link::NetworkLoadBalancer,
                "network-load-balancer-not-active",
                &address,
            )
            .what(format!("`{address}` is {code}"))
            .fix("wait while it is provisioning; once it has failed, delete it and apply");
            self.diagnosis().find(finding);
        }
        Ok(())
    }

    /// Which integrations lead elsewhere than the stack file says, where something of an API differs.
    pub(super) async fn integrations(&mut self) -> Result<()> {
        let differs = |one: &Finding| one.code == "definition-differs";
        if !self.diagnosis().has(differs) {
            return Ok(());
        }
        let link = self.live("VpcLink").into_iter().next();
        let link = link.map_or_else(String::new, |(_, live)| live.id);
        let apis: BTreeMap<String, String> = self
            .live("RestApi")
            .into_iter()
            .map(|(address, live)| (address, live.id))
            .collect();
        for (name, api) in &self.stack().apis {
            let address = wiring::api_address(name);
            let Some(id) = apis.get(address.as_str()) else {
                continue;
            };
            let live = integrations(self, id).await?;
            for wanted in api.definition.backends() {
                let Some(found) = live.get(&wanted.operation) else {
                    continue;
                };
                if let Some(finding) = compared(address.as_str(), &wanted, found, &link) {
                    self.diagnosis().find(finding);
                }
            }
        }
        Ok(())
    }
}

/// The integrations of an API, by method and path: `GET /pets`.
async fn integrations(examined: &Examined<'_>, api: &str) -> Result<BTreeMap<String, Integration>> {
    let mut found = BTreeMap::new();
    for resource in rest_api::live_resources(examined.aws(), api).await? {
        let path = resource.path().unwrap_or_default();
        for (verb, method) in resource.resource_methods().into_iter().flatten() {
            let Some(integration) = method.method_integration() else {
                continue;
            };
            let tls = integration.tls_config();
            let one = Integration {
                uri: integration.uri().unwrap_or_default().to_owned(),
                link: integration.connection_id().unwrap_or_default().to_owned(),
                skips_verification: tls.is_some_and(TlsConfig::insecure_skip_verification),
            };
            found.insert(format!("{verb} {path}"), one);
        }
    }
    Ok(found)
}

/// What is otherwise about an integration than the stack file says.
fn compared(address: &str, wanted: &Backend, found: &Integration, link: &str) -> Option<Finding> {
    let operation = &wanted.operation;
    let (code, what) = if wanted.is_linked && found.link != link {
        let by = if found.link.is_empty() {
            "no VPC link".to_owned()
        } else {
            format!("the VPC link {}", found.link)
        };
        (
            "integration-by-another-link",
            format!("leads to its backend by {by}, not by the stack's {link}"),
        )
    } else if wanted.uri != found.uri {
        (
            "integration-points-elsewhere",
            format!(
                "leads to {}, and the OpenAPI file says {}",
                found.uri, wanted.uri
            ),
        )
    } else if wanted.skips_verification != found.skips_verification {
        let what = if found.skips_verification {
            "takes certificates of private CAs from its backend, and the stack file does not say so"
        } else {
            "wants a certificate of a public CA from its backend: `insecureSkipVerification` is gone"
        };
        ("insecure-skip-verification-differs", what.to_owned())
    } else {
        return None;
    };
    let finding = Finding::new(Link::Integration, code, address);
    Some(finding.what(format!("`{operation}` {what}")).fix(APPLY))
}

/// Looks at the certificates that targets show, where the API says that its backend fails; tells causes from
/// what follows from them.
///
/// What cannot be reached from here is not accused of more than that.
pub(crate) async fn look(
    stack: &Stack,
    targets: &[Target],
    network: &Network<'_>,
    diagnosis: &mut Diagnosis,
) {
    let passes = stack
        .network_load_balancer
        .as_ref()
        .is_some_and(|one| one.listener.protocol == NetworkProtocol::Tcp);
    if passes && diagnosis.has(answers_for_backend) {
        let facts = Facts::stand_ins(stack);
        for one in linked(stack) {
            for target in targets {
                judge(target, &one, (network, &facts), diagnosis).await;
            }
        }
    }
    follow(diagnosis);
}

/// Whether API Gateway answers in place of a backend that it does not talk to.
///
/// Source: API Gateway Developer Guide, gateway responses: 500 with this body is its own, after
/// `Execution failed due to configuration error` in the execution log.
fn answers_for_backend(finding: &Finding) -> bool {
    finding.code == "integration-fails" && finding.what.contains("Internal server error")
}

/// A backend that is refused, for a reason that cannot be seen from here.
fn unseen(place: &str, asked: &str, reason: &str) -> Finding {
    Finding::new(Link::Backend, "backend-certificate-refused", place)
        .what(format!(
            "API Gateway answers 500 in place of the backend, as it does where it refuses what the backend shows for \
             {asked}; that is not seen from here ({reason})"
        ))
        .fix(format!(
            "`mtlsgw plan --probe-backend {place}` in the VPC, or `mtlsgw doctor --connect-to {place}:ADDRESS:PORT` \
             through a tunnel, says which rule fails"
        ))
        .symptom()
}

/// The integrations that the VPC link leads to a backend that speaks TLS, each host once.
fn linked(stack: &Stack) -> Vec<Backend> {
    let all = stack.apis.values();
    let all = all.flat_map(|api| api.definition.backends());
    let mut linked: Vec<Backend> = all.filter(|one| one.is_linked && one.is_https).collect();
    linked.sort_by(|one, other| one.host.cmp(&other.host));
    linked.dedup_by(|one, other| {
        one.host == other.host && one.skips_verification == other.skips_verification
    });
    linked
}

async fn judge(
    Target { id, port }: &Target,
    wanted: &Backend,
    (network, facts): (&Network<'_>, &Facts),
    diagnosis: &mut Diagnosis,
) {
    // API Gateway asks for the host of the URI, wherever the connection goes.
    let asked = wanted.host.as_deref().unwrap_or(id);
    let place = format!("{id}:{port}");
    let shown = match backend::look(network, (id, *port), asked).await {
        Ok(shown) => shown,
        Err(reason) => {
            diagnosis.find(unseen(&place, asked, &reason));
            return;
        }
    };
    let findings = wiring::backend_findings(wanted, &shown.chain, facts, OffsetDateTime::now_utc());
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    for finding in errors {
        diagnosis.find(
            Finding::new(Link::Backend, finding.code, &place)
                .what(format!(
                    "API Gateway refuses what {place} shows for {asked}: {}",
                    finding.message
                ))
                .fix(finding.fix),
        );
    }
}

/// What cannot have come about by itself: AWS lets nobody delete a load balancer that a link leads to, nor
/// a link that a stage refers to, so that whoever did has moved those first. And what an integration leads
/// to counts once it is deployed.
pub(super) fn follow(diagnosis: &mut Diagnosis) {
    const OF_THE_API: [&str; 6] = [
        "stage-missing",
        "stage-serves-another-deployment",
        "not-deployed",
        "definition-differs",
        "integration-by-another-link",
        "integration-points-elsewhere",
    ];
    const OF_AN_INTEGRATION: [&str; 3] = [
        "stage-serves-another-deployment",
        "not-deployed",
        "definition-differs",
    ];
    let has = |diagnosis: &Diagnosis, code: &str| diagnosis.has(|one| one.code == code);
    if has(diagnosis, "network-load-balancer-missing") {
        diagnosis.follows(|one| one.link == Link::VpcLink);
    }
    if has(diagnosis, "vpc-link-missing") {
        diagnosis.follows(|one| OF_THE_API.contains(&one.code));
    }
    let specific = [
        "integration-by-another-link",
        "integration-points-elsewhere",
        "insecure-skip-verification-differs",
    ];
    if specific.iter().any(|code| has(diagnosis, code)) {
        diagnosis.follows(|one| OF_AN_INTEGRATION.contains(&one.code));
    }
    // A target that is not alive says more than the answer of the API that follows from it.
    if !diagnosis.has(|one| !one.symptom) && diagnosis.has(|one| one.link == Link::Backend) {
        diagnosis.blame(Link::Backend);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> Backend {
        Backend {
            operation: "GET /pets".to_owned(),
            uri: "https://pets.internal/".to_owned(),
            is_https: true,
            host: Some("pets.internal".to_owned()),
            port: Some(443),
            is_linked: true,
            skips_verification: true,
        }
    }

    fn code(link: &str, uri: &str, skips: bool) -> Option<&'static str> {
        let found = Integration {
            uri: uri.to_owned(),
            link: link.to_owned(),
            skips_verification: skips,
        };
        compared("api", &wanted(), &found, "ours").map(|finding| finding.code)
    }

    #[test]
    fn what_differs_about_an_integration_is_told_apart() {
        let uri = "https://pets.internal/";
        assert_eq!(code("ours", uri, true), None);
        assert_eq!(
            code("theirs", uri, true),
            Some("integration-by-another-link")
        );
        assert_eq!(code("", uri, true), Some("integration-by-another-link"));
        assert_eq!(
            code("ours", "https://cats.internal/", true),
            Some("integration-points-elsewhere")
        );
        assert_eq!(
            code("ours", uri, false),
            Some("insecure-skip-verification-differs")
        );
    }

    #[test]
    fn who_deletes_a_load_balancer_has_deleted_its_link_and_moved_the_stage() {
        let mut diagnosis = Diagnosis::default();
        for (link, code) in [
            (Link::Deployment, "stage-serves-another-deployment"),
            (Link::VpcLink, "vpc-link-missing"),
            (Link::NetworkLoadBalancer, "network-load-balancer-missing"),
        ] {
            diagnosis.find(Finding::new(link, code, "it"));
        }
        follow(&mut diagnosis);
        let cause = diagnosis.cause().map(|one| one.code);
        assert_eq!(cause, Some("network-load-balancer-missing"));
    }

    #[test]
    fn a_dead_target_is_named_rather_than_the_answer_that_follows_from_it() {
        let mut diagnosis = Diagnosis::default();
        diagnosis
            .find(Finding::new(Link::Integration, "integration-does-not-answer", "it").symptom());
        diagnosis.find(Finding::new(Link::Backend, "target-does-not-answer", "it").symptom());
        follow(&mut diagnosis);
        let cause = diagnosis.cause().map(|one| one.code);
        assert_eq!(cause, Some("target-does-not-answer"));
    }
}
