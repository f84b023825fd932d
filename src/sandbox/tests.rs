//! The sandbox as its clients see it: over HTTP, from a directory.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{
    ACCOUNT, Options, Rates, Reach, Running, SandboxError, Timing, calls, control, dump, open,
    reset, serve, set_host, set_quota,
};

const PLACE: &str = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";

fn directory() -> TempDir {
    TempDir::new().expect("can be made")
}

fn options(directory: &Path) -> Options {
    Options {
        faults: Vec::new(),
        timing: Timing::Instant,
        ..Options::new(directory).expect("has no settings")
    }
}

async fn with_faults(directory: &Path, faults: &str) -> Running {
    let faults = super::fault::parse_list(faults).expect("are faults");
    open(Options {
        faults,
        ..options(directory)
    })
    .await
    .expect("opens")
}

/// Sends a signed request, and returns the status and the answer; nothing if there was none.
async fn send(
    running: &Running,
    service: &str,
    request: (&str, &str),
    body: &str,
) -> Option<(u16, String)> {
    let scope = format!("AKID/20260101/eu-west-1/{service}/aws4_request");
    let value = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00");
    send_with(
        running,
        &format!("Authorization: {value}\r\n"),
        request,
        body,
    )
    .await
}

async fn send_with(
    running: &Running,
    headers: &str,
    request: (&str, &str),
    body: &str,
) -> Option<(u16, String)> {
    let host = running.endpoint_url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("is served");
    let ((method, path), length) = (request, body.len());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n"
    );
    stream
        .write_all(format!("{head}{headers}\r\n{body}").as_bytes())
        .await
        .expect("is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let status = answer.get(9..12)?.parse().ok()?;
    Some((status, answer))
}

async fn identity(running: &Running) -> Option<(u16, String)> {
    send(
        running,
        "sts",
        ("POST", "/"),
        "Action=GetCallerIdentity&Version=2011-06-15",
    )
    .await
}

async fn make_bucket(running: &Running, name: &str) -> Option<u16> {
    send(running, "s3", ("PUT", &format!("/{name}")), PLACE)
        .await
        .map(|(status, _)| status)
}

async fn bucket_exists(running: &Running, name: &str) -> bool {
    let answer = send(running, "s3", ("HEAD", &format!("/{name}")), "").await;
    answer.is_some_and(|(status, _)| status == 200)
}

#[tokio::test]
async fn the_caller_is_known_and_everything_survives_the_process() {
    let directory = directory();
    let running = open(options(directory.path())).await.expect("opens");
    let (status, answer) = identity(&running).await.expect("answers");
    assert!(status == 200 && answer.contains(ACCOUNT), "{answer}");
    assert_eq!(make_bucket(&running, "logs").await, Some(200));
    running.shutdown().await;
    let running = open(options(directory.path())).await.expect("opens");
    assert!(bucket_exists(&running, "logs").await);
    running.shutdown().await;
    let counts = calls(directory.path()).expect("can be read");
    assert_eq!(counts["s3:CreateBucket"], 1);
    assert!(dump(directory.path()).expect("can be read")["s3"]["buckets"]["logs"].is_object());
}

#[tokio::test]
async fn a_second_process_uses_the_firsts_sandbox_and_the_first_waits_for_it() {
    let directory = directory();
    let first = open(options(directory.path())).await.expect("opens");
    let second = open(Options {
        timing: Timing::Realistic,
        ..options(directory.path())
    })
    .await
    .expect("opens");
    assert_eq!(first.endpoint_url(), second.endpoint_url());
    assert_eq!(second.timing(), Timing::Instant);
    let refused = serve(options(directory.path()), |_| (), |_| (), async {}).await;
    assert!(matches!(refused, Err(SandboxError::Served { .. })));
    let mut ending = Box::pin(first.shutdown());
    let early = tokio::time::timeout(Duration::from_millis(200), &mut ending).await;
    assert!(
        early.is_err(),
        "the first ended while the second was using it"
    );
    assert!(identity(&second).await.is_some());
    second.shutdown().await;
    ending.await;
    assert!(!directory.path().join("server.json").exists());
}

#[tokio::test]
async fn faults_strike_before_and_after_the_effect() {
    let directory = directory();
    let faults = "CreateBucket#1=500 CreateBucket#2=fail-after CreateBucket#3=lose-reply CreateBucket#4=throttle \
                  CreateBucket#5=deny CreateBucket#6=fail:Oops:418";
    let running = with_faults(directory.path(), faults).await;
    for (name, status, exists) in [
        ("before", Some(500), false),
        ("after", Some(500), true),
        ("lost", None, true),
        ("throttled", Some(503), false),
        ("denied", Some(403), false),
        ("failed", Some(418), false),
        ("fine", Some(200), true),
    ] {
        assert_eq!(make_bucket(&running, name).await, status, "{name}");
        assert_eq!(bucket_exists(&running, name).await, exists, "{name}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn a_stale_read_sees_what_was_before_the_services_last_write() {
    let directory = directory();
    let running = with_faults(directory.path(), "HeadBucket=stale:2").await;
    assert_eq!(make_bucket(&running, "new").await, Some(200));
    assert!(!bucket_exists(&running, "new").await);
    assert!(!bucket_exists(&running, "new").await);
    assert!(bucket_exists(&running, "new").await);
    running.shutdown().await;
}

#[tokio::test]
async fn a_write_can_be_unseen_by_the_next_reads_of_each_operation() {
    let directory = directory();
    let running = with_faults(directory.path(), "CreateBucket=stale-reads:2").await;
    assert_eq!(make_bucket(&running, "new").await, Some(200));
    for exists in [false, false, true] {
        assert_eq!(bucket_exists(&running, "new").await, exists);
    }
    let list = || send(&running, "s3", ("GET", "/"), "");
    for listed in [false, false, true] {
        let (_, text) = list().await.expect("answers");
        assert_eq!(text.contains("<Name>new</Name>"), listed, "{text}");
    }
    running.shutdown().await;
}

#[tokio::test]
async fn documented_rates_are_kept_on_the_sandboxs_clock() {
    let directory = directory();
    let timing = Timing::Scaled(0.001);
    let running = open(Options {
        rates: Rates::Documented,
        timing,
        ..options(directory.path())
    })
    .await
    .expect("opens");
    let mut statuses = Vec::new();
    for _ in 0..51 {
        let answer = send(&running, "route53", ("GET", "/2013-04-01/hostedzone"), "").await;
        statuses.push(answer.map(|(_, text)| text.contains("<Code>Throttling</Code>")));
    }
    assert_eq!(
        statuses
            .iter()
            .filter(|throttled| **throttled == Some(true))
            .count(),
        1
    );
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_or_not_modelled_is_refused() {
    let directory = directory();
    let running = open(options(directory.path())).await.expect("opens");
    let (_, answer) = send(&running, "iam", ("POST", "/"), "Action=ListUsers")
        .await
        .expect("answers");
    assert!(
        answer.contains("the sandbox does not model the service `iam`"),
        "{answer}"
    );
    let (_, answer) = send(
        &running,
        "sts",
        ("POST", "/"),
        "Action=AssumeRole&Version=2011-06-15",
    )
    .await
    .expect("answers");
    assert!(
        answer.contains("the sandbox does not model the operation `AssumeRole`"),
        "{answer}"
    );
    let classic = "Action=DescribeLoadBalancers&Version=2012-06-01";
    let (_, answer) = send(&running, "elasticloadbalancing", ("POST", "/"), classic)
        .await
        .expect("answers");
    assert!(answer.contains("of version 2012-06-01"), "{answer}");
    let (status, answer) = send_with(&running, "", ("GET", "/"), "")
        .await
        .expect("answers");
    assert!(
        status == 403 && answer.contains("<Code>MissingAuthenticationToken</Code>"),
        "{answer}"
    );
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_and_a_new_beginning_reach_a_running_sandbox_and_a_resting_one() {
    let directory = directory();
    set_quota(directory.path(), "L-1", 5).expect("can be set");
    let running = open(options(directory.path())).await.expect("opens");
    set_quota(directory.path(), "L-2", 6).expect("can be set");
    let quotas = dump(directory.path()).expect("can be read")["quotas"].clone();
    assert_eq!(quotas, serde_json::json!({ "L-1": 5, "L-2": 6 }));
    assert_eq!(make_bucket(&running, "logs").await, Some(200));
    reset(directory.path()).expect("begins anew");
    assert!(!bucket_exists(&running, "logs").await);
    assert_eq!(make_bucket(&running, "logs").await, Some(200));
    running.shutdown().await;
    reset(directory.path()).expect("begins anew");
    let running = open(options(directory.path())).await.expect("opens");
    assert!(!bucket_exists(&running, "logs").await);
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_let_pass_by_the_control_endpoint() {
    let directory = directory();
    let running = open(options(directory.path())).await.expect("opens");
    let now = || {
        let answer = control::send(running.endpoint_url(), ("GET", "timing"), "").expect("answers");
        serde_json::from_str::<serde_json::Value>(&answer).expect("is JSON")["now"]
            .as_i64()
            .expect("is a number")
    };
    let before = now();
    control::send(running.endpoint_url(), ("POST", "clock"), "259200").expect("lets time pass");
    assert!(now() >= before + 259_200_000);
    assert!(control::send(running.endpoint_url(), ("POST", "faults"), "nonsense").is_err());
    running.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_addresses_of_the_network_are_told() {
    let directory = directory();
    let running = open(options(directory.path())).await.expect("opens");
    let server: std::net::SocketAddr = "127.0.0.1:8443".parse().expect("an address");
    set_host(directory.path(), "203.0.113.77:443", Some(server)).expect("can be set");
    let reached = running.connect_address("203.0.113.77", 443).await;
    assert_eq!(reached.expect("answers"), Reach::Socket(server));
    let reached = running.connect_address("10.0.0.1", 443).await;
    assert_eq!(reached.expect("answers"), Reach::Dropped);
    let reached = running
        .connect_address("203.0.113.78", 443)
        .await
        .expect("answers");
    assert!(
        matches!(&reached, Reach::Refused(why) if why.contains("203.0.113.78")),
        "{reached:?}"
    );
    let reached = running
        .connect_address("no.such.name & more", 443)
        .await
        .expect("answers");
    assert!(matches!(reached, Reach::Refused(_)), "{reached:?}");
    let addresses = running.resolve("203.0.113.77").await.expect("answers");
    assert_eq!(addresses, [std::net::IpAddr::from([203, 0, 113, 77])]);
    assert!(
        running
            .resolve("nope.example.com")
            .await
            .expect("answers")
            .is_empty()
    );
    running.shutdown().await;
    let kept = dump(directory.path()).expect("can be read")["hosts"].clone();
    assert_eq!(
        kept,
        serde_json::json!({ "203.0.113.77:443": "127.0.0.1:8443" })
    );
    set_host(directory.path(), "203.0.113.77:443", None).expect("can be removed");
    assert!(set_host(directory.path(), "203.0.113.77:443", None).is_err());
}
