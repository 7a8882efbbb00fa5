"""A backbone of any family: its layers and states are found, it runs no further than needed, and is told apart."""

import inspect
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, DistilBertModel

from kadapter import Backbone, BackboneAlias, BackboneError, HiddenStates, Registry, hookimpl, load_backbone
from kadapter.testing import FAMILIES, SENTENCES, save_tiny_backbone, tiny_backbone, tiny_batch, tiny_tokenizer
from kadapter.testing.comparing import assert_close, assert_same

CAUSAL = {
    *("bloom", "falcon", "gemma", "gemma2", "gpt2", "gpt_neox", "granite", "llama", "mistral", "mixtral"),
    *("olmo2", "opt", "phi", "qwen2", "qwen3", "stablelm", "starcoder2"),
}
every_family = pytest.mark.parametrize("family", FAMILIES)


def heard(backbone, run):
    """Run; give layer number -> its output, of the layers that ran to their end, in this order."""
    outputs = {}

    def keep(number, output):
        outputs[number] = output if isinstance(output, torch.Tensor) else output[0]

    hooks = [
        layer.register_forward_hook(lambda layer, given, output, number=number: keep(number, output))
        for number, layer in enumerate(backbone.layers, start=1)
    ]
    run()
    for hook in hooks:
        hook.remove()
    return outputs


def every(backbone):
    """The numbers of all states, and of all layers."""
    return frozenset(range(backbone.info.layers + 1)), frozenset(range(1, backbone.info.layers + 1))


# --- layers and states


@every_family
@torch.no_grad()
def test_the_states_are_those_of_transformers(tiny, family):
    backbone = tiny(family)
    batch = tiny_batch(backbone)
    states = backbone(batch, *every(backbone))
    theirs = backbone.model(**batch, output_hidden_states=True)
    assert sorted(states.states) == list(range(5))
    for number in range(4):
        assert_same(states[number], theirs.hidden_states[number], f"state {number}")
    assert_same(states[4], theirs.last_hidden_state, "the last state")


@every_family
@torch.no_grad()
def test_a_copied_layer_repeats_what_the_layer_did(tiny, family):
    backbone = tiny(family)
    batch, seen = tiny_batch(backbone), []
    outputs = heard(backbone, lambda: seen.append(backbone(batch, *every(backbone))))
    [states] = seen
    for number, output in outputs.items():
        copy = backbone.info.copy_layer(number)
        assert_same(states.calls[number].repeat(copy, states[number - 1]), output, f"layer {number}")


@every_family
def test_the_facts_of_a_backbone_are_found(tiny, family):
    info = tiny(family).info
    assert (info.model_type, info.width, info.layers, info.heads) == (tiny(family).model.config.model_type, 32, 4, 4)
    assert any(info.intermediate in parameter.shape for parameter in tiny(family).layers[0].parameters())
    assert info.causal == (family in CAUSAL)
    assert json.loads(json.dumps(info.as_dict()))["fingerprint"] == info.fingerprint


def test_a_copy_of_a_layer_is_trainable_and_its_own(tiny):
    backbone = tiny("bert")
    before = backbone.layers[1].output.dense.weight.clone()
    copy = backbone.info.copy_layer(2)
    assert all(parameter.requires_grad for parameter in copy.parameters())
    with torch.no_grad():
        copy.output.dense.weight.zero_()
    assert_same(backbone.layers[1].output.dense.weight, before, "the backbone's own")
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


NO_POSITIONS = "position_ids" not in inspect.signature(DistilBertModel.forward).parameters


@every_family
@pytest.mark.parametrize("side", ["right", "left"])
@torch.no_grad()
def test_padding_moves_no_state_of_a_token(tiny, family, side):
    if side == "left" and (family == "bart" or (family, NO_POSITIONS) == ("distilbert", True)):
        pytest.skip("this version of transformers lets nobody say the positions of this family")
    backbone = tiny(family)
    batch = tiny_batch(backbone, SENTENCES, side)
    together = backbone(batch, *every(backbone))
    for number, sentence in enumerate(SENTENCES):
        alone, real = backbone(tiny_batch(backbone, [sentence]), *every(backbone)), together.attention_mask[number]
        for state in range(5):
            assert_close(together[state][number][real], alone[state][0], f"state {state} of '{sentence}'")


# --- one pass


@pytest.mark.parametrize(
    ("reads", "borrows", "ran"),
    [
        ({0}, set(), []),
        ({1}, set(), [1]),
        ({0, 2}, set(), [1, 2]),
        ({1}, {4}, [1, 2, 3]),
        ({1, 3}, {2}, [1, 2, 3]),
        ({4}, set(), [1, 2, 3, 4]),
        (set(), set(), []),
    ],
)
@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_no_layer_runs_that_is_not_needed(tiny, family, reads, borrows, ran):
    backbone, given = tiny(family), []
    outputs = heard(
        backbone, lambda: given.append(backbone(tiny_batch(backbone), frozenset(reads), frozenset(borrows)))
    )
    assert list(outputs) == ran
    assert given[0].states.keys() == reads
    assert given[0].calls.keys() == borrows


@pytest.mark.parametrize("family", ["roberta", "gpt2"])
@torch.no_grad()
def test_a_pass_that_ended_early_leaves_nothing_behind(tiny, family):
    backbone = tiny(family)
    batch = tiny_batch(backbone)
    before = backbone.model(**batch, output_hidden_states=True)
    backbone(batch, frozenset({1}))
    after = backbone.model(**batch, output_hidden_states=True)
    assert len(after.hidden_states) == 5
    assert_same(after.last_hidden_state, before.last_hidden_state, "the next pass")


@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_without_a_mask_every_token_is_real_and_unknown_inputs_are_left_out(tiny, family):
    backbone = tiny(family)
    batch = tiny_batch(backbone, SENTENCES[:1])
    given = backbone({"input_ids": batch["input_ids"], "markers": torch.zeros(1, 2)}, frozenset({4}))
    assert given.attention_mask.all()
    assert_same(given[4], backbone(batch, frozenset({4}))[4], "with a mask of ones")


@torch.no_grad()
@pytest.mark.parametrize(("family", "first"), [("roberta", 2), ("bert", 0), ("mpnet", 2), ("gpt2", 0)])
def test_positions_can_be_sequential_with_padding_numbered_as_tokens(tiny, family, first):
    backbone = tiny(family)
    batch = tiny_batch(backbone, SENTENCES, "right")
    positions = torch.arange(first, first + batch["input_ids"].shape[1])[None]
    theirs = backbone.model(**batch, position_ids=positions).last_hidden_state
    ours = backbone(batch, frozenset({4}), sequential_positions=True)[4]
    assert_same(ours, theirs, "positions from the first on")


def test_sequential_positions_and_padding_on_the_left_do_not_go_together(tiny):
    with pytest.raises(BackboneError, match="padded on the right"):
        tiny("roberta")(tiny_batch(tiny("roberta"), SENTENCES, "left"), frozenset({4}), sequential_positions=True)


def test_threads_do_not_hear_each_other(tiny):
    backbone = tiny("roberta")
    batches = [tiny_batch(backbone, [sentence]) for sentence in SENTENCES[:2]] * 40
    alone = [backbone(batch, frozenset({2}))[2] for batch in batches]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda batch: backbone(batch, frozenset({2}))[2], batches))
    for one, other in zip(alone, together, strict=True):
        assert_same(one, other, "a pass among others")


def test_a_tuned_backbone_is_another_one():
    backbone = tiny_backbone("bert")
    before = backbone.info.fingerprint
    backbone.thaw()
    assert backbone.info.fingerprint != before
    assert backbone.loaded.fingerprint == before


def test_positions_that_are_given_are_kept(tiny):
    backbone = tiny("bert")
    batch = tiny_batch(backbone, SENTENCES, "left")
    shifted = {**batch, "position_ids": torch.arange(batch["input_ids"].shape[1])[None] + 5}
    assert_same(
        backbone(shifted, frozenset({4}))[4], backbone.model(**shifted).last_hidden_state, "positions that were given"
    )


def test_a_token_sees_tokens_and_itself_and_on_a_causal_backbone_nothing_later():
    mask = torch.tensor([[0, 1, 1]]).bool()
    both, causal = (HiddenStates({}, mask, causal).visible()[0, 0].int().tolist() for causal in (False, True))
    assert both == [[1, 1, 1], [0, 1, 1], [0, 1, 1]]
    assert causal == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


# --- frozen


def test_it_stays_frozen_in_evaluation_mode_until_it_is_thawed():
    backbone = tiny_backbone("bert")
    batch = tiny_batch(backbone)
    assert not backbone.train().model.training
    assert not backbone(batch, frozenset({4}))[4].requires_grad
    backbone.thaw()
    assert backbone.train().model.training
    assert all(parameter.requires_grad for parameter in backbone.model.parameters())
    assert backbone(batch, frozenset({4}))[4].requires_grad


# --- the fingerprint


@pytest.mark.parametrize("family", ["bart", "bert", "gpt2", "t5", "qwen3"])
def test_a_backbone_is_the_same_after_saving_and_loading(tiny, family, tmp_path):
    loaded = load_backbone(save_tiny_backbone(family, tmp_path))
    assert loaded.info == replace(tiny(family).info, name=str(tmp_path))
    assert loaded.tokenizer(SENTENCES[0])["input_ids"] == tiny(family).tokenizer(SENTENCES[0])["input_ids"]
    assert_same(
        loaded(tiny_batch(loaded), frozenset({4}))[4],
        tiny(family)(tiny_batch(loaded), frozenset({4}))[4],
        "saved and loaded",
    )


@every_family
def test_other_weights_have_another_fingerprint(tiny, family):
    assert tiny_backbone(family, seed=1).info.fingerprint != tiny(family).info.fingerprint


def test_one_changed_weight_matrix_changes_the_fingerprint():
    backbone = tiny_backbone("bert")
    with torch.no_grad():
        backbone.layers[3].output.dense.weight.mul_(1.1)
    assert Backbone(backbone.model, backbone.tokenizer).info.fingerprint != backbone.info.fingerprint


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_fingerprint_does_not_depend_on_precision(tiny, dtype):
    backbone = tiny_backbone("bert")
    assert Backbone(backbone.model.to(dtype), backbone.tokenizer).info.fingerprint == tiny("bert").info.fingerprint


# --- what cannot be a backbone


def edit_config(folder, **options):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


def truncate(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


DAMAGES = {
    "empty": (lambda folder: [path.unlink() for path in folder.iterdir()], "cannot be loaded"),
    "half a config": (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded .*config file"),
    "unknown family": (lambda folder: edit_config(folder, model_type="no-such-family"), "no-such-family"),
    "other width": (lambda folder: edit_config(folder, hidden_size=64), "cannot be loaded"),
    "more layers": (lambda folder: edit_config(folder, num_hidden_layers=5), r"lacks weights of its layers .*layer\.4"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "no file named"),
    "half the weights": (truncate, "cannot be loaded .*header"),
    "no tokenizer": (lambda folder: [path.unlink() for path in folder.glob("token*")], "tokenizer|cannot be loaded"),
    "half a tokenizer": (lambda folder: (folder / "tokenizer.json").write_text("{"), "cannot be loaded"),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_one_clear_error(tmp_path, damage, reason):
    damage(save_tiny_backbone("bert", tmp_path))
    with pytest.raises(BackboneError, match=reason) as caught:
        load_backbone(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_says_which_there_are():
    with pytest.raises(BackboneError, match=r"backbone 'no-such/model' cannot be loaded .*minilm, mpnet"):
        load_backbone("no-such/model")


def test_a_tokenizer_without_padding_pads_with_its_end(tmp_path):
    folder = save_tiny_backbone("gpt2", tmp_path)
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = None
    tokenizer.truncation_side = "left"
    tokenizer.save_pretrained(folder)
    backbone = load_backbone(folder)
    assert backbone.tokenizer.pad_token == "</s>"
    assert backbone.tokenizer.truncation_side == "right"
    assert_same(tiny_batch(backbone)["attention_mask"], tiny_batch(tiny_backbone("gpt2"))["attention_mask"], "mask")


def without_limit(family, folder, **config):
    """A saved backbone whose tokenizer does not say how much it takes."""
    save_tiny_backbone(family, folder)
    for name, change in (("tokenizer_config.json", {"model_max_length": int(1e30)}), ("config.json", config)):
        said = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**said, **change}))
    return load_backbone(folder)


# RoBERTa's kin have no position for tokens before the one behind that of padding.
@pytest.mark.parametrize(("family", "limit"), [("bert", 128), ("opt", 128), ("roberta", 126), ("mpnet", 126)])
def test_a_tokenizer_without_a_limit_has_that_of_the_backbone(family, limit, tmp_path):
    backbone = without_limit(family, tmp_path)
    assert backbone.tokenizer.model_max_length == limit
    full = backbone.tokenizer("bread " * 200, truncation=True, return_tensors="pt")
    assert backbone({"input_ids": full["input_ids"]}, frozenset({4})).states[4].shape == (1, limit, 32)
    with pytest.raises((IndexError, RuntimeError)):
        backbone({"input_ids": full["input_ids"][:, [*range(limit), 8]]}, frozenset({4}))


def test_a_rotating_backbone_takes_as_many_tokens_as_it_was_trained_on(tmp_path):
    assert without_limit("llama", tmp_path).tokenizer.model_max_length == 128


@pytest.mark.parametrize(
    ("family", "relative"), [("deberta-v2", {"position_biased_input": False}), ("falcon", {"alibi": True})]
)
def test_relative_positions_set_no_limit(family, relative, tmp_path):
    assert without_limit(family, tmp_path, **relative).tokenizer.model_max_length > 1e9


def test_the_limit_of_a_tokenizer_is_left_to_it(tmp_path):
    assert load_backbone(save_tiny_backbone("bert", tmp_path)).tokenizer.model_max_length == 120


def test_a_family_without_a_list_of_layers_says_which_lists_it_has():
    config = AlbertConfig(vocab_size=50, embedding_size=8, hidden_size=16, num_attention_heads=2, intermediate_size=16)
    with pytest.raises(BackboneError, match=r"no list of 12 layers in AlbertModel.*layer_groups \(1\).*`layers`"):
        Backbone(AlbertModel(config), tiny_tokenizer())


def test_an_alias_can_name_the_list_of_layers(tmp_path):
    folder = save_tiny_backbone("bert", tmp_path)

    class Plugin:
        @hookimpl
        def register_backbones(self):
            where = {"locate": lambda: folder, "licence": "none"}
            return [
                BackboneAlias("named", layers="encoder.layer", **where),
                BackboneAlias("misnamed", layers="encoder.layers", **where),
            ]

    registry = Registry([], [Plugin()])
    backbone = load_backbone("named", registry)
    assert (backbone.info.name, backbone.info.layers) == ("named", 4)
    with pytest.raises(BackboneError, match=r"'encoder.layers' is not a list .*BertModel; .*encoder.layer \(4\)"):
        load_backbone("misnamed", registry)


def test_the_outermost_list_is_taken_when_two_are_as_long():
    model = BertModel(
        BertConfig(vocab_size=50, hidden_size=8, num_hidden_layers=2, num_attention_heads=1, intermediate_size=8)
    )
    model.encoder.layer[0].heads = torch.nn.ModuleList([torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)])
    assert Backbone(model, tiny_tokenizer()).layers is model.encoder.layer


@pytest.mark.parametrize("state", [-1, 5])
def test_a_state_that_there_is_not_is_an_error(tiny, state):
    with pytest.raises(BackboneError, match=rf"state {state} .*has 4 layers: its states are 0 \(embeddings\) to 4"):
        tiny("bert").info.check_state(state)
