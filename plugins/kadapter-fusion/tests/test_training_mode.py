"""What is of training alone: the penalty, the temperature that falls, dropout on scores; and that members rest."""

import pytest
import torch

from kadapter import KnowledgeModel, build_adapter, default_registry
from kadapter.testing import fill_randomly, tiny_batch
from kadapter.testing.comparing import assert_same, assert_same_tensors, features_of

WIDTH = 32


@pytest.fixture
def model_of(tiny, members):
    """Gives a model in training mode, with a fusion of random weights as its only adapter, and with a task."""
    backbone = tiny("roberta")

    def make(**options):
        torch.manual_seed(0)
        kind = default_registry().tasks["relation-classification"]
        model = KnowledgeModel(backbone, task=kind(kind.Config(labels=("near", "far"), dropout=0.0)))
        model.recompose({"name": "alone"})
        fusion = build_adapter({"type": "fusion", "members": members, **options}, backbone.info)
        fill_randomly(fusion, 1)
        model.plug("fusion", fusion)
        return model.train()

    yield make
    backbone.checkpointing = False


@pytest.fixture
def batch(tiny):
    batch = tiny_batch(tiny("roberta"))
    return {**batch, "markers": torch.tensor([[0, 1]] * 4), "labels": torch.tensor([0, 1, 0, 1])}


def fusion_of(model):
    return model.adapters["fusion"]


# --- the penalty


def test_the_penalty_is_the_distance_of_the_value_matrices_from_the_identity(built):
    fusion = built(regularization=0.5)
    with torch.no_grad():
        for number, mixer in enumerate(fusion.mixers.values()):
            mixer.value.copy_(torch.eye(WIDTH))
            mixer.value[0, number] += number
    # At places 1 to 4: 0, 1, 4, 9.
    assert fusion.penalty().item() == pytest.approx(0.5 * 14)


def test_without_value_matrices_there_is_none(built):
    assert built(value=False).penalty() is None


def test_it_is_in_the_loss_in_training_alone(model_of, batch):
    model, strong = model_of(regularization=0.0), model_of(regularization=3.0)
    penalty = fusion_of(strong).penalty().item()
    assert penalty > 1
    with torch.no_grad():
        assert strong(**batch).loss.item() == pytest.approx(model(**batch).loss.item() + penalty)
        assert_same(strong.eval()(**batch).loss, model.eval()(**batch).loss, "in evaluation")


def test_one_that_is_frozen_adds_nothing_to_the_loss(model_of, batch):
    frozen, free = model_of(regularization=3.0), model_of(regularization=0.0)
    fusion_of(frozen).requires_grad_(False)
    assert not fusion_of(frozen.train()).training
    with torch.no_grad():
        assert frozen(**batch).loss.item() == pytest.approx(free(**batch).loss.item())


def test_it_draws_the_value_matrices_to_the_identity(model_of, batch):
    gradients = []
    for regularization in (0.0, 1.0):
        model = model_of(regularization=regularization)
        model(**batch).loss.backward()
        gradients.append(fusion_of(model).mixers["3-feedforward-norm"].value.grad)
    value = fusion_of(model).mixers["3-feedforward-norm"].value.detach()
    torch.testing.assert_close(gradients[1] - gradients[0], 2 * (value - torch.eye(WIDTH)), rtol=1e-4, atol=1e-5)


# --- the temperature


def temperatures(model, batch, steps):
    """At each of some training steps."""
    for _ in range(steps):
        model(**batch)
        yield fusion_of(model).temperature.item()


@pytest.mark.parametrize("which", ["members", "readers"])
def test_the_temperature_falls_to_one_in_equal_steps(request, model_of, batch, which):
    model = model_of(members=request.getfixturevalue(which), temperature=9.0, cooling=4)
    assert fusion_of(model).temperature.item() == 9
    assert list(temperatures(model, batch, 7)) == [9, 7, 5, 3, 1, 1, 1]


def test_it_does_not_fall_in_evaluation(model_of, batch):
    model = model_of(temperature=9.0, cooling=4)
    assert list(temperatures(model, batch, 2)) == [9, 7]
    model.eval()
    assert list(temperatures(model, batch, 3)) == [7] * 3
    assert list(temperatures(model.train(), batch, 1)) == [5]


def test_it_does_not_fall_while_the_fusion_is_frozen(model_of, batch):
    model = model_of(temperature=9.0, cooling=4)
    fusion_of(model).requires_grad_(False)
    assert list(temperatures(model.train(), batch, 3)) == [9] * 3


def test_it_goes_on_where_it_was_saved(model_of, batch):
    model, other = model_of(temperature=9.0, cooling=4), model_of(temperature=9.0, cooling=4)
    assert list(temperatures(model, batch, 2)) == [9, 7]
    fusion_of(other).load_state_dict(fusion_of(model).state_dict())
    assert list(temperatures(other, batch, 2)) == [5, 3]


def test_scores_are_divided_by_it(model_of, tiny):
    cold, warm = model_of().eval(), model_of(temperature=1e6).eval()
    for model in (cold, warm):
        fusion_of(model).watched = {}
        features_of(fusion_of(model), tiny("roberta"), tiny_batch(tiny("roberta")))
    even = torch.stack(list(fusion_of(warm).watched["2-feedforward-norm"].values()))
    torch.testing.assert_close(even, torch.full_like(even, 1 / 3), rtol=1e-3, atol=1e-3)
    uneven = torch.stack(list(fusion_of(cold).watched["2-feedforward-norm"].values()))
    assert uneven.std() > 0.1


@pytest.mark.parametrize("options", [{"temperature": 9.0, "cooling": 2}, {"dropout": 0.5}, {"residual": "before"}])
def test_layers_that_are_computed_again_give_the_same_gradient(model_of, batch, options):
    """Where the step that is computed again is still the same step, at the same temperature."""
    found = []
    for checkpointing in (False, True):
        model = model_of(**options)
        model.backbone.checkpointing = checkpointing
        for _ in range(2):
            model.zero_grad()
            torch.manual_seed(0)
            model(**batch).loss.backward()
        assert fusion_of(model).steps.item() == 2
        found.append({name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None})
    assert any(".query." in name for name in found[0])
    assert_same_tensors(found[1], found[0], "with gradient checkpointing")


# --- dropout


def test_scores_are_dropped_in_training_alone(model_of, batch):
    model, plain = model_of(dropout=0.5), model_of()
    first, second = (model(**batch).last_hidden_state for _ in range(2))
    assert (first - second).abs().max() > 1e-3
    with torch.no_grad():
        expected = plain.eval()(**batch).last_hidden_state
        assert_same(model.eval()(**batch).last_hidden_state, expected, "in evaluation")


def test_a_score_that_is_dropped_is_nothing_and_the_weights_still_sum_to_one(model_of, batch):
    """Scores, not weights, are dropped: three scores of nothing are three equal weights."""
    model = model_of(dropout=0.9)
    fusion_of(model).watched = {}
    model(**batch)
    weights = torch.stack(list(fusion_of(model).watched["1-feedforward-norm"].values()))
    torch.testing.assert_close(weights.sum(0), torch.ones(weights.shape[1:]))
    all_dropped = (weights - 1 / 3).abs().max(0).values < 1e-6
    assert 0.4 < all_dropped.float().mean() < 0.98


# --- members rest


def test_only_the_mixers_are_trained(model_of, batch):
    model = model_of()
    before = {name: tensor.clone() for name, tensor in fusion_of(model).state_dict().items()}
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.01)
    for _ in range(3):
        model(**batch).loss.backward()
        optimizer.step()
    reached = {name for name, weight in fusion_of(model).named_parameters() if weight.grad is not None}
    assert reached == {name for name in before if name.startswith("mixers.")}
    for name, tensor in fusion_of(model).state_dict().items():
        assert torch.equal(tensor, before[name]) is name.startswith("members."), name


@pytest.mark.parametrize("options", [{"dropout": 0.9}, {"train_norms": True, "dropout": 0.9}])
def test_members_are_in_evaluation_mode_while_the_fusion_is_trained(model_of, batch, options):
    model = model_of(members={"a": {"type": "standard", "preset": "pfeiffer", **options}})
    assert fusion_of(model).training
    assert not any(module.training for module in fusion_of(model).members.modules())
    with torch.no_grad():
        assert_same(model(**batch).last_hidden_state, model(**batch).last_hidden_state, "a second pass in training")


@pytest.mark.parametrize("freed", [True, False])
def test_members_stay_frozen(model_of, freed):
    fusion = fusion_of(model_of()).requires_grad_(freed)
    trained = {name for name, weight in fusion.named_parameters() if weight.requires_grad}
    assert trained == (
        {name for name, _ in fusion.named_parameters() if name.startswith("mixers.")} if freed else set()
    )
