"""Parts of figures.

`_style` holds colors, lines and the settings of all figures; `_order` puts tasks beside those that
are most similar; `_choose` picks the tasks that are shown where there are many; `_axes` has grids
of panels, legends and forest plots; `_lines` draws values after each epoch, `_heat` matrices.
"""
