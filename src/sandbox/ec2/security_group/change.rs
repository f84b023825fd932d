//! What adds rules to security groups, changes and removes them.

use serde_json::{Value, json};

use super::super::State;
use super::super::query::{Listing, tags_on_create};
use super::rule::{Peer, Permission, Rule, ip_permissions, read_changed, read_permissions};
use super::{Direction, SecurityGroup};
use crate::sandbox::world::{Call, Refusal, World};

const RULES: Listing = Listing {
    output: "SecurityGroupRules",
    ids: "SecurityGroupRuleIds",
    id: "SecurityGroupRuleId",
    prefix: "sgr-",
    noun: "security group rule ID",
    not_found: "InvalidSecurityGroupRuleId.NotFound",
    malformed: "InvalidSecurityGroupRuleId.Malformed",
    filters: &[
        ("group-id", "GroupId"),
        ("security-group-rule-id", "SecurityGroupRuleId"),
    ],
};

/// Answers `DescribeSecurityGroupRules`.
pub(in super::super) fn describe_security_group_rules(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let state = &world.region(call.region).ec2;
    let groups = state.security_groups.values();
    let rules = groups.flat_map(|group| group.rules.iter().map(|rule| rule.describe(state, group)));
    let mut rules: Vec<Value> = rules.collect();
    rules.sort_by(|one, other| one[RULES.id].as_str().cmp(&other[RULES.id].as_str()));
    RULES.answer(call, rules)
}

/// Answers `AuthorizeSecurityGroupIngress` and `AuthorizeSecurityGroupEgress`: all of the rules or
/// none.
pub(in super::super) fn authorize(
    world: &mut World,
    call: &Call<'_>,
    direction: Direction,
) -> Result<Value, Refusal> {
    let tags = tags_on_create(call, "security-group-rule")?;
    let permissions = read_permissions(call)?;
    let quota = world.quota("L-0EA8095F", 60);
    let mut new_id = || format!("sgr-{}", world.unique_hex(17));
    let ids: Vec<String> = permissions.iter().map(|_| new_id()).collect();
    let state = &mut world.region(call.region).ec2;
    let group = state.group_of(call)?;
    let mut rules: Vec<Rule> = Vec::new();
    for (id, permission) in ids.into_iter().zip(permissions) {
        let others = group.rules_of(direction).chain(&rules);
        check_permission(state, group, &permission, others)?;
        let rule = Rule::new(id, direction, permission);
        rules.push(Rule {
            tags: tags.clone(),
            ..rule
        });
    }
    if (group.rules_of(direction).count() + rules.len()) as u64 > quota {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(Refusal::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    let described: Value = rules
        .iter()
        .map(|rule| rule.describe(state, group))
        .collect();
    let id = group.id.clone();
    state
        .security_groups
        .entry(id)
        .and_modify(|group| group.rules.extend(rules));
    Ok(json!({"Return": true, "SecurityGroupRules": described}))
}

/// Refuses a permission that one of the other rules gives, or that refers to a group out of reach.
fn check_permission<'a>(
    state: &State,
    group: &SecurityGroup,
    permission: &Permission,
    mut others: impl Iterator<Item = &'a Rule>,
) -> Result<(), Refusal> {
    if let Peer::Group(other) = &permission.peer {
        state.check_groups(&group.vpc_id, std::slice::from_ref(other))?;
    }
    if others.any(|rule| rule.permission.is_same(permission)) {
        let message = format!("the specified rule \"{permission}\" already exists");
        return Err(Refusal::new("InvalidPermission.Duplicate", message));
    }
    Ok(())
}

/// Answers `RevokeSecurityGroupIngress` and `RevokeSecurityGroupEgress`.
pub(in super::super) fn revoke(
    world: &mut World,
    call: &Call<'_>,
    direction: Direction,
) -> Result<Value, Refusal> {
    let state = &mut world.region(call.region).ec2;
    let group = state.group_of(call)?;
    let (revoked, unknown) = revocation(group, call, direction)?;
    // AWS refuses a rule that does not exist, except in the default VPC, where it only names it.
    let is_default = state.vpc(&group.vpc_id).is_some_and(|vpc| vpc.is_default);
    if !unknown.is_empty() && !is_default {
        let message = "The specified rule does not exist in this security group.";
        return Err(Refusal::new("InvalidPermission.NotFound", message));
    }
    let described: Value = revoked
        .iter()
        .map(|rule| rule.describe_revoked(group))
        .collect();
    let answer = json!({
        "Return": true,
        "RevokedSecurityGroupRules": described,
        "UnknownIpPermissions": ip_permissions(state, unknown.iter()),
    });
    let gone: Vec<String> = revoked.iter().map(|rule| rule.id.clone()).collect();
    let id = group.id.clone();
    let remove = |group: &mut SecurityGroup| group.rules.retain(|rule| !gone.contains(&rule.id));
    state.security_groups.entry(id).and_modify(remove);
    Ok(answer)
}

/// The rules that the call revokes, by id or by what they say, and those permissions that no rule
/// gives.
fn revocation<'a>(
    group: &'a SecurityGroup,
    call: &Call<'_>,
    direction: Direction,
) -> Result<(Vec<&'a Rule>, Vec<Permission>), Refusal> {
    let find = |wanted: &dyn Fn(&Rule) -> bool| group.rules_of(direction).find(|rule| wanted(rule));
    let by_id = call.texts("SecurityGroupRuleIds").into_iter();
    let by_id = by_id.map(|id| find(&|rule| rule.id == id).ok_or_else(|| RULES.missing(id)));
    let mut revoked = by_id.collect::<Result<Vec<_>, _>>()?;
    let mut unknown = Vec::new();
    if revoked.is_empty() {
        for permission in read_permissions(call)? {
            match find(&|rule| rule.permission.is_same(&permission)) {
                Some(rule) => revoked.push(rule),
                None => unknown.push(permission),
            }
        }
    }
    Ok((revoked, unknown))
}

/// Answers `ModifySecurityGroupRules`: all of the rules or none.
pub(in super::super) fn modify_security_group_rules(
    world: &mut World,
    call: &Call<'_>,
) -> Result<Value, Refusal> {
    let state = &mut world.region(call.region).ec2;
    let group = state.group_of(call)?;
    let mut rules = group.rules.clone();
    for change in call.list("SecurityGroupRules") {
        let id = change["SecurityGroupRuleId"].as_str().unwrap_or_default();
        let permission = read_changed(call, &change["SecurityGroupRule"])?;
        let place = rules.iter().position(|rule| rule.id == id);
        let mut changed = rules.remove(place.ok_or_else(|| RULES.missing(id))?);
        let same_way = rules
            .iter()
            .filter(|rule| rule.direction == changed.direction);
        check_permission(state, group, &permission, same_way)?;
        changed.permission = permission;
        rules.push(changed);
    }
    let id = group.id.clone();
    state
        .security_groups
        .entry(id)
        .and_modify(|group| group.rules = rules);
    Ok(json!({"Return": true}))
}

/// Answers `UpdateSecurityGroupRuleDescriptionsIngress` and its sibling for egress.
pub(in super::super) fn update_descriptions(
    world: &mut World,
    call: &Call<'_>,
    direction: Direction,
) -> Result<Value, Refusal> {
    let state = &mut world.region(call.region).ec2;
    let group = state.group_of(call)?;
    let mut rules = group.rules.clone();
    for permission in read_permissions(call)? {
        let mut same_way = rules.iter_mut().filter(|rule| rule.direction == direction);
        let Some(rule) = same_way.find(|rule| rule.permission.is_same(&permission)) else {
            let message = "The specified rule does not exist in this security group.";
            return Err(Refusal::new("InvalidPermission.NotFound", message));
        };
        rule.permission = permission;
    }
    let id = group.id.clone();
    state
        .security_groups
        .entry(id)
        .and_modify(|group| group.rules = rules);
    Ok(json!({"Return": true}))
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::{answer, ask, each, fresh, refusal};
    use super::super::tests::{create, create_elsewhere, https_from};
    use super::*;

    #[test]
    fn an_existing_rule_refuses_the_whole_call() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let rules = answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&id, "198.51.100.7/24"),
        );
        assert_eq!(
            each(&rules["SecurityGroupRules"], "/CidrIpv4"),
            ["198.51.100.0/24"]
        );
        let mut two = https_from(&id, "203.0.113.0/24");
        let existing = https_from(&id, "198.51.100.0/24")["IpPermissions"][0].clone();
        two["IpPermissions"].as_array_mut().unwrap().push(existing);
        assert_eq!(
            refusal(&mut world, "AuthorizeSecurityGroupIngress", two),
            "InvalidPermission.Duplicate"
        );
        let filters = json!({"Filters": [{"Name": "group-id", "Values": [id]}]});
        let rules =
            answer(&mut world, "DescribeSecurityGroupRules", filters)["SecurityGroupRules"].clone();
        assert_eq!(rules.as_array().unwrap().len(), 2, "one in, one out");
    }

    #[test]
    fn malformed_permissions_are_refused() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let mut refused = |permission: Value| {
            let input = json!({"GroupId": id, "IpPermissions": [permission]});
            refusal(&mut world, "AuthorizeSecurityGroupIngress", input)
        };
        let anywhere = json!([{"CidrIp": "0.0.0.0/0"}]);
        assert_eq!(
            refused(json!({"IpProtocol": "tcp", "IpRanges": anywhere})),
            "InvalidParameterValue"
        );
        assert_eq!(
            refused(json!({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0/8"}]})),
            "InvalidParameterValue"
        );
        assert_eq!(
            refused(json!({"IpProtocol": "-1"})),
            "InvalidPermission.Malformed"
        );
        let ports =
            json!({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 80, "IpRanges": anywhere});
        assert_eq!(refused(ports), "InvalidParameterValue");
        let group =
            json!({"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": "sg-0123456789abcdef0"}]});
        assert_eq!(refused(group), "InvalidGroup.NotFound");
        assert_eq!(
            refused(json!({"IpProtocol": "-1", "PrefixListIds": [{}]})),
            "SandboxNotModelled"
        );
    }

    #[test]
    fn rules_are_revoked_by_what_they_say_or_by_their_ids() {
        let mut world = fresh();
        let id = create_elsewhere(&mut world);
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&id, "198.51.100.0/24"),
        );
        let rules = answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&id, "203.0.113.0/24"),
        );
        let mut undescribed = https_from(&id, "198.51.100.0/24");
        undescribed["IpPermissions"][0]["IpRanges"][0] = json!({"CidrIp": "198.51.100.0/24"});
        answer(
            &mut world,
            "RevokeSecurityGroupIngress",
            undescribed.clone(),
        );
        assert_eq!(
            refusal(&mut world, "RevokeSecurityGroupIngress", undescribed),
            "InvalidPermission.NotFound"
        );
        let rule_id = rules["SecurityGroupRules"][0]["SecurityGroupRuleId"].clone();
        let by_id = json!({"GroupId": id, "SecurityGroupRuleIds": [rule_id]});
        answer(&mut world, "RevokeSecurityGroupIngress", by_id.clone());
        assert_eq!(
            refusal(&mut world, "RevokeSecurityGroupIngress", by_id),
            "InvalidSecurityGroupRuleId.NotFound"
        );
    }

    #[test]
    fn in_the_default_vpc_an_unknown_rule_is_revoked_without_complaint() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let revoked = answer(
            &mut world,
            "RevokeSecurityGroupIngress",
            https_from(&id, "203.0.113.0/24"),
        );
        assert_eq!(
            revoked["UnknownIpPermissions"][0]["IpRanges"][0]["CidrIp"],
            "203.0.113.0/24"
        );
    }

    #[test]
    fn a_group_has_at_most_sixty_rules_a_way() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        for third in 0..60 {
            answer(
                &mut world,
                "AuthorizeSecurityGroupIngress",
                https_from(&id, &format!("10.0.{third}.0/24")),
            );
        }
        let one_more = https_from(&id, "10.1.0.0/24");
        assert_eq!(
            refusal(&mut world, "AuthorizeSecurityGroupIngress", one_more),
            "RulesPerSecurityGroupLimitExceeded"
        );
    }

    #[test]
    fn a_rule_is_changed_in_place() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let one = answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&id, "198.51.100.0/24"),
        );
        answer(
            &mut world,
            "AuthorizeSecurityGroupIngress",
            https_from(&id, "203.0.113.0/24"),
        );
        let rule_id = one["SecurityGroupRules"][0]["SecurityGroupRuleId"].clone();
        let mut modify = |cidr: &str, description: &str| {
            let rule = json!({
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "CidrIpv4": cidr,
                "Description": description,
            });
            let change = json!({"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule});
            ask(
                &mut world,
                "ModifySecurityGroupRules",
                json!({"GroupId": id, "SecurityGroupRules": [change]}),
            )
        };
        assert_eq!(
            modify("203.0.113.0/24", "x").unwrap_err().code,
            "InvalidPermission.Duplicate"
        );
        assert!(modify("192.0.2.0/24", "partners").is_ok());
        let input = json!({"SecurityGroupRuleIds": [rule_id]});
        let rule = answer(&mut world, "DescribeSecurityGroupRules", input)["SecurityGroupRules"][0]
            .clone();
        assert_eq!(
            (&rule["CidrIpv4"], &rule["Description"]),
            (&json!("192.0.2.0/24"), &json!("partners"))
        );
    }

    #[test]
    fn a_description_is_updated_where_the_rule_exists() {
        let mut world = fresh();
        let id = create(&mut world, "web");
        let operation = "UpdateSecurityGroupRuleDescriptionsIngress";
        let mut input = https_from(&id, "198.51.100.0/24");
        assert_eq!(
            refusal(&mut world, operation, input.clone()),
            "InvalidPermission.NotFound"
        );
        answer(&mut world, "AuthorizeSecurityGroupIngress", input.clone());
        input["IpPermissions"][0]["IpRanges"][0]["Description"] = json!("partners");
        answer(&mut world, operation, input);
        let filters = json!({"Filters": [{"Name": "group-id", "Values": [id]}]});
        let rules =
            answer(&mut world, "DescribeSecurityGroupRules", filters)["SecurityGroupRules"].clone();
        assert!(each(&rules, "/Description").contains(&"partners"));
    }
}
