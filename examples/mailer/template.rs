//! Templates, filled with the fields of an event.

use pgq::payload::Fields;

/// A text with placeholders such as `{firstname}`. `{{` and `}}` are literal braces.
#[derive(Debug)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Field(String),
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// The line of an unbalanced brace or an empty placeholder.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let (mut parts, mut literal, mut at) = (Vec::new(), String::new(), 0);
        while let Some(brace) = text[at..].find(['{', '}']).map(|found| at + found) {
            literal.push_str(&text[at..brace]);
            let rest = &text[brace..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                at = brace + 2;
                continue;
            }
            let name = field(rest).ok_or_else(|| {
                let line = text[..brace].matches('\n').count() + 1;
                format!("line {line}: unbalanced `{0}`; write a literal brace as `{0}{0}`", &rest[..1])
            })?;
            parts.push(Part::Text(std::mem::take(&mut literal)));
            parts.push(Part::Field(name.to_owned()));
            at = brace + name.len() + 2;
        }
        literal.push_str(&text[at..]);
        parts.push(Part::Text(literal));
        Ok(Template(parts))
    }

    /// Fills the placeholders. A NULL field is an empty text.
    ///
    /// # Errors
    ///
    /// When the event lacks a field.
    pub(crate) fn fill(&self, fields: &Fields<'_>) -> Result<String, String> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Field(name) => {
                    let field = fields.get(name).ok_or_else(|| format!("the event has no field `{name}`"))?;
                    filled.push_str(field.unwrap_or_default());
                }
            }
        }
        Ok(filled)
    }
}

/// Returns the name of the placeholder at the start of a text.
fn field(text: &str) -> Option<&str> {
    let name = &text.strip_prefix('{')?[..text.find('}')?.checked_sub(1)?];
    (!name.is_empty() && !name.contains(['{', '\n'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(template: &str, expected: Result<&str, &str>) {
        let fields = Fields::from_iter([("name", Some("{x}")), ("gone", None), ("größe", Some("7"))]);
        let filled = Template::parse(template).and_then(|template| template.fill(&fields));
        assert_eq!(filled.as_deref().map_err(String::as_str), expected, "{template}");
    }

    #[test]
    fn placeholders_are_filled_once() {
        check("", Ok(""));
        check("Hi {name}, {gone}{größe}!", Ok("Hi {x}, 7!"));
        check("{{name}} {{{name}}} }}{{", Ok("{name} {{x}} }{"));
        check("{nobody}", Err("the event has no field `nobody`"));
    }

    #[test]
    fn unbalanced_braces_are_reported_with_their_line() {
        let single = |line: usize, brace: char| {
            format!("line {line}: unbalanced `{brace}`; write a literal brace as `{brace}{brace}`")
        };
        check("a\nb {", Err(&single(2, '{')));
        check("a }", Err(&single(1, '}')));
        check("{}", Err(&single(1, '{')));
        check("{a{b}", Err(&single(1, '{')));
        check("{a\n}", Err(&single(1, '{')));
    }
}
