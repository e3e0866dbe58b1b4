//! `portcullis plan`: whom a proposed directory or configuration would refuse or allow, by what access logs, or the record of
//! a store, say happened.
//!
//! Each distinct credential, address and route of the logs is decided by the code that decides traffic. Nothing is changed
//! and nobody is contacted; a value of a log is never repeated unless it is an address or names a credential of the directory.

mod lines;
mod logs;
mod proposal;
mod propose;
mod tally;
mod told;

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::EX_CONFIG;
use super::check::Output;
use super::import::Progress;
use crate::access::client_address::ClientAddress;
use crate::access::network::Network;
use crate::access::snapshot::Snapshot;
use crate::clock::{Clock, Timestamp};
use crate::directory::document;
use crate::gate::foresight::{Passing, Who, addresses, fate, foresee};
use crate::problem::Code;
use logs::{Field, Form, Reading};
use proposal::{Named, Proposal};
use tally::{Count, How, Key, Tally, Way, Whose};
use told::{Change, Credential, Plan, Proposed};

/// The exit code where something would be refused that passed.
const REFUSES: u8 = 2;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// The proposed configuration: its routes and trusted proxies count, and the directory that it names. Without one there
    /// is one route for everything, which needs a credential.
    #[arg(long, short, value_name = "FILE", env = "PORTCULLIS_CONFIG")]
    config: Option<PathBuf>,
    /// The proposed directory: a file, a `.gz` of it, or a folder; in place of the configured one.
    #[arg(long, short, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Propose besides that an organization requires lists: its id, its name, or `all`. May be given several times.
    #[arg(long, value_name = "ORG")]
    require: Vec<String>,
    /// Propose besides that a list that only reports refuses: id or public key of the credential, or `all`. May be given
    /// several times.
    #[arg(long, value_name = "CREDENTIAL")]
    enforce: Vec<String>,
    /// An access log; `-` is standard input. May be given several times.
    #[arg(long = "log", value_name = "FILE", required_unless_present = "recorded")]
    logs: Vec<PathBuf>,
    /// Plan by what the store has recorded of the last 30 days, also while it is served.
    #[arg(long)]
    recorded: bool,
    /// The store that has recorded, and the directory where none is named. Without it the configured one.
    #[arg(long, value_name = "FILE", requires = "recorded")]
    store: Option<PathBuf>,
    /// Whose log it is.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The log's own format, as nginx's `log_format` or Envoy's `text_format` has it.
    #[arg(long, value_name = "TEXT")]
    pattern: Option<String>,
    /// What of a line is what, where it is not the usual: such as `credential=http_x_client`. May be given several times.
    #[arg(long = "field", value_name = "FIELD=NAME", value_parser = field)]
    fields: Vec<(Field, String)>,
    /// Statuses that the other program refused with.
    #[arg(long, value_name = "STATUS", value_delimiter = ',', default_values_t = [401, 403])]
    refused: Vec<u16>,
    /// Count lines that can't be read, and go on.
    #[arg(long)]
    skip_unreadable: bool,
    /// Most distinct credentials, addresses and routes that are held in memory.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    most: usize,
    /// Write the proposed directory with the smallest lists that admit what was seen into this new file. Lists that are
    /// new only report.
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
    /// The moment to decide at, such as 2027-01-01T00:00:00Z; now where it is not given.
    #[arg(long, value_name = "TIME", value_parser = super::explain::moment)]
    at: Option<Timestamp>,
    /// Form of the answer.
    #[arg(long, short, value_enum, default_value_t)]
    output: Output,
}

fn field(text: &str) -> Result<(Field, String), String> {
    let (field, name) = text.split_once('=').ok_or("it is written like credential=http_x_client")?;
    if name.is_empty() {
        return Err("the name behind `=` is missing".to_owned());
    }
    let field = <Field as clap::ValueEnum>::from_str(field, false)?;
    Ok((field, name.to_owned()))
}

/// Plans, and answers on standard output: exit code 0 where nothing that passed would be refused, 2 where something would.
///
/// # Errors
/// A log or a store that can't be read, or an output that can't be written.
pub fn run(args: PlanArgs) -> anyhow::Result<ExitCode> {
    let reading = Reading::new(args.format, args.pattern.as_deref(), &args.fields)?;
    let mut proposal = match proposal::load(args.config.as_deref(), args.directory.as_deref(), args.store.as_deref())? {
        Ok(proposal) => proposal,
        Err(problems) => {
            match args.output {
                Output::Text => eprintln!("{}", problems.render(std::io::stderr().is_terminal())),
                Output::Json => writeln!(std::io::stdout(), "{:#}", json!({ "ok": false, "problems": problems }))?,
            }
            return Ok(ExitCode::from(EX_CONFIG));
        }
    };
    proposal.require(&args.require)?;
    proposal.enforce(&args.enforce)?;
    let how = How { form: args.format, reading, refused: &args.refused, skips: args.skip_unreadable, most: args.most };
    let mut tally = Tally::default();
    let progress = Progress::at_terminal(args.output == Output::Text);
    let read = args.logs.iter().try_for_each(|log| tally.read(log, &progress, &how, &proposal));
    progress.end();
    read?;
    let now = args.at.unwrap_or_else(|| Clock::system().now());
    if args.recorded {
        tally.recorded(now, args.most, &proposal)?;
    }
    let snapshot = proposal.directory.compile(1)?;
    let judged = judged(&tally, &proposal, &snapshot, now);
    let mut plan = changes(&tally, &judged, &proposal);
    if let Some(file) = &args.propose {
        plan.proposed = propose(&judged, &mut proposal)?;
        let text = format!("{:#}\n", document(&proposal.directory)?);
        let mut to = std::fs::File::create_new(file)
            .with_context(|| format!("`{}` can't be made anew; name a file that is not there", file.display()))?;
        to.write_all(text.as_bytes()).with_context(|| format!("`{}` can't be written", file.display()))?;
    }
    let text = match args.output {
        Output::Text => plan.to_string(),
        Output::Json => serde_json::to_string_pretty(&plan)?,
    };
    writeln!(std::io::stdout(), "{text}")?;
    Ok(if plan.newly_refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(REFUSES) })
}

/// A row and what would become of it.
type Judged = (Key, Count, Result<Passing, Code>);

/// Decides every row, in an order that is always the same.
fn judged(tally: &Tally, proposal: &Proposal, snapshot: &Snapshot, now: Timestamp) -> Vec<Judged> {
    let mut judged: Vec<Judged> = tally
        .rows
        .iter()
        .map(|(key, count)| {
            let who = match (key.credential(proposal), key.whose) {
                (Some(named), _) => Who::Credential(named.fingerprint),
                (None, Whose::Nobody) => Who::Nobody,
                (None, _) => Who::Unknown,
            };
            let addresses = match key.address {
                // None decides.
                None => vec![Ipv4Addr::UNSPECIFIED.into()],
                Some(network) => {
                    let list = key.credential(proposal).into_iter().flat_map(|named| proposal.networks(named));
                    addresses(network, list)
                }
            };
            let all = addresses.into_iter().flat_map(|address| {
                let client = ClientAddress::new(address);
                key.route.matches(proposal).map(move |route| foresee(snapshot, who, client, route, now))
            });
            (*key, *count, fate(key.passed, all))
        })
        .collect();
    judged.sort_unstable_by_key(|(key, ..)| *key);
    judged
}

fn changes(tally: &Tally, judged: &[Judged], proposal: &Proposal) -> Plan {
    let mut plan = Plan {
        lines: tally.lines,
        unreadable: tally.unreadable,
        too_long: tally.too_long,
        undecided: tally.undecided,
        ..Plan::default()
    };
    let mut used = std::collections::HashSet::new();
    for (key, count, fate) in judged {
        plan.requests += count.requests;
        if let Whose::Credential(at) = key.whose {
            used.insert(at);
        }
        let change = |code: Option<Code>| Change {
            credential: key.credential(proposal).map(credential),
            named: match key.whose {
                Whose::Credential(_) => "credential",
                Whose::Unknown => "unknown",
                Whose::Nobody => "none",
            },
            address: key.address.map(|network| match network.is_host() {
                true => network.address().to_string(),
                false => network.to_string(),
            }),
            widened: key.address.is_some_and(|network| !network.is_host()),
            route: route(key.route, proposal),
            code: code.map(Code::as_str),
            requests: count.requests,
            first: shown(count.first),
            last: shown(count.last),
        };
        match (key.passed, fate) {
            (true, Err(code)) => plan.newly_refused.push(change(Some(*code))),
            (false, Ok(would)) => plan.newly_allowed.push(change(*would)),
            (true, Ok(Some(would))) => plan.reported.push(change(Some(*would))),
            (true, Ok(None)) | (false, Err(_)) => {}
        }
    }
    plan.credentials = used.len();
    plan.from = judged.iter().map(|(_, count, _)| count.first).min().map(shown);
    plan.until = judged.iter().map(|(_, count, _)| count.last).max().map(shown);
    plan
}

/// Lists for what passed and would not, or would be reported, and for whoever has none.
fn propose(judged: &[Judged], proposal: &mut Proposal) -> anyhow::Result<Vec<Proposed>> {
    let mut seen: BTreeMap<u32, (Vec<Network>, u64, i64)> = BTreeMap::new();
    for (key, count, fate) in judged {
        let (Whose::Credential(at), Some(address), true) = (key.whose, key.address, key.passed) else { continue };
        let has_no_list = proposal.names.at(at).is_some_and(|named| proposal.credential(named).access_list.is_empty());
        let is_listed = |code: &Code| *code != Code::IpAddressNotOnAccessList;
        let lacks = match fate {
            Ok(would) => would.as_ref().is_some_and(|code| !is_listed(code)),
            Err(code) => !is_listed(code),
        };
        if has_no_list || lacks {
            let (addresses, requests, last) = seen.entry(at).or_insert((Vec::new(), 0, i64::MIN));
            addresses.push(address);
            *requests += count.requests;
            *last = count.last.max(*last);
        }
    }
    let mut proposed = Vec::new();
    for (at, (addresses, requests, last)) in seen {
        let additions = propose::smallest(addresses)?;
        propose::put(proposal, at, &additions, requests, Timestamp::from_unix_seconds(last))?;
        let Some(named) = proposal.names.at(at) else { continue };
        proposed.extend(additions.iter().map(|one| Proposed {
            credential: credential(named),
            network: one.network.to_string(),
            seen: one.seen,
            admits: one.widened(),
        }));
    }
    Ok(proposed)
}

fn credential(named: &Named) -> Credential {
    Credential {
        id: named.name.to_string(),
        org_id: named.organization.to_string(),
        public_key: named.public_key.as_deref().map(str::to_owned),
        description: named.description.to_string(),
    }
}

fn route(way: Way, proposal: &Proposal) -> String {
    match way {
        Way::NotFound => "no route".to_owned(),
        Way::Ambiguous => "an ambiguous path".to_owned(),
        Way::Admin => "the admin API".to_owned(),
        Way::Any => "several routes".to_owned(),
        Way::Route(at) => match proposal.settings.routes.iter().nth(at as usize) {
            Some(route) => match &route.host {
                Some(host) => format!("{host}{}", route.path),
                None => route.path.to_string(),
            },
            None => String::new(),
        },
    }
}

fn shown(seconds: i64) -> String {
    Timestamp::from_unix_seconds(seconds).to_string()
}

#[cfg(test)]
mod tests;
