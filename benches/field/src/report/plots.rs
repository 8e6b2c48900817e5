//! Plots in SVG.

use std::collections::BTreeSet;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Group, Groups, Key, Names, Spread, columns, names_of, tables};
use crate::BoxError;

const WIDTH: u32 = 900;
const ROW: u32 = 30;
/// The width of the names beside a plot of lines.
const LEGEND: u32 = 310;
const FONT: (&str, u32) = ("sans-serif", 13);
const SMALL: (&str, u32) = ("sans-serif", 11);
/// The part of a rate that a producer must reach for a point at this rate.
const REACHED: f64 = 0.95;

/// A line with fewer points has dots.
const FEW: usize = 8;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The colours of lines, which a contestant keeps in all plots.
const COLORS: [RGBColor; 12] = [
    RGBColor(140, 86, 75),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(86, 180, 233),
    RGBColor(148, 103, 189),
    RGBColor(0, 71, 178),
    RGBColor(23, 190, 207),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(160, 160, 160),
    RGBColor(90, 90, 90),
    RGBColor(188, 189, 34),
];

/// A line of a plot.
struct Line {
    name: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

/// The texts of a plot.
struct Texts<'a> {
    title: String,
    /// The name of the run.
    run: &'a str,
    /// The unit of the horizontal axis.
    x: &'a str,
}

/// Writes the plots of a group, and returns the names of their files.
pub(super) fn write(
    folder: &Path,
    run: &str,
    key: &Key,
    group: &Group,
    names: &Names,
) -> Result<Vec<String>, BoxError> {
    let mut files = Vec::new();
    for figure in columns::bars(&key.scenario) {
        let rows = rows(group, names, figure);
        if !rows.is_empty() {
            let file = format!("{}-{}.svg", key.file(), file_name(figure));
            let texts = Texts { title: format!("{}: {figure}", key.title()), run, x: "" };
            bars(&folder.join(&file), &texts, &rows)?;
            files.push(file);
        }
    }
    for (figure, logarithmic) in columns::SERIES {
        let lines = lines(key, group, names, figure);
        if !lines.is_empty() {
            let file = format!("{}-{}.svg", key.file(), file_name(figure));
            let title = format!("{}: {figure} over time", key.title());
            curves(&folder.join(&file), &Texts { title, run, x: "seconds" }, &lines, logarithmic)?;
            files.push(file);
        }
    }
    Ok(files)
}

/// Returns a figure as a part of a file's name.
fn file_name(figure: &str) -> String {
    figure.replace([' ', '/', ':'], "_")
}

/// Returns a figure of all contestants that have it, best first.
fn rows(group: &Group, names: &Names, figure: &str) -> Vec<(String, Spread)> {
    let order = tables::order_by(figure, group).into_iter();
    let row = |contestant: &String| {
        let spread = Spread::of(&group.turns[contestant], figure)?;
        Some((names.get(contestant).unwrap_or(contestant).clone(), spread))
    };
    order.filter_map(row).collect()
}

fn color(contestant: &str, names: &Names) -> RGBColor {
    let place = names.keys().position(|name| name == contestant).unwrap_or(0);
    COLORS[place % COLORS.len()]
}

/// Returns the figure over time, of the first round.
fn lines(key: &Key, group: &Group, names: &Names, figure: &str) -> Vec<Line> {
    let order = tables::order(&key.scenario, group).into_iter();
    let line = |contestant: &String| {
        let series = &group.turns[contestant].first()?.series;
        names_of(series).contains(figure).then(|| Line {
            name: names.get(contestant).unwrap_or(contestant).clone(),
            color: color(contestant, names),
            points: series.iter().filter_map(|one| Some((*one.get("time")?, *one.get(figure)?))).collect(),
        })
    };
    order.filter_map(line).collect()
}

/// Writes the plots of a figure over the variants of a scenario, and returns their titles and the names of their files.
pub(super) fn write_across(
    folder: &Path,
    run: &str,
    groups: &Groups,
    names: &Names,
) -> Result<Vec<(String, String)>, BoxError> {
    let servers: BTreeSet<(&str, &str)> =
        groups.keys().map(|key| (key.postgres.as_str(), key.durability.as_str())).collect();
    let mut plots = Vec::new();
    for server in servers {
        for across in &columns::ACROSS {
            let of_scenario: Vec<(&Key, &Group)> = groups
                .iter()
                .filter(|(key, _)| {
                    key.scenario == across.scenario
                        && (key.postgres.as_str(), key.durability.as_str()) == server
                })
                .collect();
            let lines = lines_across(&of_scenario, across, names);
            let (Some((key, _)), true) =
                (of_scenario.first(), lines.iter().any(|line| line.points.len() > 1))
            else {
                continue;
            };
            let title = format!("{} ({})", across.title, key.server());
            let figure = file_name(across.figure);
            let file = format!("{}-{}-{}-{figure}.svg", across.scenario, server.0, server.1);
            let x = columns::meaning_of_variant(across.scenario);
            let texts = Texts { title: title.clone(), run, x };
            curves(&folder.join(&file), &texts, &lines, across.is_logarithmic)?;
            plots.push((title, file));
        }
    }
    Ok(plots)
}

/// Returns a line of medians for each contestant. A rate that a producer did not reach has no point.
fn lines_across(groups: &[(&Key, &Group)], across: &columns::Across, names: &Names) -> Vec<Line> {
    let contestants: BTreeSet<&String> = groups.iter().flat_map(|(_, group)| group.turns.keys()).collect();
    let point = |contestant: &String, key: &Key, group: &Group| {
        let turns = group.turns.get(contestant)?;
        let x = key.number as f64;
        let produced = Spread::of(turns, "produced events/s");
        let is_reached = produced.is_none_or(|spread| spread.median >= REACHED * x);
        is_reached.then_some((x, Spread::of(turns, across.figure)?.median))
    };
    let line = |contestant: &&String| Line {
        name: names.get(*contestant).unwrap_or(contestant).clone(),
        color: color(contestant, names),
        points: groups.iter().filter_map(|(key, group)| point(contestant, key, group)).collect(),
    };
    contestants.iter().map(line).collect()
}

/// Draws a horizontal bar for each row: the median, with a thin line from the least to the greatest value.
fn bars(path: &Path, texts: &Texts<'_>, rows: &[(String, Spread)]) -> Result<(), BoxError> {
    let count = rows.len() as f64;
    let most = rows.iter().map(|(_, spread)| spread.most).fold(0.0, f64::max).max(1e-6) * 1.15;
    let root = SVGBackend::new(path, (WIDTH, ROW * (rows.len() as u32 + 4))).into_drawing_area();
    root.fill(&WHITE)?;
    let root = sign(root, texts)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(&texts.title, ("sans-serif", 15))
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

/// Writes the name of the run below a plot, and returns the area for the plot.
fn sign<'a>(area: Area<'a>, texts: &Texts<'_>) -> Result<Area<'a>, BoxError> {
    let height = area.dim_in_pixel().1;
    area.draw(&Text::new(texts.run, (8, i32::try_from(height)? - 18), SMALL))?;
    Ok(area.margin(0, 20, 0, 0))
}

fn curves(path: &Path, texts: &Texts<'_>, lines: &[Line], logarithmic: bool) -> Result<(), BoxError> {
    let root = SVGBackend::new(path, (WIDTH + LEGEND, 460)).into_drawing_area();
    root.fill(&WHITE)?;
    let (root, legend) = sign(root, texts)?.split_horizontally(WIDTH);
    let points = || lines.iter().flat_map(|line| &line.points);
    let end = points().map(|point| point.0).fold(1.0, f64::max) * 1.02;
    let most = points().map(|point| point.1).fold(1e-3, f64::max) * 1.1;
    let least = points().map(|point| point.1).filter(|value| *value > 0.0).fold(most, f64::min);
    let mut builder = ChartBuilder::on(&root);
    builder.caption(&texts.title, ("sans-serif", 15)).margin(8).x_label_area_size(40).y_label_area_size(70);
    // The two axes have different types.
    macro_rules! draw {
        ($range:expr) => {{
            let mut chart = builder.build_cartesian_2d(0.0..end, $range)?;
            let label = |value: &f64| tables::number(*value);
            let mut mesh = chart.configure_mesh();
            mesh.light_line_style(TRANSPARENT).x_label_formatter(&label).y_label_formatter(&label);
            mesh.x_desc(texts.x).draw()?;
            for line in lines {
                let drawn = LineSeries::new(line.points.iter().copied(), line.color.stroke_width(2));
                chart.draw_series(drawn)?;
                if line.points.len() < FEW {
                    let dot = |point: &(f64, f64)| Circle::new(*point, 4, line.color.filled());
                    chart.draw_series(line.points.iter().map(dot))?;
                }
            }
        }};
    }
    if logarithmic {
        // Ends at powers of ten, where the axis has its labels.
        let [low, high] = [least.log10().floor(), most.log10().ceil()].map(|digits| 10_f64.powf(digits));
        draw!((low..high).log_scale());
    } else {
        draw!(0.0..most);
    }
    name_lines(&legend, lines)?;
    root.present()?;
    Ok(())
}

/// Writes the names of lines below each other.
fn name_lines(area: &Area<'_>, lines: &[Line]) -> Result<(), BoxError> {
    let named = lines.iter().filter(|line| !line.points.is_empty());
    for (y, line) in (40..).step_by(22).zip(named) {
        area.draw(&PathElement::new([(4, y + 6), (24, y + 6)], line.color.stroke_width(3)))?;
        area.draw(&Text::new(line.name.clone(), (30, y), FONT))?;
    }
    Ok(())
}
