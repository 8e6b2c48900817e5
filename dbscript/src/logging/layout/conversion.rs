//! Conversions of a format, such as `%5d`, with the semantics of Python's `%` operator.

/// The value of a record's field.
pub(crate) enum Value<'a> {
    Text(&'a str),
    Integer(i64),
    Real(f64),
}

/// Flags, width, precision and type of a conversion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Conversion {
    left: bool,
    zeros: bool,
    sign: Option<char>,
    width: usize,
    precision: Option<usize>,
    kind: ConversionKind,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum ConversionKind {
    #[default]
    Text,
    Integer,
    Fixed,
}

/// The widest field. A wider one is a mistake that would cost memory with every line.
const MAX_WIDTH: usize = 1000;

impl Conversion {
    /// Parses a conversion at the start of `text`, the text after `%(name)`, and returns the rest.
    pub(crate) fn parse(text: &str) -> Result<(Conversion, &str), String> {
        let mut found = Conversion::default();
        let flags = text.len() - text.trim_start_matches(['-', '0', '+', ' ']).len();
        for flag in text[..flags].chars() {
            match flag {
                '-' => found.left = true,
                '0' => found.zeros = true,
                ' ' => found.sign = found.sign.or(Some(' ')),
                sign => found.sign = Some(sign),
            }
        }
        let (width, mut rest) = number(&text[flags..])?;
        found.width = width.unwrap_or(0);
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after)?;
            found.precision = Some(precision.unwrap_or(0));
            rest = after;
        }
        let mut chars = rest.chars();
        found.kind = match chars.next() {
            Some('s') => ConversionKind::Text,
            Some('d' | 'i' | 'u') => ConversionKind::Integer,
            Some('f' | 'F') => ConversionKind::Fixed,
            Some(other) => return Err(format!("a conversion is one of `s`, `d`, `f`, not `{other}`")),
            None => return Err("a conversion is cut off".to_owned()),
        };
        Ok((found, chars.as_str()))
    }

    pub(crate) fn is_numeric(&self) -> bool {
        self.kind != ConversionKind::Text
    }

    pub(crate) fn render(&self, value: &Value<'_>, out: &mut String) {
        match (self.kind, value) {
            (ConversionKind::Text, Value::Text(text)) => self.text(text, out),
            (ConversionKind::Text, Value::Integer(number)) => self.text(&number.to_string(), out),
            (ConversionKind::Text, Value::Real(number)) => self.text(&format!("{number:?}"), out),
            (_, Value::Text(text)) => self.text(text, out),
            (ConversionKind::Integer, Value::Integer(number)) => self.integer(*number, out),
            (ConversionKind::Integer, Value::Real(number)) => self.integer(*number as i64, out),
            (ConversionKind::Fixed, Value::Integer(number)) => self.fixed(*number as f64, out),
            (ConversionKind::Fixed, Value::Real(number)) => self.fixed(*number, out),
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        let cut = self.precision.and_then(|count| text.char_indices().nth(count)).map(|(at, _)| at);
        self.pad("", &text[..cut.unwrap_or(text.len())], ' ', out);
    }

    fn integer(&self, number: i64, out: &mut String) {
        let digits = format!("{:0>1$}", number.unsigned_abs(), self.precision.unwrap_or(0));
        self.number(number < 0, &digits, out);
    }

    fn fixed(&self, number: f64, out: &mut String) {
        let digits = format!("{:.1$}", number.abs(), self.precision.unwrap_or(6));
        self.number(number < 0.0, &digits, out);
    }

    fn number(&self, negative: bool, digits: &str, out: &mut String) {
        let sign = if negative { Some('-') } else { self.sign };
        let sign = sign.map(String::from).unwrap_or_default();
        self.pad(&sign, digits, if self.zeros { '0' } else { ' ' }, out);
    }

    /// Pads a value: zeros between the sign and the digits, spaces before the sign or after the digits.
    fn pad(&self, sign: &str, text: &str, filler: char, out: &mut String) {
        let missing = self.width.saturating_sub(sign.len() + text.chars().count());
        let padding = std::iter::repeat_n(filler, missing);
        match (self.left, filler) {
            (true, _) => {
                out.push_str(sign);
                out.push_str(text);
                out.extend(std::iter::repeat_n(' ', missing));
            }
            (false, '0') => {
                out.push_str(sign);
                out.extend(padding);
                out.push_str(text);
            }
            (false, _) => {
                out.extend(padding);
                out.push_str(sign);
                out.push_str(text);
            }
        }
    }
}

fn number(text: &str) -> Result<(Option<usize>, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 {
        return Ok((None, text));
    }
    let number = text[..end].parse().ok().filter(|number| *number <= MAX_WIDTH);
    number.map(|number| (Some(number), &text[end..])).ok_or_else(|| format!("`{}` is too wide", &text[..end]))
}
