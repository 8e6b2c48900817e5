
# A command may stand in the place of the config file, where the function above expects the file.
functions[_clapFUNCTION]=$functions[FUNCTION]
FUNCTION_first() {
    _alternative 'commands:command:FUNCTION_commands' 'files:config file:_files'
}
FUNCTION() {
    local word value= database=
    integer at=2
    while (( at < CURRENT )); do
        word=$words[at]
        [[ $word != DATABASE && $word != DATABASE=* ]] || database=1
        if [[ -n $value ]]; then
            value=
        elif [[ $word == (VALUED) ]]; then
            value=1
        elif [[ $word != -* ]]; then
            break
        fi
        (( at += 1 ))
    done
    if (( at < CURRENT )); then
        [[ -z $database && $words[at] != (ALTERNATIVES) ]] || value=file
    elif [[ -n $database && -z $value && $words[at] != -* ]]; then
        value=file
    else
        value=
    fi
    if [[ $value == file ]]; then
        words=("${(@)words[1,at-1]}" config.ini "${(@)words[at,-1]}")
        (( CURRENT += 1 ))
    fi
    _clapFUNCTION "$@"
}
