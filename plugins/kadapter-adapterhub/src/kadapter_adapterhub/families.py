"""What AdapterHub calls the places of a layer: by family, since its models are a copy for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kadapter import BackboneError, BackboneInfo


@dataclass(frozen=True)
class Family:
    """Where a family of models holds its bottlenecks.

    Attributes:
        prefix: what a model with a head calls the model without.
        holders: sub-layer -> path of what holds its bottlenecks, in a layer counted from 0.
    """

    prefix: str
    holders: Mapping[str, str]

    def path(self, layer: int, sublayer: str) -> str:
        """Give the path of what holds the bottlenecks of a sub-layer; `layer` is 1 to L."""
        return f"{self.prefix}.{self.holders[sublayer].format(layer - 1)}"

    def places(self, layers: int) -> dict[str, tuple[int, str]]:
        """Give path -> layer, 1 to L, and sub-layer."""
        return {self.path(k, place): (k, place) for k in range(1, layers + 1) for place in self.holders}


_BERT = {"attention": "encoder.layer.{}.attention.output", "feedforward": "encoder.layer.{}.output"}
_BLOCK = {"attention": "transformer.layer.{}.attention_adapters", "feedforward": "transformer.layer.{}.output_adapters"}

FAMILIES: Mapping[str, Family] = {
    "bert": Family("bert", _BERT),
    "distilbert": Family("distilbert", _BLOCK),
    "roberta": Family("roberta", _BERT),
    "xlm-roberta": Family("roberta", _BERT),
}
"""Model type, as transformers names it -> family."""


def family_of(backbone: BackboneInfo) -> Family:
    """Give the family of a backbone.

    Raises:
        BackboneError: it is of none whose names are known.
    """
    if backbone.model_type not in FAMILIES:
        raise BackboneError(
            f"format 'adapterhub' knows the model types {', '.join(FAMILIES)}; backbone '{backbone.name}' is of type "
            f"'{backbone.model_type}', so take another one"
        )
    return FAMILIES[backbone.model_type]


def check_made_for(folder: Path, model_type: object, width: object, backbone: BackboneInfo) -> None:
    """Raise BackboneError unless what is in a folder was made for models like this backbone."""
    for fact, said, there in (("model type", model_type, backbone.model_type), ("width", width, backbone.width)):
        if said != there:
            raise BackboneError(
                f"{folder} was made for {fact} {said!r}, and backbone '{backbone.name}' has {there!r}; import it for "
                f"the model that it was trained on"
            )
