
# The config file stands before the command, where the script above expects the command, or the command in its place.
function FUNCTION_words
    set -l words (commandline -opc)
    # The empty word is the value that the last option may want.
    argparse (FUNCTION_global_optspecs) -- $words[2..-1] '' 2>/dev/null
    or return
    test -n "$argv[-1]"
    or set -e argv[-1]
    string join \n -- $argv
end
function FUNCTION_is_command
    contains -- "$argv[1]" LIST
end
function FUNCTION_has_database
    string match -q -r -- '^DATABASE(=|$)' (commandline -opc)
end
function FUNCTION_wants_file
    test (count (FUNCTION_words)) -eq 0
    and not FUNCTION_has_database
end
function FUNCTION_wants_command
    set -l words (FUNCTION_words)
    switch (count $words)
        case 0
            return 0
        case 1
            not FUNCTION_is_command $words[1]
            and not FUNCTION_has_database
        case '*'
            return 1
    end
end
function FUNCTION_needs_command
    set -l words (FUNCTION_words)
    set -q words[1]
    or return 0
    if not FUNCTION_is_command $words[1]
        set -q words[2]
        or return 0
        set -e words[1]
    end
    echo $words[1]
    return 1
end
complete -c PROGRAM -f
complete -c PROGRAM -n FUNCTION_wants_file -F
