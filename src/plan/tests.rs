//! Facts about the order of steps, told on toy resources.

use std::collections::BTreeSet;

use futures::future::BoxFuture;
use serde_json::Value;

use super::*;
use crate::diff::Resolver;
use crate::resource::{Cx, Late, Reader};

/// A resource of which only the relations matter.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is another way to behave"
)]
pub(crate) struct Toy {
    address: Address,
    type_name: &'static str,
    verdict: fn() -> Verdict,
    live: Vec<Live>,
    needs: Vec<Need>,
    ready_needs: Vec<Need>,
    adds_first: bool,
    conflict: Option<String>,
    /// Whether making it fails.
    pub(crate) fails: bool,
    /// Whether it never becomes ready.
    pub(crate) hangs: bool,
    retires: bool,
    moves_clients: bool,
}

pub(crate) fn toy(address: &str, verdict: fn() -> Verdict) -> Toy {
    Toy {
        address: Address::parse(address),
        type_name: "Toy",
        verdict,
        live: Vec::new(),
        needs: Vec::new(),
        ready_needs: Vec::new(),
        adds_first: false,
        conflict: None,
        fails: false,
        hangs: false,
        retires: false,
        moves_clients: false,
    }
}

impl Toy {
    pub(crate) fn needs(mut self, address: &str, until: Until) -> Self {
        self.needs
            .push(Need::address(&Address::parse(address), until));
        self
    }

    fn ready_needs(mut self, address: &str) -> Self {
        self.ready_needs
            .push(Need::address(&Address::parse(address), Until::Exists));
        self
    }

    /// A live instance that refers to others by id.
    pub(crate) fn live(mut self, id: &str, refers_to: Vec<Need>) -> Self {
        self.live.push(Live {
            id: id.to_owned(),
            outputs: Outputs::from([("id", vec![id.to_owned()])]),
            protected: None,
            retained: None,
            removal_widens: false,
            successor: None,
            needs: refers_to,
        });
        self
    }

    fn adds_first(mut self) -> Self {
        self.adds_first = true;
        self
    }
}

pub(crate) fn to(id: &str) -> Need {
    Need::exists(&Late::Known(id.to_owned()))
}

pub(crate) fn create() -> Verdict {
    Verdict::Create { changes: vec![] }
}

fn keep() -> Verdict {
    Verdict::Keep { current: 0 }
}

fn update() -> Verdict {
    Verdict::Update {
        current: 0,
        changes: vec![change(false)],
    }
}

fn replace() -> Verdict {
    Verdict::Replace {
        changes: vec![change(true)],
        how: Replacement::CreateFirst,
    }
}

fn delete_first() -> Verdict {
    let how = Replacement::DeleteFirst("down".to_owned());
    Verdict::Replace {
        changes: vec![change(true)],
        how,
    }
}

pub(crate) fn unwanted() -> Verdict {
    Verdict::Unwanted
}

fn change(replaces: bool) -> Change {
    Change {
        path: "field".to_owned(),
        before: Value::from(1),
        after: Value::from(2),
        after_unknown: false,
        sensitive: false,
        replaces,
        widens: false,
        note: None,
    }
}

impl Node for Toy {
    fn address(&self) -> &Address {
        &self.address
    }
    fn type_name(&self) -> &'static str {
        self.type_name
    }
    fn adds_first(&self) -> bool {
        self.adds_first
    }
    fn moves_clients(&self) -> bool {
        self.moves_clients
    }
    fn conflict(&self) -> Option<&str> {
        self.conflict.as_deref()
    }
    fn live(&self) -> Vec<Live> {
        self.live.clone()
    }
    fn needs(&self) -> Vec<Need> {
        self.needs.clone()
    }
    fn ready_needs(&self) -> Vec<Need> {
        self.ready_needs.clone()
    }
    fn update_needs(&self) -> Vec<Need> {
        Vec::new()
    }
    fn judge(&self, _resolve: Resolver<'_>) -> Verdict {
        (self.verdict)()
    }
    fn expiries(&self, live: Option<usize>) -> Vec<Expiry> {
        let (what, at) = match live {
            Some(live) => (format!("live {}", self.live[live].id), 1),
            None => ("wanted".to_owned(), 2),
        };
        let address = self.address.clone();
        let at = time::OffsetDateTime::UNIX_EPOCH + time::Duration::days(at);
        vec![Expiry { address, what, at }]
    }
    fn moving_outputs(&self, _changes: &[Change]) -> &'static [&'static str] {
        &[]
    }
    fn create<'a>(&'a self, _cx: &'a Cx) -> BoxFuture<'a, Result<Outputs>> {
        Box::pin(async {
            if self.fails {
                Err(Error::step(&self.address, "does not want to"))
            } else {
                Ok(Outputs::new())
            }
        })
    }
    fn ready<'a>(&'a self, _cx: &'a Cx, _id: &'a str) -> BoxFuture<'a, Result<Outputs>> {
        Box::pin(async {
            if self.hangs {
                futures::future::pending().await
            } else {
                Ok(Outputs::new())
            }
        })
    }
    fn update<'a>(
        &'a self,
        cx: &'a Cx,
        _live: usize,
        _changes: &'a [Change],
    ) -> BoxFuture<'a, Result<Outputs>> {
        self.create(cx)
    }
    fn is_pretended(&self, _live: usize) -> bool {
        false
    }

    fn is_adoption(&self, path: &str) -> bool {
        path.starts_with("tags.")
    }

    fn adopt<'a>(&'a self, _cx: &'a Cx, _live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn retires(&self, _live: usize, _changes: &[Change]) -> bool {
        self.retires
    }
    fn retire<'a>(&'a self, _cx: &'a Cx, _live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }
    fn delete<'a>(&'a self, cx: &'a Cx, _live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.create(cx).await.map(drop) })
    }
    fn gone<'a>(&'a self, cx: &'a Cx, _live: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { self.ready(cx, "").await.map(drop) })
    }
    fn foreign_children<'a>(
        &'a self,
        _reader: &'a Reader,
        _live: usize,
    ) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// A plan of toys, and what comes before what in it.
struct Made {
    nodes: Vec<Box<dyn Node>>,
    plan: Plan,
}

fn plan(toys: Vec<Toy>) -> Made {
    let nodes: Vec<Box<dyn Node>> = toys
        .into_iter()
        .map(|toy| Box::new(toy) as Box<dyn Node>)
        .collect();
    let plan = Plan::make(&nodes).unwrap();
    Made { nodes, plan }
}

impl Made {
    /// The index of a step such as `create a` or `delete b`.
    fn step(&self, text: &str) -> Option<usize> {
        let (doing, address) = text.split_once(' ').unwrap();
        self.plan.steps.iter().position(|step| {
            let name = match step.action {
                Action::Create => "create",
                Action::Ready => "ready",
                Action::Update { .. } => "update",
                Action::Retire { .. } => "retire",
                Action::Delete { .. } => "delete",
                Action::Gone { .. } => "gone",
                Action::Adopt { .. } => "adopt",
            };
            name == doing && self.nodes[step.node].address().as_str() == address
        })
    }

    /// Whether the second step can only begin after the first, directly or through others.
    fn orders(&self, before: &str, after: &str) -> bool {
        let (before, after) = (self.step(before).unwrap(), self.step(after).unwrap());
        let mut open = vec![after];
        let mut seen = BTreeSet::new();
        while let Some(step) = open.pop() {
            for &earlier in &self.plan.steps[step].after {
                if earlier == before {
                    return true;
                }
                if seen.insert(earlier) {
                    open.push(earlier);
                }
            }
        }
        false
    }
}

#[test]
fn creation_waits_for_what_it_needs_and_no_longer() {
    let made = plan(vec![
        toy("record", create).needs("balancer", Until::Ready),
        toy("balancer", create),
        toy("listener", create).needs("balancer", Until::Exists),
    ]);
    assert!(made.orders("ready balancer", "create record"));
    assert!(made.orders("create balancer", "create listener"));
    assert!(!made.orders("ready balancer", "create listener"));
}

#[test]
fn what_an_interrupted_run_left_unready_is_awaited() {
    let made = plan(vec![
        toy("balancer", keep).live("lb-1", vec![]),
        toy("record", create).needs("balancer", Until::Ready),
    ]);
    assert!(made.orders("ready balancer", "create record"));
}

#[test]
fn replaced_store_repoints_listener_before_it_is_deleted() {
    let made = plan(vec![
        toy("store", replace).live("store-1", vec![]),
        toy("listener", update)
            .needs("store", Until::Ready)
            .live("listener-1", vec![to("store-1")]),
    ]);
    assert!(made.orders("ready store", "update listener"));
    assert!(made.orders("update listener", "delete store"));
}

#[test]
fn delete_first_waits_until_the_old_one_is_gone() {
    let made = plan(vec![
        toy("endpoint", delete_first).live("vpce-1", vec![]),
        toy("targets", update)
            .needs("endpoint", Until::Ready)
            .live("targets-1", vec![to("vpce-1")]),
    ]);
    assert!(made.orders("gone endpoint", "create endpoint"));
    assert!(made.orders("ready endpoint", "update targets"));
    assert!(!made.orders("update targets", "delete endpoint"));
}

#[test]
fn what_goes_first_waits_for_its_users_only_where_their_successors_do_not_wait_for_its_own() {
    let made = plan(vec![
        toy("listener", delete_first).live("listener-1", vec![]),
        toy("api", replace)
            .needs("listener", Until::Exists)
            .live("api-1", vec![to("listener-1")]),
        toy("record", unwanted).live("record-1", vec![to("listener-1").holds_until_gone()]),
    ]);
    assert!(made.orders("create listener", "create api"));
    assert!(made.orders("create api", "delete api"));
    assert!(made.orders("gone record", "delete listener"));
}

#[test]
fn a_group_goes_only_when_its_user_has_vanished() {
    let made = plan(vec![
        toy("group", unwanted).live("sg-1", vec![]),
        toy("balancer", unwanted).live("lb-1", vec![to("sg-1").holds_until_gone()]),
    ]);
    assert!(made.orders("gone balancer", "delete group"));
}

#[test]
fn what_goes_with_its_parent_has_no_step_of_its_own_but_still_holds_what_it_uses() {
    let made = plan(vec![
        toy("balancer", unwanted).live("lb-1", vec![]),
        toy("listener", unwanted).live("listener-1", vec![to("lb-1").parent(), to("store-1")]),
        toy("store", unwanted).live("store-1", vec![]),
    ]);
    assert_eq!(made.step("delete listener"), None);
    assert!(made.orders("delete balancer", "delete store"));
}

#[test]
fn a_replaced_parent_goes_when_its_children_are_replaced_as_well() {
    let made = plan(vec![
        toy("balancer", replace).live("lb-1", vec![]),
        toy("listener", replace)
            .needs("balancer", Until::Exists)
            .live("listener-1", vec![to("lb-1").parent()]),
    ]);
    assert_eq!(made.step("delete listener"), None);
    assert!(made.orders("ready listener", "delete balancer"));
}

#[test]
fn a_child_leaves_after_its_parent_has_changed() {
    let made = plan(vec![
        toy("store", update).live("store-1", vec![]),
        toy("crl", unwanted).live("crl-1", vec![to("store-1").parent()]),
    ]);
    assert!(made.orders("update store", "delete crl"));
}

#[test]
fn all_crls_are_added_before_any_is_removed() {
    let made = plan(vec![
        toy("store", keep).live("store-1", vec![]),
        toy("crl.new", create).adds_first(),
        toy("crl.old", unwanted)
            .adds_first()
            .live("crl-1", vec![to("store-1").parent()]),
    ]);
    assert!(made.orders("create crl.new", "delete crl.old"));
}

#[test]
fn readiness_can_need_what_needs_existence() {
    let made = plan(vec![
        toy("targets", create).ready_needs("listener"),
        toy("listener", create).needs("targets", Until::Exists),
    ]);
    assert!(made.orders("create listener", "ready targets"));
}

#[test]
fn leftovers_of_a_killed_replacement_are_deleted() {
    let made = plan(vec![
        toy("balancer", keep)
            .live("lb-2", vec![])
            .live("lb-1", vec![]),
    ]);
    assert_eq!(made.plan.summaries.len(), 1);
    assert_eq!(made.plan.summaries[0].ids, vec!["lb-1"]);
    assert_eq!(made.plan.unchanged, 0);
}

#[test]
fn what_is_retained_is_told_and_kept() {
    let mut record = toy("validation", unwanted).live("cname", vec![]);
    record.live[0].retained = Some("shared".to_owned());
    let made = plan(vec![record]);
    assert!(made.plan.is_empty());
    let [kept] = made.plan.retained.as_slice() else {
        panic!("one is kept: {:?}", made.plan.retained)
    };
    assert_eq!(
        (
            kept.address.as_str(),
            kept.id.as_str(),
            kept.reason.as_str()
        ),
        ("validation", "cname", "shared")
    );
}

#[test]
fn what_goes_with_another_has_no_step_and_is_known() {
    let made = plan(vec![
        toy("store", unwanted).live("store-1", vec![]),
        toy("revocation", unwanted).live("crl-1", vec![to("store-1").parent()]),
    ]);
    assert_eq!(made.plan.doomed, [(0, 0), (1, 0)]);
    assert_eq!(made.plan.goes_with, BTreeMap::from([((1, 0), (0, 0))]));
}

#[test]
fn every_guard_is_told_with_what_lifts_it() {
    let guarded = |address: &str, guard| {
        let mut one = toy(address, unwanted).live(address, vec![]);
        one.live[0].protected = Some(guard);
        Box::new(one) as Box<dyn Node>
    };
    let nodes = [
        guarded("api", Guard::Tag),
        guarded(
            "balancer",
            Guard::with_deletion_protection(Some(Guard::Tag)),
        ),
        guarded("other", Guard::with_deletion_protection(None)),
    ];
    let error = Plan::make(&nodes).unwrap_err();
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].starts_with("`api` ") && lines[0].contains("`mtlsgw:protect` forbids"));
    assert!(lines[1].starts_with("`other` ") && lines[1].contains("deletion protection forbids"));
    assert!(lines[2].starts_with("`balancer` ") && lines[2].ends_with("forbid it"));
    let hint = error.hint().unwrap();
    assert_eq!(
        hint.matches("`deletion_protection: false`").count(),
        1,
        "{hint}"
    );
    assert!(hint.contains("`protect: false`"), "{hint}");
}

#[test]
fn what_a_change_leaves_standing_goes_after_whoever_relied_on_it() {
    let mut endpoint = toy("endpoint", update).live("vpce-1", vec![]);
    endpoint.retires = true;
    let made = plan(vec![
        endpoint,
        toy("targets", update)
            .needs("endpoint", Until::Ready)
            .live("targets-1", vec![to("vpce-1")]),
        toy("former", unwanted).live("targets-2", vec![to("vpce-1")]),
    ]);
    assert!(made.orders("ready endpoint", "update targets"));
    assert!(made.orders("ready targets", "retire endpoint"));
    assert!(made.orders("gone former", "retire endpoint"));
}

#[test]
fn what_a_change_leaves_standing_goes_after_clients_have_moved_and_before_what_it_names() {
    let mut group = toy("group", update).live("sg-1", vec![to("sg-theirs")]);
    group.retires = true;
    let mut record = toy("record", update).live("record-1", vec![]);
    let mut former = toy("former", unwanted).live("record-2", vec![]);
    (record.moves_clients, former.moves_clients) = (true, true);
    let made = plan(vec![
        group,
        record,
        former,
        toy("named", unwanted).live("sg-theirs", vec![]),
    ]);
    assert!(made.orders("ready record", "retire group"));
    assert!(made.orders("gone former", "retire group"));
    assert!(made.orders("retire group", "delete named"));
    assert!(!made.orders("retire group", "update record"));
}

#[test]
fn a_protected_resource_is_neither_deleted_nor_replaced() {
    for verdict in [unwanted, replace] {
        let mut balancer = toy("balancer", verdict).live("lb-1", vec![]);
        balancer.live[0].protected = Some(Guard::Tag);
        let refused = Plan::make(&[Box::new(balancer) as Box<dyn Node>]).unwrap_err();
        assert!(refused.to_string().contains("`balancer`"), "{refused}");
    }
}

#[test]
fn something_foreign_in_our_place_is_refused_by_name() {
    let mut balancer = toy("balancer", create);
    balancer.conflict = Some("somebody else's".to_owned());
    let refused = Plan::make(&[Box::new(balancer) as Box<dyn Node>]).unwrap_err();
    assert!(refused.to_string().contains("somebody else's"));
}

/// Whether removing a CRL widens access, with this done to its trust store.
fn removed_crl_widens(store: fn() -> Verdict, listener: Toy) -> bool {
    let mut crl = toy("crl", unwanted).live("crl-1", vec![to("store-1").parent()]);
    crl.live[0].removal_widens = true;
    let store = toy("store", store).live("store-1", vec![]);
    plan(vec![store, crl, listener]).plan.widens()
}

fn listener(verdict: fn() -> Verdict) -> Toy {
    Toy {
        type_name: "AWS::ElasticLoadBalancingV2::Listener",
        ..toy("listener", verdict)
    }
}

#[test]
fn removal_widens_only_while_the_parent_stays() {
    let live = || listener(keep).live("listener-1", vec![]);
    assert!(removed_crl_widens(keep, live()));
    assert!(!removed_crl_widens(unwanted, live()));
}

#[test]
fn nothing_widens_before_the_gateway_is_live() {
    assert!(!removed_crl_widens(keep, listener(create)));
}

#[test]
fn resources_that_need_each_other_are_a_defect_and_no_endless_loop() {
    let nodes: Vec<Box<dyn Node>> = vec![
        Box::new(toy("a", create).needs("b", Until::Exists)),
        Box::new(toy("b", create).needs("a", Until::Exists)),
    ];
    assert!(
        Plan::make(&nodes)
            .unwrap_err()
            .to_string()
            .contains("defect")
    );
}

#[test]
fn what_stays_ends_as_it_is_and_what_changes_as_it_will_be() {
    let plan = Plan::make(&[
        Box::new(toy("changed", update).live("old", vec![])),
        Box::new(toy("kept", keep).live("same", vec![])),
        Box::new(toy("unwanted", unwanted).live("going", vec![])),
    ])
    .unwrap();
    let ends = plan.expiries.iter();
    let ends: Vec<_> = ends
        .map(|end| (end.address.as_str(), end.what.as_str()))
        .collect();
    assert_eq!(ends, [("kept", "live same"), ("changed", "wanted")]);
}

#[test]
fn a_deletion_says_what_comes_in_its_place() {
    let mut one = toy("one", unwanted).live("id", vec![]);
    one.live[0].successor = Some("superseded".to_owned());
    let plan = Plan::make(&[
        Box::new(one),
        Box::new(toy("two", unwanted).live("id2", vec![])),
    ])
    .unwrap();
    let reasons: Vec<_> = plan
        .summaries
        .iter()
        .map(|one| one.reason.as_deref())
        .collect();
    assert_eq!(
        reasons,
        [Some("superseded"), Some("no longer in the stack")]
    );
}
