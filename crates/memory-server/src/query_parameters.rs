//! Which query parameters each endpoint has, so that all others are refused: one that is
//! ignored would answer another question than the one that was asked.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::extract::MatchedPath;
use axum::http::Method;
use axum::http::request::Parts;
use memory::Excerpt;
use percent_encoding::percent_decode_str;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::problem::{Answer, Problem};

/// The query parameters of the endpoints of the OpenAPI document, by method and by path as
/// in the document, which is the router's too.
#[derive(Debug)]
pub(crate) struct QueryParameters(HashMap<Method, HashMap<String, Vec<String>>>);

impl QueryParameters {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut endpoints = HashMap::<_, HashMap<_, _>>::new();
        for (path, item) in &document.paths.paths {
            let operations = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            for (method, operation) in operations {
                if let Some(operation) = operation {
                    let paths = endpoints.entry(method).or_default();
                    paths.insert(path.clone(), in_query(operation));
                }
            }
        }
        Self(endpoints)
    }

    /// Refuses a query string with a parameter that the request's endpoint does not have, that
    /// is empty, or that is not UTF-8.
    pub(crate) fn check(&self, request: &Parts) -> Answer<()> {
        let pairs = request.uri.query().unwrap_or("").split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                Problem::invalid_input("the name of a query parameter is not valid UTF-8")
            })?;
            let known = self.parameters(request);
            if !known.iter().any(|known| **known == *name) {
                return Err(unknown(&name, known));
            }
            match decode(value) {
                None => {
                    return Err(Problem::invalid_input(format!(
                        "the value of the query parameter `{name}` is not valid UTF-8"
                    )));
                }
                // Without the filter that was meant, the answer would be about all memories.
                Some(value) if value.is_empty() => {
                    return Err(Problem::invalid_input(format!(
                        "the query parameter `{name}` is empty; give it a value, or leave it out"
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn parameters(&self, request: &Parts) -> &[String] {
        let method = match &request.method {
            // The router answers it as GET.
            &Method::HEAD => &Method::GET,
            method => method,
        };
        let path = request.extensions.get::<MatchedPath>();
        let paths = self.0.get(method).zip(path);
        let found = paths.and_then(|(paths, path)| paths.get(path.as_str()));
        found.map_or(&[], Vec::as_slice)
    }
}

fn in_query(operation: &Operation) -> Vec<String> {
    let parameters = operation.parameters.iter().flatten();
    let names = parameters.filter_map(|it| match it {
        RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query) => Some(it.name.clone()),
        _ => None,
    });
    names.collect()
}

/// Decodes a part of a query string; `None` for one that is not UTF-8.
fn decode(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8().ok();
    decoded.map(Cow::into_owned)
}

fn unknown(name: &str, known: &[String]) -> Problem {
    let name = Excerpt::from(name);
    let known = match known {
        [] => "it has no query parameters".to_owned(),
        known => format!("it has {}", known.join(", ")),
    };
    Problem::invalid_input(format!(
        "the endpoint has no query parameter {name}; {known}; /openapi.json describes them"
    ))
}
