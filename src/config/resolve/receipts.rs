//! `gateway.receipts`.

use super::key_file::{KeyFile, Purpose};
use super::{Resolve, step};
use crate::config::document::{Finding, path};
use crate::config::raw;
use crate::config::settings::{ReceiptKey, ReceiptKeyFile};

const RECEIPT_KEY: Purpose = Purpose { name: "receipt key", power: "open receipts" };

/// Most keys: each is tried with a receipt that does not open.
const MOST: usize = 8;

impl Resolve<'_> {
    /// The keys, in their order; `None` where one is faulty.
    pub(super) fn receipt_keys(&mut self, raw: &raw::Receipts) -> Option<Vec<ReceiptKeyFile>> {
        let at = path!["gateway", "receipts", "key_files"];
        let Some(files) = &raw.key_files else { return Some(Vec::new()) };
        if files.is_empty() && !self.lost(&at) {
            self.error(at, "`key_files` is empty; name a file, or leave it out for a key that is made");
            return None;
        }
        if files.len() > MOST {
            self.error(at, format!("there are {} keys, and at most {MOST}; let the oldest go", files.len()));
            return None;
        }
        let mut keys: Vec<ReceiptKeyFile> = Vec::new();
        let mut good = true;
        for (index, text) in files.iter().enumerate() {
            let place = step(&at, index);
            let Some(KeyFile { file, bytes, sha256 }) = self.key_file(place.clone(), text, RECEIPT_KEY) else {
                good = false;
                continue;
            };
            if let Some(first) = keys.iter().position(|key| key.sha256 == sha256) {
                let finding = Finding::error(place, format!("`{}` holds a key that is there already", file.display()));
                self.findings.push(finding.with_related(step(&at, first), "the first is here"));
                good = false;
                continue;
            }
            match ReceiptKey::of(&bytes) {
                Some(key) => keys.push(ReceiptKeyFile { file, key, sha256 }),
                None => {
                    self.error(place, format!("no key can be made of `{}`", file.display()));
                    good = false;
                }
            }
        }
        good.then_some(keys)
    }
}
