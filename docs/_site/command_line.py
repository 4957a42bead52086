"""The reference page of the `minidl` command, made from its parser: what it does not accept is not there."""

import argparse
import re
from collections.abc import Iterator

from minidl.cli import EXIT_CODES, _parser


def command_line_page() -> str:
    """The page in Markdown, with a section for each command."""
    parser = _parser()
    lines = [
        "# Command line",
        "",
        "This page is made from the command itself; `minidl COMMAND --help` says the same.",
        "",
    ]
    lines += _overview(parser)
    for name, command in _commands(parser):
        lines += _section(name, command)
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {_cell(meaning)} |" for code, meaning in re.findall(r"^  (\d+) +(.+)$", EXIT_CODES, re.M)]
    return "\n".join(lines) + "\n"


def _overview(parser: argparse.ArgumentParser) -> list[str]:
    lines = ["| command | what it does |", "|---|---|"]
    for action in _subparsers(parser):
        for choice in action._choices_actions:
            lines.append(f"| [`minidl {choice.dest}`](#{_anchor(f'minidl {choice.dest}')}) | {_cell(choice.help)} |")
    return [*lines, ""]


def _commands(parser: argparse.ArgumentParser, above: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and the commands inside it, with the words that call them."""
    for action in _subparsers(parser):
        for name, command in action.choices.items():
            yield f"{above}{name}", command
            yield from _commands(command, f"{above}{name} ")


def _subparsers(parser: argparse.ArgumentParser) -> Iterator[argparse._SubParsersAction]:
    yield from (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _section(name: str, command: argparse.ArgumentParser) -> list[str]:
    helps = {choice.dest: choice.help for action in _subparsers(_parser()) for choice in action._choices_actions}
    text = command.description or f"{helps.get(name, '')}."
    lines = [f"## minidl {name} {{ #{_anchor(f'minidl {name}')} }}", "", _sentence(text), ""]
    usage = command.format_usage().removeprefix("usage: ").rstrip()
    lines += ["```text", re.sub(r"\n +", "\n    ", usage), "```", ""]
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    if actions:
        lines += ["| argument | meaning | one of |", "|---|---|---|"]
        lines += [f"| {_argument(a)} | {_cell(_help(command, a))} | {_choices(a)} |" for a in actions]
    return [*lines, ""]


def _argument(action: argparse.Action) -> str:
    """`--epochs N`, or the name of what stands in its place on the line."""
    value = action.metavar or (action.dest.upper() if action.choices is None else "...")
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{value}`"
    takes = action.nargs != 0
    return ", ".join(f"`{flag} {value}`" if takes else f"`{flag}`" for flag in action.option_strings)


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    return command._get_formatter()._expand_help(action) if action.help else ""


def _choices(action: argparse.Action) -> str:
    return "" if action.choices is None else ", ".join(f"`{choice}`" for choice in action.choices)


def _cell(text: str | None) -> str:
    return _sentence(text or "").replace("|", "\\|")


def _sentence(text: str) -> str:
    """Markdown that shows the text as it is."""
    return re.sub(r"([*_<>\[\]])", r"\\\1", text)


def _anchor(name: str) -> str:
    return name.replace(" ", "-")
