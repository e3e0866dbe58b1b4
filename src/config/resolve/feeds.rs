//! `feeds`: from where network sets may take their networks.
//! Never asks a host anything, and never lets a pattern stand for one.

use super::{Resolve, step};
use crate::config::document::{Finding, path};
use crate::config::raw::{self, WordOr};
use crate::config::settings::{FeedHost, Feeds};

impl Resolve<'_> {
    /// `is_store` says whether there are sets that could take them.
    pub(super) fn feeds(&mut self, raw: &raw::Feeds, is_store: bool) -> Option<Feeds> {
        if !is_store && (!raw.allow_hosts.is_empty() || raw.allow_files.is_some()) {
            let message = "only the network sets of a store take their networks from elsewhere; set `directory: { sqlite: … }`, \
                           or take `feeds` out";
            self.findings.push(Finding::error(path!["feeds"], message).at_key());
        }
        let place = path!["feeds", "allow_hosts"];
        let mut hosts: Vec<FeedHost> = Vec::new();
        let mut good = true;
        for (index, one) in raw.allow_hosts.iter().enumerate() {
            let at = step(&place, index);
            let host = match one {
                WordOr::Word(word) => self.parsed(at.clone(), FeedHost::parse(&word.0, false)),
                WordOr::More(more) => self.parsed(step(&at, "host"), FeedHost::parse(&more.host.0, more.internal)),
            };
            match host {
                None => good = false,
                Some(host) if hosts.iter().any(|one| (&one.name, one.port) == (&host.name, host.port)) => {
                    self.error(at, format!("`{}` is there already; take one of both out", host.name));
                    good = false;
                }
                Some(host) => hosts.push(host),
            }
        }
        let files = match raw.allow_files.as_deref() {
            None => None,
            Some(text) => {
                let at = path!["feeds", "allow_files"];
                let folder = self.file_name(at.clone(), text)?;
                if !folder.is_dir() {
                    let message = format!(
                        "`{}` is no folder that can be read; make it, or take `allow_files` out",
                        folder.display()
                    );
                    self.error(at, message);
                    return None;
                }
                Some(folder)
            }
        };
        let default = Feeds::default().timeout.as_secs();
        let timeout = self.duration(&path!["feeds"], "timeout", raw.timeout.as_ref(), default)?;
        good.then_some(Feeds { hosts, files, timeout })
    }
}
