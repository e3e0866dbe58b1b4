//! `…/serviceAccounts/{clientId}/accessList`, by the organization's path and by the project's: the lists of
//! [`super::access_lists`], with entries as clients of Atlas know them.

use schemars::SchemaGenerator;

use super::access_lists::{ADD_QUERY, REPLACE_QUERY, add, delete, edit, list, replace, show};
use super::dto::{AccountEntry, AskedEntry, EntryEdit};
use super::operation::{GUARDED, Operation, PAGED, Verb};

/// The operations of one list.
macro_rules! of_list {
    ($path:literal, $whose:literal, $list:literal, $add:literal, $replace:literal, $show:literal, $edit:literal, $delete:literal) => {
        &[
            Operation {
                method: Verb::Get,
                path: concat!($path, "/accessList"),
                id: $list,
                summary: concat!("The access list of a service account", $whose, "."),
                query: &PAGED,
                body: None,
                status: 200,
                answer: Some(SchemaGenerator::subschema_for::<Vec<AccountEntry>>),
                handler: |call| Box::pin(list(call)),
            },
            Operation {
                method: Verb::Post,
                path: concat!($path, "/accessList"),
                id: $add,
                summary: "Adds entries, all of them or none. What is there already stays as it is.",
                query: &ADD_QUERY,
                body: Some(SchemaGenerator::subschema_for::<Vec<AskedEntry>>),
                status: 200,
                answer: Some(SchemaGenerator::subschema_for::<Vec<AccountEntry>>),
                handler: |call| Box::pin(add(call)),
            },
            Operation {
                method: Verb::Put,
                path: concat!($path, "/accessList"),
                id: $replace,
                summary: "Makes the list exactly this; with `If-Match` only where nobody changed it since.",
                query: &REPLACE_QUERY,
                body: Some(SchemaGenerator::subschema_for::<Vec<AskedEntry>>),
                status: 200,
                answer: Some(SchemaGenerator::subschema_for::<Vec<AccountEntry>>),
                handler: |call| Box::pin(replace(call)),
            },
            Operation {
                method: Verb::Get,
                path: concat!($path, "/accessList/{entry}"),
                id: $show,
                summary: "The entry for exactly this address or network (its `/` as `%2F`), or for a network set (`set:NAME`).",
                query: &[],
                body: None,
                status: 200,
                answer: Some(SchemaGenerator::subschema_for::<AccountEntry>),
                handler: |call| Box::pin(show(call)),
            },
            Operation {
                method: Verb::Patch,
                path: concat!($path, "/accessList/{entry}"),
                id: $edit,
                summary: "Changes comment or end of an entry; with `If-Match` only where nobody changed its list since.",
                query: &GUARDED,
                body: Some(SchemaGenerator::subschema_for::<EntryEdit>),
                status: 200,
                answer: Some(SchemaGenerator::subschema_for::<AccountEntry>),
                handler: |call| Box::pin(edit(call)),
            },
            Operation {
                method: Verb::Delete,
                path: concat!($path, "/accessList/{entry}"),
                id: $delete,
                summary: "Removes an entry.",
                query: &GUARDED,
                body: None,
                status: 204,
                answer: None,
                handler: |call| Box::pin(delete(call)),
            },
        ]
    };
}

pub(super) const OF_ORGANIZATION: &[Operation] = of_list!(
    "/orgs/{orgId}/serviceAccounts/{clientId}",
    "",
    "listServiceAccountAccessList",
    "createServiceAccountAccessList",
    "replaceServiceAccountAccessList",
    "getServiceAccountAccessListEntry",
    "updateServiceAccountAccessListEntry",
    "deleteServiceAccountAccessListEntry"
);

pub(super) const OF_PROJECT: &[Operation] = of_list!(
    "/groups/{groupId}/serviceAccounts/{clientId}",
    " of a project",
    "listProjectServiceAccountAccessList",
    "createProjectServiceAccountAccessList",
    "replaceProjectServiceAccountAccessList",
    "getProjectServiceAccountAccessListEntry",
    "updateProjectServiceAccountAccessListEntry",
    "deleteProjectServiceAccountAccessListEntry"
);
