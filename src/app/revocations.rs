//! From the workers to the record of changes: which open exchanges have ended because they would be refused.
//!
//! Gathered for a moment, so that ten thousand of them are a few events. Never on the way of a request.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::control::{Control, EndedExchanges};
use crate::proxy::Revocation;

/// Revocations on their way; past that they are in the log and the metric alone.
pub(super) const QUEUED: usize = 4_096;
/// How long more of them are waited for.
const GATHER: Duration = Duration::from_millis(500);
/// Addresses that an event names.
const NAMED: usize = 5;

/// Writes down what ends, until the workers have ended.
pub(super) async fn record(control: Arc<Control>, mut ended: Receiver<Revocation>) {
    while let Some(first) = ended.recv().await {
        let mut all = vec![first];
        let gathered = async {
            while let Some(next) = ended.recv().await {
                all.push(next);
            }
        };
        // Either nobody is left who could tell more, or it has been long enough.
        let _ = tokio::time::timeout(GATHER, gathered).await;
        if let Err(fault) = control.note_ended_exchanges(summed(&all)).await {
            tracing::warn!(exchanges = all.len(), error = %fault, "ended exchanges could not be written down");
        }
    }
}

/// One line for each credential and reason, in the order of their first exchange.
fn summed(all: &[Revocation]) -> Vec<EndedExchanges> {
    let mut places = HashMap::new();
    let mut sums: Vec<EndedExchanges> = Vec::new();
    for one in all {
        let place = *places.entry((one.credential.1, one.code as usize)).or_insert_with(|| {
            let Revocation { credential, organization, code, .. } = *one;
            sums.push(EndedExchanges { credential, organization, code, count: 0, addresses: Vec::new() });
            sums.len() - 1
        });
        let sum = &mut sums[place];
        sum.count += 1;
        let address = one.client.to_string();
        if sum.addresses.len() < NAMED && !sum.addresses.contains(&address) {
            sum.addresses.push(address);
        }
    }
    sums
}
