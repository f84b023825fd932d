//! What somebody does to an API, its VPC link, its network load balancer and the backend behind that.

use std::sync::{Mutex, OnceLock};

use rcgen::{IsCa, KeyUsagePurpose};
use rustls::version::{TLS12, TLS13};
use serde_json::json;

use super::{Step, mended};
use crate::data_plane_nlb::backend::{Material, expire, for_names};
use crate::doctor::{fault, faults};
use crate::drift::account::{self, Account};

/// Where the backend is.
pub(super) const PLACE: &str = "172.31.0.10:443";

/// The name that it has to show.
const HOST: &str = "pets.backend.internal";

const LISTENER: (&str, &str) = ("ListenerArn", "network_load_balancer.listener");
const GROUP: (&str, &str) = ("TargetGroupArn", "network_load_balancer.target_group");

static RUNNING: OnceLock<String> = OnceLock::new();

/// The server that stands in the backend's place at the moment.
static STANDING: Mutex<String> = Mutex::new(String::new());

/// Starts the backend with what the example's script has made.
pub(super) fn starts(material: &Material) {
    RUNNING.get_or_init(|| material.serve(&[&TLS12, &TLS13]));
}

/// A tunnel to what stands in the backend's place.
pub(super) fn tunnel() -> String {
    let standing = STANDING.lock().expect("nobody panics with it");
    let there = match standing.as_str() {
        "" => running().1,
        other => other,
    };
    format!("{PLACE}:{there}")
}

/// The backend: where it is said to be, and where it is.
pub(super) fn running() -> (&'static str, &'static str) {
    (PLACE, RUNNING.get().expect("was started"))
}

/// All of them, along the way of a request.
pub(super) fn steps() -> Vec<Step> {
    let parts = [api(), link(), balancer(), targets(), zone(), certificate()];
    parts.into_iter().flatten().collect()
}

// Who does it.

/// The path of the one integration that there is.
fn integration_path(account: &Account) -> String {
    let resources = faults::items(account, &faults::api(account, "/resources"));
    let pets = resources.iter().find(|one| one["path"] == "/pets");
    let id = pets.expect("is there")["id"].as_str().expect("is text");
    faults::api(account, &format!("/resources/{id}/methods/GET/integration"))
}

/// Changes the integration, and deploys that.
fn change(account: &Account, operations: &[(&str, &str, &str)]) {
    account.patch(&integration_path(account), operations);
    faults::turn_stage(account, &faults::deploy(account));
}

/// A network load balancer of somebody else's: its ARN, DNS name and zone.
fn their_balancer(account: &Account, name: &str) -> [String; 3] {
    let parameters = [
        ("Name", name),
        ("Type", "network"),
        ("Scheme", "internal"),
        ("Subnets.member.1", account::SUBNETS[0]),
        ("Subnets.member.2", account::SUBNETS[1]),
    ];
    let made = account.elb("CreateLoadBalancer", &parameters);
    ["LoadBalancerArn", "DNSName", "CanonicalHostedZoneId"]
        .map(|element| Account::elements(&made, element).remove(0))
}

/// A VPC link of somebody else's, available.
fn their_link(account: &Account) -> String {
    let [balancer, ..] = their_balancer(account, "theirs-for-a-link");
    let link = json!({ "name": "theirs", "targetArns": [balancer] });
    let made = account.gateway("POST", "/vpclinks", &link);
    account.aws.control("POST", "clock", "600").ok();
    made["id"].as_str().expect("is text").to_owned()
}

/// Takes the stage off the VPC link, without which AWS does not let anybody delete it, and does so.
fn delete_link(account: &Account) {
    let direct = [
        ("replace", "/connectionType", "INTERNET"),
        ("remove", "/connectionId", ""),
    ];
    change(account, &direct);
    faults::delete(account, &format!("/vpclinks/{}", account.id("vpc_link")));
    account.aws.control("POST", "clock", "600").ok();
}

/// A target group of somebody else's for TCP.
fn their_group(account: &Account) -> String {
    let ours = account.elb_at(
        "DescribeTargetGroups",
        ("TargetGroupArns.member.1", GROUP.1),
        &[],
    );
    let vpc = Account::elements(&ours, "VpcId").remove(0);
    let parameters = [
        ("Name", "theirs-behind"),
        ("Protocol", "TCP"),
        ("Port", "443"),
        ("TargetType", "ip"),
        ("VpcId", vpc.as_str()),
    ];
    let made = account.elb("CreateTargetGroup", &parameters);
    Account::elements(&made, "TargetGroupArn").remove(0)
}

/// Registers or deregisters a target.
fn target(account: &Account, action: &str, (id, port): (&str, &str)) {
    let target = [("Targets.member.1.Id", id), ("Targets.member.1.Port", port)];
    account.elb_at(action, GROUP, &target);
}

/// Changes the backend's name in the private zone.
fn change_record(account: &Account, action: &str, (dns_name, zone): (&str, &str)) {
    let body = format!(
        "<ChangeResourceRecordSetsRequest xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
         <ChangeBatch><Changes><Change><Action>{action}</Action><ResourceRecordSet><Name>{HOST}</Name>\
         <Type>A</Type><AliasTarget><HostedZoneId>{zone}</HostedZoneId><DNSName>{dns_name}</DNSName>\
         <EvaluateTargetHealth>false</EvaluateTargetHealth></AliasTarget></ResourceRecordSet></Change>\
         </Changes></ChangeBatch></ChangeResourceRecordSetsRequest>"
    );
    let path = format!(
        "/2013-04-01/hostedzone/{}/rrset",
        account.id("network_load_balancer.zone")
    );
    account.aws.rest(("route53", "POST", &path), body).ok();
}

/// Another server stands in the backend's place.
fn stands(account: &Account, server: &str) {
    server.clone_into(&mut STANDING.lock().expect("nobody panics with it"));
    let host = format!("{PLACE}={server}");
    account.aws.control("POST", "hosts", &host).ok();
}

/// The backend shows another certificate until it shows its own again.
fn shows(name: &'static str, code: &'static str, bring: fn(&Account)) -> Step {
    mended(fault(name, code, bring), |account| {
        stands(account, running().1);
    })
}

// What they do.

fn integration() -> Vec<Step> {
    vec![
        fault(
            "verification is no longer skipped, deployed",
            "insecure-skip-verification-differs",
            |account| {
                let path = "/tlsConfig/insecureSkipVerification";
                change(account, &[("replace", path, "false")]);
            },
        )
        .into(),
        fault(
            "the integration asks another host",
            "integration-points-elsewhere",
            |account| {
                change(
                    account,
                    &[("replace", "/uri", "https://other.internal/pets")],
                );
            },
        )
        .into(),
        fault(
            "the integration leads by another link",
            "integration-by-another-link",
            |account| {
                let theirs = their_link(account);
                change(account, &[("replace", "/connectionId", &theirs)]);
            },
        )
        .into(),
    ]
}

fn api() -> Vec<Step> {
    let mut steps = integration();
    steps.extend([
        fault(
            "the definition is another, not deployed",
            "insecure-skip-verification-differs",
            |account| {
                let path = "/tlsConfig/insecureSkipVerification";
                account.patch(&integration_path(account), &[("replace", path, "false")]);
            },
        )
        .into(),
        fault(
            "a resource policy denies everything, deployed",
            "resource-policy-differs",
            |account| {
                let denying = faults::denying();
                account.patch(
                    &faults::api(account, ""),
                    &[("replace", "/policy", &denying)],
                );
                faults::turn_stage(account, &faults::deploy(account));
            },
        )
        .into(),
        fault(
            "the stage serves what somebody else deployed",
            "stage-serves-another-deployment",
            |account| faults::turn_stage(account, &faults::deploy(account)),
        )
        .into(),
        fault(
            "the stage has a variable more",
            "stage-variables-differ",
            |account| {
                account.patch(
                    &faults::api(account, "/stages/dev"),
                    &[("replace", "/variables/colour", "red")],
                );
            },
        )
        .into(),
        fault("the stage is gone", "stage-missing", |account| {
            faults::delete(account, &faults::api(account, "/stages/dev"));
        })
        .into(),
        fault("the API is gone", "api-missing", |account| {
            faults::delete(account, &faults::api(account, ""));
        })
        .into(),
    ]);
    steps
}

fn link() -> Vec<Step> {
    vec![
        fault("the VPC link is gone", "vpc-link-missing", |account| {
            delete_link(account);
        })
        .into(),
    ]
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn balancer() -> Vec<Step> {
    vec![
        fault(
            "the network load balancer is gone",
            "network-load-balancer-missing",
            |account| {
                delete_link(account);
                account.elb_at(
                    "DeleteLoadBalancer",
                    ("LoadBalancerArn", "network_load_balancer"),
                    &[],
                );
            },
        )
        .into(),
        fault(
            "its listener is gone",
            "backend-listener-missing",
            |account| {
                account.elb_at("DeleteListener", LISTENER, &[]);
            },
        )
        .into(),
        fault(
            "its listener has moved to another port",
            "backend-listener-differs",
            |account| {
                account.elb_at("ModifyListener", LISTENER, &[("Port", "8443")]);
            },
        )
        .into(),
        fault(
            "its listener ends TLS",
            "backend-listener-differs",
            |account| {
                let certificate = account::import(&account.aws, None);
                account.elb_at(
                    "ModifyListener",
                    LISTENER,
                    &[
                        ("Protocol", "TLS"),
                        ("SslPolicy", "ELBSecurityPolicy-TLS13-1-2-2021-06"),
                        ("Certificates.member.1.CertificateArn", &certificate),
                    ],
                );
            },
        )
        .into(),
        fault(
            "its listener forwards to other targets",
            "backend-forwards-elsewhere",
            |account| {
                let theirs = their_group(account);
                account.elb_at(
                    "ModifyListener",
                    LISTENER,
                    &[
                        ("DefaultActions.member.1.Type", "forward"),
                        ("DefaultActions.member.1.TargetGroupArn", &theirs),
                    ],
                );
            },
        )
        .into(),
        fault(
            "its nodes use targets of other zones",
            "network-load-balancer-differs",
            |account| {
                let attribute = [(
                    "load_balancing.cross_zone.enabled".to_owned(),
                    "true".to_owned(),
                )];
                account.set_attributes("network_load_balancer", "LoadBalancer", &attribute);
            },
        )
        .into(),
    ]
}

fn targets() -> Vec<Step> {
    vec![
        fault(
            "the backend is deregistered",
            "backend-targets-missing",
            |account| target(account, "DeregisterTargets", ("172.31.0.10", "443")),
        )
        .into(),
        fault(
            "somebody else's backend gets connections",
            "backend-targets-differ",
            |account| target(account, "RegisterTargets", ("172.31.0.200", "443")),
        )
        .into(),
        fault(
            "the backend is registered at another port",
            "backend-targets-differ",
            |account| {
                target(account, "RegisterTargets", ("172.31.0.10", "8443"));
                target(account, "DeregisterTargets", ("172.31.0.10", "443"));
            },
        )
        .into(),
        fault(
            "the health check asks at another port",
            "backend-health-check-differs",
            |account| {
                account.elb_at("ModifyTargetGroup", GROUP, &[("HealthCheckPort", "8443")]);
            },
        )
        .into(),
    ]
}

fn zone() -> Vec<Step> {
    vec![
        mended(
            fault(
                "the private name leads elsewhere",
                "private-record-points-elsewhere",
                |account| {
                    let [_, name, zone] = their_balancer(account, "theirs-in-dns");
                    change_record(account, "UPSERT", (&name, &zone));
                },
            ),
            // A record that leads to somebody else's is somebody else's: they give the name back.
            |account| {
                let [_, name, zone] = their_balancer(account, "theirs-in-dns");
                change_record(account, "DELETE", (&name, &zone));
            },
        ),
        fault(
            "the private name is gone",
            "private-record-missing",
            |account| {
                let name = account.id("network_load_balancer.dns_name");
                let zone = account.id("network_load_balancer.canonical_hosted_zone_id");
                change_record(account, "DELETE", (&name, &zone));
            },
        )
        .into(),
    ]
}

fn certificate() -> Vec<Step> {
    vec![
        shows(
            "the backend's certificate is for another host",
            "backend-name-not-covered",
            |account| {
                let other = Material::self_signed(|params| for_names(params, &["other.internal"]));
                stands(account, &other.serve(&[&TLS12]));
            },
        ),
        shows(
            "the backend's certificate has ended",
            "backend-expired",
            |account| {
                let ended = Material::self_signed(|params| {
                    for_names(params, &[HOST]);
                    expire(params);
                });
                stands(account, &ended.serve(&[&TLS12]));
            },
        ),
        shows(
            "the backend's certificate is no CA's",
            "backend-root-not-a-ca",
            |account| {
                let plain = Material::self_signed(|params| {
                    for_names(params, &[HOST]);
                    params.is_ca = IsCa::ExplicitNoCa;
                    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                });
                stands(account, &plain.serve(&[&TLS12]));
            },
        ),
        shows(
            "the backend does not listen",
            "target-unhealthy",
            // The port of discarded data.
            |account| stands(account, "127.0.0.1:9"),
        ),
    ]
}
