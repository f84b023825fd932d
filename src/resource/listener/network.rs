//! What a listener of a network load balancer does: passes on connections, or ends TLS before.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Listener as Described, ProtocolEnum,
};

use super::{Wire, certificate, group_needs, target_group_of, tls_policy};
use crate::diff::Diff;
use crate::error::Result;
use crate::resource::{Address, Cx, Late, Need, Until};

/// A listener of a network load balancer.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    /// How it ends TLS; None: TLS goes through to the targets.
    pub(crate) ends_tls: Option<EndsTls>,
    /// Where it forwards to; of a live one with several groups or none, what it does in words.
    pub(crate) target_group: Late<String>,
    /// The registration of the group's targets: nobody is sent to an empty group; not compared.
    pub(crate) registration: Option<Address>,
}

/// How TLS is ended.
#[derive(Debug, Clone)]
pub(crate) struct EndsTls {
    /// The certificate's ARN.
    pub(crate) certificate: Late<String>,
    /// The TLS policy, which is always sent: AWS's default still speaks TLS 1.0.
    pub(crate) ssl_policy: String,
}

impl Network {
    /// The protocol as AWS spells it.
    pub(super) fn protocol(&self) -> &'static str {
        if self.ends_tls.is_some() {
            "TLS"
        } else {
            "TCP"
        }
    }

    /// What it needs besides its load balancer.
    pub(super) fn needs(&self) -> Vec<Need> {
        let mut needs = group_needs(&self.target_group);
        needs.extend(
            self.ends_tls
                .iter()
                .map(|one| Need::ready(&one.certificate)),
        );
        let registration = self.registration.iter();
        needs.extend(registration.map(|address| Need::address(address, Until::Created)));
        needs
    }

    /// Compares what it does.
    pub(super) fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            ends_tls,
            target_group,
            registration: _,
        } = self;
        if let Some(EndsTls {
            certificate,
            ssl_policy,
        }) = ends_tls
        {
            let live = live.and_then(|live| live.ends_tls.as_ref());
            diff.late(
                "certificate",
                certificate,
                live.map(|live| &live.certificate),
            );
            diff.field("ssl_policy", ssl_policy, live.map(|live| &live.ssl_policy))
                .widens_if(|| {
                    live.is_some_and(|live| tls_policy::accepts_more(ssl_policy, &live.ssl_policy))
                });
        }
        diff.late(
            "target_group",
            target_group,
            live.map(|live| &live.target_group),
        );
    }

    /// The form in which it is sent.
    pub(super) fn wire(&self, cx: &Cx) -> Result<Wire> {
        let forward = Action::builder().r#type(ActionTypeEnum::Forward);
        let shown = self.ends_tls.as_ref().map(|one| cx.value(&one.certificate));
        Ok(Wire {
            action: forward
                .target_group_arn(cx.value(&self.target_group)?)
                .build(),
            certificate: shown.transpose()?.as_deref().map(certificate),
            ssl_policy: self.ends_tls.as_ref().map(|one| one.ssl_policy.clone()),
            mutual_authentication: None,
        })
    }

    /// What a live one does.
    pub(super) fn live(described: &Described) -> Self {
        let ends_tls = described.protocol() == Some(&ProtocolEnum::Tls);
        let shown = described
            .certificates()
            .first()
            .and_then(|one| one.certificate_arn());
        Self {
            ends_tls: ends_tls.then(|| EndsTls {
                certificate: Late::Known(shown.unwrap_or_default().to_owned()),
                ssl_policy: described.ssl_policy().unwrap_or_default().to_owned(),
            }),
            target_group: Late::Known(target_group_of(described.default_actions())),
            registration: None,
        }
    }
}
