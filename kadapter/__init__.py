"""kadapter: plug knowledge into frozen language models. The public names, loaded when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kadapter.adapter import Adapter, BackboneInfo, HiddenStates, LowRank, build_adapter
    from kadapter.backbone import Backbone, BackboneAlias
    from kadapter.comparison import compare
    from kadapter.composing import compose
    from kadapter.composition import Composition
    from kadapter.data import load_knowledge
    from kadapter.errors import (
        BackboneError,
        ConfigError,
        KadapterError,
        StorageError,
        UnknownNameError,
    )
    from kadapter.evaluation import evaluate
    from kadapter.foreign import read_weights
    from kadapter.formats import Format, Imported
    from kadapter.hookspecs import hookimpl
    from kadapter.hub import push_to_hub
    from kadapter.importing import export_adapter, import_adapter
    from kadapter.knowledge import Knowledge, KnowledgeModule, KnowledgeSource, weights_in
    from kadapter.loading import load_backbone
    from kadapter.model import KnowledgeModel
    from kadapter.probing import probe
    from kadapter.recipe import Recipe
    from kadapter.registry import Registry, default_registry
    from kadapter.sites import Site
    from kadapter.storage import load_adapter, random_options, save_adapter
    from kadapter.sweeping import sweep, sweep_run
    from kadapter.task import Encoded, Task
    from kadapter.together import Together
    from kadapter.training import finetune, pretrain
    from kadapter.watching import watch_split
    from kadapter.wheel import pack

_HOMES = {
    "adapter": ["Adapter", "BackboneInfo", "HiddenStates", "LowRank", "build_adapter"],
    "backbone": ["Backbone", "BackboneAlias"],
    "comparison": ["compare"],
    "composing": ["compose"],
    "composition": ["Composition"],
    "data": ["load_knowledge"],
    "errors": ["BackboneError", "ConfigError", "KadapterError", "StorageError", "UnknownNameError"],
    "evaluation": ["evaluate"],
    "foreign": ["read_weights"],
    "formats": ["Format", "Imported"],
    "hookspecs": ["hookimpl"],
    "hub": ["push_to_hub"],
    "importing": ["export_adapter", "import_adapter"],
    "knowledge": ["Knowledge", "KnowledgeModule", "KnowledgeSource", "weights_in"],
    "loading": ["load_backbone"],
    "model": ["KnowledgeModel"],
    "probing": ["probe"],
    "recipe": ["Recipe"],
    "registry": ["Registry", "default_registry"],
    "sites": ["Site"],
    "storage": ["load_adapter", "random_options", "save_adapter"],
    "sweeping": ["sweep", "sweep_run"],
    "task": ["Encoded", "Task"],
    "together": ["Together"],
    "training": ["finetune", "pretrain"],
    "watching": ["watch_split"],
    "wheel": ["pack"],
}

__all__ = [
    "Adapter",
    "Backbone",
    "BackboneAlias",
    "BackboneError",
    "BackboneInfo",
    "Composition",
    "ConfigError",
    "Encoded",
    "Format",
    "HiddenStates",
    "Imported",
    "KadapterError",
    "Knowledge",
    "KnowledgeModel",
    "KnowledgeModule",
    "KnowledgeSource",
    "LowRank",
    "Recipe",
    "Registry",
    "Site",
    "StorageError",
    "Task",
    "Together",
    "UnknownNameError",
    "build_adapter",
    "compare",
    "compose",
    "default_registry",
    "evaluate",
    "export_adapter",
    "finetune",
    "hookimpl",
    "import_adapter",
    "load_adapter",
    "load_backbone",
    "load_knowledge",
    "pack",
    "pretrain",
    "probe",
    "push_to_hub",
    "random_options",
    "read_weights",
    "save_adapter",
    "sweep",
    "sweep_run",
    "watch_split",
    "weights_in",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("kadapter")
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"kadapter.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'kadapter' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
