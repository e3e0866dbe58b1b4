//! The stylesheet, the scripts and the icon, all of them in the program.
//!
//! Each is asked for with a hash of its content in its address, so that browsers may keep it, and pages say what it has to be.

use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use std::sync::LazyLock;

use super::page;

/// Where they are.
pub(super) const PATH: &str = "/assets/{name}";

struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

const ASSETS: &[Asset] = &[
    Asset { name: "console.css", media_type: "text/css; charset=utf-8", content: include_bytes!("assets/console.css") },
    Asset {
        name: "console.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/console.js"),
    },
    Asset {
        name: "charts.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/charts.js"),
    },
    Asset {
        name: "uplot.js",
        media_type: "text/javascript; charset=utf-8",
        content: include_bytes!("assets/uplot/uplot.js"),
    },
    Asset {
        name: "uplot.css",
        media_type: "text/css; charset=utf-8",
        content: include_bytes!("assets/uplot/uplot.css"),
    },
    Asset { name: "icon.svg", media_type: "image/svg+xml", content: include_bytes!("assets/icon.svg") },
];

static INTEGRITY: LazyLock<Vec<String>> = LazyLock::new(|| {
    let hash = |asset: &Asset| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA384, asset.content);
        format!("sha384-{}", base64::engine::general_purpose::STANDARD.encode(hash))
    };
    ASSETS.iter().map(hash).collect()
});

/// How a page names one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) name: &'static str,
    /// What it has to be.
    pub(super) integrity: &'static str,
}

impl Link {
    /// Its address.
    pub(super) fn href(&self) -> String {
        let version: String = self.integrity.chars().filter(char::is_ascii_alphanumeric).skip(6).take(12).collect();
        format!("/assets/{}?v={version}", self.name)
    }
}

/// The asset of this name.
pub(super) fn link(name: &'static str) -> Link {
    let at = ASSETS.iter().position(|asset| asset.name == name);
    Link { name, integrity: at.map_or("", |at| INTEGRITY[at].as_str()) }
}

/// Serves one.
pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return page::guarded(StatusCode::NOT_FOUND.into_response());
    };
    let mut answer = asset.content.into_response();
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    page::guarded(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What others have made is what they have published.
    #[test]
    fn what_is_vendored_is_unaltered() {
        let table = include_str!("assets/uplot/README.md");
        for name in ["uplot.js", "uplot.css"] {
            assert!(table.contains(&format!("| `{name}` |")) && table.contains(link(name).integrity), "{name}");
        }
        assert!(include_str!("assets/uplot/LICENSE").contains("The MIT License"));
    }
}
