"""What the settings allow, and what becomes of values that they do not."""

import os
import subprocess
import sys

import pymalloc_exporter
import pytest
from pymalloc_exporter import config
from starting import BOOTSTRAP, PACKAGE, environment, python

LISTEN = {"PYMALLOC_EXPORTER_LISTEN": "127.0.0.1:9512", "PYMALLOC_EXPORTER_APP": "shop"}
DEFAULTS = {
    "host": "127.0.0.1",
    "port": 9512,
    "app": "shop",
    "interval": 5.0,
    "slow_interval": 60.0,
    "slow_cpu": 0.5,
    "top": 10,
    "detail": "default",
    "remedies": "off",
    "auto_trim_bytes": 0,
    "origin": "program",
}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9512", ("127.0.0.1", 9512)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("localhost:9512", ("127.0.0.1", 9512)),
        (":65535", ("0.0.0.0", 65535)),
        ("[::1]:9512", ("::1", 9512)),
        ("[0:0:0:0:0:0:0:1]:9512", ("::1", 9512)),
        ("off", None),
    ],
)
def test_listen(text, address):
    assert config.parse("LISTEN", text, "here") == address


BAD_LISTEN = (
    *("127.0.0.1", "9512", ":", "", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:-1"),
    *("127.0.0.1: 9512", "127.0.0.1:+9512", "127.0.0.1:9_512", "127.0.0.1:\u0669\u0665"),
    *("127.0.0.1:" + "9" * 5000, "127.0.0:9512", "127.0.0.256:9512", "127.0.0.010:9512"),
    *("1.2.3.4.5:9512", "example.org:9512", "::1:9512", "[::1]9512", "[::1:9512", "[::g]:9512"),
    *("[127.0.0.1]:9512", "[]:9512", "[::1%lo]:9512", "[::1\0]:9512", "http://127.0.0.1:9512"),
    *("\u0661\u0662\u0667.0.0.1:9512", "127.0.0.1:9512/metrics", "OFF", "127.0.0.1\n:9512"),
)
BAD = (
    *(("LISTEN", text, "HOST:PORT") for text in BAD_LISTEN),
    *(
        ("APP", text, "63 bytes")
        for text in ("", "a\nb", "\x1b[31m", "a" * 64, "\u00fc" * 32, "\udcff")
    ),
    *(
        ("INTERVAL", text, "0.001 to 3600")
        for text in ("", "0", "-1", "0.0009", "3600.1", "nan", "inf", "5s", "1e999", "five")
    ),
    *(("SLOW_INTERVAL", text, "0.001 to 3600") for text in ("", "0", "3600.1", "nan")),
    *(("SLOW_CPU", text, "0.01 to 100") for text in ("", "0", "101", "nan", "5%")),
    *(("DETAIL", text, "default or full") for text in ("", "Full", "default ", "all")),
    *(("ENABLE_ADMIN_API", text, "all or off") for text in ("", "yes", "ON", "2")),
    *(("AUTO_TRIM", text, "256MiB") for text in ("", "256", "0MiB", "1MB", "-1MiB", "1.5GiB")),
    *(("AUTO_TRIM", text, "256MiB") for text in ("MiB", "100000GiB", " 1MiB", "1 MiB", "on")),
)


@pytest.mark.parametrize(("name", "text", "allowed"), BAD, ids=lambda part: ascii(part)[:30])
def test_bad_value_is_named_with_where_it_stands_and_what_is_allowed(name, text, allowed):
    with pytest.raises(ValueError) as raised:
        config.parse(name, text, "--where")
    line = str(raised.value)
    assert line.startswith(f"--where: {text[:100]!r}")
    assert allowed in line
    assert "\n" not in line
    assert len(line) < 500


@pytest.mark.parametrize("text", ["a", "a" * 63, "\u00fc" * 31, 'shop "2" \\ main'])
def test_app(text):
    assert config.parse("APP", text, "here") == text


@pytest.mark.parametrize(
    ("text", "seconds"), [("0.001", 0.001), ("3600", 3600.0), ("1e1", 10.0), ("5", 5.0)]
)
def test_interval(text, seconds):
    assert config.parse("INTERVAL", text, "here") == seconds


@pytest.mark.parametrize(
    ("text", "remedies"),
    [("on", "loopback"), ("1", "loopback"), ("all", "all"), ("off", "off"), ("0", "off")],
)
def test_enable_admin_api(text, remedies):
    assert config.parse("ENABLE_ADMIN_API", text, "here") == remedies


@pytest.mark.parametrize(
    ("text", "size"), [("1KiB", 1024), ("256MiB", 256 << 20), ("99999GiB", 99999 << 30), ("off", 0)]
)
def test_auto_trim(text, size):
    assert config.parse("AUTO_TRIM", text, "here") == size


# From the environment.


def test_environment_gives_the_arguments_of_install():
    given = {
        **LISTEN,
        "PYMALLOC_EXPORTER_INTERVAL": "0.5",
        "PYMALLOC_EXPORTER_SLOW_INTERVAL": "90",
        "PYMALLOC_EXPORTER_SLOW_CPU": "2",
        "PYMALLOC_EXPORTER_DETAIL": "full",
        "PYMALLOC_EXPORTER_ENABLE_ADMIN_API": "on",
        "PYMALLOC_EXPORTER_AUTO_TRIM": "1GiB",
        "PYMALLOC_EXPORTER_TOP": "20",
    }
    changed = {"interval": 0.5, "slow_interval": 90.0, "slow_cpu": 2.0, "detail": "full"}
    more = {"remedies": "loopback", "auto_trim_bytes": 1 << 30, "top": 20}
    assert config.from_environment(given) == ({**DEFAULTS, **changed, **more}, [])


@pytest.mark.parametrize(
    "empty", [{}, {"PYMALLOC_EXPORTER_INTERVAL": "", "PYMALLOC_EXPORTER_DETAIL": ""}]
)
def test_what_is_not_given_or_empty_is_at_its_default(empty):
    assert config.from_environment({**LISTEN, **empty}) == (DEFAULTS, [])


@pytest.mark.parametrize(
    ("name", "text", "instead"),
    [
        ("APP", "a\n", "named by its program"),
        ("INTERVAL", "0", "using 5"),
        ("DETAIL", "x", "using default"),
        ("TOP", "0", "using 10"),
        ("TOP", "21", "using 10"),
    ],
)
def test_bad_value_in_the_environment_leaves_the_default(name, text, instead):
    settings, (line,) = config.from_environment({**LISTEN, f"PYMALLOC_EXPORTER_{name}": text})
    app = config.own_app() if name == "APP" else "shop"
    assert settings == {**DEFAULTS, "app": app}
    assert line.startswith(f"PYMALLOC_EXPORTER_{name}: {text!r}")
    assert line.endswith(f"; {instead}")


def test_bad_address_in_the_environment_leaves_it_off():
    settings, (line,) = config.from_environment({**LISTEN, "PYMALLOC_EXPORTER_LISTEN": "x"})
    assert settings is None
    assert line.endswith("; off")


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [
        ("INTERVALL", "INTERVAL is"),
        ("Listen", "LISTEN is"),
        ("LSITEN", "LISTEN is"),
        ("APP_NAME", "APP is"),
        ("COLOUR", "LISTEN, PYMALLOC_EXPORTER_APP"),
    ],
)
def test_unknown_variable_is_one_line_that_helps(unknown, meant):
    settings, (line,) = config.from_environment({**LISTEN, f"PYMALLOC_EXPORTER_{unknown}": "1"})
    assert settings is not None
    assert line.startswith(f"'PYMALLOC_EXPORTER_{unknown}' is no setting")
    assert f"PYMALLOC_EXPORTER_{meant}" in line


def test_each_bad_variable_is_a_line_and_the_application_goes_on(free_port):
    bad = {
        "PYMALLOC_EXPORTER_LISTEN": f"127.0.0.1:{free_port}",
        "PYMALLOC_EXPORTER_APP": "two\nlines",
        "PYMALLOC_EXPORTER_INTERVAL": "often",
        "PYMALLOC_EXPORTER_DETAIL": "more",
        "PYMALLOC_EXPORTER_COLOUR": "red",
    }
    done = python("import sys; print('pymalloc_exporter._native' in sys.modules)", BOOTSTRAP, **bad)
    assert (done.stdout, done.returncode) == ("True\n", 0)
    lines = done.stderr.splitlines()
    assert [line.split()[1].strip(":'") for line in lines] == list(bad)[1:]


# The application's name.


@pytest.mark.parametrize(
    ("command", "app"),
    [
        ("gunicorn app:app", "gunicorn"),
        ("/usr/local/bin/celery -A shop worker", "celery"),
        ("./manage.py runserver", "manage"),
        ("python -m gunicorn app:app", "gunicorn"),
        ("/usr/bin/python3.13t -u -m http.server 80", "http.server"),
        ("python3-dbg -Imgunicorn app:app", "gunicorn"),
        ("python3 -W error -X dev -X utf8=1 srv/shop.py --debug", "shop"),
        ("python3 --check-hash-based-pycs always /srv/shop.py", "shop"),
        ("python3 -Werror /venv/bin/gunicorn app:app", "gunicorn"),
        ("python3 /srv/shop/ -m x", "shop"),
        ("python3 -- shop.py", "shop"),
        ("python3 -c print() shop.py", "python"),
        ("python3 -cpass shop.py", "python"),
        ("python3 - shop.py", "python"),
        ("python3 -m", "python"),
        ("python3", "python"),
        ("pythonic-server", "pythonic-server"),
        ("", "python"),
        ("a" * 64, "a" * 63),
        ("\u00fc" * 32, "\u00fc" * 31),
        ("sh\x1bop\udcff", "shop"),
    ],
)
def test_app_is_named_by_its_command_line(command, app):
    assert config.app_of(command.split()) == app
    config.parse("APP", app, "here")


def test_own_app_is_that_of_the_process(tmp_path):
    script = tmp_path / "shop.py"
    script.write_text("from pymalloc_exporter import config; print(config.own_app())")
    done = subprocess.run(
        [sys.executable, "-u", script],
        env=environment(PACKAGE.parent),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("shop\n", "")


def test_what_multiprocessing_starts_is_known(tmp_path):
    """A worker is named after the program; what serves multiprocessing itself is no worker."""
    script = tmp_path / "shop.py"
    script.write_text("""
import multiprocessing
from multiprocessing import forkserver, resource_tracker
from pymalloc_exporter import config

def work():
    print(config.origin_of(config.own_command()), config.own_app(), flush=True)

if __name__ == "__main__":
    work()
    for method in ("spawn", "forkserver"):
        target = {"spawn": work, "forkserver": multiprocessing.active_children}[method]
        process = multiprocessing.get_context(method).Process(target=target)
        process.start()
        process.join()
    for pid in (resource_tracker._resource_tracker._pid, forkserver._forkserver._forkserver_pid):
        print(config.origin_of(config._command_of(pid)))
""")
    done = subprocess.run(
        [sys.executable, "-u", script],
        env=environment(PACKAGE.parent),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == ["program shop", "spawned shop", "helper", "helper"]


# install().


@pytest.mark.parametrize(
    ("argument", "value"), [("listen", 9512), ("app", ""), ("interval", 0), ("detail", None)]
)
def test_install_refuses_a_bad_argument(argument, value):
    with pytest.raises(ValueError, match=f"^{argument}: {str(value)!r} is not allowed"):
        pymalloc_exporter.install(**{argument: value})


def test_install_off_does_nothing():
    count = len(os.listdir("/proc/self/task"))
    pymalloc_exporter.install("off")
    assert len(os.listdir("/proc/self/task")) == count


def test_install_starts_it_once(free_port):
    code = f"""
import os, pymalloc_exporter
for _ in range(2):
    pymalloc_exporter.install("127.0.0.1:{free_port}", app="shop", interval=1, detail="full")
    print(len(os.listdir("/proc/self/task")))
"""
    done = python(code, PACKAGE.parent)
    assert (done.stdout, done.stderr, done.returncode) == ("2\n2\n", "", 0)
