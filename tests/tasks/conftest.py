"""Tokenizers of three kinds, and a whole training of a second on rows from memory."""

import json
from types import SimpleNamespace

import pytest
from datasets import Dataset, DatasetDict
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from kadapter import Knowledge, KnowledgeSource, Recipe, Registry, evaluate, hookimpl, pretrain
from kadapter.testing import SENTENCES, save_tiny_backbone, tiny_tokenizer


def byte_level():
    """Byte-level BPE, as RoBERTa and GPT-2 have it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return trained(tokenizer, pre_tokenizers.ByteLevel.alphabet())


def pieces():
    """Pieces that begin with the space before them, as SentencePiece gives them."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return trained(tokenizer, [chr(code) for code in range(33, 127)])


def trained(tokenizer, alphabet):
    """The tokenizer with some merges, so that words come in parts and marks of two words may be one token."""
    special = {"pad_token": "<pad>", "unk_token": "<unk>"}
    options = {"special_tokens": [*special.values()], "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=len(alphabet) + 60, **options))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def in_pairs():
    """The tiny tokenizer as BERT's is: a token at the start, one after each text, and the type of each token."""
    tokenizer = tiny_tokenizer()
    ends = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=ends
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


TOKENIZERS = {"wordpiece": tiny_tokenizer, "byte-level": byte_level, "pieces": pieces}


@pytest.fixture(scope="module", params=TOKENIZERS)
def tokenizer(request):
    """Each kind; not to be changed."""
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="module", params=[*TOKENIZERS, "in-pairs"])
def pair_tokenizer(request):
    """Each kind, and one that tells the texts of a pair apart; not to be changed."""
    return {**TOKENIZERS, "in-pairs": in_pairs}[request.param]()


@pytest.fixture
def bert_like():
    """A tokenizer of its own that tells the texts of a pair apart."""
    return in_pairs()


@pytest.fixture(scope="session")
def squeezed():
    """Give a text without spaces and case."""
    return lambda text: "".join(text.split()).lower()


@pytest.fixture(scope="session")
def after(squeezed):
    """Give what the tokens from a position on say, without spaces and case."""
    return lambda tokenizer, tokens, position: squeezed(tokenizer.decode(tokens[position:], skip_special_tokens=True))


@pytest.fixture(scope="session")
def in_splits():
    """Give rows as three splits: the last eighths validate and test."""

    def split(rows):
        part = len(rows) // 8
        parts = {"train": rows[: -2 * part], "validation": rows[-2 * part : -part], "test": rows[-part:]}
        return DatasetDict({name: Dataset.from_list(own) for name, own in parts.items()})

    return split


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """Folder of a tiny Llama: with random weights, a BERT makes nearly the same states of all sentences."""
    return str(save_tiny_backbone("llama", tmp_path_factory.mktemp("backbones") / "tiny-llama"))


@pytest.fixture
def train(llama, tmp_path):
    """Train an adapter on rows from memory; give `result.json` and the scores of the test split."""

    def trained_on(splits, task, **training):
        class Rows(KnowledgeSource):
            name, needs_path = "rows-of-a-test", False

            def load(self, path, seed):
                return Knowledge(splits, {}, "our own")

        own = SimpleNamespace(register_knowledge_sources=hookimpl(lambda: [Rows]))
        registry = Registry([], ["kadapter.builtin", own])
        recipe = Recipe.from_dict(
            {
                "name": "learned",
                "backbone": llama,
                "source": {"name": Rows.name},
                "task": task,
                "adapter": {"type": "k-adapter", "reads": [1, 3], "transformer_layers": 1},
                "training": {"epochs": 4, "batch_size": 8, "learning_rate": 1e-2, **training},
            }
        )
        run = pretrain(recipe, tmp_path / "run", registry=registry)
        result = json.loads((run.folder / "result.json").read_text())
        return result, evaluate(run.folder, registry=registry)["test"]

    return trained_on
