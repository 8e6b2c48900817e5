//! The syntax of INI files, as Python's `ConfigParser` reads them.

use std::collections::BTreeMap;

use configparser::ini::Ini;

/// The section under which the parser files what stands before any header.
const NO_SECTION: &str = "\0";

/// Sections by name, and in each the values by key, in lower case, before `%(name)s` is replaced.
pub(crate) type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// Reads a file's text.
///
/// # Errors
///
/// A message that names line, section or key.
pub(crate) fn read(text: &str) -> Result<Sections, String> {
    let mut syntax = Ini::new_cs().defaults();
    syntax.default_section = NO_SECTION.to_owned();
    syntax.comment_symbols = vec!['#', ';'];
    syntax.enable_inline_comments = false;
    syntax.multiline = true;
    let parsed =
        Ini::new_from_defaults(syntax).read(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned())?;
    let mut sections = BTreeMap::new();
    for (section, keys) in parsed {
        if section == NO_SECTION {
            let first = keys.keys().min().cloned().unwrap_or_default();
            return Err(format!("`{first}` stands before any [section]"));
        }
        let mut values = BTreeMap::new();
        for (key, value) in keys {
            let value = value.ok_or_else(|| format!("section [{section}]: `{key}` has no value"))?;
            values.insert(key.to_lowercase(), value);
        }
        sections.insert(section, values);
    }
    Ok(sections)
}
