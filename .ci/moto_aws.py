"""Serves moto, an AWS that is not ours, on a free loopback port.

Prints the address and serves until it is ended. What moto lacks, or does otherwise than AWS, is made up for
here and nowhere else: every function below that replaces one of moto's says which fact it follows, and from
where. Trust stores moto does not have at all; a stack that is to work with it has none.
"""

import json
import time
from urllib.parse import unquote

from moto.apigateway import urls
from moto.apigateway.models import APIGatewayBackend, RestAPI
from moto.apigateway.responses import APIGatewayResponse
from moto.core.responses import ActionResult
from moto.ec2.models.vpcs import VPCEndPoint
from moto.elbv2.responses import ELBV2Response
from moto.server import ThreadedMotoServer

ENDPOINT_IDS = "/endpointConfiguration/vpcEndpointIds"


def describe_trust_stores(_):
    """DescribeTrustStores of an account that has none gives an empty list; moto has no such action.

    mtlsgw asks even where the file has no trust store: one that the file no longer has is to be deleted.
    """
    return ActionResult({"TrustStores": []})


def endpoint_filter(endpoint, name, method=None, original=VPCEndPoint.get_filter_value):
    """DescribeVpcEndpoints has the filter `vpc-endpoint-id` (EC2's API reference); moto lacks it."""
    return endpoint.id if name == "vpc-endpoint-id" else original(endpoint, name, method)


def patch_api(api, operations, original=RestAPI.apply_patch_operations):
    """UpdateRestApi adds and removes `vpcEndpointIds` (API Gateway's table of patches); moto passes over it."""
    ids = api.endpoint_configuration.setdefault("vpcEndpointIds", [])
    for each in operations:
        if each["path"] == ENDPOINT_IDS:
            (ids.append if each["op"] == "add" else ids.remove)(each["value"])
    original(api, [each for each in operations if each["path"] != ENDPOINT_IDS])


def get_base_path_mappings(backend, domain_name, original=APIGatewayBackend.get_base_path_mappings):
    """GetBasePathMappings of a domain that has none gives an empty list; moto fails with HTTP 500."""
    backend.base_path_mappings.setdefault(domain_name, {})
    return original(backend, domain_name)


def tagged(response):
    """What the ARN of a tagging call stands for: an API, a stage or a domain.

    TagResource and UntagResource are for all that carries tags (botocore's model); moto knows stages only.
    """
    path = unquote(response.path.split("/tags/")[1]).split("::/")[1].split("/")
    if path[0] == "domainnames":
        return response.backend.get_domain_name(path[1])
    if len(path) == 4:
        return response.backend.get_stage(path[1], path[3])
    return response.backend.get_rest_api(path[1])


def tag_resource(response):
    """TagResource adds tags; it answers 204 without a body (botocore's model)."""
    what = tagged(response)
    what.tags = {**(what.tags or {}), **json.loads(response.body)["tags"]}
    return 204, {}, ""


def untag_resource(response):
    """UntagResource removes tags; it answers 204 without a body (botocore's model)."""
    what = tagged(response)
    removed = response.querystring.get("tagKeys") or []
    what.tags = {key: value for key, value in (what.tags or {}).items() if key not in removed}
    return 204, {}, ""


def main():
    """Fills moto's gaps and serves."""
    ELBV2Response.describe_trust_stores = describe_trust_stores
    VPCEndPoint.get_filter_value = endpoint_filter
    RestAPI.apply_patch_operations = patch_api
    APIGatewayBackend.get_base_path_mappings = get_base_path_mappings
    APIGatewayResponse.tag_resource = tag_resource
    APIGatewayResponse.untag_resource = untag_resource
    # The SDKs send the ARN's slashes encoded; moto looks at them decoded, and knows only stages there.
    urls.url_paths["{0}/tags/(?P<resourceArn>.+)$"] = APIGatewayResponse.dispatch
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
