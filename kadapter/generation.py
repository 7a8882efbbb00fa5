"""Writing: transformers' own `generate`, with the backbone and all that is plugged beside it behind each new token."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

from kadapter.adapter import HiddenStates
from kadapter.backbone import Backbone
from kadapter.errors import BackboneError, ConfigError
from kadapter.passes import run
from kadapter.past import Caches, Past, Plugged
from kadapter.taps import Editor, first_edited, trunk_of

if TYPE_CHECKING:
    from transformers import Cache, GenerationConfig, PreTrainedModel

    from kadapter.model import KnowledgeModel

# It has another name from one version of transformers to the next.
_CACHE = next(field.name for field in fields(CausalLMOutputWithPast) if field.name in ("cache", "past_key_values"))


class Continued:
    """A backbone whose passes, the clean one and that of each adapter that edits, go on from those before.

    One for each step: in the next one, there is more to go on from.
    """

    def __init__(self, backbone: Backbone, caches: Caches) -> None:
        self.backbone = backbone
        self.caches = caches
        self._before: list[Any] = []

    def __call__(
        self,
        inputs: Mapping[str, Tensor],
        reads: frozenset[int],
        borrows: frozenset[int] = frozenset(),
        sequential_positions: bool = False,
        editor: Editor | None = None,
        clean: HiddenStates | None = None,
        rows: Tensor | None = None,
    ) -> HiddenStates:
        """Run the next tokens, (B, T), and give their states, as `Backbone.forward` does.

        The `attention_mask`, (B, P + T), is that of all tokens so far.
        """
        own: Cache = self.caches.of_layers(editor)
        if editor is None:
            # What is kept is replaced, not written to: copies still hold it when the pass has gone on.
            self._before = [copy.copy(layer) for layer in own.layers]
        elif clean is not None and trunk_of(editor, reads, clean):
            own = self._above(first_edited(editor), own)
        states = self.backbone(inputs, reads, borrows, sequential_positions, editor, clean, rows, own)
        return replace(states, past=Past(self.caches, ()))

    def _above(self, first: int, own: Cache) -> Cache:
        """Let a cache be as long, below the first layer that is edited, as the clean pass's was when it began."""
        above = copy.copy(own)
        above.layers = [*self._before[: first - 1], *own.layers[first - 1 :]]
        return above


def composed(model: KnowledgeModel, batch: Mapping[str, Tensor], caches: Caches | None = None) -> Tensor:
    """Give the composed states, (B, T, W), of tokens which go on from those that the caches know, if there are any."""
    if caches is None:
        states, features = run(
            model.backbone, batch, model.by_name(), model.reads, exact=model.exact, clean=model.clean
        )
    else:
        states, features = run(Continued(model.backbone, caches), batch, model.by_name(), model.reads)
    mixed: Tensor = model.composition(states.get(model.backbone.info.layers), features)
    return mixed


def writer(model: KnowledgeModel) -> Any:
    """Give the backbone's own language model with the composed states in the place of its last ones.

    Raises:
        BackboneError: the backbone is no causal one, or has no head.
    """
    if not model.backbone.info.causal:
        raise BackboneError(
            f"backbone '{model.backbone.info.name}' is an encoder, whose tokens see what comes after them: it cannot "
            f"generate; take a causal one, such as smollm2"
        )
    like = model.backbone.lm_head.model
    # The weights are the same objects; the class is another.
    own = copy.copy(like)
    family: Any = type(like)
    own.__class__ = _writing(family)
    own.knowledge = (model,)
    own.generation_config = copy.copy(like.generation_config)
    # Some checkpoints ask for a kind of cache, which is to be one that holds what adapters keep, too.
    own.generation_config.cache_implementation = None
    return own


@cache
def _writing(family: type[PreTrainedModel]) -> type[PreTrainedModel]:
    return type(f"Writing{family.__name__}", (_Writer, family), {})


class _Writer(GenerationMixin):
    """What takes precedence over a family's language model.

    Attributes:
        knowledge: the model, in a tuple: it holds the modules of this one, and not the other way round.
    """

    knowledge: tuple[Any]

    prepare_inputs_for_generation = GenerationMixin.prepare_inputs_for_generation

    def generate(self, inputs: Tensor | None = None, **options: Any) -> Any:
        self._check_options(options)
        if self._said("use_cache", options) is False:
            return super().generate(inputs, **options)
        if whole := self._whole():
            warnings.warn(
                f"{whole} all tokens go through the model again for each new one, which is slow", stacklevel=2
            )
            return super().generate(inputs, **{**options, "use_cache": False})
        # Both are names of it, whatever the version; two would be one too many.
        said = [cache for name in ("cache", "past_key_values") if (cache := options.pop(name, None)) is not None]
        fresh = self._caches()
        given = options[_CACHE] = said[0] if said else fresh
        # A cache that grows, whatever it is called, is what this one is.
        options["cache_implementation"] = None
        if not isinstance(given, Caches):
            raise ConfigError(
                f"{_CACHE} is a {type(given).__name__}, which holds nothing of adapters; give what an earlier "
                f"`generate` of this model gave, or leave it out"
            )
        _check_same(given.plugged, fresh.plugged)
        return super().generate(inputs, **options)

    def _check_options(self, options: Mapping[str, Any]) -> None:
        if options.get("inputs_embeds") is not None:
            raise ConfigError("inputs_embeds: adapters read tokens; give input_ids instead")
        for name in ("output_hidden_states", "output_attentions"):
            if self._said(name, options):
                raise ConfigError(f"{name}: `generate` gives texts, scores and logits; `model(…)` gives states")
        kind = str(self._said("cache_implementation", options) or "dynamic")
        if not kind.startswith("dynamic") and self._said("use_cache", options) is not False:
            raise ConfigError(f"cache_implementation is '{kind}', which holds nothing of adapters; leave it out")

    def _caches(self) -> Caches:
        """Give new caches, for what is plugged now."""
        [model] = self.knowledge
        plugged = {name: (adapter, adapter.options) for name, adapter in model.by_name().items()}
        return Caches(model.backbone.model.config, plugged)

    def _said(self, option: str, options: Mapping[str, Any]) -> Any:
        settings = options.get("generation_config") or self.generation_config
        return options.get(option, getattr(settings, option, None))

    def _whole(self) -> str:
        """Say why every pass needs all tokens, if so."""
        [model] = self.knowledge
        if model.backbone.inputs.cache is None:
            return f"family '{model.backbone.info.model_type}' takes no cache:"
        types = sorted({adapter.name for adapter in model.by_name().values() if not adapter.continues})
        return f"adapter type {', '.join(map(repr, types))} does not say that it `continues`:" if types else ""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        cache: Caches | None = None,
        past_key_values: Caches | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> CausalLMOutputWithPast:
        [model] = self.knowledge
        caches = cache if past_key_values is None else past_key_values
        if caches is None and use_cache:
            # Whoever guides by other prompts (`guidance_scale`) asks for a cache of their own.
            caches = self._caches()
        if attention_mask is None:
            before = 0 if caches is None else caches.get_seq_length()
            attention_mask = input_ids.new_ones(len(input_ids), before + input_ids.shape[1])
        batch = {"input_ids": input_ids, "attention_mask": attention_mask}
        batch |= {"position_ids": position_ids} if position_ids is not None else {}
        batch |= {"token_type_ids": token_type_ids} if token_type_ids is not None else {}
        hidden = composed(model, batch, caches)
        logits = model.backbone.lm_head(hidden[:, -logits_to_keep:])
        kept: dict[str, Any] = {_CACHE: caches}
        return CausalLMOutputWithPast(logits=logits, **kept)

    def _reorder_cache(self, caches: Caches, beams: Any) -> Caches:
        # A family's own way knows of no other cache than its own.
        caches.reorder_cache(beams)
        return caches


def _check_same(then: Plugged, now: Plugged) -> None:
    """Raise ConfigError unless what is plugged is what a cache knows the earlier tokens of."""
    if list(then) != list(now):
        earlier, later = (", ".join(names) or "nothing" for names in (then, now))
        raise ConfigError(f"{_CACHE} was made with {earlier} plugged, and now it is {later}; leave it out")
    for name, (adapter, options) in now.items():
        if then[name][0] is not adapter or then[name][1] != options:
            raise ConfigError(f"{_CACHE} was made with another adapter '{name}', or other options of it; leave it out")


class Writes:
    """Lets a `KnowledgeModel` write.

    Attributes:
        backbone: what continues texts.
    """

    backbone: Backbone

    @property
    def generation_config(self) -> GenerationConfig:
        """What the checkpoint says of writing, which pipelines ask; there from when its language-model head is."""
        # Trainer asks as well, where no head need be loaded.
        if not (self.backbone.info.causal and self.backbone.has_loaded_head):
            raise AttributeError("generation_config")
        settings: GenerationConfig = self.backbone.lm_head.model.generation_config
        return settings

    def generate(self: Any, inputs: Tensor | None = None, **options: Any) -> Any:
        """Go on from prompts, as transformers' `generate` does, with all its options, whatever is plugged.

        Args:
            inputs: `input_ids`, (B, T), unless they are among the options: `generate(**tokenizer(…), …)`.
            options: `attention_mask`, (B, T), where prompts are padded (on the left); `max_new_tokens`, `do_sample`,
                `num_beams`, `generation_config`, `streamer` and the like.

        Raises:
            BackboneError: the backbone is no causal one, or has no language-model head.
        """
        assistant = options.get("assistant_model")
        if isinstance(assistant, Writes):
            options["assistant_model"] = writer(assistant)  # type: ignore[arg-type]
        with self._evaluating():
            return writer(self).generate(inputs, **options)
