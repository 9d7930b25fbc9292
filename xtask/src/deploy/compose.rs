//! Compose files: what they name exists.

use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

use crate::error::TaskError;

/// What is wrong with a file. `variables` is the page that lists the variables that the
/// command knows.
pub(super) fn check(path: &Path, text: &str, variables: &str) -> Result<Vec<String>, TaskError> {
    let document = YamlLoader::load_from_str(text)
        .ok()
        .and_then(|mut it| it.pop());
    let Some(document) = document else {
        println!("{} is not YAML", path.display());
        return Err(TaskError::Findings {
            count: 1,
            what: "files that are not YAML",
        });
    };
    let folder = path.parent().unwrap_or(path);
    let file = File {
        folder,
        document: &document,
        variables,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let findings = file
        .services()
        .into_iter()
        .flat_map(|(service, definition)| {
            let findings = file.check_service(definition).into_iter();
            findings.map(move |finding| format!("{service}: {finding}"))
        });
    Ok(findings
        .map(|finding| format!("{name}: {finding}"))
        .collect())
}

struct File<'a> {
    folder: &'a Path,
    document: &'a Yaml,
    variables: &'a str,
}

impl<'a> File<'a> {
    fn services(&self) -> Vec<(&'a str, &'a Yaml)> {
        entries(&self.document["services"])
    }

    fn check_service(&self, service: &Yaml) -> Vec<String> {
        let mut findings = Vec::new();
        if service["image"].is_badvalue() == service["build"].is_badvalue() {
            findings.push("it has no image and no build, or both".to_owned());
        }
        if let Some(context) = service["build"]["context"].as_str() {
            let file = service["build"]["dockerfile"].as_str();
            let path = self.folder.join(context).join(file.unwrap_or("Dockerfile"));
            if !path.is_file() {
                findings.push(format!("{} does not exist", path.display()));
            }
        }
        for volume in texts(&service["volumes"]) {
            findings.extend(self.check_volume(volume));
        }
        let declared = &self.document["secrets"];
        let secrets = texts(&service["secrets"]).into_iter();
        let missing = secrets.filter(|name| declared[*name].is_badvalue());
        findings.extend(missing.map(|name| format!("the secret {name} is not declared")));
        let open = texts(&service["ports"]);
        let open = open
            .into_iter()
            .filter(|port| !port.starts_with("127.0.0.1:"));
        findings.extend(open.map(|port| format!("the port {port} is open to other machines")));
        for (other, condition) in entries(&service["depends_on"]) {
            let definition = &self.document["services"][other];
            let is_checked = condition["condition"].as_str() == Some("service_healthy");
            if definition.is_badvalue() || (is_checked && definition["healthcheck"].is_badvalue()) {
                findings.push(format!(
                    "it depends on {other}, which is missing or not checked"
                ));
            }
        }
        for (name, value) in entries(&service["environment"]) {
            findings.extend(self.check_variable(name, value.as_str().unwrap_or_default()));
        }
        findings
    }

    /// A folder or file of the repository, or a declared volume.
    fn check_volume(&self, volume: &str) -> Option<String> {
        // A path from the environment, with a default.
        if volume.starts_with("${") {
            return None;
        }
        let (source, _) = volume.split_once(':')?;
        let exists = match source.starts_with('.') {
            true => self.folder.join(source).exists(),
            false => entries(&self.document["volumes"])
                .iter()
                .any(|(name, _)| *name == source),
        };
        (!exists).then(|| format!("the volume {source} does not exist"))
    }

    /// A variable that the command knows; a URL in it names a service.
    fn check_variable(&self, name: &str, value: &str) -> Option<String> {
        if !name.starts_with("MEMORY_") {
            return None;
        }
        if !self.variables.contains(&format!("`{name}`")) {
            return Some(format!("{name} is not in docs/operations.md"));
        }
        let (_, rest) = value.split_once("://")?;
        let host = rest.split(['/', '?']).next()?.rsplit('@').next()?;
        let host = host.split(':').next()?;
        let is_service = !self.document["services"][host].is_badvalue();
        (!is_service).then(|| format!("{name} names the host {host}, which is no service"))
    }
}

/// The entries of a mapping, by name.
fn entries(mapping: &Yaml) -> Vec<(&str, &Yaml)> {
    let entries = mapping.as_hash().into_iter().flatten();
    let named = entries.filter_map(|(name, value)| Some((name.as_str()?, value)));
    named.collect()
}

/// The texts of a list.
fn texts(list: &Yaml) -> Vec<&str> {
    let items = list.as_vec().into_iter().flatten();
    items.filter_map(Yaml::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIABLES: &str = "| `MEMORY_DB` |";

    fn findings(service: &str) -> Vec<String> {
        let text = format!(
            "services:\n  a:\n    image: x\n{service}  db:\n    image: y\nvolumes:\n  data:\n"
        );
        check(Path::new("src/compose.yml"), &text, VARIABLES).unwrap()
    }

    #[test]
    fn what_exists_passes() {
        let good = "    volumes: [\"data:/data\", \"./:/here\"]\n    \
                    ports: [\"127.0.0.1:1:1\"]\n    depends_on: {db: {condition: service_started}}\n    \
                    environment: {MEMORY_DB: \"postgres://me@db:5432/x\", OTHER: \"1\"}\n";
        assert_eq!(findings(good), [""; 0]);
    }

    #[test]
    fn what_is_missing_or_open_is_found() {
        for bad in [
            "    build: {context: .}\n",
            "    volumes: [\"other:/data\"]\n",
            "    volumes: [\"./missing:/data\"]\n",
            "    secrets: [missing]\n",
            "    ports: [\"7070:7070\"]\n",
            "    depends_on: {missing: {condition: service_started}}\n",
            "    depends_on: {db: {condition: service_healthy}}\n",
            "    environment: {MEMORY_DBB: x}\n",
            "    environment: {MEMORY_DB: \"postgres://me@elsewhere/x\"}\n",
        ] {
            assert!(!findings(bad).is_empty(), "{bad}");
        }
    }
}
