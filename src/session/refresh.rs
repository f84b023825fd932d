//! The plan of `crl refresh`: the CRLs of a stack's URLs and nothing else, from as few reads as that takes.
//!
//! Whatever else the stack file says by now is left to apply: the CAs are those that are live, and
//! live CRLs that no URL serves stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use time::OffsetDateTime;

use super::trust::swap_of;
use super::{Nodes, Planned, Session, Subject, bucket_of, guard};
use crate::crl_source::{self, Mode, Outcome, Question, Served};
use crate::error::{Error, Result};
use crate::plan::Plan;
use crate::resource::node::pair;
use crate::resource::object::{Object, Payload};
use crate::resource::reader::Scope;
use crate::resource::trust_store::TrustStore;
use crate::resource::trust_store_revocation::{self, TrustStoreRevocation};
use crate::resource::{Address, Found, Late, Owner, Reader, Resources};
use crate::stack::{self, CrlSource, Stack};
use crate::trust::{Bundle, Crl, CrlSwap, Sha256Digest};

/// A refresh of one stack.
pub(crate) struct Refresh {
    /// The steps.
    pub(crate) planned: Planned,
    /// What becomes of the CRLs of each URL.
    pub(crate) outcomes: Vec<Outcome>,
    /// What the trust store holds.
    pub(crate) live: Vec<Arc<Crl>>,
    /// What it is to hold.
    pub(crate) wanted: Vec<Arc<Crl>>,
    /// Live ones that would have gone if that were allowed.
    pub(crate) held: Vec<Arc<Crl>>,
}

/// Whether serials may be accepted again that were revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Widening {
    /// They may.
    Allowed,
    /// What revokes them stays.
    Refused,
}

/// What was read of one stack's trust store.
struct Trust {
    reader: Reader,
    store: Found<TrustStore>,
    revocations: Arc<Vec<Found<TrustStoreRevocation>>>,
    objects: Vec<Found<Object>>,
}

/// The certificates and CRLs of a stack's files.
struct Files {
    bundle: Bundle,
    crls: Vec<Arc<Crl>>,
}

impl Session {
    /// Plans a refresh.
    ///
    /// # Errors
    ///
    /// The stack's files or AWS cannot be read, or its trust store is not there.
    pub(crate) async fn plan_refresh(
        &self,
        subject: &Subject,
        stack: &Stack,
        widening: Widening,
    ) -> Result<Refresh> {
        let files = Files::read(stack)?;
        let served = async { Ok(self.crls.served(crl_source::sources(stack)).await) };
        let (served, mut trust) = futures::try_join!(served, self.read_trust(subject))?;
        let served = crl_source::served_to(stack, &served);
        let planned = |trust: &Trust, swap: CrlSwap, (plan, mut nodes): (Plan, Nodes)| Planned {
            swap,
            name: subject.name.clone(),
            bucket: bucket_of(subject, &trust.reader.identity),
            aws: Arc::clone(&trust.reader.aws),
            identity: trust.reader.identity.clone(),
            plan,
            nodes: nodes.remove(&subject.name).unwrap_or_default(),
            warnings: Vec::new(),
            expiries: Vec::new(),
            foreign: Vec::new(),
            lockout: None,
            timeouts: self.timeouts(subject),
        };
        let mut held: Vec<Sha256Digest> = Vec::new();
        loop {
            let (outcomes, wanted) = trust.choose(&files, &served, &held);
            self.crls.remember(&served, &outcomes);
            let step = trust.plan(&files, &wanted)?;
            let mut widens = trust.readmitting(&step.0);
            widens.retain(|digest| !held.contains(digest));
            if widening == Widening::Refused && !widens.is_empty() {
                held.extend(widens);
                continue;
            }
            let live = trust.live();
            let revocations: Vec<_> = trust.revocations.iter().map(|one| &one.spec).collect();
            let stays = live.iter().filter(|crl| held.contains(&crl.digest));
            return Ok(Refresh {
                held: stays.cloned().collect(),
                planned: planned(&trust, swap_of(&revocations, &wanted), step),
                outcomes,
                live,
                wanted,
            });
        }
    }

    /// Reads the trust store, its revocations and the stack's objects.
    async fn read_trust(&self, subject: &Subject) -> Result<Trust> {
        let aws = self.connect(&subject.region).await?;
        let identity = aws.identity().await?;
        guard(subject, &identity)?;
        let address = trust_store();
        let mut resources = Resources::default();
        resources.trust_stores.insert(address.clone(), unknown());
        let scope = Scope {
            name: subject.name.clone(),
            bucket: bucket_of(subject, &identity),
            resources,
            adopt: subject.adopt(),
            delete_logs: false,
        };
        let reader = Reader::new(aws, identity, vec![scope]);
        let (stores, revocations, objects) = futures::try_join!(
            reader.found::<TrustStore>(),
            reader.found::<TrustStoreRevocation>(),
            reader.found::<Object>(),
        )?;
        let is_it = |store: &&Found<TrustStore>| {
            store.owner == Owner::Ours && store.stack == subject.name && store.address == address
        };
        let Some(store) = stores.iter().find(is_it).cloned() else {
            return Err(Error::refused_with(
                format!("`{}` has no trust store yet", subject.name),
                "run `mtlsgw apply` first, which builds it with its CRLs",
            ));
        };
        readable(&store)?;
        // What lies in a bucket that the file no longer names is apply's business.
        let objects = objects
            .iter()
            .filter(|one| one.spec.remembered_by.is_none());
        let objects = objects.cloned().collect();
        Ok(Trust {
            reader,
            store,
            revocations,
            objects,
        })
    }
}

impl Trust {
    /// What the trust store holds, as far as it can be read.
    fn live(&self) -> Vec<Arc<Crl>> {
        let crls = self.revocations.iter();
        crls.filter_map(|one| one.spec.crl.clone()).collect()
    }

    fn choose(
        &self,
        files: &Files,
        served: &[Arc<Served>],
        held: &[Sha256Digest],
    ) -> (Vec<Outcome>, Vec<Arc<Crl>>) {
        let question = Question {
            served,
            files: &files.crls,
            live: &self.live(),
            held,
            bundle: &self.store.spec.bundle,
            now: OffsetDateTime::now_utc(),
        };
        let choice = question.choose(Mode::Refresh);
        (choice.outcomes, choice.wanted)
    }

    /// The steps from what is live to what is wanted, where all but CRLs is wanted as it is.
    fn plan(&mut self, files: &Files, wanted: &[Arc<Crl>]) -> Result<(Plan, Nodes)> {
        let resources = self.resources(files, wanted);
        let stack = self.store.stack.clone();
        self.reader.want(&stack, resources);
        let mut nodes = Nodes::new();
        pair(&self.reader, std::slice::from_ref(&self.store), &mut nodes);
        pair(&self.reader, &self.revocations, &mut nodes);
        pair(&self.reader, &self.objects, &mut nodes);
        let of_stack = nodes.get(&stack).map(Vec::as_slice);
        let plan = Plan::of_live_gateway(of_stack.unwrap_or_default())?;
        Ok((plan, nodes))
    }

    fn resources(&self, files: &Files, wanted: &[Arc<Crl>]) -> Resources {
        let address = trust_store();
        let mut resources = Resources::default();
        for live in self.revocations.iter() {
            let stays = |crl: &Arc<Crl>| has(wanted, crl);
            // What cannot be read is not for us to judge.
            if live.spec.crl.as_ref().is_none_or(stays) {
                let (address, spec) = (live.address.clone(), live.spec.clone());
                resources.trust_store_revocations.insert(address, spec);
            }
        }
        let mut kept = BTreeSet::from([
            object_of(&self.store.spec.bundle.pem()),
            object_of(&files.bundle.pem()),
        ]);
        for crl in files.crls.iter().filter(|crl| !has(wanted, crl)) {
            kept.insert(object_of(&crl.pem()));
        }
        for crl in wanted {
            let pem = crl.pem();
            kept.insert(object_of(&pem));
            let at = trust_store_revocation::address(&address, crl);
            if !resources.trust_store_revocations.contains_key(&at) {
                self.add(crl, pem, &mut resources);
            }
        }
        for object in self
            .objects
            .iter()
            .filter(|one| kept.contains(&one.address))
        {
            let spec = object.spec.clone();
            resources
                .objects
                .entry(object.address.clone())
                .or_insert(spec);
        }
        resources
            .trust_stores
            .insert(address, self.store.spec.clone());
        resources
    }

    /// Adds a CRL that is not live, and the object that AWS reads it from.
    fn add(&self, crl: &Arc<Crl>, pem: String, resources: &mut Resources) {
        let bucket = self.bucket();
        let digest = digest_of(&pem);
        let object = Object {
            bucket: Late::Known(bucket.clone()),
            key: Object::key(&self.store.stack, &digest),
            content: Some(Payload {
                digest: digest.clone(),
                bytes: Some(Arc::from(pem.into_bytes())),
            }),
            remembered_by: None,
        };
        let revocation = TrustStoreRevocation {
            trust_store: Late::id(&trust_store()),
            crl: Some(Arc::clone(crl)),
            entries: crl.entries,
            bucket,
            object: Late::From(Object::address(&digest), "key"),
            vouchers: Vec::new(),
        };
        let address = trust_store_revocation::address(&trust_store(), crl);
        resources.objects.insert(Object::address(&digest), object);
        resources
            .trust_store_revocations
            .insert(address, revocation);
    }

    fn bucket(&self) -> String {
        let scope = self.reader.scopes().first();
        scope.map(|scope| scope.bucket.clone()).unwrap_or_default()
    }

    /// The live CRLs whose removal has serials accepted again.
    fn readmitting(&self, plan: &Plan) -> Vec<Sha256Digest> {
        let widens = |address: &Address| {
            let mut summaries = plan.summaries.iter();
            summaries.any(|summary| summary.widens && summary.address == *address)
        };
        let crls = self.revocations.iter().filter(|one| widens(&one.address));
        crls.filter_map(|one| Some(one.spec.crl.as_ref()?.digest))
            .collect()
    }
}

impl Files {
    fn read(stack: &Stack) -> Result<Self> {
        let Some(stack::TrustStore::Own {
            ca_bundle, crls, ..
        }) = &stack.trust_store
        else {
            return Err(Error::refused(format!(
                "`{}` has no trust store of its own",
                stack.name
            )));
        };
        let wrong = |error: crate::trust::Error| {
            Error::refused_with(
                error.to_string(),
                error.fix().unwrap_or("see `mtlsgw validate`"),
            )
        };
        let parts = ca_bundle.iter();
        let parts: Vec<_> = parts
            .map(|file| (file.path.display().to_string(), &file.bytes))
            .collect();
        let bundle = Bundle::from_bytes(&parts).map_err(wrong)?;
        let files = crls.iter().filter_map(|source| match source {
            CrlSource::File(file) => Some(file),
            CrlSource::Url(_) => None,
        });
        let read = files.map(|file| {
            let named = |error: crate::trust::Error| error.named(file.path.display().to_string());
            Crl::all_from_bytes(&file.bytes).map_err(|error| wrong(named(error)))
        });
        let crls: Vec<Vec<Crl>> = read.collect::<Result<_>>()?;
        let crls = crls.into_iter().flatten().map(Arc::new).collect();
        Ok(Self { bundle, crls })
    }
}

/// Refuses live CAs that could not be parsed: without them no signature of a CRL can be judged.
fn readable(store: &Found<TrustStore>) -> Result<()> {
    if !store.spec.bundle.certificates().is_empty() {
        return Ok(());
    }
    Err(Error::refused_with(
        format!(
            "the live CAs of the trust store {} cannot be read, so that no CRL can be judged",
            store.id
        ),
        "run `mtlsgw apply` first, which puts the bundle of the stack file in their place",
    ))
}

fn trust_store() -> Address {
    Address::parse("trust_store")
}

/// Stands for the trust store until it has been read.
fn unknown() -> TrustStore {
    TrustStore {
        name: String::new(),
        bundle: std::iter::empty().collect(),
        bucket: String::new(),
        object: Late::Known(String::new()),
        revocations: Vec::new(),
        tags: crate::aws::tags::Tags::default(),
    }
}

fn has(crls: &[Arc<Crl>], crl: &Crl) -> bool {
    crls.iter().any(|one| one.digest == crl.digest)
}

fn digest_of(pem: &str) -> String {
    Sha256Digest::of(pem).to_string()
}

fn object_of(pem: &str) -> Address {
    Object::address(&digest_of(pem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::Outputs;
    use crate::trust::fixtures::Authority;

    #[test]
    fn cas_that_cannot_be_read_are_no_cas_to_judge_crls_by() {
        let mut store = Found {
            stack: "shop".to_owned(),
            address: trust_store(),
            id: "arn:store".to_owned(),
            owner: Owner::Ours,
            protected: None,
            retained: None,
            spec: unknown(),
            outputs: Outputs::new(),
        };
        let error = readable(&store).unwrap_err().to_string();
        assert!(error.contains("arn:store"), "{error}");
        store.spec.bundle = std::iter::once(Authority::new("Root").certificate()).collect();
        assert!(readable(&store).is_ok());
    }
}
