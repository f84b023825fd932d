//! Many clients at once, and clients that send nonsense: neither confuses the data plane.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::acts::{in_parallel, tell};
use crate::support::{Authority, Gateway, Identity, PETSTORE, authority};

/// How many clients there are at once.
const CLIENTS: usize = 200;

/// How much memory the process may take, in MiB.
const MEMORY: u64 = 400;

/// A number of the environment.
fn setting(variable: &str, default: u64) -> u64 {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| text.parse().expect("is a number"))
}

/// The memory of a process in MiB, as the kernel counts it; the most that there was.
fn memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(peak.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}

#[test]
fn two_hundred_clients_at_once_get_the_right_verdicts() {
    let gateway = Gateway::of(PETSTORE);
    gateway.write_logs();
    let unknown = Authority::new("Other").client_with("Unknown", 1, |_| {});
    let kinds: [(Identity, bool); 3] = [
        (Gateway::good(), true),
        (authority().client_with("Revoked", 2, |_| {}).into(), false),
        (unknown.into(), false),
    ];
    let end = Instant::now() + Duration::from_secs(setting("MTLSGW_LOAD_SECONDS", 3));
    let (right, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for index in 0..CLIENTS {
            let (identity, is_let_in) = &kinds[index % kinds.len()];
            let (gateway, right, wrong) = (&gateway, &right, &wrong);
            scope.spawn(move || {
                // Everybody once, however long it takes.
                loop {
                    let answer = gateway.get(Some(identity));
                    let is_refused = answer.as_ref().is_err_and(|error| error.contains("alert"));
                    let is_right = if *is_let_in {
                        answer.is_ok()
                    } else {
                        is_refused
                    };
                    let tally = if is_right { right } else { wrong };
                    tally.fetch_add(1, Ordering::Relaxed);
                    if Instant::now() >= end {
                        break;
                    }
                }
            });
        }
    });
    let (right, wrong) = (right.into_inner(), wrong.into_inner());
    let peak = memory(gateway.aws.process());
    tell(&format!(
        "{right} right verdicts, {wrong} wrong ones, {peak:?} MiB at most"
    ));
    assert_eq!(wrong, 0);
    assert!(right >= CLIENTS);
    assert!(peak.is_none_or(|peak| peak < MEMORY), "{peak:?} MiB");
    let logged = gateway.so_many_log_lines("conn_log_", right);
    assert_eq!(logged.len(), right);
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("is an index")
    }
}

/// What a client says first.
fn client_hello() -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("is spoken")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("api.example.com").expect("is a name");
    let mut client = ClientConnection::new(Arc::new(config), name).expect("can be made");
    let mut hello = Vec::new();
    client.write_tls(&mut hello).expect("memory takes it");
    hello
}

/// The same bytes with some of them changed, left out, doubled or cut off.
fn mutated(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(6) {
        let place = random.below(bytes.len().max(1));
        match random.below(6) {
            0 => bytes.truncate(place),
            1 => {
                let end = (place + random.below(64)).min(bytes.len());
                let again = bytes[place.min(end)..end].to_vec();
                bytes.splice(place..place, again);
            }
            2 if place < bytes.len() => _ = bytes.remove(place),
            3 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
            4 if place < bytes.len() => bytes[place] = 0xff,
            _ if place < bytes.len() => {
                bytes[place] = u8::try_from(random.below(256)).expect("fits");
            }
            _ => bytes.push(0),
        }
    }
    bytes
}

/// Sends bytes and waits for the end of the connection.
fn send(address: SocketAddr, bytes: &[u8]) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("is not zero");
    // The other side may have had enough of it already.
    stream.write_all(bytes).ok();
    stream.shutdown(Shutdown::Write).ok();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err("hangs".to_owned()),
        _ => Ok(()),
    }
}

#[test]
fn nonsense_neither_crashes_nor_hangs_it() {
    let gateway = Gateway::of(PETSTORE);
    let balancer = gateway.scenario.id("load_balancer");
    let call = [
        ("Action", "CreateListener"),
        ("LoadBalancerArn", balancer.as_str()),
        ("Protocol", "HTTP"),
        ("Port", "80"),
        ("DefaultActions.member.1.Type", "fixed-response"),
        (
            "DefaultActions.member.1.FixedResponseConfig.StatusCode",
            "200",
        ),
    ];
    gateway.aws.query("elasticloadbalancing", &call).ok();
    open_to_all(&gateway, &balancer);
    let plain = gateway.socket("HTTP", 80).expect("there is one");
    let request = b"POST /pets?a=b HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 5\r\n\
                    Transfer-Encoding: chunked\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let hello = client_hello();
    let count = setting("MTLSGW_MUTATIONS", 600);
    let seeds: Vec<u64> = (1..=count).collect();
    let failures = in_parallel(&seeds, |seed| {
        let (address, bytes) = match seed % 2 {
            0 => (gateway.address, hello.as_slice()),
            _ => (plain, request.as_slice()),
        };
        send(address, &mutated(bytes, *seed)).map_err(|error| format!("seed {seed}: {error}"))
    });
    assert_eq!(failures, [""; 0]);
    assert!(gateway.get(Some(&Gateway::good())).is_ok());
    send(plain, request).expect("still serves");
    let peak = memory(gateway.aws.process());
    tell(&format!("{count} mutated inputs, {peak:?} MiB at most"));
}

/// Lets everybody reach port 80 of a load balancer.
fn open_to_all(gateway: &Gateway, balancer: &str) {
    let call = [
        ("Action", "DescribeLoadBalancers"),
        ("LoadBalancerArns.member.1", balancer),
    ];
    let described = gateway.aws.query("elasticloadbalancing", &call).ok();
    let groups = described.element("SecurityGroups");
    let group = groups.split("<member>").nth(1).expect("has one");
    let group = group.split("</member>").next().expect("ends");
    let call = [
        ("Action", "AuthorizeSecurityGroupIngress"),
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "80"),
        ("IpPermissions.1.ToPort", "80"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ];
    gateway.aws.query("ec2", &call).ok();
}
