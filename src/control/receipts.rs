//! The key that receipts of refusals are sealed with where the configuration names none: made with the store, and kept in it, so
//! that a restart opens what was sealed before. And receipts, opened for whoever may see the credential.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::change::Change;
use super::explain::sees;
use super::rights::Rights;
use super::{Actor, Control, Fault};
use crate::config::settings::ReceiptKey;
use crate::directory::sqlite::{self, Rows};
use crate::gate::explain::{Report, explain_receipt};
use crate::gate::receipt::{self, ReceiptFault, Record};
use crate::problem::{Code, Refusal};

fn read(rows: Rows<'_>) -> Result<Option<ReceiptKey>, Fault> {
    let failed =
        || Refusal::new(Code::InternalError, "The store's key of receipts can't be used; nothing was changed.");
    let secret = rows.receipt_secret()?;
    Ok(secret.map(|secret| ReceiptKey::of(&secret).ok_or_else(failed)).transpose()?)
}

/// The store's key, made where there is none.
pub(super) fn tend(change: &mut Change<'_>) -> Result<ReceiptKey, Fault> {
    if let Some(key) = read(change.rows())? {
        return Ok(key);
    }
    let failed = || Refusal::new(Code::InternalError, "The system gives no random numbers; nothing was changed.");
    let mut secret = Zeroizing::new([0; ReceiptKey::SECRET]);
    aws_lc_rs::rand::fill(&mut *secret).map_err(|_| failed())?;
    change.store().add_receipt_secret(&*secret, change.now())?;
    change.keep_aside();
    Ok(ReceiptKey::of(&*secret).ok_or_else(failed)?)
}

/// The key of a store that another process may be serving; `None` where it has none yet.
///
/// # Errors
/// A [`Fault`].
pub fn own_receipt_key(path: &Path) -> Result<Option<ReceiptKey>, Fault> {
    Ok(sqlite::read(path, read)?.flatten())
}

impl Control {
    /// Opens a receipt and explains it on what is enforced now; tells the revision of that.
    ///
    /// # Errors
    /// `RESOURCE_NOT_FOUND` where it can't be opened, or is of a credential that the actor may not see; or another [`Fault`].
    pub async fn explain_receipt(self: &Arc<Self>, actor: &Actor, text: &str) -> Result<(Report, u64), Fault> {
        let current = self.published.current();
        let opened = receipt::open(&current.settings, current.receipt_key.as_deref(), text.trim());
        let actor = actor.clone();
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            rights.have_a_role()?;
            let record = opened.map_err(closed)?;
            let seen = may_see(rows, &rights, &record)?;
            let record = match (record.is_confidential(), record.owner) {
                (_, Some(_)) if seen => record,
                // Whether what was presented is a credential is told to nobody who may not see it.
                (true, _) => record.without_owner(),
                (false, None) => record,
                (false, Some(_)) => return Err(closed(ReceiptFault::Unopened)),
            };
            let report = explain_receipt(&current, &record);
            Ok((report, current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision())))
        })
        .await
    }
}

/// One that is not to be seen is told like one that nobody can open.
fn closed(fault: ReceiptFault) -> Fault {
    let detail = match fault {
        ReceiptFault::NotOne => {
            "This is the id of no refusal that can be opened: requests that were let through, or that failed, have a plain \
             one. The access log has its line."
        }
        ReceiptFault::Unopened => {
            "This receipt can't be opened with the keys of this gateway, or it is of a credential that you may not see."
        }
    };
    Refusal::new(Code::ResourceNotFound, detail).into()
}

/// Whether the actor may see whose it was. A credential that is gone belongs to those who see all of its organization.
fn may_see(rows: Rows<'_>, rights: &Rights, record: &Record) -> Result<bool, Fault> {
    let Some((name, organization)) = record.owner else { return Ok(false) };
    if rows.credential(name)?.is_some() {
        return sees(rows, rights, name);
    }
    match rights.see_all_of(rows, organization) {
        Ok(_) => Ok(true),
        Err(Fault::Refused(_)) => Ok(false),
        Err(fault) => Err(fault),
    }
}
