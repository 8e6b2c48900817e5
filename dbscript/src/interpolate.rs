//! `%(name)s` in values.

/// How deep values may refer to values that refer to values: the text itself is the first.
const MAX_DEPTH: usize = 10;

/// How many characters all replacements of one value may add up to. A few lines can ask for billions of them.
const MAX_WORK: usize = 1 << 20;

/// Replaces every `%(name)s` in `text` by the value that `lookup` finds, recursively, and `%%` by `%`.
///
/// # Errors
///
/// A message that tells what is wrong: an unknown name, a loop, a stray `%`.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expansion = Expansion { lookup, result: String::with_capacity(text.len()), work: 0 };
    expansion.append(text, 1)?;
    Ok(expansion.result)
}

struct Expansion<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    result: String,
    work: usize,
}

impl Expansion<'_> {
    fn append(&mut self, text: &str, depth: usize) -> Result<(), String> {
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            self.result.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                self.result.push('%');
                rest = after;
                continue;
            }
            let (name, after) = reference(rest)?;
            self.replace(name, depth)?;
            rest = after;
        }
        self.result.push_str(rest);
        Ok(())
    }

    fn replace(&mut self, name: &str, depth: usize) -> Result<(), String> {
        let value = (self.lookup)(&name.to_lowercase()).ok_or_else(|| format!("`%({name})s` is not set"))?;
        self.work += value.len() + 1;
        if self.work > MAX_WORK {
            return Err(format!("`%({name})s` makes the value too long"));
        }
        if !value.contains('%') {
            self.result.push_str(&value);
            return Ok(());
        }
        if depth == MAX_DEPTH {
            return Err(format!("`%({name})s` refers to itself, or lies more than {MAX_DEPTH} values deep"));
        }
        self.append(&value, depth + 1)
    }
}

/// Splits what follows a percent sign into the name and what comes after the reference.
fn reference(text: &str) -> Result<(&str, &str), String> {
    text.strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .and_then(|(name, after)| Some((name, after.strip_prefix('s')?)))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| "a `%` must be followed by `%` or `(name)s`; `%%` is one percent sign".to_owned())
}

/// Returns the names that `text` refers to.
pub(crate) fn references(text: &str) -> impl Iterator<Item = String> + '_ {
    text.match_indices("%(")
        .filter_map(|(at, _)| text[at + 2..].split_once(")s"))
        .map(|(name, _)| name.to_lowercase())
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
    fn what_cannot_be_replaced_is_named() {
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
    fn what_would_never_end_is_refused() {
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
        assert_eq!(references("%(A)s %% %(b)s %(c").collect::<Vec<_>>(), ["a", "b"]);
    }
}
