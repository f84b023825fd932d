//! Mutual TLS on a listener.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arn::Kind;
use super::{State, invalid};
use crate::sandbox::world::{Call, Refusal};

/// What a listener does about client certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::sandbox) enum MutualAuthentication {
    /// Does not ask for any.
    #[default]
    Off,
    /// Asks, and hands the chain to the target unverified.
    Passthrough,
    /// Asks, and lets only those in that the trust store vouches for.
    Verify {
        /// The trust store.
        trust_store: String,
        /// Whether expired certificates are let in as well.
        ignore_expiry: bool,
        /// Whether the names of the trust store's CAs are sent with the request for a certificate;
        /// `on` or `off`.
        advertise_ca_names: String,
    },
}

impl MutualAuthentication {
    /// The trust store, in verify mode.
    pub(in crate::sandbox) fn trust_store(&self) -> Option<&str> {
        match self {
            Self::Verify { trust_store, .. } => Some(trust_store),
            Self::Off | Self::Passthrough => None,
        }
    }

    /// The `MutualAuthentication` structure.
    pub(super) fn describe(&self) -> Value {
        let mut structure = Map::new();
        match self {
            Self::Off => structure.insert("Mode".to_owned(), json!("off")),
            Self::Passthrough => structure.insert("Mode".to_owned(), json!("passthrough")),
            Self::Verify {
                trust_store,
                ignore_expiry,
                advertise_ca_names,
            } => {
                structure.insert("TrustStoreArn".to_owned(), json!(trust_store));
                structure.insert(
                    "IgnoreClientCertificateExpiry".to_owned(),
                    json!(ignore_expiry),
                );
                structure.insert(
                    "AdvertiseTrustStoreCaNames".to_owned(),
                    json!(advertise_ca_names),
                );
                structure.insert("Mode".to_owned(), json!("verify"))
            }
        };
        Value::Object(structure)
    }
}

/// The call's `MutualAuthentication`, where it has one.
pub(super) fn given(call: &Call<'_>) -> Result<Option<MutualAuthentication>, Refusal> {
    let Some(structure) = call.input.get("MutualAuthentication") else {
        return Ok(None);
    };
    let verify_only = [
        "TrustStoreArn",
        "IgnoreClientCertificateExpiry",
        "AdvertiseTrustStoreCaNames",
    ];
    call.models(
        "MutualAuthentication",
        structure,
        &[&["Mode"], verify_only.as_slice()].concat(),
    )?;
    let mode = structure["Mode"].as_str().unwrap_or("off");
    let out_of_place = verify_only
        .iter()
        .find(|member| structure.get(**member).is_some());
    match (mode, out_of_place) {
        ("verify", _) => verify(structure).map(Some),
        ("off", None) => Ok(Some(MutualAuthentication::Off)),
        ("passthrough", None) => Ok(Some(MutualAuthentication::Passthrough)),
        ("off" | "passthrough", Some(member)) => Err(invalid(format!(
            "'{member}' cannot be specified when the mutual authentication mode is '{mode}'"
        ))),
        _ => Err(invalid(format!(
            "The mutual authentication mode '{mode}' is not valid. It must be one of 'off', \
             'passthrough' or 'verify'"
        ))),
    }
}

fn verify(structure: &Value) -> Result<MutualAuthentication, Refusal> {
    let trust_store = structure["TrustStoreArn"].as_str().ok_or_else(|| {
        invalid(
            "A trust store ARN must be specified when the mutual authentication mode is 'verify'",
        )
    })?;
    let advertise = structure["AdvertiseTrustStoreCaNames"].as_str();
    Ok(MutualAuthentication::Verify {
        trust_store: trust_store.to_owned(),
        ignore_expiry: structure["IgnoreClientCertificateExpiry"]
            .as_bool()
            .unwrap_or(false),
        advertise_ca_names: advertise.unwrap_or("off").to_owned(),
    })
}

/// Refuses a trust store that is not there or not ready.
pub(super) fn check(
    state: &State,
    mutual_authentication: &MutualAuthentication,
    now: i64,
) -> Result<(), Refusal> {
    let Some(arn) = mutual_authentication.trust_store() else {
        return Ok(());
    };
    let Some(trust_store) = state.trust_stores.get(arn) else {
        return Err(Kind::TrustStore.missing(arn));
    };
    if !trust_store.is_active(now) {
        return Err(Refusal::new(
            "TrustStoreNotReady",
            format!("The trust store '{arn}' is not active"),
        ));
    }
    Ok(())
}
