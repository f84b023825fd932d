//! `quickstart`: a complete stack with fresh keys, applied to the embedded AWS, planned again, and verified.

use std::fs;
use std::path::{Path, PathBuf};

use time::{Duration, OffsetDateTime};

use super::{apply, plan, verify};
use crate::cli::{
    Afterwards, Allowances, ApplyArgs, ClientsArgs, CrlQuotas, ExpiryArgs, Global, Paths, PlanArgs,
    ProbeArgs, QuickstartArgs, VerifyArgs,
};
use crate::error::{Error, Result, exit};
use crate::pki::{
    self, Authority, Existing, KeyKind, Kind, NewAuthority, Order, Reason, SigningKey, Store,
    Subject,
};
use crate::trust::Certificate;
use crate::view::View;

const STACK: &str = include_str!("quickstart/stack.yaml");
const PETSTORE: &str = include_str!("../../examples/petstore/petstore.yaml");

/// Writes the stack, applies it, plans it again, and verifies it.
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
    let written = write_stack(directory)?;
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
    let code = apply::run(&to_apply(&file), &global, view).await?;
    if code != exit::DONE {
        return Ok(code);
    }
    view.note("\nplanning again, which must find nothing to change:");
    let code = plan::run(&to_plan(&file), &global, view).await?;
    if code != exit::DONE {
        return Ok(code);
    }
    view.note("\nverifying by connections what the stack promises:");
    let probes = VerifyArgs {
        file: Some(file),
        probes: ProbeArgs::default(),
    };
    let code = verify::run(&probes, &global, view).await?;
    if code == exit::DONE {
        view.note(&next_steps(directory));
    }
    Ok(code)
}

fn to_apply(file: &Path) -> ApplyArgs {
    ApplyArgs {
        paths: vec![file.to_owned()],
        allow: Allowances {
            yes: true,
            with_foreign: false,
        },
        adopt: false,
        allow_widening: false,
        allow_downtime: false,
        clients: ClientsArgs::default(),
        allow_lockout: false,
        quotas: CrlQuotas::default(),
        afterwards: Afterwards::default(),
    }
}

fn to_plan(file: &Path) -> PlanArgs {
    PlanArgs {
        backend: crate::cli::BackendArgs::default(),
        paths: Paths {
            paths: vec![file.to_owned()],
        },
        detailed_exitcode: true,
        adopt: false,
        out: None,
        expiry: ExpiryArgs::default(),
        clients: ClientsArgs::default(),
    }
}

fn next_steps(directory: &Path) -> String {
    format!(
        "Next:\n  \
         cd {}\n  \
         mtlsgw pki list                  # the CA in pki/, its client and the one it has revoked\n  \
         mtlsgw verify --sandbox          # the same probes once more\n  \
         mtlsgw plan --sandbox            # change stack.yaml and see what it would do\n  \
         mtlsgw destroy --sandbox         # and everything is gone again\n\
         With a real account: set vpc, subnets and the names of your zone in stack.yaml, then\n  \
         AWS_PROFILE=... mtlsgw plan      # changes nothing\n  \
         AWS_PROFILE=... mtlsgw apply",
        directory.display()
    )
}

/// Writes everything; gives the names of the files.
fn write_stack(directory: &Path) -> Result<Vec<String>> {
    let failed = |error: std::io::Error| {
        let place = directory.display();
        Error::refused(format!("cannot write the stack to {place}: {error}"))
    };
    fs::create_dir_all(directory).map_err(failed)?;
    let now = OffsetDateTime::now_utc();
    let root = root(directory, now)?;
    let root_key = root.key(|| Err(Error::refused("the new key needs no passphrase")))?;
    let issuer = (&root, &root_key);
    issue(directory, issuer, ("client", "Quickstart Client"), now)?;
    let revoked = issue(
        directory,
        issuer,
        ("revoked", "Quickstart Revoked Client"),
        now,
    )?;
    root.revoke_certificate(&revoked, Reason::KeyCompromise, now)?;
    let crl = root.crl(&root_key, Duration::days(365), now)?;
    let public: [(&str, &str); 4] = [
        ("root_cert.pem", &root.certificate().pem()),
        ("root.crl", &crl.pem()),
        ("petstore.yaml", PETSTORE),
        ("stack.yaml", STACK),
    ];
    for (name, content) in public {
        pki::write_public(&directory.join(name), content.as_bytes(), Existing::Replace)?;
    }
    ignore_keys(directory).map_err(failed)?;
    let clients = ["client", "revoked"]
        .iter()
        .flat_map(|name| [format!("{name}_cert.pem"), format!("{name}_key.pem")]);
    let public = public.iter().map(|(name, _)| (*name).to_owned());
    Ok(std::iter::once("pki".to_owned())
        .chain(clients)
        .chain(public)
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

/// Makes the CA, in a store that `mtlsgw pki` goes on with.
fn root(directory: &Path, now: OffsetDateTime) -> Result<Authority> {
    let root = NewAuthority {
        name: "root".to_owned(),
        subject: Subject::common_name("Quickstart Root CA")?,
        key: SigningKey::generate(KeyKind::default())?,
        digest: None,
        path_len: Some(0),
        days: None,
    };
    Ok(Store::new(directory.join("pki")).create_root(&root, None, now)?)
}

/// Issues the certificate of a client and writes it beside its key.
fn issue(
    directory: &Path,
    (root, root_key): (&Authority, &SigningKey),
    (file, name): (&str, &str),
    now: OffsetDateTime,
) -> Result<Certificate> {
    let key = SigningKey::generate(KeyKind::default())?;
    let order = Order {
        subject: Subject::common_name(name)?,
        names: Vec::new(),
        kind: Kind::Client,
        days: None,
    };
    let certificate = root.issue(&order, key.public_key(), root_key, now)?;
    let key_file = directory.join(format!("{file}_key.pem"));
    pki::write_secret(&key_file, key.to_pem(None)?.as_bytes(), Existing::Keep)?;
    let certificate_file = directory.join(format!("{file}_cert.pem"));
    let pem = certificate.pem();
    pki::write_public(&certificate_file, pem.as_bytes(), Existing::Replace)?;
    Ok(certificate)
}
