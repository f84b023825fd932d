//! Every field of every kind: changed behind the tool's back it shows in the plan, and apply puts it right.
//!
//! The rows say what somebody changes and what the plan has to say to it. Which fields there are
//! is not theirs to say: plan logs what it has compared, and the kinds' files name what they
//! compare at all; a field that has neither a row nor a reason fails the test.

pub(crate) mod account;
mod backend;
mod gateway;
mod kinds;
mod listener;
mod load_balancer;
mod log_bucket;
mod network;
mod reasons;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;

use crate::acts::{APPLY, tell};
use crate::support::{Outcome, Scenario, differences};
use account::Account;

/// Stands for the address of whatever somebody else added: it depends on its content.
const THEIRS: &str = "trust_store.crl[theirs]";

/// What somebody does, and what the plan has to say to it.
pub(super) struct Row {
    address: String,
    /// What happens there: `update`, `replace`, `create` …
    action: &'static str,
    /// The fields that differ, each with what is live; null where that is hard to say beforehand.
    fields: BTreeMap<String, Value>,
    /// Other addresses that have to follow, with what happens there.
    follows: BTreeMap<String, &'static str>,
    act: Box<dyn Fn(&Account)>,
    /// What somebody else clears away afterwards, because it is theirs.
    afterwards: Option<fn(&Account)>,
}

/// Somebody changes one field, which is found to be `live`.
pub(super) fn changed(
    address: impl Into<String>,
    field: &str,
    live: impl Into<Value>,
    act: impl Fn(&Account) + 'static,
) -> Row {
    Row {
        address: address.into(),
        action: "update",
        fields: BTreeMap::from([(field.to_owned(), live.into())]),
        follows: BTreeMap::new(),
        act: Box::new(act),
        afterwards: None,
    }
}

/// Somebody deletes it.
pub(super) fn gone(address: impl Into<String>, act: impl Fn(&Account) + 'static) -> Row {
    Row {
        fields: BTreeMap::new(),
        ..changed(address, "", Value::Null, act).by("create")
    }
}

impl Row {
    /// The same with one more field that differs.
    pub(super) fn and(mut self, field: &str, live: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), live.into());
        self
    }

    /// The same without looking at the fields: what is deleted has none.
    pub(super) fn whole(mut self) -> Self {
        self.fields.clear();
        self
    }

    /// The same, put right in another way than by a change in place.
    pub(super) fn by(mut self, action: &'static str) -> Self {
        self.action = action;
        self
    }

    /// The same with something else that happens because of it.
    pub(super) fn then(mut self, address: impl Into<String>, action: &'static str) -> Self {
        self.follows.insert(address.into(), action);
        self
    }

    /// The same with something of somebody else's that is left, and that they clear away.
    pub(super) fn afterwards(mut self, act: fn(&Account)) -> Self {
        self.afterwards = Some(act);
        self
    }

    /// Where something happens because of it.
    fn touches(&self) -> BTreeSet<&str> {
        let follows = self.follows.keys().map(String::as_str);
        follows.chain([self.address.as_str()]).collect()
    }

    fn title(&self) -> String {
        let fields: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        format!("{} {} {}", self.address, self.action, fields.join(" "))
    }

    /// What is wrong with the plan after it.
    fn complaints(&self, plan: &BTreeMap<String, Value>) -> Vec<String> {
        let Some(summary) = plan.get(&self.address) else {
            return vec![format!("{}: the plan does not show it", self.title())];
        };
        let mut found = Vec::new();
        if summary["action"] != self.action {
            found.push(format!("{}: {summary:#}", self.title()));
        }
        if self.fields.is_empty() {
            return found;
        }
        let shown = summary["fields"].as_array().expect("is a list").iter();
        let shown: BTreeMap<&str, &Value> = shown
            .map(|field| (field["path"].as_str().expect("is text"), field))
            .collect();
        if !shown.keys().eq(self.fields.keys()) {
            found.push(format!("{}: shows {:?}", self.title(), shown.keys()));
        }
        for (path, live) in &self.fields {
            let Some(field) = shown.get(path.as_str()) else {
                continue;
            };
            let is_told = live.is_null() || field["before"] == *live;
            if !is_told || field["before"] == field["after"] && field["sensitive"] == false {
                found.push(format!("{}: {field}", self.title()));
            }
        }
        found
    }
}

/// Where the stack stands, and the same untouched.
struct Bench {
    account: Account,
    pristine: Scenario,
    /// How many rounds it took.
    rounds: usize,
    /// What the first plan of all listed.
    first: BTreeMap<String, Value>,
}

impl Bench {
    fn new(mut scenario: Scenario, prepare: impl FnOnce(&mut Scenario)) -> Self {
        prepare(&mut scenario);
        let first = changes(&scenario.run(["plan", "--json"]).ok());
        scenario.run(APPLY).ok();
        let addresses: Vec<String> = first.keys().cloned().collect();
        scenario.has_converged();
        let pristine = scenario.fork();
        Self {
            first,
            account: Account::new(scenario, addresses),
            pristine,
            rounds: 0,
        }
    }

    /// Goes through all rows; gives what went wrong.
    fn check(&mut self, rows: Vec<Row>) -> Vec<String> {
        let mut failures = Vec::new();
        let rounds = rounds(rows);
        self.rounds += rounds.len();
        for round in rounds {
            let result = catch_unwind(AssertUnwindSafe(|| self.round(&round)));
            let result = result.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>();
                Err(text.cloned().unwrap_or_else(|| "panicked".to_owned()))
            });
            if let Err(failure) = result {
                let titles: Vec<String> = round.iter().map(Row::title).collect();
                failures.push(format!("{}\n{failure}", titles.join("; ")));
                let addresses = self.first.keys().cloned().collect();
                self.account = Account::new(self.pristine.fork(), addresses);
            }
        }
        failures
    }

    fn round(&self, rows: &[Row]) -> Result<(), String> {
        let before = self.account.held();
        for row in rows {
            (row.act)(&self.account);
        }
        let scenario = &self.account.scenario;
        let plan = changes(&scenario.run(["plan", "--json"]).ok());
        let plan: BTreeMap<String, Value> = plan
            .into_iter()
            .map(|(at, summary)| (self.account.named(at), summary))
            .collect();
        let mut wrong: Vec<String> = rows.iter().flat_map(|row| row.complaints(&plan)).collect();
        let mut expected: BTreeMap<&str, &str> = BTreeMap::new();
        for row in rows {
            expected.insert(&row.address, row.action);
            expected.extend(
                row.follows
                    .iter()
                    .map(|(at, action)| (at.as_str(), *action)),
            );
        }
        let told: BTreeMap<&str, &str> = plan
            .iter()
            .map(|(at, summary)| (at.as_str(), summary["action"].as_str().unwrap_or_default()))
            .collect();
        if told != expected {
            wrong.push(format!("plans {told:?} instead of {expected:?}"));
        }
        ends_well(&scenario.run(APPLY), &mut wrong);
        ends_well(&scenario.run(["plan", "--detailed-exitcode"]), &mut wrong);
        // What is made anew has another id.
        if rows.iter().any(|row| row.action != "update") {
            self.account.forget_ids();
        }
        for act in rows.iter().filter_map(|row| row.afterwards) {
            act(&self.account);
        }
        wrong.extend(differences(&before, &self.account.held()));
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("\n"))
        }
    }
}

fn ends_well(outcome: &Outcome, wrong: &mut Vec<String>) {
    if outcome.code != 0 {
        wrong.push(outcome.to_string());
    }
}

/// What a plan changes, by address.
fn changes(plan: &Outcome) -> BTreeMap<String, Value> {
    let plan = plan.json();
    let changes = plan["stacks"][0]["changes"].as_array().expect("is a list");
    let at = |change: &Value| change["address"].as_str().expect("is text").to_owned();
    changes.iter().map(|one| (at(one), one.clone())).collect()
}

/// Rows that have nothing to do with each other go together: one of each address at a time, so that
/// no change is put right by another one's.
fn rounds(rows: Vec<Row>) -> Vec<Vec<Row>> {
    let mut rounds: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        let is_apart = |other: &Row| other.touches().is_disjoint(&row.touches());
        match rounds.iter_mut().find(|round| round.iter().all(is_apart)) {
            Some(round) => round.push(row),
            None => rounds.push(vec![row]),
        }
    }
    rounds
}

/// The rows of all stacks, and what their plans compare.
#[derive(Default)]
struct Table {
    rows: usize,
    rounds: usize,
    /// What has a row, as kind and field.
    told: BTreeSet<(String, String)>,
    /// The kinds of which one is deleted.
    deleted: BTreeSet<String>,
    /// What is compared, as kind and field.
    compared: BTreeSet<(String, String)>,
    failures: Vec<String>,
}

impl Table {
    fn check(&mut self, bench: &mut Bench, rows: Vec<Row>) {
        let (kinds, compared) = kinds::compared(bench.pristine.fork());
        self.compared.extend(compared);
        self.compared.extend(kinds::listed(&bench.first));
        self.rows += rows.len();
        for row in rows.iter().filter(|row| row.address != THEIRS) {
            let kind = kinds.get(&row.address);
            let kind = kind.unwrap_or_else(|| panic!("nothing is at {}", row.address));
            if row.action == "create" {
                self.deleted.insert(kind.clone());
            }
            let fields = row.fields.keys().map(|field| kinds::field(field));
            self.told.extend(fields.map(|field| (kind.clone(), field)));
        }
        self.failures.extend(bench.check(rows));
        self.rounds += bench.rounds;
    }

    /// Whatever is compared has a row or a reason, and nothing else has.
    fn is_complete(&mut self) {
        let in_code = kinds::named_in_code();
        let reasons: BTreeMap<(String, String), &str> = reasons::fields().collect();
        for (kind, field) in self.compared.union(&in_code) {
            let key = (kind.clone(), field.clone());
            if !self.told.contains(&key) && !reasons.contains_key(&key) {
                self.failures.push(format!("{kind} {field}: has no row"));
            }
        }
        for (kind, field) in self.told.iter().chain(reasons.keys()) {
            let key = (kind.clone(), field.clone());
            if !self.compared.contains(&key) && !in_code.contains(&key) {
                let text =
                    format!("{kind} {field}: has a row or a reason, and no kind compares it");
                self.failures.push(text);
            }
        }
        for (key, reason) in reasons.iter().filter(|(key, _)| self.told.contains(*key)) {
            self.failures
                .push(format!("{key:?}: has a row, although {reason}"));
        }
        let kinds: BTreeSet<String> = kinds::all();
        for kind in kinds.difference(&self.deleted) {
            self.failures.push(format!("{kind}: nobody deletes one"));
        }
        for ignored in kinds::ignored_in_code().symmetric_difference(&reasons::ignored().collect())
        {
            let (file, field) = ignored;
            self.failures.push(format!(
                "{file} {field}: is not compared, for no or an old reason"
            ));
        }
    }
}

#[test]
fn every_field_of_every_kind_that_somebody_else_changes_is_shown_and_put_right() {
    let mut table = Table::default();
    let mut bench = Bench::new(account::scenario(), account::prepare);
    let rows = [
        gateway::rows(),
        listener::rows(),
        load_balancer::rows(),
        log_bucket::rows(),
        network::rows(),
        trust::rows(&bench.account),
    ];
    table.check(&mut bench, rows.into_iter().flatten().collect());
    let mut bench = Bench::new(account::imported(), |_| {});
    let rows = trust::imported_rows();
    table.check(&mut bench, rows);
    let mut bench = Bench::new(backend::scenario(), backend::prepare);
    table.check(&mut bench, backend::rows());
    table.is_complete();
    let kinds = kinds::count();
    let (rows, rounds, fields) = (table.rows, table.rounds, table.told.len());
    let reasons = reasons::fields().count();
    tell(&format!(
        "{kinds} kinds, {fields} fields in {rows} rows ({rounds} rounds), {reasons} fields with a reason to have none"
    ));
    assert!(
        table.failures.is_empty(),
        "{} failures\n{}",
        table.failures.len(),
        table.failures.join("\n\n")
    );
}
