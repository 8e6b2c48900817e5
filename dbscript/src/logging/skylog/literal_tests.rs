//! Expressions, side by side with Python.

use super::*;
use crate::logging::python::python;

/// Evaluates in the namespace in which `fileConfig` does, and spells what came out without quoting of its
/// own.
const EVALUATE: &str = r#"
import logging, logging.handlers, skytools.skylog, sys
logging.skylog = skytools.skylog
def spell(value):
    if value is sys.stdout: return "stdout"
    if value is sys.stderr: return "stderr"
    if isinstance(value, str): return "'" + value.encode().hex()
    if isinstance(value, (tuple, list)): return "(" + " ".join(map(spell, value)) + ")"
    if isinstance(value, dict): return "{" + " ".join(spell(k) + spell(v) for k, v in value.items()) + "}"
    return repr(int(value) if type(value) is not bool and isinstance(value, int) else value)
for text in sys.argv[1:]:
    print(spell(eval(text.strip(), vars(logging))))
"#;

fn spell(value: &Value) -> String {
    let all = |values: &[Value]| values.iter().map(spell).collect::<Vec<_>>().join(" ");
    let text = |text: &str| format!("'{}", text.bytes().map(|b| format!("{b:02x}")).collect::<String>());
    match value {
        Value::None => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(value) => text(value),
        Value::Tuple(values) => format!("({})", all(values)),
        Value::Dict(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(key, value)| format!("{}{}", text(key), spell(value))).collect();
            format!("{{{}}}", entries.join(" "))
        }
        Value::Stdout => "stdout".to_owned(),
        Value::Stderr => "stderr".to_owned(),
    }
}

#[test]
fn literals_mean_what_they_mean_to_python() {
    let expressions = [
        "()",
        "(sys.stderr,)",
        "( sys.stdout , )",
        "('~/log/x.log', 100*1024*1024, 3)",
        "('a' \"b\" '''c'd''', r'\\d\\'', u'\u{fc}', '\\\\ \\' \\x41 \\101 \\u00fc \\U0001F40D \\q \\n\\t\\0')",
        "\"host=db dbname='log' user='x'\"",
        "(('localhost', handlers.SYSLOG_UDP_PORT), handlers.SysLogHandler.LOG_USER)",
        "('/dev/log', handlers.SysLogHandler.LOG_LOCAL7, handlers.socket.SOCK_DGRAM)",
        "('/dev/log', skylog.SysLogHostnameHandler.LOG_LOCAL0)",
        "('localhost', handlers.DEFAULT_UDP_LOGGING_PORT, handlers.DEFAULT_TCP_LOGGING_PORT)",
        "(None, True, False)",
        "[1, 2]",
        "{'filename': 'x', \"maxBytes\": 10 * 1024, 'delay': True,}",
        "{}",
        "(1,)",
        "1,",
        "((1))",
        "(1, (2, (3,)), [])",
        "-5",
        "-1.5",
        "2 * 3 * -4",
        "0x10",
        "0o17 * 0b11",
        "1_000",
        "10.5",
        ".5",
        "1e3",
        "(\n  'a',\n  1,\n)",
    ];
    let expected = python(EVALUATE, &expressions, "UTC");
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(expected.len(), expressions.len());
    for (expression, expected) in expressions.iter().zip(expected) {
        let value = evaluate(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
        assert_eq!(spell(&value), expected, "{expression}");
    }
}

#[test]
fn an_invalid_value_is_reported_without_showing_strings() {
    let check = |text: &str, expected: &str| {
        let error = evaluate(text).expect_err(text);
        assert!(error.contains(expected) && !error.contains("secret"), "{text}: {error}");
    };
    check("", "cut off");
    check("('secret'", "cut off");
    check("('secret", "not closed");
    check("'secret\\x4'", "no character");
    check("b'secret'", "`b` before it");
    check("(1 2)", "unexpected `2`, characters left: 2");
    check("1)", "unexpected `)`");
    check("(,)", "unexpected `,`");
    check("'secret' * 2", "integers only");
    check("1.5 * 2", "integers only");
    check("9223372036854775807 * 2", "too large");
    check("1 + 2", "unexpected `+`");
    check("'secret' + 'b'", "unexpected `+`");
    check("2 ** 3", "unexpected `*`");
    check("99999999999999999999", "is no number");
    check("sys.exit", "`sys.exit` is not supported");
    check("handlers.SysLogHandler.LOG_SECRET", "is not supported");
    check("os.path.expanduser('secret')", "`os.path.expanduser(…)` is a call");
    check("{'a' 1}", "unexpected `1`");
    check("{1: 2}", "unexpected `1`");
    check(&"(".repeat(1000), "nested too deeply");
    check(&"-".repeat(1000), "is no number");
}
