//! Plots in SVG.

use std::path::Path;

use plotters::prelude::*;

use super::{Group, Key, Names, Spread, columns, names_of, tables};
use crate::BoxError;

const WIDTH: u32 = 900;
const ROW: u32 = 30;
const FONT: (&str, u32) = ("sans-serif", 13);

/// A line of a plot.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Writes the plots of a group, and returns the names of their files.
pub(super) fn write(folder: &Path, key: &Key, group: &Group, names: &Names) -> Result<Vec<String>, BoxError> {
    let mut files = Vec::new();
    let columns = columns::of(&key.scenario);
    let with_bars = !matches!(key.scenario.as_str(), "poison" | "crash");
    if let (Some(figure), true) = (columns.first(), with_bars && !group.turns.is_empty()) {
        let file = format!("{}.svg", key.file());
        bars(&folder.join(&file), &format!("{}: {figure}", key.title()), &rows(key, group, names, figure))?;
        files.push(file);
    }
    for (figure, logarithmic) in columns::SERIES {
        let lines = lines(key, group, names, figure);
        if !lines.is_empty() {
            let file = format!("{}-{}.svg", key.file(), figure.replace([' ', '/'], "_"));
            let title = format!("{}: {figure} over time", key.title());
            curves(&folder.join(&file), &title, &lines, logarithmic)?;
            files.push(file);
        }
    }
    Ok(files)
}

fn rows(key: &Key, group: &Group, names: &Names, figure: &str) -> Vec<(String, Spread)> {
    let order = tables::order(&key.scenario, group).into_iter();
    let row = |contestant: &String| {
        let spread = Spread::of(&group.turns[contestant], figure)?;
        Some((names.get(contestant).unwrap_or(contestant).clone(), spread))
    };
    order.filter_map(row).collect()
}

/// Returns the figure over time, of the first round.
fn lines(key: &Key, group: &Group, names: &Names, figure: &str) -> Vec<Line> {
    let order = tables::order(&key.scenario, group).into_iter();
    let line = |contestant: &String| {
        let series = &group.turns[contestant].first()?.series;
        names_of(series).contains(figure).then(|| Line {
            name: names.get(contestant).unwrap_or(contestant).clone(),
            points: series.iter().filter_map(|one| Some((*one.get("time")?, *one.get(figure)?))).collect(),
        })
    };
    order.filter_map(line).collect()
}

/// Draws a horizontal bar for each row: the median, with a thin line from the least to the greatest value.
fn bars(path: &Path, title: &str, rows: &[(String, Spread)]) -> Result<(), BoxError> {
    let count = rows.len() as f64;
    let most = rows.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max).max(1e-6) * 1.15;
    let root = SVGBackend::new(path, (WIDTH, ROW * (rows.len() as u32 + 3))).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(24)
        .margin_left(260)
        .build_cartesian_2d(0.0..most, 0.0..count)?;
    let label = |value: &f64| tables::number(*value);
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().light_line_style(TRANSPARENT).x_label_formatter(&label).draw()?;
    for (place, (name, spread)) in rows.iter().enumerate() {
        let middle = count - place as f64 - 0.5;
        let bar = [(0.0, middle - 0.3), (spread.median, middle + 0.3)];
        chart.draw_series([Rectangle::new(bar, BLUE.mix(0.5).filled())])?;
        let range = vec![(spread.least, middle), (spread.most, middle)];
        chart.draw_series([PathElement::new(range, BLACK)])?;
        chart.draw_series([Text::new(tables::number(spread.median), (spread.most, middle + 0.15), FONT)])?;
        let (_, y) = chart.backend_coord(&(0.0, middle));
        root.draw(&Text::new(name.clone(), (8, y - 7), FONT))?;
    }
    root.present()?;
    Ok(())
}

fn curves(path: &Path, title: &str, lines: &[Line], logarithmic: bool) -> Result<(), BoxError> {
    let root = SVGBackend::new(path, (WIDTH, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|line| &line.points);
    let end = points().map(|point| point.0).fold(1.0, f64::max);
    let most = points().map(|point| point.1).fold(1e-3, f64::max) * 1.1;
    let least = points().map(|point| point.1).filter(|value| *value > 0.0).fold(most, f64::min);
    let mut builder = ChartBuilder::on(&root);
    builder.caption(title, ("sans-serif", 15)).margin(8).x_label_area_size(30).y_label_area_size(80);
    // The two axes have different types.
    macro_rules! draw {
        ($range:expr) => {{
            let mut chart = builder.build_cartesian_2d(0.0..end, $range)?;
            let label = |value: &f64| tables::number(*value);
            chart.configure_mesh().x_desc("seconds").y_label_formatter(&label).draw()?;
            for (place, line) in lines.iter().enumerate() {
                let color = Palette99::pick(place).to_rgba();
                let drawn = LineSeries::new(line.points.iter().copied(), color.stroke_width(2));
                let legend = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
                chart.draw_series(drawn)?.label(&line.name).legend(legend);
            }
            let mut legend = chart.configure_series_labels();
            legend.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).label_font(FONT);
            legend.border_style(BLACK.mix(0.3)).draw()?;
        }};
    }
    if logarithmic {
        // Ends at powers of ten, where the axis has its labels.
        let [low, high] = [least.log10().floor(), most.log10().ceil()].map(|digits| 10_f64.powf(digits));
        draw!((low..high).log_scale());
    } else {
        draw!(0.0..most);
    }
    root.present()?;
    Ok(())
}
