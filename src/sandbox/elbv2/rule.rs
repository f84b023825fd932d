//! Listener rules, as far as it takes to tell that a listener has some: by host and by path.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::action::{self, Action};
use super::arn::Kind;
use super::{State, arn, invalid, network, page, state, tag};
use crate::sandbox::world::{Call, Refusal, World};

/// A rule that is not its listener's default one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Rule {
    /// Its ARN.
    pub(in crate::sandbox) arn: String,
    /// The listener that it is part of.
    pub(in crate::sandbox) listener: String,
    /// Its place among the listener's rules; the lowest is tried first.
    pub(in crate::sandbox) priority: i64,
    /// What a request must be like: all of these.
    pub(in crate::sandbox) conditions: Vec<Condition>,
    /// What is done with it then.
    pub(in crate::sandbox) action: Action,
}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Condition {
    /// `host-header` or `path-pattern`.
    pub(in crate::sandbox) field: String,
    /// Patterns with `*` and `?`, of which one must fit.
    pub(in crate::sandbox) values: Vec<String>,
}

/// The conditions that are modelled, with the structure that can hold their values.
const FIELDS: [(&str, &str); 2] = [
    ("host-header", "HostHeaderConfig"),
    ("path-pattern", "PathPatternConfig"),
];

impl Condition {
    fn given(call: &Call<'_>, index: usize, structure: &Value) -> Result<Self, Refusal> {
        let path = format!("Conditions[{index}]");
        let field = structure["Field"].as_str().unwrap_or_default();
        let Some((_, config)) = FIELDS.iter().find(|(known, _)| *known == field) else {
            return Err(Refusal::not_modelled(
                call.operation,
                &format!("{path}.Field={field}"),
            ));
        };
        call.models(&path, structure, &["Field", "Values", config])?;
        call.models(&format!("{path}.{config}"), &structure[config], &["Values"])?;
        let either = [&structure["Values"], &structure[config]["Values"]];
        let values: Vec<String> = either
            .into_iter()
            .filter_map(Value::as_array)
            .flatten()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect();
        if values.is_empty() {
            return Err(invalid("A condition must have at least one value"));
        }
        Ok(Self {
            field: field.to_owned(),
            values,
        })
    }

    fn describe(&self) -> Value {
        let config = FIELDS.iter().find(|(field, _)| *field == self.field);
        let mut structure = json!({"Field": self.field, "Values": self.values});
        if let Some((_, config)) = config {
            structure[config] = json!({"Values": self.values});
        }
        structure
    }
}

impl Rule {
    fn describe(&self) -> Value {
        let conditions: Vec<Value> = self.conditions.iter().map(Condition::describe).collect();
        json!({
            "RuleArn": self.arn,
            "Priority": self.priority.to_string(),
            "Conditions": conditions,
            "Actions": [self.action.describe()],
            "IsDefault": false,
        })
    }
}

/// `CreateRule`.
pub(super) fn create(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let tags = tag::given(call)?;
    let rule = wanted(world, call)?;
    let most = world.quota("L-7EED9B64", 100);
    world.region(call.region);
    let elb = &world.regions[call.region].elbv2;
    let listener = &elb.listeners[&rule.listener];
    rule.action.check_protocol(&listener.protocol)?;
    let load_balancer = &elb.load_balancers[&listener.load_balancer];
    if load_balancer.is_network() {
        return Err(invalid(
            "Rules are not supported for listeners of Network Load Balancers",
        ));
    }
    network::check_protocols(elb, &listener.protocol, &rule.action)?;
    action::check_target_groups(world, elb, load_balancer, &rule.action)?;
    let siblings = || {
        elb.rules
            .values()
            .filter(|other| other.listener == rule.listener)
    };
    if siblings().any(|other| other.priority == rule.priority) {
        return Err(Refusal::new(
            "PriorityInUse",
            format!("Priority '{}' is currently in use", rule.priority),
        ));
    }
    let listeners = elb.listeners_of(&load_balancer.arn);
    let on_all = elb
        .rules
        .values()
        .filter(|other| listeners.contains(&other.listener));
    if on_all.count() as u64 >= most {
        return Err(Refusal::new(
            "TooManyRules",
            "The maximum number of rules of the load balancer has been reached",
        ));
    }
    let output = json!({"Rules": [rule.describe()]});
    let state = state(world, call);
    state.tags.insert(rule.arn.clone(), tags);
    state.rules.insert(rule.arn.clone(), rule);
    super::target_group::note_use(world, call);
    Ok(output)
}

/// The rule that the call describes, not yet in existence.
fn wanted(world: &mut World, call: &Call<'_>) -> Result<Rule, Refusal> {
    let listener = state(world, call).named_listener(call)?.arn.clone();
    let conditions = call.list("Conditions").iter().enumerate();
    let conditions: Vec<Condition> = conditions
        .map(|(index, structure)| Condition::given(call, index, structure))
        .collect::<Result<_, _>>()?;
    if conditions.is_empty() {
        return Err(invalid("A condition must be specified"));
    }
    let id = world.unique_hex(16);
    let path = format!("listener-rule/{}/{id}", arn::path(&listener));
    Ok(Rule {
        arn: arn::make(world, call, &path),
        listener,
        priority: call.integer("Priority").unwrap_or_default(),
        conditions,
        action: action::given(call, "Actions")?,
    })
}

/// `DescribeRules`, the default ones included.
pub(super) fn describe(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arns = page::arns(call, "RuleArns")?;
    let listener = call.text("ListenerArn");
    if listener.is_none() && arns.is_empty() {
        return Err(invalid(
            "You must specify either listener rule ARNs or a listener ARN",
        ));
    }
    page::one_selection(call, &["ListenerArn", "RuleArns"])?;
    let state = state(world, call);
    if let Some(missing) = listener.filter(|arn| !state.listeners.contains_key(*arn)) {
        return Err(Kind::Listener.missing(missing));
    }
    if let Some(missing) = arns.iter().find(|arn| !state.has(Kind::Rule, arn)) {
        return Err(Kind::Rule.missing(missing));
    }
    let found = described(state)
        .filter(|(of, arn, ..)| listener == Some(of) || arns.contains(&arn.as_str()))
        .map(|(_, _, key, value)| (key, value));
    let mut found: Vec<(String, Value)> = found.collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    page::answer(call, "Rules", found)
}

/// Every rule of the region: its listener, its ARN, its place in a listing, its structure.
///
/// A listener's rules come in the order in which they are tried, the default one last.
fn described(state: &State) -> impl Iterator<Item = (&str, &String, String, Value)> {
    let rules = state.rules.values().map(|rule| {
        let key = format!("{}/{:05}", rule.listener, rule.priority);
        (rule.listener.as_str(), &rule.arn, key, rule.describe())
    });
    let defaults = state.listeners.values().map(|listener| {
        let value = json!({
            "RuleArn": listener.default_rule,
            "Priority": "default",
            "Conditions": [],
            "Actions": [listener.default_action.describe()],
            "IsDefault": true,
        });
        let key = format!("{}/default", listener.arn);
        (listener.arn.as_str(), &listener.default_rule, key, value)
    });
    rules.chain(defaults)
}

/// `DeleteRule`.
pub(super) fn delete(world: &mut World, call: &Call<'_>) -> Result<Value, Refusal> {
    let arn = call.required("RuleArn");
    let state = state(world, call);
    if state
        .listeners
        .values()
        .any(|listener| listener.default_rule == arn)
    {
        return Err(Refusal::new(
            "OperationNotPermitted",
            format!("Default rule '{arn}' cannot be deleted"),
        ));
    }
    if state.rules.remove(arn).is_none() {
        return Err(Kind::Rule.missing(arn));
    }
    state.tags.remove(arn);
    super::target_group::note_use(world, call);
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Account;
    use super::*;

    #[test]
    fn rules_are_listed_as_tried_with_the_default_one_last() {
        let mut account = Account::fresh();
        let load_balancer = account.load_balancer();
        let target_group = account.target_group("endpoint");
        let input = account.listener_input(&load_balancer, &target_group);
        let listener = account.listener(input);
        let rule = |priority: i64| {
            json!({
                "ListenerArn": listener,
                "Priority": priority,
                "Conditions": [{"Field": "path-pattern", "Values": ["/status"]}],
                "Actions": [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}],
            })
        };
        account.call("CreateRule", rule(20));
        account.call("CreateRule", rule(3));
        assert_eq!(account.refused("CreateRule", rule(3)), "PriorityInUse");
        let output = account.call("DescribeRules", json!({"ListenerArn": listener}));
        let rules = output["Rules"].as_array().expect("a list");
        let priorities: Vec<&Value> = rules.iter().map(|rule| &rule["Priority"]).collect();
        assert_eq!(priorities, ["3", "20", "default"]);
        let default = json!({"RuleArn": rules[2]["RuleArn"]});
        assert_eq!(
            account.refused("DeleteRule", default),
            "OperationNotPermitted"
        );
        account.call("DeleteRule", json!({"RuleArn": rules[0]["RuleArn"]}));
    }
}
