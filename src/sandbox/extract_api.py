#!/usr/bin/env python3
"""Extracts the table of API facts that the sandbox's wire layer works by.

Reads botocore's service models (Apache-2.0, see NOTICE) and writes one file for each service to
the folder `api` beside this script: protocol, operations, and the shapes they reach with their
members, types, wire names, required members, enumerated values and bounds. Facts only: no
documentation text is taken over.

An operation that stands here and not in the service's `OPERATIONS` table is refused by name;
one that does not stand here is refused as unknown.

Usage: python3 src/sandbox/extract_api.py
S3's operations that differ from another one by a header or an optional parameter alone
(CopyObject, UploadPart) are left out: the wire layer finds an operation by method and URI.
"""

import gzip
import json
from pathlib import Path

import botocore

ALL = "*"

# Service -> operations; `*` takes every one the model has.
OPERATIONS = {
    "elbv2": ALL,
    "ec2": """
        AssociateRouteTable AttachInternetGateway
        AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress
        CreateInternetGateway CreateNetworkInterface CreateRoute CreateRouteTable CreateSecurityGroup
        CreateSubnet CreateTags CreateVpc CreateVpcEndpoint
        DeleteInternetGateway DeleteNetworkInterface DeleteRoute DeleteRouteTable DeleteSecurityGroup
        DeleteSubnet DeleteTags DeleteVpc DeleteVpcEndpoints
        DescribeAccountAttributes DescribeAvailabilityZones DescribeInstances
        DescribeInternetGateways DescribeManagedPrefixLists DescribeNetworkAcls
        DescribeNetworkInterfaces DescribePrefixLists DescribeRegions DescribeRouteTables
        DescribeSecurityGroupReferences DescribeSecurityGroupRules
        DescribeSecurityGroupVpcAssociations DescribeSecurityGroups DescribeStaleSecurityGroups
        DescribeSubnets DescribeTags DescribeVpcAttribute DescribeVpcClassicLink
        DescribeVpcClassicLinkDnsSupport DescribeVpcEndpointAssociations
        DescribeVpcEndpointServices DescribeVpcEndpoints DescribeVpcPeeringConnections DescribeVpcs
        DetachInternetGateway DetachNetworkInterface DisassociateRouteTable
        GetManagedPrefixListEntries GetSecurityGroupsForVpc
        ModifyNetworkInterfaceAttribute ModifySecurityGroupRules ModifySubnetAttribute
        ModifyVpcAttribute ModifyVpcEndpoint ReplaceRoute
        RevokeSecurityGroupEgress RevokeSecurityGroupIngress RunInstances TerminateInstances
        UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress
    """,
    "apigateway": """
        CreateAuthorizer CreateBasePathMapping CreateDeployment CreateDomainName
        CreateDomainNameAccessAssociation CreateModel CreateRequestValidator CreateResource
        CreateRestApi CreateStage CreateVpcLink
        DeleteAuthorizer DeleteBasePathMapping DeleteDeployment DeleteDomainName
        DeleteDomainNameAccessAssociation DeleteGatewayResponse DeleteIntegration
        DeleteIntegrationResponse DeleteMethod DeleteMethodResponse DeleteModel
        DeleteRequestValidator DeleteResource DeleteRestApi DeleteStage DeleteVpcLink
        FlushStageCache
        GetAccount GetApiKeys GetAuthorizer GetAuthorizers GetBasePathMapping GetBasePathMappings
        GetDeployment GetDeployments GetDocumentationParts GetDocumentationVersions GetDomainName
        GetDomainNameAccessAssociations GetDomainNames GetExport GetGatewayResponse
        GetGatewayResponses GetIntegration GetIntegrationResponse GetMethod GetMethodResponse
        GetModel GetModelTemplate GetModels GetRequestValidator GetRequestValidators GetResource
        GetResources GetRestApi GetRestApis GetStage GetStages GetTags GetUsagePlans GetVpcLink
        GetVpcLinks
        ImportRestApi PutGatewayResponse PutIntegration PutIntegrationResponse PutMethod
        PutMethodResponse PutRestApi RejectDomainNameAccessAssociation TagResource
        TestInvokeMethod UntagResource
        UpdateAccount UpdateAuthorizer UpdateBasePathMapping UpdateDeployment UpdateDomainName
        UpdateGatewayResponse UpdateIntegration UpdateIntegrationResponse UpdateMethod
        UpdateMethodResponse UpdateModel UpdateRequestValidator UpdateResource UpdateRestApi
        UpdateStage UpdateVpcLink
    """,
    "acm": """
        AddTagsToCertificate DeleteCertificate DescribeCertificate ExportCertificate
        GetAccountConfiguration GetCertificate ImportCertificate ListCertificates
        ListTagsForCertificate RemoveTagsFromCertificate RenewCertificate RequestCertificate
        ResendValidationEmail UpdateCertificateOptions
    """,
    "route53": """
        AssociateVPCWithHostedZone ChangeResourceRecordSets ChangeTagsForResource CreateHealthCheck
        CreateHostedZone DeleteHealthCheck DeleteHostedZone DisassociateVPCFromHostedZone
        GetAccountLimit GetChange GetDNSSEC GetHealthCheck GetHostedZone GetHostedZoneCount
        GetHostedZoneLimit ListHealthChecks ListHostedZones ListHostedZonesByName
        ListHostedZonesByVPC ListResourceRecordSets ListTagsForResource ListTagsForResources
        ListVPCAssociationAuthorizations TestDNSAnswer UpdateHostedZoneComment
    """,
    "s3": """
        CreateBucket CreateMultipartUpload DeleteBucket DeleteBucketCors DeleteBucketEncryption DeleteBucketLifecycle
        DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketReplication
        DeleteBucketTagging DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjects
        DeletePublicAccessBlock
        GetBucketAbac GetBucketAccelerateConfiguration GetBucketAcl GetBucketCors
        GetBucketEncryption GetBucketLifecycleConfiguration GetBucketLocation GetBucketLogging
        GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy
        GetBucketPolicyStatus GetBucketReplication GetBucketRequestPayment GetBucketTagging
        GetBucketVersioning GetBucketWebsite GetObject GetObjectAcl GetObjectAttributes
        GetObjectLegalHold GetObjectLockConfiguration GetObjectRetention GetObjectTagging
        GetPublicAccessBlock
        HeadBucket HeadObject ListBuckets ListMultipartUploads ListObjectVersions ListObjects
        ListObjectsV2
        PutBucketAbac PutBucketAccelerateConfiguration PutBucketAcl PutBucketCors
        PutBucketEncryption PutBucketLifecycleConfiguration PutBucketLogging
        PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy
        PutBucketReplication PutBucketRequestPayment PutBucketTagging PutBucketVersioning
        PutBucketWebsite PutObject PutObjectAcl PutObjectLegalHold PutObjectLockConfiguration
        PutObjectRetention PutObjectTagging PutPublicAccessBlock
    """,
    "sts": "GetCallerIdentity AssumeRole GetSessionToken",
    "resourcegroupstaggingapi": "GetResources GetTagKeys GetTagValues TagResources UntagResources",
}

# Root elements of S3's answers where it is not the output shape's name, which botocore does not
# record because it does not look at it. From the response syntax in S3's API reference.
S3_ROOTS = {
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectTagging": "Tagging",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
}

# Constraints that only a request is held to.
BOUNDS = ("required", "enum", "min", "max", "pattern")

# What is copied from a member's reference, by our name for it.
MEMBER_FACTS = {
    "location": "location",
    "locationName": "wire",
    "queryName": "query",
    "streaming": "streaming",
    "xmlAttribute": "attribute",
}


def main():
    folder = Path(__file__).parent / "api"
    folder.mkdir(exist_ok=True)
    for service, names in OPERATIONS.items():
        model = load(service)
        chosen = sorted(model["operations"]) if names == ALL else sorted(names.split())
        table = extract(service, model, chosen)
        (folder / f"{service}.json").write_text(render(table))


def load(service):
    """The newest version of a service's model."""
    versions = sorted((Path(botocore.__file__).parent / "data" / service).iterdir())
    path = next(versions[-1].glob("service-2.json*"))
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return json.loads(text)


def extract(service, model, names):
    """The facts about the named operations, and about the shapes they reach."""
    metadata = model["metadata"]
    operations = {name: operation(service, name, model["operations"][name]) for name in names}
    inputs = reach(model, [o["input"] for o in operations.values() if "input" in o])
    outputs = reach(model, [o["output"] for o in operations.values() if "output" in o])
    shapes = {name: shape(model["shapes"][name], name in inputs) for name in sorted(inputs | outputs)}
    return {
        "protocol": metadata["protocol"],
        "version": metadata["apiVersion"],
        "namespace": namespace(service, metadata),
        "target": metadata.get("targetPrefix", ""),
        "errors": errors(model, names),
        "operations": operations,
        "shapes": shapes,
    }


def namespace(service, metadata):
    """The XML namespace of the answers; the models of the REST-XML services keep it elsewhere."""
    rest_xml = {
        "route53": "https://route53.amazonaws.com/doc/2013-04-01/",
        "s3": "http://s3.amazonaws.com/doc/2006-03-01/",
    }
    return metadata.get("xmlNamespace", rest_xml.get(service, ""))


def operation(service, name, source):
    facts = {
        "method": source["http"]["method"],
        "uri": source["http"]["requestUri"],
        "code": source["http"].get("responseCode", 200),
    }
    if "input" in source:
        facts["input"] = source["input"]["shape"]
    if "output" in source:
        facts["output"] = source["output"]["shape"]
        if "resultWrapper" in source["output"]:
            facts["wrapper"] = source["output"]["resultWrapper"]
    if service == "s3" and name in S3_ROOTS:
        facts["root"] = S3_ROOTS[name]
    return facts


def errors(model, names):
    """The declared errors' codes on the wire with their HTTP status, where the model fixes one."""
    found = {}
    for name in names:
        for reference in model["operations"][name].get("errors", []):
            error = model["shapes"][reference["shape"]].get("error", {})
            if "httpStatusCode" in error:
                found[error.get("code", reference["shape"])] = error["httpStatusCode"]
    return dict(sorted(found.items()))


def reach(model, roots):
    """The names of all shapes that can be reached from the named ones."""
    seen, todo = set(), list(roots)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += [reference["shape"] for reference in references(model["shapes"][name])]
    return seen


def references(source):
    inner = [source[key] for key in ("member", "key", "value") if key in source]
    return list(source.get("members", {}).values()) + inner


def shape(source, is_input):
    facts = {"type": source["type"]}
    if source.get("eventstream"):
        raise ValueError("event streams are not supported")
    if "members" in source:
        facts["members"] = {name: member(reference) for name, reference in source["members"].items()}
    for key in ("member", "key", "value"):
        if key in source:
            facts[key] = member(source[key])
    for key in ("payload", "flattened", "timestampFormat", *(BOUNDS if is_input else ())):
        if key in source:
            facts["format" if key == "timestampFormat" else key] = source[key]
    return facts


def member(reference):
    """A reference to a shape: its name alone where there is nothing more to say."""
    facts = {"shape": reference["shape"]}
    facts |= {ours: reference[theirs] for theirs, ours in MEMBER_FACTS.items() if theirs in reference}
    if reference.get("flattened"):
        facts["flattened"] = True
    if isinstance(reference.get("xmlNamespace"), dict) and "prefix" in reference["xmlNamespace"]:
        facts["namespace"] = reference["xmlNamespace"]["uri"]
    return facts


def render(table):
    """One operation and one shape a line, so that a new botocore shows as a readable difference."""
    lines = []
    for key, value in table.items():
        if isinstance(value, dict):
            rows = ",\n".join(f"{json.dumps(name)}:{compact(row)}" for name, row in value.items())
            lines.append(f"{json.dumps(key)}:{{\n{rows}\n}}")
        else:
            lines.append(f"{json.dumps(key)}:{json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def compact(value):
    return json.dumps(value, separators=(",", ":"))


if __name__ == "__main__":
    main()
