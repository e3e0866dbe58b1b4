//! The row of the key that receipts are sealed with.

use rusqlite::{OptionalExtension as _, params};
use zeroize::Zeroizing;

use super::{Change, Rows, StoreFault};
use crate::clock::Timestamp;

impl Rows<'_> {
    /// What the key is made of, where there is one.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn receipt_secret(&self) -> Result<Option<Zeroizing<Vec<u8>>>, StoreFault> {
        let read = self.0.query_row("SELECT secret FROM receipt_key", [], |row| row.get(0).map(Zeroizing::new));
        Ok(read.optional()?)
    }
}

impl Change<'_> {
    /// Keeps what the key is made of.
    ///
    /// # Errors
    /// A [`StoreFault`].
    pub fn add_receipt_secret(&self, secret: &[u8], now: Timestamp) -> Result<(), StoreFault> {
        let values = params![secret, now.unix_seconds()];
        self.0.execute("INSERT INTO receipt_key (only, secret, created_at) VALUES (1, ?, ?)", values)?;
        Ok(())
    }
}
