"""The parts of `scripts/build_site.py`.

pages         the Markdown of the repository, with links that hold on the site
api_pages     one page per public name, from its docstring
gallery       one page per example, with what it printed and drew
docstrings    what MkDocs has to know of the docstrings here (an extension of Griffe)
equations     equations of docstrings, with signs, Greek letters and subscripts
check_html    links, anchors, and that nothing is loaded from elsewhere
"""
