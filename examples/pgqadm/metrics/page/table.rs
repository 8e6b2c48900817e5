//! Tables with rows that columns sort, page by page.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::address::Address;
use super::text::name;
use super::value::Value;

/// The number of rows on a page.
const ROWS: usize = 100;

/// A row of a table.
pub(super) trait Row {
    /// Returns the names by which rows with equal values are ordered.
    fn names(&self) -> [&str; 3];

    /// Returns whether the row needs attention.
    fn is_alarm(&self) -> bool;
}

/// A column of a table.
pub(super) struct Column<R> {
    /// Its name in addresses.
    pub(super) key: &'static str,
    title: &'static str,
    content: Content<R>,
    link: fn(&R) -> Option<Address>,
}

/// The cells of a column.
enum Content<R> {
    /// Names, which sort rows in the order of the alphabet.
    Name(fn(&R) -> &str),
    /// Values, which sort rows by the largest value first. Rows without a value are always last.
    Value(fn(&R) -> Value),
    /// Anything else, which does not sort rows.
    Other(fn(&R) -> Markup),
}

/// A table.
pub(super) struct Table<'a, R> {
    pub(super) columns: Vec<Column<R>>,
    pub(super) address: &'a Address,
    /// The parameters of the address for the order of rows and for the page.
    pub(super) parameters: [&'static str; 2],
    /// The column that sorts the rows if the address names none.
    pub(super) default: &'static str,
}

/// The order of rows.
struct Order<'a, R> {
    column: &'a Column<R>,
    is_reversed: bool,
}

impl<R: Row> Table<'_, R> {
    pub(super) fn render(&self, mut rows: Vec<R>) -> Markup {
        let order = self.order();
        rows.sort_by(|one, other| order.compare(one, other));
        let pages = rows.chunks(ROWS);
        let (last, total) = (pages.len().max(1), rows.len());
        let page: usize = self.address.get(self.parameters[1]).parse().unwrap_or(1);
        let page = page.clamp(1, last);
        let shown = rows.chunks(ROWS).nth(page - 1).unwrap_or_default();
        html! {
            table {
                thead { tr { @for column in &self.columns { (self.heading(column, &order)) } } }
                tbody {
                    @for row in shown {
                        tr class=[row.is_alarm().then_some("alarm")] { @for column in &self.columns { (column.cell(row)) } }
                    }
                }
            }
            @if last > 1 { (self.pages(page, last, total)) }
        }
    }

    fn order(&self) -> Order<'_, R> {
        let given = self.address.get(self.parameters[0]);
        let (key, is_reversed) = given.strip_prefix('-').map_or((given, false), |key| (key, true));
        let find = |key: &str| self.columns.iter().find(|column| column.key == key && column.sorts());
        match find(key).or_else(|| find(self.default)) {
            Some(column) => Order { column, is_reversed },
            None => Order { column: &self.columns[0], is_reversed: false },
        }
    }

    /// Makes the heading of a column: a link that sorts by it, or reverses the order.
    fn heading(&self, column: &Column<R>, order: &Order<'_, R>) -> Markup {
        if !column.sorts() {
            return html! { th scope="col" { (column.title) } };
        }
        let is_current = order.column.key == column.key;
        let next = match is_current && !order.is_reversed {
            true => format!("-{}", column.key),
            false => column.key.to_owned(),
        };
        let address = self.address.with(self.parameters[0], &next).with(self.parameters[1], "");
        let is_ascending = matches!(column.content, Content::Name(_)) != order.is_reversed;
        let direction = if is_ascending { "ascending" } else { "descending" };
        let sorted = is_current.then_some(direction);
        html! {
            th scope="col" class=(column.class()) aria-sort=[sorted] {
                a href=(address.to_string()) { (column.title) }
            }
        }
    }

    fn pages(&self, page: usize, last: usize, total: usize) -> Markup {
        let to = |page: usize| self.address.with(self.parameters[1], &page.to_string()).to_string();
        let first_row = (page - 1) * ROWS + 1;
        html! {
            nav.pages {
                @if page > 1 { a href=(to(page - 1)) rel="prev" { "previous" } " " }
                "rows " (first_row) " to " (total.min(page * ROWS)) " of " (total)
                @if page < last { " " a href=(to(page + 1)) rel="next" { "next" } }
            }
        }
    }
}

impl<R> Column<R> {
    pub(super) fn name(key: &'static str, title: &'static str, name: fn(&R) -> &str) -> Column<R> {
        Column { key, title, content: Content::Name(name), link: |_| None }
    }

    pub(super) fn value(key: &'static str, title: &'static str, value: fn(&R) -> Value) -> Column<R> {
        Column { key, title, content: Content::Value(value), link: |_| None }
    }

    pub(super) fn other(key: &'static str, title: &'static str, cell: fn(&R) -> Markup) -> Column<R> {
        Column { key, title, content: Content::Other(cell), link: |_| None }
    }

    /// Makes links of the cells for which `link` returns an address.
    pub(super) fn linked(mut self, link: fn(&R) -> Option<Address>) -> Column<R> {
        self.link = link;
        self
    }

    fn sorts(&self) -> bool {
        !matches!(self.content, Content::Other(_))
    }

    fn cell(&self, row: &R) -> Markup {
        let shown = match self.content {
            Content::Name(text) => name(text(row)),
            Content::Value(value) => value(row).show(),
            Content::Other(cell) => cell(row),
        };
        html! {
            td class=(self.class()) data-title=(self.title) {
                @match (self.link)(row) {
                    Some(address) => { a href=(address.to_string()) { (shown) } },
                    None => { (shown) },
                }
            }
        }
    }

    /// Returns the class of the column's cells, by which numbers are aligned.
    fn class(&self) -> &'static str {
        match self.content {
            Content::Name(_) => "name",
            Content::Value(_) => "number",
            Content::Other(_) => "other",
        }
    }
}

impl<R: Row> Order<'_, R> {
    fn compare(&self, one: &R, other: &R) -> Ordering {
        let turned = |order: Ordering| if self.is_reversed { order.reverse() } else { order };
        let by_value = match self.column.content {
            Content::Name(name) => turned(name(one).cmp(name(other))),
            Content::Value(value) => match (value(one).number(), value(other).number()) {
                (Some(one), Some(other)) => turned(other.total_cmp(&one)),
                (one, other) => other.is_some().cmp(&one.is_some()),
            },
            Content::Other(_) => Ordering::Equal,
        };
        by_value.then_with(|| one.names().cmp(&other.names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Item(&'static str, Option<f64>);

    impl Row for Item {
        fn names(&self) -> [&str; 3] {
            [self.0, "", ""]
        }

        fn is_alarm(&self) -> bool {
            self.1 == Some(9.0)
        }
    }

    fn render(query: &str, rows: Vec<Item>) -> String {
        let columns = vec![
            Column::<Item>::name("name", "Name", |row| row.0),
            Column::<Item>::value("lag", "Lag", |row| Value::PerSecond(row.1)),
        ];
        let address = Address::new("./", query);
        let table = Table { columns, address: &address, parameters: ["sort", "page"], default: "name" };
        table.render(rows).into_string()
    }

    fn names(query: &str) -> Vec<&'static str> {
        let shown = render(query, items());
        let mut names = vec!["a", "b", "c", "d"];
        names.sort_by_key(|name| shown.find(&format!("data-title=\"Name\">{name}<")).expect("a row"));
        names
    }

    fn items() -> Vec<Item> {
        vec![Item("c", Some(1.0)), Item("a", None), Item("d", Some(9.0)), Item("b", Some(1.0))]
    }

    #[test]
    fn rows_are_sorted_by_any_column_in_either_direction() {
        for (query, expected) in [
            ("", ["a", "b", "c", "d"]),
            ("sort=name", ["a", "b", "c", "d"]),
            ("sort=-name", ["d", "c", "b", "a"]),
            ("sort=lag", ["d", "b", "c", "a"]),
            ("sort=-lag", ["b", "c", "d", "a"]),
            ("sort=nothing", ["a", "b", "c", "d"]),
        ] {
            assert_eq!(names(query), expected, "{query}");
        }
    }

    #[test]
    fn a_heading_reverses_the_order_of_its_column() {
        let shown = render("sort=lag&page=2&filter=%3C", items());
        assert!(
            shown.contains("aria-sort=\"descending\"><a href=\"./?filter=%3C&amp;sort=-lag\">Lag"),
            "{shown}"
        );
        assert!(shown.contains("<a href=\"./?filter=%3C&amp;sort=name\">Name"), "{shown}");
        let shown = render("sort=-lag", items());
        assert!(shown.contains("aria-sort=\"ascending\"><a href=\"./?sort=lag\">Lag"), "{shown}");
        assert_eq!(shown.matches("<tr class=\"alarm\">").count(), 1, "{shown}");
    }

    #[test]
    fn long_tables_have_pages() {
        let many = || (0..250).map(|number| Item("x", Some(f64::from(number)))).collect();
        let rows = |shown: &str| shown.matches("<tr").count() - 1;
        let shown = render("page=2", many());
        assert_eq!(rows(&shown), ROWS);
        assert!(shown.contains("rows 101 to 200 of 250"), "{shown}");
        assert!(shown.contains("href=\"./?page=1\" rel=\"prev\"") && shown.contains("href=\"./?page=3\""));
        for (query, last) in [("page=3", 50), ("page=99", 50), ("page=0", 100), ("page=x", 100)] {
            assert_eq!(rows(&render(query, many())), last, "{query}");
        }
        assert!(!render("", Vec::new()).contains("rows "));
    }
}
