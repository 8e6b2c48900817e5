
# The config file stands before the command, where the script above expects the command.
function FUNCTION_words
    set -l words (commandline -opc)
    # The empty word is the value that the last option may want.
    argparse (FUNCTION_global_optspecs) -- $words[2..-1] '' 2>/dev/null
    or return
    test -n "$argv[-1]"
    or set -e argv[-1]
    string join \n -- $argv
end
function FUNCTION_at
    test (count (FUNCTION_words)) -eq $argv[1]
end
function FUNCTION_needs_command
    set -l words (FUNCTION_words)
    set -q words[2]
    or return 0
    echo $words[2]
    return 1
end
complete -c PROGRAM -f
complete -c PROGRAM -n 'FUNCTION_at 0' -F
