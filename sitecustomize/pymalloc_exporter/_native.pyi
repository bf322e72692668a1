from typing import Any

__version__: str

def install(
    *,
    host: str,
    port: int,
    app: str,
    interval: float,
    slow_interval: float,
    detail: str,
    slow_cpu: float = 0.5,
) -> None: ...
def may_install() -> bool: ...
def compare() -> dict[str, Any]: ...
def compare_free_lists() -> dict[str, Any]: ...
