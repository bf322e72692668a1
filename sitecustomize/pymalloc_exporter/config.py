"""The settings: their names, what they allow, and where they come from.

The command and the loader share it. The loader runs at the start of every interpreter, so
nothing is imported that is not there anyway (an IPv6 address needs _socket).
"""

import os
import sys

TYPE_CHECKING = False  # these would cost every interpreter time at its start
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Optional

    Settings = dict[str, Any]  # the arguments of the native install(), by name

PREFIX = "PYMALLOC_EXPORTER_"
DEFAULT_LISTEN = "127.0.0.1:9512"
DEFAULT_INTERVAL = 5.0
DEFAULT_SLOW_INTERVAL = 60.0
DEFAULT_SLOW_CPU = 0.5
DEFAULT_TOP = 10
DEFAULT_DETAIL = "default"

MOST_APP_BYTES = 63
MOST_TOP = 20
MOST_QUOTED = 100


def _whole_number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ValueError(text)
    if not least <= int(text) <= most:
        raise ValueError(text)
    return int(text)


def _ipv4(text: str) -> str:
    parts = [str(_whole_number(part, 0, 255)) for part in text.split(".")]
    # Some read 010 as 8: no leading zeros.
    if len(parts) != 4 or ".".join(parts) != text:
        raise ValueError(text)
    return text


def _ipv6(text: str) -> str:
    """In one spelling, since processes find each other by it."""
    from _socket import AF_INET6, inet_ntop, inet_pton

    try:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, text))
    except OSError as error:
        raise ValueError(text) from error


def parse_listen(text: str) -> "Optional[tuple[str, int]]":
    """("127.0.0.1", 9512) for "127.0.0.1:9512"; None for "off"."""
    if text == "off":
        return None
    host, colon, port = text.rpartition(":")
    number = _whole_number(port, 1, 65535)
    if not host and colon:
        return "0.0.0.0", number
    if host == "localhost":
        return "127.0.0.1", number
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1]), number
    return _ipv4(host), number


def parse_app(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode("utf-8")) > MOST_APP_BYTES:
        raise ValueError(text)
    return text


def parse_interval(text: str) -> float:
    interval = float(text)
    if not 0.001 <= interval <= 3600:
        raise ValueError(text)
    return interval


def parse_percent(text: str) -> float:
    percent = float(text)
    if not 0.01 <= percent <= 100:
        raise ValueError(text)
    return percent


def parse_top(text: str) -> int:
    return _whole_number(text, 1, MOST_TOP)


def parse_detail(text: str) -> str:
    if text not in ("default", "full"):
        raise ValueError(text)
    return text


def parse_remedies(text: str) -> str:
    """Who may apply remedies over HTTP: "off", "loopback" or "all"."""
    known = {"on": "loopback", "1": "loopback", "0": "off"}
    choice = known.get(text, text)
    if choice not in ("off", "loopback", "all"):
        raise ValueError(text)
    return choice


_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_bytes(text: str) -> int:
    """268435456 for "256MiB"; 0 for "off"."""
    if text == "off":
        return 0
    unit = _UNITS.get(text[-3:])
    if unit is None:
        raise ValueError(text)
    return _whole_number(text[:-3], 1, 99999) * unit


# Name: how it is read, what is allowed, and what a bad value in the environment leaves.
SETTINGS: "dict[str, tuple[Callable[[str], Any], str, str]]" = {
    "LISTEN": (
        parse_listen,
        "HOST:PORT with an IP address, localhost or nothing (all addresses) as HOST and a PORT "
        "from 1 to 65535, such as 127.0.0.1:9512, :9512 or [::1]:9512; or off",
        "off",
    ),
    "APP": (parse_app, f"1 to {MOST_APP_BYTES} bytes of printable text", "named by its program"),
    "INTERVAL": (parse_interval, "seconds from 0.001 to 3600", f"using {DEFAULT_INTERVAL:g}"),
    "SLOW_INTERVAL": (
        parse_interval,
        "seconds from 0.001 to 3600",
        f"using {DEFAULT_SLOW_INTERVAL:g}",
    ),
    "SLOW_CPU": (
        parse_percent,
        "percent of a core from 0.01 to 100",
        f"using {DEFAULT_SLOW_CPU:g}",
    ),
    "TOP": (parse_top, f"a number from 1 to {MOST_TOP}", f"using {DEFAULT_TOP}"),
    "DETAIL": (parse_detail, "default or full", f"using {DEFAULT_DETAIL}"),
    "ENABLE_ADMIN_API": (parse_remedies, "on (from this machine), all or off", "off"),
    "AUTO_TRIM": (parse_bytes, "1KiB to 99999GiB, such as 256MiB, or off", "off"),
}


def _quote(text: str) -> str:
    return repr(text) if len(text) <= MOST_QUOTED else repr(text[:MOST_QUOTED]) + "..."


def parse(name: str, text: str, where: str) -> "Any":
    """The value of a setting. ValueError says where it stands, what it is, what is allowed."""
    reader, allowed, _ = SETTINGS[name]
    try:
        return reader(text)
    except ValueError:
        raise ValueError(f"{where}: {_quote(text)} is not allowed; allowed: {allowed}") from None


def _option_with_value(argument: str) -> "tuple[str, str]":
    """The interpreter's option in `argument` that takes a value, and what of that is there.

    ("m", "x") for "-Imx", ("W", "") for "-W", ("", "") for "-u".
    """
    if argument.startswith("--"):
        return ("--" if argument == "--check-hash-based-pycs" else ""), ""
    option = next((letter for letter in argument if letter in "cmWX"), "")
    return option, argument.partition(option)[2] if option else ""


def _program(arguments: "Iterable[str]") -> str:
    """What an interpreter with these arguments runs: a module, a script's path, or ""."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "-":
            break
        if not argument.startswith("-"):
            return argument
        option, value = _option_with_value(argument)
        if option and not value:
            value = next(rest, "")
        if option == "m":
            return value
        if option == "c":
            break
    return ""


def _short_name(program: str) -> str:
    name = os.path.basename(program.rstrip("/"))
    return name[:-3] if name.endswith(".py") else name


_SPAWNED = ("--multiprocessing-fork", "--billiard-fork")
_HELPERS = tuple(
    f"{before}from {module} import main"
    for before in ("", "import sys; ")  # of fork servers from 3.14 on
    for module in (
        "multiprocessing.resource_tracker",
        "multiprocessing.forkserver",
        "billiard.semaphore_tracker",
        "billiard.forkserver",
    )
)


def app_of(command: "Iterable[str]") -> str:
    """The name of the program that a command line starts.

    "gunicorn" for ["/usr/bin/gunicorn", "app:app"] and for ["python3", "-m", "gunicorn"].
    """
    first, *rest = [*command, ""]
    name = _short_name(first)
    if name.replace("-dbg", "").rstrip("0123456789.dt") == "python":
        name = _short_name(_program(rest))
    printable = "".join(letter for letter in name if letter.isprintable())
    return printable.encode("utf-8")[:MOST_APP_BYTES].decode("utf-8", "ignore") or "python"


def _command_of(process: "int | str") -> "list[str]":
    """The command line of a process; empty where that cannot be read."""
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return os.fsdecode(file.read()).split("\0")
    except OSError:
        return []


def own_command() -> "list[str]":
    command = getattr(sys, "orig_argv", None)  # 3.10; empty in an embedding program
    return command or _command_of("self")


def origin_of(command: "Iterable[str]") -> str:
    """What an interpreter was started for: to be a "program", or by multiprocessing.

    That starts interpreters to work for their parent ("spawned") and to serve itself, as
    resource tracker or fork server ("helper"). billiard, celery's, does the same.
    """
    for argument in command:
        if argument in _SPAWNED:
            return "spawned"
        if argument.startswith(_HELPERS):
            return "helper"
    return "program"


def own_app() -> str:
    """The name of the program that runs, or for which multiprocessing started this one."""
    command = own_command()
    if origin_of(command) != "program":
        command = _command_of(os.getppid())
    return app_of(command)


def complete(values: "Mapping[str, Any]") -> "Optional[Settings]":
    """Parsed values, with the default for each that is not there; None for "off"."""
    address = values.get("LISTEN")
    if address is None:
        return None
    return {
        "host": address[0],
        "port": address[1],
        "app": values.get("APP") or own_app(),
        "interval": values.get("INTERVAL", DEFAULT_INTERVAL),
        "slow_interval": values.get("SLOW_INTERVAL", DEFAULT_SLOW_INTERVAL),
        "slow_cpu": values.get("SLOW_CPU", DEFAULT_SLOW_CPU),
        "top": values.get("TOP", DEFAULT_TOP),
        "detail": values.get("DETAIL", DEFAULT_DETAIL),
        "remedies": values.get("ENABLE_ADMIN_API", "off"),
        "auto_trim_bytes": values.get("AUTO_TRIM", 0),
        "origin": origin_of(own_command()),
    }


def _unknown(variable: str) -> str:
    """The line about a variable of ours that is none; names the one that was meant."""
    name = variable[len(PREFIX) :].upper()
    for known in SETTINGS:
        if name[:3] == known[:3] or sorted(name) == sorted(known):
            return f"{_quote(variable)} is no setting; {PREFIX}{known} is"
    every = ", ".join(PREFIX + known for known in SETTINGS)
    return f"{_quote(variable)} is no setting; these are: {every}"


def from_environment(environment: "Mapping[str, str]") -> "tuple[Optional[Settings], list[str]]":
    """The settings, or None for "off", and one line for each variable that is wrong.

    An empty value counts as not given, a bad one too: without a good LISTEN it is off.
    """
    values, complaints, unknown = {}, [], []
    for variable in [name for name in environment if name.startswith(PREFIX)]:
        name, text = variable[len(PREFIX) :], environment.get(variable)
        if name not in SETTINGS:
            unknown.append(_unknown(variable))
        elif text:
            try:
                values[name] = parse(name, text, variable)
            except ValueError as error:
                complaints.append(f"{error}; {SETTINGS[name][2]}")
    return complete(values), complaints + unknown
