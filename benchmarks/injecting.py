"""Facts put into a causal model: what is taught and what is asked, the steps, and the scores.

What all rows of `facts` and `forgetting` have in common. A fact is asked as a cloze whose answer comes last; the answer
is the one of a closed list that is most likely as a whole.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import networkx as nx
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.closed_list import likeliest
from kadapter import Backbone, KnowledgeModel
from kadapter.features import FrozenStates, Row
from kadapter.features.rows import digest
from knowledge_data.geonames import country_graph

COUNTRIES = 188
AT_ONCE = 64
"""Texts in a batch that is scored."""


class Cloze(NamedTuple):
    """A prompt and what comes next."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Domain:
    """Facts of one relation, and how they are said.

    Attributes:
        name: of the relation.
        facts: (subject, object).
        taught: phrasings that end where the object comes.
        held_out: others.
    """

    name: str
    facts: tuple[tuple[str, str], ...]
    taught: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def objects(self) -> list[str]:
        """The closed list."""
        return sorted({object_ for _, object_ in self.facts})

    def clozes(self, phrasings: Iterable[str]) -> list[Cloze]:
        """Ask for all facts in these phrasings."""
        return [Cloze(said(p, subject), object_) for p in phrasings for subject, object_ in self.facts]


def said(phrasing: str, subject: str) -> str:
    """Say a phrasing of a subject, from a capital letter on."""
    text = phrasing.format(subject=subject)
    return text[0].upper() + text[1:]


def domains(recipe: Mapping[str, Any], countries: int = COUNTRIES) -> dict[str, Domain]:
    """Give the domains of a recipe, on the most populous countries whose capital has a name of its own."""
    graph = country_graph()
    known = {country for country, _, relation in graph.edges(keys=True) if relation == "capital"}
    largest = sorted(known, key=lambda country: -graph.nodes[country]["population"])[:countries]
    found = {}
    for name, phrasings in recipe["domains"].items():
        facts = [(_name(graph, c), _name(graph, it)) for c in largest if (it := _object(graph, c, name)) is not None]
        found[name] = Domain(name, tuple(facts), tuple(phrasings["taught"]), tuple(phrasings["held_out"]))
    return found


def _name(graph: nx.MultiDiGraph, node: str) -> str:
    # "the Netherlands", but "The Hague" and "Euro" as they are.
    article = graph.nodes[node]["article"] if node.startswith("country:") else ""
    return f"{article} {graph.nodes[node]['name']}".strip()


def _object(graph: nx.MultiDiGraph, country: str, relation: str) -> str | None:
    """Give the one thing that stands in a relation: the first language, the most populous neighbour."""
    there = [other for _, other, its in graph.out_edges(country, keys=True) if its == relation]
    return max(there, key=lambda other: graph.nodes[other].get("population", 0), default=None)


# --- states that are computed once


class Remembered(FrozenStates):
    """A clean pass that keeps in memory what it gave: a row goes through the frozen backbone once."""

    def __init__(self, backbone: Backbone, states: Iterable[int]) -> None:
        super().__init__(backbone)
        self.states = frozenset(states) | {backbone.info.layers}
        self._known: dict[bytes, dict[int, Tensor]] = {}
        self.apart = True

    def computed(self, rows: Sequence[Row], names: Sequence[str], reads: frozenset[int]) -> dict[int, list[Tensor]]:
        """Give states of rows, those of new rows computed now."""
        keys = [digest(row) for row in rows]
        new = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._known}
        if new:
            found = super().computed(list(new.values()), names, self.states)
            for number, key in enumerate(new):
                self._known[key] = {state: found[state][number].clone() for state in self.states}
        return {state: [self._known[key][state] for key in keys] for state in reads}


# --- teaching


class Part(NamedTuple):
    """A part of a batch, of texts of about equal length.

    Attributes:
        inputs: (B, T).
        asked: rows and positions from which the tokens of answers are predicted.
        answers: those tokens.
        held: rows and positions whose predictions should stay what they were.
    """

    inputs: dict[str, Tensor]
    asked: tuple[Tensor, Tensor]
    answers: Tensor
    held: tuple[Tensor, Tensor]


class Lessons:
    """Gives batches without end, from a seed.

    Attributes:
        settings: how many of each there are in a batch.
    """

    def __init__(
        self,
        tokenizer: Any,
        settings: Mapping[str, Any],
        clozes: Sequence[Cloze],
        near: Sequence[str],
        texts: Sequence[str],
    ) -> None:
        self.settings, self.pad = settings, tokenizer.pad_token_id or 0
        self.clozes = [(encode(tokenizer, c.prompt), encode(tokenizer, f" {c.answer}")) for c in clozes]
        self.near = [encode(tokenizer, text) for text in near]
        self.texts = [encode(tokenizer, text)[: settings["tokens"]] for text in texts]

    def batches(self, seed: int) -> Iterator[list[Part]]:
        """Draw: what is taught beside sentences that are near it, and unrelated texts, which are longer."""
        draw = random.Random(seed)
        while True:
            for clozes in self._by_length(draw):
                near = draw.sample(self.near, min(self.settings["near"], len(self.near)))
                texts = draw.sample(self.texts, min(self.settings["texts"], len(self.texts)))
                yield [self._part(clozes, near), self._part([], texts)]

    def _by_length(self, draw: random.Random, together: int = 8) -> Iterator[list[tuple[list[int], list[int]]]]:
        """Go once through all clozes, in batches of about one length each, so that little is padding."""
        order = draw.sample(self.clozes, len(self.clozes))
        size = min(self.settings["facts"], len(order))
        for start in range(0, len(order), size * together):
            some = sorted(order[start : start + size * together], key=lambda cloze: len(cloze[0]) + len(cloze[1]))
            batches = [some[first : first + size] for first in range(0, len(some), size)]
            yield from draw.sample(batches, len(batches))

    def _part(self, clozes: Sequence[tuple[list[int], list[int]]], held: Sequence[list[int]]) -> Part:
        places = [
            (row, len(prompt) - 1 + number, token)
            for row, (prompt, answer) in enumerate(clozes)
            for number, token in enumerate(answer)
        ]
        rows, positions, answers = torch.tensor(places, dtype=torch.long).view(-1, 3).T
        inputs = padded([prompt + answer[:-1] for prompt, answer in clozes] + list(held), self.pad)
        kept = inputs["attention_mask"].bool()
        kept[: len(clozes)] = False
        held_rows, held_positions = kept.nonzero().T
        chosen = torch.randperm(len(held_rows))[: self.settings["positions"]]
        return Part(inputs, (rows, positions), answers, (held_rows[chosen], held_positions[chosen]))


def encode(tokenizer: Any, text: str) -> list[int]:
    """Give tokens, without special ones."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def padded(rows: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    """Make a batch, padded on the right."""
    longest = max(map(len, rows))
    tokens = [[*row, *[pad] * (longest - len(row))] for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return {"input_ids": torch.tensor(tokens), "attention_mask": torch.tensor(mask)}


def logits(model: KnowledgeModel, hidden: Tensor) -> Tensor:
    """Give what the backbone's own head makes of last states, (N, W) -> (N, V)."""
    return model.backbone.lm_head(hidden).float()


def teach(model: KnowledgeModel, teacher: Remembered, lessons: Lessons, seed: int, steps: int | None = None) -> None:
    """Train what requires a gradient: answers, and for the rest what `teacher` says."""
    settings = lessons.settings
    steps = settings["steps"] if steps is None else steps
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings["learning_rate"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 20) * (1 - step / steps))
    model.train()
    torch.manual_seed(seed)
    for _, batch in zip(range(steps), lessons.batches(seed), strict=False):
        loss = loss_of(model, teacher, batch, settings["hold"])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        schedule.step()
    model.eval()


def loss_of(model: KnowledgeModel, teacher: Remembered, batch: Sequence[Part], hold: float) -> Tensor:
    """Give the cross-entropy of the answers, the divergence where nothing should change, and what adapters add."""
    losses = []
    with torch.autocast("cpu", torch.bfloat16):
        for part in batch:
            hidden = model(**part.inputs).last_hidden_state
            if len(part.answers):
                losses.append(functional.cross_entropy(logits(model, hidden[part.asked]), part.answers))
            if hold and len(part.held[0]):
                losses.append(hold * divergence(model, hidden[part.held], before(teacher, part)))
            added = [adapter.penalty() for adapter in model.by_name().values()]
            losses += [penalty / len(batch) for penalty in added if penalty is not None]
    return torch.stack(losses).sum()


@torch.no_grad()
def before(teacher: Remembered, part: Part) -> Tensor:
    """Give the log-probabilities of the backbone as it was, by the head that it had, where it is held, (N, V)."""
    (rows, positions), last = part.held, teacher.backbone.info.layers
    first = int(rows.min())
    states = teacher({name: values[first:] for name, values in part.inputs.items()}, frozenset({last}))
    return teacher.backbone.lm_head(states[last][rows - first, positions]).float().log_softmax(-1)


def divergence(model: KnowledgeModel, now: Tensor, expected: Tensor) -> Tensor:
    """Give the mean KL divergence of the predictions from states (N, W) from log-probabilities (N, V)."""
    found = logits(model, now).log_softmax(-1)
    return functional.kl_div(found, expected, log_target=True, reduction="none").sum(-1).mean()


# --- scores


@torch.no_grad()
def accuracy(model: KnowledgeModel, clozes: Sequence[Cloze], candidates: Sequence[str]) -> float:
    """Give the share of clozes whose answer is the likeliest of the candidates, in percent; in bfloat16, as trained."""
    tokenizer = model.backbone.tokenizer
    prompts = [encode(tokenizer, cloze.prompt) for cloze in clozes]
    answers = [encode(tokenizer, f" {candidate}") for candidate in candidates]
    with torch.autocast("cpu", torch.bfloat16):
        chosen = likeliest(prompts, answers, lambda rows: next_token(model, rows))
    right = [candidates[number] == cloze.answer for number, cloze in zip(chosen, clozes, strict=True)]
    return 100 * sum(right) / len(right)


def next_token(model: KnowledgeModel, rows: Sequence[list[int]]) -> list[Tensor]:
    """Give the log-probabilities of what comes after each row, (V,)."""
    given: list[Tensor] = [torch.empty(0)] * len(rows)
    order = sorted(range(len(rows)), key=lambda number: len(rows[number]))
    for start in range(0, len(rows), AT_ONCE):
        numbers = order[start : start + AT_ONCE]
        inputs = padded([rows[number] for number in numbers], model.backbone.tokenizer.pad_token_id or 0)
        hidden = model(**inputs).last_hidden_state
        last = hidden[torch.arange(len(numbers)), inputs["attention_mask"].sum(1) - 1]
        for number, found in zip(numbers, logits(model, last).log_softmax(-1), strict=True):
            given[number] = found
    return given


@torch.no_grad()
def perplexity(model: KnowledgeModel, texts: Sequence[str], tokens: int = 112) -> float:
    """Give the perplexity over the beginnings of texts."""
    pad, surprise, count = model.backbone.tokenizer.pad_token_id or 0, 0.0, 0
    rows = [encode(model.backbone.tokenizer, text)[:tokens] for text in texts]
    for start in range(0, len(rows), 8):
        inputs = padded(rows[start : start + 8], pad)
        hidden = model(**inputs).last_hidden_state
        real = inputs["attention_mask"][:, 1:].bool()
        found = logits(model, hidden[:, :-1][real])
        surprise += functional.cross_entropy(found, inputs["input_ids"][:, 1:][real], reduction="sum").item()
        count += int(real.sum())
    return math.exp(surprise / count)
