//! The messages that a logger of a skylog file receives.

use std::cmp::Reverse;

/// The messages that the `qualname` of a logger selects. The loggers of a message are nested: those of its module and
/// of the enclosing modules, those of the job, and the root.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scope {
    /// A module path of Rust code, with all modules in it.
    Module(String),
    /// The whole job: Skytools logs everything under the job's name.
    Job(String),
    Root,
}

impl Scope {
    /// Makes the scope of a `qualname`, which may separate its parts by dots or by `::`.
    pub(super) fn of(qualname: &str, job_name: &str) -> Scope {
        let inner = job_name.strip_prefix(qualname);
        if inner.is_some_and(|inner| inner.is_empty() || inner.starts_with('.')) {
            return Scope::Job(qualname.to_owned());
        }
        Scope::Module(qualname.replace('.', "::"))
    }

    pub(super) fn contains(&self, target: &str) -> bool {
        match self {
            Scope::Module(path) => {
                let inner = target.strip_prefix(path.as_str());
                inner.is_some_and(|inner| inner.is_empty() || inner.starts_with("::"))
            }
            Scope::Job(_) | Scope::Root => true,
        }
    }

    /// Returns the sort key that puts the innermost scope first.
    pub(super) fn order(&self) -> (u8, Reverse<usize>) {
        match self {
            Scope::Module(path) => (0, Reverse(path.len())),
            Scope::Job(name) => (1, Reverse(name.len())),
            Scope::Root => (2, Reverse(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logger_is_for_a_module_or_for_the_job() {
        let check = |qualname, target, expected| {
            assert_eq!(Scope::of(qualname, "my.job").contains(target), expected, "{qualname} {target}");
        };
        check("pgq", "pgq", true);
        check("pgq", "pgq::consumer", true);
        check("pgq.consumer", "pgq::consumer::batch", true);
        check("pgq::consumer", "pgq::consumer", true);
        check("pgq", "pgq_ext", false);
        check("pgq.consumer", "pgq", false);
        check("my.job", "pgq::consumer", true);
        check("my", "pgq::consumer", true);
        check("my.jo", "pgq::consumer", false);
    }

    #[test]
    fn the_innermost_scope_is_first() {
        let names = ["a", "my", "a.b", "my.job"];
        let mut scopes: Vec<Scope> = names.iter().map(|name| Scope::of(name, "my.job")).collect();
        scopes.insert(0, Scope::Root);
        scopes.sort_by_key(Scope::order);
        let job = |name: &str| Scope::Job(name.to_owned());
        let module = |name: &str| Scope::Module(name.to_owned());
        assert_eq!(scopes, [module("a::b"), module("a"), job("my.job"), job("my"), Scope::Root]);
    }
}
