//! `doctor`: the way that a request takes, link by link, and the first one that is broken.
//!
//! What is known of the links comes from three sides: what of the stack's resources is live otherwise
//! than its file says (`difference`), how what exists is doing and what stands in its way (`state`,
//! `reach`), and what connections show (`connection`, `answer`). What follows from something else is a symptom: it
//! is told, and named as the cause only where nothing else is found.

mod answer;
mod backend;
mod connection;
mod difference;
mod health;
mod reach;
mod state;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::plan::Summary;
use crate::session::Taken;

pub(crate) use backend::look as look_at_backend;
pub(crate) use connection::connect;
pub(crate) use state::Examined;

/// A link of the way from the client to what answers it, in the order of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::enum_variant_names, reason = "AWS calls one of them a link")]
pub(crate) enum Link {
    /// The certificate that the client presents.
    Client,
    /// The name that leads to the load balancer.
    Dns,
    /// The load balancer, and who may come to it.
    LoadBalancer,
    /// The server certificate and the TLS policy.
    Tls,
    /// What the listener asks of clients, and where it forwards them.
    Listener,
    /// The CAs and CRLs that clients are judged by.
    TrustStore,
    /// The targets.
    TargetGroup,
    /// Whether they answer the health checks.
    Health,
    /// Whether the load balancer is let through to its targets.
    SecurityGroups,
    /// The execute-api interface endpoint.
    Endpoint,
    /// The endpoint's and the API's resource policy.
    Policy,
    /// API Gateway's custom domain.
    Domain,
    /// Which API and stage a path of the domain stands for.
    Mapping,
    /// The stage.
    Stage,
    /// What the stage serves.
    Deployment,
    /// What a method of the API leads to.
    Integration,
    /// The VPC link by which it does.
    VpcLink,
    /// The network load balancer behind the link, and its listener.
    NetworkLoadBalancer,
    /// The targets behind that, and the certificate that they show.
    Backend,
    /// The name of the network load balancer in the VPC, which the API does not need.
    PrivateZone,
}

impl Link {
    /// All of them.
    pub(crate) const ALL: [Self; 20] = [
        Self::Client,
        Self::Dns,
        Self::LoadBalancer,
        Self::Tls,
        Self::Listener,
        Self::TrustStore,
        Self::TargetGroup,
        Self::Health,
        Self::SecurityGroups,
        Self::Endpoint,
        Self::Policy,
        Self::Domain,
        Self::Mapping,
        Self::Stage,
        Self::Deployment,
        Self::Integration,
        Self::VpcLink,
        Self::NetworkLoadBalancer,
        Self::Backend,
        Self::PrivateZone,
    ];

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client certificate",
            Self::Dns => "DNS",
            Self::LoadBalancer => "load balancer",
            Self::Tls => "TLS",
            Self::Listener => "listener",
            Self::TrustStore => "trust store",
            Self::TargetGroup => "target group",
            Self::Health => "health",
            Self::SecurityGroups => "security groups",
            Self::Endpoint => "endpoint",
            Self::Policy => "policy",
            Self::Domain => "domain",
            Self::Mapping => "mapping",
            Self::Stage => "stage",
            Self::Deployment => "deployment",
            Self::Integration => "integration",
            Self::VpcLink => "VPC link",
            Self::NetworkLoadBalancer => "network load balancer",
            Self::Backend => "backend",
            Self::PrivateZone => "private zone",
        }
    }
}

/// Something that is wrong with a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The link.
    pub(crate) link: Link,
    /// What is wrong, as a word for programs: `crl-missing`.
    pub(crate) code: &'static str,
    /// The address, AWS id or name that it is about.
    pub(crate) address: String,
    /// What is wrong, in a sentence.
    pub(crate) what: String,
    /// What to do about it.
    pub(crate) fix: String,
    /// Whether it may well follow from something else that is wrong.
    pub(crate) symptom: bool,
}

impl Finding {
    /// A cause; what to do about it is left to be said.
    fn new(link: Link, code: &'static str, address: impl Into<String>) -> Self {
        Self {
            link,
            code,
            address: address.into(),
            what: String::new(),
            fix: String::new(),
            symptom: false,
        }
    }

    fn what(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    fn symptom(mut self) -> Self {
        self.symptom = true;
        self
    }
}

/// What has been found, link by link.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    findings: Vec<Finding>,
    /// What shows that a link works.
    sound: BTreeMap<Link, String>,
    /// Why nothing can be said of a link.
    unknown: BTreeMap<Link, String>,
}

impl Diagnosis {
    /// What is otherwise than the stack file says.
    pub(crate) fn differences(&mut self, summaries: &[Summary]) {
        self.findings
            .extend(summaries.iter().flat_map(difference::findings));
    }

    /// What of somebody else's stands in a place of the stack's.
    pub(crate) fn taken(&mut self, taken: &[Taken]) {
        self.findings.extend(taken.iter().map(difference::taken));
    }

    /// Whether something is the cause of what is wrong with a link.
    fn is_explained(&self, link: Link) -> bool {
        self.at(link).iter().any(|one| !one.symptom)
    }

    /// Whether something of this kind was found.
    fn has(&self, is_meant: impl Fn(&Finding) -> bool) -> bool {
        self.findings.iter().any(is_meant)
    }

    /// What of this kind was found follows from something else.
    fn follows(&mut self, is_meant: impl Fn(&Finding) -> bool) {
        let found = self.findings.iter_mut();
        found
            .filter(|one| is_meant(one))
            .for_each(|one| one.symptom = true);
    }

    /// What was found at a link is no mere symptom.
    fn blame(&mut self, link: Link) {
        let found = self.findings.iter_mut();
        found
            .filter(|one| one.link == link)
            .for_each(|one| one.symptom = false);
    }

    /// One more finding.
    pub(crate) fn find(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// What shows that a link works.
    pub(crate) fn sound(&mut self, link: Link, what: impl Into<String>) {
        self.sound.insert(link, what.into());
    }

    /// Why nothing can be said of a link.
    pub(crate) fn unknown(&mut self, link: Link, why: impl Into<String>) {
        self.unknown.insert(link, why.into());
    }

    /// The findings at a link, causes first.
    pub(crate) fn at(&self, link: Link) -> Vec<&Finding> {
        let mut found: Vec<&Finding> = self
            .findings
            .iter()
            .filter(|one| one.link == link)
            .collect();
        found.sort_by_key(|one| one.symptom);
        found
    }

    /// What shows that a link works, where something does.
    pub(crate) fn evidence(&self, link: Link) -> Option<&str> {
        self.sound.get(&link).map(String::as_str)
    }

    /// Why nothing can be said of a link.
    pub(crate) fn doubt(&self, link: Link) -> Option<&str> {
        self.unknown.get(&link).map(String::as_str)
    }

    /// The first broken link's cause; a symptom only where there is no cause.
    pub(crate) fn cause(&self) -> Option<&Finding> {
        // Of two at one link the earlier: states are looked at first, and say more than differences.
        let first = |symptom: bool| {
            let of_kind = self.findings.iter().filter(|one| one.symptom == symptom);
            of_kind.min_by_key(|one| one.link)
        };
        first(false).or_else(|| first(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_cause_along_the_way_is_named_and_no_symptom_before_it() {
        let mut diagnosis = Diagnosis::default();
        diagnosis.find(Finding::new(Link::Health, "health-time-out", "one").symptom());
        diagnosis.find(Finding::new(Link::Mapping, "mapping-missing", "two"));
        diagnosis.find(Finding::new(
            Link::SecurityGroups,
            "endpoint-does-not-admit",
            "three",
        ));
        let cause = diagnosis.cause().expect("there is one");
        assert_eq!(cause.code, "endpoint-does-not-admit");
    }

    #[test]
    fn a_symptom_is_named_where_nothing_else_is_found() {
        let mut diagnosis = Diagnosis::default();
        assert_eq!(diagnosis.cause(), None);
        diagnosis.find(Finding::new(Link::Health, "health-time-out", "one").symptom());
        assert_eq!(
            diagnosis.cause().map(|one| one.code),
            Some("health-time-out")
        );
    }

    /// The codes in the source of this module.
    fn codes() -> Vec<&'static str> {
        let sources = [
            include_str!("doctor/answer.rs"),
            include_str!("doctor/backend.rs"),
            include_str!("doctor/connection.rs"),
            include_str!("doctor/difference.rs"),
            include_str!("doctor/health.rs"),
            include_str!("doctor/reach.rs"),
            include_str!("doctor/state.rs"),
        ];
        let code = sources
            .iter()
            .map(|text| text.split("#[cfg(test)]").next().unwrap_or(""));
        let lines = code.flat_map(str::lines);
        let words = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
        let is_code = |word: &&str| {
            word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        };
        let filters = ["vpc-endpoint-id", "group-id"];
        words
            .filter(is_code)
            .filter(|word| !filters.contains(word))
            .collect()
    }

    #[test]
    fn every_finding_is_explained() {
        let codes = codes();
        assert!(codes.len() > 80, "{}", codes.len());
        let unknown: Vec<_> = codes
            .into_iter()
            .filter(|code| crate::explain::find(code).is_none())
            .collect();
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn the_links_are_told_in_the_order_of_the_way() {
        assert!(Link::ALL.is_sorted());
    }
}
