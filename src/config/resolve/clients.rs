//! What of `gateway.limits` and `gateway.timeouts` is about one client or one credential.
//! Each limit that is on by default can be switched off, and says so.

use super::{Resolve, step};
use crate::config::document::{Path, path};
use crate::config::raw::{self, Choice};
use crate::config::settings::{ClientLimits, FailureBudget, Pace, RequestRate};
use crate::config::units;

impl Resolve<'_> {
    pub(super) fn client_limits(&mut self, raw: &raw::Limits) -> Option<ClientLimits> {
        let at = path!["gateway", "limits"];
        let connections = self.count(&at, "connections_per_address", raw.connections_per_address.as_ref());
        let requests = self.count(&at, "max_requests", raw.max_requests.as_ref());
        let defaults = raw::FailedAttempts::default();
        let failed = match &raw.failed_attempts {
            Some(Choice::Off) => None,
            Some(Choice::On(raw)) => Some(raw),
            None => Some(&defaults),
        };
        let rate = match &raw.request_rate {
            None | Some(Choice::Off) => Some(None),
            Some(Choice::On(raw)) => {
                let per = self.duration(&step(&at, "request_rate"), "per", raw.per.as_ref(), 1);
                let burst = raw.burst.unwrap_or(raw.requests);
                per.map(|per| Some(RequestRate { requests: raw.requests, per, burst }))
            }
        };
        Some(ClientLimits {
            connections_per_address: connections?,
            max_requests: requests?.map(|count| count as usize),
            failed_attempts: failed
                .map(|raw| FailureBudget { burst: raw.burst.unwrap_or(60), per_minute: raw.per_minute.unwrap_or(60) }),
            request_rate: rate?,
        })
    }

    pub(super) fn pace(&mut self, at: &Path, raw: &raw::Timeouts) -> Option<Option<Pace>> {
        let grace = self.duration(at, "min_rate_grace", raw.min_rate_grace.as_ref(), 30);
        let rate = match raw.min_rate.as_ref().map(|word| word.0.as_str()) {
            None => Some(Some(240)),
            Some("off" | "false") => Some(None),
            Some(text) => {
                let size = units::size(text).map_err(|fault| format!("{fault}, or off"));
                self.parsed(step(at, "min_rate"), size).map(Some)
            }
        };
        let grace = grace?;
        rate.map(|rate| rate.map(|rate| Pace { rate, grace }))
    }

    /// A number above zero, or `unlimited`.
    fn count(&mut self, at: &Path, key: &str, word: Option<&raw::Word>) -> Option<Option<u32>> {
        match word.map(|word| word.0.as_str()) {
            None | Some("unlimited") => Some(None),
            Some(text) => {
                let count = text.parse::<u32>().ok().filter(|count| *count > 0);
                if count.is_none() {
                    let shown: String = text.chars().take(40).flat_map(char::escape_default).collect();
                    self.error(step(at, key), format!("`{shown}` is not a number from 1 on; write one, or unlimited"));
                }
                count.map(Some)
            }
        }
    }
}
