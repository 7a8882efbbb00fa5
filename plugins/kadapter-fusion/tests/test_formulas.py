"""What a fusion means: formulas by hand, one member alone, the mean at the start, sizes and first values."""

import pytest
import torch
from torch.nn import functional
from transformers import BertConfig, BertModel

from kadapter import Backbone, build_adapter
from kadapter.testing import tiny_batch, tiny_tokenizer
from kadapter.testing.comparing import assert_close, assert_same, features_of

SENTENCE = ["the harbour of the old town is full of small boats"]
WIDTH = 32


# --- the formulas


def up_of(member, key, hidden):
    """U relu(D h + a) + b."""
    part = member.bottlenecks[key]
    return part.up(functional.relu(part.down(hidden)))


def mixed(mixer, asking, given, temperature=1.0):
    """Σ softmax(Q h · K zₙ / T) zₙ, (T, W) for every token."""
    scores = torch.stack([(mixer.query(asking) * mixer.key(z)).sum(-1) for z in given])
    return sum(weight[..., None] * z for weight, z in zip((scores / temperature).softmax(0), given, strict=True))


@pytest.mark.parametrize("temperature", [1.0, 7.0])
@pytest.mark.parametrize("residual", ["after", "before"])
@torch.no_grad()
def test_pfeiffer_in_bert(built, tiny, give, residual, temperature):
    """z = LN(s + V Σ sₙ fₙ(LN s)) with s = y + feed-forward(y); or z = LN(V (s + Σ sₙ fₙ(LN s)))."""
    bert, fusion = tiny("bert"), built("bert", residual=residual, temperature=temperature)
    batch = tiny_batch(bert, SENTENCE)
    state = bert(batch, frozenset({0}))[0]
    for number, layer in enumerate(bert.layers, start=1):
        attended = layer.attention(state)[0]
        total, norm = attended + layer.output.dense(layer.intermediate(attended)), layer.output.LayerNorm
        key = f"{number}-feedforward-norm"
        given = [up_of(member, key, norm(total)) for member in fusion.members.values()]
        mix, value = mixed(fusion.mixers[key], norm(total), given, temperature), fusion.mixers[key].value.T
        state = norm(total + mix @ value) if residual == "after" else norm((total + mix) @ value)
    assert_close(give(fusion, bert, batch), state, residual)


@torch.no_grad()
def test_readers(built, tiny, readers):
    """V Σ sₙ zₙ, asked by the backbone's last state."""
    fusion, batch = built(members=readers), tiny_batch(tiny("roberta"))
    given = [features_of(member, tiny("roberta"), batch) for member in fusion.members.values()]
    asking = tiny("roberta").model(**batch).last_hidden_state
    expected = mixed(fusion.mixers["output"], asking, given) @ fusion.mixers["output"].value.T
    assert_close(features_of(fusion, tiny("roberta"), batch), expected, "the formula")


@torch.no_grad()
def test_a_member_with_a_norm_of_its_own_is_mixed_behind_the_norm(tiny, give):
    """z = LN s + V Σ sₙ (editₙ(s) − LN s): a lone member through the identity is what it was."""
    options = {"houlsby": {"type": "standard", "size": 4}}
    fusion = build_adapter({"type": "fusion", "members": options, "value": False}, tiny("bert").info).eval()
    torch.manual_seed(0)
    for weight in fusion.members.parameters():
        weight.normal_(std=0.5)
    batch = tiny_batch(tiny("bert"))
    assert_close(
        give(fusion, tiny("bert"), batch), features_of(fusion.members["houlsby"], tiny("bert"), batch), "alone"
    )


# --- one member alone


@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
@pytest.mark.parametrize("name", ["a", "c"])
@torch.no_grad()
def test_with_one_member_kept_it_is_that_member(built, tiny, give, family, name):
    kept = {place: [name] for place in built(family).mixers}
    fusion = built(family, value=False, kept=kept)
    batch = tiny_batch(tiny(family))
    assert_close(give(fusion, tiny(family), batch), features_of(fusion.members[name], tiny(family), batch), name)


@torch.no_grad()
def test_where_all_attend_to_one_member_it_is_that_member(built, tiny, give):
    """One gives a value of its own, by which it is found, and all others give nothing there."""
    fusion, batch = built(new_mixers=True), tiny_batch(tiny("roberta"))
    for name, member in fusion.members.items():
        for part in member.bottlenecks.values():
            part.up.weight[0], part.up.bias[0] = 0, 1.0 if name == "b" else 0.0
    for mixer in fusion.mixers.values():
        mixer.query.bias[0], mixer.value[:] = 1e4, torch.eye(WIDTH)
        mixer.key.weight[:] = 0
        mixer.key.weight[0, 0] = 1
    assert_close(give(fusion, tiny("roberta"), batch), features_of(fusion.members["b"], tiny("roberta"), batch), "b")


@torch.no_grad()
def test_a_reader_alone_is_itself(built, tiny, readers):
    fusion, batch = built(members=readers, value=False, kept={"output": ["low"]}), tiny_batch(tiny("roberta"))
    expected = features_of(fusion.members["low"], tiny("roberta"), batch)
    assert_same(features_of(fusion, tiny("roberta"), batch), expected, "low")


# --- at the start


def averaged(members):
    """Members as an adapter whose edit adds the mean of what they add."""

    def edit(site, hidden, entering, norm):
        added = [member.add(site, hidden, entering, norm) for member in members.values()]
        return norm(hidden + torch.stack(added).mean(0))

    return edit


@pytest.mark.parametrize("family", ["roberta", "gpt2"])
def test_a_new_one_is_near_the_mean_of_its_members(built, tiny, monkeypatch, give, family):
    fusion, batch = built(family, new_mixers=True), tiny_batch(tiny(family))
    new = give(fusion, tiny(family), batch)
    monkeypatch.setattr(fusion, "edit", averaged(fusion.members))
    mean = features_of(fusion, tiny(family), batch)
    bare = tiny(family).model(**batch).last_hidden_state
    assert (new - mean).norm() < 0.1 * (mean - bare).norm()


@torch.no_grad()
def test_where_all_weights_are_equal_it_is_the_mean(built, tiny, monkeypatch, give):
    fusion, batch = built(new_mixers=True), tiny_batch(tiny("roberta"))
    for mixer in fusion.mixers.values():
        mixer.query.weight[:] = 0
        mixer.value[:] = torch.eye(WIDTH)
    equal = give(fusion, tiny("roberta"), batch)
    monkeypatch.setattr(fusion, "edit", averaged(fusion.members))
    assert_close(equal, features_of(fusion, tiny("roberta"), batch), "the mean")


def test_value_matrices_start_at_the_identity_almost(built):
    values = [mixer.value.detach() for mixer in built(new_mixers=True).mixers.values()]
    for value in values:
        assert torch.equal(value.diagonal(), torch.ones(WIDTH))
        beside = value - torch.eye(WIDTH)
        assert 0 < beside.abs().max() < 1e-5
        assert beside.count_nonzero() == WIDTH * (WIDTH - 1)
    assert not torch.equal(values[0], values[1])


def test_queries_and_keys_start_as_in_bert(built):
    for mixer in built(new_mixers=True).mixers.values():
        for projection in (mixer.query, mixer.key):
            assert not projection.bias.any()
            assert 0.018 < projection.weight.std() < 0.022


# --- sizes


@pytest.fixture(scope="module")
def bert_base():
    """A model of the shape of BERT-base, with few words."""
    config = BertConfig(vocab_size=100, max_position_embeddings=16)
    return Backbone(BertModel(config), tiny_tokenizer(), "bert-base")


@pytest.mark.parametrize(
    ("options", "a_place"),
    [
        ({}, 1_771_008),
        ({"value": False}, 2 * (768 * 768 + 768)),
        ({"query": False}, 768 * 768 + 768 + 768 * 768),
        ({"query": False, "key": False}, 768 * 768),
    ],
)
def test_of_bert_base_as_many_are_trained_as_in_the_paper(bert_base, options, a_place):
    member = {"type": "standard", "preset": "pfeiffer", "size": 1}
    fusion = build_adapter({"type": "fusion", "members": {"a": member, "b": member}, **options}, bert_base.info)
    trained = [sum(weight.numel() for weight in mixer.parameters()) for mixer in fusion.mixers.values()]
    assert trained == [a_place] * 12
    assert sum(weight.numel() for weight in fusion.parameters() if weight.requires_grad) == 12 * a_place
    assert 12 * 1_771_008 == 21_252_096


# --- the weights that are noted


@pytest.mark.parametrize("which", ["members", "readers"])
def test_noted_weights_sum_to_one_for_every_token(request, built, tiny, give, which):
    fusion, batch = built(members=request.getfixturevalue(which)), tiny_batch(tiny("roberta"))
    fusion.watched = {}
    give(fusion, tiny("roberta"), batch)
    assert fusion.watched.keys() == fusion.mixers.keys()
    for weights in fusion.watched.values():
        assert list(weights) == list(fusion.members)
        weight = torch.stack(list(weights.values()))
        assert weight.shape == (len(fusion.members), *batch["input_ids"].shape)
        assert not weight.requires_grad
        torch.testing.assert_close(weight.sum(0), torch.ones(weight.shape[1:]))
        # They are not the same for all tokens.
        assert weight[0, 0].std() > 1e-5


def test_nothing_is_noted_where_nobody_watches(built, tiny):
    fusion = built()
    features_of(fusion, tiny("roberta"), tiny_batch(tiny("roberta")))
    assert fusion.watched is None
