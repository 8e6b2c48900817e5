//! One key of the config file: its name, default and meaning, from which the sample file is made too.

/// A key of the config file.
///
/// Keys are constants: the program reads its values through them, and `--ini` prints them. A `*` in a name stands
/// for any text; such a key is read with [`Config::wildcard`](crate::Config::wildcard).
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

    /// Makes a key that the file may leave out.
    pub const fn optional(name: &'static str, doc: &'static str) -> Key {
        Key { name, old_names: &[], value: Presence::Optional, doc }
    }

    /// Makes a key with a default, which may hold `%(name)s`.
    pub const fn with_default(name: &'static str, default: &'static str, doc: &'static str) -> Key {
        Key { name, old_names: &[], value: Presence::Default(default), doc }
    }

    /// Sets further names under which files may set the key; the proper name wins over them.
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
