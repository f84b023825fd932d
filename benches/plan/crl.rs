//! How long a refresh of a large CRL takes, and how much memory.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;

use crate::program::{Program, Served, report};

/// How many serials the CRL revokes.
pub(crate) const SERIALS: u64 = 200_000;
const COMMAND: [&str; 3] = ["crl", "refresh", "--sandbox"];

/// A CA that publishes large CRLs, each with one serial more than the one before.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    now: OffsetDateTime,
    published: Arc<Mutex<Vec<u8>>>,
}

/// Swaps a large CRL for the next one, twice for the time and once for the memory.
pub(crate) fn measure(directory: &Path) {
    let stack = directory.join("crl");
    fs::create_dir_all(&stack).expect("can be made");
    let authority = Authority::new();
    let url = authority.serve();
    let text = format!(
        "name: large\nregion: ap-northeast-1\n\
         trust_store: {{ ca_bundle: [ca.pem], crls: [{url}], allow_private_addresses: true }}\n"
    );
    fs::write(stack.join("stack.yaml"), text).expect("can be written");
    fs::write(stack.join("ca.pem"), authority.certificate()).expect("can be written");
    let program = Program::in_directory(&stack);
    authority.publish(1);
    program.run(&["apply", "--sandbox", "--yes"]);
    let _served = Served::start(&stack, Duration::ZERO);
    let mut swaps = Vec::new();
    for number in [2, 3] {
        authority.publish(number);
        let began = Instant::now();
        program.run(&COMMAND);
        swaps.push(began.elapsed());
    }
    let quickest = swaps.iter().min().expect("there are some");
    report("swap", &format!("{quickest:.1?}"));
    authority.publish(4);
    report("peak memory of a swap", &program.peak_memory(&COMMAND));
    report("nothing new", &program.times(&COMMAND).to_string());
    report("plan", &program.times(&["plan", "--sandbox"]).to_string());
}

impl Authority {
    fn new() -> Self {
        let now = OffsetDateTime::now_utc();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "Large CA");
        params.not_after = now + time::Duration::days(3650);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self {
            params,
            key: KeyPair::generate().expect("there is randomness"),
            now,
            published: Arc::default(),
        }
    }

    fn certificate(&self) -> String {
        self.params
            .self_signed(&self.key)
            .expect("can be signed")
            .pem()
    }

    /// Publishes the CRL of this number.
    fn publish(&self, number: u64) {
        let revoked = |serial: u64| RevokedCertParams {
            // As long as serials are.
            serial_number: SerialNumber::from((u128::from(serial) << 60).to_be_bytes().to_vec()),
            revocation_time: self.now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: self.now - time::Duration::hours(1),
            next_update: self.now + time::Duration::days(30),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: (1..=SERIALS + number).map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        let crl = params.signed_by(&issuer).expect("can be signed");
        let mut published = self
            .published
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *published = crl.der().to_vec();
    }

    /// Serves what is published; gives the URL.
    fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("is bound");
        let published = Arc::clone(&self.published);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = BufReader::new(stream.try_clone().expect("is a socket"));
                request.lines().map_while(Result::ok).find(String::is_empty);
                let body = published.lock().unwrap_or_else(PoisonError::into_inner);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let answer = [head.as_bytes(), &body].concat();
                // A client that has gone away needs no answer.
                stream.write_all(&answer).ok();
            }
        });
        format!("http://{address}/ca.crl")
    }
}
