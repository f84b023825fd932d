//! A client of the sandbox that shares nothing with the binary: acts behind its back.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};
use std::time::Duration;

use serde_json::Value;

/// A served sandbox; the process ends when this is dropped.
pub(crate) struct Aws {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

/// What the sandbox answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, whatever the protocol has it be.
    pub(crate) body: String,
}

impl Drop for Aws {
    fn drop(&mut self) {
        // Every answered call is on the disk already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Aws {
    /// Waits until the process has said where it serves.
    pub(super) fn announced_by(mut child: Child) -> Self {
        let stdout = child.stdout.take().expect("is piped");
        let mut line = String::new();
        let mut stdout = BufReader::new(stdout);
        stdout.read_line(&mut line).expect("prints");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let url = url
            .unwrap_or_else(|| panic!("no address in `{line}`"))
            .to_owned();
        Self { child, stdout, url }
    }

    /// A call of ELB (`elasticloadbalancing`) or EC2 (`ec2`), whose parameters are a form.
    pub(crate) fn query(&self, service: &str, parameters: &[(&str, &str)]) -> Answer {
        let version = match service {
            "ec2" => "2016-11-15",
            _ => "2015-12-01",
        };
        let mut form = vec![format!("Version={version}")];
        let pair = |(name, value): &(&str, &str)| format!("{}={}", escaped(name), escaped(value));
        form.extend(parameters.iter().map(pair));
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        self.send((service, "POST", "/"), &headers, form.join("&").as_bytes())
    }

    /// A call of a service with paths: `apigateway` (JSON), `route53` and `s3` (XML).
    pub(crate) fn rest(
        &self,
        (service, method, path): (&str, &str, &str),
        body: impl AsRef<[u8]>,
    ) -> Answer {
        let content_type = match service {
            "apigateway" => "application/json",
            _ => "application/xml",
        };
        let headers = [("Content-Type", content_type)];
        self.send((service, method, path), &headers, body.as_ref())
    }

    /// A call of ACM, whose parameters are JSON.
    pub(crate) fn acm(&self, operation: &str, parameters: &Value) -> Answer {
        let target = format!("CertificateManager.{operation}");
        let headers = [
            ("Content-Type", "application/x-amz-json-1.1"),
            ("X-Amz-Target", target.as_str()),
        ];
        let body = parameters.to_string();
        self.send(("acm", "POST", "/"), &headers, body.as_bytes())
    }

    /// A request to the control endpoint: `POST`, `faults`, `RULE`.
    pub(crate) fn control(&self, method: &str, command: &str, body: &str) -> Answer {
        let path = format!("/_sandbox/{command}");
        self.send(("sandbox", method, &path), &[], body.as_bytes())
    }

    /// Any request, as if signed for a service in Tokyo; the signature itself is not looked at.
    pub(crate) fn send(
        &self,
        (service, method, path): (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let answer = self.exchange((service, method, path), headers, body);
        Answer::parse(&String::from_utf8_lossy(&answer))
    }

    fn exchange(
        &self,
        (service, method, path): (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let host = self.url.trim_start_matches("http://");
        let region = match service {
            "route53" => "us-east-1",
            _ => "ap-northeast-1",
        };
        let further = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0\r\n{}\r\n",
            body.len(),
            further.collect::<String>()
        );
        let mut stream = TcpStream::connect(host).expect("the sandbox listens");
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).expect("is not zero");
        let request = [head.as_bytes(), body].concat();
        stream.write_all(&request).expect("the sandbox reads");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("the sandbox answers");
        answer
    }

    /// An object's content.
    pub(crate) fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        let answer = self.exchange(("s3", "GET", &format!("/{bucket}/{key}")), &[], b"");
        let end = b"\r\n\r\n";
        let head = answer.windows(end.len()).position(|window| window == end);
        let body = answer.split_at(head.expect("a head") + end.len()).1;
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{key}");
        body.to_vec()
    }

    /// The next line that the process prints.
    pub(crate) fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("prints");
        line
    }

    /// The id of the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Answer {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split_whitespace()
            .nth(1)
            .and_then(|code| code.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status in `{head}`")),
            body: body.to_owned(),
        }
    }

    /// The same, having succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!((200..300).contains(&self.status), "{self:#?}");
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn value(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The text of the first XML element of this name.
    #[track_caller]
    pub(crate) fn element(&self, name: &str) -> String {
        let found = self.body.split_once(&format!("<{name}>"));
        let text = found.and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
        let (text, _) = text.unwrap_or_else(|| panic!("no <{name}> in {self:#?}"));
        text.to_owned()
    }
}

/// Percent-encodes everything but letters, digits, `-`, `.`, `_` and `~`.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
