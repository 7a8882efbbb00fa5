"""Knowledge as data: files and graphs become rows that adapters learn from, and rows that they are tried on."""

from typing import TYPE_CHECKING

from knowledge_data.lazy import names_of

if TYPE_CHECKING:
    from knowledge_data.alignment import (
        Aligner,
        AlignOptions,
        Matcher,
        Mention,
        Names,
        build_alignment,
        entities_of,
        sentence_spans,
        stream_texts,
    )
    from knowledge_data.building import (
        Built,
        Fact,
        Overlap,
        build,
        check_built,
        hash_inputs,
        overlap,
        read_built,
        read_facts,
        row_facts,
    )
    from knowledge_data.downstream_rows import AnswerRow, ChoiceRow, LabelledRow, TaggedRow, TypingRow
    from knowledge_data.errors import DataError
    from knowledge_data.geonames import country_graph, geonames_rows, geonames_splits
    from knowledge_data.graphs import (
        GRAPHS,
        EntityFacts,
        KnowledgeGraph,
        Partition,
        RelationFacts,
        Selection,
        Triple,
        describe_graph,
        is_streamed,
        iter_triples,
        partition,
        read_entities,
        read_graph,
        read_published_graph,
        read_relations,
        select_around,
        select_component,
        select_degrees,
        select_relations,
        select_types,
        write_entities,
        write_graph,
        write_noted,
        write_partition,
        write_triples,
    )
    from knowledge_data.groups import by_context, by_sentences, by_text, by_words
    from knowledge_data.hashing import content_hash
    from knowledge_data.parses import ROOT, ParseRow
    from knowledge_data.probes import PROBES, ClozeProbe, MinimalPair, probe_facts, read_probe
    from knowledge_data.published import files_by_split, published_splits, read_published
    from knowledge_data.readers import (
        DOWNSTREAM_READERS,
        READERS,
        read_codah,
        read_conllu,
        read_cosmosqa,
        read_fewrel,
        read_knowledgenet,
        read_parsed_text,
        read_piqa,
        read_redocred,
        read_relation_rows,
        read_semeval,
        read_sick,
        read_squad,
        read_tacred,
        read_tagged,
        read_trex,
        read_typing,
        typing_rows,
    )
    from knowledge_data.reading import Reading, ReadReport
    from knowledge_data.rows import NO_RELATION, RELATION_FEATURES, RelationRow, join_tokens
    from knowledge_data.samples import sample_path
    from knowledge_data.split import by_pair, check_no_pair_shared, draw, split_by_group, split_by_pair
    from knowledge_data.templates import Entity, say
    from knowledge_data.trex import TrexOptions, build_trex, stream_examples
    from knowledge_data.triples import (
        ClozeRow,
        GraphOptions,
        Phrasings,
        Splitter,
        check_triples,
        graph_rows,
        read_templates,
        split_triples,
    )

__getattr__ = names_of(
    __name__,
    {
        "alignment": (
            "Aligner AlignOptions Matcher Mention Names build_alignment entities_of sentence_spans stream_texts"
        ),
        "building": "Built Fact Overlap build check_built hash_inputs overlap read_built read_facts row_facts",
        "downstream_rows": "AnswerRow ChoiceRow LabelledRow TaggedRow TypingRow",
        "errors": "DataError",
        "geonames": "country_graph geonames_rows geonames_splits",
        "graphs": (
            "GRAPHS EntityFacts KnowledgeGraph Partition RelationFacts Selection Triple describe_graph "
            "is_streamed iter_triples partition read_entities read_graph read_published_graph read_relations "
            "select_around select_component select_degrees select_relations select_types write_entities "
            "write_graph write_noted write_partition write_triples"
        ),
        "groups": "by_context by_sentences by_text by_words",
        "hashing": "content_hash",
        "parses": "ROOT ParseRow",
        "probes": "PROBES ClozeProbe MinimalPair probe_facts read_probe",
        "published": "files_by_split published_splits read_published",
        "readers": (
            "DOWNSTREAM_READERS READERS read_codah read_conllu read_cosmosqa read_fewrel read_knowledgenet "
            "read_parsed_text read_piqa read_redocred read_relation_rows read_semeval read_sick read_squad "
            "read_tacred read_tagged read_trex read_typing typing_rows"
        ),
        "reading": "Reading ReadReport",
        "rows": "NO_RELATION RELATION_FEATURES RelationRow join_tokens",
        "samples": "sample_path",
        "split": "by_pair check_no_pair_shared draw split_by_group split_by_pair",
        "templates": "Entity say",
        "trex": "TrexOptions build_trex stream_examples",
        "triples": ("ClozeRow GraphOptions Phrasings Splitter check_triples graph_rows read_templates split_triples"),
    },
)
"""Imports a public name when it is first used: graphs and tables of data take seconds to import."""

__all__ = [
    "DOWNSTREAM_READERS",
    "GRAPHS",
    "NO_RELATION",
    "PROBES",
    "READERS",
    "RELATION_FEATURES",
    "ROOT",
    "AlignOptions",
    "Aligner",
    "AnswerRow",
    "Built",
    "ChoiceRow",
    "ClozeProbe",
    "ClozeRow",
    "DataError",
    "Entity",
    "EntityFacts",
    "Fact",
    "GraphOptions",
    "KnowledgeGraph",
    "LabelledRow",
    "Matcher",
    "Mention",
    "MinimalPair",
    "Names",
    "Overlap",
    "ParseRow",
    "Partition",
    "Phrasings",
    "ReadReport",
    "Reading",
    "RelationFacts",
    "RelationRow",
    "Selection",
    "Splitter",
    "TaggedRow",
    "TrexOptions",
    "Triple",
    "TypingRow",
    "build",
    "build_alignment",
    "build_trex",
    "by_context",
    "by_pair",
    "by_sentences",
    "by_text",
    "by_words",
    "check_built",
    "check_no_pair_shared",
    "check_triples",
    "content_hash",
    "country_graph",
    "describe_graph",
    "draw",
    "entities_of",
    "files_by_split",
    "geonames_rows",
    "geonames_splits",
    "graph_rows",
    "hash_inputs",
    "is_streamed",
    "iter_triples",
    "join_tokens",
    "overlap",
    "partition",
    "probe_facts",
    "published_splits",
    "read_built",
    "read_codah",
    "read_conllu",
    "read_cosmosqa",
    "read_entities",
    "read_facts",
    "read_fewrel",
    "read_graph",
    "read_knowledgenet",
    "read_parsed_text",
    "read_piqa",
    "read_probe",
    "read_published",
    "read_published_graph",
    "read_redocred",
    "read_relation_rows",
    "read_relations",
    "read_semeval",
    "read_sick",
    "read_squad",
    "read_tacred",
    "read_tagged",
    "read_templates",
    "read_trex",
    "read_typing",
    "row_facts",
    "sample_path",
    "say",
    "select_around",
    "select_component",
    "select_degrees",
    "select_relations",
    "select_types",
    "sentence_spans",
    "split_by_group",
    "split_by_pair",
    "split_triples",
    "stream_examples",
    "stream_texts",
    "typing_rows",
    "write_entities",
    "write_graph",
    "write_noted",
    "write_partition",
    "write_triples",
]
