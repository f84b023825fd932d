//! Key `mutual_authentication` of a listener: what it wants of client certificates.

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::Context;
use super::fault::Fault;
use super::mismatch::listed;
use super::path::KeyPath;
use super::shape::Shape;
use crate::hint;

/// What a listener wants of client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutualAuthentication {
    /// Nothing: one-way TLS.
    Off,
    /// Hands the client's chain to the targets without verifying it.
    Passthrough,
    /// Refuses clients without a certificate that the trust store vouches for.
    Verify {
        /// Whether the CAs' names are sent to the client.
        advertise_ca_names: bool,
        /// Whether expired client certificates pass.
        ignore_client_certificate_expiry: bool,
    },
}

impl MutualAuthentication {
    /// The mode as AWS spells it.
    pub fn mode(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Passthrough => "passthrough",
            Self::Verify { .. } => "verify",
        }
    }
}

/// What a listener wants of client certificates.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMutualAuthentication {
    /// `verify`, `passthrough` or `off` (default: `verify`).
    #[schemars(with = "Option<String>", extend("enum" = ["verify", "passthrough", "off"]))]
    mode: Option<Shape<()>>,
    /// Whether the names of the trusted CAs are sent to the client, so that browsers offer only fitting
    /// certificates (default: `true`; `verify` only).
    advertise_ca_names: Option<bool>,
    /// Whether expired client certificates pass (default: `false`; `verify` only).
    ignore_client_certificate_expiry: Option<bool>,
}

/// How `mutual_authentication` may be written.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the form in the schema")]
pub(super) enum MutualAuthenticationForm {
    /// The mode, with its defaults; `false` is `off`.
    Mode(#[schemars(extend("enum" = ["verify", "passthrough", "off", false]))] serde_json::Value),
    /// The mode and its settings.
    Settings(RawMutualAuthentication),
}

/// The modes of mutual authentication.
const MODES: &[&str] = &["verify", "passthrough", "off"];

impl MutualAuthentication {
    /// `verify` with its defaults, which is also what an absent key means.
    const VERIFY: Self = Self::Verify {
        advertise_ca_names: true,
        ignore_client_certificate_expiry: false,
    };

    /// Reads the key `mutual_authentication`, or a mode in it.
    pub(super) fn read(
        written: Option<Shape<RawMutualAuthentication>>,
        path: &KeyPath,
        cx: &Context,
    ) -> Self {
        match written {
            None => Self::VERIFY,
            Some(Shape::Mapping(settings)) => settings.build(path, cx),
            Some(Shape::Bool(value)) => Self::from_bool(value, path, cx),
            Some(Shape::Text(mode)) => Self::from_mode(&mode, path, cx),
            Some(_) => {
                let fault = Fault::new(path, format!("`{path}` is no mode"));
                cx.fault(fault.allowed(listed(MODES)));
                Self::VERIFY
            }
        }
    }

    /// A YAML 1.1 reader takes an unquoted `off` for `false`, so `false` is `off`.
    fn from_bool(value: bool, path: &KeyPath, cx: &Context) -> Self {
        if !value {
            return Self::Off;
        }
        let fault = Fault::new(path, "`true` does not say which mode");
        cx.fault(fault.allowed(listed(MODES)).hint("write `verify`"));
        Self::VERIFY
    }

    fn from_mode(mode: &str, path: &KeyPath, cx: &Context) -> Self {
        match mode {
            "verify" => Self::VERIFY,
            "passthrough" => Self::Passthrough,
            "off" | "false" => Self::Off,
            other => {
                let mut fault = Fault::new(path, format!("there is no mode `{other}`"));
                fault.hint = hint::did_you_mean(other, MODES.iter().copied());
                cx.fault(fault.allowed(listed(MODES)));
                Self::VERIFY
            }
        }
    }
}

impl RawMutualAuthentication {
    fn build(self, path: &KeyPath, cx: &Context) -> MutualAuthentication {
        let mode = self.mode.map(|mode| match mode {
            Shape::Bool(value) => Shape::Bool(value),
            Shape::Text(text) => Shape::Text(text),
            _ => Shape::Number,
        });
        let mode = MutualAuthentication::read(mode, &path.key("mode"), cx);
        if let MutualAuthentication::Verify { .. } = mode {
            return MutualAuthentication::Verify {
                advertise_ca_names: self.advertise_ca_names.unwrap_or(true),
                ignore_client_certificate_expiry: self
                    .ignore_client_certificate_expiry
                    .unwrap_or(false),
            };
        }
        let keys = [
            self.advertise_ca_names.map(|_| "advertise_ca_names"),
            self.ignore_client_certificate_expiry
                .map(|_| "ignore_client_certificate_expiry"),
        ];
        for key in keys.into_iter().flatten() {
            let message = format!("`{key}` has no meaning with mode `{}`", mode.mode());
            cx.fault(
                Fault::new(&path.key(key), message)
                    .hint(format!("remove `{key}`, or write `mode: verify`")),
            );
        }
        mode
    }
}
