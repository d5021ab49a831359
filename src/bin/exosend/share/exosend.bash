# exosend(1)'s words, for bash: /usr/share/bash-completion/completions/exosend
_exosend() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} offered
    COMPREPLY=()
    case $before in
        --config | --html | --attach | --secret-file)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
            return ;;
        --to | --cc | --bcc | --subject | --text | --from | --reply-to | --header | --set | --max-age | --object-id \
            | --mailbox | --tenant | --client-id | --local-recipient | --test)
            return ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        offered="configure doctor explain login logout queue send setup token --help --version"
    else
        case ${COMP_WORDS[1]} in
            configure)
                offered="--mailbox --tenant --client-id --local-recipient --secret-file --force --test --no-doctor
                    --config --set --quiet --version --help -v" ;;
            doctor) offered="--to --send --config --set --json --quiet --version --help -v" ;;
            explain) offered="--json --version --help" ;;
            login) offered="--tenant --config --set --json --quiet --version --help -v" ;;
            logout) offered="--config --set --json --quiet --version --help -v" ;;
            queue)
                offered="run show hold release remove
                    --now --max-age --config --set --json --version --help -v" ;;
            send)
                offered="--to --cc --bcc --subject --text --html --attach --from --reply-to --header --queue
                    --config --set --dry-run --json --quiet --version --help -v" ;;
            setup) offered="--classic --graph --undo --object-id --config --set --json --quiet --version --help -v" ;;
            token) offered="--claims --config --set --json --quiet --version --help -v" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$word")
}
complete -F _exosend exosend
