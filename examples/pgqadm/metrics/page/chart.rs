//! A small chart of a consumer's lag.

use std::fmt::Write;
use std::time::Duration;

use maud::{Markup, html};

use super::super::history::{Lags, PERIOD, SAMPLES};
use crate::watch::format;

/// The number of samples of a point, which shows the largest one. This keeps pages small.
const GROUP: usize = 4;
const WIDTH: usize = SAMPLES / GROUP;
const HEIGHT: f32 = 20.0;
/// The lag at the top of the chart, at least, in seconds. So a consumer that keeps up has a flat line.
const LEAST_SCALE: f32 = 5.0;

/// Draws the lags, the latest at the right. An outage is a gap.
pub(super) fn chart(lags: Option<&Lags>) -> Markup {
    let Some(lags) = lags.filter(|lags| !lags.is_empty()) else { return html! {} };
    let groups = groups(lags);
    let most = groups.iter().flatten().copied().fold(0.0, f32::max);
    let scale = most.max(LEAST_SCALE);
    let path = path(&groups, scale);
    let span = PERIOD.saturating_mul(u32::try_from(lags.len()).unwrap_or(u32::MAX));
    let most = Duration::try_from_secs_f32(most).unwrap_or(Duration::MAX);
    let label = format!("lag of the last {}, at most {}", format::duration(span), format::duration(most));
    let view = format!("0 0 {WIDTH} {HEIGHT}");
    html! {
        svg.chart viewBox=(view) preserveAspectRatio="none" role="img" aria-label=(label) {
            title { (label) }
            path d=(path) {}
        }
    }
}

/// Returns the largest lag of each group of samples, the latest group last.
fn groups(lags: &Lags) -> Vec<Option<f32>> {
    let samples: Vec<Option<f32>> = lags.iter().copied().collect();
    samples.rchunks(GROUP).rev().map(|group| group.iter().flatten().copied().reduce(f32::max)).collect()
}

/// Makes the line. A point beside a gap is a short line, so that it is seen.
fn path(groups: &[Option<f32>], scale: f32) -> String {
    let mut path = String::new();
    let mut is_drawing = false;
    for (at, lag) in groups.iter().enumerate() {
        let Some(lag) = lag else {
            is_drawing = false;
            continue;
        };
        let (x, y) = (WIDTH.saturating_sub(groups.len()) + at, HEIGHT - 1.0 - lag / scale * (HEIGHT - 2.0));
        // Writing to a string does not fail.
        let _ = match is_drawing {
            true => write!(path, "L{x} {y:.1}"),
            false => write!(path, "M{x} {y:.1}h1"),
        };
        is_drawing = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_lag_is_at_the_right_and_an_outage_is_a_gap() {
        let check = |lags: &[Option<f32>], expected: &str| {
            let lags: Lags = lags.iter().copied().collect();
            assert_eq!(path(&groups(&lags), 18.0), expected, "{lags:?}");
        };
        check(&[Some(0.0)], "M59 19.0h1");
        check(&[Some(9.0), None, Some(1.0), Some(2.0), Some(18.0)], "M58 10.0h1L59 1.0");
        check(&[Some(0.0), None, None, None, None, Some(0.0)], "M58 19.0h1L59 19.0");
        let mut gap = vec![Some(0.0); 4];
        gap.extend([None; 4]);
        gap.extend([Some(0.0); 4]);
        check(&gap, "M57 19.0h1M59 19.0h1");
    }

    #[test]
    fn the_label_names_the_largest_lag() {
        let lags: Lags = [Some(90.0), Some(1.0)].into_iter().collect();
        let shown = chart(Some(&lags)).into_string();
        assert!(shown.contains("aria-label=\"lag of the last 30s, at most 1m30s\""), "{shown}");
        assert_eq!(chart(Some(&Lags::new())).into_string(), "");
        assert_eq!(chart(None).into_string(), "");
    }
}
