"""Prints what the benchmarks note beside their times."""

from collections.abc import Callable
from typing import Any

import pytest

NOTES = pytest.StashKey[list[str]]()


@pytest.fixture
def note(request: pytest.FixtureRequest, benchmark: Any) -> Callable[..., None]:
    """Note figures of this benchmark, for the terminal and for pytest-benchmark's own files."""

    def noted(**figures: float) -> None:
        benchmark.extra_info.update(figures)
        told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in figures.items())
        request.config.stash.setdefault(NOTES, []).append(f"{request.node.name}: {told}")

    return noted


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(NOTES, []):
        terminalreporter.write_line(line)
