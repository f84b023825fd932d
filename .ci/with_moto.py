"""Plans, applies, changes and destroys a stack in an AWS that is not ours: moto.

The sandbox and mtlsgw come from the same people, who can be wrong twice in the same way; moto was written by
others. Nothing in mtlsgw knows of it: it is an `--endpoint-url`. The stack has every section but the trust
store, which moto does not have; what else moto lacks is made up for in moto_aws.py.

    python with_moto.py target/debug/mtlsgw
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import traceback

from outside_clients import ENVIRONMENT, TAG, ZONE, Checks, Clients, quietly

# The region whose buckets are made without a location; outside_clients.py uses another one.
REGION = "us-east-1"
DOMAIN = f"petstore.{ZONE}"
STACK = "moto"
BUCKET = f"mtlsgw-123456789012-{REGION}"

# mutual_authentication: off, because moto has no trust stores.
STACK_FILE = f"""\
name: {STACK}
region: {REGION}
vpc: default
tags: {{ Team: edge, Trial: "yes" }}

endpoint: {{}}
api: {{ openapi: petstore.yaml, stage: dev }}
domain: {{ name: {DOMAIN} }}
certificate: {{ request: "*.{ZONE}" }}
target_group: {{}}
load_balancer: {{}}
listener: {{ mutual_authentication: off, redirect_http: true }}
record: {{ zone: {ZONE} }}
"""

CHANGED_FILE = f"""\
name: {STACK}
region: {REGION}
vpc: default
tags: {{ Team: gateways }}

endpoint: {{}}
api:
  openapi: petstore.yaml
  stage: dev
  description: The pet store
  policy: source_vpce
  stage_variables: {{ level: silver }}
  throttling: {{ rate_limit: 50, burst_limit: 100 }}
domain: {{ name: {DOMAIN}, base_path: v1 }}
certificate: {{ request: "*.{ZONE}" }}
target_group: {{ deregistration_delay_seconds: 60, health_check: {{ interval_seconds: 10, path: /ping }} }}
load_balancer: {{ allow: [198.51.100.0/24], attributes: {{ idle_timeout.timeout_seconds: "120" }} }}
listener: {{ mutual_authentication: off, ssl_policy: ELBSecurityPolicy-TLS13-1-2-2021-06 }}
record: {{ zone: {ZONE}, evaluate_target_health: true }}
"""

# OpenAPI 3, the only version that moto imports.
DEFINITION = """\
openapi: 3.0.1
info: {{ title: PetStore, version: "1" }}
paths:
  /{path}:
    get:
      responses: {{ "200": {{ description: All of them }} }}
      x-amazon-apigateway-integration:
        type: http
        httpMethod: GET
        uri: http://petstore.example.com/pets
        responses: {{ default: {{ statusCode: "200" }} }}
"""


def main(program):
    """Runs everything; gives the exit code."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="mtlsgw-moto-") as folder:
        with Moto(program, pathlib.Path(folder)) as moto:
            try:
                check_everything(checks, moto)
            except Exception as error:  # pylint: disable=broad-except
                traceback.print_exc()
                checks.that("everything could be looked at", False, error)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def check_everything(checks, moto):
    """Plan, apply, plan, change, plan, destroy, and look at what there is each time."""
    clients = Clients(moto.url, region=REGION)
    clients.route53.create_hosted_zone(Name=ZONE, CallerReference=STACK)
    before = clients.inventory()
    moto.write(STACK_FILE, "pets")
    checks.equal("plan has changes", moto.run("plan", "--detailed-exitcode"), 2)
    checks.equal("plan changes nothing", clients.inventory(), before)
    checks.equal("apply succeeds", moto.run("apply", "--yes"), 0)
    look_at_applied(checks, clients)
    checks.equal("the second plan has no changes", moto.run("plan", "--detailed-exitcode"), 0)
    moto.write(CHANGED_FILE, "animals")
    checks.equal("a changed file has changes", moto.run("plan", "--detailed-exitcode"), 2)
    checks.equal("applying them succeeds", moto.run("apply", "--yes", "--allow-widening"), 0)
    look_at_changed(checks, clients)
    checks.equal("then there are none any more", moto.run("plan", "--detailed-exitcode"), 0)
    checks.equal("destroy succeeds", moto.run("destroy", "--yes"), 0)
    look_at_leftovers(checks, clients, before)
    checks.equal("moto has answered every call", moto.failures(), [])


def look_at_applied(checks, clients):
    """The way from the name to the API, as it was made."""
    balancer = only(clients.elbv2.describe_load_balancers()["LoadBalancers"])
    listeners = clients.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    by_port = {each["Port"]: each for each in listeners}
    checks.equal("listeners on 80 and 443", sorted(by_port), [80, 443])
    checks.equal("80 redirects", by_port[80]["DefaultActions"][0]["RedirectConfig"]["StatusCode"], "HTTP_301")
    checks.equal("443 speaks TLS 1.3 only", by_port[443]["SslPolicy"], "ELBSecurityPolicy-TLS13-1-3-2021-06")
    certificate = only(clients.acm.list_certificates()["CertificateSummaryList"])["CertificateArn"]
    checks.equal("443 has the certificate", only(by_port[443]["Certificates"])["CertificateArn"], certificate)
    group = only(clients.elbv2.describe_target_groups()["TargetGroups"])
    checks.equal("443 forwards to the targets", by_port[443]["DefaultActions"][0]["TargetGroupArn"],
                 group["TargetGroupArn"])
    endpoint = live_endpoint(clients)
    health = clients.elbv2.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    interfaces = clients.ec2.describe_network_interfaces(NetworkInterfaceIds=endpoint["NetworkInterfaceIds"])
    checks.equal("the targets are the endpoint's addresses", sorted(each["Target"]["Id"] for each in health),
                 sorted(each["PrivateIpAddress"] for each in interfaces["NetworkInterfaces"]))
    api = only(clients.apigateway.get_rest_apis()["items"])
    checks.equal("the API is private and behind the endpoint", api["endpointConfiguration"],
                 {"types": ["PRIVATE"], "vpcEndpointIds": [endpoint["VpcEndpointId"]]})
    checks.equal("it is the definition's", paths(clients, api), ["/", "/pets"])
    look_at_mappings(checks, clients, {"(none)": (api["id"], "dev")})
    alias = only(clients.records(DOMAIN))["AliasTarget"]
    checks.that("the name leads to the load balancer", balancer["DNSName"] in alias["DNSName"], alias)
    checks.equal("no bucket but the stack's", [each["Name"] for each in clients.s3.list_buckets()["Buckets"]], [BUCKET])
    look_at_tags(checks, clients, balancer, api, {"Team": "edge", "Trial": "yes"})


def look_at_changed(checks, clients):
    """One thing of every kind that has changed."""
    balancer = only(clients.elbv2.describe_load_balancers()["LoadBalancers"])
    listener = only(clients.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"])
    checks.equal("443 is all that is left, with another policy", (listener["Port"], listener["SslPolicy"]),
                 (443, "ELBSecurityPolicy-TLS13-1-2-2021-06"))
    groups = clients.ec2.describe_security_groups(GroupIds=balancer["SecurityGroups"])["SecurityGroups"]
    rules = only(groups)["IpPermissions"]
    allowed = [(rule["FromPort"], each["CidrIp"]) for rule in rules for each in rule["IpRanges"]]
    checks.equal("fewer clients are let in", allowed, [(443, "198.51.100.0/24")])
    group = only(clients.elbv2.describe_target_groups()["TargetGroups"])
    checks.equal("health is checked otherwise", (group["HealthCheckPath"], group["HealthCheckIntervalSeconds"]),
                 ("/ping", 10))
    api = only(clients.apigateway.get_rest_apis()["items"])
    checks.equal("the API is the new definition's", paths(clients, api), ["/", "/animals"])
    checks.equal("it has a description", api["description"], "The pet store")
    checks.that("it admits the endpoint only", live_endpoint(clients)["VpcEndpointId"] in api["policy"], api["policy"])
    stage = only(clients.apigateway.get_stages(restApiId=api["id"])["item"])
    deployment = only(clients.apigateway.get_deployments(restApiId=api["id"])["items"])
    checks.equal("its stage serves the only deployment", stage["deploymentId"], deployment["id"])
    checks.equal("it has a variable", stage["variables"], {"level": "silver"})
    checks.equal("it has a limit", stage["methodSettings"]["*/*"]["throttlingBurstLimit"], 100)
    look_at_mappings(checks, clients, {"v1": (api["id"], "dev")})
    alias = only(clients.records(DOMAIN))["AliasTarget"]
    checks.equal("the alias asks for health", alias["EvaluateTargetHealth"], True)
    look_at_tags(checks, clients, balancer, api, {"Team": "gateways"})


def look_at_mappings(checks, clients, expected):
    """Where the domain leads to."""
    mappings = clients.apigateway.get_base_path_mappings(domainName=DOMAIN)["items"]
    found = {each["basePath"]: (each["restApiId"], each["stage"]) for each in mappings}
    checks.equal("the domain leads to the API", found, expected)


def look_at_tags(checks, clients, balancer, api, expected):
    """The user's tags, of something of each service that has a way of its own with them."""
    arn = balancer["LoadBalancerArn"]
    of_balancer = only(clients.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"])["Tags"]
    certificate = only(clients.acm.list_certificates()["CertificateSummaryList"])["CertificateArn"]
    domain = clients.apigateway.get_domain_name(domainName=DOMAIN)
    found = {
        "load balancer": as_mapping(of_balancer),
        "endpoint": as_mapping(live_endpoint(clients)["Tags"]),
        "certificate": as_mapping(clients.acm.list_tags_for_certificate(CertificateArn=certificate)["Tags"]),
        "API": api["tags"],
        "domain": domain["tags"],
    }
    for what, tags in found.items():
        checks.equal(f"the {what} is the stack's", tags.get(TAG), STACK)
        users = {key: value for key, value in tags.items() if not key.startswith("mtlsgw:")}
        checks.equal(f"the {what} has the user's tags", users, expected)


def look_at_leftovers(checks, clients, before):
    """What destroy leaves: nothing but the validation record, which other certificates may share."""
    for what, there in clients.inventory().items():
        more = sorted(there - before[what])
        if what == "records":
            more = [each for each in more if not each.endswith(" CNAME")]
        checks.equal(f"no {what} are left", more, [])
    tagged = clients.tagging.get_resources(TagFilters=[{"Key": TAG}])["ResourceTagMappingList"]
    checks.equal(f"nothing tagged {TAG} is left", [each["ResourceARN"] for each in tagged], [])


def only(things):
    """The only one; more or none of them end the script."""
    if len(things) != 1:
        raise AssertionError(f"one is expected, and there are {things}")
    return things[0]


def as_mapping(tags):
    """Tags by key."""
    return {each["Key"]: each["Value"] for each in tags}


def live_endpoint(clients):
    """The endpoint; moto goes on listing deleted ones, as AWS does for a while."""
    endpoints = clients.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    return only([each for each in endpoints if each["State"].lower() != "deleted"])


def paths(clients, api):
    """The paths of an API."""
    return sorted(each["path"] for each in clients.apigateway.get_resources(restApiId=api["id"])["items"])


class Moto:
    """A served moto, and the program that is to work with it."""

    def __init__(self, program, work):
        self.program = pathlib.Path(program).resolve()
        self.work = work
        self.log = work / "moto.log"
        self.url = ""

    def __enter__(self):
        server = pathlib.Path(__file__).with_name("moto_aws.py")
        # Certificates are issued at once, not after a minute.
        environment = {**os.environ, "MOTO_ACM_VALIDATION_WAIT": "0"}
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([sys.executable, server], cwd=self.work, env=environment, text=True,
                                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit(f"moto does not serve:\n{self.log.read_text()}")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def write(self, stack, path):
        """Writes the stack file, and the definition of an API with one path."""
        (self.work / "stack.yaml").write_text(stack)
        (self.work / "petstore.yaml").write_text(DEFINITION.format(path=path))

    def run(self, *arguments):
        """Runs a verb on the stack; gives its exit code."""
        done = quietly([self.program, "--endpoint-url", self.url, *arguments, "stack.yaml"], self.work)
        if done.returncode not in (0, 2):
            print(done.stdout, done.stderr, sep="\n", flush=True)
        return done.returncode

    def failures(self):
        """The calls that moto failed at, which mtlsgw would only try again."""
        lines = self.log.read_text().splitlines()
        return [each for each in lines if re.search(r'" 5\d\d ', each) or re.match(r"\w*(Error|Exception)\b", each)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
