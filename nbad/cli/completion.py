"""``nbad completion``: what a shell completes after ``nbad``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from nbad.exit_codes import OK

_BASH = """_nbad() {{
    local words="${{COMP_WORDS[COMP_CWORD]}}" known="{commands}"
    case "${{COMP_WORDS[1]}}" in
{cases}
    esac
    [ "$COMP_CWORD" -eq 1 ] && known="{commands}"
    COMPREPLY=($(compgen -W "$known" -- "$words"))
    case "$words" in -*) return ;; esac
    [ "$COMP_CWORD" -gt 1 ] && COMPREPLY+=($(compgen -f -- "$words"))
}}
complete -o filenames -F _nbad nbad
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register ``completion``."""
    parser = subparsers.add_parser(
        "completion",
        help="shell completion for bash, zsh or fish",
        description="Prints a completion script. bash: source <(nbad completion bash). zsh: the "
        "same, with zsh. fish: nbad completion fish | source.",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell")
    parser.set_defaults(run=run, commands=subparsers)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    sys.stdout.write(script(args.shell, options(args.commands.choices)))
    return OK


def options(commands: Mapping[str, argparse.ArgumentParser]) -> dict[str, list[str]]:
    """The long options of each command."""
    return {
        name: sorted(o for a in parser._actions for o in a.option_strings if o[:2] == "--")
        for name, parser in commands.items()
    }


def script(shell: str, known: Mapping[str, list[str]]) -> str:
    """The script for ``shell``; ``known`` are the options of each command."""
    if shell == "fish":
        lines = [f"complete -c nbad -n __fish_use_subcommand -f -a '{' '.join(known)}'"]
        lines += [
            f"complete -c nbad -n '__fish_seen_subcommand_from {name}' -l {option[2:]}"
            for name, found in known.items()
            for option in found
        ]
        return "\n".join(lines) + "\n"
    cases = "\n".join(f'        {name}) known="{" ".join(o)}" ;;' for name, o in known.items())
    bash = _BASH.format(commands=" ".join(known), cases=cases)
    first = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return first + bash
