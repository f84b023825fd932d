//! A private CA in plain files: keys, requests, certificates, revocation lists, PKCS#12.
//!
//! What is written here is what `openssl` reads, and the other way round: a CA's directory holds the
//! database format of `openssl ca`, so that either tool can go on where the other stopped. Nothing
//! here talks to AWS or to the terminal, and no private key is ever part of a message.

mod alternative_name;
mod archive;
mod authority;
mod cost;
mod document;
mod ephemeral;
mod error;
mod files;
mod index;
mod input;
mod inspect;
mod key;
mod request;
mod store;
mod subject;

pub use alternative_name::AlternativeName;
pub use archive::{Archive, Encryption};
pub use authority::{Authority, Kind, NewAuthority, Order, Revocation};
pub use ephemeral::Credential;
pub use error::Error;
pub use files::{Existing, make_directory, refuse_existing, write_public, write_secret};
pub use index::{Entry, Reason, Status};
pub use inspect::{Item, inspect, to_pem};
pub use key::{Digest, KeyFile, KeyKind, LockedKey, SigningKey};
pub use request::Request;
pub use store::Store;
pub use subject::Subject;

/// The result of most functions here.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
