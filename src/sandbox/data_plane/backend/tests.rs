//! Certificates of backends, and what becomes of them.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::{Demands, MAY_NOT_SIGN, NO_AUTHORITY, NO_PATH, NOT_IN_FORCE};

const HOST: &str = "backend.internal";

type Change<'a> = &'a dyn Fn(&mut CertificateParams);

fn params(name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority(change: Change<'_>) -> CertificateParams {
    let mut params = params("Private CA", &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    params
}

/// A certificate for the host that signs itself.
fn self_signed(change: Change<'_>) -> Vec<CertificateDer<'static>> {
    let mut params = params(HOST, &[HOST]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    change(&mut params);
    let key = KeyPair::generate().expect("a key");
    vec![params.self_signed(&key).expect("signs").der().clone()]
}

/// A certificate for the host from a private authority, which is sent along.
fn issued(root: Change<'_>, leaf: Change<'_>) -> Vec<CertificateDer<'static>> {
    let (root, key) = (authority(root), KeyPair::generate().expect("a key"));
    let top = root.self_signed(&key).expect("signs").der().clone();
    let mut own = params(HOST, &[HOST]);
    own.use_authority_key_identifier_extension = true;
    leaf(&mut own);
    let own_key = KeyPair::generate().expect("a key");
    let issuer = Issuer::from_params(&root, &key);
    let own = own
        .signed_by(&own_key, &issuer)
        .expect("signs")
        .der()
        .clone();
    vec![own, top]
}

/// The judgement where any issuer will do.
fn skipping(sent: &[CertificateDer<'_>]) -> Result<(), String> {
    judged(sent, None)
}

fn judged(
    sent: &[CertificateDer<'_>],
    authorities: Option<Vec<CertificateDer<'static>>>,
) -> Result<(), String> {
    let demands = Demands {
        host: HOST.to_owned(),
        authorities,
        now: OffsetDateTime::now_utc().unix_timestamp() * 1000,
    };
    demands.judge(&default_provider(), &sent[0], &sent[1..])
}

fn keep(_: &mut CertificateParams) {}

fn expired(params: &mut CertificateParams) {
    params.not_after = OffsetDateTime::now_utc() - Duration::DAY;
}

fn for_another(params: &mut CertificateParams) {
    params.subject_alt_names = vec![rcgen::SanType::DnsName(
        "other.internal".try_into().expect("a name"),
    )];
}

#[test]
fn without_the_flag_only_known_authorities_count() {
    let sent = issued(&keep, &keep);
    assert_eq!(judged(&sent, Some(Vec::new())), Err(NO_PATH.to_owned()));
    assert_eq!(
        judged(&self_signed(&keep), Some(Vec::new())),
        Err(NO_PATH.to_owned())
    );
    assert_eq!(judged(&sent[..1], Some(vec![sent[1].clone()])), Ok(()));
    let other = issued(&keep, &for_another);
    let refusal = judged(&other, Some(vec![other[1].clone()])).expect_err("another name");
    assert!(
        refusal.starts_with("Host name 'backend.internal' does not match"),
        "{refusal}"
    );
    let old = issued(&keep, &expired);
    assert_eq!(
        judged(&old, Some(vec![old[1].clone()])),
        Err(NOT_IN_FORCE.to_owned())
    );
}

#[test]
fn with_the_flag_any_issuer_will_do_that_is_an_authority() {
    assert_eq!(skipping(&issued(&keep, &keep)), Ok(()));
    assert_eq!(skipping(&self_signed(&keep)), Ok(()));
    for (sent, refusal) in [
        (
            self_signed(&|params| params.is_ca = IsCa::NoCa),
            NO_AUTHORITY,
        ),
        (
            self_signed(&|params| params.is_ca = IsCa::ExplicitNoCa),
            NO_AUTHORITY,
        ),
        (
            self_signed(&|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            MAY_NOT_SIGN,
        ),
        (
            self_signed(&|params| params.key_usages.clear()),
            MAY_NOT_SIGN,
        ),
        (
            issued(
                &|params| params.key_usages = vec![KeyUsagePurpose::CrlSign],
                &keep,
            ),
            MAY_NOT_SIGN,
        ),
    ] {
        assert_eq!(skipping(&sent), Err(refusal.to_owned()));
    }
}

#[test]
fn the_flag_skips_neither_name_nor_date() {
    for sent in [
        self_signed(&expired),
        issued(&keep, &expired),
        issued(&expired, &keep),
    ] {
        assert_eq!(skipping(&sent), Err(NOT_IN_FORCE.to_owned()));
    }
    for sent in [self_signed(&for_another), issued(&keep, &for_another)] {
        let refusal = skipping(&sent).expect_err("another name");
        assert!(
            refusal.contains("does not match the certificate subject"),
            "{refusal}"
        );
    }
}

#[test]
fn a_chain_has_to_hold_and_to_be_sent_up_to_its_root() {
    let (one, other) = (issued(&keep, &keep), issued(&keep, &keep));
    assert_eq!(skipping(&one[..1]), Err(NO_PATH.to_owned()));
    let mixed = [one[0].clone(), other[1].clone()];
    assert_eq!(skipping(&mixed), Err(NO_PATH.to_owned()));
}
