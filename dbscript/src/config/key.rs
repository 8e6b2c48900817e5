//! Keys of the config file: name, default and description. The sample file is made from the keys.

/// A key of the config file.
///
/// Keys are constants, best declared by [`keys!`](crate::keys!): the program reads its values through them, and
/// `--ini` prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub(crate) name: &'static str,
    pub(crate) old_names: &'static [&'static str],
    pub(crate) value: Presence,
    pub(crate) doc: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    Default(&'static str),
}

impl Key {
    /// Makes a key that the file must set.
    pub const fn required(name: &'static str, doc: &'static str) -> Key {
        Key { name, old_names: &[], value: Presence::Required, doc }
    }

    /// Makes a key that the file may omit.
    pub const fn optional(name: &'static str, doc: &'static str) -> Key {
        Key { name, old_names: &[], value: Presence::Optional, doc }
    }

    /// Makes a key with a default, which may contain `%(name)s`.
    pub const fn with_default(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key { name, old_names: &[], value: Presence::Default(default), doc }
    }

    /// Sets former names with which files may still set the key. The present name takes precedence over them.
    pub const fn or_named(mut self, old_names: &'static [&'static str]) -> Key {
        self.old_names = old_names;
        self
    }

    /// Returns the key's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        std::iter::once(self.name).chain(self.old_names.iter().copied())
    }
}

/// Declares keys of the config file, each a constant, and the list of them in the order of the sample file.
///
/// A declaration contains the kind of the key, its name with former names after `|`, its default if the kind is
/// `default`, and a description. The macro appends the default to the description: "Defaults to 60."
///
/// ```
/// use dbscript::{Key, Program};
///
/// dbscript::keys! {
///     /// The keys of the cleaner.
///     pub KEYS;
///
///     TABLE: required("table"), "Table to clean. No default.";
///     LIMIT: optional("limit"), "Rows to delete at a time. Defaults to all.";
///     MAX_AGE: default("max_age" | "age", "60"), "Seconds for which rows stay.";
/// }
///
/// let max_age = Key::with_default("max_age", "60", "Seconds for which rows stay. Defaults to 60.");
/// assert_eq!(KEYS, [TABLE, LIMIT, max_age.or_named(&["age"])]);
/// let program = Program::new("cleaner").keys(KEYS);
/// ```
#[macro_export]
macro_rules! keys {
    (@required $name:literal, $about:literal) => { $crate::Key::required($name, $about) };
    (@optional $name:literal, $about:literal) => { $crate::Key::optional($name, $about) };
    (@default $name:literal, $default:literal, $about:literal) => {
        $crate::Key::with_default($name, $default, concat!($about, " Defaults to ", $default, "."))
    };
    (
        $(#[$list_attribute:meta])* $list_vis:vis $list:ident;
        $(
            $(#[$attribute:meta])* $vis:vis $key:ident:
                $kind:ident($name:literal $(| $other:literal)* $(, $default:literal)?), $about:literal;
        )*
    ) => {
        $(
            $(#[$attribute])*
            $vis const $key: $crate::Key =
                $crate::keys!(@$kind $name, $($default,)? $about).or_named(&[$($other),*]);
        )*
        $(#[$list_attribute])*
        $list_vis const $list: &[$crate::Key] = &[$($key),*];
    };
}
