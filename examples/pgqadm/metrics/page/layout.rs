//! The frame of every page.

use maud::{DOCTYPE, Markup, html};

use super::address::Address;

/// The time between two loads of a page by a browser without JavaScript, in seconds.
const RELOAD: u32 = 15;

/// Makes a page. `path` are links to the pages above, `search` is the filter, `main` is replaced by each refresh.
pub(super) fn page(title: &str, path: Markup, search: Markup, main: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - PgQ" }
                link rel="icon" type="image/svg+xml" href="icon.svg";
                link rel="stylesheet" href="style.css";
                script src="refresh.js" defer {}
                noscript { meta http-equiv="refresh" content=(RELOAD); }
            }
            body {
                header {
                    nav { a href="./" { "PgQ" } (path) }
                    (search)
                    p id="refresh" role="status" {}
                }
                main { (main) }
                footer {
                    a href="metrics" { "/metrics" } " "
                    a href="live" { "/live" } " "
                    a href="ready" { "/ready" }
                }
            }
        }
    }
}

/// Makes the box that filters the rows of a page. The other parameters of the address stay, except the page numbers.
pub(super) fn search(address: &Address) -> Markup {
    let unpaged = address.with("page", "").with("cpage", "").with("filter", "");
    html! {
        form action=(address.page()) method="get" role="search" {
            @for (name, value) in unpaged.parameters() {
                input type="hidden" name=(name) value=(value);
            }
            label for="filter" { "Filter" }
            input id="filter" type="search" name="filter" value=(address.get("filter"))
                placeholder="queue or consumer";
            button { "Apply" }
            @if !address.get("filter").is_empty() { a href=(unpaged.to_string()) { "Clear" } }
        }
    }
}

/// Makes a page with one message.
pub(super) fn message(title: &str, path: Markup, text: &str) -> Markup {
    page(title, path, html! {}, html! { p.alarm { (super::text::name(text)) } })
}
