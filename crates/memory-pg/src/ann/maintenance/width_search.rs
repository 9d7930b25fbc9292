//! How widely an index has to be searched, found by trying.

/// The search for the smallest width that is enough: it is doubled until it is, and then the
/// interval is halved. It may begin with a width that is probably the one, and then needs
/// two tries to know that it is.
pub(super) struct WidthSearch {
    first: u32,
    largest: u32,
    /// The width that is tried before all others.
    start: u32,
    /// The largest that is known not to be enough; 0 where there is none.
    too_small: u32,
    enough: Option<u32>,
}

impl WidthSearch {
    /// `start` is the width to begin with, `first` where it is not known.
    pub(super) fn new(first: u32, largest: u32, start: Option<u32>) -> Self {
        Self {
            first,
            largest,
            start: start.map_or(first, |start| start.clamp(first, largest)),
            too_small: 0,
            enough: None,
        }
    }

    /// The width to try next; `None` at the end.
    pub(super) fn next_width(&self) -> Option<u32> {
        match self.enough {
            None if self.too_small == 0 => Some(self.start),
            None if self.too_small >= self.largest => None,
            None => Some(self.too_small.saturating_mul(2).min(self.largest)),
            Some(enough) if enough <= self.first => None,
            // The smallest from which it is within an eighth, and then by half.
            Some(enough) if self.too_small == 0 && enough == self.start => {
                Some((enough - enough / 9).min(enough - 1).max(self.first))
            }
            Some(enough) if self.too_small == 0 => Some((enough / 2).max(self.first)),
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
            let starts = [1, 2, 9, 22, 23, 40, 100, 158, 999, 1_000, 2_000].map(Some);
            for start in starts.into_iter().chain([None]) {
                for required in 1..=largest + 1 {
                    check(WidthSearch::new(first, largest, start), required);
                }
            }
        }
    }

    fn check(mut search: WidthSearch, required: u32) {
        let (first, largest, start) = (search.first, search.largest, search.start);
        let mut tries = 0;
        while let Some(width) = search.next_width() {
            assert!((first..=largest).contains(&width));
            search.record(width, width >= required);
            tries += 1;
        }
        assert!(tries <= 12, "{tries} for {required} from {start}");
        let Some(width) = search.enough else {
            assert!(required > largest, "{required}");
            return;
        };
        let smallest = required.max(first);
        assert!(width >= smallest, "{width} for {required}");
        assert!(width <= smallest + smallest / 8, "{width} for {required}");
        // What was right before stays, in two tries.
        let below = (start - start / 9).min(start - 1).max(first);
        if start >= smallest && below < smallest {
            assert_eq!(width, start, "for {required}");
            assert!(tries <= 2, "{tries} for {required} from {start}");
        }
    }
}
