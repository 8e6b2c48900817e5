
# The config file stands before the command, where the script above expects the command, or the command in its place.
eval "_clap$(declare -f FUNCTION)"
FUNCTION() {
    local current=$2 word option= previous= first= kinds=-f
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $word == [=:@]* ]]; then
            # Readline splits words at these characters.
            option=$previous
        elif [[ -n $option ]]; then
            option=
        else
            [[ $word != DATABASE ]] || kinds=
            case $word in
                VALUED) option=$word ;;
                -*) ;;
                *) first=${first:-$word} ;;
            esac
        fi
        previous=$word
    done
    [[ $current != = ]] || option=$previous current=
    if [[ -z $first$option && $current != -* ]]; then
        mapfile -t COMPREPLY < <(compgen $kinds -W "LIST" -- "$current")
        compopt -o filenames 2>/dev/null
        return
    fi
    _clapFUNCTION "$1" "$current" "${option:-$3}"
    [[ $current == -* ]] || COMPREPLY=($(compgen -W "${COMPREPLY[*]}" -X '-*' -- "$current"))
}
complete -F FUNCTION PROGRAM
