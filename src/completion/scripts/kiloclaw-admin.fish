# Completion of kiloclaw-admin for fish. Printed by: kiloclaw-admin completion fish

function __kiloclaw_admin_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    # What comes is data: nothing in it is evaluated. A candidate and its description are separated by a TAB, as fish has it.
    for line in (command kiloclaw-admin __complete -- fish $before[2..-1] "$current" 2>/dev/null </dev/null)
        switch $line
            case ':file' ':directory'
                set -l head (string match -r -- '^--[^=]*=' $current)
                for path in (__fish_complete_path (string replace -r -- '^--[^=]*=' '' $current))
                    printf '%s%s\n' "$head" $path
                end
            case ':*'
            case '*'
                printf '%s\n' $line
        end
    end
end

complete -c kiloclaw-admin -e
complete -c kiloclaw-admin -f -k -a '(__kiloclaw_admin_complete)'
