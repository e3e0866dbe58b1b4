//! Tests of `directory::foreign`: who is admitted after a translation, and what is told.

mod apisix;
mod envoy_gateway;
mod haproxy;
mod kong;
mod nginx;

use super::*;
use crate::access::credential::AccessListMode;
use crate::directory::bulk::HashedKey;
use crate::directory::{Directory, parse_alone};
use crate::live::fingerprint;

/// Keys of the tests, by a letter.
pub(super) fn key(letter: char) -> String {
    format!("{letter}-3f9c1d7be8a24605b1c7d9e2f3a40516")
}

fn hashed(key: &str) -> Result<HashedKey, String> {
    if key.len() < 16 {
        return Err("a key is 16 to 512 visible ASCII characters without blanks".to_owned());
    }
    let secret_sha256 = fingerprint::of_key(key.as_bytes()).0.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(HashedKey { public_key: None, secret_sha256, digest: None })
}

/// A translation and the directory that it became.
pub(super) struct Tried {
    pub(super) moved: Moved,
    pub(super) directory: Directory,
}

/// Translates files of a folder, the first of which is named; `KEYa` stands for the key `a`.
#[track_caller]
pub(super) fn try_files(
    program: Program,
    files: &[(&str, &str)],
    routes: &[&str],
    split: bool,
) -> Result<Tried, Problems> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let text =
            ('a'..='z').fold((*text).to_owned(), |text, letter| text.replace(&format!("KEY{letter}"), &key(letter)));
        fs::write(folder.path().join(name), text).unwrap();
    }
    let routes = routes.iter().map(|one| (*one).to_owned()).collect();
    let wishes = Wishes { organization: "moved".into(), routes, split, header: None, hash: &hashed };
    let moved = translate(program, &[folder.path().join(files[0].0)], &wishes)?;
    for letter in 'a'..='z' {
        let told = format!("{moved:?}");
        assert!(!told.contains(&key(letter)), "a key is told: {told}");
    }
    let (directory, _) =
        parse_alone("moved", &moved.text).unwrap_or_else(|problems| panic!("{problems}\n{}", moved.text));
    Ok(Tried { moved, directory })
}

impl Tried {
    /// Whether the key is admitted from an address.
    #[track_caller]
    pub(super) fn admits(&self, letter: char, address: &str) -> bool {
        let address = address.parse().unwrap();
        let fingerprint = fingerprint::of_key(key(letter).as_bytes());
        self.directory.credentials().any(|(organization, credential)| {
            let listed = || {
                credential
                    .access_list
                    .iter()
                    .any(|one| organization.networks_of(one).iter().any(|network| network.contains(address)))
            };
            let is_open = organization.mode == AccessListMode::Off && credential.access_list.is_empty();
            credential.fingerprints.contains(&fingerprint) && credential.enabled && (is_open || listed())
        })
    }

    /// The letters of those who are admitted from each address, such as `ab`.
    #[track_caller]
    pub(super) fn admitted(&self, addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(|address| ('a'..='z').filter(|letter| self.admits(*letter, address)).collect()).collect()
    }

    /// Line and effect of everything that was told, configuration excepted.
    pub(super) fn told(&self) -> Vec<(usize, &'static str)> {
        let lost = self.moved.notices.iter().filter(|one| one.effect != Effect::Configure);
        lost.map(|one| (one.place.line, one.effect.as_str())).collect()
    }
}
