//! The script for bash.

use std::io::{self, Write};

use super::{Line, Switch, values};

pub(super) fn write(line: &Line<'_>, to: &mut impl Write) -> io::Result<()> {
    let function = line.function();
    let commands: Vec<&str> = line.commands.iter().map(|command| command.name()).collect();
    let script = SCRIPT
        .replace("FUNCTION", &function)
        .replace("VALUED", &valued(line).join("|"))
        .replace("OPTION_VALUES", &option_values(line))
        .replace("ARGUMENT_VALUES", &argument_values(line))
        .replace("SWITCHES_OF", &switches_of(line))
        .replace("EVERY_SWITCH", &forms(line, |_| true))
        .replace("COMMANDS", &commands.join(" "));
    writeln!(to, "{script}complete -F {function} {}", line.name)
}

const SCRIPT: &str = r#"FUNCTION() {
    local current=$2 word option= previous= at switches= known=
    local -a words=()
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        if [[ $word == = ]]; then
            option=$previous
        elif [[ -n $option ]]; then
            option=
        else
            case $word in
                VALUED) option=$word ;;
                -*) ;;
                *) words+=("$word") ;;
            esac
        fi
        previous=$word
    done
    if [[ $current == = ]]; then
        option=$previous current=
    fi
    if [[ -n $option ]]; then
        case $option in
OPTION_VALUES        esac
    elif [[ $current == -* ]]; then
        case ${words[1]} in
SWITCHES_OF            *) known="EVERY_SWITCH" ;;
        esac
    elif ((${#words[@]} == 0)); then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
        return
    elif ((${#words[@]} == 1)); then
        known="COMMANDS"
    else
        case ${words[1]},$((${#words[@]} - 2)) in
ARGUMENT_VALUES        esac
    fi
    COMPREPLY=($(compgen -W "$known" -- "$current"))
}
"#;

/// Returns the options that have the word behind them as their value.
fn valued(line: &Line<'_>) -> Vec<String> {
    line.switches.iter().filter(|switch| switch.wants_value).flat_map(Switch::forms).collect()
}

fn option_values(line: &Line<'_>) -> String {
    let known = line.switches.iter().filter(|switch| !switch.values.is_empty());
    known.map(|switch| case(&format!("--{}", switch.long), &switch.values.join(" "))).collect()
}

fn switches_of(line: &Line<'_>) -> String {
    let of = |name: &str| {
        forms(line, |switch| switch.commands.as_ref().is_none_or(|commands| commands.contains(&name)))
    };
    line.commands.iter().map(|command| case(command.name(), &of(command.name()))).collect()
}

fn argument_values(line: &Line<'_>) -> String {
    let mut cases = String::new();
    for command in line.commands {
        for (place, values) in values(command) {
            cases.push_str(&case(&format!("{},{place}", command.name()), &values.join(" ")));
        }
    }
    cases
}

fn forms(line: &Line<'_>, is_wanted: impl Fn(&Switch) -> bool) -> String {
    let wanted = line.switches.iter().filter(|switch| is_wanted(switch));
    wanted.flat_map(Switch::forms).collect::<Vec<_>>().join(" ")
}

fn case(pattern: &str, known: &str) -> String {
    format!("            {pattern}) known=\"{known}\" ;;\n")
}
