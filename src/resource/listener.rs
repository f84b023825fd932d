//! A listener: HTTPS with mutual authentication, HTTP that redirects to it, or TCP or TLS of a network
//! load balancer.
//!
//! Natural key: its port on the load balancer, with which it goes. Port and protocol are fixed
//! here: AWS could change them, but not without a moment in which neither is served.
//! Mutual authentication is always sent whole: what is left out of a `ModifyListener` stays as it
//! was, so that leaving out the mode would not switch it off.
//! Another target group first stands beside the old one without a share of the requests, because
//! AWS checks the targets of a group only once a listener names it.
//!
//! IAM: `elasticloadbalancing:DescribeListeners`, `DescribeListenerAttributes`,
//! `DescribeListenerCertificates`, `DescribeRules`, `DescribeTags`, `CreateListener`,
//! `ModifyListener`, `ModifyListenerAttributes`, `AddListenerCertificates`,
//! `RemoveListenerCertificates`, `AddTags`, `RemoveTags`, `DeleteListener`.
//! AWS: ELB API Reference 2015-12-01, `CreateListener`, `MutualAuthenticationAttributes`.

mod network;
mod tls_policy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AdvertiseTrustStoreCaNamesEnum, Certificate, ForwardActionConfig,
    Listener as Described, ListenerAttribute, MutualAuthenticationAttributes, ProtocolEnum,
    RedirectActionConfig, RedirectActionStatusCodeEnum, TargetGroupTuple,
};
use futures::future::{join_all, try_join_all};

use super::context::Wait;
use super::elbv2::{self, Attributes};
use super::load_balancer::{self, LoadBalancer};
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Replacement, Resource, Until,
    target_group, target_registration, trust_store,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};

pub(crate) use network::{EndsTls, Network};
pub(crate) use tls_policy::{Protocols, protocols};

/// A listener of ours.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// The load balancer; fixed.
    pub(crate) load_balancer: Late<String>,
    /// The port; fixed.
    pub(crate) port: u16,
    /// What it does.
    pub(crate) listens: Listens,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// What a listener does.
#[derive(Debug, Clone)]
pub(crate) enum Listens {
    /// Ends TLS and forwards.
    Https(Box<Https>),
    /// Sends HTTP clients to HTTPS.
    Redirect(Redirect),
    /// Passes on connections.
    Network(Box<Network>),
    /// Something else over HTTP, in words; only a live one does.
    Other(String),
}

/// An HTTPS listener.
#[derive(Debug, Clone)]
pub(crate) struct Https {
    /// The default certificate's ARN.
    pub(crate) certificate: Late<String>,
    /// The TLS policy, which is always sent: AWS's default still speaks TLS 1.0.
    pub(crate) ssl_policy: String,
    /// What it asks of clients.
    pub(crate) mutual_authentication: MutualAuthentication,
    /// ARNs of further certificates, chosen by SNI.
    pub(crate) additional_certificates: BTreeSet<String>,
    /// Where it forwards to; of a live one with several groups or none, what it does in words.
    pub(crate) target_group: Late<String>,
    /// Attributes that differ from AWS's default; of a live one, all.
    pub(crate) attributes: BTreeMap<String, String>,
    /// Revocations of the trust store, all of which come before the listener; not compared.
    pub(crate) revocations: Vec<Address>,
    /// The registration of the group's targets: nobody is sent to an empty group; not compared.
    pub(crate) registration: Option<Address>,
}

/// An HTTP listener that redirects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The HTTPS port that clients are sent to.
    pub(crate) port: u16,
}

/// What a listener asks of clients.
#[derive(Debug, Clone)]
pub(crate) enum MutualAuthentication {
    /// Nothing.
    Off,
    /// A certificate, which is passed on unverified.
    Passthrough,
    /// A certificate that a trust store vouches for.
    Verify {
        /// The trust store.
        trust_store: Late<String>,
        /// Whether clients are told which CAs are trusted.
        advertise_ca_names: bool,
        /// Whether an expired certificate is good enough.
        ignore_client_certificate_expiry: bool,
    },
}

/// AWS's defaults: headers have their own names, and no response header is added.
const DEFAULTS: [(&str, &str); 19] = [
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
    (
        "routing.http.response.access_control_allow_credentials.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_headers.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_methods.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_allow_origin.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_expose_headers.header_value",
        "",
    ),
    (
        "routing.http.response.access_control_max_age.header_value",
        "",
    ),
    (
        "routing.http.response.content_security_policy.header_value",
        "",
    ),
    ("routing.http.response.server.enabled", "true"),
    (
        "routing.http.response.strict_transport_security.header_value",
        "",
    ),
    (
        "routing.http.response.x_content_type_options.header_value",
        "",
    ),
    ("routing.http.response.x_frame_options.header_value", ""),
];

impl Resource for Listener {
    const MOVES_CLIENTS: bool = true;

    const TYPE: &'static str = "AWS::ElasticLoadBalancingV2::Listener";

    fn needs(&self) -> Vec<Need> {
        let mut needs = vec![Need::exists(&self.load_balancer).parent()];
        if let Listens::Network(network) = &self.listens {
            needs.extend(network.needs());
        }
        let Listens::Https(https) = &self.listens else {
            return needs;
        };
        needs.push(Need::ready(&https.certificate));
        needs.extend(https.target_group_needs());
        if let MutualAuthentication::Verify { trust_store, .. } = &https.mutual_authentication {
            needs.push(Need::ready(trust_store));
        }
        let registration = https.registration.iter();
        needs.extend(registration.map(|address| Need::address(address, Until::Created)));
        // Without its revocations a trust store accepts what was revoked.
        needs.extend(
            https
                .revocations
                .iter()
                .map(|address| Need::address(address, Until::Exists)),
        );
        needs
    }

    /// Requests go to another group only when something is registered there.
    fn update_needs(&self) -> Vec<Need> {
        let target_group = self.target_group().and_then(Late::address);
        target_group
            .map(|address| Need::address(&address.part("targets"), Until::Exists))
            .into_iter()
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            load_balancer,
            port,
            listens,
            tags,
        } = self;
        diff.late(
            "load_balancer",
            load_balancer,
            live.map(|live| &live.load_balancer),
        )
        .replaces();
        diff.field("port", port, live.map(|live| &live.port))
            .replaces();
        let live_protocol = live.map(|live| live.listens.protocol());
        diff.field("protocol", &listens.protocol(), live_protocol.as_ref())
            .replaces();
        match listens {
            Listens::Https(https) => https.diff(live.and_then(Self::https), diff),
            Listens::Network(network) => network.diff(live.and_then(Self::network), diff),
            Listens::Redirect(_) | Listens::Other(_) => {
                let before = live.map(|live| live.listens.in_words());
                diff.field("default_action", &listens.in_words(), before.as_ref());
            }
        }
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn replacement(&self, live: &Self) -> Replacement {
        let moved = self.port == live.port && self.listens.protocol() == live.listens.protocol();
        if self.port != live.port || moved {
            return Replacement::CreateFirst;
        }
        let port = self.port;
        Replacement::DeleteFirst(format!(
            "port {port} of the load balancer is closed until the new listener is made"
        ))
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let (listed, load_balancers) =
            futures::try_join!(listing(reader), reader.found::<LoadBalancer>())?;
        let found = listed
            .iter()
            .map(|listed| found(reader, listed, &load_balancers));
        Ok(found
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let id = self.make(cx).await?;
        if let Listens::Https(https) = &self.listens {
            put_certificates(cx, &id, &https.additional_certificates, &BTreeSet::new()).await?;
            put_attributes(
                cx,
                &id,
                &elbv2::beyond(&DEFAULTS, &https.wanted_attributes()),
            )
            .await?;
        }
        Ok(Created::id(id))
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        let main = [
            "certificate",
            "ssl_policy",
            "mutual_authentication",
            "target_group",
            "default_action",
        ];
        if touches(changes, "target_group")
            && let Some(target_group) = self.target_group()
        {
            warm_up(cx, &live.id, &cx.value(target_group)?).await?;
        }
        if main.iter().any(|path| touches(changes, path)) {
            self.modify(cx, &live.id, changes).await?;
        }
        if let (Listens::Https(want), Some(had)) = (&self.listens, live.spec.https()) {
            put_certificates(
                cx,
                &live.id,
                &want.additional_certificates,
                &had.additional_certificates,
            )
            .await?;
        }
        put_attributes(cx, &live.id, &elbv2::changed_attributes(changes)).await?;
        if touches(changes, "tags") {
            elbv2::put_tags(cx, &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        let send = cx
            .aws()
            .elbv2
            .delete_listener()
            .listener_arn(&live.id)
            .send();
        tolerate(
            cx.aws().call("elbv2:DeleteListener", send).await,
            &["ListenerNotFound"],
        )
    }

    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        if live.spec.network().is_some() {
            return Ok(Vec::new());
        }
        rules(&reader.aws, &live.id).await
    }
}

impl Listener {
    fn https(&self) -> Option<&Https> {
        match &self.listens {
            Listens::Https(https) => Some(https),
            Listens::Network(_) | Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    fn network(&self) -> Option<&Network> {
        match &self.listens {
            Listens::Network(network) => Some(network),
            Listens::Https(_) | Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    /// Where it forwards to.
    fn target_group(&self) -> Option<&Late<String>> {
        match &self.listens {
            Listens::Https(https) => Some(&https.target_group),
            Listens::Network(network) => Some(&network.target_group),
            Listens::Redirect(_) | Listens::Other(_) => None,
        }
    }

    /// Makes the listener itself, without what takes calls of its own.
    async fn make(&self, cx: &Cx) -> Result<String> {
        let (aws, load_balancer) = (cx.aws(), cx.value(&self.load_balancer)?);
        let wire = self.listens.wire(cx)?;
        let create = async || -> Result<String> {
            let create = aws
                .elbv2
                .create_listener()
                .load_balancer_arn(&load_balancer);
            let send = create
                .port(self.port.into())
                .protocol(ProtocolEnum::from(self.listens.protocol()))
                .default_actions(wire.action.clone())
                .set_certificates(
                    wire.certificate
                        .clone()
                        .map(|certificate| vec![certificate]),
                )
                .set_ssl_policy(wire.ssl_policy.clone())
                .set_mutual_authentication(wire.mutual_authentication.clone())
                .set_tags(Some(elbv2::sdk_tags(&self.tags)))
                .send();
            match aws.call("elbv2:CreateListener", send).await {
                Err(error) if error.is("DuplicateListener") => {
                    let listed = describe(aws, &load_balancer).await?;
                    let here = listed
                        .into_iter()
                        .find(|one| one.port() == Some(self.port.into()));
                    elbv2::adopt(cx, error, here.and_then(|one| one.listener_arn)).await
                }
                other => {
                    let made = other?.listeners.unwrap_or_default().pop();
                    let made = made.and_then(|one| one.listener_arn);
                    made.ok_or_else(|| Error::step(&cx.address, "AWS made no listener"))
                }
            }
        };
        cx.retry_while(propagation(cx), propagates, create).await
    }

    /// Modifies what the changes touch; the rest stays as it is.
    async fn modify(&self, cx: &Cx, id: &str, changes: &[Change]) -> Result<()> {
        let wire = self.listens.wire(cx)?;
        let action = touches(changes, "target_group") || touches(changes, "default_action");
        let action = action.then(|| vec![wire.action]);
        let certificate = wire.certificate.filter(|_| touches(changes, "certificate"));
        let ssl_policy = wire.ssl_policy.filter(|_| touches(changes, "ssl_policy"));
        let mutual = wire
            .mutual_authentication
            .filter(|_| touches(changes, "mutual_authentication"));
        cx.retry_while(propagation(cx), propagates, async || {
            let modify = cx.aws().elbv2.modify_listener().listener_arn(id);
            let send = modify
                .set_default_actions(action.clone())
                .set_certificates(certificate.clone().map(|certificate| vec![certificate]))
                .set_ssl_policy(ssl_policy.clone())
                .set_mutual_authentication(mutual.clone())
                .send();
            Ok(cx
                .aws()
                .call("elbv2:ModifyListener", send)
                .await
                .map(drop)?)
        })
        .await
    }
}

impl Listens {
    fn protocol(&self) -> &'static str {
        match self {
            Self::Https(_) => "HTTPS",
            Self::Network(network) => network.protocol(),
            Self::Redirect(_) | Self::Other(_) => "HTTP",
        }
    }

    /// What is done by default, for people.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Https(_) | Self::Network(_) => "forward".to_owned(),
            Self::Redirect(Redirect { port }) => format!("redirect to HTTPS:{port}"),
            Self::Other(words) => words.clone(),
        }
    }

    /// The form in which it is sent.
    fn wire(&self, cx: &Cx) -> Result<Wire> {
        match self {
            Self::Https(https) => https.wire(cx),
            Self::Network(network) => network.wire(cx),
            Self::Redirect(redirect) => Ok(Wire {
                action: redirect.action(),
                certificate: None,
                ssl_policy: None,
                mutual_authentication: None,
            }),
            Self::Other(words) => Err(Error::step(
                &cx.address,
                format!("nobody can want a listener to {words}"),
            )),
        }
    }
}

/// What creation and change of a listener send.
struct Wire {
    action: Action,
    certificate: Option<Certificate>,
    ssl_policy: Option<String>,
    mutual_authentication: Option<MutualAuthenticationAttributes>,
}

impl Https {
    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            certificate,
            ssl_policy,
            mutual_authentication,
            additional_certificates,
            target_group,
            attributes,
            revocations: _,
            registration: _,
        } = self;
        diff.late(
            "certificate",
            certificate,
            live.map(|live| &live.certificate),
        );
        diff.field("ssl_policy", ssl_policy, live.map(|live| &live.ssl_policy))
            .widens_if(|| {
                live.is_some_and(|live| tls_policy::accepts_more(ssl_policy, &live.ssl_policy))
            });
        mutual_authentication.diff(live.map(|live| &live.mutual_authentication), diff);
        let live_additional = live.map(|live| &live.additional_certificates);
        if !additional_certificates.is_empty() || live.is_some() {
            diff.field(
                "additional_certificates",
                additional_certificates,
                live_additional,
            );
        }
        // Whoever made it answer or ask something else may have had a reason.
        let closed = |live: &Self| live.target_group_needs().is_empty();
        diff.late(
            "target_group",
            target_group,
            live.map(|live| &live.target_group),
        )
        .widens_if(|| live.is_some_and(closed));
        let wanted = self.wanted_attributes();
        let held = live.map_or_else(
            || wanted.clone(),
            |_| elbv2::held(attributes, DEFAULTS, &BTreeSet::new()),
        );
        elbv2::diff_attributes(&held, &wanted, live.map(|live| &live.attributes), diff);
    }

    /// The group that is forwarded to, or all that a live one forwards to.
    fn target_group_needs(&self) -> Vec<Need> {
        group_needs(&self.target_group)
    }

    /// The wanted attributes without empty ones, which stand for the default.
    fn wanted_attributes(&self) -> Attributes {
        let attributes = self
            .attributes
            .iter()
            .filter(|(_, value)| !value.is_empty());
        attributes
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn wire(&self, cx: &Cx) -> Result<Wire> {
        let forward = Action::builder().r#type(ActionTypeEnum::Forward);
        Ok(Wire {
            action: forward
                .target_group_arn(cx.value(&self.target_group)?)
                .build(),
            certificate: Some(certificate(&cx.value(&self.certificate)?)),
            ssl_policy: Some(self.ssl_policy.clone()),
            mutual_authentication: Some(self.mutual_authentication.wire(cx)?),
        })
    }
}

impl MutualAuthentication {
    fn mode(&self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Passthrough => "passthrough",
            Self::Verify { .. } => "verify",
        }
    }

    /// How much is asked of clients.
    fn strength(&self) -> u8 {
        match self {
            Self::Off => 0,
            Self::Passthrough => 1,
            Self::Verify { .. } => 2,
        }
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let live_mode = live.map(Self::mode);
        diff.field(
            "mutual_authentication.mode",
            &self.mode(),
            live_mode.as_ref(),
        )
        .widens_if(|| live.is_some_and(|live| self.strength() < live.strength()));
        let Self::Verify {
            trust_store,
            advertise_ca_names,
            ignore_client_certificate_expiry,
        } = self
        else {
            return;
        };
        let verified = match live {
            Some(Self::Verify {
                trust_store,
                advertise_ca_names,
                ignore_client_certificate_expiry,
            }) => Some((
                trust_store,
                advertise_ca_names,
                ignore_client_certificate_expiry,
            )),
            _ => None,
        };
        // Another trust store may trust anybody.
        diff.late(
            "mutual_authentication.trust_store",
            trust_store,
            verified.map(|(store, _, _)| store),
        )
        .widens_if(|| verified.is_some());
        let (advertised, ignored) = (
            verified.map(|(_, names, _)| names),
            verified.map(|(_, _, expiry)| expiry),
        );
        diff.field(
            "mutual_authentication.advertise_ca_names",
            advertise_ca_names,
            advertised,
        );
        let path = "mutual_authentication.ignore_client_certificate_expiry";
        diff.field(path, ignore_client_certificate_expiry, ignored)
            .widens_if(|| *ignore_client_certificate_expiry && verified.is_some());
    }

    /// With `off` and `passthrough` AWS takes nothing but the mode.
    fn wire(&self, cx: &Cx) -> Result<MutualAuthenticationAttributes> {
        let wire = MutualAuthenticationAttributes::builder().mode(self.mode());
        let Self::Verify {
            trust_store,
            advertise_ca_names,
            ignore_client_certificate_expiry,
        } = self
        else {
            return Ok(wire.build());
        };
        let advertise = if *advertise_ca_names {
            AdvertiseTrustStoreCaNamesEnum::On
        } else {
            AdvertiseTrustStoreCaNamesEnum::Off
        };
        let wire = wire
            .trust_store_arn(cx.value(trust_store)?)
            .advertise_trust_store_ca_names(advertise);
        Ok(wire
            .ignore_client_certificate_expiry(*ignore_client_certificate_expiry)
            .build())
    }

    /// What is not mentioned is off; whether a shared store is still shared is no setting.
    fn live(wire: Option<&MutualAuthenticationAttributes>) -> Self {
        let Some(wire) = wire else { return Self::Off };
        match wire.mode() {
            Some("verify") => Self::Verify {
                trust_store: Late::Known(wire.trust_store_arn().unwrap_or_default().to_owned()),
                advertise_ca_names: wire.advertise_trust_store_ca_names()
                    == Some(&AdvertiseTrustStoreCaNamesEnum::On),
                ignore_client_certificate_expiry: wire.ignore_client_certificate_expiry()
                    == Some(true),
            },
            Some("passthrough") => Self::Passthrough,
            _ => Self::Off,
        }
    }
}

impl Redirect {
    /// Host, path and query are kept, which is what AWS answers where they are left out.
    fn action(&self) -> Action {
        let redirect = RedirectActionConfig::builder()
            .protocol("HTTPS")
            .port(self.port.to_string())
            .host("#{host}")
            .path("/#{path}")
            .query("#{query}")
            .status_code(RedirectActionStatusCodeEnum::Http301)
            .build();
        Action::builder()
            .r#type(ActionTypeEnum::Redirect)
            .redirect_config(redirect)
            .build()
    }

    /// The redirect that an action makes, if it is like one of ours.
    fn live(action: &Action) -> Option<Self> {
        let config = action.redirect_config()?;
        let kept = |part: Option<&str>, whole: &str| part.is_none_or(|part| part == whole);
        let plain = config.protocol() == Some("HTTPS")
            && config.status_code() == Some(&RedirectActionStatusCodeEnum::Http301)
            && kept(config.host(), "#{host}")
            && kept(config.path(), "/#{path}")
            && kept(config.query(), "#{query}");
        let port = config.port()?.parse().ok()?;
        plain.then_some(Self { port })
    }
}

/// The group that is forwarded to, or all that a live listener forwards to.
fn group_needs(target_group: &Late<String>) -> Vec<Need> {
    match target_group {
        Late::From(..) => vec![Need::exists(target_group)],
        Late::Known(words) => {
            let groups = words.split(' ').filter(|word| word.starts_with("arn:"));
            groups
                .map(|arn| Need::exists(&Late::Known(arn.to_owned())))
                .collect()
        }
    }
}

/// How many groups one action may forward to.
const GROUPS_AT_ONCE: usize = 5;

/// Waits until a group that is to be forwarded to can answer; until then what is served stays.
///
/// AWS checks nobody in a group that no listener names, but it checks those of a share of nothing.
async fn warm_up(cx: &Cx, id: &str, group: &str) -> Result<()> {
    let described = describe_one(cx.aws(), id).await?;
    let served = forwards(described.as_ref().map_or(&[], Described::default_actions));
    match served
        .iter()
        .find(|one| one.target_group_arn() == Some(group))
    {
        Some(there) if there.weight() != Some(0) => return Ok(()),
        None if served.is_empty() || served.len() == GROUPS_AT_ONCE => return Ok(()),
        Some(_) => {}
        None => {
            let beside = TargetGroupTuple::builder()
                .target_group_arn(group)
                .weight(0);
            let groups = served.iter().cloned().chain([beside.build()]).collect();
            let config = ForwardActionConfig::builder().set_target_groups(Some(groups));
            let action = Action::builder()
                .r#type(ActionTypeEnum::Forward)
                .forward_config(config.build());
            let modify = cx.aws().elbv2.modify_listener().listener_arn(id);
            let send = modify.default_actions(action.build()).send();
            cx.aws().call("elbv2:ModifyListener", send).await?;
        }
    }
    target_registration::wait_all_healthy(cx, group).await
}

/// The groups of a plain forward, with their weights.
fn forwards(actions: &[Action]) -> &[TargetGroupTuple] {
    match actions {
        [action] => action
            .forward_config()
            .map_or(&[], ForwardActionConfig::target_groups),
        _ => &[],
    }
}

/// How long what was just made may be unknown to a load balancer.
fn propagation(cx: &Cx) -> Wait {
    Wait::new(
        "the certificate, trust store and target group to be known to the load balancer",
        5,
        300,
    )
    .at_most(cx.timeout("listener"))
}

/// Whether a refusal passes once what was just made is known everywhere.
///
/// `UnsupportedCertificate` mostly means that a certificate is not issued yet.
fn propagates(error: &Error) -> bool {
    let codes = [
        "CertificateNotFound",
        "UnsupportedCertificate",
        "TrustStoreNotReady",
        "ListenerNotFound",
    ];
    codes.iter().any(|code| error.is_code(code))
}

/// Adds and removes further certificates; adds first, so that no name is without one.
async fn put_certificates(
    cx: &Cx,
    id: &str,
    want: &BTreeSet<String>,
    live: &BTreeSet<String>,
) -> Result<()> {
    let elbv2 = &cx.aws().elbv2;
    let certificates = |arns: BTreeSet<String>| -> Vec<Certificate> {
        arns.iter().map(|arn| certificate(arn)).collect()
    };
    let (added, removed) = (certificates(want - live), certificates(live - want));
    if !added.is_empty() {
        cx.retry_while(propagation(cx), propagates, async || {
            let add = elbv2.add_listener_certificates().listener_arn(id);
            let send = add.set_certificates(Some(added.clone())).send();
            Ok(cx
                .aws()
                .call("elbv2:AddListenerCertificates", send)
                .await
                .map(drop)?)
        })
        .await?;
    }
    if !removed.is_empty() {
        let remove = elbv2.remove_listener_certificates().listener_arn(id);
        let send = remove.set_certificates(Some(removed)).send();
        cx.aws()
            .call("elbv2:RemoveListenerCertificates", send)
            .await?;
    }
    Ok(())
}

async fn put_attributes(cx: &Cx, id: &str, attributes: &[(String, String)]) -> Result<()> {
    for chunk in attributes.chunks(elbv2::ATTRIBUTES_AT_ONCE) {
        let attribute = |(key, value): &(String, String)| {
            ListenerAttribute::builder().key(key).value(value).build()
        };
        let chunk: Vec<_> = chunk.iter().map(attribute).collect();
        cx.retry_while(propagation(cx), propagates, async || {
            let modify = cx.aws().elbv2.modify_listener_attributes();
            let send = modify
                .listener_arn(id)
                .set_attributes(Some(chunk.clone()))
                .send();
            Ok(cx
                .aws()
                .call("elbv2:ModifyListenerAttributes", send)
                .await
                .map(drop)?)
        })
        .await?;
    }
    Ok(())
}

fn certificate(arn: &str) -> Certificate {
    Certificate::builder().certificate_arn(arn).build()
}

/// A listener as AWS lists it, with its tags.
#[derive(Debug)]
pub(super) struct Listed {
    described: Described,
    /// Its tags.
    pub(super) tags: Tags,
    /// What else it has; that it cannot be read matters only if the listener is ours.
    settings: Result<Settings>,
}

/// What `DescribeListeners` leaves out of an HTTPS listener.
#[derive(Debug, Clone, Default)]
struct Settings {
    attributes: Attributes,
    additional_certificates: BTreeSet<String>,
}

impl Listed {
    /// Its ARN.
    pub(super) fn arn(&self) -> &str {
        self.described.listener_arn().unwrap_or_default()
    }

    /// The ARN of its load balancer.
    pub(super) fn load_balancer(&self) -> &str {
        self.described.load_balancer_arn().unwrap_or_default()
    }

    /// Its port.
    pub(super) fn port(&self) -> u16 {
        self.described
            .port()
            .and_then(|port| u16::try_from(port).ok())
            .unwrap_or_default()
    }
}

/// All listeners of the load balancers that could be ours, and of those that the stacks only use
/// or have used.
pub(super) async fn listing(reader: &Reader) -> Result<Arc<Vec<Listed>>> {
    struct Listing;
    let read = || async {
        let (candidates, target_groups, trust_stores) = futures::try_join!(
            load_balancer::listing(reader),
            target_group::listing(reader),
            trust_store::listing(reader)
        )?;
        let wanted =
            reader
                .wanted::<Listener>()
                .filter_map(|(_, _, want)| match &want.load_balancer {
                    Late::Known(arn) => Some(arn.clone()),
                    Late::From(..) => None,
                });
        // A stack that goes says no more whose load balancer it used; what is its own still does.
        let forwarding = target_groups.iter().flat_map(|one| one.users(reader));
        let mut load_balancers: BTreeSet<String> = candidates
            .iter()
            .map(load_balancer::arn)
            .chain(wanted)
            .chain(forwarding)
            .collect();
        for store in trust_stores.iter() {
            load_balancers.extend(store.users(reader)?.iter().map(|arn| load_balancer_of(arn)));
        }
        let described = load_balancers.iter().map(|arn| describe(&reader.aws, arn));
        let described = try_join_all(described)
            .await?
            .into_iter()
            .flatten()
            .collect();
        Ok(Arc::new(with_settings(&reader.aws, described).await?))
    };
    reader
        .once::<Listing, Vec<Listed>>(|| Box::pin(read()))
        .await
}

/// The load balancer of a listener, both by ARN.
fn load_balancer_of(listener: &str) -> String {
    match listener.split_once(":listener/") {
        Some((account, place)) => {
            let load_balancer = place.rsplit_once('/').map_or(place, |(head, _)| head);
            format!("{account}:loadbalancer/{load_balancer}")
        }
        None => listener.to_owned(),
    }
}

/// Reads tags and settings together, which saves a round trip.
async fn with_settings(aws: &Aws, described: Vec<Described>) -> Result<Vec<Listed>> {
    let arns: Vec<String> = described
        .iter()
        .filter_map(|one| one.listener_arn.clone())
        .collect();
    let settings = described.iter().map(|one| settings(aws, one));
    let (tags, settings) = futures::join!(elbv2::tags_of(aws, &arns), join_all(settings));
    let mut tags = tags?;
    let listed = described
        .into_iter()
        .zip(settings)
        .map(|(described, settings)| {
            let tags = tags
                .remove(described.listener_arn().unwrap_or_default())
                .unwrap_or_default();
            Listed {
                described,
                tags,
                settings,
            }
        });
    Ok(listed.collect())
}

async fn settings(aws: &Aws, described: &Described) -> Result<Settings> {
    if described.protocol() != Some(&ProtocolEnum::Https) {
        return Ok(Settings::default());
    }
    let id = described.listener_arn().unwrap_or_default();
    let (attributes, additional_certificates) =
        futures::try_join!(attributes(aws, id), additional_certificates(aws, id))?;
    Ok(Settings {
        attributes,
        additional_certificates,
    })
}

/// The listeners of a load balancer; none when it is gone.
async fn describe(aws: &Aws, load_balancer: &str) -> Result<Vec<Described>> {
    let listeners = pages(async |marker| {
        let send = aws
            .elbv2
            .describe_listeners()
            .load_balancer_arn(load_balancer)
            .set_marker(marker)
            .send();
        let page = aws.call("elbv2:DescribeListeners", send).await?;
        Ok((page.listeners.unwrap_or_default(), page.next_marker))
    });
    elbv2::absent_is(listeners.await, "LoadBalancerNotFound", Vec::new())
}

/// The ids of a stack's listeners of network load balancers.
pub(super) async fn network_ids_of(reader: &Reader, stack: &str) -> Result<Vec<String>> {
    let listeners = reader.found::<Listener>().await?;
    let of_stack = listeners.iter().filter(|one| {
        one.owner == Owner::Ours && one.stack == stack && one.spec.network().is_some()
    });
    Ok(of_stack.map(|one| one.id.clone()).collect())
}

/// Whether AWS still knows a listener, of whomever it is.
pub(super) async fn exists(aws: &Aws, arn: &str) -> Result<bool> {
    Ok(describe_one(aws, arn).await?.is_some())
}

async fn describe_one(aws: &Aws, arn: &str) -> Result<Option<Described>> {
    let send = aws.elbv2.describe_listeners().listener_arns(arn).send();
    let answer = aws
        .call("elbv2:DescribeListeners", send)
        .await
        .map_err(Error::from);
    let listeners = answer.map(|answer| answer.listeners.unwrap_or_default());
    Ok(elbv2::absent_is(listeners, "ListenerNotFound", Vec::new())?.pop())
}

/// What a listed listener is to the stacks of the run.
fn found(
    reader: &Reader,
    listed: &Listed,
    load_balancers: &[Found<LoadBalancer>],
) -> Result<Vec<Found<Listener>>> {
    let (id, port) = (listed.arn(), listed.port());
    let what = format!("the listener on port {port} ({id})");
    let takes_place_of = |stack: &str, want: &Listener| {
        let there = match &want.load_balancer {
            Late::Known(arn) => arn == listed.load_balancer(),
            Late::From(address, _) => load_balancers.iter().any(|one| {
                one.owner == Owner::Ours
                    && one.stack == stack
                    && one.address == *address
                    && one.id == listed.load_balancer()
            }),
        };
        there && want.port == port
    };
    let tags = reader.claimed::<Listener>(id, listed.tags.clone(), |scope, want| {
        takes_place_of(&scope.name, want)
    });
    let claims = elbv2::claims::<Listener>(reader, &tags, &what, takes_place_of);
    let settings = if claims.iter().any(|claim| claim.owner == Owner::Ours) {
        listed.settings.clone()?
    } else {
        Settings::default()
    };
    let spec = Listener {
        tags,
        ..live_spec(listed, settings)
    };
    let outputs = Outputs::new();
    Ok(elbv2::found(claims, id, &spec.tags, &spec, &outputs))
}

/// The attributes; an empty value is no value.
async fn attributes(aws: &Aws, id: &str) -> Result<Attributes> {
    let send = aws
        .elbv2
        .describe_listener_attributes()
        .listener_arn(id)
        .send();
    let answer = aws.call("elbv2:DescribeListenerAttributes", send).await?;
    let mut attributes = elbv2::live(
        answer
            .attributes()
            .iter()
            .map(|one| (one.key(), one.value())),
    );
    attributes.retain(|_, value| !value.is_empty());
    Ok(attributes)
}

/// The certificates besides the default one, which `DescribeListeners` leaves out.
async fn additional_certificates(aws: &Aws, id: &str) -> Result<BTreeSet<String>> {
    let certificates = pages(async |marker| {
        let send = aws
            .elbv2
            .describe_listener_certificates()
            .listener_arn(id)
            .set_marker(marker)
            .send();
        let page = aws.call("elbv2:DescribeListenerCertificates", send).await?;
        Ok((page.certificates.unwrap_or_default(), page.next_marker))
    });
    let additional = certificates
        .await?
        .into_iter()
        .filter(|one| one.is_default() != Some(true));
    Ok(additional.filter_map(|one| one.certificate_arn).collect())
}

fn live_spec(listed: &Listed, settings: Settings) -> Listener {
    let described = &listed.described;
    let action = described.default_actions().last();
    let listens = match described.protocol() {
        Some(ProtocolEnum::Https) => {
            let certificate = described
                .certificates()
                .first()
                .and_then(|one| one.certificate_arn());
            Listens::Https(Box::new(Https {
                certificate: Late::Known(certificate.unwrap_or_default().to_owned()),
                ssl_policy: described.ssl_policy().unwrap_or_default().to_owned(),
                mutual_authentication: MutualAuthentication::live(
                    described.mutual_authentication(),
                ),
                additional_certificates: settings.additional_certificates,
                target_group: Late::Known(target_group_of(described.default_actions())),
                attributes: settings.attributes,
                revocations: Vec::new(),
                registration: None,
            }))
        }
        Some(ProtocolEnum::Tcp | ProtocolEnum::Tls) => {
            Listens::Network(Box::new(Network::live(described)))
        }
        _ => match action.and_then(Redirect::live) {
            Some(redirect) => Listens::Redirect(redirect),
            None => Listens::Other(in_words(described.default_actions())),
        },
    };
    Listener {
        load_balancer: Late::Known(listed.load_balancer().to_owned()),
        port: listed.port(),
        listens,
        tags: listed.tags.clone(),
    }
}

/// What an HTTP listener does that is no redirect like ours.
fn in_words(actions: &[Action]) -> String {
    let action = target_group_of(actions);
    if action.starts_with("arn:") {
        format!("forward to {action}")
    } else {
        action
    }
}

/// The one group that is forwarded to, or in words what is done instead.
///
/// AWS fills in both forms of a forward, whichever was sent.
fn target_group_of(actions: &[Action]) -> String {
    let [action] = actions else {
        let types: Vec<&str> = actions
            .iter()
            .filter_map(|one| Some(one.r#type()?.as_str()))
            .collect();
        return types.join(", then ");
    };
    match (action.target_group_arn(), forwards(actions)) {
        (Some(arn), _) => arn.to_owned(),
        (None, [one]) => one.target_group_arn().unwrap_or_default().to_owned(),
        (None, []) => action
            .r#type()
            .map_or_else(String::new, |kind| kind.as_str().to_owned()),
        (None, several) => {
            let shares = several.iter().map(|one| {
                let (arn, weight) = (one.target_group_arn(), one.weight().unwrap_or(1));
                format!("{} with weight {weight}", arn.unwrap_or_default())
            });
            shares.collect::<Vec<_>>().join(" and ")
        }
    }
}

/// The listeners of a load balancer, of whomever they are, each with what of it is not compared, in words.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn look(
    aws: &Aws,
    load_balancer: &str,
) -> Result<Vec<(String, Listener, Vec<String>)>> {
    let listed = with_settings(aws, describe(aws, load_balancer).await?).await?;
    let look = async |listed: &Listed| {
        let settings = listed.settings.clone()?;
        let mut unsaid = unsaid(&listed.described);
        if listed.described.protocol() == Some(&ProtocolEnum::Tls) {
            let more = additional_certificates(aws, listed.arn()).await?;
            unsaid.extend(
                more.iter()
                    .map(|arn| format!("the further certificate {arn}")),
            );
        }
        Ok((listed.arn().to_owned(), live_spec(listed, settings), unsaid))
    };
    futures::future::try_join_all(listed.iter().map(look)).await
}

/// What a listener has that the stack file has no words for.
fn unsaid(described: &Described) -> Vec<String> {
    let mut unsaid = Vec::new();
    let policies = described.alpn_policy().iter();
    let policies: Vec<&str> = policies
        .map(String::as_str)
        .filter(|one| *one != "None")
        .collect();
    if !policies.is_empty() {
        unsaid.push(format!("the ALPN policy {}", policies.join(", ")));
    }
    let forwards = described
        .default_actions()
        .iter()
        .filter_map(Action::forward_config);
    let mut stickiness = forwards.filter_map(|one| one.target_group_stickiness_config());
    if stickiness.any(|one| one.enabled() == Some(true)) {
        unsaid.push("the stickiness of its forward action".to_owned());
    }
    unsaid
}

/// The rules of a listener besides its default action, in words.
///
/// # Errors
///
/// What could not be read.
pub(crate) async fn rules(aws: &Aws, id: &str) -> Result<Vec<String>> {
    let rules = pages(async |marker| {
        let send = aws
            .elbv2
            .describe_rules()
            .listener_arn(id)
            .set_marker(marker)
            .send();
        let page = aws.call("elbv2:DescribeRules", send).await?;
        Ok((page.rules.unwrap_or_default(), page.next_marker))
    });
    let rules = elbv2::absent_is(rules.await, "ListenerNotFound", Vec::new())?;
    let foreign = rules.iter().filter(|rule| rule.is_default() != Some(true));
    let named = foreign.map(|rule| {
        let priority = rule.priority().unwrap_or_default();
        format!(
            "the listener rule of priority {priority} ({})",
            rule.rule_arn().unwrap_or_default()
        )
    });
    Ok(named.collect())
}

impl Https {
    /// The attributes of a live one that a stack file has to name so that they stay.
    pub(crate) fn unusual(&self) -> Attributes {
        let held = elbv2::held(&Attributes::new(), DEFAULTS, &BTreeSet::new());
        elbv2::unusual(&held, &self.attributes)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::resource::Target;

    fn verify(ignore_client_certificate_expiry: bool) -> MutualAuthentication {
        let trust_store = Late::Known("arn:trust-store".to_owned());
        MutualAuthentication::Verify {
            trust_store,
            advertise_ca_names: true,
            ignore_client_certificate_expiry,
        }
    }

    fn https(mutual_authentication: MutualAuthentication, ssl_policy: &str) -> Listener {
        let https = Https {
            certificate: Late::Known("arn:certificate".to_owned()),
            ssl_policy: ssl_policy.to_owned(),
            mutual_authentication,
            additional_certificates: BTreeSet::new(),
            target_group: Late::Known("arn:target-group".to_owned()),
            attributes: Attributes::new(),
            revocations: vec![Address::parse("trust_store.crl[\"1\"]")],
            registration: Some(Address::parse("target_group.targets")),
        };
        listener(443, Listens::Https(Box::new(https)))
    }

    fn listener(port: u16, listens: Listens) -> Listener {
        let load_balancer = Late::Known("arn:load-balancer".to_owned());
        Listener {
            load_balancer,
            port,
            listens,
            tags: Tags::default(),
        }
    }

    fn changes(want: &Listener, live: &Listener) -> Vec<Change> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        diff.into_changes()
    }

    const STRICT: &str = "ELBSecurityPolicy-TLS13-1-3-2021-06";

    #[test]
    fn every_weaker_mode_widens_and_no_stronger_one_does() {
        let modes = [
            MutualAuthentication::Off,
            MutualAuthentication::Passthrough,
            verify(false),
        ];
        for (i, weak) in modes.iter().enumerate() {
            for strong in &modes[i + 1..] {
                let (weak, strong) = (https(weak.clone(), STRICT), https(strong.clone(), STRICT));
                assert!(changes(&weak, &strong)[0].widens);
                assert!(!changes(&strong, &weak).iter().any(|change| change.widens));
            }
        }
    }

    #[test]
    fn ignoring_expiry_widens_and_minding_it_again_does_not() {
        let (strict, lax) = (https(verify(false), STRICT), https(verify(true), STRICT));
        assert!(changes(&lax, &strict)[0].widens);
        assert!(!changes(&strict, &lax)[0].widens);
    }

    #[test]
    fn a_tls_policy_that_accepts_more_widens() {
        let policy = |name: &str| https(verify(false), &format!("ELBSecurityPolicy-{name}"));
        let widens = |want: &str, live: &str| changes(&policy(want), &policy(live))[0].widens;
        assert!(widens("TLS13-1-2-Res-2021-06", "TLS13-1-3-2021-06"));
        assert!(!widens("TLS13-1-3-2021-06", "TLS13-1-2-Res-2021-06"));
    }

    #[test]
    fn what_aws_leaves_out_is_off() {
        let passthrough = MutualAuthenticationAttributes::builder()
            .mode("passthrough")
            .build();
        assert_eq!(MutualAuthentication::live(None).mode(), "off");
        assert_eq!(
            MutualAuthentication::live(Some(&passthrough)).mode(),
            "passthrough"
        );
        let verify = MutualAuthenticationAttributes::builder()
            .mode("verify")
            .trust_store_arn("arn")
            .build();
        let verify = MutualAuthentication::live(Some(&verify));
        assert!(matches!(
            verify,
            MutualAuthentication::Verify {
                advertise_ca_names: false,
                ignore_client_certificate_expiry: false,
                ..
            }
        ));
    }

    #[test]
    fn a_redirect_is_known_again() {
        let redirect = Redirect { port: 8443 };
        assert_eq!(Redirect::live(&redirect.action()), Some(redirect));
        let terse = RedirectActionConfig::builder()
            .protocol("HTTPS")
            .port("443");
        let terse = terse
            .status_code(RedirectActionStatusCodeEnum::Http301)
            .build();
        let terse = Action::builder().redirect_config(terse).build();
        assert_eq!(Redirect::live(&terse), Some(Redirect { port: 443 }));
    }

    #[test]
    fn only_another_protocol_on_the_same_port_closes_it() {
        let redirect = |port| listener(port, Listens::Redirect(Redirect { port: 443 }));
        let secure = https(verify(false), STRICT);
        assert!(matches!(
            secure.replacement(&redirect(443)),
            Replacement::DeleteFirst(_)
        ));
        assert_eq!(secure.replacement(&redirect(80)), Replacement::CreateFirst);
        assert_eq!(secure.replacement(&secure), Replacement::CreateFirst);
    }

    #[test]
    fn it_waits_for_every_revocation() {
        let needs = https(verify(false), STRICT).needs();
        let revocation = Target::Address(Address::parse("trust_store.crl[\"1\"]"));
        assert!(
            needs
                .iter()
                .any(|need| need.on == revocation && need.until == Until::Exists)
        );
        assert!(needs[0].parent);
    }

    #[test]
    fn it_waits_until_what_it_shows_and_what_it_verifies_by_can_be_used() {
        let trust_store = Late::id(&Address::parse("trust_store"));
        let mut listener = https(verify(false), STRICT);
        let Listens::Https(https) = &mut listener.listens else {
            unreachable!("it is an HTTPS listener")
        };
        https.certificate = Late::id(&Address::parse("certificate"));
        if let MutualAuthentication::Verify {
            trust_store: of, ..
        } = &mut https.mutual_authentication
        {
            *of = trust_store;
        }
        for address in ["certificate", "trust_store"] {
            let ready = Need::address(&Address::parse(address), Until::Ready);
            assert!(listener.needs().contains(&ready), "{address}");
        }
    }

    #[test]
    fn another_group_is_forwarded_to_only_when_something_is_registered_there() {
        let mut listener = https(verify(false), STRICT);
        assert_eq!(listener.update_needs(), vec![]);
        let Listens::Https(https) = &mut listener.listens else {
            unreachable!("it is an HTTPS listener")
        };
        https.target_group = Late::id(&Address::parse("target_groups.green"));
        let targets = Address::parse("target_groups.green.targets");
        let need = Need::address(&targets, Until::Exists);
        assert_eq!(listener.update_needs(), vec![need]);
    }

    #[test]
    fn a_live_listener_needs_all_groups_that_it_forwards_to() {
        let group = |arn: &str, weight| {
            let group = TargetGroupTuple::builder().target_group_arn(arn);
            group.weight(weight).build()
        };
        let config = ForwardActionConfig::builder()
            .target_groups(group("arn:blue", 1))
            .target_groups(group("arn:green", 0));
        let action = Action::builder().forward_config(config.build()).build();
        let words = target_group_of(&[action]);
        assert_eq!(words, "arn:blue with weight 1 and arn:green with weight 0");
        let mut live = https(verify(false), STRICT);
        let Listens::Https(https) = &mut live.listens else {
            unreachable!("it is an HTTPS listener")
        };
        https.target_group = Late::Known(words);
        let groups = ["arn:blue", "arn:green"].map(|arn| Target::Id(arn.to_owned()));
        let needs: Vec<Target> = live.needs().into_iter().map(|need| need.on).collect();
        assert!(groups.iter().all(|group| needs.contains(group)));
        assert!(!changes(&tests::https(verify(false), STRICT), &live)[0].widens);
    }

    #[test]
    fn the_arn_of_a_listener_names_its_load_balancer() {
        let listener = "arn:aws:elasticloadbalancing:eu-west-1:1:listener/app/shop/0123/4567";
        assert_eq!(
            load_balancer_of(listener),
            "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/shop/0123"
        );
    }

    #[test]
    fn renamed_headers_are_held_at_the_default_unless_wanted() {
        let key = "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name";
        let mut live = https(verify(false), STRICT);
        let Listens::Https(renamed) = &mut live.listens else {
            unreachable!("it is an HTTPS listener")
        };
        renamed.attributes = Attributes::from([(key.to_owned(), "X-Leaf".to_owned())]);
        let change = &changes(&https(verify(false), STRICT), &live)[0];
        assert_eq!(change.path, format!("attributes.{key}"));
        assert_eq!(change.after, Value::from("X-Amzn-Mtls-Clientcert-Leaf"));
    }
}
