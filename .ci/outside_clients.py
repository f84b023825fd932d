"""Looks at an applied stack with clients of AWS that nobody here wrote.

A fresh CA, client certificates and a CRL are made with openssl, a stack is applied to a sandbox
that is served to other processes, and boto3 and the AWS command line have to find there what they
would find on AWS. Every response is held against botocore's own model (wire_check.py).

    python outside_clients.py target/debug/mtlsgw
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

import boto3
import botocore.config

import wire_check
from browse import browse

REGION = "ap-northeast-1"
ZONE = "example.com"
DOMAIN = f"petstore.{ZONE}"
STACK = "outside"
TAG = "mtlsgw:stack"

STACK_FILE = f"""\
name: {STACK}
region: {REGION}
vpc: default

endpoint: {{}}
api: {{ sample: petstore, stage: dev }}
domain: {{ name: {DOMAIN} }}
certificate: {{ request: "*.{ZONE}" }}
target_group: {{}}
load_balancer: {{}}
trust_store: {{ ca_bundle: [root_cert.pem], crls: [root.crl.der] }}
listener: {{ mutual_authentication: verify, redirect_http: true }}
record: {{ zone: {ZONE} }}
"""

OPENSSL_CONFIG = """\
[req]
distinguished_name = name
[name]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
[ca]
default_ca = this
[this]
database = index.txt
crlnumber = crlnumber
rand_serial = yes
new_certs_dir = .
private_key = root_key.pem
certificate = root_cert.pem
default_md = sha256
policy = policy
[policy]
commonName = supplied
"""

REVOKED = ("lost", "stolen")
ENVIRONMENT = {
    # Whatever the machine has set up for AWS, nothing here may reach it.
    **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
    "AWS_ACCESS_KEY_ID": "outside",
    "AWS_SECRET_ACCESS_KEY": "outside",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_PAGER": "",
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}


class Checks:
    """Counts what holds and tells what does not."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def that(self, fact, holds, found=""):
        """Records whether a fact holds."""
        if holds:
            self.passed += 1
            print(f"ok      {fact}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED  {fact}: {found}", flush=True)

    def equal(self, fact, found, expected):
        """Records whether something is as it should be."""
        self.that(fact, found == expected, f"{found!r}, expected {expected!r}")


def main(program):
    """Runs everything; gives the exit code."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="mtlsgw-outside-") as folder:
        work = pathlib.Path(folder)
        make_certificates(work)
        (work / "stack.yaml").write_text(STACK_FILE)
        with Sandbox(program, work) as sandbox:
            try:
                check_everything(checks, sandbox, work)
            except Exception as error:  # pylint: disable=broad-except
                traceback.print_exc()
                checks.that("everything could be looked at", False, error)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def check_everything(checks, sandbox, work):
    """Plan, apply, look, plan again, destroy, look again."""
    wire = wire_check.WireCheck()
    clients = Clients(sandbox.url, wire)
    before = clients.inventory()
    checks.equal("plan has changes", sandbox.run("plan", "--detailed-exitcode"), 2)
    checks.equal("apply succeeds", sandbox.run("apply", "--yes"), 0)
    look_at_network(checks, clients)
    load_balancer = look_at_load_balancer(checks, clients)
    if load_balancer:
        look_at_listeners(checks, clients, load_balancer, work)
        look_at_record(checks, clients, load_balancer)
    look_at_api(checks, clients)
    look_at_command_line(checks, sandbox.url, load_balancer)
    refused = browse(clients)
    checks.that("every question about it is answered", not refused, "\n        ".join(["", *refused]))
    checks.equal("the second plan has no changes", sandbox.run("plan", "--detailed-exitcode"), 0)
    checks.equal("destroy succeeds", sandbox.run("destroy", "--yes"), 0)
    look_at_leftovers(checks, clients, before)
    count = sum(wire.operations.values())
    fact = f"{count} responses of {len(wire.operations)} operations fit botocore's models"
    checks.that(fact, not wire.problems, "\n        ".join(["", *sorted(set(wire.problems))]))


def look_at_network(checks, clients):
    """The endpoint, and that the targets are its addresses."""
    endpoints = clients.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    found = [(each["VpcEndpointType"], each["State"].lower(), each["ServiceName"]) for each in endpoints]
    service = f"com.amazonaws.{REGION}.execute-api"
    checks.equal("one endpoint is available", found, [("Interface", "available", service)])
    ids = [id for each in endpoints for id in each["NetworkInterfaceIds"]]
    interfaces = clients.ec2.describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"] if ids else []
    addresses = sorted(each["PrivateIpAddress"] for each in interfaces)
    groups = clients.elbv2.describe_target_groups()["TargetGroups"]
    checks.equal("one target group", [(each["Protocol"], each["Port"], each["TargetType"]) for each in groups],
                 [("HTTPS", 443, "ip")])
    for group in groups:
        checks.equal("healthy on 403", group["Matcher"], {"HttpCode": "403"})
        answer = clients.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])
        health = answer["TargetHealthDescriptions"]
        checks.equal("targets are the endpoint's addresses", sorted(each["Target"]["Id"] for each in health), addresses)
        states = {each["TargetHealth"]["State"] for each in health}
        checks.equal("all targets are healthy", states, {"healthy"})


def look_at_load_balancer(checks, clients):
    """The load balancer; gives it, if there is exactly one."""
    found = clients.elbv2.describe_load_balancers()["LoadBalancers"]
    states = [(each["Type"], each["Scheme"], each["State"]["Code"]) for each in found]
    checks.equal("one load balancer is active", states, [("application", "internet-facing", "active")])
    if len(found) != 1:
        return None
    tags = clients.elbv2.describe_tags(ResourceArns=[found[0]["LoadBalancerArn"]])["TagDescriptions"][0]["Tags"]
    checks.that("it carries the stack's tag", {"Key": TAG, "Value": STACK} in tags, tags)
    checks.that("it is in two zones or more", len(found[0]["AvailabilityZones"]) >= 2, found[0]["AvailabilityZones"])
    groups = clients.ec2.describe_security_groups(GroupIds=found[0]["SecurityGroups"])["SecurityGroups"]
    ports = sorted(rule["FromPort"] for group in groups for rule in group["IpPermissions"])
    checks.equal("80 and 443 are let in", ports, [80, 443])
    return found[0]


def look_at_listeners(checks, clients, load_balancer, work):
    """The listeners, the trust store and the certificate."""
    listeners = clients.elbv2.describe_listeners(LoadBalancerArn=load_balancer["LoadBalancerArn"])["Listeners"]
    by_port = {each["Port"]: each for each in listeners}
    checks.equal("listeners on 80 and 443", sorted(by_port), [80, 443])
    redirect = by_port.get(80, {}).get("DefaultActions", [{}])[0].get("RedirectConfig", {})
    checks.equal("80 redirects", (redirect.get("Protocol"), redirect.get("Port"), redirect.get("StatusCode")),
                 ("HTTPS", "443", "HTTP_301"))
    https = by_port.get(443, {})
    checks.equal("443 is HTTPS", https.get("Protocol"), "HTTPS")
    checks.equal("443 speaks TLS 1.3 only", https.get("SslPolicy"), "ELBSecurityPolicy-TLS13-1-3-2021-06")
    mutual = https.get("MutualAuthentication", {})
    checks.equal("443 verifies clients", mutual.get("Mode"), "verify")
    checks.equal("443 advertises the CAs' names", mutual.get("AdvertiseTrustStoreCaNames"), "on")
    checks.equal("443 forwards", [each["Type"] for each in https.get("DefaultActions", [])], ["forward"])
    look_at_trust_store(checks, clients, mutual.get("TrustStoreArn"), work)
    look_at_certificate(checks, clients, https.get("Certificates", [{}])[0].get("CertificateArn"), load_balancer)


def look_at_trust_store(checks, clients, arn, work):
    """What the listener trusts, byte by byte."""
    stores = clients.elbv2.describe_trust_stores()["TrustStores"]
    checks.equal("the listener's trust store is the only one", [each["TrustStoreArn"] for each in stores], [arn])
    if [each["TrustStoreArn"] for each in stores] != [arn]:
        return
    figures = (stores[0]["Status"], stores[0]["NumberOfCaCertificates"], stores[0]["TotalRevokedEntries"])
    checks.equal("it is active with its CA and its revoked entries", figures, ("ACTIVE", 1, len(REVOKED)))
    revocations = clients.elbv2.describe_trust_store_revocations(TrustStoreArn=arn)["TrustStoreRevocations"]
    found = [(each["RevocationType"], each["NumberOfRevokedEntries"]) for each in revocations]
    checks.equal("it has one revocation", found, [("CRL", len(REVOKED))])
    location = clients.elbv2.get_trust_store_ca_certificates_bundle(TrustStoreArn=arn)["Location"]
    root = openssl_read("x509", fetch(location), work)
    checks.equal("the bundle is our root", root, (work / "root_cert.der").read_bytes())
    for revocation in revocations:
        content = clients.elbv2.get_trust_store_revocation_content(
            TrustStoreArn=arn, RevocationId=revocation["RevocationId"]
        )
        crl = openssl_read("crl", fetch(content["Location"]), work)
        checks.equal("the revocation is our CRL", crl, (work / "root.crl.der").read_bytes())


def look_at_certificate(checks, clients, arn, load_balancer):
    """The server certificate."""
    listed = clients.acm.list_certificates()["CertificateSummaryList"]
    checks.equal("the listener's certificate is the only one", [each["CertificateArn"] for each in listed], [arn])
    if not arn:
        return
    certificate = clients.acm.describe_certificate(CertificateArn=arn)["Certificate"]
    found = (certificate["DomainName"], certificate["Status"], certificate["Type"])
    checks.equal("it is issued", found, (f"*.{ZONE}", "ISSUED", "AMAZON_ISSUED"))
    users = certificate["InUseBy"]
    checks.that("it is in use by the load balancer", load_balancer["LoadBalancerArn"] in users, users)


def look_at_record(checks, clients, load_balancer):
    """The alias that clients follow."""
    records = clients.records(DOMAIN)
    checks.equal("the name has one record", [each["Type"] for each in records], ["A"])
    alias = records[0].get("AliasTarget", {}) if records else {}
    name = alias.get("DNSName", "").rstrip(".").lower().removeprefix("dualstack.")
    expected = (load_balancer["DNSName"].lower(), load_balancer["CanonicalHostedZoneId"])
    checks.equal("it is an alias of the load balancer", (name, alias.get("HostedZoneId")), expected)


def look_at_api(checks, clients):
    """The API, its deployment, its stage and the name it answers to."""
    apis = clients.apigateway.get_rest_apis()["items"]
    checks.equal("one private API", [each["endpointConfiguration"]["types"] for each in apis], [["PRIVATE"]])
    for api in apis:
        checks.that("it has a resource policy", "aws:SourceVpc" in api.get("policy", ""), api.get("policy"))
        resources = clients.apigateway.get_resources(restApiId=api["id"], embed=["methods"])["items"]
        paths = sorted(each["path"] for each in resources)
        checks.equal("it is the pet store", paths, ["/", "/pets", "/pets/{petId}"])
        stages = clients.apigateway.get_stages(restApiId=api["id"])["item"]
        deployments = clients.apigateway.get_deployments(restApiId=api["id"])["items"]
        served = [(each["stageName"], each["deploymentId"]) for each in stages]
        checks.equal("the stage serves the one deployment", served, [("dev", each["id"]) for each in deployments])
        mappings = clients.apigateway.get_base_path_mappings(domainName=DOMAIN)["items"]
        expected = {"basePath": "(none)", "restApiId": api["id"], "stage": "dev"}
        checks.equal("the domain leads to it", mappings, [expected])
    domain = clients.apigateway.get_domain_name(domainName=DOMAIN)
    found = (domain["domainNameStatus"], domain["endpointConfiguration"]["types"])
    checks.equal("the domain is available", found, ("AVAILABLE", ["REGIONAL"]))


def look_at_command_line(checks, url, load_balancer):
    """The same with the AWS command line, which brings a botocore of its own."""
    states = aws(url, "elbv2", "describe-load-balancers", "--query", "LoadBalancers[].State.Code")
    checks.equal("aws elbv2 describe-load-balancers", states, ["active"])
    if load_balancer:
        arn = load_balancer["LoadBalancerArn"]
        query = "Listeners[?Port==`443`].MutualAuthentication.Mode"
        modes = aws(url, "elbv2", "describe-listeners", "--load-balancer-arn", arn, "--query", query)
        checks.equal("aws elbv2 describe-listeners", modes, ["verify"])
    query = "TrustStores[].[NumberOfCaCertificates,TotalRevokedEntries]"
    figures = aws(url, "elbv2", "describe-trust-stores", "--query", query)
    checks.equal("aws elbv2 describe-trust-stores", figures, [[1, len(REVOKED)]])
    names = aws(url, "apigateway", "get-domain-names", "--query", "items[].domainName")
    checks.equal("aws apigateway get-domain-names", names, [DOMAIN])
    buckets = aws(url, "s3api", "list-buckets", "--query", "Buckets[?starts_with(Name, `mtlsgw-`)].Name | length(@)")
    checks.equal("aws s3api list-buckets", buckets, 1)


def look_at_leftovers(checks, clients, before):
    """What destroy leaves: nothing but the validation record, which other certificates may share."""
    after = clients.inventory()
    for what, there in after.items():
        more = sorted(there - before[what])
        if what == "records":
            more = [each for each in more if not each.endswith(" CNAME")]
        checks.equal(f"no {what} are left", more, [])
    tagged = clients.tagging.get_resources(TagFilters=[{"Key": TAG}])["ResourceTagMappingList"]
    checks.equal(f"nothing tagged {TAG} is left", [each["ResourceARN"] for each in tagged], [])


class Sandbox:
    """A sandbox that is served to other processes, and the program that it belongs to."""

    def __init__(self, program, work):
        self.program = pathlib.Path(program).resolve()
        self.work = work
        self.directory = work / "sandbox"
        self.url = ""

    def __enter__(self):
        command = [self.program, f"--sandbox={self.directory}", "sandbox", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, cwd=self.work, stdin=subprocess.DEVNULL)
        try:
            self.url = self._wait_for_url()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait_for_url(self):
        """The address is in a file as soon as the sandbox can be called."""
        address = self.directory / "server.json"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"`sandbox serve` ended with {self.process.returncode}")
            try:
                return json.loads(address.read_text())["url"]
            except (FileNotFoundError, ValueError):
                time.sleep(0.05)
        raise SystemExit("`sandbox serve` does not serve")

    def run(self, *arguments):
        """Runs a verb on the stack; gives its exit code."""
        command = [self.program, f"--sandbox={self.directory}", *arguments, "stack.yaml"]
        done = quietly(command, self.work)
        if done.returncode not in (0, 2):
            print(done.stdout, done.stderr, sep="\n", flush=True)
        if "PRIVATE KEY" in done.stdout + done.stderr:
            raise SystemExit(f"`{arguments[0]}` prints a private key")
        return done.returncode

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Clients:
    """boto3's clients of what is served at `url`."""

    def __init__(self, url, wire=None, region=REGION):
        session = boto3.Session(region_name=region)
        if wire:
            wire.attach(session)
        # An answer that has to be asked for twice is a wrong one.
        config = botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})

        def client(name):
            return session.client(name, endpoint_url=url, config=config)

        self.region = region
        self.acm = client("acm")
        self.apigateway = client("apigateway")
        self.ec2 = client("ec2")
        self.elbv2 = client("elbv2")
        self.route53 = client("route53")
        self.s3 = client("s3")
        self.tagging = client("resourcegroupstaggingapi")
        sts = client("sts")
        self.account = sts.get_caller_identity()["Account"]

    def zone(self):
        """The id of the hosted zone."""
        zones = self.route53.list_hosted_zones()["HostedZones"]
        return next(each["Id"] for each in zones if each["Name"] == f"{ZONE}.")

    def records(self, name):
        """The records at a name."""
        page = self.route53.list_resource_record_sets(HostedZoneId=self.zone(), StartRecordName=name)
        return [each for each in page["ResourceRecordSets"] if each["Name"] == f"{name}."]

    def inventory(self):
        """The names of everything that a stack can leave behind, by kind."""
        records = self.route53.list_resource_record_sets(HostedZoneId=self.zone())["ResourceRecordSets"]
        endpoints = self.ec2.describe_vpc_endpoints()["VpcEndpoints"]
        balancers = self.elbv2.describe_load_balancers()["LoadBalancers"]
        return {
            "load balancers": {each["LoadBalancerArn"] for each in balancers},
            "target groups": {each["TargetGroupArn"] for each in self.elbv2.describe_target_groups()["TargetGroups"]},
            "trust stores": {each["TrustStoreArn"] for each in self.elbv2.describe_trust_stores()["TrustStores"]},
            "certificates": {each["CertificateArn"] for each in self.acm.list_certificates()["CertificateSummaryList"]},
            "APIs": {each["id"] for each in self.apigateway.get_rest_apis()["items"]},
            "domains": {each["domainName"] for each in self.apigateway.get_domain_names()["items"]},
            "endpoints": {each["VpcEndpointId"] for each in endpoints if each["State"].lower() != "deleted"},
            "security groups": {each["GroupId"] for each in self.ec2.describe_security_groups()["SecurityGroups"]},
            "network interfaces": {
                each["NetworkInterfaceId"] for each in self.ec2.describe_network_interfaces()["NetworkInterfaces"]
            },
            "buckets": {each["Name"] for each in self.s3.list_buckets()["Buckets"]},
            "records": {f"{each['Name']} {each['Type']}" for each in records},
        }


def aws(url, *arguments):
    """Runs the AWS command line of this virtual environment; gives its JSON."""
    command = [pathlib.Path(sys.executable).with_name("aws"), "--endpoint-url", url, "--output", "json", *arguments]
    done = quietly(command)
    if done.returncode != 0:
        return f"exit code {done.returncode}: {done.stderr.strip()}"
    return json.loads(done.stdout)


def make_certificates(work):
    """A root CA, client certificates and a CRL in DER that revokes two of them."""
    (work / "openssl.cnf").write_text(OPENSSL_CONFIG)
    (work / "index.txt").touch()
    (work / "crlnumber").write_text("01\n")
    new_key = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"]
    openssl(work, *new_key, "root_key.pem")
    openssl(work, "req", "-x509", "-new", "-config", "openssl.cnf", "-extensions", "root", "-sha256", "-days", "3650",
            "-subj", "/CN=Outside Root CA", "-key", "root_key.pem", "-out", "root_cert.pem")
    for name in ("client", *REVOKED):
        openssl(work, *new_key, f"{name}_key.pem")
        openssl(work, "req", "-new", "-config", "openssl.cnf", "-subj", f"/CN={name}", "-key", f"{name}_key.pem",
                "-out", f"{name}.csr")
        openssl(work, "ca", "-batch", "-config", "openssl.cnf", "-extensions", "client", "-days", "365",
                "-in", f"{name}.csr", "-out", f"{name}_cert.pem")
    for name in REVOKED:
        openssl(work, "ca", "-config", "openssl.cnf", "-revoke", f"{name}_cert.pem")
    openssl(work, "ca", "-config", "openssl.cnf", "-gencrl", "-crldays", "30", "-out", "root.crl")
    openssl(work, "crl", "-in", "root.crl", "-outform", "DER", "-out", "root.crl.der")
    openssl(work, "x509", "-in", "root_cert.pem", "-outform", "DER", "-out", "root_cert.der")
    # With the text in front of it, as openssl prints certificates by default.
    openssl(work, "x509", "-in", "root_cert.pem", "-text", "-out", "root_cert.pem")


def openssl(work, *arguments):
    """Runs openssl."""
    done = quietly(["openssl", *arguments], work)
    if done.returncode != 0:
        raise SystemExit(f"openssl {arguments[0]}: {done.stderr}")


def quietly(command, folder=None):
    """Runs a command without input; its output is for the caller."""
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def openssl_read(kind, pem, work):
    """PEM as openssl reads it, in DER."""
    command = ["openssl", kind, "-outform", "DER"]
    return subprocess.run(command, cwd=work, input=pem, capture_output=True, check=False).stdout


def fetch(url):
    """What a presigned URL points to; a wrong signature must not do."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    forged = url.replace("X-Amz-Signature=", "X-Amz-Signature=0")
    if forged != url:
        try:
            opener.open(forged, timeout=10)
        except urllib.error.HTTPError:
            pass
        else:
            raise SystemExit("a presigned URL with a wrong signature is answered")
    with opener.open(url, timeout=10) as answer:
        return answer.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
