//! Damaged and random bytes: whatever they are, they are read or refused, and never worse.
//!
//! `PROPTEST_CASES` says how many are tried of each; `fuzz/` goes further.

use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any, prop_oneof};

use super::fixtures::{Authority, CrlParts, NOW, extension, tlv};
use super::{
    Bundle, Certificate, Crl, PrivateKey, SourceFile, lint_bundle, lint_client, lint_crls,
    lint_sources, lint_succession,
};

/// How many cases are tried where nobody says otherwise: a second's worth.
const CASES: u32 = 2_000;

/// Good files of every kind, to be damaged.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        let root = Authority::with("Root", |params| {
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: vec![rcgen::GeneralSubtree::DnsName("example.com".to_owned())],
                excluded_subtrees: Vec::new(),
            });
            params.use_authority_key_identifier_extension = true;
        });
        let below = root.intermediate("Below");
        let client = below.client(7);
        let crl = root.crl_of(&CrlParts {
            serials: vec![vec![0, 0x80], vec![0x80], vec![1, 2, 3]],
            extensions: vec![
                extension(&[0x55, 0x1d, 20], false, &tlv(0x02, &[1])),
                extension(&[0x55, 0x1d, 28], true, &tlv(0x30, &tlv(0x84, &[0xff]))),
            ],
            ..CrlParts::default()
        });
        let chain = [
            client.pem(),
            below.certificate().pem(),
            root.certificate().pem(),
        ]
        .concat();
        let text = format!("Certificate:\r\n# a - b\n\n{}{}", chain, crl.pem());
        vec![
            chain.into_bytes(),
            text.into_bytes(),
            client.der.clone(),
            root.certificate().der,
            [below.certificate().der, crl.der.clone()].concat(),
            crl.pem().into_bytes(),
            crl.der,
        ]
    })
}

/// One damage: a place, how many bytes go there, and what comes instead.
type Damage = (usize, usize, Vec<u8>);

/// Files with a few places damaged.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![vec(any::<u8>(), 0..4), vec(0x30..0x32_u8, 1..2)];
    let damage = (any::<usize>(), 0..4_usize, bytes);
    (0..samples().len(), vec(damage, 1..6)).prop_map(|(sample, damages): (usize, Vec<Damage>)| {
        let mut file = samples()[sample].clone();
        for (place, length, new) in damages {
            let start = place % (file.len() + 1);
            let end = (start + length).min(file.len());
            file.splice(start..end, new);
        }
        file
    })
}

/// Does everything with a file that is done with files of users.
fn use_all(bytes: &[u8]) {
    PrivateKey::from_bytes(bytes).ok();
    if let Ok(crls) = Crl::all_from_bytes(bytes) {
        for crl in &crls {
            assert!(crl.serials.is_sorted());
            let again = Crl::all_from_bytes(crl.pem().as_bytes()).unwrap();
            assert_eq!(again, std::slice::from_ref(crl));
        }
        lint_succession(&crls[..1], &crls);
    }
    let Ok(file) = SourceFile::from_bytes("file", bytes) else {
        return;
    };
    let bundle: Bundle = file.certificates().cloned().collect();
    let crls: Vec<&Crl> = file.crls().collect();
    let certificates: Vec<Certificate> = bundle.certificates().to_vec();
    lint_bundle(&bundle, NOW);
    lint_crls(&crls, &bundle, NOW);
    lint_client(&certificates, &bundle, &crls, NOW);
    lint_sources(&[file]);
    if !certificates.is_empty() {
        let again = Bundle::from_bytes(&[("again", bundle.pem())]).unwrap();
        assert_eq!(again.pem(), bundle.pem());
    }
}

#[test]
fn good_files_are_read_whole() {
    let counts: Vec<(usize, usize)> = samples()
        .iter()
        .map(|bytes| SourceFile::from_bytes("file", bytes).unwrap())
        .map(|file| (file.certificates().count(), file.crls().count()))
        .collect();
    assert_eq!(
        counts,
        [(3, 0), (3, 1), (1, 0), (1, 0), (1, 1), (0, 1), (0, 1)]
    );
}

/// The settings of proptest, with more cases.
fn settings() -> ProptestConfig {
    let mut settings = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        settings.cases = CASES;
    }
    settings
}

proptest::proptest! {
    #![proptest_config(settings())]

    #[test]
    fn damaged_files_do_no_harm(bytes in damaged()) {
        use_all(&bytes);
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..200)) {
        use_all(&bytes);
        let sequence = tlv(0x30, &bytes);
        use_all(&sequence);
        use_all(&tlv(0x30, &sequence));
    }
}
