"""The page of claims leads to the tables and figures that it names."""

import claims


def test_tables_and_figures_with_a_page_are_linked_and_others_are_not():
    html = claims.linked("§4.5.1; Table 9 and Figure 99, see Table 10.", claims.IN_HTML)
    assert '<a href="../notebooks/table9_neighbor_selection.html">Table 9</a>' in html and "Figure 99," in html
    assert html.endswith('<a href="../notebooks/table10_prototypes.html">Table 10</a>.')
    text = claims.linked("Table 8", claims.IN_MARKDOWN)
    assert text == "[Table 8](../notebooks/table8_ablation.ipynb)"


def test_every_part_of_the_page_is_there_and_linked():
    parts = claims.parts()
    assert set(parts) == {"summary", "judged", "measured", "open"}
    assert "../notebooks/table8_ablation.html" in parts["judged"] and "](../notebooks/" in parts["open"]
