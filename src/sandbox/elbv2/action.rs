//! What a listener or a rule does with a request: forward, redirect, answer itself.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::arn::Kind;
use super::load_balancer::LoadBalancer;
use super::{State, invalid};
use crate::sandbox::world::{Call, Refusal, World};

/// The one action of a listener or a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Action {
    /// The `Order`, where it was given.
    order: Option<i64>,
    /// What is done.
    pub(in crate::sandbox) effect: Effect,
}

/// What an action does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) enum Effect {
    /// Sends the request to a target of one of the groups.
    Forward {
        /// The groups by ARN, with their weights.
        target_groups: Vec<(String, i64)>,
        /// How long a client stays with its target group, where it does.
        stickiness: Option<i64>,
    },
    /// Answers with another address; the parts may hold `#{host}` and the like.
    Redirect {
        /// `HTTP`, `HTTPS` or `#{protocol}`.
        protocol: String,
        /// A number or `#{port}`.
        port: String,
        /// The host.
        host: String,
        /// The path, with its leading slash.
        path: String,
        /// The query, without a leading question mark.
        query: String,
        /// `HTTP_301` or `HTTP_302`.
        status_code: String,
    },
    /// Answers by itself.
    FixedResponse {
        /// Three digits.
        status_code: String,
        /// The type of the body.
        content_type: Option<String>,
        /// The body.
        message_body: Option<String>,
    },
}

const CONTENT_TYPES: [&str; 5] = [
    "text/plain",
    "text/css",
    "text/html",
    "application/javascript",
    "application/json",
];

/// The action in the call's list `member`, which must hold exactly one.
pub(super) fn given(call: &Call<'_>, member: &str) -> Result<Action, Refusal> {
    let [action] = call.list(member) else {
        return Err(invalid("You must specify exactly one action"));
    };
    let path = format!("{member}[0]");
    call.models(
        &path,
        action,
        &[
            "Type",
            "TargetGroupArn",
            "Order",
            "RedirectConfig",
            "FixedResponseConfig",
            "ForwardConfig",
        ],
    )?;
    let configured = |name: &str| {
        action
            .get(name)
            .ok_or_else(|| invalid(format!("An action of this type must have a '{name}'")))
    };
    let effect = match action["Type"].as_str().unwrap_or_default() {
        "forward" => forward(call, &path, action)?,
        "redirect" => redirect(call, &path, configured("RedirectConfig")?)?,
        "fixed-response" => fixed_response(call, &path, configured("FixedResponseConfig")?)?,
        other => {
            return Err(Refusal::not_modelled(
                call.operation,
                &format!("{path}.Type={other}"),
            ));
        }
    };
    Ok(Action {
        order: action["Order"].as_i64(),
        effect,
    })
}

fn forward(call: &Call<'_>, path: &str, action: &Value) -> Result<Effect, Refusal> {
    let alone = action["TargetGroupArn"].as_str();
    let Some(config) = action.get("ForwardConfig") else {
        let arn = alone.ok_or_else(|| invalid("A target group ARN must be specified"))?;
        return Ok(Effect::Forward {
            target_groups: vec![(arn.to_owned(), 1)],
            stickiness: None,
        });
    };
    let path = format!("{path}.ForwardConfig");
    call.models(
        &path,
        config,
        &["TargetGroups", "TargetGroupStickinessConfig"],
    )?;
    let mut target_groups = Vec::new();
    for tuple in config["TargetGroups"].as_array().into_iter().flatten() {
        let path = format!("{path}.TargetGroups");
        call.models(&path, tuple, &["TargetGroupArn", "Weight"])?;
        let arn = tuple["TargetGroupArn"].as_str().unwrap_or_default();
        let weight = tuple["Weight"].as_i64().unwrap_or(1);
        if !(0..=999).contains(&weight) {
            return Err(invalid(
                "The weight of a target group must be between 0 and 999",
            ));
        }
        target_groups.push((arn.to_owned(), weight));
    }
    if !(1..=5).contains(&target_groups.len()) {
        return Err(invalid(
            "You must specify between one and five target groups",
        ));
    }
    if let Some(alone) = alone
        && !matches!(target_groups.as_slice(), [(only, _)] if only == alone)
    {
        return Err(invalid(
            "You cannot specify different target groups in 'TargetGroupArn' and 'ForwardConfig'",
        ));
    }
    Ok(Effect::Forward {
        target_groups,
        stickiness: stickiness(call, &path, config)?,
    })
}

fn stickiness(call: &Call<'_>, path: &str, config: &Value) -> Result<Option<i64>, Refusal> {
    let stickiness = &config["TargetGroupStickinessConfig"];
    let path = format!("{path}.TargetGroupStickinessConfig");
    call.models(&path, stickiness, &["Enabled", "DurationSeconds"])?;
    if stickiness["Enabled"].as_bool() != Some(true) {
        return Ok(None);
    }
    match stickiness["DurationSeconds"].as_i64() {
        Some(seconds @ 1..=604_800) => Ok(Some(seconds)),
        _ => Err(invalid(
            "The target group stickiness duration must be between 1 and 604800 seconds",
        )),
    }
}

fn redirect(call: &Call<'_>, path: &str, config: &Value) -> Result<Effect, Refusal> {
    let path = format!("{path}.RedirectConfig");
    let members = ["Protocol", "Port", "Host", "Path", "Query", "StatusCode"];
    call.models(&path, config, &members)?;
    let part = |name: &str, default: &str| config[name].as_str().unwrap_or(default).to_owned();
    let effect = Effect::Redirect {
        protocol: part("Protocol", "#{protocol}"),
        port: part("Port", "#{port}"),
        host: part("Host", "#{host}"),
        path: part("Path", "/#{path}"),
        query: part("Query", "#{query}"),
        status_code: part("StatusCode", ""),
    };
    check_redirect(&effect)?;
    Ok(effect)
}

fn check_redirect(effect: &Effect) -> Result<(), Refusal> {
    let Effect::Redirect {
        protocol,
        port,
        host,
        path,
        query,
        status_code: _,
    } = effect
    else {
        return Ok(());
    };
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    if port != "#{port}" && !is_port(port) {
        return Err(invalid(format!("The redirect port '{port}' is not valid")));
    }
    if !path.starts_with('/') {
        return Err(invalid("The redirect path must start with '/'"));
    }
    if query.starts_with('?') {
        return Err(invalid("The redirect query must not start with '?'"));
    }
    let unchanged = [protocol.as_str(), port, host, path];
    if unchanged == ["#{protocol}", "#{port}", "#{host}", "/#{path}"] {
        return Err(Refusal::new(
            "InvalidLoadBalancerAction",
            "The redirect must change the protocol, the port, the host or the path: it would loop",
        ));
    }
    Ok(())
}

fn fixed_response(call: &Call<'_>, path: &str, config: &Value) -> Result<Effect, Refusal> {
    let path = format!("{path}.FixedResponseConfig");
    call.models(&path, config, &["MessageBody", "StatusCode", "ContentType"])?;
    let text = |name: &str| config[name].as_str().map(str::to_owned);
    let content_type = text("ContentType");
    if let Some(other) = &content_type
        && !CONTENT_TYPES.contains(&other.as_str())
    {
        return Err(invalid(format!(
            "The content type '{other}' is not supported"
        )));
    }
    Ok(Effect::FixedResponse {
        status_code: text("StatusCode").unwrap_or_default(),
        content_type,
        message_body: text("MessageBody"),
    })
}

impl Action {
    /// The target groups that requests go to.
    pub(in crate::sandbox) fn target_groups(&self) -> impl Iterator<Item = &str> {
        let groups = match &self.effect {
            Effect::Forward { target_groups, .. } => target_groups.as_slice(),
            Effect::Redirect { .. } | Effect::FixedResponse { .. } => &[],
        };
        groups.iter().map(|(arn, _)| arn.as_str())
    }

    /// Refuses what cannot be done on a listener of this protocol: to redirect from HTTPS to HTTP.
    pub(super) fn check_protocol(&self, listener: &str) -> Result<(), Refusal> {
        match &self.effect {
            Effect::Redirect { protocol, .. } if listener == "HTTPS" && protocol == "HTTP" => {
                Err(Refusal::new(
                    "InvalidLoadBalancerAction",
                    "A redirect from HTTPS to HTTP is not supported",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The `Action` structure, with what AWS fills in.
    pub(super) fn describe(&self) -> Value {
        let mut action = match &self.effect {
            Effect::Forward {
                target_groups,
                stickiness,
            } => describe_forward(target_groups, *stickiness),
            Effect::Redirect {
                protocol,
                port,
                host,
                path,
                query,
                status_code,
            } => json!({
                "Type": "redirect",
                "RedirectConfig": {
                    "Protocol": protocol,
                    "Port": port,
                    "Host": host,
                    "Path": path,
                    "Query": query,
                    "StatusCode": status_code,
                },
            }),
            Effect::FixedResponse {
                status_code,
                content_type,
                message_body,
            } => json!({
                "Type": "fixed-response",
                "FixedResponseConfig": {
                    "StatusCode": status_code,
                    "ContentType": content_type,
                    "MessageBody": message_body,
                },
            }),
        };
        action["Order"] = json!(self.order);
        action
    }
}

/// A forward to one group is told in both forms that a request can have.
fn describe_forward(target_groups: &[(String, i64)], stickiness: Option<i64>) -> Value {
    let tuples: Vec<Value> = target_groups
        .iter()
        .map(|(arn, weight)| json!({"TargetGroupArn": arn, "Weight": weight}))
        .collect();
    let alone = match target_groups {
        [(only, _)] => Some(only),
        _ => None,
    };
    json!({
        "Type": "forward",
        "TargetGroupArn": alone,
        "ForwardConfig": {
            "TargetGroups": tuples,
            "TargetGroupStickinessConfig": {
                "Enabled": stickiness.is_some(),
                "DurationSeconds": stickiness,
            },
        },
    })
}

/// Refuses an action whose target groups the load balancer cannot forward to.
pub(super) fn check_target_groups(
    world: &World,
    state: &State,
    load_balancer: &LoadBalancer,
    action: &Action,
) -> Result<(), Refusal> {
    for arn in action.target_groups() {
        let Some(group) = state.target_groups.get(arn) else {
            return Err(Kind::TargetGroup.missing(arn));
        };
        if group.vpc != load_balancer.vpc {
            return Err(Refusal::new(
                "InvalidConfigurationRequest",
                format!(
                    "The target group '{arn}' is not in VPC '{}'",
                    load_balancer.vpc
                ),
            ));
        }
        let elsewhere = state.users_of_target_group(arn);
        if elsewhere.iter().any(|user| *user != load_balancer.arn) {
            return Err(Refusal::new(
                "TargetGroupAssociationLimit",
                format!(
                    "The following target groups cannot be associated with more than one load \
                     balancer: {arn}"
                ),
            ));
        }
    }
    let mut groups = state.target_groups_of(&load_balancer.arn);
    groups.extend(action.target_groups().map(str::to_owned));
    if groups.len() as u64 > world.quota("L-822D1B1B", 100) {
        return Err(Refusal::new(
            "TooManyUniqueTargetGroupsPerLoadBalancer",
            "The maximum number of unique target groups of the load balancer has been reached",
        ));
    }
    Ok(())
}
