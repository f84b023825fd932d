//! Brings logs into the customer's bucket: an object for each node and kind every five minutes.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use flate2::Compression;
use flate2::write::GzEncoder;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::super::{Connection, DataPlane};
use super::{Kind, resource};
use crate::sandbox::elbv2::log_bucket::Destination;
use crate::sandbox::s3;
use crate::sandbox::world::World;

/// How often logs are delivered, in milliseconds.
const INTERVAL: i64 = 5 * 60 * 1000;

/// How many bytes of lines are gathered before they are delivered ahead of time.
const MOST: usize = 8 * 1024 * 1024;

/// Lines that become one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Batch {
    kind: Kind,
    region: String,
    load_balancer: String,
    node: Ipv4Addr,
    bucket: String,
    directory: String,
}

/// The lines of a batch so far.
#[derive(Debug, Default)]
struct Lines {
    text: String,
    /// When the interval ends.
    due: i64,
}

/// Everything that is yet to be delivered.
#[derive(Debug, Default)]
pub(in crate::sandbox::data_plane) struct Logs(Mutex<BTreeMap<Batch, Lines>>);

impl Logs {
    fn batches(&self) -> MutexGuard<'_, BTreeMap<Batch, Lines>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line, if the load balancer writes such logs.
    pub(super) fn note(
        &self,
        plane: &DataPlane,
        connection: &Connection,
        kind: Kind,
        line: impl FnOnce(i64) -> String,
    ) {
        let (destination, now) = {
            let account = plane.account();
            let world = &account.world;
            let region = world.regions.get(&connection.region);
            let balancer = region
                .and_then(|region| region.elbv2.load_balancers.get(&connection.load_balancer));
            let destination = balancer
                .and_then(|balancer| Destination::of(balancer, kind.attribute(), &world.account));
            (destination, world.now)
        };
        let Some(destination) = destination else {
            return;
        };
        let batch = Batch {
            kind,
            region: connection.region.clone(),
            load_balancer: connection.load_balancer.clone(),
            node: connection.node,
            bucket: destination.bucket,
            directory: destination.directory,
        };
        let line = line(now);
        let mut batches = self.batches();
        let lines = batches.entry(batch).or_default();
        if lines.text.is_empty() {
            lines.due = (now.div_euclid(INTERVAL) + 1) * INTERVAL;
        }
        lines.text.push_str(&line);
        lines.text.push('\n');
        if lines.text.len() > MOST {
            lines.due = now;
        }
    }

    /// Delivers what is due, or all of it; says how many objects that made.
    pub(in crate::sandbox::data_plane) fn deliver(&self, plane: &DataPlane, all: bool) -> usize {
        if self.batches().is_empty() {
            return 0;
        }
        let now = plane.account().world.now;
        let due = |_: &Batch, lines: &mut Lines| all || lines.due <= now;
        let due: Vec<(Batch, Lines)> = self.batches().extract_if(.., due).collect();
        if due.is_empty() {
            return 0;
        }
        let objects: Vec<Object> = due
            .iter()
            .map(|(batch, lines)| Object::of(batch, lines, now, plane))
            .collect();
        let mut account = plane.account();
        let written = objects
            .iter()
            .filter(|object| object.put(&mut account.world))
            .count();
        let account = &mut *account;
        if let Err(error) = account.store.save(&account.world) {
            tracing::error!(%error, "logs are not kept");
        }
        written
    }
}

/// An object that is to be written.
struct Object {
    region: String,
    bucket: String,
    /// The key without the account's number, which the world knows.
    key: String,
    content: Vec<u8>,
}

impl Object {
    fn of(batch: &Batch, lines: &Lines, now: i64, plane: &DataPlane) -> Self {
        Self {
            region: batch.region.clone(),
            bucket: batch.bucket.clone(),
            key: key(batch, lines.due.min(now), &plane.unique_hex(8)),
            content: compressed(&lines.text),
        }
    }

    /// Writes the object; where the bucket is gone it is lost, as on AWS.
    fn put(&self, world: &mut World) -> bool {
        let bucket = world.s3.bucket(&self.bucket);
        if bucket.is_none_or(|bucket| bucket.owner != world.account) {
            tracing::debug!(bucket = self.bucket, "logs are lost with their bucket");
            return false;
        }
        let now = world.now;
        let place = s3::Place {
            owner: "elasticloadbalancing",
            region: &self.region,
            bucket: &self.bucket,
            key: &self.key,
        };
        world.s3.put_internal(&place, now, &self.content);
        true
    }
}

const DAY: &[BorrowedFormatItem<'static>] = format_description!("[year]/[month]/[day]");
const END: &[BorrowedFormatItem<'static>] =
    format_description!("[year][month][day]T[hour][minute]Z");

/// The key of a batch's object whose interval ended at this time.
fn key(batch: &Batch, end: i64, random: &str) -> String {
    let time = OffsetDateTime::from_unix_timestamp(end.div_euclid(1000));
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let text = |format| time.format(format).unwrap_or_default();
    let (directory, region) = (&batch.directory, &batch.region);
    let account = directory.rsplit('/').next().unwrap_or_default();
    let balancer = resource(&batch.load_balancer).replace('/', ".");
    format!(
        "{directory}/elasticloadbalancing/{region}/{}/{}{account}_elasticloadbalancing_{region}_{balancer}_{}_{}_{random}.log.gz",
        text(DAY),
        batch.kind.prefix(),
        text(END),
        batch.node
    )
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(text.as_bytes());
    let finished = written.and_then(|()| encoder.finish());
    finished.expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_as_elb_names_them() {
        let batch = Batch {
            kind: Kind::Connections,
            region: "eu-west-1".to_owned(),
            load_balancer:
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/edge/50dc"
                    .to_owned(),
            node: Ipv4Addr::new(10, 0, 0, 5),
            bucket: "logs".to_owned(),
            directory: "edge/AWSLogs/123456789012".to_owned(),
        };
        assert_eq!(
            key(&batch, 1_768_435_500_000, "0a1b2c3d"),
            "edge/AWSLogs/123456789012/elasticloadbalancing/eu-west-1/2026/01/15/conn_log_\
             123456789012_elasticloadbalancing_eu-west-1_app.edge.50dc_20260115T0005Z_10.0.0.5_\
             0a1b2c3d.log.gz"
        );
        let batch = Batch {
            kind: Kind::Requests,
            ..batch
        };
        let key = key(&batch, 0, "0a1b2c3d");
        assert!(key.contains("/1970/01/01/123456789012_elasticloadbalancing_"));
    }
}
