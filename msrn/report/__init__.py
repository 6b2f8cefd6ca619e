"""How results look: tables, figures and conclusions for a page, a terminal and a file."""
