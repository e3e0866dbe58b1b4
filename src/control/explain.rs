//! Explanations of requests, for whoever may see the credential that they are about.
//!
//! Changes nothing and counts nothing. Whether what a request presents is somebody's credential is told to nobody who may not
//! see it: else anybody with a role could try keys here.

use std::sync::Arc;

use super::rights::{Rights, no_credential};
use super::{Actor, Control, Fault};
use crate::access::record::CredentialName;
use crate::directory::sqlite::Rows;
use crate::gate::explain::{Asked, Report, explain};
use crate::problem::Code;

impl Control {
    /// Explains a request on what is enforced now, and tells its revision.
    ///
    /// # Errors
    /// `API_KEY_NOT_FOUND` or `SERVICE_ACCOUNT_NOT_FOUND` where the actor may not see the credential that is asked for, or
    /// another [`Fault`].
    pub async fn explain(self: &Arc<Self>, actor: &Actor, asked: Asked) -> Result<(Report, u64), Fault> {
        let (actor, own) = (actor.clone(), Arc::clone(self));
        self.read(move |rows| {
            let rights = Rights::of(rows, &actor)?;
            rights.have_a_role()?;
            let current = own.published.current();
            let mut report = explain(&current, &asked);
            let seen = match report.looked_at {
                Some(name) => sees(rows, &rights, name)?,
                None => false,
            };
            match asked.credential {
                // One that nobody has and one that is not to be seen are told alike.
                Some(name) if !seen && (report.looked_at.is_some() || is_unknown(&report)) => {
                    return Err(no_credential(name));
                }
                None if !seen && report.looked_up => report.conceal(),
                _ => {}
            }
            let revision = current.snapshot.as_ref().map_or(0, |snapshot| snapshot.revision());
            Ok((report, revision))
        })
        .await
    }
}

fn is_unknown(report: &Report) -> bool {
    report.code == Some(Code::InvalidCredentials.as_str())
}

pub(super) fn sees(rows: Rows<'_>, rights: &Rights, name: CredentialName) -> Result<bool, Fault> {
    let Some(row) = rows.credential(name)? else { return Ok(false) };
    let roles = rows.roles(row.pk)?;
    Ok(rights.sees_key(&row, &roles))
}
