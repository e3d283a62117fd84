"""What people read: page, figures, tables, card.

slices.py       what dialogues each slice holds
tables.py       before and after, in the units that people read
verdicts.py     what the numbers say, in sentences
examples.py     dialogues before and after, each text with its score
provenance.py   which models, data, profile and seed
panels.py       the pictures of the result
figures.py      these and the curves as SVG
page.py         metrics/report.html, by templates/
cards.py        the model card of the release, by templates/
revisions.py    two revisions of the repository side by side
leaderboard.py  the experiments of a search, best first

It never knows where its numbers come from: it reads metrics/.
"""
