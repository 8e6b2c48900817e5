//! `%(name)s` in values.

/// How deep values may refer to values that refer to values.
const MAX_DEPTH: usize = 10;

/// Replaces every `%(name)s` in `text` by the value that `lookup` finds, recursively, and `%%` by `%`.
///
/// # Errors
///
/// A message that tells what is wrong: an unknown name, a loop, a stray `%`.
pub(crate) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    expand_at(text, lookup, 1)
}

fn expand_at(text: &str, lookup: &dyn Fn(&str) -> Option<String>, depth: usize) -> Result<String, String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            result.push('%');
            rest = after;
            continue;
        }
        let (name, after) = reference(rest)?;
        if depth > MAX_DEPTH {
            return Err(format!("`%({name})s` refers to itself, or lies more than {MAX_DEPTH} values deep"));
        }
        let value = lookup(&name.to_lowercase()).ok_or_else(|| format!("`%({name})s` is not set"))?;
        result.push_str(&expand_at(&value, lookup, depth + 1)?);
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

/// Splits what follows a percent sign into the name and what comes after the reference.
fn reference(text: &str) -> Result<(&str, &str), String> {
    text.strip_prefix('(')
        .and_then(|text| text.split_once(')'))
        .and_then(|(name, after)| Some((name, after.strip_prefix('s')?)))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| "a `%` must be followed by `%` or `(name)s`".to_owned())
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
    }

    #[test]
    fn what_cannot_be_replaced_is_named() {
        check_error("%(nope)s", "`%(nope)s` is not set");
        check_error("%(loop)s", "refers to itself");
        for stray in ["100%", "%s", "%(job_name)", "%(job_name)d", "%()s", "%(broken)s"] {
            check_error(stray, "a `%` must be followed by");
        }
    }

    #[test]
    fn references_are_listed() {
        assert_eq!(references("%(A)s %% %(b)s %(c").collect::<Vec<_>>(), ["a", "b"]);
    }
}
