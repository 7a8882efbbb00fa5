"""Writing: transformers' `generate` over a backbone with knowledge plugged in, with caches and without."""

import dataclasses
from copy import deepcopy

import pytest
import torch
from transformers import AutoModelForCausalLM, DynamicCache, pipeline
from transformers.modeling_outputs import CausalLMOutputWithPast

from kadapter import (
    Adapter,
    BackboneError,
    ConfigError,
    KnowledgeModel,
    Registry,
    build_adapter,
    hookimpl,
    load_backbone,
)
from kadapter.task import build_task
from kadapter.testing import FAMILIES, fill_randomly, tiny_backbone, tiny_batch, tiny_tokenizer
from kadapter.testing.comparing import TOLERANCE

CAUSAL = ["gpt2", "llama", "qwen2", "qwen3"]
OTHERS = sorted(
    {"bloom", "falcon", "gemma", "gemma2", "gpt_neox", "granite", "mistral", "mixtral", "olmo2", "opt", "phi"}
    | {"stablelm", "starcoder2"}
)
FAST_AND_SLOW = [*CAUSAL, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
WAYS = {
    "greedy": {},
    "beams": {"num_beams": 3, "num_return_sequences": 2},
    "sampling": {"do_sample": True, "top_k": 0, "num_return_sequences": 2},
}
READING = {
    "copies": {"type": "k-adapter"},
    "new": {"type": "k-adapter", "init": "random", "reads": [0, 4], "width": 16},
    "mix": {"type": "scalar-mix"},
}
STANDARD = {"type": "standard", "init": "random", "size": 8}
EDITING = {
    "standard": STANDARD,
    "drop": {"type": "drop", "layers": 2, "inner": STANDARD},
    "fusion": {"type": "fusion", "members": {"a": STANDARD, "b": STANDARD}},
    "fusion of k-adapters": {"type": "fusion", "members": {"a": {"type": "k-adapter"}, "b": {"type": "k-adapter"}}},
    "drop of a k-adapter": {"type": "drop", "layers": 2, "inner": {"type": "k-adapter"}},
}
CACHE = next(f.name for f in dataclasses.fields(CausalLMOutputWithPast) if f.name in ("cache", "past_key_values"))


WINDOWS = pytest.mark.skipif(
    not hasattr(DynamicCache, "activate_past_recording"), reason="this transformers takes nothing back from windows"
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Gives the folder of a tiny language model of a family, head and all, as it is published."""
    made = {}

    def folder(family):
        if family not in made:
            made[family] = tmp_path_factory.mktemp(family)
            model = AutoModelForCausalLM.from_config(tiny_backbone(family).model.config)
            fill_randomly(model, seed=3)
            model.save_pretrained(made[family])
            tiny_tokenizer().save_pretrained(made[family])
        return made[family]

    return folder


@pytest.fixture(scope="module")
def backbones(folders):
    made = {}
    return lambda family: made.get(family) or made.setdefault(family, load_backbone(folders(family)))


def with_adapters(backbone, adapters, composition="sum"):
    model = KnowledgeModel(backbone)
    for seed, (name, options) in enumerate(adapters.items()):
        fill_randomly(model.plug(name.replace(" ", "-"), build_adapter(options, backbone.info)), seed)
    model.recompose({"name": composition})
    return model.eval()


def prompts(backbone, **options):
    """Sentences of different lengths without the token that ends them, padded on the left."""
    return {name: it[:, :-1] for name, it in tiny_batch(backbone, padding_side="left", **options).items()}


def written(model, batch, seed=0, **options):
    """Generate ten tokens, no more and no fewer."""
    torch.manual_seed(seed)
    return model.generate(**batch, **{"max_new_tokens": 10, "min_new_tokens": 10, **options})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAST_AND_SLOW)
def test_with_a_cache_the_same_is_written_as_without(backbones, family, way):
    model = with_adapters(backbones(family), READING)
    batch = prompts(model.backbone)
    cached = written(model, batch, **WAYS[way])
    assert cached.tolist() == written(model, batch, use_cache=False, **WAYS[way]).tolist()
    with model.unplugged():
        assert cached.tolist() != written(model, batch, **WAYS[way]).tolist(), "the adapters have no say"


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("composition", ["sum", "alone"])
@pytest.mark.parametrize("kind", EDITING)
def test_every_type_writes_with_a_cache(backbones, family, kind, composition):
    model = with_adapters(backbones(family), {kind: EDITING[kind]}, composition)
    batch = prompts(model.backbone)
    cached = written(model, batch, num_beams=2)
    assert cached.tolist() == written(model, batch, num_beams=2, use_cache=False).tolist()
    with model.unplugged():
        assert cached.tolist() != written(model, batch, num_beams=2).tolist(), "the adapter has no say"


@pytest.mark.parametrize("family", ["gpt2", pytest.param("gemma2", marks=pytest.mark.slow)])
def test_all_types_write_together(backbones, family):
    model = with_adapters(backbones(family), {**READING, **EDITING})
    batch = prompts(model.backbone)
    assert written(model, batch).tolist() == written(model, batch, use_cache=False).tolist()


@pytest.mark.parametrize("family", FAST_AND_SLOW)
def test_a_padded_prompt_is_continued_as_it_is_alone(backbones, family):
    model = with_adapters(backbones(family), READING)
    batch = prompts(model.backbone)
    if not torch.allclose(*last_states(model.backbone), atol=TOLERANCE):
        pytest.skip("padding on the left changes the states of this backbone itself")
    together = written(model, batch)
    for row, (ids, mask) in enumerate(zip(batch["input_ids"], batch["attention_mask"], strict=True)):
        alone = written(model, {"input_ids": ids[mask.bool()][None]})
        assert together[row, mask.shape[0] - int(mask.sum()) :].tolist() == alone[0].tolist()


def last_states(backbone):
    """Of the last sentence's last token, padded and alone."""
    batch, model = prompts(backbone), KnowledgeModel(backbone).eval()
    alone = {name: tensor[-1:, -int(batch["attention_mask"][-1].sum()) :] for name, tensor in batch.items()}
    with torch.no_grad():
        return [model(**given).last_hidden_state[-1, -1] for given in (batch, alone)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAST_AND_SLOW)
def test_unplugged_it_writes_what_the_language_model_writes(folders, backbones, family, way):
    model, plain = with_adapters(backbones(family), READING), AutoModelForCausalLM.from_pretrained(folders(family))
    batch = prompts(model.backbone)
    with model.unplugged():
        assert written(model, batch, **WAYS[way]).tolist() == written(plain, batch, **WAYS[way]).tolist()


def test_plugging_between_calls(backbones):
    model = KnowledgeModel(backbones("llama")).eval()
    batch = prompts(model.backbone)
    bare = written(model, batch).tolist()
    fill_randomly(model.plug("late", READING["copies"]))
    assert written(model, batch).tolist() != bare
    model.unplug("late")
    assert written(model, batch).tolist() == bare


@pytest.mark.parametrize("adapters", [READING, {"it": STANDARD}], ids=["reading", "editing"])
def test_each_token_goes_through_the_backbone_once(backbones, adapters):
    model = with_adapters(backbones("llama"), adapters, "sum" if len(adapters) > 1 else "alone")
    batch, lengths = prompts(model.backbone), []
    layer = model.backbone.layers[0]
    hook = layer.register_forward_hook(lambda module, given, output: lengths.append(output[0].shape[-2]))
    try:
        written(model, batch)
    finally:
        hook.remove()
    assert lengths == [batch["input_ids"].shape[1], *[1] * 9]


def test_writing_goes_on_from_what_was_written(backbones):
    model = with_adapters(backbones("gpt2"), {**READING, "standard": STANDARD})
    batch = prompts(model.backbone)
    whole = written(model, batch, max_new_tokens=20, min_new_tokens=20)
    first = written(model, batch, return_dict_in_generate=True)
    mask = torch.nn.functional.pad(batch["attention_mask"], (0, 10), value=1)
    rest = written(model, {"input_ids": first.sequences, "attention_mask": mask, CACHE: first[CACHE]})
    assert rest.tolist() == whole.tolist()


@pytest.mark.parametrize("adapters", [READING, {"it": STANDARD}], ids=["reading", "editing"])
def test_a_beginning_can_be_gone_on_from_twice(backbones, adapters):
    """A cache changes when it is used; a copy of it holds what the same adapters have seen."""
    model = with_adapters(backbones("gpt2"), adapters, "sum" if len(adapters) > 1 else "alone")
    first = written(model, prompts(model.backbone, sentences=["the boat"]), return_dict_in_generate=True)
    ids = first.sequences
    expected = written(model, {"input_ids": ids}, use_cache=False).tolist()
    for _ in range(2):
        assert written(model, {"input_ids": ids, CACHE: deepcopy(first[CACHE])}).tolist() == expected


def test_a_cache_is_of_the_adapters_as_they_were(backbones):
    model = with_adapters(backbones("gpt2"), {"it": EDITING["drop"]}, "alone")
    first = written(model, prompts(model.backbone), return_dict_in_generate=True)
    model.set("it", layers=0)
    with pytest.raises(ConfigError, match="made with another adapter 'it', or other options of it; leave it out"):
        written(model, {"input_ids": first.sequences, CACHE: first[CACHE]})
    model.set("it", layers=2)
    adapter = model.unplug("it")
    model.plug("it", deepcopy(adapter))
    with pytest.raises(ConfigError, match="made with another adapter 'it'"):
        written(model, {"input_ids": first.sequences, CACHE: first[CACHE]})


def test_a_cache_that_grows_is_what_there_is(backbones):
    model = with_adapters(backbones("llama"), READING)
    batch = prompts(model.backbone)
    assert written(model, batch, cache_implementation="dynamic").tolist() == written(model, batch).tolist()
    with pytest.raises(ConfigError, match="cache_implementation is 'static', which holds nothing of adapters"):
        written(model, batch, cache_implementation="static")


@pytest.mark.parametrize("name", ["cache", "past_key_values"])
def test_another_cache_holds_nothing_of_adapters(backbones, name):
    model = with_adapters(backbones("gpt2"), READING)
    with pytest.raises(ConfigError, match="holds nothing of adapters"):
        written(model, {**prompts(model.backbone), name: DynamicCache(config=model.backbone.model.config)})


def test_a_cache_is_of_the_adapters_that_were_plugged(backbones):
    model = with_adapters(backbones("gpt2"), READING)
    first = written(model, prompts(model.backbone), return_dict_in_generate=True)
    with model.unplugged(), pytest.raises(ConfigError, match="and now it is nothing; leave it out"):
        written(model, {"input_ids": first.sequences, CACHE: first[CACHE]})


def test_embeddings_are_no_tokens(backbones):
    with pytest.raises(ConfigError, match="give input_ids instead"):
        KnowledgeModel(backbones("gpt2")).generate(inputs_embeds=torch.zeros(1, 2, 48))


@pytest.mark.parametrize("family", ["llama", pytest.param("gemma2", marks=WINDOWS)])
@pytest.mark.parametrize("adapters", [READING, {"it": STANDARD}], ids=["reading", "editing"])
def test_what_is_guessed_ahead_is_taken_back(backbones, family, adapters):
    """Looking ahead in the prompt crops all caches, sliding windows too; what is written stays the same."""
    model = with_adapters(backbones(family), adapters, "sum" if len(adapters) > 1 else "alone")
    batch = prompts(model.backbone, sentences=["a river runs by a river runs by a river"])
    assert written(model, batch, prompt_lookup_num_tokens=3).tolist() == written(model, batch).tolist()


@pytest.mark.parametrize("adapters", [{}, READING], ids=["bare", "adapters"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_what_other_prompts_guide_is_written_with_a_cache_of_their_own(folders, backbones, family, adapters):
    model = with_adapters(backbones(family), adapters)
    batch = prompts(model.backbone)
    for guide in ({}, {"negative_prompt_ids": batch["input_ids"][:, -3:]}):
        guided = written(model, batch, guidance_scale=1.5, **guide)
        assert guided.tolist() == written(model, batch, guidance_scale=1.5, use_cache=False, **guide).tolist()
        if not adapters:
            plain = AutoModelForCausalLM.from_pretrained(folders(family)).eval()
            batch.pop("token_type_ids", None)
            assert guided.tolist() == written(plain, batch, guidance_scale=1.5, **guide).tolist()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_model_with_adapters_guesses_ahead_for_another(backbones, family):
    model, assistant = with_adapters(backbones(family), READING), with_adapters(backbones(family), {})
    batch = {name: values[:1] for name, values in prompts(model.backbone).items()}
    # With a least number of tokens, transformers 4 refuses an assistant.
    alone = written(model, batch, min_new_tokens=None)
    for guesses in (assistant, model):
        assert written(model, batch, min_new_tokens=None, assistant_model=guesses).tolist() == alone.tolist()


@pytest.mark.parametrize("name", ["output_hidden_states", "output_attentions"])
def test_states_are_not_what_writing_gives(backbones, name):
    model = with_adapters(backbones("gpt2"), READING)
    with pytest.raises(ConfigError, match=f"{name}: `generate` gives texts, scores and logits"):
        written(model, prompts(model.backbone), return_dict_in_generate=True, **{name: True})


def test_a_type_that_says_nothing_sees_all_tokens_again(backbones):
    class Sees(Adapter):
        name = "sees"

        def __init__(self, config, backbone):
            super().__init__(config, backbone)
            self.reads = (2,)

        def forward(self, states):
            mask = states.attention_mask[..., None]
            return 3 * (states[2] * mask).cumsum(1) / mask.cumsum(1).clamp(min=1)

    class Plugin:
        @hookimpl
        def register_adapter_types(self):
            return [Sees]

    model = with_adapters(backbones("llama"), READING)
    model.plug("sees", {"type": "sees"}, Registry([], ["kadapter.builtin", Plugin()]))
    batch = prompts(model.backbone)
    with pytest.warns(UserWarning, match="adapter type 'sees' does not say that it `continues`"):
        found = written(model, batch)
    assert found.tolist() == written(model, batch, use_cache=False).tolist()


def test_nothing_is_dropped_while_a_model_in_training_writes(backbones):
    model = with_adapters(backbones("gpt2"), {"new": {**READING["new"], "dropout": 0.5}})
    batch = prompts(model.backbone)
    expected = written(model, batch).tolist()
    assert written(model.train(), batch, seed=1).tolist() == expected
    assert model.training


def test_a_pipeline_writes_what_generate_does(backbones):
    model, texts = with_adapters(backbones("llama"), READING), ["a river runs by", "the harbour"]
    tokenizer = deepcopy(model.backbone.tokenizer)
    tokenizer.padding_side = "left"
    with_task = KnowledgeModel(model.backbone, model.composition, build_task({"name": "causal-lm"}))
    with_task.adapters = model.adapters
    options = {"max_new_tokens": 10, "min_new_tokens": 10, "do_sample": False}
    writes = pipeline("text-generation", model=with_task.eval(), tokenizer=tokenizer)
    found = writes(texts, batch_size=2, return_tensors=True, **options)
    expected = model.generate(**tokenizer(texts, padding=True, return_tensors="pt"), **options)
    assert [list(text["generated_token_ids"]) for [text] in found] == expected.tolist()


def test_an_encoder_does_not_write(tiny):
    with pytest.raises(
        BackboneError, match=r"backbone 'tiny-roberta' is an encoder.*take a causal one, such as smollm2"
    ):
        KnowledgeModel(tiny("roberta")).generate(torch.tensor([[1, 2]]))


@pytest.mark.slow
def test_the_families_are_those_that_there_are(tiny):
    causal = [family for family in FAMILIES if tiny(family).info.causal]
    assert sorted([*CAUSAL, *OTHERS]) == sorted(causal)


@pytest.mark.realdata
def test_smollm2_writes_with_an_adapter():
    try:
        backbone = load_backbone("smollm2")
    except BackboneError as error:
        pytest.skip(str(error))
    model, texts = KnowledgeModel(backbone).eval(), ["The capital of France is", "A harbour is"]
    batch = dict(backbone.tokenizer(texts, padding=True, padding_side="left", return_tensors="pt"))
    bare = model.generate(**batch, max_new_tokens=8, do_sample=False)
    assert "Paris" in backbone.tokenizer.decode(bare[0])
    model.plug("it", {"type": "k-adapter", "reads": [16]})
    cached = model.generate(**batch, max_new_tokens=8, do_sample=False)
    assert cached.tolist() == model.generate(**batch, max_new_tokens=8, do_sample=False, use_cache=False).tolist()
    assert cached.tolist() != bare.tolist()
