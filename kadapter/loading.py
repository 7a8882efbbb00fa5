"""Load any transformers model as a backbone: by alias, folder or hub id."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from kadapter.backbone import Backbone, BackboneAlias
from kadapter.errors import BackboneError, UnknownNameError
from kadapter.hub import Access, check_there, commit_of, first_line, hub_id, why
from kadapter.registry import Registry, default_registry

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase
    from typing_extensions import Unpack

_NO_LIMIT = 1e9
"""A tokenizer that knows of no limit says a number beyond this."""


def load_backbone(
    name: str | Path, registry: Registry | None = None, revision: str | None = None, **access: Unpack[Access]
) -> Backbone:
    """Load a backbone by alias, folder or hub id, in float32, frozen. Code that a repository brings is never run.

    Args:
        name: an alias, a folder, or "user/name" or "user/name@revision" on the Hugging Face Hub.
        registry: where aliases are looked up; by default, what is installed.
        revision: branch, tag or commit on the Hub; `info.revision` says the commit that was loaded.
        access: how the Hub is reached: `token`, `cache_dir`, `local_files_only`, `force_download`.

    Raises:
        BackboneError: nothing of that name can be loaded.
    """
    from transformers import AutoModel, AutoTokenizer

    from kadapter.lm_head import load_language_model

    registry = registry or default_registry()
    alias = _alias(str(name), registry)
    if alias is None and (said := hub_id(name)):
        name, revision = said[0], revision or said[1]
    try:
        check_there("" if alias else str(name))
        place = alias.locate() if alias else name
        commit = commit_of(place, revision, **access)
        options: dict[str, Any] = {"revision": commit or revision or "main", "trust_remote_code": False, **access}
        model, loading = AutoModel.from_pretrained(place, dtype=torch.float32, output_loading_info=True, **options)
        tokenizer = AutoTokenizer.from_pretrained(place, **options)
        layers, sites, on_hub = (alias.layers, alias.sites, alias.hub_id) if alias else (None, None, _hub_id(name))
        whole = partial(load_language_model, place, model.config, **options)
        backbone = Backbone(model, tokenizer, str(name), layers, sites, on_hub, commit, whole)
    except BackboneError:
        raise
    except Exception as error:  # what a damaged folder or a model without text raises depends on where it stumbles
        raise BackboneError(_cannot_load(str(name), error, registry)) from error
    _check_whole(backbone, model, loading["missing_keys"])
    _settle(tokenizer, model)
    return backbone


def _alias(name: str, registry: Registry) -> BackboneAlias | None:
    """Give the alias of that name; None when it is none, but ConflictError when two plugins give it."""
    try:
        return registry.backbones[name]
    except UnknownNameError:
        return None


def _hub_id(name: str | Path) -> str | None:
    return None if Path(name).exists() else str(name)


def _check_whole(backbone: Backbone, model: nn.Module, missing: Iterable[str]) -> None:
    """Raise BackboneError where transformers only warns: random layers, a tokenizer without words."""
    layers = next(name for name, module in model.named_modules() if module is backbone.layers)
    untrained = sorted(name for name in missing if name.startswith(f"{layers}."))
    if untrained:
        raise BackboneError(
            f"backbone '{backbone.info.name}' lacks weights of its layers ({len(untrained)}, such as {untrained[0]}); "
            f"its config.json and its weights do not fit, save or download it again"
        )
    if backbone.tokenizer.vocab_size <= len(backbone.tokenizer.all_special_tokens):
        raise BackboneError(
            f"backbone '{backbone.info.name}' comes without a tokenizer; save its tokenizer into the same folder"
        )
    if not backbone.tokenizer.is_fast:
        raise BackboneError(
            f"the tokenizer of backbone '{backbone.info.name}' does not say where in the text its tokens lie; "
            f"save the fast one of its family (tokenizer.json) into the same folder"
        )


def _cannot_load(name: str, error: Exception, registry: Registry) -> str:
    causes = (error, error.__cause__, error.__context__)
    reason = next(filter(None, (why(cause) for cause in causes if cause is not None)), None) or first_line(error)
    there = sorted(registry.backbones)
    near = difflib.get_close_matches(name, there, n=1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return (
        f"backbone '{name}' cannot be loaded ({reason}); give an alias ({', '.join(there)}), "
        f"a folder that holds a transformers model, or the id of one on the Hub{meant}"
    )


def _settle(tokenizer: PreTrainedTokenizerBase, model: nn.Module) -> None:
    """Let it pad, cut at the end, and know how many tokens the model takes."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    # Tasks say what they lost as past the end.
    tokenizer.truncation_side = "right"
    if tokenizer.model_max_length > _NO_LIMIT and (most := _positions(model)):
        tokenizer.model_max_length = most


def _positions(model: nn.Module) -> int | None:
    """Give how many tokens a model takes; None where it has no positions, or relative ones, which go on."""
    config: Any = model.config
    most = getattr(config, "max_position_embeddings", None)
    relative = getattr(config, "alibi", False) or not getattr(config, "position_biased_input", True)
    if relative or not isinstance(most, int) or most < 1:
        return None
    named = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    paddings = [module.padding_idx for module in named if isinstance(module, nn.Embedding)]
    # RoBERTa's kin count from behind the position of padding.
    return most - max((padding + 1 for padding in paddings if padding is not None), default=0)
