"""What a model says that its adapters mix: means over real tokens, and the weights in one text."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kadapter import Adapter, ConfigError, KnowledgeModel, Registry, hookimpl
from kadapter.testing import SENTENCES, tiny_batch

CLOSE = {"rel": 1e-5, "abs": 1e-6}


@dataclass(frozen=True)
class BlendConfig:
    fails: bool = False


class Blend(Adapter):
    """Mixes two states; the weight of the upper one follows the lower one, and is no number at padding."""

    name = "blend"
    Config = BlendConfig

    def __init__(self, config, backbone):
        super().__init__(config, backbone)
        self.reads = (1, 4)
        self.modes = []

    def forward(self, states):
        self.modes.append((self.training, torch.is_grad_enabled()))
        upper = states[1][..., 0].sigmoid()
        if self.watched is not None:
            noted = upper.masked_fill(~states.attention_mask, torch.nan)
            self.watched["output"] = {"lower": 1 - noted, "upper": noted}
        if self.config.fails:
            raise ZeroDivisionError
        return torch.lerp(states[1], states[4], upper[..., None])


class BlendPlugin:
    @hookimpl
    def register_adapter_types(self):
        return [Blend]


@pytest.fixture(scope="module")
def registry():
    return Registry([], ["kadapter.builtin", BlendPlugin()])


@pytest.fixture(params=["bert", "llama"])
def backbone(tiny, request):
    return tiny(request.param)


@pytest.fixture
def model(backbone, registry):
    """A model with an adapter that mixes and one that does not."""
    model = KnowledgeModel(backbone).eval()
    model.plug("blend", {"type": "blend"}, registry)
    model.plug("plain", {"type": "k-adapter", "init": "random", "reads": [2], "width": 16}, registry)
    return model


def expected(model, sentences):
    """The mean weight of the upper state over all tokens of the sentences, each run alone."""
    with torch.no_grad():
        states = [model.backbone(tiny_batch(model.backbone, [sentence]), frozenset({1}))[1] for sentence in sentences]
    return torch.cat([state[0, :, 0].sigmoid() for state in states]).mean().item()


# --- means


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_does_not_count(model, side):
    mean = model.attention([tiny_batch(model.backbone, padding_side=side)])
    upper = expected(model, SENTENCES)
    assert mean == {
        "blend": {"output": {"lower": pytest.approx(1 - upper, **CLOSE), "upper": pytest.approx(upper, **CLOSE)}}
    }


@given(cut=st.integers(1, len(SENTENCES) - 1))
def test_batches_are_weighed_by_their_tokens(tiny, registry, cut):
    model = KnowledgeModel(tiny("bert"))
    model.plug("blend", {"type": "blend"}, registry)
    batches = (tiny_batch(model.backbone, part) for part in (SENTENCES[:cut], SENTENCES[cut:]))
    mean = model.attention(batches)["blend"]["output"]["upper"]
    assert mean == pytest.approx(expected(model, SENTENCES), **CLOSE)


def test_without_a_mask_every_token_counts(model):
    batch = tiny_batch(model.backbone, SENTENCES[:1])
    assert model.attention([{"input_ids": batch["input_ids"]}]) == model.attention([batch])


def test_what_the_batch_has_for_the_task_does_not_disturb(model):
    batch = tiny_batch(model.backbone)
    assert model.attention([{**batch, "labels": torch.zeros(4)}]) == model.attention([batch])


def test_a_model_that_mixes_nothing_says_nothing(model):
    model.unplug("blend")
    assert model.attention([tiny_batch(model.backbone)]) == {}
    model.unplug("plain")
    assert model.attention([tiny_batch(model.backbone)]) == {}
    assert model.attention([]) == {}


# --- what is left as it was


@pytest.mark.parametrize("training", [True, False])
def test_it_runs_in_evaluation_mode_without_gradient_and_leaves_the_mode_as_it_was(model, training):
    model.adapters["blend"].scale = torch.nn.Parameter(torch.ones(()))
    model.train(training)
    model.attention([tiny_batch(model.backbone)])
    model.attention_of(SENTENCES[0])
    assert model.adapters["blend"].modes == [(False, False)] * 2
    assert (model.training, model.adapters["blend"].training) == (training, training)


def test_nobody_is_watched_afterwards(model):
    model.attention([tiny_batch(model.backbone)])
    model.attention_of(SENTENCES[0])
    assert [adapter.watched for adapter in model.adapters.values()] == [None, None]


@pytest.mark.parametrize(
    ("options", "batches", "error"),
    [
        pytest.param(
            {"fails": True}, [{"input_ids": torch.ones(1, 3, dtype=torch.long)}], ZeroDivisionError, id="pass"
        ),
        pytest.param({}, [{}], KeyError, id="batch"),
        pytest.param({}, [{"input_ids": torch.full((1, 3), 10**6)}], IndexError, id="backbone"),
    ],
)
def test_nobody_is_watched_after_a_failure(model, registry, options, batches, error):
    model.unplug("blend")
    model.plug("blend", {"type": "blend", **options}, registry)
    model.train()
    with pytest.raises(error):
        model.attention(batches)
    assert [adapter.watched for adapter in model.adapters.values()] == [None, None]
    assert model.training


# --- one text


def test_a_text_is_told_token_by_token(model):
    tokens, weights = model.attention_of("A river, RUNS")
    assert tokens == ["<s>", "A", "river", ",", "RUNS", "</s>"]
    upper = weights["blend"]["output"]["upper"]
    batch = tiny_batch(model.backbone, ["A river, RUNS"])
    with torch.no_grad():
        state = model.backbone(batch, frozenset({1}))[1]
    assert upper == pytest.approx(state[0, :, 0].sigmoid().tolist(), **CLOSE)
    assert weights.keys() == {"blend"}
    mean = model.attention([batch])["blend"]["output"]["upper"]
    assert mean == pytest.approx(sum(upper) / len(tokens), **CLOSE)


def test_a_text_that_mixes_nothing_has_tokens_only(model):
    model.unplug("blend")
    tokens, weights = model.attention_of("bread")
    assert (tokens, weights) == (["<s>", "bread", "</s>"], {})


def test_a_text_that_is_too_long_says_how_long_it_may_be(model):
    with pytest.raises(ConfigError, match=r"the text has 202 tokens; backbone 'tiny-.*' takes 1 to 120"):
        model.attention_of("bread " * 200)
