//! Addresses of pages, with their parameters.

use std::fmt;

use url::form_urlencoded::{Serializer, parse};

/// The address of a page. It is relative, so that pages work below any path of a reverse proxy.
#[derive(Clone)]
pub(super) struct Address {
    page: &'static str,
    parameters: Vec<(String, String)>,
}

impl Address {
    /// Makes the address of a request for a page with this query.
    pub(super) fn new(page: &'static str, query: &str) -> Address {
        Address { page, parameters: parse(query.as_bytes()).into_owned().collect() }
    }

    /// Returns the page without parameters.
    pub(super) fn page(&self) -> &'static str {
        self.page
    }

    /// Returns the value of a parameter; empty if the address has none.
    pub(super) fn get(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Returns the address with another value of a parameter, or without the parameter if the value is empty.
    pub(super) fn with(&self, name: &str, value: &str) -> Address {
        let mut address = self.clone();
        address.parameters.retain(|(known, _)| known != name);
        if !value.is_empty() {
            address.parameters.push((name.to_owned(), value.to_owned()));
        }
        address
    }

    /// Returns the parameters.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.page)?;
        if self.parameters.is_empty() {
            return Ok(());
        }
        write!(f, "?{}", Serializer::new(String::new()).extend_pairs(&self.parameters).finish())
    }
}

/// Returns the address of the overview of a database.
pub(super) fn of_database(database: &str) -> Address {
    Address::new("./", "").with("db", database)
}

/// Returns the address of the page of a queue.
pub(super) fn of_queue(database: &str, queue: &str) -> Address {
    Address::new("queue", "").with("db", database).with("name", queue)
}

/// Returns the address of the page of a consumer's failed events.
pub(super) fn of_failed_events(database: &str, queue: &str, consumer: &str) -> Address {
    Address::new("failed", "").with("db", database).with("queue", queue).with("consumer", consumer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_is_kept() {
        for name in ["a b+c", "<script>\"'&", "日本 %41", "?#/\\\n"] {
            let address = of_queue("d", name).to_string();
            assert!(address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"?&=%+._-*".contains(&byte)));
            let query = address.strip_prefix("queue?").expect("a query");
            let read = Address::new("queue", query);
            assert_eq!((read.get("db"), read.get("name"), read.get("filter")), ("d", name, ""));
        }
    }

    #[test]
    fn a_parameter_is_replaced_or_removed() {
        let address = Address::new("./", "sort=lag&filter=a&sort=new");
        assert_eq!(address.get("sort"), "lag");
        assert_eq!(address.with("sort", "-lag").to_string(), "./?filter=a&sort=-lag");
        assert_eq!(address.with("filter", "").with("sort", "").to_string(), "./");
    }
}
