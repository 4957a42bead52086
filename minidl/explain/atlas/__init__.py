"""The layer atlas: a page for each op, made from its folder, its examples and what it computes.

explanations/OP.md is the text, in Markdown; its fenced blocks stand for what is computed when the page is made. A
figure is figures/NAME.js with numbers from figures.py. Adding an op means adding these, and a row to TOPICS.
"""
