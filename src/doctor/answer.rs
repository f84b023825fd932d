//! What an HTTP answer says about the way that its request took.
//!
//! API Gateway answers 403 to many things, and the load balancer answers for itself when it gets no
//! answer. Source: API Gateway Developer Guide, gateway responses and troubleshooting of private APIs;
//! Application Load Balancer User Guide, troubleshooting.

use super::{Finding, Link};
use crate::verify::http::Answer;

/// What an answer shows that is not the expected one.
pub(crate) fn of_answer(answer: &Answer, name: &str, path: &str) -> Finding {
    if answer
        .header("server")
        .is_some_and(|server| server.starts_with("awselb"))
    {
        return of_load_balancer(answer.status, name);
    }
    let body = answer.body.to_lowercase();
    let found = |link, code| Finding::new(link, code, format!("https://{name}{path}")).symptom();
    if body.contains("is not authorized to perform: execute-api:invoke") {
        let explicit = if body.contains("with an explicit deny") {
            "a statement denies it"
        } else {
            "no statement allows it"
        };
        return found(Link::Policy, "policy-denies")
            .what(format!(
                "API Gateway refuses the request by a policy ({explicit}): that of the endpoint, or the \
                 API's resource policy as it was at the last deployment"
            ))
            .fix("allow `execute-api:Invoke` from this VPC or endpoint, and deploy the API: `mtlsgw apply` does both");
    }
    if body.contains("missing authentication token") {
        return found(Link::Integration, "no-such-method")
            .what(format!(
                "the API is reached, but what is deployed has no method for {path}"
            ))
            .fix("name a path of the API in `verify.path` or --path, or deploy the definition that has it");
    }
    if answer.status == 403 && body.contains("forbidden") {
        return found(Link::Mapping, "forbidden")
            .what(format!(
                "API Gateway knows no API for https://{name}{path}: no custom domain of that name, no mapping for the path, \
                 no stage behind the mapping, or a private API asked for past its endpoint"
            ))
            .fix("compare domain, mapping and stage with `mtlsgw plan`");
    }
    match answer.status {
        413 | 431 => found(Link::Integration, "headers-too-large")
            .what("the request is larger than API Gateway takes; a private API takes 8,000 bytes of headers")
            .fix("send shorter certificate chains, or rename no header to a longer one (`mtlsgw trust lint --client`)"),
        429 => found(Link::Stage, "throttled")
            .what("the API is throttled")
            .fix("raise `api.throttling`, or wait"),
        500 | 502 => found(Link::Integration, "integration-fails")
            .what(format!("the API is reached, and its integration fails: {}", excerpt(&answer.body)))
            .fix("look at the integration's backend and at the stage's access log"),
        504 => found(Link::Integration, "integration-does-not-answer")
            .what(format!("the API is reached, and its backend does not answer: {}", excerpt(&answer.body)))
            .fix("look at the integration's backend; API Gateway waits at most 29 seconds"),
        status => found(Link::Integration, "unexpected-status")
            .what(format!("the gateway answers {status}: {}", excerpt(&answer.body)))
            .fix("compare `verify.expect` with what the API answers"),
    }
}

/// What the load balancer says by itself.
fn of_load_balancer(status: u16, name: &str) -> Finding {
    let found = |link, code| Finding::new(link, code, name).symptom();
    match status {
        502 => found(Link::Health, "bad-gateway")
            .what("the load balancer gets no usable answer from the target: it refuses the connection, or TLS with it fails")
            .fix("compare `target_group.protocol` and port with what listens there"),
        503 => found(Link::TargetGroup, "no-targets")
            .what("the load balancer has no target to forward to")
            .fix("`mtlsgw apply` registers the targets"),
        504 => found(Link::SecurityGroups, "gateway-time-out")
            .what("the target does not answer the load balancer in time")
            .fix("let the load balancer through to its targets: security groups, then network ACLs and routes"),
        403 => found(Link::LoadBalancer, "web-acl-refuses")
            .what("the load balancer itself refuses the request: its web ACL does")
            .fix("look at the web ACL's sampled requests"),
        status => found(Link::Listener, "load-balancer-answers")
            .what(format!("the load balancer answers {status} by itself"))
            .fix("compare the listener's actions and rules with `mtlsgw plan`"),
    }
}

/// The beginning of a body, in one line that is safe to print.
fn excerpt(body: &str) -> String {
    let line: String = body
        .chars()
        .take(160)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if line.trim().is_empty() {
        "an empty body".to_owned()
    } else {
        line.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::{HeaderMap, HeaderValue};

    use super::*;

    fn code(status: u16, server: Option<&'static str>, body: &str) -> (Link, &'static str) {
        let mut headers = HeaderMap::new();
        if let Some(server) = server {
            headers.insert("server", HeaderValue::from_static(server));
        }
        let answer = Answer {
            status,
            headers,
            body: body.to_owned(),
        };
        let finding = of_answer(&answer, "api.example.com", "/pets");
        assert!(finding.symptom && !finding.what.is_empty() && !finding.fix.is_empty());
        (finding.link, finding.code)
    }

    #[test]
    fn the_403s_of_api_gateway_are_told_apart() {
        let denied = "{\"Message\":\"User: anonymous is not authorized to perform: execute-api:Invoke on resource: \
                      arn:aws:execute-api:r:********9012:api/dev/GET/pets\"}";
        assert_eq!(code(403, None, denied), (Link::Policy, "policy-denies"));
        let token = "{\"message\":\"Missing Authentication Token\"}";
        assert_eq!(
            code(403, None, token),
            (Link::Integration, "no-such-method")
        );
        let forbidden = "{\"message\":\"Forbidden\"}";
        assert_eq!(code(403, None, forbidden), (Link::Mapping, "forbidden"));
        let html = "<html><head><title>403 Forbidden</title></head></html>";
        assert_eq!(
            code(403, Some("awselb/2.0"), html),
            (Link::LoadBalancer, "web-acl-refuses")
        );
    }

    #[test]
    fn who_answers_504_decides_what_is_looked_at() {
        assert_eq!(
            code(504, Some("awselb/2.0"), ""),
            (Link::SecurityGroups, "gateway-time-out")
        );
        let body = "{\"message\": \"Endpoint request timed out\"}";
        assert_eq!(
            code(504, None, body),
            (Link::Integration, "integration-does-not-answer")
        );
    }

    #[test]
    fn a_body_cannot_write_to_the_terminal() {
        assert_eq!(excerpt("\u{1b}[2Jgone\n"), "[2Jgone");
        assert_eq!(excerpt(" \n"), "an empty body");
    }
}
