//! Parameters of the connection URL that this crate defines.

use memory_core::{MemoryError, MemoryResult};

use crate::options::{PgOptions, Pooler};

impl PgOptions {
    /// Applies this crate's own parameters of a URL, and returns the URL without
    /// them.
    pub(crate) fn apply_url_parameters(&mut self, url: &str) -> MemoryResult<String> {
        let Some((address, parameters)) = url.split_once('?') else {
            return Ok(url.to_owned());
        };
        let mut others = Vec::new();
        for parameter in parameters.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "pooler" => self.pooler = parse_pooler(value)?,
                "row_level_security" => self.row_level_security = parse_switch(name, value)?,
                "notify_changes" => self.notify_changes = parse_switch(name, value)?,
                _ => others.push(parameter),
            }
        }
        Ok(match others.is_empty() {
            true => address.to_owned(),
            false => format!("{address}?{}", others.join("&")),
        })
    }
}

fn parse_pooler(value: &str) -> MemoryResult<Pooler> {
    match value {
        "transaction" => Ok(Pooler::Transaction),
        "none" => Ok(Pooler::None),
        _ => Err(invalid_value("pooler", value, "transaction or none")),
    }
}

fn parse_switch(name: &str, value: &str) -> MemoryResult<bool> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(invalid_value(name, value, "on or off")),
    }
}

fn invalid_value(name: &str, value: &str, allowed: &str) -> MemoryError {
    MemoryError::configuration(format!(
        "invalid value {value:?} of the URL parameter {name}: must be {allowed}"
    ))
}
