//! Keys that receipts of refusals are sealed with. None of them shows itself to anybody.

use std::fmt;
use std::path::PathBuf;

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use zeroize::Zeroizing;

/// What tells these keys from others that are made of the same bytes.
const SALT: &[u8] = b"portcullis receipts";
/// Of the form of receipts.
const FORM: &[u8] = b"1";

/// A key of a fleet, of a store, or of one process. Forgotten without trace when it is dropped.
#[derive(Clone)]
pub struct ReceiptKey(Prk);

impl ReceiptKey {
    /// Fewest bytes that one is made of.
    pub const SECRET: usize = 32;

    /// The key that is made of these bytes; `None` where the library fails.
    pub fn of(secret: &[u8]) -> Option<Self> {
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(secret);
        let info = [FORM];
        let key = extracted.expand(&info, HKDF_SHA256).ok()?;
        Some(Self(key.into()))
    }

    /// A key that nobody else has; `None` where no randomness can be had.
    pub fn random() -> Option<Self> {
        let mut secret = Zeroizing::new([0; Self::SECRET]);
        aws_lc_rs::rand::fill(&mut *secret).ok()?;
        Self::of(&*secret)
    }

    /// The key of one receipt. Each has its own, so that no number of receipts wears the fleet's out.
    pub fn of_receipt(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let info = [salt];
        let expanded = self.0.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(expanded)))
    }
}

impl fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReceiptKey(…)")
    }
}

/// A key that was read from a file.
#[derive(Clone)]
pub struct ReceiptKeyFile {
    /// Where.
    pub file: PathBuf,
    /// The key.
    pub key: ReceiptKey,
    /// Of the file's bytes, so that a reload notices another key.
    pub sha256: [u8; 32],
}

impl fmt::Debug for ReceiptKeyFile {
    /// Tells where it is and nothing of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReceiptKeyFile({})", self.file.display())
    }
}
