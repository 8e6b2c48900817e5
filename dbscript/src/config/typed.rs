//! Values as numbers, booleans, durations, paths, lists and sizes.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use nix::unistd::User;

use super::Config;
use crate::config::ini;
use crate::config::key::{Key, Presence};
use crate::error::Error;

impl Config {
    /// Returns a number, or any other type that parses from a string.
    ///
    /// As in Python, white space around the value is ignored, and digits may be grouped: `1_000`.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does, and if the value does not parse.
    pub fn parsed<T: FromStr>(&self, key: &Key) -> Result<T, Error> {
        let value = self.get(key)?;
        let text = ini::strip(&value);
        let parsed = text.parse().or_else(|_| ungrouped(text).parse());
        parsed.map_err(|_| match number::<T>() {
            Some(expected) => self.must_be(key, &value, expected),
            None => self.invalid(key, &value),
        })
    }

    /// Returns a number, or `None` if the key is not set and has no default.
    ///
    /// # Errors
    ///
    /// Fails as [`parsed`](Config::parsed) does.
    pub fn parsed_opt<T: FromStr>(&self, key: &Key) -> Result<Option<T>, Error> {
        match self.get_opt(key)? {
            Some(_) => self.parsed(key).map(Some),
            None => Ok(None),
        }
    }

    /// Returns a boolean: `1`, `yes`, `true`, `on` or `0`, `no`, `false`, `off`, in upper or lower case.
    ///
    /// # Errors
    ///
    /// Fails as [`parsed`](Config::parsed) does.
    pub fn boolean(&self, key: &Key) -> Result<bool, Error> {
        let value = self.get(key)?;
        match value.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(self.must_be(key, &value, "one of 1, 0, yes, no, true, false, on, off")),
        }
    }

    /// Returns a duration, which the value gives in seconds with an optional fraction.
    ///
    /// # Errors
    ///
    /// Fails as [`parsed`](Config::parsed) does, and if the value is negative or too large for a [`Duration`].
    pub fn seconds(&self, key: &Key) -> Result<Duration, Error> {
        let value = self.get(key)?;
        let seconds = self.parsed(key).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.ok_or_else(|| self.must_be(key, &value, "a number of seconds, 0 or more"))
    }

    /// Returns a size in bytes: `1`, `2 B`, `3K`, `4 MB`, up to `YB`, in upper or lower case. A K is 1024 bytes.
    ///
    /// Skytools: `getbytes`.
    ///
    /// # Errors
    ///
    /// Fails as [`parsed`](Config::parsed) does, and if the size exceeds 64 bits.
    pub fn size(&self, key: &Key) -> Result<u64, Error> {
        let value = self.get(key)?;
        size(ini::strip(&value)).ok_or_else(|| self.must_be(key, &value, "a size such as 4096 or 10M"))
    }

    /// Returns the items of a list separated by commas, without the white space around them. An empty value, and a key
    /// that is not set, are an empty list.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does.
    pub fn list(&self, key: &Key) -> Result<Vec<String>, Error> {
        let value = match key.value {
            Presence::Required => self.get(key)?,
            Presence::Optional | Presence::Default(_) => self.get_opt(key)?.unwrap_or_default(),
        };
        let items = ini::strip(&value).split(',').filter(|_| !ini::strip(&value).is_empty());
        Ok(items.map(|item| ini::strip(item).to_owned()).collect())
    }

    /// Returns a path, with the home folder in place of a leading `~` or `~user`. Returns `None` if the key is not set
    /// or empty.
    ///
    /// # Errors
    ///
    /// Fails as [`get`](Config::get) does, and if the user does not exist.
    pub fn file(&self, key: &Key) -> Result<Option<PathBuf>, Error> {
        match self.get_opt(key)? {
            Some(path) if !path.is_empty() => {
                expand_home(&path).map(Some).ok_or_else(|| self.invalid(key, &path))
            }
            _ => Ok(None),
        }
    }
}

/// Removes each underscore that stands between two digits.
fn ungrouped(number: &str) -> String {
    let is_digit =
        |at: Option<usize>| at.and_then(|at| number.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let groups = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    number.char_indices().filter(|(at, c)| *c != '_' || !groups(*at)).map(|(_, c)| c).collect()
}

/// Describes the values of a numeric type.
fn number<T>() -> Option<&'static str> {
    let name = std::any::type_name::<T>();
    match name.bytes().next().filter(|_| name[1..].bytes().all(|digit| digit.is_ascii_digit()))? {
        b'u' => Some("a whole number, 0 or more"),
        b'i' => Some("a whole number"),
        b'f' => Some("a number"),
        _ => None,
    }
}

fn size(text: &str) -> Option<u64> {
    const UNITS: &str = "KMGTPEZY";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u128 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start_matches(' ').to_ascii_uppercase();
    let unit = unit.strip_suffix('B').unwrap_or(&unit);
    let power = if unit.is_empty() { 0 } else { UNITS.find(unit).filter(|_| unit.len() == 1)? + 1 };
    let factor = 1024_u128.checked_pow(u32::try_from(power).ok()?)?;
    number.checked_mul(factor)?.try_into().ok()
}

pub(crate) fn expand_home(path: &str) -> Option<PathBuf> {
    let Some(rest) = path.strip_prefix('~') else {
        return Some(PathBuf::from(path));
    };
    let (user, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let home =
        if user.is_empty() { std::env::home_dir()? } else { User::from_name(user).ok().flatten()?.dir };
    // An absolute path would replace the folder instead of being joined to it.
    let rest = rest.trim_start_matches('/');
    Some(if rest.is_empty() { home } else { home.join(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = [
            ("1", 1),
            ("2 B", 2),
            ("3K", 3 << 10),
            ("4 kB", 4 << 10),
            ("10M", 10 << 20),
            ("007  mb", 7 << 20),
            ("15E", 15 << 60),
            ("0Y", 0),
        ];
        for (text, expected) in sizes {
            assert_eq!(size(text), Some(expected), "{text}");
        }
        for text in
            ["", "K", "1.5K", "-1", "+1", "1\tK", "1KiB", "1KK", "1 K B", "1BB", "1KM", "16E", "1Y", "1_0"]
        {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn digits_may_be_grouped() {
        assert_eq!(ungrouped("1_000_0"), "10000");
        for wrong in ["_1", "1_", "1__0", "1_.0", "a_1"] {
            assert_eq!(ungrouped(wrong), wrong);
        }
    }

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().expect("a home folder");
        for (path, expected) in [
            ("~", home.clone()),
            ("~/", home.clone()),
            ("~/log//x", home.join("log/x")),
            ("~//x", home.join("x")),
        ] {
            assert_eq!(expand_home(path), Some(expected), "{path}");
        }
        let root = User::from_name("root").expect("known").expect("known").dir;
        assert_eq!(expand_home("~root/x"), Some(root.join("x")));
        assert_eq!(expand_home("~nobody-of-that-name/x"), None);
        for path in ["-", "x/~", "/x"] {
            assert_eq!(expand_home(path), Some(PathBuf::from(path)));
        }
    }
}
