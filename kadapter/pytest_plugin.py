"""`pytest --kadapter-plugin NAME`: hold what an installed plugin gives to the contracts, without a test file.

Every run of pytest imports this module where kadapter is installed: without the option nothing else happens.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("kadapter").addoption(
        "--kadapter-plugin",
        metavar="NAME",
        action="append",
        default=[],
        help="test what an installed kadapter plugin gives, and nothing else; NAME is an entry point or a package",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let the contracts take the place of test files where the option is given."""
    if names := config.getoption("kadapter_plugin"):
        from kadapter.testing.installed import Contracts

        config.pluginmanager.register(Contracts.of(config, names), "kadapter-contracts")
