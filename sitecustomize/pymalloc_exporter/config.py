"""The settings: their names, what they allow, and where they come from.

Pure functions. Imported at interpreter start, so it imports nothing that is not there anyway.
"""

import os
import sys

PREFIX = "PYMALLOC_EXPORTER_"
DEFAULT_LISTEN = "127.0.0.1:9512"
DEFAULT_INTERVAL = 5.0
DEFAULT_DETAIL = "default"

ALLOWED = {
    "LISTEN": "HOST:PORT with an IP address (or localhost, or nothing for all addresses) "
    "and a port from 1 to 65535, as in 127.0.0.1:9512 or [::1]:9512; or off",
    "APP": "1 to 63 bytes of printable text",
    "INTERVAL": "seconds from 0.001 to 3600",
    "DETAIL": "default or full",
}

MOST_APP_BYTES = 63


class Settings(tuple):
    """host, port, app, interval, detail: the arguments of the native install()."""

    def __new__(cls, host, port, app, interval, detail):
        return super().__new__(cls, (host, port, app, interval, detail))


def _is_address(family, host):
    import _socket

    try:
        _socket.inet_pton(family, host)
    except OSError:
        return False
    return True


def parse_listen(text):
    """("127.0.0.1", 9512) for "127.0.0.1:9512"; ValueError for what is no such address."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 1 <= int(port) <= 65535:
        raise ValueError(text)
    if host in ("", "localhost"):
        return ("0.0.0.0" if host == "" else "127.0.0.1", int(port))
    digits = host.replace(".", "")
    if digits.isascii() and digits.isdigit():
        parts = host.split(".")
        if len(parts) == 4 and all(part and str(int(part)) == part for part in parts):
            if all(int(part) <= 255 for part in parts):
                return (host, int(port))
    if host.startswith("[") and host.endswith("]") and _is_address(10, host[1:-1]):
        return (host[1:-1], int(port))
    raise ValueError(text)


def parse_app(text):
    if not text or not text.isprintable() or len(text.encode("utf-8")) > MOST_APP_BYTES:
        raise ValueError(text)
    return text


def parse_interval(text):
    interval = float(text)
    if not 0.001 <= interval <= 3600:
        raise ValueError(text)
    return interval


def parse_detail(text):
    if text not in ("default", "full"):
        raise ValueError(text)
    return text


PARSERS = {
    "LISTEN": parse_listen,
    "APP": parse_app,
    "INTERVAL": parse_interval,
    "DETAIL": parse_detail,
}


def app_of(arguments):
    """The name of the program that a command line starts: "gunicorn" for
    ["python3", "-u", "/usr/bin/gunicorn", ...], "http.server" for ["python", "-m", ...]."""
    rest = list(arguments)
    command = os.path.basename(rest.pop(0)) if rest else ""
    if command.rstrip("0123456789.") == "python":
        command = "python"
        while rest:
            argument = rest.pop(0)
            if argument == "-m" and rest:
                command = rest[0]
            elif argument in ("-W", "-X", "--check-hash-based-pycs"):
                rest[:1] = []
                continue
            elif argument.startswith("-"):
                if argument == "-c":
                    break
                continue
            else:
                command = os.path.splitext(os.path.basename(argument))[0]
            break
    printable = "".join(letter for letter in command if letter.isprintable())
    encoded = printable.encode("utf-8", "replace")[:MOST_APP_BYTES]
    return encoded.decode("utf-8", "ignore") or "python"


def own_app():
    """The same for the process that runs."""
    arguments = getattr(sys, "orig_argv", None)
    if arguments is None:
        with open("/proc/self/cmdline", encoding="utf-8", errors="replace") as file:
            arguments = file.read().split("\0")[:-1]
    return app_of(arguments)


def _default(name):
    if name == "APP":
        return own_app()
    return {"INTERVAL": DEFAULT_INTERVAL, "DETAIL": DEFAULT_DETAIL}[name]


def complaint(name, value, where):
    """The one line about a bad value: where it stands, what it is, what is allowed."""
    return f"{where}: {value!r} is not allowed; it takes {ALLOWED[name]}"


def from_environment(environment):
    """The Settings, or None for "off", and a list of one line for each bad variable.

    A bad value counts as not given; without a good LISTEN the exporter is off.
    """
    values, complaints = {}, []
    for name, parse in PARSERS.items():
        text = environment.get(PREFIX + name)
        try:
            values[name] = parse(text) if text else None
        except ValueError:
            values[name] = None
            default = "off" if name == "LISTEN" else f"using {_default(name)}"
            complaints.append(f"{complaint(name, text, PREFIX + name)}; {default}")
    for variable in environment:
        if variable.startswith(PREFIX) and variable[len(PREFIX) :] not in PARSERS:
            known = ", ".join(PREFIX + name for name in PARSERS)
            complaints.append(f"{variable} is no setting; there are {known}")
    if values["LISTEN"] is None:
        return None, complaints
    host, port = values.pop("LISTEN")
    rest = [_default(name) if value is None else value for name, value in values.items()]
    return Settings(host, port, *rest), complaints
