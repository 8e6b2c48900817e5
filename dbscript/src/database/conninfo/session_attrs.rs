//! The required kind of session, `target_session_attrs`.

use super::options::Options;
use crate::error::Error;

/// The required kind of session (`target_session_attrs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionAttrs {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl SessionAttrs {
    /// Reads the keyword. Defaults to `any`.
    pub(super) fn read(options: &Options) -> Result<SessionAttrs, Error> {
        let choices = [
            ("any", SessionAttrs::Any),
            ("read-write", SessionAttrs::ReadWrite),
            ("read-only", SessionAttrs::ReadOnly),
            ("primary", SessionAttrs::Primary),
            ("standby", SessionAttrs::Standby),
            ("prefer-standby", SessionAttrs::PreferStandby),
        ];
        Ok(options.choice("target_session_attrs", &choices)?.unwrap_or(SessionAttrs::Any))
    }
}
