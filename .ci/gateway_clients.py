"""Asks curl and openssl what `mtlsgw verify` asks, and compares the verdicts.

A stack is applied to a sandbox that is served, and then changed behind the tool's back in one way
after another. Each time every probe of `mtlsgw verify` is made once more by programs that nobody
here wrote, and both have to come to the same verdict. In the end boto3 reads the connection logs.

    python gateway_clients.py target/debug/mtlsgw
"""

import gzip
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request

import boto3
import botocore.config

from outside_clients import Checks, ENVIRONMENT, OPENSSL_CONFIG, REGION

NAME = "api.example.com"
BUCKET = "outside-logs"
# What curl says when there was no HTTP answer.
NO_ANSWER = "000"

STACK = f"""\
name: proof
region: {REGION}
vpc: default
endpoint: {{}}
api: {{ openapi: api.json, stage: dev }}
domain: {{ name: {NAME} }}
certificate: {{ request: "*.example.com" }}
target_group: {{}}
load_balancer:
  attributes:
    connection_logs.s3.enabled: true
    connection_logs.s3.bucket: {BUCKET}
trust_store: {{ ca_bundle: [root_cert.pem], crls: [root.crl] }}
listener: {{ mutual_authentication: verify, redirect_http: true }}
record: {{ zone: example.com }}
verify: {{ client_certificate: good_cert.pem, client_key: good_key.pem, path: /pets }}
"""

MOCK = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "responses": {"default": {"statusCode": "200"}},
}
ECHO = {"type": "http_proxy", "httpMethod": "GET", "uri": "http://echo.example.net/"}
RESPONSES = {"200": {"description": "fine"}}

API = {
    "openapi": "3.0.1",
    "info": {"title": "proof", "version": "1"},
    "paths": {
        "/pets": {"get": {"responses": RESPONSES, "x-amazon-apigateway-integration": MOCK}},
        "/echo": {"get": {"responses": RESPONSES, "x-amazon-apigateway-integration": ECHO}},
    },
}

EXTENSIONS = {
    "good": "client",
    "stray": "client",
    "twin": "client",
    "expired": "client",
    "servers": "server",
    "revoked": "client",
}


class Echo(http.server.BaseHTTPRequestHandler):
    """A backend that prints the headers of its requests."""

    def do_GET(self):
        """Answers with the headers."""
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


class Outside:
    """The gateway as programs see it that know nothing of mtlsgw."""

    def __init__(self, work, program, url):
        self.work = work
        self.program = program
        self.url = url
        self.ports = {}
        self.find_listeners()

    def find_listeners(self):
        """Where each listener's socket is."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/listeners") as answer:
            listeners = json.load(answer)
        self.ports = {one["port"]: one["address"] for one in listeners}

    def connect(self, host, port):
        """The socket that a client outside gets to; none where nobody answers."""
        query = f"{self.url}/_sandbox/connect?host={host}&port={port}"
        try:
            with urllib.request.urlopen(query) as answer:
                return json.load(answer)["address"]
        except urllib.error.HTTPError:
            return None

    def resolve(self, name):
        """What DNS answers."""
        with urllib.request.urlopen(f"{self.url}/_sandbox/resolve?name={name}") as answer:
            return json.load(answer)["addresses"]

    def curl(self, *options, to=None, scheme="https", path="/pets", port=443):
        """Asks for a path; gives the HTTP status and what curl printed of the headers."""
        to = to or self.ports.get(port)
        if to is None:
            return NO_ANSWER, ""
        command = [
            "curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--include",
            "--cacert", "amazon.pem", "--connect-to", f"{NAME}:{port}:{to}",
            "--write-out", "\nSTATUS %{http_code} %{http_version}", *options, f"{scheme}://{NAME}{path}",
        ]
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True, check=False)
        found = re.search(r"STATUS (\d+) (\S+)$", done.stdout)
        return (found.group(1) if found else NO_ANSWER), done.stdout + done.stderr

    def comes_with(self, client, *options):
        """Whether a client gets any HTTP answer."""
        status, _ = self.curl("--cert", f"{client}_cert.pem", "--key", f"{client}_key.pem", *options)
        return status != NO_ANSWER

    def s_client(self, *options, client="good", request=b"", to=None):
        """What `openssl s_client` prints."""
        to = to or self.ports[443]
        credentials = ["-cert", f"{client}_cert.pem", "-key", f"{client}_key.pem"] if client else []
        command = ["openssl", "s_client", "-connect", to, "-servername", NAME, "-CAfile", "amazon.pem", *credentials, *options]
        done = subprocess.run(command, cwd=self.work, input=request, capture_output=True, timeout=60, check=False)
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def speaks(self, version, *options):
        """Whether a handshake of this version comes about."""
        printed = self.s_client(version, *options, client="good")
        return "Cipher is (NONE)" not in printed and "Server certificate" in printed

    def resumes(self):
        """Whether a second connection goes on with the session of the first."""
        request = f"GET /pets HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n".encode()
        session = self.work / "session.pem"
        session.unlink(missing_ok=True)
        self.s_client("-sess_out", "session.pem", "-ign_eof", request=request)
        if not session.exists():
            return False
        return "Reused, TLS" in self.s_client("-sess_in", "session.pem", "-ign_eof", request=request)

    def ca_names(self):
        """Whether the server names CAs to its clients."""
        return "Acceptable client certificate CA names" in self.s_client()

    def regional_name(self):
        """The name of API Gateway's own front for the domain."""
        outputs = run(self.program, self.work, "output", "--json")
        return json.loads(outputs.stdout)["outputs"]["domain.regional_domain_name"]

    def forged_headers_arrive(self):
        """Whether the backend is told what the client says of itself."""
        forged = ("--header", "X-Amzn-Mtls-Clientcert-Subject: CN=forged", "--header", "X-Amzn-Mtls-Clientcert: forged")
        _, printed = self.curl("--cert", "good_cert.pem", "--key", "good_key.pem", *forged, path="/echo")
        return "forged" in printed

    def past_the_load_balancer(self):
        """Whether API Gateway's public front gives the API away."""
        to = self.connect(self.regional_name(), 443)
        status, _ = self.curl("--insecure", to=to)
        return status == "200"

    def verdicts(self):
        """Every probe's verdict: whether it came out as the stack file says."""
        good = ("--cert", "good_cert.pem", "--key", "good_key.pem")
        balancer = json.loads(run(self.program, self.work, "output", "--json").stdout)["outputs"]
        addresses = self.resolve(NAME)
        status, _ = self.curl(*good)
        _, http2 = self.curl(*good, "--http2")
        redirect, headers = self.curl(scheme="http", port=80)
        return {
            "dns": bool(addresses) and set(addresses) <= set(self.resolve(balancer["load_balancer.dns_name"])),
            "tls_1_3": self.speaks("-tls1_3"),
            "tls_1_2": not self.speaks("-tls1_2"),
            "tls_1_1": not self.speaks("-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"),
            "server_certificate": "Verify return code: 0 (ok)" in self.s_client("-verify_hostname", NAME),
            "no_certificate": self.curl()[0] == NO_ANSWER,
            "unknown_ca": not self.comes_with("stray"),
            "lookalike": not self.comes_with("twin"),
            "expired": not self.comes_with("expired"),
            "wrong_purpose": not self.comes_with("servers"),
            "revoked": not self.comes_with("revoked"),
            "good_certificate": status == "200",
            "ca_names": self.ca_names(),
            "http_2": bool(re.search(r"STATUS \d+ 2$", http2.rstrip())),
            "resumption": not self.resumes(),
            "http_redirect": redirect in ("301", "302") and f"https://{NAME}" in headers.lower(),
            "forged_headers": not self.forged_headers_arrive(),
            "direct_regional": not self.past_the_load_balancer(),
        }


def run(program, work, *arguments):
    """Runs mtlsgw in the stack's directory, connected to what is served there."""
    command = [program, *arguments, "--sandbox"]
    return subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)


def openssl(work, *arguments):
    """Runs openssl, which has to succeed."""
    subprocess.run(["openssl", *arguments], cwd=work, check=True, capture_output=True)


def make_authority(work, name, subject):
    """A self-signed CA."""
    openssl(work, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}_key.pem", "-out", f"{name}_cert.pem",
            "-subj", subject, "-days", "365", "-config", "openssl.cnf", "-extensions", "root")


def make_client(work, name, authority, days):
    """A client of a CA; with negative days one that has ended."""
    openssl(work, "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}_key.pem", "-out", f"{name}.csr",
            "-subj", f"/CN={name}.example.com", "-config", "openssl.cnf")
    dates = ["-days", str(days)] if days > 0 else ["-startdate", "20240101000000Z", "-enddate", "20240201000000Z"]
    openssl(work, "ca", "-batch", "-config", f"{authority}.cnf", "-extfile", "openssl.cnf", "-extensions", EXTENSIONS[name],
            "-in", f"{name}.csr", "-out", f"{name}_cert.pem", "-notext", *dates)


def make_certificates(work):
    """Our CA, a stranger, a twin of ours by name, and their clients."""
    server = "[server]\nbasicConstraints = critical, CA:FALSE\nextendedKeyUsage = serverAuth\n"
    (work / "openssl.cnf").write_text(OPENSSL_CONFIG + server)
    for name, subject in [("root", "/CN=Proof Root CA"), ("other", "/CN=Somebody Else"), ("double", "/CN=Proof Root CA")]:
        make_authority(work, name, subject)
        (work / f"{name}_index.txt").write_text("")
        (work / f"{name}_crlnumber").write_text("01\n")
        (work / f"{name}.cnf").write_text(
            OPENSSL_CONFIG.replace("root_key", f"{name}_key").replace("root_cert", f"{name}_cert")
            .replace("index.txt", f"{name}_index.txt").replace("= crlnumber", f"= {name}_crlnumber")
        )
    for name, authority, days in [("good", "root", 30), ("stray", "other", 30), ("twin", "double", 30),
                                  ("expired", "root", -1), ("servers", "root", 30), ("revoked", "root", 30)]:
        make_client(work, name, authority, days)
    openssl(work, "ca", "-config", "root.cnf", "-revoke", "revoked_cert.pem")
    openssl(work, "ca", "-config", "root.cnf", "-gencrl", "-crldays", "30", "-out", "root.crl")


def make_store(program, work):
    """The same CA as a store of `mtlsgw pki`, so that verify can issue what it needs."""
    arguments = ["pki", "ca", "root", "--import", "root_cert.pem", "root_key.pem"]
    done = subprocess.run([program, *arguments], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pki ca --import: {done.stderr}")


class Served:
    """The sandbox, served for as long as the block lasts."""

    def __init__(self, program, work):
        self.process = subprocess.Popen(
            [program, "sandbox", "serve", "--port", "0", "--sandbox"], cwd=work, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        self.url = line.strip().rsplit(" ", 1)[-1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)


def client(service, url):
    """A boto3 client of the sandbox."""
    config = botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"})
    return boto3.client(service, endpoint_url=url, region_name=REGION, config=config)


def make_bucket(url):
    """The bucket that connection logs go to."""
    s3 = client("s3", url)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/AWSLogs/*",
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def changes(url, outputs):
    """Each way in which somebody changes the gateway: a name, and what does it."""
    elb = client("elbv2", url)
    listener, store = outputs["listener"], outputs["trust_store"]

    def mode(**asked):
        return lambda: elb.modify_listener(ListenerArn=listener, MutualAuthentication=asked)

    def verify(names="on", ignore=False):
        return mode(Mode="verify", TrustStoreArn=store, AdvertiseTrustStoreCaNames=names,
                    IgnoreClientCertificateExpiry=ignore)

    def without_crl():
        for one in elb.describe_trust_store_revocations(TrustStoreArn=store)["TrustStoreRevocations"]:
            elb.remove_trust_store_revocations(TrustStoreArn=store, RevocationIds=[one["RevocationId"]])

    return [
        ("as the stack says", lambda: None),
        ("mutual TLS off", mode(Mode="off")),
        ("client certificates passed through", mode(Mode="passthrough")),
        ("expiry ignored", verify(ignore=True)),
        ("CA names not told", verify(names="off")),
        ("TLS 1.2 allowed", lambda: elb.modify_listener(
            ListenerArn=listener, SslPolicy="ELBSecurityPolicy-TLS13-1-2-2021-06")),
        ("no CRL", without_crl),
        ("no redirect", lambda: elb.delete_listener(ListenerArn=outputs["listener.redirect"])),
        ("nobody behind", lambda: elb.modify_listener(
            ListenerArn=listener,
            DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}])),
    ]


def compare(checks, situation, outside, report):
    """Holds verify's verdicts against those of the others."""
    ours = {one["name"]: one["result"] for one in report["probes"]}
    theirs = outside.verdicts()
    for probe, good in theirs.items():
        result = ours.get(probe, "missing")
        if result == "skipped":
            # Without a backend nobody can tell what reaches it.
            untold = (situation, probe) == ("nobody behind", "forged_headers")
            checks.that(f"{situation}: {probe} is tried", untold, "skipped")
            continue
        checks.equal(f"{situation}: {probe}, as curl and openssl see it", result == "passed", good)


def read_logs(checks, url):
    """What boto3 finds in the bucket of connection logs."""
    urllib.request.urlopen(urllib.request.Request(f"{url}/_sandbox/logs", method="POST")).close()
    s3 = client("s3", url)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="AWSLogs/")
    keys = [one["Key"] for page in pages for one in page.get("Contents", []) if "conn_log_" in one["Key"]]
    checks.that("connection logs are in the bucket", bool(keys), keys)
    lines = []
    for key in keys:
        body = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        lines += gzip.decompress(body).decode().splitlines()
    for reason in ("ClientCertUntrusted", "ClientCertExpired", "ClientCertPurposeInvalid", "ClientCertCrlHit"):
        checks.that(f"boto3 finds {reason}", any(f"Failed:{reason}" in line for line in lines), lines[:3])
    checks.that("boto3 finds clients that were let in", any(" Success " in line for line in lines), lines[:3])


def main(program):
    """Runs everything; gives the exit code."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="mtlsgw-proof-") as folder:
        work = pathlib.Path(folder)
        make_certificates(work)
        make_store(program, work)
        (work / "stack.yaml").write_text(STACK)
        (work / "api.json").write_text(json.dumps(API))
        echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        with Served(program, work) as served:
            make_bucket(served.url)
            host = f"echo.example.net:80=127.0.0.1:{echo.server_address[1]}".encode()
            urllib.request.urlopen(f"{served.url}/_sandbox/hosts", data=host).close()
            applied = run(program, work, "apply", "--yes")
            checks.equal("apply succeeds", applied.returncode, 0)
            with urllib.request.urlopen(f"{served.url}/_sandbox/ca") as answer:
                (work / "amazon.pem").write_bytes(answer.read())
            outputs = json.loads(run(program, work, "output", "--json").stdout)["outputs"]
            for situation, change in changes(served.url, outputs):
                change()
                outside = Outside(work, program, served.url)
                arguments = ["verify", "--json", "--timeout", "20s", "--echo-path", "/echo",
                             "--revoked", "revoked_cert.pem", "revoked_key.pem"]
                report = json.loads(run(program, work, *arguments).stdout)
                compare(checks, situation, outside, report)
                run(program, work, "apply", "--yes", "--allow-widening")
            read_logs(checks, served.url)
    print(f"{checks.passed} held, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve())))
