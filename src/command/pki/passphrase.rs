//! Where passphrases come from: files, the environment, the terminal; never an argument.

use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::Passphrase;
use crate::error::{Error, Result};
use crate::view::View;

/// What to do where nobody can be asked.
pub(super) const ELSEWHERE: &str = "give it with --passphrase-file or --passphrase-env";

/// A file or an environment variable.
pub(crate) struct Source<'a> {
    /// The file, whose first line it is.
    pub(crate) file: Option<&'a Path>,
    /// The environment variable.
    pub(crate) variable: Option<&'a str>,
}

impl Source<'_> {
    /// The passphrase, if the source names one.
    pub(crate) fn read(&self) -> Result<Option<Zeroizing<String>>> {
        let passphrase = match (self.file, self.variable) {
            (Some(file), _) => first_line(file)?,
            (None, Some(variable)) => {
                let value = std::env::var(variable).map_err(|_| {
                    Error::refused(format!(
                        "the environment variable {variable} is not set to a passphrase"
                    ))
                })?;
                Zeroizing::new(value)
            }
            (None, None) => return Ok(None),
        };
        refuse_empty(passphrase).map(Some)
    }

    /// The passphrase; it is asked for if the source names none.
    pub(crate) fn or_ask(
        &self,
        question: &str,
        otherwise: &str,
        view: &View,
    ) -> Result<Zeroizing<String>> {
        match self.read()? {
            Some(passphrase) => Ok(passphrase),
            None => view.ask_secret(question, otherwise),
        }
    }
}

/// The passphrase for something new, if it is to have one.
pub(super) fn new(
    args: &Passphrase,
    question: &str,
    view: &View,
) -> Result<Option<Zeroizing<String>>> {
    let source = source(args);
    match source.read()? {
        None if args.ask_passphrase => ask_twice(question, view).map(Some),
        read => Ok(read),
    }
}

/// The passphrase for something new that has to have one.
pub(super) fn required(
    args: &Passphrase,
    question: &str,
    view: &View,
) -> Result<Zeroizing<String>> {
    match source(args).read()? {
        Some(passphrase) => Ok(passphrase),
        None => ask_twice(question, view),
    }
}

/// The file or the variable among the options.
fn source(args: &Passphrase) -> Source<'_> {
    Source {
        file: args.passphrase_file.as_deref(),
        variable: args.passphrase_env.as_deref(),
    }
}

/// A typing error would lock the key up for good.
fn ask_twice(question: &str, view: &View) -> Result<Zeroizing<String>> {
    let first = refuse_empty(view.ask_secret(question, ELSEWHERE)?)?;
    if *view.ask_secret(&format!("{question} once more"), ELSEWHERE)? == *first {
        Ok(first)
    } else {
        Err(Error::refused("the two passphrases are not the same"))
    }
}

/// The first line of a file, without its end.
fn first_line(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(super::read(path)?);
    let text = str::from_utf8(&bytes)
        .map_err(|_| Error::refused(format!("{} is not UTF-8", path.display())))?;
    Ok(Zeroizing::new(
        text.lines().next().unwrap_or_default().to_owned(),
    ))
}

/// An empty passphrase protects nothing, and comes from a mistake.
fn refuse_empty(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>> {
    if passphrase.is_empty() {
        Err(Error::refused("the passphrase is empty"))
    } else {
        Ok(passphrase)
    }
}
