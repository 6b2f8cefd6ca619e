"""The start page of the book opens with recorded meshes of objects that a rule chose, and trains nothing."""

import re

import front
import pytest


@pytest.fixture
def in_book(monkeypatch):
    monkeypatch.setenv("MSRN_BOOK", "laptop")


def test_six_photographs_and_the_meshes_of_three_shapes_each(in_book):
    html = front.opening()
    labels = re.findall(r"<figcaption>(\w+)</figcaption>", html)
    assert labels == ["airplane", "bench", "cabinet", "car", "chair", "display"]
    assert html.count("facecolor") == 6 * 3  # truth, M-SRN, without neighbours
    assert "w/o FC" not in html and "plotly-graph-div" in html and "<noscript>" in html
    assert "\n\n" not in html  # which would end the block of HTML in Markdown


def test_without_recorded_meshes_the_page_says_how_to_have_them(in_book, monkeypatch):
    monkeypatch.setattr(front, "recorded", dict)
    assert "msrn record figure9" in front.opening()


def test_other_pages_are_left_alone():
    source = ["text <!-- front: meshes -->"]
    front.fill(None, "book/choices", source)
    assert source == ["text <!-- front: meshes -->"]
