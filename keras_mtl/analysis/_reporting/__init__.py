"""Parts of `report`: what a page consists of, and how it is written.

`_page` holds sections, tables and pictures; `_cells` writes values as text; `_read_tables` reads
the tables of users; `_pictures` makes images of figures; `_write` writes HTML, JSON and CSV;
`_sections/` has one file per kind of section, and `_build` their order; `page.html` is the
template.
"""
