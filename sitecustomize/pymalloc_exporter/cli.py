"""The command ``pymalloc-exporter``: runs a program with the exporter inside."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from typing import Any

import pymalloc_exporter
from pymalloc_exporter import config

EXAMPLES = """\
examples:
  pymalloc-exporter run -- gunicorn --workers 4 app:app
  pymalloc-exporter run --listen :9512 --app shop -- python -m celery -A shop worker

The same without this command, for a unit file or a container:
  PYTHONPATH=$(pymalloc-exporter path) PYMALLOC_EXPORTER_LISTEN=127.0.0.1:9512 COMMAND

Each option can also be given by the environment: PYMALLOC_EXPORTER_LISTEN and so on.
"""

USAGE_ERROR = 2
NOT_EXECUTABLE = 126
NOT_FOUND = 127


def bootstrap_folder() -> str:
    """The folder whose sitecustomize loads the exporter."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "bootstrap")


class ShowVersion(argparse.Action):
    """Asks the native part for the version only when it is wanted."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"pymalloc-exporter {pymalloc_exporter.__version__}")
        parser.exit()


class Parser(argparse.ArgumentParser):
    """Shows the examples in each help; options are written out."""

    def __init__(self, **rest: Any) -> None:
        look = argparse.RawDescriptionHelpFormatter
        super().__init__(epilog=EXAMPLES, formatter_class=look, allow_abbrev=False, **rest)


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="pymalloc-exporter",
        description="Prometheus metrics of the memory of Python processes, from the inside.",
    )
    parser.add_argument("--version", action=ShowVersion, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="what", required=True, metavar="run | path")
    run = commands.add_parser(
        "run", help="run a command with the exporter in every Python process it starts"
    )
    run.add_argument("--listen", metavar="HOST:PORT", help=f"default: {config.DEFAULT_LISTEN}")
    run.add_argument("--app", metavar="NAME", help="label of all series; default: the command's")
    run.add_argument("--interval", metavar="SECONDS", help=f"default: {config.DEFAULT_INTERVAL:g}")
    run.add_argument(
        "--slow-interval",
        metavar="SECONDS",
        help=f"of what walks the whole process; default: {config.DEFAULT_SLOW_INTERVAL:g}",
    )
    run.add_argument(
        "--slow-cpu",
        metavar="PERCENT",
        help=f"of a core, for these walks at most; default: {config.DEFAULT_SLOW_CPU:g}",
    )
    run.add_argument(
        "--top", metavar="N", help=f"types with series of their own; default: {config.DEFAULT_TOP}"
    )
    run.add_argument("--detail", metavar="default|full", help="full adds series a size class")
    run.add_argument(
        "--enable-admin-api",
        action="store_const",
        const="on",
        help="let clients on this machine trim, collect and clear free lists over HTTP",
    )
    run.add_argument(
        "--enable-admin-api-for-all",
        action="store_const",
        const="all",
        dest="enable_admin_api",
        help="and clients elsewhere, where the address is reached by them",
    )
    run.add_argument(
        "--auto-trim",
        metavar="SIZE",
        help="trim the C heap where that gives back this much, such as 256MiB; default: never",
    )
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND ...")
    commands.add_parser("path", help="print the folder to put on PYTHONPATH")
    return parser


def own_environment() -> dict[str, str]:
    """The environment as it was given to us: in the C locale the interpreter sets LC_CTYPE."""
    environment = dict(os.environ)
    try:
        with open("/proc/self/environ", "rb") as file:
            given = os.fsdecode(file.read()).split("\0")
    except OSError:
        return environment
    environment.pop("LC_CTYPE", None)
    for entry in given:
        name, _, value = entry.partition("=")
        if name == "LC_CTYPE":
            environment[name] = value
    return environment


def setting(name: str, flag: str | None, given: str | None, default: str | None) -> str | None:
    """The text of a setting: the flag's, else the environment's, else the default's.

    ValueError with one line if it is not allowed.
    """
    if flag is not None:
        config.parse(name, flag, "--" + name.lower().replace("_", "-"))
        return flag
    if given:
        config.parse(name, given, config.PREFIX + name)
        return given
    return default


def python_path(given: str) -> str:
    """PYTHONPATH with our folder first, and once. An empty entry means the current folder."""
    entries = given.split(os.pathsep) if given else []
    others = [entry for entry in entries if entry != bootstrap_folder()]
    return os.pathsep.join([bootstrap_folder(), *others])


def environment_for(
    flags: argparse.Namespace, command: list[str], given: dict[str, str]
) -> dict[str, str]:
    """The environment for `command`. ValueError with one line if a setting is not allowed."""
    result = dict(given)
    defaults = {"LISTEN": config.DEFAULT_LISTEN, "APP": config.app_of(command)}
    for name in config.SETTINGS:
        variable = config.PREFIX + name
        flag = getattr(flags, name.lower())
        text = setting(name, flag, given.get(variable), defaults.get(name))
        if text is not None:
            result[variable] = text
    result["PYTHONPATH"] = python_path(given.get("PYTHONPATH", ""))
    return result


def execute(command: list[str], environment: dict[str, str]) -> int:
    """Becomes `command`; returns an exit status, as a shell has it, only if that fails."""
    # Ignored by this interpreter, and exec would hand that on.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    name = command[0]
    try:
        os.execvpe(name, command, environment)
    except OSError as error:
        found = os.path.exists(name) if "/" in name else shutil.which(name, os.F_OK)
        reason = error.strerror if found else "command not found"
        print(f"pymalloc-exporter run: {name}: {reason}", file=sys.stderr)
        return NOT_EXECUTABLE if found else NOT_FOUND


def run(flags: argparse.Namespace) -> int:
    command = flags.command[1:] if flags.command[:1] == ["--"] else flags.command
    try:
        if not command:
            raise ValueError("no command; as in: pymalloc-exporter run -- gunicorn app:app")
        environment = environment_for(flags, command, own_environment())
    except ValueError as error:
        print(f"pymalloc-exporter run: {error}", file=sys.stderr)
        return USAGE_ERROR
    return execute(command, environment)


def main(arguments: list[str] | None = None) -> int:
    flags = make_parser().parse_args(arguments)
    if flags.what == "path":
        print(bootstrap_folder())
        return 0
    return run(flags)
