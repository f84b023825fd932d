//! Chains of certificates and CRLs with all kinds of flaws, generated from a seed.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyIdMethod, KeyPair,
    KeyUsagePurpose, NameConstraints, RevokedCertParams, SanType, SerialNumber,
};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// The moment at which all chains are judged.
pub(crate) const AT: OffsetDateTime = datetime!(2026-06-01 0:00 UTC);

/// How many keys chains are made of.
pub(crate) const KEYS: usize = 9;

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of a hundred cases.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn choose<T: Copy>(&mut self, choices: &[T]) -> T {
        let index = usize::try_from(self.below(choices.len() as u64)).expect("is an index");
        choices[index]
    }
}

/// A certificate with the key it is for.
#[derive(Clone)]
struct Member<'k> {
    params: CertificateParams,
    key: &'k KeyPair,
    der: Vec<u8>,
    serial: u64,
}

impl Member<'_> {
    fn issuer(&self) -> Issuer<'_, &KeyPair> {
        // rcgen itself refuses to sign for whoever may not; a CA's software may be less careful.
        let mut params = self.params.clone();
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Issuer::new(params, self.key)
    }
}

/// A generated chain with everything that a verifier is given, as DER.
pub(crate) struct Chain {
    /// The client's certificate.
    pub(crate) client: Vec<u8>,
    /// What it sends along.
    pub(crate) sent: Vec<Vec<u8>>,
    /// The CAs that are trusted.
    pub(crate) bundle: Vec<Vec<u8>>,
    /// Whether there is a root among them.
    pub(crate) has_root: bool,
    /// The CRLs.
    pub(crate) crls: Vec<Vec<u8>>,
    /// What was done to it; without any it should be let in.
    pub(crate) flaws: Vec<&'static str>,
}

impl Chain {
    /// Makes the chain of a seed with these keys, of which there are [`KEYS`].
    pub(crate) fn of(seed: u64, keys: &[KeyPair]) -> Self {
        let mut random = Random(seed);
        let rate = random.choose(&[0, 15, 15, 40, 80]);
        let maker = Maker {
            random,
            keys,
            serials: 1,
            flaws: Vec::new(),
            rate,
        };
        maker.make()
    }
}

/// Makes one case.
struct Maker<'k> {
    random: Random,
    keys: &'k [KeyPair],
    serials: u64,
    flaws: Vec<&'static str>,
    /// How many of a thousand times each flaw is made.
    rate: u64,
}

impl<'k> Maker<'k> {
    fn flaw(&mut self, name: &'static str) -> bool {
        let is_made = self.random.below(1000) < self.rate;
        if is_made {
            self.flaws.push(name);
        }
        is_made
    }

    fn sign(
        &mut self,
        mut params: CertificateParams,
        key: &'k KeyPair,
        issuer: Option<&Member<'k>>,
    ) -> Member<'k> {
        self.serials += 1;
        params.serial_number = Some(SerialNumber::from(self.serials));
        let signed = match issuer {
            Some(issuer) => params.signed_by(key, &issuer.issuer()),
            None => params.self_signed(key),
        };
        Member {
            der: signed.expect("can be signed").der().to_vec(),
            params,
            key,
            serial: self.serials,
        }
    }

    /// What every certificate has, and what may be wrong with it.
    fn params(&mut self, name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = AT - Duration::days(30);
        params.not_after = AT + Duration::days(30);
        if self.flaw("expired") {
            params.not_after = AT - Duration::SECOND;
        } else if self.flaw("not yet valid") {
            params.not_before = AT + Duration::SECOND;
        } else if self.random.chance(5) {
            (params.not_before, params.not_after) = (AT, AT + Duration::SECOND);
        }
        params
    }

    fn authority(&mut self, name: &str, below: u64) -> CertificateParams {
        let mut params = self.params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        if self.random.chance(20) {
            let length = u8::try_from(below).expect("is small");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        }
        if below > 0 && self.flaw("path length") {
            let length = u8::try_from(below - 1).expect("is small");
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(length));
        }
        if self.flaw("no CA") {
            params.is_ca = if self.random.chance(50) {
                IsCa::NoCa
            } else {
                IsCa::ExplicitNoCa
            };
        }
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if self.flaw("no keyCertSign") {
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        } else if self.flaw("no cRLSign") {
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        } else if self.random.chance(10) {
            params.key_usages = vec![];
        }
        if self.random.chance(10) {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        } else if self.flaw("purpose of a CA") {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        }
        if self.random.chance(8) {
            let subtree = |name: &str| vec![GeneralSubtree::DnsName(name.to_owned())];
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: subtree("example.com"),
                excluded_subtrees: subtree("secret.example.com"),
            });
        }
        params.use_authority_key_identifier_extension = self.random.chance(50);
        params
    }

    fn client(&mut self) -> CertificateParams {
        let mut params = self.params("Client");
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        params.extended_key_usages = if self.flaw("purpose") {
            vec![ExtendedKeyUsagePurpose::ServerAuth]
        } else if self.flaw("any purpose") {
            vec![ExtendedKeyUsagePurpose::Any]
        } else {
            let server = ExtendedKeyUsagePurpose::ServerAuth;
            let choices = [vec![], vec![client.clone()], vec![server, client]];
            let chosen = self.random.choose(&[0, 1, 2]);
            choices[chosen].clone()
        };
        params.key_usages = if self.flaw("key usage") {
            vec![KeyUsagePurpose::KeyEncipherment]
        } else if self.flaw("key agreement") {
            vec![KeyUsagePurpose::KeyAgreement]
        } else if self.random.chance(50) {
            vec![KeyUsagePurpose::DigitalSignature]
        } else {
            vec![]
        };
        let names = ["a.example.com", "example.com"];
        let mut name = self.random.choose(&names);
        if self.flaw("name") {
            name = self.random.choose(&["example.org", "a.secret.example.com"]);
        }
        if self.random.chance(60) || name.ends_with("org") {
            let name = name.try_into().expect("is ASCII");
            params.subject_alt_names = vec![SanType::DnsName(name)];
        }
        params
    }

    fn crl(&mut self, issuer: &Member<'k>, serials: &[u64]) -> Vec<u8> {
        let (mut this_update, mut next_update) = (AT - Duration::DAY, AT + Duration::DAY);
        if self.flaw("expired CRL") {
            next_update = AT - Duration::SECOND;
        } else if self.flaw("future CRL") {
            this_update = AT + Duration::SECOND;
        }
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: AT - Duration::DAY,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update,
            next_update,
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signer = if self.flaw("CRL of another key") {
            let mut params = issuer.params.clone();
            params.key_usages = vec![];
            Issuer::new(params, &self.keys[8])
        } else {
            issuer.issuer()
        };
        params
            .signed_by(&signer)
            .expect("can be signed")
            .der()
            .to_vec()
    }

    /// The CAs from the root down, each with its own key.
    fn authorities(&mut self) -> Vec<Member<'k>> {
        let count = if self.flaw("too deep") {
            3
        } else {
            self.random.below(3)
        };
        let params = self.authority("Root", count);
        let mut authorities = vec![self.sign(params, &self.keys[0], None)];
        for index in 0..count {
            let mut params = self.authority(&format!("CA {index}"), count - index - 1);
            let above = authorities[authorities.len() - 1].clone();
            if self.random.chance(8) {
                // Self-issued: the CA has a new key under its old name.
                params.distinguished_name = above.params.distinguished_name.clone();
            }
            let key = &self.keys[2 + usize::try_from(index).expect("is small")];
            authorities.push(self.sign(params, key, Some(&above)));
        }
        authorities
    }

    /// The CA below the root once more, under another root.
    fn cross_signed(&mut self, authorities: &[Member<'k>]) -> Option<(Member<'k>, Member<'k>)> {
        let below = authorities.get(1)?.clone();
        if !self.random.chance(25) {
            return None;
        }
        let params = self.authority("Second Root", 2);
        let second = self.sign(params, &self.keys[1], None);
        let mut params = below.params.clone();
        let dates = self.params("");
        (params.not_before, params.not_after) = (dates.not_before, dates.not_after);
        let cross = self.sign(params, below.key, Some(&second));
        Some((second, cross))
    }

    fn bundle(&mut self, authorities: &[Member<'k>]) -> (Vec<Vec<u8>>, bool) {
        let (root, rest) = authorities.split_first().expect("there is a root");
        let rest = rest.iter().map(|one| one.der.clone());
        if !authorities[1..].is_empty() && self.flaw("no root") {
            return (rest.take(1).collect(), false);
        }
        let mut bundle = vec![root.der.clone()];
        let name = if self.flaw("unknown root") {
            bundle.clear();
            "Other Root"
        } else if self.flaw("namesake of the root") {
            bundle.clear();
            "Root"
        } else {
            "Unrelated Root"
        };
        if bundle.is_empty() || self.random.chance(20) {
            let params = self.authority(name, 2);
            bundle.push(self.sign(params, &self.keys[6], None).der);
        } else if self.random.chance(30) {
            bundle.extend(rest);
        }
        (bundle, true)
    }

    fn crls(&mut self, authorities: &[Member<'k>], client: &Member<'k>) -> Vec<Vec<u8>> {
        let mut crls = Vec::new();
        for (index, authority) in authorities.iter().enumerate() {
            let issued = authorities.get(index + 1).unwrap_or(client);
            let mut serials: Vec<u64> = (1000..1000 + self.random.below(4)).collect();
            if self.flaw("revoked") {
                serials.push(issued.serial);
            }
            let crl = self.crl(authority, &serials);
            if !self.flaw("missing CRL") {
                crls.push(crl);
            }
        }
        crls
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = self.random.below(end as u64 + 1);
            items.swap(end, usize::try_from(other).expect("is an index"));
        }
    }

    fn make(mut self) -> Chain {
        let mut authorities = self.authorities();
        let params = self.client();
        let issuer = authorities[authorities.len() - 1].clone();
        let client = self.sign(params, &self.keys[7], Some(&issuer));
        let mut sent: Vec<Vec<u8>> = authorities[1..].iter().map(|one| one.der.clone()).collect();
        if !sent.is_empty() && self.flaw("missing intermediate") {
            sent.pop();
        }
        let (mut bundle, has_root) = self.bundle(&authorities);
        let mut crls = Vec::new();
        let has_crls = has_root && self.random.chance(80);
        if has_crls {
            crls = self.crls(&authorities, &client);
        }
        if let Some((second, cross)) = self.cross_signed(&authorities) {
            sent.push(cross.der.clone());
            if self.random.chance(50) {
                bundle.push(second.der.clone());
            }
            if has_crls {
                let revoked = self.flaw("revoked cross-certificate");
                let serials = if revoked { vec![cross.serial] } else { vec![] };
                crls.push(self.crl(&second, &serials));
            }
        }
        if self.random.chance(20) {
            sent.push(authorities.swap_remove(0).der);
        }
        self.shuffle(&mut sent);
        self.shuffle(&mut bundle);
        Chain {
            client: client.der,
            sent,
            bundle,
            has_root,
            crls,
            flaws: self.flaws,
        }
    }
}
