"""``nbad completion``: what a shell completes after ``nbad``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from nbad.exit_codes import OK

_BASH = """_nbad() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" known="" files=""
    case "${{COMP_WORDS[1]}}" in
{commands}
    esac
    [ "$COMP_CWORD" -eq 1 ] && known="{names}" files=""
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[COMP_CWORD-1]}}" in
{values}
    esac
    COMPREPLY=($(compgen -W "$known" -- "$word"))
    local IFS=$'\n'  # a file's name may have spaces
    case "$word" in -*) ;; *) [ "$files" ] && COMPREPLY+=($(compgen -f -- "$word")) ;; esac
}}
complete -o filenames -F _nbad nbad
"""

# Of use both sourced and as a file named _nbad in $fpath.
_ZSH = """#compdef nbad
_nbad() {{
    local -a commands=(
{names}
    )
    (( CURRENT == 2 )) && {{ _describe command commands; return; }}
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
{commands}
    esac
}}
if [[ $funcstack[1] == _nbad ]]; then
    _nbad "$@"
else
    (( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit }}
    compdef _nbad nbad
fi
"""


class Argument(NamedTuple):
    """An option (``name`` with its dashes), or a positional argument, without a name.

    ``takes``: it takes a value, which is one of ``values`` or, with ``file``, a path; ``again``: it
    may be given more than once.
    """

    name: str
    about: str
    takes: bool
    values: tuple[str, ...]
    file: bool
    again: bool


class Command(NamedTuple):
    """A command and its arguments."""

    name: str
    about: str
    arguments: tuple[Argument, ...]


HELP = "shell completion for bash, zsh or fish"
DESCRIPTION = (
    "Prints a completion script. bash: source <(nbad completion bash). zsh: the "
    "same, with zsh. fish: nbad completion fish | source."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    write = {"bash": _bash, "zsh": _zsh, "fish": _fish}[args.shell]
    sys.stdout.write(write(_commands(args.commands)))
    return OK


def _commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[Command]:
    about = {action.dest: action.help or "" for action in subparsers._choices_actions}
    return [
        Command(name, about[name], tuple(map(_argument, filter(_is_shown, parser._actions))))
        for name, parser in subparsers.choices.items()
    ]


def _is_shown(action: argparse.Action) -> bool:
    return action.help != argparse.SUPPRESS


def _argument(action: argparse.Action) -> Argument:
    return Argument(
        name=max(action.option_strings, key=len, default=""),
        about=(action.help or "").partition(";")[0].partition(" (")[0],  # a line of a menu
        takes=action.nargs != 0,
        values=tuple(map(str, action.choices or ())),
        file=action.type is Path or "FILE" in str(action.metavar),
        again=isinstance(action, argparse._AppendAction),
    )


def _bash(commands: list[Command]) -> str:
    lines, values = [], []
    for name, _, arguments in commands:
        known = [word for each in arguments for word in ([each.name] if each.name else each.values)]
        files = any(each.file and not each.name for each in arguments)
        lines.append(f'        {name}) known="{" ".join(known)}" files={"1" * files} ;;')
        for each in arguments:
            if each.name and each.takes:
                told, file = " ".join(each.values), "1" * each.file
                values.append(f'        "{name} {each.name}") known="{told}" files={file} ;;')
    names = " ".join(command.name for command in commands)
    return _BASH.format(names=names, commands="\n".join(lines), values="\n".join(values))


def _zsh(commands: list[Command]) -> str:
    names = "\n".join(f"        {_quoted(f'{name}:{about}')}" for name, about, _ in commands)
    lines = []
    for name, _, arguments in commands:
        specs = " ".join(_quoted(_spec(each)) for each in arguments)
        lines.append(f"        {name}) _arguments {specs} ;;")
    return _ZSH.format(names=names, commands="\n".join(lines))


def _spec(each: Argument) -> str:
    """What zsh's ``_arguments`` takes for one."""
    does = f"({' '.join(each.values)})" if each.values else "_files" if each.file else " "
    about = each.about.replace("]", "\\]").replace("[", "\\[").replace(":", "\\:")
    if not each.name:
        return f":{about}:{does}"
    value = f":{each.name[2:]}:{does}" if each.takes else ""
    return f"{'*' * each.again}{each.name}[{about}]{value}"


def _fish(commands: list[Command]) -> str:
    lines = ["complete -c nbad -f"]
    for name, about, arguments in commands:
        lines.append(f"complete -c nbad -n __fish_use_subcommand -a {name} -d {_quoted(about)}")
        when = f"complete -c nbad -n '__fish_seen_subcommand_from {name}'"
        for each in arguments:
            if each.name:
                told = f" -a {_quoted(' '.join(each.values))}" if each.values else ""
                value = "" if not each.takes else " -r -F" if each.file else f" -x{told}"
                lines.append(f"{when} -l {each.name[2:]}{value} -d {_quoted(each.about)}")
            elif each.values:
                lines.append(f"{when} -a {_quoted(' '.join(each.values))}")
            elif each.file:
                lines.append(f"{when} -F")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
