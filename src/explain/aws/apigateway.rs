//! Errors of API Gateway.

use crate::explain::entry::{Entry, Kind};

const API: &str = "API Gateway REST API Reference";
const SEEN: &str = "API Gateway REST API Reference; the message is seen in practice";

const fn entry(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::ApiGateway, code, cause, fix, API)
}

const fn message(code: &'static str, cause: &'static str, fix: &'static str) -> Entry {
    Entry::new(Kind::ApiGateway, code, cause, fix, SEEN)
}

/// Errors of API Gateway; a `BadRequestException` by its message.
pub(in crate::explain) const APIGATEWAY: &[Entry] = &[
    entry("BadRequestException", "API Gateway does not take the request; it has this one code for many things, and the message says which.", "Run `mtlsgw explain` with the whole message; right after a domain or stage was made, the same command a minute later."),
    entry("ConflictException", "It exists already, or something else is changing it.", "Run `mtlsgw plan`: it shows whose it is; then apply again."),
    entry("NotFoundException", "There is no such thing any more, or not yet: an API, stage, domain or mapping; S3 says `NotFound` of buckets and objects.", "Run `mtlsgw apply` again; it plans anew from what is there."),
    entry("LimitExceededException", "A quota is used up: APIs, stages, domains, or certificates of ACM. Trying again does not help.", "Remove what is not needed, or ask for more in Service Quotas."),
    entry("TooManyRequestsException", "More calls came than the control plane allows: ten a second in all, a domain or deletion of an API every 30 seconds.", "Nothing: calls are paced and tried again; other tools in the account use the same quota."),
    message("BadRequestException (no policy)", "A private API cannot be deployed without a resource policy.", "Leave `api.policy` at `source_vpc`, or give a policy.").at("api.policy").says(&["doesn't have a resource policy attached"]),
    message("BadRequestException (no methods)", "The API has no method, so there is nothing to deploy.", "Look at the `paths` of the OpenAPI file.").at("api.openapi").says(&["doesn't contain any methods"]),
    message("BadRequestException (no integration)", "A method of the API has no integration.", "Give it `x-amazon-apigateway-integration` in the OpenAPI file.").at("api.openapi").says(&["no integration defined for method"]),
    message("BadRequestException (invalid policy)", "The resource policy is not accepted: its syntax is wrong, or a principal does not exist.", "Look at the policy's principals; `Principal: \"*\"` is right for anonymous callers.").at("api.policy").says(&["invalid policy document"]),
    message("BadRequestException (stage in use)", "A deployment cannot go while a stage points to it.", "Run `mtlsgw apply` again: it moves the stage first.").at("api.stage").says(&["active stages pointing to this deployment", "active stages with canary settings"]),
    message("BadRequestException (stage is mapped)", "A stage cannot go while a custom domain leads to it.", "Remove the mapping that the message names; `--with-foreign` takes it along if it is not this stack's.").at("domain.mappings").says(&["remove all base path mappings related to the stage"]),
    message("BadRequestException (API is mapped)", "An API cannot go while a custom domain leads to it.", "Remove the mappings first; `mtlsgw destroy` does so for its own.").at("domain.mappings").says(&["remove all base path mappings related to the restapi"]),
    message("BadRequestException (domain exists)", "The custom domain exists: in this account, or in another one, as names are unique within a region.", "Look with `aws apigateway get-domain-names`; a wildcard domain of another account blocks names below it, too.").at("domain.name").says(&["the domain name you provided already exists"]),
    message("ConflictException (base path)", "The custom domain leads this base path elsewhere.", "`mtlsgw plan` names the mapping; remove it, or take another base path.").at("domain.mappings").says(&["base path already exists"]),
    message("BadRequestException (log role)", "The account has no role with which API Gateway could write logs.", "Set `cloudwatchRoleArn` with `aws apigateway update-account`, or remove `api.access_logs`.").at("api.access_logs").says(&["cloudwatch logs role arn must be set"]),
    message("BadRequestException (VPC link in use)", "A VPC link cannot go while an API refers to it, old deployments on a stage included.", "Deploy the API without it first.").says(&["cannot delete vpc link"]),
    message("BadRequestException (slash in base path)", "Base paths of several levels are not possible with this API of AWS.", "Use one level.").at("domain.base_path").says(&["support the slash character"]),
    message("BadRequestException (unknown API or stage)", "The mapping names an API or stage that does not exist, or is so new that it is not known yet.", "Run `mtlsgw apply` again.").at("domain.mappings").says(&["invalid rest api identifier", "invalid stage identifier"]),
];
