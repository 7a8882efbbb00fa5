"""The contracts for plugin authors: what breaks a rule fails the test of that rule; what breaks none passes all."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset, DatasetDict
from torch import nn

from kadapter import (
    Adapter,
    BackboneError,
    Composition,
    ConfigError,
    KadapterError,
    Knowledge,
    KnowledgeModel,
    KnowledgeModule,
    KnowledgeSource,
    Registry,
    Site,
    build_adapter,
    hookimpl,
    load_backbone,
    save_adapter,
)
from kadapter.builtin.tasks.markers import MarkerHead
from kadapter.builtin.tasks.relation_classification import (
    RelationClassification,
    RelationClassificationConfig,
)
from kadapter.testing import (
    FAMILIES,
    AdapterContract,
    CompositionContract,
    KnowledgeContract,
    SourceContract,
    TaskContract,
    fill_randomly,
    save_tiny_backbone,
    tiny_backbone,
    tiny_batch,
)
from kadapter.testing.source_contract import sample_of
from knowledge_data import DataError, by_text, split_by_group


def registry_of(hook, thing):
    """The built-ins and one thing that a plugin gives."""
    return Registry([], ["kadapter.builtin", SimpleNamespace(**{hook: hookimpl(lambda: [thing])})])


def run(contract, test, **given):
    """Call one test of a contract, with fixtures made by hand."""
    function = getattr(contract, test)
    function(**{name: given[name] for name in inspect.signature(function).parameters})


def rules_of(contract):
    return [name for name in dir(contract) if name.startswith("test_")]


# --- adapters


@dataclass(frozen=True)
class NoOptions:
    pass


class Good(Adapter):
    """Reads a middle state through one linear layer, and looks at the tokens so far."""

    name = "one-of-a-test"
    Config = NoOptions

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.reads = (2,)
        self.linear = nn.Linear(backbone.width, backbone.width)

    def forward(self, states):
        return self.linear(self.mixed(states[2], states.attention_mask[..., None].to(states[2].dtype)))

    def mixed(self, hidden, mask):
        return (hidden * mask).cumsum(1) / mask.cumsum(1).clamp(min=1)


class ReadsBeyond(Good):
    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.borrows = (backbone.layers + 1,)


class ReadsInSecret(Good):
    def forward(self, states):
        return super().forward(states) + states[1]


class Narrow(Good):
    def forward(self, states):
        return super().forward(states)[..., 1:]


class Writes(Good):
    def mixed(self, hidden, mask):
        return super().mixed(hidden.mul_(2), mask)


class Random(Good):
    def mixed(self, hidden, mask):
        return nn.functional.dropout(super().mixed(hidden, mask))


class Detached(Good):
    def forward(self, states):
        return super().forward(states).detach().requires_grad_()


class CountsOthers(Good):
    built = []

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.built.append(self)

    def mixed(self, hidden, mask):
        return super().mixed(hidden, mask) * len(self.built)


class MixesWithOthers(Good):
    """Is alone what it should be."""

    @classmethod
    def together(cls, adapters, states):
        return [sum(adapter(states) for adapter in adapters)] * len(adapters)


class TrainsTheBackbone(Good):
    """Keeps the backbone's own layer instead of a copy of it."""

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        [layers] = backbone.copy_layer.args
        self.__dict__["first"] = layers[0]

    def forward(self, states):
        weight = next(p for p in self.first.parameters()).requires_grad_()
        return super().forward(states) * weight.sum()


class SeesPadding(Good):
    def mixed(self, hidden, mask):
        return hidden + hidden.mean(1, keepdim=True)


class SeesTheFuture(Good):
    def mixed(self, hidden, mask):
        return hidden + (hidden * mask).sum(1, keepdim=True)


class SeesTheLastStepAlone(Good):
    continues = True


class Forgets(Good):
    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.factor = torch.rand(())

    def mixed(self, hidden, mask):
        return super().mixed(hidden, mask) * self.factor


class GoodEditor(Adapter):
    """Edits three places, each by a linear layer of what it finds and what enters; reads below and above them."""

    name = "one-of-a-test"
    Config = NoOptions
    continues = True

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.edits = frozenset({Site(2, "attention"), Site(2, "attention-norm"), Site(3, "output")})
        self.reads = (1, 3, backbone.layers)
        width = backbone.width
        self.linears = nn.ModuleDict({place: nn.Linear(2 * width, width) for _, place in self.edits})

    def edit(self, site, hidden, entering, norm):
        return norm(hidden + self.linears[site.place](torch.cat([hidden, entering], -1)))

    def forward(self, states):
        return sum(states[state] for state in self.reads)


class EditsNowhere(GoodEditor):
    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.edits |= {Site(backbone.layers + 1, "output")}


class ReadsInSecretAndEdits(GoodEditor):
    def forward(self, states):
        return super().forward(states) + states[2]


class WritesWhatItEdits(GoodEditor):
    def edit(self, site, hidden, entering, norm):
        return super().edit(site, hidden.mul_(2), entering, norm)


class WritesWhatEnters(GoodEditor):
    def edit(self, site, hidden, entering, norm):
        return super().edit(site, hidden, entering.add_(1) if site.place == "output" else entering, norm)


class Remembers(GoodEditor):
    last = 0.0

    def edit(self, site, hidden, entering, norm):
        before, self.last = self.last, hidden.mean().item()
        return super().edit(site, hidden, entering, norm) + before


class EditsTheBackbone(GoodEditor):
    """Changes the backbone's own norm instead of what it gives."""

    def edit(self, site, hidden, entering, norm):
        if site.place.endswith("-norm"):
            self.backbone.sites.modules[site].weight.data.add_(0.1)
        return super().edit(site, hidden, entering, norm)


class DetachesAndEdits(GoodEditor):
    def edit(self, site, hidden, entering, norm):
        return super().edit(site, hidden, entering, norm).detach().requires_grad_()


class SeesPaddingAndEdits(GoodEditor):
    def edit(self, site, hidden, entering, norm):
        return super().edit(site, hidden + hidden.mean(1, keepdim=True), entering, norm)


class SeesTheFutureAndEdits(GoodEditor):
    def edit(self, site, hidden, entering, norm):
        return super().edit(site, hidden + hidden.roll(-1, 1), entering, norm)


def adapter_case(kind, tmp_path, side="right"):
    """A contract for a type of adapter, and what its tests ask for; on GPT-2, where every law applies."""
    contract = AdapterContract()
    contract.options, contract.registry = {"type": kind.name}, registry_of("register_adapter_types", kind)
    backbone = tiny_backbone("gpt2")
    return contract, {"adapter": contract.build(backbone), "backbone": backbone, "tmp_path": tmp_path, "side": side}


@pytest.mark.parametrize("test", rules_of(AdapterContract))
@pytest.mark.parametrize("kind", [Good, GoodEditor])
def test_a_good_adapter_keeps_every_law(kind, test, tmp_path):
    contract, given = adapter_case(kind, tmp_path)
    run(contract, test, **given)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (ReadsBeyond, "test_it_asks_for_states_layers_and_sites_that_there_are"),
        (ReadsInSecret, "test_features_have_the_shape_of_a_state"),
        (Narrow, "test_features_have_the_shape_of_a_state"),
        (Writes, "test_states_are_read_and_not_written"),
        (Random, "test_evaluation_is_deterministic"),
        (Detached, "test_gradients_reach_the_adapter_and_not_the_backbone"),
        (TrainsTheBackbone, "test_gradients_reach_the_adapter_and_not_the_backbone"),
        (TrainsTheBackbone, "test_unplugging_gives_the_backbone_back"),
        (CountsOthers, "test_other_adapters_do_not_change_the_features"),
        (MixesWithOthers, "test_at_once_each_gives_what_it_gives_by_itself"),
        (SeesPadding, "test_padding_and_batch_mates_do_not_matter"),
        (SeesTheFuture, "test_later_tokens_do_not_change_earlier_features"),
        (SeesTheLastStepAlone, "test_steps_with_a_cache_give_what_the_whole_pass_gives"),
        (Forgets, "test_what_is_saved_is_loaded_bit_for_bit"),
        (ReadsInSecretAndEdits, "test_features_have_the_shape_of_a_state"),
        (WritesWhatItEdits, "test_states_are_read_and_not_written"),
        (WritesWhatEnters, "test_states_are_read_and_not_written"),
        (Remembers, "test_evaluation_is_deterministic"),
        (EditsTheBackbone, "test_unplugging_gives_the_backbone_back"),
        (EditsTheBackbone, "test_other_adapters_do_not_change_the_features"),
        (DetachesAndEdits, "test_gradients_reach_the_adapter_and_not_the_backbone"),
        (SeesPaddingAndEdits, "test_padding_and_batch_mates_do_not_matter"),
        (SeesTheFutureAndEdits, "test_later_tokens_do_not_change_earlier_features"),
    ],
)
def test_an_adapter_that_breaks_a_law_is_found(kind, test, tmp_path):
    contract, given = adapter_case(kind, tmp_path)
    with pytest.raises((AssertionError, KeyError)):
        run(contract, test, **given)


def test_an_adapter_that_edits_where_nothing_is_is_not_built_and_is_found(tmp_path):
    with pytest.raises(BackboneError, match="layer 5 of the backbone has no place 'output'"):
        adapter_case(EditsNowhere, tmp_path)
    contract, given = adapter_case(GoodEditor, tmp_path)
    given["adapter"].edits |= {Site(5, "output")}
    with pytest.raises(AssertionError, match=r"edits .*layer=5, place='output'"):
        run(contract, "test_it_asks_for_states_layers_and_sites_that_there_are", **given)


# --- tasks

WORDS = ["boats", "bread", "the old town", "a river"]
RELATIONS = ["feeds", "floats_on", "no_relation"]


def rows(number):
    """Rows with a subject and an object among other words."""
    return Dataset.from_list([row(i) for i in range(number)])


def row(number):
    subject, object_ = WORDS[number % 4], WORDS[(number + 1) % 4]
    text = f"{'so ' * (number % 3)}{subject} by {object_}"
    start = text.index(subject)
    return {
        "text": text,
        "subject_start": start,
        "subject_end": start + len(subject),
        "object_start": len(text) - len(object_),
        "object_end": len(text),
        "relation": RELATIONS[number % 3],
        "serial": number,
    }


class Contract(TaskContract):
    def rows(self):
        return DatasetDict(train=rows(6), validation=rows(3), test=rows(3))


class GoodTask(RelationClassification):
    name = "one-of-a-test"


class NotFittedTwice(GoodTask):
    @classmethod
    def fit(cls, config, splits):
        fitted = super().fit(config, splits)
        return replace(fitted, labels=(*fitted.labels, "other"))


@dataclass(frozen=True)
class NumberedConfig(RelationClassificationConfig):
    names: Mapping[int, str] = field(default_factory=dict)


class NotOfJson(GoodTask):
    """JSON turns the numbers into strings."""

    Config = NumberedConfig

    @classmethod
    def fit(cls, config, splits):
        fitted = super().fit(config, splits)
        return replace(fitted, names=dict(enumerate(fitted.labels)))


class LosesRows(GoodTask):
    def encode(self, rows, tokenizer):
        return super().encode(rows.select(range(len(rows) - 1)), tokenizer)


class NeedsMore(GoodTask):
    def encode(self, rows, tokenizer):
        return super().encode(rows.select([row["serial"] for row in rows]), tokenizer)


class HidesPadding(GoodTask):
    def collate(self, examples, tokenizer):
        batch = super().collate(examples, tokenizer)
        return {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}


class ForgetsLeftPadding(GoodTask):
    def collate(self, examples, tokenizer):
        return {**super().collate(examples, tokenizer), "markers": torch.tensor([e["markers"] for e in examples])}


class PeeksAtLabels(GoodTask):
    def head(self, width):
        class Peeking(MarkerHead):
            def forward(self, hidden, batch):
                return super().forward(hidden, batch) + batch.get("labels", torch.zeros(1))[:, None]

        return Peeking(width, 2, len(self.config.labels), 0.0)


class InfiniteLoss(GoodTask):
    def loss(self, logits, batch):
        return super().loss(logits, batch) / 0


class UnusedLayer(GoodTask):
    def head(self, width):
        head = super().head(width)
        head.unused = nn.Linear(width, width)
        return head


class Percent(GoodTask):
    def metrics(self, predictions, labels, examples):
        return {name: 100 * value for name, value in super().metrics(predictions, labels, examples).items()}


class OtherMetric(GoodTask):
    metric = "bleu"


class AlwaysHalf(GoodTask):
    def metrics(self, predictions, labels, examples):
        return {"accuracy": 0.5}


def task_case(kind, side="right"):
    """A contract for a task, and what its tests ask for."""
    contract = Contract()
    contract.options, contract.registry = {"name": kind.name}, registry_of("register_tasks", kind)
    backbone, splits = tiny_backbone("roberta"), contract.rows()
    plain = kind(kind.Config())
    task = kind(plain.fit(plain.config, splits))
    encoded = task.encode(splits["train"], backbone.tokenizer).examples
    model = KnowledgeModel(backbone, task=task).eval()
    fill_randomly(model.head, seed=1)
    given = {"splits": splits, "task": task, "encoded": encoded, "examples": list(encoded)}
    return contract, {**given, "model": model, "backbone": backbone, "side": side}


@pytest.mark.parametrize("test", rules_of(TaskContract))
def test_a_good_task_keeps_every_rule(test):
    contract, given = task_case(GoodTask)
    run(contract, test, **given)


@pytest.mark.parametrize(
    ("kind", "test", "side"),
    [
        (NeedsMore, "test_it_reads_only_the_columns_that_it_names", "right"),
        (NotFittedTwice, "test_fitting_twice_is_fitting_once", "right"),
        (NotOfJson, "test_the_fitted_config_survives_json", "right"),
        (LosesRows, "test_every_row_becomes_an_example_or_is_counted", "right"),
        (HidesPadding, "test_a_batch_is_padded_to_its_longest_example", "right"),
        (HidesPadding, "test_batch_mates_do_not_change_the_logits", "right"),
        (ForgetsLeftPadding, "test_batch_mates_do_not_change_the_logits", "left"),
        (PeeksAtLabels, "test_the_head_reads_only_the_fields_that_it_names", "right"),
        (InfiniteLoss, "test_the_loss_is_finite_and_reaches_the_head", "right"),
        (UnusedLayer, "test_the_loss_is_finite_and_reaches_the_head", "right"),
        (Percent, "test_metrics_are_fractions_and_perfect_logits_are_perfect", "right"),
        (OtherMetric, "test_metrics_are_fractions_and_perfect_logits_are_perfect", "right"),
        (AlwaysHalf, "test_metrics_are_fractions_and_perfect_logits_are_perfect", "right"),
    ],
)
def test_a_task_that_breaks_a_rule_is_found(kind, test, side):
    contract, given = task_case(kind, side)
    with pytest.raises((AssertionError, KeyError)):
        run(contract, test, **given)


# --- compositions


class GoodComposition(Composition):
    """Weighs each adapter's features by a number of its own."""

    name = "one-of-a-test"

    def __init__(self, config, width):
        super().__init__(config, width)
        self.weights = nn.ParameterDict()

    def grow(self, name):
        self.weights[name] = nn.Parameter(torch.ones(()))

    def forward(self, hidden, features):
        return hidden + sum(self.weights[name] * features[name] for name in sorted(features))


class AddsToNothing(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, features) + 1


class OnlyTheFirstTokens(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, features)[:, :1]


class WritesFeatures(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, {name: tensor.mul_(2) for name, tensor in features.items()})


class FirstCountsDouble(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, features) + next(iter(features.values()), 0)


class StartsAgain(GoodComposition):
    def plug(self, name):
        self.grow(name)


class MeanOfTokens(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, features) + (hidden.mean(1, keepdim=True) if features else 0)


class ReadsInSilence(GoodComposition):
    reads_backbone = False


class ForgetsAnAdapter(GoodComposition):
    def forward(self, hidden, features):
        return super().forward(hidden, dict([*features.items()][:1]))


def composition_case(kind):
    """A contract for a composition, and what its tests ask for."""
    contract = CompositionContract()
    contract.options, contract.registry = {"name": kind.name}, registry_of("register_compositions", kind)
    hidden, first, second = torch.randn(3, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    return contract, {"hidden": hidden, "features": {"first": first, "second": second}}


@pytest.mark.parametrize(
    "test", sorted({*rules_of(CompositionContract)} - {"test_it_says_whether_it_reads_the_backbone"})
)
def test_a_good_composition_keeps_every_law(test):
    contract, given = composition_case(GoodComposition)
    run(contract, test, **given)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (AddsToNothing, "test_without_adapters_it_gives_the_backbone_back"),
        (OnlyTheFirstTokens, "test_it_gives_the_shape_of_a_state"),
        (WritesFeatures, "test_nothing_that_it_is_given_is_changed"),
        (FirstCountsDouble, "test_the_order_of_plugging_does_not_matter"),
        (StartsAgain, "test_what_was_learned_stays"),
        (MeanOfTokens, "test_each_token_is_mixed_by_itself"),
        (ReadsInSilence, "test_it_says_whether_it_reads_the_backbone"),
        (ForgetsAnAdapter, "test_gradients_reach_the_features_and_every_parameter"),
    ],
)
def test_a_composition_that_breaks_a_law_is_found(kind, test):
    contract, given = composition_case(kind)
    with pytest.raises(AssertionError):
        run(contract, test, **given)


# --- sources


class GoodSource(KnowledgeSource):
    """Reads a label and a text from each line, and splits by the text."""

    name = "one-of-a-test"
    description = "a label and a text in each line"
    examples = ({"path": lambda folder: written(folder / "lines.txt")},)

    def load(self, path, seed):
        if not path.exists():
            raise DataError("does not exist", "give a file", where=str(path))
        rows = Dataset.from_list(self.rows(path))
        return Knowledge(self.split(rows, seed), {"empty line": 1}, "CC0-1.0")

    def rows(self, path):
        lines = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line]
        return [{"text": text, "text_pair": "", "label": label} for label, text in lines]

    def split(self, rows, seed):
        return split_by_group(rows, by_text(rows), seed)


def written(path):
    path.write_text("\n".join(f"{number % 2} the boat {number}" for number in range(12)))
    return path


class SaysNothing(GoodSource):
    description = ""


class KeepsASet(GoodSource):
    @dataclass(frozen=True)
    class Config:
        kinds: frozenset[str] = frozenset({"a"})


class NothingToTest(GoodSource):
    def split(self, rows, seed):
        splits = super().split(rows, seed)
        return DatasetDict({name: splits[name] for name in ("train", "validation")})


class AnotherSplitEachTime(GoodSource):
    times = iter(range(100))

    def split(self, rows, seed):
        return super().split(rows, seed + next(self.times))


class AsksWhatItTaught(GoodSource):
    def split(self, rows, seed):
        return DatasetDict(dict.fromkeys(("train", "validation", "test"), rows))


class AsksAPairThatItTaught(GoodSource):
    """The same two entities, with another text."""

    def rows(self, path):
        return [{**row, "subject_id": "Q1", "object_id": f"Q{len(row['text'])}"} for row in super().rows(path)]


class GivesBytes(GoodSource):
    def rows(self, path):
        return [{**row, "raw": row["text"].encode()} for row in super().rows(path)]


class CountsInWords(GoodSource):
    def load(self, path, seed):
        return replace(super().load(path, seed), skipped={"empty line": "some"})


class OfUnknownLicence(GoodSource):
    def load(self, path, seed):
        return replace(super().load(path, seed), licence="")


class FailsWithoutWords(GoodSource):
    def load(self, path, seed):
        path.read_text()
        return super().load(path, seed)


class ReadsLessEachTime(GoodSource):
    asked = iter(range(100))

    def rows(self, path):
        return super().rows(path)[next(self.asked) :]


class OfOtherColumns(GoodSource):
    def rows(self, path):
        return [{"sentence": row["text"], "text": row["text"]} for row in super().rows(path)]


SEQUENCES = {"name": "sequence-classification"}


def source_case(kind, tmp_path):
    """A contract for a source, and what its tests ask for."""
    contract = SourceContract()
    contract.options, contract.task = {"name": kind.name}, SEQUENCES
    contract.registry = registry_of("register_knowledge_sources", kind)
    said = {"name": kind.name, "path": written(tmp_path / "lines.txt")}
    source = kind()
    knowledge = source.load(said["path"], seed=0)
    return contract, {"said": said, "source": source, "knowledge": knowledge, "tmp_path": tmp_path}


@pytest.mark.parametrize("test", rules_of(SourceContract))
def test_a_good_source_keeps_every_law(test, tmp_path):
    contract, given = source_case(GoodSource, tmp_path)
    run(contract, test, **given)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (SaysNothing, "test_it_says_what_it_reads"),
        (KeepsASet, "test_its_options_survive_json"),
        (NothingToTest, "test_there_are_three_splits_with_rows"),
        (AnotherSplitEachTime, "test_the_same_seed_gives_the_same_splits"),
        (AsksWhatItTaught, "test_no_row_and_no_fact_is_in_two_splits"),
        (AsksAPairThatItTaught, "test_no_row_and_no_fact_is_in_two_splits"),
        (GivesBytes, "test_rows_are_plain"),
        (CountsInWords, "test_what_was_skipped_is_counted"),
        (OfUnknownLicence, "test_the_licence_is_said"),
        (FailsWithoutWords, "test_a_path_that_leads_nowhere_is_an_error"),
        (ReadsLessEachTime, "test_recipes_can_name_it"),
        (OfOtherColumns, "test_rows_fit_the_task"),
    ],
)
def test_a_source_that_breaks_a_law_is_found(kind, test, tmp_path):
    contract, given = source_case(kind, tmp_path)
    with pytest.raises((AssertionError, DataError, ConfigError, FileNotFoundError, TypeError)):
        run(contract, test, **given)


def test_a_sample_is_made_in_a_folder_of_its_own(tmp_path):
    assert sample_of(GoodSource, tmp_path / "new")["path"] == tmp_path / "new" / "lines.txt"


# --- knowledge

GOOD_KNOWLEDGE = KnowledgeModule(
    name="one-of-a-test",
    description="labels of lines",
    adapter={"type": "scalar-mix"},
    task=SEQUENCES,
    source={"name": GoodSource.name},
    training={"batch_size": 4},
)


def knowledge_case(module, tmp_path):
    """A contract for a kind of knowledge, and what its tests ask for."""
    contract = KnowledgeContract()
    gives = {
        "register_knowledge": hookimpl(lambda: [module]),
        "register_knowledge_sources": hookimpl(lambda: [GoodSource]),
    }
    contract.name, contract.registry = module.name, Registry([], ["kadapter.builtin", SimpleNamespace(**gives)])
    return contract, {"module": module, "backbone": tiny_backbone("roberta"), "tmp_path": tmp_path}


@pytest.mark.parametrize("test", sorted({*rules_of(KnowledgeContract)} - {"test_its_weights_load"}))
def test_good_knowledge_keeps_every_law(test, tmp_path):
    contract, given = knowledge_case(GOOD_KNOWLEDGE, tmp_path)
    run(contract, test, **given)


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ({"task": {"name": "no-such-task"}}, "test_everything_that_it_names_is_installed"),
        ({"adapter": {"type": "no-such-type"}}, "test_everything_that_it_names_is_installed"),
        ({"training": {"epoch": 3}}, "test_its_recipe_is_read_back"),
        ({"adapter": {"type": "k-adapter", "reads": [9]}}, "test_its_adapter_fits_any_backbone"),
        ({"task": {"name": "question-answering"}}, "test_it_can_be_pretrained_and_plugged"),
    ],
)
def test_knowledge_that_breaks_a_law_is_found(changed, test, tmp_path):
    contract, given = knowledge_case(replace(GOOD_KNOWLEDGE, **changed), tmp_path)
    with pytest.raises(KadapterError):
        run(contract, test, **given)


def with_weights(folder):
    """Knowledge whose weights lie in a folder, made for a tiny backbone that lies beside it."""
    backbone = load_backbone(save_tiny_backbone("roberta", folder / "tiny"))
    save_adapter(folder / "weights", build_adapter(GOOD_KNOWLEDGE.adapter, backbone.info), "it")
    return replace(GOOD_KNOWLEDGE, weights={backbone.info.fingerprint: folder / "weights"})


def test_weights_that_load_keep_the_law_and_others_are_found(tmp_path):
    good = with_weights(tmp_path)
    contract, given = knowledge_case(good, tmp_path)
    run(contract, "test_its_weights_load", **given)
    contract, given = knowledge_case(replace(good, weights={"0" * 16: tmp_path / "weights"}), tmp_path)
    with pytest.raises(AssertionError, match="was trained on"):
        run(contract, "test_its_weights_load", **given)


# --- tiny backbones


def test_the_same_seed_gives_the_same_tiny_backbone_and_leaves_random_numbers_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = tiny_backbone("roberta"), tiny_backbone("roberta"), tiny_backbone("roberta", seed=1)
    assert torch.equal(torch.rand(3), expected)
    assert first.info.fingerprint == again.info.fingerprint != other.info.fingerprint


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tiny_backbone_is_tiny_and_every_parameter_matters(family):
    backbone = tiny_backbone(family)
    assert (backbone.info.width, backbone.info.layers, backbone.info.heads) == (32, 4, 4)
    assert sum(p.numel() for p in backbone.parameters()) < 100_000
    assert all(p.std() > 0 for p in backbone.parameters() if p.numel() > 1)


def test_the_tiny_tokenizer_splits_words_and_knows_where_they_stand():
    backbone = tiny_backbone("bert")
    encoding = backbone.tokenizer("A bridge, zq!")
    assert encoding.tokens() == ["<s>", "a", "bridge", ",", "z", "##q", "!", "</s>"]
    assert [encoding.char_to_token(c) for c in (0, 2, 8, 10, 11)] == [1, 2, 3, 4, 5]
    assert tiny_batch(backbone, padding_side="left")["attention_mask"][:, 0].tolist() == [1, 0, 0, 0]
