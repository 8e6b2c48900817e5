//! The trigger functions that this project wrote, against those of the extension: the same tables, triggers and
//! statements on both, and every event and every error compared.

mod arguments;
mod generated;
mod pair;
mod sessions;
mod tables;
mod types;

use self::pair::Pair;

/// The functions, which take the same arguments.
const FUNCTIONS: [&str; 3] = ["logutriga", "sqltriga", "jsontriga"];
