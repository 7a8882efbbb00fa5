"""Question answering: answers stand where they should in every window; spans and scores are SQuAD's."""

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

NAME = {"name": "question-answering"}


def row_of(question, context):
    """A row of a context in which an answer may stand between [ ]."""
    start = context.find("[")
    answers = [context[start + 1 : context.index("]")]] if start >= 0 else []
    starts = [start] if answers else []
    plain = context.replace("[", "").replace("]", "")
    return {"id": question, "question": question, "context": plain, "answers": answers, "starts": starts}


ANSWERED = [
    row_of("what is full ?", "the [harbour] of the old town is full of small boats , and who knows the bridge"),
    row_of("who ?", "a river runs by the old [town] . nobody knows a river by the harbour of the old town"),
    row_of("what ?", "[bread]"),
]
UNANSWERED = [row_of("who painted it ?", "a river runs by and by and by"), row_of("where ?", "bread")]


def rows_of(*rows):
    like = row_of("", "[a]")
    return Dataset.from_list([like, *rows]).select(range(1, len(rows) + 1))


def fitted(rows, **options):
    task = build_task({**NAME, **options})
    return type(task)(task.fit(task.config, DatasetDict(train=rows)))


def encoded(tokenizer, *rows, **options):
    return fitted(rows_of(*rows), **options).encode(rows_of(*rows), tokenizer)


def pointed(context, offsets, label):
    """What the tokens of a label stand for."""
    return context[offsets[label[0]][0] : offsets[label[1]][1]]


class TestQuestionAnswering(TaskContract):
    options = {**NAME, "max_length": 14, "stride": 4}
    families = ("roberta", "bert", "gpt2")


class TestQuestionAnsweringWithoutAnswers(TaskContract):
    options = {**NAME, "max_length": 16, "stride": 4}

    def rows(self):
        rows = rows_of(*ANSWERED, *UNANSWERED)
        return DatasetDict(train=rows, validation=rows, test=rows)


# --- windows

words = st.text("abcxyz01", min_size=1, max_size=8) | st.sampled_from(["river", "harbour", "boats", "C#", "a-b."])


@settings(max_examples=40)
@given(st.lists(words, min_size=1, max_size=20), st.data())
def test_labels_point_at_the_answer_in_each_window_that_has_it(pair_tokenizer, words, data):
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, min(first + 2, len(words) - 1)))
    answer = " ".join(words[first : last + 1])
    context = " ".join([*words[:first], f"[{answer}]", *words[last + 1 :]])
    length, stride = data.draw(st.integers(24, 60)), data.draw(st.integers(0, 40))
    result = encoded(pair_tokenizer, row_of("who ?", context), max_length=length, stride=stride)
    [example] = result.examples
    found = [(o, label) for o, label in zip(example["offsets"], example["labels"], strict=True) if label[0] != IGNORED]
    assert bool(found) == (not result.lost)
    for offsets, label in found:
        assert pointed(example["context"], offsets, label).strip() == answer
    assert all(len(tokens) <= length for tokens in example["input_ids"])
    seen = {character for offsets in example["offsets"] for span in offsets for character in range(*span)}
    assert {n for n, character in enumerate(example["context"]) if character != " "} <= seen


def test_windows_share_as_many_tokens_as_the_stride_says(bert_like):
    row = row_of("who ?", "the [old] town is full of small boats")
    # Three tokens and two of the question leave five of ten to the context.
    [example] = encoded(bert_like, row, max_length=10, stride=2).examples
    said = [bert_like.decode(tokens) for tokens in example["input_ids"]]
    starts = "<s> who? </s> "
    assert said == [f"{starts}the old town is full </s>", f"{starts}is full of small boats </s>"]
    assert example["labels"] == [[5, 5], [IGNORED, IGNORED]]
    assert example["token_type_ids"] == [[0] * 4 + [1] * 6] * 2


def test_a_stride_that_leaves_nothing_new_is_halved():
    row = row_of("who ?", "the [old] town is full of small boats")
    [example] = encoded(tiny_tokenizer(), row, max_length=6, stride=100).examples
    assert [len(tokens) for tokens in example["input_ids"]] == [6, 6, 6]


def test_an_answer_that_no_window_has_is_lost_and_nothing_is_asked(bert_like):
    row, other = row_of("who ?", "the [old town is full of small] boats"), row_of("who ?", "a river")
    [example, silent] = (result := encoded(bert_like, row, other, max_length=10, stride=2)).examples
    assert dict(result.lost) == {"answers that no window has": 1}
    assert example["labels"] == [[IGNORED, IGNORED]] * 2
    assert silent["labels"] == [[0, 0]]


def test_a_question_that_leaves_no_room_is_left_out_and_counted(bert_like):
    short, long, empty = row_of("who ?", "[bread]"), row_of("who painted the bridge ?", "[bread]"), row_of("who ?", " ")
    for length, kept in {5: 0, 6: 1, 8: 1, 9: 2}.items():
        result = encoded(bert_like, short, long, empty, max_length=length, unanswerable=True)
        assert len(result.examples) == kept
        assert dict(result.skipped) == {f"no context beside the question within {length} tokens": 3 - kept}


def test_starts_that_are_not_as_many_as_answers_are_left_out_and_counted():
    row = {**row_of("who ?", "[a] b"), "starts": [0, 2]}
    assert dict(encoded(tiny_tokenizer(), row).skipped) == {"not as many starts as answers": 1}


def test_labels_point_at_the_answer_with_a_real_tokenizer(minilm):
    row = row_of("Who painted the bridge?", "Nobody remembers the harbour's old painters, but [Zoë  Qwandt] was one.")
    for length in (20, 24, 64):
        [example] = encoded(minilm.tokenizer, row, max_length=length, stride=6).examples
        labelled = [number for number, label in enumerate(example["labels"]) if label[0] != IGNORED]
        assert labelled
        for number in labelled:
            offsets, label = example["offsets"][number], example["labels"][number]
            assert pointed(example["context"], offsets, label) == "Zoë  Qwandt"


# --- questions without an answer


def test_whether_questions_may_have_no_answer_is_seen_in_the_data_unless_given():
    assert fitted(rows_of(*ANSWERED)).config.unanswerable is False
    assert fitted(rows_of(*ANSWERED, *UNANSWERED)).config.unanswerable is True
    assert fitted(rows_of(*ANSWERED), unanswerable=True).config.unanswerable is True
    result = encoded(tiny_tokenizer(), *ANSWERED, *UNANSWERED, unanswerable=False)
    assert (len(result.examples), dict(result.skipped)) == (3, {"question without an answer": 2})


def test_windows_without_the_answer_are_asked_for_the_first_token_only_when_there_may_be_none(bert_like):
    row = row_of("who ?", "the [old] town is full of small boats")
    for unanswerable, otherwise in {True: [0, 0], False: [IGNORED, IGNORED]}.items():
        [example] = encoded(bert_like, row, max_length=10, stride=2, unanswerable=unanswerable).examples
        assert example["labels"] == [[5, 5], otherwise]
        assert {offsets[0] == [0, 0] for offsets in example["offsets"]} == {unanswerable}


# --- batches, head and loss


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_batch_lays_labels_and_offsets_over_the_same_tokens(bert_like, side):
    bert_like.padding_side = side
    rows = rows_of(*ANSWERED, *UNANSWERED)
    task = fitted(rows, max_length=16, stride=4)
    examples = list(task.encode(rows, bert_like).examples)
    batch = task.collate(examples, bert_like)
    counts = [len(example["labels"]) for example in examples]
    assert batch["owners"].tolist() == [number for number, count in enumerate(counts) for _ in range(count)]
    assert batch["labels"].shape == (5, max(counts), 2)
    for number, example in enumerate(examples):
        own = batch["offsets"][batch["owners"] == number]
        for window, offsets in enumerate(own.tolist()):
            label = batch["labels"][number, window].tolist()
            if example["labels"][window][0] > 0:
                assert pointed(example["context"], offsets, label) == example["answers"][0]
            else:
                assert offsets[label[0]] == [0, 0]
        assert (batch["labels"][number, counts[number] :] == IGNORED).all()


def test_only_the_context_and_no_answer_can_be_chosen():
    task = build_task({**NAME, "unanswerable": True})
    head = task.head(4).eval()
    hidden = torch.randn(3, 3, 4)
    offsets = torch.tensor([[[0, 0], [-1, -1], [0, 3]], [[0, 0], [-1, -1], [4, 6]], [[0, 0], [0, 2], [-1, -1]]])
    logits = head(hidden, {"owners": torch.tensor([0, 0, 1]), "offsets": offsets})
    plain = head.linear(hidden)
    assert logits.shape == (2, 2, 3, 2)
    torch.testing.assert_close(logits[0, :, [0, 2]], plain[:2, [0, 2]])
    torch.testing.assert_close(logits[1, 0, :2], plain[2, :2])
    assert (logits == -1e4).nonzero()[:, :3].unique(dim=0).tolist() == [
        [0, 0, 1], [0, 1, 1], [1, 0, 2], [1, 1, 0], [1, 1, 1], [1, 1, 2],
    ]  # fmt: skip
    assert logits.isfinite().all()


def test_the_loss_is_the_mean_over_starts_and_ends_that_are_asked():
    task = build_task(NAME)
    labels = torch.tensor([[[1, 2], [IGNORED, IGNORED]], [[0, 0], [2, 2]]])
    logits = torch.randn(2, 2, 3, 2)
    by_token = -logits.log_softmax(2)
    asked = [by_token[0, 0, 1, 0], by_token[0, 0, 2, 1]]
    asked += [by_token[1, window, token, side] for window, token in ((0, 0), (1, 2)) for side in (0, 1)]
    torch.testing.assert_close(task.loss(logits, {"labels": labels}), torch.stack(asked).mean())


def test_the_loss_of_a_batch_in_which_nothing_is_asked_is_zero():
    logits = torch.randn(1, 1, 3, 2, requires_grad=True)
    loss = build_task(NAME).loss(logits, {"labels": torch.full((1, 1, 2), IGNORED)})
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()


# --- the best span


def every_span(logits, offsets, most):
    """Score and characters of every span that is allowed, one by one."""
    for start in range(len(offsets)):
        for end in range(start, min(start + most, len(offsets))):
            if offsets[start][1] > 0 and offsets[end][1] > 0:
                yield logits[start][0] + logits[end][1], (offsets[start][0], offsets[end][1])


@given(st.integers(0, 10**6), st.integers(1, 8), st.booleans(), st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_predictions_are_the_best_of_all_spans(seed, most, unanswerable, counts):
    generator = torch.Generator().manual_seed(seed)
    task = build_task({**NAME, "unanswerable": unanswerable, "max_answer_tokens": most})
    owners = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    first = [0, 0] if unanswerable else [-1, -1]
    row = [first, [-1, -1], [0, 2], [2, 5], [6, 7], [7, 9], [-1, -1]]
    offsets = torch.tensor([row] * sum(counts))
    logits = torch.randn(len(counts), max(counts), len(row), 2, generator=generator)
    found = task.predictions(logits, {"owners": owners, "offsets": offsets})
    for question, count in enumerate(counts):
        windows = logits[question, :count].tolist()
        score, best = max(span for window in windows for span in every_span(window, row, most))
        silent = min(sum(window[0]) for window in windows) if unanswerable else -float("inf")
        assert tuple(found[question].tolist()) == (best if score >= silent else (0, 0))


# --- metrics


def scores(*cases):
    """Metrics of (what is predicted, answers) in a context that is the prediction itself."""
    like = {"context": "a", "answers": ["a"]}
    rows = [{"context": said, "answers": answers} for said, answers in cases]
    examples = Dataset.from_list([like, *rows]).select(range(1, len(rows) + 1))
    spans = np.array([[0, len(said)] for said, _ in cases])
    return build_task(NAME).metrics(spans, None, examples)


def test_exact_match_and_f1_of_an_example_counted_by_hand():
    # One of two words said is one of three wanted; articles, case and punctuation do not count; the best answer does.
    assert scores(("small boats", ["boats of wood"])) == pytest.approx({"exact_match": 0, "f1": 2 * 1 / (2 + 3)})
    assert scores(("The old Town.", ["river", "old town"])) == {"exact_match": 1, "f1": 1}
    both = scores(("small boats", ["boats of wood"]), ("bread", ["bread"]))
    assert both == pytest.approx({"exact_match": 1 / 2, "f1": (2 / 5 + 1) / 2})


@pytest.mark.parametrize(("said", "answers", "score"), [("", [], 1), ("bread", [], 0), ("", ["bread"], 0)])
def test_where_there_is_no_answer_only_none_is_right_as_in_squad_2(said, answers, score):
    assert scores((said, answers)) == {"exact_match": score, "f1": score}


@pytest.mark.parametrize("options", [{"stride": -1}, {"max_length": 0}, {"max_answer_tokens": 0}, {"dropout": 1}])
def test_options_that_make_no_sense_are_an_error(options):
    with pytest.raises(ConfigError, match=f"task: {next(iter(options))} is"):
        build_task({**NAME, **options})


# --- learning


def test_it_learns_to_find_an_answer_in_windows_and_to_say_that_there_is_none(train, in_splits):
    answered = ["a{0} runs by old [boats] full", "small old [bread] by a{0}", "a{0} old [river]"]
    contexts = [*answered, "a{0} runs by full boats"]
    rows = [row_of("who ?", contexts[n % 4].format(n % 10)) for n in range(96)]
    result, test = train(in_splits(rows), {**NAME, "max_length": 8, "stride": 2})
    assert set(result["validation"]) == {"exact_match", "f1"}
    assert result["data"]["splits"]["train"] == {"examples": 72, "skipped": {}, "lost": {}}
    assert test["f1"] > 0.8
