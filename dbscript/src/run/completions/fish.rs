//! The script for fish.

use std::io::{self, Write};

use super::{Line, Switch, values};

pub(super) fn write(line: &Line<'_>, to: &mut impl Write) -> io::Result<()> {
    let (name, function) = (&line.name, format!("_{}", line.function()));
    let valued = line.switches.iter().filter(|switch| switch.wants_value);
    let valued: Vec<String> = valued.flat_map(Switch::forms).collect();
    to.write_all(FUNCTIONS.replace("FUNCTION", &function).replace("VALUED", &valued.join(" ")).as_bytes())?;
    writeln!(to, "complete -c {name} -f")?;
    writeln!(to, "complete -c {name} -n '{function}_at 0' -F")?;
    for command in line.commands {
        let (command_name, doc) = (command.name(), quoted(command.doc));
        writeln!(to, "complete -c {name} -n '{function}_at 1' -a {command_name} -d {doc}")?;
        for (place, values) in values(command) {
            let (place, values) = (place + 2, values.join(" "));
            writeln!(to, "complete -c {name} -n '{function}_at {place} {command_name}' -a '{values}'")?;
        }
    }
    line.switches.iter().try_for_each(|switch| writeln!(to, "{}", rendered(name, &function, switch)))
}

/// The words that are neither switches nor their values; whether there are so many, and the second one is this command;
/// and whether one of these commands may take a switch.
const FUNCTIONS: &str = r#"function FUNCTION_words
    set -l is_value 0
    for word in (commandline -opc)[2..-1]
        if test $is_value = 1
            set is_value 0
            continue
        end
        switch $word
            case VALUED
                set is_value 1
            case '-*'
            case '*'
                printf '%s\n' $word
        end
    end
end
function FUNCTION_at
    set -l words (FUNCTION_words)
    test (count $words) -eq $argv[1]
    and begin
        test (count $argv) -eq 1
        or test "$words[2]" = $argv[2]
    end
end
function FUNCTION_takes
    set -l words (FUNCTION_words)
    test (count $words) -lt 2
    or contains -- $words[2] $argv
end
"#;

fn rendered(name: &str, function: &str, switch: &Switch) -> String {
    let mut line = format!("complete -c {name}");
    if let Some(commands) = &switch.commands {
        line.push_str(&format!(" -n '{function}_takes {}'", commands.join(" ")));
    }
    if let Some(short) = switch.short {
        line.push_str(&format!(" -s {short}"));
    }
    line.push_str(&format!(" -l {}", switch.long));
    if switch.wants_value {
        line.push_str(" -x");
    }
    if !switch.values.is_empty() {
        line.push_str(&format!(" -a '{}'", switch.values.join(" ")));
    }
    format!("{line} -d {}", quoted(&switch.doc))
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
