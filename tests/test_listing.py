"""What `kadapter plugins` remembers, and when it looks again."""

import shutil
import sys

import pytest

from kadapter.listing import listing
from kadapter.registry import PluginWarning, default_registry

SOURCE = """
from helper_of_a_test import NAMES

from kadapter import hookimpl

@hookimpl
def register_tasks():
    return [type("Thing", (), {"name": name}) for name in NAMES]
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the cache."""
    monkeypatch.setenv("KADAPTER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path, monkeypatch, cache):
    """A folder with an installed plugin, a package; a module elsewhere has the names of its tasks."""
    site = tmp_path / "site"
    info = site / "kadapter_mine-1.0.dist-info"
    for folder in (info, site / "plugin_of_a_test", tmp_path / "elsewhere"):
        folder.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kadapter-mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kadapter]\nmine = plugin_of_a_test\n")
    (site / "plugin_of_a_test" / "__init__.py").write_text(SOURCE)
    (tmp_path / "elsewhere" / "helper_of_a_test.py").write_text("NAMES = ['first']\n")
    monkeypatch.setenv("KADAPTER_PLUGINS", "mine")
    for folder in (site, tmp_path / "elsewhere"):
        monkeypatch.syspath_prepend(folder)
    yield site
    default_registry.cache_clear()


def ask(refresh=False):
    """As a new process would: what the plugin is said to give, and whether it was loaded for that."""
    default_registry.cache_clear()
    for module in ("plugin_of_a_test", "helper_of_a_test"):
        sys.modules.pop(module, None)
    found = listing(refresh)
    given = {row["name"]: row["version"] for row in found["provides"] if row["distribution"] == "kadapter-mine"}
    return given, "plugin_of_a_test" in sys.modules


def edit(site):
    (site / "plugin_of_a_test" / "__init__.py").write_text(SOURCE.replace("in NAMES", "in ['another']"))
    return {"another": "1.0"}


def edit_what_it_imports(site):
    (site.parent / "elsewhere" / "helper_of_a_test.py").write_text("NAMES = ['first', 'second']\n")
    return {"first": "1.0", "second": "1.0"}


def put_a_file_beside_it(site):
    (site / "plugin_of_a_test" / "weights.json").write_text("{}")
    return {"first": "1.0"}


def upgrade(site):
    info = (site / "kadapter_mine-1.0.dist-info").rename(site / "kadapter_mine-2.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kadapter-mine\nVersion: 2.0\n")
    return {"first": "2.0"}


def uninstall(site):
    shutil.rmtree(site / "kadapter_mine-1.0.dist-info")
    return {}


def install_something_else(site):
    (site / "what_it_may_have_missed.py").write_text("")
    return {"first": "1.0"}


def cut_what_is_remembered(site):
    [file] = (site.parent / "cache").iterdir()
    file.write_text(file.read_text()[:-100])
    return {"first": "1.0"}


def test_it_is_loaded_once(site):
    assert ask() == ({"first": "1.0"}, True)
    remembered = listing()
    assert ask() == ({"first": "1.0"}, False)
    assert ask(refresh=True) == ({"first": "1.0"}, True)
    assert listing(refresh=True) == remembered


@pytest.mark.parametrize(
    "change",
    [
        edit,
        edit_what_it_imports,
        put_a_file_beside_it,
        upgrade,
        uninstall,
        install_something_else,
        cut_what_is_remembered,
    ],
    ids=lambda change: change.__name__,
)
def test_what_changed_is_loaded_again(site, change):
    ask()
    given = change(site)
    assert ask() == (given, bool(given))
    assert ask() == (given, False)


def test_the_limit_of_the_environment_is_kept(site, monkeypatch):
    ask()
    monkeypatch.setenv("KADAPTER_PLUGINS", "")
    assert ask() == ({}, False)


def test_a_failure_is_shown_each_time_and_gone_when_its_cause_is(site):
    helper = site.parent / "elsewhere" / "helper_of_a_test.py"
    source = helper.read_text()
    helper.write_text("import a_module_that_is_not_installed")
    for _ in range(2):
        default_registry.cache_clear()
        with pytest.warns(PluginWarning):
            [failure] = listing()["failures"]
        assert failure["plugin"] == "mine"
        assert "a_module_that_is_not_installed" in failure["reason"]
    helper.write_text(source)
    assert ask() == ({"first": "1.0"}, True)


def test_a_cache_that_cannot_be_written_is_no_trouble(site, monkeypatch):
    (site.parent / "file").write_text("")
    monkeypatch.setenv("KADAPTER_CACHE", str(site.parent / "file" / "cache"))
    assert ask() == ask() == ({"first": "1.0"}, True)
