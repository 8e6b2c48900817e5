//! Figures that have an aim.

use crate::json::Json;

/// A figure beside the aim.
pub(crate) struct Aim {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) figure: f64,
    pub(crate) bound: Bound,
}

/// The limit of a figure.
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    fn is_missed(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.figure < least,
            Bound::AtMost(most) => self.figure > most,
        }
    }

    /// Returns the JSON form.
    pub(crate) fn to_json(&self) -> Json {
        let (bound, aim) = match self.bound {
            Bound::AtLeast(least) => ("at_least", least),
            Bound::AtMost(most) => ("at_most", most),
        };
        Json::object([
            ("name", Json::text(&self.name)),
            ("unit", Json::text(self.unit)),
            ("figure", Json::Number(self.figure)),
            (bound, Json::Number(aim)),
            ("missed", Json::Boolean(self.is_missed())),
        ])
    }
}

/// Returns figures and aims as a table.
pub(crate) fn table(title: &str, aims: &[Aim]) -> String {
    let mut lines = vec![title.to_owned()];
    lines.extend(aims.iter().map(|aim| {
        let bound = match aim.bound {
            Bound::AtLeast(least) => format!("at least {least}"),
            Bound::AtMost(most) => format!("at most {most}"),
        };
        let missed = if aim.is_missed() { "  missed" } else { "" };
        format!("  {:<66} {:>10.2} {:<8} {bound:>16}{missed}", aim.name, aim.figure, aim.unit)
    }));
    lines.join("\n") + "\n"
}
