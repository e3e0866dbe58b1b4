//! JSON that is taken at its word: an object is an object, and has each attribute once.
//!
//! Of an attribute that is there twice one program takes the first and another the last: whoever checks a body and whoever acts
//! on it would see two different ones.
//!
//! serde reads a struct from a list as well, by the order of its fields. Whoever sends a list where an object is due has made
//! a mistake, and is told; no value gets into a field whose name was never said.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{Deserialize, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// A value of which structs are read from objects alone, at every depth.
#[derive(Debug)]
pub struct Strict(pub Value);

/// Reads a document in which no object has an attribute twice.
///
/// # Errors
/// It is no JSON, or (a fault of data) an attribute is there twice, whose name is told.
pub fn read(bytes: &[u8]) -> Result<Strict, Error> {
    serde_json::from_slice(bytes).map(|Once(value)| Strict(value))
}

/// A value without repeated attributes.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor).map(Self)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut attributes: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = attributes.next_key::<String>()? {
            if object.contains_key(&name) {
                let shown: String = name.chars().take(80).flat_map(char::escape_default).collect();
                return Err(A::Error::custom(format!("attribute `{shown}` is there twice")));
            }
            let Once(value) = attributes.next_value()?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Strict));
                let made = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(made)
            }
            Value::Object(attributes) => {
                let attributes = attributes.into_iter().map(|(name, value)| (name, Strict(value)));
                visitor.visit_map(MapDeserializer::new(attributes))
            }
            plain => plain.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"an object")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

impl IntoDeserializer<'_, Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Off,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        name: String,
        #[serde(default)]
        more: Option<Box<Inner>>,
        #[serde(default)]
        mode: Option<Mode>,
    }

    #[test]
    fn each_attribute_once() {
        for good in [r#"{"a":1,"b":[{"a":-1.5},{"a":null}],"c":"x","d":true}"#, "[]", "18446744073709551615", "null"] {
            let known: Value = serde_json::from_str(good).unwrap();
            assert_eq!(read(good.as_bytes()).unwrap().0, known, "{good}");
        }
        for twice in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let told = read(twice.as_bytes()).unwrap_err().to_string();
            assert!(told.starts_with("attribute `a` is there twice at line 1"), "{twice}: {told}");
        }
        for bad in ["", "{", "1 2", "{\"a\":1}x", &"[".repeat(200)] {
            assert!(read(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_at_every_depth_and_nothing_else() {
        let good = json!([{"name": "a", "more": {"name": "b", "more": null, "mode": "off"}}]);
        let read = Vec::<Inner>::deserialize(Strict(good)).unwrap();
        assert_eq!(read[0].more.as_ref().unwrap().mode, Some(Mode::Off));
        for bad in [json!(["a"]), json!([["a"]]), json!([{"name": "a", "more": ["b"]}]), json!([{"name": ["a"]}])] {
            let told = Vec::<Inner>::deserialize(Strict(bad.clone())).unwrap_err().to_string();
            assert!(told.starts_with("invalid type"), "{bad}: {told}");
        }
    }
}
