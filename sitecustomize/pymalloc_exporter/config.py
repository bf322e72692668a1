"""The settings: their names, what they allow, and where they come from.

The command and the loader share it. Runs at the start of every interpreter: it imports
nothing that is not there anyway, but for an IPv6 address.
"""

import os
import sys

TYPE_CHECKING = False  # imports that cost time at the start of every interpreter
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

PREFIX = "PYMALLOC_EXPORTER_"
DEFAULT_LISTEN = "127.0.0.1:9512"
DEFAULT_INTERVAL = 5.0
DEFAULT_DETAIL = "default"

LONGEST_APP_BYTES = 63
LONGEST_QUOTE = 100

# host, port, app, interval, detail: the arguments of the native install().
Settings = tuple[str, int, str, float, str]


def _parse_ipv4(text: str) -> str:
    parts = text.split(".")
    if len(parts) != 4 or any(part not in map(str, range(256)) for part in parts):
        raise ValueError(text)
    return text


def _parse_ipv6(text: str) -> str:
    """In the one spelling that all processes of an address share."""
    from _socket import AF_INET6, inet_ntop, inet_pton

    try:
        return inet_ntop(AF_INET6, inet_pton(AF_INET6, text))
    except OSError as error:
        raise ValueError(text) from error


def parse_listen(text: str) -> "tuple[str, int] | None":
    """("127.0.0.1", 9512) for "127.0.0.1:9512"; None for "off"."""
    if text == "off":
        return None
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise ValueError(text)
    if host == "" and text.startswith(":"):
        return "0.0.0.0", int(port)
    if host == "localhost":
        return "127.0.0.1", int(port)
    if host.startswith("[") and host.endswith("]"):
        return _parse_ipv6(host[1:-1]), int(port)
    return _parse_ipv4(host), int(port)


def parse_app(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode("utf-8")) > LONGEST_APP_BYTES:
        raise ValueError(text)
    return text


def parse_interval(text: str) -> float:
    interval = float(text)
    if not 0.001 <= interval <= 3600:
        raise ValueError(text)
    return interval


def parse_detail(text: str) -> str:
    if text not in ("default", "full"):
        raise ValueError(text)
    return text


PARSERS: "dict[str, Callable[[str], Any]]" = {
    "LISTEN": parse_listen,
    "APP": parse_app,
    "INTERVAL": parse_interval,
    "DETAIL": parse_detail,
}

ALLOWED = {
    "LISTEN": "HOST:PORT with an IP address, localhost or nothing (all addresses) and a port "
    "from 1 to 65535, such as 127.0.0.1:9512, :9512 or [::1]:9512; or off",
    "APP": f"1 to {LONGEST_APP_BYTES} bytes of printable text",
    "INTERVAL": "seconds from 0.001 to 3600",
    "DETAIL": "default or full",
}


def parse(name: str, text: str, where: str) -> "Any":
    """The value of a setting; ValueError names `where` it stands and what is allowed."""
    try:
        return PARSERS[name](text)
    except ValueError:
        quoted = repr(text[:LONGEST_QUOTE]) + ("..." if len(text) > LONGEST_QUOTE else "")
        raise ValueError(f"{where}: {quoted} is not allowed; allowed: {ALLOWED[name]}") from None


def _program(arguments: "Iterable[str]") -> str:
    """What an interpreter with these arguments runs: a module, a script's path, or ""."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--check-hash-based-pycs":
            next(rest, "")
        elif argument == "-" or not argument.startswith("-"):
            return argument.rstrip("-")
        elif not argument.startswith("--"):
            # Options may stand together, and the last have its value with it: -Im MODULE.
            options = argument[1:].rstrip("cmWX") if False else argument[1:]
            letter = next((letter for letter in options if letter in "cmWX"), "")
            value = options.partition(letter)[2] or next(rest, "") if letter else ""
            if letter in ("c", "m"):
                return value if letter == "m" else ""
    return ""
