//! Rows of the load balancer and of its target group.

use serde_json::{Value, json};

use super::account::{Account, SUBNETS, THIRD_SUBNET};
use super::listener::{self, FIXED};
use super::{Row, changed, gone};

/// Keys of attributes, each with what somebody sets it to.
pub(super) type Attributes = &'static [(&'static str, &'static str)];

/// All rows of the load balancer and of its target group.
pub(super) fn rows() -> Vec<Row> {
    let mut rows = load_balancer();
    rows.extend(target_group());
    rows.extend(targets());
    rows.extend(tags());
    rows.extend(deletions());
    rows
}

/// What somebody sets all attributes of the load balancer to, but the following ones.
const BALANCER_ATTRIBUTES: Attributes = &[
    ("access_logs.s3.bucket", "their-other-logs"),
    ("access_logs.s3.prefix", "elsewhere"),
    ("client_keep_alive.seconds", "60"),
    ("connection_logs.s3.enabled", "false"),
    ("deletion_protection.enabled", "true"),
    ("health_check_logs.s3.enabled", "false"),
    ("idle_timeout.timeout_seconds", "61"),
    ("ipv6.deny_all_igw_traffic", "true"),
    ("routing.http.desync_mitigation_mode", "monitor"),
    ("routing.http.drop_invalid_header_fields.enabled", "true"),
    ("routing.http.preserve_host_header.enabled", "true"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "true",
    ),
    ("routing.http.xff_client_port.enabled", "true"),
    ("routing.http.xff_header_processing.mode", "remove"),
    ("routing.http2.enabled", "false"),
    ("waf.fail_open.enabled", "true"),
    ("zonal_shift.config.enabled", "true"),
];

/// What somebody sets those attributes to that depend on those above.
const LOG_ATTRIBUTES: Attributes = &[
    ("access_logs.s3.enabled", "false"),
    ("connection_logs.s3.bucket", "their-other-logs"),
    ("connection_logs.s3.prefix", "elsewhere"),
    ("health_check_logs.s3.bucket", "their-other-logs"),
    ("health_check_logs.s3.prefix", "elsewhere"),
];

/// What somebody sets all attributes of the target group to, but the following one.
const GROUP_ATTRIBUTES: Attributes = &[
    ("deregistration_delay.timeout_seconds", "0"),
    ("load_balancing.algorithm.anomaly_mitigation", "on"),
    ("load_balancing.algorithm.type", "weighted_random"),
    ("load_balancing.cross_zone.enabled", "false"),
    ("stickiness.enabled", "true"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "2",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "50",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "2",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "50",
    ),
];

/// What fits only the default algorithm.
const SLOW_START: Attributes = &[("slow_start.duration_seconds", "30")];

/// All attributes at once: they are compared one by one, and each is put right.
pub(super) fn attributes(address: &'static str, kind: &'static str, all: Attributes) -> Row {
    let (first, rest) = all.split_first().expect("there is one");
    let act = move |account: &Account| {
        let all: Vec<_> = all
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        account.set_attributes(address, kind, &all);
    };
    let row = changed(address, &format!("attributes.{}", first.0), first.1, act);
    rest.iter().fold(row, |row, (key, value)| {
        row.and(&format!("attributes.{key}"), *value)
    })
}

fn load_balancer() -> Vec<Row> {
    let at = "load_balancer";
    let with = |account: &Account, action: &str, parameters: &[(&str, &str)]| {
        account.elb_at(action, ("LoadBalancerArn", at), parameters);
    };
    vec![
        attributes(at, "LoadBalancer", BALANCER_ATTRIBUTES),
        attributes(at, "LoadBalancer", LOG_ATTRIBUTES),
        changed(at, "subnets", Value::Null, move |account| {
            let subnets = [
                ("Subnets.member.1", SUBNETS[0]),
                ("Subnets.member.2", SUBNETS[1]),
                ("Subnets.member.3", THIRD_SUBNET),
            ];
            with(account, "SetSubnets", &subnets);
        }),
        changed(at, "security_groups", Value::Null, move |account| {
            let theirs = account.their_group();
            with(
                account,
                "SetSecurityGroups",
                &[("SecurityGroups.member.1", &theirs)],
            );
        }),
        changed(
            at,
            "ip_address_type",
            "dualstack-without-public-ipv4",
            move |account| {
                let kind = [("IpAddressType", "dualstack-without-public-ipv4")];
                with(account, "SetIpAddressType", &kind);
            },
        ),
    ]
}

fn target(account: &Account, action: &str, (address, port): (&str, &str)) {
    let parameters = [
        ("Targets.member.1.Id", address),
        ("Targets.member.1.Port", port),
    ];
    account.elb_at(action, ("TargetGroupArn", "target_group"), &parameters);
}

fn target_group() -> Vec<Row> {
    let at = "target_group";
    vec![
        attributes(at, "TargetGroup", GROUP_ATTRIBUTES),
        attributes(at, "TargetGroup", SLOW_START),
        changed(at, "health_check.protocol", "HTTP", move |account| {
            let parameters = [
                ("HealthCheckProtocol", "HTTP"),
                ("HealthCheckPort", "traffic-port"),
                ("HealthCheckPath", "/theirs"),
                ("Matcher.HttpCode", "200-499"),
                ("HealthCheckIntervalSeconds", "30"),
                ("HealthCheckTimeoutSeconds", "5"),
                ("HealthyThresholdCount", "5"),
                ("UnhealthyThresholdCount", "2"),
            ];
            account.elb_at("ModifyTargetGroup", ("TargetGroupArn", at), &parameters);
        })
        .and("health_check.port", "traffic-port")
        .and("health_check.path", "/theirs")
        .and("health_check.matcher", "200-499")
        .and("health_check.interval_seconds", 30)
        .and("health_check.timeout_seconds", 5)
        .and("health_check.healthy_threshold", 5)
        .and("health_check.unhealthy_threshold", 2),
    ]
}

fn targets() -> Vec<Row> {
    let targets = "target_group.targets";
    vec![
        changed(
            targets,
            "targets",
            json!(["172.31.0.77", "172.31.16.77", "172.31.16.99"]),
            |account| {
                target(account, "RegisterTargets", ("172.31.16.99", "443"));
            },
        ),
        changed(targets, "targets", json!(["172.31.16.77"]), |account| {
            target(account, "DeregisterTargets", ("172.31.0.77", "443"));
        }),
        changed(targets, "targets", Value::Null, |account| {
            target(account, "RegisterTargets", ("172.31.0.77", "8443"));
        }),
    ]
}

/// Somebody gives a tag of ours another value, and takes one away.
fn tags() -> Vec<Row> {
    let tagged = [
        "load_balancer",
        "target_group",
        "trust_store",
        "listener",
        "listener.redirect",
    ];
    let rows = tagged.into_iter().flat_map(|at| {
        let arn = ("ResourceArns.member.1", at);
        [
            changed(at, "tags.Team", "theirs", move |account| {
                let tag = [
                    ("Tags.member.1.Key", "Team"),
                    ("Tags.member.1.Value", "theirs"),
                ];
                account.elb_at("AddTags", arn, &tag);
            }),
            changed(at, "tags.Team", Value::Null, move |account| {
                let keys = [
                    ("TagKeys.member.1", "Team"),
                    ("TagKeys.member.2", "mtlsgw:tags"),
                ];
                account.elb_at("RemoveTags", arn, &keys);
            })
            .and("tags.mtlsgw:tags", Value::Null),
        ]
    });
    rows.collect()
}

fn deletions() -> Vec<Row> {
    vec![
        gone("target_group.targets", |account| {
            target(account, "DeregisterTargets", ("172.31.0.77", "443"));
            target(account, "DeregisterTargets", ("172.31.16.77", "443"));
        }),
        gone("target_group", |account| {
            listener::modify(account, "listener", &FIXED);
            account.elb_at("DeleteTargetGroup", ("TargetGroupArn", "target_group"), &[]);
        })
        .then("listener", "update")
        .then("target_group.targets", "create"),
        gone("load_balancer", |account| {
            account.elb_at(
                "DeleteLoadBalancer",
                ("LoadBalancerArn", "load_balancer"),
                &[],
            );
        })
        .then("listener", "create")
        .then("listener.redirect", "create")
        .then("record.a", "update"),
    ]
}
