# Completion of kiloclaw-admin for bash. Printed by: kiloclaw-admin completion bash

_kiloclaw_admin() {
  local line
  COMPREPLY=()
  # The line as it is typed, because bash has cut its words at "=", ":" and "@". What comes is data: nothing in it is evaluated, and
  # what the shell could take for more than a word is dropped. The last line begins with a colon; nobody waits for the end.
  while IFS= read -r line; do
    case $line in
      :file | :directory) compopt -o default 2>/dev/null ;;
      :*) ;;
      *[!-A-Za-z0-9._+@=,]*) continue ;;
      *)
        COMPREPLY+=("$line")
        continue
        ;;
    esac
    break
  done < <(command kiloclaw-admin __complete -- bash "$COMP_WORDBREAKS" "${COMP_LINE:0:COMP_POINT}" 2>/dev/null </dev/null)
}

# In the order in which they come, where bash can do that.
complete -o nosort -F _kiloclaw_admin kiloclaw-admin 2>/dev/null || complete -F _kiloclaw_admin kiloclaw-admin
