//! `logs`: who connected, who was refused and why, by the connection logs.

mod report;

use std::collections::BTreeMap;

use crate::cli::{Global, LogsArgs};
use crate::connection_log::Group;
use crate::error::{Result, exit};
use crate::session::{Logs, Session, Subject};
use crate::stack::{self, CrlSource, Stack};
use crate::trust::{Crl, Serial, Sha256Digest};
use crate::view::View;

use report::{Listing, Report};

/// The reason for which the CRLs are worth reading.
const REVOKED: &str = "ClientCertCrlHit";

/// Reads the connection logs of a stack and says what they tell.
///
/// # Errors
///
/// What is wrong with the file, logs that are off, or what could not be read.
pub(super) async fn run(args: &LogsArgs, global: &Global, view: &View) -> Result<u8> {
    let path = super::stack_file(args.path.as_ref(), "logs")?;
    let subject = Subject::load(&path)?;
    let session = Session::open(global).await?;
    let told = |files: usize| {
        if files >= MANY_FILES {
            view.note(&format!("reading {files} log files…"));
        }
    };
    let read = read(&session, &subject, args, told).await;
    session.close().await;
    let (logs, listings) = read?;
    let report = Report::new(&subject, &logs, listings);
    if view.is_json() {
        view.document(&report.json());
    } else {
        view.result(&report.text());
    }
    Ok(exit::DONE)
}

/// So many files take long enough for somebody to wonder.
const MANY_FILES: usize = 500;

async fn read(
    session: &Session,
    subject: &Subject,
    args: &LogsArgs,
    told: impl FnOnce(usize),
) -> Result<(Logs, Listings)> {
    let logs = session.logs(subject, args, told).await?;
    let groups = logs.reading.tally.groups();
    let revoked = groups.iter().filter(|group| group.code == REVOKED);
    let serials: Vec<Serial> = revoked.filter_map(|group| serial(group)).collect();
    let listings = if serials.is_empty() {
        None
    } else {
        listings(session, subject, &serials).await
    };
    Ok((logs, listings))
}

/// Which live CRL lists a serial; `None` where nobody asked, or they could not be read.
type Listings = Option<BTreeMap<Serial, Listing>>;

fn serial(group: &Group) -> Option<Serial> {
    Serial::from_hex(group.serial.as_deref()?)
}

/// Finds the live CRLs that list serials, and where the stack file has them.
async fn listings(session: &Session, subject: &Subject, serials: &[Serial]) -> Listings {
    let mut listings = BTreeMap::new();
    let stack = subject.stack.as_ref();
    let arn = stack.and_then(|stack| match &stack.trust_store {
        Some(stack::TrustStore::Existing { arn }) => Some(arn.as_str()),
        _ => None,
    });
    let places = stack.map(places).unwrap_or_default();
    let held = match session.held(subject, arn).await {
        Ok(held) => held,
        Err(error) => {
            // What was asked is answered without it.
            tracing::warn!(%error, "the live CRLs could not be read");
            return None;
        }
    };
    for crl in held.content.iter().flat_map(|content| &content.crls) {
        let listed = serials
            .iter()
            .filter(|serial| crl.serials.binary_search(serial).is_ok());
        for serial in listed {
            let listing = || Listing {
                issuer: crl.issuer.to_string(),
                digest: crl.digest.to_string(),
                place: places.get(&crl.digest).cloned(),
            };
            listings.entry(*serial).or_insert_with(listing);
        }
    }
    Some(listings)
}

/// Where the stack file names the CRLs of files.
fn places(stack: &Stack) -> BTreeMap<Sha256Digest, String> {
    let mut places = BTreeMap::new();
    let Some(stack::TrustStore::Own { crls, .. }) = &stack.trust_store else {
        return places;
    };
    for (index, source) in crls.iter().enumerate() {
        let CrlSource::File(material) = source else {
            continue;
        };
        let location = stack.locate(&format!("trust_store.crls[{index}]"));
        let file = location.file.display();
        let place = format!("{} ({file}:{})", material.path.display(), location.line);
        for crl in Crl::all_from_bytes(&material.bytes).unwrap_or_default() {
            places.insert(crl.digest, place.clone());
        }
    }
    places
}
