//! Configuration and directory files: no text panics, reading is a function of the text, and a comment changes nothing.
//!
//! Input: one byte of choices, then the text.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use portcullis::config;
use portcullis::config::settings::Settings;
use portcullis::directory;

/// All that is in the settings. A hash map inside prints in any order, so that routes are told one by one.
fn told(settings: &Settings) -> String {
    let gateway = &settings.gateway;
    let routes: Vec<_> = gateway.routes.iter().collect();
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {routes:?} {:?} {:?} {:?} {:?}",
        settings.sockets,
        settings.directory,
        settings.telemetry,
        settings.access_log,
        gateway.client_address,
        gateway.credentials,
        gateway.upstreams,
        gateway.limits,
        gateway.timeouts,
        gateway.outbound,
    )
}

/// Where the fuzzer runs there are no such files: nothing outside the text can matter.
const NOWHERE: &str = "/nonexistent";

fn settings(text: &str) -> Result<String, String> {
    match config::parse("fuzz.yaml", text, Path::new(NOWHERE), Vec::new()) {
        Ok((settings, warnings)) => {
            assert!(!warnings.has_errors());
            Ok(told(&settings))
        }
        Err(problems) => {
            assert!(problems.has_errors());
            let _ = problems.render(true);
            Err(problems.to_string())
        }
    }
}

fn snapshot(text: &str) -> Result<String, String> {
    match directory::parse("fuzz.yaml", text, Path::new(NOWHERE)) {
        Ok((directory, warnings)) => {
            assert!(!warnings.has_errors());
            let compiled = directory.compile(1).expect("what was accepted compiles");
            assert_eq!(compiled.len(), directory.credentials().count());
            Ok(format!("{directory:?}"))
        }
        Err(problems) => {
            assert!(problems.has_errors());
            let _ = problems.render(false);
            Err(problems.to_string())
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let read = if choice & 1 == 0 { settings } else { snapshot };
    let first = read(text);
    assert_eq!(first, read(text));
    // A directive or a byte order mark has to come first.
    if first.is_ok() && !text.starts_with(['%', '\u{feff}']) {
        assert_eq!(first, read(&format!("# a comment\n{text}")));
    }
});
