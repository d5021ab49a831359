# exosend(1)'s words, for fish: /usr/share/fish/vendor_completions.d/exosend.fish
function __exosend_first
    test (count (commandline -opc)) -eq 1
end
function __exosend_in
    set -l words (commandline -opc)
    test (count $words) -gt 1; and contains -- $words[2] $argv
end

complete -c exosend -f
complete -c exosend -n __exosend_first -a configure -d 'Write the configuration, and try it'
complete -c exosend -n __exosend_first -a doctor -d 'What is wrong, and what to do about it'
complete -c exosend -n __exosend_first -a explain -d 'What a line from a log means'
complete -c exosend -n __exosend_first -a login -d 'As yourself, where no application may send'
complete -c exosend -n __exosend_first -a logout -d 'Remove that login'
complete -c exosend -n __exosend_first -a queue -d 'What waits to be sent, and why'
complete -c exosend -n __exosend_first -a send -d 'A message from arguments'
complete -c exosend -n __exosend_first -a setup -d 'The PowerShell that lets the application send'
complete -c exosend -n __exosend_first -a token -d 'The access token'

complete -c exosend -l help -d 'Help'
complete -c exosend -l version -d 'The version'
complete -c exosend -n '__exosend_in configure doctor login logout queue send setup token' -l config -r -F -d 'Instead of the usual two files'
complete -c exosend -n '__exosend_in configure doctor login logout queue send setup token' -l set -x -d 'key=value, stronger than files'
complete -c exosend -n '__exosend_in configure doctor login logout queue send setup token' -s v -d 'The transcript on stderr'
complete -c exosend -n '__exosend_in doctor explain login logout queue send setup token' -l json -d 'A result object on stdout'
complete -c exosend -n '__exosend_in configure doctor login logout send setup token' -l quiet -d 'No warnings'

complete -c exosend -n '__exosend_in configure' -l mailbox -x -d 'That sends'
complete -c exosend -n '__exosend_in configure login' -l tenant -x -d 'Its domain or id'
complete -c exosend -n '__exosend_in configure' -l client-id -x -d 'Of the application'
complete -c exosend -n '__exosend_in configure' -l local-recipient -x -d 'Of mail for root'
complete -c exosend -n '__exosend_in configure' -l secret-file -r -F -d 'With the client secret'
complete -c exosend -n '__exosend_in configure' -l force -d 'Replace what is set'
complete -c exosend -n '__exosend_in configure' -l test -x -d 'Who gets a message'
complete -c exosend -n '__exosend_in configure' -l no-doctor -d 'Write only'

complete -c exosend -n '__exosend_in doctor send' -l to -x -d 'A recipient'
complete -c exosend -n '__exosend_in send' -l cc -x -d 'Of a copy'
complete -c exosend -n '__exosend_in send' -l bcc -x -d 'Of a hidden copy'
complete -c exosend -n '__exosend_in send' -l subject -x -d 'The subject'
complete -c exosend -n '__exosend_in send' -l text -x -d 'The text'
complete -c exosend -n '__exosend_in send' -l html -r -F -d 'The text in HTML'
complete -c exosend -n '__exosend_in send' -l attach -r -F -d 'An attachment'
complete -c exosend -n '__exosend_in send' -l from -x -d 'The author'
complete -c exosend -n '__exosend_in send' -l reply-to -x -d 'For answers'
complete -c exosend -n '__exosend_in send' -l header -x -d 'One more header field'
complete -c exosend -n '__exosend_in send' -l queue -d 'Into the queue'
complete -c exosend -n '__exosend_in send' -l dry-run -d 'Up to DATA'

complete -c exosend -n '__exosend_in queue' -a 'run show hold release remove'
complete -c exosend -n '__exosend_in queue' -l now -d 'Whatever it waits for'
complete -c exosend -n '__exosend_in queue' -l max-age -x -d 'Exit code 1 if the oldest is older'

complete -c exosend -n '__exosend_in doctor' -l send -d 'With --to, a test message'
complete -c exosend -n '__exosend_in setup' -l classic -d 'By SMTP.SendAsApp'
complete -c exosend -n '__exosend_in setup' -l graph -d 'For transport = graph'
complete -c exosend -n '__exosend_in setup' -l undo -d 'Take it back'
complete -c exosend -n '__exosend_in setup' -l object-id -x -d 'Of the Enterprise application'

complete -c exosend -n '__exosend_in token' -l claims -d 'What the token says of itself'
