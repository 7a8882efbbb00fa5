import functools
import json
import os

import pytest

# Before torch and transformers are imported, which read them once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def tiny():
    """Gives the tiny backbone of a family, always the same one: not to be thawed."""
    from kadapter.testing import tiny_backbone

    return functools.cache(tiny_backbone)


@pytest.fixture
def built(tiny):
    """Gives an adapter filled at random, so that all of it matters, in evaluation mode."""
    from kadapter import build_adapter
    from kadapter.testing import fill_randomly

    def build(family="bert", seed=1, **options):
        options = {"type": "standard", "preset": "pfeiffer", "size": 4, **options}
        adapter = build_adapter(options, tiny(family).info)
        fill_randomly(adapter, seed)
        return adapter.eval()

    return build


@pytest.fixture
def exported(tmp_path, built, tiny):
    """Gives AdapterHub's folder of an adapter of ours."""
    from kadapter import export_adapter, save_adapter

    def export(family="bert", name="geo", adapter=None, **options):
        adapter = adapter or built(family, **options)
        saved, folder = tmp_path / "saved" / name, tmp_path / "hub" / name
        save_adapter(saved, adapter, name)
        export_adapter("adapterhub", saved, folder, tiny(family))
        return folder

    return export


@pytest.fixture
def imported(tmp_path, tiny):
    """Gives the model that a folder of AdapterHub's becomes."""
    from kadapter import import_adapter

    def read(folder, family="bert", **options):
        return import_adapter("adapterhub", folder, tiny(family), tmp_path / "ours" / folder.name, options)

    return read


@pytest.fixture
def described():
    """Changes what a file of JSON says: the options of its `config`, and its other entries."""

    def change(path, options=None, **entries):
        said = json.loads(path.read_text())
        if options:
            said["config"].update(options)
        path.write_text(json.dumps({**said, **entries}))

    return change
