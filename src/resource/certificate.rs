//! The server certificate of listeners and custom domains, in ACM.
//!
//! Natural key: none (ACM makes a second one for every request), so it is found by its tags. Other
//! names or another kind of key mean another certificate: made first, repointed, then deleted. An
//! imported one is imported again under the same ARN, which keeps every listener.
//!
//! Exception to comparing everything: AWS never gives back an imported private key.
//!
//! IAM: `acm:ListCertificates`, `DescribeCertificate`, `GetCertificate`, `ListTagsForCertificate`,
//! `RequestCertificate`, `ImportCertificate`, `AddTagsToCertificate`, `RemoveTagsFromCertificate`,
//! `DeleteCertificate`; `tag:GetResources`.
//! AWS: ACM User Guide, "Request a public certificate", "Import a certificate".

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_acm::primitives::Blob;
use aws_sdk_acm::types::{
    CertificateDetail, CertificateStatus, CertificateSummary, CertificateType, Filters,
    KeyAlgorithm, Tag, ValidationMethod,
};
use futures::future::try_join_all;
use serde_json::Value;
use time::OffsetDateTime;

use super::context::Wait;
use super::listener::Listener;
use super::load_balancer::LoadBalancer;
use super::{
    Address, Created, Cx, Found, Late, Need, Outputs, Owner, Reader, Resource, Until, swept,
};
use crate::aws::tags::Tags;
use crate::aws::{Aws, Once, pages, tolerate};
use crate::diff::{Change, Diff, touches};
use crate::error::{Error, Result};
use crate::trust::PrivateKey;

/// The tag that makes destroy leave a certificate behind.
pub(crate) const RETAIN: &str = "mtlsgw:retain";
/// The tag that says in which zones we validate: `Z1 Z2`.
pub(crate) const VALIDATION: &str = "mtlsgw:validation";

/// How often a request's token is salted anew before something else must be wrong.
const SALTS: u32 = 4;

/// How often, every two seconds, a requested certificate is looked for.
const LOOKS: u32 = 30;

/// For how many seconds the tagging API may not know a certificate yet.
const INDEX_LAG: i64 = 3600;

/// A certificate of ours.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// Where it comes from.
    pub(crate) source: Source,
    /// ACM's status; wanted: `ISSUED`. Pending is on its way there, the others never get there.
    pub(crate) status: String,
    /// The resource that writes its validation records; absent where nobody of ours does.
    pub(crate) validation: Option<Address>,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// Requested from ACM.
    Requested(Request),
    /// Imported from files.
    Imported(Import),
}

/// A certificate requested from ACM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// The first name.
    pub(crate) name: String,
    /// The other names.
    pub(crate) alternative_names: BTreeSet<String>,
    /// As requests spell it: `RSA_2048`, `EC_prime256v1`.
    pub(crate) key_algorithm: String,
}

/// A certificate imported from files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    /// SHA-256 of the certificate and of each of its chain, in order.
    pub(crate) fingerprints: Vec<String>,
    /// What is shown of it: subject and expiry.
    pub(crate) shown: String,
    /// As requests spell it; an import in place has to keep it.
    pub(crate) key_algorithm: String,
    /// What the certificate says that its key is for; an import in place may take none of it away.
    pub(crate) usages: BTreeSet<String>,
    /// What is sent; nothing on the live side.
    pub(crate) files: Option<ImportFiles>,
}

/// What an import sends; the key is read only then.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ImportFiles {
    /// The certificate's names, by which live candidates are looked up.
    pub(crate) names: Vec<String>,
    /// When the certificate ends.
    pub(crate) not_after: OffsetDateTime,
    /// The certificate, PEM.
    pub(crate) certificate: Arc<str>,
    /// Its chain, PEM; empty when it is self-signed.
    pub(crate) chain: Arc<str>,
    /// The file of the private key.
    pub(crate) private_key: PathBuf,
}

impl fmt::Debug for ImportFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportFiles")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// The names by which ACM lists it.
    fn names(&self) -> Vec<String> {
        match &self.source {
            Source::Requested(request) => vec![request.name.clone()],
            Source::Imported(import) => import
                .files
                .iter()
                .flat_map(|files| files.names.clone())
                .collect(),
        }
    }
}

impl Resource for Certificate {
    const TYPE: &'static str = "AWS::CertificateManager::Certificate";

    fn needs(&self) -> Vec<Need> {
        Vec::new()
    }

    fn ready_needs(&self) -> Vec<Need> {
        self.validation
            .iter()
            .map(|address| Need::address(address, Until::Exists))
            .collect()
    }

    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            source,
            status,
            validation: _,
            tags,
        } = self;
        diff_source(source, live.map(|live| &live.source), diff);
        // An imported one that has expired is good again once it is imported again.
        let judged = live.filter(|live| {
            matches!(source, Source::Requested(_)) && live.status != "PENDING_VALIDATION"
        });
        if let Some(live) = judged {
            diff.field("status", status, Some(&live.status)).replaces();
        }
        diff.tags(tags, live.map(|live| &live.tags));
    }

    fn tags(&self) -> Option<&Tags> {
        Some(&self.tags)
    }

    async fn adopt(&self, cx: &Cx, live: &Found<Self>) -> Result<()> {
        put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await
    }

    fn expiries(&self, outputs: &Outputs) -> Vec<(String, OffsetDateTime)> {
        let (name, sent) = match &self.source {
            Source::Requested(request) => (request.name.as_str(), None),
            Source::Imported(import) => (import.shown.as_str(), import.files.as_ref()),
        };
        let seconds = outputs
            .get("expires")
            .and_then(|values| values.first()?.parse().ok());
        let issued = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
        let ends = issued.or_else(|| sent.map(|files| files.not_after));
        let expiry = ends.map(|at| (format!("certificate {name}"), at));
        expiry.into_iter().collect()
    }

    async fn find(reader: &Reader) -> Result<Vec<Found<Self>>> {
        let names: BTreeSet<String> = reader
            .wanted::<Self>()
            .flat_map(|(_, _, want)| want.names())
            .collect();
        let aws = reader.aws.as_ref();
        let listed = async {
            if names.is_empty() {
                recently_made(aws).await
            } else {
                listed_by_name(aws, &names).await
            }
        };
        let (listed, swept) = futures::try_join!(listed, swept::arns(reader))?;
        let swept = swept.iter().filter(|arn| arn.contains(":acm:")).cloned();
        let named = reader.named::<Self>();
        let candidates: BTreeSet<String> = listed.into_iter().chain(swept).chain(named).collect();
        let read = try_join_all(candidates.iter().map(|arn| read(reader, arn))).await?;
        let found = read.into_iter().flatten().filter_map(found_by_tags);
        Ok(found
            .filter(|found| reader.has_stack(&found.stack))
            .collect())
    }

    async fn create(&self, cx: &Cx) -> Result<Created> {
        let arn = match &self.source {
            Source::Requested(wanted) => request(cx, wanted, &self.tags).await?,
            Source::Imported(wanted) => match import(cx, wanted, None, Some(&self.tags)).await {
                // AWS has no client token here: sent blindly a second time, there may be two.
                Err(Error::Aws(error)) if error.uncertain => {
                    match imported(cx, wanted, &self.names()).await? {
                        Some(arn) => arn,
                        None => import(cx, wanted, None, Some(&self.tags)).await?,
                    }
                }
                other => other?,
            },
        };
        Ok(Created::id(arn))
    }

    async fn ready(&self, cx: &Cx, id: &str) -> Result<Outputs> {
        let wait =
            Wait::new("the certificate to be issued", 15, 4500).at_most(cx.timeout("certificate"));
        cx.wait_until(wait, || async {
            let detail = describe(cx.aws(), id).await?;
            match detail.as_ref().and_then(CertificateDetail::status) {
                Some(CertificateStatus::Issued) => Ok(Some(Outputs::new())),
                Some(CertificateStatus::PendingValidation) if self.validation.is_none() => {
                    // ACM names the records only some seconds after the request.
                    let records = detail.as_ref().and_then(named_records);
                    records.map_or(Ok(None), |records| Err(by_hand(cx, &records)))
                }
                None | Some(CertificateStatus::PendingValidation) => Ok(None),
                Some(other) => Err(refused_by_acm(cx, other, detail.as_ref())),
            }
        })
        .await
    }

    async fn update(&self, cx: &Cx, live: &Found<Self>, changes: &[Change]) -> Result<Outputs> {
        if touches(changes, "import") {
            let Source::Imported(wanted) = &self.source else {
                return Err(Error::step(
                    &cx.address,
                    "only an imported certificate is imported again",
                ));
            };
            import(cx, wanted, Some(&live.id), None).await?;
        }
        if touches(changes, "tags") {
            put_tags(cx.aws(), &live.id, &self.tags, &live.spec.tags).await?;
        }
        Ok(Outputs::new())
    }

    async fn delete(cx: &Cx, live: &Found<Self>) -> Result<()> {
        // API Gateway holds it on a hidden load balancer for minutes after the domain is gone.
        let wait = Wait::new("ACM to see that nothing uses the certificate", 10, 900)
            .at_most(cx.timeout("certificate_release"));
        cx.retry_while(
            wait,
            |error| error.is_code("ResourceInUse"),
            || async {
                let send = cx
                    .aws()
                    .acm
                    .delete_certificate()
                    .certificate_arn(&live.id)
                    .send();
                tolerate(
                    cx.aws().call("acm:DeleteCertificate", send).await,
                    &["ResourceNotFound"],
                )
            },
        )
        .await
    }

    /// What else uses it; a load balancer with a listener of ours is taken to do so for us.
    async fn foreign_children(reader: &Reader, live: &Found<Self>) -> Result<Vec<String>> {
        let detail = describe(&reader.aws, &live.id).await?;
        let load_balancers = reader.found::<LoadBalancer>().await?;
        let listeners = reader.found::<Listener>().await?;
        let of_listener = |listener: &Found<Listener>| match &listener.spec.load_balancer {
            Late::Known(arn) => Some(arn.clone()),
            Late::From(..) => None,
        };
        let own_listeners = listeners
            .iter()
            .filter(|listener| listener.owner == Owner::Ours);
        // AWS names the load balancer, but promises no more than "resources that use the certificate".
        let ours: BTreeSet<String> = load_balancers
            .iter()
            .map(|load_balancer| load_balancer.id.clone())
            .chain(listeners.iter().filter_map(of_listener))
            .chain(own_listeners.map(|listener| listener.id.clone()))
            .collect();
        let users = detail.and_then(|detail| detail.in_use_by);
        let foreign = users
            .into_iter()
            .flatten()
            .filter(|user| is_of_account(user, &reader.identity.account) && !ours.contains(user));
        Ok(foreign.map(|user| format!("its use by {user}")).collect())
    }
}

/// Whether an ARN is of an account; API Gateway's hidden load balancers are of one of AWS's own.
fn is_of_account(arn: &str, account: &str) -> bool {
    arn.split(':').nth(4) == Some(account)
}

fn diff_source(want: &Source, live: Option<&Source>, diff: &mut Diff<'_>) {
    match (want, live) {
        (Source::Requested(want), None) => want.diff(None, diff),
        (Source::Requested(want), Some(Source::Requested(live))) => want.diff(Some(live), diff),
        (Source::Imported(want), None) => want.diff(None, diff),
        (Source::Imported(want), Some(Source::Imported(live))) => want.diff(Some(live), diff),
        (Source::Requested(_), Some(Source::Imported(_))) => {
            diff.field("source", &"request", Some(&"import")).replaces();
        }
        (Source::Imported(_), Some(Source::Requested(_))) => {
            diff.field("source", &"import", Some(&"request")).replaces();
        }
    }
}

impl Request {
    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            name,
            alternative_names: names,
            key_algorithm,
        } = self;
        diff.field("request", name, live.map(|live| &live.name))
            .replaces();
        if live.is_some() || !names.is_empty() {
            let live = live.map(|live| &live.alternative_names);
            diff.field("subject_alternative_names", names, live)
                .replaces();
        }
        let live = live.map(|live| &live.key_algorithm);
        diff.field("key_algorithm", key_algorithm, live).replaces();
    }
}

impl Import {
    fn diff(&self, live: Option<&Self>, diff: &mut Diff<'_>) {
        let Self {
            fingerprints,
            shown,
            key_algorithm,
            usages,
            files: _,
        } = self;
        let before = live.map(|live| (&live.fingerprints, live.shown.as_str().into()));
        diff.content("import", (fingerprints, shown.as_str().into()), before);
        if live.map(|live| &live.fingerprints) != Some(fingerprints) {
            // Every import sends the key, and ACM keeps it.
            diff.differs("private_key", Value::Null, Value::Null)
                .sensitive();
        }
        if let Some(live) = live {
            diff.field("key_algorithm", key_algorithm, Some(&live.key_algorithm))
                .replaces()
                .note(|| NEW_KEY.to_owned());
            let lost: Vec<&str> = live.usages.difference(usages).map(String::as_str).collect();
            diff.compares("usages");
            if !lost.is_empty() {
                diff.field("usages", usages, Some(&live.usages))
                    .replaces()
                    .note(|| format!("it is no more for {}: {LESS_USAGE}", lost.join(", ")));
            }
        }
    }
}

/// Why another kind of key is another certificate.
const NEW_KEY: &str = "ACM imports the same kind and size of key in place only: a new certificate is imported, \
                       the listeners move to it, and the old one is deleted";
/// Why fewer usages are another certificate.
const LESS_USAGE: &str = "ACM takes no usage away in place, so a new certificate is imported, the listeners move \
                          to it, and the old one is deleted";

/// The usages that an import in place has to keep. ACM lets go of `clientAuth`, and of `keyEncipherment`
/// where the key is ECDSA.
pub(crate) fn usages(certificate: &crate::trust::Certificate) -> BTreeSet<String> {
    let is_ecdsa = !matches!(
        certificate.key_algorithm,
        crate::trust::KeyAlgorithm::Rsa(_)
    );
    let usages = certificate.key_usage.iter().flatten();
    let usages = usages.map(|usage| (*usage).to_owned());
    let purposes = certificate.extended_key_usage.iter().flatten().cloned();
    usages
        .filter(|usage| !(is_ecdsa && usage == "keyEncipherment"))
        .chain(purposes.filter(|purpose| purpose != "clientAuth"))
        .collect()
}

async fn request(cx: &Cx, wanted: &Request, tags: &Tags) -> Result<String> {
    let Request {
        name,
        alternative_names,
        key_algorithm,
    } = wanted;
    let names =
        (!alternative_names.is_empty()).then(|| alternative_names.iter().cloned().collect());
    let inputs = format!("{name} {alternative_names:?} {key_algorithm}");
    // ACM answers a repeated token for an hour with the first certificate, whatever has become of it.
    for salt in 0..SALTS {
        let send = cx
            .aws()
            .acm
            .request_certificate()
            .domain_name(name)
            .set_subject_alternative_names(names.clone())
            .validation_method(ValidationMethod::Dns)
            .key_algorithm(KeyAlgorithm::from(key_algorithm.as_str()))
            .idempotency_token(cx.token(&format!("{inputs} {salt}")))
            .set_tags(Some(acm_tags(tags)?))
            .send();
        let arn = cx
            .aws()
            .call("acm:RequestCertificate", send)
            .await?
            .certificate_arn
            .unwrap_or_default();
        if stands(cx, &arn).await? {
            return Ok(arn);
        }
    }
    Err(Error::step(
        &cx.address,
        "ACM keeps answering with a certificate that has been deleted or has failed",
    ))
}

/// Whether a certificate that ACM has named is there and can be issued; it may take a while to be known everywhere.
async fn stands(cx: &Cx, arn: &str) -> Result<bool> {
    for _ in 0..LOOKS {
        if let Some(detail) = describe(cx.aws(), arn).await? {
            return Ok(matches!(
                detail.status(),
                Some(CertificateStatus::Issued | CertificateStatus::PendingValidation)
            ));
        }
        cx.aws().clock.sleep(Duration::from_secs(2)).await;
    }
    Ok(false)
}

async fn import(
    cx: &Cx,
    wanted: &Import,
    arn: Option<&str>,
    tags: Option<&Tags>,
) -> Result<String> {
    let files = wanted
        .files
        .as_ref()
        .ok_or_else(|| Error::step(&cx.address, "has no files to import"))?;
    let key = std::fs::read(&files.private_key).map_err(|error| {
        Error::step(
            &cx.address,
            format!(
                "cannot read the private key {}: {error}",
                files.private_key.display()
            ),
        )
    })?;
    refuse_other_key(cx, files, &key)?;
    let chain = (!files.chain.is_empty()).then(|| Blob::new(files.chain.as_bytes()));
    let tags = tags.map(acm_tags).transpose()?;
    let send = cx
        .aws()
        .acm
        .import_certificate()
        .set_certificate_arn(arn.map(str::to_owned))
        .certificate(Blob::new(files.certificate.as_bytes()))
        .private_key(Blob::new(key))
        .set_certificate_chain(chain)
        .set_tags(tags)
        .customize();
    // To the same ARN it may be sent any number of times.
    let send = match arn {
        Some(_) => send,
        None => send.config_override(aws_sdk_acm::config::Builder::new().retry_classifier(Once)),
    };
    Ok(cx
        .aws()
        .call("acm:ImportCertificate", send.send())
        .await?
        .certificate_arn
        .unwrap_or_default())
}

/// What a first import may have made although its answer was lost: ours, of the same content.
async fn imported(cx: &Cx, wanted: &Import, names: &[String]) -> Result<Option<String>> {
    let aws = cx.aws();
    aws.clock.sleep(std::time::Duration::from_secs(3)).await;
    let names = names.iter().cloned().collect();
    for arn in listed_by_name(aws, &names).await? {
        let tags = tags(aws, &arn).await?;
        let is_ours =
            tags.stack() == Some(cx.stack()) && tags.address().as_ref() == Some(&cx.address);
        if is_ours && content(aws, &arn).await?.fingerprints == wanted.fingerprints {
            return Ok(Some(arn));
        }
    }
    Ok(None)
}

/// Refuses a key that is not the certificate's before it is sent anywhere.
fn refuse_other_key(cx: &Cx, files: &ImportFiles, key: &[u8]) -> Result<()> {
    let path = files.private_key.display();
    let step = |message: String, hint: &str| Error::Step {
        address: cx.address.clone(),
        message,
        hint: Some(hint.to_owned()),
    };
    let key = PrivateKey::from_bytes(key).map_err(|error| {
        let hint =
            "ACM takes one unencrypted private key: `openssl pkey -in KEY -out server_key.pem`";
        step(
            format!("the private key {path} cannot be used: {error}"),
            hint,
        )
    })?;
    let certificate = crate::trust::Certificate::from_pem(&files.certificate)
        .map_err(|error| step(error.to_string(), "name the server's certificate"))?;
    if key.matches(&certificate) {
        return Ok(());
    }
    let message = format!(
        "the private key {path} ({}) is not that of the certificate of {} ({})",
        key.algorithm(),
        certificate.subject,
        certificate.key_algorithm
    );
    Err(step(message, "name the two files that were made together"))
}

/// Nobody of ours writes the records, so apply ends in part and says which are needed.
fn by_hand(cx: &Cx, records: &BTreeSet<(String, String)>) -> Error {
    let records: Vec<String> = records
        .iter()
        .map(|(name, value)| format!("{name} CNAME {value}"))
        .collect();
    let which = if records.len() == 1 {
        "this record exists"
    } else {
        "these records exist"
    };
    Error::Pending {
        address: cx.address.clone(),
        message: format!(
            "ACM issues the certificate once {which}:\n  {}",
            records.join("\n  ")
        ),
    }
}

fn refused_by_acm(
    cx: &Cx,
    status: &CertificateStatus,
    detail: Option<&CertificateDetail>,
) -> Error {
    let reason = detail
        .and_then(CertificateDetail::failure_reason)
        .map_or("", |reason| reason.as_str());
    Error::Step {
        address: cx.address.clone(),
        message: format!("ACM did not issue the certificate: {status} {reason}"),
        hint: Some(
            "check the zone's delegation and its CAA records, then run `mtlsgw apply` again"
                .to_owned(),
        ),
    }
}

/// The CNAMEs that prove control of the names; a name and its wildcard share one.
pub(super) fn validation_records(detail: &CertificateDetail) -> BTreeSet<(String, String)> {
    detail
        .domain_validation_options()
        .iter()
        .filter_map(|option| option.resource_record())
        .map(|record| (record.name().to_owned(), record.value().to_owned()))
        .collect()
}

/// The same, once ACM has named the record of every name.
pub(super) fn named_records(detail: &CertificateDetail) -> Option<BTreeSet<(String, String)>> {
    let options = detail.domain_validation_options();
    let named = !options.is_empty()
        && options
            .iter()
            .all(|option| option.resource_record().is_some());
    named.then(|| validation_records(detail))
}

/// The certificate as ACM describes it; `None` while, or once, ACM does not know it.
pub(crate) async fn describe(aws: &Aws, arn: &str) -> Result<Option<CertificateDetail>> {
    let send = aws.acm.describe_certificate().certificate_arn(arn).send();
    match aws.call("acm:DescribeCertificate", send).await {
        Err(error) if error.is("ResourceNotFound") => Ok(None),
        other => Ok(other?.certificate),
    }
}

/// All certificates of these names.
async fn listed_by_name(aws: &Aws, names: &BTreeSet<String>) -> Result<Vec<String>> {
    let named = list(aws)
        .await?
        .into_iter()
        .filter(|one| one.domain_name().is_some_and(|name| names.contains(name)));
    Ok(named.filter_map(|one| one.certificate_arn).collect())
}

/// The certificates that a sweep by tag may miss; where names are wanted, those find them.
async fn recently_made(aws: &Aws) -> Result<Vec<String>> {
    let since = aws.server_time() - INDEX_LAG;
    let recent = list(aws).await?.into_iter().filter(|one| {
        one.created_at()
            .or(one.imported_at())
            .is_some_and(|time| time.secs() >= since)
    });
    Ok(recent.filter_map(|one| one.certificate_arn).collect())
}

/// Every certificate of the region, with what the listing says of it; by default ACM lists RSA up to 2048 only.
pub(crate) async fn list(aws: &Aws) -> Result<Vec<CertificateSummary>> {
    let every_key = Filters::builder()
        .set_key_types(Some(
            KeyAlgorithm::values()
                .iter()
                .map(|name| KeyAlgorithm::from(*name))
                .collect(),
        ))
        .build();
    pages(async |next| {
        let send = aws
            .acm
            .list_certificates()
            .includes(every_key.clone())
            .max_items(1000)
            .set_next_token(next)
            .send();
        let page = aws.call("acm:ListCertificates", send).await?;
        Ok((
            page.certificate_summary_list.unwrap_or_default(),
            page.next_token,
        ))
    })
    .await
}

/// A certificate with its tags and, if it was imported, its content.
async fn read(reader: &Reader, arn: &str) -> Result<Option<(CertificateDetail, Tags, Content)>> {
    let aws = reader.aws.as_ref();
    let (detail, tags) = futures::try_join!(describe(aws, arn), tags(aws, arn))?;
    let Some(detail) = detail else {
        return Ok(None);
    };
    let tags = reader.claimed::<Certificate>(arn, tags, |_, _| false);
    let imported = detail.r#type() == Some(&CertificateType::Imported) && tags.stack().is_some();
    let content = if imported {
        content(aws, arn).await?
    } else {
        Content::default()
    };
    Ok(Some((detail, tags, content)))
}

/// The tags of a certificate; none when there is no such certificate any more.
///
/// # Errors
///
/// A read that failed or was denied.
pub(crate) async fn tags(aws: &Aws, arn: &str) -> Result<Tags> {
    let send = aws
        .acm
        .list_tags_for_certificate()
        .certificate_arn(arn)
        .send();
    match aws.call("acm:ListTagsForCertificate", send).await {
        Err(error) if error.is("ResourceNotFound") => Ok(Tags::default()),
        other => other
            .map(|answer| tags_of(answer.tags()))
            .map_err(Error::from),
    }
}

/// What is compared of an imported certificate.
#[derive(Default)]
struct Content {
    fingerprints: Vec<String>,
    usages: BTreeSet<String>,
}

async fn content(aws: &Aws, arn: &str) -> Result<Content> {
    let send = aws.acm.get_certificate().certificate_arn(arn).send();
    let answer = aws.call("acm:GetCertificate", send).await?;
    let pem = [
        answer.certificate.unwrap_or_default(),
        answer.certificate_chain.unwrap_or_default(),
    ]
    .join("\n");
    let parsed = crate::trust::Certificate::all_from_bytes(pem.as_bytes()).map_err(|error| {
        Error::refused(format!(
            "the live certificate {arn} cannot be read: {error}"
        ))
    })?;
    let fingerprints = parsed.iter().map(|one| one.fingerprint.to_string());
    Ok(Content {
        fingerprints: fingerprints.collect(),
        usages: parsed.first().map(usages).unwrap_or_default(),
    })
}

fn found_by_tags(
    (detail, tags, content): (CertificateDetail, Tags, Content),
) -> Option<Found<Certificate>> {
    let status = detail.status().map_or("", CertificateStatus::as_str);
    Some(Found {
        stack: tags.stack()?.to_owned(),
        address: tags.address()?,
        id: detail.certificate_arn()?.to_owned(),
        owner: Owner::Ours,
        protected: tags.protected(),
        retained: tags
            .get(RETAIN)
            .map(|_| "the stack file says `retain: true`".to_owned()),
        spec: Certificate {
            source: source_of(&detail, content),
            status: status.to_owned(),
            validation: None,
            tags,
        },
        outputs: outputs_of(&detail, status),
    })
}

fn source_of(detail: &CertificateDetail, content: Content) -> Source {
    let name = detail.domain_name().unwrap_or_default().to_owned();
    if detail.r#type() == Some(&CertificateType::Imported) {
        let expiry = detail
            .not_after()
            .map(ToString::to_string)
            .unwrap_or_default();
        return Source::Imported(Import {
            fingerprints: content.fingerprints,
            shown: format!("{name} (expires {expiry})"),
            key_algorithm: key_algorithm(detail),
            usages: content.usages,
            files: None,
        });
    }
    let alternatives = detail
        .subject_alternative_names()
        .iter()
        .filter(|other| **other != name);
    Source::Requested(Request {
        alternative_names: alternatives.cloned().collect(),
        key_algorithm: key_algorithm(detail),
        name,
    })
}

/// ACM describes as `RSA-2048` what it lets one request as `RSA_2048`.
fn key_algorithm(detail: &CertificateDetail) -> String {
    let described = detail.key_algorithm().map_or("", KeyAlgorithm::as_str);
    described.replace('-', "_")
}

fn outputs_of(detail: &CertificateDetail, status: &str) -> Outputs {
    let expires = detail.not_after().map(|time| time.secs().to_string());
    let validation = validation_records(detail)
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    Outputs::from([
        ("status", vec![status.to_owned()]),
        ("expires", expires.into_iter().collect()),
        ("validation", validation),
    ])
}

fn tags_of(tags: &[Tag]) -> Tags {
    Tags::live(
        tags.iter()
            .map(|tag| (tag.key(), tag.value().unwrap_or_default())),
    )
}

fn acm_tags(tags: &Tags) -> Result<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    tags.0
        .iter()
        .map(tag)
        .collect::<Result<_, _>>()
        .map_err(|error| Error::refused(error.to_string()))
}

async fn put_tags(aws: &Aws, arn: &str, want: &Tags, live: &Tags) -> Result<()> {
    let (set, removed) = want.changes(live);
    // `mtlsgw:tags` goes on naming what leaves until it has left.
    if !removed.is_empty() {
        let removed = removed
            .into_iter()
            .map(|key| (key.clone(), live.get(&key).unwrap_or_default().to_owned()));
        let tags = acm_tags(&Tags::live(removed))?;
        let send = aws
            .acm
            .remove_tags_from_certificate()
            .certificate_arn(arn)
            .set_tags(Some(tags))
            .send();
        aws.call("acm:RemoveTagsFromCertificate", send).await?;
    }
    if !set.is_empty() {
        let tags = acm_tags(&Tags::live(set))?;
        let send = aws
            .acm
            .add_tags_to_certificate()
            .certificate_arn(arn)
            .set_tags(Some(tags))
            .send();
        aws.call("acm:AddTagsToCertificate", send).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aws_sdk_acm::types::{DomainValidation, RecordType, ResourceRecord};

    use super::*;

    fn requested(names: &[&str], status: &str) -> Certificate {
        Certificate {
            source: Source::Requested(Request {
                name: names[0].to_owned(),
                alternative_names: names[1..].iter().map(|name| (*name).to_owned()).collect(),
                key_algorithm: "RSA_2048".to_owned(),
            }),
            status: status.to_owned(),
            validation: None,
            tags: Tags::default(),
        }
    }

    fn imported(fingerprint: &str) -> Certificate {
        Certificate {
            source: Source::Imported(Import {
                fingerprints: vec![fingerprint.to_owned()],
                usages: BTreeSet::new(),
                shown: format!("certificate {fingerprint}"),
                key_algorithm: "RSA_2048".to_owned(),
                files: None,
            }),
            ..requested(&["a.example.com"], "ISSUED")
        }
    }

    fn replaces(want: &Certificate, live: &Certificate) -> Option<bool> {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        want.diff(Some(live), &mut diff);
        let changes = diff.into_changes();
        (!changes.is_empty()).then(|| changes.iter().any(|change| change.replaces))
    }

    #[test]
    fn a_pending_certificate_is_on_its_way_and_a_failed_one_is_replaced() {
        let want = requested(&["a.example.com"], "ISSUED");
        assert_eq!(
            replaces(&want, &requested(&["a.example.com"], "PENDING_VALIDATION")),
            None
        );
        assert_eq!(
            replaces(&want, &requested(&["a.example.com"], "FAILED")),
            Some(true)
        );
    }

    #[test]
    fn another_certificate_is_imported_in_place_and_its_key_is_not_shown() {
        let mut diff = Diff::new(&|_: &Address, _: &str| None);
        imported("02").diff(Some(&imported("01")), &mut diff);
        let changes = diff.into_changes();
        let marks = changes
            .iter()
            .map(|change| (change.path.as_str(), change.sensitive, change.replaces));
        assert_eq!(
            marks.collect::<Vec<_>>(),
            [("import", false, false), ("private_key", true, false)]
        );
        assert_eq!(replaces(&imported("01"), &imported("01")), None);
    }

    #[test]
    fn another_kind_of_key_cannot_be_imported_in_place() {
        let mut elliptic = imported("02");
        if let Source::Imported(import) = &mut elliptic.source {
            import.key_algorithm = "EC_prime256v1".to_owned();
        }
        assert_eq!(replaces(&elliptic, &imported("01")), Some(true));
    }

    #[test]
    fn an_expired_import_is_imported_again_in_place() {
        let expired = Certificate {
            status: "EXPIRED".to_owned(),
            ..imported("01")
        };
        assert_eq!(replaces(&imported("02"), &expired), Some(false));
    }

    #[test]
    fn records_are_named_only_when_every_name_has_one() {
        let option = DomainValidation::builder().domain_name("a.example.com");
        let record = ResourceRecord::builder()
            .name("_a.example.com.")
            .r#type(RecordType::Cname)
            .value("_b.acm-validations.aws.")
            .build()
            .unwrap();
        let named = option.clone().resource_record(record).build().unwrap();
        let detail = CertificateDetail::builder().domain_validation_options(named);
        assert_eq!(
            named_records(&detail.clone().build()).map(|all| all.len()),
            Some(1)
        );
        let waiting = detail.domain_validation_options(option.build().unwrap());
        assert_eq!(named_records(&waiting.build()), None);
        assert_eq!(named_records(&CertificateDetail::builder().build()), None);
    }

    #[test]
    fn the_hidden_load_balancers_of_api_gateway_are_of_another_account() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1";
        assert!(is_of_account(arn, "123456789012"));
        assert!(!is_of_account(arn, "999999999999"));
    }

    #[test]
    fn another_name_means_another_certificate() {
        let want = requested(&["a.example.com", "b.example.com"], "ISSUED");
        assert_eq!(
            replaces(&want, &requested(&["a.example.com"], "ISSUED")),
            Some(true)
        );
    }
}
