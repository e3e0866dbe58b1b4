//! What differs between two credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::super::model::{ClientSecret, Credential, Organization};
use super::{Action, Difference, Step, Subject, changed, turned};
use crate::access::certificate_name::CertificateName;
use crate::access::credential::CredentialKind;
use crate::access::digest_secret::DigestSecret;
use crate::access::id::Id;
use crate::access::role::Role;
use crate::clock::Timestamp;

/// Adds what comes and what changes; returns what would go where it is pruned.
pub(super) fn credentials(found: &mut Difference, old: &Organization, new: &Organization) -> Vec<Step> {
    let known: BTreeMap<Id, &Credential> = old.credentials.iter().map(|one| (one.id, one)).collect();
    for credential in &new.credentials {
        let subject = subject(credential);
        let Some(held) = known.get(&credential.id) else {
            found.step(Action::Create, subject, shown(credential), coming(new, credential));
            continue;
        };
        if let Some(conflict) = conflict(held, credential) {
            found.conflicts.push((subject, conflict));
            continue;
        }
        let changes = changes((old, held), (new, credential));
        if !changes.is_empty() {
            found.step(Action::Update, subject, shown(credential), changes);
        }
    }
    let named: BTreeSet<Id> = new.credentials.iter().map(|one| one.id).collect();
    let gone = old.credentials.iter().filter(|one| !named.contains(&one.id));
    gone.map(|one| Step {
        action: Action::Delete,
        subject: subject(one),
        name: shown(one).to_owned(),
        changes: Vec::new(),
    })
    .collect()
}

fn subject(credential: &Credential) -> Subject {
    Subject::Credential(credential.kind, credential.id)
}

/// What people call it.
fn shown(credential: &Credential) -> &str {
    match (&credential.name, &credential.public_key) {
        (name, Some(public_key)) if name.is_empty() => public_key,
        (name, _) => name,
    }
}

/// Why one can't become the other.
fn conflict(old: &Credential, new: &Credential) -> Option<String> {
    if old.kind != new.kind {
        return Some(format!("id {} is that of a credential of the other kind; give this one its own", new.id));
    }
    (old.public_key != new.public_key).then(|| {
        let held = old.public_key.as_deref().unwrap_or("none");
        format!("API key {} has the public key {held}, and keys keep theirs; give another key another id", new.id)
    })
}

/// What is worth telling of a new one.
fn coming(of: &Organization, new: &Credential) -> Vec<String> {
    let roles: Vec<String> = new.roles.iter().map(|one| format!("+{}", role(of, one))).collect();
    let entries: Vec<String> = new.access_list.iter().map(|entry| format!("+{}", of.target(entry))).collect();
    changed("roles", &roles).into_iter().chain(changed("access_list", &entries)).collect()
}

fn changes((of_old, old): (&Organization, &Credential), (of_new, new): (&Organization, &Credential)) -> Vec<String> {
    let mut changes = Vec::new();
    // What a file does not say of this is left as it is.
    if !new.name.is_empty() && old.name != new.name {
        let what = if new.kind == CredentialKind::ApiKey { "description" } else { "name" };
        changes.extend(turned(what, Some(&old.name), Some(&new.name)));
    }
    if let (Some(held), Some(account)) = (&old.account, &new.account) {
        let (before, after) = (&held.about, &account.about);
        if !after.description.is_empty() && before.description != after.description {
            changes.extend(turned("description", Some(&before.description), Some(&after.description)));
        }
        if before.subject != after.subject {
            let told = |subject: &Option<crate::access::record::TokenSubject>| {
                subject.as_ref().map(|one| format!("{} {}", one.issuer, one.subject))
            };
            changes.extend(turned("token", told(&before.subject).as_deref(), told(&after.subject).as_deref()));
        }
        if before.certificate != after.certificate {
            let told = |name: &Option<CertificateName>| name.as_ref().map(ToString::to_string);
            let (before, after) = (told(&before.certificate), told(&after.certificate));
            changes.extend(turned("certificate", before.as_deref(), after.as_deref()));
        }
        if came(&account.secrets, &held.secrets) + came(&held.secrets, &account.secrets) > 0 {
            changes.push(counted(
                "secrets",
                came(&account.secrets, &held.secrets),
                came(&held.secrets, &account.secrets),
            ));
        }
    } else if secrets(old) != secrets(new) {
        let (before, after) = (secrets(old), secrets(new));
        let (came, went) = (after.difference(&before).count(), before.difference(&after).count());
        changes.push(counted("secret_sha256", came, went));
    } else if digests(old) != digests(new) {
        changes.push("digest: others".to_owned());
    }
    if old.enabled != new.enabled {
        changes.push(format!("enabled: {} → {}", old.enabled, new.enabled));
    }
    if old.expires_at != new.expires_at {
        changes.push(format!("expires_at: {} → {}", moment(old.expires_at), moment(new.expires_at)));
    }
    if old.enforcement != new.enforcement {
        changes.push(format!("enforcement: {} → {}", old.enforcement.as_str(), new.enforcement.as_str()));
    }
    changes.extend(changed("roles", &roles((of_old, old), (of_new, new))));
    changes.extend(changed("access_list", &entries((of_old, old), (of_new, new))));
    changes
}

fn moment(at: Timestamp) -> String {
    if at == Timestamp::NEVER { "never".to_owned() } else { at.to_string() }
}

fn secrets(of: &Credential) -> BTreeSet<[u8; 32]> {
    of.fingerprints.iter().map(|one| one.0).collect()
}

/// HA1s, each with the secret that it is of.
pub(super) fn digests(of: &Credential) -> BTreeMap<[u8; 32], &DigestSecret> {
    of.digests().filter_map(|(at, digest)| Some((of.fingerprints.get(at)?.0, digest))).collect()
}

/// How many secrets of one account another does not have. An id that a file does not name is any.
fn came(these: &[ClientSecret], others: &[ClientSecret]) -> usize {
    let is = |one: &ClientSecret, other: &ClientSecret| {
        let same_id = one.id.is_none() || other.id.is_none() || one.id == other.id;
        one.sha256.0 == other.sha256.0 && one.expires_at == other.expires_at && same_id
    };
    these.iter().filter(|one| !others.iter().any(|other| is(one, other))).count()
}

fn counted(what: &str, came: usize, went: usize) -> String {
    format!("{what}: {came} came, {went} went")
}

/// A role as a file spells it.
fn role(of: &Organization, role: &Role) -> String {
    let Some(id) = role.project() else { return role.name().to_owned() };
    match of.projects.iter().find(|project| project.id == id) {
        Some(project) => format!("{}:{}", project.name, role.name()),
        None => format!("{id}:{}", role.name()),
    }
}

fn roles((of_old, old): (&Organization, &Credential), (of_new, new): (&Organization, &Credential)) -> Vec<String> {
    let came = new.roles.iter().filter(|one| !old.roles.contains(one)).map(|one| format!("+{}", role(of_new, one)));
    let went = old.roles.iter().filter(|one| !new.roles.contains(one)).map(|one| format!("-{}", role(of_old, one)));
    came.chain(went).collect()
}

fn entries((of_old, old): (&Organization, &Credential), (of_new, new): (&Organization, &Credential)) -> Vec<String> {
    let (before, after) = (of_old.list(old), of_new.list(new));
    let sign = |sign: char, target: &dyn Display| format!("{sign}{target}");
    let mut signs: Vec<String> = Vec::new();
    for (target, entry) in &after {
        match before.get(target) {
            None => signs.push(sign('+', target)),
            Some(held) if (held.expires_at, &held.comment) != (entry.expires_at, &entry.comment) => {
                signs.push(sign('~', target));
            }
            Some(_) => {}
        }
    }
    signs.extend(before.keys().filter(|target| !after.contains_key(*target)).map(|target| sign('-', target)));
    signs
}
