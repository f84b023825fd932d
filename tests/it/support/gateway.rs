//! A stack whose listener can be connected to, and TLS clients for it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, SignatureScheme, StreamOwned,
    SupportedProtocolVersion,
};

use super::{Aws, Scenario, authority};

/// The name that clients ask for.
const NAME: &str = "api.example.com";

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client's certificates and its key.
#[derive(Clone)]
pub(crate) struct Identity {
    /// The chain, PEM, the client's own certificate first.
    pub(crate) chain: String,
    /// The key, PEM.
    pub(crate) key: String,
}

impl From<(String, String)> for Identity {
    fn from((chain, key): (String, String)) -> Self {
        Self { chain, key }
    }
}

impl Identity {
    /// The same with more certificates behind its own.
    pub(crate) fn with(mut self, certificate: &str) -> Self {
        self.chain.push_str(certificate);
        self
    }

    fn certified(&self) -> CertifiedKey {
        let chain = CertificateDer::pem_slice_iter(self.chain.as_bytes());
        let chain = chain.collect::<Result<_, _>>().expect("is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("is PEM");
        CertifiedKey::new(chain, any_supported_type(&key).expect("is a key"))
    }
}

/// What one client is and does.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// Who it is.
    pub(crate) identity: Option<&'a Identity>,
    /// Which versions of TLS it speaks.
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    /// Header lines that it sends.
    pub(crate) headers: &'a str,
}

/// Sends a certificate whatever the server asks for, and remembers the names that it was told.
#[derive(Debug)]
struct Sends {
    certified: Option<Arc<CertifiedKey>>,
    told: Mutex<Vec<Vec<u8>>>,
}

impl ResolvesClientCert for Sends {
    fn resolve(&self, names: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let names = names.iter().map(|name| name.to_vec());
        self.told
            .lock()
            .expect("nobody panics with it")
            .extend(names);
        self.certified.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// What a client saw.
pub(crate) struct Seen {
    /// The answer, if there was one.
    pub(crate) answer: Result<String, String>,
    /// The names of CAs that the server told, in DER.
    pub(crate) names: Vec<Vec<u8>>,
}

/// A served stack.
pub(crate) struct Gateway {
    pub(crate) scenario: Scenario,
    pub(crate) aws: Aws,
    /// The socket of the HTTPS listener.
    pub(crate) address: SocketAddr,
    /// The CA of the server's certificate, PEM.
    pub(crate) authority: String,
}

impl Gateway {
    /// Applies a stack and serves it.
    pub(crate) fn of(stack: &str) -> Self {
        Self::serving(Scenario::stack(stack).applied(), &[])
    }

    /// Serves a stack that was applied, with these options.
    pub(crate) fn serving(scenario: Scenario, options: &[&str]) -> Self {
        let aws = scenario.serve(options);
        let address = socket(&aws, "HTTPS", 443).expect("there is an HTTPS listener");
        let authority = aws.control("GET", "ca", "").ok().body;
        Self {
            scenario,
            aws,
            address,
            authority,
        }
    }

    /// The socket of a listener.
    pub(crate) fn socket(&self, protocol: &str, port: u16) -> Option<SocketAddr> {
        socket(&self.aws, protocol, port)
    }

    /// Who the tests' CA lets in.
    pub(crate) fn good() -> Identity {
        authority().client_with("Good", 100, |_| {}).into()
    }

    /// A client with this identity that speaks everything.
    pub(crate) fn get(&self, identity: Option<&Identity>) -> Result<String, String> {
        let attempt = Attempt {
            identity,
            versions: rustls::ALL_VERSIONS,
            headers: "",
        };
        self.attempt(attempt).answer
    }

    /// Connects and asks for `/pets`.
    pub(crate) fn attempt(&self, attempt: Attempt<'_>) -> Seen {
        attempt_at(self.address, &self.authority, attempt)
    }

    /// Connects twice with what the first connection left behind; how the second one came about.
    pub(crate) fn again(&self, attempt: Attempt<'_>) -> Answered {
        let (config, _) = config(&self.authority, attempt);
        let once = || exchange(self.address, &config, "").expect("is let in");
        once();
        once()
    }

    /// The protocol that the listener chooses of these.
    pub(crate) fn chosen(&self, attempt: Attempt<'_>, protocols: &[&str]) -> String {
        let (mut config, _) = config(&self.authority, attempt);
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        Arc::get_mut(&mut config)
            .expect("is not shared")
            .alpn_protocols = protocols.collect();
        let name = ServerName::try_from(NAME).expect("is a name");
        let mut client = ClientConnection::new(config, name).expect("can be made");
        let mut stream = TcpStream::connect(self.address).expect("is there");
        while client.is_handshaking() {
            client.complete_io(&mut stream).expect("is let in");
        }
        String::from_utf8_lossy(client.alpn_protocol().expect("one was chosen")).into_owned()
    }

    /// Sets an attribute of the load balancer.
    pub(crate) fn set_attribute(&self, key: &str, value: &str) {
        let balancer = self.scenario.id("load_balancer");
        let call = [
            ("Action", "ModifyLoadBalancerAttributes"),
            ("LoadBalancerArn", balancer.as_str()),
            ("Attributes.member.1.Key", key),
            ("Attributes.member.1.Value", value),
        ];
        self.aws.query("elasticloadbalancing", &call).ok();
    }

    /// Switches the logs of the load balancer on, into the bucket `logs`.
    pub(crate) fn write_logs(&self) {
        self.aws.make_bucket("logs");
        let policy = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
                "Action": "s3:PutObject",
                "Resource": "arn:aws:s3:::logs/*",
            }],
        });
        self.aws
            .rest(("s3", "PUT", "/logs?policy"), policy.to_string())
            .ok();
        let balancer = self.scenario.id("load_balancer");
        let mut call = vec![
            (
                "Action".to_owned(),
                "ModifyLoadBalancerAttributes".to_owned(),
            ),
            ("LoadBalancerArn".to_owned(), balancer),
        ];
        let attributes = ["connection_logs", "access_logs"].map(|log| {
            [
                (format!("{log}.s3.enabled"), "true".to_owned()),
                (format!("{log}.s3.bucket"), "logs".to_owned()),
                (format!("{log}.s3.prefix"), "edge".to_owned()),
            ]
        });
        for (index, (key, value)) in (1..).zip(attributes.into_iter().flatten()) {
            call.push((format!("Attributes.member.{index}.Key"), key));
            call.push((format!("Attributes.member.{index}.Value"), value));
        }
        let call: Vec<(&str, &str)> = call
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.aws.query("elasticloadbalancing", &call).ok();
    }

    /// The keys of the objects in the bucket `logs` that these words are in.
    pub(crate) fn log_keys(&self, words: &str) -> Vec<String> {
        let listed = self.aws.rest(("s3", "GET", "/logs?list-type=2"), "").ok();
        let keys = listed.body.split("<Key>").skip(1);
        let keys = keys.filter_map(|rest| rest.split("</Key>").next());
        keys.filter(|key| key.contains(words) && key.ends_with(".log.gz"))
            .map(str::to_owned)
            .collect()
    }

    /// The same once there are so many of them: a client sees its refusal before it is written down.
    pub(crate) fn so_many_log_lines(&self, words: &str, count: usize) -> Vec<String> {
        const LOOKS: usize = 300;
        let mut looks = (0..LOOKS).map(|_| self.log_lines(words));
        let found = looks.find(|lines| lines.len() >= count);
        found.unwrap_or_else(|| self.log_lines(words))
    }

    /// All lines of logs that there are, read through S3.
    pub(crate) fn log_lines(&self, words: &str) -> Vec<String> {
        self.aws.control("POST", "logs", "").ok();
        let read = |key: &String| {
            let mut text = String::new();
            let object = self.aws.object("logs", key);
            let mut decoder = GzDecoder::new(object.as_slice());
            decoder.read_to_string(&mut text).expect("is gzip");
            text
        };
        let texts: String = self.log_keys(words).iter().map(read).collect();
        texts.lines().map(str::to_owned).collect()
    }
}

fn socket(aws: &Aws, protocol: &str, port: u16) -> Option<SocketAddr> {
    let listeners = aws.control("GET", "listeners", "").ok().value();
    let mut listeners = listeners.as_array().expect("is a list").iter();
    let found =
        listeners.find(|listener| listener["protocol"] == protocol && listener["port"] == port)?;
    let address = found["address"].as_str().expect("is a text");
    Some(address.parse().expect("is an address"))
}

/// Connects to a socket and asks for `/pets`.
fn attempt_at(address: SocketAddr, authority: &str, attempt: Attempt<'_>) -> Seen {
    let (config, sends) = config(authority, attempt);
    let answer = exchange(address, &config, attempt.headers);
    let names = sends.told.lock().expect("nobody panics with it").clone();
    Seen {
        answer: answer.map(|answered| answered.text),
        names,
    }
}

fn config(authority: &str, attempt: Attempt<'_>) -> (Arc<ClientConfig>, Arc<Sends>) {
    let sends = Arc::new(Sends {
        certified: attempt
            .identity
            .map(|identity| Arc::new(identity.certified())),
        told: Mutex::default(),
    });
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("is PEM");
    roots.add(root).expect("is a CA");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(attempt.versions)
        .expect("is spoken")
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::clone(&sends) as _);
    (Arc::new(config), sends)
}

/// An answer, and how the connection came about.
pub(crate) struct Answered {
    /// The head and the body.
    pub(crate) text: String,
    /// Whether an earlier session was gone on with.
    pub(crate) is_resumed: bool,
}

/// Sends a request; what is refused is seen at the first read only.
fn exchange(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
    headers: &str,
) -> Result<Answered, String> {
    let failed = |error: std::io::Error| error.to_string();
    let stream = TcpStream::connect(address).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    let name = ServerName::try_from(NAME).expect("is a name");
    let client = ClientConnection::new(Arc::clone(config), name);
    let mut stream = StreamOwned::new(client.map_err(|error| error.to_string())?, stream);
    let request =
        format!("GET /pets HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    let is_resumed = stream.conn.handshake_kind() == Some(HandshakeKind::Resumed);
    match read {
        Err(error) if text.is_empty() => Err(error.to_string()),
        _ if text.is_empty() => Err("closed".to_owned()),
        _ => Ok(Answered { text, is_resumed }),
    }
}
