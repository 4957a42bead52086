"""Pages that show how layers work, made from the code itself: the layer atlas, and what goes on in a trained network.

page.py is the one template of every page, markup.py turns Markdown, formulas and code into HTML, atlas/ explains ops.
"""
