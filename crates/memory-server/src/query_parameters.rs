//! Which query parameters each endpoint has, so that all others are refused: one that is
//! ignored would answer another question than the one that was asked.

use std::borrow::Cow;

use axum::http::{Method, Uri};
use memory::Excerpt;
use percent_encoding::percent_decode_str;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::problem::{Answer, Problem};

/// The endpoints of the OpenAPI document, with their query parameters.
#[derive(Debug)]
pub(crate) struct QueryParameters(Vec<Endpoint>);

#[derive(Debug)]
struct Endpoint {
    method: Method,
    /// As in the document: `{name}` stands for any segment.
    path: String,
    parameters: Vec<String>,
}

impl QueryParameters {
    pub(crate) fn of(document: &OpenApi) -> Self {
        let mut endpoints = Vec::new();
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
                    endpoints.push(Endpoint {
                        method,
                        path: path.clone(),
                        parameters: in_query(operation),
                    });
                }
            }
        }
        Self(endpoints)
    }

    /// Refuses a query string with a parameter that the endpoint does not have, or that is
    /// not UTF-8.
    pub(crate) fn check(&self, method: &Method, uri: &Uri) -> Answer<()> {
        let pairs = uri.query().unwrap_or("").split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| {
                Problem::invalid_input("the name of a query parameter is not valid UTF-8")
            })?;
            let known = self.parameters(method, uri.path());
            if !known.iter().any(|known| **known == *name) {
                return Err(unknown(&name, known));
            }
            if decode(value).is_none() {
                return Err(Problem::invalid_input(format!(
                    "the value of the query parameter `{name}` is not valid UTF-8"
                )));
            }
        }
        Ok(())
    }

    /// The parameters of an endpoint. Where a path fits two, as `/memories/batch` does, the
    /// endpoint with fewer variables has it.
    fn parameters(&self, method: &Method, path: &str) -> &[String] {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let endpoints = self.0.iter().filter(|it| it.method == *method);
        let found = endpoints
            .filter(|it| fits(&it.path, path))
            .min_by_key(|it| it.path.matches('{').count());
        found.map_or(&[], |it| &it.parameters)
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

fn fits(template: &str, path: &str) -> bool {
    let (mut expected, mut segments) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), segments.next()) {
            (None, None) => return true,
            (Some(expected), Some(segment)) if expected.starts_with('{') || expected == segment => {
            }
            _ => return false,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_that_of_the_endpoint_with_fewer_variables() {
        let endpoint = |path: &str, parameter: &str| Endpoint {
            method: Method::GET,
            path: path.to_owned(),
            parameters: vec![parameter.to_owned()],
        };
        let known = QueryParameters(vec![
            endpoint("/v1/{entity}/memories/{id}", "one"),
            endpoint("/v1/{entity}/memories/batch", "batch"),
        ]);
        let has = |path: &str| known.parameters(&Method::HEAD, path).first();
        assert_eq!(has("/v1/mira/memories/x"), Some(&"one".to_owned()));
        assert_eq!(has("/v1/mira/memories/batch"), Some(&"batch".to_owned()));
        for other in ["/v1/mira/memories", "/v1/mira/memories/x/y", "/"] {
            assert_eq!(has(other), None, "{other}");
        }
        assert!(
            known
                .parameters(&Method::POST, "/v1/mira/memories/x")
                .is_empty()
        );
    }
}
