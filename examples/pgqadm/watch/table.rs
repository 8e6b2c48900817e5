//! The table of queues and consumers.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;

use super::column::Column;
use super::format::{cut, width};
use super::model::Model;
use super::rows::Row;
use super::style::Theme;

/// The width of names below which other columns are omitted.
const MIN_NAME_WIDTH: usize = 20;

/// Draws the headings and the rows that fit.
pub(crate) fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let columns = columns(model, usize::from(area.width));
    let line = |at: usize| Rect { y: area.y + at as u16, height: 1, ..area };
    headings(model, theme, &columns, line(0), buffer);
    let shown = model.rows.iter().enumerate().skip(model.top);
    let selected = model.selected_row();
    for (at, (number, row)) in (1..usize::from(area.height)).zip(shown) {
        let style = style(row, theme);
        draw_row(row, &columns, style, line(at), buffer);
        if selected == Some(number) {
            buffer.set_style(line(at), theme.selected());
        }
    }
    if model.rows.is_empty() && model.snapshot.is_some() && area.height > 1 {
        let text = if model.filter.is_empty() { "there are no queues" } else { "no name matches the filter" };
        put(text, Alignment::Left, theme.faint(), line(1), buffer);
    }
}

/// Returns the columns that fit, each with its width.
fn columns(model: &Model, room: usize) -> Vec<(Column, usize)> {
    let cells = model.rows.iter().filter(|row| row.id.is_some());
    let mut widths = Column::ALL.map(|column| width(&heading(model, column)));
    for row in cells {
        for (column, widest) in Column::ALL.into_iter().zip(&mut widths) {
            let indent = if column == Column::Name { row.indent } else { 0 };
            *widest = (*widest).max(width(&row.cells[column as usize]) + indent);
        }
    }
    let name = widths[Column::Name as usize];
    let mut shown = Column::ALL.to_vec();
    let others = |shown: &[Column]| {
        let others = shown.iter().filter(|column| **column != Column::Name);
        others.map(|column| widths[*column as usize] + 1).sum::<usize>()
    };
    let sorted_last = Column::DROP_ORDER.into_iter().filter(|column| *column != model.order.column);
    for least in sorted_last.chain([model.order.column]).filter(|column| *column != Column::Name) {
        if others(&shown) + name.min(MIN_NAME_WIDTH) > room {
            shown.retain(|column| *column != least);
        }
    }
    let name = name.min(room.saturating_sub(others(&shown)));
    let sized = |column| (column, if column == Column::Name { name } else { widths[column as usize] });
    shown.into_iter().map(sized).collect()
}

/// Returns the heading of a column, with an arrow if the rows are sorted by it.
fn heading(model: &Model, column: Column) -> String {
    let is_descending = model.order.is_reversed == (column == Column::Name);
    let arrow = if is_descending { "↓" } else { "↑" };
    let mark = if column == model.order.column { arrow } else { "" };
    format!("{}{mark}", column.title())
}

fn headings(model: &Model, theme: Theme, columns: &[(Column, usize)], area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, theme.heading());
    for (column, cell) in cells(columns, area) {
        put(&heading(model, column), alignment(column), Style::new(), cell, buffer);
    }
}

fn draw_row(row: &Row, columns: &[(Column, usize)], style: Style, area: Rect, buffer: &mut Buffer) {
    let inset = row.indent.min(usize::from(area.width)) as u16;
    if row.id.is_none() {
        let area = Rect { x: area.x + inset, width: area.width - inset, ..area };
        return row.cells.iter().for_each(|text| put(text, Alignment::Left, style, area, buffer));
    }
    for (column, mut cell) in cells(columns, area) {
        if column == Column::Name {
            let inset = inset.min(cell.width);
            cell = Rect { x: cell.x + inset, width: cell.width - inset, ..cell };
        }
        put(&row.cells[column as usize], alignment(column), style, cell, buffer);
    }
}

/// Returns the cells of a line.
fn cells(columns: &[(Column, usize)], line: Rect) -> impl Iterator<Item = (Column, Rect)> {
    let mut x = line.x;
    columns.iter().map(move |(column, width)| {
        let cell = Rect { x, width: *width as u16, ..line }.intersection(line);
        x = x.saturating_add(*width as u16).saturating_add(1);
        (*column, cell)
    })
}

fn style(row: &Row, theme: Theme) -> Style {
    match &row.id {
        _ if row.is_alarm => theme.alarm(),
        Some(id) if id.consumer.is_none() => theme.queue(),
        _ => Style::new(),
    }
}

fn alignment(column: Column) -> Alignment {
    if column == Column::Name { Alignment::Left } else { Alignment::Right }
}

/// Writes a text into one line. A text that is too long is cut and ends in an ellipsis.
fn put(text: &str, alignment: Alignment, style: Style, area: Rect, buffer: &mut Buffer) {
    let room = usize::from(area.width);
    let text = cut(text, room);
    let x = match alignment {
        Alignment::Right => area.right() - width(&text) as u16,
        _ => area.x,
    };
    buffer.set_stringn(x, area.y, text, room, style);
}
