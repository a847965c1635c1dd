/** `fanout completion`: a script that completes commands and options in a shell. */
import type { Command } from "commander";

/** Returns a script for bash or zsh. */
export function completionFor(shell: "bash" | "zsh", program: Command): string {
  const cases = program.commands.map((command) => {
    const options = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long] : []));
    return `    ${command.name()}) words="${[...options, "--help"].join(" ")}" ;;`;
  });
  const names = program.commands.map((command) => command.name()).join(" ");
  return `${shell === "zsh" ? "autoload -Uz bashcompinit && bashcompinit\n" : ""}_fanout() {
  local words="${names} --help --version"
  [ "$COMP_CWORD" -gt 1 ] && case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _fanout fanout`;
}
