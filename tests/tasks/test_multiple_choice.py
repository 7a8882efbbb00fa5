"""Multiple choice: each choice beside its context, whole; one number for each."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict

from kadapter import ConfigError, KnowledgeModel
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer

NAME = {"name": "multiple-choice"}


def row_of(context, question, *choices, label=0):
    return {"context": context, "question": question, "choices": list(choices), "label": label}


ROWS = Dataset.from_list(
    [
        row_of("the harbour of the old town is full", "of ?", "bread", "small boats", "a", label=1),
        row_of("a river runs by", "who ?", "the river", "nobody knows", "the old bridge"),
        row_of("bread", "", "a", "b", "c", label=2),
    ]
)


def encoded(tokenizer, *rows, **options):
    return build_task({**NAME, "choices": 2, **options}).encode(Dataset.from_list([*rows]), tokenizer)


class TestMultipleChoice(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")


class TestMultipleChoiceByTheLastTokenOfContextsThatAreCut(TaskContract):
    options = {**NAME, "pool": "last", "max_length": 8}


# --- tokens


def test_each_choice_follows_context_and_question(bert_like):
    [asked, plain] = encoded(bert_like, row_of("old town", "who ?", "a", "river"), row_of("old", "", "a", "b")).examples
    said = [bert_like.decode(tokens) for tokens in asked["input_ids"]]
    assert said == ["<s> old town </s> who? a </s>", "<s> old town </s> who? river </s>"]
    assert asked["token_type_ids"] == [[0, 0, 0, 0, 1, 1, 1, 1]] * 2
    assert [bert_like.decode(tokens) for tokens in plain["input_ids"]] == ["<s> old </s> a </s>", "<s> old </s> b </s>"]


def test_only_the_context_is_cut_and_counted(pair_tokenizer, squeezed):
    row = row_of("the old town is full of boats", "who ?", "a river", "bread")
    [whole] = encoded(pair_tokenizer, row).examples
    longest = max(map(len, whole["input_ids"]))
    assert not encoded(pair_tokenizer, row, max_length=longest).lost
    result = encoded(pair_tokenizer, row, max_length=longest - 2)
    assert dict(result.lost) == {f"contexts cut at {longest - 2} tokens": 1}
    for tokens, choice in zip(result.examples[0]["input_ids"], row["choices"], strict=True):
        assert len(tokens) <= longest - 2
        said = squeezed(pair_tokenizer.decode(tokens, skip_special_tokens=True))
        assert said.startswith("theold")
        assert said.endswith(squeezed(f"who? {choice}"))


def test_a_question_with_a_choice_that_leaves_no_room_is_left_out_and_counted(bert_like):
    long, short = row_of("the old town", "", "a", "the river"), row_of("the old town", "", "a", "b")
    # <s> context </s> the river </s> is six tokens when one of the context is left.
    for length, kept in {5: 1, 6: 2}.items():
        result = encoded(bert_like, long, short, max_length=length)
        assert len(result.examples) == kept
        assert dict(result.skipped) == ({} if kept == 2 else {"choice past 5 tokens": 1})


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_that_is_no_choice_is_left_out_and_counted(label):
    result = encoded(tiny_tokenizer(), row_of("a", "", "b", "c", label=label), row_of("a", "", "b", "c"))
    assert (len(result.examples), dict(result.skipped)) == (1, {"label is no choice": 1})


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_has_a_row_for_each_choice(bert_like, side):
    bert_like.padding_side = side
    task = build_task({**NAME, "choices": 3})
    examples = list(task.encode(ROWS, bert_like).examples)
    batch = task.collate(examples, bert_like)
    assert batch["labels"].tolist() == [1, 0, 2]
    rows = [tokens for example in examples for tokens in example["input_ids"]]
    real = [row[mask.bool()].tolist() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    assert real == rows
    types = [row[mask.bool()] for row, mask in zip(batch["token_type_ids"], batch["attention_mask"], strict=True)]
    assert [row.tolist() for row in types] == [row for example in examples for row in example["token_type_ids"]]


def test_the_order_of_the_choices_is_the_order_of_the_logits(tiny):
    backbone, task = tiny("gpt2"), build_task({**NAME, "choices": 2, "pool": "last"})
    model = KnowledgeModel(backbone, task=task).eval()
    rows = Dataset.from_list([row_of("old", "", "river", "bread"), row_of("old", "", "bread", "river")])
    with torch.no_grad():
        logits = model(**task.collate(list(task.encode(rows, backbone.tokenizer).examples), backbone.tokenizer)).logits
    torch.testing.assert_close(logits[0], logits[1].flip(0))
    assert not torch.allclose(logits[0], logits[1])


# --- options and metrics


def test_questions_with_different_numbers_of_choices_are_an_error():
    rows = Dataset.from_list([row_of("a", "", "b", "c"), row_of("a", "", "b", "c", "d", "e")])
    task = build_task(NAME)
    with pytest.raises(ConfigError, match="questions have 2 or 4 choices; all must have the same number"):
        task.fit(task.config, DatasetDict(train=rows))


def test_another_number_of_choices_than_given_is_an_error():
    task = build_task({**NAME, "choices": 4})
    with pytest.raises(ConfigError, match="questions have 3 choices, and the task is given 4; all must have"):
        task.fit(task.config, DatasetDict(train=ROWS))


@pytest.mark.parametrize("options", [{"choices": -1}, {"max_length": 0}, {"dropout": 1}])
def test_options_that_make_no_sense_are_an_error(options):
    with pytest.raises(ConfigError, match=f"task: {next(iter(options))} is"):
        build_task({**NAME, **options})


def test_accuracy_is_the_share_of_questions_whose_best_choice_is_right():
    task = build_task({**NAME, "choices": 3})
    logits = np.array([[0.1, 0.9, 0.3], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0]])
    assert task.metrics(logits, np.array([1, 1, 2]), None) == {"accuracy": pytest.approx(2 / 3)}
    loss = task.loss(torch.zeros(1, 3), {"labels": torch.tensor([2])})
    torch.testing.assert_close(loss.exp(), torch.tensor(3.0))


# --- learning


def test_it_learns_which_choice_is_right(train, in_splits):
    rows = [
        row_of(f"a{n} runs by", "who ?", *(f"{word} b{n}" for word in choices), label=choices.index("boats"))
        for n in range(32)
        for choices in (("boats", "bread", "bridge"), ("old", "bread", "boats"), ("town", "boats", "old"))
    ]
    result, test = train(in_splits(rows), {**NAME, "pool": "last"})
    assert set(result["validation"]) == {"accuracy"}
    assert test["accuracy"] > 0.8
