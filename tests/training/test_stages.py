"""Two stages: members are trained first and stay as they are, then what fuses them; after a kill it goes on."""

import copy
import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file

from kadapter import BackboneError, ConfigError, KnowledgeModel, Recipe, StorageError, UnknownNameError, pretrain
from kadapter.stages import Stages, fuse
from kadapter.testing import save_tiny_backbone
from kadapter.testing.comparing import assert_same_tensors
from knowledge_data import DataError

pytestmark = pytest.mark.usefixtures("mixing")


@pytest.fixture(scope="module")
def stages(said):
    return Stages.from_dict(said)


@pytest.fixture(scope="module")
def fused(mixing, stages, folder):
    """A finished run of both stages, and the names of its stages as they were told; not to be changed."""
    told = []
    return fuse(stages, folder / "stages", told=lambda name, run: told.append((name, run.folder))), told


@pytest.fixture
def half(stages, tmp_path):
    """Folder of a run that was ended between the stages."""
    end_after(stages, tmp_path / "half", "deep")
    return tmp_path / "half"


def end_after(stages, output, last):
    """Begin both stages, and end when the member `last` is finished."""

    def end(name, run):
        if name == last:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuse(stages, output, told=end)


def changed(said, path, value):
    """What was said, but for one place; the value ... takes it out."""
    said = copy.deepcopy(said)
    *above, last = path
    place = said
    for step in above:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return said


# --- what is trained


def test_each_stage_has_a_folder_and_is_told_when_it_is_finished(fused, folder):
    run, told = fused
    output = folder / "stages"
    assert run.folder == output / "fused"
    assert told == [("light", output / "members/light"), ("deep", output / "members/deep"), ("fused", run.folder)]
    assert {path.name for path in output.iterdir()} == {"stages.yaml", "members", "fused"}
    assert {path.name for path in (output / "members").iterdir()} == {"light", "deep"}


def test_the_target_s_members_are_filled_in(fused, folder, said):
    members = fused[0].result["recipe"]["adapter"]["members"]
    trained = {name: str(folder / "stages" / "members" / name) for name in ("light", "deep")}
    assert members == {**trained, "ready": said["members"]["ready"]}
    assert list(members) == ["light", "deep", "ready"]


def test_the_members_are_in_the_target_bit_for_bit(fused):
    run, _ = fused
    [adapter] = KnowledgeModel.from_pretrained(run.folder).adapters.values()
    for name, place in run.result["recipe"]["adapter"]["members"].items():
        assert_same_tensors(adapter.members[name].state_dict(), load_file(f"{place}/adapter.safetensors"), name)
    assert not torch.equal(adapter.weights, torch.ones(3))


def test_a_member_is_trained_as_if_it_were_alone(fused, stages, folder, tmp_path, tensors):
    alone = pretrain(stages.members["deep"], tmp_path / "alone")
    assert_same_tensors(tensors(folder / "stages" / "members" / "deep"), tensors(alone.folder), "deep")


def test_the_heads_of_the_members_stay_in_their_own_runs(fused, folder):
    member = KnowledgeModel.from_pretrained(folder / "stages" / "members" / "light")
    own = KnowledgeModel.from_pretrained(fused[0].folder)
    assert member.plugged == ("light",)
    assert own.plugged == ("fused",)
    heads = [name for name in own.state_dict() if "head." in name and not name.startswith("backbone.")]
    assert heads
    assert all(name.startswith("head.") for name in heads)


def test_installed_knowledge_is_a_member_by_its_name(mixing, said, fused, folder, tmp_path, monkeypatch):
    light = folder / "stages" / "members" / "light"
    fingerprint = json.loads((light / "adapter.json").read_text())["backbone"]["fingerprint"]
    monkeypatch.setitem(mixing.WEIGHTS, fingerprint, light)
    run = fuse(Stages.from_dict(changed(said, ["members"], {"mine": "rivers"})), tmp_path / "run")
    assert run.result["recipe"]["adapter"]["members"] == {"mine": "rivers"}
    [adapter] = KnowledgeModel.from_pretrained(run.folder).adapters.values()
    assert_same_tensors(adapter.members["mine"].state_dict(), load_file(light / "adapter.safetensors"), "rivers")
    assert not (tmp_path / "run" / "members").exists()


# --- going on after an interruption


def test_members_that_are_finished_are_not_trained_again(stages, fused, half, held, tensors):
    assert not (half / "fused").exists()
    before = held(half / "members")
    run = fuse(stages, half, resume=True)
    assert held(half / "members") == before
    assert_same_tensors(tensors(run.folder), tensors(fused[0].folder), "as without the interruption")


@pytest.mark.slow
def test_it_goes_on_after_the_member_that_was_finished(stages, fused, tmp_path, held, tensors, folder):
    end_after(stages, tmp_path / "run", "light")
    before = held(tmp_path / "run" / "members" / "light")
    assert not (tmp_path / "run" / "members" / "deep").exists()
    fuse(stages, tmp_path / "run", resume=True)
    assert held(tmp_path / "run" / "members" / "light") == before
    assert_same_tensors(tensors(tmp_path / "run"), tensors(folder / "stages"), "as without the interruption")


def test_it_goes_on_within_the_second_stage(stages, fused, tmp_path, held, tensors, interrupted_at):
    with interrupted_at(7):
        fuse(stages, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run" / "fused" / "checkpoints").iterdir()] == ["checkpoint-5"]
    before = held(tmp_path / "run" / "members")
    with interrupted_at(8):
        fuse(stages, tmp_path / "run", resume=True)
    run = fuse(stages, tmp_path / "run", resume=True)
    assert held(tmp_path / "run" / "members") == before
    assert_same_tensors(tensors(run.folder), tensors(fused[0].folder), "as without the interruption")


@pytest.mark.slow
def test_it_goes_on_within_the_first_member(stages, fused, tmp_path, tensors, interrupted_at, folder):
    with interrupted_at(3):
        fuse(stages, tmp_path / "run")
    fuse(stages, tmp_path / "run", resume=True)
    assert_same_tensors(tensors(tmp_path / "run"), tensors(folder / "stages"), "as without the interruption")


def test_a_finished_run_is_left_as_it_is(stages, fused, folder, held):
    before = held(folder / "stages" / "members") | held(folder / "stages" / "fused")
    assert fuse(stages, folder / "stages", resume=True).result == fused[0].result
    assert held(folder / "stages" / "members") | held(folder / "stages" / "fused") == before


def test_the_data_may_have_moved_between_the_stages(said, half, data, tmp_path, held):
    moved = str(shutil.copy(data, tmp_path / "moved.json"))
    there = changed(said, ["target", "source", "path"], moved)
    before = held(half / "members")
    assert fuse(Stages.from_dict(there), half, resume=True).result["data"]["source"]["path"] == moved
    assert held(half / "members") == before


@pytest.mark.parametrize(("option", "value"), [("store", "off"), ("store_limit", "1GB")])
def test_the_store_may_be_another_between_the_stages(said, half, held, option, value):
    before = held(half / "members")
    assert fuse(Stages.from_dict(changed(said, ["target", "training", option], value)), half, resume=True).result
    assert held(half / "members") == before


@pytest.mark.parametrize(
    ("path", "value", "difference"),
    [
        (["target", "training", "epochs"], 3, "target.training.epochs is 2, not 3"),
        (["members", "deep", "adapter", "reads"], [1], r"members.deep.adapter.reads is \[2\], not \[1\]"),
        (["members", "ready"], "elsewhere", "members.ready is '.*', not 'elsewhere'"),
        (["members", "ready"], ..., "members.ready is '.*', not None"),
    ],
)
def test_other_stages_do_not_go_on_with_a_run(said, half, held, path, value, difference):
    before = held(half)
    with pytest.raises(StorageError, match=f"has other stages: {difference}; resume it with the same ones"):
        fuse(Stages.from_dict(changed(said, path, value)), half, resume=True)
    assert held(half) == before


def test_there_must_be_a_run_to_resume(stages, tmp_path):
    with pytest.raises(StorageError, match=r"no run of two stages to resume in .*/run; start one without --resume"):
        fuse(stages, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_free_is_refused(stages, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"already holds notes.txt; choose another --output, or .* --resume"):
        fuse(stages, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


# --- what is refused before anything is trained

NO_STAGES = {
    "no members": (["members"], {}, "there are no members to fuse; give members: "),
    "members left out": (["members"], ..., "the run lacks option 'members'; it has members, target"),
    "members as a list": (["members"], ["a"], "option 'members' is .* it must be mapping"),
    "target left out": (["target"], ..., "the run lacks option 'target'"),
    "target as a text": (["target"], "runs/x", "option 'target' is 'runs/x'; it must be Recipe"),
    "another entry": (["membrs"], {}, "no option 'membrs'; it has members, target; did you mean 'members'"),
    "a member that is nothing": (["members", "deep"], None, "member 'deep': it is None; it must be a recipe, a folder"),
    "a member's name": (["members", "a.b"], "rivers", "member 'a.b': 'a.b' cannot name an adapter"),
    "a name of torch's": (["members", "keys"], "rivers", "member 'keys': .* torch uses that name"),
    "a member without adapter": (["members", "deep", "adapter"], None, "member 'deep': .* no new adapter to train"),
    "a member that tunes the backbone": (
        ["members", "deep", "training", "trains"],
        ["adapters", "backbone"],
        "member 'deep': it trains the backbone, and would not fit that of the target",
    ),
    "a member's option": (["members", "deep", "tasks"], {}, "member 'deep': recipe has no option 'tasks'; .*'task'"),
    "a member's training": (["members", "deep", "training", "epochs"], 0, "member 'deep': training: epochs is 0"),
    "a member's source": (["members", "deep", "source", "name"], ..., "member 'deep': recipe: source has no name"),
    "a member without backbone": (["members", "deep", "backbone"], ..., "member 'deep': recipe lacks .*'backbone'"),
    "a target without adapter": (["target", "adapter"], None, "target: its recipe has no new adapter to fuse the mem"),
    "a target with members": (
        ["target", "adapter", "members"],
        {"a": "runs/a"},
        "target: its adapter says `members`, which are filled in",
    ),
}


@pytest.mark.parametrize(("path", "value", "message"), NO_STAGES.values(), ids=NO_STAGES)
def test_what_says_no_two_stages_is_refused(said, path, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Stages.from_dict(changed(said, path, value), owner="stages fused.yaml")
    assert str(caught.value).startswith("stages fused.yaml: ")
    assert "\n" not in str(caught.value)


CANNOT = {
    "unknown adapter type of a member": (
        ["members", "deep", "adapter", "type"], "k-adaptor", UnknownNameError,
        "member 'deep': .*did you mean 'k-adapter'",
    ),
    "unknown option of a member": (
        ["members", "deep", "adapter", "rank"], 4, ConfigError, "member 'deep': .*no option 'rank'",
    ),
    "unknown task of a member": (
        ["members", "deep", "task", "name"], "relations", UnknownNameError, "'deep': there is no task 'relations'",
    ),
    "unknown source of the target": (
        ["target", "source", "name"], "fewrl", UnknownNameError, "target: .*did you mean 'fewrel'",
    ),
    "data of the target": (["target", "source", "path"], "no.json", DataError, r"no\.json"),
    "unknown knowledge": (["members", "ready"], "river", UnknownNameError, "member 'ready': .*did you mean 'rivers'"),
    "knowledge without weights": (["members", "ready"], "rivers", UnknownNameError, "'ready': .*without weights"),
    "folder without adapter": (["members", "ready"], "no/run", StorageError, "'ready': no saved adapter in no/run"),
    "unknown type of the target": (
        ["target", "adapter", "type"], "mixx", UnknownNameError, "target: .*did you mean 'mix'",
    ),
    "a target's type without members": (
        ["target", "adapter", "type"], "scalar-mix", ConfigError, "target: .*'scalar-mix' has no option 'members'",
    ),
    "unknown backbone": (["target", "backbone"], "no/model", BackboneError, "target: .*no/model"),
    "reporting": (["target", "training", "report_to"], ["nobody"], ConfigError, "target: .*report_to asks for nobody"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value", "kind", "message"), CANNOT.values(), ids=CANNOT)
def test_what_is_wrong_in_any_stage_is_found_before_the_first(said, tmp_path, path, value, kind, message):
    with pytest.raises(kind, match=message):
        fuse(Stages.from_dict(changed(said, path, value)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture
def other_backbone(tmp_path):
    return str(save_tiny_backbone("llama", tmp_path / "other", seed=1))


def test_a_member_to_train_on_another_backbone_is_refused(said, tmp_path, other_backbone):
    there = changed(said, ["members", "deep", "backbone"], other_backbone)
    with pytest.raises(BackboneError, match=r"member 'deep': its backbone is .*, that of the target .*; give both"):
        fuse(Stages.from_dict(there), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_member_that_was_trained_on_another_backbone_is_refused(said, tmp_path, other_backbone):
    there = changed(said, ["members"], {"ready": said["members"]["ready"]})
    there = changed(there, ["target", "backbone"], other_backbone)
    with pytest.raises(BackboneError, match=r"member 'ready': .* was trained on backbone"):
        fuse(Stages.from_dict(there), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# --- the file


def test_a_file_says_both_stages(said, stages, tmp_path):
    (tmp_path / "fused.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    loaded = Stages.load(tmp_path / "fused.yaml")
    assert loaded == stages
    assert list(loaded.members) == ["light", "deep", "ready"]
    assert (loaded.members["light"].name, loaded.target.name) == ("light", "fused")
    assert isinstance(loaded.members["deep"], Recipe)
    assert Stages.from_dict(loaded.as_dict()) == loaded


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot read stages .*fused.yaml: No such file"), ("a: [", "is not YAML"), ("3", "is not a mapping")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "fused.yaml").write_text(text)
    with pytest.raises(ConfigError, match=f"fused.yaml.*{message}" if text else message):
        Stages.load(tmp_path / "fused.yaml")


def test_a_dotted_option_is_replaced_in_the_stage_that_it_names(stages):
    options = {"target.training.epochs": 7, "members.deep.adapter.reads": [1], "members.ready": "rivers"}
    other = stages.with_options(options)
    assert (other.target.training.epochs, other.members["light"]) == (7, stages.members["light"])
    assert (other.members["deep"].adapter["reads"], other.members["ready"]) == ([1], "rivers")


@pytest.mark.parametrize("option", ["epochs", "target.epochs", "members.ready.training.epochs", "members.deep.a.b"])
def test_an_option_that_there_is_not_is_refused(stages, option):
    with pytest.raises(ConfigError, match="has no option"):
        stages.with_options({option: 1})
