#compdef exosend
# exosend(1)'s words, for zsh: /usr/share/zsh/vendor-completions/_exosend

_exosend() {
    local -a account=(
        '--config[instead of the usual two files]:file:_files'
        '*--set[a key, stronger than files and variables]:key=value:'
    )
    local -a all=('--json[a result object on stdout]' '--version[the version]' '--help[help]')
    local quiet='--quiet[no warnings]' verbose='-v[the transcript on stderr]'
    if (( CURRENT == 2 )); then
        local -a commands=(
            'configure:writes the configuration, and tries it'
            'doctor:what is wrong, and what to do about it'
            'explain:what a line from a log means'
            'login:as yourself, where no application may send'
            'logout:remove that login'
            'queue:what waits to be sent, and why'
            'send:a message from arguments'
            'setup:the PowerShell that lets the application send'
            'token:the access token'
        )
        _describe command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
        configure)
            _arguments $account '--version[the version]' '--help[help]' $quiet $verbose \
                '--mailbox[that sends]:address:' '--tenant[domain or id]:tenant:' '--client-id[of the application]:id:' \
                '--local-recipient[of mail for root]:address:' '--secret-file[with the client secret]:file:_files' \
                '--force[replace what is set]' '--test[who gets a message]:address:' '--no-doctor[write only]' ;;
        doctor)
            _arguments $account $all $quiet $verbose '--to[ask for this recipient, too]:address:' \
                '--send[with --to, if all is well: a test message]' ;;
        explain)
            _arguments $all ':line:' ;;
        login)
            _arguments $account $all $quiet $verbose '--tenant[domain or id]:tenant:' ;;
        logout)
            _arguments $account $all $quiet $verbose ;;
        queue)
            _arguments $account $all $verbose '--now[whatever it waits for]' '--max-age[1 if the oldest is older]:time:' \
                ':what:(run show hold release remove)' '*:id:' ;;
        send)
            _arguments $account $all $quiet $verbose '--dry-run[up to DATA]' \
                '*--to[a recipient]:address:' '*--cc[of a copy]:address:' '*--bcc[of a hidden copy]:address:' \
                '--subject[the subject]:subject:' '--text[the text]:text:' '--html[the text in HTML]:file:_files' \
                '*--attach[an attachment]:file:_files' '--from[the author]:address:' '--reply-to[for answers]:address:' \
                '*--header[one more field]:Name\: value:' '--queue[into the queue]' ;;
        setup)
            _arguments $account $all $quiet $verbose '--classic[by SMTP.SendAsApp]' \
                '--graph[for transport = graph]' '--undo[take it back]' \
                '--object-id[of the Enterprise application]:id:' ;;
        token)
            _arguments $account $all $quiet $verbose '--claims[what the token says of itself]' ;;
    esac
}
_exosend "$@"
