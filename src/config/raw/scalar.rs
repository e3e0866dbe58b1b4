//! Scalars as they are written: a word that is parsed later, and switches that take `off`.
//! Never judges a word; it keeps what was written.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

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

/// A scalar, or a mapping that says more. What is no text, such as a number, is read as YAML writes it: this is for
/// words that are none of those.
#[derive(Debug)]
pub enum WordOr<T> {
    /// As the text that was written.
    Word(Word),
    /// A mapping.
    More(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(WordOrVisitor(PhantomData))
    }
}

struct WordOrVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for WordOrVisitor<T> {
    type Value = WordOr<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a mapping")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<WordOr<T>, E> {
        Ok(WordOr::Word(Word(text.to_owned())))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<WordOr<T>, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<WordOr<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<WordOr<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<WordOr<T>, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<WordOr<T>, E> {
        self.visit_str("~")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<WordOr<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(WordOr::More)
    }
}

impl<T: JsonSchema> JsonSchema for WordOr<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("WordOr_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let word = generator.subschema_for::<Word>();
        let more = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [word, more] })
    }
}

/// `off`, or what it is like where it is on.
#[derive(Debug)]
pub enum Choice<T> {
    /// `off` or `false`.
    Off,
    /// A mapping.
    On(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Choice<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ChoiceVisitor(PhantomData))
    }
}

struct ChoiceVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ChoiceVisitor<T> {
    type Value = Choice<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`off` or a mapping")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Choice<T>, E> {
        match value {
            true => Err(E::custom("expected `off` or a mapping")),
            false => Ok(Choice::Off),
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Choice<T>, E> {
        match text {
            "off" => Ok(Choice::Off),
            _ => Err(E::custom("expected `off` or a mapping")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Choice<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Choice::On)
    }
}

impl<T: JsonSchema> JsonSchema for Choice<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Choice_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let on = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "enum": [false, "off"] }, on] })
    }
}
