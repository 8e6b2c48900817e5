
# The config file stands before the command, where the script above expects the command.
eval "_clap$(declare -f FUNCTION)"
FUNCTION() {
    local current=$2 word option= previous= config=
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word == = ]]; then
            option=$previous
        elif [[ -n $option ]]; then
            option=
        else
            case $word in
                VALUED) option=$word ;;
                -*) ;;
                *) config=${config:-$word} ;;
            esac
        fi
        previous=$word
    done
    [[ $current != = ]] || option=$previous current=
    if [[ -z $config$option && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames 2>/dev/null
        return
    fi
    _clapFUNCTION "$1" "$current" "${option:-$3}"
    [[ $current == -* ]] || COMPREPLY=($(compgen -W "${COMPREPLY[*]}" -X '-*' -- "$current"))
}
complete -F FUNCTION PROGRAM
