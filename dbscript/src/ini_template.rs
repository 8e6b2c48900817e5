//! The sample config file that `--ini` prints, made from the keys.

use std::fmt::Write;

use crate::key::{Key, Presence};

const WIDTH: usize = 76;

/// Renders a file that sets every key of `keys`: with its default, commented out where it has none, and
/// empty where the file must set it. Values in `set` are filled in.
pub(crate) fn render(section: &str, keys: &[Key], set: &[(String, String)]) -> String {
    let mut text = format!("[{section}]\n");
    for key in keys {
        text.push('\n');
        for line in wrap(key.doc) {
            let _ = writeln!(text, "# {line}");
        }
        let given =
            set.iter().rev().find(|(name, _)| key.names().any(|known| known.eq_ignore_ascii_case(name)));
        let _ = match (given, key.value) {
            (Some((_, value)), _) => writeln!(text, "{} = {value}", key.name),
            (None, Presence::Default(value)) => writeln!(text, "{} = {value}", key.name),
            (None, Presence::Required) => writeln!(text, "{} =", key.name),
            (None, Presence::Optional) => writeln!(text, "#{} =", key.name),
        };
    }
    text
}

fn wrap(doc: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in doc.split_whitespace() {
        if let Some(line) = lines.last_mut()
            && (line.is_empty() || line.len() + 1 + word.len() <= WIDTH)
        {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_with_its_meaning() {
        let keys = [
            Key::required("src_db", "Source database."),
            Key::with_default("loop_delay", "1.0", "Seconds to sleep."),
            Key::optional("pidfile", "Pidfile."),
            Key::required("queue_name", "Queue.").or_named(&["pgq_queue_name"]),
        ];
        let set = [("PGQ_queue_name".to_owned(), "q".to_owned())];
        let expected = "[mover]\n\n# Source database.\nsrc_db =\n\n# Seconds to sleep.\nloop_delay = 1.0\n\
                        \n# Pidfile.\n#pidfile =\n\n# Queue.\nqueue_name = q\n";
        assert_eq!(render("mover", &keys, &set), expected);
    }

    #[test]
    fn long_texts_are_wrapped() {
        let lines = wrap(&"word ".repeat(40));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= WIDTH));
    }
}
