"""Dependency heads: read and asked at first tokens, nothing guessed; the metrics are those of the official scorer."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kadapter import ConfigError, KnowledgeModel
from kadapter.builtin.tasks.padding import IGNORED
from kadapter.task import build_task
from kadapter.testing import TaskContract, tiny_tokenizer
from knowledge_data import ParseRow, published_splits, read_conllu, sample_path
from knowledge_data.groups import by_words

NAME = {"name": "dependency-heads"}


def treebank():
    return published_splits({"train": read_conllu(sample_path("conllu")).rows}, by_words, seed=0)


def rows_of(*sentences):
    """Rows of sentences like "the/2 town/3 sleeps/0"."""
    rows = []
    for sentence in sentences:
        words, heads = zip(*(part.rsplit("/", 1) for part in sentence.split()), strict=True)
        known = dict.fromkeys("?!.,", "PUNCT")
        row = ParseRow(words, tuple(map(int, heads)), ("dep",) * len(words), tuple(known.get(w, "X") for w in words))
        rows.append(vars(row))
    return Dataset.from_list(rows)


def encoded(tokenizer, rows, **options):
    return build_task({**NAME, **options}).encode(rows, tokenizer)


def heads_by_word(example):
    """What an example says, in words: for each word that has a token, the number among these of its head."""
    places = [place for place, begins in enumerate(example["words"]) if begins]
    number = {place + 1: count for count, place in enumerate(places, start=1)} | {0: 0}
    return [number.get(example["labels"][place][0], "lost") for place in places]


class Contract(TaskContract):
    options = NAME
    families = ("roberta", "bert", "gpt2")

    def rows(self):
        return treebank()


class TestHeads(Contract):
    pass


class TestHeadsAndRelations(Contract):
    options = {**NAME, "relations": True}


class TestHeadsByAttention(Contract):
    options = {**NAME, "scorer": "attention", "relations": True, "dropout": 0.0}


# --- alignment


words = st.text(st.sampled_from("abcxyzäß中文-'.!0"), min_size=1, max_size=6)


@st.composite
def trees(draw):
    """A sentence and a tree over it: every word hangs from the root or from an earlier one in a random order."""
    forms = draw(st.lists(words, min_size=1, max_size=12))
    order = draw(st.permutations(range(1, len(forms) + 1)))
    heads = {word: draw(st.sampled_from([0, *order[:place]])) for place, word in enumerate(order)}
    return forms, [heads[word] for word in sorted(heads)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(tree=trees())
def test_every_word_is_read_at_its_first_token_and_its_head_is_right(tokenizer, squeezed, tree):
    forms, heads = tree
    row = vars(ParseRow(tuple(forms), tuple(heads), ("dep",) * len(forms), ("X",) * len(forms)))
    [example] = encoded(tokenizer, Dataset.from_list([row])).examples
    assert heads_by_word(example) == heads
    places = [place for place, begins in enumerate(example["words"]) if begins]
    assert len(places) == len(forms)
    for number, (place, end) in enumerate(zip(places, [*places[1:], len(example["words"])], strict=True)):
        said = tokenizer.decode(example["input_ids"][place:end], skip_special_tokens=True)
        # What the tokenizer does not know it writes as <unk>, and some letters without their accents.
        if "<unk>" not in tokenizer.decode(example["input_ids"][place:end]) and forms[number].isascii():
            assert squeezed(said) == squeezed(forms[number])


def test_words_after_one_that_is_split_keep_their_heads():
    """The published code counts words in the labels and tokens in the loss: all labels behind such a word move."""
    [example] = encoded(tiny_tokenizer(), rows_of("unbelievably/2 old/3 bridge/4 fell/0 ./4")).examples
    assert len(example["input_ids"]) > 7
    assert heads_by_word(example) == [2, 3, 4, 0, 4]


def test_a_sentence_whose_last_word_is_a_head_is_kept():
    """The published code drops every such sentence."""
    rows = rows_of("who/2 sleeps/0", "the/2 town/3 sleeps/0")
    result = encoded(tiny_tokenizer(), rows)
    assert [heads_by_word(example) for example in result.examples] == [[2, 0], [2, 3, 0]]
    assert not result.skipped
    assert not result.lost


def test_tokens_that_begin_no_word_are_asked_nothing(tokenizer):
    for example in encoded(tokenizer, rows_of("unbelievably/2 old/0")).examples:
        for begins, label in zip(example["words"], example["labels"], strict=True):
            assert begins == (label[0] != IGNORED)


# --- what is cut off

CUT = rows_of("the/2 bridge/5 old/2 who/5 unbelievably/0 painted/5 nobody/6 knows/6")
"""Its fifth word does not fit into eight tokens."""


def test_a_long_sentence_is_cut_between_two_words_and_what_is_lost_is_counted():
    result = encoded(tiny_tokenizer(), CUT, max_length=8)
    [example] = result.examples
    assert tiny_tokenizer().decode(example["input_ids"]) == "<s> the bridge old who </s>"
    assert heads_by_word(example) == [2, "lost", 2, "lost"]
    assert result.lost == {"words that have, or whose head has, no token within 8": 4 + 2}


def test_a_sentence_of_which_nothing_is_left_is_skipped():
    result = encoded(tiny_tokenizer(), rows_of("unbelievably/0", "the/0"), max_length=5)
    assert len(result.examples) == 1
    assert result.skipped == {"no word within 5 tokens": 1}


def test_a_lost_head_is_not_trained_on_and_counts_as_missed():
    task = build_task({**NAME, "max_length": 8})
    examples = task.encode(CUT, tiny_tokenizer()).examples
    batch = task.collate(list(examples), tiny_tokenizer())
    logits = torch.zeros(1, 6, 7, 1)
    for place, head in ((1, 3), (3, 3)):  # token 2 is "bridge": column 3
        logits[0, place, head] = 30
    assert task.loss(logits, batch) < 1e-6
    scores = task.metrics(task.predictions(logits, batch).numpy(), batch["labels"].numpy(), examples)
    assert scores == {"uas": 0.5, "uas_without_punctuation": 0.5}


@pytest.mark.parametrize("options", [{}, {"relations": True}, {"scorer": "attention"}])
def test_the_loss_of_a_batch_whose_heads_are_all_lost_is_zero(options, tiny):
    rows, backbone = rows_of("the/4 old/4 town/4 unbelievably/0"), tiny("bert")
    task = build_task({**NAME, **options, "max_length": 5})
    task = type(task)(task.fit(task.config, DatasetDict(train=rows)))
    result = task.encode(rows, backbone.tokenizer)
    assert (len(result.examples), sum(result.lost.values())) == (1, 4)
    model = KnowledgeModel(backbone, task=task)
    loss = model(**task.collate(list(result.examples), backbone.tokenizer)).loss
    loss.backward()
    assert loss == 0
    assert not any(p.grad.any() for p in model.head.parameters() if p.grad is not None)


# --- scores


def predicted(row, random):
    """A parse with some heads and relations wrong; still a tree with one root, since the scorer wants that."""
    root = row["heads"].index(0) + 1
    heads = [
        root if head and number != root and random.random() < 0.3 else head
        for number, head in enumerate(row["heads"], 1)
    ]
    return {**row, "heads": heads, "relations": [r if random.random() < 0.8 else "dep" for r in row["relations"]]}


def as_conllu(rows):
    lines = []
    for row in rows:
        for number, fields in enumerate(zip(row["words"], row["upos"], row["heads"], row["relations"], strict=True), 1):
            form, upos, head, relation = fields
            lines.append("\t".join([str(number), form, "_", upos, "_", "_", str(head), relation, "_", "_"]))
        lines.append("")
    return "\n".join(lines) + "\n"


def scored(gold, system):
    """Our metrics, for parses that a model would have predicted."""
    task = build_task({**NAME, "relations": True})
    task = type(task)(task.fit(task.config, DatasetDict(train=Dataset.from_list([*gold, *system]))))
    examples = task.encode(Dataset.from_list(gold), tiny_tokenizer()).examples
    guesses = task.encode(Dataset.from_list(system), tiny_tokenizer()).examples
    labels, predictions = (task.collate(list(e), tiny_tokenizer())["labels"].numpy() for e in (examples, guesses))
    return task.metrics(predictions[..., :2], labels, examples)


def single_rooted(rows):
    """The official scorer refuses sentences with two roots."""
    return [row for row in rows if row["heads"].count(0) == 1]


def test_the_scores_are_those_of_the_official_scorer(tmp_path):
    udeval = pytest.importorskip("udtools.udeval")
    random = np.random.default_rng(0)
    gold = single_rooted(read_conllu(sample_path("conllu")).rows)
    system = [predicted(row, random) for row in gold]
    for name, rows in (("gold", gold), ("system", system)):
        (tmp_path / name).write_text(as_conllu(rows))
    official = udeval.evaluate(*(udeval.load_conllu_file(str(tmp_path / name)) for name in ("gold", "system")))
    ours = scored(gold, system)
    assert 0.2 < ours["las"] < ours["uas"] < 1
    assert ours["uas"] == pytest.approx(official["UAS"].f1)
    assert ours["las"] == pytest.approx(official["LAS"].f1)


def test_punctuation_can_be_left_out_and_subtypes_do_not_count():
    row = {"words": ["who", "sleeps", "?"], "heads": [2, 0, 2], "upos": ["X", "X", "PUNCT"]}
    gold = [{**row, "relations": ["nsubj", "root", "punct"]}]
    system = [{**row, "heads": [2, 0, 1], "relations": ["nsubj:outer", "dep", "punct"]}]
    assert scored(gold, system) == pytest.approx(
        {"uas": 2 / 3, "las": 1 / 3, "uas_without_punctuation": 1.0, "las_without_punctuation": 0.5}
    )


# --- what it learns, and what it refuses


def pairs(one, other):
    """ "a then b a b": the last two words hang from the first of their kind."""
    return ParseRow((one, "then", other, one, other), (0, 1, 1, 1, 3), ("root", "cc", "conj", "dep", "dep"), ("X",) * 5)


def test_it_learns_heads(train, in_splits):
    letters = [chr(code) for code in range(97, 123)]
    rows = [vars(pairs(letters[number % 26], letters[number * 7 % 26])) for number in range(64)]
    result, scores = train(in_splits(rows), {**NAME, "relations": True}, epochs=6, learning_rate=5e-3)
    always_the_first_word = 3 / 5
    assert scores["uas"] > always_the_first_word + 0.1
    assert set(result["validation"]) == {"uas", "las", "uas_without_punctuation", "las_without_punctuation"}


@pytest.mark.parametrize(("option", "value"), [("width", 0), ("max_length", 0), ("dropout", 1.0)])
def test_an_option_that_cannot_be_is_an_error(option, value):
    with pytest.raises(ConfigError, match=f"task: {option} is {value}; it must be"):
        build_task({**NAME, option: value})


def test_labels_are_for_relations():
    with pytest.raises(ConfigError, match=r"task: labels is \('nsubj',\); it must be left out unless relations are"):
        build_task({**NAME, "labels": ["nsubj"]})
    assert build_task({**NAME, "labels": ["nsubj"], "relations": True}).config.labels == ("nsubj",)
