"""The backbone's own language-model head: what its checkpoint makes of a last state, whatever family it is of."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from kadapter.errors import BackboneError
from kadapter.hub import first_line

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


class LanguageModelHead(nn.Module):
    """Gives logits over the vocabulary, frozen.

    The family's own language model does the work, with something in the place of its base model that gives back the
    states that it is given: scales, caps and transforms are so the family's own. Weights that it has in common with
    its base model, as most have their embeddings, are the backbone's own ones.
    """

    def __init__(self, language_model: PreTrainedModel, base: nn.Module) -> None:
        super().__init__()
        # Before weights are shared: a backbone that is trained keeps its gradients.
        self.model = language_model.requires_grad_(False).eval()
        _share(language_model, base)
        setattr(language_model, language_model.base_model_prefix, _StandIn(base))

    def forward(self, hidden: Tensor) -> Tensor:
        """Give the logits, (…, V), of last states, (…, W)."""
        rows = hidden if hidden.dim() == 3 else hidden.reshape(1, -1, hidden.shape[-1])
        logits = self.model(inputs_embeds=rows, return_dict=True).logits
        return logits.view(*hidden.shape[:-1], logits.shape[-1])


class _Given(BaseModelOutput):
    """A last state, and None for whatever else a base model gives in one family or the other."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)


class _StandIn(nn.Module):
    """Stands for a base model, and gives back the states that come in as embeddings; else it is like the base."""

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        # In a tuple, so that the backbone's modules are none of the head's.
        self._base = (base,)

    def forward(self, *_: Any, inputs_embeds: Tensor, **__: Any) -> _Given:
        return _Given(last_hidden_state=inputs_embeds)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "_base":
                raise
        there = getattr(self._base[0], name)
        # Some language models call the stack inside their base model.
        has_layers = isinstance(there, nn.Module) and any(isinstance(m, nn.ModuleList) for m in there.modules())
        return self if has_layers else there


def _share(language_model: PreTrainedModel, base: nn.Module) -> None:
    """Put the weights of `base` where the head has weights of its own base model."""
    ours = dict(base.named_parameters(remove_duplicate=False))
    inner = language_model.base_model
    theirs = {id(weight): name for name, weight in inner.named_parameters(remove_duplicate=False)}
    for module in _outside(language_model, inner):
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) in theirs:
                setattr(module, name, ours[theirs[id(weight)]])


def _outside(language_model: PreTrainedModel, inner: nn.Module) -> list[nn.Module]:
    within = set(inner.modules())
    return [module for module in language_model.modules() if module not in within]


def load_language_model(place: Path | str, config: PretrainedConfig, causal: bool, **options: Any) -> PreTrainedModel:
    """Load the whole language model of a backbone, for its head.

    Args:
        place: where the backbone was loaded from.
        config: the backbone's.
        causal: whether the next token is asked, or else a masked one.
        options: how it was loaded.

    Raises:
        BackboneError: there is no such head.
    """
    auto = auto_class(config, causal)
    try:
        whole, loading = auto.from_pretrained(place, dtype=torch.float32, output_loading_info=True, **options)
    except Exception as error:  # as of a backbone, it depends on where loading stumbles
        raise BackboneError(f"the language-model head in {place} cannot be loaded ({first_line(error)})") from error
    if missing := _untrained(whole, loading["missing_keys"]):
        raise BackboneError(
            f"the checkpoint in {place} has no language-model head ({len(missing)} weights are missing, such as "
            f"{missing[0]}); take a backbone that has one, or train a fresh one: option `head: fresh` of the task"
        )
    return whole


def auto_class(config: PretrainedConfig, causal: bool) -> Any:
    """Give the class of transformers that loads the language models of a family.

    Raises:
        BackboneError: transformers has none of that family.
    """
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_MASKED_LM_MAPPING,
        AutoModelForCausalLM,
        AutoModelForMaskedLM,
    )

    kind, auto, there = (
        ("causal", AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING)
        if causal
        else ("masked", AutoModelForMaskedLM, MODEL_FOR_MASKED_LM_MAPPING)
    )
    # Of two stacks the backbone is the encoder, whose states no language model of the family reads by themselves.
    if config.is_encoder_decoder or type(config) not in there:
        raise BackboneError(
            f"transformers has no {kind} language model over a backbone of family '{config.model_type}'; take a "
            f"backbone of another one"
        )
    return auto


def _untrained(model: nn.Module, missing: Collection[str]) -> list[str]:
    """Give the weights outside the base model that came from nowhere: not under another name either."""
    named = list(model.named_parameters(remove_duplicate=False))
    there = _ids(weight for name, weight in named if name not in missing)
    there |= _ids(model.base_model.parameters())  # type: ignore[union-attr]
    return sorted(name for name, weight in named if id(weight) not in there)


def _ids(weights: Iterable[Tensor]) -> set[int]:
    return {id(weight) for weight in weights}
