"""The command ``pymalloc-exporter``: runs a program with the exporter inside."""

from __future__ import annotations

import argparse
import os
import sys

from pymalloc_exporter import __version__, config

EXAMPLES = """\
examples:
  pymalloc-exporter run -- gunicorn --workers 4 app:app
  pymalloc-exporter run --listen :9512 --app shop -- python -m celery -A shop worker

The same without this command, for a unit file or a container:
  PYTHONPATH=$(pymalloc-exporter path) PYMALLOC_EXPORTER_LISTEN=127.0.0.1:9512 COMMAND
"""


def bootstrap_folder() -> str:
    """The folder whose sitecustomize loads the exporter."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pymalloc-exporter",
        description="Prometheus metrics of the memory of Python processes, from the inside.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(dest="what", required=True, metavar="run | path")
    run = commands.add_parser(
        "run",
        help="run a command with the exporter in every Python process that it starts",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    run.add_argument("--listen", metavar="HOST:PORT", help=f"default: {config.DEFAULT_LISTEN}")
    run.add_argument("--app", metavar="NAME", help="label of all series; default: the command's")
    run.add_argument("--interval", metavar="SECONDS", help=f"default: {config.DEFAULT_INTERVAL:g}")
    run.add_argument("--detail", metavar="default|full", help="full adds series a size class")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    commands.add_parser("path", help="print the folder to put on PYTHONPATH")
    return parser


def environment_for(
    flags: argparse.Namespace, command: list[str], environment: dict[str, str]
) -> dict[str, str]:
    """The environment for `command`; flags win over it. ValueError: one line to print."""
    result = dict(environment)
    defaults = {"LISTEN": config.DEFAULT_LISTEN, "APP": config.app_of(command)}
    for name, parse in config.PARSERS.items():
        flag = getattr(flags, name.lower())
        variable = config.PREFIX + name
        where = variable if flag is None else "--" + name.lower()
        value = environment.get(variable) or defaults.get(name) if flag is None else flag
        if value is None:
            continue
        try:
            if not (name == "LISTEN" and value == "off"):
                parse(value)
        except ValueError:
            raise ValueError(config.complaint(name, value, where)) from None
        result[variable] = value
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if entry and entry != bootstrap_folder()]
    result["PYTHONPATH"] = os.pathsep.join([bootstrap_folder(), *kept])
    return result


def run(flags: argparse.Namespace) -> int:
    command = flags.command[1:] if flags.command[:1] == ["--"] else flags.command
    if not command:
        print("pymalloc-exporter run: no command; see --help", file=sys.stderr)
        return 2
    try:
        environment = environment_for(flags, command, dict(os.environ))
    except ValueError as error:
        print(f"pymalloc-exporter run: {error}", file=sys.stderr)
        return 2
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        print(f"pymalloc-exporter run: {command[0]}: {error.strerror}", file=sys.stderr)
        # As a shell has it: not found, or found and not to be executed.
        return 127 if isinstance(error, (FileNotFoundError, NotADirectoryError)) else 126


def main(arguments: list[str] | None = None) -> int:
    flags = make_parser().parse_args(arguments)
    if flags.what == "path":
        print(bootstrap_folder())
        return 0
    return run(flags)
