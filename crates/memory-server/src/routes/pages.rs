//! The pages in the binary: the inspector at `/`, for looking into memories, and the
//! reference at `/docs`, which renders the OpenAPI document.
//!
//! They are static, and the inspector asks for a token itself, so they are served without
//! one. What they show is text: the policy allows no script but their own files, no request
//! to another server, and no string to become markup (trusted types).

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// The Content-Security-Policy of every file.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// A file of a page.
struct PageFile {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

/// A file of the folder `inspector`, or of the folder `reference` at another path.
macro_rules! page_file {
    ($name:literal, $media_type:expr) => {
        PageFile {
            path: concat!("/inspector/", $name),
            media_type: $media_type,
            text: include_str!(concat!("../../inspector/", $name)),
        }
    };
    ($name:literal at $path:literal, $media_type:expr) => {
        PageFile {
            path: $path,
            media_type: $media_type,
            text: include_str!(concat!("../../reference/", $name)),
        }
    };
}

static FILES: [PageFile; 15] = [
    PageFile {
        path: "/",
        media_type: HTML,
        text: include_str!("../../inspector/index.html"),
    },
    page_file!("index.html" at "/docs", HTML),
    page_file!("main.js" at "/docs/main.js", SCRIPT),
    page_file!("style.css" at "/docs/style.css", STYLE),
    page_file!("style.css", STYLE),
    page_file!("icon.svg", IMAGE),
    page_file!("main.js", SCRIPT),
    page_file!("api.js", SCRIPT),
    page_file!("routes.js", SCRIPT),
    page_file!("views.js", SCRIPT),
    page_file!("lifecycle.js", SCRIPT),
    page_file!("caches.js", SCRIPT),
    page_file!("memories.js", SCRIPT),
    page_file!("charts.js", SCRIPT),
    page_file!("dom.js", SCRIPT),
];

/// The pages' files, which are no part of the OpenAPI document.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let files = FILES.iter();
    files.fold(Router::new(), |router, file| {
        router.route(file.path, get(async move || serve(file)))
    })
}

fn serve(file: &'static PageFile) -> Response {
    let headers = [
        (header::CONTENT_TYPE, file.media_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // A new version of the server has other files under the same names.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, file.text).into_response()
}
