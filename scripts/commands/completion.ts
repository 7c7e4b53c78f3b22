/** `openledger completion`: words for the shell, from the same tables as help. */
import { userError } from '../../node/base/errors.ts'
import { type Command, flagsOf } from '../cli/command.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const

export const completion: Command = {
  name: 'completion',
  summary: 'Prints a completion script for bash, zsh or fish',
  args: '<shell>',
  notes: `Examples:
  openledger completion bash > /etc/bash_completion.d/openledger
  openledger completion zsh  > ~/.zfunc/_openledger
  openledger completion fish > ~/.config/fish/completions/openledger.fish`,
  run: async ({ args: [shell] }) => {
    const { allCommands } = await import('./index.ts')
    process.stdout.write(completionOf(shell as string, await allCommands()))
    return undefined
  },
}

/** @throws NodeError `usage` for a shell it does not know */
export function completionOf(shell: string, commands: readonly Command[]): string {
  const words = wordsOf(commands)
  if (shell === 'bash') return bash(words)
  if (shell === 'zsh') return zsh(words)
  if (shell === 'fish') return fish(words)
  throw userError('usage', `no completion for '${shell}': choose ${SHELLS.join(', ')}`)
}

/** Path of a command -> what may follow it. The empty path is the command itself. */
type Words = ReadonlyMap<string, readonly { readonly word: string; readonly help: string }[]>

function wordsOf(commands: readonly Command[]): Words {
  const words = new Map<string, { word: string; help: string }[]>()
  const add = (path: string, word: string, help: string): void => {
    const list = words.get(path) ?? []
    if (!list.some((entry) => entry.word === word)) words.set(path, [...list, { word, help }])
  }
  for (const command of commands) {
    const [first = '', second] = command.name.split(' ')
    add('', first, second ? `${first} commands` : command.summary)
    if (second) add(first, second, command.summary)
    for (const flag of flagsOf(command).keys()) add(command.name, `--${flag}`, '')
  }
  for (const shell of SHELLS) add('completion', shell, `for ${shell}`)
  return words
}

function bash(words: Words): string {
  const cases = [...words].map(
    ([path, list]) => `    '${path}') words='${list.map(({ word }) => word).join(' ')}' ;;`,
  )
  return `# bash completion of openledger
_openledger() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path='' word words=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) break ;; *) path="\${path:+$path }$word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -eq 0 ] && COMPREPLY=($(compgen -f -- "$current"))
}
complete -F _openledger openledger
`
}

function zsh(words: Words): string {
  const cases = [...words].map(
    ([path, list]) => `    '${path}') list=(${list.map(({ word }) => word).join(' ')}) ;;`,
  )
  return `#compdef openledger
_openledger() {
  local path_words='' word
  local -a list
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "$word" in -*) break ;; *) path_words="\${path_words:+$path_words }$word" ;; esac
  done
  case "$path_words" in
${cases.join('\n')}
  esac
  compadd -a list || _files
}
compdef _openledger openledger
`
}

function fish(words: Words): string {
  const lines = [...words].flatMap(([path, list]) =>
    list.map(({ word, help }) => {
      const when = `__openledger_at ${path ? `"${path}"` : '""'}`
      const what = word.startsWith('--') ? `-l ${word.slice(2)}` : `-a ${word}`
      const why = help ? ` -d "${help.replaceAll('"', '')}"` : ''
      return `complete -c openledger -n '${when}' ${what}${why}`
    }),
  )
  return `# fish completion of openledger
function __openledger_at
  set -l path (string match --invert -- '-*' (commandline -opc)[2..-1])
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`
}
