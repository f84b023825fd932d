//! Section `trust_store`: the CAs and CRLs that client certificates are verified against.

use schemars::JsonSchema;
use serde::Deserialize;

use super::common::{check_arn, refuse_beside, refuse_repetition};
use super::context::Context;
use super::fault::Fault;
use super::material::{Kind, Material, material};
use super::path::KeyPath;

/// The trust store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustStore {
    /// One of our own.
    Own {
        /// Files with CA certificates, PEM or DER, in the order of the file; never empty.
        ca_bundle: Vec<Material>,
        /// Files with CRLs, PEM or DER; each becomes one revocation.
        crls: Vec<Material>,
    },
    /// An existing or shared one, used and never changed.
    Existing {
        /// Its ARN.
        arn: String,
    },
}

/// The CAs that client certificates are verified against, and their CRLs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrustStore {
    /// Files with the CA certificates that are trusted, PEM or DER; roots and intermediates.
    #[schemars(length(min = 1), extend("examples" = [["root_cert.pem"]]))]
    ca_bundle: Option<Vec<String>>,
    /// Files with CRLs, PEM or DER; each becomes one revocation of the trust store.
    #[schemars(extend("examples" = [["root.crl"]]))]
    crls: Option<Vec<String>>,
    /// ARN of an existing or shared trust store, in place of the other keys.
    arn: Option<String>,
}

impl RawTrustStore {
    /// Fills in defaults, reads the files and checks the section.
    pub(super) fn build(self, path: &KeyPath, cx: &Context) -> TrustStore {
        if let Some(arn) = self.arn {
            let given = [
                self.ca_bundle.map(|_| "ca_bundle"),
                self.crls.map(|_| "crls"),
            ];
            let given: Vec<&str> = given.into_iter().flatten().collect();
            refuse_beside("arn", &given, path, cx);
            check_arn(&arn, "elasticloadbalancing", &path.key("arn"), cx);
            return TrustStore::Existing { arn };
        }
        let files = self.ca_bundle.unwrap_or_default();
        if files.is_empty() {
            let fault = Fault::new(path, format!("`{path}` names no CA"));
            cx.fault(fault.hint("list the CA certificates: `ca_bundle: [root_cert.pem]`"));
        }
        TrustStore::Own {
            ca_bundle: read_all(&files, Kind::Certificates, &path.key("ca_bundle"), cx),
            crls: read_all(
                &self.crls.unwrap_or_default(),
                Kind::RevocationList,
                &path.key("crls"),
                cx,
            ),
        }
    }
}

fn read_all(files: &[String], kind: Kind, path: &KeyPath, cx: &Context) -> Vec<Material> {
    refuse_repetition(files, path, cx);
    let read = |(index, file): (usize, &String)| {
        let at = path.index(index);
        if file.starts_with("http://") || file.starts_with("https://") {
            let fault = Fault::new(&at, format!("`{file}`: URLs are not supported yet"));
            cx.fault(fault.hint("download the file and name it here"));
            return None;
        }
        material(file, kind, &at, cx)
    };
    files.iter().enumerate().filter_map(read).collect()
}
