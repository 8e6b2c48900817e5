//! References to other values in values: `%(name)s`, or `${name}` and `${section:name}`.

/// The deepest nesting of references. The text itself is the first level.
const MAX_DEPTH: usize = 10;

/// The largest sum of all replacements in one value, in bytes (DESIGN.md, D79).
const MAX_WORK: usize = 1 << 20;

/// The syntax of a reference, and of the sign that begins a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// `%(name)s` and `%%`.
    Percent,
    /// `${name}`, `${section:name}` and `$$`.
    Dollar,
}

/// The target of a reference: a value of its own section, or of another.
struct Reference<'a> {
    section: Option<&'a str>,
    name: &'a str,
    /// The reference itself, as the file contains it.
    text: &'a str,
}

impl Syntax {
    fn sign(self) -> char {
        match self {
            Syntax::Percent => '%',
            Syntax::Dollar => '$',
        }
    }

    /// Escapes a text, so that its expansion is the text itself.
    pub(crate) fn quote(self, text: &str) -> String {
        text.replace(self.sign(), &self.sign().to_string().repeat(2))
    }

    /// Parses the reference at the start of a text, and returns it with the text after it.
    fn reference(self, text: &str) -> Option<(Reference<'_>, &str)> {
        let (open, close) = if self == Syntax::Percent { ("%(", ")s") } else { ("${", "}") };
        let inner = text.strip_prefix(open)?;
        let end = inner.find(&close[..1]).filter(|end| *end > 0)?;
        let after = inner[end..].strip_prefix(close)?;
        let text = &text[..text.len() - after.len()];
        let (section, name) = match inner[..end].split_once(':').filter(|_| self == Syntax::Dollar) {
            Some((section, name)) => (Some(section), name),
            None => (None, &inner[..end]),
        };
        (section.is_none() || !name.contains(':')).then_some((Reference { section, name, text }, after))
    }

    fn stray(self) -> String {
        let expected = match self {
            Syntax::Percent => "a `%` must be followed by `%` or `(name)s`; `%%` is one percent sign",
            Syntax::Dollar => {
                "a `$` must be followed by `$`, `{name}` or `{section:name}`; `$$` is one dollar sign"
            }
        };
        expected.to_owned()
    }
}

/// Returns the value of a name in lower case, in the given section or, without one, in the section of the text.
pub(crate) type Lookup<'a> = &'a dyn Fn(Option<&str>, &str) -> Option<String>;

/// Replaces every `%(name)s` in `text` by the value that `lookup` finds, recursively, and `%%` by `%`.
///
/// # Errors
///
/// A message that names the mistake: an unknown name, a loop, a stray `%`.
#[cfg(any(test, feature = "skylog"))]
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    expand_as(Syntax::Percent, text, Syntax::Percent, &|_, name| lookup(name))
}

/// As [`expand`], for a text in one syntax and values in another.
pub(crate) fn expand_as(
    syntax: Syntax,
    text: &str,
    values: Syntax,
    lookup: Lookup<'_>,
) -> Result<String, String> {
    let mut expansion = Expansion { lookup, values, result: String::with_capacity(text.len()), work: 0 };
    expansion.append(syntax, None, text, 1)?;
    Ok(expansion.result)
}

struct Expansion<'a> {
    lookup: Lookup<'a>,
    /// The syntax of the values that `lookup` returns.
    values: Syntax,
    result: String,
    work: usize,
}

impl Expansion<'_> {
    /// Appends a text of a section, with its references replaced.
    fn append(
        &mut self,
        syntax: Syntax,
        section: Option<&str>,
        text: &str,
        depth: usize,
    ) -> Result<(), String> {
        let mut rest = text;
        while let Some(at) = rest.find(syntax.sign()) {
            self.result.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest[1..].strip_prefix(syntax.sign()) {
                self.result.push(syntax.sign());
                rest = after;
                continue;
            }
            let (reference, after) = syntax.reference(rest).ok_or_else(|| syntax.stray())?;
            self.replace(&reference, section, depth)?;
            rest = after;
        }
        self.result.push_str(rest);
        Ok(())
    }

    fn replace(
        &mut self,
        reference: &Reference<'_>,
        section: Option<&str>,
        depth: usize,
    ) -> Result<(), String> {
        let (text, section) = (reference.text, reference.section.or(section));
        let value = (self.lookup)(section, &reference.name.to_lowercase());
        let value = value.ok_or_else(|| format!("`{text}` is not set"))?;
        self.work += value.len() + 1;
        if self.work > MAX_WORK {
            return Err(format!("`{text}` makes the value too long"));
        }
        if !value.contains(self.values.sign()) {
            self.result.push_str(&value);
            return Ok(());
        }
        if depth == MAX_DEPTH {
            return Err(format!("`{text}` refers to itself, or is nested more than {MAX_DEPTH} values deep"));
        }
        self.append(self.values, section, &value, depth + 1)
    }
}

/// Returns the names that `text` refers to, in any section.
pub(crate) fn references(syntax: Syntax, text: &str) -> impl Iterator<Item = String> + '_ {
    let found = text.match_indices(syntax.sign()).filter_map(move |(at, _)| syntax.reference(&text[at..]));
    found.map(|(reference, _)| reference.name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "job_name" => "mover",
            "dir" => "/var/%(job_name)s",
            "loop" => "%(loop)s",
            "broken" => "100%",
            "percent" => "%%",
            "empty" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(expand(text, &lookup).as_deref(), Ok(expected), "{text}");
    }

    fn check_error(text: &str, expected: &str) {
        let error = expand(text, &lookup).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn references_are_replaced_recursively() {
        check("log/%(job_name)s.pid", "log/mover.pid");
        check("%(dir)s/%(JOB_NAME)s", "/var/mover/mover");
        check("100%%", "100%");
        check("%%(job_name)s", "%(job_name)s");
        check("", "");
        check("%(percent)s%(empty)s", "%");
    }

    #[test]
    fn irreplaceable_objects_are_named() {
        check_error("%(nope)s", "`%(nope)s` is not set");
        check_error("%(loop)s", "refers to itself");
        for stray in ["100%", "%s", "%(job_name)", "%(job_name)d", "%()s", "%(broken)s"] {
            check_error(stray, "a `%` must be followed by");
        }
    }

    /// Expands `%(v1)s`, where each value refers to the next and the one of number `last` is `end`.
    fn chain(last: usize, end: &'static str) -> Result<String, String> {
        expand("%(v1)s", &move |name| {
            let at: usize = name[1..].parse().expect("a number");
            Some(if at == last { end.to_owned() } else { format!("%(v{})s", at + 1) })
        })
    }

    #[test]
    fn ten_values_deep_is_deep_enough() {
        assert_eq!(chain(10, "end").as_deref(), Ok("end"));
        assert_eq!(chain(9, "%%").as_deref(), Ok("%"));
        for end in ["%%", "%(v11)s"] {
            assert!(chain(10, end).expect_err(end).contains("more than 10 values deep"));
        }
    }

    #[test]
    fn endless_settings_are_refused() {
        for end in ["", "end"] {
            let many = |name: &str| match name {
                "v9" => Some(end.to_owned()),
                _ => Some(format!("%(v{0})s", name[1..].parse::<usize>().ok()? + 1).repeat(100)),
            };
            assert!(expand("%(v1)s", &many).expect_err(end).contains("too long"));
        }
    }

    #[test]
    fn references_are_listed() {
        let found = |syntax, text: &str| references(syntax, text).collect::<Vec<_>>();
        assert_eq!(found(Syntax::Percent, "%(A)s %% %(b)s %(c ${d}"), ["a", "b"]);
        assert_eq!(found(Syntax::Dollar, "${A} $$ ${s:B} ${c %(d)s"), ["a", "b"]);
    }

    #[test]
    fn dollars_refer_to_sections_too() {
        let lookup = |section: Option<&str>, name: &str| {
            let value = match (section, name) {
                (None, "a") => "A",
                (None, "both") => "${a}-${other:deep}",
                (Some("other"), "deep") => "<${a}>",
                (Some("other"), "a") => "$$B",
                (_, "loop") => "${loop}",
                _ => return None,
            };
            Some(value.to_owned())
        };
        let check = |text: &str, expected: Result<&str, &str>| {
            let found = expand_as(Syntax::Dollar, text, Syntax::Dollar, &lookup);
            match expected {
                Ok(expected) => assert_eq!(found.as_deref(), Ok(expected), "{text}"),
                Err(expected) => assert!(found.as_ref().is_err_and(|e| e.contains(expected)), "{found:?}"),
            }
        };
        check("${A} 100% %(a)s $$ ${both}", Ok("A 100% %(a)s $ A-<$B>"));
        check("${other:A}", Ok("$B"));
        check("${nope}", Err("`${nope}` is not set"));
        check("${none:a}", Err("`${none:a}` is not set"));
        check("${loop}", Err("refers to itself"));
        for stray in ["$", "$a", "${", "${}", "${a", "$(a)", "${x:y:z}", "a$"] {
            check(stray, Err("a `$` must be followed by"));
        }
        let mixed = expand_as(Syntax::Percent, "%(both)s/$x", Syntax::Dollar, &lookup);
        assert_eq!(mixed.as_deref(), Ok("A-<$B>/$x"));
    }
}
