//! Which checks a suite of form and of meaning runs.

/// The checks that a suite was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Whether results are held to mean something.
    pub(crate) includes_meaning: bool,
    /// Only the checks of these names; all where it is empty.
    pub(crate) only: Vec<&'static str>,
}

impl Selection {
    /// The names of all checks that can be selected.
    pub(crate) fn known<C>(
        &self,
        form: &[C],
        meaning: &[C],
        name: fn(&C) -> &'static str,
    ) -> Vec<&'static str> {
        let meaning = if self.includes_meaning { meaning } else { &[] };
        form.iter().chain(meaning).map(name).collect()
    }

    /// The selected checks of form, and after them those of meaning.
    pub(crate) fn of<'c, C>(
        &'c self,
        form: &'c [C],
        meaning: &'c [C],
        name: fn(&C) -> &'static str,
    ) -> impl Iterator<Item = &'c C> {
        let meaning = if self.includes_meaning { meaning } else { &[] };
        let checks = form.iter().chain(meaning);
        checks.filter(move |check| self.only.is_empty() || self.only.contains(&name(check)))
    }
}
