"""Debian's Apache with mod_wsgi: several interpreters in a process, one exporter."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from process_model import APPS, Model, ProcessModel
from system_python import PACKAGE, SYSTEM, needs

MODULES = Path("/usr/lib/apache2/modules")
PROCESSES = 2

# What stands in Debian's own configuration, as far as it is needed.
BASE = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog /dev/stderr
Listen 127.0.0.1:{port}
LoadModule mpm_prefork_module {modules}/mod_mpm_prefork.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule wsgi_module {modules}/mod_wsgi.so
User www-data
Group www-data
StartServers 2
MinSpareServers 1
MaxSpareServers 2
MaxRequestWorkers 2
WSGISocketPrefix {folder}/wsgi
"""

# Two applications, the first one in the main interpreter.
EMBEDDED = """
WSGIScriptAlias /other {apps}/hello.py
WSGIScriptAlias / {apps}/web.py application-group=%{{GLOBAL}}
"""
DAEMON = """
WSGIRestrictEmbedded On
WSGIDaemonProcess shop processes=2 threads=3
WSGIScriptAlias /other {apps}/hello.py process-group=shop application-group=other
WSGIScriptAlias / {apps}/web.py process-group=shop application-group=%{{GLOBAL}}
"""


# Has what the server's user has to read: the exporter and the applications.
FOLDER = Path(tempfile.gettempdir()) / f"mod_wsgi-{os.getpid()}"
PATH = {"PYTHONPATH": f"{FOLDER / 'apps'}:{FOLDER}"}


@pytest.fixture(autouse=True, scope="module")
def folder() -> Iterator[None]:
    FOLDER.mkdir()
    FOLDER.chmod(0o755)
    shutil.copytree(PACKAGE, FOLDER / PACKAGE.name)
    shutil.copytree(APPS, FOLDER / "apps")
    yield
    shutil.rmtree(FOLDER)


def apache(applications: str) -> Model:
    def command(port: int) -> list[str]:
        places = {"folder": FOLDER, "apps": FOLDER / "apps", "modules": MODULES}
        text = (BASE + applications).format(port=port, **places)
        file = FOLDER / "apache2.conf"
        file.write_text(text)
        return ["apache2", "-f", str(file), "-DFOREGROUND"]

    roles, asked = {"process": PROCESSES}, ("/other", "/")
    # Whose turn it is to listen has one more descriptor.
    turn = ("anon_inode:[eventpoll]",)
    return Model(command, roles, asked, python=SYSTEM, environment=PATH, passed_on=turn)


MODELS = {"embedded": apache(EMBEDDED), "daemon": apache(DAEMON)}


@needs("apache2", str(MODULES / "mod_wsgi.so"))
class TestModWsgi(ProcessModel):
    models = MODELS
