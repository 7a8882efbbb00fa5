import inspect
import itertools
import re
import subprocess
import sys
import textwrap
import types
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest

from kadapter import hookspecs
from kadapter.errors import ConflictError, PluginError, UnknownNameError
from kadapter.plugins import HOOKS
from kadapter.registry import PluginWarning, Registry, default_registry

ROOT = Path(__file__).parents[1]
BROKEN = ROOT / "tests" / "data" / "broken-plugin"
HOOK_LIST = ", ".join(HOOKS.values())
modules = (f"plugin_of_a_test_{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("KADAPTER_PLUGINS", raising=False)
    monkeypatch.delenv("KADAPTER_STRICT", raising=False)


@pytest.fixture
def broken(monkeypatch):
    """Entry points of the checked-in package, which lies there as if it was installed."""
    monkeypatch.syspath_prepend(BROKEN)
    [distribution] = metadata.distributions(path=[str(BROKEN)])
    return distribution.entry_points


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Write a distribution with one entry point whose module is `source`; give the entry point."""

    def write(source, distribution="kadapter-mine", version="1.0", name="mine"):
        module, site = next(modules), tmp_path / f"{distribution}-{name}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[kadapter]\n{name} = {module}\n")
        (site / f"{module}.py").write_text("from kadapter import hookimpl\n" + textwrap.dedent(source))
        monkeypatch.syspath_prepend(site)
        return next(iter(metadata.Distribution.at(info).entry_points))

    return write


def tasks(*names):
    """Source of a plugin that gives things with these names as tasks."""
    return f"""
        @hookimpl
        def register_tasks():
            return [type("Thing", (), {{"name": name}}) for name in {names}]
        """


def builtin(source):
    """Make a module that serves as the built-ins."""
    module = types.ModuleType("builtins_of_a_test")
    exec("from kadapter import hookimpl\n" + textwrap.dedent(source), module.__dict__)
    return module


def failing(*entry_points, builtins=()):
    """A registry that has loaded, and its failures as text."""
    registry = Registry(entry_points, builtins)
    with pytest.warns(PluginWarning) as caught:
        failures = [str(failure) for failure in registry.failures]
    assert [str(warning.message) for warning in caught] == [f"plugin {failure}" for failure in failures]
    return registry, failures


# --- when things are loaded


def test_importing_the_registry_does_not_import_torch():
    code = "import sys, kadapter.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_making_a_registry_imports_no_plugin_and_the_first_look_up_does(install):
    entry_point = install(tasks("translation"))
    registry = Registry([entry_point], builtins=[])
    assert entry_point.module not in sys.modules
    assert list(registry.tasks) == ["translation"]
    assert entry_point.module in sys.modules


def test_a_plugin_is_asked_once_even_by_many_threads(install):
    source = """
        calls = []

        @hookimpl
        def register_tasks():
            calls.append("asked")
            return [type("Thing", (), {"name": "translation"})]
        """
    entry_point = install(source)
    registry = Registry([entry_point], builtins=[])
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: registry.get("task", "translation"), range(32)))
    assert sys.modules[entry_point.module].calls == ["asked"]


def test_a_registry_of_its_own_finds_what_is_installed(monkeypatch):
    monkeypatch.syspath_prepend(BROKEN)
    monkeypatch.setenv("KADAPTER_PLUGINS", "works")
    assert Registry(builtins=[]).adapter_types["works"].__name__ == "Works"


def test_the_default_registry_is_always_the_same():
    assert default_registry() is default_registry()


def test_a_hook_cannot_look_names_up(install):
    source = """
        registry = None

        @hookimpl
        def register_tasks():
            return [registry.get("task", "translation")]
        """
    entry_point = install(source)
    registry = Registry([entry_point], builtins=[])
    entry_point.load().registry = registry
    with pytest.warns(PluginWarning, match="still loading; look names up later than in a hook"):
        assert not registry.tasks


# --- what a working plugin gives


def test_a_working_plugin_is_found_by_name(broken):
    registry, _ = failing(*broken)
    assert registry.adapter_types["works"] is registry.get("adapter_type", "works")
    assert registry.get("adapter_type", "works").__name__ == "Works"


def test_a_name_says_who_provides_it(broken):
    registry, _ = failing(*broken)
    plugin = registry.provider("adapter_type", "works")
    assert (plugin.name, plugin.distribution, plugin.version) == ("works", "broken-plugin", "1.0")
    assert plugin.provides == {"adapter_type": ("works",)}
    assert str(plugin) == "'works' (broken-plugin 1.0)"


def test_a_mapping_is_sorted_read_only_and_asks_politely(install):
    names = Registry([install(tasks("tagging", "parsing"))], builtins=[]).tasks
    assert list(names) == ["parsing", "tagging"]
    assert "translation" not in names
    assert names.get("translation") is None
    with pytest.raises(TypeError):
        names["translation"] = object


def test_plugins_stand_by_distribution_and_name_in_whatever_order_they_come(install):
    entry_points = [
        install(tasks(f"task-of-{distribution}-{name}"), distribution, name=name)
        for distribution, name in [("kadapter-b", "x"), ("kadapter-a", "z"), ("kadapter-a", "y")]
    ]
    for order in itertools.permutations(entry_points):
        plugins = Registry(order, builtins=[]).plugins
        assert [(p.distribution, p.name) for p in plugins] == [
            ("kadapter-a", "y"),
            ("kadapter-a", "z"),
            ("kadapter-b", "x"),
        ]


def test_built_ins_come_first_and_from_kadapter(install):
    registry = Registry([install(tasks("tagging"), "a-distribution")], [builtin(tasks("parsing"))])
    first, second = registry.plugins
    assert (first.name, first.distribution) == ("builtins_of_a_test", "kadapter")
    assert second.distribution == "a-distribution"
    assert list(registry.tasks) == ["parsing", "tagging"]


def test_an_entry_point_without_distribution_says_so(install):
    known = install(tasks("tagging"))
    [plugin] = Registry([metadata.EntryPoint(known.name, known.value, known.group)], builtins=[]).plugins
    assert (plugin.distribution, plugin.version) == ("unknown", "unknown")


def test_entry_points_of_other_groups_are_left_alone():
    stranger = metadata.EntryPoint("console", "a_module_that_is_not_installed", "console_scripts")
    registry = Registry([stranger], builtins=[])
    assert (registry.plugins, registry.failures) == ((), ())


# --- KADAPTER_PLUGINS


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("a", ["a", "built-in"]),
        ("a,c", ["a", "built-in", "c"]),
        (" a , c ", ["a", "built-in", "c"]),
        ("", ["built-in"]),
    ],
)
def test_plugins_can_be_limited_but_not_the_built_ins(install, monkeypatch, limit, expected):
    entry_points = [install(tasks(name), name=name) for name in "abc"]
    registry = Registry(entry_points, [builtin(tasks("built-in"))])
    monkeypatch.setenv("KADAPTER_PLUGINS", limit)
    assert list(registry.tasks) == expected


# --- plugins that fail


def test_each_broken_entry_point_has_its_reason_and_the_rest_works(broken):
    registry, failures = failing(*broken)
    assert failures == [
        "'importerror' (broken-plugin 1.0): ModuleNotFoundError: No module named 'a_module_that_is_not_installed'",
        "'misspelled' (broken-plugin 1.0): "
        "PluginError: register_composition is marked with hookimpl but is not a hook; "
        f"the hooks are {HOOK_LIST}",
        "'twice' (broken-plugin 1.0): ConflictError: task 'twice' is given by the entry points "
        "'twice' (broken-plugin 1.0) and 'twice' (broken-plugin 1.0); "
        "uninstall one, or name the entry points to load in KADAPTER_PLUGINS",
    ]
    assert [plugin.name for plugin in registry.plugins] == ["twice", "works"]
    assert list(registry.tasks) == ["once"]


def returning(answer):
    """Source of a plugin whose hook returns what this expression gives."""
    return f"@hookimpl\ndef register_tasks():\n    return {answer}"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("a = (", "SyntaxError: '(' was never closed"),
        ("def register_tasks(): return []", f"is marked with hookimpl; the hooks are {HOOK_LIST}"),
        ("@hookimpl\ndef register_tasks(more): return []", "PluginValidationError: Plugin 'mine' for hook"),
        (returning("1 / 0"), "ZeroDivisionError: division by zero"),
        (returning("None"), "PluginError: register_tasks gives a NoneType; it must give a list"),
        (returning("(3,)"), "PluginError: register_tasks gives a tuple; it must give a list"),
        (returning("[3]"), "PluginError: register_tasks gives a int whose name is a NoneType; set it to at"),
        (tasks(""), "whose name is ''; set it to at most 40 lower-case letters"),
        (tasks(3), "whose name is a int; set it to"),
    ],
)
def test_a_plugin_that_fails_is_kept_with_its_reason(install, source, reason):
    registry, [failure] = failing(install(source), install(tasks("tagging"), name="other"))
    assert failure.startswith("'mine' (kadapter-mine 1.0): ")
    assert reason in failure
    assert "\n" not in failure
    assert list(registry.tasks) == ["tagging"]


def test_a_plugin_that_fails_is_left_out_as_a_whole(install):
    source = """
        @hookimpl
        def register_tasks():
            return [type("Thing", (), {"name": "tagging"})]

        @hookimpl
        def register_compositions():
            return 1 / 0
        """
    registry, _ = failing(install(source))
    assert (dict(registry.tasks), registry.plugins) == ({}, ())


def test_a_built_in_that_fails_is_a_failure_too(install):
    registry, [failure] = failing(install(tasks("tagging")), builtins=["a_module_that_is_not_installed"])
    assert failure.startswith("'a_module_that_is_not_installed' (kadapter ")
    assert list(registry.tasks) == ["tagging"]


def test_strict_raises_at_each_look_up_and_shows_the_cause(broken, monkeypatch):
    monkeypatch.setenv("KADAPTER_STRICT", "1")
    registry = Registry(broken, builtins=[])
    for _ in range(2):
        with pytest.raises(PluginError, match=r"plugin 'importerror' .*: ModuleNotFoundError") as caught:
            registry.get("adapter_type", "works")
        assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_strict_raises_on_a_name_given_twice(broken, monkeypatch):
    monkeypatch.setenv("KADAPTER_STRICT", "1")
    monkeypatch.setenv("KADAPTER_PLUGINS", "twice")
    with pytest.raises(PluginError, match="task 'twice' is given by"):
        Registry(broken, builtins=[]).get("task", "once")


# --- names given twice, and names that nobody gives


def test_a_plugin_cannot_take_the_name_of_a_built_in(install):
    registry, failures = failing(install(tasks("parsing", "tagging")), builtins=[builtin(tasks("parsing"))])
    message = "ConflictError: task 'parsing' is built in; the plugin must rename its own"
    assert failures == [f"'mine' (kadapter-mine 1.0): {message}"]
    assert list(registry.tasks) == ["parsing"]
    assert registry.provider("task", "parsing").distribution == "kadapter"


def test_a_name_given_by_two_distributions_names_both_when_it_is_asked_for(install):
    registry, failures = failing(
        install(tasks("parsing", "tagging"), "kadapter-a", "1.0", "a"),
        install(tasks("parsing", "chunking"), "kadapter-b", "2.1", "b"),
    )
    message = (
        "task 'parsing' is given by the entry points 'a' (kadapter-a 1.0) and 'b' (kadapter-b 2.1); "
        "uninstall one, or name the entry points to load in KADAPTER_PLUGINS"
    )
    assert failures == [f"'b' (kadapter-b 2.1): ConflictError: {message}"]
    assert list(registry.tasks) == ["chunking", "tagging"]
    for ask in (registry.tasks.__getitem__, lambda name: registry.get("task", name)):
        with pytest.raises(ConflictError) as caught:
            ask("parsing")
        assert str(caught.value) == message
    with pytest.raises(ConflictError):
        registry.provider("task", "parsing")


def test_the_limit_settles_a_conflict(install, monkeypatch):
    entry_points = [install(tasks("parsing"), f"kadapter-{name}", name=name) for name in "ab"]
    monkeypatch.setenv("KADAPTER_PLUGINS", "b")
    assert Registry(entry_points, builtins=[]).provider("task", "parsing").distribution == "kadapter-b"


def test_things_of_two_kinds_may_share_a_name(install):
    source = tasks("parsing") + tasks("parsing").replace("register_tasks", "register_compositions")
    registry = Registry([install(source)], builtins=[])
    assert registry.tasks["parsing"] is not registry.compositions["parsing"]


def test_a_name_that_nobody_gives_lists_what_there_is_and_what_failed(install):
    registry, _ = failing(install(tasks("parsing", "tagging")), install("1 / 0", "kadapter-b", "2.1", "b"))
    with pytest.raises(UnknownNameError) as caught:
        registry.get("task", "taging")
    assert str(caught.value) == (
        "there is no task 'taging'; there is parsing, tagging; did you mean 'tagging'?; "
        "what failed: 'b' (kadapter-b 2.1): ZeroDivisionError: division by zero"
    )


def test_a_name_that_is_like_none_gets_no_hint():
    with pytest.raises(UnknownNameError) as caught:
        Registry([], builtins=[]).get("adapter_type", "k-adapter")
    assert str(caught.value) == "there is no adapter type 'k-adapter'; there is none"


def test_a_kind_that_is_none_lists_the_kinds():
    with pytest.raises(UnknownNameError) as caught:
        Registry([], builtins=[]).get("tasks", "parsing")
    assert str(caught.value) == f"there is no kind 'tasks'; the kinds are {', '.join(HOOKS)}"


# --- the hooks, each by the example in its docstring


def example(hook):
    """Run the example of a hook as a plugin; give what it registers under its only name."""
    documentation = inspect.getdoc(getattr(hookspecs, hook))
    code = "\n".join(line for line in documentation.splitlines() if not line or line.startswith("    "))
    module = types.ModuleType(f"example_of_{hook}")
    exec(textwrap.dedent(code), module.__dict__)
    [plugin] = Registry([], [module]).plugins
    [(kind, [name])] = plugin.provides.items()
    assert HOOKS[kind] == hook
    return Registry([], [module]).get(kind, name)


def test_the_plugin_in_the_documentation_works():
    code = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), re.DOTALL)[1]
    assert Registry([], [builtin(code)]).knowledge["geography"].task == {"name": "relation-classification"}


def test_hook_register_adapter_types():
    import torch

    from kadapter import BackboneInfo, HiddenStates

    kind = example("register_adapter_types")
    info = BackboneInfo("tiny", "bert", 16, 2, 2, 32, False, "0" * 16, copy_layer=torch.nn.Identity)
    reader = kind(kind.Config(rank=4), info)
    states = HiddenStates({2: torch.randn(3, 5, 16)}, torch.ones(3, 5, dtype=torch.bool))
    assert reader(states).shape == (3, 5, 16)


def test_hook_register_compositions():
    import torch

    mean = example("register_compositions")
    hidden, feature = torch.randn(2, 3, 5, 16)
    mixed = mean(mean.Config(), 16)(hidden, {"one": feature})
    torch.testing.assert_close(mixed, (hidden + feature) / 2)
    assert torch.equal(mean(mean.Config(), 16)(hidden, {}), hidden)


def test_hook_register_tasks():
    import torch

    kind = example("register_tasks")
    task = kind(kind.Config())
    logits = task.head(16)(torch.randn(3, 5, 16), {}).detach()
    assert task.loss(logits, {"labels": logits + 1}).item() == pytest.approx(1)
    assert task.metrics(logits.numpy(), logits.numpy() + 0.25, None) == pytest.approx({"closeness": 0.75})


def test_hook_register_knowledge_sources(tmp_path):
    table = tmp_path / "facts.csv"
    table.write_text("text,points\n" + "".join(f"sentence {n},{n / 20}\n" for n in range(20)))
    splits = example("register_knowledge_sources")().load(table, seed=0).splits
    assert {name: len(rows) for name, rows in splits.items()} == {"train": 16, "validation": 2, "test": 2}


def test_hook_register_knowledge():
    assert example("register_knowledge").adapter == {"type": "k-adapter"}


def test_hook_register_backbones():
    assert example("register_backbones").locate().name == "house"


def test_hook_register_formats(tmp_path, tiny):
    import torch

    from kadapter import build_adapter

    info = tiny("bert").info
    (tmp_path / "weights.json").write_text("[0, 0.5, 0, 0, 1]")
    form = example("register_formats")()
    imported = form.read(tmp_path / "weights.json", info)
    assert imported.tensors["weights"].tolist() == [0, 0.5, 0, 0, 1]
    adapter = build_adapter(imported.options, info)
    adapter.load_state_dict(imported.tensors)
    form.write(adapter, "again", tmp_path)
    assert torch.equal(form.read(tmp_path / "again.json", info).tensors["weights"], imported.tensors["weights"])


@pytest.mark.parametrize("hook", sorted(name for name in vars(hookspecs) if name.startswith("register_")))
def test_every_hook_has_a_kind_and_a_test_and_a_heading(hook):
    assert hook in HOOKS.values(), f"{hook} is not in kadapter.plugins.HOOKS"
    assert f"test_hook_{hook}" in globals(), f"{hook} has no test_hook_{hook}"
    heading = f"### `{hook}() -> {getattr(hookspecs, hook).__annotations__['return']}`"
    assert heading in (ROOT / "docs" / "plugins.md").read_text(), f"docs/plugins.md has no heading {heading}"


@pytest.mark.parametrize(
    ("mapping", "hook"),
    [
        ("adapter_types", "register_adapter_types"),
        ("compositions", "register_compositions"),
        ("tasks", "register_tasks"),
        ("sources", "register_knowledge_sources"),
        ("knowledge", "register_knowledge"),
        ("backbones", "register_backbones"),
        ("formats", "register_formats"),
    ],
)
def test_each_mapping_holds_what_its_hook_gives(mapping, hook):
    registry = Registry([], [builtin(tasks("thing").replace("register_tasks", hook))])
    assert list(getattr(registry, mapping)) == ["thing"]
