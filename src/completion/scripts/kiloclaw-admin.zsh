#compdef kiloclaw-admin
# Completion of kiloclaw-admin for zsh. Printed by: kiloclaw-admin completion zsh

_kiloclaw-admin() {
  local line files=none
  local -a before found
  (( CURRENT > 2 )) && before=("${(@Q)words[2,CURRENT-1]}")
  # What comes is data: nothing in it is evaluated. The last line begins with a colon; nobody waits for the end.
  while IFS= read -r line; do
    if [[ $line == :* ]]; then
      files=${line#:}
      break
    fi
    # As _describe wants it: the value, a colon, and what is shown beside it.
    found+=("${${line%%$'\t'*}//:/\\:}${${(M)line:#*$'\t'*}:+:${line#*$'\t'}}")
  done < <(command kiloclaw-admin __complete -- zsh "${before[@]}" "${(Q)PREFIX}" 2>/dev/null </dev/null)

  local result=1
  (( $#found )) && _describe -V -t kiloclaw-admin kiloclaw-admin found && result=0
  if [[ $files == (file|directory) ]]; then
    [[ $PREFIX == --*=* ]] && compset -P 1 '*='
    if [[ $files == directory ]]; then _files -/ && result=0; else _files && result=0; fi
  fi
  return result
}

# Read by compinit from a file of its own, it is this very function; sourced, it has to be made known.
if [[ ${funcstack[1]} == _kiloclaw-admin ]]; then
  _kiloclaw-admin "$@"
else
  compdef _kiloclaw-admin kiloclaw-admin
fi
