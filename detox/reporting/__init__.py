"""What people read: page, figures, tables, card.

tables.py       before and after, in the units that people read
figures.py      figures that fit into a page
page.py         metrics/report.html, by templates/
cards.py        the model card of the release, by templates/
revisions.py    two revisions of the repository side by side
leaderboard.py  the experiments of a search, best first

It never knows where its numbers come from: it reads metrics/.
"""
