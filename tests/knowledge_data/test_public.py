import subprocess
import sys

import knowledge_data


def test_all_is_sorted_and_there():
    names = knowledge_data.__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(knowledge_data, name) for name in names)


def test_import_needs_neither_torch_nor_the_toolkit():
    code = "import sys; from knowledge_data import *; print({'torch', 'transformers', 'kadapter'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
