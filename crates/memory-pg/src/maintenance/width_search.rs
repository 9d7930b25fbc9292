//! How widely an index has to be searched, found by trying.

/// The search for the smallest width that is enough: it is doubled until it is, and then the
/// interval is halved.
pub(super) struct WidthSearch {
    first: u32,
    largest: u32,
    /// The largest that is known not to be enough; 0 where there is none.
    too_small: u32,
    enough: Option<u32>,
}

impl WidthSearch {
    pub(super) fn new(first: u32, largest: u32) -> Self {
        Self {
            first,
            largest,
            too_small: 0,
            enough: None,
        }
    }

    /// The width to try next; `None` at the end.
    pub(super) fn next_width(&self) -> Option<u32> {
        match self.enough {
            None if self.too_small == 0 => Some(self.first),
            None if self.too_small >= self.largest => None,
            None => Some(self.too_small.saturating_mul(2).min(self.largest)),
            Some(_) if self.too_small == 0 => None,
            Some(enough) => {
                let is_near = enough - self.too_small <= 1.max(self.too_small / 8);
                (!is_near).then(|| self.too_small.midpoint(enough))
            }
        }
    }

    pub(super) fn record(&mut self, width: u32, is_enough: bool) {
        match is_enough {
            true => self.enough = Some(width),
            false => self.too_small = width,
        }
    }

    /// The smallest width that is known to be enough.
    pub(super) fn enough(&self) -> Option<u32> {
        self.enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_width_is_found_within_an_eighth() {
        for (first, largest) in [(22, 1_000), (1, 158), (1, 1)] {
            for required in 1..=largest + 1 {
                let mut search = WidthSearch::new(first, largest);
                let mut tries = 0;
                while let Some(width) = search.next_width() {
                    assert!((first..=largest).contains(&width));
                    search.record(width, width >= required);
                    tries += 1;
                }
                assert!(tries <= 12, "{tries} for {required}");
                match search.enough {
                    None => assert!(required > largest, "{required}"),
                    Some(width) => {
                        let smallest = required.max(first);
                        assert!(width >= smallest, "{width} for {required}");
                        assert!(width <= smallest + smallest / 8, "{width} for {required}");
                    }
                }
            }
        }
    }
}
