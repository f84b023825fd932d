"""Asks all that the sandbox models about an applied stack, so that every answer can be looked at."""

import botocore.exceptions

# What AWS answers where nothing has been set up, too.
NOTHING_THERE = {
    "NoSuchBucketPolicy",
    "NoSuchCORSConfiguration",
    "NoSuchLifecycleConfiguration",
    "NoSuchTagSet",
    "NoSuchWebsiteConfiguration",
    "NotFoundException",
    "ObjectLockConfigurationNotFoundError",
    "ReplicationConfigurationNotFoundError",
    "ResourceNotFound",
    "ServerSideEncryptionConfigurationNotFoundError",
}


def browse(clients):
    """Asks every question; gives those that were refused, with what was said."""
    refused = []
    questions = [
        *about_load_balancing(clients), *about_network(clients), *about_api(clients), *about_names(clients),
        *about_bucket(clients), *about_tags(clients),
    ]
    for client, operation, arguments in questions:
        try:
            getattr(client, operation)(**arguments)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] not in NOTHING_THERE:
                refused.append(f"{operation}: {error}")
    return refused


def about_load_balancing(clients):
    """ELBv2: the load balancer and everything at it."""
    elbv2 = clients.elbv2
    yield elbv2, "describe_ssl_policies", {"Names": ["ELBSecurityPolicy-TLS13-1-3-2021-06"]}
    for balancer in elbv2.describe_load_balancers()["LoadBalancers"]:
        arn = balancer["LoadBalancerArn"]
        yield elbv2, "describe_load_balancers", {"LoadBalancerArns": [arn]}
        yield elbv2, "describe_load_balancers", {"Names": [balancer["LoadBalancerName"]]}
        yield elbv2, "describe_load_balancer_attributes", {"LoadBalancerArn": arn}
        yield elbv2, "describe_target_groups", {"LoadBalancerArn": arn}
        for listener in elbv2.describe_listeners(LoadBalancerArn=arn)["Listeners"]:
            yield elbv2, "describe_listeners", {"ListenerArns": [listener["ListenerArn"]]}
            for operation in ("describe_listener_attributes", "describe_listener_certificates", "describe_rules"):
                yield elbv2, operation, {"ListenerArn": listener["ListenerArn"]}
    for group in elbv2.describe_target_groups()["TargetGroups"]:
        yield elbv2, "describe_target_group_attributes", {"TargetGroupArn": group["TargetGroupArn"]}
        yield elbv2, "describe_tags", {"ResourceArns": [group["TargetGroupArn"]]}
    for store in elbv2.describe_trust_stores()["TrustStores"]:
        yield elbv2, "describe_trust_stores", {"Names": [store["Name"]]}
        yield elbv2, "describe_trust_store_associations", {"TrustStoreArn": store["TrustStoreArn"]}
        yield elbv2, "describe_tags", {"ResourceArns": [store["TrustStoreArn"]]}


def about_network(clients):
    """EC2: the VPC and what is in it."""
    ec2 = clients.ec2
    yield ec2, "describe_availability_zones", {}
    yield ec2, "describe_internet_gateways", {}
    yield ec2, "describe_route_tables", {}
    yield ec2, "describe_security_group_rules", {}
    yield ec2, "describe_subnets", {}
    yield ec2, "describe_tags", {}
    yield ec2, "describe_vpc_endpoint_services", {}
    for vpc in ec2.describe_vpcs()["Vpcs"]:
        yield ec2, "describe_vpcs", {"VpcIds": [vpc["VpcId"]]}
        for attribute in ("enableDnsHostnames", "enableDnsSupport"):
            yield ec2, "describe_vpc_attribute", {"VpcId": vpc["VpcId"], "Attribute": attribute}
    for group in ec2.describe_security_groups()["SecurityGroups"]:
        yield ec2, "describe_security_groups", {"GroupIds": [group["GroupId"]]}


def about_api(clients):
    """API Gateway: the API, its methods, and the name it answers to."""
    gateway = clients.apigateway
    yield gateway, "get_account", {}
    for api in gateway.get_rest_apis()["items"]:
        this = {"restApiId": api["id"]}
        for operation in (
            "get_rest_api", "get_deployments", "get_gateway_responses", "get_models", "get_request_validators",
            "get_stages",
        ):
            yield gateway, operation, this
        yield gateway, "get_tags", {"resourceArn": f"arn:aws:apigateway:{clients.region}::/restapis/{api['id']}"}
        for stage in gateway.get_stages(**this)["item"]:
            yield gateway, "get_stage", {**this, "stageName": stage["stageName"]}
            yield gateway, "get_deployment", {**this, "deploymentId": stage["deploymentId"]}
        yield from about_methods(gateway, this)
    for domain in gateway.get_domain_names()["items"]:
        name = {"domainName": domain["domainName"]}
        for mapping in gateway.get_base_path_mappings(**name)["items"]:
            yield gateway, "get_base_path_mapping", {**name, "basePath": mapping["basePath"]}


def about_methods(gateway, this):
    """API Gateway: every method with its integration and responses."""
    for resource in gateway.get_resources(**this, embed=["methods"])["items"]:
        yield gateway, "get_resource", {**this, "resourceId": resource["id"]}
        for verb, method in resource.get("resourceMethods", {}).items():
            place = {**this, "resourceId": resource["id"], "httpMethod": verb}
            yield gateway, "get_method", place
            yield gateway, "get_integration", place
            for status in method.get("methodResponses", {}):
                yield gateway, "get_method_response", {**place, "statusCode": status}
            for status in method.get("methodIntegration", {}).get("integrationResponses", {}):
                yield gateway, "get_integration_response", {**place, "statusCode": status}


def about_names(clients):
    """Route 53 and ACM."""
    route53, acm = clients.route53, clients.acm
    yield route53, "get_hosted_zone_count", {}
    yield route53, "list_hosted_zones_by_name", {}
    for zone in route53.list_hosted_zones()["HostedZones"]:
        yield route53, "get_hosted_zone", {"Id": zone["Id"]}
        bare = zone["Id"].rpartition("/")[2]
        yield route53, "list_tags_for_resource", {"ResourceType": "hostedzone", "ResourceId": bare}
    for certificate in acm.list_certificates()["CertificateSummaryList"]:
        yield acm, "get_certificate", {"CertificateArn": certificate["CertificateArn"]}
        yield acm, "list_tags_for_certificate", {"CertificateArn": certificate["CertificateArn"]}


def about_bucket(clients):
    """S3: the stack's bucket and its objects."""
    s3 = clients.s3
    for bucket in s3.list_buckets()["Buckets"]:
        name = {"Bucket": bucket["Name"]}
        for operation in (
            "get_bucket_acl", "get_bucket_cors", "get_bucket_encryption", "get_bucket_lifecycle_configuration",
            "get_bucket_location", "get_bucket_logging", "get_bucket_ownership_controls", "get_bucket_policy",
            "get_bucket_request_payment", "get_bucket_tagging", "get_bucket_versioning", "get_public_access_block",
            "head_bucket", "list_object_versions", "list_objects",
        ):
            yield s3, operation, name
        for found in s3.list_objects_v2(**name).get("Contents", []):
            for operation in ("get_object", "get_object_tagging", "head_object"):
                yield s3, operation, {**name, "Key": found["Key"]}


def about_tags(clients):
    """The resource groups tagging API."""
    yield clients.tagging, "get_resources", {}
    yield clients.tagging, "get_tag_keys", {}
    yield clients.tagging, "get_tag_values", {"Key": "mtlsgw:stack"}
