"""Checkpoints of the published K-Adapter code: every name they have, and features against the published arithmetic."""

import json
import math
import os

import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModel
from typer.testing import CliRunner

from kadapter import (
    Backbone,
    BackboneError,
    ConfigError,
    KadapterError,
    StorageError,
    import_adapter,
    load_adapter,
)
from kadapter.cli import app
from kadapter.compatibility import compare_compat
from kadapter.testing import save_tiny_backbone, tiny_batch
from kadapter.testing.backbones import tiny_tokenizer
from kadapter.testing.comparing import assert_close, features_of

READS = {"reads": [0, 1, 3]}
WIDTH = 128
PRETRAINING = ["com_dense.weight", "dense.bias", "out_proj.weight", "self_attention.self.query.weight"]
PRETRAINING += ["self_attention.output.LayerNorm.bias"]


def checkpoint(outer=32, width=WIDTH, inner=96, layers=3, blocks=2):
    """A file of the published code: its names and shapes, random values."""
    shapes = {}
    for layer in (f"adapter.{i}" for i in range(layers)):
        shapes[f"{layer}.down_project"] = (width, outer)
        for block in (f"{layer}.encoder.layer.{j}" for j in range(blocks)):
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                shapes[f"{block}.attention.{name}"] = (width, width)
            shapes[f"{block}.attention.output.LayerNorm"] = (width,)
            shapes[f"{block}.intermediate.dense"] = (inner, width)
            shapes[f"{block}.output.dense"] = (width, inner)
            shapes[f"{block}.output.LayerNorm"] = (width,)
        shapes[f"{layer}.up_project"] = (outer, width)
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, generator=generator) * shape[-1] ** -0.5

    weights = {f"{name}.weight": random(*shape) for name, shape in shapes.items()}
    return weights | {f"{name}.bias": random(shape[0]) for name, shape in shapes.items()}


def published(tensors, states, reads, seen=None):
    """The published forward, from its facts alone; `seen` (B, T) masks keys, which the published code never does."""
    layers, heads = len(reads), tensors["adapter.0.down_project.weight"].shape[0] // 64
    blocks = len({key.split(".")[4] for key in tensors if key.startswith("adapter.0.encoder.layer.")})
    last = torch.zeros_like(states[0])

    def linear(hidden, name):
        return hidden @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(hidden, name):
        centred = hidden - hidden.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-5)
        return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]

    def attention(hidden, name):
        batch, tokens, width = hidden.shape
        query, key, value = (
            linear(hidden, f"{name}.self.{part}").view(batch, tokens, heads, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(width // heads)
        if seen is not None:
            scores = scores.masked_fill(~seen[:, None, None], -torch.inf)
        mixed = (scores.softmax(-1) @ value).transpose(1, 2).reshape(batch, tokens, width)
        return norm(linear(mixed, f"{name}.output.dense") + hidden, f"{name}.output.LayerNorm")

    for number in range(layers):
        entering = states[reads[number]] + last
        hidden = linear(entering, f"adapter.{number}.down_project")
        for block in (f"adapter.{number}.encoder.layer.{j}" for j in range(blocks)):
            hidden = attention(hidden, f"{block}.attention")
            expanded = linear(hidden, f"{block}.intermediate.dense")
            expanded = expanded * 0.5 * (1 + torch.erf(expanded / math.sqrt(2)))
            hidden = norm(linear(expanded, f"{block}.output.dense") + hidden, f"{block}.output.LayerNorm")
        last = entering + linear(hidden, f"adapter.{number}.up_project")
    return last


def published_states(backbone, batch):
    """The states of RoBERTa as it was then: positions 2 … T + 1, padding too."""
    positions = torch.arange(2, batch["input_ids"].shape[1] + 2)[None]
    return backbone.model(**batch, position_ids=positions, output_hidden_states=True).hidden_states


@pytest.fixture
def backbone(tiny):
    return tiny("roberta")


@pytest.fixture
def imported(backbone, tmp_path):
    """Saves tensors as a checkpoint, imports it, and gives the adapter as it was saved."""

    def run(tensors, **options):
        (tmp_path / "fac").mkdir(exist_ok=True)
        torch.save(tensors, tmp_path / "fac" / "pytorch_model.bin")
        import_adapter("microsoft", tmp_path / "fac", backbone, tmp_path / "out", {**READS, **options})
        return load_adapter(tmp_path / "out", backbone.info).eval()

    return run


# --- what it computes


@torch.no_grad()
def test_features_are_those_of_the_published_code(imported, backbone):
    adapter, batch = imported(checkpoint()), tiny_batch(backbone)
    assert not batch["attention_mask"].all()
    expected = published(checkpoint(), published_states(backbone, batch), READS["reads"])
    assert_close(features_of(adapter, backbone, batch), expected, "the published forward")


@torch.no_grad()
def test_without_compat_padding_is_left_out(imported, backbone):
    adapter, batch = imported(checkpoint(), compat=None), tiny_batch(backbone)
    states, seen = backbone.model(**batch, output_hidden_states=True).hidden_states, batch["attention_mask"].bool()
    expected = published(checkpoint(), states, READS["reads"], seen)
    assert_close(features_of(adapter, backbone, batch)[seen], expected[seen], "the corrected forward")


@torch.no_grad()
@pytest.mark.slow
def test_the_published_shape_on_24_layers_of_width_1024(tmp_path):
    config = AutoConfig.for_model(
        "roberta",
        vocab_size=len(tiny_tokenizer()),
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        # As narrow as can be: the adapter does not see it, and memory does.
        intermediate_size=16,
        max_position_embeddings=128,
    )
    backbone = Backbone(AutoModel.from_config(config), tiny_tokenizer(), "roberta-large-shaped")
    tensors = checkpoint(outer=1024, width=768, inner=3072)
    assert len(tensors) == 108
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    model = import_adapter("microsoft", tmp_path, backbone, tmp_path / "out")
    [adapter] = model.by_name().values()
    shape = {
        "type": "k-adapter",
        "reads": (0, 11, 22),
        "transformer_layers": 2,
        "init": "random",
        "accumulation": "add",
        "width": 768,
        "heads": 12,
        "intermediate": 3072,
        "dropout": 0.1,
        "activation": "gelu",
        "projection_std": 0.0002,
        "compat": "microsoft",
    }
    assert shape.items() <= adapter.options.items()
    assert sum(parameter.numel() for parameter in adapter.parameters()) == 47_251_200
    batch = tiny_batch(backbone)
    expected = published(tensors, published_states(backbone, batch), (0, 11, 22))
    assert_close(features_of(adapter, backbone, batch), expected, "the published forward")


# --- what it is called


def renamed(change, **sizes):
    return {change(key): tensor for key, tensor in checkpoint(**sizes).items()}


def single(key):
    """The names of one adapter layer without a number; those of its encoder without the first word."""
    return key.replace("adapter.0.encoder.", "encoder.").replace("adapter.0.", "adapter.")


NAMES = {
    "plain": lambda key: key,
    "DataParallel": lambda key: f"module.{key}",
    "in a model": lambda key: f"model.{key}",
    "in a model in DataParallel": lambda key: f"module.model.{key}",
    "of a whole model": lambda key: f"fac_adapter.{key}",
    "of a whole model in DataParallel": lambda key: f"module.lin_adapter.{key}",
}


@pytest.mark.parametrize("change", NAMES.values(), ids=NAMES.keys())
def test_every_name_that_is_known_is_the_same_adapter(imported, change):
    same = imported(renamed(change)).state_dict()
    plain = checkpoint()
    assert len(same) == len(plain)
    assert torch.equal(same["layers.2.down.weight"], plain["adapter.2.down_project.weight"])
    inner = "encoder.layer.1.attention.output.LayerNorm.bias"
    assert torch.equal(same["layers.1.transformer.layers.1.attention_norm.bias"], plain[f"adapter.1.{inner}"])


@torch.no_grad()
def test_an_adapter_layer_without_a_number_is_the_only_one(imported, backbone):
    adapter, batch = imported(renamed(single, layers=1), reads=[2]), tiny_batch(backbone)
    expected = published(checkpoint(layers=1), published_states(backbone, batch), [2])
    assert_close(features_of(adapter, backbone, batch), expected, "the published forward")


def test_what_was_for_pretraining_is_left_out_and_listed(imported):
    adapter = imported({**checkpoint(), **{name: torch.ones(2) for name in PRETRAINING}})
    said = adapter.trained_on["imported"]
    assert said["skipped"] == dict.fromkeys(PRETRAINING, "for pretraining only")
    assert (said["origin"]["adapter_skip_layers"], said["origin"]["assumed"]) == (0, ["heads"])
    assert adapter.reads == (0, 1, 3)


def whole():
    """A whole model: its backbone, both adapters, and what mixes them."""
    more = ["model.model.embeddings.word_embeddings.weight", "model.model.encoder.layer.3.output.dense.bias"]
    more += ["task_dense.weight", "task_dense_lin.bias"]
    both = {
        f"{which}_adapter.{key}": tensor + n
        for n, which in enumerate(("fac", "lin"))
        for key, tensor in checkpoint().items()
    }
    return {**both, **{name: torch.ones(2) for name in more}}


def test_of_a_whole_model_one_adapter_is_taken(imported):
    adapter = imported(whole(), adapter="lin")
    skipped = adapter.trained_on["imported"]["skipped"]
    assert len(skipped) == len(checkpoint()) + 4
    assert skipped["fac_adapter.adapter.0.up_project.bias"] == "of the other adapter, fac"
    assert skipped["model.model.encoder.layer.3.output.dense.bias"] == "the backbone's own"
    assert skipped["task_dense_lin.bias"] == "mixes features of one downstream task"
    assert torch.equal(adapter.state_dict()["layers.0.up.bias"], checkpoint()["adapter.0.up_project.bias"] + 1)
    assert json.loads(json.dumps(adapter.trained_on)) == adapter.trained_on


def test_it_is_called_as_its_folder_or_as_in_the_whole_model(imported, backbone, tmp_path):
    imported(whole(), adapter="lin")
    assert json.loads((tmp_path / "out" / "adapter.json").read_text())["name"] == "lin-adapter"
    torch.save(checkpoint(), tmp_path / "fac" / "pytorch_model.bin")
    for place in (tmp_path / "fac", tmp_path / "fac" / "pytorch_model.bin"):
        model = import_adapter("microsoft", place, backbone, tmp_path / f"from-{place.name}", READS)
        assert model.plugged == ("fac",)


# --- what cannot be


def without(key):
    return {name: tensor for name, tensor in checkpoint().items() if name != key}


QUERY = "adapter.1.encoder.layer.0.attention.self.query.weight"
DOWN = "adapter.0.down_project.weight"


@pytest.mark.parametrize(
    ("tensors", "options", "error", "said"),
    [
        (without(QUERY), {}, StorageError, f"lacks {QUERY}"),
        (without(DOWN), {}, StorageError, f"lacks {DOWN}"),
        ({**checkpoint(), "adapter.0.gate": torch.ones(1)}, {}, StorageError, "holds adapter.0.gate, which is in no"),
        ({**checkpoint(), "pooler.bias": torch.ones(1)}, {}, StorageError, "holds pooler.bias"),
        ({**checkpoint(), QUERY.replace("query", "rotary"): torch.ones(1)}, {}, StorageError, "unknown .*rotary"),
        ({**checkpoint(), QUERY: torch.ones(128, 64)}, {}, StorageError, rf"{QUERY} is \[128, 64\].*\[128, 128\]"),
        ({**checkpoint(), DOWN: torch.ones(())}, {}, StorageError, r"down_project.weight is \[\]; it must be a matrix"),
        ({**checkpoint(), DOWN.replace("0", "987654321"): torch.ones(1)}, {}, StorageError, r"lacks adapter\.3"),
        ({**checkpoint(), f"module.{DOWN}": torch.ones(1)}, {}, StorageError, "down_project.weight twice"),
        ({"dense.weight": torch.ones(1)}, {}, StorageError, "holds no adapter of the published code"),
        (checkpoint(outer=48), {}, BackboneError, "width 48; 'tiny-roberta' has 32"),
        (checkpoint(), {"reads": None}, ConfigError, "3 adapter layers read, and 0,11,22 .* has 4\\); say --reads"),
        (checkpoint(), {"reads": [0, 1]}, ConfigError, "reads names 2 states; the files hold 3"),
        (checkpoint(), {"reads": [0, 3, 1]}, ConfigError, "ascending"),
        (checkpoint(), {"reads": [0, 1, 5]}, BackboneError, "state 5"),
        (checkpoint(), {"adapter_skip_layers": 3}, ConfigError, "adapter_skip_layers is 3; only 0 is supported"),
        (checkpoint(), {"compat": "google"}, ConfigError, "compat"),
        (checkpoint(), {"adapter": "fac"}, ConfigError, "names no adapter 'fac'; it names none"),
        (checkpoint(), {"heads": 5}, ConfigError, "cannot be divided among 5 heads"),
        (checkpoint(width=96), {}, ConfigError, "96 has no heads of 64"),
        (whole(), {}, ConfigError, "two adapters, fac and lin; say which: --set adapter=fac"),
        ({"fac": checkpoint()}, {}, StorageError, "holds more than tensors: fac"),
    ],
)
def test_what_is_wrong_is_one_clear_error_and_nothing_is_written(imported, tmp_path, tensors, options, error, said):
    with pytest.raises(error, match=said) as caught:
        imported(tensors, **options)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["fac"]


def test_a_malicious_checkpoint_runs_nothing(imported, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    with pytest.raises(StorageError, match=r"asks for \w+\.mkdir"):
        imported({**checkpoint(), "adapter.0.evil": Evil()})
    assert not (tmp_path / "evil").exists()


def test_a_folder_without_a_checkpoint_says_what_it_holds(backbone, tmp_path):
    (tmp_path / "model.pt").touch()
    with pytest.raises(StorageError, match=r"holds model.pt; a checkpoint .* holds pytorch_model.bin"):
        import_adapter("microsoft", tmp_path, backbone, tmp_path / "out", READS)


def test_a_causal_backbone_takes_none(tiny, tmp_path):
    torch.save(checkpoint(), tmp_path / "pytorch_model.bin")
    with pytest.raises(KadapterError, match="causal"):
        import_adapter("microsoft", tmp_path, tiny("gpt2"), tmp_path / "out", READS)


# --- what the published padding changes


@torch.no_grad()
def test_the_comparison_says_how_far_the_features_are(imported, backbone):
    adapter, text = imported(checkpoint()), "a river runs by"
    report = compare_compat(adapter, backbone, text)
    assert (report["tokens"], report["padding"], report["compat"]) == (6, 6, "microsoft")
    assert [row["token"] for row in report["each"]] == ["<s>", "a", "river", "runs", "by", "</s>"]
    batch = backbone.tokenizer([text], padding="max_length", max_length=12, return_tensors="pt")
    batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    states, seen = published_states(backbone, batch), batch["attention_mask"].bool()
    theirs, ours = (published(checkpoint(), states, READS["reads"], mask)[0, :6] for mask in (None, seen))
    away = (theirs - ours).abs()
    assert report["all"]["max_abs"] == pytest.approx(away.max().item(), rel=1e-3)
    assert report["all"]["mean_abs"] == pytest.approx(away.mean().item(), rel=1e-3)
    assert report["each"][2]["max_abs"] == pytest.approx(away[2].max().item(), rel=1e-3)
    assert report["all"]["cosine"] == pytest.approx(functional.cosine_similarity(theirs, ours).min().item(), rel=1e-3)
    assert report["all"]["max_abs"] > 1e-3


@pytest.mark.parametrize(
    ("compat", "text", "said"),
    [
        (None, "a river", "nothing to compare"),
        ("microsoft", "a " * 200, "takes 1 to 120"),
        ("microsoft", "a " * 118, "shorter"),
    ],
)
def test_what_cannot_be_compared(imported, backbone, compat, text, said):
    with pytest.raises(ConfigError, match=said):
        compare_compat(imported(checkpoint(), compat=compat), backbone, text)


# --- the command


@pytest.fixture
def kadapter(tmp_path):
    torch.save({**checkpoint(), **{name: torch.ones(2) for name in PRETRAINING}}, tmp_path / "pytorch_model.bin")
    tiny = save_tiny_backbone("roberta", tmp_path / "tiny")

    def run(*words):
        common = (tmp_path / "pytorch_model.bin", "--backbone", tiny, "--output", tmp_path / "out")
        return CliRunner().invoke(app, ["import", "microsoft", *map(str, (*common, *words))])

    return run


def test_the_command_says_what_it_imported_and_left_out(kadapter):
    done = kadapter("--reads", "0,1,3", "--compare", "--text", "a river runs by", "--json")
    told = json.loads(done.stdout)
    chosen = {option: told["adapter"][option] for option in ("reads", "heads", "compat")}
    assert chosen == {"reads": [0, 1, 3], "heads": 2, "compat": "microsoft"}
    assert list(told["skipped"]) == PRETRAINING
    assert told["compared"]["tokens"] == 6


@pytest.mark.parametrize("words", [["--set", "compat=null"], ["--text", "a " * 200]])
def test_what_cannot_be_compared_is_not_imported(words, kadapter, tmp_path):
    done = kadapter("--reads", "0,1,3", "--compare", *words)
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "out").exists()
    assert kadapter("--reads", "0,1,3").exit_code == 0


def test_the_command_prints_tables(kadapter, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    shown = kadapter("--set", "reads=[0,1,3]", "--compare", "--text", "a river runs by").stdout
    for said in ("for pretraining only", "self_attention.self.query.weight", "compat 'microsoft' against", "river"):
        assert said in shown


def test_text_is_for_comparing(kadapter):
    assert isinstance(kadapter("--text", "a river").exception, ConfigError)
