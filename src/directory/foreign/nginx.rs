//! Configurations of nginx: keys in `map`, networks in `geo`, `allow` and `deny`, and what `if` makes of them.
//!
//! Runs the rules for each key and all addresses at once. Never takes what it can't run for harmless.

mod judge;
mod patterns;
mod words;
mod world;

use std::path::PathBuf;

use super::Effect;
use super::notebook::{Notebook, Reach, shown};
use super::reasoning::Truth;
use crate::config::diagnostic::{Place, Problem, Problems};
use judge::Judge;
use words::Directive;
use world::World;

/// Directives that neither refuse anybody nor say who somebody is; those that end in `_` are the beginning of many.
const HARMLESS: &[&str] = &[
    "absolute_redirect",
    "access_log",
    "add_header",
    "add_trailer",
    "aio",
    "aio_",
    "alias",
    "allow",
    "auth_basic_user_file",
    "autoindex",
    "autoindex_",
    "break",
    "brotli",
    "brotli_",
    "charset",
    "charset_",
    "chunked_transfer_encoding",
    "client_",
    "connection_pool_size",
    "daemon",
    "debug_connection",
    "default_type",
    "deny",
    "directio",
    "directio_alignment",
    "disable_symlinks",
    "empty_gif",
    "env",
    "error_log",
    "error_page",
    "etag",
    "events",
    "expires",
    "fastcgi_",
    "geo",
    "grpc_",
    "gunzip",
    "gzip",
    "gzip_",
    "http",
    "http2",
    "http2_",
    "http3",
    "http3_",
    "if",
    "if_modified_since",
    "ignore_invalid_headers",
    "index",
    "internal",
    "keepalive_",
    "large_client_header_buffers",
    "limit_conn",
    "limit_conn_",
    "limit_except",
    "limit_rate",
    "limit_rate_after",
    "limit_req",
    "limit_req_",
    "lingering_",
    "listen",
    "load_module",
    "location",
    "log_format",
    "log_not_found",
    "log_subrequest",
    "mail",
    "map",
    "map_hash_",
    "master_process",
    "max_ranges",
    "merge_slashes",
    "mirror",
    "mirror_request_body",
    "more_clear_headers",
    "more_set_headers",
    "msie_",
    "open_file_cache",
    "open_file_cache_",
    "output_buffers",
    "pcre_jit",
    "pid",
    "port_in_redirect",
    "postpone_output",
    "proxy_",
    "quic_",
    "read_ahead",
    "real_ip_header",
    "real_ip_recursive",
    "recursive_error_pages",
    "request_pool_size",
    "reset_timedout_connection",
    "resolver",
    "resolver_timeout",
    "return",
    "rewrite",
    "rewrite_log",
    "root",
    "satisfy",
    "scgi_",
    "send_",
    "sendfile",
    "sendfile_max_chunk",
    "server",
    "server_name",
    "server_name_in_redirect",
    "server_names_hash_",
    "server_tokens",
    "set",
    "set_real_ip_from",
    "split_clients",
    "ssl_",
    "status_zone",
    "stream",
    "stub_status",
    "sub_filter",
    "sub_filter_",
    "subrequest_output_buffer_size",
    "tcp_",
    "thread_pool",
    "timer_resolution",
    "try_files",
    "types",
    "types_hash_",
    "underscores_in_headers",
    "uninitialized_variable_warn",
    "upstream",
    "user",
    "uwsgi_",
    "variables_hash_",
    "worker_",
    "zone",
];

/// Directives that ask for a proof besides the key; `off` takes them back.
const PROOFS: &[&str] = &["auth_basic", "auth_request", "auth_jwt", "auth_digest", "auth_pam", "ssl_verify_client"];

/// A place where requests are answered.
struct Scope<'d> {
    name: String,
    place: &'d Place,
    /// What is around it, the widest first.
    levels: Vec<&'d [Directive]>,
}

/// Takes everything from the files.
///
/// # Errors
/// A file that can't be read, or files in which no key decides.
pub(super) fn read(paths: &[PathBuf], notebook: &mut Notebook<'_>) -> Result<(), Problems> {
    let mut all = Vec::new();
    for path in super::files(paths, &["conf"])? {
        all.extend(words::read(&path)?);
    }
    // What stands in `http`, and what files that are included there have by themselves.
    let (within, mut http): (Vec<Directive>, Vec<Directive>) = all.into_iter().partition(|one| one.name == "http");
    http.splice(0..0, within.into_iter().flat_map(|one| one.block.unwrap_or_default()));
    if http.is_empty() {
        return Err(empty(paths));
    }
    let world = World::of(&http, notebook.wishes().header.as_deref()).map_err(|fault| {
        let file = paths.first().map_or_else(String::new, |path| path.display().to_string());
        Problems::from(Problem::error(Place::file(file), fault))
    })?;
    notebook.header(&world.header.replace('_', "-"));
    let judge = Judge::of(&world);
    let mut keyed = Vec::new();
    for scope in scopes(&http) {
        let is_keyed = judge.asks(&scope.levels);
        if is_keyed && notebook.route(&scope.name).is_some() {
            keyed.push(scope);
        } else if let Some(rule) = scope
            .levels
            .last()
            .and_then(|level| level.iter().find(|one| matches!(one.name.as_str(), "allow" | "deny")))
            .filter(|_| !is_keyed)
        {
            let message =
                format!("`{}` of `{}`, which asks for no key: a list belongs to a credential", rule.name, scope.name);
            notebook.notice(&rule.place, Effect::LeftOut, message);
        }
    }
    let has_servers = http.iter().any(|one| one.name == "server");
    let implied = Scope {
        name: "every route".to_owned(),
        place: &http.first().ok_or_else(|| empty(paths))?.place,
        levels: vec![&http],
    };
    if !has_servers && notebook.route(&implied.name).is_some() {
        let message = "these files have no `server`: a key is taken as let in where each map of keys gives it something else than its default";
        notebook.notice(implied.place, Effect::Configure, message);
        keyed.push(implied);
    }
    if keyed.is_empty() {
        let message = format!(
            "no location that is asked for decides by `$http_{}`; name another header by `--key-header`",
            world.header
        );
        return Err(Problem::error(
            Place::file(paths.first().map_or_else(String::new, |path| path.display().to_string())),
            message,
        )
        .into());
    }
    strangers(&judge, &keyed, has_servers, notebook);
    for (key, found) in &world.keys {
        let Some(at) = notebook.key(&found.name, &found.place, key) else { continue };
        for scope in &keyed {
            notebook.reach(at, judge.reach(&scope.levels, Some(key), !has_servers));
        }
    }
    tell_maps(&world, notebook);
    http.iter().for_each(|one| tell(one, false, &judge, notebook));
    Ok(())
}

fn empty(paths: &[PathBuf]) -> Problems {
    let file = paths.first().map_or_else(String::new, |path| path.display().to_string());
    Problem::error(Place::file(file), "there is no directive in these files").into()
}

/// Tells where callers without a known key get through.
fn strangers(judge: &Judge<'_>, keyed: &[Scope<'_>], has_servers: bool, notebook: &mut Notebook<'_>) {
    for scope in keyed {
        if !judge.reach(&scope.levels, None, !has_servers).addresses.is_empty() {
            let message = format!(
                "`{}` lets callers without a known key in from some addresses; Portcullis refuses them on a route that asks for a credential",
                scope.name
            );
            notebook.notice(scope.place, Effect::Missing, message);
        }
    }
}

fn scopes<'d>(http: &'d [Directive]) -> Vec<Scope<'d>> {
    let mut all = Vec::new();
    for server in http.iter().filter(|one| one.name == "server") {
        let called = server
            .inner()
            .iter()
            .find(|one| one.name == "server_name")
            .map(Directive::word)
            .filter(|name| !matches!(*name, "" | "_"));
        let levels = vec![http, server.inner()];
        let before = all.len();
        locations(server, called, &levels, 0, &mut all);
        if all.len() == before {
            all.push(Scope { name: shown(called.unwrap_or("server")), place: &server.place, levels });
        }
    }
    all
}

fn locations<'d>(
    around: &'d Directive,
    called: Option<&str>,
    levels: &[&'d [Directive]],
    depth: usize,
    all: &mut Vec<Scope<'d>>,
) {
    for location in around.inner().iter().filter(|one| one.name == "location" && depth < 16) {
        let levels: Vec<&[Directive]> = levels.iter().copied().chain([location.inner()]).collect();
        locations(location, called, &levels, depth + 1, all);
        if location.inner().iter().any(|one| one.name == "internal") || location.word().starts_with('@') {
            continue;
        }
        let name =
            shown(&called.into_iter().chain(location.words.iter().map(String::as_str)).collect::<Vec<_>>().join(" "));
        all.push(Scope { name, place: &location.place, levels });
    }
}

/// Tells what of the maps is taken otherwise than it was.
fn tell_maps(world: &World, notebook: &mut Notebook<'_>) {
    for map in world.maps.values().filter(|map| map.is_of_keys) {
        if map.has_letters {
            notebook.notice(
                &map.place,
                Effect::Narrower,
                format!(
                    "map `${}` takes keys in upper and lower case alike; Portcullis takes each as it is written here",
                    map.name
                ),
            );
        }
        for place in &map.untold {
            notebook.notice(
                place,
                Effect::LeftOut,
                format!(
                    "this pattern of map `${}` names no key as a whole; keys that stand nowhere else are not imported",
                    map.name
                ),
            );
        }
        if map.has_composites {
            notebook.notice(&map.place, Effect::Configure, format!("map `${}` compares key and address as one text, by which a caller could choose its address; that ends here", map.name));
        }
    }
}

/// Tells directives that have no equal.
fn tell(directive: &Directive, is_within_location: bool, judge: &Judge<'_>, notebook: &mut Notebook<'_>) {
    let (name, place) = (directive.name.as_str(), &directive.place);
    match name {
        "limit_req" | "limit_conn" | "limit_except" => {
            return notebook.notice(
                place,
                Effect::Missing,
                format!("`{name}` says nothing about who may call from where; its work has to be done elsewhere"),
            );
        }
        "set_real_ip_from" | "real_ip_header" => notebook.notice(
            place,
            Effect::Configure,
            format!("`{name}`: where the client's address is read from is said by `gateway.client_address`"),
        ),
        "upstream" => {
            return notebook.notice(
                place,
                Effect::Configure,
                format!("upstream `{}`: write it under `gateway.upstreams`", shown(directive.word())),
            );
        }
        "stream" | "mail" => return notebook.notice(place, Effect::LeftOut, format!("`{name}` is no HTTP")),
        "location" => notebook.notice(
            place,
            Effect::Configure,
            format!("location `{}`: write it under `gateway.routes`", shown(&directive.words.join(" "))),
        ),
        "if" if judge.is_about_the_request(directive) && directive.inner().iter().any(|one| refuses(one).is_some()) => {
            notebook.notice(
                place,
                Effect::Missing,
                "this condition looks at the request alone, and not at who sends it; its work has to be done elsewhere",
            );
        }
        "allow" | "deny"
            if !matches!(directive.word(), "all" | "unix:") && super::notebook::network(directive.word()).is_none() =>
        {
            notebook.notice(place, Effect::Disabled, format!("`{}` is no network", shown(directive.word())));
        }
        "map" | "geo" | "types" | "events" | "split_clients" => return,
        name if PROOFS.contains(&name) && !matches!(directive.word(), "off" | "optional" | "optional_no_ca") => {
            notebook.notice(
                place,
                Effect::Disabled,
                format!("`{name}` asks for another proof besides the key; keys that need it are imported disabled"),
            );
        }
        _ if is_within_location && leaves(directive) => {
            let message = format!(
                "`{name}` has another location answer, whose rules are not followed: keys that it is in effect for are imported disabled"
            );
            notebook.notice(place, Effect::Disabled, message);
        }
        name if is_unknown(name) => {
            notebook.notice(place, Effect::Disabled, format!("`{}` is not known, and may refuse somebody: keys that it is in effect for are imported disabled. Where it refuses nobody, take it out of a copy of the file", shown(name)));
        }
        _ => {}
    }
    let within = is_within_location || name == "location";
    directive.inner().iter().for_each(|one| tell(one, within, judge, notebook));
}

/// Whether nobody here knows what a directive does.
fn is_unknown(name: &str) -> bool {
    let is_known = |known: &&str| if known.ends_with('_') { name.starts_with(*known) } else { name == *known };
    name.contains("_by_lua") || !PROOFS.contains(&name) && !HARMLESS.iter().any(is_known)
}

/// Whether a `return` refuses (`Some(true)`), answers (`Some(false)`), or does neither.
fn refuses(directive: &Directive) -> Option<bool> {
    let code = directive.word().parse::<u16>().ok().filter(|_| directive.name == "return")?;
    match code {
        200..300 => Some(false),
        300..400 => None,
        _ => Some(true),
    }
}

/// Whether a request may go on in another location, whose rules are not followed.
fn leaves(directive: &Directive) -> bool {
    let words: Vec<&str> = directive.words.iter().map(String::as_str).collect();
    match (directive.name.as_str(), &words[..]) {
        ("rewrite", [_, to]) => !to.starts_with("http") && !to.starts_with("$scheme"),
        ("rewrite", [_, _, flag]) => !matches!(*flag, "break" | "redirect" | "permanent"),
        ("try_files", [.., last]) => last.starts_with(['@', '/']),
        _ => false,
    }
}

/// What a list of `allow` and `deny` says.
fn access(level: &[Directive], progress: &mut super::rules::Progress) {
    for rule in level.iter().filter(|one| matches!(one.name.as_str(), "allow" | "deny")) {
        let truth = match (rule.word(), super::notebook::network(rule.word())) {
            ("all", _) => Truth::always(),
            ("unix:", _) => Truth::never(),
            (_, Some(network)) => Truth::of(crate::directory::ranges::Addresses::of(std::iter::once(network))),
            (_, None) => Truth::unknown(),
        };
        match rule.name == "allow" {
            true => progress.let_in(&truth),
            false => progress.refuse(&truth),
        }
    }
}

/// Who gets through: nobody, where it is not known.
fn nobody() -> Reach {
    Reach::unknown()
}
