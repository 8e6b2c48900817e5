//! The number of rows that one query of a batch fetches.

use postgres::Row;

/// Rows of the first page when pages are sized by bytes: few, since events may be huge.
const FIRST_PAGE: u32 = 4;
/// The size that later pages aim at, in bytes.
const PAGE_BYTES: u64 = 1024 * 1024;
const LARGEST_PAGE: u32 = 10_000;
/// How much larger than the last one a page may be.
const GROWTH: u32 = 8;

/// Decides how many rows to ask for.
#[derive(Clone)]
pub(crate) struct Pages {
    fixed: bool,
    rows: u32,
}

impl Pages {
    /// Makes pages of so many rows, 0 for all of them, or of about a megabyte.
    pub(crate) fn new(lazy_fetch: Option<u32>) -> Pages {
        Pages { fixed: lazy_fetch.is_some(), rows: lazy_fetch.unwrap_or(FIRST_PAGE) }
    }

    /// Returns the size of the next page; 0 stands for all rows.
    pub(crate) fn rows(&self) -> i32 {
        i32::try_from(self.rows).unwrap_or(i32::MAX)
    }

    /// Returns whether pages are sized by bytes.
    pub(crate) fn are_adaptive(&self) -> bool {
        !self.fixed
    }

    /// Makes the next page at least this long, unless the size was set.
    pub(crate) fn at_least(&mut self, rows: u32) {
        if !self.fixed {
            self.rows = self.rows.max(rows);
        }
    }

    /// Takes note of a page; returns whether it was the last one.
    pub(crate) fn end_with(&mut self, page: &[Row]) -> bool {
        let is_last = self.is_last(page.len());
        if !is_last {
            let bytes: u64 = page.iter().map(|row| row.raw_size_bytes() as u64).sum();
            self.resize(page.len() as u64, bytes);
        }
        is_last
    }

    fn is_last(&self, rows: usize) -> bool {
        self.rows == 0 || rows < self.rows as usize
    }

    fn resize(&mut self, rows: u64, bytes: u64) {
        if !self.fixed {
            let fitting = PAGE_BYTES * rows / bytes.max(1);
            let largest = self.rows.saturating_mul(GROWTH).min(LARGEST_PAGE);
            self.rows = u32::try_from(fitting).unwrap_or(u32::MAX).clamp(1, largest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_towards_their_size_in_bytes() {
        let mut pages = Pages::new(None);
        let mut sizes = vec![pages.rows()];
        for _ in 0..3 {
            pages.resize(pages.rows as u64, pages.rows as u64 * 128);
            sizes.push(pages.rows());
        }
        assert_eq!(sizes, [4, 32, 256, 2048]);
        pages.resize(8192, 8192 * 100_000_000);
        assert_eq!(pages.rows(), 1);
        pages.resize(1, 0);
        assert_eq!(pages.rows(), 8);
    }

    #[test]
    fn a_batch_of_few_events_is_one_page() {
        let mut pages = Pages::new(None);
        pages.at_least(17);
        assert_eq!(pages.rows(), 17);
        assert!(pages.is_last(16) && !pages.is_last(17));
    }

    #[test]
    fn a_page_size_that_was_set_stays() {
        let mut pages = Pages::new(Some(300));
        pages.resize(300, 1);
        pages.at_least(400);
        assert_eq!(pages.rows(), 300);
        assert!(pages.is_last(299) && !pages.is_last(300));
        assert!(Pages::new(Some(0)).is_last(1_000_000));
    }
}
