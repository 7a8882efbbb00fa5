"""Token classification: tags stand at the words' first tokens; entities are scored as seqeval scores them."""

import warnings

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from kadapter import ConfigError
from kadapter.builtin.tasks.padding import IGNORED
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer

NAME = {"name": "token-classification"}
TAGS = ["B-MISC", "B-PER", "I-MISC", "I-PER", "O"]


def rows_of(*sentences):
    """Rows of sentences such as "the old/B-place town/I-place"."""
    return Dataset.from_list([row_of(sentence) for sentence in sentences])


def row_of(sentence):
    pairs = [(*word.split("/"), "O")[:2] for word in sentence.split()]
    return {"words": [word for word, _ in pairs], "tags": [tag for _, tag in pairs]}


ROWS = rows_of(
    "who painted the old/B-place bridge/I-place ?",
    "zyx/B-person qwv/I-person runs by the river/B-place",
    "nobody knows",
    "bread",
)


def encoded(tokenizer, rows, **options):
    task = build_task({**NAME, **options})
    return type(task)(task.fit(task.config, DatasetDict(train=rows))).encode(rows, tokenizer)


class TestTokenClassification(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")


class TestTokenClassificationOfSentencesThatAreCut(TaskContract):
    options = {**NAME, "max_length": 7}


# --- where the labels stand


words = st.text("abcdefgxyz0189'", min_size=1, max_size=9) | st.sampled_from(["river", "harbour", "C#", "a-b"])


@settings(max_examples=40)
@given(st.lists(words, min_size=1, max_size=8))
def test_each_words_tag_stands_where_the_word_begins(tokenizer, after, squeezed, words):
    tags = [f"B-{number}" for number in range(len(words))]
    rows = Dataset.from_list([{"words": words, "tags": tags}])
    [example] = encoded(tokenizer, rows, max_length=10**6).examples
    asked = [(place, tags[label]) for place, label in enumerate(example["labels"]) if label != IGNORED]
    assert [tag for _, tag in asked] == tags
    for number, (place, _) in enumerate(asked):
        assert after(tokenizer, example["input_ids"], place) == squeezed("".join(words[number:]))


def test_parts_of_words_and_special_tokens_have_no_label():
    [example] = encoded(tiny_tokenizer(), rows_of("the zyx/B-person river")).examples
    assert example["labels"] == [IGNORED, 1, 0, IGNORED, IGNORED, 1, IGNORED]


def test_words_that_do_not_fit_are_cut_off_and_counted():
    result = encoded(tiny_tokenizer(), rows_of("the old town of zyx/B-person", "bread"), max_length=7)
    assert (len(result.examples), dict(result.skipped), dict(result.lost)) == (2, {}, {"words past 7 tokens": 1})
    assert tiny_tokenizer().convert_ids_to_tokens(result.examples[0]["input_ids"])[-2:] == ["of", "</s>"]


def test_a_sentence_with_no_word_left_is_left_out_and_counted():
    result = encoded(tiny_tokenizer(), rows_of("zyxwvut/B-person runs", "bread"), max_length=5)
    assert (len(result.examples), dict(result.skipped), dict(result.lost)) == (1, {"no word within 5 tokens": 1}, {})


def test_a_sentence_with_other_tags_than_words_is_left_out_and_counted():
    rows = Dataset.from_list([row_of("a b"), {"words": ["a", "b"], "tags": ["O"]}])
    result = encoded(tiny_tokenizer(), rows)
    assert (len(result.examples), dict(result.skipped)) == (1, {"not as many tags as words": 1})


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_moves_labels_with_their_tokens(side):
    tokenizer = tiny_tokenizer()
    tokenizer.padding_side = side
    rows = rows_of("the old/B-place town", "bread/B-place")
    examples = list(encoded(tokenizer, rows).examples)
    batch = build_task(NAME).collate(examples, tokenizer)
    asked = batch["input_ids"][batch["labels"] == 0]
    assert tokenizer.convert_ids_to_tokens(asked.tolist()) == ["old", "bread"]
    assert (batch["labels"][1] != IGNORED).sum() == 1


def test_the_loss_is_the_mean_over_the_words_of_the_batch():
    task = build_task({**NAME, "labels": TAGS})
    labels = torch.tensor([[IGNORED, 0, 1], [2, IGNORED, IGNORED]])
    logits = torch.randn(2, 3, len(TAGS))
    expected = -logits.log_softmax(-1)[[0, 0, 1], [1, 2, 0], [0, 1, 2]].mean()
    torch.testing.assert_close(task.loss(logits, {"labels": labels}), expected)


# --- labels and metrics


def test_the_labels_are_the_tags_of_all_splits():
    task = build_task(NAME)
    splits = DatasetDict(train=rows_of("a b/B-x"), validation=rows_of("a b/B-x b/I-x"))
    assert task.fit(task.config, splits).labels == ("B-x", "I-x", "O")


def test_tags_that_are_not_in_bio_are_an_error():
    with pytest.raises(ConfigError, match=r"tags \['L-x', 'person'\] are not in BIO; they must be 'O', 'B-…' or 'I-…'"):
        encoded(tiny_tokenizer(), rows_of("a/person b/L-x c/B-x d/O"))


def test_tags_that_are_not_among_the_labels_given_are_an_error():
    with pytest.raises(ConfigError, match=r"tags \['B-x'\] are not among the labels given"):
        encoded(tiny_tokenizer(), rows_of("a/B-x"), labels=["O"])


@pytest.mark.parametrize("options", [{"max_length": 0}, {"dropout": 1.0}])
def test_options_that_make_no_sense_are_an_error(options):
    with pytest.raises(ConfigError, match=f"task: {next(iter(options))} is"):
        build_task({**NAME, **options})


def scores(true, predicted):
    """Metrics of sentences of tags, padded as batches are, with a token beside the words that is not asked."""
    task = build_task({**NAME, "labels": TAGS})
    longest = max(map(len, true)) + 1
    labels, predictions = np.full((len(true), longest), IGNORED), np.full((len(true), longest), IGNORED)
    for row, (wanted, said) in enumerate(zip(true, predicted, strict=True)):
        labels[row, 1 : len(wanted) + 1] = [TAGS.index(tag) for tag in wanted]
        predictions[row, : len(said) + 1] = [0, *(TAGS.index(tag) for tag in said)]
    return task.metrics(predictions, labels, None)


def test_metrics_of_the_example_that_seqeval_publishes():
    true = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    said = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    # One of two entities is right; of ten words, one that is O is called B-MISC and one B-MISC is called I-MISC.
    assert scores(true, said) == pytest.approx({"f1": 0.5, "precision": 0.5, "recall": 0.5, "accuracy": 0.8})


def test_an_inside_tag_after_nothing_begins_an_entity_as_for_conll():
    assert scores([["B-PER", "I-PER", "O"]], [["I-PER", "I-PER", "O"]])["f1"] == 1
    assert scores([["B-PER", "I-PER"]], [["B-PER", "I-MISC"]])["f1"] == 0


def test_where_there_is_no_entity_nothing_is_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scores([["O", "O"]], [["O", "O"]]) == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 1}
        assert scores([["B-PER", "O"]], [["O", "O"]]) == {"f1": 0, "precision": 0, "recall": 0, "accuracy": 0.5}


# --- learning


def test_it_learns_what_follows_which_word(train, in_splits):
    patterns = [
        "old a{0}/B-person b{1}/I-person runs by c{1}",
        "c{1} is full of small b{0}/B-place",
        "who knows c{0} and old a{1}/B-person",
    ]
    rows = [row_of(patterns[n % 3].format(n % 10, n // 10)) for n in range(96)]
    result, test = train(in_splits(rows), NAME)
    assert set(result["validation"]) == {"f1", "precision", "recall", "accuracy"}
    assert result["data"]["splits"]["train"] == {"examples": 72, "skipped": {}, "lost": {}}
    assert test["f1"] > 0.8
