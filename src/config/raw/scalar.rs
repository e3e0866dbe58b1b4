//! Scalars as they are written: a word that is parsed later, and a switch that takes `on` and `off`.
//! Never judges a word; it keeps what was written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Any scalar, as the text that was written, quoted or not: `4`, `auto`, `10s`, `64KiB`, `10.0.0.0/8`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl JsonSchema for Word {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }
}

/// `on`, `off`, `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toggle(pub bool);

impl<'de> Deserialize<'de> for Toggle {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ToggleVisitor)
    }
}

struct ToggleVisitor;

impl Visitor<'_> for ToggleVisitor {
    type Value = Toggle;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`on`, `off`, `true` or `false`")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Toggle, E> {
        Ok(Toggle(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Toggle, E> {
        match text {
            "on" => Ok(Toggle(true)),
            "off" => Ok(Toggle(false)),
            _ => Err(E::custom("expected `on`, `off`, `true` or `false`")),
        }
    }
}

impl JsonSchema for Toggle {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Toggle".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [true, false, "on", "off"] })
    }
}
