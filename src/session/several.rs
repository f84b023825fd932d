//! Several stacks in one run: read together, planned each on its own.
//!
//! What is wrong with one keeps the others from nothing. Where a read that all share fails, each is
//! read by itself, so that the one at fault is found.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::{Planned, Session, Subject};
use crate::error::{Error, Result};

/// A stack of the run, planned or not.
pub(crate) struct Attempt {
    /// The stack's name.
    pub(crate) name: String,
    /// Its region.
    pub(crate) region: String,
    /// Its plan, or why there is none.
    pub(crate) planned: Result<Planned>,
}

impl Session {
    /// Plans each stack, those of a region from one batched read; in the order of `subjects`.
    pub(crate) async fn plan_each(&self, subjects: Vec<Subject>) -> Vec<Attempt> {
        let mut regions: BTreeMap<String, Vec<(usize, Subject)>> = BTreeMap::new();
        for (place, subject) in subjects.into_iter().enumerate() {
            let region = regions.entry(subject.region.clone()).or_default();
            region.push((place, subject));
        }
        let planned = regions.into_iter().map(|(region, subjects)| async move {
            let (places, subjects): (Vec<usize>, Vec<Subject>) = subjects.into_iter().unzip();
            let attempts = Box::pin(self.attempt_region(&region, subjects)).await;
            places.into_iter().zip(attempts).collect::<Vec<_>>()
        });
        let mut attempts: Vec<(usize, Attempt)> =
            join_all(planned).await.into_iter().flatten().collect();
        attempts.sort_by_key(|(place, _)| *place);
        attempts.into_iter().map(|(_, attempt)| attempt).collect()
    }

    async fn attempt_region(&self, region: &str, subjects: Vec<Subject>) -> Vec<Attempt> {
        match self.plan_region(region, subjects.clone()).await {
            Ok(attempts) => attempts,
            Err(error) if subjects.len() > 1 && may_be_of_one(&error) => {
                let alone = subjects.into_iter().map(|subject| async move {
                    let planned = self.plan_region(region, vec![subject.clone()]).await;
                    let alone = planned.map(|mut attempts| attempts.pop());
                    match alone {
                        Ok(Some(attempt)) => attempt,
                        Ok(None) => Attempt::failed(subject, Error::Interrupted),
                        Err(error) => Attempt::failed(subject, error),
                    }
                });
                join_all(alone).await
            }
            Err(error) => subjects
                .into_iter()
                .map(|subject| Attempt::failed(subject, error.clone()))
                .collect(),
        }
    }
}

/// Whether another stack's read may fare better: not without credentials or a network.
fn may_be_of_one(error: &Error) -> bool {
    error
        .aws()
        .is_none_or(|aws| !aws.code.is_empty() && aws.operation != "sts:GetCallerIdentity")
}

impl Attempt {
    /// A stack that could not be planned.
    pub(super) fn failed(subject: Subject, error: Error) -> Self {
        Self {
            name: subject.name,
            region: subject.region,
            planned: Err(error),
        }
    }
}
