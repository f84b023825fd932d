//! Who answers a request: the rules of its listener in their order, then the default action.

mod action;
mod header;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION, SERVER};
use hyper::{Response, StatusCode};

use self::action::redirected;
use self::header::prepared;
pub(super) use self::header::strip;
use super::target::{self, Choice};
use super::{Body, Connection, DataPlane, whole};
use crate::sandbox::elbv2::action::Effect;
use crate::sandbox::elbv2::rule::Condition;
use crate::sandbox::world::World;

/// An answer, and what the access log says of it.
pub(super) struct Answered {
    /// The answer.
    pub(super) response: hyper::Response<Body>,
    /// What the access log says.
    pub(super) record: RequestRecord,
}

/// What the access log says of a request beside what the request itself says.
#[derive(Debug, Clone, Default)]
pub(super) struct RequestRecord {
    /// `10.0.1.5:443`; none where no target was asked.
    pub(super) target: Option<String>,
    /// The status that the target answered with.
    pub(super) target_status: Option<u16>,
    /// The ARN of the target group.
    pub(super) target_group: Option<String>,
    /// The priority of the rule, 0 for the default action.
    pub(super) rule_priority: Option<u32>,
    /// `forward`, `redirect`, `fixed-response`; as they were executed.
    pub(super) actions: Vec<String>,
    /// Where a redirect leads.
    pub(super) redirect_url: Option<String>,
    /// Why an action failed.
    pub(super) error_reason: Option<String>,
    /// Seconds from the request to its being sent to the target, to the target's answer, and to the
    /// answer's being sent on; none where no target was asked.
    pub(super) times: Option<[f64; 3]>,
}

/// What is to be done with a request.
struct Plan {
    effect: Effect,
    /// Where a forwarded request goes.
    choice: Option<Choice>,
    /// The listener's port.
    port: i64,
    /// Whether targets get the client's very host.
    preserves_host: bool,
}

/// Answers one request that came in by a listener.
pub(super) async fn respond(
    plane: &Arc<DataPlane>,
    connection: &Connection,
    request: hyper::Request<Body>,
) -> Answered {
    let mut record = RequestRecord::default();
    let Some(host) = host(&request) else {
        let response = page(StatusCode::BAD_REQUEST);
        return Answered { response, record };
    };
    let planned = plan(
        plane,
        connection,
        (&host, request.uri().path()),
        &mut record,
    );
    let Some(plan) = planned else {
        // The listener has gone while the connection was open.
        let response = page(StatusCode::SERVICE_UNAVAILABLE);
        return Answered { response, record };
    };
    let response = match &plan.effect {
        Effect::Redirect { .. } => {
            record.actions.push("redirect".to_owned());
            let at = (connection.tls.is_some(), host.as_str(), plan.port);
            redirect(&plan.effect, at, request.uri(), &mut record)
        }
        Effect::FixedResponse {
            status_code,
            content_type,
            message_body,
        } => {
            record.actions.push("fixed-response".to_owned());
            fixed(
                status_code,
                content_type.as_deref(),
                message_body.as_deref(),
            )
        }
        Effect::Forward { .. } => {
            record.actions.push("forward".to_owned());
            let request = prepared((plan.port, plan.preserves_host), (request, &host));
            let to = (plan.choice.as_ref(), request);
            target::forward(plane, connection, to, &mut record).await
        }
    };
    Answered { response, record }
}

/// Answers with another address.
fn redirect(
    effect: &Effect,
    at: (bool, &str, i64),
    target: &hyper::Uri,
    record: &mut RequestRecord,
) -> Response<Body> {
    let Some((status, location)) = redirected(effect, at, target) else {
        return page(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = page(status);
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, value);
    }
    record.redirect_url = Some(location);
    response
}

/// The host that a request is for: an absolute target's authority wins over the header.
fn host(request: &hyper::Request<Body>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.to_string());
    }
    let host = request.headers().get(HOST)?.to_str().ok()?;
    (!host.is_empty()).then(|| host.to_owned())
}

/// Asks the listener's rules what is to be done.
fn plan(
    plane: &DataPlane,
    connection: &Connection,
    (host, path): (&str, &str),
    record: &mut RequestRecord,
) -> Option<Plan> {
    let account = plane.account();
    let world = &account.world;
    let elb = &world.regions.get(&connection.region)?.elbv2;
    let listener = elb.listeners.get(&connection.listener)?;
    let balancer = elb.load_balancers.get(&connection.load_balancer)?;
    let effect = effect(world, connection, (host, path), record)?;
    let choice = match &effect {
        Effect::Forward { target_groups, .. } => {
            target::choose(plane, world, connection, (balancer, target_groups))
        }
        Effect::Redirect { .. } | Effect::FixedResponse { .. } => None,
    };
    let preserves = balancer.attribute("routing.http.preserve_host_header.enabled");
    Some(Plan {
        effect,
        choice,
        port: listener.port,
        preserves_host: preserves == "true",
    })
}

/// The action of the first rule whose conditions hold, else the default one.
fn effect(
    world: &World,
    connection: &Connection,
    (host, path): (&str, &str),
    record: &mut RequestRecord,
) -> Option<Effect> {
    let elb = &world.regions.get(&connection.region)?.elbv2;
    let rules = elb.rules.values();
    let of_listener = rules.filter(|rule| rule.listener == connection.listener);
    let holding = of_listener.filter(|rule| {
        let mut conditions = rule.conditions.iter();
        conditions.all(|condition| holds(condition, host, path))
    });
    let Some(rule) = holding.min_by_key(|rule| rule.priority) else {
        record.rule_priority = Some(0);
        let listener = elb.listeners.get(&connection.listener)?;
        return Some(listener.default_action.effect.clone());
    };
    record.rule_priority = u32::try_from(rule.priority).ok();
    Some(rule.action.effect.clone())
}

/// Whether a condition holds: of hosts the case does not matter, of paths it does.
fn holds(condition: &Condition, host: &str, path: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.to_ascii_lowercase();
    let mut values = condition.values.iter();
    values.any(|pattern| match condition.field.as_str() {
        "host-header" => action::like(&pattern.to_ascii_lowercase(), &name),
        _ => action::like(pattern, path),
    })
}

/// A fixed response.
fn fixed(status: &str, content_type: Option<&str>, body: Option<&str>) -> Response<Body> {
    let mut response = Response::new(whole(body.unwrap_or_default().to_owned()));
    *response.status_mut() = status.parse().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("awselb/2.0"));
    let content_type = content_type.unwrap_or("text/plain");
    if let Ok(value) = HeaderValue::from_str(&format!("{content_type}; charset=utf-8")) {
        headers.insert(CONTENT_TYPE, value);
    }
    response
}

/// The page that ELB answers by itself.
pub(super) fn page(status: StatusCode) -> Response<Body> {
    let reason = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Service Temporarily Unavailable",
        StatusCode::GATEWAY_TIMEOUT => "Gateway Time-out",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    let title = format!("{} {reason}", status.as_u16());
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         </body>\r\n</html>\r\n"
    );
    let mut response = Response::new(whole(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static("awselb/2.0"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
