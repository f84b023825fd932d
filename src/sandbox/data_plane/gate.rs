//! The gates of all listeners, each made anew only when what it is made of has changed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as Turn;

use super::DataPlane;
use super::client::{Rules, Trust};
use super::listener::Place;
use super::tls::{Certificates, Gate, Held, Mode};
use crate::sandbox::elbv2::bundle;
use crate::sandbox::elbv2::crl;
use crate::sandbox::elbv2::load_balancer::LoadBalancer;
use crate::sandbox::elbv2::mutual_authentication::MutualAuthentication;
use crate::sandbox::elbv2::tls_policy::TlsPolicy;
use crate::sandbox::elbv2::trust_store::{Kept, TrustStore};
use crate::sandbox::world::{Region, World};

/// What a gate is made of. ELB's copies of bundles and lists never change under their names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Made {
    policy: String,
    /// ARN and PEM of each certificate, the default one first.
    certificates: Vec<(String, String)>,
    mutual_authentication: MutualAuthentication,
    bundle: Option<Kept>,
    lists: Vec<Kept>,
    /// What ALPN offers, the preferred first; a Network Load Balancer offers nothing.
    protocols: Vec<Vec<u8>>,
}

impl Made {
    fn of(world: &World, place: &Place) -> Option<Self> {
        let region = world.regions.get(&place.region)?;
        let listener = region.elbv2.listeners.get(&place.listener)?;
        let balancer = region.elbv2.load_balancers.get(&place.load_balancer)?;
        let certificate = |arn: &str| {
            let pem = region.acm.certificate(arn).and_then(|held| held.pem());
            (arn.to_owned(), pem.unwrap_or_default().to_owned())
        };
        let trust_store = trust_store(region, &listener.mutual_authentication);
        let lists = trust_store
            .iter()
            .flat_map(|store| store.revocations.values());
        Some(Self {
            policy: listener.ssl_policy.clone()?,
            certificates: listener.certificates().map(certificate).collect(),
            mutual_authentication: listener.mutual_authentication.clone(),
            bundle: trust_store.map(|store| store.bundle.clone()),
            lists: lists.map(|list| list.content.clone()).collect(),
            protocols: protocols(balancer),
        })
    }
}

/// The protocols that a load balancer's listeners offer by ALPN.
fn protocols(balancer: &LoadBalancer) -> Vec<Vec<u8>> {
    let offered: &[&str] = match balancer.attribute("routing.http2.enabled") {
        _ if balancer.is_network() => &[],
        "true" => &["h2", "http/1.1"],
        _ => &["http/1.1"],
    };
    let offered = offered.iter();
    offered.map(|name| name.as_bytes().to_vec()).collect()
}

fn trust_store<'r>(region: &'r Region, wanted: &MutualAuthentication) -> Option<&'r TrustStore> {
    region.elbv2.trust_stores.get(wanted.trust_store()?)
}

/// The content that a gate is made of, copied out of the account.
struct Material {
    made: Made,
    held: Vec<Held>,
    bundle: Option<Arc<[u8]>>,
    lists: Vec<Arc<[u8]>>,
}

impl Material {
    fn of(world: &World, place: &Place, made: Made) -> Self {
        let held = made.certificates.iter().filter_map(|(arn, _)| {
            let certificate = world.regions.get(&place.region)?.acm.certificate(arn)?;
            Some(Held {
                arn: arn.clone(),
                names: certificate.names().to_vec(),
                chain: format!("{}\n{}", certificate.pem()?, certificate.chain()?),
                key: world.keys.0.get(arn)?.clone(),
            })
        });
        let body = |kept: &Kept| world.s3.shared_body(&kept.bucket, &kept.key);
        Self {
            held: held.collect(),
            bundle: made.bundle.as_ref().and_then(body),
            lists: made.lists.iter().filter_map(body).collect(),
            made,
        }
    }

    /// Reads it all, which takes a while where there are many revoked certificates.
    fn gate(self) -> Option<Gate> {
        let policy = TlsPolicy::named(&self.made.policy)?;
        let mode = match self.made.mutual_authentication {
            MutualAuthentication::Off => Mode::Off,
            MutualAuthentication::Passthrough => Mode::Passthrough,
            MutualAuthentication::Verify {
                ignore_expiry,
                advertise_ca_names,
                ..
            } => {
                let bundle = self.bundle.as_deref().map(bundle::blocks);
                let bundle = bundle.and_then(Result::ok).unwrap_or_default();
                let lists = self.lists.iter().map(|list| crl::decoded(list));
                let lists = lists.filter_map(Result::ok).collect();
                let rules = Rules {
                    ignore_expiry,
                    ..Rules::default()
                };
                Mode::Verify {
                    trust: Arc::new(Trust::new(&bundle, lists, rules)),
                    advertises: advertise_ca_names == "on",
                }
            }
        };
        let certificates = Certificates::load(self.held);
        Some(Gate::new(policy, certificates, mode, self.made.protocols))
    }
}

/// A listener's gate, and what it was made of. Whoever comes while it is made waits for it.
type Slot = Arc<Turn<Option<(Made, Arc<Gate>)>>>;

/// The gates of all listeners by ARN.
#[derive(Default)]
pub(super) struct Gates(Mutex<BTreeMap<String, Slot>>);

impl Gates {
    fn slot(&self, listener: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry(listener.to_owned()).or_default())
    }

    /// Forgets the gates of listeners that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(&str) -> bool) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|listener, _| is_there(listener));
    }

    /// The gate of a listener as it is now, and the sandbox's time; none where it speaks no TLS.
    pub(super) async fn of(plane: &Arc<DataPlane>, place: &Place) -> Option<(Arc<Gate>, i64)> {
        let slot = plane.gates.slot(&place.listener);
        let mut slot = slot.lock().await;
        let (material, now) = {
            let account = plane.account();
            let world = &account.world;
            let made = Made::of(world, place)?;
            if let Some((known, gate)) = &*slot
                && *known == made
            {
                return Some((Arc::clone(gate), world.now));
            }
            (Material::of(world, place, made), world.now)
        };
        let made = material.made.clone();
        let gate = tokio::task::spawn_blocking(move || material.gate()).await;
        let gate = Arc::new(gate.expect("reading does not panic")?);
        *slot = Some((made, Arc::clone(&gate)));
        Some((gate, now))
    }
}
