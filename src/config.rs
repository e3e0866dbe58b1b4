//! Settings: from the file as it is written to the frozen form that the program runs by.
//!
//! `raw` mirrors the file, `resolve` judges all of it at once, `settings` is what is left; `document` and `diagnostic`
//! know where in a file something stands, and serve the directory as well.
//! Never watches a file and never publishes anything; `app` does.

pub mod diagnostic;
pub mod document;
pub mod raw;
mod resolve;
pub mod settings;
pub mod units;

use std::path::Path;

use diagnostic::{Place, Problem, Problems};
use document::{Document, Override};
use settings::Settings;

/// Largest configuration file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Reads a configuration file, or the defaults where there is none, under overrides from the environment.
/// Relative paths in it start at its folder. Returned with the settings: the warnings.
///
/// # Errors
/// Every fault of the file, each with its place.
pub fn load(file: Option<&Path>, overrides: Vec<Override>) -> Result<(Settings, Problems), Problems> {
    let Some(file) = file else {
        return parse("the environment", "", Path::new("."), overrides);
    };
    let text = read(file).map_err(|fault| {
        let message = format!("the configuration can't be read: {fault}");
        Problems::from(Problem::error(Place::file(file.display().to_string()), message))
    })?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(&file.display().to_string(), &text, folder, overrides)
}

/// Reads a configuration from a text; `name` is what problems call it.
///
/// # Errors
/// Every fault of the text, each with its place.
pub fn parse(
    name: &str,
    text: &str,
    folder: &Path,
    overrides: Vec<Override>,
) -> Result<(Settings, Problems), Problems> {
    let document = Document::new(name, text).strict().with_overrides(overrides);
    let raw: raw::Configuration = document.parse()?;
    let mut resolve = resolve::Resolve { folder, findings: Vec::new() };
    let settings = resolve.settings(&raw);
    document.locate_all(resolve.findings).unless_refused(settings)
}

/// The JSON Schema of the configuration.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(raw::Configuration).to_value()
}

fn read(file: &Path) -> std::io::Result<String> {
    use std::io::{Error, Read};
    let mut text = Vec::new();
    std::fs::File::open(file)?.take(LARGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(Error::other("it is larger than 16 MiB"));
    }
    String::from_utf8(text)
        .map_err(|fault| Error::other(format!("it is not UTF-8 at byte {}", fault.utf8_error().valid_up_to())))
}

#[cfg(test)]
pub(crate) mod tests;
