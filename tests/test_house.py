"""The house rules, read from the code itself. Each test names the offenders."""

import ast
import functools
import re
import statistics
import subprocess
import sys
from pathlib import Path

import networkx
import pytest

import kadapter

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "kadapter").rglob("*.py"))
BUILTIN = [path for path in CORE if "builtin" in path.parts]
KNOWLEDGE_DATA = sorted((ROOT / "knowledge_data").rglob("*.py"))
PLUGINS = sorted(ROOT.glob("plugins/*/src/**/*.py"))
PLUGIN_TESTS = sorted(ROOT.glob("plugins/*/tests/**/*.py"))
CODE = CORE + KNOWLEDGE_DATA + PLUGINS

# A module imports from its own layer and those above it in this table.
LAYERS = [
    {"__version__", "errors"},
    {"config", "files", "hookspecs", "memory", "privacy", "processes", "progress", "sizes", "tables", "timing"},
    {"plugins"},
    {"registry"},
    {"inputs", "listing", "past", "sites"},
    {"adapter", "composition", "formats", "task", "knowledge"},
    {
        "attention",
        "backbone",
        "card",
        "features",
        "foreign",
        "generation",
        "hub",
        "lm_head",
        "loading",
        "naming",
        "output",
        "passes",
        "saved",
        "storage",
        "taps",
        "transformers_like",
    },
    {"model"},
    {"together"},
    {
        "compatibility",
        "composing",
        "data",
        "evaluation",
        "importing",
        "inspection",
        "plots",
        "probing",
        "recipe",
        "storing",
        "trainer",
        "training",
        "watching",
    },
    {"authoring", "comparison", "demo", "describing", "stages", "sweeping"},
    {"__main__", "cli", "pytest_plugin", "testing", "wheel"},
]
LAYER = {module: number for number, layer in enumerate(LAYERS) for module in layer}
TOP = len(LAYERS) - 1


# --- reading code


@functools.cache
def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def said(path, node=None, note=""):
    return f"{path.relative_to(ROOT)}{f':{node.lineno}' if node else ''} {note}".strip()


def run_time(node):
    """All nodes below this one, but for what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)):
            yield child
            yield from run_time(child)


def imports(path):
    """(node, dotted name) of everything imported: `from a import b` gives "a.b"."""
    for node in run_time(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, said(path, node, "imports relatively; say the whole name")
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def definitions(path, node=None, parents=()):
    """(parents, node) of every class and function, however deep."""
    for child in ast.iter_child_nodes(node or parse(path)):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield parents, child
            yield from definitions(path, child, (*parents, child))
        else:
            yield from definitions(path, child, parents)


def functions(paths):
    for path in paths:
        for parents, node in definitions(path):
            if not isinstance(node, ast.ClassDef):
                yield path, parents, node


def home(path):
    """The module of the core that a file belongs to; a folder counts as one module."""
    return path.relative_to(ROOT / "kadapter").parts[0].removesuffix(".py")


def core_modules():
    return [path for path in CORE if path not in BUILTIN and home(path) != "__init__"]


def core_imports(path):
    """(node, name) of what a file imports from `kadapter`, without the package's own name."""
    for node, target in imports(path):
        root, *rest = target.split(".")
        if root == "kadapter":
            yield node, rest[0] if rest else ""


# --- who may import whom


def test_every_module_of_the_core_has_a_layer():
    strangers = sorted({home(path) for path in core_modules()} - LAYER.keys())
    assert not strangers, f"give these a layer in tests/test_house.py: {strangers}"


def test_the_core_imports_its_own_modules_and_only_downwards():
    offenders = [
        said(path, node, f"imports kadapter.{name}")
        for path in core_modules()
        for node, name in core_imports(path)
        if LAYER.get(name, TOP if name in kadapter.__all__ else TOP + 1) > LAYER.get(home(path), TOP)
    ]
    assert not offenders, "\n".join(offenders)


def test_modules_do_not_import_in_circles():
    graph = networkx.DiGraph(
        (home(path), name) for path in core_modules() for _, name in core_imports(path) if name != home(path)
    )
    assert list(networkx.simple_cycles(graph)) == []


@pytest.mark.parametrize("module", ["kadapter", "kadapter.registry", "kadapter.pytest_plugin"])
def test_importing_is_cheap(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'kadapter.builtin' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0, f"{module} imports torch"


def own_package(path):
    """What a file of the built-ins or of a plugin belongs to: plugins/kadapter-x/... to kadapter_x."""
    if path in BUILTIN:
        return "kadapter.builtin"
    return path.relative_to(ROOT / "plugins").parts[0].replace("-", "_")


def is_foreign(target, path):
    """Whether `target` is more than public names of kadapter and the file's own package."""
    own = (own_package(path), "kadapter.testing") if path in PLUGIN_TESTS else (own_package(path),)
    root, _, rest = target.partition(".")
    if f"{target}.".startswith(tuple(f"{package}." for package in own)):
        return False
    return root.startswith("kadapter_") or (root == "kadapter" and rest not in kadapter.__all__)


def test_built_ins_and_plugins_import_public_names_only():
    offenders = [
        said(path, node, f"imports {target}")
        for path in BUILTIN + PLUGINS + PLUGIN_TESTS
        for node, target in imports(path)
        if is_foreign(target, path)
    ]
    assert not offenders, "\n".join(offenders)


@pytest.mark.parametrize(
    ("paths", "banned"),
    [
        pytest.param(CORE, r"kadapter_\w", id="kadapter: plugins"),
        pytest.param(KNOWLEDGE_DATA, r"kadapter|(torch|transformers)\b", id="knowledge_data: models"),
    ],
)
def test_some_imports_are_banned(paths, banned):
    offenders = [
        said(path, node, f"imports {target}")
        for path in paths
        for node, target in imports(path)
        if re.match(banned, target)
    ]
    assert not offenders, "\n".join(offenders)


# --- sizes


def body_lines(function):
    """Lines of a function's body, without its docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_no_module_is_over_400_lines():
    offenders = [said(path) for path in CODE if len(path.read_text(encoding="utf-8").splitlines()) > 400]
    assert not offenders, "\n".join(offenders)


def test_no_function_is_over_60_lines():
    offenders = [said(path, node, node.name) for path, _, node in functions(CODE) if body_lines(node) > 60]
    assert not offenders, "\n".join(offenders)


def test_most_functions_are_short():
    ordered = sorted((body_lines(node), said(path, node, node.name)) for path, _, node in functions(CODE))
    lengths = [length for length, _ in ordered]
    longest = "\n".join(f"{length} {where}" for length, where in ordered[-20:])
    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=20)[-1] <= 35, longest


# --- types and docstrings


def parameters(parents, function):
    """The parameters that need a type: all but `self` and `cls`."""
    a = function.args
    static = any(ast.unparse(decorator) == "staticmethod" for decorator in function.decorator_list)
    bound = bool(parents) and isinstance(parents[-1], ast.ClassDef) and not static
    return [*(a.posonlyargs + a.args)[bound:], *a.kwonlyargs, *filter(None, [a.vararg, a.kwarg])]


def test_every_parameter_and_return_has_a_type():
    offenders = [
        said(path, node, f"{node.name}({parameter.arg})")
        for path, parents, node in functions(CODE)
        for parameter in parameters(parents, node)
        if parameter.annotation is None
    ] + [said(path, node, f"{node.name} -> ?") for path, _, node in functions(CODE) if node.returns is None]
    assert not offenders, "\n".join(offenders)


def is_public(parents, node):
    inside_function = any(not isinstance(parent, ast.ClassDef) for parent in parents)
    return not inside_function and not any(d.name.startswith("_") for d in (*parents, node))


def test_every_public_name_has_a_docstring():
    offenders = [said(path) for path in CODE if not ast.get_docstring(parse(path))] + [
        said(path, node, node.name)
        for path in CODE
        for parents, node in definitions(path)
        if is_public(parents, node) and not ast.get_docstring(node)
    ]
    assert not offenders, "\n".join(offenders)


# --- the public face


def test_the_public_names_are_sorted_and_few():
    assert kadapter.__all__ == sorted(set(kadapter.__all__))
    assert len(kadapter.__all__) <= 47


@pytest.mark.parametrize("name", kadapter.__all__)
def test_each_public_name_is_there(name):
    assert hasattr(kadapter, name)


def test_every_public_name_is_in_the_documentation():
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("README.md")]
    words = {word for page in pages for word in re.findall(r"\w+", page.read_text(encoding="utf-8"))}
    assert set(kadapter.__all__) - words == set(), "say these in README.md or docs/"


# --- what must not be there


def strings(path):
    """String constants, but for docstrings."""
    tree = parse(path)
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node


def test_the_core_knows_no_plugin_by_name():
    names = {folder.name.removeprefix("kadapter-") for folder in ROOT.glob("plugins/kadapter-*")}
    distributions = re.compile("|".join(rf"\bkadapter[-_]{name}\b" for name in names) or "(?!)")
    offenders = [
        said(path, node, repr(node.value))
        for path in CORE
        for node in strings(path)
        if node.value in names or distributions.search(node.value)
    ]
    assert not offenders, "\n".join(offenders)


def test_nothing_is_marked_as_unfinished():
    marker = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
    pages = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("tests/**/*.py")]
    offenders = [
        f"{said(path)}:{number} {line.strip()}"
        for path in [*CODE, *PLUGIN_TESTS, *pages]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if marker.search(line)
    ]
    assert not offenders, "\n".join(offenders)
