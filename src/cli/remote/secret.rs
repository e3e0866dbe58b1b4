//! The key that a caller is proven by.
//!
//! Never shown: no `Debug`, no `Display`, no `Serialize`.

/// `publicKey:privateKey`.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair(String);

impl Pair {
    /// Reads a key as it is written down: with a colon, or with a dot as on the header. `None` for anything else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (public, private) = text.split_once([':', '.'])?;
        let visible = text.len() <= 512 && text.bytes().all(|byte| byte.is_ascii_graphic());
        (visible && !public.is_empty() && !private.is_empty()).then(|| Self(format!("{public}:{private}")))
    }

    /// As Basic takes it.
    pub(super) fn basic(&self) -> &str {
        &self.0
    }

    /// What may be shown of it.
    pub(super) fn public(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }
}
