//! Receipts: what is known of a refused request, sealed into the id that its caller is told.
//!
//! Whoever holds a key of the fleet opens one without asking anything else; to whoever does not, it is chance (threats.md
//! H13). Sealed where a refused request leaves and nowhere else; never holds a secret, nor what a client chose but addresses.

mod reasons;
mod record;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::config::settings::{Gateway, ReceiptKey};
pub use record::{Record, RouteSeen};

/// Random bytes that the key of one receipt is made by.
const SALT: usize = 8;
/// What stands before the sealed record.
const HEAD: usize = SALT + NONCE_LEN;
/// What proves that nobody has changed it.
const TAG: usize = 16;
const WHOLE: usize = HEAD + record::SIZE + TAG;

/// Characters of a receipt. No group of base64 is left half full, so that no other text stands for the same bytes.
pub const LENGTH: usize = WHOLE / 3 * 4;

/// Why a receipt is not opened. Says no more than that: whoever tries to make one learns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptFault {
    /// It has another form.
    #[error(
        "it is no receipt, which has {LENGTH} characters; requests that were let through, or that failed, have a plain id, and \
         the access log has their line"
    )]
    NotOne,
    /// No key opens it.
    #[error("it can't be opened with the keys that are here")]
    Unopened,
}

/// Seals a record with the first key there is. `own` is the key where the settings name none. `None` where the system gives no
/// random numbers.
pub fn seal(settings: &Gateway, own: Option<&ReceiptKey>, record: &Record) -> Option<String> {
    let key = keys(settings, own).next()?;
    let mut bytes = [0; WHOLE];
    let (head, rest) = bytes.split_at_mut(HEAD);
    aws_lc_rs::rand::fill(head).ok()?;
    let (sealed, end) = rest.split_at_mut(record::SIZE);
    sealed.copy_from_slice(&record.to_bytes());
    let (salt, nonce) = head.split_at(SALT);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let tag = key.of_receipt(salt)?.seal_in_place_separate_tag(nonce, Aad::empty(), sealed).ok()?;
    end.copy_from_slice(tag.as_ref());
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// Opens a receipt with any key there is.
///
/// # Errors
/// [`ReceiptFault`].
pub fn open(settings: &Gateway, own: Option<&ReceiptKey>, text: &str) -> Result<Record, ReceiptFault> {
    if text.len() != LENGTH {
        return Err(ReceiptFault::NotOne);
    }
    let sealed = URL_SAFE_NO_PAD.decode(text).map_err(|_| ReceiptFault::NotOne)?;
    let opened = keys(settings, own).find_map(|key| open_with(key, &sealed));
    opened.ok_or(ReceiptFault::Unopened)
}

fn open_with(key: &ReceiptKey, sealed: &[u8]) -> Option<Record> {
    let (head, rest) = sealed.split_at_checked(HEAD)?;
    let (salt, nonce) = head.split_at(SALT);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut bytes = rest.to_vec();
    let opened = key.of_receipt(salt)?.open_in_place(nonce, Aad::empty(), &mut bytes).ok()?;
    Record::from_bytes(opened)
}

/// The first seals, all open.
fn keys<'k>(settings: &'k Gateway, own: Option<&'k ReceiptKey>) -> impl Iterator<Item = &'k ReceiptKey> {
    settings.receipt_keys.iter().map(|file| &file.key).chain(own)
}

#[cfg(test)]
mod tests;
