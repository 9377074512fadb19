//! Files of statements that authorities sign: one line of base64.

use crate::failure::Failure;
use data_encoding::BASE64;
use pki::PkiError;
use pki::files::{self, Mode, Replace};
use std::path::Path;

/// The statement in that file, in base64 as the API takes it.
pub(crate) fn text(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text =
        text.map_err(|error| Failure::Failed(format!("cannot read {}: {error}", file.display())))?;
    Ok(text.trim().to_owned())
}

/// Its bytes.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = BASE64.decode(text(file)?.as_bytes());
    bytes.map_err(|_| Failure::Usage(format!("{} holds no statement in base64", file.display())))
}

/// Writes a statement.
///
/// # Errors
/// The file is there and shall stay, or cannot be written.
pub(crate) fn write(file: &Path, statement: &[u8], replace: Replace) -> Result<(), PkiError> {
    let line = format!("{}\n", BASE64.encode(statement));
    // A file name alone has an empty parent.
    let file = if file.parent() == Some(Path::new("")) {
        Path::new(".").join(file)
    } else {
        file.to_owned()
    };
    files::write(&file, line.as_bytes(), Mode::Public, replace)
}
