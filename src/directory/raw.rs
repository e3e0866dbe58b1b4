//! A directory file as it is written: every scalar still text, networks excepted, of which there may be millions.
//!
//! Never judges a value; [`super::resolve`] does. The doc comments are the descriptions of `portcullis schema directory`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::access::network::Network;
use crate::config::feed_source::FeedSource;

/// A directory file: organizations, their credentials and access lists.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "Portcullis directory")]
pub struct File {
    /// Sizes. Where several files give them, they have to agree.
    pub limits: Option<Limits>,
    /// Organizations. One may be continued in another file of the same folder under the same id.
    pub organizations: Vec<Organization>,
}

/// Sizes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Entries that one access list or network set may have. Default: 200.
    #[schemars(range(min = 1, max = 100_000))]
    pub entries_per_list: Option<u32>,
}

/// An organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// 24 hexadecimal characters.
    pub id: String,
    /// For people, 1 to 64 characters. Said at least once; wherever it is said again, it has to agree.
    pub name: Option<String>,
    /// Whether credentials need an access list: `true`, `false`, or `report` to record what `true` would refuse.
    /// No default: said at least once; wherever it is said again, it has to agree.
    pub require_access_list: Option<Switch>,
    /// Hours that a secret of a service account may be made to last, in a store. Default: left as it is; 8760 where the
    /// organization is new. Wherever it is said again, it has to agree.
    #[schemars(range(min = 8, max = 8760))]
    pub max_service_account_secret_validity_in_hours: Option<u32>,
    /// Projects that roles are granted on. Default: none.
    #[serde(default)]
    pub projects: Vec<Project>,
    /// Named lists of networks that access lists refer to. Default: none.
    #[serde(default)]
    pub network_sets: Vec<NetworkSet>,
    /// API keys. Default: none.
    #[serde(default)]
    pub api_keys: Vec<ApiKey>,
    /// Service accounts. Default: none.
    #[serde(default)]
    pub service_accounts: Vec<ServiceAccount>,
}

/// A part of an organization.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {
    /// 24 hexadecimal characters.
    pub id: String,
    /// Unique within the organization; roles name it.
    pub name: String,
}

/// A named list of networks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSet {
    /// Unique within the organization.
    pub name: String,
    /// Addresses and CIDR blocks. This or `from`. Where there is a `source`, what a new set begins with.
    pub networks: Option<Vec<NetworkText>>,
    /// A list that a provider publishes, in a file. This or `networks`.
    pub from: Option<PublishedList>,
    /// From where a store takes its networks by itself. Goes with `networks`. Default: nobody but people changes it.
    pub source: Option<FeedSource>,
    /// Who answers for it, for people, up to 250 characters. Default: nobody.
    pub owner: Option<String>,
    /// For people, up to 250 characters. Default: none.
    pub comment: Option<String>,
}

/// A list of networks that a provider publishes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedList {
    /// Relative to this file and below its folder.
    pub file: String,
    /// How it is written: `aws`, `google`, `azure`, `cloudflare`, `github` or `plain`. Default: found out.
    pub form: Option<String>,
    /// Services of the list that are taken. Default: all.
    #[serde(default)]
    pub services: Vec<String>,
    /// Regions of the list that are taken. Default: all.
    #[serde(default)]
    pub regions: Vec<String>,
}

/// An API key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// 24 hexadecimal characters.
    pub id: String,
    /// For people, up to 250 characters. Default: none.
    pub description: Option<String>,
    /// 8 lowercase letters. Left out for an imported key.
    pub public_key: Option<String>,
    /// SHA-256 of `publicKey.privateKey`, or of a whole imported key, in 64 hexadecimal characters; two while one is
    /// being replaced. `portcullis hash` makes it.
    pub secret_sha256: Hashes,
    /// HA1s for Digest authentication, by `portcullis hash --digest`; a list of two while the secret is being replaced.
    pub digest: Option<Digests>,
    /// Whether it works. Default: `true`.
    pub enabled: Option<bool>,
    /// When it stops working, such as `2027-06-01T00:00:00Z`. Default: never.
    pub expires_at: Option<String>,
    /// `ORG_OWNER`, `ORG_GROUP_CREATOR`, `ORG_MEMBER`, `ORG_READ_ONLY`, `GATEWAY`, `app:NAME`, and on a project
    /// `PROJECT:GROUP_OWNER`, `PROJECT:GROUP_USER_ADMIN`, `PROJECT:GROUP_READ_ONLY`. Default: none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether the list refuses (`enforce`) or only records (`report`). Default: `enforce`.
    pub enforcement: Option<Enforcement>,
    /// Where it may be used from. Default: empty.
    #[serde(default)]
    pub access_list: Vec<Entry>,
}

/// A service account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceAccount {
    /// `pcl_sa_id_` and 24 hexadecimal characters.
    pub client_id: String,
    /// For people, 1 to 64 characters.
    pub name: String,
    /// For people, up to 250 characters. Default: none.
    pub description: Option<String>,
    /// Whose foreign tokens speak for it. At least one of this, `certificate` and `secrets`.
    pub token: Option<Token>,
    /// Which client certificates speak for it, where `gateway.credentials.client_certificates` is on.
    pub certificate: Option<Certificate>,
    /// What is exchanged for its own tokens where the directory is a store: up to two. A file keeps them for such a store;
    /// nothing is exchanged where it is served itself.
    #[serde(default)]
    pub secrets: Vec<ClientSecret>,
    /// Whether it works. Default: `true`.
    pub enabled: Option<bool>,
    /// When it stops working. Default: never.
    pub expires_at: Option<String>,
    /// As of an API key. Default: none.
    #[serde(default)]
    pub roles: Vec<String>,
    /// As of an API key. Default: `enforce`.
    pub enforcement: Option<Enforcement>,
    /// As of an API key. Default: empty.
    #[serde(default)]
    pub access_list: Vec<Entry>,
}

/// Whose foreign tokens speak for a service account. No two accounts share one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Exact `iss`.
    pub issuer: String,
    /// Exact `sub`.
    pub subject: String,
}

/// Which client certificates speak for a service account: one of the two. No two accounts share one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Those with exactly this URI among their subject alternative names, such as `spiffe://mesh/ns/orders/sa/api`.
    pub san_uri: Option<String>,
    /// The one with this SHA-256, 64 hexadecimal characters.
    pub sha256: Option<String>,
}

/// A secret of a service account.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientSecret {
    /// 24 hexadecimal characters. Default: another one.
    pub id: Option<String>,
    /// SHA-256 of the secret, 64 hexadecimal characters.
    pub sha256: String,
    /// When it stops working.
    pub expires_at: String,
}

/// HA1s of RFC 7616.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Realm that they were made for.
    pub realm: String,
    /// HA1 by SHA-256, 64 hexadecimal characters.
    pub sha256: Option<String>,
    /// HA1 by MD5, 32 hexadecimal characters.
    pub md5: Option<String>,
    /// Of which hash in `secret_sha256` it is, counted from 1. Default: its own position in the list.
    #[schemars(range(min = 1, max = 2))]
    pub secret: Option<u8>,
}

impl fmt::Debug for Digest {
    /// An HA1 is as good as a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// HA1s of one private key or two.
#[derive(Debug)]
pub enum Digests {
    /// A mapping by itself.
    One(Digest),
    /// A list of them.
    Several(Vec<Digest>),
}

/// Whether a list refuses or only records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Enforcement {
    /// An address that is not on the list is refused.
    Enforce,
    /// It passes and is recorded.
    Report,
}

/// Whether an organization requires lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `false`
    Off,
    /// `report`
    Report,
    /// `true`
    Required,
}

/// One or two SHA-256 in hexadecimal.
#[derive(Default)]
pub struct Hashes(pub Vec<String>);

impl fmt::Debug for Hashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hashes({})", self.0.len())
    }
}

/// A network, parsed as it is read; or why it is none.
#[derive(Debug)]
pub struct NetworkText(pub Result<Network, Box<str>>);

/// An entry of an access list.
#[derive(Debug)]
pub enum Entry {
    /// An address or a CIDR block by itself.
    Plain(NetworkText),
    /// Anything more.
    Detailed(Box<DetailedEntry>),
}

/// An entry with more than a network: exactly one of `cidr`, `file` and `set`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DetailedEntry {
    /// An address or a CIDR block.
    pub cidr: Option<String>,
    /// A file with one address or CIDR block a line. Relative to this file, and below its folder.
    pub file: Option<String>,
    /// Name of a network set of the organization.
    pub set: Option<String>,
    /// For people. Default: none.
    pub comment: Option<String>,
    /// When it stops admitting, such as `2027-01-01T00:00:00Z`. Default: never.
    pub expires_at: Option<String>,
}

struct SwitchVisitor;

impl Visitor<'_> for SwitchVisitor {
    type Value = Switch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true`, `false` or `report`")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Switch, E> {
        Ok(if value { Switch::Required } else { Switch::Off })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Switch, E> {
        match text {
            "report" => Ok(Switch::Report),
            _ => Err(E::custom("expected `true`, `false` or `report`")),
        }
    }
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(SwitchVisitor)
    }
}

struct HashesVisitor;

impl<'de> Visitor<'de> for HashesVisitor {
    type Value = Hashes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a SHA-256 in 64 hexadecimal characters, or a list of up to two")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Hashes, E> {
        Ok(Hashes(vec![text.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Hashes, A::Error> {
        let mut hashes = Vec::with_capacity(2);
        while let Some(one) = elements.next_element()? {
            hashes.push(one);
        }
        Ok(Hashes(hashes))
    }

    /// One in 10¹¹ hashes reads as a number in YAML; its digits are lost then.
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Hashes, E> {
        Ok(Hashes(vec!["a number".to_owned()]))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Hashes, E> {
        Ok(Hashes(vec!["a number".to_owned()]))
    }
}

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(HashesVisitor)
    }
}

struct DigestsVisitor;

impl<'de> Visitor<'de> for DigestsVisitor {
    type Value = Digests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping with `realm`, `sha256` and `md5`, or a list of up to two")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Digests, A::Error> {
        Digest::deserialize(MapAccessDeserializer::new(map)).map(Digests::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Digests, A::Error> {
        let mut digests = Vec::with_capacity(2);
        while let Some(one) = elements.next_element()? {
            digests.push(one);
        }
        Ok(Digests::Several(digests))
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(DigestsVisitor)
    }
}

impl NetworkText {
    pub(super) fn of(text: &str) -> Self {
        Self(text.parse().map_err(|fault: crate::access::network::NetworkFault| fault.to_string().into()))
    }
}

impl<'de> Deserialize<'de> for NetworkText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfText;
        impl Visitor<'_> for OfText {
            type Value = NetworkText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address or a CIDR block")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<NetworkText, E> {
                Ok(NetworkText::of(text))
            }
        }
        // Asked for a string, so that a plain number comes as the text that was written.
        from.deserialize_str(OfText)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, a CIDR block, or a mapping with `cidr`, `file` or `set`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
        Ok(Entry::Plain(NetworkText::of(text)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Entry, E> {
        Ok(Entry::Plain(NetworkText::of(&number.to_string())))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Entry, E> {
        Ok(Entry::Plain(NetworkText::of(&number.to_string())))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Entry, E> {
        Ok(Entry::Plain(NetworkText::of(&number.to_string())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        DetailedEntry::deserialize(MapAccessDeserializer::new(map)).map(|entry| Entry::Detailed(Box::new(entry)))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(EntryVisitor)
    }
}

/// Schemas of the types whose form serde's derive can't tell.
macro_rules! inline_schema {
    ($type:ident, $generator:ident => $schema:expr) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

inline_schema!(Switch, _generator => json_schema!({ "enum": [true, false, "report"] }));
inline_schema!(Hashes, _generator => json_schema!({ "anyOf": [
    { "type": "string" },
    { "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 2 },
] }));
inline_schema!(Digests, generator => {
    let one = generator.subschema_for::<Digest>();
    json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1, "maxItems": 2 }] })
});
inline_schema!(NetworkText, _generator => json_schema!({ "type": "string" }));
inline_schema!(Entry, generator => {
    let detailed = generator.subschema_for::<DetailedEntry>();
    json_schema!({ "anyOf": [{ "type": "string" }, detailed] })
});
