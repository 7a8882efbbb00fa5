"""Masked and causal language modelling: what is asked, what the loss is, what is held, what a run learns."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments, pipeline

from kadapter import BackboneError, ConfigError, KnowledgeModel, Recipe, evaluate, finetune
from kadapter.builtin.tasks.padding import IGNORED
from kadapter.registry import default_registry
from kadapter.task import build_task
from kadapter.testing import TaskContract, save_tiny_backbone, tiny_backbone, tiny_batch, tiny_tokenizer
from kadapter.testing.comparing import assert_same
from kadapter.testing.task_contract import in_every_split
from kadapter.training import build_model

MASKED, CAUSAL = {"name": "masked-lm"}, {"name": "causal-lm"}
CLOZE = {"objective": "cloze"}
HARBOUR = {"text": "the harbour of the old town is full of small boats", "start": 19, "end": 27, "hold": False}
BOATS = {"text": "small boats", "start": 0, "end": 5, "hold": False}
OTHER = {"text": "who painted the bridge ?", "start": 0, "end": 0, "hold": True}
ADAPTER = {"type": "k-adapter", "reads": [1, 3], "transformer_layers": 1}


class TestMaskedLM(TaskContract):
    options = MASKED
    families = ("roberta", "bert")


class TestMaskedLMOfCutTexts(TaskContract):
    options = {**MASKED, "max_length": 6, "mask_probability": 0.5}
    families = ("bert",)


class TestMaskedLMWithAFreshHead(TaskContract):
    options = {**MASKED, "head": "fresh"}
    families = ("electra",)


class TestCausalLM(TaskContract):
    options = CAUSAL
    families = ("gpt2", "gemma2")


class TestCausalClozesBesideTextThatIsHeld(TaskContract):
    options = {**CAUSAL, **CLOZE, "hold": 1.0}
    families = ("llama",)

    def rows(self):
        return in_every_split([HARBOUR, OTHER])


def encoded(options, *rows, tokenizer=None):
    rows = Dataset.from_list([dict(row) for row in rows])
    return build_task(options).encode(rows, tokenizer or tiny_tokenizer())


def words(tokens):
    return tiny_tokenizer().decode(tokens)


def batch_of(model, *rows):
    examples = model.task.encode(Dataset.from_list([dict(row) for row in rows]), model.backbone.tokenizer).examples
    return model.task.collate(list(examples), model.backbone.tokenizer)


# --- what is asked


def test_a_masked_cloze_hides_its_span_and_asks_for_it():
    [example] = encoded({**MASKED, **CLOZE}, HARBOUR).examples
    assert words(example["input_ids"]) == "<s> the harbour of the <mask> <mask> is full of small boats </s>"
    assert words([label for label in example["labels"] if label != IGNORED]) == "old town"


def test_a_causal_cloze_is_the_text_up_to_its_span_which_alone_is_asked():
    made = encoded({**CAUSAL, **CLOZE}, HARBOUR)
    [example] = made.examples
    assert words(example["input_ids"]) == "<s> the harbour of the old town"
    assert words([label for label in example["labels"] if label != IGNORED]) == "old town"


def test_a_span_that_is_cut_off_is_no_example():
    made = encoded({**MASKED, **CLOZE, "max_length": 7}, HARBOUR, BOATS)
    assert len(made.examples) == 1
    assert dict(made.skipped) == {"nothing to ask within 7 tokens": 1}


def test_a_causal_cloze_that_opens_the_text_is_no_example_for_there_is_nothing_before_it():
    plain = tiny_tokenizer()
    plain.backend_tokenizer.post_processor = None
    made = encoded({**CAUSAL, **CLOZE, "max_length": 6}, BOATS, HARBOUR, {**HARBOUR, "end": 40}, tokenizer=plain)
    before = "nothing before what is asked, which a causal model goes on from"
    assert dict(made.skipped) == {before: 1, "nothing to ask within 6 tokens": 1}
    assert len(encoded({**CAUSAL, **CLOZE}, BOATS).examples) == 1


def test_salient_spans_are_one_of_the_two_entities():
    row = {"text": "the river runs by the old town", "subject_start": 4, "subject_end": 9}
    row |= {"object_start": 22, "object_end": 30}
    asked = {
        words([label for label in example["labels"] if label != IGNORED])
        for seed in range(8)
        for example in encoded({**MASKED, "objective": "entities", "seed": seed}, row).examples
    }
    assert asked == {"river", "old town"}


@pytest.mark.parametrize("share", [0.15, 0.5, 1.0])
def test_tokens_of_a_text_are_masked_with_their_probability_and_the_same_each_time(share):
    rows = [{"text": f"the harbour of the old town is full of small boats {n}"} for n in range(100, 160)]
    options = {**MASKED, "mask_probability": share}
    one, same, other = (encoded({**options, "seed": seed}, *rows).examples["labels"] for seed in (0, 0, 1))
    labels = [label for row in one for label in row[1:-1]]
    assert np.mean([label != IGNORED for label in labels]) == pytest.approx(share, abs=0.05)
    assert list(one) == list(same)
    assert (list(one) != list(other)) == (share < 1)


def test_a_causal_text_is_asked_whole_but_for_its_first_token():
    [example] = encoded(CAUSAL, HARBOUR).examples
    assert [label for label in example["labels"] if label != IGNORED] == example["input_ids"][1:]


# --- logits and loss


@pytest.mark.parametrize(("task", "family"), [(MASKED, "bert"), (CAUSAL, "gpt2")])
@pytest.mark.parametrize("side", ["left", "right"])
def test_only_what_is_asked_goes_through_the_head(task, family, side, monkeypatch):
    model = KnowledgeModel(tiny_backbone(family), task=build_task({**task, **CLOZE})).eval()
    model.backbone.tokenizer.padding_side = side
    batch = batch_of(model, HARBOUR, {**HARBOUR, "text": f"and {HARBOUR['text']}", "start": 23, "end": 26})
    with torch.no_grad():
        every = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        seen = []
        model.backbone.lm_head.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[:-1].numel()))
        output = model(**batch)
    assert seen == [3]
    for row, places in enumerate(batch["asked"].tolist()):
        for number, place in enumerate(places):
            if place >= 0:
                torch.testing.assert_close(output.logits[row, number], every[row, place])
    there = batch["labels"] != IGNORED
    torch.testing.assert_close(output.loss, functional.cross_entropy(output.logits[there], batch["labels"][there]))


@pytest.mark.parametrize(("task", "family"), [(MASKED, "roberta"), (CAUSAL, "llama")])
def test_labels_as_transformers_has_them_give_the_loss_of_transformers(task, family):
    backbone = tiny_backbone(family)
    model = KnowledgeModel(backbone, task=build_task(task)).eval()
    batch = tiny_batch(backbone)
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORED)
    whole = backbone._language_model(backbone.info.causal).eval()
    with torch.no_grad():
        ours, theirs = model(**batch, labels=labels), whole(**batch, labels=labels)
    assert_same(ours.logits, theirs.logits, "logits")
    torch.testing.assert_close(ours.loss, theirs.loss)


@pytest.mark.parametrize(("task", "family"), [(MASKED, "gpt2"), (CAUSAL, "bert")])
def test_a_backbone_of_the_other_kind_is_refused(task, family):
    with pytest.raises(BackboneError, match=r"needs a (masked|causal) backbone, .* take task '(masked|causal)-lm'"):
        KnowledgeModel(tiny_backbone(family), task=build_task(task))


def test_a_tokenizer_without_a_mask_is_refused():
    tokenizer = tiny_tokenizer()
    tokenizer.mask_token = None
    with pytest.raises(ConfigError, match="has no mask token"):
        build_task(MASKED).encode(Dataset.from_list([HARBOUR]), tokenizer)


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"mask_probability": 0}, "mask_probability"), ({"hold": -1.0}, "hold"), ({"head": "fresh", "hold": 1.0}, "own")],
)
def test_options_out_of_range_are_refused(options, problem):
    with pytest.raises(ConfigError, match=problem):
        build_task({**MASKED, **options})


# --- holding text to the bare backbone


def held_model(hold, composition="residual"):
    model = KnowledgeModel(tiny_backbone("llama"), task=build_task({**CAUSAL, **CLOZE, "hold": hold}))
    model.plug("facts", ADAPTER)
    model.recompose({"name": composition})
    return model.train()


def test_an_untrained_adapter_has_nothing_to_be_held_to():
    model = held_model(1.0)
    plain = model(**batch_of(model, HARBOUR)).loss
    torch.testing.assert_close(model(**batch_of(model, HARBOUR, OTHER)).loss, plain)


def test_what_is_held_costs_its_divergence_from_the_bare_backbone():
    model = held_model(2.0, "sum")
    batch = batch_of(model, HARBOUR, OTHER)
    loss = model(**batch).loss
    with torch.no_grad():
        ours = model(**batch).logits
        with model.unplugged():
            bare = model(**batch).logits
    held, there = batch["held"], batch["labels"] != IGNORED
    assert held.sum(1).tolist() == [0, 5]
    ours_held, bare_held = ours[held].log_softmax(-1), bare[held].log_softmax(-1)
    divergence = (bare_held.exp() * (bare_held - ours_held)).sum(-1).mean()
    assert divergence > 0
    torch.testing.assert_close(loss, functional.cross_entropy(ours[there], batch["labels"][there]) + 2 * divergence)
    torch.testing.assert_close(
        model.eval()(**batch).loss, functional.cross_entropy(ours[there], batch["labels"][there])
    )


def test_a_backbone_that_is_trained_cannot_be_held_to():
    source = {"name": "text", "path": "unused"}
    recipe = Recipe.from_dict(
        {
            "name": "x",
            "backbone": "x",
            "source": source,
            "task": {**CAUSAL, "hold": 1.0},
            "training": {"trains": ["backbone"]},
        }
    )

    base = KnowledgeModel(tiny_backbone("llama"))
    with pytest.raises(ConfigError, match="leave backbone out"):
        build_model(recipe, base, build_task(recipe.task), default_registry())


# --- metrics


def test_metrics_count_tokens_and_whole_texts():
    task, labels = build_task(CAUSAL), np.array([[3, 4], [5, IGNORED], [6, IGNORED]])
    said = np.array([[[3, -1.0], [9, -3.0]], [[5, -2.0], [0, 0.0]], [[6, -2.0], [0, 0.0]]])
    scores = task.metrics(said, labels, Dataset.from_list([]))
    assert scores["accuracy"] == pytest.approx(3 / 4)
    assert scores["whole"] == pytest.approx(2 / 3)
    assert scores["perplexity"] == pytest.approx(np.exp(2.0))
    assert scores["likelihood"] == pytest.approx(np.exp(-2.0))


# --- whole runs


def facts(folder, count=48):
    """A graph of made-up facts with two phrasings: what stands for what."""
    (folder / "triples.tsv").write_text("".join(f"a{n}\tstands_for\tx{n % 4}\n" for n in range(count)))
    (folder / "templates.yaml").write_text(
        "stands_for: ['{subject} stands for {object}', 'the town {subject} is {object}']"
    )
    return {
        "name": "graph",
        "path": str(folder / "triples.tsv"),
        "templates": str(folder / "templates.yaml"),
        "objective": "cloze",
        "split": "phrasing",
    }


@pytest.mark.parametrize(("task", "family"), [(MASKED, "bert"), (CAUSAL, "llama")])
def test_a_run_learns_saves_no_head_and_is_scored_the_same_when_it_is_loaded(task, family, tmp_path):
    backbone = save_tiny_backbone(family, tmp_path / "backbone", causal=family == "llama")
    recipe = Recipe.from_dict(
        {
            "name": "facts",
            "backbone": str(backbone),
            "source": facts(tmp_path),
            "task": {**task, **CLOZE},
            "adapter": ADAPTER,
            "training": {"epochs": 6, "batch_size": 8, "learning_rate": 1e-2, "store": str(tmp_path / "store")},
        }
    )
    run = finetune(recipe, tmp_path / "run")
    model = KnowledgeModel.from_pretrained(run.folder)
    assert model.composition.name == "residual"
    assert not any(name.startswith("head") for name in model.own_tensors())
    said = [{"text": f"a{n} stands for x{n % 4}"} for n in range(8)]
    batch = batch_of(model, *({**row, "start": len(row["text"]) - 2, "end": len(row["text"])} for row in said))
    with torch.no_grad(), model.unplugged():
        bare = model(**batch).loss
    assert model(**batch).loss < 0.95 * bare
    scores = evaluate(run.folder, splits=["validation"])["validation"]
    assert scores["perplexity"] == pytest.approx(run.result["validation"]["perplexity"], rel=1e-4)


def test_a_fresh_head_is_trained_with_all_else_frozen_and_saved(tmp_path):
    backbone = save_tiny_backbone("bert", tmp_path / "backbone")
    (tmp_path / "text.txt").write_text("".join(f"the river {n} runs by the old town\n" for n in range(24)))
    recipe = Recipe.from_dict(
        {
            "name": "text",
            "backbone": str(backbone),
            "source": {"name": "text", "path": str(tmp_path / "text.txt")},
            "task": {**MASKED, "head": "fresh"},
            "training": {"epochs": 1, "trains": ["head"]},
        }
    )
    run = finetune(recipe, tmp_path / "run")
    model = KnowledgeModel.from_pretrained(run.folder)
    width, vocabulary = 32, len(model.backbone.tokenizer)
    assert run.result["trained_parameters"] == width * width + 3 * width + vocabulary
    assert {name.split(".")[0] for name in model.own_tensors()} == {"head"}


# --- as users of transformers expect


@pytest.mark.parametrize(("task", "family"), [(MASKED, "bert"), (CAUSAL, "llama")])
def test_transformers_own_trainer_and_collator_train_it(task, family, tmp_path):
    model = KnowledgeModel(tiny_backbone(family), task=build_task(task))
    model.plug("facts", ADAPTER)
    model.recompose({"name": "residual"})
    tokenizer = model.backbone.tokenizer
    rows = Dataset.from_list([{"text": HARBOUR["text"]}] * 8).map(lambda row: dict(tokenizer(row["text"])))
    arguments = TrainingArguments(
        str(tmp_path), max_steps=4, per_device_train_batch_size=4, learning_rate=1e-2, report_to=[], use_cpu=True
    )
    collator = DataCollatorForLanguageModeling(tokenizer, mlm=family == "bert")
    seen = []
    trainer = Trainer(
        model,
        arguments,
        data_collator=collator,
        train_dataset=rows,
        eval_dataset=rows,
        compute_metrics=lambda scored: seen.append(scored.predictions.shape) or {"scored": 1.0},
        preprocess_logits_for_metrics=lambda outputs, labels: outputs[0],
    )
    trainer.train()
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    assert seen == [(8, len(rows[0]["input_ids"]), model.backbone.model.config.vocab_size)]
    assert model.composition.projections["facts"].weight.any()


def test_transformers_pipeline_fills_masks_with_the_same_answers():
    backbone = tiny_backbone("bert")
    model = KnowledgeModel(backbone, task=build_task(MASKED)).eval()
    text = "the <mask> runs by"
    whole = backbone._language_model(False).eval()
    theirs = pipeline("fill-mask", model=whole, tokenizer=backbone.tokenizer)(text)
    assert pipeline("fill-mask", model=model, tokenizer=backbone.tokenizer)(text) == theirs
    model.plug("facts", ADAPTER)
    model.recompose({"name": "sum"})
    model.eval()
    assert pipeline("fill-mask", model=model, tokenizer=backbone.tokenizer)(text) != theirs


@pytest.mark.filterwarnings("ignore")
def test_transformers_pipeline_generates_the_same_text():
    backbone = tiny_backbone("llama")
    model = KnowledgeModel(backbone, task=build_task(CAUSAL)).eval()
    prompt, options = "the river", {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    whole = backbone._language_model(True).eval()
    theirs = pipeline("text-generation", model=whole, tokenizer=backbone.tokenizer)(prompt, **options)
    assert pipeline("text-generation", model=model, tokenizer=backbone.tokenizer)(prompt, **options) == theirs
    model.plug("facts", ADAPTER)
    model.recompose({"name": "sum"})
    model.eval()
    [ours] = pipeline("text-generation", model=model, tokenizer=backbone.tokenizer)(prompt, **options)
    assert ours["generated_text"].startswith(prompt)
    assert [ours] != theirs


def test_a_model_is_given_its_task_when_it_is_loaded(tmp_path):
    folder = save_tiny_backbone("bert", tmp_path / "backbone", causal=False)
    model = KnowledgeModel.from_pretrained(folder, task=MASKED)
    batch = tiny_batch(model.backbone)
    assert model(**batch).logits.shape == (*batch["input_ids"].shape, len(model.backbone.tokenizer))
    model.save_pretrained(tmp_path / "model")
    assert torch.equal(KnowledgeModel.from_pretrained(tmp_path / "model")(**batch).logits, model(**batch).logits)
    with pytest.raises(ConfigError, match="leave `task` out"):
        KnowledgeModel.from_pretrained(tmp_path / "model", task=MASKED)
