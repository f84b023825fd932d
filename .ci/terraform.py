"""Terraform's AWS provider and the embedded AWS agree; so do Terraform and mtlsgw.

Each configuration in `.ci/terraform/` is applied to a sandbox, has to plan empty and to be destroyed
without leftovers; meanwhile `mtlsgw export` has to describe it so that adopting it would write tags alone. Then mtlsgw applies the same gateway, and Terraform has to take it over by `import`
blocks without wanting to replace anything.

    python terraform.py target/debug/mtlsgw PROVIDER_MIRROR
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from gateway_clients import Served, make_certificates, run
from outside_clients import Checks, ENVIRONMENT, REGION

CONFIGURATIONS = pathlib.Path(__file__).parent / "terraform"

STACK = f"""\
name: imported
region: {REGION}
vpc: default
endpoint: {{}}
api: {{ openapi: api.json, stage: dev }}
domain: {{ name: api.example.com }}
certificate: {{ request: "*.example.com" }}
target_group: {{}}
load_balancer: {{}}
trust_store: {{ ca_bundle: [root_cert.pem], crls: [root.crl] }}
listener: {{ mutual_authentication: verify }}
record: {{ zone: example.com }}
"""

API = {
    "openapi": "3.0.1",
    "info": {"title": "imported", "version": "1"},
    "paths": {
        "/pets": {
            "get": {
                "responses": {"200": {"description": "pets"}},
                "x-amazon-apigateway-integration": {
                    "type": "mock",
                    "requestTemplates": {"application/json": '{"statusCode": 200}'},
                    "responses": {"default": {"statusCode": "200"}},
                },
            }
        }
    },
}

# What a sandbox has before anybody does anything.
FURNISHED = ("vpcs", "subnets", "internet_gateways", "route_tables", "account", "region")
# What AWS itself goes on with for a while, or remembers.
LINGERING = ("network_interfaces", "vpc_endpoints", "releases", "released_certificates")


# The load balancer that export begins at, in each configuration.
ENTRIES = {"client-certificates": "tf-servers", "petstore": "tf-front", "self-signed-backend": "tf-backend"}


def terraform(work, url, *arguments, mirror):
    """Runs Terraform with the provider that is on this machine."""
    (work / "terraformrc").write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    environment = {
        **os.environ,
        "CHECKPOINT_DISABLE": "1",
        "TF_CLI_CONFIG_FILE": str(work / "terraformrc"),
        "TF_IN_AUTOMATION": "1",
        "TF_VAR_endpoint": url,
    }
    return subprocess.run(
        ["terraform", *arguments], cwd=work, env=environment, capture_output=True, text=True, check=False
    )


def left(url):
    """What the account holds beside what it begins with."""
    with urllib.request.urlopen(f"{url}/_sandbox/dump") as answer:
        regions = json.load(answer)["regions"]
    found = []
    for service, state in regions[REGION].items():
        for kind, things in state.items():
            if not isinstance(things, dict) or kind in FURNISHED + LINGERING:
                continue
            names = [name for name, thing in things.items() if not (isinstance(thing, dict) and thing.get("name") == "default")]
            found += [f"{service}.{kind}.{name}" for name in names]
    return found


def export(checks, program, work, name):
    """What Terraform has made, as a stack that could be adopted."""
    arguments = ["--load-balancer", ENTRIES[name], "--name", name, "--region", REGION, "--directory", "exported"]
    exported = run(program, work, "export", *arguments)
    checks.that(f"{name}: mtlsgw export", exported.returncode == 0, exported.stderr)
    planned = run(program, work, "plan", "--adopt", "--json", "exported/stack.yaml")
    if planned.returncode != 0:
        checks.that(f"{name}: mtlsgw plan --adopt", False, planned.stderr)
        return
    stack = json.loads(planned.stdout)["stacks"][0]
    others = [one["address"] for one in stack["changes"]
              if one["action"] != "adopt" and not one["address"].startswith(("bucket", "objects"))]
    adopted = sum(one["action"] == "adopt" for one in stack["changes"])
    fact = f"{name}: adopting {adopted} things would write tags alone"
    checks.that(fact, adopted > 0 and not others and not stack["warnings"], (others, stack["warnings"], exported.stderr))


def apply_and_destroy(checks, program, mirror, configuration):
    """A configuration from nothing to nothing."""
    with tempfile.TemporaryDirectory(prefix="mtlsgw-terraform-") as folder:
        work = pathlib.Path(folder)
        make_certificates(work)
        shutil.copytree(configuration, work, dirs_exist_ok=True)
        name = configuration.name
        with Served(program, work) as served:
            for command, expected in [
                (["init"], 0),
                (["apply", "-auto-approve"], 0),
                (["plan", "-detailed-exitcode"], 0),
                (["destroy", "-auto-approve"], 0),
            ]:
                done = terraform(work, served.url, *command, "-no-color", mirror=mirror)
                said = (done.stdout + done.stderr)[-3000:]
                checks.that(f"{name}: terraform {command[0]}", done.returncode == expected, said)
                if done.returncode != expected:
                    return
                if command[0] == "plan":
                    export(checks, program, work, name)
            checks.equal(f"{name}: nothing is left", left(served.url), [])


def imports(outputs, dump):
    """The import blocks for what mtlsgw has made: Terraform's address and id."""
    listener = outputs["listener"]
    blocks = {
        "aws_acm_certificate.server": outputs["certificate"],
        "aws_lb_trust_store.clients": outputs["trust_store"],
        "aws_security_group.balancer": outputs["load_balancer.security_group"],
        "aws_security_group.endpoint": outputs["endpoint.security_group"],
        "aws_vpc_endpoint.api": outputs["endpoint"],
        "aws_api_gateway_rest_api.pets": outputs["api"],
        "aws_api_gateway_rest_api_policy.pets": outputs["api"],
        "aws_api_gateway_stage.dev": f"{outputs['api']}/dev",
        "aws_api_gateway_domain_name.api": "api.example.com",
        "aws_api_gateway_base_path_mapping.api": "api.example.com/",
        "aws_lb.front": outputs["load_balancer"],
        "aws_lb_target_group.endpoint": outputs["target_group"],
        "aws_lb_listener.https": listener,
        "aws_route53_record.api": f"{outputs['record.a'].split('/')[0]}_api.example.com_A",
    }
    text = "".join(f'import {{\n  to = {to}\n  id = "{id}"\n}}\n\n' for to, id in blocks.items())
    groups = dump["regions"][REGION]["ec2"]["security_groups"]
    balancer, endpoint = groups[outputs["load_balancer.security_group"]], groups[outputs["endpoint.security_group"]]
    placements = dump["regions"][REGION]["elbv2"]["load_balancers"][outputs["load_balancer"]]["placements"]
    subnets = [one["subnet"] for one in placements]
    variables = {
        "names": {
            "balancer": outputs["load_balancer"].split("/")[-2],
            "balancer_group": balancer["name"],
            "endpoint_group": endpoint["name"],
            "target_group": outputs["target_group"].split("/")[-2],
            "trust_store": outputs["trust_store"].split("/")[-2],
            "api": dump["regions"][REGION]["apigateway"]["apis"][outputs["api"]]["properties"]["name"],
        },
        "descriptions": {"balancer_group": balancer["description"], "endpoint_group": endpoint["description"]},
        "subnets": sorted(subnets),
    }
    return text, variables, set(blocks)


def take_over(checks, program, mirror):
    """What mtlsgw has applied, imported by Terraform."""
    with tempfile.TemporaryDirectory(prefix="mtlsgw-import-") as folder:
        work = pathlib.Path(folder)
        make_certificates(work)
        shutil.copytree(CONFIGURATIONS / "petstore", work, dirs_exist_ok=True)
        (work / "stack.yaml").write_text(STACK)
        (work / "api.json").write_text(json.dumps(API))
        with Served(program, work) as served:
            checks.equal("mtlsgw applies", run(program, work, "apply", "--yes").returncode, 0)
            outputs = json.loads(run(program, work, "output", "--json").stdout)["outputs"]
            with urllib.request.urlopen(f"{served.url}/_sandbox/dump") as answer:
                text, variables, imported = imports(outputs, json.load(answer))
            (work / "imports.tf").write_text(text)
            (work / "names.auto.tfvars.json").write_text(json.dumps(variables))
            for command in (["init"], ["plan", "-out", "plan"]):
                done = terraform(work, served.url, *command, "-no-color", mirror=mirror)
                checks.that(f"import: terraform {command[0]}", done.returncode == 0, (done.stdout + done.stderr)[-3000:])
            shown = terraform(work, served.url, "show", "-json", "plan", mirror=mirror)
            changes = {one["address"]: one["change"] for one in json.loads(shown.stdout)["resource_changes"]}
            for address in sorted(imported):
                change = changes.get(address, {"actions": ["missing"]})
                kept = "importing" in change and "delete" not in change["actions"] and "create" not in change["actions"]
                checks.that(f"import: {address} is kept", kept, (change["actions"], change.get("replace_paths")))


def main(program, mirror):
    """Runs everything; gives the exit code."""
    os.environ.clear()
    os.environ.update(ENVIRONMENT)
    checks = Checks()
    # Terraform mostly waits, so that all of it goes on at once.
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = [pool.submit(take_over, checks, program, mirror)]
        for configuration in sorted(CONFIGURATIONS.iterdir()):
            running.append(pool.submit(apply_and_destroy, checks, program, mirror, configuration))
        for one in running:
            one.result()
    print(f"{checks.passed} held, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2]))
