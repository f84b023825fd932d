//! What refuses a client and what does not, reason by reason.

use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use super::*;
use crate::trust::fixtures::{Authority, CrlParts, EXPIRY, NOW, extension, tlv};

/// Judges with these CAs and CRLs, at the present of the fixtures.
fn judge(client: &Certificate, sent: &[&Certificate], cas: &[&Authority], crls: &[Crl]) -> Verdict {
    let bundle: Vec<Certificate> = cas.iter().map(|ca| ca.certificate()).collect();
    judge_with(client, sent, &bundle, crls, &CheckOptions::at(NOW))
}

fn judge_with(
    client: &Certificate,
    sent: &[&Certificate],
    bundle: &[Certificate],
    crls: &[Crl],
    options: &CheckOptions,
) -> Verdict {
    let bundle: Bundle = bundle.iter().cloned().collect();
    let sent: Vec<Certificate> = sent.iter().copied().cloned().collect();
    let trusted = Trusted {
        bundle: &bundle,
        crls,
    };
    check_client(client, &sent, trusted, options)
}

#[track_caller]
fn refused(verdict: &Verdict, reason: Reason, message: &str) {
    assert_eq!(verdict.reason(), Some(reason), "{verdict:?}");
    let refusal = verdict.refusal.as_ref().unwrap();
    assert!(refusal.message.contains(message), "{}", refusal.message);
    assert!(refusal.position < verdict.path.len());
}

#[track_caller]
fn accepted(verdict: &Verdict) {
    assert_eq!(verdict.refusal, None);
}

fn codes(verdict: &Verdict) -> Vec<&'static str> {
    verdict.warnings.iter().map(|one| one.code).collect()
}

/// A root, a CA below it, and a client of that one with the serial 7.
fn family() -> (Authority, Authority, Certificate) {
    let root = Authority::new("Root");
    let below = root.intermediate("Below");
    let client = below.client(7);
    (root, below, client)
}

#[test]
fn a_client_of_a_trusted_root_is_let_in() {
    let root = Authority::new("Root");
    let verdict = judge(&root.client(7), &[], &[&root], &[root.crl(&[1])]);
    accepted(&verdict);
    assert_eq!(codes(&verdict), [""; 0]);
    let sources: Vec<Source> = verdict.path.iter().map(|step| step.source).collect();
    assert_eq!(sources, [Source::Client, Source::TrustStore]);
    assert_eq!(verdict.path[0].crls, 1);
}

#[test]
fn an_intermediate_may_come_from_the_client_or_the_bundle() {
    let (root, below, client) = family();
    accepted(&judge(&client, &[&below.certificate()], &[&root], &[]));
    accepted(&judge(&client, &[], &[&root, &below], &[]));
    // Order, repetition, the root and certificates of others do not matter.
    let (root_certificate, below_certificate) = (root.certificate(), below.certificate());
    let other = Authority::new("Other").certificate();
    let sent = [&other, &root_certificate, &below_certificate, &client];
    accepted(&judge(&client, &sent, &[&root], &[]));
    refused(
        &judge(&client, &[], &[&root], &[]),
        Reason::Untrusted,
        "neither the trust store nor the client has the issuer",
    );
}

#[test]
fn whom_nobody_vouches_for_is_untrusted() {
    let (root, below, client) = family();
    let verdict = judge(
        &client,
        &[&below.certificate()],
        &[&Authority::new("Other")],
        &[],
    );
    refused(&verdict, Reason::Untrusted, "has the issuer of CN=Below");
    let sent = [&below.certificate(), &root.certificate()];
    let verdict = judge(&client, &sent, &[&Authority::new("Other")], &[]);
    refused(&verdict, Reason::Untrusted, "CN=Root");
    assert_eq!(verdict.path.len(), 3);
    let namesake = Authority::new("Below");
    let verdict = judge(&client, &[], &[&namesake], &[]);
    refused(&verdict, Reason::Untrusted, "another key of that name");
}

#[test]
fn a_fifth_certificate_is_too_many() {
    let root = Authority::new("Root");
    let mut chain = vec![root.intermediate("1")];
    for name in ["2", "3"] {
        let next = chain[chain.len() - 1].intermediate(name);
        chain.push(next);
    }
    let sent: Vec<Certificate> = chain.iter().map(Authority::certificate).collect();
    let sent: Vec<&Certificate> = sent.iter().collect();
    accepted(&judge(&chain[1].client(7), &sent, &[&root], &[]));
    let client = chain[2].client(7);
    let verdict = judge(&client, &sent, &[&root], &[]);
    refused(&verdict, Reason::MaxChainDepthExceeded, "5 certificates");
    // The root counts also where the CA below it is trusted by itself, and alone it would not.
    let verdict = judge(&client, &sent, &[&root, &chain[0]], &[]);
    refused(&verdict, Reason::MaxChainDepthExceeded, "of at most 4");
    assert_eq!(codes(&verdict), ["partial-chain"]);
    let verdict = judge(&client, &sent, &[&chain[0]], &[]);
    accepted(&verdict);
    assert_eq!(codes(&verdict), ["anchor-without-root"]);
}

#[test]
fn what_is_too_large_is_refused() {
    let root = Authority::new("Root");
    let large = |bytes| {
        root.client_with(7, |params| {
            let filler = CustomExtension::from_oid_content(&[1, 2, 3], vec![0; bytes]);
            params.custom_extensions = vec![filler];
        })
    };
    accepted(&judge(&large(15_000), &[], &[&root], &[]));
    let verdict = judge(&large(17_000), &[], &[&root], &[]);
    refused(&verdict, Reason::MaxSizeExceeded, "of at most 16384");
    let others: Vec<Certificate> = (0..5).map(|_| large(15_000)).collect();
    let others: Vec<&Certificate> = others.iter().collect();
    let verdict = judge(&root.client(7), &others, &[&root], &[]);
    refused(&verdict, Reason::MaxSizeExceeded, "TLS message");
}

#[test]
fn keys_and_signatures_of_other_kinds_are_refused() {
    let root = Authority::new("Root");
    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let client = root.issue(&CertificateParams::default(), &key);
    let verdict = judge(&client, &[], &[&root], &[]);
    refused(&verdict, Reason::TypeUnsupported, "is Ed25519");

    let exotic = Authority::with_algorithm("Root", &rcgen::PKCS_ED25519);
    let verdict = judge(&exotic.client(7), &[], &[&exotic], &[]);
    refused(&verdict, Reason::TypeUnsupported, "signed with Ed25519");
    assert!(codes(&verdict).contains(&"bundle-refused"));
    for algorithm in [&rcgen::PKCS_RSA_SHA256, &rcgen::PKCS_ECDSA_P521_SHA512] {
        let root = Authority::with_algorithm("Root", algorithm);
        accepted(&judge(&root.client(7), &[], &[&root], &[]));
    }
}

#[test]
fn dates_count_to_the_second_for_every_certificate() {
    let root = Authority::new("Root");
    let client = root.client_with(7, |params| {
        params.not_before = NOW;
        params.not_after = NOW + Duration::DAY;
    });
    let at = |at| {
        let bundle = [root.certificate()];
        judge_with(&client, &[], &bundle, &[], &CheckOptions::at(at))
    };
    accepted(&at(NOW));
    refused(
        &at(NOW - Duration::MILLISECOND),
        Reason::NotYetValid,
        "2026-01-01 00:00:00Z only",
    );
    accepted(&at(NOW + Duration::DAY + Duration::milliseconds(999)));
    let late = at(NOW + Duration::DAY + Duration::SECOND);
    refused(
        &late,
        Reason::Expired,
        "was valid until 2026-01-02 00:00:00Z",
    );

    let (root, below, client) = family();
    let options = CheckOptions {
        ignore_client_certificate_expiry: true,
        ..CheckOptions::at(EXPIRY + Duration::DAY)
    };
    let sent = below.certificate();
    let verdict = judge_with(&client, &[&sent], &[root.certificate()], &[], &options);
    refused(&verdict, Reason::Expired, "CN=Below");
    assert_eq!(verdict.refusal.unwrap().position, 1);
}

#[test]
fn only_the_clients_own_expiry_can_be_ignored() {
    let root = Authority::new("Root");
    let client = root.client_with(7, |params| params.not_after = NOW - Duration::DAY);
    let bundle = [root.certificate()];
    let mut options = CheckOptions::at(NOW);
    refused(
        &judge_with(&client, &[], &bundle, &[], &options),
        Reason::Expired,
        "CN=",
    );
    options.ignore_client_certificate_expiry = true;
    let verdict = judge_with(&client, &[], &bundle, &[], &options);
    accepted(&verdict);
    assert_eq!(codes(&verdict), ["expiry-ignored"]);
}

#[test]
fn purposes_bind_the_client_and_the_cas_above_it() {
    let root = Authority::new("Root");
    let server = root.server(&["example.com"]);
    let verdict = judge(&server, &[], &[&root], &[]);
    refused(
        &verdict,
        Reason::PurposeInvalid,
        "(serverAuth) leaves out clientAuth",
    );
    let any = CheckOptions {
        purpose: Purpose::Any,
        ..CheckOptions::at(NOW)
    };
    accepted(&judge_with(&server, &[], &[root.certificate()], &[], &any));
    for purposes in [vec![], vec![ExtendedKeyUsagePurpose::Any]] {
        let client = root.client_with(7, |params| params.extended_key_usages = purposes);
        accepted(&judge(&client, &[], &[&root], &[]));
    }
    let limited = root.intermediate_with("Limited", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let verdict = judge(&limited.client(7), &[&limited.certificate()], &[&root], &[]);
    refused(&verdict, Reason::PurposeInvalid, "CN=Limited");
    assert_eq!(verdict.refusal.unwrap().position, 1);
    let silent = root.client_with(7, |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
    });
    let verdict = judge(&silent, &[], &[&root], &[]);
    refused(&verdict, Reason::PurposeInvalid, "digitalSignature");
}

#[test]
fn a_crl_refuses_clients_and_intermediates() {
    let (root, below, client) = family();
    let below_certificate = below.certificate();
    let sent = [&below_certificate];
    let crls = [root.crl(&[7]), below.crl(&[7])];
    let verdict = judge(&client, &sent, &[&root], &crls);
    refused(&verdict, Reason::CrlHit, "lists its serial 07");
    let refusal = verdict.refusal.unwrap();
    assert_eq!(refusal.position, 0);
    assert_eq!(refusal.crl.unwrap().digest, crls[1].digest);
    // The serial under another issuer's name is another certificate's.
    accepted(&judge(
        &client,
        &sent,
        &[&root],
        &[root.crl(&[7]), below.crl(&[])],
    ));

    let serial = below.certificate().serial.as_bytes().to_vec();
    let crl = root.crl_of(&CrlParts {
        serials: vec![[&[0], &serial[..]].concat()],
        ..CrlParts::default()
    });
    let verdict = judge(&client, &sent, &[&root], &[below.crl(&[]), crl]);
    refused(&verdict, Reason::CrlHit, "CN=Below");
    assert_eq!(verdict.refusal.unwrap().position, 1);
}

#[test]
fn all_crls_of_a_ca_count_together() {
    let root = Authority::new("Root");
    let crls = [root.crl(&[7]), root.crl(&[8])];
    for serial in [7, 8] {
        let verdict = judge(&root.client(serial), &[], &[&root], &crls);
        refused(&verdict, Reason::CrlHit, "is revoked");
    }
    accepted(&judge(&root.client(9), &[], &[&root], &crls));
}

#[test]
fn negative_serials_revoke_nothing() {
    let root = Authority::new("Root");
    let crl = root.crl_of(&CrlParts {
        serials: vec![vec![0x87]],
        ..CrlParts::default()
    });
    assert_eq!(crl.negative_serials, 1);
    let crls = [crl, root.crl(&[0x87])];
    let client = root.client(0x87);
    refused(
        &judge(&client, &[], &[&root], &crls),
        Reason::CrlHit,
        "serial 87",
    );
    let client = root.reissue(&client, &[2, 2, 0, 0x87], &[2, 2, 0xff, 0x87]);
    assert!(client.serial.is_negative());
    let verdict = judge(&client, &[], &[&root], &crls);
    accepted(&verdict);
    assert_eq!(codes(&verdict), ["negative-serial"]);
}

#[test]
fn a_crl_that_cannot_be_used_refuses_the_clients_of_its_ca() {
    let root = Authority::new("Root");
    let client = root.client(7);
    let with = |extensions: Vec<Vec<u8>>| {
        root.crl_of(&CrlParts {
            extensions,
            ..CrlParts::default()
        })
    };
    let indirect = tlv(0x30, &tlv(0x84, &[0xff]));
    for (crl, message) in [
        (
            Authority::new("Root").crl(&[]),
            "not signed with a key of its issuer",
        ),
        (
            with(vec![extension(&[0x2a, 3], true, &tlv(5, &[]))]),
            "extension 1.2.3",
        ),
        (
            with(vec![extension(&[0x55, 0x1d, 27], true, &tlv(2, &[1]))]),
            "delta",
        ),
        (
            with(vec![extension(&[0x55, 0x1d, 28], true, &indirect)]),
            "indirect",
        ),
    ] {
        let verdict = judge(&client, &[], &[&root], std::slice::from_ref(&crl));
        refused(&verdict, Reason::CrlProcessingError, message);
        // That of another CA does not matter.
        let other = Authority::new("Other");
        accepted(&judge(
            &other.client(7),
            &[],
            &[&root, &other],
            std::slice::from_ref(&crl),
        ));
        // An entry in one that can be used comes first.
        let verdict = judge(&client, &[], &[&root], &[crl, root.crl(&[7])]);
        refused(&verdict, Reason::CrlHit, "is revoked");
    }
    let silent = Authority::with("Root", |params| {
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    let verdict = judge(&silent.client(7), &[], &[&silent], &[silent.crl(&[])]);
    refused(&verdict, Reason::CrlProcessingError, "leaves out cRLSign");
}

#[test]
fn a_crl_signed_with_the_cas_other_key_counts() {
    let (old, new) = (Authority::new("Root"), Authority::new("Root"));
    let crls = [old.crl(&[7]), new.crl(&[])];
    let verdict = judge(&new.client(7), &[], &[&old, &new], &crls);
    refused(&verdict, Reason::CrlHit, "is revoked");
    accepted(&judge(&new.client(8), &[], &[&old, &new], &crls));
    // Without the certificate of the old key nobody can check the old CRL.
    let verdict = judge(&new.client(8), &[], &[&new], &crls);
    refused(&verdict, Reason::CrlProcessingError, "key of its issuer");
}

#[test]
fn what_the_client_sends_vouches_for_no_crl() {
    let (old, new) = (Authority::new("Root"), Authority::new("Root"));
    let sent = old.certificate();
    let verdict = judge(&new.client(8), &[&sent], &[&new], &[old.crl(&[])]);
    refused(&verdict, Reason::CrlProcessingError, "key of its issuer");
}

#[test]
fn a_crl_of_a_ca_that_is_not_there_is_warned_of() {
    let root = Authority::new("Root");
    let below = root.intermediate("Below");
    let serial = [&[0], below.certificate().serial.as_bytes()].concat();
    let crl = root.crl_of(&CrlParts {
        serials: vec![serial],
        ..CrlParts::default()
    });
    let verdict = judge(&below.client(7), &[], &[&below], std::slice::from_ref(&crl));
    accepted(&verdict);
    assert_eq!(codes(&verdict), ["anchor-without-root", "crl-unchecked"]);
    let verdict = judge(&below.client(7), &[], &[&below, &root], &[crl]);
    refused(&verdict, Reason::CrlHit, "CN=Below");
}

#[test]
fn what_matching_names_costs_is_bounded() {
    let root = Authority::new("Root");
    let subtree = |index: usize| GeneralSubtree::DnsName(format!("{index}.example"));
    let limited = root.intermediate_with("Limited", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: (0..900).map(subtree).collect(),
            excluded_subtrees: Vec::new(),
        });
    });
    let client = |names: usize| {
        let name = |_| SanType::DnsName("0.example".try_into().unwrap());
        limited.client_with(7, |params| {
            params.subject_alt_names = (0..names).map(name).collect();
        })
    };
    let sent = limited.certificate();
    accepted(&judge(&client(1), &[&sent], &[&root], &[]));
    let verdict = judge(&client(1300), &[&sent], &[&root], &[]);
    refused(&verdict, Reason::Invalid, "can be compared");
}

#[test]
fn dates_of_crls_are_warned_of_and_their_entries_count() {
    let root = Authority::new("Root");
    let at = |at, serial| {
        let options = CheckOptions::at(at);
        let bundle = [root.certificate()];
        judge_with(
            &root.client(serial),
            &[],
            &bundle,
            &[root.crl(&[7])],
            &options,
        )
    };
    let late = at(NOW + Duration::days(90), 8);
    accepted(&late);
    assert_eq!(codes(&late), ["crl-expired"]);
    refused(
        &at(NOW + Duration::days(90), 7),
        Reason::CrlHit,
        "is revoked",
    );
    let early = at(NOW - Duration::HOUR, 8);
    accepted(&early);
    assert_eq!(codes(&early), ["crl-not-yet-valid"]);
}

#[test]
fn an_issuer_must_be_a_ca_that_may_sign() {
    let root = Authority::new("Root");
    for (change, message) in [(IsCa::NoCa, "is no CA"), (IsCa::ExplicitNoCa, "is no CA")] {
        let below = root.intermediate_with("Below", |params| params.is_ca = change);
        let verdict = judge(&below.client(7), &[&below.certificate()], &[&root], &[]);
        refused(&verdict, Reason::Invalid, message);
        assert_eq!(verdict.refusal.unwrap().position, 1);
    }
    let below = root.intermediate_with("Below", |params| {
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
    });
    let verdict = judge(&below.client(7), &[&below.certificate()], &[&root], &[]);
    refused(&verdict, Reason::Invalid, "keyCertSign");
}

#[test]
fn the_path_length_counts_cas_that_are_not_self_issued() {
    let root = Authority::with("Root", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    accepted(&judge(&root.client(7), &[], &[&root], &[]));
    let below = root.intermediate("Below");
    let verdict = judge(&below.client(7), &[&below.certificate()], &[&root], &[]);
    refused(
        &verdict,
        Reason::Invalid,
        "has pathlen:0, and 1 CAs stand below it",
    );
    let renewed = root.intermediate("Root");
    accepted(&judge(
        &renewed.client(7),
        &[&renewed.certificate()],
        &[&root],
        &[],
    ));
}

#[test]
fn name_constraints_bind_everything_below() {
    let root = Authority::new("Root");
    let limited = root.intermediate_with("Limited", |params| {
        params.name_constraints = Some(rcgen::NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.com".to_owned())],
            excluded_subtrees: vec![GeneralSubtree::Rfc822Name("example.org".to_owned())],
        });
    });
    let judge_names = |names: Vec<SanType>| {
        let client = limited.client_with(7, |params| params.subject_alt_names = names);
        judge(&client, &[&limited.certificate()], &[&root], &[])
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    accepted(&judge_names(vec![dns("a.example.com")]));
    accepted(&judge_names(vec![]));
    let verdict = judge_names(vec![dns("a.example.com"), dns("example.net")]);
    refused(&verdict, Reason::Invalid, "example.net (not permitted)");
    let mail = SanType::Rfc822Name("one@example.org".try_into().unwrap());
    refused(
        &judge_names(vec![mail]),
        Reason::Invalid,
        "(excluded: example.org)",
    );
    let client = limited.client_with(7, |params| {
        let kind = rcgen::DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let value = rcgen::DnValue::Ia5String("one@example.org".try_into().unwrap());
        params.distinguished_name.push(kind, value);
    });
    let verdict = judge(&client, &[&limited.certificate()], &[&root], &[]);
    refused(&verdict, Reason::Invalid, "one@example.org (excluded");
}

#[test]
fn malformed_certificates_are_refused() {
    let root = Authority::new("Root");
    let extension = |oid: &[u64], critical, value: Vec<u8>| {
        let mut extension = CustomExtension::from_oid_content(oid, value);
        extension.set_criticality(critical);
        extension
    };
    for (extensions, message) in [
        (
            vec![extension(&[1, 2, 3], true, vec![5, 0])],
            "critical extension 1.2.3",
        ),
        (
            vec![extension(&[1, 2, 3], false, vec![5, 0]); 2],
            "1.2.3 more than once",
        ),
        (
            vec![extension(&[2, 5, 29, 17], false, vec![1])],
            "malformed extension subjectAltName",
        ),
    ] {
        let client = root.client_with(7, |params| params.custom_extensions = extensions);
        refused(
            &judge(&client, &[], &[&root], &[]),
            Reason::Invalid,
            message,
        );
    }
    let client = root.client(7);
    let first = root.reissue(&client, &[0xa0, 3, 2, 1, 2], &[0xa0, 3, 2, 1, 0]);
    refused(
        &judge(&first, &[], &[&root], &[]),
        Reason::Invalid,
        "version 1",
    );
    let sha256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
    let sha384 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3];
    let torn = root.reissue(&client, &sha256, &sha384);
    refused(
        &judge(&torn, &[], &[&root], &[]),
        Reason::Invalid,
        "two different signature",
    );
    let known = root.client_with(7, |params| {
        params.custom_extensions = vec![extension(&[1, 2, 3], false, vec![5, 0])];
    });
    accepted(&judge(&known, &[], &[&root], &[]));
}

#[test]
fn the_way_that_works_is_found_among_cross_signed_cas() {
    let (old, new) = (Authority::new("Old"), Authority::new("New"));
    let below = old.intermediate("Below");
    let cross = new.cross_sign(&below);
    let client = below.client(7);
    let sent = [&below.certificate(), &cross];
    for trusted in [&old, &new] {
        let verdict = judge(&client, &sent, &[trusted], &[]);
        accepted(&verdict);
        assert_eq!(verdict.path[2].certificate, trusted.certificate());
    }
    // One of the two is revoked, the other one is not.
    let revoked = vec![[&[0], below.certificate().serial.as_bytes()].concat()];
    let crl = old.crl_of(&CrlParts {
        serials: revoked,
        ..CrlParts::default()
    });
    let verdict = judge(&client, &sent, &[&old, &new], &[crl]);
    accepted(&verdict);
    assert_eq!(verdict.path[2].certificate, new.certificate());
}

#[test]
fn of_several_ways_that_fail_the_one_that_gets_furthest_is_told() {
    let expired = Authority::with("Expired", |params| params.not_after = NOW - Duration::HOUR);
    let sound = Authority::new("Sound");
    let below = expired.intermediate("Below");
    let cross = sound.cross_sign(&below);
    let client = below.client(7);
    let crls = [below.crl(&[7])];
    for sent in [
        [&below.certificate(), &cross],
        [&cross, &below.certificate()],
    ] {
        let verdict = judge(&client, &sent, &[&expired, &sound], &crls);
        refused(&verdict, Reason::CrlHit, "is revoked");
        let verdict = judge(&client, &sent, &[&expired], &crls);
        refused(&verdict, Reason::Expired, "CN=Expired");
    }
}

#[test]
fn of_several_ways_that_lead_nowhere_the_one_that_gets_furthest_is_told() {
    let edwards = Authority::with_algorithm("Root", &rcgen::PKCS_ED25519);
    let (other, below) = (Authority::new("Second Root"), Authority::new("Below"));
    let sent = [edwards.cross_sign(&below), other.cross_sign(&below)];
    let client = below.client(7);
    let stranger = Authority::new("Stranger");
    for order in [[&sent[0], &sent[1]], [&sent[1], &sent[0]]] {
        let verdict = judge(&client, &order, &[&stranger], &[]);
        refused(&verdict, Reason::Untrusted, "has the issuer of CN=Below");
    }
    let verdict = judge(&client, &[&sent[0]], &[&stranger], &[]);
    refused(&verdict, Reason::TypeUnsupported, "signed with Ed25519");
}

#[test]
fn circles_of_cross_signed_cas_cost_little() {
    let cas: Vec<Authority> = (0..12).map(|_| Authority::new("Same")).collect();
    let mut sent = Vec::new();
    for one in &cas {
        sent.extend(cas.iter().map(|other| one.cross_sign(other)));
    }
    let sent: Vec<&Certificate> = sent.iter().collect();
    let client = cas[0].client(7);
    let trusted = Authority::new("Same");
    let began = std::time::Instant::now();
    let verdict = judge(&client, &sent, &[&trusted], &[]);
    assert!(verdict.refusal.is_some());
    assert!(codes(&verdict).contains(&"search-cut-off"));
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn looking_through_half_a_million_entries_is_faster_than_reading_them() {
    let root = Authority::new("Root");
    let serial = |number: u32| [&[0x40], &number.to_be_bytes()[..]].concat();
    let crl = root.crl_of(&CrlParts {
        serials: (0..500_000).map(serial).collect(),
        ..CrlParts::default()
    });
    let began = std::time::Instant::now();
    let crls = [Crl::from_der(&crl.der).unwrap()];
    let reading = began.elapsed();
    let client = root.client_with(7, |params| {
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&serial(499_999)));
    });
    let bundle = [root.certificate()];
    let began = std::time::Instant::now();
    let verdict = judge_with(&client, &[], &bundle, &crls, &CheckOptions::at(NOW));
    let checking = began.elapsed();
    refused(&verdict, Reason::CrlHit, "serial 400007A11F");
    assert!(checking < reading, "{checking:?} {reading:?}");
}

/// What a generated client is judged by.
#[derive(Clone, Debug)]
struct Situation {
    intermediates: usize,
    days: i64,
    revoked: Vec<usize>,
    sends_all: bool,
}

fn situations() -> impl Strategy<Value = Situation> {
    let revoked = proptest::collection::vec(0..4_usize, 0..2);
    (0..4_usize, -400..4000_i64, revoked, any::<bool>()).prop_map(
        |(intermediates, days, revoked, sends_all)| Situation {
            intermediates,
            days,
            revoked,
            sends_all,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_is_let_in_without_an_anchor_or_with_a_revoked_serial(situation in situations()) {
        let mut cas = vec![Authority::new("Root")];
        for index in 0..situation.intermediates {
            let next = cas[index].intermediate(&format!("CA {index}"));
            cas.push(next);
        }
        let client = cas[situation.intermediates].client(7);
        let mut chain: Vec<Certificate> = cas.iter().map(Authority::certificate).collect();
        chain.push(client.clone());
        let crl_with = |ca: &Authority, member: Option<&Certificate>| {
            let serials = member.map(|one| [&[0], one.serial.as_bytes()].concat());
            ca.crl_of(&CrlParts {
                serials: serials.into_iter().collect(),
                ..CrlParts::default()
            })
        };
        let revoked = |index: usize| situation.revoked.contains(&index);
        let crls: Vec<Crl> = cas
            .iter()
            .enumerate()
            .map(|(index, ca)| crl_with(ca, chain.get(index + 1).filter(|_| revoked(index))))
            .collect();
        let sent: Vec<&Certificate> = if situation.sends_all {
            chain[1..].iter().collect()
        } else {
            Vec::new()
        };
        let options = CheckOptions::at(NOW + Duration::days(situation.days));
        let bundle = [chain[0].clone()];
        let verdict = judge_with(&client, &sent, &bundle, &crls, &options);
        let is_complete = situation.sends_all || situation.intermediates == 0;
        let is_valid = (0..=3287).contains(&situation.days);
        let is_revoked = (0..cas.len()).any(revoked);
        let expected = is_complete && is_valid && !is_revoked && situation.intermediates < 3;
        prop_assert_eq!(verdict.is_accepted(), expected, "{:?}", verdict);

        let other = [Authority::new("Root").certificate()];
        prop_assert!(!judge_with(&client, &sent, &other, &crls, &options).is_accepted());
        let last = &cas[situation.intermediates];
        let crls = [crls, vec![crl_with(last, Some(&client))]].concat();
        prop_assert!(!judge_with(&client, &sent, &bundle, &crls, &options).is_accepted());
    }

    #[test]
    fn damaged_certificates_are_never_let_in_and_never_a_panic(
        index in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let (root, below, client) = family();
        let mut der = client.der.clone();
        let at = index.index(der.len());
        der[at] ^= flip;
        if let Ok(damaged) = Certificate::from_der(&der) {
            let sent = below.certificate();
            prop_assert!(!judge(&damaged, &[&sent], &[&root], &[]).is_accepted());
        }
    }
}

#[test]
fn the_rules_are_those_of_a_listener_with_its_defaults() {
    let options = CheckOptions::at(OffsetDateTime::UNIX_EPOCH);
    assert_eq!(options.maximum_depth, MAXIMUM_DEPTH);
    assert_eq!(options.purpose, Purpose::Client);
    assert!(!options.ignore_client_certificate_expiry);
}

#[test]
fn a_revoked_intermediate_stays_revoked_however_many_decoys_a_client_sends() {
    let root = Authority::new("Root");
    let revoked = root.intermediate_with("Revoked", |params| {
        params.serial_number = Some(rcgen::SerialNumber::from_slice(&[5]));
    });
    let below = revoked.intermediate("Below");
    let client = below.client(7);
    let crls = [root.crl(&[5])];
    let decoys: Vec<Certificate> = (0..260)
        .map(|_| Authority::new("Below").certificate())
        .collect();
    let below = below.certificate();
    let sent: Vec<&Certificate> = std::iter::once(&below).chain(&decoys).collect();
    let bundle = [root.certificate(), revoked.certificate()];
    // Where the limit is reached depends on the number of decoys; it must never matter.
    for count in [1, 250, 251, 252, 253, 254, 255, 256, 257, 261] {
        let options = CheckOptions::at(NOW);
        let verdict = judge_with(&client, &sent[..count], &bundle, &crls, &options);
        assert!(!verdict.is_accepted(), "{count}: {:?}", codes(&verdict));
    }
    let verdict = judge_with(&client, &sent[..1], &bundle, &crls, &CheckOptions::at(NOW));
    refused(&verdict, Reason::CrlHit, "CN=Revoked");
}
