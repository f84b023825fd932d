//! Connection logs of load balancers: where they are, what a line says, and who comes how often.
//!
//! A client that fails the TLS handshake gets no HTTP status and no line in the access log; the
//! connection log alone tells why. Files are foreign input: they are read line by line in bounded
//! memory, and a line or file that is broken is counted, never fatal.
//!
//! IAM: `s3:ListBucket`, `GetObject` on the bucket of the logs.
//! AWS: Application Load Balancers User Guide, "Connection logs".

mod clients;
mod key;
mod line;
mod origin;
mod period;
mod read;
mod tally;

pub(crate) use clients::{join, seen};
pub(crate) use origin::{Origin, origins};
pub(crate) use period::Period;
pub(crate) use read::{Reading, read};
pub(crate) use tally::{Detail, Group, Tls};
