//! The embedded store at start: opened, begun where it is empty, compiled, and then served.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::reload::Compiled;
use super::{Chain, memory};
use crate::access::snapshot::Snapshot;
use crate::clock::Clock;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::config::settings::{DirectorySource, Settings};
use crate::control::{self, Begun, Bootstrap, Control, Limits, Rules, UsageSource};
use crate::live::published::Published;
use crate::live::usage::Usage;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::metrics::Metrics;

/// Opens the store and compiles it. An empty one is begun as the bootstrap variables say.
///
/// # Errors
/// What keeps it from being served, with what to do.
pub(super) fn open(path: &Path, settings: &Settings, clock: &Clock) -> Result<(Compiled, control::Opened), Problems> {
    let begin = Instant::now();
    memory::prepare(&settings.directory);
    let problem = |fault: &dyn std::error::Error| {
        Problems::from(Problem::error(Place::file(path.display().to_string()), Chain(fault).to_string()))
    };
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let bootstrap = Bootstrap::parse(
        variable(control::ORGANIZATION_VARIABLE),
        variable(control::KEY_VARIABLE),
        variable(control::OWNER_VARIABLE),
    );
    let bootstrap = bootstrap.map_err(|fault| problem(&fault))?;
    let opened = control::Opened::new(path, rules(settings), bootstrap, clock).map_err(|fault| problem(&fault))?;
    if let Some(begun) = &opened.begun {
        announce(path, begun).map_err(|fault| problem(&fault))?;
    }
    let snapshot = Arc::clone(opened.snapshot());
    Ok((Compiled { snapshot, digest: [0; 32], files: Vec::new(), took: begin.elapsed() }, opened))
}

/// What changes are held to. A realm that is configured later counts from the next start on.
fn rules(settings: &Settings) -> Rules {
    let limits = settings.admin.as_ref().map_or_else(Limits::default, |admin| Limits {
        entries_per_list: admin.entries_per_list,
        api_keys_per_organization: admin.api_keys_per_organization,
        service_accounts_per_organization: admin.service_accounts_per_organization,
        ..Limits::default()
    });
    let digest = settings.gateway.credentials.digest.as_ref();
    let tokens_per_minute =
        settings.admin.as_ref().map_or(Rules::default().tokens_per_minute, |admin| admin.tokens.per_minute);
    let single_sign_on = settings.admin.as_ref().and_then(|admin| admin.single_sign_on.clone());
    Rules { limits, digest_realm: digest.map(|digest| digest.realm.to_string()), tokens_per_minute, single_sign_on }
}

/// Tells the sign-up token and the first key to whoever started the program: on its terminal, or in files that nobody else
/// can read. Never in a log, which others keep.
fn announce(path: &Path, begun: &Begun) -> std::io::Result<()> {
    let organization = begun.organization;
    tracing::info!(store = %path.display(), %organization, "a new store was begun");
    let (Some(token), Some(key)) = (&begun.sign_up, &begun.key) else { return Ok(()) };
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() {
        return writeln!(
            terminal,
            "\nA new store was begun, with organization {organization}. Its owner signs up with this token, once:\n\n    \
             {token}\n\n    portcullis login --email ADDRESS --invite-file -\n\nPrograms may use this API key, which owns it as well:\n\n    {key}\n\n\
             Keep both: they are shown this once. Try the key: portcullis orgs list --key {key}\n"
        );
    }
    let file = write_private(path, ".sign-up-token", token)?;
    tracing::info!(file = %file.display(), "the token by which the owner of the new store signs up was written there");
    let file = write_private(path, ".owner-key", key)?;
    tracing::info!(file = %file.display(), "the API key that owns the new store was written there; move it to a safe place");
    Ok(())
}

/// Writes a secret into a file beside the store that only its owner can read.
fn write_private(path: &Path, ending: &str, secret: &str) -> std::io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    let file = PathBuf::from(name);
    let mut options = OpenOptions::new();
    let mut to = options.write(true).create(true).truncate(true).mode(0o600).open(&file)?;
    to.write_all(format!("{secret}\n").as_bytes())?;
    to.sync_all()?;
    Ok(file)
}

/// Serves a store: from here on it takes changes, and makes tokens in the name of this issuer.
///
/// # Errors
/// No thread could be started, or the keys that sign tokens can't be used.
pub(super) fn serve(
    opened: control::Opened,
    published: &Arc<Published>,
    metrics: &Arc<Metrics>,
    (usage, log): (Usage, &AccessLog),
    issuer: &str,
) -> Result<Arc<Control>, Problems> {
    let seen = Arc::clone(metrics);
    let told = Box::new(move |snapshot: &Arc<Snapshot>, took: Duration| seen.snapshot_applied(snapshot, took));
    let metrics = Arc::clone(metrics);
    let written = Box::new(move |written: Result<u64, ()>| match written {
        Ok(uses) => metrics.usage_written(uses),
        Err(()) => metrics.usage_refused(),
    });
    let (refusals, activity) = (Arc::clone(log.refusals()), Arc::clone(log.activity()));
    let source = UsageSource { usage, told: written, refusals, activity };
    let served = opened.serve(Arc::clone(published), told, source, issuer);
    served.map_err(|fault| Problem::error(Place::file("the store"), Chain(&fault).to_string()).into())
}

/// What workers count for: a store that is served, and nobody else.
pub(super) fn usage(settings: &Settings) -> Usage {
    match (&settings.directory, &settings.admin) {
        (DirectorySource::Sqlite(_), Some(admin)) => Usage::kept(admin.record_traffic),
        _ => Usage::ignored(),
    }
}

/// Where the directory comes from, for people.
pub(super) fn described(source: &DirectorySource) -> Arc<str> {
    match source {
        DirectorySource::File(path) => format!("the file `{}`", path.display()).into(),
        DirectorySource::Sqlite(path) => format!("the store `{}`", path.display()).into(),
        DirectorySource::Demonstration => "the built-in demonstration".into(),
    }
}
