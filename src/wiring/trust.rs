//! The trust store and the server certificate: what clients are judged by, and what they judge.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use super::{Warning, Wiring};
use crate::crl_source::{self, Fate, Mode, Outcome, Question, number};
use crate::facts::{IssuedCertificate, Zone};
use crate::resource::certificate::{
    Certificate, Import, ImportFiles, RETAIN, Request, Source, VALIDATION, usages,
};
use crate::resource::certificate_validation::CertificateValidation;
use crate::resource::object::{self, Object, Payload};
use crate::resource::trust_store::TrustStore;
use crate::resource::trust_store_revocation::{self, TrustStoreRevocation};
use crate::resource::{Address, Expiry, Late};
use crate::stack::{self, CertificateSource, CrlSource, Material};
use crate::trust::{self, Bundle, Crl, Finding, Severity, Sha256Digest};

impl Wiring<'_> {
    /// The trust store with its bundle and CRLs, each an object in the bucket.
    pub(super) fn trust_store(&mut self) {
        let Some(stack::TrustStore::Own {
            ca_bundle, crls, ..
        }) = &self.stack.trust_store
        else {
            return;
        };
        let Some(bundle) = self.bundle(ca_bundle) else {
            return;
        };
        let mut crls = self.crls(crls);
        self.judge_trust(&bundle, &crls);
        crls.extend(self.crls_of_urls(&bundle, &crls));
        let address = trust_store_address();
        let (bucket, _) = self.bucket_name();
        for crl in &crls {
            let object = self.object(crl.pem().as_bytes());
            let key = trust_store_revocation::address(&address, crl);
            self.add_revocation(key, Some(crl), object);
        }
        let (key, value) = object::memory(&bucket);
        let store = TrustStore {
            name: super::names::derived(&self.stack.name, &address, &[]),
            object: self.object(bundle.pem().as_bytes()),
            bundle,
            revocations: self.revocations(),
            tags: self.tags(&address).with(&key, value),
            bucket,
        };
        self.wired.resources.trust_stores.insert(address, store);
    }

    fn add_revocation(&mut self, address: Address, crl: Option<&Arc<Crl>>, object: Late<String>) {
        let revocation = TrustStoreRevocation {
            trust_store: Late::id(&trust_store_address()),
            crl: crl.map(Arc::clone),
            entries: crl.map_or(0, |crl| crl.entries),
            bucket: self.bucket_name().0,
            object,
            vouchers: Vec::new(),
        };
        self.wired
            .resources
            .trust_store_revocations
            .insert(address, revocation);
    }

    /// The CRLs of URLs: what is live, or what is served where nothing is.
    fn crls_of_urls(&mut self, bundle: &Bundle, files: &[Arc<Crl>]) -> Vec<Arc<Crl>> {
        let urls = crl_source::urls(self.stack);
        if self.is_rendered_only() {
            for url in urls {
                let message = format!("the CRL of {url} is fetched by plan and apply, not here");
                self.warn("crl_not_fetched", &trust_store_address(), message);
                let address = trust_store_address().keyed("crl", &url.to_string());
                self.add_revocation(address, None, Late::Known(url.to_string()));
            }
            return Vec::new();
        }
        let known = &self.facts.crls;
        let Some(live) = known.live.as_ref().filter(|_| !urls.is_empty()) else {
            return Vec::new();
        };
        let served = crl_source::served_to(self.stack, &known.served);
        let question = Question {
            served: &served,
            files,
            live: live.get(&self.stack.name).map_or(&[], Vec::as_slice),
            held: &[],
            bundle,
            now: self.now,
        };
        let choice = question.choose(Mode::Keep);
        for outcome in &choice.outcomes {
            self.tell_outcome(outcome);
        }
        for crl in &choice.wanted {
            // An error of what is live already is no reason to leave everything as it is.
            let findings = trust::lint_crl(crl, bundle, self.now).into_iter();
            for finding in findings.filter(|finding| finding.severity != Severity::Note) {
                self.warn_of(&trust_store_address(), &finding);
            }
        }
        self.wired.crls = choice.outcomes;
        choice.wanted
    }

    /// Says what is not as it should be with the CRLs of a URL.
    fn tell_outcome(&mut self, Outcome { url, fate }: &Outcome) {
        let address = trust_store_address();
        match fate {
            Fate::Current(_) | Fate::New { failure: None, .. } => {}
            Fate::Due { live, served } => {
                let message = format!(
                    "refresh due: CRL of {} {} -> {}, {}: run `mtlsgw crl refresh`",
                    served.issuer,
                    number(live),
                    number(served),
                    crl_source::next_update(served)
                );
                self.warn("crl_refresh_due", &address, message);
            }
            Fate::New {
                served,
                failure: Some(failure),
            } => {
                let message = format!(
                    "{url}: {}; the CRL that it served before is used: {}",
                    failure.words(),
                    crl_source::described(served, self.now)
                );
                self.warn(failure.code(), &address, message);
            }
            Fate::Kept { failure, live } => {
                let live = live.iter();
                let live = live.map(|crl| crl_source::described(crl, self.now));
                let message = format!(
                    "{url}: {}; what is live stays: {}",
                    failure.words(),
                    live.collect::<Vec<_>>().join("; ")
                );
                self.warn(failure.code(), &address, message);
            }
            Fate::Absent(failure) => {
                let index = crl_source::index(self.stack, url);
                let message = format!(
                    "`{url}`: {}; no CRL of it is live, and a gateway is not built without its CRL",
                    failure.words()
                );
                let hint = "see that the URL serves the CRL of a CA in `ca_bundle`, or name a file in its place";
                self.error(
                    &format!("trust_store.crls[{index}]"),
                    message,
                    None,
                    Some(hint),
                );
            }
        }
    }

    /// Where the CRLs stand, for those who wait for all of them.
    pub(super) fn revocations(&self) -> Vec<Address> {
        self.wired
            .resources
            .trust_store_revocations
            .keys()
            .cloned()
            .collect()
    }

    /// How a listener refers to the trust store.
    pub(super) fn trust_store_reference(&self) -> Option<Late<String>> {
        match self.stack.trust_store.as_ref()? {
            stack::TrustStore::Own { .. } => Some(Late::id(&trust_store_address())),
            stack::TrustStore::Existing { arn } => Some(Late::Known(arn.clone())),
        }
    }

    fn bundle(&mut self, files: &[Material]) -> Option<Bundle> {
        let mut parts = Vec::new();
        for (index, file) in files.iter().enumerate() {
            let name = file.path.display().to_string();
            match Bundle::from_bytes(&[(&name, &file.bytes)]) {
                Ok(_) => parts.push((name, &file.bytes)),
                Err(error) => self.unreadable(&format!("trust_store.ca_bundle[{index}]"), &error),
            }
        }
        (parts.len() == files.len())
            .then(|| Bundle::from_bytes(&parts).ok())
            .flatten()
    }

    /// The CRLs of files.
    fn crls(&mut self, sources: &[CrlSource]) -> Vec<Arc<Crl>> {
        let mut crls = Vec::new();
        for (index, source) in sources.iter().enumerate() {
            let CrlSource::File(file) = source else {
                continue;
            };
            match Crl::all_from_bytes(&file.bytes) {
                Ok(found) => crls.extend(found.into_iter().map(Arc::new)),
                Err(error) => {
                    let error = error.named(file.path.display().to_string());
                    self.unreadable(&format!("trust_store.crls[{index}]"), &error);
                }
            }
        }
        crls
    }

    fn unreadable(&mut self, key: &str, error: &trust::Error) {
        self.error(key, error.to_string(), None, error.fix());
    }

    /// What AWS would refuse is an error here, where the reason can be told.
    fn judge_trust(&mut self, bundle: &Bundle, crls: &[Arc<Crl>]) {
        let address = trust_store_address();
        self.report(
            "trust_store.ca_bundle",
            &address,
            trust::lint_bundle(bundle, self.now),
        );
        self.report(
            "trust_store.crls",
            &address,
            trust::lint_crls(crls, bundle, self.now),
        );
    }

    /// Findings as located errors, or as warnings; notes are for `trust lint`.
    pub(super) fn report(&mut self, key: &str, address: &Address, findings: Vec<Finding>) {
        for finding in findings {
            match finding.severity {
                Severity::Error => self.error(key, finding.in_words(), None, Some(finding.fix)),
                Severity::Warning => self.warn_of(address, &finding),
                Severity::Note => {}
            }
        }
    }

    fn warn_of(&mut self, address: &Address, finding: &Finding) {
        self.wired.warnings.push(Warning::of(address, finding));
    }

    /// Puts content into the bucket; gives the reference to its key.
    fn object(&mut self, content: &[u8]) -> Late<String> {
        let digest = Sha256Digest::of(content).to_string();
        let address = Object::address(&digest);
        let (_, bucket) = self.bucket_name();
        let key = Object::key(&self.stack.name, &digest);
        let content = Some(Payload {
            digest,
            bytes: Some(Arc::from(content)),
        });
        self.wired.resources.objects.insert(
            address.clone(),
            Object {
                bucket,
                key,
                content,
                remembered_by: None,
            },
        );
        Late::From(address, "key")
    }

    /// The server certificate, if it is ours to make.
    pub(super) fn certificate(&mut self) {
        let Some(certificate) = &self.stack.certificate else {
            return;
        };
        match &certificate.source {
            CertificateSource::Request {
                name,
                subject_alternative_names,
                zone,
                key_algorithm,
            } => {
                let zones = self.validation_zones(name, subject_alternative_names, zone.as_ref());
                let source = Source::Requested(Request {
                    name: name.clone(),
                    alternative_names: subject_alternative_names.iter().cloned().collect(),
                    key_algorithm: key_algorithm.as_str().to_owned(),
                });
                self.add_certificate(source, &zones, certificate.retain);
            }
            CertificateSource::Import {
                certificate: leaf,
                private_key,
                chain,
            } => {
                let hosts = self
                    .stack
                    .domains
                    .values()
                    .map(|domain| domain.name.clone());
                let place = ImportPlace {
                    address: certificate_address(),
                    key: "certificate.import",
                    hosts: hosts.collect(),
                };
                if let Some(import) = self.import(leaf, chain.as_ref(), private_key, &place) {
                    let source = Source::Imported(import);
                    self.add_certificate(source, &BTreeMap::new(), certificate.retain);
                }
            }
            CertificateSource::Find { name } => {
                if let Some(found) = self.found_certificate(name) {
                    let (name, not_after) = (name.clone(), found.not_after);
                    self.expires(&name, not_after);
                } else if !self.is_rendered_only() {
                    let hint = "request one with `request:`, or write the name as ACM lists it";
                    let message = format!(
                        "no issued certificate of the name `{name}` is in {}",
                        self.facts.region
                    );
                    self.error("certificate.find", message, None, Some(hint));
                }
            }
            CertificateSource::Existing { arn } => {
                self.expires(arn, self.facts.certificate_ends.get(arn).copied());
            }
        }
    }

    /// Notes when a certificate that the stack does not own ends.
    fn expires(&mut self, certificate: &str, at: Option<OffsetDateTime>) {
        let expiry = at.map(|at| Expiry {
            address: certificate_address(),
            what: format!("certificate {certificate}"),
            at,
        });
        self.wired.expiries.extend(expiry);
    }

    /// How listeners and domains refer to the certificate.
    pub(super) fn certificate_reference(&self) -> Option<Late<String>> {
        Some(match &self.stack.certificate.as_ref()?.source {
            CertificateSource::Request { .. } | CertificateSource::Import { .. } => {
                Late::id(&certificate_address())
            }
            CertificateSource::Existing { arn } => Late::Known(arn.clone()),
            CertificateSource::Find { name } => {
                let found = self.found_certificate(name);
                let stand_in = || format!("${{certificate {name}}}");
                Late::Known(found.map_or_else(stand_in, |found| found.arn.clone()))
            }
        })
    }

    /// The certificate that `find:` leads to.
    ///
    /// Never one that the stack itself has made: it goes when the file no longer asks for it.
    fn found_certificate(&self, name: &str) -> Option<&IssuedCertificate> {
        let issued = self.facts.certificates.get(name)?;
        let is_own = |one: &&IssuedCertificate| one.stack.as_ref() == Some(&self.stack.name);
        issued.iter().find(|one| !is_own(one))
    }

    fn add_certificate(&mut self, source: Source, zones: &BTreeMap<String, String>, retain: bool) {
        self.add_certificate_at(certificate_address(), source, zones, retain);
    }

    /// Adds a certificate of ours at an address.
    pub(super) fn add_certificate_at(
        &mut self,
        address: Address,
        source: Source,
        zones: &BTreeMap<String, String>,
        retain: bool,
    ) {
        let validation = address.part("validation");
        let mut tags = self.tags(&address);
        if !zones.is_empty() {
            let ids: BTreeSet<&str> = zones.values().map(String::as_str).collect();
            tags = tags.with(VALIDATION, ids.into_iter().collect::<Vec<_>>().join(" "));
            let records = CertificateValidation {
                certificate: Late::id(&address),
                zones: zones.clone(),
                records: Late::From(address.clone(), "validation"),
            };
            self.wired
                .resources
                .certificate_validations
                .insert(validation.clone(), records);
        }
        if retain {
            tags = tags.with(RETAIN, "true");
        }
        let validation = (!zones.is_empty()).then_some(validation);
        let certificate = Certificate {
            source,
            status: "ISSUED".to_owned(),
            validation,
            tags,
        };
        self.wired
            .resources
            .certificates
            .insert(address, certificate);
    }

    /// Id by name of the public zones that the validation records go to; empty when one is missing.
    fn validation_zones(
        &mut self,
        name: &str,
        others: &[String],
        zone: Option<&stack::Zone>,
    ) -> BTreeMap<String, String> {
        if let Some(zone) = zone {
            let found = self.zone("certificate.zone", zone, super::network::Visibility::Public);
            return found.into_iter().map(|zone| (zone.name, zone.id)).collect();
        }
        if self.is_rendered_only() {
            return BTreeMap::from([("${zone}".to_owned(), "${zone}".to_owned())]);
        }
        let mut zones = BTreeMap::new();
        for name in std::iter::once(name).chain(others.iter().map(String::as_str)) {
            let Some(zone) = longest_zone(&self.facts.zones, name) else {
                let message = format!(
                    "no public zone of the account holds `{name}`: apply prints the validation record and \
                     ends in part until somebody has made it"
                );
                self.warn("validation_by_hand", &certificate_address(), message);
                return BTreeMap::new();
            };
            zones.insert(zone.name.clone(), zone.id.clone());
        }
        zones
    }

    /// What the files of an import hold.
    pub(super) fn import(
        &mut self,
        leaf: &Material,
        chain: Option<&Material>,
        key: &std::path::Path,
        place: &ImportPlace,
    ) -> Option<Import> {
        let at = format!("{}.certificate", place.key);
        let mut given = self.parse(&at, leaf)?;
        let certificate = given.remove(own_place(&given));
        let key_of_chain = match chain {
            Some(chain) => {
                let key = format!("{}.chain", place.key);
                given.extend(self.parse(&key, chain)?);
                key
            }
            None => at.clone(),
        };
        // Whatever the order of the files is: there is one in which they are a chain, or none.
        let chain = match trust::arrange_chain(&certificate, &given) {
            Ok(chain) => chain,
            Err(error) => {
                let hint =
                    "name the issuer of the certificate and the issuer's issuers, and nothing else";
                self.error(&key_of_chain, error.to_string(), None, Some(hint));
                return None;
            }
        };
        let hosts: Vec<&str> = place.hosts.iter().map(String::as_str).collect();
        let findings = trust::lint_server_certificate(&certificate, &chain, &hosts, self.now);
        self.report(&at, &place.address, findings);
        let all = std::iter::once(&certificate).chain(&chain);
        Some(Import {
            fingerprints: all.map(|one| one.fingerprint.to_string()).collect(),
            shown: certificate.summary(),
            key_algorithm: acm_key_algorithm(&certificate.key_algorithm),
            usages: usages(&certificate),
            files: Some(ImportFiles {
                names: names_at_acm(&certificate),
                not_after: certificate.not_after,
                certificate: Arc::from(certificate.pem()),
                chain: Arc::from(
                    chain
                        .iter()
                        .map(trust::Certificate::pem)
                        .collect::<String>(),
                ),
                private_key: key.to_path_buf(),
            }),
        })
    }

    /// The certificates of a file.
    pub(super) fn parse(&mut self, key: &str, file: &Material) -> Option<Vec<trust::Certificate>> {
        match trust::Certificate::all_from_bytes(&file.bytes) {
            Ok(certificates) => Some(certificates),
            Err(error) => {
                self.unreadable(key, &error.named(file.path.display().to_string()));
                None
            }
        }
    }
}

/// Where an imported certificate stands, and for which names it has to be good.
pub(super) struct ImportPlace {
    /// In the stack.
    pub(super) address: Address,
    /// In the stack file.
    pub(super) key: &'static str,
    /// The names that clients connect to.
    pub(super) hosts: Vec<String>,
}

/// The names that ACM may list a certificate under: its DNS names, or the common name of its subject.
fn names_at_acm(certificate: &trust::Certificate) -> Vec<String> {
    let subject = certificate.subject.as_str().split(',');
    let common = subject.filter_map(|part| part.trim().strip_prefix("CN="));
    let dns_names = certificate.dns_names.iter().cloned();
    dns_names.chain(common.map(str::to_owned)).collect()
}

/// Where a server's own certificate stands in a file that has its issuers, too: it issued none of the others.
fn own_place(certificates: &[trust::Certificate]) -> usize {
    let issued_none = |one: &trust::Certificate| {
        let mut others = certificates.iter().filter(|other| *other != one);
        !others.any(|other| other.issuer.matches(&one.subject))
    };
    certificates
        .iter()
        .position(issued_none)
        .unwrap_or_default()
}

/// A kind of key as ACM names it: `RSA_2048`, `EC_prime256v1`.
fn acm_key_algorithm(of: &trust::KeyAlgorithm) -> String {
    match of {
        trust::KeyAlgorithm::Rsa(bits) => format!("RSA_{bits}"),
        trust::KeyAlgorithm::P256 => "EC_prime256v1".to_owned(),
        trust::KeyAlgorithm::P384 => "EC_secp384r1".to_owned(),
        trust::KeyAlgorithm::P521 => "EC_secp521r1".to_owned(),
        trust::KeyAlgorithm::Other(name) => name.clone(),
    }
}

fn trust_store_address() -> Address {
    Address::parse("trust_store")
}

fn certificate_address() -> Address {
    Address::parse("certificate")
}

/// The public zone with the longest name that ends `name`.
fn longest_zone<'a>(zones: &'a [Zone], name: &str) -> Option<&'a Zone> {
    let name = name.strip_prefix("*.").unwrap_or(name);
    zones
        .iter()
        .filter(|zone| {
            !zone.is_private && (name == zone.name || name.ends_with(&format!(".{}", zone.name)))
        })
        .max_by_key(|zone| zone.name.len())
}
