"""The frozen model: find the layers of any transformers model, run it once and keep what is read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kadapter.adapter import TUNED, BackboneInfo, HiddenStates, LayerCall
from kadapter.errors import BackboneError
from kadapter.inputs import Inputs
from kadapter.sites import find_sites
from kadapter.taps import Editor, Enough, Outline, Pass, drop_taps, set_taps, take, trunk_of

if TYPE_CHECKING:
    from transformers import Cache, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from kadapter.lm_head import LanguageModelHead


@dataclass(frozen=True)
class BackboneAlias:
    """A short name for a model, from a plugin's `register_backbones`.

    Attributes:
        name: the short name.
        locate: gives the folder (or hub id) when asked; raises BackboneError when it is not there.
        licence: of the weights.
        description: one line for people.
        layers: dotted path of the list of layers, where the rule does not find it.
        sites: "attention" or "feedforward" -> dotted path, inside each layer, of the module that gives what that
            sub-layer gives, where the rule does not find it.
        hub_id: its id on the Hugging Face Hub, for cards.
    """

    name: str
    locate: Callable[[], Path | str]
    licence: str
    description: str = ""
    layers: str | None = None
    sites: Mapping[str, str] | None = None
    hub_id: str | None = None


class Backbone(nn.Module):
    """A transformers model whose layers are known.

    Attributes:
        model: the transformers model, in evaluation mode and frozen until `thaw`.
        tokenizer: its tokenizer.
        info: what adapters may know of it.
        loaded: what `info` was when it was loaded, before any `thaw`.
        frozen: whether it runs without gradient.
        checkpointing: whether a backward pass through it computes its layers again rather than keep what is in them.
        inputs: makes a batch ready for it.
        accepts: the names of the inputs that it takes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        name: str | None = None,
        layers: str | None = None,
        sites: Mapping[str, str] | None = None,
        hub_id: str | None = None,
        revision: str | None = None,
        language_model: Callable[[bool], PreTrainedModel] | None = None,
    ) -> None:
        super().__init__()
        self.model = model.get_encoder() if model.config.is_encoder_decoder else model
        self.tokenizer = tokenizer
        # In a tuple, since a module that is an attribute would give each weight of the layers a second name.
        self._layers = (_find_layers(self.model, layers),)
        # Likewise: the head is no part of what a run saves or trains.
        self._lm_head: tuple[LanguageModelHead, ...] = ()
        self._language_model = language_model
        self.checkpointing = False
        self.freeze()
        described = _describe(self.model, self.layers, name or model.config.model_type, sites)
        self.info = self.loaded = replace(described, hub_id=hub_id, revision=revision)
        set_taps(self.layers, self.info.sites)
        self.inputs = Inputs(self.model)
        self.accepts = self.inputs.accepts

    @property
    def layers(self) -> nn.ModuleList:
        """Its transformer layers, first to last."""
        return self._layers[0]

    @property
    def has_loaded_head(self) -> bool:
        """Whether the language-model head was asked for before."""
        return bool(self._lm_head)

    @property
    def lm_head(self) -> LanguageModelHead:
        """The checkpoint's own language-model head, masked or causal as the backbone is; loaded when first asked for.

        It is frozen, but for weights that it shares with a backbone that is not.

        Raises:
            BackboneError: the family or the checkpoint has none.
        """
        # Here and not above: it takes seconds to import, which a list of plugins need not wait for.
        from kadapter.lm_head import LanguageModelHead

        if not self._lm_head:
            if self._language_model is None:
                raise BackboneError(f"backbone '{self.info.name}' was built without `language_model`; give it one")
            whole, like = self._language_model(self.info.causal), next(self.model.parameters())
            self._lm_head = (LanguageModelHead(whole, self.model).to(like.device, like.dtype),)
        return self._lm_head[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Backbone:
        for head in self._lm_head:
            head._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def mark(self) -> None:
        """Give a tuned backbone the fingerprint of its weights as they are now: it is like no other tuned one."""
        if self.info.tuned:
            now = _fingerprint(self.model.get_input_embeddings(), *self.layers)
            self.info = replace(self.info, fingerprint=f"{self.loaded.fingerprint}-{now}{TUNED}")

    def thaw(self) -> None:
        """Let the backbone be trained as well: from here on it is another model, with another fingerprint."""
        self.frozen = False
        self.info = replace(self.loaded, fingerprint=f"{self.loaded.fingerprint}{TUNED}")
        self.model.requires_grad_(True)

    def freeze(self) -> None:
        """Let it be trained no longer; one that was thawed stays another model."""
        self.frozen = True
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Backbone:
        """Switch to training mode; a frozen backbone stays in evaluation mode, without dropout."""
        return super().train(mode and not self.frozen)

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        reads: frozenset[int],
        borrows: frozenset[int] = frozenset(),
        sequential_positions: bool = False,
        editor: Editor | None = None,
        clean: HiddenStates | None = None,
        rows: Tensor | None = None,
        cache: Cache | None = None,
    ) -> HiddenStates:
        """Run once and give the states `reads` and the calls of the layers `borrows`.

        The pass ends early when nothing above is needed. A clean one of a frozen backbone leaves no gradient.

        Args:
            inputs: `input_ids` (B, T), `attention_mask` (B, T) and whatever else; the model takes what it knows.
            reads: states, 0 to L.
            borrows: layers, 1 to L.
            sequential_positions: number all positions one after another, padding included.
            editor: what edits this pass.
            clean: what a clean pass over the same inputs gave; when it has the state below the lowest layer that is
                edited, the pass begins there.
            rows: numbers of the rows of `inputs` that are run, some of them perhaps several times; None runs each once.
            cache: what earlier passes like this one have kept of the tokens before, and this one keeps. All of them,
                (B, P + T), are in the `attention_mask`.

        Raises:
            BackboneError: sequential positions were asked for a batch that is padded on the left, where they would
                move the real tokens.
        """
        inputs = self.inputs.ready(inputs, sequential_positions, cache)
        if rows is not None:
            inputs = {name: take(value, rows, len(inputs["input_ids"])) for name, value in inputs.items()}
        batch, tokens = inputs["input_ids"].shape
        trunk = trunk_of(editor, reads, clean) if editor is not None and clean is not None else None
        if trunk is not None and rows is not None:
            trunk = trunk.take(rows)
        running = Pass(
            reads, borrows, len(self.layers), (batch, tokens), editor, trunk, self.checkpointing, cache=cache
        )
        without_gradient = torch.no_grad() if self.frozen and editor is None else nullcontext()
        with without_gradient:
            last = self._run(running, inputs)
        # After a final norm the last state differs from what leaves the last layer: take the model's word.
        if last is not None and len(self.layers) in reads:
            running.states[len(self.layers)] = last
        earlier, mask = inputs["attention_mask"].bool().tensor_split([-tokens], dim=1)
        before = earlier if earlier.shape[1] else None
        return HiddenStates(running.states, mask, self.info.causal, running.calls, running.beside, before)

    def calls(self, inputs: Mapping[str, Tensor], borrows: frozenset[int], outline: Outline) -> Mapping[int, LayerCall]:
        """Say how the layers `borrows` would be called for a batch, and run none of those that the outline skips."""
        inputs = self.inputs.ready(inputs, sequential_positions=False)
        batch, tokens = inputs["input_ids"].shape
        running = Pass(frozenset(), borrows, len(self.layers), (batch, tokens), outline=outline)
        with torch.no_grad():
            self._run(running, inputs)
        return running.calls

    def _run(self, running: Pass, inputs: Mapping[str, Any]) -> Tensor | None:
        """Go through the model as far as needed; give its last state, if it came to that."""
        with running.running():
            try:
                return self.model(**inputs).last_hidden_state
            except Enough:
                return None


def _find_layers(model: nn.Module, path: str | None) -> nn.ModuleList:
    """Find the list of layers: the one named, or the outermost list as long as the config says there are layers."""
    if path is not None:
        named = dict(model.named_modules()).get(path)
        if not isinstance(named, nn.ModuleList):
            raise BackboneError(f"'{path}' is not a list of layers of {type(model).__name__}; {_lists(model)}")
        return named
    count = model.config.num_hidden_layers  # type: ignore[union-attr]
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return module
    raise BackboneError(
        f"no list of {count} layers in {type(model).__name__}; {_lists(model)}; "
        f"name the right one as `layers` of a BackboneAlias (hook register_backbones)"
    )


def _lists(model: nn.Module) -> str:
    found = [f"{n} ({len(m)})" for n, m in model.named_modules() if isinstance(m, nn.ModuleList)]
    return f"its lists are {', '.join(found) or 'none'}"


def _describe(
    model: PreTrainedModel, layers: nn.ModuleList, name: str, sites: Mapping[str, str] | None
) -> BackboneInfo:
    config = model.config
    return BackboneInfo(
        name=name,
        model_type=config.model_type,
        width=config.hidden_size,
        layers=len(layers),
        heads=config.num_attention_heads,
        intermediate=_intermediate(config),
        causal=_is_causal(model),
        fingerprint=_fingerprint(model.get_input_embeddings(), *layers),
        copy_layer=partial(_copy_layer, layers),
        sites=find_sites(model, layers, config.hidden_size, sites),
    )


def _intermediate(config: PretrainedConfig) -> int:
    for key in ("intermediate_size", "ffn_dim", "encoder_ffn_dim", "n_inner", "hidden_dim", "d_ff"):
        if getattr(config, key, None):
            return int(getattr(config, key))
    return 4 * int(config.hidden_size)


def _is_causal(model: PreTrainedModel) -> bool:
    """Try it: change later tokens and see whether the first one's last state moves."""
    vocabulary = int(model.config.vocab_size)
    with torch.no_grad():
        before, after = (
            model(input_ids=torch.tensor([tokens]) % vocabulary).last_hidden_state[0, 0]
            for tokens in ([1, 2, 3, 4], [1, 5, 6, 7])
        )
    # Experts work on the tokens of a batch together, which rounds differently when other tokens are there.
    return torch.allclose(before, after, rtol=1e-4, atol=1e-4)


def _fingerprint(*modules: nn.Module) -> str:
    """Hash 64 values of each parameter, in bfloat16, so that it does not depend on names, order or precision."""
    pieces = sorted(_sample(p) for module in modules for p in module.parameters())
    return hashlib.sha256(b"".join(pieces)).hexdigest()[:16]


def _sample(parameter: Tensor) -> bytes:
    flat = parameter.detach().flatten()
    sample = flat[:: max(1, flat.numel() // 64)].to(torch.bfloat16).float().cpu()
    return hashlib.sha256(sample.numpy().tobytes() + str(tuple(parameter.shape)).encode()).digest()


def _copy_layer(layers: nn.ModuleList, layer: int) -> nn.Module:
    return drop_taps(deepcopy(layers[layer - 1])).requires_grad_(True)
