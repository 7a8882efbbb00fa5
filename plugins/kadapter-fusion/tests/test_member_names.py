"""The names of members."""

import pytest

from kadapter import ConfigError, build_adapter
from kadapter.testing import tiny_backbone


@pytest.mark.parametrize("name", ["a.b", "", "keys", "type", "training"])
def test_a_name_that_a_module_cannot_have_is_refused(name):
    options = {"type": "fusion", "members": {name: {"type": "standard", "size": 4}}}
    with pytest.raises(ConfigError, match="cannot name a member"):
        build_adapter(options, tiny_backbone("bert").info)
