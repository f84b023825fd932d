//! The CNAME records by which ACM knows that the names of a certificate are ours.
//!
//! ACM says which records only after the request; the certificate's tag `mtlsgw:validation` says
//! beforehand in which zones they will be. ACM wants the same record for the same account and name
//! in every region and for every renewal, so destroy leaves it behind and says so.
//!
//! IAM: `route53:ListResourceRecordSets`, `ChangeResourceRecordSets`; `acm:DescribeCertificate`.
//! AWS: ACM User Guide, "DNS validation".

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_route53::types::{
    Change as RecordChange, ChangeAction, ChangeBatch, ResourceRecord, ResourceRecordSet, RrType,
};
use futures::future::try_join_all;

use super::certificate::{Certificate, VALIDATION, describe, named_records};
use super::context::Wait;
use super::record_set;
use super::{Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource};
use crate::diff::{Change, Diff};
use crate::error::{Error, Result};

/// The validation records of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateValidation {
    /// The certificate.
    pub(crate) certificate: Late<String>,
    /// Where the records of each domain name go: a zone's id by the zone's name.
    pub(crate) zones: BTreeMap<String, String>,
    /// The records, each `name value`: what ACM wants, or what is there.
    pub(crate) records: Late<Vec<String>>,
}

impl Resource for CertificateValidation {
    const TYPE: &'static str = "AWS::Route53::RecordSet";

    fn needs(&self) -> Vec<Need> {
        vec![Need::exists(&self.certificate)]
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            certificate: _,
            zones: _,
            records,
        } = self;
        diff.late("records", records, live.map(|live| &live.records));
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let certificates = reader.found::<Certificate>().await?;
        let validated = certificates
            .iter()
            .filter(|certificate| certificate.spec.tags.get(VALIDATION).is_some());
        let found = try_join_all(validated.map(|certificate| found(reader, certificate))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let arn = cx.value(&self.certificate)?;
        let records = wanted_records(cx, &arn).await?;
        upsert(cx, &self.zones, &records).await?;
        let shown = records
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        Ok(Created {
            id: format!("{arn}#validation"),
            outputs: Outputs::from([("records", shown)]),
        })
    }

    async fn update(&self, cx: &Cx, _live: &Found<Self>, _changes: &[Change]) -> Result<Outputs> {
        self.create(cx).await.map(|created| created.outputs)
    }

    /// Only a replaced certificate's own records would go here, and those are retained.
    async fn delete(_cx: &Cx, _live: &Found<Self>) -> Result<()> {
        Ok(())
    }
}

/// The records ACM wants, once it says so.
async fn wanted_records(cx: &Cx, arn: &str) -> Result<BTreeSet<(String, String)>> {
    let wait = Wait::new("ACM to name the validation record", 5, 300)
        .at_most(cx.timeout("certificate_validation"));
    cx.wait_until(wait, || async {
        let detail = describe(cx.aws(), arn).await?;
        Ok(detail.as_ref().and_then(named_records))
    })
    .await
}

/// Writes the records, one batch a zone; ACM's own polling sees them, so nothing waits here.
async fn upsert(
    cx: &Cx,
    zones: &BTreeMap<String, String>,
    records: &BTreeSet<(String, String)>,
) -> Result<()> {
    let mut batches: BTreeMap<&str, Vec<RecordChange>> = BTreeMap::new();
    for (name, value) in records {
        let zone = zone_of(name, zones).ok_or_else(|| {
            Error::step(&cx.address, format!("no zone of the stack holds `{name}`"))
        })?;
        batches
            .entry(zone)
            .or_default()
            .push(change(name, value).map_err(|error| Error::step(&cx.address, error))?);
    }
    for (zone, changes) in batches {
        let batch = ChangeBatch::builder().set_changes(Some(changes)).build();
        let batch = batch.map_err(|error| Error::step(&cx.address, error.to_string()))?;
        let send = cx
            .aws()
            .route53
            .change_resource_record_sets()
            .hosted_zone_id(zone)
            .change_batch(batch)
            .send();
        cx.aws()
            .call("route53:ChangeResourceRecordSets", send)
            .await?;
    }
    Ok(())
}

/// The zone with the longest name that ends `name`.
fn zone_of<'a>(name: &str, zones: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let name = name.trim_end_matches('.');
    zones
        .iter()
        .filter(|(zone, _)| name == zone.as_str() || name.ends_with(&format!(".{zone}")))
        .max_by_key(|(zone, _)| zone.len())
        .map(|(_, id)| id.as_str())
}

fn change(name: &str, value: &str) -> Result<RecordChange, String> {
    let record = ResourceRecord::builder()
        .value(value)
        .build()
        .map_err(|error| error.to_string())?;
    let set = ResourceRecordSet::builder()
        .name(name)
        .r#type(RrType::Cname)
        .ttl(300)
        .resource_records(record)
        .build();
    let set = set.map_err(|error| error.to_string())?;
    RecordChange::builder()
        .action(ChangeAction::Upsert)
        .resource_record_set(set)
        .build()
        .map_err(|error| error.to_string())
}

/// Those of a certificate's validation records that are there.
async fn found(
    reader: &Reader,
    certificate: &Found<Certificate>,
) -> Result<Option<Found<CertificateValidation>>> {
    let zones: Vec<&str> = certificate
        .spec
        .tags
        .get(VALIDATION)
        .unwrap_or_default()
        .split(' ')
        .collect();
    let wanted = certificate
        .outputs
        .get("validation")
        .cloned()
        .unwrap_or_default();
    let looked = wanted
        .iter()
        .flat_map(|record| zones.iter().map(move |zone| (record, *zone)));
    let there = try_join_all(looked.map(|(record, zone)| is_there(reader, record, zone))).await?;
    let there: BTreeSet<String> = there.into_iter().flatten().collect();
    if there.is_empty() {
        return Ok(None);
    }
    let records: Vec<String> = there.into_iter().collect();
    Ok(Some(Found {
        stack: certificate.stack.clone(),
        address: certificate.address.part("validation"),
        id: format!("{}#validation", certificate.id),
        owner: Owner::Ours,
        protected: None,
        retained: Some(format!(
            "ACM renews with the record {}; other certificates and regions may share it",
            records.join(", ").replace(' ', " CNAME ")
        )),
        spec: CertificateValidation {
            certificate: Late::Known(certificate.id.clone()),
            zones: BTreeMap::new(),
            records: Late::Known(records.clone()),
        },
        outputs: Outputs::from([("records", records)]),
    }))
}

/// The record, if the zone has it with that value.
async fn is_there(reader: &Reader, record: &str, zone: &str) -> Result<Option<String>> {
    let Some((name, value)) = record.split_once(' ') else {
        return Ok(None);
    };
    let sets = record_set::at_name(&reader.aws, zone, name).await?;
    let same = |set: &ResourceRecordSet| {
        *set.r#type() == RrType::Cname
            && set
                .resource_records()
                .iter()
                .any(|one| one.value().trim_end_matches('.') == value.trim_end_matches('.'))
    };
    Ok(sets.iter().any(same).then(|| record.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_goes_into_the_nearest_zone() {
        let zones = BTreeMap::from([
            ("example.com".to_owned(), "Z1".to_owned()),
            ("eu.example.com".to_owned(), "Z2".to_owned()),
        ]);
        assert_eq!(zone_of("_x.api.eu.example.com.", &zones), Some("Z2"));
        assert_eq!(zone_of("_x.example.com.", &zones), Some("Z1"));
        assert_eq!(zone_of("_x.badexample.com.", &zones), None);
    }
}
