//! Manifests of Envoy Gateway: `SecurityPolicy` with `apiKeyAuth` and `authorization`, and the Secrets that hold the keys.
//!
//! Never takes a policy's other proofs for given: keys that need them are disabled.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Effect;
use super::notebook::{Notebook, Reach, network, shown};
use super::reasoning::Truth;
use super::rules::Progress;
use super::tree::Tree;
use crate::config::diagnostic::{Place, Problem, Problems};
use crate::directory::ranges::Addresses;

/// Parts of a policy that ask for another proof.
const OTHER_PROOFS: &[&str] = &["basicAuth", "extAuth", "jwt", "oidc"];

/// A policy that asks for keys.
struct Policy<'t> {
    place: &'t Place,
    /// Namespaces and names of the Secrets.
    secrets: Vec<(&'t str, &'t str)>,
    headers: Vec<&'t str>,
    client_header: Option<&'t str>,
    is_sanitized: bool,
    is_doubtful: bool,
    authorization: Option<&'t Tree>,
}

/// A key of a Secret.
struct Key<'t> {
    client: &'t str,
    place: &'t Place,
    text: String,
}

/// Takes everything from the documents.
///
/// # Errors
/// None of them is a manifest, or no policy asks for keys.
pub(super) fn read(trees: &[Tree], notebook: &mut Notebook<'_>) -> Result<(), Problems> {
    let mut manifests = Vec::new();
    for tree in trees {
        match (tree.text_of("kind"), tree.get("apiVersion")) {
            (Some("List"), _) => manifests.extend(tree.items_of("items")),
            (Some(_), Some(_)) => manifests.push(tree),
            _ => {
                return Err(Problem::error(
                    tree.place.clone(),
                    "this is no manifest: it has no `apiVersion` and `kind`",
                )
                .into());
            }
        }
    }
    let mut policies: Vec<Policy<'_>> = Vec::new();
    let mut secrets: BTreeMap<(&str, &str), Vec<Key<'_>>> = BTreeMap::new();
    let mut places: BTreeMap<(&str, &str), &Place> = BTreeMap::new();
    let mut asks = false;
    for manifest in manifests {
        let (kind, name, namespace) = named(manifest);
        match kind {
            "SecurityPolicy" => {
                let policy = policy(manifest, namespace, notebook);
                asks |= policy.is_some();
                policies.extend(policy.filter(|_| notebook.route(name).is_some()));
            }
            "Secret" => {
                places.insert((namespace, name), &manifest.place);
                secrets.insert((namespace, name), keys(manifest, name, notebook));
            }
            "ClientTrafficPolicy" => notebook.notice(
                &manifest.place,
                Effect::Configure,
                format!(
                    "{kind} `{}`: where the client's address is read from is said by `gateway.client_address`",
                    shown(name)
                ),
            ),
            "Gateway" | "GatewayClass" | "EnvoyProxy" | "HTTPRoute" | "GRPCRoute" | "Service" | "Backend"
            | "ReferenceGrant" | "Namespace" => {
                notebook.notice(
                    &manifest.place,
                    Effect::Configure,
                    format!("{kind} `{}`: write it under `gateway`", shown(name)),
                );
            }
            _ => notebook.notice(
                &manifest.place,
                Effect::LeftOut,
                format!("{} `{}` is not looked at", shown(kind), shown(name)),
            ),
        }
    }
    if !asks {
        let file = trees.first().map_or_else(|| Place::file(""), |tree| Place::file(tree.place.file.clone()));
        return Err(Problem::error(file, "no SecurityPolicy of these files has `apiKeyAuth`").into());
    }
    for policy in &policies {
        policy.headers.iter().for_each(|header| notebook.header(header));
        for wanted in policy.secrets.iter().filter(|wanted| !secrets.contains_key(*wanted)) {
            notebook.notice(
                policy.place,
                Effect::LeftOut,
                format!(
                    "Secret `{}` of namespace `{}` is not in the files, and no key of it is imported",
                    shown(wanted.1),
                    shown(wanted.0)
                ),
            );
        }
    }
    for (name, keys) in &secrets {
        if !policies.iter().any(|policy| policy.secrets.contains(name)) {
            if let Some(place) = places.get(name) {
                notebook.notice(
                    place,
                    Effect::LeftOut,
                    format!("no policy that is imported refers to Secret `{}`", shown(name.1)),
                );
            }
            continue;
        }
        for key in keys {
            let Some(at) = notebook.key(key.client, key.place, &key.text) else { continue };
            for policy in &policies {
                notebook.reach(
                    at,
                    match policy.secrets.contains(name) {
                        true => policy.reach(key),
                        false => Reach::nowhere(),
                    },
                );
            }
        }
    }
    Ok(())
}

fn named(manifest: &Tree) -> (&str, &str, &str) {
    let of = |key: &str| manifest.at(&["metadata", key]).and_then(Tree::text);
    (manifest.text_of("kind").unwrap_or_default(), of("name").unwrap_or_default(), of("namespace").unwrap_or("default"))
}

/// What a Secret holds.
fn keys<'t>(manifest: &'t Tree, name: &str, notebook: &mut Notebook<'_>) -> Vec<Key<'t>> {
    let mut keys = Vec::new();
    for (client, place, value) in manifest.get("data").into_iter().flat_map(Tree::entries) {
        let bytes = STANDARD.decode(value.text().unwrap_or_default().trim()).ok();
        match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
            Some(text) => keys.push(Key { client, place, text }),
            None => notebook.notice(
                place,
                Effect::LeftOut,
                format!("`{}` of Secret `{}` is no text in base 64", shown(client), shown(name)),
            ),
        }
    }
    for (client, place, value) in manifest.get("stringData").into_iter().flat_map(Tree::entries) {
        // It takes the place of what `data` has under this name.
        keys.retain(|key| key.client != client);
        keys.push(Key { client, place, text: value.text().unwrap_or_default().to_owned() });
    }
    keys
}

/// A policy, where it asks for keys; tells what of it has no equal.
fn policy<'t>(manifest: &'t Tree, namespace: &'t str, notebook: &mut Notebook<'_>) -> Option<Policy<'t>> {
    let spec = manifest.get("spec")?;
    let Some(auth) = spec.get("apiKeyAuth") else {
        let name = shown(named(manifest).1);
        notebook.notice(
            &manifest.place,
            Effect::LeftOut,
            format!("SecurityPolicy `{name}` asks for no key: a list belongs to a credential"),
        );
        return None;
    };
    let mut is_doubtful = false;
    for (key, place, _) in spec.entries() {
        match key {
            "apiKeyAuth" | "authorization" => {}
            "targetRef" | "targetRefs" | "targetSelectors" => notebook.notice(
                place,
                Effect::Configure,
                format!("`{key}`: what it is for is said by `gateway.routes`"),
            ),
            "cors" => notebook.notice(
                place,
                Effect::Missing,
                "`cors` says nothing about who may call from where; its work has to be done elsewhere",
            ),
            _ => {
                is_doubtful = true;
                let what = if OTHER_PROOFS.contains(&key) {
                    "asks for another proof besides the key"
                } else {
                    "may refuse somebody in a way that has no equal"
                };
                notebook.notice(
                    place,
                    Effect::Disabled,
                    format!("`{}` {what}; the policy's keys are imported disabled", shown(key)),
                );
            }
        }
    }
    let mut headers = Vec::new();
    for from in auth.items_of("extractFrom") {
        headers.extend(from.texts_of("headers"));
        for (key, place, _) in from.entries().filter(|(key, _, _)| *key != "headers") {
            notebook.notice(place, Effect::Missing, format!("keys are also taken from `{}`; Portcullis takes them from headers alone, and refuses who sends them otherwise", shown(key)));
        }
    }
    let secret = |one: &'t Tree| Some((one.text_of("namespace").unwrap_or(namespace), one.text_of("name")?));
    let authorization = spec.get("authorization");
    let policy = Policy {
        place: &manifest.place,
        secrets: auth.items_of("credentialRefs").iter().filter_map(secret).collect(),
        headers,
        client_header: auth.text_of("forwardClientIDHeader"),
        is_sanitized: auth.switch("sanitize") == Some(true),
        is_doubtful,
        authorization,
    };
    for rule in authorization.into_iter().flat_map(|rules| rules.items_of("rules")) {
        policy.tell(rule, notebook);
    }
    Some(policy)
}

impl Policy<'_> {
    /// Tells what of a rule has no equal.
    fn tell(&self, rule: &Tree, notebook: &mut Notebook<'_>) {
        let allows = rule.text_of("action") == Some("Allow");
        let what = if allows { "whom it lets in, it lets in no more" } else { "whom it may refuse is refused" };
        for (key, place, _) in rule.entries().filter(|(key, _, _)| !matches!(*key, "name" | "action" | "principal")) {
            notebook.notice(place, Effect::Narrower, format!("`{}` of a rule has no equal: {what}", shown(key)));
        }
        let Some(principal) = rule.get("principal") else { return };
        for (key, place, value) in principal.entries() {
            match key {
                "clientCIDRs" => {
                    for one in value.items().iter().filter(|one| one.text().and_then(network).is_none()) {
                        notebook.notice(&one.place, Effect::Narrower, format!("this is no network: {what}"));
                    }
                }
                "headers" => {
                    for header in value.items().iter().filter(|header| !self.knows(header)) {
                        notebook.notice(
                            &header.place,
                            Effect::Narrower,
                            format!("a header that is not the client's id or its key has no equal: {what}"),
                        );
                    }
                }
                _ => notebook.notice(
                    place,
                    Effect::Narrower,
                    format!("`{}` of a principal has no equal: {what}", shown(key)),
                ),
            }
        }
    }

    /// Whether a header of a principal is known by the key.
    fn knows(&self, header: &Tree) -> bool {
        let name = header.text_of("name").unwrap_or_default();
        let is = |other: &&str| name.eq_ignore_ascii_case(other);
        self.client_header.as_ref().is_some_and(is) || !self.is_sanitized && self.headers.iter().any(is)
    }

    /// From where a key may be used.
    fn reach(&self, key: &Key<'_>) -> Reach {
        if self.is_doubtful {
            return Reach::unknown();
        }
        let Some(authorization) = self.authorization else { return Reach::anywhere() };
        let mut progress = Progress::begin();
        for rule in authorization.items_of("rules") {
            let holds = self.holds(rule, key);
            match rule.text_of("action") {
                Some("Allow") => progress.let_in(&holds),
                _ => progress.refuse(&holds),
            }
        }
        if authorization.text_of("defaultAction") != Some("Allow") {
            progress.refuse(&Truth::always());
        }
        progress.end()
    }

    fn holds(&self, rule: &Tree, key: &Key<'_>) -> Truth {
        let mut holds = match rule.entries().any(|(name, _, _)| !matches!(name, "name" | "action" | "principal")) {
            true => Truth::unknown(),
            false => Truth::always(),
        };
        let Some(principal) = rule.get("principal") else { return Truth::unknown() };
        for (name, _, value) in principal.entries() {
            let truth = match name {
                "clientCIDRs" => {
                    let networks: Vec<_> = value.items().iter().map(|one| one.text().and_then(network)).collect();
                    let known = Truth::of(Addresses::of(networks.iter().flatten().copied()));
                    if networks.iter().any(Option::is_none) { known.or(&Truth::unknown()) } else { known }
                }
                "headers" => {
                    value.items().iter().fold(Truth::always(), |all, header| all.and(&self.matches(header, key)))
                }
                _ => Truth::unknown(),
            };
            holds = holds.and(&truth);
        }
        holds
    }

    fn matches(&self, header: &Tree, key: &Key<'_>) -> Truth {
        if !self.knows(header) {
            return Truth::unknown();
        }
        let name = header.text_of("name").unwrap_or_default();
        let is_client = self.client_header.is_some_and(|other| name.eq_ignore_ascii_case(other));
        let sent = if is_client { key.client } else { &key.text };
        match header.texts_of("values").contains(&sent) {
            true => Truth::always(),
            false => Truth::never(),
        }
    }
}
