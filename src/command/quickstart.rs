//! `quickstart`: a complete stack with fresh keys, applied to the embedded AWS and planned again.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::saved::write_private;
use super::{apply, plan};
use crate::cli::{
    Allowances, ApplyArgs, ClientsArgs, ExpiryArgs, Global, Paths, PlanArgs, QuickstartArgs,
};
use crate::error::{Error, Result, exit};
use crate::view::View;

const STACK: &str = include_str!("quickstart/stack.yaml");
const PETSTORE: &str = include_str!("../../examples/petstore/petstore.yaml");

/// Writes the stack, applies it and plans it again.
///
/// # Errors
///
/// The directory already holds a stack, or what apply says.
pub(super) async fn run(args: &QuickstartArgs, global: &Global, view: &View) -> Result<u8> {
    let directory = &args.directory;
    let file = directory.join("stack.yaml");
    if file.exists() {
        return Err(Error::refused_with(
            format!("{} is there already", file.display()),
            "name another directory, or go on in that one with `mtlsgw plan --sandbox`",
        ));
    }
    let written = write_stack(directory).map_err(|error| {
        Error::refused(format!(
            "cannot write the stack to {}: {error}",
            directory.display()
        ))
    })?;
    view.note(&format!(
        "wrote {} to {}",
        written.join(", "),
        directory.display()
    ));
    let sandbox = global
        .sandbox
        .clone()
        .unwrap_or_else(|| directory.join(".mtlsgw/sandbox"));
    let global = Global {
        sandbox: Some(sandbox),
        ..global.clone()
    };
    let allow = Allowances {
        yes: true,
        with_foreign: false,
    };
    let apply_args = ApplyArgs {
        path: Some(file.clone()),
        allow,
        allow_widening: false,
        allow_downtime: false,
        clients: ClientsArgs::default(),
        allow_lockout: false,
    };
    let code = apply::run(&apply_args, &global, view).await?;
    if code != exit::DONE {
        return Ok(code);
    }
    view.note("\nplanning again, which must find nothing to change:");
    let paths = Paths { paths: vec![file] };
    let code = plan::run(
        &PlanArgs {
            paths,
            detailed_exitcode: true,
            out: None,
            expiry: ExpiryArgs::default(),
            clients: ClientsArgs::default(),
        },
        &global,
        view,
    )
    .await?;
    if code == exit::DONE {
        view.note(&next_steps(directory));
    }
    Ok(code)
}

fn next_steps(directory: &Path) -> String {
    format!(
        "Next:\n  \
         cd {}\n  \
         mtlsgw plan --sandbox            # change stack.yaml and see what it would do\n  \
         mtlsgw destroy --sandbox         # and everything is gone again\n\
         With a real account: set vpc, subnets and the names of your zone in stack.yaml, then\n  \
         AWS_PROFILE=... mtlsgw plan      # changes nothing\n  \
         AWS_PROFILE=... mtlsgw apply",
        directory.display()
    )
}

/// Writes everything; gives the names of the files.
fn write_stack(directory: &Path) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    fs::create_dir_all(directory)?;
    let material = Material::fresh()?;
    let public: [(&str, &str); 6] = [
        ("petstore.yaml", PETSTORE),
        ("root_cert.pem", &material.root),
        ("root.crl", &material.crl),
        ("client_cert.pem", &material.client),
        ("revoked_cert.pem", &material.revoked),
        ("stack.yaml", STACK),
    ];
    let private: [(&str, &str); 3] = [
        ("root_key.pem", &material.root_key),
        ("client_key.pem", &material.client_key),
        ("revoked_key.pem", &material.revoked_key),
    ];
    for (name, content) in private {
        write_private(&directory.join(name), content.as_bytes())?;
    }
    for (name, content) in public {
        fs::write(directory.join(name), content)?;
    }
    ignore_keys(directory)?;
    Ok(private
        .iter()
        .chain(&public)
        .map(|(name, _)| (*name).to_owned())
        .collect())
}

/// Keys and the sandbox's state belong in no repository.
fn ignore_keys(directory: &Path) -> std::io::Result<()> {
    let file: PathBuf = directory.join(".gitignore");
    if file.exists() {
        Ok(())
    } else {
        fs::write(file, "*_key.pem\n.mtlsgw/\n")
    }
}

/// A CA with a client, a client that it has revoked, and the CRL that says so; all PEM.
struct Material {
    root: String,
    root_key: String,
    client: String,
    client_key: String,
    revoked: String,
    revoked_key: String,
    crl: String,
}

impl Material {
    fn fresh() -> Result<Self, rcgen::Error> {
        let now = OffsetDateTime::now_utc();
        let root_key = KeyPair::generate()?;
        let root_params = root_params(now);
        let root = root_params.self_signed(&root_key)?;
        let issuer = Issuer::from_params(&root_params, &root_key);
        let (client, client_key, _) = client("Quickstart Client", 2, now, &issuer)?;
        let (revoked, revoked_key, serial) =
            self::client("Quickstart Revoked Client", 3, now, &issuer)?;
        Ok(Self {
            crl: crl(serial, now, &issuer)?,
            root: root.pem(),
            client,
            client_key: client_key.serialize_pem(),
            revoked,
            revoked_key: revoked_key.serialize_pem(),
            root_key: root_key.serialize_pem(),
        })
    }
}

fn root_params(now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Quickstart Root CA");
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(3650);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn client(
    name: &str,
    serial: u64,
    now: OffsetDateTime,
    issuer: &Issuer<'_, &KeyPair>,
) -> Result<(String, KeyPair, SerialNumber), rcgen::Error> {
    let serial = SerialNumber::from(serial);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(serial.clone());
    params.not_before = now - Duration::hours(1);
    params.not_after = now + Duration::days(365);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, issuer)?.pem(), key, serial))
}

fn crl(
    serial: SerialNumber,
    now: OffsetDateTime,
    issuer: &Issuer<'_, &KeyPair>,
) -> Result<String, rcgen::Error> {
    let revoked = RevokedCertParams {
        serial_number: serial,
        revocation_time: now,
        reason_code: Some(RevocationReason::KeyCompromise),
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: now - Duration::hours(1),
        next_update: now + Duration::days(365),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: vec![revoked],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer)?.pem()
}
