//! The directory with all CAs, each in a directory of its own.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use time::OffsetDateTime;

use super::Result;
use super::authority::{self, Authority, Kind, NewAuthority, Order, file};
use super::error::Error;
use super::files::{self, Existing};
use super::key::{KeyFile, SigningKey};
use crate::trust::Certificate;

/// Lets `openssl ca` go on with a CA's directory.
const OPENSSL_CONFIGURATION: &str = include_str!("openssl.cnf");

/// A directory with CAs.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// Takes a directory, which need not be there before the first CA is made.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The names of its CAs, sorted.
    ///
    /// # Errors
    ///
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        let failed = |error: std::io::Error| Error::file("read", &self.directory, &error);
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().join(file::CERTIFICATE).is_file() && check_name(&name).is_ok() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Opens a CA; without a name the only one there is.
    ///
    /// # Errors
    ///
    /// There is none, there are several to choose from, or it cannot be read.
    pub fn open(&self, name: Option<&str>) -> Result<Authority> {
        let names = self.names()?;
        let name = match (name, names.as_slice()) {
            (Some(name), names) if names.iter().any(|known| known == name) => name,
            (None, [only]) => only,
            (_, []) => {
                return Err(Error::refused_with(
                    format!("there is no CA in {}", self.directory.display()),
                    "make one with `mtlsgw pki ca NAME`, or name the directory with --dir",
                ));
            }
            (Some(name), names) => {
                return Err(Error::refused_with(
                    format!("there is no CA `{name}` in {}", self.directory.display()),
                    format!("there are {}", names.join(", ")),
                ));
            }
            (None, names) => {
                return Err(Error::refused_with(
                    format!("there are several CAs in {}", self.directory.display()),
                    format!("name one with --ca: {}", names.join(", ")),
                ));
            }
        };
        Authority::open(name, self.directory.join(name))
    }

    /// Refuses a name that is taken or that cannot be one.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn refuse_name(&self, name: &str) -> Result<()> {
        check_name(name)?;
        let path = self.directory.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(Error::refused_with(
                format!("{} is there already", path.display()),
                "take another name; a CA is never overwritten, as nothing it has issued could be revoked afterwards",
            ));
        }
        Ok(())
    }

    /// Makes a root.
    ///
    /// # Errors
    ///
    /// The name is taken, no load balancer would trust it, or it cannot be written.
    pub fn create_root(
        &self,
        new: &NewAuthority,
        passphrase: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Authority> {
        self.refuse_name(&new.name)?;
        let certificate = authority::self_signed(new, now)?;
        let key = new.key.to_pem(passphrase)?;
        self.write(&new.name, &[certificate], key.as_bytes())
    }

    /// Makes a CA below another one of the store.
    ///
    /// # Errors
    ///
    /// As for a root, or the one above may not issue it.
    pub fn create_below(
        &self,
        new: &NewAuthority,
        (above, above_key): (&Authority, &SigningKey),
        passphrase: Option<&str>,
        now: OffsetDateTime,
    ) -> Result<Authority> {
        self.refuse_name(&new.name)?;
        let order = Order {
            subject: new.subject.clone(),
            names: Vec::new(),
            kind: Kind::Authority {
                path_len: new.path_len,
            },
            days: new.days,
        };
        let key = new.key.to_pem(passphrase)?;
        let mut certificates = vec![above.issue(&order, new.key.public_key(), above_key, now)?];
        certificates.push(above.certificate().clone());
        certificates.extend_from_slice(above.chain());
        self.write(&new.name, &certificates, key.as_bytes())
    }

    /// Takes in a CA that was made elsewhere: its certificate, those above it, and its key.
    ///
    /// The key stays as it is: under its passphrase, if it has one.
    ///
    /// # Errors
    ///
    /// The key does not belong to the certificate, or no load balancer would trust it.
    pub fn import(
        &self,
        name: &str,
        certificates: &[Certificate],
        key_file: &[u8],
        now: OffsetDateTime,
    ) -> Result<Authority> {
        self.refuse_name(name)?;
        let Some(certificate) = certificates.first() else {
            return Err(Error::refused("there is no certificate to take in"));
        };
        if certificate.is_ca != Some(true) {
            return Err(Error::refused_with(
                format!("{} is no CA certificate", certificate.subject),
                "a CA has basicConstraints with CA:TRUE (`openssl req -x509` sets it)",
            ));
        }
        authority::refuse_bad_authority(certificate, now)?;
        let key = match KeyFile::from_bytes(key_file)? {
            KeyFile::Locked(_) => {
                zeroize::Zeroizing::new(String::from_utf8_lossy(key_file).into_owned())
            }
            KeyFile::Plain(key) if key.public_key() == certificate.public_key => {
                key.to_pem(None)?
            }
            KeyFile::Plain(_) => {
                return Err(Error::refused("the key does not belong to the certificate"));
            }
        };
        self.write(name, certificates, key.as_bytes())
    }

    /// Writes a CA's directory; it appears with everything in it, or not at all.
    fn write(&self, name: &str, certificates: &[Certificate], key: &[u8]) -> Result<Authority> {
        files::make_directory(&self.directory)?;
        let ignore = self.directory.join(".gitignore");
        if !ignore.exists() {
            files::write_public(&ignore, b"key.pem\n*_key.pem\n*.p12\n", Existing::Replace)?;
        }
        let target = self.directory.join(name);
        let failed = |error: &std::io::Error| Error::file("make the directory", &target, error);
        let made = private_directory(&self.directory).map_err(|error| failed(&error))?;
        let directory = made.path();
        let pem = |certificates: &[Certificate]| {
            certificates
                .iter()
                .map(Certificate::pem)
                .collect::<String>()
        };
        let (own, chain) = certificates.split_at(1);
        let public = [
            (file::CERTIFICATE, pem(own)),
            (file::INDEX, String::new()),
            // Without it `openssl ca` would refuse a second certificate of the same subject.
            ("index.txt.attr", "unique_subject = no\n".to_owned()),
            (file::CRL_NUMBER, "01\n".to_owned()),
            ("openssl.cnf", OPENSSL_CONFIGURATION.to_owned()),
        ];
        files::write_secret(&directory.join(file::KEY), key, Existing::Keep)?;
        for (name, content) in public {
            files::write_public(&directory.join(name), content.as_bytes(), Existing::Keep)?;
        }
        if !chain.is_empty() {
            files::write_public(
                &directory.join(file::CHAIN),
                pem(chain).as_bytes(),
                Existing::Keep,
            )?;
        }
        files::make_directory(&directory.join(file::ISSUED))?;
        fs::rename(directory, &target).map_err(|error| failed(&error))?;
        // It has moved; there is nothing left to be cleaned up.
        let _ = made.keep();
        Authority::open(name, target)
    }
}

/// A new directory for its owner only.
fn private_directory(parent: &Path) -> std::io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".new-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir_in(parent)
}

/// Names are directories, and must not lead elsewhere.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty()
        || name.len() > 64
        || name.starts_with(['.', '-'])
        || !name.bytes().all(is_plain)
    {
        return Err(Error::refused_with(
            format!("{name:?} cannot be the name of a CA"),
            "use letters, digits, `-`, `_` and `.`; it is the name of a directory",
        ));
    }
    Ok(())
}
