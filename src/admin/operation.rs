//! The table of operations: what the router serves and what the OpenAPI document tells.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::extract::{ConnectInfo, RawPathParams, Request, State};
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::{Schema, SchemaGenerator};

use super::answer::Answer;
use super::call::{self, Call};
use super::{Admin, Prefix};
use crate::control::Fault;
use crate::net::peer::Peer;

/// What an operation does with a call.
pub(super) type Handler = fn(Call) -> Pin<Box<dyn Future<Output = Result<Answer, Fault>> + Send>>;

/// The JSON Schema of a body or an answer.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    pub(super) method: Verb,
    /// Below the prefix, with `{names}`.
    pub(super) path: &'static str,
    /// Unique; what generated clients call it.
    pub(super) id: &'static str,
    /// One sentence.
    pub(super) summary: &'static str,
    /// Query parameters besides those that every operation has.
    pub(super) query: &'static [Parameter],
    pub(super) body: Option<SchemaOf>,
    pub(super) status: u16,
    pub(super) answer: Option<SchemaOf>,
    pub(super) handler: Handler,
}

impl Operation {
    /// Whether it may be rehearsed, and answers a rehearsal with nothing but what would come of it.
    pub(super) fn is_foreseen(&self) -> bool {
        !self.is_large() && !self.is_bulk() && self.query.iter().any(|one| one.name == DRY_RUN.name)
    }

    /// Whether its body may be large.
    pub(super) fn is_large(&self) -> bool {
        self.id == "applyDirectory"
    }

    /// Most bytes of its body.
    pub(super) fn largest_body(&self) -> usize {
        if self.is_large() { 32 << 20 } else { 1 << 20 }
    }

    /// Whether its body is a stream of lines that may be long, and is read by the operation itself.
    pub(super) fn is_bulk(&self) -> bool {
        self.id == "importDirectory"
    }

    /// Whether it is for whoever is not signed in yet: it proves its caller by what is in the body.
    pub(super) fn is_for_strangers(&self) -> bool {
        matches!(self.id, "signIn" | "signUp" | "acceptInvite")
    }
}

/// Methods that operations have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are HTTP's")]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// A query parameter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// What a query parameter's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Flag,
    Number { least: u64, most: u64 },
    Time,
    Text,
    OneOf(&'static [&'static str]),
}

/// What every operation takes.
pub(super) const EVERYWHERE: [Parameter; 2] = [
    Parameter {
        name: "envelope",
        kind: Kind::Flag,
        about: "Put the status into the body, for clients that can't see it.",
    },
    Parameter { name: "pretty", kind: Kind::Flag, about: "Indent the answer." },
];

/// What every operation takes that answers with a page.
pub(super) const PAGED: [Parameter; 3] = [
    Parameter { name: "pageNum", kind: Kind::Number { least: 1, most: 1_000_000 }, about: "The page, from 1." },
    Parameter {
        name: "itemsPerPage",
        kind: Kind::Number { least: 1, most: 500 },
        about: "Items of a page; 100 by default.",
    },
    Parameter { name: "includeCount", kind: Kind::Flag, about: "Tell how many there are in all; on by default." },
];

/// What every operation takes that lists credentials.
pub(super) const SEARCHED: [Parameter; 6] = [
    Parameter { name: "search", kind: Kind::Text, about: "Only those whose name, public key or id holds this text." },
    Parameter {
        name: "sortBy",
        kind: Kind::OneOf(&["created", "name", "lastUsed", "lastDenied"]),
        about: "The order; `created` by default.",
    },
    Parameter { name: "descending", kind: Kind::Flag, about: "The other way round." },
    PAGED[0],
    PAGED[1],
    PAGED[2],
];

/// `force`, of operations that guards watch.
pub(super) const FORCE: Parameter = Parameter {
    name: "force",
    kind: Kind::Flag,
    about: "Do it although a guard would refuse it; the override is recorded. Under /api/v1 only.",
};

/// `dryRun`, of operations that may change who is admitted.
pub(super) const DRY_RUN: Parameter = Parameter {
    name: "dryRun",
    kind: Kind::Flag,
    about: "Change nothing, and tell whom it would refuse or let in, by what is recorded of the last 30 days.",
};

/// Both.
pub(super) const GUARDED: [Parameter; 2] = [FORCE, DRY_RUN];

/// Every operation there is.
pub(super) fn all() -> impl Iterator<Item = &'static Operation> {
    [
        super::organizations::OPERATIONS,
        super::projects::OPERATIONS,
        super::api_keys::OPERATIONS,
        super::auth::OPERATIONS,
        super::people::OPERATIONS,
        super::access_lists::OPERATIONS,
        super::service_accounts::OPERATIONS,
        super::account_lists::OF_ORGANIZATION,
        super::account_lists::OF_PROJECT,
        super::network_sets::OPERATIONS,
        super::apply::OPERATIONS,
        super::events::OPERATIONS,
        super::denials::OPERATIONS,
        super::reporting::OPERATIONS,
        super::unlisted::OPERATIONS,
        super::activity::OPERATIONS,
        super::bulk::OPERATIONS,
        super::explorer::OPERATIONS,
        super::explain::OPERATIONS,
    ]
    .into_iter()
    .flatten()
}

/// All operations, by their paths.
pub(super) fn by_path() -> BTreeMap<&'static str, Vec<&'static Operation>> {
    let mut paths: BTreeMap<&'static str, Vec<&'static Operation>> = BTreeMap::new();
    for operation in all() {
        paths.entry(operation.path).or_default().push(operation);
    }
    paths
}

/// Serves the operations of one path; other methods are told which there are.
pub(super) fn served(prefix: Prefix, operations: Vec<&'static Operation>) -> MethodRouter<Admin> {
    let allowed: &'static str = {
        let mut names: Vec<String> = operations.iter().map(|one| one.method.as_str().to_uppercase()).collect();
        if names.iter().any(|name| name == "GET") {
            names.push("HEAD".into());
        }
        // Once for each path of the program.
        Box::leak(names.join(", ").into_boxed_str())
    };
    let is_for_strangers = operations.iter().all(|one| one.is_for_strangers());
    let mut router = MethodRouter::new();
    for operation in operations {
        router = router.merge(on(
            operation.method.filter(),
            move |State(admin): State<Admin>,
                  ConnectInfo(remote): ConnectInfo<SocketAddr>,
                  path: RawPathParams,
                  request: Request| async move {
                let peer = Peer::tcp(remote, admin.local);
                let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                call::answer(admin, prefix, operation, &peer, path, request).await
            },
        ));
    }
    router.fallback(
        move |State(admin): State<Admin>, ConnectInfo(remote): ConnectInfo<SocketAddr>, request: Request| async move {
            let peer = Peer::tcp(remote, admin.local);
            call::other_method(&admin, &peer, is_for_strangers, allowed, request).await
        },
    )
}
