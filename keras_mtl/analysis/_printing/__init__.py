"""Tables as text: `_tables` aligns rows and writes numbers with three significant digits."""
