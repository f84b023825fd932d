"""Gateways that boto3 builds as people do in the console, exported, adopted, proven and destroyed.

Each of the three systems is made by the steps of the console's procedures, with names of its own. `export` has to
describe it, `plan --adopt` to find nothing but tags to write, `apply --adopt` to change nothing else, the next plan
to be empty, and `destroy` to take it away.

    python adopt.py target/debug/mtlsgw
"""

import http.server
import json
import os
import pathlib
import sys
import tempfile
import threading
import time
import traceback
import urllib.request

from gateway_clients import Echo, Served, client, make_certificates, make_store, openssl, run
from outside_clients import Checks, ENVIRONMENT, REGION
from terraform import left

ZONE = "example.com"
LOGS = "somebodys-logs"
INSTANCES = ["i-0a1b2c3d4e5f60001", "i-0a1b2c3d4e5f60002"]
# What adopting writes: tags, and a deployment's description in their place.
WRITTEN = ("tags", "description")
MOCK = {
    "type": "mock",
    "requestTemplates": {"application/json": '{"statusCode": 200}'},
    "responses": {"default": {"statusCode": "200"}},
}


def definition(title, integration):
    """A definition with one method."""
    method = {"responses": {"200": {"description": "fine"}}, "x-amazon-apigateway-integration": integration}
    return {"openapi": "3.0.1", "info": {"title": title, "version": "1"}, "paths": {"/pets": {"get": method}}}


class Console:
    """Somebody who follows the console's procedures."""

    def __init__(self, url):
        self.ec2, self.elb, self.acm = client("ec2", url), client("elbv2", url), client("acm", url)
        self.gateway, self.dns, self.s3 = client("apigateway", url), client("route53", url), client("s3", url)
        self.vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = sorted(one["SubnetId"] for one in self.ec2.describe_subnets()["Subnets"])[:2]
        zones = self.dns.list_hosted_zones()["HostedZones"]
        self.zone = next(one["Id"] for one in zones if one["Name"] == f"{ZONE}." and not one["Config"]["PrivateZone"])

    def group(self, name, port, **peer):
        """A security group that lets one port in."""
        made = self.ec2.create_security_group(GroupName=name, Description="by hand", VpcId=self.vpc)["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}
        self.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[rule])
        return made

    def change(self, zone, record):
        """Makes a record."""
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        self.dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    def alias(self, zone, name, balancer, prefix=""):
        """An alias to a load balancer, which is asked for its health as the console proposes."""
        target = {
            "HostedZoneId": balancer["CanonicalHostedZoneId"],
            "DNSName": prefix + balancer["DNSName"],
            "EvaluateTargetHealth": True,
        }
        self.change(zone, {"Name": name, "Type": "A", "AliasTarget": target})

    def certificate(self, name):
        """A certificate of ACM's, validated by its record."""
        arn = self.acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
        for _ in range(60):
            options = self.acm.describe_certificate(CertificateArn=arn)["Certificate"]["DomainValidationOptions"]
            record = options[0].get("ResourceRecord")
            if record:
                break
            time.sleep(0.5)
        self.change(self.zone, {"Name": record["Name"], "Type": record["Type"], "TTL": 300,
                                "ResourceRecords": [{"Value": record["Value"]}]})
        return arn

    def trust_store(self, work, name):
        """A trust store with our CA, and its CRL."""
        bucket = f"{name}-files"
        self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        for file in ("root_cert.pem", "root.crl"):
            self.s3.put_object(Bucket=bucket, Key=file, Body=(work / file).read_bytes())
        made = self.elb.create_trust_store(
            Name=name, CaCertificatesBundleS3Bucket=bucket, CaCertificatesBundleS3Key="root_cert.pem")
        arn = made["TrustStores"][0]["TrustStoreArn"]
        content = {"S3Bucket": bucket, "S3Key": "root.crl", "RevocationType": "CRL"}
        self.elb.add_trust_store_revocations(TrustStoreArn=arn, RevocationContents=[content])
        return arn

    def balancer(self, name, kind, **options):
        """A load balancer."""
        made = self.elb.create_load_balancer(Name=name, Type=kind, Subnets=self.subnets, **options)
        return made["LoadBalancers"][0]

    def targets(self, name, protocol, port, targets, kind, **check):
        """A target group with its targets."""
        made = self.elb.create_target_group(
            Name=name, Protocol=protocol, Port=port, VpcId=self.vpc, TargetType=kind, **check)
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": one} for one in targets])
        return arn

    def listener(self, balancer, certificate, group, store, names="off"):
        """An HTTPS listener that verifies client certificates."""
        made = self.elb.create_listener(
            LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTPS", Port=443,
            SslPolicy="ELBSecurityPolicy-TLS13-1-3-2021-06", Certificates=[{"CertificateArn": certificate}],
            MutualAuthentication={"Mode": "verify", "TrustStoreArn": store, "AdvertiseTrustStoreCaNames": names},
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        return made["Listeners"][0]["ListenerArn"]

    def api(self, name, document, stage, kind, **more):
        """An API from a definition, deployed."""
        api = self.gateway.create_rest_api(name=name, endpointConfiguration={"types": [kind], **more})["id"]
        self.gateway.put_rest_api(restApiId=api, mode="overwrite", body=json.dumps(document))
        if kind == "PRIVATE":
            statement = {"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
            outside = {"StringNotEquals": {"aws:SourceVpc": self.vpc}}
            statements = [{"Effect": "Deny", **statement, "Condition": outside}, {"Effect": "Allow", **statement}]
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            self.gateway.update_rest_api(
                restApiId=api, patchOperations=[{"op": "replace", "path": "/policy", "value": policy}])
        self.gateway.create_deployment(restApiId=api, stageName=stage, description="by hand")
        return api

    def domain(self, name, certificate, api, stage):
        """A regional custom domain that leads to a stage."""
        made = self.gateway.create_domain_name(
            domainName=name, regionalCertificateArn=certificate, securityPolicy="TLS_1_2",
            endpointConfiguration={"types": ["REGIONAL"]})
        self.gateway.create_base_path_mapping(domainName=name, restApiId=api, stage=stage)
        return made


def private_apis(console, work):
    """System P: a private API behind a load balancer that verifies clients. What export is asked for."""
    front = console.group("My-ALB-SG", 443, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    back = console.group("My-VPCE-SG", 443, UserIdGroupPairs=[{"GroupId": front}])
    endpoint = console.ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=console.vpc, ServiceName=f"com.amazonaws.{REGION}.execute-api",
        SubnetIds=console.subnets, SecurityGroupIds=[back], PrivateDnsEnabled=False)["VpcEndpoint"]
    interfaces = console.ec2.describe_network_interfaces(
        Filters=[{"Name": "group-id", "Values": [back]}])["NetworkInterfaces"]
    addresses = [one["PrivateIpAddress"] for one in interfaces]
    api = console.api("PetStore", definition("PetStore", MOCK), "dev", "PRIVATE",
                      vpcEndpointIds=[endpoint["VpcEndpointId"]])
    certificate = console.certificate(f"*.{ZONE}")
    console.domain(f"api.{ZONE}", certificate, api, "dev")
    group = console.targets("My-VPCE", "HTTPS", 443, addresses, "ip",
                            HealthCheckProtocol="HTTPS", Matcher={"HttpCode": "403"})
    store = console.trust_store(work, "my-trust-store")
    balancer = console.balancer("My-ALB", "application", Scheme="internet-facing", SecurityGroups=[front])
    console.listener(balancer, certificate, group, store)
    console.alias(console.zone, f"api.{ZONE}", balancer, "dualstack.")
    return ["--load-balancer", "My-ALB"]


def log_bucket(console):
    """A bucket to which log delivery may write, with a rule that deletes old logs."""
    location = {"LocationConstraint": REGION}
    console.s3.create_bucket(Bucket=LOGS, CreateBucketConfiguration=location)
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{LOGS}/AWSLogs/*",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    console.s3.put_bucket_policy(Bucket=LOGS, Policy=json.dumps(policy))
    rule = {"ID": "ninety", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 90}}
    console.s3.put_bucket_lifecycle_configuration(Bucket=LOGS, LifecycleConfiguration={"Rules": [rule]})


def servers(console, work):
    """System C: two servers behind client certificates, with a certificate of one's own and logs."""
    front = console.group("web", 443, IpRanges=[{"CidrIp": "0.0.0.0/0"}])
    http = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    console.ec2.authorize_security_group_ingress(GroupId=front, IpPermissions=[http])
    group = console.targets("web-servers", "HTTP", 8080, INSTANCES, "instance", HealthCheckPath="/health")
    read = lambda name: (work / name).read_bytes()
    certificate = console.acm.import_certificate(
        Certificate=read("site_cert.pem"), PrivateKey=read("site_key.pem"),
        CertificateChain=read("other_cert.pem"))["CertificateArn"]
    store = console.trust_store(work, "clients")
    balancer = console.balancer("web", "application", Scheme="internet-facing", SecurityGroups=[front])
    listener = console.listener(balancer, certificate, group, store, names="on")
    console.elb.modify_listener_attributes(ListenerArn=listener, Attributes=[
        {"Key": "routing.http.request.x_amzn_mtls_clientcert_subject.header_name", "Value": "X-Client-Subject"}])
    redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
    console.elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "redirect", "RedirectConfig": redirect}])
    log_bucket(console)
    for kind in ("connection_logs", "access_logs"):
        console.elb.modify_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"], Attributes=[
            {"Key": f"{kind}.s3.enabled", "Value": "true"}, {"Key": f"{kind}.s3.bucket", "Value": LOGS}])
    console.alias(console.zone, f"login.{ZONE}", balancer, "dualstack.")
    return ["--domain", f"login.{ZONE}"]


def reencrypted(console, work):
    """The two-stage variant: the load balancer speaks TLS to self-signed servers."""
    front = console.group("two-stage", 443, IpRanges=[{"CidrIp": "10.0.0.0/8"}])
    group = console.targets("tls-servers", "HTTPS", 8443, ["172.31.0.21", "172.31.16.21"], "ip",
                            HealthCheckProtocol="HTTPS", HealthCheckPath="/health", HealthCheckIntervalSeconds=10)
    certificate = console.certificate(f"*.{ZONE}")
    store = console.trust_store(work, "clients")
    balancer = console.balancer("two-stage", "application", Scheme="internet-facing", SecurityGroups=[front])
    console.listener(balancer, certificate, group, store)
    console.alias(console.zone, f"servers.{ZONE}", balancer, "dualstack.")
    return ["--load-balancer", balancer["LoadBalancerArn"]]


def private_name(console, balancer):
    """A private zone, and a name in it."""
    vpc = {"VPCRegion": REGION, "VPCId": console.vpc}
    zone = console.dns.create_hosted_zone(
        Name="backend.internal", CallerReference="by hand", VPC=vpc, HostedZoneConfig={"PrivateZone": True})
    console.alias(zone["HostedZone"]["Id"], "pets.backend.internal", balancer)


def linked(console, balancer):
    """What leads through a VPC link to a load balancer, to a backend with a private CA."""
    link = console.gateway.create_vpc_link(name="to-backend", targetArns=[balancer["LoadBalancerArn"]])["id"]
    for _ in range(60):
        if console.gateway.get_vpc_link(vpcLinkId=link)["status"] == "AVAILABLE":
            break
        time.sleep(0.5)
    return definition("backend", {
        "type": "http_proxy", "httpMethod": "GET", "uri": "https://pets.backend.internal/pets",
        "connectionType": "VPC_LINK", "connectionId": link, "tlsConfig": {"insecureSkipVerification": True}})


def network(console, speaks):
    """A network load balancer in front of a backend, whose TLS goes through or ends there."""
    group = console.targets("backend", speaks["Protocol"], 443, ["172.31.0.10"], "ip", HealthCheckProtocol="TCP")
    balancer = console.balancer("inside", "network", Scheme="internal")
    console.elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Port=443,
                                DefaultActions=[{"Type": "forward", "TargetGroupArn": group}], **speaks)
    private_name(console, balancer)
    return balancer


def regional_backend(console, _):
    """System S with a regional API and a custom domain, TLS through to the backend."""
    balancer = network(console, {"Protocol": "TCP"})
    api = console.api("backend", linked(console, balancer), "prod", "REGIONAL")
    certificate = console.certificate(f"pets.{ZONE}")
    domain = console.domain(f"pets.{ZONE}", certificate, api, "prod")
    target = {"HostedZoneId": domain["regionalHostedZoneId"], "DNSName": domain["regionalDomainName"],
              "EvaluateTargetHealth": False}
    console.change(console.zone, {"Name": f"pets.{ZONE}", "Type": "A", "AliasTarget": target})
    return ["--domain", f"pets.{ZONE}"]


def imported_backend(console, work):
    """System S whose load balancer ends TLS with an imported self-signed certificate, without a custom domain."""
    certificate = console.acm.import_certificate(
        Certificate=(work / "self_cert.pem").read_bytes(), PrivateKey=(work / "self_key.pem").read_bytes())
    balancer = network(console, {
        "Protocol": "TLS", "SslPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
        "Certificates": [{"CertificateArn": certificate["CertificateArn"]}]})
    console.api("backend", linked(console, balancer), "prod", "REGIONAL")
    return ["--load-balancer", balancer["LoadBalancerArn"]]


# What is made, what verify is told beside the stack file (None: it is not verified), and what destroy leaves because
# it was only referred to.
SYSTEMS = [
    # The console lets everything out of a group, which a stack's own group of an endpoint does not.
    (private_apis, [], ["acm.certificates", "ec2.security_groups"]),
    (servers, ["--ca", "other_cert.pem", "--echo-path", "/headers"], ["acm.certificates"]),
    (reencrypted, None, ["acm.certificates"]),
    (regional_backend, None, ["acm.certificates"]),
    (imported_backend, None, ["acm.certificates"]),
]


def dump(url):
    """Everything that the account holds."""
    with urllib.request.urlopen(f"{url}/_sandbox/dump") as answer:
        return json.load(answer)


def differences(one, other, path=""):
    """The paths at which two dumps differ, without what adopting writes and what time alone changes."""
    if path.rsplit("/", 1)[-1] in WRITTEN:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys()):
            found += differences(one.get(key), other.get(key), f"{path}/{key}")
        return found
    return [] if one == other else [f"{path}: {one} != {other}"[:200]]


def gateways(state):
    """The part of a dump that gateways are in: the stack's own bucket is made by adopting."""
    region = state["regions"][REGION]
    return {"route53": state["route53"], **{name: region[name] for name in ("ec2", "elbv2", "apigateway", "acm")}}


def go_round(checks, program, make, proof, referred):
    """One system from its making to nothing."""
    name = make.__name__.replace("_", " ")
    with tempfile.TemporaryDirectory(prefix="mtlsgw-adopt-") as folder:
        work = pathlib.Path(folder)
        make_certificates(work)
        make_store(program, work)
        make_site(program, work)
        echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        with Served(program, work) as served:
            host_targets(served.url, echo.server_address[1])
            entry = make(Console(served.url), work)
            exported = run(program, work, "export", *entry, "--region", REGION)
            checks.equal(f"{name}: export", (exported.returncode, exported.stderr.count("warning: ")), (0, 0))
            planned = run(program, work, "plan", "--adopt", "--json")
            changes = json.loads(planned.stdout)["stacks"][0]["changes"] if planned.returncode == 0 else []
            others = [one["address"] for one in changes
                      if one["action"] != "adopt" and not one["address"].startswith(("bucket", "objects"))]
            adopted = sum(one["action"] == "adopt" for one in changes)
            checks.that(f"{name}: the plan adopts {adopted} things by tags alone", adopted > 0 and not others,
                        (others, planned.stderr))
            before = gateways(dump(served.url))
            done = run(program, work, "apply", "--adopt", "--yes")
            checks.that(f"{name}: apply --adopt", done.returncode == 0, done.stdout + done.stderr)
            checks.equal(f"{name}: nothing but tags has changed", differences(before, gateways(dump(served.url))), [])
            again = run(program, work, "plan", "--detailed-exitcode")
            checks.that(f"{name}: the next plan is empty", again.returncode == 0, again.stdout + again.stderr)
            if proof is not None:
                verify(checks, program, work, (name, proof))
            gone = run(program, work, "destroy", "--yes")
            checks.that(f"{name}: destroy", gone.returncode == 0, gone.stdout + gone.stderr)
            kept = [one for one in left(served.url) if not one.startswith(tuple(referred))]
            checks.equal(f"{name}: nothing is left but what was referred to", kept, [])
            zones = [one["Name"] for one in client("route53", served.url).list_hosted_zones()["HostedZones"]]
            checks.that(f"{name}: no private zone is left", "backend.internal." not in zones, zones)


def make_site(program, work):
    """A server certificate that a CA of its own has issued, and a self-signed one for the backend."""
    openssl(work, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "self_key.pem", "-out", "self_cert.pem",
            "-subj", "/CN=pets.backend.internal", "-days", "365", "-addext", "subjectAltName=DNS:pets.backend.internal",
            "-addext", "keyUsage=critical,keyCertSign,digitalSignature")
    for arguments in (
        ["pki", "ca", "other", "--import", "other_cert.pem", "other_key.pem"],
        ["pki", "issue", "site", "--ca", "other", "--server", "--san", f"dns:login.{ZONE}", "--key", "rsa2048"],
    ):
        done = run(program, work, *arguments)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments}: {done.stderr}")


def host_targets(url, port):
    """Something that answers at the targets' addresses."""
    places = [f"{one}:8080" for one in INSTANCES]
    for place in places:
        urllib.request.urlopen(f"{url}/_sandbox/hosts", data=f"{place}=127.0.0.1:{port}".encode()).close()


def verify(checks, program, work, proof):
    """That the adopted gateway keeps what its stack promises."""
    name, arguments = proof
    text = (work / "stack.yaml").read_text()
    presents = "verify: { client_certificate: good_cert.pem, client_key: good_key.pem, path: /pets }\n"
    (work / "stack.yaml").write_text(text + presents)
    done = run(program, work, "verify", "--json", "--timeout", "20s", *arguments)
    probes = json.loads(done.stdout)["probes"]
    failed = [one["name"] for one in probes if one["result"] not in ("passed", "skipped")]
    passed = sum(one["result"] == "passed" for one in probes)
    checks.that(f"{name}: {passed} probes of verify pass", not failed and passed > 0, failed)


def main(program):
    """Runs everything; gives the exit code."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    checks = Checks()
    for make, proof, referred in SYSTEMS:
        try:
            go_round(checks, program, make, proof, referred)
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            checks.that(f"{make.__name__}: goes round", False, error)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve())))
