"""Embed a file on this machine: JSONL, CSV or plain text in, JSONL or Parquet out, by the code that runs in Lambda.

__main__.py  the command, `python -m events.embed IN OUT`
job.py       embeds one file of texts as one file of vectors
input.py     the input, and the checks that need no model
output.py    the formats of OUT
progress.py  the record of how much is done, from which an interrupted run resumes
bar.py       the progress on the terminal
"""
