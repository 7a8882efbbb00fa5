import pytest

from knowledge_data import GraphOptions, graph_rows, sample_path

SIDES = ("labels", "types", "descriptions")


@pytest.fixture
def harbour():
    """Gives the rows of the sample graph, said as the options have it."""
    folder = sample_path("harbour")
    files = {side: str(folder / f"{side}.tsv") for side in SIDES}

    def rows(seed=0, **options):
        said = {"templates": str(folder / "templates.yaml"), **files, **options}
        return graph_rows(folder / "triples.tsv", GraphOptions(**said), seed)

    return rows


@pytest.fixture
def graph(tmp_path):
    """Writes triples and templates, and gives the rows."""

    def rows(triples, templates, seed=0, **options):
        (tmp_path / "triples.tsv").write_text("".join("\t".join(triple) + "\n" for triple in triples))
        (tmp_path / "templates.yaml").write_text(templates)
        said = {"templates": str(tmp_path / "templates.yaml"), **options}
        return graph_rows(tmp_path / "triples.tsv", GraphOptions(**said), seed)

    return rows
