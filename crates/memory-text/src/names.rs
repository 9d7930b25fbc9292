//! Names in texts, as far as particles are attached to them.

use crate::forms::without_prefixes;
use crate::korean::without_particle;

/// The names that a token may contain apart from itself: a Korean word without one of
/// its particles, a Hebrew one without those that it begins with. `민수가` contains
/// `민수`, and `לדוד` contains `דוד`.
#[must_use]
pub fn names_within(token: &str) -> Vec<&str> {
    let mut names: Vec<&str> = without_particle(token).collect();
    without_prefixes(token, |name| names.push(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_are_removed() {
        assert!(names_within("민수가").contains(&"민수"));
        assert!(names_within("לדוד").contains(&"דוד"));
        assert!(names_within("tam").is_empty());
    }
}
