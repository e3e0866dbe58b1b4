//! Takes out of a tree what has the wrong shape, so that the rest can be read and judged in the same run.
//!
//! What comes of it is judged and never served: a tree that needed mending is refused in any case.
//! Positions in lists stay what they are, so that places found in the mended tree are places of the text.

use serde_json::{Map, Value};

use super::marks::{Content, Node};
use super::shape::{self, Shape};
use super::{Path, Step};

/// Mends a tree, and says where something was taken out or put in; nothing where the root itself is no use.
pub(super) fn mend(root: &mut Node, schema: &Value) -> Option<Vec<Path>> {
    let mut mend = Mend { shape: Shape { schema }, at: Path::new(), wounds: Vec::new() };
    mend.node(root, schema, "").then_some(mend.wounds)
}

struct Mend<'s> {
    shape: Shape<'s>,
    at: Path,
    wounds: Vec<Path>,
}

impl<'s> Mend<'s> {
    /// Whether the node can be kept, mended where it had to be.
    fn node(&mut self, node: &mut Node, schema: &'s Value, key: &str) -> bool {
        let Some(rules) = self.shape.resolve(schema).as_object() else {
            return true;
        };
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = rules.get(word).and_then(Value::as_array) {
                return self.best(node, choices, key);
            }
        }
        match &mut node.content {
            Content::Sequence(elements) if shape::allows(rules, "array") => {
                if let Some(items) = rules.get("items") {
                    for (index, one) in elements.iter_mut().enumerate() {
                        self.child(index, |mend| {
                            if !mend.node(one, items, "") {
                                one.content = mend.stand_in(items, 0);
                                mend.wounds.push(mend.at.clone());
                            }
                        });
                    }
                }
                true
            }
            Content::Mapping(pairs) if shape::allows(rules, "object") => {
                self.mapping(pairs, rules);
                true
            }
            Content::Scalar { .. } => self.shape.node(node, schema, key, false).is_empty(),
            _ => false,
        }
    }

    fn best(&mut self, node: &mut Node, choices: &'s [Value], key: &str) -> bool {
        if choices.iter().any(|choice| self.shape.node(node, choice, key, false).is_empty()) {
            return true;
        }
        let kind = match &node.content {
            Content::Sequence(_) => "array",
            Content::Mapping(_) => "object",
            _ => return false,
        };
        let fitting = choices.iter().find(|choice| {
            let rules = self.shape.resolve(choice).as_object();
            rules.is_some_and(|rules| {
                ["anyOf", "oneOf"].iter().any(|word| rules.contains_key(*word)) || shape::allows(rules, kind)
            })
        });
        fitting.is_some_and(|choice| self.node(node, choice, key))
    }

    fn mapping(&mut self, pairs: &mut Vec<(Node, Node)>, rules: &'s Map<String, Value>) {
        let properties = rules.get("properties").and_then(Value::as_object);
        let required: Vec<&str> =
            rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut present: Vec<Box<str>> = Vec::new();
        pairs.retain_mut(|(name, value)| {
            let Content::Scalar { text, .. } = &name.content else {
                return false;
            };
            if present.contains(text) {
                return false;
            }
            let known = properties.and_then(|known| known.get(&**text));
            let schema = match (known, rules.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => schema,
                (None, Some(Value::Bool(false))) => {
                    let words = properties.into_iter().flat_map(Map::keys).map(String::as_str);
                    if let Some(meant) = shape::nearest(text, words) {
                        self.child(meant, |mend| mend.wounds.push(mend.at.clone()));
                    }
                    return false;
                }
                _ => return true,
            };
            present.push(text.clone());
            self.child(&**text, |mend| {
                if mend.node(value, schema, text) {
                    return true;
                }
                mend.wounds.push(mend.at.clone());
                let needed = required.contains(&&**text);
                if needed {
                    value.content = mend.stand_in(schema, 0);
                }
                needed
            })
        });
        for (key, schema) in properties.into_iter().flatten() {
            if required.contains(&key.as_str()) && !present.iter().any(|known| **known == **key) {
                let content = self.stand_in(schema, 0);
                self.child(key.as_str(), |mend| mend.wounds.push(mend.at.clone()));
                pairs.push((blank(Content::Scalar { text: key.as_str().into(), plain: false }), blank(content)));
            }
        }
    }

    fn child<T>(&mut self, step: impl Into<Step>, within: impl FnOnce(&mut Self) -> T) -> T {
        self.at.push(step.into());
        let result = within(self);
        self.at.pop();
        result
    }

    /// The least that has the right shape.
    fn stand_in(&self, schema: &'s Value, depth: usize) -> Content {
        let text = |text: &str, plain| Content::Scalar { text: text.into(), plain };
        let Some(rules) = self.shape.resolve(schema).as_object().filter(|_| depth < 8) else {
            return text("", true);
        };
        if let Some(word) = shape::words(&Value::Object(rules.clone())).first() {
            return text(word, true);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(first) = rules.get(word).and_then(Value::as_array).and_then(|choices| choices.first()) {
                return self.stand_in(first, depth + 1);
            }
        }
        match shape::kinds(rules).unwrap_or_default().first() {
            Some(&"string") => text("", false),
            Some(&"integer" | &"number") => {
                text(&rules.get("minimum").map_or_else(|| "0".to_owned(), Value::to_string), true)
            }
            Some(&"boolean") => text("false", true),
            Some(&"array") => Content::Sequence(Vec::new()),
            Some(&"object") => {
                let properties = rules.get("properties").and_then(Value::as_object);
                let required = rules.get("required").and_then(Value::as_array).into_iter().flatten();
                let pairs = required.filter_map(Value::as_str).filter_map(|key| {
                    let value = self.stand_in(properties?.get(key)?, depth + 1);
                    Some((blank(text(key, false)), blank(value)))
                });
                Content::Mapping(pairs.collect())
            }
            _ => text("", true),
        }
    }
}

fn blank(content: Content) -> Node {
    Node { mark: super::marks::Mark::default(), content }
}
