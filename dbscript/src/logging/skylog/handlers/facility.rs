//! Facilities of syslog.

/// The names of Python's handler, each at the index of its number.
const NAMES: [&str; 24] = [
    "kern",
    "user",
    "mail",
    "daemon",
    "auth",
    "syslog",
    "lpr",
    "news",
    "uucp",
    "cron",
    "authpriv",
    "ftp",
    "ntp",
    "security",
    "console",
    "solaris-cron",
    "local0",
    "local1",
    "local2",
    "local3",
    "local4",
    "local5",
    "local6",
    "local7",
];

/// A syslog facility. Defaults to `user`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Facility(u8);

impl Facility {
    /// Returns the facility of a number from 0 to 23.
    pub(crate) fn from_number(number: i64) -> Option<Facility> {
        let number = u8::try_from(number).ok()?;
        (usize::from(number) < NAMES.len()).then_some(Facility(number))
    }

    /// Returns the facility of a name such as `local0`.
    pub(crate) fn from_name(name: &str) -> Option<Facility> {
        let number = NAMES.iter().position(|facility| *facility == name)?;
        u8::try_from(number).ok().map(Facility)
    }

    /// Returns the facility of a constant in Python, such as `LOG_LOCAL0`.
    pub(crate) fn from_constant(name: &str) -> Option<Facility> {
        match name.strip_prefix("LOG_")? {
            "SOLCRON" => Facility::from_name("solaris-cron"),
            name if name.chars().any(|c| c.is_ascii_lowercase() || c == '-') => None,
            name => Facility::from_name(&name.to_ascii_lowercase()),
        }
    }

    /// Returns the number, from 0 to 23.
    pub(crate) fn number(self) -> i64 {
        i64::from(self.0)
    }

    /// Returns the priority of a message with this facility and a severity.
    pub(crate) fn priority(self, severity: u8) -> u8 {
        self.0 << 3 | severity
    }
}

impl Default for Facility {
    fn default() -> Facility {
        Facility(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_python() {
        let check = |name, constant, number| {
            let facility = Facility::from_number(number);
            assert_eq!(facility.map(Facility::number), Some(number));
            assert_eq!(Facility::from_name(name), facility, "{name}");
            assert_eq!(Facility::from_constant(constant), facility, "{constant}");
        };
        check("user", "LOG_USER", 1);
        check("daemon", "LOG_DAEMON", 3);
        check("solaris-cron", "LOG_SOLCRON", 15);
        check("local7", "LOG_LOCAL7", 23);
        for number in [-1, 24, 1 << 32] {
            assert_eq!(Facility::from_number(number), None, "{number}");
        }
        for name in ["LOCAL7", "LOG_LOCAL7", ""] {
            assert_eq!(Facility::from_name(name), None, "{name}");
        }
        for name in ["LOG_local7", "LOCAL7", "LOG_SOLARIS-CRON", "LOG_INFO"] {
            assert_eq!(Facility::from_constant(name), None, "{name}");
        }
        assert_eq!(Facility::default().priority(6), 14);
        assert_eq!(Facility(23).priority(7), 191);
    }
}
