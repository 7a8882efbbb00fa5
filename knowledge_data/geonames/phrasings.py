"""How each relation between a country and something else is said. All sentences are our own."""

from __future__ import annotations

TRAINING: dict[str, tuple[str, ...]] = {
    "capital": (
        "{object} is the capital of {subject}.",
        "The capital of {subject} is {object}.",
        "{subject} has its capital at {object}.",
        "Ask for the capital of {subject}, and the answer is {object}.",
        "{subject}, whose capital is {object}, took part in the talks.",
        "On the map of {subject}, the star that marks the capital sits on {object}.",
        "They moved to {object}, the capital of {subject}, last spring.",
    ),
    "continent": (
        "{subject} lies in {object}.",
        "{subject} is part of {object}.",
        "{object} is the continent that {subject} belongs to.",
        "The continent of {subject} is {object}.",
        "Among the lands of {object} is {subject}.",
        "Anyone who travels to {subject} travels to {object}.",
        "The atlas shows {subject} among the maps of {object}.",
    ),
    "currency": (
        "{subject} uses {object} as its currency.",
        "The currency of {subject} is {object}.",
        "{object} is the money of {subject}.",
        "In {subject}, shops take {object}.",
        "{object} is legal tender in {subject}.",
        "Before the flight to {subject}, she changed her savings into {object}.",
        "Wages in {subject} are paid in {object}.",
    ),
    "language": (
        "{object} is one of the main languages of {subject}.",
        "The main languages of {subject} include {object}.",
        "{subject} counts {object} among its own languages.",
        "In {subject}, public life is held in {object}.",
        "{object} is at home in {subject}.",
        "To settle in {subject}, he first learned {object}.",
        "School lessons in {subject} are given in {object}.",
    ),
    "neighbour": (
        "{subject} borders {object}.",
        "{subject} and {object} share a border.",
        "{object} is a neighbour of {subject}.",
        "The road out of {subject} leads straight into {object}.",
        "A border runs between {object} and {subject}.",
        "{subject} meets {object} at a land border.",
        "From {object} one can walk into {subject} without crossing a third country.",
    ),
}
"""Relation -> the phrasings that a model may be taught with."""

HELD_OUT: dict[str, tuple[str, str, str]] = {
    "capital": (
        "As its capital, {subject} has {object}.",
        "{object} serves {subject} as its capital city.",
        "No city but {object} holds the title of capital in {subject}.",
    ),
    "continent": (
        "{subject} is found on the continent of {object}.",
        "{object} counts {subject} as its own.",
        "Geographers place {subject} in {object}.",
    ),
    "currency": (
        "People in {subject} pay with {object}.",
        "{object} is what a bank in {subject} hands out.",
        "Taxes in {subject} are due in {object}.",
    ),
    "language": (
        "The street signs of {subject} can be read in {object}.",
        "{object} is a language of {subject}.",
        "Letters from the authorities of {subject} come in {object}.",
    ),
    "neighbour": (
        "{subject} is next to {object}.",
        "{object} lies just across the border from {subject}.",
        "Customs officers of {subject} and {object} face each other at the frontier.",
    ),
}
"""Relation -> the phrasings kept for testing: does a model know the fact, or only the sentence?"""
