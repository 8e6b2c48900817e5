//! Arguments of a handler's class, positional and by keyword.

use std::path::PathBuf;

use super::literal;
use super::value::Value;
use crate::config::expand_home;
use crate::error::Error;

/// The values that `args` and `kwargs` give to the parameters of a class.
pub(super) struct Arguments {
    values: Vec<(&'static str, Value)>,
}

impl Arguments {
    /// Evaluates `args` and `kwargs` for a class with these parameters.
    ///
    /// # Errors
    ///
    /// Fails with the invalid key and the reason.
    pub(super) fn read(
        args: &str,
        kwargs: &str,
        parameters: &'static [&'static str],
    ) -> Result<Arguments, (&'static str, String)> {
        let mut values = positional(args, parameters).map_err(|what| ("args", what))?;
        named(kwargs, parameters, &mut values).map_err(|what| ("kwargs", what))?;
        Ok(Arguments { values })
    }

    /// Returns an argument; Python's `None` counts as not given.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let found = self.values.iter().find(|(parameter, _)| *parameter == name);
        found.map(|(_, value)| value).filter(|value| **value != Value::None)
    }

    /// Returns a string.
    ///
    /// # Errors
    ///
    /// A usage error with the argument's name if it is missing or not a string.
    pub(super) fn text(&self, name: &str) -> Result<&str, Error> {
        self.text_opt(name)?.ok_or_else(|| wrong(name, "is missing"))
    }

    /// Returns a string, or `None` if it is not given.
    ///
    /// # Errors
    ///
    /// A usage error with the argument's name if it is not a string.
    pub(super) fn text_opt(&self, name: &str) -> Result<Option<&str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(name, "must be a string")),
        }
    }

    /// Returns a path, with the home folder in place of a leading `~`.
    ///
    /// # Errors
    ///
    /// Fails as [`text`](Arguments::text) does, and if the home folder is not defined.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.text(name)?;
        expand_home(path).ok_or_else(|| wrong(name, "names a home folder that does not exist"))
    }

    /// Returns a whole number, or `default` if it is not given.
    ///
    /// # Errors
    ///
    /// A usage error with the argument's name if it is not a number or out of range.
    pub(super) fn number<T: TryFrom<i64>>(&self, name: &str, default: T) -> Result<T, Error> {
        match self.get(name) {
            None => Ok(default),
            Some(Value::Int(number)) => {
                T::try_from(*number).map_err(|_| wrong(name, &format!("cannot be {number}")))
            }
            Some(_) => Err(wrong(name, "must be a whole number")),
        }
    }

    /// Returns a boolean. Defaults to false.
    ///
    /// # Errors
    ///
    /// A usage error with the argument's name if it is neither true nor false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Error> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::Int(number)) => Ok(*number != 0),
            Some(_) => Err(wrong(name, "must be True or False")),
        }
    }
}

/// Makes the error of an argument.
pub(super) fn wrong(name: &str, what: &str) -> Error {
    Error::usage(format!("argument `{name}` {what}"))
}

fn positional(args: &str, parameters: &'static [&'static str]) -> Result<Vec<(&'static str, Value)>, String> {
    let Value::Tuple(values) = literal::evaluate(args)? else {
        return Err("it must be a tuple: (…,)".to_owned());
    };
    if values.len() > parameters.len() {
        return Err(format!(
            "{} arguments are more than the {} of the class",
            values.len(),
            parameters.len()
        ));
    }
    Ok(parameters.iter().copied().zip(values).collect())
}

fn named(
    kwargs: &str,
    parameters: &'static [&'static str],
    values: &mut Vec<(&'static str, Value)>,
) -> Result<(), String> {
    let Value::Dict(entries) = literal::evaluate(kwargs)? else {
        return Err("it must be a dictionary: {…}".to_owned());
    };
    for (name, value) in entries {
        let parameter = parameters.iter().find(|parameter| **parameter == name);
        let parameter = parameter.ok_or_else(|| format!("the class has no argument `{name}`"))?;
        if values.iter().any(|(given, _)| given == parameter) {
            return Err(format!("argument `{name}` is given twice"));
        }
        values.push((parameter, value));
    }
    Ok(())
}
